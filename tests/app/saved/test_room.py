"""The quota of the library: nothing in it is removed, a further scenario is refused in one sentence; two at once."""

import threading
import time

import pytest
import streamlit as st

from app.errors import SavedWorkError
from app.saved import library, open_work, room
from app.server import folders, limits
from app.state.workspace import Workspace


@pytest.fixture
def saved(space, library_folder):
    """The identity of a scenario in the library, and its size in GB."""
    space.work = open_work.new_work()
    identity = library.save(space, "first")
    return identity, (library_folder / f"{identity}.gpkg").stat().st_size / 1e9


def files(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*.gpkg")}


@pytest.mark.parametrize("variable", ["OPENDIFF_LIBRARY_GB", "OPENDIFF_MAX_PERSON_GB"])
def test_another_scenario_is_refused_above_the_quota_and_all_stay(
    space, saved, library_folder, monkeypatch, variable
):
    identity, size = saved
    monkeypatch.setenv(variable, f"{2.5 * size:.9f}")
    second = library.duplicate(identity)
    before = files(library_folder)
    for more in (lambda: library.save(space, "third"), lambda: library.duplicate(second)):
        with pytest.raises(SavedWorkError, match="download and delete scenarios"):
            more()
    assert files(library_folder) == before
    library.rename(second, "another name")  # what is there can still be changed, saved over, and deleted
    library.save(space, "first again", identity)
    library.delete(second)
    library.save(space, "third")


def test_open_work_of_a_new_session_is_refused_in_a_sentence_and_that_of_others_is_kept(
    space, library_folder, monkeypatch
):
    space.work = open_work.new_work()
    open_work.keep(space).result(60)
    monkeypatch.setenv("OPENDIFF_LIBRARY_GB", "1e-9")
    space.rename_area("a new name")
    open_work.keep(space).result(60)  # begun before: it goes on
    before = {p: p.read_bytes() for p in (library_folder / "open work" / space.work).iterdir()}
    assert any(b"a new name" in data for data in before.values())
    space.work, space.saved_versions = open_work.new_work(), {}
    with pytest.raises(SavedWorkError, match="would take"):
        open_work.keep(space)
    assert all(p.read_bytes() == data for p, data in before.items())


def test_two_who_save_at_once_do_not_both_take_the_last_room(space, saved, library_folder, monkeypatch):
    identity, size = saved
    monkeypatch.setenv("OPENDIFF_LIBRARY_GB", f"{2.5 * size:.9f}")
    refused = []

    def save():
        try:
            library.duplicate(identity)
        except SavedWorkError as error:
            refused.append(error)

    threads = [threading.Thread(target=save) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(refused) == 3 and len(files(library_folder)) == 2


def test_a_quota_that_is_no_number_is_one_sentence(space, monkeypatch):
    monkeypatch.setenv("OPENDIFF_LIBRARY_GB", "much")
    with pytest.raises(Exception, match="OPENDIFF_LIBRARY_GB is 'much'") as raised:
        library.save(space, "first")
    assert type(raised.value).__name__ == "SourceError"


@pytest.fixture
def people(monkeypatch):
    """A shared server behind a proxy; says who is in the session now."""
    now = {"user": "ada"}
    monkeypatch.setenv("OPENDIFF_SHARED", "1")
    monkeypatch.setattr(limits, "user", lambda: now["user"])
    return now


def test_open_work_counts_for_its_owner_and_one_person_does_not_fill_the_library_of_all(
    space, people, library_folder, monkeypatch
):
    monkeypatch.setattr(st, "session_state", {"workspace": space})
    space.work = open_work.new_work()
    open_work.keep(space).result(60)
    held = room.size_of_shelf(folders.shelf(space.work)) / 1e9
    assert held > 0 and not (library_folder / "open work" / space.work).exists()
    monkeypatch.setenv("OPENDIFF_MAX_PERSON_GB", f"{1.5 * held:.9f}")
    space.work, space.saved_versions = open_work.new_work(), {}
    open_work.keep(space).result(60)  # more of the same: what is above the quota is not written
    assert room.size_of_shelf(folders.shelf(space.work)) / 1e9 <= 1.5 * held
    with pytest.raises(SavedWorkError, match="Your scenarios and open work"):
        open_work.keep(space)  # and the page says so
    with pytest.raises(SavedWorkError, match="Your scenarios and open work"):
        library.save(space, "in another form")
    people["user"] = "bob"
    library.save(space, "bob has room")


def test_small_changes_do_not_creep_above_the_quota(space, saved, library_folder, monkeypatch):
    path = library_folder / f"{saved[0]}.gpkg"
    monkeypatch.setenv("OPENDIFF_MAX_PERSON_GB", "0.02")
    size, held = path.stat().st_size, {"bytes": 0}
    monkeypatch.setattr(room, "size_of_shelf", lambda shelf: held["bytes"])
    for held["bytes"] in (20_000_000, 29_000_000):
        room.check_growth(library_folder, size, size + 500_000)
    held["bytes"] = 31_000_000
    with pytest.raises(SavedWorkError):
        room.check_growth(library_folder, size, size + 500_000)
    room.check_growth(library_folder, size, size)  # what does not grow can always be changed


def test_work_of_another_user_is_none(space, people):
    space.work = open_work.new_work()
    open_work.keep(space).result(60)
    assert open_work.is_work(space.work)
    people["user"] = "bob"
    open_work.take_in(space.work)
    assert not open_work.is_work(space.work)
    with pytest.raises(SavedWorkError):
        open_work.reopen(space.work, Workspace(work=space.work))
    people["user"] = "ada"
    assert open_work.is_work(space.work)


def test_work_of_an_earlier_version_goes_to_whoever_has_its_number(
    space, people, library_folder, monkeypatch
):
    space.work = open_work.new_work()
    monkeypatch.setenv("OPENDIFF_SHARED", "0")
    open_work.keep(space).result(60)
    monkeypatch.setenv("OPENDIFF_SHARED", "1")
    assert not open_work.is_work(space.work)
    open_work.take_in(space.work)
    assert open_work.is_work(space.work)
    people["user"] = "bob"
    open_work.take_in(space.work)
    assert not open_work.is_work(space.work)


def test_old_work_of_everybody_is_forgotten(space, people, library_folder):
    for people["user"] in ("ada", "bob"):
        space.work, space.saved_versions = open_work.new_work(), {}
        open_work.keep(space).result(60)
    open_work.forget_old_work()
    assert len(list(library_folder.glob("people/*/open work/*/state.json"))) == 2
    open_work.forget_old_work(now=time.time() + 61 * 86_400)
    assert not list(library_folder.glob("people/*/open work/*/state.json"))
