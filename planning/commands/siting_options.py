"""Command-line options of the optimised strategy."""

from __future__ import annotations

import argparse
from pathlib import Path

from planning.commands.shared import print_report
from planning.deployment.places import Places, read_places
from planning.deployment.siting import HOURS, ROBUST, SitingSettings
from planning.network.files import Choice
from planning.radio import ENVIRONMENTS, Radio


def add_siting_options(command: argparse.ArgumentParser) -> None:
    """The group of options that only --strategy optimised looks at."""
    preset = SitingSettings()
    group = command.add_argument_group("optimised strategy (files of places: any format that `import` reads)")
    group.add_argument("--budget", type=float, metavar="MONEY", help="instead of --sites, or beside it")
    group.add_argument(
        "--site-cost", type=float, default=preset.site_cost, metavar="MONEY",
        help="of a site whose file names no cost (default: 1)",
    )  # fmt: skip
    group.add_argument("--radius-m", type=float, metavar="M", help="coverage radius (default: by path loss)")
    group.add_argument(
        "--edge-mbps", type=float, default=preset.edge_mbps, metavar="MBPS",
        help=f"uplink rate at the edge that sets the radius (default: {preset.edge_mbps:g})",
    )  # fmt: skip
    group.add_argument(
        "--environment", choices=ENVIRONMENTS, default=preset.radio.environment, help="(default: UMa)"
    )
    group.add_argument(
        "--carrier-ghz", type=float, default=preset.radio.carrier_ghz, metavar="GHZ",
        help=f"(default: {preset.radio.carrier_ghz:g})",
    )  # fmt: skip
    group.add_argument(
        "--site-capacity", type=float, metavar="MBPS", help="Mbit/s a site (default: its largest size)"
    )
    group.add_argument(
        "--min-distance-m", type=float, default=0.0, metavar="M", help="between two sites (default: none)"
    )
    group.add_argument("--candidates", metavar="FILE", help="where sites may stand (default: a grid)")
    group.add_argument("--spacing-m", type=float, metavar="M", help="of the grid of candidates")
    group.add_argument("--existing", metavar="FILE", help="sites that are built; they stay, at no cost")
    group.add_argument("--move-existing", action="store_true", help="existing sites may be given up")
    group.add_argument("--force", metavar="FILE", help="places where a site must stand")
    group.add_argument("--forbid", metavar="FILE", help="places or areas where none may stand")
    group.add_argument(
        "--crs", default="", metavar="CODE",
        help="of positions in these files that do not state theirs, such as EPSG:27700 or GCJ-02 (default: WGS-84)",
    )  # fmt: skip
    group.add_argument(
        "--forbid-m", type=float, default=preset.forbidden_m, metavar="M",
        help=f"around a forbidden place (default: {preset.forbidden_m:g})",
    )  # fmt: skip
    group.add_argument(
        "--robust", choices=ROBUST, default=preset.robust,
        help="best for the --quantile of the samples, or by what is served over them (default: quantile)",
    )  # fmt: skip
    group.add_argument("--hours", choices=HOURS, default=preset.hours, help="that are served (default: busy)")


def siting_settings(options: argparse.Namespace) -> SitingSettings:
    """The settings that the options ask for, their files read. Raises InputError."""

    def places(file: str | None, areas: bool = False) -> Places | None:
        if file is None:
            return None
        found = read_places(file, areas=areas, choice=Choice(crs=options.crs))
        print_report(found.report, f"{Path(file).name}: ")
        return found

    return SitingSettings(
        radius_m=options.radius_m,
        radio=Radio(environment=options.environment, carrier_ghz=options.carrier_ghz),
        edge_mbps=options.edge_mbps,
        site_capacity_mbps=options.site_capacity,
        budget=options.budget,
        site_cost=options.site_cost,
        min_distance_m=options.min_distance_m,
        candidates=places(options.candidates),
        spacing_m=options.spacing_m,
        existing=places(options.existing),
        move_existing=options.move_existing,
        forced=places(options.force),
        forbidden=places(options.forbid, areas=True),
        forbidden_m=options.forbid_m,
        robust=options.robust,
        hours=options.hours,
        solver=options.solver,
        time_limit=options.time_limit,
        gap=options.gap,
    )
