"""The command line. Bad input ends with exit status 2 and one line on stderr."""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence

from plannerbase import __version__
from planning.errors import PlanningError

# command -> its module in `planning.commands`; only that of the command that is given is loaded, as each takes a while
COMMANDS = {
    "deploy": "deploy",
    "expand": "expand",
    "experiment": "experiment",
    "import": "take_up",
    "coverage": "coverage",
    "sleep": "sleep",
    "fit-power": "fit_power",
    "prb": "prb",
    "traffic": "traffic",
    "export": "export",
}
OBJECTS_AT_ONCE = 50_000  # new containers between two searches for garbage; Python's default is 700


def main(arguments: Sequence[str] | None = None, program: str = "opendiff-planning") -> int:
    """Run one command; returns the exit status. program: how the user started it, for its help."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    asked = [name for name in given[:1] if name in COMMANDS]
    try:
        with _rare_collection():
            options = parser(program, asked or COMMANDS).parse_args(given)
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


@contextlib.contextmanager
def _rare_collection() -> Iterator[None]:
    """Search for garbage in cycles more rarely: plans of large networks hold millions of lists and tuples, and going
    through them took an eighth of a command's processor time."""
    before = gc.get_threshold()
    gc.set_threshold(OBJECTS_AT_ONCE, 50, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def parser(
    program: str = "opendiff-planning", names: Iterable[str] = tuple(COMMANDS)
) -> argparse.ArgumentParser:
    """Commands of COMMANDS with their options; program: the name that --help shows."""
    top = argparse.ArgumentParser(
        prog=program,
        description="From a traffic table to network plans: deployment, sleep, PRBs, exports.",
    )
    top.add_argument("--version", action="version", version=f"opendiff-planning {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in names:
        importlib.import_module(f"planning.commands.{COMMANDS[name]}").add_command(commands)
    return top
