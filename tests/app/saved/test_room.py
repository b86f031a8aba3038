"""The quota of the library: nothing in it is removed, a further scenario is refused in one sentence; two at once."""

import threading

import pytest

from app.errors import SavedWorkError
from app.saved import library, open_work


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
    open_work.keep(space).join(60)
    monkeypatch.setenv("OPENDIFF_LIBRARY_GB", "1e-9")
    space.rename_area("a new name")
    open_work.keep(space).join(60)  # begun before: it goes on
    before = {p: p.read_bytes() for p in (library_folder / "open work" / space.work).iterdir()}
    assert any(b"a new name" in data for data in before.values())
    space.work, space.saved_versions = open_work.new_work(), {}
    with pytest.raises(SavedWorkError, match="scenarios and open work on this server"):
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
