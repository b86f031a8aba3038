"""The control by which plans are chosen to be put side by side, on the page that compares and in the report."""

import streamlit as st

from app.background import cases
from app.background.cases import Case, Offer
from app.state.controls import kept
from app.state.workspace import Workspace
from app.widgets.layout import note

MAX_CASES = 4


def choose_cases(
    space: Workspace, offers: dict[str, Offer], key: str, label: str, first: list[str], help: str
) -> list[Case] | None:
    """The plans chosen, in order; None while their scenarios are being opened."""
    settings = kept(key)
    if (before := st.session_state.get(key)) is not None:
        st.session_state[key] = [
            name for name in before if name in offers
        ]  # others are gone from the library
    labels = st.multiselect(
        label, list(offers), None if before is not None else first, max_selections=MAX_CASES, help=help,
        on_change=_try_again, args=(space,), **settings,
    )  # fmt: skip
    note(space, cases.JOB)
    opening = cases.JOB in space.jobs
    chosen = cases.opened(space, [offers[name] for name in labels])
    if chosen is None and cases.JOB in space.jobs:
        st.caption("The scenarios chosen are being opened.")
        if not opening:
            st.rerun()  # its progress stands above the page
    elif chosen is None:
        st.caption("Not all scenarios chosen were opened.")
        st.button("Open them", key=f"open {key}", on_click=_try_again, args=(space,))
    return chosen


def _try_again(space: Workspace) -> None:
    space.asked_scenarios.clear()
    space.notes.pop(cases.JOB, None)
