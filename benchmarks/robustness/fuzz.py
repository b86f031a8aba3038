"""Every reader of files from strangers, given damaged files: a valid result or one typed error with a sentence.

Coverage-guided: an input that reaches a line of ours that none reached before is kept, and damaged further. It runs in
a process of its own (`python -m benchmarks.robustness.fuzz`), so that an input that ends or hangs the process is a
finding as well. Where `atheris` is installed, `--atheris NAME` lets libFuzzer choose.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import ROOT
from benchmarks.robustness import mutations
from opendiff.errors import OpenDiffError
from planning.errors import PlanningError

if TYPE_CHECKING:
    from benchmarks.robustness.parsers import Parser

WATCHED = tuple(f"{ROOT / name}{os.sep}" for name in ("app", "opendiff", "planning", "plannerbase"))
HUNG_S = 60.0  # of processor time on one input
STUCK_S = (
    1800.0  # by the clock: a process that waits uses no processor, one on a busy machine gets little of it
)
MEMORY_BYTES = 6_000_000_000  # more than that for a small file is a bomb that went off
LONGEST_INPUT = 1_000_000


@dataclass(frozen=True)
class Finding:
    """An input that broke the contract: which parser, what came out, and the file's SHA-256."""

    parser: str
    what: str
    trace: str
    digest: str


def attempt(parser: Parser, data: bytes, folder: Path) -> Finding | None:
    """Give one input to a parser; None where the contract holds."""
    path = folder / f"input{Path(parser.name).suffix}"
    path.write_bytes(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parser.read(path)
    except (OpenDiffError, PlanningError) as error:
        fault = unclear(str(error), folder)
        return Finding(parser.name, fault, str(error), _digest(data)) if fault else None
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)
        at = next((f for f in reversed(last) if f.filename.startswith(WATCHED)), last[-1])
        what = f"{type(error).__name__} at {Path(at.filename).name}:{at.lineno}"
        return Finding(parser.name, what, traceback.format_exc(), _digest(data))
    return None


def unclear(sentence: str, folder: Path) -> str | None:
    """What is wrong with an error's text, or None: it is one line, ends in a full stop, is short, names no folder of
    ours."""
    if not sentence.strip() or "\n" in sentence.strip() or "Traceback" in sentence:
        return "the error is not one line"
    if not sentence.rstrip().endswith("."):
        return "the error is no sentence"
    if len(sentence) > 1500:
        return "the error is longer than anybody reads"
    private = sentence.replace(str(folder), "").replace(os.environ.get("OPENDIFF_CACHE", str(folder)), "")
    return "the error names a temporary folder" if tempfile.gettempdir() + "/tmp" in private else None


class Reached:
    """The lines of ours that ran, while it is entered."""

    def __init__(self) -> None:
        self.lines: set[tuple[str, int]] = set()

    def __enter__(self) -> Reached:
        self._before = sys.gettrace()  # of a debugger, or of who measures the coverage of tests
        sys.settrace(self._enter)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(WATCHED) else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self.lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line


def inputs(parser: Parser, count: int, seed: int) -> Iterator[tuple[bytes, Callable[[set], None]]]:
    """`count` inputs: the valid files, then damaged ones. Tell which lines each reached: what is new is damaged on."""
    rng = np.random.default_rng([seed, *parser.name.encode()])
    valid = parser.seeds()
    pool = list(valid)
    known: set = set()
    for number in range(count):
        if number < len(valid):
            data = valid[number]
        else:
            # half of the time one of the last finds, for behind a new line there may be more
            recent = pool[-8:] if rng.random() < 0.5 else pool
            data = mutations.mutated(recent[int(rng.integers(len(recent)))], parser.kind, rng, tuple(pool))[
                :LONGEST_INPUT
            ]

        def tell(lines: set, data: bytes = data) -> None:
            if not lines <= known:
                known.update(lines)
                pool.append(data)

        yield data, tell


def fuzz(
    parser: Parser, count: int, seed: int, folder: Path, began: Callable[[bytes], None]
) -> list[Finding]:
    """Findings of `count` inputs, one of each kind. began: told before an input is tried."""
    found: dict[str, Finding] = {}
    for data, tell in inputs(parser, count, seed):
        began(data)
        with Reached() as reached:
            finding = attempt(parser, data, folder)
        tell(reached.lines)
        if finding is not None and finding.what not in found:
            found[finding.what] = finding
            keep = folder.parent / "findings"
            keep.mkdir(exist_ok=True)
            (keep / f"{finding.digest}{Path(parser.name).suffix}").write_bytes(data)
    return list(found.values())


def run_apart(names: list[str], count: int, seed: int, folder: Path) -> tuple[int, list[Finding]]:
    """`count` inputs for each of the parsers in a process of its own, started again where an input ends or hangs it;
    returns how many were tried and what was found. `folder` keeps inputs of findings."""
    tried, found, left = 0, [], list(names)
    attempts = 0
    while left:
        attempts += 1
        state, current = folder / "state.json", folder / "current"
        state.unlink(missing_ok=True)
        command = [
            sys.executable,
            "-m",
            "benchmarks.robustness.fuzz",
            json.dumps(left),
            str(count),
            str(seed + attempts),
            str(folder),
        ]
        with (folder / "errors").open("w+") as errors_file:  # a pipe that nobody empties would stop the child
            child = subprocess.Popen(command, cwd=ROOT, stdout=errors_file, stderr=errors_file)
            hung = _wait(child, folder / "beat")
            errors_file.seek(0)
            errors = errors_file.read()
        done: dict[str, Any] = {"done": [], "tried": 0, "findings": []}
        if state.is_file():
            done = json.loads(state.read_text())
        tried += done["tried"]
        found += [Finding(**finding) for finding in done["findings"]]
        left = [name for name in left if name not in done["done"]]
        if child.returncode == 0:
            break
        if not left:
            raise RuntimeError(
                f"The process ended with {child.returncode} after its last input: {errors[-2000:]}"
            )
        data = current.read_bytes() if current.is_file() else b""
        what = "the process hung" if hung else f"the process ended with {child.returncode}"
        found.append(Finding(left[0], what, errors[-2000:], _digest(data)))
        (folder / "findings").mkdir(exist_ok=True)
        (folder / "findings" / _digest(data)).write_bytes(data)
        left = left[1:]
    return tried, found


def _wait(child: subprocess.Popen, beat: Path) -> bool:
    """Wait for the process; True where it had to be ended because it no longer came to a next input."""
    last, used = time.monotonic(), 0.0
    seen = 0.0
    while child.poll() is None:
        time.sleep(0.2)
        now = beat.stat().st_mtime if beat.is_file() else 0.0
        spent = _processor_seconds(child.pid)
        if now != seen:
            seen, last, used = now, time.monotonic(), spent or 0.0
        waited = time.monotonic() - last
        if waited > (HUNG_S if spent is None else STUCK_S) or (spent or 0.0) - used > HUNG_S:
            child.kill()
            child.wait()
            return True
    return False


def _processor_seconds(pid: int) -> float | None:
    """What a process has used so far; None where the machine does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def _child(names: list[str], count: int, seed: int, folder: Path) -> None:
    from benchmarks.robustness.parsers import PARSERS

    _limit_memory()
    done, tried, findings = [], 0, []
    with tempfile.TemporaryDirectory(dir=folder) as work:

        def began(data: bytes) -> None:
            nonlocal tried
            tried += 1
            (folder / "current").write_bytes(data)
            if tried % 20 == 1:
                (folder / "beat").write_text(str(tried))

        for name in names:
            findings += fuzz(PARSERS[name], count, seed, Path(work), began)
            done.append(name)
            state = {"done": done, "tried": tried, "findings": [asdict(f) for f in findings]}
            (folder / "state.json").write_text(json.dumps(state))


def _limit_memory() -> None:
    try:
        import resource

        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY_BYTES, resource.RLIM_INFINITY))
    except (ImportError, OSError, ValueError):
        return  # without such limits a bomb is found by what it does to the machine


def _atheris(name: str, arguments: list[str]) -> None:
    import atheris

    with atheris.instrument_imports(include=["app", "opendiff", "planning", "plannerbase"]):
        from benchmarks.robustness.parsers import PARSERS

    parser = PARSERS[name]
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    seeds = tuple(parser.seeds())

    def one(data: bytes) -> None:
        if finding := attempt(parser, data, folder):
            raise RuntimeError(f"{finding.what}\n{finding.trace}")

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        rng = np.random.default_rng(seed)
        if rng.random() < 0.3:
            return atheris.Mutate(data, most)
        return mutations.mutated(data or seeds[0], parser.kind, rng, seeds)[:most]

    corpus = folder / "corpus"
    corpus.mkdir()
    for number, data in enumerate(seeds):
        (corpus / str(number)).write_bytes(data)
    atheris.Setup(
        [sys.argv[0], f"-max_len={LONGEST_INPUT}", *arguments, str(corpus)], one, custom_mutator=mutate
    )
    atheris.Fuzz()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


if __name__ == "__main__":
    if sys.argv[1] == "--atheris":
        _atheris(sys.argv[2], sys.argv[3:])
    else:
        _child(json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
