"""The current scenario, from what the workspace holds, as bytes in the formats of `planning.export`."""

import re
from typing import TYPE_CHECKING

from app.state import Workspace

if TYPE_CHECKING:
    from planning.scenario import Scenario

FORMATS = {  # format of planning.export: what the button says
    "gpkg": "GeoPackage (QGIS)",
    "geojson": "GeoJSON",
    "kml": "KML",
    "zip": "CSV tables",
    "html": "Report (HTML)",
}


def file_stem(space: Workspace) -> str:
    """The area's name as the beginning of a file name."""
    name = space.area.name if space.area else "plan"
    return re.sub(r"[^\w-]+", "-", name).strip("-").lower() or "plan"


def scenario_of(space: Workspace) -> "Scenario":
    """Network, demand and the plans that still fit the network. Call only when there is a network."""
    from planning.scenario import Scenario

    assert space.network is not None
    scenario = Scenario.from_deployment(space.network.value, space.demand())
    if space.sleep and space.outdated(space.sleep) is None:
        comparison = space.sleep.value
        scenario = scenario.with_sleep(comparison.plans[space.sleep_choice], comparison.table)
    if space.spectrum and space.outdated(space.spectrum) is None:
        scenario = scenario.with_prb(space.spectrum.value.plans[space.spectrum_choice])
    return scenario


def download(scenario: "Scenario", kind: str) -> bytes:
    from planning.export import export

    return export(scenario, kind)
