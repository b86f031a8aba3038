"""The command line. Bad input ends with exit status 2 and one line on stderr.

Heavy imports wait until a command needs them, so that `--help` is there at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from opendiff import __version__
from opendiff.commands import benchmark, bundle, evaluate, fetch, fine, generate, info, train
from opendiff.errors import OpenDiffError

NEEDED = {  # packages that an installation may lack, and what to do then
    "torch": "PyTorch is not installed, and models need it; install it with `pip install torch` (the CPU build does), "
    "or plan on a traffic table that is at hand with opendiff-planning, which needs none."
}


def main(arguments: Sequence[str] | None = None, program: str = "opendiff") -> int:
    """Run one command; returns the exit status. program: how the user started it, for its help."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser(program).parse_args(_box_is_no_option(arguments))
    try:
        options.run(options)
        sys.stdout.flush()
    except OpenDiffError as error:
        print(f"opendiff {options.command}: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name not in NEEDED:
            raise
        print(f"opendiff {options.command}: {NEEDED[error.name]}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"opendiff {options.command}: stopped, {options.kept}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever reads the output has seen enough, as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def parser(program: str = "opendiff") -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog=program, description="Hourly mobile traffic of any area from open data."
    )
    top.add_argument("--version", action="version", version=f"opendiff {__version__}")
    top.set_defaults(kept="nothing was written")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (generate, fetch, fine, train, evaluate, benchmark, bundle, info):
        command.add_command(commands)
    return top


def _box_is_no_option(arguments: Sequence[str]) -> list[str]:
    """argparse takes a box that begins with a minus (west of Greenwich) for an option; a space before it
    helps."""
    return [f" {text}" if text[:1] == "-" and text.count(",") == 3 else text for text in arguments]
