"""`python -m planning coverage`: maps of what a network covers."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyogrio

from plannerbase.counting import counted
from plannerbase.progress import ProgressBar
from planning.atomic import write_whole
from planning.commands import coverage_options
from planning.commands.shared import (
    Commands,
    add_counter_options,
    add_scale_options,
    check_folder,
    read_counters_of,
    scale_of,
)
from planning.commands.worker_options import add_worker_options, shared_work
from planning.counted import counted_demand, counters_sentence
from planning.coverage import DEFAULT_LOAD, Coverage, NetworkLoads, PixelGrid, RadioSettings, coupled_loads
from planning.coverage.export import RSRP_LEVELS, contours, geotiff_bytes, kmz_bytes
from planning.coverage.maps import MAPS, CoverageMap, coverage_map
from planning.demand import Demand
from planning.errors import InputError
from planning.network import Network
from planning.network.files import import_network
from planning.scenario import Scenario
from planning.traffic import TrafficTable

ENDINGS = (".tif", ".tiff", ".kmz", ".gpkg", ".csv")


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "coverage",
        help="map levels, SINR, rates and covered shares",
        description="Received levels, best servers, SINR, rates and covered shares of a network on pixels. Give --out "
        "several times: .tif (all maps, cloud-optimised), .kmz (one map for a globe), .gpkg (contours of one map), "
        ".csv (loads and capacity of the cells).",
    )
    command.add_argument(
        "network", metavar="NETWORK", help="scenario (.gpkg) or a network file as `import` reads it"
    )
    command.add_argument(
        "--out", action="append", required=True, metavar="PATH", help=f"{', '.join(ENDINGS)}"
    )
    command.add_argument(
        "--traffic",
        metavar="TRAFFIC",
        help="traffic table: loads of the cells follow from it, and its tiles are the area",
    )
    command.add_argument("--hour", type=int, metavar="H", help="hour of the table (default: its busiest)")
    command.add_argument("--quantile", type=float, default=0.5, help="of the ensemble, 0-1 (default: 0.5)")
    command.add_argument(
        "--plan", metavar="PLAN",
        help="'sleep': the cells that the scenario's sleep plan leaves awake at --hour; or another scenario's file",
    )  # fmt: skip
    command.add_argument(
        "--load", type=float, metavar="X",
        help=f"share of PRBs in use at every cell, without --traffic (default: {DEFAULT_LOAD:g})",
    )  # fmt: skip
    command.add_argument("--map", choices=MAPS, default="rsrp", help="of .kmz and .gpkg (default: rsrp)")
    command.add_argument(
        "--levels", type=float, nargs="+", metavar="X",
        help=f"of contours, in the map's unit (default for rsrp: {' '.join(f'{v:g}' for v in RSRP_LEVELS)})",
    )  # fmt: skip
    command.add_argument("--band", help="maps of one band, such as n41 (default: the best server of all)")
    command.add_argument("--indoors", action="store_true", help="maps of RSRP, SINR and rate indoors")
    coverage_options.add(command)
    add_scale_options(command)
    add_counter_options(command, ("--counters",), "--counter-map")
    add_worker_options(command, "received levels, part by part")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    outs = [_checked(text) for text in options.out]
    if options.load is not None and options.traffic:
        raise InputError("Loads follow from the traffic; leave --load out.")
    if options.load is not None and not 0 <= options.load <= 1:
        raise InputError(f"The load must lie between 0 and 1, not {options.load:g}.")
    settings, ground = coverage_options.radio_settings(options), coverage_options.terrain(options)
    bar = ProgressBar()
    with bar.running(), shared_work(options) as work:
        bar(0, 4, "reading the network")
        network, scenario, report = _network(options.network)
        demand = None
        if options.traffic:
            table = TrafficTable.read(options.traffic)
            demand = Demand.build(table, scale_of(options, table, scenario.scale() if scenario else None))
        network, counted = read_counters_of(options, network)
        if counted is not None and demand is None:
            raise InputError("Counters scale generated traffic; name it with --traffic as well.")
        tuning = coverage_options.tuning(options, network, settings, ground)
        if tuning is not None:
            settings = tuning.settings(settings)
            report += tuning.sentences
        grid = _grid(network, scenario, demand, settings)
        weights = coverage_options.weights(options, grid)
        people = weights if options.people else None
        if weights is not None:
            grid = grid.with_weights(weights)
        coverage = Coverage.on(network, grid, settings, ground, bar, work)
        if counted is not None and demand is not None:
            demand, coverage = counted_demand(demand, counted, coverage)
            report.append(counters_sentence(demand))
        hour, awake = _hour(options, demand), None
        if options.plan:
            awake = _awake(options.plan, scenario, network, hour)
        loads = None
        if demand is not None:
            bar(3, 4, "loads of cells")
            loads = _loads(coverage, demand, hour, options.quantile, awake)
        _write(outs, options, coverage, loads, awake, hour)
    for line in (*report, *coverage.notes, *_summary(coverage, loads, demand, awake, hour, people)):
        print(line)
    for out in outs:
        print(f"Wrote {out}")


def _checked(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"--out ends in one of {', '.join(ENDINGS)}, not {path.name!r}.")
    check_folder(path)
    return path


def _network(path: str) -> tuple[Network, Scenario | None, list[str]]:
    """A scenario's network, or that of any file; sentences on what was taken of the latter."""
    if Path(path).suffix.lower() == ".gpkg":
        try:
            scenario = Scenario.read(path)
            return scenario.network, scenario, []
        except InputError as refused:
            try:
                imported = import_network(path)
            except InputError:
                raise refused from None
    else:
        imported = import_network(path)
    return imported.network, None, list(imported.report)


def _grid(
    network: Network, scenario: Scenario | None, demand: Demand | None, settings: RadioSettings
) -> PixelGrid:
    """Of the demand's tiles, else the scenario's, else the box around the sites."""
    if demand is not None:
        return PixelGrid.of_tiles(demand.x, demand.y, settings.pixel_m)
    if scenario is not None:
        return PixelGrid.of_tiles(scenario.tiles["x"], scenario.tiles["y"], settings.pixel_m)
    lon, lat = network.sites["lon"].to_numpy(float), network.sites["lat"].to_numpy(float)
    return PixelGrid.around(lon, lat, settings.pixel_m)


def _hour(options: argparse.Namespace, demand: Demand | None) -> int | None:
    if demand is None:
        if options.hour is None and options.plan:
            raise InputError("A plan has its own awake cells every hour; say which hour by --hour.")
        if options.hour is not None and not 0 <= options.hour < 168:
            raise InputError(f"The hour must lie between 0 and 167, not {options.hour}.")
        return options.hour
    if options.hour is None:
        return demand.busy_hour(quantile=options.quantile)
    if not 0 <= options.hour < demand.hours:
        raise InputError(
            f"The traffic has the hours 0 to {demand.hours - 1}; there is no hour {options.hour}."
        )
    return options.hour


def _awake(plan: str, scenario: Scenario | None, network: Network, hour: int | None) -> np.ndarray:
    """(cells,) bool at an hour of a sleep plan."""
    source = scenario if plan == "sleep" else Scenario.read(plan)
    if source is None:
        raise InputError("A network file holds no plan; name a scenario with a sleep plan by --plan.")
    schedule = source.tables.get("sleep_schedule")
    if schedule is None or not len(schedule):
        raise InputError("The scenario holds no sleep plan; make one with `python -m planning sleep`.")
    hours = int(schedule["hour"].max()) + 1
    row = schedule[schedule["hour"] == (hour or 0) % hours]
    asleep = set(row.loc[~row["awake"].astype(bool), "cell"].astype(str))
    names = network.cells["cell"].astype(str)
    unknown = asleep - set(names)
    if unknown:
        raise InputError(
            f"The plan puts {counted(len(unknown), 'cells')} to sleep that the network lacks "
            f"(first: {sorted(unknown)[0]})."
        )
    return ~names.isin(asleep).to_numpy()


def _loads(
    coverage: Coverage, demand: Demand, hour: int | None, quantile: float, awake: np.ndarray | None
) -> NetworkLoads:
    mbps = demand.quantile(quantile)[:, [hour or 0]]
    return coupled_loads(coverage, mbps, None if awake is None else awake[:, None])


def _write(
    outs: Sequence[Path],
    options: argparse.Namespace,
    coverage: Coverage,
    loads: NetworkLoads | None,
    awake: np.ndarray | None,
    hour: int | None,
) -> None:
    load = _load(options, coverage, loads)
    carrier = _carrier(coverage, options.band)

    def shown(name: str) -> CoverageMap:
        return coverage_map(coverage, name, load, awake, carrier, options.indoors)

    about: dict[str, Any] = coverage.record() | {"network": Path(options.network).name, "hour": hour}
    lines = [f"{k}: {v if isinstance(v, str) else json.dumps(v)}" for k, v in about.items()]
    makers: dict[str, Callable[[Path], object]] = {
        ".tif": lambda path: path.write_bytes(geotiff_bytes(coverage.grid, [shown(m) for m in MAPS], about)),
        ".kmz": lambda path: path.write_bytes(kmz_bytes(coverage.grid, shown(options.map), lines)),
        ".gpkg": lambda path: _write_contours(path, coverage, shown(options.map), options.levels),
        ".csv": lambda path: _cells(coverage, load, loads, awake).to_csv(path, index=False),
    }
    makers[".tiff"] = makers[".tif"]
    for out in outs:
        write_whole(out, makers[out.suffix.lower()])


def _write_contours(
    path: Path, coverage: Coverage, shown: CoverageMap, levels: Sequence[float] | None
) -> None:
    if not levels:
        step = (shown.high - shown.low) / 6
        levels = RSRP_LEVELS if shown.name == "rsrp" else [shown.low + step * i for i in range(6)]
    pyogrio.write_dataframe(contours(coverage.grid, shown, levels), path, layer="contours", driver="GPKG")


def _load(options: argparse.Namespace, coverage: Coverage, loads: NetworkLoads | None) -> np.ndarray:
    if loads is not None:
        return loads.load[:, 0]
    return np.full(len(coverage.cells), DEFAULT_LOAD if options.load is None else options.load)


def _carrier(coverage: Coverage, band: str | None) -> int | None:
    if band is None:
        return None
    if band not in coverage.cells.bands:
        raise InputError(
            f"The network has no carrier {band!r}; choose one of {', '.join(coverage.cells.bands)}."
        )
    return coverage.cells.bands.index(band)


def _cells(
    coverage: Coverage, load: np.ndarray, loads: NetworkLoads | None, awake: np.ndarray | None
) -> pd.DataFrame:
    cells = coverage.network.cells
    frame = pd.DataFrame(
        {
            "cell": cells["cell"],
            "site": cells["site"],
            "sector": cells["sector"],
            "band": cells["band"],
            "awake": True if awake is None else awake,
            "load": load,
            "capacity_mbps": coverage.capacity_mbps(load, coverage.settings.max_load, awake),
            "best_server_km2": np.bincount(
                np.maximum(coverage.best_server(awake), 0), coverage.best_server(awake) >= 0, len(cells)
            )
            * coverage.grid.pixel_m**2
            / 1e6,
        }
    )
    if loads is not None:
        frame["offered_mbps"], frame["served_mbps"] = loads.offered_mbps[:, 0], loads.served_mbps[:, 0]
    return frame


def _summary(
    coverage: Coverage,
    loads: NetworkLoads | None,
    demand: Demand | None,
    awake: np.ndarray | None,
    hour: int | None,
    people: np.ndarray | None,
) -> list[str]:
    out, inside, users = coverage.covered_share(awake)
    asleep = 0 if awake is None else int((~awake).sum())
    lines = [
        f"{counted(len(coverage.cells), 'cells')} ({asleep} asleep) on {coverage.grid.area_km2:,.1f} km2 in pixels of "
        f"{coverage.grid.pixel_m:g} m: {out:.1%} of the ground covered outdoors, {inside:.1%} indoors, {users:.1%} for "
        f"{coverage.settings.indoor_share:.0%} of users indoors."
    ]
    if people is not None:
        share = [
            float(people[coverage.covered(awake, indoors)].sum() / people.sum()) for indoors in (False, True)
        ]
        lines.append(
            f"{share[0]:.1%} of the people live where a cell covers outdoors, {share[1]:.1%} indoors."
        )
    if loads is not None and demand is not None:
        of_traffic = coverage.covered_share(awake, demand.mean_mbps())[2]
        lines.append(f"{of_traffic:.1%} of the traffic lies where a cell covers its users.")
        total = loads.served_mbps.sum() + loads.unserved_mbps.sum()
        lines.append(
            f"Hour {hour}: {loads.served_mbps.sum():,.0f} of {total:,.0f} Mbit/s served "
            f"({loads.served_share[0]:.1%}); {loads.uncovered_mbps.sum():,.0f} Mbit/s where no cell covers, "
            f"{loads.overload_mbps.sum():,.0f} beyond the load of cells. Loads: median "
            f"{np.median(loads.load):.2f}, highest {loads.load.max():.2f}"
            + ("." if loads.converged else "; they did not settle, so they are approximate.")
        )
        lines.append(demand.scale.sentence)
    return lines
