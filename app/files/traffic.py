"""The traffic table as bytes to download."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from plannerbase import formats

if TYPE_CHECKING:
    from opendiff.traffic_table import TrafficEnsemble

PARQUET = "application/vnd.apache.parquet"  # media type


def parquet_bytes(ensemble: "TrafficEnsemble") -> bytes:
    """The traffic table as `ensemble.save` writes it, metadata included."""
    with tempfile.TemporaryDirectory(prefix="opendiff-") as folder:
        path = Path(folder) / "traffic.parquet"
        ensemble.save(path)
        return path.read_bytes()


def traffic_extent(ensemble: "TrafficEnsemble") -> str:
    """How much a file of the table holds: "36 tiles, 20 samples, 168 hours"."""
    tiles, samples, hours = ensemble.traffic.shape
    parts = {"tiles": tiles, "samples": samples, "hours": hours}
    return ", ".join(formats.counted(count, what) for what, count in parts.items())


def csv_bytes(ensemble: "TrafficEnsemble") -> bytes:
    """The same rows as CSV (UTF-8), without the metadata."""
    import io

    import pyarrow.csv
    import pyarrow.parquet

    text = io.BytesIO()
    pyarrow.csv.write_csv(pyarrow.parquet.read_table(io.BytesIO(parquet_bytes(ensemble))), text)
    return text.getvalue()
