"""What a plan is worth: a plan made on the truth loses nothing, and what is served and placed adds up."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks import held_out, plans
from benchmarks.cli import main
from benchmarks.held_out import GENERATED, UNINFORMED, HeldOut, intensities, middle
from benchmarks.tables import markdown
from opendiff.open_data.sources import POI_COLUMNS, POPULATION_COLUMNS, PackSource
from opendiff.training_data import TrainingData
from planning.demand import Demand, Scale
from planning.geometry import tile_area_km2
from planning.sleep import SleepSettings
from planning.traffic import TrafficTable

SETTINGS = SleepSettings(allow_unserved=True, threads=1, time_limit=5)
X, Y = (v.ravel() for v in np.meshgrid(26926 + np.arange(4), 13655 + np.arange(4), indexing="ij"))


def made_weeks(seed: int = 0) -> HeldOut:
    """Sixteen tiles of unequal level; generated levels are wrong by a factor each, random ones blind."""
    rng = np.random.default_rng(seed)
    hour = np.arange(168) % 24
    level = rng.lognormal(0, 0.8, len(X))
    day = 1.1 - np.cos(hour / 24 * 2 * np.pi)
    real = level[:, None] * day * rng.gamma(30, 1 / 30, (len(X), 168))
    noise = rng.lognormal(0, 0.4, (len(X), 5, 1)) * rng.gamma(30, 1 / 30, (len(X), 5, 168))
    made = {
        GENERATED: level[:, None, None] * day * noise,
        UNINFORMED: real[rng.integers(0, len(X), (len(X), 5))],
    }
    return HeldOut(X, Y, real, made, {"poi": level * rng.uniform(0.5, 2, len(X))}, 2, ("A note.",))


@pytest.fixture(scope="module")
def weeks() -> HeldOut:
    return made_weeks()


@pytest.fixture(scope="module")
def truth_as_made(weeks) -> plans.Demands:
    return plans.Demands.of(HeldOut(X, Y, weeks.real, {GENERATED: weeks.real[:, None]}, {}, 2))


@pytest.mark.slow
def test_a_sleep_plan_made_on_the_truth_has_no_regret(truth_as_made):
    network = plans.default_network(truth_as_made.made[GENERATED], 6)
    frame = plans.sleep_worth(truth_as_made, network, SETTINGS, {0.9: ("threshold", "greedy", "milp")})
    planned = frame[frame["quantile"].notna()]
    assert len(planned) == 6 and (planned["regret"] == 0).all()
    for _, pair in planned.groupby("strategy"):
        assert pair["kwh_per_day"].nunique() == pair["unserved_share"].nunique() == 1
    always, night = frame.iloc[0], frame.iloc[1]
    assert always["saving"] == 0 and night["saving"] > 0
    assert (planned["kwh_per_day"] < always["kwh_per_day"]).all()


def test_regret_is_the_energy_beyond_that_of_the_plan_on_the_real_week(weeks):
    demands = plans.Demands.of(weeks)
    network = plans.default_network(demands.made[GENERATED], 6)
    frame = plans.sleep_worth(demands, network, SETTINGS, {0.9: ("greedy",)}).set_index("source")
    for source in (GENERATED, UNINFORMED):
        expected = frame.loc[source, "kwh_per_day"] / frame.loc["real", "kwh_per_day"] - 1
        assert frame.loc[source, "regret"] == pytest.approx(expected)
    figures = plans.sleep_figures(frame.reset_index())
    assert figures["sleep_q90_greedy_generated_regret"] == frame.loc[GENERATED, "regret"]
    assert (
        "sleep_q90_greedy_random_tiles_unserved_share" in figures and "sleep_always_on_kwh_per_day" in figures
    )


def test_one_scale_and_all_of_the_stated_traffic(weeks):
    """5,000 subscribers a km2 x 20 GB a month of the real week; generated traffic keeps its ratio to the real."""
    demands = plans.Demands.of(weeks)
    stated = 5000 * tile_area_km2(X, Y).sum() * 20 * 8000 / (30 * 86400)
    assert demands.real.mean_mbps().sum() == pytest.approx(stated, rel=1e-5)
    for name, made in demands.made.items():
        assert made.scale is demands.real.scale
        ratio = made.mean_mbps().sum() / demands.real.mean_mbps().sum()
        assert ratio == pytest.approx(weeks.made[name].mean() / weeks.real.mean(), rel=1e-5)


def test_served_share_in_closed_form():
    """Two tiles 20 km apart ask for 3 : 1; each site has 1.2 x 4 / 2 = 2.4 of capacity, so 2.4 + 1 of 4 is served."""
    traffic = np.outer([3.0, 1.0], np.ones(24))
    traffic[:, 5] *= 2  # the busiest hour
    table = TrafficTable.from_arrays([26926, 26946], [13655, 13655], traffic)
    demand = Demand.build(table, Scale.subscribers(table))
    assert plans.served_share(demand, np.array([1, 1])) == pytest.approx(3.4 / 4)
    assert plans.served_share(demand, np.array([3, 1])) == pytest.approx(1)
    assert plans.served_share(demand, np.array([2, 0])) == pytest.approx(
        1
    )  # a lone tile's sites take all there is


@pytest.mark.slow
def test_deployment_by_the_real_traffic_is_the_best_and_exact_in_the_limit(weeks):
    demands = plans.Demands.of(weeks)
    frame = plans.deployment_worth(demands, weeks.intensities, (16, 1600))
    assert set(frame["placed_by"]) == {"generated traffic", "poi", "uniform", "real traffic"}
    assert frame[["jsd", "cosine", "served_share"]].apply(lambda c: c.between(0, 1 + 1e-12)).all(axis=None)
    many = frame[frame["sites"] == 1600].set_index("placed_by")
    assert many["jsd"].idxmin() == "real traffic" and many.loc["real traffic", "jsd"] < 0.03
    assert many.loc["real traffic", "cosine"] > 0.999
    assert len(plans.deployment_figures(frame)) == 2 * 4 * 3


def test_unknown_counts_get_the_mean_of_the_known():
    poi = np.zeros((3, 14), np.float32)
    poi[0], poi[1] = 1, 3
    data = SimpleNamespace(
        tiles=range(3), poi=poi, has_poi=np.array([True, True, False]),
        population=np.zeros((3, 12), np.float32), has_population=np.zeros(3, bool),
    )  # fmt: skip
    weights, notes = intensities(data, data)
    np.testing.assert_allclose(weights["poi"], [14, 42, 28])
    np.testing.assert_allclose(weights["business POI"], [6, 18, 12])
    assert "population" not in weights and "2 and 0 of 3 tiles" in notes[0]


def test_the_quick_part_lies_in_the_middle_and_has_two_folds():
    x, y = (v.ravel() for v in np.meshgrid(np.arange(11), np.arange(11), indexing="ij"))
    tiles = pd.DataFrame({"x": x, "y": y})
    data = TrainingData(
        tiles, None, None, None, None, np.ones(121, bool), None, np.arange(121) // 3 % 5, None
    )
    part = middle(data)
    assert part.has_traffic.sum() == held_out.QUICK_TILES and set(part.folds) == {0, 1}
    apart = np.hypot(x - 5, y - 5)
    assert apart[part.has_traffic].max() <= apart[~part.has_traffic].min() + 1e-9


@pytest.fixture
def pack(tmp_path):
    """A made pack outside China: 20 tiles, the last one without traffic, imagery on two."""
    rng = np.random.default_rng(0)
    x, y = (v.ravel() for v in np.meshgrid(16500 + np.arange(5), 11000 + np.arange(4), indexing="ij"))
    table = pd.DataFrame({"z": 15, "x": x, "y": y, "fold": (x - 16500) % 3})
    table[list(POI_COLUMNS)] = rng.poisson(20, (20, len(POI_COLUMNS)))
    table[list(POPULATION_COLUMNS)] = rng.random((20, len(POPULATION_COLUMNS)))
    root = tmp_path / "made"
    for tile in (3, 8):
        path = root / "imagery" / "15" / str(x[tile]) / f"{y[tile]}.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(rng.integers(0, 255, (256, 256, 3), np.uint8)).save(path)
    table.sample(frac=1, random_state=0).to_parquet(root / "tiles.parquet")
    rows = pd.DataFrame(
        {"x": np.repeat(x[:19], 168), "y": np.repeat(y[:19], 168), "hour": np.tile(np.arange(168), 19)}
    )
    level = rng.lognormal(0, 0.5, 19)[:, None] * (1.1 - np.cos(np.arange(168) % 24 / 24 * 2 * np.pi))
    rows["traffic"] = rows["users"] = level.ravel().astype(np.float32)
    rows.to_parquet(root / "traffic.parquet")
    return root


@pytest.fixture
def perfect_model(monkeypatch):
    """The cross-validated model replaced by one that generates the truth: all but its training is real."""

    def generate(data, fits, variants, samples, seed, progress=None):
        real = data.series[data.has_traffic, 0]
        return {name: np.repeat(real[:, None], samples, axis=1) for name in variants}

    monkeypatch.setattr("opendiff.evaluation.fit_folds", lambda data, seed, progress: [])
    monkeypatch.setattr("opendiff.evaluation.held_out_default", generate)


@pytest.mark.slow
def test_generated_and_real_weeks_are_of_the_same_tiles(pack, perfect_model):
    weeks = held_out.held_out_weeks(PackSource(pack), 4, 0)
    assert weeks.folds == 3 and weeks.real.shape == (19, 168)
    np.testing.assert_array_equal(weeks.made[GENERATED], np.repeat(weeks.real[:, None], 4, axis=1))
    source = pd.read_parquet(pack / "traffic.parquet").query("hour == 12").set_index(["x", "y"])["traffic"]
    np.testing.assert_allclose(weeks.real[:, 12], source.loc[list(zip(weeks.x, weeks.y, strict=True))])
    counts = pd.read_parquet(pack / "tiles.parquet").set_index(["x", "y"])[list(POI_COLUMNS)].sum(axis=1)
    np.testing.assert_allclose(weeks.intensities["poi"], counts.loc[list(zip(weeks.x, weeks.y, strict=True))])


@pytest.mark.slow
def test_the_command_prints_tables_and_writes_numbers_only(pack, perfect_model, tmp_path, capsys):
    path = tmp_path / "plans.json"
    assert main(["plans", "--data", str(pack), "--quick", "--sites", "4", "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    assert (
        "| always-on |" in printed
        and "| generated traffic" in printed
        and "5,000 subscribers per km2" in printed
    )
    figures = json.loads(path.read_text(encoding="utf-8"))
    assert all(isinstance(value, int | float) for value in figures.values())
    regrets = [figures[name] for name in figures if name.endswith("generated_regret")]
    assert len(regrets) == 14 and max(map(abs, regrets)) < 1e-9
    assert figures["deploy_100_generated_traffic_jsd"] == figures["deploy_100_real_traffic_jsd"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["--data", "no/such/folder"], "pack"),
        (["--json", "no/such/folder/plans.json"], "no/such/folder"),
        (["--samples", "1"], "samples"),
        (["--sites", "1"], "sites"),
    ],
)
def test_bad_input_is_one_line_and_status_2(changed, said, tmp_path, capsys):
    assert main(["plans", "--data", str(tmp_path), *changed]) == 2
    printed = capsys.readouterr().err.strip()
    assert said in printed and "\n" not in printed


@pytest.mark.slow
def test_help_comes_without_torch():
    code = "import sys, benchmarks.cli as c; c.build_parser().format_help(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_tables_are_aligned():
    frame = pd.DataFrame({"name": ["a", "long"], "value": [1.25, np.nan]})
    assert markdown(frame, {"value": ".1f"}).splitlines() == [
        "| name | value |",
        "| ---- | ----: |",
        "| a    |   1.2 |",
        "| long |       |",
    ]
