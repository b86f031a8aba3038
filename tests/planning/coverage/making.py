"""Small networks for tests of the radio model."""

import numpy as np
import pandas as pd

from planning.geometry import metres_per_degree, tile_centre, tile_position
from planning.network import Network

LON, LAT = 115.9, 28.7


def lon_lat(east_m, north_m):
    """Places in degrees, metres from (LON, LAT)."""
    east, north = metres_per_degree(LAT)
    return LON + np.asarray(east_m) / east, LAT + np.asarray(north_m) / north


def network_at(east_m, north_m, **columns) -> Network:
    """Sites at metres from (LON, LAT), each with the rows of `cells` (default: one omnidirectional 5G cell)."""
    lon, lat = lon_lat(np.atleast_1d(east_m), np.atleast_1d(north_m))
    names = [f"S{i}" for i in range(len(lon))]
    cell = {
        "technology": "5G", "band": "n41", "frequency_mhz": 2600.0, "bandwidth_mhz": 100.0, "azimuth": 0.0,
        "beamwidth_deg": 360.0, "tilt_deg": 0.0, "height_m": 25.0, "power_dbm": 53.0, "gain_dbi": 12.0, "layers": 1,
    } | columns  # fmt: skip
    rows = pd.DataFrame([{"cell": f"{n}-1", "site": n, **cell} for n in names])
    return Network.from_tables(pd.DataFrame({"site": names, "lon": lon, "lat": lat}), rows)


def three_sectors(sites: int, seed: int, spread_m: float = 3000.0, **columns) -> Network:
    """Sites at random, each with three sectors on two carriers."""
    rng = np.random.default_rng(seed)
    lon, lat = lon_lat(*rng.uniform(-spread_m / 2, spread_m / 2, (2, sites)))
    names = [f"S{i}" for i in range(sites)]
    rows = [
        {"cell": f"{n}-{band}-{azimuth}", "site": n, "azimuth": float(azimuth), "technology": technology, "band": band}
        | columns
        for n in names
        for technology, band in (("4G", "B3"), ("5G", "n41"))
        for azimuth in (0, 120, 240)
    ]  # fmt: skip
    return Network.from_tables(pd.DataFrame({"site": names, "lon": lon, "lat": lat}), pd.DataFrame(rows))


def tiles_around(side: int = 1):
    """x, y of side x side tiles around (LON, LAT), and the middle of their first in degrees."""
    x, y = (int(np.floor(v)) for v in tile_position(LON, LAT))
    tiles = [(x + i, y + j) for j in range(side) for i in range(side)]
    x, y = np.array(tiles).T
    return x, y, tile_centre(x[:1], y[:1])
