"""A folder of finished parts of long work, so that work which was interrupted goes on where it was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from opendiff.storage.atomic import replacing
from opendiff.storage.resume import TrainingState

KEY_LETTERS = 16  # of a fingerprint that stand in a file's name


@dataclass(frozen=True)
class WorkFolder:
    """Parts by name and key; the key is a fingerprint of all that a part was made from (`resume.fingerprint`), so a
    part of other data or settings is never found. With the folder None nothing is kept."""

    root: Path | None

    def __post_init__(self) -> None:
        if self.root is not None:
            object.__setattr__(self, "root", Path(self.root))
            self.root.mkdir(parents=True, exist_ok=True)

    def read(self, name: str, key: str) -> tuple[dict[str, np.ndarray], Any] | None:
        """Arrays and notes of a part, or None where it has to be made."""
        path = self._path(name, key)
        if path is None or not path.is_file():
            return None
        try:
            with safe_open(path, framework="numpy") as file:
                notes = json.loads((file.metadata() or {}).get("notes", "null"))
                return {stored: file.get_tensor(stored) for stored in file.keys()}, notes
        except (OSError, SafetensorError, ValueError):
            return None  # damaged: make it again

    def write(self, name: str, key: str, arrays: dict[str, np.ndarray], notes: Any = None) -> None:
        """Keep arrays and notes (whatever JSON can hold) of a part."""
        path = self._path(name, key)
        if path is not None:
            whole = {stored: np.ascontiguousarray(values) for stored, values in arrays.items()}
            with replacing(path) as temporary:
                save_file(whole, temporary, metadata={"notes": json.dumps(notes)})

    def training(self, name: str, key: str) -> TrainingState:
        """The state of a training that is a part of the work."""
        path = self._path(name, key)
        return TrainingState(path.with_suffix(".state") if path else None, key)

    def _path(self, name: str, key: str) -> Path | None:
        return None if self.root is None else self.root / f"{name}-{key[:KEY_LETTERS]}.safetensors"
