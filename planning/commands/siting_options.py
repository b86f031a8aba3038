"""Command-line options of the optimised strategy."""

from __future__ import annotations

import argparse
from pathlib import Path

from planning.commands.shared import print_report
from planning.coverage import RadioSettings
from planning.deployment.candidates import OBJECTIVES
from planning.deployment.places import Places, read_places
from planning.deployment.siting import HOURS, ROBUST, SitingSettings
from planning.deployment.sizing import PIXEL_M
from planning.errors import InputError
from planning.network import SiteDesign
from planning.network.files import Choice
from planning.propagation import ENVIRONMENTS

PLACE_FILES = ("candidates", "existing", "force", "forbid", "real")  # options that name files of places


def add_siting_options(command: argparse.ArgumentParser) -> None:
    """The group of options that only --strategy optimised looks at."""
    preset = SitingSettings()
    group = command.add_argument_group("optimised strategy (files of places: any format that `import` reads)")
    group.add_argument("--budget", type=float, metavar="MONEY", help="instead of --sites, or beside it")
    group.add_argument(
        "--site-cost", type=float, default=preset.site_cost, metavar="MONEY",
        help="of a site whose file names no cost (default: 1)",
    )  # fmt: skip
    group.add_argument(
        "--objective", choices=OBJECTIVES, default=preset.objective, help="what is covered (default: traffic)"
    )
    group.add_argument(
        "--radius-m", type=float, metavar="M", help="cover what lies so near (default: by received level)"
    )
    group.add_argument(
        "--level-dbm", type=float, metavar="DBM",
        help="cover places with this RSRP outdoors (default: threshold and margin of the band, indoors)",
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
        "--layer", action="append", default=[], metavar="[FILE=]NAME",
        help="sheet or layer of these files, or of one of them, as candidates=Sites (default: all with places)",
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


def add_site_options(command: argparse.ArgumentParser) -> None:
    """How sites are built and what the radio model assumes, for every strategy."""
    group = command.add_argument_group("sites and radio model")
    group.add_argument("--height-m", type=float, metavar="M", help="of new antennas (assumed: 25)")
    group.add_argument("--tilt-deg", type=float, metavar="DEG", help="downtilt of new antennas (assumed: 6)")
    group.add_argument(
        "--coverage-band",
        default="",
        metavar="BAND",
        help="of the coverage cells, as B3 or n28 (default: B3)",
    )
    group.add_argument(
        "--capacity-bands", default="", metavar="BANDS", help="of the capacity layers, as n41,n78 (default)"
    )
    add_radio_options(group)


def add_radio_options(group: argparse._ArgumentGroup) -> None:
    """What `radio_settings` reads."""
    group.add_argument(
        "--environment", choices=ENVIRONMENTS, default=RadioSettings().environment, help="(default: UMa)"
    )
    group.add_argument(
        "--pixel-m",
        type=float,
        default=PIXEL_M,
        metavar="M",
        help=f"of the radio model (default: {PIXEL_M:g})",
    )


def design_of(options: argparse.Namespace) -> SiteDesign:
    """The design that the options ask for. Raises InputError for a band that there is not."""
    bands = tuple(b.strip() for b in options.capacity_bands.split(",") if b.strip())
    design = SiteDesign(options.height_m, options.tilt_deg, options.coverage_band, bands)
    design.validate()
    return design


def radio_settings(options: argparse.Namespace) -> RadioSettings:
    """The radio model that the options ask for. Raises InputError."""
    return RadioSettings(environment=options.environment, pixel_m=options.pixel_m)


def layer_of(options: argparse.Namespace, role: str) -> str:
    """Sheet or layer that --layer names for the file of one of PLACE_FILES, "" for all. Raises InputError."""
    found: dict[str, str] = {}
    given = [option for option in PLACE_FILES if getattr(options, option, None)]
    for text in options.layer:
        option, equals, name = text.partition("=")
        if not equals or option not in PLACE_FILES:
            option, name = "", text
        if option in found:
            raise InputError("--layer is given twice for a file; name the file of each, as candidates=Sites.")
        if option not in ("", *given):
            raise InputError(f"--layer {text} needs a file of places by --{option}.")
        found[option] = name
    if found and not given:
        raise InputError("--layer needs a file of places, such as --candidates.")
    return found.get(role, found.get("", ""))


def siting_settings(options: argparse.Namespace) -> SitingSettings:
    """The settings that the options ask for, their files read. Raises InputError."""

    def places(role: str, areas: bool = False) -> Places | None:
        file = getattr(options, role)
        if file is None:
            return None
        choice = Choice(crs=options.crs, layer=layer_of(options, role))
        found = read_places(file, areas=areas, choice=choice)
        print_report(found.report, f"{Path(file).name}: ")
        return found

    return SitingSettings(
        objective=options.objective,
        radius_m=options.radius_m,
        level_dbm=options.level_dbm,
        radio=radio_settings(options),
        design=design_of(options),
        site_capacity_mbps=options.site_capacity,
        budget=options.budget,
        site_cost=options.site_cost,
        min_distance_m=options.min_distance_m,
        candidates=places("candidates"),
        spacing_m=options.spacing_m,
        existing=places("existing"),
        move_existing=options.move_existing,
        forced=places("force"),
        forbidden=places("forbid", areas=True),
        forbidden_m=options.forbid_m,
        robust=options.robust,
        hours=options.hours,
        solver=options.solver,
        time_limit=options.time_limit,
        gap=options.gap,
    )
