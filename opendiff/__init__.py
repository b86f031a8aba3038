"""Open data -> conditions -> an ensemble of hourly mobile traffic.

    week = opendiff.generate("115.90,28.66,115.96,28.71", samples=20)

In the order of the data: `area` (which tiles), `open_data`, `poi` and `live` (what is known of them), `encoder` and
`conditions` (what the model is told), `default` and `paper` (the models), `generator` (the ensemble), `traffic_table`
(the file). Then `training_data`, `metrics`, `evaluation` and `baselines`; `partitions` and `cluster` for long runs.

The names below are imported when they are first used, so `import opendiff` waits for nothing. Other modules are
imported one by one (`from opendiff.area import read_area`), so a command which needs only geometry does not wait for
torch.
"""

import os
from typing import TYPE_CHECKING

from plannerbase import __version__
from plannerbase.lazy import lazy_names

# Threads that wait by spinning slow each other down by a factor of five where cores are shared. This must be set
# before torch starts its threads, and it is the only place that does.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from opendiff.api import fetch, generate, load_model
    from opendiff.area import Area
    from opendiff.errors import OpenDiffError
    from opendiff.measured_files import read_measurements
    from opendiff.traffic_table import TrafficEnsemble, read_traffic
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "Area": "opendiff.area",
            "OpenDiffError": "opendiff.errors",
            "TrafficEnsemble": "opendiff.traffic_table",
            "fetch": "opendiff.api",
            "generate": "opendiff.api",
            "load_model": "opendiff.api",
            "read_measurements": "opendiff.measured_files",
            "read_traffic": "opendiff.traffic_table",
        },
    )

__all__ = [
    "Area",
    "OpenDiffError",
    "TrafficEnsemble",
    "__version__",
    "fetch",
    "generate",
    "load_model",
    "read_measurements",
    "read_traffic",
]
