"""Sites and cells: the type, the files it comes from and goes to, and who serves what."""

from planning.network.network import CELL_COLUMNS, FIGURES, SITE_COLUMNS, Network

__all__ = ["CELL_COLUMNS", "FIGURES", "SITE_COLUMNS", "Network"]
