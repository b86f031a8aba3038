"""Sleep and spectrum plans of saved work. What follows from a plan and its network is computed anew, never stored."""

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from app.saved.arrays import Arrays, put_table, take_table, to_bytes
from app.saved.networks import put_solve, take_solve
from app.state.results import Comparison, Deployed

if TYPE_CHECKING:
    from planning.network import Network
    from planning.prb import PrbPlan, PrbProblem
    from planning.prb.hours import PrbHours
    from planning.sleep import SleepPlan, SleepProblem


# --- sleep -------------------------------------------------------------------------------------------------------


SLEEP_VERSION = 2  # 1: by site, until the sleep planner had sectors
OUTDATED = "its sleep plan was made by site, before plans were made by sector; plan sleep again"


def sleep_bytes(comparison: "Comparison[SleepPlan]") -> bytes:
    """The awake parts of each strategy (packed bits) with the problem that they share."""
    plans = comparison.plans
    problem = next(iter(plans.values())).problem
    cover, graph = problem.cover, problem.graph
    arrays: Arrays = {
        "demand": problem.demand,
        "class_sector": graph.class_sector,
        "arc_class": graph.arc_class,
        "arc_target": graph.arc_target,
        "capacity": problem.groups.cell_capacity_mbps,
        "lowest": problem.groups.lowest,
        "coverage": problem.groups.coverage,
        "cells": problem.network.cells[_figures()].to_numpy(float),
        "cover_indptr": cover.sets.indptr,
        "cover_indices": cover.sets.indices,
        "cover_area": cover.area_km2,
        "cover_traffic": cover.traffic,
        "cover_binding": cover.binding,
    }
    if problem.shares is not None and problem.x is not None and problem.y is not None:
        share = problem.shares.share.tocsr()
        arrays |= {
            "share_indptr": share.indptr, "share_indices": share.indices, "share_data": share.data, "x": problem.x,
            "y": problem.y,
        }  # fmt: skip
    if problem.operation.never is not None:
        arrays["never"] = problem.operation.never
    arrays |= {f"awake {name}": np.packbits(plan.parts, axis=1) for name, plan in plans.items()}
    told = {
        "version": SLEEP_VERSION,
        "quantile": problem.quantile,
        "notes": problem.notes,
        "operation": {k: v for k, v in asdict(problem.operation).items() if k != "never"},
        "covered_km2": cover.covered_km2,
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
    }
    return to_bytes(told, arrays)


def read_sleep(told: Any, arrays: Arrays, deployed: Deployed) -> "Comparison[SleepPlan]":
    """What `sleep_bytes` was given, for plans on this network. Raises ValueError where it is of another one, or of an
    earlier version."""
    from planning.sleep import SleepPlan, SleepSettings, evaluate

    if told.get("version") != SLEEP_VERSION:
        raise ValueError(OUTDATED)
    problem = _sleep_problem(arrays, told, deployed)
    plans = {}
    for name, kept in told["plans"].items():
        parts = np.unpackbits(arrays[f"awake {name}"], axis=1, count=kept["hours"]).astype(bool)
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
    risk, ranges = (
        None if told[name] is None else take_table(arrays, name, told[name]) for name in ("risk", "ranges")
    )
    table = take_table(arrays, "comparison", told["table"])
    return Comparison(plans, table, deployed, told["judged_on"], risk, ranges)


def _figures() -> list[str]:
    from planning.network import FIGURES

    return list(FIGURES)


def _sleep_problem(arrays: Arrays, told: dict[str, Any], deployed: Deployed) -> "SleepProblem":
    from scipy import sparse

    from planning.network import Network
    from planning.sleep import Operation, SleepProblem
    from planning.sleep.cover import Cover
    from planning.sleep.offload import ClassShares, OffloadGraph

    base = deployed.plan.network
    figures = {name: arrays["cells"][:, i] for i, name in enumerate(_figures())}
    network = Network(base.sites, base.cells.assign(**figures))
    network.validate()
    rules = told["operation"]
    operation = Operation(
        **rules
        | {
            "window": None if rules["window"] is None else tuple(rules["window"]),
            "band_order": tuple(rules["band_order"]),
            "never": arrays["never"].astype(bool) if "never" in arrays else None,
        }
    )
    if len(arrays["capacity"]) != len(network.cells):
        raise ValueError("its sleep plan does not fit its network")
    groups = operation.groups(network, arrays["capacity"])
    number = len(groups.site)
    if any(len(arrays[name]) != number for name in ("lowest", "coverage")):
        raise ValueError("its sleep plan does not fit its network")
    groups = replace(groups, **{name: arrays[name].astype(int) for name in ("lowest", "coverage")})
    graph = OffloadGraph(
        *(arrays[name].astype(int) for name in ("class_sector", "arc_class", "arc_target")), groups.sectors
    )
    rows = len(arrays["cover_area"])
    indices = arrays["cover_indices"]
    sets = sparse.csr_array((np.ones(len(indices)), indices, arrays["cover_indptr"]), (rows, number))
    cover = Cover(
        sets, arrays["cover_area"], arrays["cover_traffic"], told["covered_km2"], arrays["cover_binding"].astype(int),
        operation.max_hole_share,
    )  # fmt: skip
    problem = SleepProblem.of_classes(network, arrays["demand"], graph, cover, operation, groups)
    if "x" in arrays:
        shape = (graph.classes, len(arrays["x"]))
        share = sparse.csr_array(
            (arrays["share_data"], arrays["share_indices"], arrays["share_indptr"]), shape
        )
        problem = replace(problem, shares=ClassShares(share), x=arrays["x"], y=arrays["y"])
    return replace(problem, quantile=told["quantile"], notes=tuple(told["notes"]))


# --- spectrum ----------------------------------------------------------------------------------------------------


def spectrum_bytes(comparison: "Comparison[PrbPlan]", hours: "PrbHours | None") -> bytes:
    """The plans of one hour, and those of the hours of its day where they were made."""
    arrays: Arrays = {}
    problem = next(iter(comparison.plans.values())).problem
    told: dict[str, Any] = {
        "problem": _put_prb_problem(arrays, "one", problem),
        "plans": {name: _put_prb(arrays, f"plan {name}", plan) for name, plan in comparison.plans.items()},
        "table": put_table(arrays, "comparison", comparison.table),
        "hours": [],
    }
    for hour, plan in (hours.plans if hours else {}).items():
        of_hour = {"hour": hour, "problem": _put_prb_problem(arrays, f"hour {hour}", plan.problem)}
        told["hours"].append(of_hour | {"plan": _put_prb(arrays, f"hour {hour}", plan)})
    return to_bytes(told, arrays)


def read_spectrum(
    told: Any, arrays: Arrays, deployed: Deployed
) -> "tuple[Comparison[PrbPlan], PrbHours | None]":
    """What `spectrum_bytes` was given, for plans on this network. Raises ValueError where it is of another one."""
    from planning.prb.hours import PrbHours

    network = deployed.plan.network
    problem = _prb_problem(arrays, "one", told["problem"], network)
    plans = {name: _prb(arrays, f"plan {name}", record, problem) for name, record in told["plans"].items()}
    hours = {
        record["hour"]: _prb(
            arrays,
            f"hour {record['hour']}",
            record["plan"],
            _prb_problem(arrays, f"hour {record['hour']}", record["problem"], network),
        )
        for record in told["hours"]
    }
    comparison = Comparison(plans, take_table(arrays, "comparison", told["table"]), deployed)
    return comparison, PrbHours(hours) if hours else None


def _put_prb_problem(arrays: Arrays, name: str, problem: "PrbProblem") -> dict[str, Any]:
    users = problem.users
    arrays[f"{name} users"] = np.stack([users.lon, users.lat, users.demand_mbps])
    told = {"weight": users.weight, "hour": users.hour, "sentence": users.sentence}
    return {"users": told, "radio": asdict(problem.radio)}


def _prb_problem(arrays: Arrays, name: str, told: dict[str, Any], network: "Network") -> "PrbProblem":
    from planning.prb import PrbProblem, Users
    from planning.radio import Radio

    lon, lat, demand_mbps = arrays[f"{name} users"]
    return PrbProblem.build(network, Users(lon, lat, demand_mbps, **told["users"]), Radio(**told["radio"]))


def _put_prb(arrays: Arrays, name: str, plan: "PrbPlan") -> dict[str, Any]:
    uses = np.zeros((len(plan.station), plan.problem.prbs), bool)
    for row, prbs in zip(uses, plan.prbs, strict=True):
        row[prbs] = True
    arrays[f"{name} uses"] = np.packbits(uses, axis=1)
    arrays |= {f"{name} {part}": getattr(plan, part) for part in ("station", "rate_mbps", "sinr_db")}
    told = ("strategy", "objective_mbps", "unmet", "bound_mbps", "met_bound", "how", "notes")
    record = {part: getattr(plan, part) for part in told}
    return record | {"settings": asdict(plan.settings), "solve": put_solve(plan.solve)}


def _prb(arrays: Arrays, name: str, record: dict[str, Any], problem: "PrbProblem") -> "PrbPlan":
    from planning.prb import PrbPlan, PrbSettings

    uses = np.unpackbits(arrays[f"{name} uses"], axis=1, count=problem.prbs).astype(bool)
    station = arrays[f"{name} station"]
    if len(uses) != len(problem.gain) or not ((station >= -1) & (station < problem.stations)).all():
        raise ValueError("its spectrum plan does not fit its network")
    return PrbPlan(
        problem=problem,
        settings=replace(PrbSettings(), **record["settings"]),
        station=station,
        prbs=tuple(np.flatnonzero(row) for row in uses),
        rate_mbps=arrays[f"{name} rate_mbps"],
        sinr_db=arrays[f"{name} sinr_db"],
        solve=take_solve(record["solve"]),
        unmet=tuple(record["unmet"]),
        notes=tuple(record["notes"]),
        **{k: record[k] for k in ("strategy", "objective_mbps", "bound_mbps", "met_bound", "how")},
    )
