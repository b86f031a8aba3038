"""The radio model again, a link at a time in plain Python: what the vectorised one is compared with."""

import math

from planning.geometry import metres_per_degree

LIGHT = 3e8


def path_loss(ground, frequency_ghz, height, environment="UMa", user=1.5):
    """Expected path loss of TR 38.901 in dB."""
    d2 = max(ground, 10.0)
    d3 = math.hypot(d2, height - user)
    breakpoint_m = 4 * (height - 1) * (user - 1) * frequency_ghz * 1e9 / LIGHT
    f = math.log10(frequency_ghz)
    near, slope, reach = (28, 22, 63) if environment == "UMa" else (32.4, 21, 36)
    if d2 <= breakpoint_m:
        los = near + slope * math.log10(d3) + 20 * f
    else:
        last = 9 if environment == "UMa" else 9.5
        los = near + 40 * math.log10(d3) + 20 * f - last * math.log10(breakpoint_m**2 + (height - user) ** 2)
    if environment == "UMa":
        blocked = 13.54 + 39.08 * math.log10(d3) + 20 * f - 0.6 * (user - 1.5)
    else:
        blocked = 22.4 + 35.3 * math.log10(d3) + 21.3 * f - 0.3 * (user - 1.5)
    blocked = max(los, blocked)
    p = 1.0 if ground <= 18 else 18 / ground + math.exp(-ground / reach) * (1 - 18 / ground)
    return p * los + (1 - p) * blocked


def rsrp(cell, site, lon, lat, environment="UMa", user=1.5):
    """dBm per resource element of one cell at one place; cell and site: rows as dictionaries."""
    per_east, per_north = metres_per_degree((site["lat"] + lat) / 2)
    east, north = (lon - site["lon"]) * per_east, (lat - site["lat"]) * per_north
    ground = math.hypot(east, north)
    bearing = math.degrees(math.atan2(east, north))
    off = (bearing - cell["azimuth"] + 180) % 360 - 180
    depression = math.degrees(math.atan2(cell["height_m"] - user, max(ground, 10.0)))
    across = 0.0 if cell["beamwidth_deg"] >= 360 else min(12 * (off / cell["beamwidth_deg"]) ** 2, 30)
    down = min(12 * ((depression - cell["tilt_deg"]) / cell["vertical_beamwidth_deg"]) ** 2, 30)
    return (
        cell["power_dbm"]
        - 10 * math.log10(12 * cell["prbs"])
        + cell["gain_dbi"]
        - min(across + down, 30)
        - path_loss(ground, cell["frequency_mhz"] / 1000, cell["height_m"], environment, user)
    )


def table(network, lon, lat, **options):
    """[pixel][cell] dBm of every cell at places."""
    sites = {s["site"]: s for s in network.sites.to_dict("records")}
    cells = network.cells.to_dict("records")
    return [
        [rsrp(cell, sites[cell["site"]], a, b, **options) for cell in cells]
        for a, b in zip(lon, lat, strict=True)
    ]


def sinr(levels, carrier, load, noise_dbm, serving):
    """Linear SINR of one pixel: levels [cell] dBm, carrier [cell], load [cell]."""
    mw = [10 ** (level / 10) for level in levels]
    interference = sum(
        mw[i] * min(load[i], 1) for i in range(len(mw)) if i != serving and carrier[i] == carrier[serving]
    )
    return mw[serving] / (10 ** (noise_dbm / 10) + interference)
