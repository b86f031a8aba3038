"""The power fit against SciPy's regression."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import linregress

from planning.errors import InputError
from planning.export.power_plot import power_page
from planning.power_fit import fit_power


def test_power_regression_is_that_of_scipy():
    rng = np.random.default_rng(0)
    load = np.linspace(0, 400, 50)
    power = 445 + 0.9 * load + rng.normal(0, 5, 50)
    fit, known = fit_power(pd.DataFrame({"load_mbps": load, "power_w": power})), linregress(load, power)
    assert fit.slope_w_per_mbps == pytest.approx(known.slope) and fit.idle_w == pytest.approx(known.intercept)
    assert fit.r2 == pytest.approx(known.rvalue**2) and abs(fit.residual_w.sum()) < 1e-9
    assert "R2" in fit.sentence and "residual (W)" in power_page(fit)
    with pytest.raises(InputError, match="lack the column"):
        fit_power(pd.DataFrame({"load": [1]}))
    with pytest.raises(InputError, match="at least 3"):
        fit_power(pd.DataFrame({"load_mbps": [1, 1, 1], "power_w": [1, 2, 3]}))
