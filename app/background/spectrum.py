"""Spectrum plans in the background: of one hour beside the rules, and of all hours of its day."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app.background import session_jobs
from app.background.deployment import present_or_default
from app.server import jobs
from app.state.results import Comparison, Deployed, Made
from app.state.workspace import Workspace

if TYPE_CHECKING:
    from planning.prb import PrbPlan
    from planning.prb.hours import PrbHours

JOB = "spectrum"
MOST_USERS = 500  # drawn for the plan of an hour among others
SECONDS_AN_HOUR = 2.0  # for such a plan


def start(space: Workspace, hour: int, users: int, radio: dict[str, Any], settings: dict[str, Any]) -> None:
    """Allocate PRBs to users of one hour on the present network, beside the rules.

    hour: 0..167. users: the most that are drawn. radio, settings: arguments of `Radio` and `PrbSettings`; the seed of
    the settings is that of the users and the shadowing, too.
    """
    demand, network = space.demand(), present_or_default(space)
    basis = space.basis("traffic", "scale")
    last = space.spectrum.value.plans["optimised"] if space.spectrum else None

    def work(job: jobs.Job) -> "tuple[Made[Deployed], Comparison[PrbPlan]]":
        from planning.prb import BASELINES, PrbProblem, PrbSettings, baseline, compared, draw_users, solve_prb
        from planning.radio import Radio

        made = network(job)
        job.report(0, 0, "preparing")
        wanted = PrbSettings(**settings)
        drawn = draw_users(demand, hour, max_users=users, seed=wanted.seed)
        problem = PrbProblem.build(made.value.plan.network, drawn, Radio(seed=wanted.seed, **radio))
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

    session_jobs.start(space, JOB, "Allocating spectrum", work, deliver)


def start_hours(space: Workspace) -> None:
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

    session_jobs.start(space, JOB, "Allocating spectrum by hour", work, deliver)
