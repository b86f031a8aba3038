"""The radio and the objective of `planning prb` as command-line options, every figure with its unit."""

from __future__ import annotations

import argparse
from dataclasses import replace

from planning.coverage.rates import TABLES, RateMapping
from planning.prb.problem import FAIRNESS, MODES, PrbSettings
from planning.radio import CONDITIONS, ENVIRONMENTS, PRESETS, STATIONS, Radio

LINKS = ("downlink", "uplink")
SHANNON = "shannon"


def add(command: argparse.ArgumentParser) -> None:
    """Options that `radio` and `settings` read."""
    settings, radio = PrbSettings(), Radio()
    group = command.add_argument_group("users and objective")
    group.add_argument("--users", type=int, default=60, metavar="MAX", help="most users drawn (default: 60)")
    group.add_argument(
        "--seed", type=int, default=0, help="of the users' places and of shadowing (default: 0)"
    )
    group.add_argument("--quantile", type=float, default=0.5, help="of the ensemble, 0-1 (default: 0.5)")
    group.add_argument(
        "--mode", choices=MODES, default="default",
        help="paper: at most one PRB a user; literal: eq. 15 and its objective, nothing else (default: default)",
    )  # fmt: skip
    group.add_argument(
        "--tau", type=float, default=settings.tau_mbps, metavar="MBPS",
        help=f"penalty a PRB (default: {settings.tau_mbps:g})",
    )  # fmt: skip
    group.add_argument(
        "--cap", type=float, default=settings.cap, metavar="X",
        help="rate counts up to X x the demand, 0 for all of it (default: 1)",
    )  # fmt: skip
    group.add_argument(
        "--min-mbps", type=float, metavar="MBPS", help="rate that each user must have (default: its demand)"
    )
    group.add_argument(
        "--fairness", choices=FAIRNESS, default=settings.fairness,
        help=f"proportional counts the logarithm of rates (default: {settings.fairness})",
    )  # fmt: skip
    group = command.add_argument_group("radio")
    group.add_argument(
        "--preset", choices=PRESETS, help="band with a usual channel; single figures below override it"
    )
    group.add_argument(
        "--link", choices=LINKS, help=f"(default: {LINKS[0]}; uplink in the modes of the paper)"
    )
    group.add_argument(
        "--rates", choices=(*TABLES, SHANNON), default=next(iter(TABLES)),
        help=f"bit/s/Hz by SINR: a table of TS 38.214, or {SHANNON}: log2(1 + SINR) (default: {next(iter(TABLES))})",
    )  # fmt: skip
    group.add_argument(
        "--stations", choices=STATIONS,
        help="cells: of one carrier, with antennas, powers and rates of the radio model (default); sites: each one "
        "omnidirectional station by the figures below (default where any of them or a mode of the paper is given)",
    )  # fmt: skip
    group.add_argument(
        "--cell-carrier", default="", metavar="BAND", help="of the cells, as n41 (default: the widest)"
    )
    group.add_argument(
        "--environment", choices=ENVIRONMENTS, default=radio.environment, help="(default: UMa)"
    )
    group.add_argument(
        "--condition", choices=CONDITIONS, default=radio.condition,
        help=f"of propagation; drawn: link by link (default: {radio.condition})",
    )  # fmt: skip
    group.add_argument("--shadowing", action="store_true", help="draw lognormal shadowing too")
    for name, unit, what in _FIGURES:
        value = getattr(radio, name)
        group.add_argument(
            f"--{name.replace('_', '-')}", type=int if name == "scs_khz" else float, metavar=unit,
            help=f"{what} (default: {value:g})",
        )  # fmt: skip
    for name, unit, what in _ASSUMED:
        group.add_argument(f"--{name.replace('_', '-')}", type=float, metavar=unit, help=what)


_FIGURES = (
    ("carrier_ghz", "GHZ", "carrier"),
    ("bandwidth_mhz", "MHZ", "channel"),
    ("scs_khz", "KHZ", "subcarrier spacing"),
    ("user_dbm", "DBM", "a user's power"),
    ("station_dbm", "DBM", "a station's power, over all PRBs"),
    ("station_gain_dbi", "DBI", "a station's antenna gain"),
    ("user_gain_dbi", "DBI", "a user's antenna gain"),
    ("user_height_m", "M", "a user's antenna height"),
)
_ASSUMED = (
    ("noise_figure_db", "DB", "of the receiver (assumed: 5 at a station, 9 at a user)"),
    ("station_height_m", "M", "a station's antenna height (default: 25 for UMa, 10 for UMi)"),
    ("traffic_share", "SHARE", "of the traffic on this link, 0-1 (assumed: 0.1 uplink, 0.9 downlink)"),
)


def radio(options: argparse.Namespace) -> Radio:
    """The radio that the options describe."""
    given = {name: getattr(options, name) for name, _, _ in (*_FIGURES, *_ASSUMED)}
    given = {name: value for name, value in given.items() if value is not None}
    names = ("environment", "condition", "shadowing", "seed")
    base = PRESETS[options.preset] if options.preset else Radio()
    link = options.link or (LINKS[0] if options.mode == "default" else "uplink")
    own = {name for name, _, _ in _FIGURES} | {"station_height_m", "noise_figure_db"}
    by_sites = (
        bool(own & set(given)) or bool(options.preset) or options.mode != "default" or options.shadowing
    )
    stations = options.stations or ("sites" if by_sites or options.rates != next(iter(TABLES)) else "cells")
    return replace(
        base, link=link, stations=stations, cell_carrier=options.cell_carrier, **given,
        **{name: getattr(options, name) for name in names},
    )  # fmt: skip


def mapping(options: argparse.Namespace) -> RateMapping | None:
    """From SINR to rates; None for Shannon's bound, which the literal mode takes always."""
    return None if options.rates == SHANNON or options.mode == "literal" else RateMapping(options.rates)


def settings(options: argparse.Namespace) -> PrbSettings:
    """How to allocate, from the options and those of the solver."""
    out = PrbSettings(
        mode=options.mode,
        tau_mbps=options.tau,
        cap=options.cap or None,
        min_mbps=options.min_mbps,
        fairness=options.fairness,
        time_limit=options.time_limit,
        gap=options.gap,
        solver=options.solver,
        seed=options.seed,
    )
    out.validate()
    return out
