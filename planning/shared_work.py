"""A planner's work in tasks: done here or by several processes, and kept in a folder so that a stopped run goes on.

A task is a function of a module and its argument; its result is a dictionary of arrays. Results are the same whoever
does the tasks, so that what was kept by one run serves another with more workers or fewer.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse

from plannerbase.locks import held
from plannerbase.progress import Progress
from plannerbase.workers import Workers, WorkersError, work_here
from planning.atomic import write_whole
from planning.errors import ClusterError, InputError

RUN_FILE, LOCK_FILE = "run.json", "lock"
FORMAT = 1  # of the files of a folder, and of what the tasks of a planner are: another one is another run

Arrays: TypeAlias = "dict[str, np.ndarray]"


class Lazily(Sequence[Any]):
    """Tasks that are made when they are asked for: workers are at the first ones while the others are made."""

    def __init__(self, count: int, make: Callable[[int], Any]):
        self._count, self._make = count, make

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: Any) -> Any:
        if not 0 <= number < self._count:
            raise IndexError(number)
        return self._make(number)


@dataclass(frozen=True)
class WorkFolder:
    """Results of the tasks of one run, each a file that is written whole or not at all. Made by `work_folder`."""

    path: Path

    def read(self, name: str) -> Arrays | None:
        """A result; None where it is not there, or damaged."""
        try:
            with np.load(self.path / f"{name}.npz", allow_pickle=False) as arrays:
                return {key: arrays[key] for key in arrays.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None

    def write(self, name: str, arrays: Arrays) -> None:
        """Keep a result. Raises InputError where the folder cannot be written."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        write_whole(self.path / f"{name}.npz", lambda part: part.write_bytes(buffer.getvalue()))


@contextmanager
def work_folder(path: Path, planner: str, run: str) -> Iterator[WorkFolder]:
    """The folder of a run, made where it is missing, for one process at a time.

    Parameters
    ----------
    planner : what is planned, for the messages.
    run : `fingerprint` of all that decides the results.

    Raises
    ------
    InputError
        Where the folder holds something else, or the work of another run, or cannot be written.
    ClusterError
        Where another process works in it.
    """
    try:
        path.mkdir(exist_ok=True)
        names = {file.name for file in path.iterdir() if not file.name.startswith(".")}
    except OSError as error:
        raise InputError(
            f"The folder {path} cannot be made ({error.strerror}); name another --work."
        ) from None
    if names - {LOCK_FILE}:
        try:
            before = json.loads((path / RUN_FILE).read_text(encoding="utf-8"))
            known = before["planner"], before["run"]
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(
                f"{path} holds something else than a planner's work; name another --work."
            ) from None
        if known != (planner, run):
            raise InputError(
                f"{path} holds the work of another run ({known[0]} with other input or settings); name another --work, "
                "or remove the folder."
            )

    def busy() -> None:
        raise ClusterError(f"Another process works in {path}; wait for it, or name another --work.")

    try:
        lock = (path / LOCK_FILE).open("a+b")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); name another --work.") from None
    with held(lock, busy):
        text = json.dumps({"planner": planner, "run": run}, indent=1) + "\n"
        write_whole(path / RUN_FILE, lambda part: part.write_text(text, encoding="utf-8"))
        yield WorkFolder(path)


@dataclass(frozen=True)
class SharedWork:
    """Who does the tasks, and where results are kept.

    Attributes
    ----------
    workers : processes, or this one.
    folder : where `--work` keeps results, those of each run in a folder of its own; None keeps none.
    """

    workers: Workers = work_here
    folder: Path | None = None

    @contextmanager
    def run(self, planner: str, *decisive: Any) -> Iterator[Run]:
        """A run of a planner whose results depend on `decisive` alone; arguments as of `fingerprint`. Other input or
        settings are another run, beside this one. Raises InputError or ClusterError as `work_folder` does."""
        if self.folder is None:
            yield Run(self.workers, None)
            return
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(
                f"The folder {self.folder} cannot be made ({error.strerror}); name another --work."
            ) from None
        number = fingerprint(FORMAT, planner, *decisive)
        with work_folder(self.folder / f"{planner}-{number[:12]}", planner, number) as kept:
            yield Run(self.workers, kept)

    def done(
        self,
        function: Callable[[Any], Any],
        tasks: Sequence[Any],
        what: str,
        progress: Progress | None = None,
    ) -> list[Any]:
        """The results of all tasks in their order, of whatever kind; none is kept. Raises ClusterError."""
        found: dict[int, Any] = {}
        try:
            for number, result in self.workers(function, tasks):
                found[number] = result
                if progress:
                    progress(len(found), len(tasks), what)
        except WorkersError as error:
            raise ClusterError(str(error)) from None
        return [found[number] for number in range(len(tasks))]


@dataclass(frozen=True)
class Run:
    """One run of a planner, stage by stage."""

    workers: Workers
    kept: WorkFolder | None

    def results(
        self,
        stage: str,
        function: Callable[[Any], Arrays],
        tasks: Sequence[Any],
        progress: Progress | None = None,
    ) -> list[Arrays]:
        """The results of all tasks in their order; those that are kept already are not made again.

        Parameters
        ----------
        stage : name of the stage, unique in its run; of its files and of the progress.
        function : of a module, so that workers find it by name.
        tasks : asked for one by one (`Lazily`), and only where their result is not kept.

        Raises
        ------
        ClusterError
            Where the workers cannot do it. What is finished is kept.
        """
        found: list[Arrays | None] = [
            self.kept.read(f"{stage}-{number:05}") if self.kept else None for number in range(len(tasks))
        ]
        left = [number for number, result in enumerate(found) if result is None]
        asked = Lazily(len(left), lambda place: tasks[left[place]])
        done = len(tasks) - len(left)
        if progress:
            progress(done, len(tasks), stage)
        try:
            for place, result in self.workers(function, asked) if left else ():
                found[left[place]] = result
                if self.kept:
                    self.kept.write(f"{stage}-{left[place]:05}", result)
                done += 1
                if progress:
                    progress(done, len(tasks), stage)
        except WorkersError as error:
            raise ClusterError(str(error)) from None
        return [result for result in found if result is not None]


def fingerprint(*parts: Any) -> str:
    """SHA-256 (hexadecimal) of arrays, sparse matrices, dataclasses of these, and what JSON can hold."""
    digest = hashlib.sha256()

    def add(part: Any) -> None:
        if isinstance(part, np.ndarray):
            if part.dtype == object:
                part = part.astype(str)
            digest.update(f"{part.dtype}{part.shape}".encode() + np.ascontiguousarray(part).tobytes())
        elif sparse.issparse(part):
            part = part.tocsr()
            for array in (np.array(part.shape), part.indptr, part.indices, part.data):
                add(array)
        elif isinstance(part, (tuple, list)) and any(isinstance(p, np.ndarray) for p in part):
            digest.update(f"{len(part)}:".encode())
            add(np.array([len(p) for p in part]))
            add(np.concatenate(part))
        elif is_dataclass(part) and not isinstance(part, type):
            for name, value in vars(part).items():
                if name in part.__dataclass_fields__:
                    digest.update(name.encode())
                    add(value)
        else:
            digest.update(json.dumps(part, sort_keys=True, default=_plain).encode() + b"\n")

    for part in parts:
        add(part)
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} cannot be fingerprinted")
