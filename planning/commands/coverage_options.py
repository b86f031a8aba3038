"""The radio model of `planning coverage` as command-line options, every figure with its unit."""

from __future__ import annotations

import argparse

import numpy as np

from planning.commands.shared import read_csv
from planning.coverage import PixelGrid, RadioSettings, RateMapping, Terrain
from planning.coverage.rates import MAPPINGS
from planning.coverage.settings import AUTO, BAND_CLASSES_MHZ, CARRIER_USE, LOS_MODES
from planning.coverage.tuning import COLUMNS, Tuning, tuned
from planning.coverage.weights import land_cover_weights, people_weights
from planning.errors import InputError
from planning.network import Network
from planning.propagation import BUILDINGS, ENVIRONMENTS


def add(command: argparse.ArgumentParser) -> None:
    """Options that `radio_settings`, `terrain` and `tuning` read."""
    default = RadioSettings()
    group = command.add_argument_group("radio model")
    group.add_argument(
        "--pixel", type=float, default=default.pixel_m, metavar="M",
        help=f"side of a pixel, 20 to 200 m (default: {default.pixel_m:g})",
    )  # fmt: skip
    group.add_argument(
        "--environment", choices=(*ENVIRONMENTS, AUTO), default=default.environment,
        help=f"of TR 38.901; auto: UMi for antennas below 15 m (default: {default.environment})",
    )  # fmt: skip
    group.add_argument(
        "--los", choices=LOS_MODES, default=default.los,
        help=f"line of sight: mean loss, drawn by place, or always or never (default: {default.los})",
    )  # fmt: skip
    group.add_argument("--seed", type=int, default=0, help="of --los drawn (default: 0)")
    group.add_argument(
        "--indoor-share", type=float, default=default.indoor_share, metavar="X",
        help=f"share of users indoors, 0 to 1 (default: {default.indoor_share:g})",
    )  # fmt: skip
    group.add_argument(
        "--building", choices=BUILDINGS, default=default.building,
        help=f"loss of buildings (default: {default.building})",
    )  # fmt: skip
    group.add_argument(
        "--threshold", type=float, nargs="+", metavar="DBM",
        help="lowest RSRP at the user with service: one value, or one for each band class: "
        f"{', '.join(BAND_CLASSES_MHZ)} (default: {' '.join(f'{t:g}' for t in default.thresholds_dbm)})",
    )  # fmt: skip
    group.add_argument(
        "--margin", type=float, default=default.margin_db, metavar="DB",
        help=f"added to thresholds, for shadowing (default: {default.margin_db:g})",
    )  # fmt: skip
    group.add_argument(
        "--rates", choices=MAPPINGS, default=default.rates.kind,
        help=f"SINR to efficiency of 5G: table of TS 38.214 or truncated Shannon (default: {default.rates.kind})",
    )  # fmt: skip
    group.add_argument(
        "--carriers", choices=CARRIER_USE, default=default.carriers,
        help=f"a user takes all carriers or the best (default: {default.carriers})",
    )  # fmt: skip
    group.add_argument(
        "--reach", type=float, metavar="M", help="cells beyond are left out (default: the model's)"
    )
    group = command.add_argument_group("ground and measurements")
    group.add_argument(
        "--terrain", metavar="TIF", help="elevation of the ground in m (GeoTIFF, any reference system)"
    )
    group.add_argument(
        "--clutter", metavar="TIF", help="land-cover classes (GeoTIFF; default losses: ESA WorldCover)"
    )
    group.add_argument(
        "--clutter-loss", nargs="+", type=_class_loss, metavar="CLASS=DB", help="loss of land-cover classes"
    )
    where = group.add_mutually_exclusive_group()
    where.add_argument(
        "--people",
        metavar="TIF",
        help="people by cell (GeoTIFF as WorldPop's): where in its tile traffic stands",
    )
    where.add_argument(
        "--land-cover",
        metavar="TIF",
        help="the same by classes of ESA WorldCover (built-up ground carries most)",
    )
    group.add_argument("--measured", metavar="CSV", help=f"measured levels to tune by: columns {COLUMNS}")


def radio_settings(options: argparse.Namespace) -> RadioSettings:
    """Raises InputError for a figure outside its range."""
    default = RadioSettings()
    thresholds = options.threshold or default.thresholds_dbm
    if len(thresholds) == 1:
        thresholds = list(thresholds) * len(BAND_CLASSES_MHZ)
    return RadioSettings(
        environment=options.environment,
        los=options.los,
        indoor_share=options.indoor_share,
        building=options.building,
        thresholds_dbm=tuple(thresholds),
        margin_db=options.margin,
        rates=RateMapping(options.rates),
        carriers=options.carriers,
        reach_m=options.reach,
        pixel_m=options.pixel,
        seed=options.seed,
    )


def terrain(options: argparse.Namespace) -> Terrain | None:
    """None for flat ground. Raises InputError."""
    if options.clutter_loss and not options.clutter:
        raise InputError("Losses of land-cover classes need the classes; add --clutter.")
    if not (options.terrain or options.clutter):
        return None
    if options.clutter_loss:
        return Terrain(options.terrain, options.clutter, dict(options.clutter_loss))
    return Terrain(options.terrain, options.clutter)


def weights(options: argparse.Namespace, grid: PixelGrid) -> np.ndarray | None:
    """(pixels,) relative traffic, None for even traffic in a tile. Raises InputError."""
    if options.people:
        return people_weights(grid, options.people)
    return land_cover_weights(grid, options.land_cover) if options.land_cover else None


def tuning(
    options: argparse.Namespace, network: Network, settings: RadioSettings, ground: Terrain | None
) -> Tuning | None:
    """By the measured levels, where some are given. Raises InputError."""
    if not options.measured:
        return None
    return tuned(network, read_csv(options.measured, COLUMNS), settings, ground)


def _class_loss(text: str) -> tuple[int, float]:
    number, equals, loss = text.partition("=")
    try:
        return int(number), float(loss if equals else "")
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no class and loss such as 10=8") from None
