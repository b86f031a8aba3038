"""Training of the published method's sampler, its commands, and its evaluation on held-out folds."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from opendiff.cli import main
from opendiff.errors import ModelError
from opendiff.open_data.sources import PackSource
from opendiff.paper import evaluation as paper_evaluation
from opendiff.paper import pack_training
from opendiff.paper.encoder import EncoderConfig
from opendiff.paper.evaluation import PAPER_MODELS, held_out_paper
from opendiff.paper.model import PaperConfig, PaperModel, Rows
from opendiff.paper.training import SamplerTraining, noise_loss, train_paper_model
from opendiff.storage.resume import TrainingState


def made_tiles(count: int = 40):
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(count, 8)).astype(np.float32)
    level = 5 + 2 * np.sign(embedding[:, 0])
    series = (level[:, None, None] * rng.gamma(50, 1 / 50, (count, 2, 168))).astype(np.float32)
    return embedding, np.arange(count) % 5 > 0, series


@pytest.mark.slow
def test_interrupted_training_equals_training_that_ran_through(small_config, tmp_path):
    made, training = made_tiles(), SamplerTraining(epochs=5)
    whole, losses = train_paper_model(*made, 3, small_config, training)
    state = TrainingState(tmp_path / "paper.state", "key", seconds=0)

    def stop(done, total, what):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_paper_model(*made, 3, small_config, training, state=state, progress=stop)
    resumed, again = train_paper_model(*made, 3, small_config, training, state=state)
    assert again == losses and len(losses) == 5
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@pytest.mark.slow
def test_a_condition_that_tells_the_level_is_learned(small_config):
    """Two kinds of tiles, low and high: generated with their conditions, the high ones are higher."""
    condition = np.repeat(np.float32([[1.0], [-1.0]]), 8, axis=1)[np.arange(48) % 2]
    level = np.where(np.arange(48) % 2, 2.0, 8.0)
    noise = np.random.default_rng(0).gamma(50, 1 / 50, (48, 2, 168))
    series = (level[:, None, None] * noise).astype(np.float32)
    denoiser = replace(small_config.denoiser, layers=1, dropout=0.0, steps=20)
    config = PaperConfig(denoiser, last_beta=0.5, condition_dropout=0.1)
    training = SamplerTraining(epochs=40, learning_rate=3e-3)
    model, losses = train_paper_model(condition, np.ones(48, bool), series, 0, config, training)
    assert np.mean(losses[-3:]) < 0.5 * losses[0]
    assert model.mean.flatten().tolist() == pytest.approx(series.mean((0, 2)).tolist(), rel=1e-3)
    index = torch.arange(16)
    memory = model.precompute_kv(torch.from_numpy(condition[:16]))
    made = model.sample(memory, Rows(0, index, index, index), 0.0).mean((1, 2))
    assert made[::2].mean() > made[1::2].mean() + 1


def test_each_sample_drops_its_own_condition(small_config):
    """Eq. 7: the share rho of the rows is told zero, whichever batch they are in."""
    model, seen = PaperModel(small_config), []
    precompute_kv = model.denoiser.precompute_kv
    model.denoiser.precompute_kv = lambda condition: seen.append(condition) or precompute_kv(condition)
    torch.manual_seed(0)
    noise_loss(model, torch.zeros(400, 2, 168), torch.ones(400, 8))
    dropped = (seen[0] == 0).all(dim=1)
    assert torch.equal(dropped, ~(seen[0] == 1).all(dim=1))
    assert dropped.float().mean().item() == pytest.approx(small_config.condition_dropout, abs=0.08)


@pytest.mark.slow
def test_evaluation_goes_on_from_its_work_folder(paper_pack, small_settings, tmp_path, monkeypatch):
    pack = PackSource(paper_pack)
    names = list(PAPER_MODELS)
    made, notes = held_out_paper(pack, names, 2, 0, tmp_path, settings=small_settings)
    assert {name: values.shape for name, values in made.items()} == dict.fromkeys(names, (33, 2, 168))
    assert all(np.isfinite(values).all() and (values.max(axis=(1, 2)) > 0).all() for values in made.values())
    assert set(notes["folds"]) == {"0", "1"} and len(notes["folds"]["0"]["encoder"]) == 2
    json.dumps(notes)
    data = paper_evaluation.read_paper_data(pack, 32)
    imaged = data.has_imagery[data.has_traffic]
    for other in names[1:]:  # a tile without imagery is told nothing in all of them
        same = (made[other] == made["paper"]).all(axis=(1, 2))
        np.testing.assert_array_equal(same, ~imaged)

    def never(*arguments, **named):
        raise AssertionError("trained again")

    monkeypatch.setattr(paper_evaluation, "train_image_encoder", never)
    monkeypatch.setattr(paper_evaluation, "train_paper_model", never)
    monkeypatch.setattr(paper_evaluation.PaperGenerator, "generate", never)
    again, _ = held_out_paper(pack, names, 2, 0, tmp_path, settings=small_settings)
    assert all(np.array_equal(again[name], made[name]) for name in names)
    with pytest.raises(ModelError, match="paper, guidance 0"):
        held_out_paper(pack, ["papers"], 2, 0)


def test_a_fold_is_not_seen_by_its_own_model(paper_pack, small_settings):
    """Other traffic and imagery in a fold change nothing of the model that generates it."""
    data = paper_evaluation.read_paper_data(PackSource(paper_pack), 32)
    folder = paper_evaluation.WorkFolder(None)
    before, conditions, _ = paper_evaluation.fit_without(data, 0, 0, small_settings, folder)
    own = data.folds == 0
    data.series[own] *= 7
    data.images[torch.from_numpy(own)] = 3
    after, changed, _ = paper_evaluation.fit_without(data, 0, 0, small_settings, folder)
    assert all(torch.equal(value, after.state_dict()[name]) for name, value in before.state_dict().items())
    np.testing.assert_array_equal(conditions.embedding[~own], changed.embedding[~own])


def test_the_commands_train_and_generate(
    paper_pack, small_trunk, small_config, tmp_path, monkeypatch, capsys
):
    small = lambda pixels=None: EncoderConfig(pixels=pixels or 32, hidden=16, width=8)  # noqa: E731
    monkeypatch.setattr(pack_training, "EncoderConfig", small)
    monkeypatch.setattr(
        pack_training, "train_paper_model",
        lambda *arguments, **named: train_paper_model(*arguments, **{**named, "config": small_config}),
    )  # fmt: skip
    out = tmp_path / "weights"
    train = ["train", "sampler", "--model", "paper", "--data", str(paper_pack), "--out", str(out)]
    assert main([*train, "--epochs", "1"]) == 2
    assert "train encoder --model paper" in capsys.readouterr().err
    encoder = [*train[:1], "encoder", *train[2:], "--epochs", "1"]
    assert main([*encoder, "--pixels", "48"]) == 0 and main([*train, "--epochs", "1"]) == 0
    made = {"paper_encoder.safetensors", "paper.safetensors", "SHA256SUMS"}
    assert {path.name for path in out.iterdir()} == made
    (tmp_path / "area.csv").write_text("x,y\n16501,11001\n16502,11001\n")
    table = tmp_path / "traffic.parquet"
    asked = ["generate", str(tmp_path / "area.csv"), "--source", str(paper_pack), "--samples", "2"]
    assert main([*asked, "--model", "paper", "--weights", str(out), "--out", str(table)]) == 0
    assert table.is_file()
    assert main([*asked, "--model", "paper", "--out", str(table)]) == 2
    assert "--weights" in capsys.readouterr().err
    assert main(["train", "encoder", "--data", str(paper_pack), "--out", str(out), "--epochs", "2"]) == 2
    assert "--model paper" in capsys.readouterr().err
