"""The shipped model on the bundled region: the same tile gives the same weeks however it is asked for."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from opendiff.area import Area, tiles_covering
from opendiff.conditions import MODALITIES, TOKEN_WIDTHS, Conditions
from opendiff.default.model import condition_tensors
from opendiff.default.representation import NOISE_WIDTH
from opendiff.default.sampler import sample_flow
from opendiff.demo import TOTAL_CLASS, DemoSource
from opendiff.errors import Cancelled, ModelError, SourceError
from opendiff.generator import TrafficGenerator
from opendiff.open_data.features import tile_features, with_halo
from opendiff.open_data.land_cover import land_cover
from opendiff.open_data.sources import PackSource
from opendiff.storage.shipped import CHECKPOINTS


@pytest.fixture(scope="module")
def generator() -> TrafficGenerator:
    return TrafficGenerator.load("default", "cpu")


@pytest.fixture(scope="module")
def conditions(generator) -> Conditions:
    tiles = tiles_covering(Area.from_box(115.87, 28.65, 115.95, 28.71))
    return generator.conditions(DemoSource(), tiles)


def test_same_seed_same_table_and_another_seed_another(generator, conditions):
    once, again, other = (generator.generate(conditions, 3, seed) for seed in (0, 0, 1))
    assert np.array_equal(once.traffic, again.traffic) and np.array_equal(once.users, again.users)
    assert not np.array_equal(once.traffic, other.traffic)


def test_any_partition_and_order_gives_the_same_weeks(generator, conditions):
    whole = generator.generate(conditions, 15, 4)
    assert len(conditions.tiles) * 15 > 512  # more than one call of the network
    rng = np.random.default_rng(0)
    order = rng.permutation(len(conditions.tiles))
    for rows in np.array_split(order, 5):
        part = generator.generate(conditions.take(rows), 15, 4)
        np.testing.assert_array_equal(part.traffic, whole.traffic[rows])
        np.testing.assert_array_equal(part.users, whole.users[rows])


def test_more_samples_begin_with_the_fewer(generator, conditions):
    few, many = (generator.generate(conditions.take(np.arange(9)), count, 2) for count in (3, 8))
    np.testing.assert_array_equal(many.traffic[:, :3], few.traffic)


def test_guidance_is_the_formula_of_both_passes(generator, conditions):
    """One batch of both passes gives what eq. 8 gives of two."""
    model, part = generator.model, conditions.take(np.arange(3))
    tokens, present, *place = condition_tensors(part)
    with torch.inference_mode():
        told, empty = (
            model.precompute_kv(given, known, model.prior(given, known, *place))
            for given, known in ((tokens, present), (tokens * 0, present & False))
        )
        noise = torch.randn(3, NOISE_WIDTH, generator=torch.Generator().manual_seed(0))
        style = model.prior(tokens, present, *place).style
        guided = model.sample(told, empty, noise, 0.7, 2, style)
        drawn = noise[:, 338:]

        def both(x, t):
            return 1.7 * model.denoiser(x, t, told, drawn) - 0.7 * model.denoiser(x, t, empty, drawn)

        vectors = sample_flow(both, noise[:, :338], 2)
        # the level is exactly Gaussian about the guided mean
        mean = 1.7 * told.mean[:, :2] - 0.7 * empty.mean[:, :2]
        vectors[:, :2] = mean + told.deviation[:, :2] * noise[:, :2]
        root = 1.7 * told.expected - 0.7 * empty.expected
        expected = model.representation.decode(vectors, root, style)
    torch.testing.assert_close(guided, expected, rtol=1e-4, atol=1e-6)


def test_guidance_and_threads_keep_tables_alike(generator, conditions):
    part = conditions.take(np.arange(10))
    plain, guided = generator.generate(part, 4, 0), generator.generate(part, 4, 0, guidance_scale=1.0)
    assert not np.array_equal(plain.traffic, guided.traffic) and guided.metadata["guidance_scale"] == 1.0
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        np.testing.assert_array_equal(generator.generate(part, 4, 0).traffic, plain.traffic)
    finally:
        torch.set_num_threads(threads)


def test_generated_traffic_is_finite_and_sleeps_at_night(generator, conditions):
    ensemble = generator.generate(conditions, 20, 0)
    assert np.isfinite(ensemble.traffic).all() and (ensemble.traffic >= 0).all()
    day = ensemble.traffic.mean(axis=(0, 1)).reshape(7, 24).mean(axis=0)
    assert day[9:23].min() > 2 * day[2:5].max()  # people sleep
    level, users = ensemble.weekly_mean("traffic"), ensemble.weekly_mean("users")
    assert np.corrcoef(np.log(level), np.log(users))[0, 1] > 0.9
    assert {"poi", "business_poi", "population"} == set(ensemble.intensities)


def test_condition_moves_the_level(generator):
    """The model's own estimate of POI and the generated level agree in their order."""
    conditions = generator.conditions(DemoSource(), DemoSource().covered_tiles())
    level = generator.generate(conditions, 4, 0).weekly_mean()
    poi = generator.estimate_intensities(conditions)["poi"]
    assert np.corrcoef(np.log(level), np.log1p(poi))[0, 1] > 0.6


@pytest.mark.parametrize(
    "hidden", [("imagery",), ("poi",), ("imagery", "poi", "osm_poi"), ("population", "poi")]
)
def test_missing_modalities_count_and_what_stands_in_their_tokens_does_not(generator, conditions, hidden):
    numbers = [MODALITIES.index(name) for name in hidden]
    known = conditions.take(np.flatnonzero(conditions.present[:, numbers].any(axis=1))[:4])
    hiding = known.without(*hidden)
    made = generator.generate(hiding, 3, 0)
    assert not np.allclose(made.traffic, generator.generate(known, 3, 0).traffic, rtol=0.01)
    absent = np.repeat(np.isin(np.arange(len(MODALITIES)), numbers), TOKEN_WIDTHS)
    garbage = replace(hiding, tokens=np.where(absent, np.float32(7), hiding.tokens))
    np.testing.assert_allclose(generator.generate(garbage, 3, 0).traffic, made.traffic, rtol=1e-5)


def test_progress_counts_up_and_cancel_stops(generator, conditions):
    seen = []
    generator.generate(conditions, 15, 0, progress=lambda *told: seen.append(told))
    rows = len(conditions.tiles) * 15
    assert seen[-1] == (rows, rows, "generate") and len(seen) > 1
    with pytest.raises(Cancelled):
        generator.generate(conditions, 15, 0, cancelled=lambda: True)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"samples": 0}, r"^0 samples .* 1 to 1000\.$"),
        ({"samples": 5000}, r"^5000 samples .* 1 to 1000\.$"),
        ({"guidance_scale": -1.0}, r"guidance scale -1 .* from 0 to 10\.$"),
        ({"steps": 0}, r"^0 steps .* 1 to 1000\.$"),
        ({"seed": -1}, r"seed -1 .* from 0 to \d+\.$"),
    ],
)
def test_bad_settings_are_named(generator, conditions, settings, said):
    with pytest.raises(ModelError, match=said):
        generator.generate(conditions, **settings)


def test_an_unknown_model_and_an_area_outside_the_region_are_named():
    with pytest.raises(ModelError, match="default"):
        TrafficGenerator.load("nonsense", "cpu")
    elsewhere = tiles_covering(Area.from_box(2.30, 48.85, 2.34, 48.87))
    with pytest.raises(SourceError, match="Nanchang"):
        DemoSource().conditions(elsewhere)


def test_bundled_region_is_what_the_pack_gives(generator, nanchang_pack):
    """The shipped conditions are those the encoder makes of the pack, in classes, for each of its tiles."""
    demo, pack = DemoSource(), PackSource(nanchang_pack)
    tiles = pack.covered_tiles()
    assert len(tiles) == len(demo.covered_tiles()) == 500
    some = tiles.iloc[::40].reset_index(drop=True)
    shipped, made = generator.conditions(demo, some), generator.conditions(pack, some)
    np.testing.assert_array_equal(shipped.present, made.present)
    assert np.abs(shipped.tokens - made.tokens).max() <= TOTAL_CLASS / 2 + 0.06
    totals = shipped.tokens[:, 16:19] / TOTAL_CLASS
    np.testing.assert_allclose(totals, np.round(totals), atol=1e-6)


def test_bundled_region_holds_no_open_data(nanchang_pack):
    """No shipped number is a count, a population or a traffic of the pack; estimates are estimates."""
    context, pack = DemoSource().context(), PackSource(nanchang_pack)
    features = tile_features(context, pack.open_data(with_halo(context), imagery=False), pack.poi_datum)
    data = pack.open_data(context, imagery=False)
    for name, own, has in (
        ("poi", data.poi.sum(axis=1), data.has_poi),
        ("poi", features.poi_totals[:, 0], features.has_poi),
        ("population", data.population.sum(axis=1), data.has_population),
    ):
        ratio = context[name].to_numpy()[has] / np.maximum(own[has], 1e-6)
        assert np.mean(np.abs(ratio - 1) < 0.01) < 0.1
    assert context["poi"].between(0, 1e5).all()


def test_checkpoints_are_small_and_listed():
    files = [path for path in CHECKPOINTS.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 40e6
    listed = {line.split("  ")[1] for line in (CHECKPOINTS / "SHA256SUMS").read_text().splitlines()}
    assert listed == {path.name for path in files if path.suffix == ".safetensors"}


def test_plain_pictures_are_water_green_or_built():
    rng = np.random.default_rng(0)
    images = np.zeros((1, 256, 256, 3), np.uint8)
    images[:, :128, :128] = (70, 90, 95)  # NW: calm water
    images[:, :128, 128:] = np.clip(
        rng.normal(90, 12, (128, 128, 1)) + np.array([-10, 25, -20]), 0, 255
    )  # NE: trees
    images[:, 128:] = np.repeat(
        np.repeat(rng.choice([40, 200], (1, 32, 64, 1)), 4, 1), 4, 2
    )  # south: roofs and shadows
    assert land_cover(images).tolist() == ["wgbb"]
