"""The command line. Bad input ends with exit status 2 and one line on stderr."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from planning.commands import deploy, export, fit_power, prb, sleep, take_up
from planning.errors import PlanningError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except PlanningError as error:
        print(f"planning {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"planning {options.command}: stopped, nothing was written", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m planning",
        description="From a traffic table to network plans: deployment, sleep, PRBs, exports.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (deploy, take_up, sleep, fit_power, prb, export):
        command.add_command(commands)
    return top
