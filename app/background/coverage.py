"""Coverage of the present network in the background: levels on pixels, which every hour and plan then reads."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from app.background import session_jobs
from app.background.counted import OnCells, laid
from app.background.deployment import present_or_default
from app.files.measurements import cell_counters
from app.saved.coverage import LEVELS, TERRAIN, settings_of
from app.server import jobs
from app.state.inputs import Upload
from app.state.results import Covered, Deployed, Made
from app.state.workspace import Workspace

JOB = "coverage"

if TYPE_CHECKING:
    from plannerbase.counters import Counters
    from planning.coverage import RadioSettings


@dataclass(frozen=True)
class CoverageRequest:
    """What is asked of the radio model.

    settings: of the model. elevation, surface: rasters of the ground's height and of what stands on it, in metres.
    levels: a table of measured levels that the path loss is tuned to. counters: of cells, by `start`.
    """

    settings: "RadioSettings"
    elevation: Upload | None = None
    levels: Upload | None = None
    counters: "Counters | None" = None


def saved_request(space: Workspace) -> CoverageRequest | None:
    """What saved work asked of the radio model for the present network; None where it has asked nothing, or for another
    one. Raises PlanningError for settings that make no sense."""
    told = space.coverage_saved
    if told is None or space.network is None or told["basis"] != space.basis("traffic", "scale", "network"):
        return None
    terrain, levels = (space.uploads.get(k) if k in told["uploads"] else None for k in (TERRAIN, LEVELS))
    return CoverageRequest(settings_of(told["settings"]), terrain, levels)


def start(space: Workspace, asked: CoverageRequest) -> None:
    """Compute the coverage of the present network; without one that fits, the default is deployed first."""
    network = present_or_default(space)
    asked = replace(asked, counters=cell_counters(space))
    basis = space.basis("traffic", "scale")

    def work(job: jobs.Job) -> "tuple[Made[Deployed], Covered]":
        made = network(job)
        job.report(0, 0, "preparing")
        return made, computed(job, made.value, asked)

    def deliver(space: Workspace, result: "tuple[Made[Deployed], Covered]") -> None:
        made, covered = result
        space.coverage = Made(covered, basis | {"network": made.identity})
        space.coverage_saved = None

    session_jobs.start(space, JOB, "Computing coverage", work, deliver)


def computed(job: jobs.Job, deployed: Deployed, asked: CoverageRequest) -> Covered:
    """The coverage of a deployed network on the tiles of its demand. Raises PlanningError."""
    from planning.coverage import Coverage, Terrain
    from planning.coverage.tuning import COLUMNS, tuned
    from planning.csv_table import read_table

    demand, network = deployed.demand, deployed.plan.network
    settings = asked.settings
    notes: tuple[str, ...] = ()
    terrain = None if asked.elevation is None else Terrain(elevation=asked.elevation.data)
    if asked.levels is not None:
        job.report(0, 0, "tuning to the measured levels")
        table = read_table(asked.levels.data, asked.levels.name, COLUMNS)
        tuning = tuned(network, table, settings, terrain)
        settings, notes = tuning.settings(settings), tuple(tuning.sentences)
    coverage = Coverage.of(network, demand.x, demand.y, settings, terrain=terrain, progress=job.report)
    on_cells = laid(job, asked.counters, OnCells(network, coverage, demand))
    on_cells.coverage.serving()  # the map's first picture needs it
    return Covered(
        on_cells.coverage, deployed, on_cells.demand, coverage, (*notes, *on_cells.sentences), asked.settings
    )
