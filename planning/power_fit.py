"""Idle power and slope of a radio unit by linear regression over measurements (eq. 13)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from planning.errors import InputError

IDLE_W = (5.0, 3000.0)  # of radio units, from small cells to 64 chains at high power (assumed limits)
SLOPE_W_PER_MBPS = (0.0, 20.0)


@dataclass(frozen=True)
class PowerFit:
    """RRU power = idle_w + slope_w_per_mbps * load, fitted to measurements (eq. 13)."""

    slope_w_per_mbps: float
    idle_w: float
    r2: float  # share of the variance explained
    load_mbps: np.ndarray  # (rows,) of the measurements used
    residual_w: np.ndarray  # (rows,) measured less fitted

    @property
    def doubts(self) -> tuple[str, ...]:
        """Sentences on a fit that no radio unit has, with the likely cause."""
        out = []
        low, high = IDLE_W
        if not low <= self.idle_w <= high:
            out.append(
                f"{self.idle_w:,.1f} W idle is no radio unit's (they draw some {low:g} to {high:,g} W); are the "
                "powers in kW "
                "(--power-unit kw), or of a whole site?"
            )
        least, most = SLOPE_W_PER_MBPS
        if not least <= self.slope_w_per_mbps <= most:
            out.append(
                f"{self.slope_w_per_mbps:.4g} W per Mbit/s is no radio unit's (they take some {least:g} to "
                f"{most:g}); is the "
                "load a share or percent of full load (--load-unit share or percent)?"
            )
        return tuple(out)

    @property
    def sentence(self) -> str:
        """The fit in words."""
        return (
            f"{self.idle_w:,.1f} W idle and {self.slope_w_per_mbps:.4g} W per Mbit/s from {len(self.load_mbps)} "
            f"measurements, R2 {self.r2:.3f}, residuals {self.residual_w.std():.2g} W (standard deviation)."
        )


def fit_power(measured: pd.DataFrame) -> PowerFit:
    """Linear regression of an RRU's power from columns load_mbps, power_w; rows without numbers are left out.

    Raises InputError where a column is missing or the loads do not differ.
    """
    missing = [c for c in ("load_mbps", "power_w") if c not in measured]
    if missing:
        raise InputError(
            f"The measurements lack the column{'s' * (len(missing) > 1)} {', '.join(missing)}; give a table with "
            "load_mbps and power_w."
        )
    load = pd.to_numeric(measured["load_mbps"], errors="coerce").to_numpy(float)
    power = pd.to_numeric(measured["power_w"], errors="coerce").to_numpy(float)
    good = np.isfinite(load) & np.isfinite(power)
    load, power = load[good], power[good]
    if len(load) < 3 or np.ptp(load) == 0:
        raise InputError("A regression needs at least 3 measurements at different loads.")
    slope, intercept = np.polyfit(load, power, 1)
    residual = power - (slope * load + intercept)
    spread = ((power - power.mean()) ** 2).sum()
    r2 = 1 - (residual**2).sum() / spread if spread > 0 else 1.0
    return PowerFit(float(slope), float(intercept), float(r2), load, residual)
