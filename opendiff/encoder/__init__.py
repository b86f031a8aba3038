"""Open data of tiles in, condition tokens out: `encoder`, trained by `contrastive`, with the files of `weights`."""

from opendiff.encoder.encoder import (
    IMAGE_BATCH_ON_GPU,
    IMAGE_FEATURES,
    TAPPED_STAGES,
    Encoder,
)

__all__ = [
    "IMAGE_BATCH_ON_GPU",
    "IMAGE_FEATURES",
    "TAPPED_STAGES",
    "Encoder",
]
