"""Files that a user uploads for the planners, kept with the work: neither another page nor a reload loses them."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.messages import plain
from app.state.inputs import Upload
from app.state.workspace import Workspace
from plannerbase import formats


def upload(
    space: Workspace,
    key: str,
    label: str,
    types: Sequence[str],
    most_mb: int,
    help: str | None = None,
    where: Any = st,
) -> Upload | None:
    """An uploader, and the file that it has been given now or before, which stays until it is removed."""
    where.file_uploader(
        label,
        type=list(types),
        key=key,
        help=help,
        max_upload_size=most_mb,
        on_change=_take,
        args=(space, key),
    )
    kept: Upload | None = space.uploads.get(key)
    if kept is not None and st.session_state.get(key) is None:
        left, right = where.columns([3, 1], vertical_alignment="center")
        left.caption(plain(f"In use: {kept.name}, {formats.significant(len(kept.data) / 1e6)} MB"))
        if right.button("Remove", key=f"remove {key}", help=plain(f"Do without {kept.name}.")):
            del space.uploads[key]
            st.rerun()
    return kept


def _take(space: Workspace, key: str) -> None:
    file = st.session_state[key]
    if file is None:
        space.uploads.pop(key, None)
    else:
        space.uploads[key] = Upload(file.name, file.getvalue())
