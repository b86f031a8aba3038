"""Command line: `python -m benchmarks NAME`. A table on standard output, figures as flat JSON."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import (
    app,
    cluster,
    coverage,
    deployment,
    measured,
    plans,
    prb,
    province,
    robust,
    sampler,
    screenshots,
    sleep,
    sources,
)
from opendiff import __version__
from opendiff.errors import OpenDiffError
from opendiff.storage.atomic import write_json
from planning.errors import InputError, PlanningError

BENCHMARKS = {
    "app": app,
    "cluster": cluster,
    "coverage": coverage,
    "deployment": deployment,
    "measured": measured,
    "plans": plans,
    "prb": prb,
    "province": province,
    "robust": robust,
    "sampler": sampler,
    "screenshots": screenshots,
    "sleep": sleep,
    "sources": sources,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one benchmark; exit status 0, or 2 with one line on standard error for bad input."""
    options = build_parser().parse_args(arguments)
    try:
        if options.json is not None and not options.json.parent.is_dir():
            raise InputError(
                f"The folder {options.json.parent} does not exist; make it or name another --json."
            )
        text, figures = BENCHMARKS[options.benchmark].run(options)
        if options.json is not None:
            write_json(options.json, figures)
    except (OpenDiffError, PlanningError) as error:
        print(f"benchmarks {options.benchmark}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"benchmarks {options.benchmark}: cancelled; nothing was written", file=sys.stderr)
        return 130
    print(text)
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure what the product does."
    )
    parser.add_argument("--version", action="version", version=f"benchmarks {__version__}")
    commands = parser.add_subparsers(dest="benchmark", required=True, metavar="NAME")
    for name, module in BENCHMARKS.items():
        summary = module.SUMMARY
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        module.add_options(command)
        command.add_argument("--quick", action="store_true", help="a small part of it, to see that it runs")
        command.add_argument("--json", type=Path, metavar="FILE", help="write the figures as flat JSON")
    return parser
