"""Export: the scenario in the formats of other tools, and the report."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from app.background import cases, reports
from app.files.scenario import (
    FORMATS,
    HOLDS,
    download,
    ending_and_mime,
    file_stem,
    left_out,
    scenario_extent,
    scenario_of,
)
from app.files.traffic import PARQUET, parquet_bytes, traffic_extent
from app.messages import errors_shown, told
from app.state.results import Made
from app.state.workspace import Workspace, workspace
from app.strategies import strategy_name
from app.widgets.case_choice import choose_cases
from app.widgets.file_button import exported, file_button
from app.widgets.layout import header, need_traffic, note
from app.widgets.scale import scale_caption
from app.widgets.tables import show_table


def page() -> None:
    """What there is to export, the files, the report, and where all of it comes from."""
    space = workspace()
    header("Export", "Everything made so far, in one file of the format that your tools read.", None)
    if not need_traffic(space):
        return
    _contents(space)
    if space.network is None:
        st.info(
            "There is no network yet: deploy base stations or plan sleep, and the plan can be exported here."
        )
    elif names := left_out(space):
        st.warning(
            f"The files leave out {' and '.join(names)}: made for another network, traffic or scale. Make them again "
            "to export them.",
            icon=":material/history:",
        )
    with errors_shown("preparing the export"):
        _downloads(space)
    if space.network is not None:
        with errors_shown("preparing the report"):
            _report(space)
    scale_caption(space)
    _provenance(space)


def _contents(space: Workspace) -> None:
    rows: list[tuple[str, Made[Any] | None, str]] = [("Traffic", space.traffic, "")]
    rows.append(("Network", space.network, space.network.value.plan.strategy if space.network else ""))
    rows.append(("Sleep plan", space.sleep, space.sleep_choice))
    rows.append(("Spectrum plan", space.spectrum, space.spectrum_choice))
    table = [
        {
            "Layer": name,
            "Strategy": strategy_name(strategy) if made and strategy else "",
            "State": "not made" if made is None else space.outdated(made) or "up to date",
        }
        for name, made, strategy in rows
    ]
    show_table(
        pd.DataFrame(table),
        alt="What the export holds: layers, strategies, and whether they are up to date",
    )


def _downloads(space: Workspace) -> None:
    """A button for each format of the plan, and the traffic table."""
    assert space.traffic is not None
    stem, ensemble = file_stem(space), space.traffic.value
    files: list[tuple[str, str, str, Callable[[], bytes], str, str]] = [
        (
            "Traffic table (Parquet)",
            f"{stem}-traffic.parquet",
            PARQUET,
            partial(parquet_bytes, ensemble),
            traffic_extent(ensemble),
            "Tile, sample, hour, traffic and users: the whole ensemble; pandas, DuckDB and our planners read it.",
        )
    ]
    if space.network is not None:
        scenario, extent = scenario_of(space), scenario_extent(space.network.value)
        for kind, label in FORMATS.items():
            ending, mime = ending_and_mime(kind)
            files.append((label, stem + ending, mime, partial(download, scenario, kind), extent, HOLDS[kind]))
    st.markdown("**Files**")
    old = [
        name
        for name, made in (("traffic", space.traffic), ("network", space.network))
        if _is_old(space, made)
    ]
    wanted = not old or st.toggle(
        f"Offer files of the {' and the '.join(old)} although out of date", key=f"old files {old}"
    )
    for start in range(0, len(files), 3):
        for column, (label, filename, mime, make, extent, holds) in zip(
            st.columns(3), files[start : start + 3], strict=False
        ):
            file_button(
                column, label, make, filename, mime, extent, filename.endswith(".gpkg"), not wanted, holds
            )


def _is_old(space: Workspace, made: Made[Any] | None) -> bool:
    return made is not None and space.outdated(made) is not None


def _report(space: Workspace) -> None:
    """Maps, figures and tables for people: made in the background, then downloaded."""
    with st.container(border=True):
        st.markdown("**Report**")
        st.caption(
            "One HTML file with maps, charts, tables (energy, CO₂ and cost too), assumptions and provenance; opens "
            "offline, prints on A4."
        )
        note(space, reports.JOB)
        offers = cases.offers(space)
        chosen = choose_cases(
            space, offers, "plans in report", "Plans to put side by side in it (none, or two to four)", [],
            "The first one is the baseline. Scenarios come from the library, see Compare.",
        )  # fmt: skip
        made, basis = space.report, reports.basis_of(space, chosen)
        left, right = st.columns(2)
        if left.button(
            "Make the report",
            type="secondary" if made and made.basis == basis else "primary",
            icon=":material/article:",
            disabled=chosen is None or len(chosen) == 1 or reports.JOB in space.jobs,
            width="stretch",
        ):
            reports.start(space, chosen or [])
            st.rerun()
        if made is not None:
            filename, report = f"{file_stem(space)}-report.html", made.value
            right.download_button(
                "Download the report (HTML)",
                exported(lambda: report, filename),
                filename,
                "text/html",
                on_click="ignore",
                type="primary" if made.basis == basis else "secondary",
                icon=":material/download:",
                width="stretch",
            )
            if made.basis != basis:
                st.caption("The plans, or what was chosen, have changed since this report was made.")


def _provenance(space: Workspace) -> None:
    assert space.traffic is not None
    with st.expander("Where this comes from", icon=":material/fingerprint:", expanded=True):
        metadata = space.traffic.value.metadata
        st.markdown("\n".join(f"- {told(str(sentence))}" for sentence in metadata.get("assumptions", [])))
        facts = {k: v for k, v in metadata.items() if k not in ("area", "assumptions")}
        rows = [(key.replace("_", " "), str(value)) for key, value in facts.items()]
        show_table(
            pd.DataFrame(rows, columns=["Fact", "Value"]),
            alt="Facts of the traffic's making, by name",
        )
