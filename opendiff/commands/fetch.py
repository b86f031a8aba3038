"""`python -m opendiff fetch`: open data of an area into a pack."""

from __future__ import annotations

import argparse
from pathlib import Path

from opendiff.commands.parsers import Commands
from opendiff.live.options import AREA_HELP, add_options, choices_of, print_notes
from opendiff.progress import StageBars

DESCRIPTION = (
    "Fetch imagery, population and POI of an area into a pack, which works without a network from then on. Run it "
    "again to go on after an interruption: only what is missing is fetched. Addresses, credits and the cache folder "
    "are set by environment variables; see opendiff/live/providers.py."
)


def add_command(commands: Commands) -> None:
    parser = commands.add_parser("fetch", help="open data of an area into a pack", description=DESCRIPTION)
    parser.add_argument("area", metavar="AREA", help=AREA_HELP)
    parser.add_argument("--out", required=True, type=Path, metavar="PACK", help="folder of the pack")
    add_options(parser)
    parser.set_defaults(run=run, kept="what is fetched is kept")


def run(options: argparse.Namespace) -> None:
    from opendiff.area import read_tiles
    from opendiff.live.fetching import Fetcher

    choices = choices_of(options)
    tiles = read_tiles(options.area)
    fetcher = Fetcher(options.out, choices, report=StageBars())
    print_notes(fetcher.area(tiles))
    store = fetcher.store
    people, places = (int((~store.missing(name, tiles)).sum()) for name in ("population", "poi"))
    print(
        f"{len(tiles)} tiles, of which {int(store.imaged(tiles).sum())} with imagery, {people} with population, "
        f"{places} with POI: {options.out}"
    )
    print(store.pack().attribution)
