"""From SINR to spectral efficiency: the CQI and MCS tables of TS 38.214, or attenuated and truncated Shannon."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike

from planning.errors import InputError

# (modulation order, code rate x 1024) by index; TS 38.214 V17
CQI_64QAM = (  # table 5.2.2.1-2, CQI 1 to 15
    (2, 78), (2, 120), (2, 193), (2, 308), (2, 449), (2, 602), (4, 378), (4, 490), (4, 616), (6, 466), (6, 567),
    (6, 666), (6, 772), (6, 873), (6, 948),
)  # fmt: skip
CQI_256QAM = (  # table 5.2.2.1-3, CQI 1 to 15
    (2, 78), (2, 193), (2, 449), (4, 378), (4, 490), (4, 616), (6, 466), (6, 567), (6, 666), (6, 772), (6, 873),
    (8, 711), (8, 797), (8, 885), (8, 948),
)  # fmt: skip
MCS_64QAM = (  # table 5.1.3.1-1, MCS 0 to 28
    (2, 120), (2, 157), (2, 193), (2, 251), (2, 308), (2, 379), (2, 449), (2, 526), (2, 602), (2, 679), (4, 340),
    (4, 378), (4, 434), (4, 490), (4, 553), (4, 616), (4, 658), (6, 438), (6, 466), (6, 517), (6, 567), (6, 616),
    (6, 666), (6, 719), (6, 772), (6, 822), (6, 873), (6, 910), (6, 948),
)  # fmt: skip
MCS_256QAM = (  # table 5.1.3.1-2, MCS 0 to 27
    (2, 120), (2, 193), (2, 308), (2, 449), (2, 602), (4, 378), (4, 434), (4, 490), (4, 553), (4, 616), (4, 658),
    (6, 466), (6, 517), (6, 567), (6, 616), (6, 666), (6, 719), (6, 772), (6, 822), (6, 873), (8, 682.5), (8, 711),
    (8, 754), (8, 797), (8, 841), (8, 885), (8, 916.5), (8, 948),
)  # fmt: skip
TABLES = {
    "cqi-256qam": CQI_256QAM,
    "cqi-64qam": CQI_64QAM,
    "mcs-256qam": MCS_256QAM,
    "mcs-64qam": MCS_64QAM,
}
MAPPINGS = (*TABLES, "shannon")
# dB that a decoder needs above Shannon's bound at 10 % block errors. 2.4 dB lies within 0.9 dB of every SINR that the
# Vienna LTE link simulator gives for CQI 1 to 15 (-6.9 dB, -5.1, ... 19.8 dB).
GAP_DB = 2.4


TABLE_STEP_DB, TABLE_LOW_DB, TABLE_LENGTH = 0.02, -20.0, 4001  # to 60 dB


def efficiencies(table: tuple[tuple[int, float], ...]) -> np.ndarray:
    """(indices,) bit/s/Hz of a layer: modulation order x code rate."""
    return np.array([order * rate / 1024 for order, rate in table])


@dataclass(frozen=True)
class RateMapping:
    """Spectral efficiency of a layer by SINR.

    kind: one of MAPPINGS. A table's index is used from the SINR on at which Shannon's bound, less `gap_db`, gives its
    efficiency; below the lowest, transport blocks are repeated, so that the efficiency falls with the SINR. "shannon":
    `attenuation` x log2(1 + SINR), at most `max_efficiency` bit/s/Hz (TR 36.942 annex A.2; its parameters for the
    downlink: 0.6, -10 dB, 4.4). Below `min_sinr_db` nothing is carried.
    """

    kind: str = "cqi-256qam"
    gap_db: float = GAP_DB
    attenuation: float = 0.6
    min_sinr_db: float = -10.0
    max_efficiency: float = 4.4

    def __post_init__(self) -> None:
        if self.kind not in MAPPINGS:
            raise InputError(f"Unknown rate mapping {self.kind!r}; choose one of {', '.join(MAPPINGS)}.")
        if not (
            0 <= self.gap_db <= 20
            and 0 < self.attenuation <= 1
            and self.max_efficiency > 0
            and -20 <= self.min_sinr_db <= 0
        ):
            raise InputError(
                "A rate mapping has a gap of 0 to 20 dB, an attenuation above 0 and at most 1, a highest "
                "efficiency above 0 bit/s/Hz and a lowest SINR of -20 to 0 dB."
            )

    @cached_property
    def thresholds_db(self) -> np.ndarray:
        """(indices,) SINR in dB from which each index of the table is used."""
        gap = 10 ** (self.gap_db / 10)
        return 10 * np.log10(gap * (2 ** efficiencies(TABLES[self.kind]) - 1))

    def layer_efficiency(self, sinr_db: ArrayLike) -> np.ndarray:
        """(...) bit/s/Hz of one layer at a SINR in dB."""
        return self.efficiency(sinr_db, 1)

    def efficiency(self, sinr_db: ArrayLike, layers: int) -> np.ndarray:
        """(...) bit/s/Hz over as many layers as carry most, up to `layers`; `efficiency_of` with the SINR in dB."""
        return self.efficiency_of(10 ** (np.asarray(sinr_db) / 10), layers)

    def efficiency_of(self, sinr: ArrayLike, layers: int) -> np.ndarray:
        """(...) bit/s/Hz over as many layers as carry most, up to `layers`, at a linear SINR.

        Never less at a better SINR.
        The power is shared by the layers in use, so that each has a SINR of SINR / layers; beams are taken as free of
        interference among them. One layer carries most at the edge of a cell, all of them near its antenna.
        """
        sinr = np.asarray(sinr)
        lowest = 10 ** (self.min_sinr_db / 10)
        if self.kind == "shannon":
            best = np.zeros(sinr.shape)
            for used in range(1, int(layers) + 1):
                rate = np.minimum(self.attenuation * np.log2(1 + sinr / used), self.max_efficiency)
                best = np.maximum(best, np.where(sinr < used * lowest, 0.0, used * rate))
            return best
        sinr_from, steps = _steps(self, int(layers))
        best = steps[np.searchsorted(sinr_from, sinr, side="right")]
        first = 10 ** (self.thresholds_db[0] / 10)
        weak = (sinr >= lowest) & (sinr < layers * first)
        if weak.any():  # transport blocks are repeated, on as many layers as do so
            repeated = np.zeros(sinr.shape, bool)
            for used in range(1, int(layers) + 1):
                repeated |= (sinr >= used * lowest) & (sinr < used * first)
            slope = efficiencies(TABLES[self.kind])[0] / first
            best = np.where(repeated, np.maximum(best, slope * sinr), best)
        return best


@lru_cache(maxsize=64)
def _steps(mapping: RateMapping, layers: int) -> tuple[np.ndarray, np.ndarray]:
    """(steps,) linear SINR from which each step of a table is used over up to `layers` layers.

    And (steps + 1,) bit/s/Hz below the first and from each."""
    used = np.arange(1, layers + 1)[:, None]
    lowest = 10 ** (mapping.min_sinr_db / 10)
    sinr_from = (used * np.maximum(10 ** (mapping.thresholds_db / 10), lowest)).ravel()
    order = np.argsort(sinr_from, kind="stable")
    best = np.maximum.accumulate((used * efficiencies(TABLES[mapping.kind])).ravel()[order])
    rising = np.flatnonzero(np.diff(best, prepend=0.0) > 0)
    return sinr_from[order][rising], np.concatenate([[0.0], best[rising]])


def efficiency_table(mapping: RateMapping, layers: int) -> np.ndarray:
    """(TABLE_LENGTH,) float32 `mapping.efficiency` in steps of TABLE_STEP_DB from TABLE_LOW_DB on."""
    sinr_db = TABLE_LOW_DB + TABLE_STEP_DB * np.arange(TABLE_LENGTH)
    return mapping.efficiency(sinr_db, layers).astype(np.float32)


def efficiency_at(
    tables: np.ndarray, sinr: np.ndarray, offset: np.ndarray | int = 0, lowest_db: float = TABLE_LOW_DB
) -> np.ndarray:
    """(...) float32 bit/s/Hz at a linear SINR (float32), rounded down to a step of the table from `offset` on.

    A SINR below `lowest_db` counts as that.
    """
    with np.errstate(divide="ignore"):
        place = np.log(sinr)
    place *= np.float32(10 / np.log(10) / TABLE_STEP_DB)
    place -= np.float32(TABLE_LOW_DB / TABLE_STEP_DB)
    lowest = np.ceil((lowest_db - TABLE_LOW_DB) / TABLE_STEP_DB)
    np.clip(place, lowest, TABLE_LENGTH - 1, out=place)
    return tables[place.astype(np.int32) + offset]
