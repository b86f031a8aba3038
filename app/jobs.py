"""Long work in a thread of its own, with progress, time left and a Cancel that works, whatever page is open.

The worker knows nothing of Streamlit: it calls `job.report`, which raises `Cancelled` once the user has pressed
Cancel. A finished job is delivered in the next run of the script. One job runs at a time on a server, because each
uses all cores; the others wait their turn and say so.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_turn = threading.Condition()
_queue: list["Job"] = []  # the first of them runs; the others have their turn in the order of their clicks
_POLL_SECONDS = 0.1


class Cancelled(Exception):
    """Raised inside the work when the user has pressed Cancel."""


@dataclass(eq=False)
class Job:
    """One piece of long work; `state` goes waiting, running, then done, failed or cancelled."""

    label: str
    deliver: Callable[[Any], None]  # called with the result, in the script run that finds the job done
    page: str = ""
    state: str = "waiting"
    done: int = 0
    total: int = 0
    what: str = ""
    result: Any = None
    error: Exception | None = None
    started: float = 0.0
    after: list[Callable[[], None]] = field(default_factory=list)  # called before `deliver`, in the same run
    _cancel: threading.Event = field(default_factory=threading.Event)

    @property
    def finished(self) -> bool:
        return self.state in ("done", "failed", "cancelled")

    @property
    def over(self) -> bool:
        """Nothing more will come of it. A solver in the middle of a call ends later, at its time limit at most."""
        return self.finished or self.cancelled()

    @property
    def fraction(self) -> float:
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started if self.started else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds still to go at the pace so far, or None while that would be a guess."""
        if not 0.02 < self.fraction <= 1 or self.seconds < 1:
            return None
        return self.seconds * (1 - self.fraction) / self.fraction

    def report(self, done: int, total: int, what: str = "") -> None:
        """Tell how far the work is; raises Cancelled after `cancel`."""
        if self._cancel.is_set():
            raise Cancelled
        self.done, self.total, self.what = done, total, what

    def cancel(self) -> None:
        self._cancel.set()

    def cancelled(self) -> bool:
        return self._cancel.is_set()


def start(label: str, work: Callable[[Job], Any], deliver: Callable[[Any], None], page: str = "") -> Job:
    """Run `work(job)` in a thread; its result goes to `deliver` in a later script run."""
    job = Job(label, deliver, page)
    with _turn:
        _queue.append(job)
    threading.Thread(target=_run, args=(job, work), name=f"job: {label}", daemon=True).start()
    return job


def _run(job: Job, work: Callable[[Job], Any]) -> None:
    try:
        with _turn:
            while _queue[0] is not job and not job.cancelled():
                _turn.wait(_POLL_SECONDS)
        if job.cancelled():
            raise Cancelled
        job.started, job.state = time.monotonic(), "running"
        result = work(job)
        if job.cancelled():
            raise Cancelled
        job.result, job.state = result, "done"
    except Cancelled:
        job.state = "cancelled"
    except Exception as error:
        job.error, job.state = error, "cancelled" if job.cancelled() else "failed"
    finally:
        with _turn:
            _queue.remove(job)
            _turn.notify_all()
