"""From a traffic table to network plans. Knows nothing of how the traffic was made.

    network = planning.deploy(week, sites=40).network
    plan = planning.plan_sleep(network, week)

The names below are imported when they are first used, so `import planning` waits for nothing. The modules, in the order
of the data:

traffic, demand     a table of anybody's, and Mbit/s by a stated scale
equipment, radio    figures of cells and links, each with its source; energy computes with them
coverage            levels on pixels, who serves what, capacities, loads
network             sites and cells, and the files they come from
deployment          where sites go
sleep               which cells sleep when
prb                 which users get which PRBs
solver              mixed-integer programs, behind one adapter
scenario, export    everything in one file, and out to other tools
commands, cli       `opendiff-planning`
"""

from typing import TYPE_CHECKING

from plannerbase import __version__
from plannerbase.lazy import lazy_names

if TYPE_CHECKING:
    from planning.api import allocate_prbs, compare_sleep, map_coverage, plan_sleep
    from planning.demand import Demand, Scale
    from planning.deployment import deploy
    from planning.errors import PlanningError
    from planning.network import Network
    from planning.network.files import import_network
    from planning.scenario import Scenario
    from planning.traffic import TrafficTable
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "Demand": "planning.demand",
            "Network": "planning.network",
            "PlanningError": "planning.errors",
            "Scale": "planning.demand",
            "Scenario": "planning.scenario",
            "TrafficTable": "planning.traffic",
            "allocate_prbs": "planning.api",
            "compare_sleep": "planning.api",
            "deploy": "planning.deployment.plan",
            "import_network": "planning.network.files",
            "map_coverage": "planning.api",
            "plan_sleep": "planning.api",
        },
    )

__all__ = [
    "Demand",
    "Network",
    "PlanningError",
    "Scale",
    "Scenario",
    "TrafficTable",
    "__version__",
    "allocate_prbs",
    "compare_sleep",
    "deploy",
    "import_network",
    "map_coverage",
    "plan_sleep",
]
