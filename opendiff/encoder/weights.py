"""The encoder's weights: the shipped ones, those of a training, and the trunk that trainings begin from."""

from __future__ import annotations

from pathlib import Path

from opendiff.encoder.backbone import Trunk
from opendiff.encoder.encoder import TAPPED_STAGES, Encoder
from opendiff.errors import ModelError
from opendiff.storage.checkpoint import read_checkpoint
from opendiff.storage.shipped import CHECKPOINTS

FILE = "encoder.safetensors"


def load_encoder(path: str | Path = CHECKPOINTS / FILE) -> Encoder:
    """The shipped encoder, or another. Raises ModelError."""
    encoder = Encoder()
    checkpoint = read_checkpoint(path, kind="encoder")
    checkpoint.load_into(encoder, "")
    encoder.checksum = checkpoint.checksum
    return encoder.eval()


def pretrained_trunk() -> Trunk:
    """The trunk with its published ImageNet weights (EfficientNet-lite0, Apache-2.0), which the shipped encoder holds.

    Raises ModelError.
    """
    shipped = CHECKPOINTS / FILE
    if not shipped.is_file():
        raise ModelError(f"There are no trunk weights at {shipped}; install the package again.")
    trunk = Trunk(TAPPED_STAGES)
    read_checkpoint(shipped, kind="encoder").load_into(trunk, "trunk.")
    return trunk.eval()
