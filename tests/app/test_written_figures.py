"""Figures on pages are written as the session's place writes them, wherever a page is written."""

import ast
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

import app
from app.state import controls, figures
from plannerbase import formats
from tests.app.test_pages import TIMEOUT, drawn  # noqa: F401 (a fixture)

# what programs or other services read: the command line, coordinates as names of places
BY_PROGRAMS = {"widgets/source.py", "map/gazetteer.py"}


def test_no_page_formats_numbers_by_itself():
    root = Path(app.__file__).parent
    found = []
    for path in root.rglob("*.py"):
        if str(path.relative_to(root)) in BY_PROGRAMS:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
                spec = ast.unparse(node.format_spec)
                if set(spec[2:-1]) & set(",%fge"):
                    found.append(f"{path.name}:{node.lineno} {spec}")
            if (
                isinstance(node, ast.keyword)
                and node.arg == "format"
                and "NumberColumn" in ast.unparse(node.value)
            ):
                found.append(f"{path.name}:{node.value.lineno}")
    assert not found, "use plannerbase.formats"


def _tables() -> None:
    import pandas as pd

    from app.state import figures
    from app.widgets.tables import show_table

    figures.begin()
    frame = pd.DataFrame(
        {"site": ["A", "B"], "tile": [26930, 26931], "kWh": [1234.56, None], "share": [12.345, 0.0]}
    )
    show_table(frame, {"kWh": 1}, ["share"])


@pytest.mark.parametrize(
    ("style", "written"),
    [("de", [["A", "26930", "1.234,6", "12,3\u00a0%"], ["B", "26931", "–", "0,0\u00a0%"]]),
     ("en-US", [["A", "26930", "1,234.6", "12.3%"], ["B", "26931", "–", "0.0%"]])],
)  # fmt: skip
def test_a_table_is_written_in_the_style_and_keeps_its_numbers(style, written):
    test = AppTest.from_function(_tables)
    test.session_state[figures.KEY] = style
    test.run()
    assert not test.exception
    frame = test.dataframe[0].value
    assert frame["kWh"].iloc[0] == 1234.56
    shown = pa.ipc.open_stream(test.dataframe[0].proto.arrow_data.styler.display_values).read_pandas()
    assert shown.to_numpy().tolist() == written


def test_the_style_of_a_file_holds_before_its_control_is_shown(monkeypatch):
    monkeypatch.setattr("streamlit.session_state", {})
    assert figures.style() == formats.DEFAULT
    controls.set_from_file({figures.KEY: "fr"})
    assert figures.style() == "fr"
    controls.set_from_file({figures.KEY: "tlh"})
    assert figures.style() == formats.DEFAULT


def _traffic_page() -> None:
    from app.state import figures
    from app.views import traffic

    figures.begin()
    traffic.page()


def test_pages_are_written_in_the_chosen_style(drawn, space):  # noqa: F811
    test = AppTest.from_function(_traffic_page, default_timeout=TIMEOUT)
    test.session_state["workspace"] = space
    test.session_state[figures.KEY] = "de"
    test.run()
    assert not test.exception
    labels = [metric.label for metric in test.metric]
    assert any(label.startswith("Now, So") or label.startswith("Now, Mo") for label in labels), labels


def test_times_are_those_of_the_browser(monkeypatch):
    class Context:
        locale, timezone = "en-GB", "Asia/Shanghai"

    monkeypatch.setattr("streamlit.context", Context)
    seconds = datetime(2026, 1, 31, 20, 30, 5, tzinfo=UTC).timestamp()
    with formats.using(formats.STYLES["iso"]):
        assert figures.local_time(seconds) == "2026-02-01 04:30:05"
    Context.timezone = "Nowhere/Atlantis"
    assert figures.of_browser() == "en-GB" and figures.local_time(seconds)


def test_work_in_the_background_writes_in_the_style_of_who_started_it():
    from app.server import jobs
    from tests.app.making import until_finished

    with formats.using(formats.STYLES["de"]):
        job = jobs.start("write", lambda job: formats.number(1234), lambda space, result: None)
    assert until_finished(job).result == "1.234"
    assert formats.number(1234) == "1,234"
