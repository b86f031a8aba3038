"""The sheet or layer and the reference system of an uploaded file, remembered for the next file of that shape."""

from typing import TYPE_CHECKING, Any

import streamlit as st

from app.state.controls import kept
from app.state.inputs import Upload
from app.state.slots import Slot
from app.state.workspace import Workspace

if TYPE_CHECKING:
    from planning.network.files import Choice, Preview

ALL_LAYERS = "(all with places)"
REMEMBERED = "choices of files"  # in the session: shape of a file -> control -> what was chosen
HELD: Slot[Any] = Slot()  # a part an uploader


def file_choices(space: Workspace, file: Upload, key: str, where: Any = st) -> "Choice":
    """What of a file of places is meant. key: of its uploader. A file that cannot be read has no choices: the reader of
    its places says why."""
    from planning.network.files import Choice

    held = space.cached(HELD.part(key), file.identity, lambda: _held(file))
    if held is None:
        return Choice()
    layer_key, crs_key, shape_key = f"{key} layer", f"{key} crs", f"{key} shape"
    shape = (key, file.name.rsplit(".", 1)[-1].lower(), *held.columns)
    remembered = st.session_state.setdefault(REMEMBERED, {})
    if st.session_state.get(shape_key) not in (None, shape):
        for name, value in remembered.get(shape, {}).items():
            st.session_state[name] = value
    st.session_state[shape_key] = shape
    layer = ""
    if len(held.layers) > 1:
        layer = one_of(where, "Sheet or layer", layer_key, ALL_LAYERS, held.layers)
    crs = where.text_input(
        "Reference system", placeholder="WGS-84", **kept(crs_key),
        help="Of positions that do not state theirs, such as EPSG:27700 or GCJ-02.",
    )  # fmt: skip
    names = (layer_key, crs_key)
    remembered[shape] = {name: st.session_state[name] for name in names if name in st.session_state}
    return Choice(layer=layer, crs=(crs or "").strip())


def one_of(where: Any, label: str, key: str, every: str, names: list[str]) -> str:
    """The name that is chosen; "" for all."""
    options = [every, *names]
    if st.session_state.get(key) not in options:  # chosen for another file
        st.session_state.pop(key, None)
    picked = where.selectbox(label, options, **kept(key))
    return "" if picked == every else str(picked)


def _held(file: Upload) -> "Preview | None":
    from planning.errors import PlanningError
    from planning.network.files import preview

    try:
        return preview(file.data, file.name)
    except PlanningError:
        return None
