"""Deployment: covering plans against their bound, placement by traffic on held-out tiles, networks in and out.

Covering instances: places of demand and candidates uniform in a square, the radius such that ten candidates cover a
place, demand lognormal with sigma 1. Capacities bind: all N sites together can carry SUPPLY of the demand. Ampler and
scarcer supplies are reported beside it, as their optimum is harder or easier to prove.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.held_out import GENERATED, HeldOut, held_out_weeks
from benchmarks.plans import REAL, Demands
from benchmarks.sources import BESIDE
from benchmarks.tables import markdown
from planning.demand import ACTIVE_SHARE, Demand
from planning.deployment import density, largest_remainder
from planning.deployment.covering import CoveringProblem
from planning.deployment.covering_plan import solve_covering
from planning.deployment.judging import STEPS, USERS_PER_SITE, judge, moved_users
from planning.errors import InputError
from planning.export import FORMATS, export
from planning.geometry import tile_corner
from planning.network import Network
from planning.network.files import import_network
from planning.network.table_files import MAX_BYTES
from planning.scenario import Scenario
from planning.traffic import TrafficTable

SUMMARY = (
    "covering plans against their bound, placement by generated traffic, networks of 20,000 sites in and out"
)
SIZES = {"m1000_300_40": (1000, 300, 40, 10.0), "l5000_1000_100": (5000, 1000, 100, 60.0)}  # and seconds
QUICK_SIZES = {"m1000_300_40": (200, 60, 8, 3.0), "l5000_1000_100": (400, 100, 10, 3.0)}
COVER = 10  # candidates that reach a place of demand, on average
SUPPLY = 0.8
OTHER_SUPPLIES = (0.6, 1.0, 1.2, 2.0)
PARTS = ("covering", "files", "gravity", "placement")
PAPER_SITES = 2000  # section 5.3
TOO_LARGE = "too large to be read"
IMPORTED = {"csv": "n.csv", "zip": "n.zip", "xlsx": "n.xlsx", "geojson": "n.geojson", "kml": "n.kml", "kmz": "n.kmz",
            "gpkg": "n.gpkg", "shp": "n.zip"}  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, default=BESIDE if BESIDE.is_dir() else None, metavar="PACK",
        help="pack with traffic and imagery (default: the one beside the repository, else leave out)",
    )  # fmt: skip
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part; repeat for several")
    parser.add_argument(
        "--samples", type=int, default=60, help="generated weeks a tile (default 60, at most 12 quick)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--seeds", type=int, default=3, help="covering instances of a size (default 3, 1 quick)"
    )
    parser.add_argument("--sites", type=int, default=20_000, help="of the network in and out (default 20000)")


def run(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    """(report, figures). Raises InputError, and SourceError for a pack that lacks what is needed."""
    if min(options.samples, options.seeds, options.sites) < 1 or options.seed < 0:
        raise InputError("Samples, seeds and sites must be at least 1 and the seed at least 0.")
    sizes = QUICK_SIZES if options.quick else SIZES
    seeds = range(options.seed, options.seed + (1 if options.quick else options.seeds))
    parts = options.part or PARTS
    texts: list[str] = []
    figures: dict[str, float] = {"quick": int(options.quick)}
    if "covering" in parts:
        covering = covering_table(sizes, seeds, () if options.quick else OTHER_SUPPLIES)
        figures |= covering_figures(covering, sizes)
        texts.append(_covering_text(covering))
    if "files" in parts:
        files = files_table(min(options.sites, 300) if options.quick else options.sites)
        figures |= files_figures(files)
        texts.append(_files_text(files))
    if "gravity" in parts:
        moved = gravity_figures(10 if options.quick else 100)
        figures |= moved
        texts.append("Users moving by gravity: " + ", ".join(f"{k} {v:.3g}" for k, v in moved.items()) + ".")
    if "placement" in parts and options.data is not None:
        from opendiff.open_data.sources import PackSource
        from plannerbase.progress import StageBars

        samples = min(options.samples, 12) if options.quick else options.samples
        weeks = held_out_weeks(PackSource(options.data), samples, options.seed, options.quick, StageBars())
        placement = placement_table(weeks)
        figures |= {"tiles": len(weeks.x), "samples": samples, **placement_figures(placement)}
        texts.append(_placement_text(placement, weeks, samples))
    return "\n\n".join(texts), figures


# --- covering ------------------------------------------------------------------------------------------------------


def covering_instance(
    points: int, candidates: int, sites: int, seed: int, supply: float = SUPPLY
) -> CoveringProblem:
    """As the module says."""
    rng = np.random.default_rng(seed)
    places, sites_at = rng.random((points, 2)), rng.random((candidates, 2))
    need = rng.lognormal(0, 1, points)
    radius = (COVER / candidates / np.pi) ** 0.5
    return CoveringProblem.build(places, need, sites_at, radius, supply * need.sum() / sites, sites)


def covering_table(sizes: dict, seeds: range, other_supplies: tuple[float, ...]) -> pd.DataFrame:
    """A row an instance: size, supply, seed, seconds, cpu_seconds, gap, served, bound, status."""
    rows = []
    for name, (points, candidates, sites, limit) in sizes.items():
        for supply in (SUPPLY, *other_supplies):
            for seed in seeds if supply == SUPPLY else seeds[:1]:
                problem = covering_instance(points, candidates, sites, seed, supply)
                wall, cpu = time.perf_counter(), time.process_time()
                gap = 1e-6 if name.startswith("m") else 1e-4
                plan = solve_covering(problem, time_limit=limit, gap=gap, seed=seed)
                rows.append(
                    {
                        "size": name, "supply": supply, "seed": seed, "seconds": time.perf_counter() - wall,
                        "cpu_seconds": time.process_time() - cpu, "gap": plan.solve.gap, "served": plan.served_mbps,
                        "bound": plan.solve.bound, "status": plan.solve.status, "by": plan.solve.solver,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def covering_figures(table: pd.DataFrame, sizes: dict) -> dict[str, float]:
    """The worst seed of each size; other supplies by name."""
    figures = {}
    for name in sizes:
        mine = table[table["size"] == name]
        main = mine[mine["supply"] == SUPPLY]
        figures[f"{name}_seconds"] = float(main["seconds"].max())
        figures[f"{name}_gap"] = float(main["gap"].max())
        for row in mine[mine["supply"] != SUPPLY].itertuples(index=False):
            figures[f"{name}_supply_{100 * row.supply:.0f}_gap"] = float(row.gap)
            figures[f"{name}_supply_{100 * row.supply:.0f}_seconds"] = float(row.seconds)
    return figures


# --- placement -----------------------------------------------------------------------------------------------------


def placement_table(weeks: HeldOut) -> pd.DataFrame:
    """Sites by each weight, judged on the real week (figure 3c, table 5): PAPER_SITES, and as many as users need.

    Users are the subscribers of the scale; so many sites that USERS_PER_SITE each would just cover them all.
    """
    demands = Demands.of(weeks)
    weights = {
        "traffic": density(demands.made[GENERATED], "traffic"),
        **weeks.intensities,
        "uniform": density(demands.real, "uniform"),
        f"{REAL} traffic": demands.real.mean_mbps(),
    }
    subscribers = demands.real.users.mean(axis=(1, 2), dtype=float).sum() / ACTIVE_SHARE
    frames = []
    for sites in (PAPER_SITES, round(subscribers / USERS_PER_SITE)):
        counts = {name: largest_remainder(weight, sites) for name, weight in weights.items()}
        frames.append(judge(demands.real, counts))
    return pd.concat(frames, ignore_index=True)


NAMES = {"traffic": "traffic", "poi": "poi, registered", "business": "business POI, registered",
         "population": "population", "uniform": "uniform"}  # fmt: skip


def placement_figures(table: pd.DataFrame) -> dict[str, float]:
    """jsd_ and cosine_ of the paper's number of sites; covered_ shares of the number that users need."""
    figures = {}
    groups = dict(list(table.groupby("sites", sort=False)))
    many, few = (groups[PAPER_SITES].set_index("strategy"), list(groups.values())[-1].set_index("strategy"))
    for figure, name in NAMES.items():
        if name in many.index:
            figures[f"jsd_{figure}"] = float(many.loc[name, "jsd_traffic"])
            figures[f"cosine_{figure}"] = float(many.loc[name, "cosine_traffic"])
            for step in STEPS:
                figures[f"covered_{step}_{figure}"] = float(few.loc[name, f"covered_{step}"])
    return figures


# --- networks in and out -------------------------------------------------------------------------------------------


def files_table(sites: int) -> pd.DataFrame:
    """A row a format: seconds of export and import, MB, and whether the same network came back; and of the map."""
    rng = np.random.default_rng(0)
    x, y = (v.ravel() for v in np.meshgrid(26_900 + np.arange(20), 13_650 + np.arange(20)))
    demand = Demand.build(TrafficTable.from_arrays(x, y, rng.random((400, 24))))
    network = Network.from_sites(
        *tile_corner(26_900 + 20 * rng.random(sites), 13_650 + 20 * rng.random(sites))
    )
    scenario = Scenario.from_network(network, demand)
    rows = []
    for format in FORMATS:
        data, out, out_cpu = _timed(
            lambda f=format: export(scenario, f, table="network" if f == "csv" else None)
        )
        row = {"format": format, "export_seconds": out, "export_cpu": out_cpu, "mb": len(data) / 1e6}
        if format in IMPORTED:
            if len(data) > MAX_BYTES:
                row |= {"same": TOO_LARGE}
            else:
                back, into, into_cpu = _timed(lambda d=data, f=format: import_network(d, IMPORTED[f]).network)
                same = back.sites.equals(network.sites) and back.cells.equals(network.cells)
                row |= {"import_seconds": into, "import_cpu": into_cpu, "same": "yes" if same else "no"}
        rows.append(row)
    _, drawn, drawn_cpu = _timed(lambda: _map_script(network))
    rows.append({"format": "map", "export_seconds": drawn, "export_cpu": drawn_cpu})
    return pd.DataFrame(rows).assign(sites=sites)


def _map_script(network: Network) -> str:
    """What the app sends to the browser to show the sites."""
    import folium

    from app.map.dots import Dots, add_dots

    sites = network.sites
    group = folium.FeatureGroup(name="sites")
    add_dots(group, Dots(sites["lon"], sites["lat"], ["#d9480f"] * len(sites), sites["site"].tolist()))
    page = folium.Map()
    group.add_to(page)
    return page.get_root().render()


def _timed(work: Callable) -> tuple:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def files_figures(table: pd.DataFrame) -> dict[str, float]:
    """The slowest format each way, and each format."""
    files = table[table["format"] != "map"]
    sites = int(table["sites"].iloc[0])
    figures = {
        f"import_{sites}_seconds": float(files["import_seconds"].max()),
        f"export_{sites}_seconds": float(files["export_seconds"].max()),
        f"map_{sites}_seconds": float(table.loc[table["format"] == "map", "export_seconds"].iloc[0]),
        f"same_{sites}": int((files.loc[files["import_seconds"].notna(), "same"] == "yes").all()),
        f"too_large_{sites}": int((files["same"] == TOO_LARGE).sum()),
    }
    for row in files.itertuples(index=False):
        figures[f"export_{sites}_{row.format}_seconds"] = float(row.export_seconds)
        if not np.isnan(row.import_seconds):
            figures[f"import_{sites}_{row.format}_seconds"] = float(row.import_seconds)
    return figures


# --- gravity -------------------------------------------------------------------------------------------------------


def gravity_figures(side: int) -> dict[str, float]:
    """side x side tiles for as many steps as table 5 has: seconds, what is lost of the users, and the peak."""
    import resource  # not everywhere, and needed here alone

    x, y = (v.ravel() for v in np.meshgrid(26_900 + np.arange(side), 13_650 + np.arange(side)))
    users = np.random.default_rng(0).uniform(0, 9000, side**2)
    moved, wall, _ = _timed(lambda: moved_users(x, y, users))
    return {
        f"gravity_{side**2}_seconds": wall,
        f"gravity_{side**2}_lost_share": abs(float(moved[STEPS[-1]].sum() / users.sum()) - 1),
        f"gravity_{side**2}_peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


# --- report --------------------------------------------------------------------------------------------------------


def _covering_text(table: pd.DataFrame) -> str:
    shown = table.assign(gap=100 * table["gap"], supply=100 * table["supply"]).rename(
        columns={"gap": "gap %", "supply": "supply %", "cpu_seconds": "CPU seconds of this process"}
    )
    seconds = {"seconds": ".1f", "CPU seconds of this process": ".1f"}
    styles = seconds | {"supply %": ".0f", "gap %": ".3f", "served": ",.1f", "bound": ",.1f"}
    return (
        f"Capacitated maximal covering (points, candidates, sites); supply: what all sites together can carry, in % of "
        f"the demand; the figures are those of {100 * SUPPLY:.0f} %.\n\n" + markdown(shown, styles)
    )


def _files_text(table: pd.DataFrame) -> str:
    shown = table.drop(columns="sites").fillna({"same": ""}).rename(columns=lambda c: c.replace("_", " "))
    styles = {c: ".2f" for c in shown if "seconds" in c or "cpu" in c} | {"mb": ".1f"}
    return (
        f"A network of {int(table['sites'].iloc[0]):,} sites, seconds by the clock and of CPU.\n\n"
        + markdown(shown, styles)
    )


def _placement_text(table: pd.DataFrame, weeks: HeldOut, samples: int) -> str:
    shown = table.rename(columns={"strategy": "sites by", "jsd_traffic": "JSD", "cosine_traffic": "cosine"})
    for step in STEPS:
        shown[f"covered t={step} %"] = 100 * shown.pop(f"covered_{step}")
    styles = {"JSD": ".3f", "cosine": ".3f"} | {f"covered t={step} %": ".1f" for step in STEPS}
    head = (
        f"Sites by each weight against the real weekly traffic of {len(weeks.x)} held-out tiles ({weeks.folds} spatial "
        f"folds, {samples} generated weeks a tile): Jensen-Shannon distance and cosine (figure 3c), and the share of "
        f"users covered, {USERS_PER_SITE:,.0f} a site, while they move (table 5)."
    )
    return "\n\n".join([head, *weeks.notes, markdown(shown, styles)])
