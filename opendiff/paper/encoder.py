"""The image encoder of the published method (section 3.2): ResNet-50 and an MLP, trained by eq. 6 on open data.

The condition is the embedding z of a tile's image and nothing else: POI, population and distance only choose the
positives. What the paper leaves open and what is done here: where positives are looked for (among the images of a
batch, "in each training round"); augmentation (quarter turns and mirror images, which leave a map a map); whether z is
normalised (eq. 6 has its dot product, the usual InfoNCE its cosine, taken here); the scale on which the denoiser gets
z (zero mean and unit variance over the training tiles, which W^K and W^V of eq. 9 could learn as well).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from opendiff.encoder.contrastive import multi_positive_loss, positive_pairs
from opendiff.errors import ModelError
from opendiff.open_data.features import TileFeatures
from opendiff.paper.resnet import FEATURES, ResNet50
from opendiff.storage.checkpoint import read_checkpoint, write_checkpoint
from opendiff.storage.resume import TrainingState
from plannerbase.progress import Progress

IMAGE_MEAN = (0.485, 0.456, 0.406)  # ImageNet's, so that its weights would fit
IMAGE_STD = (0.229, 0.224, 0.225)
IMAGES_PER_CALL = 32
SYMMETRIES = 8  # of a square: four rotations, each also mirrored
FILE = "paper_encoder.safetensors"


@dataclass(frozen=True)
class EncoderConfig:
    """pixels: side of the image that the network sees, 32 as published; more tells more and takes longer. hidden,
    width: of the MLP after ResNet-50."""

    pixels: int = 32
    hidden: int = 2048
    width: int = 128

    def __post_init__(self) -> None:
        if not 32 <= self.pixels <= 256:
            raise ModelError(f"Images of {self.pixels} pixels cannot be used; choose 32 to 256.")


@dataclass(frozen=True)
class EncoderTraining:
    """Stochastic gradient descent at the published temperature; momentum, decay and the cosine schedule are those
    usual with it. The published rate of 0.05 and batch of 128 keep the loss at chance on a few hundred tiles: all
    embeddings become one. A lower rate and smaller batches leave that state after some ten epochs."""

    epochs: int = 30
    batch: int = 64
    temperature: float = 0.07
    learning_rate: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warm_steps: int = 10


class ImageEncoder(nn.Module):
    """R of eq. 5: images -> z (images, 128). checksum: of the weights file, "" where they are in no file."""

    output_mean: Tensor
    output_std: Tensor

    def __init__(self, config: EncoderConfig = EncoderConfig()):
        super().__init__()
        self.config = config
        self.checksum = ""
        self.trunk = ResNet50()
        self.projection = nn.Sequential(
            nn.Linear(FEATURES, config.hidden), nn.ReLU(), nn.Linear(config.hidden, config.width)
        )
        self.register_buffer("output_mean", torch.zeros(config.width))
        self.register_buffer("output_std", torch.ones(config.width))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it

    def forward(self, images: Tensor) -> Tensor:
        """Unit vectors z (images, 128) of images (images, 3, pixels, pixels), standardised colours."""
        return functional.normalize(self.projection(self.trunk(images)), dim=-1)

    @torch.inference_mode()
    def embed(self, planes: Tensor) -> np.ndarray:
        """Embeddings (images, 128) float32, of zero mean and unit variance over the training tiles, of images
        (images, 3, pixels, pixels) in 0..255 (see `shrink`)."""
        self.eval()
        device = self.output_mean.device
        rows = np.zeros((len(planes), self.config.width), np.float32)
        for start in range(0, len(planes), IMAGES_PER_CALL):
            # one size of call for whatever number of images, so that a tile's embedding does not depend on its company
            chosen = torch.arange(start, start + IMAGES_PER_CALL).clamp_max(len(planes) - 1)
            z = (self(standardise(planes[chosen].to(device))) - self.output_mean) / self.output_std
            stop = min(start + IMAGES_PER_CALL, len(planes))
            rows[start:stop] = z[: stop - start].cpu().numpy()
        return rows

    def save(self, path: str | Path, notes: dict[str, object]) -> str:
        """Write weights and configuration; returns the checksum."""
        heading = {"model": "paper encoder", "config": asdict(self.config), **notes}
        return write_checkpoint(path, self.state_dict(), heading)


def load_image_encoder(path: str | Path) -> ImageEncoder:
    """The encoder in a file, ready to embed. Raises ModelError."""
    path = Path(path)
    if not path.is_file():
        raise ModelError(
            f"There is no encoder of the model paper at {path}; make one with "
            "`python -m opendiff train encoder --model paper --data PACK --out DIR`."
        )
    checkpoint = read_checkpoint(path, kind="paper encoder")
    encoder = ImageEncoder(EncoderConfig(**checkpoint.notes["config"]))
    checkpoint.load_into(encoder, "")
    encoder.checksum = checkpoint.checksum
    return encoder.eval()


def shrink(images: np.ndarray, pixels: int) -> Tensor:
    """Images (images, side, side, 3) uint8 -> (images, 3, pixels, pixels) in 0..255, means of areas."""
    planes = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    return functional.interpolate(planes, size=(pixels, pixels), mode="area")


def standardise(planes: Tensor) -> Tensor:
    """Colours (images, 3, pixels, pixels) in 0..255 on the scale of ImageNet's weights."""
    mean = torch.tensor(IMAGE_MEAN, device=planes.device)[:, None, None]
    std = torch.tensor(IMAGE_STD, device=planes.device)[:, None, None]
    return ((planes / 255 - mean) / std).contiguous(memory_format=torch.channels_last)


def turned(planes: Tensor) -> Tensor:
    """Each of images (images, 3, pixels, pixels) in one of its eight symmetries, drawn at random."""
    view = torch.randint(SYMMETRIES, (len(planes),), device="cpu").tolist()
    return torch.stack([_turn(plane, number) for plane, number in zip(planes, view, strict=True)])


def train_image_encoder(
    images: Tensor,
    features: TileFeatures,
    seed: int = 0,
    config: EncoderConfig = EncoderConfig(),
    training: EncoderTraining = EncoderTraining(),
    device: str = "cpu",
    state: TrainingState | None = None,
    progress: Progress | None = None,
) -> tuple[ImageEncoder, list[tuple[float, float]]]:
    """The encoder fitted on images (tiles, 3, pixels, pixels) in 0..255 and the features of the same tiles.

    Also returns, for each epoch, the mean of eq. 6 over its batches and what it is by chance: the logarithm of the
    number of other images in the batch. A tile without POI or population has fewer positives, but always the nearest
    by distance. Raises ModelError for a single image, which has no other to be near to.
    """
    if len(images) < 2:
        raise ModelError("The encoder needs the images of at least two tiles; train it on a larger pack.")
    torch.manual_seed(seed)
    encoder = ImageEncoder(config).to(device)
    images = images.to(device)
    state = state or TrainingState(None, "")
    count = len(images)
    batches = max(1, round(count / training.batch))
    total = training.epochs * batches
    optimiser = torch.optim.SGD(
        encoder.parameters(), lr=training.learning_rate, momentum=training.momentum,
        weight_decay=training.weight_decay,
    )  # fmt: skip
    warm = min(training.warm_steps, total)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min(1.0, (step + 1) / warm) * (0.5 + 0.5 * float(np.cos(np.pi * step / total))),
    )
    parts = {"encoder": encoder}
    done, notes = state.restore(parts, optimiser, schedule)
    history = [tuple(pair) for pair in notes.get("history", [])]
    encoder.train()
    for epoch in range(done, training.epochs):
        losses, chances = [], []
        for rows in torch.randperm(count).tensor_split(batches):
            positive = torch.from_numpy(positive_pairs(features, rows.numpy())).to(device)
            z = encoder(standardise(turned(images[rows.to(device)])))
            loss = multi_positive_loss(z, positive, training.temperature)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
            chances.append(float(np.log(len(rows) - 1)))
        history.append((float(np.mean(losses)), float(np.mean(chances))))
        state.offer(epoch + 1, parts, optimiser, schedule, notes={"history": history})
        if progress:
            progress(epoch + 1, training.epochs, "encoder")
    encoder.eval()
    with torch.no_grad():
        z = torch.cat([encoder(standardise(part)) for part in images.split(IMAGES_PER_CALL)])
        encoder.output_mean.copy_(z.mean(0))
        encoder.output_std.copy_(z.std(0) + 1e-6)
    return encoder, history


def _turn(plane: Tensor, number: int) -> Tensor:
    """A plane (3, pixels, pixels) rotated by `number` % 4 quarter turns, mirrored from 4 on."""
    plane = torch.rot90(plane, number % 4, (1, 2))
    return plane.flip(2) if number >= 4 else plane
