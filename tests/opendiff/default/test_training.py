"""Training on made tiles whose traffic is known to follow a condition, and on a small made pack end to end."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from opendiff import metrics
from opendiff.area import tile_frame
from opendiff.cli import main
from opendiff.conditions import MODALITIES, TOKENS_WIDTH, Conditions
from opendiff.default.model import ModelConfig
from opendiff.default.training import DenoiserTraining, train_cities, train_model
from opendiff.device import few_threads
from opendiff.encoder.contrastive import EncoderTraining, positive_pairs, train_encoder
from opendiff.encoder.weights import load_encoder, pretrained_trunk
from opendiff.errors import ModelError, SourceError
from opendiff.evaluation import evaluation
from opendiff.evaluation.references import references
from opendiff.generator import TrafficGenerator
from opendiff.observed import City
from opendiff.open_data.features import TileFeatures, tile_features, with_halo
from opendiff.open_data.sources import POI_COLUMNS, POPULATION_COLUMNS, PackSource
from opendiff.storage.resume import TrainingState
from opendiff.training_data import read_training_data, spatial_folds, turn

SMALL = ModelConfig(width=16, heads=2, layers=1)
BRIEF = {"denoiser_training": DenoiserTraining(steps=20, batch=64)}


def made_tiles(count: int, seed: int) -> tuple[Conditions, np.ndarray, np.ndarray]:
    """Tiles whose level follows the first image token, places and residents, and whose evening peak follows
    residents."""
    rng = np.random.default_rng(seed)
    tokens = rng.normal(size=(count, TOKENS_WIDTH)).astype(np.float32)
    tokens[:, [17, 36]] = tokens[:, [16, 35]]  # the window tells of the tile
    hour = np.arange(168) % 24
    level = 0.05 * np.exp(
        0.5 * (tokens[:, 16] + tokens[:, 35]) + 0.3 * tokens[:, 0] + 0.15 * rng.normal(size=count)
    )
    evening = np.exp(-(((hour - 20) / 3) ** 2)) * (1 + np.tanh(2 * tokens[:, 35]))[:, None]
    shape = (0.3 + np.exp(-(((hour - 13) / 4) ** 2)) + evening) * rng.gamma(30, 1 / 30, (count, 168))
    traffic = level[:, None] * shape / shape.mean(axis=1, keepdims=True)
    series = np.stack([traffic, traffic * rng.gamma(100, 1 / 100, (count, 168))], axis=1).astype(np.float32)
    tiles = tile_frame(26900 + np.arange(count) // 12, 13600 + np.arange(count) % 12)
    log_intensities = np.column_stack([tokens[:, 16], tokens[:, 17], np.full(count, np.nan)])
    return Conditions(tiles, tokens, np.ones((count, len(MODALITIES)), bool)), series, log_intensities


@pytest.fixture(scope="module")
def trained():
    conditions, series, log_intensities = made_tiles(144, 0)
    groups = np.arange(144) // 12 % 4
    model = train_model(conditions, series, log_intensities, groups, config=SMALL, **BRIEF)
    return TrafficGenerator(model)


@pytest.mark.slow
def test_a_known_condition_is_learned(trained):
    conditions, series, _ = made_tiles(60, 1)
    own = trained.generate(conditions, 40, 0).traffic
    nothing = trained.generate(conditions.without(*MODALITIES), 40, 0).traffic
    scores = [metrics.score(series[:, 0], ensemble) for ensemble in (own, nothing)]
    assert scores[0]["ncrps"] < 0.6 * scores[1]["ncrps"]
    assert scores[0]["level_r2"] > 0.8 and scores[0]["shape_crps"] < scores[1]["shape_crps"]


@pytest.mark.slow
def test_ensembles_are_about_calibrated_with_and_without_condition(trained):
    conditions, series, _ = made_tiles(120, 2)
    for asked in (conditions, conditions.without(*MODALITIES)):
        figures = metrics.score(series[:, 0], trained.generate(asked, 40, 0).traffic)
        assert 0.35 < figures["coverage_50"] < 0.68 and 0.8 < figures["coverage_90"] < 0.98


@pytest.mark.slow
def test_training_is_reproducible():
    conditions, series, log_intensities = made_tiles(48, 0)
    groups = np.arange(48) // 12
    brief = {"denoiser_training": DenoiserTraining(steps=3, batch=16)}
    one, two = (
        train_model(conditions, series, log_intensities, groups, 7, SMALL, **brief).state_dict()
        for _ in range(2)
    )
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
def test_several_cities_train_one_model():
    """A city with people present only, and one that lacks a modality, beside one with traffic."""
    conditions, series, log_intensities = made_tiles(48, 0)
    blocks = np.arange(48) // 12
    other, people, _ = made_tiles(60, 1)
    tiles = other.tiles.assign(x=other.tiles["x"] + 500)
    unseen = np.full_like(people, np.nan)
    further = City(
        "other", replace(other.without("poi"), tiles=tiles), unseen, 1e4 * people[:, 0], np.full((60, 3), np.nan),
        np.arange(60) // 12,
    )  # fmt: skip
    brief = {"denoiser_training": DenoiserTraining(steps=1, batch=16)}
    model = train_model(
        conditions, series, log_intensities, blocks, 0, SMALL, **brief, others=[further], name="one"
    )
    assert model.config.cities == ("one", "other")
    asked = replace(other, tiles=tiles.assign(x=tiles["x"] + 500))
    nowhere = TrafficGenerator(model).generate(asked, 20, 0).traffic
    # in mirrored pairs, whose mean log level is what is expected, however wide the band of a place of its own
    true, made = np.log(people[:, 0].mean(axis=1)), np.log(nowhere.mean(axis=2)).mean(axis=1)
    assert np.corrcoef(true, made)[0, 1] > 0.7  # two small cities shrink the slope, not the order


class Interrupted(Exception):
    """Raised by a report in the middle of a training."""


def interrupt_at(step: int, stage: str):
    def progress(done: int, total: int, what: str) -> None:
        if what == stage and done == step:
            raise Interrupted

    return progress


@pytest.mark.slow
def test_interrupted_sampler_training_equals_training_that_ran_through(tmp_path):
    conditions, series, log_intensities = made_tiles(48, 0)
    given = (conditions, series, log_intensities, np.arange(48) // 12, 7, SMALL)
    brief = {"denoiser_training": DenoiserTraining(steps=6, batch=16)}
    through = train_model(*given, **brief)
    state = TrainingState(tmp_path / "default.state", "made", seconds=0)
    with pytest.raises(Interrupted):
        train_model(*given, **brief, state=state, progress=interrupt_at(4, "denoiser"))
    assert state.path.is_file()
    resumed = train_model(*given, **brief, state=state)
    for name, value in through.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@pytest.mark.slow
def test_interrupted_encoder_training_equals_training_that_ran_through(small_pack, tmp_path):
    data = read_training_data(PackSource(small_pack), pretrained_trunk())
    every = np.ones(len(data.tiles), bool)
    brief = {"training": EncoderTraining(epochs=6)}
    given = (pretrained_trunk(), data.features.take(every), data.views, data.has_imagery, 3)
    through = train_encoder(*given, **brief)
    state = TrainingState(tmp_path / "encoder.state", "made", seconds=0)
    with pytest.raises(Interrupted):
        train_encoder(*given, **brief, state=state, progress=interrupt_at(4, "encoder"))
    resumed = train_encoder(*given, **brief, state=state)
    for name, value in through.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_positive_pairs_agree_with_a_search():
    rng = np.random.default_rng(0)
    count = 12
    counts, strips = rng.integers(0, 30, (count, 14)) + 1.0, rng.random((count, 12)) + 0.01
    has_poi = np.arange(count) % 4 != 0
    nothing, known = np.zeros((count, 15)), np.ones(count, bool)
    features = TileFeatures(
        tile_frame(np.arange(count) % 4, np.arange(count) // 4),
        np.column_stack([np.sqrt(counts), np.zeros(count)]),
        np.zeros((count, 30)),
        has_poi,
        nothing,
        np.zeros((count, 30)),
        ~known,
        np.column_stack([np.log(strips), np.zeros((count, 2))]),
        np.zeros((count, 2)),
        known,
        np.zeros((count, 2)),
        np.zeros(count),
    )
    positive = positive_pairs(features, np.arange(count))
    distant = positive_pairs(features, np.arange(count), proximity=False)
    cos = lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b)  # noqa: E731
    for i in range(count):
        others = [j for j in range(count) if j != i]
        expected = {max(others, key=lambda j: cos(strips[i], strips[j]))}
        if has_poi[i]:
            expected.add(max((j for j in others if has_poi[j]), key=lambda j: cos(counts[i], counts[j])))
        assert expected <= set(np.flatnonzero(positive[i])) and 1 <= positive[i].sum() <= 3
        assert expected == set(np.flatnonzero(distant[i]))


def test_turned_views_are_the_eight_symmetries():
    image = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    seen = {turn(image, view).tobytes() for view in range(8)}
    assert len(seen) == 8 and turn(image, 0).tobytes() == image.tobytes()


@pytest.fixture(scope="module")
def small_pack(tmp_path_factory):
    """A made pack of 6 x 6 tiles outside China, with imagery on a third and traffic that follows POI."""
    root = tmp_path_factory.mktemp("packs") / "made"
    rng = np.random.default_rng(0)
    x, y = (
        axis.reshape(-1) for axis in np.meshgrid(np.arange(6) + 16500, np.arange(6) + 11000, indexing="ij")
    )
    busy = rng.lognormal(0, 1, 36)
    table = pd.DataFrame({"z": 15, "x": x, "y": y, "fold": (x - 16500) // 3 + 2 * ((y - 11000) // 3)})
    for column in POI_COLUMNS:
        table[column] = rng.poisson(10 * busy)
    for column in POPULATION_COLUMNS:
        table[column] = 0.02 * busy * rng.lognormal(0, 0.2, 36)
    (root / "imagery" / "15").mkdir(parents=True)
    table.to_parquet(root / "tiles.parquet")
    for tile in range(0, 36, 3):
        folder = root / "imagery" / "15" / str(x[tile])
        folder.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (256, 256, 3), dtype=np.uint8)).save(folder / f"{y[tile]}.png")
    hours = np.arange(168)
    level = (
        0.01 * busy[:, None] * (1.2 - np.cos(hours % 24 / 24 * 2 * np.pi)) * rng.gamma(20, 0.05, (36, 168))
    )
    rows = pd.DataFrame({"x": np.repeat(x, 168), "y": np.repeat(y, 168), "hour": np.tile(hours, 36)})
    rows["traffic"] = level.reshape(-1).astype(np.float32)
    rows["users"] = (level * 0.9).reshape(-1).astype(np.float32)
    rows.to_parquet(root / "traffic.parquet")
    return root


@pytest.fixture
def brief_training(monkeypatch):
    def brief_encoder(*arguments, **settings):
        return train_encoder(*arguments, **settings, training=EncoderTraining(epochs=3))

    def brief(*arguments, **settings):
        return train_model(*arguments, **{**settings, "config": SMALL, **BRIEF})

    def brief_cities(*arguments, **settings):
        return train_cities(*arguments, **{**settings, "config": SMALL, **BRIEF})

    monkeypatch.setattr("opendiff.default.pack_training.train_encoder", brief_encoder)
    monkeypatch.setattr("opendiff.training_data.train_encoder", brief_encoder)
    monkeypatch.setattr("opendiff.default.pack_training.train_cities", brief_cities)
    monkeypatch.setattr("opendiff.evaluation.variants.train_model", brief)
    monkeypatch.setattr("opendiff.evaluation.realism.TREES", 5)


@pytest.mark.slow
def test_the_commands_train_generate_and_evaluate_on_a_pack(small_pack, brief_training, tmp_path, capsys):
    out, pack = tmp_path / "weights", tmp_path / "made"
    shutil.copytree(small_pack, pack)
    tiles = pd.read_parquet(pack / "tiles.parquet")
    tiles.assign(fold=tiles["fold"] % 2).to_parquet(pack / "tiles.parquet")
    for part in ("encoder", "sampler"):
        assert main(["train", part, "--data", str(pack), "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {
        "encoder.safetensors",
        "default.safetensors",
        "SHA256SUMS",
    }
    load_encoder(out / "encoder.safetensors")
    traffic = tmp_path / "traffic.parquet"
    table = "x,y\n16501,11001\n16502,11001\n"
    (tmp_path / "area.csv").write_text(table)
    assert main(["generate", str(tmp_path / "area.csv"), "--source", str(pack), "--out", str(traffic)]) == 0
    assert traffic.is_file()
    names = ["default", "default, imagery only", "default, another tile's condition", "10 nearest tiles"]
    report = tmp_path / "report.json"
    chosen = [word for name in names for word in ("--model", name)]
    arguments = ["evaluate", "--data", str(pack), "--samples", "10", "--out", str(report), *chosen]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert all(f"| {name} |" in printed for name in names) and "36 tiles, 2 spatial folds" in printed
    assert report.stat().st_size > 1000


def test_evaluation_names_unknown_models_and_missing_traffic(small_pack, tmp_path):
    with pytest.raises(ModelError, match="nonsense"):
        evaluation.evaluate(PackSource(small_pack), ["nonsense"], 5, 0)
    bare = tmp_path / "bare"
    (bare / "imagery").mkdir(parents=True)
    (bare / "tiles.parquet").write_bytes((small_pack / "tiles.parquet").read_bytes())
    with pytest.raises(SourceError, match="training needs both"):
        read_training_data(PackSource(bare), load_encoder().trunk)


def test_every_reference_and_variant_has_a_name():
    names = evaluation.model_names()
    assert len(set(names)) == len(names) and set(references()) < set(names) and "default" in names


def test_folds_are_the_packs_or_blocks(small_pack, tmp_path):
    pack = PackSource(small_pack)
    assert set(spatial_folds(pack, pack.all_tiles())) == {0, 1, 2, 3}
    table = pd.read_parquet(small_pack / "tiles.parquet").drop(columns="fold")
    table.to_parquet(tmp_path / "tiles.parquet")
    unnamed = PackSource(tmp_path)
    tiles = unnamed.all_tiles()
    folds = spatial_folds(unnamed, tiles)
    block = ((tiles["x"] - 16500) // 3).astype(str) + "," + ((tiles["y"] - 11000) // 3).astype(str)
    assert pd.Series(folds).groupby(block.to_numpy()).nunique().max() == 1


def test_features_of_a_tile_do_not_depend_on_the_area(small_pack):
    pack = PackSource(small_pack)
    every = pack.all_tiles()
    few = every.iloc[[7, 8]].reset_index(drop=True)
    datum = pack.poi_datum
    whole = tile_features(every, pack.open_data(with_halo(every), imagery=False), datum)
    part = tile_features(few, pack.open_data(with_halo(few), imagery=False), datum)
    np.testing.assert_allclose(part.poi, whole.poi[[7, 8]])
    np.testing.assert_allclose(part.poi_around, whole.poi_around[[7, 8]])
    np.testing.assert_allclose(part.population_around, whole.population_around[[7, 8]])
    np.testing.assert_allclose(part.totals, whole.totals[[7, 8]])
    np.testing.assert_allclose(part.poi_mix, whole.poi_mix[[7, 8]])


def test_a_fit_has_few_threads():
    """Torch and every BLAS that is loaded; afterwards they have as many as before."""
    from threadpoolctl import threadpool_info

    def threads() -> list[int]:
        return [torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())]

    before = threads()
    with few_threads(1):
        assert set(threads()) == {1}
    assert threads() == before
