"""Weights on disk: safetensors in half precision, with what is needed to rebuild the network, and a checksum."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from opendiff.errors import ModelError
from opendiff.storage.atomic import replacing
from opendiff.storage.checksums import file_checksum, verify
from plannerbase.text import read_json


@dataclass(frozen=True)
class Checkpoint:
    """Tensors (float32) by name, the notes written with them, and the SHA-256 of the file."""

    path: Path
    tensors: dict[str, Tensor]
    notes: dict[str, Any]
    checksum: str

    def tensor(self, name: str) -> Tensor:
        """Raises ModelError where the file has none of this name."""
        if name not in self.tensors:
            raise ModelError(
                f"{self.path} has no tensor {name}; it was made by another version, train it again."
            )
        return self.tensors[name]

    def load_into(self, module: nn.Module, prefix: str) -> None:
        """Fill every parameter and buffer of `module`; a ModelError names the first that is missing or has
        another shape."""
        for name, value in module.state_dict().items():
            stored = self.tensor(prefix + name)
            if stored.shape != value.shape:
                raise ModelError(
                    f"{self.path} holds {name} as {tuple(stored.shape)}, this version needs {tuple(value.shape)}; "
                    "train it again."
                )
            value.copy_(stored)


def write_checkpoint(path: str | Path, tensors: dict[str, Tensor], notes: dict[str, Any]) -> str:
    """Write tensors, float32 in half precision, float64 in single, whole or not at all; returns the checksum."""
    path = Path(path)
    kept = {torch.float32: torch.float16, torch.float64: torch.float32}
    halves = {
        name: value.detach().cpu().to(kept.get(value.dtype, value.dtype)).contiguous()
        for name, value in tensors.items()
    }
    with replacing(path) as temporary:
        save_file(halves, temporary, metadata={"notes": json.dumps(notes)})
    return file_checksum(path)


def read_checkpoint(path: str | Path, kind: str, listed: bool = True) -> Checkpoint:
    """Read and verify a checkpoint of `kind` ("encoder", "default", ...).

    It must match the checksum in the list SHA256SUMS of its folder, which `train` writes. listed: whether the list must
    name it. Raises ModelError.
    """
    path = Path(path)
    try:
        checksum = verify(path, listed)
        with safe_open(path, framework="pt") as file:
            notes = read_json((file.metadata() or {}).get("notes", "{}"))
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}
    except FileNotFoundError:
        raise ModelError(
            f"There are no weights at {path}; install the package again or train them."
        ) from None
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(f"The weights {path} cannot be read ({error}); install them again.") from None
    held = notes.get("model") if isinstance(notes, dict) else None
    if held != kind:
        raise ModelError(f"{path} holds weights of {held!r}, not of {kind!r}; name another file.")
    return Checkpoint(path, tensors, notes, checksum)
