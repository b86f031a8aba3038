"""The radio model: received levels on pixels, best servers, SINR, rates and coupled cell loads."""

from planning.coverage.coverage import DEFAULT_LOAD, Coverage, Shares
from planning.coverage.levels import Levels
from planning.coverage.loads import NetworkLoads, coupled_loads
from planning.coverage.pixels import PixelGrid
from planning.coverage.rates import RateMapping
from planning.coverage.settings import BandTuning, RadioSettings
from planning.coverage.terrain import Terrain

__all__ = [
    "DEFAULT_LOAD",
    "BandTuning",
    "Coverage",
    "Levels",
    "NetworkLoads",
    "PixelGrid",
    "RadioSettings",
    "RateMapping",
    "Shares",
    "Terrain",
    "coupled_loads",
]
