"""Jobs: order, progress, cancelling and failure. Events, not sleeping, decide the order of things."""

import threading

import pytest

from app import jobs

WAIT = 60  # on a machine with other work; a job that ends sooner is not waited for longer


def until_finished(job):
    for thread in threading.enumerate():
        if thread.name == f"job: {job.label}":
            thread.join(WAIT)
    assert job.finished
    return job


def test_a_result_is_kept_until_it_is_asked_for():
    job = until_finished(jobs.start("add", lambda job: 1 + 1, deliver=lambda result: None))
    assert (job.state, job.result, job.error) == ("done", 2, None)


def test_cancel_stops_the_work_at_its_next_report():
    reported, go_on = threading.Event(), threading.Event()

    def work(job):
        job.report(1, 2, "half")
        reported.set()
        go_on.wait(WAIT)
        job.report(2, 2)
        raise AssertionError("went on after Cancel")

    job = jobs.start("long", work, lambda result: None)
    assert reported.wait(WAIT)
    assert job.fraction == 0.5 and job.what == "half" and not job.over
    job.cancel()
    assert job.over
    go_on.set()
    assert until_finished(job).state == "cancelled"


def test_what_is_raised_is_kept():
    def work(job):
        raise ValueError("no")

    job = until_finished(jobs.start("fail", work, lambda result: None))
    assert job.state == "failed" and isinstance(job.error, ValueError)


def test_one_job_at_a_time_and_a_waiting_one_can_be_cancelled():
    running, go_on = threading.Event(), threading.Event()

    def first(job):
        running.set()
        go_on.wait(WAIT)

    one = jobs.start("one", first, lambda result: None)
    assert running.wait(WAIT)
    two, three = (jobs.start(name, lambda job: "ran", lambda result: None) for name in ("two", "three"))
    assert two.state == three.state == "waiting"
    two.cancel()
    assert until_finished(two).state == "cancelled"
    go_on.set()
    assert until_finished(one).state == "done"
    assert until_finished(three).result == "ran"


@pytest.mark.parametrize(("done", "total", "fraction"), [(0, 0, 0), (1, 4, 0.25), (9, 4, 1)])
def test_fraction(done, total, fraction):
    job = jobs.Job("x", lambda result: None)
    job.report(done, total)
    assert job.fraction == fraction
    assert job.seconds_left is None  # not started
