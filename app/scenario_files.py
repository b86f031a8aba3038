"""The current scenario, from what the workspace holds, as bytes in the formats of `planning.export`."""

from typing import TYPE_CHECKING

from app.state import Workspace

if TYPE_CHECKING:
    from planning.scenario import Scenario

FORMATS = {
    "gpkg": ("GeoPackage (QGIS)", "plan.gpkg", "application/geopackage+sqlite3"),
    "geojson": ("GeoJSON", "plan.geojson", "application/geo+json"),
    "kml": ("KML", "plan.kml", "application/vnd.google-earth.kml+xml"),
    "csv": ("CSV tables (zip)", "plan.zip", "application/zip"),
    "html": ("Report (HTML)", "plan.html", "text/html"),
}


def scenario_of(space: Workspace) -> "Scenario":
    """Network, demand and the plans that still fit the network. Call only when there is a network."""
    from planning.scenario import Scenario

    assert space.network is not None
    scenario = Scenario.from_deployment(space.network.value, space.demand())
    if space.sleep and space.outdated(space.sleep) is None:
        scenario = scenario.with_sleep(space.sleep.value.plans[space.sleep_choice])
    if space.spectrum and space.outdated(space.spectrum) is None:
        scenario = scenario.with_prb(space.spectrum.value.plans[space.spectrum_choice])
    return scenario


def scenario_bytes(scenario: "Scenario", kind: str) -> bytes:
    from planning.export import export_bytes

    return export_bytes(scenario, kind)[0]
