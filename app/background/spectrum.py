"""Spectrum in the background: utilisation of the network, plans of one hour beside the rules, and of all its day."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app.background import session_jobs
from app.background.counted import OnCells, laid
from app.background.deployment import present_or_default
from app.files.measurements import cell_counters
from app.server import jobs
from app.state.results import Comparison, Deployed, Made, NetworkUse
from app.state.workspace import Workspace

if TYPE_CHECKING:
    from plannerbase.counters import Counters
    from planning.demand import Demand
    from planning.network import Network
    from planning.prb import PrbPlan
    from planning.prb.hours import PrbHours
    from planning.prb.users import Inside

JOB, UTILISATION_JOB = "spectrum", "utilisation"
RELIEVED = 5  # hot spots for which measures are tried
MAX_USERS = 500  # drawn for the plan of an hour among others
SECONDS_AN_HOUR = 2.0  # for such a plan


def start_utilisation(space: Workspace, day: int) -> None:
    """PRB utilisation of every cell in the 24 hours of a day (0..6), hot spots, and what would relieve them."""
    demand, network = space.demand(), present_or_default(space)
    basis, counters = space.basis("traffic", "scale"), cell_counters(space)

    def work(job: jobs.Job) -> "tuple[Made[Deployed], NetworkUse]":
        from planning.prb import network_utilisation, relief_of

        made = network(job)
        hours = range(24 * day, 24 * day + 24)
        on_cells = _on_cells(job, made.value.plan.network, demand, counters)
        found = network_utilisation(
            on_cells.network, on_cells.demand, hours, progress=job.report, coverage=on_cells.coverage
        )
        hot = found.hot_spots()
        relief = relief_of(found, hot.index.to_numpy()[:RELIEVED], job.report)
        return made, NetworkUse(found, hot, relief, on_cells.sentences)

    def deliver(space: Workspace, result: "tuple[Made[Deployed], NetworkUse]") -> None:
        made, use = result
        space.utilisation = Made(use, basis | {"network": made.identity})

    session_jobs.start(space, UTILISATION_JOB, "Computing PRB utilisation", work, deliver)


def start(
    space: Workspace,
    hour: int,
    users: int,
    radio: dict[str, Any],
    settings: dict[str, Any],
    rates: str = "shannon",
    cluster: tuple[float, float, int] | None = None,
) -> None:
    """Allocate PRBs to users of one hour on the present network, beside the rules.

    hour: 0..167. users: the most that are drawn. radio, settings: arguments of `Radio` and `PrbSettings`; the seed of
    the settings is that of the users and the shadowing, too. rates: a table of TS 38.214, or "shannon". cluster: lon,
    lat and number of the nearest sites, which are planned alone.
    """
    demand, network = space.demand(), present_or_default(space)
    basis, counters = space.basis("traffic", "scale"), cell_counters(space)
    last = space.spectrum.value.plans["optimised"] if space.spectrum else None

    def work(job: jobs.Job) -> "tuple[Made[Deployed], Comparison[PrbPlan]]":
        from planning.coverage import RateMapping
        from planning.prb import BASELINES, PrbProblem, PrbSettings, baseline, compared, draw_users, solve_prb
        from planning.radio import Radio

        made = network(job)
        job.report(0, 0, "preparing")
        wanted = PrbSettings(**settings)
        whole, traffic, notes = _counted(job, made.value.plan.network, demand, counters)
        sites, traffic, inside = _planned(whole, traffic, cluster)
        drawn = draw_users(traffic, hour, max_users=users, seed=wanted.seed, inside=inside)
        mapping = None if rates == "shannon" or wanted.mode == "literal" else RateMapping(rates)
        problem = PrbProblem.build(sites, drawn, Radio(seed=wanted.seed, **radio), mapping)
        plan = solve_prb(problem, wanted, progress=job.report, earlier=last)
        plans = {"optimised": plan} | {name: baseline(problem, name, wanted) for name in BASELINES}
        table = compared(list(plans.values()))
        table["strategy"] = list(plans)
        return made, Comparison(plans, table, made.value, notes=notes)

    def deliver(space: Workspace, result: "tuple[Made[Deployed], Comparison[PrbPlan]]") -> None:
        made, comparison = result
        space.spectrum = Made(comparison, basis | {"network": made.identity})
        space.spectrum_choice = "optimised"
        space.spectrum_hour, space.spectrum_cluster = hour, cluster

    session_jobs.start(space, JOB, "Allocating spectrum", work, deliver)


def _on_cells(job: jobs.Job, network: "Network", demand: "Demand", counters: "Counters | None") -> OnCells:
    """Network, coverage and demand as counters say, where there are any."""
    from planning.coverage import Coverage

    job.report(0, 0, "received levels")
    coverage = Coverage.of(network, demand.x, demand.y)
    return laid(job, counters, OnCells(network, coverage, demand))


def _counted(
    job: jobs.Job, network: "Network", demand: "Demand", counters: "Counters | None"
) -> "tuple[Network, Demand, tuple[str, ...]]":
    """Network and demand as counters say, and what they say in words; coverage is computed only where there are any."""
    if counters is None:
        return network, demand, ()
    on_cells = _on_cells(job, network, demand, counters)
    return on_cells.network, on_cells.demand, on_cells.sentences


def _planned(
    network: "Network", demand: "Demand", cluster: tuple[float, float, int] | None
) -> "tuple[Network, Demand, Inside | None]":
    """Sites, demand and where users may stand: of the whole network, or of a cluster."""
    from planning.prb import Cluster

    if cluster is None:
        return network, demand, None
    found = Cluster.of(network, demand, *cluster)
    return found.network, found.demand, found.inside


def start_hours(space: Workspace) -> None:
    """Plan the 24 hours of the day of the spectrum plan, with its network, radio and settings."""
    made = space.spectrum
    assert made is not None and made.value.network is not None
    demand, network = space.demand(), made.value.network.plan.network
    plan, first = made.value.plans["optimised"], space.spectrum_hour - space.spectrum_hour % 24
    cluster, counters = space.spectrum_cluster, cell_counters(space)

    def work(job: jobs.Job) -> "PrbHours":
        from planning.prb.hours import solve_hours

        users = plan.problem.users
        most = len(users.lon) if users.weight > 1 else MAX_USERS
        settings = replace(plan.settings, time_limit=max(plan.settings.time_limit, 24 * SECONDS_AN_HOUR))
        hours = range(first, first + 24)
        whole, traffic, _ = _counted(job, network, demand, counters)
        sites, traffic, inside = _planned(whole, traffic, cluster)
        return solve_hours(
            sites, traffic, hours, plan.problem.radio, settings, most, progress=job.report, inside=inside,
            mapping=plan.problem.mapping,
        )  # fmt: skip

    def deliver(space: Workspace, result: "PrbHours") -> None:
        space.spectrum_hours = Made(result, made.basis | {"spectrum": made.identity})

    session_jobs.start(space, JOB, "Allocating spectrum by hour", work, deliver)
