"""Export: the scenario in the formats of other tools."""

import streamlit as st

from app import plans
from app.layout import header, need_traffic
from app.messages import errors_shown
from app.scale import scale_caption
from app.scenario_files import FORMATS, download, file_stem, scenario_of
from app.state import Workspace, workspace
from app.traffic_files import parquet_bytes


def page() -> None:
    space = workspace()
    header("Export", "Everything made so far, in one file of the format that your tools read.", None)
    if not need_traffic(space):
        return
    _contents(space)
    _traffic(space)
    if space.network is None:
        st.info(
            "There is no network yet: deploy base stations or plan sleep, and the plan can be exported here."
        )
    else:
        _downloads(space)
    scale_caption(space)
    _provenance(space)


def _contents(space: Workspace) -> None:
    import pandas as pd

    rows = [("Traffic", space.traffic, "")]
    rows.append(("Network", space.network, space.network.value.strategy if space.network else ""))
    rows.append(("Sleep plan", space.sleep, space.sleep_choice))
    rows.append(("Spectrum plan", space.spectrum, space.spectrum_choice))
    table = [
        {
            "Layer": name,
            "Strategy": plans.strategy_name(strategy) if made and strategy else "",
            "State": "not made" if made is None else space.outdated(made) or "up to date",
        }
        for name, made, strategy in rows
    ]
    st.dataframe(pd.DataFrame(table), hide_index=True, width="stretch")


def _traffic(space: Workspace) -> None:
    assert space.traffic is not None
    ensemble = space.traffic.value
    st.download_button(
        "Traffic table (Parquet)",
        lambda: parquet_bytes(ensemble),
        file_stem(space) + "-traffic.parquet",
        "application/vnd.apache.parquet",
        on_click="ignore",
        icon=":material/download:",
    )


def _downloads(space: Workspace) -> None:
    from planning.export import FORMATS as FILES

    with errors_shown("preparing the export"):
        scenario = scenario_of(space)
        columns = st.columns(len(FORMATS))
        for column, (kind, label) in zip(columns, FORMATS.items(), strict=True):
            ending, mime = FILES[kind]
            column.download_button(
                label,
                lambda kind=kind: download(scenario, kind),
                file_stem(space) + ending,
                mime,
                on_click="ignore",
                type="primary" if kind == "gpkg" else "secondary",
                icon=":material/download:",
                width="stretch",
                key=f"download {kind}",
            )


def _provenance(space: Workspace) -> None:
    assert space.traffic is not None
    with st.expander("Where this comes from", icon=":material/fingerprint:", expanded=True):
        metadata = space.traffic.value.metadata
        for sentence in metadata.get("assumptions", []):
            st.markdown(f"- {sentence}")
        facts = {k: v for k, v in metadata.items() if k not in ("area", "assumptions")}
        st.table({"Value": {str(k).replace("_", " "): str(v) for k, v in facts.items()}})
