"""Open data of tiles in, condition tokens out."""

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
