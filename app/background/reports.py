"""The report of the open work, made in the background."""

from app.background import cases, session_jobs
from app.background.cases import Case
from app.files.scenario import scenario_of
from app.server import jobs
from app.state.results import Made
from app.state.workspace import Workspace

JOB = "report"


def basis_of(space: Workspace, chosen: list[Case] | None) -> dict[str, str]:
    """What a report of the open work and of these cases would be made from."""
    made = {
        name: getattr(space, name)
        for name in ("network", "deployments", "sleep", "spectrum", "spectrum_hours")
    }
    basis = {name: one.identity for name, one in made.items() if one is not None}
    basis |= {"sleep plan": space.sleep_choice, "spectrum plan": space.spectrum_choice}
    return basis | {"compared": " | ".join(f"{case.label} {id(case.deployed)}" for case in chosen or [])}


def start(space: Workspace, chosen: list[Case]) -> None:
    """Make the report of the open work in the background, with these cases side by side."""
    scenario, basis = scenario_of(space), basis_of(space, chosen)

    def work(job: jobs.Job) -> bytes:
        from planning.export import tables
        from planning.export.report import page

        compared = {}
        for done, case in enumerate(chosen):
            job.report(done, len(chosen) + 10, case.label)
            compared[case.label] = cases.scenario_of(case)
        begun = len(compared)
        return page(
            scenario,
            tables(scenario),
            compared,
            lambda done, whole, what: job.report(begun + done, begun + whole, what),
        ).encode()

    def deliver(space: Workspace, report: bytes) -> None:
        space.report = Made(report, basis)

    session_jobs.start(space, JOB, "Making the report", work, deliver)
