"""The deployment experiment of the paper (section 5.3: figure 3(c), table 5) on any area and any file of real sites.

Base stations are shared out over square areas in proportion to a density (generated traffic, POI, business POI, or
evenly), then compared with real sites by area, and judged by the users that they cover while these move. The paper
gives no G for its gravity model F_ij = G M_i M_j / D_ij^2. With one G for all pairs F_ij = F_ji, so that nothing would
ever change; here each tile has its own, set so that a share of its users leaves in a step, and that share is varied.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from plannerbase.progress import Progress, silent
from planning.demand import Demand
from planning.deployment.judging import STEPS, USERS_PER_SITE, compare, judge
from planning.deployment.strategies import area_blocks, available, density, proportional
from planning.errors import InputError

PAPER_SITES = 2000
PAPER_STRATEGIES = ("traffic", "poi", "business", "uniform")
MOVING_SHARES = (0.0, 0.002, 0.01, 0.05, 0.2)  # of a tile's users a step: G varied


def paper_experiment(
    placed_on: Demand,
    judged_on: Demand,
    real: np.ndarray,
    sites: int = PAPER_SITES,
    area_tiles: int = 1,
    users_per_site: float = USERS_PER_SITE,
    moving_shares: tuple[float, ...] = MOVING_SHARES,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """A row a strategy and moving share.

    Parameters
    ----------
    placed_on : traffic that the traffic strategy places sites by. judged_on : traffic whose users are covered.
    real : (tiles,) real sites.
    area_tiles : tiles a side of an area; the paper has 256 areas of 16 km.
    users_per_site : that a site covers in its tile.
    moving_shares : of a tile's users that leave in a step, each a reading of G.

    Returns
    -------
    Columns strategy, sites, areas, jsd_real and cosine_real (by area), moving_share, covered_0, covered_30, covered_50.

    Raises
    ------
    InputError
        For real sites that are none, or shares outside 0 to 1.
    """
    if not real.sum() > 0:
        raise InputError("No real site lies in the tiles of the traffic; give the sites of this area.")
    if not moving_shares or not all(0 <= share <= 1 for share in moving_shares):
        raise InputError("The moving shares must be some numbers from 0 to 1.")
    tell = progress or silent
    areas = area_blocks(placed_on.x, placed_on.y, area_tiles)
    named = [s for s in PAPER_STRATEGIES if s in available(placed_on)]
    counts = {name: proportional(density(placed_on, name), areas, sites) for name in named}
    number = int(areas.max()) + 1
    rows = []
    for done, share in enumerate(moving_shares):
        tell(done, len(moving_shares), "users moving")
        table = judge(judged_on, counts, None, users_per_site, share).set_index("strategy")
        for name in named:
            match = compare(*(np.bincount(areas, c, number) for c in (counts[name], real)))
            row = {"strategy": name, "sites": sites, "areas": number, "jsd_real": match.jsd}
            row |= {"cosine_real": match.cosine, "moving_share": share}
            rows.append(row | {f"covered_{t}": table.loc[name, f"covered_{t}"] for t in STEPS})
    tell(len(moving_shares), len(moving_shares), "judged")
    return pd.DataFrame(rows)
