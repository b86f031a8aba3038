"""How many carriers each site needs: its sectors' traffic by best server, and capacities by the radio model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from plannerbase.counting import counted
from plannerbase.formats import hour_in_prose
from plannerbase.progress import Progress, silent
from planning.coverage import Coverage, RadioSettings
from planning.demand import Demand, quantile_profile
from planning.equipment import CAPACITY, COVERAGE
from planning.errors import InputError, Shortfall
from planning.network import Network, SiteDesign
from planning.radio import Radio
from planning.shared_work import SharedWork

DOWNLINK_SHARE = Radio(link="downlink").share  # of the traffic (assumed)
PIXEL_M = 100.0  # of the coverage that sites are sized with; a map has finer ones
# Mbit/s of a loaded cell of the default site by the radio model, for first guesses: 100 sites on 112 km2
LOADED_MBPS = {COVERAGE.technology: 20.0, CAPACITY.technology: 110.0}
_ROUNDING_MBPS = 1e-6


@dataclass(frozen=True)
class Sizing:
    """A network sized to a demand; shortfalls: sites whose own peak exceeds the largest equipment allowed."""

    network: Network
    shortfalls: tuple[Shortfall, ...]
    sentence: str
    coverage: Coverage | None = None  # of the network, as far as it is at hand


def usual_site_mbps(layers: int, sectors: int = 3) -> float:
    """Mbit/s of a loaded site with so many capacity layers, for first guesses."""
    return sectors * (LOADED_MBPS[COVERAGE.technology] + layers * LOADED_MBPS[CAPACITY.technology])


def sector_demand(
    coverage: Coverage, demand: Demand, hours: int | None = 24, quantile: float = 0.9
) -> np.ndarray:
    """(sectors, hours) Mbit/s asked of each sector at a quantile, by best server; what none covers is left out.

    The tiles of a sector are added up in each sample first: they do not all peak in the same one. hours as in
    `Demand.profile`.
    """
    shares = coverage.sector_shares()
    samples = [shares.apply(demand.mbps[:, sample]) for sample in range(demand.samples)]
    return quantile_profile(np.stack(samples, axis=1), hours, quantile)


def with_radio_capacity(
    network: Network, coverage: Coverage, demand: Demand, load: float = 1.0, allowed_load: float = 1.0
) -> Network:
    """The network with the capacities of the radio model, over the traffic that each cell serves, in Mbit/s of both
    links: the downlink, which binds, carries DOWNLINK_SHARE of the traffic.

    load: of the interfering cells. allowed_load: share of a cell's PRBs that may be used.
    """
    loads = np.full(len(network.cells), float(load))
    capacity = coverage.capacity_mbps(loads, allowed_load, tile_values=demand.mean_mbps())
    return network.with_capacity(capacity / DOWNLINK_SHARE)


def size_network(
    network: Network,
    demand: Demand,
    quantile: float = 0.9,
    headroom: float = 0.2,
    max_layers: int = 4,
    radio: RadioSettings | None = None,
    design: SiteDesign | None = None,
    progress: Progress | None = None,
    work: SharedWork | None = None,
) -> Sizing:
    """Sites with as many 5G layers (1 .. max_layers) as their sectors' own peaks, with headroom, ask for.

    The capacity of a cell is that of the radio model over the traffic that it serves, with every cell as loaded as it
    is planned to be, 1 / (1 + headroom).

    Parameters
    ----------
    network : whose sites are sized; its cells do not matter.
    quantile : of the demand over samples (and days, for a week).
    headroom : 0.2 plans for 1.2 x the peak.
    radio : of the radio model; pixels of PIXEL_M by default.
    design : heights, bands and sectors of the sites.
    work : computes received levels by several processes.

    Returns
    -------
    Sizing
        Sites that even max_layers cannot carry at their bare peak are named in `shortfalls`.
    """
    if not (0 <= headroom < 10 and max_layers >= 1):
        raise InputError("The headroom must be at least 0 (0.2 means 20 %) and the layers at least 1.")
    tell = progress or silent
    radio = radio or RadioSettings(pixel_m=PIXEL_M)
    design = design or SiteDesign()
    sites = network.sites
    load = min(1.0, 1.0 / (1.0 + headroom))

    def built(layers: np.ndarray) -> tuple[Network, Coverage]:
        made = Network.from_sites(
            sites["lon"], sites["lat"], sites["site"], capacity_layers=layers, design=design
        )
        coverage = Coverage.of(made, demand.x, demand.y, radio, work=work)
        return with_radio_capacity(made, coverage, demand, load), coverage

    tell(0, 3, "coverage of the sites")
    sized, coverage = built(np.ones(len(sites), int))
    peak = sector_demand(coverage, demand, 24, quantile).max(axis=1)
    layers = layers_needed(
        peak * (1 + headroom),
        sized.cells["capacity_mbps"].to_numpy(float),
        sized.cells["is_coverage"].to_numpy(bool),
        sized.sector_of_cell,
        sized.sectors["site"].to_numpy(),
        max_layers,
    )
    if layers.max() > 1:
        tell(1, 3, "coverage of the carriers")
        sized, coverage = built(layers)
    load_by_hour = sector_demand(coverage, demand, 24, quantile)
    tell(3, 3, "sized")
    short = _shortfalls(sized, load_by_hour)
    wanted = _by_site(sized, np.maximum(load_by_hour.max(axis=1) * (1 + headroom) - _by_sector(sized), 0))
    tight = int((wanted > _ROUNDING_MBPS).sum()) - len(short)
    served = coverage.sector_shares().apply(demand.mean_mbps()[:, None]).sum()
    total = demand.mean_mbps().sum()
    sentence = _sentence(sized, layers, quantile, headroom, tight, short)
    if total > 0 and served < 0.995 * total:
        sentence += f" {100 * (1 - served / total):.1f} % of the traffic lies where no cell covers."
    return Sizing(sized, short, sentence, coverage)


def _by_sector(network: Network) -> np.ndarray:
    """(sectors,) Mbit/s."""
    return np.bincount(network.sector_of_cell, network.cells["capacity_mbps"].to_numpy(float))


def _by_site(network: Network, by_sector: np.ndarray) -> np.ndarray:
    """(sites,) sums of values of sectors."""
    return np.bincount(network.sectors["site"], by_sector, len(network.sites))


def layers_needed(
    wanted_mbps: np.ndarray,
    capacity_mbps: np.ndarray,
    is_coverage: np.ndarray,
    sector: np.ndarray,
    site: np.ndarray,
    most: int,
) -> np.ndarray:
    """(sites,) capacity layers that the fullest sector of each site needs, taken as alike.

    wanted_mbps, site: (sectors,) what is asked of each, and its site. capacity_mbps, is_coverage, sector: (cells,) with
    one layer; 0 Mbit/s for a cell that is not there.
    """
    count = len(wanted_mbps)
    base = np.bincount(sector, capacity_mbps * is_coverage, count)
    layer = np.bincount(sector, capacity_mbps * ~is_coverage, count)
    with np.errstate(divide="ignore", invalid="ignore"):
        need = np.where(wanted_mbps > base, np.ceil((wanted_mbps - base) / layer), 1.0)
    need = np.clip(np.nan_to_num(need, nan=1.0, posinf=most), 1, most)
    out = np.ones(int(site.max()) + 1, int)
    np.maximum.at(out, site, need.astype(int))
    return out


def _shortfalls(network: Network, load: np.ndarray) -> tuple[Shortfall, ...]:
    """Sites whose sectors' (sectors, hours) traffic exceeds their capacity, at the hour in which most is missing."""
    missing = np.maximum(load - _by_sector(network)[:, None], 0.0)
    by_site = np.zeros((len(network.sites), load.shape[1]))
    np.add.at(by_site, network.sectors["site"].to_numpy(), missing)
    hour = by_site.argmax(axis=1)
    worst = by_site.max(axis=1)
    names = network.sites["site"].tolist()
    return tuple(
        Shortfall(names[i], int(hour[i]), float(worst[i])) for i in np.flatnonzero(worst > _ROUNDING_MBPS)
    )


def _sentence(
    network: Network,
    layers: np.ndarray,
    quantile: float,
    headroom: float,
    tight: int,
    short: tuple[Shortfall, ...],
) -> str:
    layered = f"1 to {layers.max()} {CAPACITY.name} cells" if layers.max() > 1 else f"a {CAPACITY.name} cell"
    sectors = len(network.sectors) // len(network.sites)
    text = (
        f"{counted(len(network.sites), 'sites')} of {counted(sectors, 'sectors')}, each a {COVERAGE.name} "
        f"coverage cell and {layered}, sized "
        f"by the radio model for {100 * quantile:g} % of samples and days plus {100 * headroom:g} % headroom."
    )
    if tight > 0:
        text += f" At {counted(tight, 'sites')} the headroom is smaller."
    if short:
        worst = max(short, key=lambda s: s.missing_mbps)
        largest = float(network.capacity_mbps.max())
        more = math.ceil(sum(s.missing_mbps for s in short) / max(largest, 1e-9))
        text += (
            f" {counted(len(short), 'sites')} cannot carry {'its' if len(short) == 1 else 'their'} own peak "
            f"(worst: {worst.name}, short by {worst.missing_mbps:,.0f} Mbit/s at {hour_in_prose(worst.hour, 24)}); "
            f"plan at least {counted(more, 'more sites')} there."
        )
    return text
