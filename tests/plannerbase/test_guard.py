"""A reading process can do nothing but read its file; its caller gets a value or one sentence."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from plannerbase import guard
from plannerbase.errors import Cancelled
from plannerbase.sandbox import protection
from tests.plannerbase import guarded_functions as tried
from tests.plannerbase.guarded_functions import FileError, KindOfFileError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not protection().apart, reason="this system cannot fork"),
]
MEMORY = 300_000_000
closed = pytest.mark.skipif(
    not (protection().landlock and protection().seccomp),
    reason="this kernel has neither Landlock nor seccomp",
)


@pytest.fixture(scope="module", autouse=True)
def apart():
    settings = guard.Settings(("tests.plannerbase.guarded_functions",), memory_bytes=MEMORY, seconds=30)
    guard.start(settings)
    guard.warm()
    yield
    guard.stop()


def test_values_come_through_as_they_are(tmp_path):
    table = pd.DataFrame(
        {
            "number": [1, 2, 3],
            "name": ["a", None, "a"],
            "share": [0.5, np.nan, np.inf],
            "day": pd.to_datetime(["2026-01-01", None, "2026-01-03"]),
            "mixed": [1, "x", [1, {"a": None}]],
            "known": [True, False, True],
            7: [1.0, 2.0, 3.0],
        }
    )
    array = np.arange(12, dtype="<i2").reshape(3, 4)[:, ::2]
    got = tried.echo(table, array, b"\x00\xff", {"a": (1, [2.5, None])}, "ü\ud800", float("nan"), tmp_path)
    pd.testing.assert_frame_equal(got[0], table)
    assert np.array_equal(got[1], array) and got[1].dtype == array.dtype
    assert (
        got[2:5] == [b"\x00\xff", {"a": (1, [2.5, None])}, "ü\ud800"]
        and np.isnan(got[5])
        and got[6] == tmp_path
    )


@closed
def test_only_the_file_that_is_named_can_be_read(tmp_path):
    (tmp_path / "given").write_text("given")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    assert tried.read(tmp_path / "given") == "given"
    for path in ("secret", "link", "../secret", "given/../secret"):
        with pytest.raises(guard.ReaderError):
            tried.read(str(tmp_path / path))  # a text is no file that may be read
    for path in (
        "/etc/passwd",
        f"/proc/{os.getpid()}/environ",
        "/proc/self/environ",
        __file__ + "/../../../README.md",
    ):
        with pytest.raises(guard.ReaderError):
            tried.read(path)
    for path in ("/", "/tmp", "/proc", str(tmp_path)):
        with pytest.raises(guard.ReaderError):
            tried.listed(path)


@closed
def test_it_writes_only_below_what_is_named(tmp_path):
    tried.write("a", into=tmp_path)
    assert (tmp_path / "a").read_text() == "x"
    for name in (str(tmp_path / "b"), "/tmp/b"):
        with pytest.raises(guard.ReaderError):
            tried.write(name)
    assert not (tmp_path / "b").exists()


@closed
@pytest.mark.parametrize(
    "way",
    [
        "socket", "local socket", "name", "program", "fork", "signal", "signal to all", "handle", "permissions",
        "owner", "time", "memory", "environment", "root", "more files", "large file",
    ],
)  # fmt: skip
def test_nothing_outside_is_reached(way):
    before = Path("/tmp").stat()
    assert tried.reach_out(way, os.getpid())
    after = Path("/tmp").stat()
    assert (before.st_mode, before.st_uid) == (after.st_mode, after.st_uid)


def test_it_has_nothing_of_the_servers_environment(monkeypatch):
    monkeypatch.setenv("OPENDIFF_SECRET", "secret")
    assert "OPENDIFF_SECRET" not in tried.environment()
    assert tried.start_thread() == [1]  # libraries need threads


def test_limits_end_in_one_typed_sentence():
    for call, words in (
        (tried.endless, "longer than 0.5 seconds"),
        (lambda: tried.allocate(4 * MEMORY), "of memory"),
        (lambda: tried.result_of(MEMORY * 2), "of memory"),
        (tried.end, "ended its reader"),
        (tried.recurse, "nested too deeply"),
    ):
        with pytest.raises(FileError, match=words) as caught:
            call()
        assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
    assert tried.allocate(MEMORY // 10) == MEMORY // 10


def test_errors_keep_their_kind_and_say_one_line():
    with pytest.raises(KindOfFileError, match=r"^It is damaged; export it again\.$"):
        tried.refuse("It is\ndamaged; export it again.")
    with pytest.raises(guard.ReaderError):
        tried.fail()
    with pytest.raises(guard.ReaderError):
        tried.lie()


def test_who_no_longer_wants_it_ends_it():
    asked = []

    def cancelled():
        asked.append(1)
        return len(asked) > 3

    with pytest.raises(Cancelled):
        tried.patient(cancelled=cancelled)
    assert tried.echo(1) == [1]


def test_one_owner_leaves_room_for_others(monkeypatch):
    """Two readings of one owner run for ever; a third of theirs waits, and another's does not."""
    readers, me = guard._readers, threading.local()
    monkeypatch.setattr(
        readers, "settings", guard.Settings((), MEMORY, 30, 4, 2, lambda: getattr(me, "name", "other"))
    )
    over, done = threading.Event(), []

    def hold():
        me.name = "greedy"
        with pytest.raises((Cancelled, FileError)):
            tried.patient(cancelled=over.is_set)

    def third():
        me.name = "greedy"
        done.append(tried.echo(3))

    threads = [threading.Thread(target=hold) for _ in range(2)]
    for thread in threads:
        thread.start()
    while readers._running["greedy"] < 2:
        time.sleep(0.01)
    waiting = threading.Thread(target=third)
    waiting.start()
    assert tried.echo(4) == [4] and not done
    over.set()
    for thread in [*threads, waiting]:
        thread.join()
    assert done == [[3]] and not readers._running.total()


def test_a_warm_process_that_ended_is_started_again():
    guard._readers._warm.kill()
    guard._readers._warm.wait()
    assert tried.echo(5) == [5]


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        tried.echo(1)
        with pytest.raises(FileError):
            tried.end()
    assert not list(tmp_path.iterdir()) and len(os.listdir("/proc/self/fd")) <= before + 1
