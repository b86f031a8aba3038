"""The work of one user as named parts of bytes, and back.

A scenario file of the library holds all parts; the automatic save keeps them as files of their own and writes again
only those that changed. What follows from other parts (demand, evaluations) is computed anew, never stored.

Parts: state.json (area, source, scale, hour, choices, places, settings of all controls), traffic.parquet, networks.npz
(all deployments), sleep.npz, spectrum.npz and uploads.zip (the files that the plans were made with).
"""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, TypeVar

from app.errors import SavedWorkError
from app.files.traffic import parquet_bytes
from app.map.area_entry import take_area
from app.saved import coverage
from app.saved.files import (
    FORMAT,
    NETWORKS,
    SLEEP,
    SPECTRUM,
    STATE,
    TRAFFIC,
    UPLOADS,
    Work,
    read_work,
)
from app.saved.networks import networks, networks_bytes, read_networks
from app.saved.plans import read_spectrum, spectrum_bytes
from app.saved.sleep import EARLIER, read_sleep, sleep_bytes
from app.server import limits
from app.server.folders import own_folder
from app.state.controls import set_from_file, values
from app.state.inputs import DEMO, ScaleChoice, Upload
from app.state.results import Comparison, Made, network_identity
from app.state.workspace import Workspace

PLANNED_ON = ("traffic", "scale", "network")
BASIS = {
    "traffic": ("area",),
    "network": ("traffic", "scale"),
    "deployments": ("traffic", "scale"),
    "sleep": PLANNED_ON,
    "spectrum": PLANNED_ON,
    "spectrum_hours": (*PLANNED_ON, "spectrum"),
}  # what each result is made from
RESULTS = tuple(BASIS)
T = TypeVar("T")


def versions(space: Workspace) -> dict[str, str]:
    """part: an identity that changes with its content. Parts that there is nothing for are left out."""
    found = {STATE: json.dumps(_state(space), sort_keys=True)}
    if space.traffic is not None:
        found[TRAFFIC] = space.traffic.identity
        if space.network is not None:
            found[NETWORKS] = f"{space.traffic.identity} {sorted(networks(space))}"
            if space.sleep is not None:
                found[SLEEP] = space.sleep.identity
            if space.spectrum is not None:
                hours = space.spectrum_hours
                found[SPECTRUM] = f"{space.spectrum.identity} {hours.identity if hours else ''}"
    if space.uploads:
        found[UPLOADS] = " ".join(f"{key} {file.identity}" for key, file in sorted(space.uploads.items()))
    return found


def _value(made: Made[T] | None) -> T:
    assert made is not None
    return made.value


def pack(space: Workspace, only: set[str] | None = None) -> dict[str, Callable[[], bytes]]:
    """part: what makes its bytes. The values are taken now; making the bytes may happen later, in another thread."""
    state = json.dumps(_state(space), ensure_ascii=False).encode()
    now = replace(space, uploads=dict(space.uploads))  # the results themselves never change
    makers: dict[str, Callable[[], bytes]] = {
        STATE: lambda: state,
        TRAFFIC: lambda: parquet_bytes(_value(now.traffic)),
        NETWORKS: lambda: networks_bytes(now),
        SLEEP: lambda: sleep_bytes(_value(now.sleep)),
        SPECTRUM: lambda: spectrum_bytes(
            _value(now.spectrum), now.spectrum_hours.value if now.spectrum_hours else None
        ),
        UPLOADS: lambda: _uploads_bytes(now.uploads),
    }
    wanted = set(versions(space)) if only is None else only
    return {name: make for name, make in makers.items() if name in wanted}


def unpack(
    parts: dict[str, bytes], space: Workspace, controls: bool = True, tile_weeks: int | None = None
) -> None:
    """Put saved work into a workspace, and its settings into the controls of the pages.

    tile_weeks: tiles times samples that its traffic may have, this session's limit where it is None.

    Raises SavedWorkError where it cannot be read; the workspace and the controls are as they were then.
    """
    opened = Workspace(work=space.work)
    try:
        if STATE not in parts:
            raise SavedWorkError("It holds no work of the app; open a scenario that the app has saved.")
        saved = read_work(parts, 168 * (limits.limits().tile_weeks if tile_weeks is None else tile_weeks))
        state = saved.state
        if state.get("format") != FORMAT:
            raise SavedWorkError("It was saved by another version of the planner; open it with that version.")
        _set_state(opened, state)
        opened.uploads = {key: Upload(name, data) for key, name, data in saved.uploads}
        if saved.traffic is not None:
            opened.traffic = _made(saved.traffic, state, "traffic")
            if saved.networks is not None:
                _set_plans(opened, saved, state)
        set_controls = dict(state["controls"])
    except SavedWorkError:
        raise
    except Exception as error:
        raise SavedWorkError(f"It cannot be read ({error}); save the scenario again.") from error
    space.take(opened)
    if controls:
        set_from_file(set_controls)


def _state(space: Workspace) -> dict[str, Any]:
    area = space.area
    made = {name: getattr(space, name) for name in RESULTS}
    return {
        "format": FORMAT,
        "area": None if area is None else area.to_geojson(),
        "area_name": None if area is None else area.name,
        "source": space.source,
        "scale": asdict(space.scale),
        "hour": space.hour,
        "places": space.drawn_places,
        "never_areas": space.never_areas,
        "equipment": space.edited_equipment,
        "opened": space.scenario,
        "strategies": strategies(space),
        "sleep_choice": space.sleep_choice,
        "spectrum_choice": space.spectrum_choice,
        "spectrum_hour": space.spectrum_hour,
        "spectrum_cluster": space.spectrum_cluster,
        "made": {n: {"basis": m.basis, "identity": m.identity} for n, m in made.items() if m is not None},
        "coverage": coverage.record(space),
        "controls": values(),
    }


def _coverage(told: Any) -> dict[str, Any] | None:
    """What the file says of its coverage; an earlier version says nothing. Raises for what makes no sense."""
    if told is None:
        return None
    coverage.settings_of(dict(told["settings"]))
    basis = {name: str(told["basis"][name]) for name in PLANNED_ON}
    return {
        "settings": dict(told["settings"]),
        "basis": basis,
        "uploads": [str(key) for key in told["uploads"]],
    }


def strategies(space: Workspace) -> list[str]:
    """Sleep strategies of which there are plans for the present network."""
    sleep, network = space.sleep, space.network
    if sleep is None or network is None or sleep.basis["network"] != network.identity:
        return []
    return list(sleep.value.plans)


def _set_state(space: Workspace, state: dict[str, Any]) -> None:
    from opendiff.area import Area, tiles_covering
    from planning.deployment.places import Places

    source = str(state["source"])
    space.source = source if limits.may_open(source, own_folder(space.work)) else DEMO
    space.scale = ScaleChoice(**state["scale"]).checked()
    space.hour = int(state["hour"]) % 168
    Places.from_features(state["places"])  # raises for what was never drawn
    space.drawn_places = list(state["places"])
    never_areas = state.get("never_areas") or []  # work of an earlier version has none
    Places.from_features(never_areas)
    space.never_areas = list(never_areas)
    space.edited_equipment = {
        str(name): {str(figure): float(value) for figure, value in edited.items()}
        for name, edited in state["equipment"].items()
    }
    space.coverage_saved = _coverage(state.get("coverage"))
    space.scenario = str(state["opened"])
    space.sleep_choice, space.spectrum_choice = str(state["sleep_choice"]), str(state["spectrum_choice"])
    space.spectrum_hour = int(state["spectrum_hour"]) % 168
    place = state.get("spectrum_cluster")  # work of an earlier version has none
    space.spectrum_cluster = (float(place[0]), float(place[1]), int(place[2])) if place else None
    if state["area"] is not None:
        area = Area.from_geojson(state["area"], str(state["area_name"]))
        if not take_area(space, lambda: area, "opening the source of the saved area"):
            # its open data are not here; what was made of them is
            space.set_area(area, tiles_covering(area), 0)


def _made(value: Any, state: dict[str, Any], name: str) -> Made:
    kept = state["made"][name]
    return Made(value, {given: str(kept["basis"][given]) for given in BASIS[name]}, str(kept["identity"]))


def _set_plans(space: Workspace, saved: Work, state: dict[str, Any]) -> None:
    assert saved.networks is not None
    found, compared = read_networks(*saved.networks, space)
    made = state["made"]
    space.network = _made(found[made["network"]["identity"]], state, "network")
    if compared is not None:
        space.deployments = _made(Comparison({}, compared["table"]), state, "deployments")
        for strategy in compared["plans"]:
            deployed = found[network_identity(space.deployments, strategy)]
            space.deployments.value.plans[strategy] = deployed
    if saved.sleep is not None:
        deployed = found[made["sleep"]["basis"]["network"]]
        plans = read_sleep(*saved.sleep, deployed)
        if plans is None:
            space.notes["sleep"] = EARLIER
        else:
            space.sleep = _made(plans, state, "sleep")
    if saved.spectrum is not None:
        deployed = found[made["spectrum"]["basis"]["network"]]
        comparison, hours = read_spectrum(*saved.spectrum, deployed)
        space.spectrum = _made(comparison, state, "spectrum")
        if hours is not None:
            space.spectrum_hours = _made(hours, state, "spectrum_hours")


def _uploads_bytes(uploads: dict[str, Upload]) -> bytes:
    """Numbered files and a list of what each is for and was called: no name of a user's becomes a path."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        told = [{"key": key, "name": upload.name} for key, upload in uploads.items()]
        archive.writestr("files.json", json.dumps(told))
        for number, upload in enumerate(uploads.values()):
            archive.writestr(f"{number}.bin", upload.data)
    return file.getvalue()
