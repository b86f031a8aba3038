"""Sites and cells: the type, the files it comes from and goes to, and who serves what."""

from planning.network.cells import CELL_COLUMNS, FIGURES, FIRST_COLUMNS, RADIO_COLUMNS
from planning.network.design import SiteDesign
from planning.network.network import SITE_COLUMNS, Network, points_layer

__all__ = [
    "CELL_COLUMNS",
    "FIGURES",
    "FIRST_COLUMNS",
    "RADIO_COLUMNS",
    "SITE_COLUMNS",
    "Network",
    "SiteDesign",
    "points_layer",
]
