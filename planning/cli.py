"""The command line. Bad input ends with exit status 2 and one line on stderr."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from intake import __version__
from planning.commands import (
    coverage,
    deploy,
    expand,
    experiment,
    export,
    fit_power,
    prb,
    sleep,
    take_up,
    traffic,
)
from planning.errors import PlanningError


def main(arguments: Sequence[str] | None = None, program: str = "opendiff-planning") -> int:
    """Run one command; returns the exit status. program: how the user started it, for its help."""
    options = parser(program).parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except PlanningError as error:
        print(f"planning {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"planning {options.command}: stopped, nothing was written", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever reads the output has seen enough, as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def parser(program: str = "opendiff-planning") -> argparse.ArgumentParser:
    """All commands with their options; program: the name that --help shows."""
    top = argparse.ArgumentParser(
        prog=program,
        description="From a traffic table to network plans: deployment, sleep, PRBs, exports.",
    )
    top.add_argument("--version", action="version", version=f"opendiff-planning {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (deploy, expand, experiment, take_up, coverage, sleep, fit_power, prb, traffic, export):
        command.add_command(commands)
    return top
