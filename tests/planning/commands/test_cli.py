"""The command line end to end, and one clear line with status 2 on bad input."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from planning.cli import main, parser
from planning.network.files import import_network
from planning.prb.utilisation import DOWNLINK_SHARE
from planning.scenario import Scenario
from tests.planning.conftest import make_table

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    table = make_table(3, 3, 2, 168)
    tile, sample, hour = np.indices(table.traffic.shape).reshape(3, -1)
    frame = pd.DataFrame(
        {
            "x": table.x[tile],
            "y": table.y[tile],
            "sample": sample,
            "hour": hour,
            "traffic": table.traffic.ravel(),
            "users": table.users.ravel(),
        }
    )
    frame.to_csv(folder / "traffic.csv", index=False)
    frame[frame["sample"] == 0].to_parquet(folder / "measured.parquet", index=False)
    return folder


@pytest.fixture(scope="module")
def deployed(folder) -> Path:
    out = folder / "deployed.gpkg"
    arguments = ["deploy", str(folder / "traffic.csv"), "--sites", "9", "--out", str(out)]
    assert main([*arguments, "--total-gb-day", "30000"]) == 0
    return out


def test_deploy_writes_a_scenario(deployed, capsys):
    scenario = Scenario.read(deployed)
    assert len(scenario.network.sites) == 9 and scenario.tiles["sites"].sum() == 9
    assert scenario.scale().kind == "daily total"


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["always-on", "night", "threshold", "greedy", "milp", "paper"])
def test_sleep_takes_up_the_scale_and_writes_the_schedule(folder, deployed, strategy, capsys):
    out, hours = folder / f"{strategy}.gpkg", 168 if strategy == "threshold" else 24
    arguments = ["sleep", str(deployed), "--traffic", str(folder / "traffic.csv"), "--strategy", strategy]
    arguments += ["--out", str(out), "--time-limit", "4", "--gap", "0.1", "--hours", str(hours)]
    assert main([*arguments, "--replay", str(folder / "measured.parquet")]) == 0
    printed = capsys.readouterr()
    assert strategy in printed.out and "replay" in printed.out and "30,000 GB a day" in printed.out
    scenario = Scenario.read(out)
    assert len(scenario.tables["sleep_schedule"]) == hours * len(scenario.network.cells)
    assert scenario.provenance["sleep"]["strategy"] == strategy


@pytest.mark.slow
def test_sleep_compares_all_strategies(folder, deployed, capsys):
    out = folder / "compared.gpkg"
    arguments = [
        "sleep",
        str(deployed),
        "--traffic",
        str(folder / "traffic.csv"),
        "--compare",
    ]
    bounds = ["--gap", "0.1", "--time-limit", "4"]
    assert main([*arguments, "--out", str(out), *bounds, "--quantile", "0.5"]) == 0
    table = Scenario.read(out).tables["sleep_comparison"]
    assert table["strategy"].tolist() == ["always-on", "night", "threshold", "greedy", "milp", "paper"]
    assert capsys.readouterr().out.count(" kWh, saves ") == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    "extra",
    [
        [],
        ["--mode", "paper"],
        ["--mode", "literal"],
        ["--baseline"],
        ["--link", "uplink"],
        ["--rates", "shannon"],
    ],
)
def test_prb_writes_the_assignment(folder, deployed, extra, capsys):
    out = folder / "prb.gpkg"
    arguments = [
        "prb",
        str(deployed),
        "--traffic",
        str(folder / "traffic.csv"),
        "--hour",
        "20",
        "--users",
        "15",
    ]
    assert main([*arguments, "--out", str(out), "--time-limit", "2", *extra]) == 0
    assert "demands met" in capsys.readouterr().out
    assert len(Scenario.read(out).tables["prb_assignment"]) == 15


@pytest.mark.slow
def test_prb_of_the_whole_network_and_of_a_cluster(folder, deployed, capsys):
    out, traffic = folder / "use.gpkg", str(folder / "traffic.csv")
    arguments = ["prb", str(deployed), "--traffic", traffic, "--out", str(out)]
    assert (
        main([*arguments, "--hours", "19-20", "--network", "--busy-hour-mbps", "9000", "--hot-spots", "1"])
        == 0
    )
    printed = capsys.readouterr().out
    assert "of the downlink traffic is served" in printed and "load" in printed
    scenario = Scenario.read(out)
    assert scenario.tables["utilisation_by_hour"]["hour"].tolist() == [19, 20]
    assert len(scenario.tables["utilisation_cells"]) == 2 * len(scenario.network.cells)
    site = scenario.network.sites.iloc[0]
    where = f"--cluster={site['lon']},{site['lat']},2"
    assert main([*arguments, "--hour", "20", "--users", "9", where, "--time-limit", "2"]) == 0
    assert "No plan serves more" in capsys.readouterr().out
    assert len(Scenario.read(out).tables["prb_stations"]) == 6  # the cells of the widest carrier of two sites
    with pytest.raises(SystemExit):
        main([*arguments, "--hour", "20", "--cluster", "here"])


@pytest.mark.slow
def test_utilisation_of_a_network_takes_counters(folder, deployed, capsys):
    cells = Scenario.read(deployed).network.cells
    mine = cells["cell"][cells["sector"] == cells["sector"].iloc[0]].tolist()
    out, counters = folder / "counted.gpkg", folder / "cells.csv"
    arguments = [
        "prb",
        str(deployed),
        "--traffic",
        str(folder / "traffic.csv"),
        "--network",
        "--hours",
        "0-23",
    ]
    arguments += ["--out", str(out), "--hot-spots", "0"]

    def offered(*more):
        assert main([*arguments, *more]) == 0
        table = Scenario.read(out).tables["utilisation_cells"]
        return table.loc[table["cell"].isin(mine), "offered_mbps"].sum() / 24

    wanted = 1.5 * offered()
    rate = wanted / DOWNLINK_SHARE / len(mine)
    rows = [(cell, f"2025-03-03 {hour:02d}:00", rate) for cell in mine for hour in range(24)]
    pd.DataFrame(rows, columns=["cell", "time", "throughput (Mbit/s)"]).to_csv(counters, index=False)
    assert offered("--measured", str(counters)) == pytest.approx(wanted, rel=0.1)  # as far as tiles can
    assert "sectors carry what" in capsys.readouterr().out


@pytest.mark.slow
def test_prb_over_hours_against_measured_traffic(folder, deployed, capsys):
    out = folder / "day.gpkg"
    traffic = str(folder / "traffic.csv")
    arguments = ["prb", str(deployed), "--traffic", traffic, "--hours", "19-21", "--users", "8", "--compare"]
    arguments += ["--against", traffic, "--preset", "n78", "--shadowing", "--station-gain-dbi", "15"]
    arguments += ["--baseline", "best-sinr"]  # the same deal each time, however long it takes
    assert main([*arguments, "--time-limit", "2", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "3 hours:" in printed and "Round-robin:" in printed and "Measured traffic needs" in printed
    scenario = Scenario.read(out)
    assert scenario.tables["prb_hours"]["hour"].tolist() == [19, 20, 21]
    assert len(scenario.tables["prb_station_hours"]) == 3 * len(scenario.network.sites)
    assert len(scenario.tables["prb_comparison"]) == 4
    cost = scenario.tables["prb_reserve_cost"]
    assert (cost["short_prbs"] == 0).all() and (cost["idle_prbs"] == 0).all()  # the same traffic
    radio = scenario.provenance["prb"]["radio"]
    assert radio["carrier_ghz"] == 3.5 and radio["shadowing"] and radio["station_gain_dbi"] == 15


@pytest.mark.parametrize("format", ["csv", "geojson", "kml", "gpkg", "html"])
def test_export_writes_every_format(folder, deployed, format, capsys):
    out = folder / f"plan.{format}"
    assert main(["export", str(deployed), "--format", format, "--out", str(out)]) == 0
    assert out.stat().st_size > (500 if format == "csv" else 1000)
    if format == "geojson":
        assert json.loads(out.read_text())["type"] == "FeatureCollection"


def test_the_page_puts_scenarios_side_by_side(folder, deployed, capsys):
    out, names = folder / "both.html", ["--compare", str(deployed), str(deployed)]
    assert main(["export", str(deployed), "--format", "html", *names, "--out", str(out)]) == 0
    page, name = out.read_text(), deployed.stem
    assert "<h2>Side by side</h2>" in page and f"Δ {name} (2)" in page and f"Δ {name} (3)" in page
    assert main(["export", str(deployed), "--format", "kml", *names, "--out", str(out)]) == 2
    assert "give --format html" in capsys.readouterr().err


def test_csv_export_to_a_zip_holds_every_table(folder, deployed):
    out = folder / "plan.zip"
    assert main(["export", str(deployed), "--format", "csv", "--out", str(out)]) == 0
    assert out.read_bytes()[:2] == b"PK"


BAD = {
    "no file": ["deploy", "none.parquet", "--sites", "3", "--out", "o.gpkg"],
    "ends in .gpkg": ["deploy", "{traffic}", "--sites", "3", "--out", "o.txt"],
    "does not exist": ["deploy", "{traffic}", "--sites", "3", "--out", "/none/such/o.gpkg"],
    "number of sites": ["deploy", "{traffic}", "--sites", "-3", "--out", "{folder}/o.gpkg"],
    "holds no poi intensity": [
        "deploy",
        "{traffic}",
        "--sites",
        "3",
        "--strategy",
        "poi",
        "--out",
        "{folder}/o.gpkg",
    ],
    "one scale only": [
        *("deploy", "{traffic}", "--sites", "3", "--out", "{folder}/o.gpkg"),
        *("--busy-hour-mbps", "5", "--total-gb-day", "5"),
    ],
    "exceeds the capacity": [
        *("sleep", "{deployed}", "--traffic", "{traffic}", "--out", "{folder}/o.gpkg"),
        *("--busy-hour-mbps", "900000"),
    ],
    "no hour 500": [
        "prb",
        "{deployed}",
        "--traffic",
        "{traffic}",
        "--hour",
        "500",
        "--out",
        "{folder}/o.gpkg",
    ],
    "bandwidth must be": [
        *("prb", "{deployed}", "--traffic", "{traffic}", "--hour", "5", "--out", "{folder}/o.gpkg"),
        *("--bandwidth-mhz", "33"),
    ],
    "no readable GeoPackage": ["export", "{traffic}", "--format", "kml", "--out", "{folder}/o.kml"],
    "holds no table": [
        "export",
        "{deployed}",
        "--format",
        "csv",
        "--table",
        "zzz",
        "--out",
        "{folder}/o.csv",
    ],
    "thresholds": [
        *("sleep", "{deployed}", "--traffic", "{traffic}", "--out", "{folder}/o.gpkg"),
        *("--strategy", "threshold", "--threshold", "0.9,0.2"),
    ],
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_gets_status_2_and_one_line(folder, deployed, message, capsys):
    known = {"folder": folder, "traffic": folder / "traffic.csv", "deployed": deployed}
    capsys.readouterr()
    assert main([part.format(**known) for part in BAD[message]]) == 2
    printed = capsys.readouterr()
    said = [line for line in printed.err.splitlines() if line.startswith("planning ")]
    assert len(said) == 1 and message in said[0]
    assert printed.out == "" and not (folder / "o.gpkg").exists()


def test_bad_usage_ends_with_status_2_and_help_with_0(capsys):
    for arguments in (["deploy"], ["sleep", "s", "--night", "six"], [], ["fly"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
    for command in ("deploy", "sleep", "prb", "export"):
        with pytest.raises(SystemExit) as caught:
            parser().parse_args([command, "--help"])
        assert caught.value.code == 0
    text = capsys.readouterr().out
    for unit in ("Mbit/s", "hours", "Wh", "GB"):
        assert unit in text


@pytest.mark.slow
def test_as_a_module_without_torch_and_with_clean_stdout(folder, deployed):
    code = "import sys, planning.cli, planning.sleep.optimise; assert not {'torch', 'opendiff'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    out = folder / "module.gpkg"
    arguments = ["sleep", deployed, "--traffic", folder / "traffic.csv", "--out", out]
    done = subprocess.run(
        [sys.executable, "-m", "planning", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert done.stdout.startswith("      milp:") and "Running HiGHS" not in done.stdout


@pytest.mark.slow
def test_sleep_says_what_a_year_saves_and_what_saving_risks(folder, deployed, capsys):
    arguments = ["sleep", str(deployed), "--traffic", str(folder / "traffic.csv"), "--strategy", "greedy"]
    arguments += ["--out", str(folder / "risk.gpkg"), "--tariff", "0.8", "--co2-kg-per-kwh", "0.3"]
    assert main([*arguments, "--risk-curve"]) == 2
    assert "--replay" in capsys.readouterr().err
    assert main([*arguments, "--replay", str(folder / "measured.parquet"), "--risk-curve"]) == 0
    printed = capsys.readouterr().out
    assert (
        "A year of such days saves" in printed
        and "at 0.8 a kWh" in printed
        and "0.3 kg a kWh (given)" in printed
    )
    assert all(f"{share}: saves" in printed for share in ("50%", "90%", "100%"))


@pytest.mark.slow
def test_sites_in_given_areas_never_sleep_and_prices_go_by_hour(folder, deployed, capsys):
    sites = Scenario.read(deployed).network.sites
    west, row = float(sites["lon"].median()), sites.iloc[0]
    ring = [
        [row.lon + a * 1e-4, row.lat + b * 1e-4] for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))
    ]
    area = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    (folder / "quiet.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [area]}))
    point = area | {"geometry": {"type": "Point", "coordinates": [west, float(row.lat)]}}
    (folder / "point.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [point]}))
    arguments = ["sleep", str(deployed), "--traffic", str(folder / "traffic.csv"), "--strategy", "night"]
    out = folder / "quiet.gpkg"
    arguments += ["--out", str(out), "--tariff", "22-6=0.35,0.8"]
    assert main([*arguments, "--never-in", str(folder / "quiet.geojson")]) == 0
    assert "by hour" in capsys.readouterr().out
    schedule = Scenario.read(out).tables["sleep_schedule"]
    asleep = set(schedule.loc[~schedule["awake"].astype(bool), "site"])
    assert asleep and row.site not in asleep
    assert main([*arguments, "--never-in", str(folder / "point.geojson")]) == 2
    assert "holds no area" in capsys.readouterr().err


def test_fit_power_writes_a_page(tmp_path, capsys):
    table = tmp_path / "measured.csv"
    table.write_text("load_mbps,power_w\n0,100\n10,120\n20,140\nbroken,1\n")
    assert main(["fit-power", str(table), "--plot", str(tmp_path / "fit.html")]) == 0
    assert "100.0 W idle and 2 W per Mbit/s from 3 measurements" in capsys.readouterr().out
    assert "residual (W)" in (tmp_path / "fit.html").read_text()
    for bad in ("none.csv", str(tmp_path)):
        assert main(["fit-power", bad]) == 2


@pytest.mark.slow
def test_a_network_of_another_tool_is_taken_up_and_given_back(folder, tmp_path, capsys):
    """A site table with names of its own becomes a scenario that sleep plans on; its KMZ holds the same sites."""
    table = make_table(3, 3, 2, 168)
    sites = pd.DataFrame({"Who": ["A", "B", "C"], "P": table.lon[:3], "Q": table.lat[:3]})
    sites.to_csv(tmp_path / "sites.csv", index=False)
    arguments = ["import", str(tmp_path / "sites.csv"), "--traffic", str(folder / "traffic.csv")]
    out = tmp_path / "own.gpkg"
    assert main([*arguments, "--out", str(out)]) == 2
    assert "column mapping" in capsys.readouterr().err
    mapping = [f"--map={pair}" for pair in ("lon=P", "lat=Q", "site=Who")]
    assert main([*arguments, *mapping, "--out", str(out), "--total-gb-day", "30"]) == 0
    assert "3 sites" in capsys.readouterr().out
    scenario = Scenario.read(out)
    assert scenario.network.sites["site"].tolist() == ["A", "B", "C"]
    assert scenario.provenance["import"]["file"] == "sites.csv"
    planned = tmp_path / "sleep.gpkg"
    arguments = ["sleep", str(out), "--traffic", str(folder / "traffic.csv"), "--strategy", "greedy"]
    assert main([*arguments, "--out", str(planned)]) == 0
    assert main(["export", str(planned), "--format", "kmz", "--out", str(tmp_path / "own.kmz")]) == 0
    back = import_network(tmp_path / "own.kmz").network.sites
    assert back["site"].tolist() == ["A", "B", "C"]
    np.testing.assert_allclose(back["lon"], sites["P"], atol=1e-9)
