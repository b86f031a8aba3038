"""The work of one user as named parts of bytes, and back.

A scenario file of the library holds all parts; the automatic save keeps them as files of their own and writes again
only those that changed. What follows from other parts (demand, evaluations) is computed anew, never stored.

Parts: state.json (area, source, scale, hour, choices, settings of all controls), traffic.parquet, network.gpkg (the
scenario as every export has it) and sleep.npz (awake cells by strategy with the problem they were planned for).
"""

import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from app import layout, limits
from app.area_entry import take_area
from app.open_data import own_folder
from app.scenario_files import scenario_of
from app.state import DEMO, Comparison, Deployed, Made, ScaleChoice, Workspace
from app.traffic_files import parquet_bytes
from intake.archive import members

if TYPE_CHECKING:
    from planning.sleep import SleepPlan, SleepProblem

FORMAT = 1
MOST_ARRAYS, MOST_ARRAY_BYTES = 100, 2_000_000_000
STATE, TRAFFIC, NETWORK, SLEEP = "state.json", "traffic.parquet", "network.gpkg", "sleep.npz"


class SavedWorkError(Exception):
    """A saved scenario cannot be read or written; the message is one sentence with the remedy."""


def versions(space: Workspace) -> dict[str, str]:
    """part: an identity that changes with its content. Parts that there is nothing for are left out."""
    found = {STATE: json.dumps(_state(space), sort_keys=True)}
    if space.traffic is not None:
        found[TRAFFIC] = space.traffic.identity
    if space.network is not None:
        found[NETWORK] = f"{space.network.identity} {space.scale_identity}"
        if space.sleep is not None and _fits(space):
            found[SLEEP] = space.sleep.identity
    return found


def pack(space: Workspace, only: set[str] | None = None) -> dict[str, Callable[[], bytes]]:
    """part: what makes its bytes. The values are taken now; making the bytes may happen later, in another thread."""
    state = json.dumps(_state(space), ensure_ascii=False).encode()
    makers: dict[str, Callable[[], bytes]] = {STATE: lambda: state}
    if (traffic := space.traffic) is not None:
        makers[TRAFFIC] = lambda: parquet_bytes(traffic.value)
    if space.network is not None:
        scenario = scenario_of(space)
        makers[NETWORK] = scenario.to_bytes
        if (sleep := space.sleep) is not None and _fits(space):
            makers[SLEEP] = lambda: _sleep_bytes(sleep.value)
    return {name: make for name, make in makers.items() if only is None or name in only}


def unpack(parts: dict[str, bytes], space: Workspace, controls: bool = True) -> None:
    """Put saved work into a workspace, and its settings into the controls of the pages.

    Raises SavedWorkError where it cannot be read.
    """
    try:
        if STATE not in parts:
            raise SavedWorkError("It holds no work of the app; open a scenario that the app has saved.")
        state = json.loads(parts[STATE])
        if state.get("format") != FORMAT:
            raise SavedWorkError("It was saved by another version of the planner; open it with that version.")
        _set_state(space, state)
        if TRAFFIC in parts:
            space.traffic = _made(_read_traffic(parts[TRAFFIC]), state, "traffic")
        if NETWORK in parts and space.traffic is not None:
            space.network = _made(_deployed(parts[NETWORK], space), state, "network")
            if SLEEP in parts:
                space.sleep = _made(_read_sleep(parts[SLEEP], space.network.value), state, "sleep")
    except SavedWorkError:
        raise
    except Exception as error:
        raise SavedWorkError(f"It cannot be read ({error}); save the scenario again.") from error
    if controls:
        for key, value in state["controls"].items():
            if _plain(value) and _plain(st.session_state.get(key)):  # a file sets controls and nothing else
                st.session_state[key] = tuple(value) if key in _RANGES else value


_RANGES = ("sleep night", "sleep threshold")  # sliders with two ends want tuples


def _state(space: Workspace) -> dict[str, Any]:
    area = space.area
    made = {name: getattr(space, name) for name in ("traffic", "network", "sleep")}
    if not _fits(space):
        made["sleep"] = None
    controls = {key: st.session_state[key] for key in sorted(layout.CONTROLS) if key in st.session_state}
    return {
        "format": FORMAT,
        "area": None if area is None else area.to_geojson(),
        "area_name": None if area is None else area.name,
        "source": space.source,
        "scale": asdict(space.scale),
        "hour": space.hour,
        "sleep_choice": space.sleep_choice,
        "made": {n: {"basis": m.basis, "identity": m.identity} for n, m in made.items() if m is not None},
        "controls": {key: value for key, value in controls.items() if _plain(value)},
    }


def _plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_plain(v) for v in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _set_state(space: Workspace, state: dict[str, Any]) -> None:
    from opendiff.area import Area, tiles_covering

    source = str(state["source"])
    space.source = source if limits.may_open(source, own_folder(space)) else DEMO
    space.scale = ScaleChoice(**state["scale"])
    space.hour = int(state["hour"]) % 168
    space.sleep_choice = str(state["sleep_choice"])
    space.clear_area()
    space.traffic = space.network = space.deployments = space.sleep = space.spectrum = None
    if state["area"] is not None:
        area = Area.from_geojson(state["area"], str(state["area_name"]))
        if not take_area(space, lambda: area, "opening the source of the saved area"):
            space.set_area(
                area, tiles_covering(area), 0
            )  # its open data are not here; what was made of them is
    space.map_version += 1


def _made(value: Any, state: dict[str, Any], name: str) -> Made:
    kept = state["made"][name]
    return Made(value, dict(kept["basis"]), str(kept["identity"]))


def _fits(space: Workspace) -> bool:
    """Whether the sleep plan is for the network that is saved with it."""
    sleep, network = space.sleep, space.network
    return sleep is not None and network is not None and sleep.basis["network"] == network.identity


# --- traffic and network -----------------------------------------------------------------------------------------


def _read_traffic(data: bytes) -> Any:
    from opendiff.traffic_table import read_traffic

    with tempfile.TemporaryDirectory(prefix="opendiff-") as folder:
        path = Path(folder) / TRAFFIC
        path.write_bytes(data)
        return read_traffic(path)


def _deployed(data: bytes, space: Workspace) -> Deployed:
    """The network with the demand that it was deployed for."""
    from planning.scenario import Scenario

    assert space.traffic is not None
    plan = Scenario.read(data).deployment_plan()
    return Deployed(plan, space.demand(), space.traffic.value.metadata.get("area_name", "area"))


# --- sleep -------------------------------------------------------------------------------------------------------


def _sleep_bytes(comparison: "Comparison[SleepPlan]") -> bytes:
    plans = comparison.plans
    problem = next(iter(plans.values())).problem
    told = {
        "quantile": problem.quantile,
        "notes": list(problem.notes),
        "whole_site": problem.groups.site_sleeps,
        "judged_on": comparison.judged_on,
        "plans": {
            name: {
                "settings": asdict(plan.settings),
                "solve": None if plan.solve is None else plan.solve.record(),
                "relaxed": plan.relaxed,
                "notes": list(plan.notes),
                "hours": plan.hours,
            }
            for name, plan in plans.items()
        },
        "table": json.loads(comparison.table.to_json(orient="records", double_precision=15)),
        "risk": None
        if comparison.risk is None
        else json.loads(comparison.risk.to_json(orient="records", double_precision=15)),
    }
    arrays = {f"awake {name}": np.packbits(plan.awake, axis=1) for name, plan in plans.items()}
    ring = problem.ring
    file = io.BytesIO()
    np.savez_compressed(
        file,
        told=np.frombuffer(json.dumps(told).encode(), np.uint8),
        demand=problem.demand,
        source=ring.source,
        target=ring.target,
        metres=ring.metres,
        cells=problem.network.cells[_figures()].to_numpy(float),
        **arrays,
    )
    return file.getvalue()


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return json.loads(table.to_json(orient="records", double_precision=15))


def _figures() -> list[str]:
    from planning.network import FIGURES

    return list(FIGURES)


def _read_sleep(data: bytes, deployed: Deployed) -> "Comparison[SleepPlan]":
    from planning.sleep import SleepPlan, SleepSettings, evaluate
    from planning.solver import SolveResult

    parts = members(data, (".npy",), MOST_ARRAYS, MOST_ARRAY_BYTES)  # so that it cannot unpack to more
    arrays = {
        name[:-4]: np.lib.format.read_array(io.BytesIO(part), allow_pickle=False)
        for name, part in parts.items()
    }
    told = json.loads(arrays["told"].tobytes())
    problem = _problem(arrays, told, deployed)
    plans = {}
    for name, kept in told["plans"].items():
        awake = np.unpackbits(arrays[f"awake {name}"], axis=1, count=kept["hours"]).astype(bool)
        if awake.shape != (len(problem.network.cells), problem.hours):
            raise SavedWorkError("Its sleep plan does not fit its network; save the scenario again.")
        settings = SleepSettings(**kept["settings"] | {"night": tuple(kept["settings"]["night"])})
        solve = None if kept["solve"] is None else SolveResult(**kept["solve"])
        plans[name] = SleepPlan(
            name,
            awake,
            problem,
            settings,
            solve,
            kept["relaxed"],
            evaluate(problem, awake),
            tuple(kept["notes"]),
        )
    risk = None if told["risk"] is None else pd.DataFrame(told["risk"])
    return Comparison(plans, pd.DataFrame(told["table"]), deployed, told["judged_on"], risk)


def _problem(arrays: dict[str, np.ndarray], told: dict[str, Any], deployed: Deployed) -> "SleepProblem":
    from planning.dispatch import Ring
    from planning.energy import Groups
    from planning.network import Network, tile_shares
    from planning.sleep import SleepProblem

    base = deployed.plan.network
    figures = {name: arrays["cells"][:, i] for i, name in enumerate(_figures())}
    network = Network(base.sites, base.cells.assign(**figures))
    network.validate()
    ring = Ring(arrays["source"], arrays["target"], arrays["metres"], len(network.sites))
    shares = tile_shares(network, deployed.demand.x, deployed.demand.y)
    groups = Groups.of(network, told["whole_site"])
    return SleepProblem(
        network, groups, ring, arrays["demand"], told["quantile"], shares, tuple(told["notes"])
    )
