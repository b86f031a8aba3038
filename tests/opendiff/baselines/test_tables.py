"""The tables on small made stations, end to end, and their figures against values worked out by hand."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from opendiff import metrics
from opendiff.area import tile_frame
from opendiff.baselines import benchmark
from opendiff.baselines.benchmark import (
    Settings,
    degradation,
    folds_of,
    held_out,
    lead,
    oracle,
    row_figures,
    run_table,
)
from opendiff.baselines.cities import ALL, City, read_stations, tokens_without
from opendiff.baselines.graph_embedding import embed_tiles
from opendiff.baselines.harness import (
    Budget,
    EarlyStopping,
    RootScale,
    TileConditions,
    held_back,
    other_conditions,
)
from opendiff.baselines.models import AS_PUBLISHED, DEFAULT, FIDELITY, TABLES, Entry, Reference, plain
from opendiff.baselines.tables import drawing, figure_table, markdown, sentences
from opendiff.cli import main
from opendiff.conditions import MODALITIES, TOKENS_WIDTH
from opendiff.encoder import IMAGE_FEATURES
from opendiff.errors import ModelError, SourceError
from opendiff.open_data.features import TOTALS, TileFeatures
from opendiff.paper.denoiser import DenoiserConfig
from opendiff.storage.work_folder import WorkFolder
from opendiff.training_data import TrainingData

BRIEF = Settings((0, 1), 3, Budget(updates=2, batch=4, checks=1, check_rows=4, check_samples=2))


@pytest.fixture
def stations(tmp_path):
    """A file of 36 made stations of two daily patterns."""
    rng = np.random.default_rng(0)
    hour = np.arange(168) % 24
    late = np.arange(36) % 2
    shape = 0.2 + np.exp(-(((hour - 9 - 10 * late[:, None]) / 3) ** 2))
    told = np.column_stack([late, rng.normal(size=(36, 3))])
    path = tmp_path / "made.npz"
    np.savez(path, bs_record=1e7 * shape * rng.gamma(90, 1 / 90, (36, 168)), bs_kge=told)
    return path


def test_stations_are_split_at_random_into_equal_folds(stations):
    city = read_stations(stations)
    assert city.series.shape == (36, 1, 168) and np.bincount(city.folds).tolist() == [12, 12, 12]
    assert 0 < city.truth.mean() < 1


def test_a_part_of_a_city_has_the_same_rows_everywhere(stations):
    city = read_stations(stations)
    part = city.part(2, 5)
    assert np.bincount(part.folds).tolist() == [5, 5]
    whole = {
        row.tobytes(): told for row, told in zip(city.series, city.conditions[ALL][1].vectors, strict=True)
    }
    for row, told in zip(part.series, part.conditions[ALL][1].vectors, strict=True):
        assert np.array_equal(whole[row.tobytes()], told)


@pytest.mark.parametrize("content", ["", "bs_record"])
def test_a_file_without_stations_is_refused(content, tmp_path):
    path = tmp_path / "bad.npz"
    path.write_bytes(b"") if not content else np.savez(
        path, bs_record=np.ones((3, 24)), bs_kge=np.ones((3, 2))
    )
    with pytest.raises(SourceError, match=r"stations .* give"):
        read_stations(path)


def test_a_fit_never_sees_its_fold_and_finished_folds_are_kept(stations, tmp_path, monkeypatch):
    city, seen = read_stations(stations), []

    class Spy:
        def fit(self, conditions, series, seed, budget):
            self.known = {row.tobytes() for row in series}
            seen.append(len(series))
            return self

        def sample(self, conditions, samples, seed):
            assert not self.known & {row.tobytes() for row in city.series[city.folds == len(seen) - 1]}
            return np.full((len(conditions), samples, 168), len(seen), np.float32)

    entry = Entry(lambda other: Spy(), {"spy": lambda model: model})
    monkeypatch.setitem(TABLES[1], "spy", entry)
    folder = WorkFolder(tmp_path / "work")
    folds = folds_of("spy", entry, city, [city], seed=0)
    one, two = ([held_out(fold, 1, BRIEF, folder) for fold in folds] for _ in range(2))
    assert seen == [24, 24, 24]
    for number, fold in enumerate(folds):
        assert np.array_equal(fold.test, city.folds == number)
        assert (one[number][0]["spy"] == number + 1).all() and len(one[number][0]["spy"]) == fold.test.sum()
        assert np.array_equal(one[number][0]["spy"], two[number][0]["spy"])
        assert one[number][1] == two[number][1]


@pytest.mark.slow
def test_several_processes_give_the_same_table(stations):
    names = ["random tiles", "10 nearest tiles"]
    made = [
        run_table(1, [read_stations(stations)], BRIEF, WorkFolder(None), names=names, workers=workers)
        for workers in (1, 2)
    ]
    for one, two in zip(*([m["cities"]["made"]["models"][n] for n in names] for m in made), strict=True):
        assert one["mean"] == two["mean"]


@pytest.mark.slow
def test_the_command_writes_every_table(stations, tmp_path, monkeypatch, capsys):
    cheap = {name: FIDELITY[name] for name in ("random tiles", "10 nearest tiles", "SpectraGAN")}
    monkeypatch.setitem(TABLES, 1, cheap)
    monkeypatch.setitem(TABLES, 2, cheap)
    for table in (1, 2):
        arguments = [
            "benchmark",
            "--table",
            str(table),
            "--data",
            str(stations),
            "--out",
            str(tmp_path / "out"),
        ]
        assert main([*arguments, "--quick", "--work", str(tmp_path / "work")]) == 0
        result = json.loads((tmp_path / "out" / f"table{table}.json").read_text())
        assert result["table"] == table and result["seeds"] == [0] and result["versions"]["torch"]
        assert set(cheap) <= set(result["cities"]["made"]["models"])
        text = (tmp_path / "out" / f"table{table}.md").read_text()
        assert "SpectraGAN" in text and text in capsys.readouterr().out + "\n"
        assert (tmp_path / "out" / f"table{table}.svg").read_text().startswith("<svg")


@pytest.mark.slow
def test_the_literal_published_row_runs_to_its_end(stations, monkeypatch):
    """On request alone, with the paper's own schedule: 400 steps, an hour a token; here of a network of one layer."""
    monkeypatch.setattr("opendiff.baselines.open_diff.DenoiserConfig", partial(DenoiserConfig, layers=1))
    assert AS_PUBLISHED not in benchmark.chosen(1, None)
    entry = benchmark.chosen(1, [AS_PUBLISHED])[AS_PUBLISHED]
    city = read_stations(stations).part(2, 3)
    told = city.conditions[ALL][0]
    few = Budget(updates=1, batch=2, checks=1, check_rows=1, check_samples=1)
    model = entry.rows[AS_PUBLISHED](entry.make(None).fit(told, city.series, 0, few))
    weeks = model.sample(told.take(np.array([0])), 1, 0)
    assert weeks.shape == (1, 1, 168) and np.isfinite(weeks).all()
    beta = np.linspace(1e-4**0.5, 0.05**0.5, 400) ** 2
    np.testing.assert_allclose(model.network.schedule.alpha_bar.numpy(), np.cumprod(1 - beta), rtol=1e-9)
    assert model.ablation.patch == 1


def test_a_table_says_which_models_it_does_not_hold(stations):
    names = ["random tiles", "ADAPTIVE"]
    result = run_table(1, [read_stations(stations)], BRIEF, WorkFolder(None), names=names)
    assert result["left_out"] == [name for name in FIDELITY if name not in names]
    text = markdown(result)
    assert "not compared: TransGAN; TCN-GAN" in text and "lacks what these need: ADAPTIVE." in text


def test_a_table_of_one_model_compares_it_with_nothing(stations, monkeypatch):
    monkeypatch.setitem(TABLES, 1, {DEFAULT: plain(DEFAULT, lambda other: Reference("random tiles"))})
    result = run_table(1, [read_stations(stations)], BRIEF, WorkFolder(None))
    assert "lead" not in result["cities"]["made"] and "| default |" in markdown(result)


def test_figures_are_those_of_the_metrics(stations, monkeypatch):
    monkeypatch.setitem(TABLES, 1, {"random tiles": FIDELITY["random tiles"]})
    city = read_stations(stations)
    result = run_table(1, [city], BRIEF, WorkFolder(None))["cities"]["made"]["models"]["random tiles"]
    made = []
    for seed in BRIEF.seeds:
        made.append(np.zeros((len(city.folds), BRIEF.samples, 168), np.float32))
        for fold in folds_of("random tiles", FIDELITY["random tiles"], city, [city], seed):
            made[-1][fold.test] = held_out(fold, 1, BRIEF, WorkFolder(None))[0]["random tiles"]
    scored = [metrics.score(city.truth, one) for one in made]
    for figure in ("jsd", "mae", "rmse", "crps", "ncrps"):
        first, second = (one[figure] for one in scored)
        assert result["mean"][figure] == pytest.approx((first + second) / 2)
        assert result["deviation"][figure] == pytest.approx(abs(first - second) / np.sqrt(2))
    own = row_figures(city.truth, made[0]).mean(axis=0)
    assert own == pytest.approx([scored[0][name] for name in ("jsd", "mae", "rmse", "crps")])


def test_the_oracle_has_the_true_level(stations):
    city = read_stations(stations)
    made = oracle(city, 4, 0)
    assert made.mean(axis=2) == pytest.approx(
        np.repeat(city.truth.mean(axis=1)[:, None], 4, axis=1), rel=1e-4
    )


def test_degradation_is_equation_12():
    """The paper's own numbers: Table 4, Beijing, JSD of OpenDiff-NA is worse by 25.65 % of the lead over CSDI."""
    values = {"OpenDiff, reduced": 0.1962, "CSDI": 0.2231, "OpenDiff-NA": 0.2031}
    models = {name: {"mean": dict.fromkeys(benchmark.FOUR, value)} for name, value in values.items()}
    assert degradation(models, "OpenDiff-NA")["jsd"] == pytest.approx(25.65, abs=0.01)
    models["CSDI"]["mean"]["mae"] = 0.1
    assert degradation(models, "OpenDiff-NA")["mae"] is None


def test_the_lead_is_a_paired_difference_over_folds():
    folds = np.array([0, 0, 1, 1])
    city = City("made", "", np.zeros((4, 1, 168)), folds, {})
    other, own = np.ones((4, 4)), np.ones((4, 4)) * np.array([0.8, 0.8, 0.6, 0.6])[:, None]
    found = lead({DEFAULT: own, "another": other, "worse": other + 1}, city)["crps"]
    assert found["best_other"] == "another" and found["behind"] == pytest.approx(-0.3)
    assert found["standard_error"] == pytest.approx(0.1)
    one = {"lead": {"crps": found}}
    assert "first, 0.3000 ahead of another" in sentences(one)[0]
    found["behind"] = 0.05
    assert "within one standard error" in sentences(one)[0]


def test_a_model_that_repeats_the_truth_is_at_distance_0_within_a_pattern():
    """Within a pattern of equal shapes the distance is 0, to the other pattern it is that of the two shapes."""
    hour = np.arange(168)
    shapes = np.stack([1 + np.cos(2 * np.pi * hour / 24), 1 - np.cos(2 * np.pi * hour / 24)])
    truth, patterns = np.repeat(shapes, 3, axis=0), np.repeat([0, 1], 3)
    for same, other in metrics.pattern_distances(truth, truth, patterns).values():
        assert same == pytest.approx(0, abs=1e-9)
        assert other == pytest.approx(metrics.jsd(shapes[0], shapes[1]))


def test_groups_are_held_back_whole():
    groups = np.repeat(np.arange(10), 7)
    mask = held_back(groups, 0.15, 3)
    assert 0 < mask.sum() < 70
    assert all(mask[groups == group].all() or not mask[groups == group].any() for group in range(10))
    assert not held_back(np.zeros(5), 0.15, 0).any()


def test_the_scale_is_undone(stations):
    traffic = read_stations(stations).truth
    scale = RootScale.of(traffic)
    assert scale.traffic(scale.scaled(traffic)) == pytest.approx(traffic, rel=1e-4)
    assert scale.scaled(traffic).mean() == pytest.approx(0, abs=1e-4)


def test_early_stopping_keeps_the_best_weights():
    import torch

    network = torch.nn.Linear(1, 1, bias=False)
    stopping, said = EarlyStopping(network, 2), []
    for score in (3.0, 1.0, 2.0, 5.0):
        torch.nn.init.constant_(network.weight, score)
        said.append(stopping.over(score))
    stopping.restore()
    assert said == [False, False, False, True] and network.weight.item() == 1.0


def test_unconditional_weeks_are_asked_with_conditions_of_all_rows():
    told = TileConditions(np.arange(4)[:, None], np.zeros((4, 2)), np.arange(4))
    drawn = other_conditions(told, 50, 0)
    assert len(drawn) == 200 and set(drawn.groups) == {0, 1, 2, 3}


def test_tiles_that_are_alike_are_near_in_the_graph():
    x, y = (part.reshape(-1) for part in np.meshgrid(np.arange(8), np.arange(8), indexing="ij"))
    town = x >= 4
    poi = np.column_stack([town * 5.0, ~town * 1.0])
    embedding = embed_tiles(x, y, poi, np.where(town, 10.0, 1.0))
    assert embedding.shape == (64, 32) and np.isfinite(embedding).all()
    inside = np.linalg.norm(embedding[town] - embedding[town].mean(0), axis=1).mean()
    apart = np.linalg.norm(embedding[town].mean(0) - embedding[~town].mean(0))
    assert inside < 0.5 * apart


def test_what_no_one_told_is_in_no_table():
    city = City("made", "", np.zeros((2, 1, 168)), np.arange(2), {ALL: {}})
    for name, entry in TABLES[3].items():
        assert benchmark.possible(entry, name, city, [city]) == (entry.element == ALL)
    assert not benchmark.possible(FIDELITY["ADAPTIVE"], "ADAPTIVE", city, [city])


def test_a_model_that_a_table_does_not_know_is_refused(stations):
    city = read_stations(stations)
    with pytest.raises(ModelError, match="choose from: TransGAN"):
        run_table(1, [city], BRIEF, WorkFolder(None), names=["GAN"])
    with pytest.raises(ModelError, match="leave --model out"):
        run_table(4, [city], BRIEF, WorkFolder(None), names=["OpenDiff-NA"])
    with pytest.raises(ModelError, match="same name"):
        run_table(1, [city, city], BRIEF, WorkFolder(None))


def test_a_table_without_seeds_is_refused_before_anything_is_read(tmp_path, capsys):
    arguments = ["benchmark", "--table", "1", "--data", str(tmp_path), "--out", str(tmp_path), "--seeds", "0"]
    assert main(arguments) == 2
    assert "at least one seed" in capsys.readouterr().err


def test_table_without_figures_reads_well():
    model = {
        "mean": dict.fromkeys((*benchmark.FOUR, "ncrps"), 0.25),
        "deviation": dict.fromkeys((*benchmark.FOUR, "ncrps")),
    }
    city = {"rows": 2, "split": "2 random folds", "models": {"one": model | {"cpu_seconds": 1.0}}}
    assert figure_table(city).splitlines()[-1] == "| one | 0.2500 | 0.2500 | 0.2500 | 0.2500 | 0.2500 | 1 |"
    result = {"table": 1, "seeds": [0], "samples": 2, "budget": {"updates": 1, "batch": 1}, "versions": {}}
    result["cities"] = {"a<b": city}
    assert "## a<b" in markdown(result) and "a&lt;b" in drawing(result)


def made_training_data(count: int = 36) -> TrainingData:
    """Tiles of a square about which all is known, but traffic."""
    rng = np.random.default_rng(0)
    side = int(np.sqrt(count))
    known = np.ones(count, bool)
    features = TileFeatures(
        tile_frame(np.arange(count) % side, np.arange(count) // side),
        rng.random((count, 15)), rng.random((count, 30)), known, rng.random((count, 15)), rng.random((count, 30)),
        known, rng.random((count, 14)), rng.random((count, 2)), known, rng.random((count, 2)), rng.random(count),
        rng.random((count, len(TOTALS), 3)), rng.random((count, 28)), rng.random((count, 28)), np.ones(count),
    )  # fmt: skip
    views = rng.random((8, count, IMAGE_FEATURES)).astype(np.float32)
    nothing = np.full((count, 2, 168), np.nan)
    return TrainingData(
        features.tiles, features, views, known, nothing, ~known, np.zeros((count, 3)), np.arange(count) % 2,
        np.arange(count),
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("element", "gone"), [("No-Geo", ()), ("No-Human", ("population",)), ("No-POI", ("poi", "osm_poi"))]
)
def test_an_element_that_is_taken_away_changes_nothing(element, gone):
    """Tokens without an element are the same whatever it was, and say which modalities are gone."""
    data = made_training_data()
    told = tokens_without(data, element, 0)
    assert np.isfinite(told).all() and told.shape == (36, TOKENS_WIDTH + len(MODALITIES))
    assert told[:, TOKENS_WIDTH:].all(axis=0).tolist() == [name not in gone for name in MODALITIES]
    totals, mixes = data.features.totals.copy(), [data.features.poi_mix.copy(), data.features.osm_mix.copy()]
    if element == "No-Geo":
        totals[:, :, 1:] += 1
        for mix in mixes:
            mix[:, 14:] += 1
    totals[:, [TOTALS.index(name) for name in gone]] += 1
    changed = {"totals": totals, "poi_mix": mixes[0], "osm_mix": mixes[1]}
    for name in ("poi", "osm_poi", "population"):
        changed |= {one: getattr(data.features, one) ** 2 for one in (name, f"{name}_around") if name in gone}
    other = replace(data, features=replace(data.features, **changed))
    assert np.array_equal(told, tokens_without(other, element, 0))
    assert not np.array_equal(told, tokens_without(data, ALL, 0))
