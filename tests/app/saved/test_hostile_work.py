"""Scenario files from strangers: what cannot be read leaves the open work as it was; what can be read leaves every page
to be shown, with nothing of a stranger's that a browser would fetch."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from app.errors import SavedWorkError
from app.messages import plain
from app.saved import library, open_work, packing
from app.saved.packing import STATE, TRAFFIC
from app.state import controls
from app.state.workspace import Workspace
from tests.app.test_pages import TIMEOUT, drawn  # noqa: F401 (fixture)

PAGES = ("area", "traffic", "deployment", "sleep", "spectrum", "compare", "export")
PICTURE = "![x](http://evil.example/x.png)"


@pytest.fixture
def parts(space):
    return {name: make() for name, make in packing.pack(space).items()}


def with_state(parts, **changed):
    return parts | {STATE: json.dumps(json.loads(parts[STATE]) | changed).encode()}


@pytest.mark.parametrize(
    "broken", [{TRAFFIC: b"no"}, {STATE: b"{}"}, {STATE: b"[" * 100_000}, {"sleep.npz": b"PK"}]
)
def test_a_file_that_cannot_be_read_leaves_the_open_work_as_it_was(space, parts, broken):
    before, area = space.traffic, space.area
    if "sleep.npz" in broken:  # read only where there are networks
        broken = broken | {"networks.npz": b"PK"}
    with pytest.raises(SavedWorkError):
        packing.unpack(parts | broken, space, controls=False)
    assert space.traffic is before and space.area is area


@pytest.mark.parametrize(
    "changed",
    [
        {"scale": {"kind": "bogus"}},
        {"scale": {"kind": "subscribers", "per_km2": float("nan")}},
        {"scale": {"kind": "subscribers", "per_km2": -5.0}},
        {"scale": {"kind": "busy hour", "busy_mbps": float("inf")}},
        {"scale": {"kind": "busy hour", "busy_mbps": "many"}},
        {"hour": float("inf")},
        {"places": [{"type": "Feature", "geometry": {"type": "Point", "coordinates": ["a", {}]}}]},
        {"equipment": {"RRU": {"idle_w": "much"}}},
        {"area": {"type": "Polygon", "coordinates": [[[0, 0]]]}},
        {"made": {}},
        {"controls": 7},
    ],
    ids=str,
)
def test_a_state_that_makes_no_sense_is_one_sentence(space, parts, changed):
    before = space.traffic
    with pytest.raises(SavedWorkError, match="save the scenario again"):
        packing.unpack(with_state(parts, **changed), space, controls=False)
    assert space.traffic is before


def test_results_derived_from_other_work_with_the_same_identity_are_not_shown(space, parts):
    """A doctored copy keeps the identities of the work it was made from, and has other traffic."""
    was = space.traffic_table().traffic.sum()
    other = Workspace(source=space.source)
    other.set_area(space.area, space.tiles, space.tiles_with_data)
    ensemble = space.traffic.value
    other.traffic = type(space.traffic)(
        type(ensemble)(
            ensemble.tiles, ensemble.traffic * 3, ensemble.users, ensemble.intensities, ensemble.metadata
        ),
        space.traffic.basis,
        space.traffic.identity,
    )
    doctored = {name: make() for name, make in packing.pack(other).items()}
    packing.unpack(doctored, space, controls=False)
    assert space.traffic_table().traffic.sum() == pytest.approx(3 * was, rel=1e-5)


HOSTILE = {
    "samples": "many",
    "seed": [1, 2],
    "guidance": "x",
    "deploy quantile": 7.0,
    "deploy strategies": 5,
    "sleep night": [1, 2, 3],
    "prb users": "all",
    "traffic view": "bogus",
    "to Traffic": True,  # a button
    "live terms": True,  # consent to the terms of a provider
    "workspace": "mine",
    "taken file": "x",
}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_settings_from_a_file_break_no_page(drawn, space, parts, page):  # noqa: F811
    def script(page):
        import importlib

        import streamlit as st

        from app.messages import errors_shown
        from app.saved import packing
        from app.state.workspace import workspace

        if "to open" in st.session_state:
            packing.unpack(st.session_state.pop("to open"), workspace())
        with errors_shown("showing this page"):
            importlib.import_module(f"app.views.{page}").page()

    test = AppTest.from_function(script, args=(page,), default_timeout=TIMEOUT)
    test.session_state["workspace"] = space
    test.session_state["to open"] = with_state(parts, controls=HOSTILE)
    test.run()
    assert not test.exception and not [e.value for e in test.error]
    assert isinstance(test.session_state["workspace"], Workspace)
    for key in ("live terms", "taken file", "to Traffic"):
        assert key not in test.session_state or test.session_state[key] in (False, None)


def test_settings_wait_for_their_page_and_are_saved_again_before_it_is_opened():
    def script():
        import streamlit as st

        from app.state import controls
        from app.state.controls import kept

        if "ask" not in st.session_state:
            st.session_state["ask"] = True
            controls.set_from_file({"n": 5, "other": "x", "list": [{}]})
        st.number_input("n", 1, 9, 2, **kept("n"))
        st.session_state["values"] = controls.values()

    test = AppTest.from_function(script).run()
    assert test.number_input[0].value == 5
    assert test.session_state["values"].items() >= {"n": 5, "other": "x"}.items()
    assert "list" not in test.session_state["values"]
    assert controls._made >= {"n"}


@pytest.mark.parametrize(
    "text", [PICTURE, "[a](http://evil.example)", "\\![x](http://evil.example)", "<img src=x>"]
)
def test_text_of_strangers_is_no_markup(text):
    """Read by an independent parser of Markdown: the text comes out as it is, with no link, picture or HTML in it."""
    markdown = pytest.importorskip("markdown_it").MarkdownIt()
    (_, inline, _) = markdown.parse(plain(text))
    assert {token.type for token in inline.children} <= {"text", "text_special"}
    assert "".join(token.content for token in inline.children) == text


@pytest.mark.slow
def test_no_page_names_a_picture_of_a_stranger(drawn, space, parts):  # noqa: F811
    """Names, notes and credits of a file from elsewhere."""
    space.rename_area(PICTURE)
    space.traffic.value.metadata.update(
        attribution=PICTURE, notes=[PICTURE], assumptions=[PICTURE], area_name=PICTURE
    )
    space.work = open_work.new_work()
    space.scenario = library.save(space, PICTURE)
    shown = []
    for page in ("area", "traffic", "compare", "export"):
        test = AppTest.from_function(_page, args=(page,), default_timeout=TIMEOUT)
        test.session_state["workspace"] = space
        test.run()
        assert not test.exception
        shown += [
            e.value for kind in ("markdown", "caption", "warning", "error", "info") for e in test.get(kind)
        ]
    assert any("evil.example" in text for text in shown)
    assert not [text for text in shown if "![x](" in text.replace("\\[", "")]


def _page(page):
    import importlib

    importlib.import_module(f"app.views.{page}").page()
