"""The networks of saved work: every deployment that can be compared or that a plan was made for, with its demand.

A demand that the saved traffic gives is computed anew from its scale; one of traffic that has been replaced is kept
whole, so that plans stay what they were until they are made again.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from app.saved.arrays import Arrays, put_table, take_table, to_bytes
from app.state.results import Deployed, network_identity
from app.state.workspace import Workspace

if TYPE_CHECKING:
    from planning.demand import Demand
    from planning.solver import SolveResult


def networks(space: Workspace) -> dict[str, tuple[Deployed, str]]:
    """By identity: each network that something in the workspace rests on, and the identity of its traffic."""
    found: dict[str, tuple[Deployed, str]] = {}
    if (made := space.deployments) is not None:
        for strategy, deployed in made.value.plans.items():
            found[network_identity(made, strategy)] = (deployed, made.basis["traffic"])
    if space.network is not None:
        found[space.network.identity] = (space.network.value, space.network.basis["traffic"])
    for plans in (space.sleep, space.spectrum):
        if plans is not None and plans.value.network is not None:
            found[plans.basis["network"]] = (plans.value.network, plans.basis["traffic"])
    return found


def networks_bytes(space: Workspace) -> bytes:
    """`networks` with their demands, and the comparison that the deployments among them were made in."""
    arrays: Arrays = {}
    told: dict[str, Any] = {"networks": {}, "demands": {}}
    present = space.traffic.identity if space.traffic else ""
    for number, (identity, (deployed, traffic)) in enumerate(networks(space).items()):
        demand = deployed.demand
        about = f"{traffic} {demand.scale.mbps_per_unit!r} {demand.scale.users_per_unit!r}"
        if about not in told["demands"]:
            told["demands"][about] = _put_demand(arrays, about, demand, traffic == present)
        told["networks"][identity] = _put_network(arrays, f"n{number}", deployed) | {"demand": about}
    if space.deployments is not None:
        made = space.deployments
        told["deployments"] = {
            "plans": list(made.value.plans),
            "table": put_table(arrays, "comparison", made.value.table),
        }
    return to_bytes(told, arrays)


def read_networks(
    told: Any, arrays: Arrays, space: Workspace
) -> tuple[dict[str, Deployed], dict[str, Any] | None]:
    """(network by identity, the comparison of deployments as a strategy's identities and table, or None)."""
    demands = {about: _demand(arrays, about, record, space) for about, record in told["demands"].items()}
    found = {
        identity: _network(arrays, f"n{number}", record, demands[record["demand"]])
        for number, (identity, record) in enumerate(told["networks"].items())
    }
    compared = told.get("deployments")
    if compared is not None:
        compared = compared | {"table": take_table(arrays, "comparison", compared["table"])}
    return found, compared


def _put_network(arrays: Arrays, name: str, deployed: Deployed) -> dict[str, Any]:
    plan = deployed.plan
    arrays[f"{name} counts"] = plan.counts
    tables = {"sites": plan.network.sites, "cells": plan.network.cells, **plan.tables}
    return {
        "strategy": plan.strategy,
        "area_name": deployed.area_name,
        "shortfalls": [asdict(s) for s in plan.sizing.shortfalls],
        "sizing": plan.sizing.sentence,
        "demand_mbps": plan.demand_mbps,
        "sentence": plan.sentence,
        "solve": put_solve(plan.solve),
        "served_mbps": plan.served_mbps,
        "settings": plan.settings,
        "radio": None if plan.radio is None else plan.radio.record(),
        "tables": {table: put_table(arrays, f"{name} {table}", frame) for table, frame in tables.items()},
    }


def _network(arrays: Arrays, name: str, record: dict[str, Any], demand: "Demand") -> Deployed:
    from planning.deployment import DeploymentPlan
    from planning.deployment.serving import Served
    from planning.deployment.sizing import Sizing
    from planning.errors import Shortfall
    from planning.network import Network

    tables = {t: take_table(arrays, f"{name} {t}", told) for t, told in record["tables"].items()}
    network = Network.from_tables(
        tables.pop("sites"), tables.pop("cells")
    )  # fills what earlier versions lacked
    plan = DeploymentPlan(
        record["strategy"],
        arrays[f"{name} counts"],
        Sizing(network, tuple(Shortfall(**s) for s in record["shortfalls"]), record["sizing"]),
        record["demand_mbps"],
        record["sentence"],
        take_solve(record["solve"]),
        record["served_mbps"],
        tables,
        record["settings"],
        Served(**record["radio"]) if record.get("radio") else None,
    )
    return Deployed(plan, demand, record["area_name"])


def _put_demand(arrays: Arrays, about: str, demand: "Demand", of_present_traffic: bool) -> dict[str, Any]:
    record: dict[str, Any] = {"scale": demand.scale.record()}
    if of_present_traffic:
        return record
    whole = {"x": demand.x, "y": demand.y, "mbps": demand.mbps, "users": demand.users}
    whole |= {"covered_share": demand.covered_share}
    whole |= {f"intensity {name}": values for name, values in demand.intensities.items()}
    arrays |= {f"{about} {name}": values for name, values in whole.items()}
    return record | {"intensities": list(demand.intensities), "metadata": demand.metadata}


def _demand(arrays: Arrays, about: str, record: dict[str, Any], space: Workspace) -> "Demand":
    from planning.demand import Demand, Scale

    scale = Scale.from_record(record["scale"])
    if "metadata" not in record:
        if space.stated_scale() == scale:
            return space.demand()
        return Demand.build(space.traffic_table(), scale)
    part = lambda name: arrays[f"{about} {name}"]  # noqa: E731
    intensities = {name: part(f"intensity {name}") for name in record["intensities"]}
    return Demand(
        part("x"), part("y"), part("mbps"), part("users"), part("covered_share"), scale, intensities,
        record["metadata"],
    )  # fmt: skip


def put_solve(solve: "SolveResult | None") -> dict[str, Any] | None:
    """What a solver answered, without the values of the variables, as JSON holds it."""
    return None if solve is None else solve.record() | {"solved": solve.has_solution}


def take_solve(record: dict[str, Any] | None) -> "SolveResult | None":
    """The outcome as it was told; the values of the variables, which nothing needs any more, are none."""
    from planning.solver import SolveResult

    if record is None:
        return None
    told = {name: value for name, value in record.items() if name != "solved"}
    return SolveResult(**told, values=np.empty(0) if record["solved"] else None)
