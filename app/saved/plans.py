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


def sleep_bytes(comparison: "Comparison[SleepPlan]") -> bytes:
    """The awake cells of each strategy (packed bits) with the problem that they share."""
    plans = comparison.plans
    problem = next(iter(plans.values())).problem
    arrays: Arrays = {
        "demand": problem.demand,
        "source": problem.ring.source,
        "target": problem.ring.target,
        "metres": problem.ring.metres,
        "cells": problem.network.cells[_figures()].to_numpy(float),
    }
    arrays |= {f"awake {name}": np.packbits(plan.awake, axis=1) for name, plan in plans.items()}
    told = {
        "quantile": problem.quantile,
        "notes": problem.notes,
        "whole_site": problem.groups.site_sleeps,
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
    }
    return to_bytes(told, arrays)


def read_sleep(told: Any, arrays: Arrays, deployed: Deployed) -> "Comparison[SleepPlan]":
    """What `sleep_bytes` was given, for plans on this network. Raises ValueError where it is of another one."""
    from planning.sleep import SleepPlan, SleepSettings, evaluate

    problem = _sleep_problem(arrays, told, deployed)
    plans = {}
    for name, kept in told["plans"].items():
        awake = np.unpackbits(arrays[f"awake {name}"], axis=1, count=kept["hours"]).astype(bool)
        if awake.shape != (len(problem.network.cells), problem.hours):
            raise ValueError("its sleep plan does not fit its network")
        settings = SleepSettings(**kept["settings"] | {"night": tuple(kept["settings"]["night"])})
        plans[name] = SleepPlan(
            name,
            awake,
            problem,
            settings,
            take_solve(kept["solve"]),
            kept["relaxed"],
            evaluate(problem, awake),
            tuple(kept["notes"]),
        )
    risk = None if told["risk"] is None else take_table(arrays, "risk", told["risk"])
    table = take_table(arrays, "comparison", told["table"])
    return Comparison(plans, table, deployed, told["judged_on"], risk)


def _figures() -> list[str]:
    from planning.network import FIGURES

    return list(FIGURES)


def _sleep_problem(arrays: Arrays, told: dict[str, Any], deployed: Deployed) -> "SleepProblem":
    from planning.energy import Groups
    from planning.network import Network
    from planning.network.serving import tile_shares
    from planning.sleep import SleepProblem
    from planning.sleep.dispatch import Ring

    base = deployed.plan.network
    figures = {name: arrays["cells"][:, i] for i, name in enumerate(_figures())}
    network = Network(base.sites, base.cells.assign(**figures))
    network.validate()
    ring = Ring(arrays["source"], arrays["target"], arrays["metres"], len(network.sites))
    shares = tile_shares(network, deployed.demand.x, deployed.demand.y)
    groups = Groups.of(network, told["whole_site"])
    return SleepProblem(
        network, groups, ring, arrays["demand"], told["quantile"], shares, tuple(told["notes"])
    )


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
    mapping = None if problem.mapping is None else asdict(problem.mapping)
    sites = list(problem.site_names)
    return {"users": told, "radio": asdict(problem.radio), "mapping": mapping, "sites": sites}


def _prb_problem(arrays: Arrays, name: str, told: dict[str, Any], network: "Network") -> "PrbProblem":
    from planning.coverage import RateMapping
    from planning.prb import PrbProblem, Users
    from planning.radio import Radio

    lon, lat, demand_mbps = arrays[f"{name} users"]
    if (names := told.get("sites")) is not None:  # of a cluster; work of an earlier version is of all sites
        network = network.only(network.sites["site"].isin(names).to_numpy())
        if len(network.sites) != len(names):
            raise ValueError("its spectrum plan does not fit its network")
    mapping = RateMapping(**told["mapping"]) if told.get("mapping") else None
    users = Users(lon, lat, demand_mbps, **told["users"])
    return PrbProblem.build(network, users, Radio(**told["radio"]), mapping)


_TOLD = (
    "strategy", "objective_mbps", "bound_mbps", "served_bound_mbps", "met_bound", "prbs_bound", "how",
)  # fmt: skip


def _put_prb(arrays: Arrays, name: str, plan: "PrbPlan") -> dict[str, Any]:
    uses = np.zeros((len(plan.station), plan.problem.prbs), bool)
    for row, prbs in zip(uses, plan.prbs, strict=True):
        row[prbs] = True
    arrays[f"{name} uses"] = np.packbits(uses, axis=1)
    arrays |= {f"{name} {part}": getattr(plan, part) for part in ("station", "rate_mbps", "sinr_db")}
    record = {part: getattr(plan, part) for part in ("unmet", "notes", *_TOLD)}
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
        **{part: record.get(part) for part in _TOLD},
    )
