"""The fit of a radio unit's power as a page that opens without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from planning.power_fit import PowerFit

if TYPE_CHECKING:
    import plotly.graph_objects as go


def power_page(fit: PowerFit) -> str:
    """HTML with the figure, readable offline."""
    return power_figure(fit).to_html(include_plotlyjs=True)


def power_figure(fit: PowerFit) -> go.Figure:
    """A Plotly figure: the measurements and their line, and the residuals below, both over load."""
    from plotly.subplots import make_subplots  # half a second that only this page needs

    line = np.array([fit.load_mbps.min(), fit.load_mbps.max()])
    expected = fit.idle_w + fit.slope_w_per_mbps * fit.load_mbps
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.65, 0.35])
    figure.add_scatter(
        x=fit.load_mbps, y=expected + fit.residual_w, mode="markers", name="measured", row=1, col=1
    )
    figure.add_scatter(
        x=line, y=fit.idle_w + fit.slope_w_per_mbps * line, mode="lines", name="fit", row=1, col=1
    )
    figure.add_scatter(x=fit.load_mbps, y=fit.residual_w, mode="markers", name="residual", row=2, col=1)
    figure.add_hline(y=0, line_dash="dot", row=2, col=1)
    figure.update_xaxes(title_text="load (Mbit/s)", row=2, col=1)
    figure.update_yaxes(title_text="power (W)", row=1, col=1)
    figure.update_yaxes(title_text="residual (W)", row=2, col=1)
    figure.update_layout(title=fit.sentence, template="plotly_white")
    return figure
