"""A made export of an operator's counters, with the faults that such exports have, for benchmarks and tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

HEADINGS = ("统计时间", "小区名称", "下行流量(MB)", "下行PRB利用率(%)", "平均RRC用户数", "能耗(Wh)")
FIRST = np.datetime64("2025-03-03T00:00", "m")  # a Monday
LON, LAT = 115.90, 28.68
SITE_KM = 0.9
LOCAL = "+08:00"
CAPACITY_MBPS, IDLE_W, SLOPE_W = 60.0, 200.0, 1.5  # of every cell; W per Mbit/s


@dataclass(frozen=True)
class Faults:
    """How often each fault was put in, and what the counters were."""

    rows: int
    gaps: int
    doubled: int
    negative: int
    other_zone: int
    volume_mb: np.ndarray  # (cells, steps)


def write_export(
    folder: Path, cells: int = 2000, weeks: int = 4, step_minutes: int = 15, seed: int = 0
) -> tuple[Path, Path, Faults]:
    """Write the counters (CSV) and the network (CSV) of made cells; returns their paths and what is wrong with them.

    Gaps of hours, doubled rows, counters below 0 after a reset, and a tenth of the cells in UTC while others state
    +08:00; headings in Chinese.
    """
    rng = np.random.default_rng(seed)
    steps = weeks * 7 * 1440 // step_minutes
    sites = -(-cells // 3)
    across = int(np.ceil(np.sqrt(sites)))
    site = np.arange(cells) // 3
    lon = LON + (site % across) * SITE_KM / (111.32 * np.cos(np.radians(LAT)))
    lat = LAT + (site // across) * SITE_KM / 111.32
    names = [f"南昌站{s + 1:04d}-{c % 3 + 1}" for c, s in enumerate(site)]
    network = folder / "network.csv"
    lines = [
        f"{n},{a:.6f},{b:.6f},{120 * (c % 3)}"
        for c, (n, a, b) in enumerate(zip(names, lon, lat, strict=True))
    ]
    network.write_text("小区名称,经度,纬度,方位角\n" + "\n".join(lines) + "\n", encoding="utf-8")
    minute = np.arange(steps) * step_minutes
    hour = minute / 60 % 24
    day = 1 + 0.8 * np.sin((hour - 9) / 24 * 2 * np.pi)
    level = np.exp(rng.normal(6.0, 0.7, cells))
    volume = (level[:, None] * day * rng.lognormal(0, 0.1, (cells, steps))).astype(np.float32)
    prb = (100 * volume * 8 / (60 * step_minutes) / CAPACITY_MBPS).clip(0, 100)
    users = volume / 200
    energy = (IDLE_W + SLOPE_W * volume * 8 / (60 * step_minutes)) * step_minutes / 60
    gone = np.zeros((cells, steps), bool)
    for cell in rng.permutation(cells)[: cells // 4]:
        start = int(rng.integers(steps - 200))
        gone[cell, start : start + int(rng.integers(4, 200))] = True
    below = (rng.random((cells, steps)) < 0.0005) & ~gone
    utc = np.zeros(cells, bool)
    utc[rng.permutation(cells)[: cells // 10]] = True
    doubled = (rng.random((cells, steps)) < 0.0005) & ~gone
    local = [f"{str(t).replace('T', ' ')}:00{LOCAL}" for t in FIRST + minute]
    abroad = [f"{str(t).replace('T', ' ')}:00Z" for t in FIRST + minute - 480]
    export = folder / "counters.csv"
    rows = 0
    with export.open("w", encoding="utf-8") as file:
        file.write(",".join(HEADINGS) + "\n")
        for cell in range(cells):
            times = abroad if utc[cell] else local
            parts = []
            for step in np.flatnonzero(~gone[cell]).tolist():
                value = -1.0 if below[cell, step] else volume[cell, step]
                line = (
                    f"{times[step]},{names[cell]},{value:.2f},{prb[cell, step]:.1f},{users[cell, step]:.1f},"
                    f"{energy[cell, step]:.1f}\n"
                )
                parts.append(line)
                if doubled[cell, step]:
                    parts.append(line)
            rows += len(parts)
            file.write("".join(parts))
    faults = Faults(
        rows, int(gone.sum()), int(doubled.sum()), int(below.sum() + (below & doubled).sum()),
        int((~gone[utc]).sum() + doubled[utc].sum()), volume,
    )  # fmt: skip
    return export, network, faults
