"""Open data -> conditions -> an ensemble of hourly mobile traffic.

In the order of the data: `area` (which tiles), `open_data`, `poi` and `live` (what is known of them), `encoder` and
`conditions` (what the model is told), `default` and `paper` (the models), `generator` (the ensemble), `traffic_table`
(the file). Then `training_data`, `metrics`, `evaluation` and `baselines`; `partitions` and `cluster` for long runs.

The modules are imported one by one (`from opendiff.area import read_area`), so that a command which needs only
geometry does not wait for torch.
"""

import os

__version__ = "0.1.0"

# Threads that wait by spinning slow each other down by a factor of five where cores are shared. This must be set
# before torch starts its threads, and it is the only place that does.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
