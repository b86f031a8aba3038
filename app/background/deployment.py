"""Deployment in the background: the strategies side by side, and the network that other plans need first."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from app.background import session_jobs
from app.server import jobs
from app.state.inputs import OwnSites
from app.state.results import Comparison, Deployed, Made, network_of
from app.state.slots import Slot
from app.state.workspace import Workspace
from app.strategies import serves_most, strategy_name

if TYPE_CHECKING:
    from planning.demand import Demand
    from planning.deployment.places import Places

JOB = "deployment"
DEFAULT_SITES: Slot[int] = Slot()
EXISTING: "Slot[Places]" = Slot()
SITES_PER_KM2 = 1.5  # assumed: about 900 m between sites, usual in a dense city
MAX_SITES_PER_KM2 = 20.0  # assumed: about 240 m between sites; closer ones mostly disturb each other
MAX_SITES = 400  # by area; more can be asked for, and are where the demand needs them
MAX_LOAD = 0.5  # of the largest sites in the busy hour, as traffic is not spread evenly over them


def default_sites(space: Workspace) -> int:
    """Sites for the present traffic where nobody has said how many: by area, more where the traffic asks for it."""
    assert space.traffic is not None
    return space.cached(DEFAULT_SITES, (space.traffic.identity, space.scale), lambda: _default_sites(space))


def _default_sites(space: Workspace) -> int:
    from planning.deployment.sizing import usual_site_mbps

    demand = space.demand()
    area_km2 = float(space.traffic_table().area_km2)
    by_area = min(MAX_SITES, math.ceil(SITES_PER_KM2 * area_km2))
    busy_mbps = float(demand.profile(24, 0.9).sum(axis=0).max())
    by_traffic = math.ceil(min(busy_mbps / (MAX_LOAD * usual_site_mbps(4)), MAX_SITES_PER_KM2 * area_km2))
    return max(3, by_area, by_traffic)


def start(
    space: Workspace,
    sites: int,
    strategies: list[str],
    options: dict[str, Any],
    with_own: bool = True,
) -> None:
    """Deploy `sites` by each strategy and compare; that which serves the most becomes the network (`_to_plan_with`).

    options: further arguments of `planning.deployment.deploy`. with_own: compare with the sites that were uploaded, if
    there are any; "uploaded" among the strategies takes them as a plan too.
    """
    demand, name = space.demand(), _area_name(space)
    basis = space.basis("traffic", "scale")
    own = space.own_sites

    def work(job: jobs.Job) -> Comparison[Deployed]:
        return _compared(job, demand, name, sites, strategies, options, own, with_own)

    def deliver(space: Workspace, comparison: Comparison[Deployed]) -> None:
        space.deployments = Made(comparison, basis)
        space.network = network_of(space.deployments, _to_plan_with(comparison))

    space.deployment_rounds += 1
    session_jobs.start(space, JOB, "Deploying sites", work, deliver)


def _compared(
    job: jobs.Job,
    demand: "Demand",
    name: str,
    sites: int,
    strategies: list[str],
    options: dict[str, Any],
    own: OwnSites | None = None,
    with_own: bool = True,
) -> Comparison[Deployed]:
    from planning.deployment import UPLOADED, deploy, uploaded

    plans: dict[str, Deployed] = {}
    basis, unseen = demand.held_out() if len(strategies) > 1 else (demand, None)
    judged = lambda: _judged(dict(plans), unseen or demand, unseen, own if with_own else None)  # noqa: E731
    for done, strategy in enumerate(strategies):
        label = strategy_name(strategy).lower()
        if strategy == UPLOADED:
            assert own is not None
            job.report(done, len(strategies), label)
            plan = uploaded(demand, own.network, (own.name, *own.report))
        else:
            progress = job.part(done / len(strategies), (done + 1) / len(strategies), f"{label}: ")
            plan = deploy(basis, sites=sites, strategy=strategy, **options, progress=progress)
        plans[strategy] = Deployed(plan, demand, name)
        job.partial = judged
    job.report(len(strategies), len(strategies), "comparing")
    return judged()


def _to_plan_with(comparison: Comparison[Deployed]) -> str:
    """The strategy to go on with: that which serves the most traffic by the radio model, the first of those that serve
    as much. The user's own sites where they come first; beside others they are there to be compared with."""
    from planning.deployment import UPLOADED

    first = next(iter(comparison.plans))
    if first == UPLOADED:
        return first
    served = comparison.table.set_index("strategy")["served_share"]
    return serves_most(served.drop(UPLOADED, errors="ignore"))


def _judged(
    plans: dict[str, Deployed], demand: "Demand", unseen: "Demand | None", own: OwnSites | None
) -> Comparison[Deployed]:
    """The plans side by side, judged on `demand`; unseen: the same where no plan was made on it. own: real sites."""
    from planning.deployment.judging import judge

    real = None
    if own is not None:
        counted = demand.count_in_tiles(own.network.sites["lon"], own.network.sites["lat"])
        real = counted if counted.any() else None
    counts = {name: made.plan.counts for name, made in plans.items()}
    networks = {name: made.plan.network for name, made in plans.items()}
    table = judge(demand, counts, real, networks=networks)
    table["held_out"] = 0 if unseen is None else unseen.samples
    table["overloaded"] = [len(made.plan.sizing.shortfalls) for made in plans.values()]
    return Comparison(plans, table)


def existing_places(space: Workspace) -> "Places":
    """The uploaded sites near the area as places that exist. Raises PlanningError where none is near."""
    from planning.deployment import uploaded
    from planning.deployment.places import Places

    assert space.own_sites is not None and space.traffic is not None
    demand, own = space.demand(), space.own_sites
    build = lambda: Places.of_network(uploaded(demand, own.network).network)  # noqa: E731
    return space.cached(EXISTING, (own.identity, space.traffic.identity, space.scale), build)


def present_or_default(space: Workspace) -> Callable[[jobs.Job], Made[Deployed]]:
    """A step of a job: the network of the workspace or, where none fits, the default one, deployed now."""
    if space.network and space.outdated(space.network) is None:
        present = space.network
        return lambda job: present
    demand, name, sites = space.demand(), _area_name(space), default_sites(space)
    basis = space.basis("traffic", "scale")

    def deployed(job: jobs.Job) -> Made[Deployed]:
        made = Made(_compared(job, demand, name, sites, ["traffic"], {}), basis)
        job.partial = None  # the network alone is not what the job was asked for
        job.after.append(lambda space: _keep_default(space, made))
        return network_of(made, "traffic")

    return deployed


def _keep_default(space: Workspace, made: Made[Comparison[Deployed]]) -> None:
    """A network that a job deployed becomes that of the workspace, unless one has come meanwhile."""
    if space.network is None or space.outdated(space.network):
        space.deployments, space.network = made, network_of(made, "traffic")


def _area_name(space: Workspace) -> str:
    assert space.traffic is not None
    return space.traffic.value.metadata.get("area_name", "area")
