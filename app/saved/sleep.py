"""Sleep plans of saved work: the problem that the strategies share and the awake parts of each.

What follows from them, power and evaluations, is computed anew, never stored.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from app.saved.arrays import Arrays, put_table, take_table, to_bytes
from app.saved.networks import put_solve, take_solve
from app.state.results import Comparison, Deployed

if TYPE_CHECKING:
    from scipy import sparse

    from planning.sleep import SleepPlan, SleepProblem

EARLIER = (
    "The sleep plans of this file were made by an earlier version, which planned by site; plan sleep again."
)
_OPTIONAL = ("may_sleep", "requires", "before", "after", "week")  # arrays of a problem that may be None


def sleep_bytes(comparison: "Comparison[SleepPlan]") -> bytes:
    """The awake parts of each strategy (packed bits) with the problem that they share."""
    plans = comparison.plans
    problem = next(iter(plans.values())).problem
    arrays: Arrays = {}
    told = {
        "problem": _put_problem(arrays, problem),
        "judged_on": comparison.judged_on,
        "plans": {
            name: {
                "settings": asdict(plan.settings),
                "solve": put_solve(plan.solve),
                "relaxed": plan.relaxed,
                "notes": plan.notes,
                "hours": plan.hours,
            }
            for name, plan in plans.items()
        },
        "table": put_table(arrays, "comparison", comparison.table),
        "risk": None if comparison.risk is None else put_table(arrays, "risk", comparison.risk),
        "ranges": None if comparison.ranges is None else put_table(arrays, "ranges", comparison.ranges),
        "prices": None if comparison.prices is None else comparison.prices.record(),
    }
    arrays |= {f"parts {name}": np.packbits(plan.parts, axis=1) for name, plan in plans.items()}
    return to_bytes(told, arrays)


def read_sleep(told: Any, arrays: Arrays, deployed: Deployed) -> "Comparison[SleepPlan] | None":
    """What `sleep_bytes` was given, for plans on this network; None for plans of an earlier version. Raises ValueError
    where it is of another network."""
    from planning.prices import Prices
    from planning.sleep import SleepPlan, SleepSettings, evaluate

    if "problem" not in told:
        return None
    problem = _problem(arrays, told["problem"], deployed)
    plans = {}
    for name, kept in told["plans"].items():
        parts = np.unpackbits(arrays[f"parts {name}"], axis=1, count=kept["hours"]).astype(bool)
        if parts.shape != (problem.groups.number_of_parts, problem.hours):
            raise ValueError("its sleep plan does not fit its network")
        settings = SleepSettings(**kept["settings"] | {"night": tuple(kept["settings"]["night"])})
        plans[name] = SleepPlan(
            name,
            parts,
            problem,
            settings,
            take_solve(kept["solve"]),
            kept["relaxed"],
            evaluate(problem, settings, parts),
            tuple(kept["notes"]),
        )
    risk = None if told["risk"] is None else take_table(arrays, "risk", told["risk"])
    ranges = None if told["ranges"] is None else take_table(arrays, "ranges", told["ranges"])
    table = take_table(arrays, "comparison", told["table"])
    stored = told.get("prices")  # None also of an earlier version
    prices = None if stored is None else Prices.from_record(stored)
    return Comparison(plans, table, deployed, told["judged_on"], risk, ranges, prices)


def _figures() -> list[str]:
    from planning.network import FIGURES

    return list(FIGURES)


def _put_problem(arrays: Arrays, problem: "SleepProblem") -> dict[str, Any]:
    groups, graph, cover, operation = problem.groups, problem.graph, problem.cover, problem.operation
    arrays |= {
        "demand": problem.demand,
        "cells": problem.network.cells[_figures()].to_numpy(float),
        "capacity": groups.cell_capacity_mbps,
        "lowest": groups.lowest,
        "role": groups.coverage,
        "class_sector": graph.class_sector,
        "arc_class": graph.arc_class,
        "arc_target": graph.arc_target,
        "area_km2": cover.area_km2,
        "cover_traffic": cover.traffic,
        "binding": cover.binding,
    }
    _put_sparse(arrays, "cover", cover.sets)
    if problem.shares is not None:
        _put_sparse(arrays, "shares", problem.shares.share)
    for name, values in (("pixel_row", cover.pixel_row), ("never", operation.never)):
        if values is not None:
            arrays[name] = values
    arrays |= {name: getattr(problem, name) for name in _OPTIONAL if getattr(problem, name) is not None}
    rules = {name: value for name, value in asdict(operation).items() if name != "never"}
    return {
        "quantile": problem.quantile,
        "notes": problem.notes,
        "operation": rules,
        "covered_km2": cover.covered_km2,
        "max_hole_share": cover.max_hole_share,
        "pixel_m": None if problem.grid is None else problem.grid.pixel_m,
    }


def _problem(arrays: Arrays, told: dict[str, Any], deployed: Deployed) -> "SleepProblem":
    from dataclasses import replace

    from planning.coverage import PixelGrid
    from planning.network import Network
    from planning.sleep import Operation, SleepProblem
    from planning.sleep.cover import Cover
    from planning.sleep.offload import ClassShares, OffloadGraph

    base, demand = deployed.plan.network, deployed.demand
    figures = {name: arrays["cells"][:, i] for i, name in enumerate(_figures())}
    network = Network(base.sites, base.cells.assign(**figures))
    network.validate()
    rules = told["operation"]
    window = None if rules["window"] is None else tuple(rules["window"])
    rules = rules | {"window": window, "band_order": tuple(rules["band_order"]), "never": arrays.get("never")}
    operation = Operation(**rules)
    operation.validate(network)
    groups = operation.groups(network, arrays["capacity"])
    lowest, role = arrays["lowest"], arrays["role"]
    if lowest.shape != groups.lowest.shape or (lowest > groups.count).any() or (lowest < groups.lowest).any():
        raise ValueError("its sleep plan does not fit its network")
    groups = replace(groups, lowest=lowest, coverage=role)
    graph = OffloadGraph(arrays["class_sector"], arrays["arc_class"], arrays["arc_target"], groups.sectors)
    sets = _take_sparse(arrays, "cover", (len(arrays["area_km2"]), len(groups.site)))
    cover = Cover(
        sets, arrays["area_km2"], arrays["cover_traffic"], told["covered_km2"], arrays["binding"],
        told["max_hole_share"], arrays.get("pixel_row"),
    )  # fmt: skip
    for index, most in ((graph.class_sector, graph.sectors), (graph.arc_class, graph.classes),
                        (graph.arc_target, graph.sectors), (cover.binding, cover.rows)):  # fmt: skip
        if len(index) and not (0 <= index.min() and index.max() < most):
            raise ValueError("its sleep plan does not fit its network")
    shares = None
    if "shares indptr" in arrays:
        shares = ClassShares(_take_sparse(arrays, "shares", (graph.classes, demand.tiles)))
    grid = None if told["pixel_m"] is None else PixelGrid.of_tiles(demand.x, demand.y, told["pixel_m"])
    if grid is not None and cover.pixel_row is not None and len(cover.pixel_row) != len(grid):
        grid, cover = None, replace(cover, pixel_row=None)
    optional = {name: arrays.get(name) for name in _OPTIONAL}
    return SleepProblem(
        network, groups, graph, arrays["demand"], cover, shares=shares, quantile=told["quantile"],
        notes=tuple(told["notes"]), grid=grid, operation=operation, x=demand.x, y=demand.y, **optional,
    )  # fmt: skip


def _put_sparse(arrays: Arrays, name: str, matrix: "sparse.csr_array") -> None:
    arrays |= {f"{name} {part}": getattr(matrix, part) for part in ("data", "indices", "indptr")}


def _take_sparse(arrays: Arrays, name: str, shape: tuple[int, int]) -> "sparse.csr_array":
    """A matrix of this shape. Raises ValueError for parts that are none."""
    from scipy import sparse

    data, indices, indptr = (arrays[f"{name} {part}"] for part in ("data", "indices", "indptr"))
    matrix = sparse.csr_array((data, indices, indptr), shape)
    matrix.check_format(full_check=True)
    return matrix
