"""Each baseline learns a known condition: weeks under it are better than unconditional ones."""

from functools import partial

import numpy as np
import pytest
import torch

from opendiff import metrics
from opendiff.baselines.adaptive import Adaptive
from opendiff.baselines.csdi import Csdi
from opendiff.baselines.harness import Budget, TileConditions, other_conditions
from opendiff.baselines.ke_gan import Kegan
from opendiff.baselines.open_diff import Default, Published
from opendiff.baselines.spectra_gan import SpectraGan
from opendiff.baselines.tcn_gan import TcnGan
from opendiff.baselines.trans_gan import TransGan
from opendiff.default.model import ModelConfig
from opendiff.default.training import DenoiserTraining, train_model

SAMPLES = 6


def made_rows(count: int, seed: int) -> tuple[TileConditions, np.ndarray]:
    """Level follows the first number of a row's condition, its evening peak the second; series (rows, 1, 168)."""
    rng = np.random.default_rng(seed)
    told = rng.normal(size=(count, 3)).astype(np.float32)
    hour = np.arange(168) % 24
    evening = np.exp(-(((hour - 20) / 3) ** 2)) * (1 + np.tanh(told[:, 1]))[:, None]
    shape = (0.3 + np.exp(-(((hour - 12) / 4) ** 2)) + evening) * rng.gamma(50, 1 / 50, (count, 168))
    series = 0.05 * np.exp(0.5 * told[:, :1]) * shape
    return TileConditions(told, told, np.arange(count) // 4), series[:, None].astype(np.float32)


def another_city() -> Adaptive:
    """ADAPTIVE with a source whose embedding is another one of the same facts."""
    told, series = made_rows(128, 9)
    turned = told.graph @ np.array([[0, 1, 0], [1, 0, 0.5], [0, 0, 1]], np.float32)
    return Adaptive((TileConditions(told.vectors, turned, told.groups), series))


MODELS = {
    "CSDI": (Csdi, 200),
    "TransGAN": (TransGan, 300),
    "TCN-GAN": (TcnGan, 300),
    "KEGAN": (Kegan, 150),
    "SpectraGAN": (SpectraGan, 150),
    "ADAPTIVE": (another_city, 300),
    "default": (Default, 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_weeks_under_a_known_condition_beat_unconditional_ones(name, monkeypatch):
    torch.set_num_threads(1)
    small = {
        "config": ModelConfig(width=16, heads=2, layers=1),
        "denoiser_training": DenoiserTraining(20, batch=64),
    }
    monkeypatch.setattr("opendiff.baselines.open_diff.train_model", partial(train_model, **small))
    make, updates = MODELS[name]
    told, series = made_rows(128, 0)
    asked, truth = made_rows(24, 1)
    budget = Budget(updates=updates, batch=16, checks=2, check_rows=12)
    model = make().fit(told, series, 0, budget)
    own = model.sample(asked, SAMPLES, 0)
    assert own.shape == (24, SAMPLES, 168) and own.dtype == np.float32 and (own >= 0).all()
    nothing = model.sample(other_conditions(asked, SAMPLES, 0), 1, 0).reshape(own.shape)
    own_score, blind_score = (metrics.crps(truth[:, 0], made).mean() for made in (own, nothing))
    assert own_score < 0.95 * blind_score


@pytest.mark.slow
@pytest.mark.parametrize("make", [Csdi, Published, TransGan, TcnGan, Kegan, SpectraGan])
def test_a_network_learns_and_samples_wholly_on_the_device_of_its_budget(make, monkeypatch):
    """torch's `meta` device knows shapes without numbers, and refuses what lies on another device, as a GPU does."""
    # its counter is the one number that is read; on a GPU it is there to read
    monkeypatch.setattr(torch.optim.swa_utils.AveragedModel, "update_parameters", lambda *_: None)
    model = make()
    model.budget, model.done = Budget(updates=3, batch=4, device="meta"), 3
    model.begin(torch.randn(8, 5), torch.randn(8, 168))
    model.step()
    made = model.all_weeks(torch.randn(6, 5))
    assert made.shape == (6, 168) and made.device.type == "meta"
