"""Long work in a thread of its own, with progress, time left and a Cancel that works, whatever page is open.

The worker knows nothing of Streamlit: it calls `job.report`, which raises `Cancelled` once the user has pressed
Cancel, has been gone for too long, or the work has taken longer than it may. A finished job is delivered in the next
run of the script, to the workspace of whoever waits for it then. One job runs at a time on a server, because each uses
all cores; the others wait their turn and say so.

Turns go round by owner: of the jobs of one owner each belongs to a later round, and a round has one job of every owner
in the order of their clicks. So a user with ten jobs keeps another's first one waiting for one of them only.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from plannerbase import formats
from plannerbase.errors import Cancelled
from plannerbase.progress import Progress
from planning.errors import PlanningError
from planning.solver.interruption import stops_when

_turn = threading.Condition()
_queue: list[
    "Job"
] = []  # the first of them runs; the others wait by round, in each round in the order of their clicks
_rounds: dict[str, int] = {}  # owner: the last round that a job of theirs was put into
_POLL_SECONDS = 0.1
clock = time.monotonic
_last_end = clock()  # of a job; of none yet, when this module was loaded


class TooLong(PlanningError):
    """The work took longer than one piece of work may."""


class TooMany(PlanningError):
    """One owner has more work waiting than a server takes."""


@dataclass(frozen=True)
class Bounds:
    """When a job ends by itself: seconds that it may run, and seconds that it goes on with nobody waiting for it."""

    run_seconds: float = math.inf
    gone_seconds: float = math.inf
    waited_for: Callable[[], bool] = lambda: True


@dataclass(eq=False)
class Job:
    """One piece of long work; `state` goes waiting, running, then done, failed or cancelled."""

    label: str
    deliver: Callable[[Any, Any], None]  # with a workspace and the result, in the run that finds the job done
    bounds: Bounds = Bounds()
    owner: str = ""
    round: int = 0
    state: str = "waiting"
    done: int = 0
    total: int = 0
    what: str = ""
    result: Any = None
    error: Exception | None = None
    started: float = 0.0
    after: list[Callable[[Any], None]] = field(default_factory=list)  # with the workspace, before `deliver`
    partial: Callable[[], Any] | None = (
        None  # makes the result of what is finished, for a job that is cancelled
    )
    _published: deque[Any] = field(default_factory=lambda: deque(maxlen=1))
    _cancel: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread = field(default_factory=threading.Thread)
    _gone_since: float | None = None

    @property
    def finished(self) -> bool:
        return self.state in ("done", "failed", "cancelled")

    @property
    def over(self) -> bool:
        """Nothing more will come of it. CBC in the middle of a call ends later, at its time limit at most."""
        return self.finished or self.cancelled()

    @property
    def fraction(self) -> float:
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def seconds(self) -> float:
        return clock() - self.started if self.started else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds still to go at the pace so far, or None while that would be a guess."""
        if not 0.02 < self.fraction <= 1 or self.seconds < 1:
            return None
        return self.seconds * (1 - self.fraction) / self.fraction

    def report(self, done: int, total: int, what: str = "") -> None:
        """Tell how far the work is; raises Cancelled where it is to end."""
        if self.cancelled():
            raise Cancelled
        self.done, self.total, self.what = done, total, what

    def publish(self, result: Any) -> None:
        """Hand over what is finished so far, for `deliver`; the work goes on. A later one takes its place."""
        self._published.append(result)

    @property
    def has_published(self) -> bool:
        """Whether there is something to take."""
        return bool(self._published)

    def take_published(self) -> Any:
        """What was published last and not taken yet, None where that is nothing."""
        try:
            return self._published.pop()
        except IndexError:
            return None

    def part(self, begin: float, end: float, before: str = "", say: Callable[[str], str] = str) -> Progress:
        """Progress of a step that is the part of this job from share `begin` to share `end`.

        What it tells is put in words by `say` and goes behind `before`.
        """

        def report(done: int, total: int, what: str = "") -> None:
            self.report(
                round(1000 * (begin + (end - begin) * done / max(total, 1))), 1000, before + say(what)
            )

        return report

    def cancel(self) -> None:
        """Let it end at its next report, or in the solver as soon as that can be interrupted."""
        self._cancel.set()

    def cancelled(self) -> bool:
        """Whether it is to end: by its user, or beyond its bounds."""
        if not self.finished and not self._cancel.is_set():
            self._keep_to_bounds()
        return self._cancel.is_set()

    def forgotten(self) -> bool:
        """Whether nobody has waited for it for as long as its bounds allow."""
        if self.bounds.waited_for():
            self._gone_since = None
            return False
        if self._gone_since is None:
            self._gone_since = clock()
        return clock() - self._gone_since >= self.bounds.gone_seconds

    def _keep_to_bounds(self) -> None:
        if self.started and clock() - self.started > self.bounds.run_seconds:
            minutes = self.bounds.run_seconds / 60
            self.error = TooLong(
                f"{self.label} took longer than the {formats.general(minutes)} minutes that this server gives "
                "to one piece of work; "
                "ask for less: a smaller area, fewer samples or a shorter time limit."
            )
            self.cancel()
        elif self.forgotten():
            self.cancel()


def start(
    label: str,
    work: Callable[[Job], Any],
    deliver: Callable[[Any, Any], None],
    bounds: Bounds | None = None,
    owner: str = "",
    most_waiting: int = 100,
) -> Job:
    """Run `work(job)` in a thread; its result goes to `deliver` in a later script run.

    owner: whose turn it takes. most_waiting: jobs of the owner, running or waiting. Raises TooMany beyond them.
    """
    job = Job(label, deliver, bounds or Bounds(), owner)
    with _turn:
        held = sum(other.owner == owner for other in _queue)
        if held >= most_waiting:
            raise TooMany(
                f"{held} pieces of your work are running or waiting, as many as this server takes; cancel one, or "
                "wait until one is done."
            )
        _queue_up(job)
    job.thread = threading.Thread(
        target=_run, args=(job, work, formats.current()), name=f"job: {label}", daemon=True
    )
    job.thread.start()
    return job


def idle_seconds() -> float:
    """Since the last job ended; 0 while one runs or waits."""
    return 0.0 if _queue else clock() - _last_end


def _queue_up(job: Job) -> None:
    """Put a job into its round: the present one, or the one after its owner's last. The running job stays first."""
    present = _queue[0].round if _queue else 0
    for owner in [owner for owner, last in _rounds.items() if last < present or not _queue]:
        del _rounds[owner]
    job.round = _rounds[job.owner] = max(present, _rounds.get(job.owner, present - 1) + 1)
    at = next((n for n, other in enumerate(_queue) if n and other.round > job.round), len(_queue))
    _queue.insert(at, job)


def _run(job: Job, work: Callable[[Job], Any], style: formats.Style) -> None:
    global _last_end
    try:
        with _turn:
            while _queue[0] is not job and not job.cancelled():
                _turn.wait(_POLL_SECONDS)
        if job.cancelled():
            raise Cancelled
        job.started, job.state = clock(), "running"
        with formats.using(style), stops_when(job.cancelled):
            result = work(job)
        if job.cancelled():
            raise Cancelled
        job.result, job.state = result, "done"
    except Cancelled:
        job.state = "cancelled"
    except Exception as error:
        if job.cancelled():
            job.state = "cancelled"
        else:
            job.error, job.state = error, "failed"
    finally:
        with _turn:
            _queue.remove(job)
            _last_end = clock()
            _turn.notify_all()
