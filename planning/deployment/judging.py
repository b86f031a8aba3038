"""Deployments judged as in section 5.3 of the paper: distributions over tiles, and users covered while they move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from planning.coverage import RadioSettings
from planning.demand import ACTIVE_SHARE, Demand
from planning.deployment.serving import served
from planning.errors import InputError
from planning.geometry import centre_of, local_metres, tile_centre
from planning.network import Network

USERS_PER_SITE = 3000.0  # section 5.3
MOVING_SHARE = 0.01  # of a tile's users a step; assumed, the paper gives no G
STEPS = (0, 30, 50)  # of table 5
MAX_KEPT = 10_000  # tiles whose distances are kept in memory
Pull = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Match:
    """How alike two distributions over tiles are: Jensen-Shannon distance (base 2, 0..1) and cosine (0..1)."""

    jsd: float
    cosine: float


def compare(counts: ArrayLike, reference: ArrayLike) -> Match:
    """Two distributions over the same tiles, e.g. planned and real sites."""
    p, q = np.asarray(counts, float), np.asarray(reference, float)
    if p.shape != q.shape or not p.sum() > 0 or not q.sum() > 0:
        raise InputError("Both distributions must cover the same tiles and hold at least one site.")
    cosine = float(p @ q / np.sqrt((p @ p) * (q @ q)))
    p, q = p / p.sum(), q / q.sum()
    m = (p + q) / 2

    def divergence(a: np.ndarray) -> float:
        used = a > 0
        return float((a[used] * np.log2(a[used] / m[used])).sum())

    return Match(float(np.sqrt(max(0.0, (divergence(p) + divergence(q)) / 2))), min(1.0, cosine))


def covered_share(users: np.ndarray, counts: ArrayLike, users_per_site: float = USERS_PER_SITE) -> float:
    """Share of the users, (tiles,), that the sites of their own tile cover."""
    counts = np.asarray(counts, float)
    if users.shape != counts.shape:
        raise InputError("Users and sites must be given for the same tiles, with at least one user.")
    if not users_per_site > 0:
        raise InputError("The users per site must be above 0.")
    return float(np.minimum(users, counts * users_per_site).sum() / users.sum())


def moved_users(
    x: ArrayLike,
    y: ArrayLike,
    users: ArrayLike,
    steps: tuple[int, ...] = STEPS,
    moving_share: float = MOVING_SHARE,
) -> dict[int, np.ndarray]:
    """step -> (tiles,) users, as they move by the gravity model F_ij = G M_i M_j / D_ij^2 (section 5.3).

    x, y: tiles; users: (tiles,) M at step 0. With one G for all pairs F_ij = F_ji, so nothing would ever change; we
    read G as each tile's own, set so that `moving_share` of its users leave in a step. Users are conserved; tiles at
    one place do not exchange users.
    """
    users = np.asarray(users, float).copy()
    if users.shape != np.shape(x) or not users.sum() > 0:
        raise InputError("Users and sites must be given for the same tiles, with at least one user.")
    if not 0 <= moving_share <= 1:
        raise InputError("The moving share must lie in 0..1.")
    lon, lat = tile_centre(x, y)
    points = local_metres(lon, lat, centre_of(lon, lat))
    pull_of = inverse_square(points)
    kept = {}
    for step in range(max(steps) + 1):
        if step in steps:
            kept[step] = users
        if step < max(steps):
            users = gravity_step(pull_of, users, moving_share)
    return kept


def gravity_step(pull_of: Pull, users: np.ndarray, moving_share: float) -> np.ndarray:
    """(tiles,) users after one step; pull_of: `inverse_square` of the tiles' places."""
    pull = pull_of(users)  # sum_j M_j / D_ij^2
    leaving = np.where(pull > 0, moving_share * users, 0.0)
    rate = np.divide(leaving, pull, out=np.zeros_like(pull), where=pull > 0)
    return users - leaving + pull_of(rate) * users


def inverse_square(points: np.ndarray, block: int = 512) -> Pull:
    """The function v -> sum_j v_j / D_ij^2 of places (tiles, 2) in metres; places at no distance do not count.

    The matrix is kept for up to MAX_KEPT places (0.8 GB) and made anew in blocks of rows beyond.
    """
    count = len(points)

    def rows(begin: int) -> np.ndarray:
        part = points[begin : begin + block]
        square = (part[:, None, 0] - points[None, :, 0]) ** 2 + (part[:, None, 1] - points[None, :, 1]) ** 2
        return np.divide(1.0, square, out=np.zeros_like(square), where=square > 1e-6)

    begins = range(0, count, block)
    if count > MAX_KEPT:
        return lambda values: np.concatenate([rows(begin) @ values for begin in begins])
    whole = np.empty((count, count))
    for begin in begins:
        whole[begin : begin + block] = rows(begin)
    return lambda values: whole @ values


def judge(
    demand: Demand,
    counts: dict[str, np.ndarray],
    real: np.ndarray | None = None,
    users_per_site: float = USERS_PER_SITE,
    moving_share: float = MOVING_SHARE,
    networks: dict[str, Network] | None = None,
    radio: RadioSettings | None = None,
) -> pd.DataFrame:
    """Strategies side by side, as figure 3(c) and table 5: one row each.

    counts: strategy -> (tiles,) sites; real: (tiles,) real sites or None. The demand should be one that the sites were
    not placed on, such as held-out samples. Columns: strategy, sites, tiles (with a site), jsd_traffic and
    cosine_traffic against the demand's own mean traffic, jsd_real and cosine_real, covered_0, covered_30 and covered_50
    (share of the subscribers by the paper's rule of `users_per_site`; NaN where the demand has no users). networks:
    adds people_covered, served_share (of the busy hour's traffic) and users_served of the networks as they are, by the
    radio model.
    """
    traffic = demand.mean_mbps()
    subscribers = demand.users.mean(axis=(1, 2), dtype=float) / ACTIVE_SHARE
    rows = []
    moved = None
    if subscribers.sum() > 0:
        moved = moved_users(demand.x, demand.y, subscribers, moving_share=moving_share)
    for name, sites in counts.items():
        row = {"strategy": name, "sites": int(sites.sum()), "tiles": int((sites > 0).sum())}
        for label, reference in (("traffic", traffic), ("real", real)):
            if reference is not None:
                match = compare(sites, reference)
                row |= {f"jsd_{label}": match.jsd, f"cosine_{label}": match.cosine}
        for step in STEPS:
            row[f"covered_{step}"] = (
                np.nan if moved is None else covered_share(moved[step], sites, users_per_site)
            )
        if networks is not None:
            found = served(networks[name], demand, radio=radio)
            row |= {"people_covered": found.people, "served_share": found.served_share}
            row["users_served"] = found.users_served / found.users if found.users > 0 else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def comparison_text(table: pd.DataFrame) -> str:
    """The table of `judge` as lines of text."""
    names = {"strategy": "strategy", "sites": "sites", "tiles": "tiles"}
    for kind in ("traffic", "real"):
        names |= {f"jsd_{kind}": f"JSD {kind}", f"cosine_{kind}": f"cos {kind}"}
    shares = {f"covered_{step}": f"t={step} %" for step in STEPS}
    shares |= {"people_covered": "people %", "served_share": "served %", "users_served": "users served %"}
    shown = table.rename(columns=names | shares)
    for label in shares.values():
        if label in shown:
            shown[label] = 100 * shown[label]
    formats = {
        c: "{:.3f}".format if c.startswith(("JSD", "cos")) else "{:.1f}".format
        for c in shown
        if "%" in c or " " in c
    }
    return shown.to_string(index=False, formatters=formats, na_rep="-")
