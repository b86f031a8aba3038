"""PRB problems of a network as it is: its cells of one carrier are the stations, with the gains of the radio model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from planning.bands import prb_khz
from planning.coverage import PixelGrid, RadioSettings
from planning.coverage.cells import RadioCells
from planning.coverage.computing import LevelWork
from planning.errors import InputError
from planning.geometry import centre_of, distances_m, local_metres
from planning.network import Network
from planning.prb.problem import PrbProblem
from planning.prb.users import Users
from planning.radio import Radio, dbm_to_w

_AROUND = 0.01  # degrees around the users: the grid only gives the projection


def carriers(network: Network) -> pd.DataFrame:
    """A row a carrier, the widest first: carrier (label), band, frequency_mhz, bandwidth_mhz, prbs, cells (number)."""
    cells = network.cells
    keys = ["band", "frequency_mhz", "bandwidth_mhz", "prbs"]
    table = cells.groupby(keys, sort=True).size().rename("cells").reset_index()
    order = np.lexsort((table["frequency_mhz"], -table["bandwidth_mhz"] * table["cells"]))
    table = table.iloc[order].reset_index(drop=True)
    many = table["band"].duplicated(keep=False)
    names = [
        f"{b} {f:g} MHz".strip() if twice or not b else b
        for b, f, twice in zip(table["band"], table["frequency_mhz"], many, strict=True)
    ]
    table.insert(0, "carrier", names)
    return table


def problem_of_cells(
    network: Network,
    users: Users,
    link: str = "downlink",
    carrier: str | None = None,
    settings: RadioSettings | None = None,
    traffic_share: float | None = None,
) -> PrbProblem:
    """The cells of one carrier as stations.

    Gains are those of `planning.coverage`: path loss, sector antennas with tilt, antenna gain, and building loss for
    the share of users that is indoors (drawn from the settings' seed). Rates follow the carrier's table of TS 38.214,
    its layers and its overhead, and the downlink's share of time in TDD bands.

    Parameters
    ----------
    carrier : a label of `carriers`; None takes the first. Users' demands are what this carrier is asked for, so scale
        them where several carriers share the traffic.
    traffic_share : of the users' traffic on this link; None as `Radio.share`.

    Raises
    ------
    InputError
        For a carrier that the network lacks.
    """
    settings = settings or RadioSettings()
    table = carriers(network)
    found = table[table["carrier"] == carrier] if carrier is not None else table
    if not len(found):
        raise InputError(f"The network has no carrier {carrier!r}; it has {', '.join(table['carrier'])}.")
    chosen = found.iloc[0]
    every = network.cells
    mine = np.flatnonzero(
        (every["frequency_mhz"] == chosen["frequency_mhz"])
        & (every["bandwidth_mhz"] == chosen["bandwidth_mhz"])
        & (every["prbs"] == chosen["prbs"])
    )
    prbs = int(chosen["prbs"])
    radio = replace(
        Radio(link=link, environment="UMa", traffic_share=traffic_share),
        carrier_ghz=float(chosen["frequency_mhz"]) / 1000,
        bandwidth_mhz=float(chosen["bandwidth_mhz"]),
        scs_khz=int(prb_khz(prbs, chosen["bandwidth_mhz"])) // 12,
        user_gain_dbi=settings.user_gain_dbi,
        user_height_m=settings.user_height_m,
        noise_figure_db=settings.noise_figure_db if link == "downlink" else None,
        seed=settings.seed,
    )
    cells = RadioCells.of(network, settings)
    power_dbm = every["power_dbm"].to_numpy(float)[mine]
    gain = _gains(cells, users, settings, mine) / _per_element(power_dbm, prbs)
    inside = np.random.default_rng(settings.seed).random(len(users.lon)) < settings.indoor_share
    gain = np.where(inside[:, None], gain * 10 ** (-cells.indoor_db[mine] / 10), gain)
    reference = float(power_dbm.max())
    if link == "downlink":  # one power for all: what a cell sends less of goes into its gain
        gain = gain * 10 ** ((power_dbm - reference) / 10)
        power = dbm_to_w(reference) / prbs
    else:
        power = dbm_to_w(radio.user_dbm)
    origin = centre_of(users.lon, users.lat)
    metres = distances_m(local_metres(users.lon, users.lat, origin), network.metres(origin))
    lte = bool(cells.lte[mine[0]])
    full_hz = 12e3 * radio.scs_khz * prbs
    usable = float(cells.bandwidth_hz[mine[0]]) / full_hz
    if link == "uplink":  # the rest of the time in TDD; overhead alike (assumed)
        overhead = settings.overhead_4g if lte else settings.overhead_5g
        downlink = usable / (1 - overhead)
        usable = (1 - overhead) * (1 - downlink if downlink < 1 else 1.0)
    return PrbProblem(
        tuple(every["cell"].to_numpy(object)[mine]),
        users,
        radio,
        gain,
        metres[:, network.site_of_cell[mine]],
        users.demand_mbps * radio.share,
        float(power),
        prbs,
        settings.lte_rates if lte else settings.rates,
        layers=int(cells.layers[mine[0]]) if link == "downlink" else 1,
        usable=usable,
    )


def _gains(cells: RadioCells, users: Users, settings: RadioSettings, mine: np.ndarray) -> np.ndarray:
    """(users, cells) mW received outdoors on a resource element at full power."""
    lon, lat = np.asarray(users.lon, float), np.asarray(users.lat, float)
    box = PixelGrid.of_box(
        (float(lon.min()) - _AROUND, float(lon.max()) + _AROUND),
        (float(lat.min()) - _AROUND, float(lat.max()) + _AROUND),
        settings.pixel_m,
    )
    east, north = box.metres(lon, lat)
    grid = replace(box, lon=lon, lat=lat, east_m=east, north_m=north)
    level = LevelWork(cells, grid, settings).rsrp_dbm(np.arange(len(lon)), mine)
    return 10 ** (level.T.astype(float) / 10)


def _per_element(power_dbm: np.ndarray, prbs: int) -> np.ndarray:
    """(cells,) mW that a cell sends on a resource element."""
    return 10 ** (power_dbm / 10) / (12 * prbs)
