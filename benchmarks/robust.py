"""`python -m benchmarks robust`: damaged files for every parser, faults of the machine, and many sessions at once."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.fuzz import run_apart
from benchmarks.parsers import PARSERS

SUMMARY = "damaged files, faults of the machine, and many sessions at once"
INPUTS, QUICK_INPUTS = 400, 12  # of each parser
PARTS = ("parsers",)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", choices=PARTS, action="append", help="one part of it; may be given again")
    parser.add_argument("--inputs", type=int, help=f"damaged files for each parser (default: {INPUTS})")
    parser.add_argument("--seed", type=int, default=0, help="of the damage (default: 0)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the inputs that broke a parser")


def run(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    """The table and the figures."""
    lines, figures = [], {}
    for part in options.only or PARTS:
        text, more = RUNS[part](options)
        lines.append(text)
        figures |= more
    return "\n\n".join(lines), figures


def _parsers(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    count = options.inputs or (QUICK_INPUTS if options.quick else INPUTS)
    with tempfile.TemporaryDirectory() as made:
        folder = options.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        before = os.environ.get("OPENDIFF_CACHE")
        os.environ["OPENDIFF_CACHE"] = str(Path(made, "cache"))
        try:
            tried, findings = run_apart(list(PARSERS), count, options.seed, folder)
        finally:
            if before is None:
                del os.environ["OPENDIFF_CACHE"]
            else:
                os.environ["OPENDIFF_CACHE"] = before
    lines = [f"{tried:,} files for {len(PARSERS)} parsers; {len(findings)} broke the contract."]
    lines += [f"  {f.parser}: {f.what} (input {f.digest})\n{f.trace}" for f in findings]
    return "\n".join(lines), {"inputs_tried": tried, "untyped_exceptions": len(findings)}


RUNS = {"parsers": _parsers}
