"""Files made to harm a server, and the ways that they take into the app.

`HOSTILE` has each kind by its name. `secret` is the path of a text file that some of them try to read. The small sizes
are for tests; `python -m benchmarks robust` makes them large.
"""

from __future__ import annotations

from benchmarks.robustness.hostile_databases import DATABASES
from benchmarks.robustness.hostile_files import FILES

HOSTILE = DATABASES | FILES
