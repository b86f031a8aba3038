"""The model `paper` as a generator: the same tile gives the same weeks however it is asked for."""

import numpy as np
import pytest
import torch

from opendiff.area import tile_frame
from opendiff.cli import main
from opendiff.demo import DemoSource
from opendiff.errors import Cancelled, ModelError, SourceError
from opendiff.generator import TrafficGenerator
from opendiff.open_data.sources import PackSource
from opendiff.paper.encoder import EncoderConfig, ImageEncoder
from opendiff.paper.generator import ImageConditions, PaperGenerator
from opendiff.paper.model import PaperModel, Rows, load_paper_model
from opendiff.storage.checksums import write_checksums


@pytest.fixture(scope="module")
def model(small_config) -> PaperModel:
    torch.manual_seed(0)
    model = PaperModel(small_config).eval()
    torch.nn.init.normal_(model.denoiser.series_out.weight, std=0.3)
    model.mean.fill_(3.0)
    return model


@pytest.fixture(scope="module")
def conditions() -> ImageConditions:
    count = 11
    embedding = np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32) * 2
    tiles = tile_frame(26900 + np.arange(count) % 4, 13600 + np.arange(count) // 4)
    return ImageConditions(tiles, embedding, np.arange(count) % 3 > 0, np.ones(count, bool), source="made")


@pytest.mark.slow
def test_any_partition_and_order_gives_the_same_weeks(model, conditions):
    generator = PaperGenerator(model)
    whole = generator.generate(conditions, 3, 4)
    order = np.random.default_rng(1).permutation(11)
    for rows in np.array_split(order, 4):
        part = generator.generate(conditions.take(rows), 3, 4)
        np.testing.assert_array_equal(part.traffic, whole.traffic[rows])
        np.testing.assert_array_equal(part.users, whole.users[rows])
    more = generator.generate(conditions.take(np.arange(2)), 5, 4)
    np.testing.assert_array_equal(more.traffic[:, :3], whole.traffic[:2])


def test_seed_and_condition_change_the_weeks(model, conditions):
    generator = PaperGenerator(model)
    plain, other = generator.generate(conditions, 2, 0), generator.generate(conditions, 2, 1)
    assert not np.array_equal(plain.traffic, other.traffic) and (plain.traffic >= 0).all()
    swapped = ImageConditions(
        conditions.tiles, conditions.embedding[::-1], conditions.present, conditions.known
    )
    changed = (generator.generate(swapped, 2, 0).traffic != plain.traffic).any(axis=(1, 2))
    middle = np.arange(11) == 5  # whose embedding stays
    np.testing.assert_array_equal(changed, conditions.present & ~middle)


def test_guidance_zero_is_the_conditional_pass(model, conditions):
    """mu = 0 gives the same weeks with both passes as with one; another mu gives others where there is a condition."""
    tiles = conditions.tiles[["x", "y"]].to_numpy(np.int64).copy()
    rows = Rows(
        0, torch.from_numpy(tiles[:, 0]), torch.from_numpy(tiles[:, 1]), torch.zeros(11, dtype=torch.int64)
    )
    told = model.precompute_kv(torch.from_numpy(conditions.embedding))
    empty = model.precompute_kv(torch.zeros(11, 8))
    one = model.sample(told, rows, 0.0)
    torch.testing.assert_close(model.sample(told.followed_by(empty), rows, 0.0), one, rtol=1e-4, atol=1e-4)
    both = model.sample(told.followed_by(empty), rows, 1.0)
    assert not torch.allclose(both, one, atol=1e-2)
    same = model.sample(empty.followed_by(empty), rows, 1.0)
    torch.testing.assert_close(same, model.sample(empty, rows, 0.0), rtol=1e-3, atol=1e-3)


def test_noise_of_a_step_is_its_own():
    index = torch.arange(4)
    rows = Rows(1, 26900 + index, 13600 + index, index)
    assert rows.noise(3).shape == (4, 2, 168) and not torch.equal(rows.noise(3), rows.noise(4))
    part = Rows(1, rows.x[2:3], rows.y[2:3], rows.sample[2:3])
    assert torch.equal(part.noise(7)[0], rows.noise(7)[2])


def test_progress_is_told_cancel_is_heard_and_steps_are_checked(model, conditions):
    generator, seen = PaperGenerator(model), []
    generator.generate(conditions, 3, 0, progress=lambda done, total, what: seen.append((done, total)))
    assert seen[-1] == (33, 33) and len(seen) > 1
    with pytest.raises(Cancelled):
        generator.generate(conditions, 3, 0, cancelled=lambda: True)
    with pytest.raises(ModelError, match="takes 6 steps, not 7"):
        generator.generate(conditions, 1, 0, steps=7)


def test_weights_come_from_a_folder_and_imagery_is_needed(
    model, small_trunk, paper_pack, tmp_path, monkeypatch, capsys
):
    with pytest.raises(ModelError, match="train encoder --model paper"):
        TrafficGenerator.load("paper", "cpu")
    with pytest.raises(ModelError, match="train encoder"):
        TrafficGenerator.load("paper", "cpu", tmp_path)
    ImageEncoder(EncoderConfig(pixels=32, hidden=16, width=8)).save(
        tmp_path / "paper_encoder.safetensors", {}
    )
    write_checksums(tmp_path)
    with pytest.raises(ModelError, match="train sampler"):
        TrafficGenerator.load("paper", "cpu", tmp_path)
    model.save(tmp_path / "paper.safetensors", {})
    write_checksums(tmp_path)
    assert load_paper_model(tmp_path / "paper.safetensors")[0].config == model.config
    generator = TrafficGenerator.load("paper", "cpu", tmp_path)
    demo = DemoSource()
    with pytest.raises(SourceError, match="imagery"):
        generator.conditions(demo, demo.covered_tiles())
    pack = PackSource(paper_pack)
    found = generator.conditions(pack, pack.all_tiles())
    assert found.present.sum() == 24 and len(found.tiles) == 36 and not found.embedding[~found.present].any()
    ensemble = generator.generate(found, 1, 0)
    assert ensemble.metadata["model"] == "paper" and ensemble.metadata["guidance_scale"] == 0.2
    assert set(ensemble.intensities) == {"poi", "business_poi", "population"}
    unseen = found.tiles[~found.present].reset_index(drop=True)
    with pytest.raises(SourceError, match="has no imagery"):
        generator.conditions(pack, unseen)
    box = ["generate", "115.90,28.66,115.93,28.69", "--source", "demo", "--model", "paper"]
    assert main([*box, "--weights", str(tmp_path), "--out", str(tmp_path / "t.parquet")]) == 2
    assert "imagery" in capsys.readouterr().err and not (tmp_path / "t.parquet").exists()


def test_a_model_without_its_encoder_says_so(model, paper_pack):
    with pytest.raises(ModelError, match="image encoder"):
        PaperGenerator(model).conditions(PackSource(paper_pack), PackSource(paper_pack).all_tiles())
