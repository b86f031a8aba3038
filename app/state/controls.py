"""Widgets that keep their value over pages and in saved work.

A file of saved work sets nothing but these, each when its page makes it. A value that a widget cannot take puts back
all that the file has set: a file from elsewhere must not leave a page that cannot be shown.
"""

from typing import Any

import streamlit as st

_made: set[str] = set()  # keys of all such widgets that the server has made so far
_WAITING, _SET = "controls of a file", "controls set by a file"
_RANGES = ("sleep night", "sleep threshold", "sleep window")  # sliders with two ends want tuples


# of work of an earlier version, which said 0 for what follows by itself
_NONE_WAS_ZERO = (
    "siting level", "siting radius", "siting capacity", "siting budget", "siting spacing", "prb cap", "prb minimum",
)  # fmt: skip


def kept(key: str) -> dict[str, Any]:
    """Arguments by which a widget keeps its value when another page is opened and closed again."""
    _made.add(key)
    waiting = st.session_state.get(_WAITING, {})
    if key in waiting:
        st.session_state[key] = waiting.pop(key)
        st.session_state.setdefault(_SET, set()).add(key)
    return {"key": key, "persist_state": "session"}


def values() -> dict[str, Any]:
    """Value by key, of those too whose page was not opened since a file set them."""
    present = {key: st.session_state[key] for key in sorted(_made) if key in st.session_state}
    return {k: v for k, v in (st.session_state.get(_WAITING, {}) | present).items() if _plain(v)}


def value(key: str) -> Any:
    """The value of one widget, or the one that a file has set for it; None for neither."""
    return st.session_state.get(key, st.session_state.get(_WAITING, {}).get(key))


def set_from_file(found: dict[str, Any]) -> None:
    """Let the widgets have these values when they are made next."""
    st.session_state[_WAITING] = {
        str(key): None
        if key in _NONE_WAS_ZERO and value == 0
        else tuple(value)
        if key in _RANGES and isinstance(value, list)
        else value
        for key, value in found.items()
        if _plain(value)
    }


def put_back() -> bool:
    """Undo what a file has set; whether it has set anything."""
    keys = st.session_state.pop(_SET, set())
    for key in keys:
        st.session_state.pop(key, None)
    return bool(keys)


def _plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_plain(v) for v in value)
    return value is None or isinstance(value, (bool, int, float, str))
