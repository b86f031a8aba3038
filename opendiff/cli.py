"""The command line. Bad input ends with exit status 2 and one line on stderr.

Heavy imports wait until a command needs them, so that `--help` is there at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from opendiff.commands import benchmark, bundle, evaluate, fetch, fine, generate, info, train
from opendiff.errors import OpenDiffError


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
    top.set_defaults(kept="nothing was written")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (generate, fetch, fine, train, evaluate, benchmark, bundle, info):
        command.add_command(commands)
    return top


def _box_is_no_option(arguments: Sequence[str]) -> list[str]:
    """argparse takes a box that begins with a minus (west of Greenwich) for an option; a space before it
    helps."""
    return [f" {text}" if text[:1] == "-" and text.count(",") == 3 else text for text in arguments]
