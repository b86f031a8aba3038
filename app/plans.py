"""The planners in the background: each function starts a job whose result lands in the workspace."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from app import jobs
from app.state import Comparison, Deployed, Made, Workspace

if TYPE_CHECKING:
    import numpy as np

    from planning.demand import Demand
    from planning.deployment import DeploymentPlan
    from planning.prb import PrbPlan
    from planning.prb_hours import PrbHours
    from planning.sleep import SleepPlan, SleepSettings

SITES_A_KM2 = 1.5  # assumed: about 900 m between sites, usual in a dense city
MOST_SITES = 400  # by area; more can be asked for, and are where the demand needs them
MOST_LOAD = 0.5  # of the largest sites in the busy hour, as traffic is not spread evenly over them
MOST_USERS = 500  # drawn for PRB plans
SECONDS_AN_HOUR = 2.0  # for the PRB plan of one hour among others
MOST_TILES_MOVING = 2000  # moves between all pairs of tiles take too long beyond
DEPLOYMENT, SLEEP, SPECTRUM = "deployment", "sleep", "spectrum"

STRATEGY_NAMES = {
    "traffic": "Traffic",
    "poi": "POI",
    "business": "Business POI",
    "population": "Population",
    "uniform": "Uniform",
    "optimised": "Optimised",
    "always-on": "Always on",
    "night": "Night window",
    "threshold": "Load threshold",
    "greedy": "Greedy",
    "milp": "Optimised (MILP)",
    "paper": "Paper (eq. 14)",
    "round-robin": "Nearest, round robin",
    "best-sinr": "Best SINR first",
    "proportional-fair": "Proportional fair",
}


def strategy_name(name: str) -> str:
    return STRATEGY_NAMES.get(name, name.capitalize())


def default_sites(space: Workspace) -> int:
    """Sites for the present traffic where nobody has said how many: by area, and never too few for the busy hour."""
    assert space.traffic is not None
    return space.cached("default sites", (space.traffic.identity, space.scale), lambda: _default_sites(space))


def _default_sites(space: Workspace) -> int:
    from planning.network import Network

    demand = space.demand()
    by_area = min(MOST_SITES, math.ceil(SITES_A_KM2 * float(space.traffic_table().area_km2)))
    busy_mbps = float(demand.profile(24, 0.9).sum(axis=0).max())
    largest_site_mbps = float(Network.from_sites(0.0, 0.0, capacity_layers=4).capacity_mbps[0])
    return max(3, by_area, math.ceil(busy_mbps / (MOST_LOAD * largest_site_mbps)))


def start_deployments(
    space: Workspace,
    sites: int,
    strategies: list[str],
    options: dict[str, Any],
    real_sites: "tuple[np.ndarray, np.ndarray] | None" = None,
) -> None:
    """Deploy `sites` by each strategy and compare; the first of them becomes the network.

    options: further arguments of `planning.deployment.deploy`. real_sites: lon, lat to compare with.
    """
    demand, name = space.demand(), _area_name(space)
    basis = space.basis("traffic", "scale")

    def work(job: jobs.Job) -> Comparison[Deployed]:
        return _compare_deployments(job, demand, name, sites, strategies, options, real_sites)

    def deliver(comparison: Comparison[Deployed]) -> None:
        space.deployments = Made(comparison, basis)
        space.network = network_of(space.deployments, strategies[0])

    space.notes.pop(DEPLOYMENT, None)
    space.jobs[DEPLOYMENT] = jobs.start("Deploying sites", work, deliver)


def _compare_deployments(
    job: jobs.Job,
    demand: "Demand",
    name: str,
    sites: int,
    strategies: list[str],
    options: dict[str, Any],
    real_sites: "tuple[np.ndarray, np.ndarray] | None" = None,
) -> Comparison[Deployed]:
    from planning.deployment import deploy

    plans, rows = {}, []
    for done, strategy in enumerate(strategies):
        job.report(done, len(strategies), f"{sites} sites by {strategy_name(strategy).lower()}")
        plan = deploy(demand, sites=sites, strategy=strategy, **options)
        plans[strategy] = Deployed(plan, demand, name)
        rows.append(_deployment_row(plan, demand, real_sites))
    return Comparison(plans, pd.DataFrame(rows))


def network_of(deployments: Made[Comparison[Deployed]], strategy: str) -> Made[Deployed]:
    """The deployment of a strategy as the network that sleep and spectrum plans are made for.

    Its identity is the same each time, so that plans fit again when the user comes back to a strategy.
    """
    identity = f"{deployments.identity} {strategy}"
    return Made(deployments.value.plans[strategy], deployments.basis, identity)


def _area_name(space: Workspace) -> str:
    assert space.traffic is not None
    return space.traffic.value.metadata.get("area_name", "area")


def _network(space: Workspace) -> Callable[[jobs.Job], Made[Deployed]]:
    """A step of a job: the network of the workspace or, where none fits, the default one, deployed now."""
    if space.network and space.outdated(space.network) is None:
        present = space.network
        return lambda job: present
    demand, name, sites = space.demand(), _area_name(space), default_sites(space)
    basis = space.basis("traffic", "scale")

    def deployed(job: jobs.Job) -> Made[Deployed]:
        made = Made(_compare_deployments(job, demand, name, sites, ["traffic"], {}), basis)
        job.after.append(lambda: _keep_default(space, made))
        return network_of(made, "traffic")

    return deployed


def _keep_default(space: Workspace, made: Made[Comparison[Deployed]]) -> None:
    """A network that a job deployed becomes that of the workspace, unless one has come meanwhile."""
    if space.network is None or space.outdated(space.network):
        space.deployments, space.network = made, network_of(made, "traffic")


def _deployment_row(
    plan: "DeploymentPlan", demand: "Demand", real_sites: "tuple[np.ndarray, np.ndarray] | None"
) -> dict[str, Any]:
    from planning.demand import ACTIVE_SHARE
    from planning.deployment import compare, count_sites_in_tiles, mobility_coverage

    match = compare(plan.counts, demand.mbps.mean(axis=(1, 2), dtype=float))
    row = {
        "strategy": plan.strategy,
        "sites": int(plan.counts.sum()),
        "tiles": int((plan.counts > 0).sum()),
        "jsd_traffic": match.jsd,
        "cosine_traffic": match.cosine,
        "overloaded": len(plan.sizing.shortfalls),
    }
    if real_sites is not None:
        match = compare(plan.counts, count_sites_in_tiles(demand, *real_sites))
        row |= {"jsd_real": match.jsd, "cosine_real": match.cosine}
    if demand.tiles <= MOST_TILES_MOVING:
        subscribers = demand.users.mean(axis=(1, 2), dtype=float) / ACTIVE_SHARE
        moved = mobility_coverage(demand.x, demand.y, subscribers, plan.counts)
        row |= {
            f"covered_{step}": share
            for step, share in zip(moved["step"], moved["covered_share"], strict=True)
        }
    return row


def start_sleep(
    space: Workspace,
    strategies: list[str],
    settings: "SleepSettings",
    hours: int,
    quantile: float,
    ring_m: float,
    held_out: bool,
) -> None:
    """Compare sleep strategies on the present network; without one that fits, the default is deployed first.

    held_out: leave the last sample of the ensemble out of planning and replay every plan on it.
    """
    demand, network = space.demand(), _network(space)
    planned = _without_last_sample(demand) if held_out else demand
    basis = space.basis("traffic", "scale")

    def work(job: jobs.Job) -> "tuple[Made[Deployed], Comparison[SleepPlan]]":
        from planning.sleep import SleepProblem, compare_strategies

        made = network(job)
        job.report(0, 0, "preparing")
        problem = SleepProblem.build(
            made.value.plan.network, planned, hours=hours, quantile=quantile, ring_m=ring_m
        )
        plans, table = compare_strategies(
            problem,
            strategies,
            settings=settings,
            held_out=demand.sample(demand.samples - 1) if held_out else None,
            progress=lambda done, total, what: job.report(done, total, strategy_name(what)),
        )
        return made, Comparison(plans, table, made.value)

    def deliver(result: "tuple[Made[Deployed], Comparison[SleepPlan]]") -> None:
        made, comparison = result
        space.sleep = Made(comparison, basis | {"network": made.identity})
        if space.sleep_choice not in comparison.plans:
            space.sleep_choice = list(comparison.plans)[-1]

    space.notes.pop(SLEEP, None)
    space.jobs[SLEEP] = jobs.start("Planning sleep", work, deliver)


def _without_last_sample(demand: "Demand") -> "Demand":
    return replace(demand, mbps=demand.mbps[:, :-1], users=demand.users[:, :-1])


def start_spectrum(
    space: Workspace, hour: int, users: int, radio: dict[str, Any], settings: dict[str, Any], seed: int
) -> None:
    """Allocate PRBs to users of one hour on the present network, beside the rules.

    hour: 0..167. radio, settings: arguments of `Radio` and `PrbSettings`.
    """
    demand, network = space.demand(), _network(space)
    basis = space.basis("traffic", "scale")

    def work(job: jobs.Job) -> "tuple[Made[Deployed], Comparison[PrbPlan]]":
        from planning.prb import BASELINES, PrbProblem, PrbSettings, baseline, compared, draw_users, solve_prb
        from planning.radio import Radio

        made = network(job)
        job.report(0, 0, "preparing")
        drawn = draw_users(demand, hour, max_users=users, seed=seed)
        problem = PrbProblem.build(made.value.plan.network, drawn, Radio(seed=seed, **radio))
        wanted = PrbSettings(**{"seed": seed} | settings)
        plan = solve_prb(problem, wanted, progress=job.report)
        plans = {"optimised": plan} | {name: baseline(problem, name, wanted) for name in BASELINES}
        table = compared(list(plans.values()))
        table["strategy"] = list(plans)
        return made, Comparison(plans, table, made.value)

    def deliver(result: "tuple[Made[Deployed], Comparison[PrbPlan]]") -> None:
        made, comparison = result
        space.spectrum = Made(comparison, basis | {"network": made.identity})
        space.spectrum_choice = "optimised"
        space.spectrum_hour = hour

    space.notes.pop(SPECTRUM, None)
    space.jobs[SPECTRUM] = jobs.start("Allocating spectrum", work, deliver)


def start_spectrum_hours(space: Workspace) -> None:
    """Plan the 24 hours of the day of the spectrum plan, with its network, radio and settings."""
    made = space.spectrum
    assert made is not None and made.value.network is not None
    demand, network = space.demand(), made.value.network.plan.network
    plan, first = made.value.plans["optimised"], space.spectrum_hour - space.spectrum_hour % 24

    def work(job: jobs.Job) -> "PrbHours":
        from planning.prb_hours import solve_hours

        users = plan.problem.users
        most = len(users.lon) if users.weight > 1 else MOST_USERS
        settings = replace(plan.settings, time_limit=max(plan.settings.time_limit, 24 * SECONDS_AN_HOUR))
        hours = range(first, first + 24)
        return solve_hours(network, demand, hours, plan.problem.radio, settings, most, progress=job.report)

    def deliver(result: "PrbHours") -> None:
        space.spectrum_hours = Made(result, made.basis | {"spectrum": made.identity})

    space.notes.pop(SPECTRUM, None)
    space.jobs[SPECTRUM] = jobs.start("Allocating spectrum by hour", work, deliver)
