"""The cells of one carrier as the stations of a PRB problem, with the gains of the radio model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from planning.bands import prb_khz
from planning.coverage import PixelGrid, RadioSettings
from planning.coverage.cells import RadioCells
from planning.coverage.computing import LevelWork
from planning.coverage.rates import RateMapping
from planning.errors import InputError
from planning.geometry import centre_of, distances_m, local_metres
from planning.network import Network
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


@dataclass(frozen=True)
class CellLinks:
    """The links of users to the cells of one carrier, as `PrbProblem` has them. radio: with the carrier's figures.
    share: of the network's PRBs x layers x time that the carrier has, and so of the traffic (assumed)."""

    names: tuple[str, ...]
    radio: Radio
    gain: np.ndarray
    metres: np.ndarray
    power_w: float
    prbs: int
    mapping: RateMapping
    layers: int
    usable: float
    share: float


def links_of_cells(
    network: Network, users: Users, radio: Radio, settings: RadioSettings | None = None
) -> CellLinks:
    """The cells of one carrier as stations.

    Gains are those of `planning.coverage`: path loss, sector antennas with tilt, antenna gain, and building loss for
    the share of users that is indoors (drawn from the radio's seed). Rates follow the carrier's table of TS 38.214,
    its layers and its overhead, and the downlink's share of time in TDD bands.

    Parameters
    ----------
    radio : its link, carrier (`cell_carrier`), environment, condition, seed and user count; the rest is the cells'.
    settings : of the radio model; None as `radio` has them.

    Raises
    ------
    InputError
        For a carrier that the network lacks.
    """
    settings = settings or RadioSettings(
        environment=radio.environment,
        los="expected" if radio.condition == "NLOS" else radio.condition,
        user_height_m=radio.user_height_m,
        user_gain_dbi=radio.user_gain_dbi,
        seed=radio.seed,
    )
    table = carriers(network)
    found = table[table["carrier"] == radio.cell_carrier] if radio.cell_carrier else table
    if not len(found):
        raise InputError(
            f"The network has no carrier {radio.cell_carrier!r}; it has {', '.join(table['carrier'])}."
        )
    chosen = found.iloc[0]
    every = network.cells
    mine = np.flatnonzero(
        (every["frequency_mhz"] == chosen["frequency_mhz"])
        & (every["bandwidth_mhz"] == chosen["bandwidth_mhz"])
        & (every["prbs"] == chosen["prbs"])
    )
    prbs = int(chosen["prbs"])
    noise_figure = radio.noise_figure_db
    if noise_figure is None and radio.link == "downlink":
        noise_figure = settings.noise_figure_db
    radio = replace(
        radio,
        cell_carrier=str(chosen["carrier"]),
        carrier_ghz=float(chosen["frequency_mhz"]) / 1000,
        bandwidth_mhz=float(chosen["bandwidth_mhz"]),
        scs_khz=int(prb_khz(prbs, chosen["bandwidth_mhz"])) // 12,
        noise_figure_db=noise_figure,
    )
    cells = RadioCells.of(network, settings)
    power_dbm = every["power_dbm"].to_numpy(float)[mine]
    gain = _gains(cells, users, settings, mine) / _per_element(power_dbm, prbs)
    inside = np.random.default_rng(settings.seed).random(len(users.lon)) < settings.indoor_share
    gain = np.where(inside[:, None], gain * 10 ** (-cells.indoor_db[mine] / 10), gain)
    reference = float(power_dbm.max())
    if radio.link == "downlink":  # one power for all: what a cell sends less of goes into its gain
        gain = gain * 10 ** ((power_dbm - reference) / 10)
        power = dbm_to_w(reference) / prbs
    else:
        power = dbm_to_w(radio.user_dbm)
    origin = centre_of(users.lon, users.lat)
    metres = distances_m(local_metres(users.lon, users.lat, origin), network.metres(origin))
    lte = bool(cells.lte[mine[0]])
    usable = float(cells.bandwidth_hz[mine[0]]) / (12e3 * radio.scs_khz * prbs)
    if radio.link == "uplink":  # the rest of the time in TDD; overhead alike (assumed)
        overhead = settings.overhead_4g if lte else settings.overhead_5g
        downlink = usable / (1 - overhead)
        usable = (1 - overhead) * (1 - downlink if downlink < 1 else 1.0)
    room = cells.bandwidth_hz * cells.layers
    return CellLinks(
        names=tuple(every["cell"].to_numpy(object)[mine]),
        radio=radio,
        gain=gain,
        metres=metres[:, network.site_of_cell[mine]],
        power_w=float(power),
        prbs=prbs,
        mapping=settings.lte_rates if lte else settings.rates,
        layers=int(cells.layers[mine[0]]) if radio.link == "downlink" else 1,
        usable=usable,
        share=float(room[mine].sum() / room.sum()),
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
