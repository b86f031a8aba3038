"""A made pack small enough to train and evaluate the published method on, and settings to match."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from opendiff.open_data.sources import POI_COLUMNS, POPULATION_COLUMNS
from opendiff.paper import encoder as encoder_module
from opendiff.paper.denoiser import DenoiserConfig
from opendiff.paper.encoder import EncoderConfig, EncoderTraining
from opendiff.paper.evaluation import PaperSettings
from opendiff.paper.model import PaperConfig
from opendiff.paper.training import SamplerTraining

SMALL = PaperConfig(
    DenoiserConfig(
        layers=2, channels=16, heads=4, step_width=16, hour_width=16, condition_width=8, tokens=3, steps=6
    ),
    last_beta=0.9,
)


@pytest.fixture(scope="session")
def small_config() -> PaperConfig:
    return SMALL


class SmallTrunk(torch.nn.Module):
    """Stands in for ResNet-50 where its size does not matter."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 2048, 8, 8)
        self.norm = torch.nn.BatchNorm2d(2048)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.conv(images))).mean((2, 3))


@pytest.fixture
def small_trunk(monkeypatch):
    monkeypatch.setattr(encoder_module, "ResNet50", SmallTrunk)


@pytest.fixture
def small_settings(small_trunk) -> PaperSettings:
    return PaperSettings(
        EncoderConfig(pixels=32, hidden=16, width=8), EncoderTraining(epochs=2, batch=12), SMALL,
        SamplerTraining(epochs=2),
    )  # fmt: skip


@pytest.fixture(scope="session")
def paper_pack(tmp_path_factory) -> Path:
    """6 x 6 tiles outside China in two folds, imagery on two thirds, traffic on all but three."""
    root = tmp_path_factory.mktemp("packs") / "made"
    rng = np.random.default_rng(0)
    x, y = (
        axis.reshape(-1) for axis in np.meshgrid(np.arange(6) + 16500, np.arange(6) + 11000, indexing="ij")
    )
    busy = rng.lognormal(0, 1, 36)
    table = pd.DataFrame({"z": 15, "x": x, "y": y, "fold": (x - 16500) // 3})
    for column in POI_COLUMNS:
        table[column] = rng.poisson(10 * busy)
    for column in POPULATION_COLUMNS:
        table[column] = 0.02 * busy * rng.lognormal(0, 0.2, 36)
    for tile in np.flatnonzero(np.arange(36) % 3):
        folder = root / "imagery" / "15" / str(x[tile])
        folder.mkdir(parents=True, exist_ok=True)
        picture = rng.integers(0, int(50 + 200 * busy[tile] / busy.max()), (256, 256, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{y[tile]}.png")
    table.to_parquet(root / "tiles.parquet")
    hours = np.arange(168)
    level = 0.01 * busy[:, None] * (1.2 - np.cos(hours % 24 / 12 * np.pi)) * rng.gamma(20, 0.05, (36, 168))
    rows = pd.DataFrame({"x": np.repeat(x, 168), "y": np.repeat(y, 168), "hour": np.tile(hours, 36)})
    rows["traffic"] = level.reshape(-1).astype(np.float32)
    rows["users"] = (level * 0.9).reshape(-1).astype(np.float32)
    rows[168 * 3 :].to_parquet(root / "traffic.parquet")
    return root
