"""The planners in the background: each function starts a job whose result lands in the workspace."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app import jobs, session_jobs
from app.limits import limits
from app.messages import plain
from app.saved_networks import network_identity
from app.state import Comparison, Deployed, Made, Workspace

if TYPE_CHECKING:
    from app.own_sites import OwnSites
    from app.uploads import Upload
    from planning.demand import Demand
    from planning.deployment.places import Places
    from planning.prb import PrbPlan
    from planning.prb.hours import PrbHours
    from planning.sleep import SleepPlan

SITES_A_KM2 = 1.5  # assumed: about 900 m between sites, usual in a dense city
MOST_SITES = 400  # by area; more can be asked for, and are where the demand needs them
MOST_LOAD = 0.5  # of the largest sites in the busy hour, as traffic is not spread evenly over them
MOST_USERS = 500  # drawn for PRB plans
SECONDS_AN_HOUR = 2.0  # for the PRB plan of one hour among others
BEFORE_RISK = 0.7  # share of a sleep job that is over when the strategies are compared
DEPLOYMENT, SLEEP, SPECTRUM = "deployment", "sleep", "spectrum"

STRATEGY_NAMES = {
    "traffic": "Traffic",
    "poi": "POI",
    "business": "Business POI",
    "population": "Population",
    "uniform": "Uniform",
    "optimised": "Optimised",
    "uploaded": "Your sites",
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
    return STRATEGY_NAMES.get(name) or plain(name.capitalize())


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
    with_own: bool = True,
) -> None:
    """Deploy `sites` by each strategy and compare; the first of them becomes the network.

    options: further arguments of `planning.deployment.deploy`. with_own: compare with the sites that were uploaded, if
    there are any; "uploaded" among the strategies takes them as a plan too.
    """
    demand, name = space.demand(), _area_name(space)
    basis = space.basis("traffic", "scale")
    own = space.own_sites

    def work(job: jobs.Job) -> Comparison[Deployed]:
        return _compare_deployments(job, demand, name, sites, strategies, options, own, with_own)

    def deliver(space: Workspace, comparison: Comparison[Deployed]) -> None:
        space.deployments = Made(comparison, basis)
        space.network = network_of(space.deployments, strategies[0])

    space.deployment_rounds += 1
    session_jobs.start(space, DEPLOYMENT, "Deploying sites", work, deliver)


def _compare_deployments(
    job: jobs.Job,
    demand: "Demand",
    name: str,
    sites: int,
    strategies: list[str],
    options: dict[str, Any],
    own: "OwnSites | None" = None,
    with_own: bool = True,
) -> Comparison[Deployed]:
    from planning.deployment import UPLOADED, deploy, uploaded
    from planning.deployment.judging import judge

    plans = {}
    for done, strategy in enumerate(strategies):
        label = strategy_name(strategy).lower()
        if strategy == UPLOADED:
            assert own is not None
            job.report(100 * done, 100 * len(strategies), label)
            plan = uploaded(demand, own.network, (own.name, *own.report))
        else:
            plan = deploy(
                demand, sites=sites, strategy=strategy, **options,
                progress=_part_of(job, done, len(strategies), label),
            )  # fmt: skip
        plans[strategy] = Deployed(plan, demand, name)
    job.report(100 * len(strategies), 100 * len(strategies), "comparing")
    real = None
    if own is not None and with_own:
        counted = demand.count_in_tiles(own.network.sites["lon"], own.network.sites["lat"])
        real = counted if counted.any() else None
    table = judge(demand, {name: made.plan.counts for name, made in plans.items()}, real)
    table["overloaded"] = [len(made.plan.sizing.shortfalls) for made in plans.values()]
    return Comparison(plans, table)


def _part_of(job: jobs.Job, done: int, parts: int, label: str) -> Callable[[int, int, str], None]:
    """Progress of one of several equal parts of a job."""
    return lambda part, whole, what: job.report(
        100 * done + 100 * part // max(whole, 1), 100 * parts, f"{label}: {what}"
    )


def existing_places(space: Workspace) -> "Places":
    """The uploaded sites near the area as places that exist. Raises PlanningError where none is near."""
    from planning.deployment import uploaded
    from planning.deployment.places import Places

    assert space.own_sites is not None and space.traffic is not None
    demand, own = space.demand(), space.own_sites
    build = lambda: Places.of_network(uploaded(demand, own.network).network)  # noqa: E731
    return space.cached("existing places", (own.identity, space.traffic.identity, space.scale), build)


def network_of(deployments: Made[Comparison[Deployed]], strategy: str) -> Made[Deployed]:
    """The deployment of a strategy as the network that sleep and spectrum plans are made for.

    Its identity is the same each time, so that plans fit again when the user comes back to a strategy.
    """
    identity = network_identity(deployments, strategy)
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
        job.after.append(lambda space: _keep_default(space, made))
        return network_of(made, "traffic")

    return deployed


def _keep_default(space: Workspace, made: Made[Comparison[Deployed]]) -> None:
    """A network that a job deployed becomes that of the workspace, unless one has come meanwhile."""
    if space.network is None or space.outdated(space.network):
        space.deployments, space.network = made, network_of(made, "traffic")


def start_sleep(space: Workspace, chosen: dict[str, Any]) -> None:
    """Compare sleep strategies on the present network; without one that fits, the default is deployed first.

    chosen: as `app.sleep_settings` gives it, with its settings as SleepSettings. Every plan is replayed on measured
    traffic, or else on the last sample of the ensemble, which is then left out of planning. Raises PlanningError for
    traffic or figures that cannot be planned with.
    """
    demand, network = space.demand().with_rate_floor(chosen["rate_floor"]), _network(space)
    planned, held_out, judged_on = demand, None, ""
    if chosen["measured"] is not None:
        held_out, judged_on = _measured(chosen["measured"], demand), "the measured traffic"
    elif chosen["held_out"] and demand.samples > 1:
        held_out, judged_on = demand.sample(demand.samples - 1), "the last sample (one week)"
        planned = _without_last_sample(demand)
    basis = space.basis("traffic", "scale")
    last = space.sleep.value.plans.get("milp") if space.sleep else None

    def work(job: jobs.Job) -> "tuple[Made[Deployed], Comparison[SleepPlan]]":
        from planning.sleep import RISK_QUANTILES, SleepProblem, compare_strategies, risk_curve

        made = network(job)
        job.report(0, 0, "preparing")
        cells = made.value.plan.network
        if chosen["equipment"] is not None:
            mine = chosen["equipment"]["equipment"].isin(cells.cells["equipment"])
            cells = cells.with_equipment(chosen["equipment"][mine])
        problem = SleepProblem.build(cells, planned, quantile=chosen["quantile"], **chosen["around"])
        plans, table = compare_strategies(
            problem,
            chosen["strategies"],
            settings=chosen["settings"],
            held_out=held_out,
            progress=_part(job, 0.0, 1.0 if held_out is None else BEFORE_RISK, strategy_name),
            earlier=last.awake if last is not None and last.network.cells.equals(cells.cells) else None,
        )
        risk = None
        if held_out is not None:
            risk = risk_curve(
                cells,
                planned,
                held_out,
                RISK_QUANTILES,
                "greedy",
                replace(chosen["settings"], allow_unserved=True),
                _part(job, BEFORE_RISK, 1.0),
                **chosen["around"],
            )
        return made, Comparison(plans, table, made.value, judged_on, risk)

    def deliver(space: Workspace, result: "tuple[Made[Deployed], Comparison[SleepPlan]]") -> None:
        made, comparison = result
        space.sleep = Made(comparison, basis | {"network": made.identity})
        if space.sleep_choice not in comparison.plans:
            space.sleep_choice = list(comparison.plans)[-1]

    session_jobs.start(space, SLEEP, "Planning sleep", work, deliver)


def _part(
    job: jobs.Job, begin: float, end: float, say: Callable[[str], str] = str
) -> Callable[[int, int, str], None]:
    """Progress of a step that is a part of a job, from one share of it to another."""

    def report(done: int, total: int, what: str = "") -> None:
        job.report(round(1000 * (begin + (end - begin) * done / max(total, 1))), 1000, say(what))

    return report


def _measured(upload: "Upload", demand: "Demand") -> "Demand":
    """An uploaded traffic table as Mbit/s: its own if it states them, else on the scale of the generated traffic."""
    from planning.demand import Demand
    from planning.traffic import TrafficTable

    table = TrafficTable.read(upload.data, upload.name, most_rows=168 * limits().tile_weeks)
    return Demand.build(table, None if table.metadata.get("unit") == "Mbit/s" else demand.scale)


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
    last = space.spectrum.value.plans["optimised"] if space.spectrum else None

    def work(job: jobs.Job) -> "tuple[Made[Deployed], Comparison[PrbPlan]]":
        from planning.prb import BASELINES, PrbProblem, PrbSettings, baseline, compared, draw_users, solve_prb
        from planning.radio import Radio

        made = network(job)
        job.report(0, 0, "preparing")
        drawn = draw_users(demand, hour, max_users=users, seed=seed)
        problem = PrbProblem.build(made.value.plan.network, drawn, Radio(seed=seed, **radio))
        wanted = PrbSettings(**{"seed": seed} | settings)
        plan = solve_prb(problem, wanted, progress=job.report, earlier=last)
        plans = {"optimised": plan} | {name: baseline(problem, name, wanted) for name in BASELINES}
        table = compared(list(plans.values()))
        table["strategy"] = list(plans)
        return made, Comparison(plans, table, made.value)

    def deliver(space: Workspace, result: "tuple[Made[Deployed], Comparison[PrbPlan]]") -> None:
        made, comparison = result
        space.spectrum = Made(comparison, basis | {"network": made.identity})
        space.spectrum_choice = "optimised"
        space.spectrum_hour = hour

    session_jobs.start(space, SPECTRUM, "Allocating spectrum", work, deliver)


def start_spectrum_hours(space: Workspace) -> None:
    """Plan the 24 hours of the day of the spectrum plan, with its network, radio and settings."""
    made = space.spectrum
    assert made is not None and made.value.network is not None
    demand, network = space.demand(), made.value.network.plan.network
    plan, first = made.value.plans["optimised"], space.spectrum_hour - space.spectrum_hour % 24

    def work(job: jobs.Job) -> "PrbHours":
        from planning.prb.hours import solve_hours

        users = plan.problem.users
        most = len(users.lon) if users.weight > 1 else MOST_USERS
        settings = replace(plan.settings, time_limit=max(plan.settings.time_limit, 24 * SECONDS_AN_HOUR))
        hours = range(first, first + 24)
        return solve_hours(network, demand, hours, plan.problem.radio, settings, most, progress=job.report)

    def deliver(space: Workspace, result: "PrbHours") -> None:
        space.spectrum_hours = Made(result, made.basis | {"spectrum": made.identity})

    session_jobs.start(space, SPECTRUM, "Allocating spectrum by hour", work, deliver)
