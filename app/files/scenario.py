"""The current scenario, from what the workspace holds, as bytes in the formats of `planning.export`."""

import re
from typing import TYPE_CHECKING

from app.state.results import Deployed, Made
from app.state.workspace import Workspace
from plannerbase import formats

if TYPE_CHECKING:
    from planning.scenario import Scenario

FORMATS = {  # format of planning.export: what the button says
    "gpkg": "GeoPackage (QGIS)",
    "geojson": "GeoJSON",
    "kml": "KML",
    "kmz": "KMZ (Google Earth)",
    "shp": "Shapefile (zipped)",
    "xlsx": "Excel workbook",
    "cloudrf": "CloudRF sites (CSV)",
    "zip": "CSV tables",
}


HOLDS = {  # format: what is in its file
    "gpkg": "Layers of tiles, sites and cells, every plan as a table, where it comes from; opens in QGIS.",
    "geojson": "Sites, cells and tiles as features, plans in their properties.",
    "kml": "Sites and cells with their sleep and spectrum, for Google Earth.",
    "kmz": "The same as KML, zipped.",
    "shp": "Sites and cells; names of columns cut to ten letters.",
    "xlsx": "A sheet a table: sites, cells, tiles, sleep schedule, energy, CO₂ and cost, spectrum, assumptions.",
    "cloudrf": "A row a cell for CloudRF's import; no plan.",
    "zip": "Every table as CSV, and where it comes from.",
}


def file_stem(space: Workspace) -> str:
    """The name of the area that was planned, as the beginning of a file name."""
    made = space.network
    name = made.value.area_name if made else space.area.name if space.area else "plan"
    return re.sub(r"[^\w-]+", "-", name).strip("-").lower() or "plan"


def scenario_of(space: Workspace) -> "Scenario":
    """The network with the demand it was made for, and the plans that are for this network.

    It holds together whatever has been drawn or set since. Call only when there is a network.
    """
    from planning.scenario import Scenario

    assert space.network is not None
    deployed = space.network.value
    scenario = Scenario.from_deployment(deployed.plan, deployed.demand)
    compared = space.deployments
    if compared and any(made is deployed for made in compared.value.plans.values()):
        scenario = scenario.with_table("deployment_comparison", compared.value.table)
    if space.sleep and _is_for(space.sleep, space.network):
        comparison = space.sleep.value
        scenario = scenario.with_sleep(
            comparison.plans[space.sleep_choice], comparison.table, comparison.ranges, comparison.prices
        )
    if space.utilisation and _is_for(space.utilisation, space.network):
        use = space.utilisation.value
        tables = {
            "by_hour": use.found.by_hour(),
            "cells": use.found.cells(),
            "hot_spots": use.hot_spots,
            "relief": use.relief,
        }
        scenario = scenario.with_utilisation(use.found.record(), tables)
    if space.spectrum and _is_for(space.spectrum, space.network):
        made = space.spectrum
        tables = {"comparison": made.value.table}
        if (hours := space.spectrum_hours) and hours.basis.get("spectrum") == made.identity:
            tables |= {"hours": hours.value.table(), "station_hours": hours.value.stations()}
        scenario = scenario.with_prb(made.value.plans[space.spectrum_choice], **tables)
    return scenario


def left_out(space: Workspace) -> list[str]:
    """Plans that `scenario_of` leaves out, as they were made for another network, traffic or scale."""
    if space.network is None:
        return []
    plans = {
        "the sleep plan": space.sleep,
        "the utilisation of the network": space.utilisation,
        "the spectrum plan": space.spectrum,
    }
    return [name for name, made in plans.items() if made and not _is_for(made, space.network)]


def _is_for(made: Made, network: Made) -> bool:
    shared = ("traffic", "scale")
    return made.basis["network"] == network.identity and all(
        made.basis[name] == network.basis[name] for name in shared
    )


def scenario_extent(deployed: Deployed) -> str:
    """How much a file of the scenario holds: "2,500 tiles, 60 sites, 180 cells"."""
    network = deployed.plan.network
    return (
        f"{formats.counted(deployed.demand.tiles, 'tiles')}, {formats.counted(len(network.sites), 'sites')}, "
        f"{formats.counted(len(network.cells), 'cells')}"
    )


def ending_and_mime(kind: str) -> tuple[str, str]:
    """(ending of the file name with its dot, media type) of one of FORMATS."""
    from planning.export import FORMATS as files

    return files[kind]


def download(scenario: "Scenario", kind: str) -> bytes:
    """The scenario as a file of one of FORMATS."""
    from planning.export import export

    return export(scenario, kind)
