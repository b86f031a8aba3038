"""The menu of scenarios on every page, and what is said above each of work that is read-only or changed elsewhere."""

from datetime import datetime

import streamlit as st

from app.messages import errors_shown, plain
from app.saved import library, links, open_work
from app.saved.packing import unpack
from app.server import audit
from app.state import figures
from app.state.controls import kept
from app.state.figures import local_time
from app.state.workspace import Workspace
from plannerbase import formats

MAX_LISTED = 8
EXAMPLE = datetime(2026, 1, 31)
KEY = "scenarios"


def menu(space: Workspace) -> None:
    """Save, open and share work: folded in a button beside the menu of pages, made when it is opened."""
    with st.container(key=KEY):
        opened = st.popover("Scenarios", on_change="rerun", key="scenarios menu")
    if not opened.open:
        return
    with opened, errors_shown("using the library"):
        _save(space)
        _share(space)
        _open(space)
        recent_work(space)
        _figures()


def _save(space: Workspace) -> None:
    if space.area is None:
        st.caption("Nothing to save yet: draw an area first. From then on your work is kept by itself.")
        return
    with st.form("save from menu", border=False, enter_to_submit=False):
        name = st.text_input("Save the open work as", space.area.name, max_chars=library.MAX_NAME)
        if st.form_submit_button("Save scenario", icon=":material/save:", type="primary", width="stretch"):
            space.scenario = library.save(space, name)
            st.toast(plain(f"Saved: {library.name_of(space.scenario)}"))
            st.rerun()
    kept = open_work.kept_at(space)
    if kept is not None and not space.read_only:
        st.caption(f"Kept by itself, last at {local_time(kept)}.")


def _open(space: Workspace) -> None:
    st.markdown("**Saved scenarios**")
    found = library.entries()
    if not found:
        st.caption("None yet.")
    for entry in found[:MAX_LISTED]:
        label = plain(f"{entry.name} · {local_time(entry.saved)}")
        if st.button(
            label, key=f"menu open {entry.identity}", width="stretch", icon=":material/folder_open:"
        ):
            open_scenario(space, library.parts_of(entry.identity), entry.identity)
    if len(found) > MAX_LISTED:
        st.caption(f"{len(found) - MAX_LISTED} more, older ones: see Compare.")


def _figures() -> None:
    """The choice of how numbers and dates are written, remembered in the work."""
    st.selectbox(
        "Numbers and dates", [figures.BROWSER, *formats.STYLES], format_func=_in_style, **kept(figures.KEY),
        help="On pages, in charts and in the report. Files for other programs keep the decimal point and ISO dates.",
    )  # fmt: skip


def _in_style(name: str) -> str:
    """A style by its name and an example; the browser's by the same."""
    style = formats.STYLES[name or figures.of_browser()]
    with formats.using(style):
        example = f"{style.label}: {formats.number(12345.6, 1)} · {formats.date(EXAMPLE)}"
    return example if name else f"As the browser ({example})"


def open_scenario(space: Workspace, parts: dict[str, bytes], identity: str) -> None:
    """Show a saved scenario on all pages. identity: of the library, "" for an uploaded file. Raises SavedWorkError."""
    unpack(parts, space)
    space.scenario = identity
    audit.log("opened", space.work, scenario=identity or "an uploaded file")
    st.toast("Opened. The pages now show this scenario.")
    st.rerun()


def recent_work(space: Workspace, headed: bool = True) -> None:
    """Work that was kept by itself, the newest first, with a button for each. headed: below a heading of its own."""
    found = [work for work in open_work.recent() if work.identity != space.work][:MAX_LISTED]
    if not found:
        return
    if headed:
        st.markdown("**Recent work**")
    for work in found:
        label = plain(f"{work.name} · {local_time(work.saved)}")
        if st.button(label, key=f"recent {work.identity}", width="stretch", icon=":material/history:"):
            open_work.switch(space, work.identity)
            st.rerun()


def _share(space: Workspace) -> None:
    if space.area is None or space.read_only or open_work.kept_at(space) is None:
        return
    st.markdown("**Share**")
    if st.button("Make a read-only link", icon=":material/link:", width="stretch"):
        base = (st.context.url or "").split("?")[0].rstrip("/")
        pages = ("area", "traffic", "network", "coverage", "sleep", "spectrum", "compare", "export")
        if base.rsplit("/", 1)[-1] in pages:
            base = base.rsplit("/", 1)[0]
        st.code(f"{base}/?{open_work.VIEW}={links.link_to(space)}", language=None, wrap_lines=True)
        st.caption(
            "Shows all of this work, its uploaded files too, to whoever can open this app. Changes are not kept."
        )


def told(space: Workspace) -> None:
    """Above a page: that the work is read-only, or that another tab has changed it."""
    with st.container():
        if space.read_only:
            left, right = st.columns([4, 1], vertical_alignment="center")
            left.info(
                "Read-only link: changes that you make here are not kept.", icon=":material/visibility:"
            )
            if right.button("Make my own copy", width="stretch"):
                open_work.make_own(space)
                st.rerun()
        elif (changed := open_work.changed_elsewhere(space)) is not None:
            st.warning(
                f"Another tab or window changed this work at {local_time(changed)}. What you change here is not kept "
                "until you choose.",
                icon=":material/sync_problem:",
            )
            left, right, _ = st.columns([1, 1, 2])
            if left.button("Load the other state", width="stretch"):
                with errors_shown("opening the work"):
                    open_work.switch(space, space.work)
                    st.rerun()
            if right.button("Keep mine as separate work", width="stretch"):
                open_work.make_own(space)
                st.rerun()
