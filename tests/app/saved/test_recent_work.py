"""Work found again: recent work, names that differ, another tab, and links that only show."""

import re

import pytest
from streamlit.testing.v1 import AppTest

from app.background import generation
from app.errors import SavedWorkError
from app.saved import library, links, open_work
from app.state.figures import local_time as when
from app.state.workspace import Workspace
from tests.app.making import X0, Y0, box_of_tiles
from tests.app.test_pages import TIMEOUT, drawn, texts  # noqa: F401 (a fixture)


@pytest.fixture
def kept(space):
    """The workspace, kept once."""
    space.work = open_work.new_work()
    open_work.keep(space).result()
    return space


def app_of(work="", view=""):
    test = AppTest.from_file("../../../app/main.py", default_timeout=TIMEOUT)
    if work:
        test.query_params[open_work.PARAMETER] = work
    if view:
        test.query_params[open_work.VIEW] = view
    return test.run()


@pytest.fixture(autouse=True)
def quiet(drawn, monkeypatch):  # noqa: F811
    monkeypatch.setattr(generation, "warm_up", lambda: None)


def test_names_do_not_repeat(space):
    first, second, third = (library.save(space, "Plan") for _ in range(3))
    assert [library.name_of(i) for i in (first, second, third)] == ["Plan", "Plan (2)", "Plan (3)"]
    library.save(space, "Plan", first)
    assert library.name_of(first) == "Plan"  # its own name is free for it
    library.rename(third, "Plan")
    assert library.name_of(third) == "Plan (3)"
    copies = [library.name_of(library.duplicate(first)) for _ in range(2)]
    assert copies == ["Plan copy", "Plan copy (2)"]
    long = "x" * library.MAX_NAME
    names = {library.name_of(library.save(space, long)) for _ in range(2)}
    assert len(names) == 2 and max(map(len, names)) == library.MAX_NAME


def test_times_are_told_to_the_second():
    assert re.fullmatch(r"\w{3} \d\d, \d{4} \d\d:\d\d:\d\d", when(1_800_000_000.0))


def test_recent_work_is_offered_on_the_first_page_and_opened_again(kept):
    (found,) = open_work.recent()
    assert (found.identity, found.name) == (kept.work, "Test area")
    test = app_of()
    next(b for b in test.button if b.key == f"recent {kept.work}").click().run()
    assert not test.exception and not test.error
    space = test.session_state["workspace"]
    assert space.work == kept.work and space.traffic.identity == kept.traffic.identity
    assert kept.work in test.query_params[open_work.PARAMETER]


def test_a_change_by_another_tab_is_told_and_not_written_over(kept):
    test = app_of(kept.work)
    mine = test.session_state["workspace"]
    other = Workspace(work=kept.work)
    open_work.reopen(kept.work, other)
    other.rename_area("Changed elsewhere")
    open_work.keep(other).result()
    test.run()
    assert any("Another tab or window changed this work" in text for text in texts(test.warning))
    mine.rename_area("Mine")
    assert open_work.keep(mine) is None
    assert open_work.recent()[0].name == "Changed elsewhere"
    next(b for b in test.button if b.label == "Keep mine as separate work").click().run()
    assert not test.warning and mine.work != kept.work
    assert open_work.changed_elsewhere(mine) is None and open_work.changed_elsewhere(other) is None


def test_the_state_of_another_tab_can_be_loaded(kept):
    test = app_of(kept.work)
    other = Workspace(work=kept.work)
    open_work.reopen(kept.work, other)
    other.rename_area("Changed elsewhere")
    open_work.keep(other).result()
    test.run()
    next(b for b in test.button if b.label == "Load the other state").click().run()
    assert test.session_state["workspace"].area.name == "Changed elsewhere"
    assert not test.warning


def test_a_tab_that_keeps_its_own_changes_is_no_other_one(kept):
    for name in ("one", "two"):
        kept.rename_area(name)
        open_work.keep(kept).result()
        assert open_work.changed_elsewhere(kept) is None


def test_a_read_only_link_shows_and_keeps_nothing(kept, library_folder):
    number = links.link_to(kept)
    assert number == links.link_to(kept) and number != kept.work
    test = app_of(view=number)
    space = test.session_state["workspace"]
    assert space.read_only and space.traffic.identity == kept.traffic.identity
    assert kept.work not in str(test.query_params)
    assert any("Read-only link" in text for text in texts(test.info))
    space.rename_area("changed by a reader")
    assert open_work.keep(space) is None and len(open_work.recent()) == 1
    next(b for b in test.button if b.label == "Make my own copy").click().run()
    assert not space.read_only and space.work != kept.work
    assert not test.exception


@pytest.mark.parametrize("number", ["0" * 32, "../../etc", "x"])
def test_a_link_that_leads_nowhere_is_one_sentence(kept, number):
    with pytest.raises(SavedWorkError, match="gone"):
        links.open_link(number, Workspace())


def test_what_a_reader_draws_is_kept_only_in_a_copy(kept):
    reader = Workspace(work=open_work.new_work())
    links.open_link(links.link_to(kept), reader)
    area = box_of_tiles(X0 + 1, Y0 + 1, X0 + 1, Y0 + 1, "Reader's")
    reader.set_area(area, kept.tiles, 1)
    assert open_work.keep(reader) is None
    open_work.make_own(reader)
    open_work.keep(reader).result()
    assert {work.name for work in open_work.recent()} == {"Reader's", "Test area"}


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), RuntimeError("a fault of ours")])
def test_work_that_could_not_be_kept_is_told_once_and_tried_again(space, monkeypatch, fault):
    def fails():
        raise fault

    space.work = open_work.new_work()
    with monkeypatch.context() as broken:
        broken.setattr(open_work.packing, "pack", lambda space, changed: dict.fromkeys(changed, fails))
        writing = open_work.keep(space)
        assert writing.exception() is (None if isinstance(fault, OSError) else fault)
    with pytest.raises(SavedWorkError, match="cannot be kept"):
        open_work.keep(space)
    until_kept = open_work.keep(space)
    if until_kept is not None:
        until_kept.result()
    assert open_work.keep(space) is None and not space.not_kept
