"""Jobs: order, progress, cancelling and failure. Events, not sleeping, decide the order of things."""

import threading

import pytest

from app.server import jobs
from tests.app.making import WAIT, until_finished


def test_a_result_is_kept_until_it_is_asked_for():
    job = until_finished(jobs.start("add", lambda job: 1 + 1, deliver=lambda space, result: None))
    assert (job.state, job.result, job.error) == ("done", 2, None)


def test_steps_of_a_job_share_its_progress():
    told = []

    def work(job):
        for report in (job.part(0.0, 0.25, "first: "), job.part(0.25, 1.0, say=str.upper)):
            for done in range(3):
                report(done, 2, "step")
                told.append((job.fraction, job.what))
        job.part(0.5, 0.5)(0, 0)  # a step of nothing

    assert until_finished(jobs.start("steps", work, lambda space, result: None)).error is None
    assert [fraction for fraction, _ in told] == pytest.approx([0, 0.125, 0.25, 0.25, 0.625, 1], abs=1e-3)
    assert [what for _, what in told] == 3 * ["first: step"] + 3 * ["STEP"]


def test_cancel_stops_the_work_at_its_next_report():
    reported, go_on = threading.Event(), threading.Event()

    def work(job):
        job.report(1, 2, "half")
        reported.set()
        go_on.wait(WAIT)
        job.report(2, 2)
        raise AssertionError("went on after Cancel")

    job = jobs.start("long", work, lambda space, result: None)
    assert reported.wait(WAIT)
    assert job.fraction == 0.5 and job.what == "half" and not job.over
    job.cancel()
    assert job.over
    go_on.set()
    assert until_finished(job).state == "cancelled"


def test_what_is_raised_is_kept():
    def work(job):
        raise ValueError("no")

    job = until_finished(jobs.start("fail", work, lambda space, result: None))
    assert job.state == "failed" and isinstance(job.error, ValueError)


def test_one_job_at_a_time_and_a_waiting_one_can_be_cancelled():
    running, go_on = threading.Event(), threading.Event()

    def first(job):
        running.set()
        go_on.wait(WAIT)

    one = jobs.start("one", first, lambda space, result: None)
    assert running.wait(WAIT)
    two, three = (
        jobs.start(name, lambda job: "ran", lambda space, result: None) for name in ("two", "three")
    )
    assert two.state == three.state == "waiting"
    two.cancel()
    assert until_finished(two).state == "cancelled"
    go_on.set()
    assert until_finished(one).state == "done"
    assert until_finished(three).result == "ran"


@pytest.mark.parametrize(("done", "total", "fraction"), [(0, 0, 0), (1, 4, 0.25), (9, 4, 1)])
def test_fraction(done, total, fraction):
    job = jobs.Job("x", lambda space, result: None)
    job.report(done, total)
    assert job.fraction == fraction
    assert job.seconds_left is None  # not started


@pytest.fixture
def time_passes(monkeypatch):
    """A clock that only moves when it is told to."""
    now = [1000.0]
    monkeypatch.setattr(jobs, "clock", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def stepped(bounds):
    """A job that reports whenever the returned function is called, and waits for the report to have been made."""
    go, made = threading.Semaphore(0), threading.Semaphore(0)

    def work(job):
        while True:
            go.acquire(timeout=WAIT)
            try:
                job.report(1, 2)
            finally:
                made.release()

    def step():
        go.release()
        assert made.acquire(timeout=WAIT)

    return jobs.start("stepped", work, lambda space, result: None, bounds), step


def test_work_ends_when_nobody_has_waited_for_it_for_long_enough(time_passes):
    here = [True]
    job, step = stepped(jobs.Bounds(gone_seconds=60, waited_for=lambda: here[0]))
    time_passes(1000)
    step()
    here[0] = False
    step()
    time_passes(59)
    step()
    here[0] = True  # back in time: the clock of being gone starts anew
    step()
    here[0] = False
    step()
    time_passes(59)
    step()
    assert not job.over
    time_passes(1)
    step()
    assert until_finished(job).state == "cancelled" and job.error is None


def test_work_that_takes_too_long_ends_with_a_sentence(time_passes):
    job, step = stepped(jobs.Bounds(run_seconds=120))
    time_passes(120)
    step()
    assert not job.over
    time_passes(1)
    step()
    assert until_finished(job).state == "cancelled"
    assert isinstance(job.error, jobs.TooLong) and "the 2 minutes" in str(job.error)


def test_a_waiting_job_of_somebody_gone_leaves_the_queue():
    running, go_on = threading.Event(), threading.Event()
    first = jobs.start("first", lambda job: (running.set(), go_on.wait(WAIT)), lambda space, result: None)
    assert running.wait(WAIT)
    gone = jobs.Bounds(gone_seconds=0, waited_for=lambda: False)
    second = jobs.start("second", lambda job: "ran", lambda space, result: None, gone)
    assert until_finished(second).state == "cancelled"
    go_on.set()
    until_finished(first)


def test_turns_go_round_by_owner():
    """Ten jobs of one owner delay another's first job by the one that runs, and nobody's second job waits for ever."""
    ran, running, go_on = [], threading.Event(), threading.Event()

    def job_of(owner, number):
        def work(job):
            if (owner, number) == ("a", 0):
                running.set()
                go_on.wait(WAIT)
            ran.append(f"{owner}{number}")
            if owner in "cd" and number < 5:  # they come again as soon as they are done
                later.append(start(owner, number + 1))

        return work

    def start(owner, number):
        return jobs.start(f"{owner}{number}", job_of(owner, number), lambda space, result: None, owner=owner)

    later, many = [], [start("a", n) for n in range(10)]
    assert running.wait(WAIT)
    others = [start(owner, n) for n in range(2) for owner in "bc"] + [start("d", 0)]
    go_on.set()
    for job in (*many, *others):
        until_finished(job)
    for job in later:
        until_finished(job)
    assert ran[:4] == ["a0", "b0", "c0", "d0"]
    assert ran.index("b1") <= 8 and [r for r in ran if r[0] == "a"] == [f"a{n}" for n in range(10)]
    assert ran.index("a5") > ran.index("d3")  # no owner gets a second turn of a round


def test_an_owner_has_no_more_jobs_than_allowed():
    go_on = threading.Event()
    start = lambda owner: jobs.start(  # noqa: E731
        "held", lambda job: go_on.wait(WAIT), lambda space, result: None, owner=owner, most_waiting=2
    )
    held = [start("a"), start("a"), start("b")]
    with pytest.raises(jobs.TooMany, match="2 pieces of your work"):
        start("a")
    go_on.set()
    for job in held:
        until_finished(job)


def test_what_is_finished_is_handed_over_while_the_work_goes_on():
    published, go_on = threading.Event(), threading.Event()

    def work(job):
        job.publish("first")
        job.publish("second")
        published.set()
        go_on.wait(WAIT)
        return "all"

    job = jobs.start("parts", work, lambda space, result: None)
    assert published.wait(WAIT)
    assert job.has_published and job.take_published() == "second"
    assert not job.has_published and job.take_published() is None and not job.over
    go_on.set()
    assert until_finished(job).result == "all"


def test_idle_seconds_begin_when_the_last_job_ends(monkeypatch):
    go_on = threading.Event()
    now = [100.0]
    monkeypatch.setattr(jobs, "clock", lambda: now[0])
    job = jobs.start("long", lambda job: go_on.wait(WAIT), lambda space, result: None)
    assert jobs.idle_seconds() == 0.0
    now[0] = 150.0
    go_on.set()
    until_finished(job)
    job.thread.join(WAIT)
    now[0] = 153.0
    assert jobs.idle_seconds() == 3.0
