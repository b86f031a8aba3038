"""People present in tiles by hour of a week: the file `presence.parquet` of a pack."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from opendiff.area import Tiles, tile_index
from opendiff.errors import SourceError
from opendiff.week import DAYS, HOURS, HOURS_PER_DAY


def read_presence(path: Path, tiles: Tiles) -> np.ndarray:
    """People present, (tiles, 168) float32 by hour from Monday 0 h, in one scale for all tiles; NaN where unknown.

    `presence.parquet` holds `x, y, hour 0..167, people`, maybe in several weeks (`week`), which are averaged; or
    `x, y, day (workdays, sat, sun), hour 0..23, share`, the share of all people present in that hour.
    """
    found = np.full((len(tiles), HOURS), np.nan, np.float32)
    if not path.exists():
        return found
    try:
        table = pq.read_table(path).to_pandas()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read ({error}); make it again.") from None
    by_day = "day" in table
    wanted = ["x", "y", "hour", *(("day", "share") if by_day else ("people",))]
    if missing := [name for name in wanted if name not in table]:
        raise SourceError(f"{path} lacks the column {missing[0]}; it needs {', '.join(wanted)}.")
    row = tile_index(tiles).get_indexer(pd.MultiIndex.from_frame(table[["x", "y"]]))
    hour = table["hour"].to_numpy(int)
    total, count = np.zeros((2, len(tiles), HOURS))
    values = table["share" if by_day else "people"].to_numpy(float)
    for day in range(DAYS):
        chosen = (row >= 0) & np.isfinite(values)
        if by_day:
            chosen &= table["day"].eq(("sat", "sun")[day - 5] if day >= 5 else "workdays").to_numpy()
        else:
            chosen &= hour // HOURS_PER_DAY == day
        place = row[chosen], day * HOURS_PER_DAY + hour[chosen] % HOURS_PER_DAY
        np.add.at(total, place, values[chosen])
        np.add.at(count, place, 1)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0).astype(np.float32)
