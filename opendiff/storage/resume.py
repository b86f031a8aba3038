"""Training that goes on where it was interrupted: all that changes while a model is trained, in one file.

The file is safetensors with a JSON heading, so reading it runs no code. It belongs to one fingerprint of data and
settings; another training refuses it rather than going on from weights that are not its own.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from opendiff.errors import ModelError
from opendiff.storage.atomic import replacing

SAVE_SECONDS = 60.0  # between two writes of a state


def fingerprint(*parts: Any) -> str:
    """SHA-256 (hexadecimal) of settings (dataclasses, whatever JSON can hold) and data (arrays, tensors)."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            part = part.detach().cpu().numpy()
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype}{part.shape}".encode() + np.ascontiguousarray(part).tobytes())
        else:
            value = asdict(part) if is_dataclass(part) and not isinstance(part, type) else part
            digest.update(json.dumps(value, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()


@dataclass
class TrainingState:
    """The file of an interrupted training, at `path`; with None nothing is kept and every training starts anew.

    `fingerprint` stands for data and settings. What is saved: weights and buffers of `modules`, the optimiser's
    tensors and groups, the schedule, further `tensors` (an average of the weights, say), torch's random state and
    `notes` that JSON can hold. Draw from torch's global generator only, and what is resumed equals what ran
    through, bit for bit on a CPU.
    """

    path: Path | None
    fingerprint: str
    seconds: float = SAVE_SECONDS  # `offer` saves at most that often
    _saved: float = field(default_factory=time.monotonic, repr=False)

    def restore(
        self,
        modules: Mapping[str, nn.Module],
        optimiser: Optimizer,
        schedule: LRScheduler | None = None,
        tensors: Mapping[str, Tensor] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Fill everything in place; returns (steps done, notes), which is (0, {}) where there is no file.

        Raises ModelError for a file of another training or one that cannot be read.
        """
        if self.path is None or not self.path.exists():
            return 0, {}
        try:
            with safe_open(self.path, framework="pt") as file:
                heading = json.loads(file.metadata()["state"])
                stored = {name: file.get_tensor(name) for name in file.keys()}
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"The training state {self.path} cannot be read ({error}); delete it to train from the start."
            ) from None
        if heading.get("fingerprint") != self.fingerprint:
            raise ModelError(
                f"{self.path} is the state of a training with other data or settings; delete it to train from the "
                "start, or go on with what it was begun with."
            )
        try:
            with torch.no_grad():
                for name, target in _named_tensors(modules, tensors).items():
                    target.copy_(stored[name])
            optimiser.load_state_dict(_optimiser_state(optimiser, heading["optimiser"], stored))
            if schedule is not None:
                schedule.load_state_dict(heading["schedule"])
        except (KeyError, ValueError, RuntimeError, TypeError) as error:
            raise ModelError(
                f"The training state {self.path} does not fit this version ({error}); delete it to train from the "
                "start."
            ) from None
        torch.set_rng_state(stored["random"])
        if torch.cuda.is_available():
            torch.cuda.set_rng_state_all([stored[name] for name in sorted(stored) if name.startswith("cuda")])
        return heading["step"], heading["notes"]

    def save(
        self,
        step: int,
        modules: Mapping[str, nn.Module],
        optimiser: Optimizer,
        schedule: LRScheduler | None = None,
        tensors: Mapping[str, Tensor] | None = None,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the state after `step` steps, whole or not at all."""
        if self.path is None:
            return
        stored = _named_tensors(modules, tensors)
        state = optimiser.state_dict()
        plain: dict[str, dict[str, Any]] = {}
        for index, values in state["state"].items():
            for name, value in values.items():
                if isinstance(value, Tensor):
                    stored[f"optimiser.{index}.{name}"] = value
                else:
                    plain.setdefault(str(index), {})[name] = value
        stored["random"] = torch.get_rng_state()
        if torch.cuda.is_available():
            stored |= {f"cuda{n:03d}": value for n, value in enumerate(torch.cuda.get_rng_state_all())}
        heading = {
            "fingerprint": self.fingerprint, "step": step, "notes": dict(notes or {}),
            "optimiser": {"groups": state["param_groups"], "plain": plain},
            "schedule": schedule.state_dict() if schedule is not None else None,
        }  # fmt: skip
        # copies, because safetensors refuses tensors that share memory
        copies = {name: value.detach().cpu().contiguous().clone() for name, value in stored.items()}
        with replacing(self.path) as temporary:
            save_file(copies, temporary, metadata={"state": json.dumps(heading)})
        self._saved = time.monotonic()

    def offer(self, *arguments: Any, **named: Any) -> None:
        """`save`, unless the last one is younger than `seconds`."""
        if time.monotonic() - self._saved >= self.seconds:
            self.save(*arguments, **named)

    def finish(self) -> None:
        """The training is over and its result written: drop the file."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


UNSAVED = TrainingState(None, "")


def _named_tensors(
    modules: Mapping[str, nn.Module], tensors: Mapping[str, Tensor] | None
) -> dict[str, Tensor]:
    """All tensors of a training but the optimiser's, by the names they have in its file."""
    named = {
        f"module.{module}.{name}": value
        for module, part in modules.items()
        for name, value in part.state_dict().items()
    }
    return named | {f"tensor.{name}": value for name, value in (tensors or {}).items()}


def _optimiser_state(
    optimiser: Optimizer, heading: dict[str, Any], stored: dict[str, Tensor]
) -> dict[str, Any]:
    """A state dict as the optimiser gives it: JSON knows neither tuples (Adam's betas) nor numbers as keys."""
    state: dict[int, dict[str, Any]] = {
        int(index): dict(values) for index, values in heading["plain"].items()
    }
    for name, value in stored.items():
        if name.startswith("optimiser."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = value
    groups = []
    for group, present in zip(heading["groups"], optimiser.param_groups, strict=True):
        groups.append(
            {
                name: tuple(value) if isinstance(present.get(name), tuple) else value
                for name, value in group.items()
            }
        )
    return {"state": state, "param_groups": groups}
