"""The sheet or layer and the reference system of an uploaded file, remembered for the next file of that shape."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.messages import plain
from app.state.controls import kept
from app.state.inputs import Upload
from app.state.slots import Slot
from app.state.workspace import Workspace

if TYPE_CHECKING:
    from planning.network.files import Choice, Preview

ALL_LAYERS = "(all with places)"
GUESSED = "(automatic)"
REMEMBERED = "choices of files"  # in the session: shape of a file -> control -> what was chosen
HELD: Slot[Any] = Slot()  # a part an uploader


def file_choices(space: Workspace, file: Upload, key: str, where: Any = st) -> "Choice":
    """What of a file of places is meant. key: of its uploader. A file that cannot be read has no choices: the reader of
    its places says why."""
    from planning.network.files import Choice

    held = space.cached(HELD.part(key), file.identity, lambda: held_by(file))
    if held is None:
        return Choice()
    layer_key, crs_key = f"{key} layer", f"{key} crs"
    shape = recall(file, held, key)
    layer = ""
    if len(held.layers) > 1:
        layer = one_of(where, "Sheet or layer", layer_key, ALL_LAYERS, held.layers)
    crs = reference_system(where, crs_key)
    remember(shape, (layer_key, crs_key))
    return Choice(layer=layer, crs=crs)


def recall(file: Upload, held: "Preview", key: str) -> tuple[str, ...]:
    """Bring back what was chosen for the last file of this shape; the shape, for `remember`. key: of the uploader."""
    shape, last = (key, file.name.rsplit(".", 1)[-1].lower(), *held.columns), f"{key} shape"
    if st.session_state.get(last) not in (None, shape):
        for name, value in st.session_state.get(REMEMBERED, {}).get(shape, {}).items():
            st.session_state[name] = value
    st.session_state[last] = shape
    return shape


def remember(shape: tuple[str, ...], controls: Iterable[str]) -> None:
    """Keep the present values of controls for the next file of this shape."""
    chosen = {name: st.session_state[name] for name in controls if name in st.session_state}
    st.session_state.setdefault(REMEMBERED, {})[shape] = chosen


def reference_system(where: Any, key: str) -> str:
    """The reference system that the user names; "" for none."""
    text = where.text_input(
        "Reference system", placeholder="WGS-84", **kept(key),
        help="Of positions that do not state theirs, such as EPSG:27700 or GCJ-02.",
    )  # fmt: skip
    return (text or "").strip()


def one_of(where: Any, label: str, key: str, every: str, names: list[str]) -> str:
    """The name that is chosen; "" for all."""
    options = [every, *names]
    if st.session_state.get(key) not in options:  # chosen for another file
        st.session_state.pop(key, None)
    picked = where.selectbox(label, options, **kept(key))
    return "" if picked == every else str(picked)


def column_mapping(
    columns: list[str],
    labels: Mapping[str, str],
    guessed: Mapping[str, str],
    key: str,
    needed: Iterable[str] = (),
    where: Any = st,
) -> dict[str, str]:
    """Our column: the file's, where the user chose one. labels: our columns and what they are called. guessed: our
    column: the file's, by its heading. needed: those without which nothing is read; open where one is not guessed."""
    missing = not set(needed) <= set(guessed)
    chosen = {}
    with where.expander("Columns", icon=":material/table:", expanded=missing):
        beside = min(4, len(labels))
        rows = -(-len(labels) // beside)
        boxes = [box for _ in range(rows) for box in st.columns(beside)]
        for ours, box in zip(labels, boxes, strict=False):
            options = [GUESSED, *columns]
            label = labels[ours] + (plain(f" ({guessed[ours]})") if ours in guessed else "")
            settings = kept(f"{key} column {ours}")
            if st.session_state.get(settings["key"]) not in options:  # chosen for another file
                st.session_state.pop(settings["key"], None)
            picked = box.selectbox(label, options, **settings)
            if picked != GUESSED:
                chosen[ours] = picked
    return chosen


def column_controls(key: str, labels: Iterable[str]) -> tuple[str, ...]:
    """The controls of `column_mapping`, for `remember`."""
    return tuple(f"{key} column {ours}" for ours in labels)


def held_by(file: Upload, layer: str = "") -> "Preview | None":
    """What the file holds; None where it cannot be read, which is told where it is read."""
    from planning.errors import PlanningError
    from planning.network.files import preview

    try:
        return preview(file.data, file.name, layer)
    except PlanningError:
        return None
