"""Which sites lie so near to the tiles of a traffic table that they may serve it."""

from __future__ import annotations

import numpy as np

from plannerbase.report import Report
from planning.errors import InputError
from planning.geometry import centre_of, local_metres, nearest, tile_area_km2, tile_centre, tile_corner
from planning.network.network import Network

MARGIN_M = 3000.0  # assumed: sites so near to the area's tiles may serve it
METRES_PER_DEGREE = 111_320.0


def box_near(x: np.ndarray, y: np.ndarray, margin_m: float = MARGIN_M) -> tuple[float, float, float, float]:
    """W, S, E, N in degrees around tiles x, y (tiles,) and `margin_m` around them."""
    west, north = tile_corner(x.min(), y.min())
    east, south = tile_corner(x.max() + 1, y.max() + 1)
    up = margin_m / METRES_PER_DEGREE
    side = up / max(np.cos(np.radians(max(abs(float(north)), abs(float(south))))), 0.05)
    return float(west) - side, float(south) - up, float(east) + side, float(north) + up


def apart_m(lon: np.ndarray, lat: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(places,) metres from the nearest of the tiles x, y (tiles,), below 0 inside one."""
    tile_lon, tile_lat = tile_centre(x, y)
    origin = centre_of(tile_lon, tile_lat)
    tiles, places = local_metres(tile_lon, tile_lat, origin), local_metres(lon, lat, origin)
    half = 500.0 * float(np.sqrt(tile_area_km2(x, y).max()))
    return np.abs(places - tiles[nearest(places, tiles)]).max(axis=1) - half


def only_near(network: Network, x: np.ndarray, y: np.ndarray, report: Report) -> Network:
    """The network of the sites in or within MARGIN_M of the tiles x, y (tiles,), and how many these are.

    Raises InputError where no site is that near: it says where they lie, and whether exchanged axes would help.
    """
    sites = network.sites
    lon, lat = sites["lon"].to_numpy(float), sites["lat"].to_numpy(float)
    apart = apart_m(lon, lat, x, y)
    near = apart <= MARGIN_M
    if not near.any():
        raise InputError(_none_near(lon, lat, x, y, float(apart.min())))
    if near.all():
        return network
    report.taken(
        f"of {len(sites):,} sites lie in or within {MARGIN_M / 1000:g} km of the area", int(near.sum())
    )
    far = np.flatnonzero(~near)
    named = [
        f"{sites['site'].iloc[i]} at {lon[i]:.4f}, {lat[i]:.4f}" for i in far[np.argsort(-apart[far])][:3]
    ]
    report.left_out("sites left out: no tile of the traffic is near", len(far), named)
    return network.only(near)


def _none_near(lon: np.ndarray, lat: np.ndarray, x: np.ndarray, y: np.ndarray, nearest_m: float) -> str:
    west, south, east, north = box_near(x, y, 0.0)
    text = (
        f"No site of {len(lon):,} lies in or near the area ({west:.3f} to {east:.3f} E, {south:.3f} to "
        f"{north:.3f} N):"
        f" they lie between {lon.min():.3f} and {lon.max():.3f} E, {lat.min():.3f} and {lat.max():.3f} N, the nearest "
        f"{nearest_m / 1000:,.0f} km away"
    )
    possible = np.abs(lon) <= 85
    if possible.any() and (apart_m(lat[possible], lon[possible], x, y) <= MARGIN_M).any():
        return (
            f"{text}; with latitude and longitude exchanged they would lie in it, so exchange them (--map lon=... "
            "--map lat=...)."
        )
    return f"{text}; import the sites of this area, or give the traffic of theirs."
