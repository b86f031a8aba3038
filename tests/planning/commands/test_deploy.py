"""`planning deploy` with the optimised strategy: places from files, a budget, strategies judged by real sites."""

import json

import numpy as np
import pandas as pd
import pytest

from planning.cli import main
from planning.export import export
from planning.geometry import tile_centre
from planning.scenario import Scenario
from tests.planning.conftest import X0, Y0, make_table


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deploy")
    table = make_table(3, 3, 3, 24)
    tile, sample, hour = np.indices(table.traffic.shape).reshape(3, -1)
    values = {"traffic": table.traffic.ravel(), "users": table.users.ravel()}
    pd.DataFrame(
        {"x": table.x[tile], "y": table.y[tile], "sample": sample, "hour": hour, **values}
    ).to_parquet(folder / "traffic.parquet")
    lon, lat = tile_centre([X0, X0 + 1, X0 + 2], [Y0, Y0 + 1, Y0 + 2])
    pd.DataFrame({"site": ["a", "b", "c"], "lon": lon, "lat": lat}).to_csv(folder / "real.csv", index=False)
    corners = [
        [lon[1] - 0.004, lat[1] - 0.004],
        [lon[1] + 0.004, lat[1] - 0.004],
        [lon[1] + 0.004, lat[1] + 0.004],
    ]
    area = {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}
    document = {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "properties": {}, "geometry": area}],
    }
    (folder / "no-go.geojson").write_text(json.dumps(document))
    return folder


def deploy(folder, *options) -> int:
    out = ["--out", str(folder / "out.gpkg"), "--time-limit", "2"]
    return main(["deploy", str(folder / "traffic.parquet"), "--strategy", "optimised", *out, *options])


@pytest.mark.slow
def test_places_from_files_and_all_strategies_judged_by_real_sites(folder, capsys):
    real = str(folder / "real.csv")
    options = [
        "--sites",
        "5",
        "--existing",
        real,
        "--forbid",
        str(folder / "no-go.geojson"),
        "--spacing-m",
        "350",
    ]
    assert deploy(folder, *options, "--compare", "--real", real, "--min-distance-m", "300") == 0
    printed = capsys.readouterr().out
    assert "3 of 3 existing sites stay" in printed and "JSD real" in printed and "t=50 %" in printed
    scenario = Scenario.read(folder / "out.gpkg")
    assert {"a", "b", "c"} <= set(scenario.network.sites["site"])
    table = scenario.tables["deployment_comparison"].set_index("strategy")
    assert list(table.index) == ["optimised", "traffic", "uniform"] and (table["sites"] == 5).all()
    record = scenario.provenance["deployment"]
    assert record["settings"]["existing"] == 3 and record["settings"]["forbidden"] == 1
    assert (
        record["solve"]["status"] in ("optimal", "feasible")
        and record["settings"]["radio"]["environment"] == "UMa"
    )
    page = export(scenario, "html").decode()
    assert (
        "<h2>Deployment</h2>" in page
        and "cosine (more is better)" in page
        and "best first: 5 sites serve" in page
    )
    assert "after 50 moves" in page


@pytest.mark.slow
def test_a_budget_instead_of_a_number(folder, capsys):
    assert deploy(folder, "--budget", "7", "--site-cost", "2", "--robust", "p10", "--hours", "all") == 0
    assert "of a budget of 7" in capsys.readouterr().out
    assert len(Scenario.read(folder / "out.gpkg").network.sites) <= 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "Give the number of sites"),
        (["--sites", "2", "--real", "x.csv"], "add --compare"),
        (["--sites", "2", "--force", "none.csv"], "no file none.csv"),
        (["--sites", "2", "--forbid", "{real}", "--strategy", "traffic"], "does not heed --forbid"),
        (["--sites", "2", "--existing", "{real}"], "more than the 2 wanted"),
        (["--sites", "3000"], "1 to 2,000 sites"),
        (["--sites", "2", "--level-dbm", "-200"], "between -150 and -40 dBm"),
        (["--sites", "2", "--coverage-band", "B999"], "no band 'B999'"),
        (["--sites", "2", "--forbid", "{traffic}"], "metres of a projected"),
    ],
)
def test_what_cannot_be_done_is_one_line(folder, options, words, capsys):
    places = {"real": folder / "real.csv", "traffic": folder / "traffic.parquet"}
    assert deploy(folder, *(o.format(**places) for o in options)) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert words in last and last.startswith("planning deploy: ")


@pytest.mark.slow
def test_a_sheet_of_places_can_be_named_for_all_files_or_for_one(folder, capsys):
    lon, lat = tile_centre([X0, X0 + 1, X0 + 2], [Y0, Y0 + 1, Y0 + 2])
    with pd.ExcelWriter(folder / "places.xlsx") as book:
        for sheet, rows in (("Built", slice(1)), ("Sites", slice(1, 3))):
            table = pd.DataFrame({"site": ["a", "b", "c"], "lon": lon, "lat": lat})[rows]
            table.to_excel(book, sheet_name=sheet, index=False)
    file = str(folder / "places.xlsx")
    assert deploy(folder, "--candidates", file, "--layer", "sites", "--sites", "2") == 0
    both = Scenario.read(folder / "out.gpkg").network.sites
    np.testing.assert_allclose(np.sort(both["lon"]), np.sort(lon[1:]))
    one_each = ("--layer", "candidates=Sites", "--layer", "existing=Built")
    assert deploy(folder, "--candidates", file, "--existing", file, *one_each, "--sites", "2") == 0
    sites = Scenario.read(folder / "out.gpkg").network.sites
    assert len(sites) == 2 and np.isclose(sites["lon"], lon[0]).any()
    capsys.readouterr()
    for options, told in (
        (("--candidates", file, "--layer", "Masts"), "no sheet or layer 'Masts'; it has Built, Sites"),
        (("--candidates", file, "--layer", "force=Sites"), "needs a file of places by --force"),
        (("--candidates", file, "--layer", "Sites", "--layer", "Built"), "given twice"),
        (("--layer", "Sites"), "needs a file of places"),
    ):
        assert deploy(folder, *options, "--sites", "2") == 2
        assert told in capsys.readouterr().err
