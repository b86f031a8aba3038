"""Open data of tiles in, condition tokens out: `encoder`, trained by `contrastive`, with the files of `weights`."""

from typing import TYPE_CHECKING

from plannerbase.lazy import lazy_names

if TYPE_CHECKING:
    from opendiff.encoder.encoder import IMAGE_BATCH_ON_GPU, IMAGE_FEATURES, TAPPED_STAGES, Encoder
else:  # what is kept of embeddings needs no torch
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            name: "opendiff.encoder.encoder"
            for name in ("IMAGE_BATCH_ON_GPU", "IMAGE_FEATURES", "TAPPED_STAGES", "Encoder")
        },
    )

__all__ = [
    "IMAGE_BATCH_ON_GPU",
    "IMAGE_FEATURES",
    "TAPPED_STAGES",
    "Encoder",
]
