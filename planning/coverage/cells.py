"""The cells of a network as the radio model takes them: arrays, carriers and how carriers overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from plannerbase.counting import counted
from planning.bands import band_at, band_named, prb_khz
from planning.coverage.settings import UMI_BELOW_M, RadioSettings, check_frequencies
from planning.distinct import distinct
from planning.errors import InputError
from planning.network import Network
from planning.propagation import RMA_STATION_M, building_loss_db

THERMAL_DBM_HZ = -174.0  # kT at 290 K


@dataclass(frozen=True)
class RadioCells:
    """Arrays over the cells of a network, and over its carriers.

    Attributes
    ----------
    site : (cells,) row of the cell's site. lon, lat : (sites,) degrees.
    carrier : (cells,) number of the carrier: cells of one centre frequency and bandwidth.
    eirp_dbm : (cells,) per resource element: total power - 10 log10(12 x PRBs) + antenna gain + user's gain.
    threshold_dbm : (cells,) lowest RSRP with service outdoors, margin included.
    indoor_db : (cells,) median building loss. indoor_threshold_dbm : the outdoor RSRP that serves indoors.
    noise_dbm : (carriers,) thermal noise and noise figure on one resource element.
    bandwidth_hz : (cells,) of all PRBs, times the share of resource elements and time that carries downlink data.
    layers : (cells,) int. lte : (cells,) bool, whose rates follow the settings' `lte_rates`.
    overlap : (carriers, carriers) interference on a resource element of the row's carrier for each mW per resource
        element of the column's: overlapping share of the bandwidth x ratio of the subcarrier spacings.
    bands : (carriers,) names, with the frequency where two carriers share a band.
    notes : what was clamped or assumed, in sentences.
    """

    network: Network
    site: np.ndarray
    lon: np.ndarray
    lat: np.ndarray
    carrier: np.ndarray
    environment: np.ndarray
    frequency_mhz: np.ndarray
    height_m: np.ndarray
    azimuth_deg: np.ndarray
    tilt_deg: np.ndarray
    beamwidth_deg: np.ndarray
    vertical_beamwidth_deg: np.ndarray
    eirp_dbm: np.ndarray
    threshold_dbm: np.ndarray
    indoor_threshold_dbm: np.ndarray
    indoor_db: np.ndarray
    bandwidth_hz: np.ndarray
    layers: np.ndarray
    lte: np.ndarray
    band: np.ndarray
    noise_dbm: np.ndarray
    overlap: np.ndarray
    bands: tuple[str, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, network: Network, settings: RadioSettings) -> RadioCells:
        """Raises InputError for a carrier that the model is not made for, or an antenna below the user."""
        cells, sites = network.cells, network.sites
        number = {
            name: cells[name].to_numpy(float)
            for name in (
                "frequency_mhz", "bandwidth_mhz", "prbs", "beamwidth_deg", "vertical_beamwidth_deg", "height_m",
                "tilt_deg", "power_dbm", "gain_dbi", "layers", "azimuth",
            )
        }  # fmt: skip
        names = cells["cell"].to_numpy(object)
        frequency, height, prbs = number["frequency_mhz"], number["height_m"], number["prbs"]
        environment = settings.environment_of(height)
        check_frequencies(frequency, environment, names)
        low = height <= settings.user_height_m
        if low.any():
            raise InputError(
                f"{counted(int(low.sum()), 'cells have')} an antenna no higher than the user's "
                f"{settings.user_height_m:g} m "
                f"(first: {names[low.argmax()]} with {height[low.argmax()]:g} m); correct height_m."
            )
        lte = cells["technology"].to_numpy(object) != "5G"
        scs_hz = 1000 * prb_khz(prbs, number["bandwidth_mhz"]) / 12
        carrier, first = _carriers(frequency, number["bandwidth_mhz"])
        overhead = np.where(lte, settings.overhead_4g, settings.overhead_5g)
        downlink = np.where(_is_tdd(cells), settings.tdd_downlink, 1.0)
        indoor = np.zeros(len(cells))
        for name in set(environment.tolist()):
            mine = environment == name
            indoor[mine] = building_loss_db(frequency[mine] / 1000, name, settings.building)
        threshold = settings.thresholds_of(frequency) + settings.margin_db
        return cls(
            network=network,
            site=network.site_of_cell,
            lon=sites["lon"].to_numpy(float),
            lat=sites["lat"].to_numpy(float),
            carrier=carrier,
            environment=environment,
            frequency_mhz=frequency,
            height_m=height,
            azimuth_deg=number["azimuth"] % 360.0,
            tilt_deg=number["tilt_deg"],
            beamwidth_deg=number["beamwidth_deg"],
            vertical_beamwidth_deg=number["vertical_beamwidth_deg"],
            eirp_dbm=number["power_dbm"]
            - 10 * np.log10(12 * prbs)
            + number["gain_dbi"]
            + settings.user_gain_dbi,
            threshold_dbm=threshold,
            indoor_threshold_dbm=threshold + indoor,
            indoor_db=indoor,
            bandwidth_hz=12 * scs_hz * prbs * (1 - overhead) * downlink,
            layers=np.maximum(np.round(number["layers"]), 1).astype(int),
            lte=lte,
            band=cells["band"].to_numpy(object),
            noise_dbm=THERMAL_DBM_HZ + 10 * np.log10(scs_hz[first]) + settings.noise_figure_db,
            overlap=_overlap(frequency[first], number["bandwidth_mhz"][first], scs_hz[first]),
            bands=_labels(cells["band"].to_numpy(object)[first], frequency[first]),
            notes=_notes(height, environment, settings),
        )

    def __len__(self) -> int:
        return len(self.site)

    @property
    def carriers(self) -> int:
        return len(self.noise_dbm)

    def peak_mbps(self, efficiency: np.ndarray) -> np.ndarray:
        """(cells,) Mbit/s at a spectral efficiency in bit/s/Hz over all layers."""
        return self.bandwidth_hz * efficiency / 1e6


def _carriers(frequency_mhz: np.ndarray, bandwidth_mhz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(cells,) number of each cell's carrier, ascending in frequency, and (carriers,) a cell of each."""
    first, carrier = distinct(frequency_mhz.round(3), bandwidth_mhz.round(3))
    return carrier, first


def _overlap(frequency_mhz: np.ndarray, bandwidth_mhz: np.ndarray, scs_hz: np.ndarray) -> np.ndarray:
    low, high = frequency_mhz - bandwidth_mhz / 2, frequency_mhz + bandwidth_mhz / 2
    shared = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    return np.maximum(shared, 0) / bandwidth_mhz[:, None] * (scs_hz[:, None] / scs_hz)


def _labels(band: np.ndarray, frequency_mhz: np.ndarray) -> tuple[str, ...]:
    names = [str(b) for b in band]
    return tuple(
        f"{name} {f:g} MHz".strip() if not name or names.count(name) > 1 else name
        for name, f in zip(names, frequency_mhz, strict=True)
    )


def _is_tdd(cells: pd.DataFrame) -> np.ndarray:
    """(cells,) bool, by the band's name, else by the frequency's band, else from 3 GHz on."""
    named = ("band", "technology", "frequency_mhz")
    keys = list(zip(*(cells[name].to_numpy(object).tolist() for name in named), strict=True))
    known = {}
    for key in set(keys):
        band = band_named(str(key[0]), str(key[1])) or band_at(float(key[2]), str(key[1]))
        known[key] = band.tdd if band is not None else key[2] >= 3000
    return np.array([known[key] for key in keys], bool)


def _notes(height_m: np.ndarray, environment: np.ndarray, settings: RadioSettings) -> tuple[str, ...]:
    notes = []
    low, high = RMA_STATION_M
    clamped = (environment == "RMa") & ((height_m < low) | (height_m > high))
    if clamped.any():
        notes.append(
            f"{int(clamped.sum())} antennas outside {low:g}-{high:g} m count as at the nearer end of that range, for "
            "which the RMa model is made; the antenna pattern takes their own height."
        )
    below = (environment == "UMa") & (height_m < UMI_BELOW_M)
    if below.any():
        notes.append(
            f"{int(below.sum())} antennas lower than {UMI_BELOW_M:g} m take the UMa model, which is made for stations "
            "above the roofs; the environment 'auto' gives them UMi."
        )
    return tuple(notes)
