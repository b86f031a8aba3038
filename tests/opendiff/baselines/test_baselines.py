"""Each baseline learns a known condition: weeks under it are better than unconditional ones."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

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


def made_rows(count: int, seed: int, slope: float = 1.0) -> tuple[TileConditions, np.ndarray]:
    """Level follows the first number of a row's condition, its evening peak the second; series (rows, 1, 168)."""
    rng = np.random.default_rng(seed)
    told = rng.normal(size=(count, 3)).astype(np.float32)
    hour = np.arange(168) % 24
    evening = np.exp(-(((hour - 20) / 3) ** 2)) * (1 + np.tanh(told[:, 1]))[:, None]
    shape = (0.3 + np.exp(-(((hour - 12) / 4) ** 2)) + evening) * rng.gamma(50, 1 / 50, (count, 168))
    series = 0.05 * np.exp(slope * told[:, :1]) * shape
    return TileConditions(told, told, np.arange(count) // 4), series[:, None].astype(np.float32)


def another_city() -> Adaptive:
    """ADAPTIVE with a source whose embedding is another one of the same facts."""
    told, series = made_rows(128, 9)
    turned = told.graph @ np.array([[0, 1, 0], [1, 0, 0.5], [0, 0, 1]], np.float32)
    return Adaptive((TileConditions(told.vectors, turned, told.groups), series))


# Networks of fewer parts, averages of fewer updates and longer steps learn so plain a condition in little time.
SMALLER = {"adversarial.AVERAGING": 0.97, "tcn_gan.DILATIONS": (1, 8, 24)}
HALF_AS_WIDE = {"trans_gan.STAGES": ((7, 48), (28, 24), (168, 8)), "trans_gan.CRITIC_WIDTH": 16}
FASTER = SMALLER | {"adversarial.AVERAGING": 0.95, "adversarial.LEARNING_RATE": 3e-3}


@dataclass(frozen=True)
class Case:
    """How a model is trained here. slope: of the log level on the condition; changed: constants of the baselines."""

    make: Callable[[], Any]
    updates: int
    batch: int = 16
    checks: int = 2
    rows: int = 16
    samples: int = 4
    slope: float = 1.0
    changed: dict[str, Any] = field(default_factory=lambda: SMALLER)


MODELS = {
    "CSDI": Case(Csdi, 60, checks=1, changed={"csdi.LEARNING_RATE": 2e-3, "csdi.LAYERS": 2}),
    # attention over few patches learns too little here: all of its stages, half as wide, and as long as it takes
    "TransGAN": Case(TransGan, 250, checks=1, rows=24, samples=6, slope=0.5, changed=HALF_AS_WIDE),
    "TCN-GAN": Case(TcnGan, 100, 8, 1, changed=FASTER | {"adversarial.CRITIC_STEPS": 1}),
    "KEGAN": Case(Kegan, 90),
    "SpectraGAN": Case(SpectraGan, 50, checks=1, changed=FASTER),
    "ADAPTIVE": Case(another_city, 300),
    "default": Case(Default, 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_weeks_under_a_known_condition_beat_unconditional_ones(name, monkeypatch):
    torch.set_num_threads(1)
    small = {
        "config": ModelConfig(width=16, heads=2, layers=1),
        "denoiser_training": DenoiserTraining(20, batch=64),
    }
    case = MODELS[name]
    monkeypatch.setattr("opendiff.baselines.open_diff.train_model", partial(train_model, **small))
    for constant, value in case.changed.items():
        monkeypatch.setattr(f"opendiff.baselines.{constant}", value)
    told, series = made_rows(128, 0, case.slope)
    asked, truth = made_rows(case.rows, 1, case.slope)
    budget = Budget(case.updates, case.batch, case.checks, check_rows=case.rows // 2)
    model = case.make().fit(told, series, 0, budget)
    own = model.sample(asked, case.samples, 0)
    assert own.shape == (case.rows, case.samples, 168) and own.dtype == np.float32 and (own >= 0).all()
    nothing = model.sample(other_conditions(asked, case.samples, 0), 1, 0).reshape(own.shape)
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
