"""`python -m benchmarks robust`: damaged files for every parser, faults of the machine, and many sessions at once."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

SUMMARY = "damaged files, faults of the machine, and many sessions at once"
INPUTS, QUICK_INPUTS = 560, 12  # of each parser
SESSIONS, MINUTES = 20, 10.0
HOSTILE_MINUTES, QUICK_HOSTILE_MINUTES = 5.0, 0.5
QUICK_SESSIONS, QUICK_MINUTES = 3, 0.5


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only", choices=list(PARTS), action="append", help="one part of it; may be given again"
    )
    parser.add_argument("--inputs", type=int, help=f"damaged files for each parser (default: {INPUTS})")
    parser.add_argument("--seed", type=int, default=0, help="of the damage (default: 0)")
    parser.add_argument("--sessions", type=int, help=f"users at once (default: {SESSIONS})")
    parser.add_argument("--minutes", type=float, help=f"of load (default: {MINUTES:g})")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the inputs that broke a parser")


def run(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    """The table and the figures."""
    lines: list[str] = []
    figures: dict[str, float] = {}
    for part in options.only or PARTS:
        text, more = PARTS[part](options)
        lines.append(text)
        figures |= more
    return "\n\n".join(lines), figures


def _parsers(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    from benchmarks.robustness.faults import variables
    from benchmarks.robustness.fuzz import run_apart
    from benchmarks.robustness.parsers import PARSERS

    count = options.inputs or (QUICK_INPUTS if options.quick else INPUTS)
    with tempfile.TemporaryDirectory() as made:
        folder = options.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        with variables({"OPENDIFF_CACHE": str(Path(made, "cache"))}):
            tried, findings = run_apart(list(PARSERS), count, options.seed, folder)
    lines = [f"{tried:,} files for {len(PARSERS)} parsers; {len(findings)} broke the contract."]
    lines += [f"  {f.parser}: {f.what} (input {f.digest})\n{f.trace}" for f in findings]
    return "\n".join(lines), {"inputs_tried": tried, "untyped_exceptions": len(findings)}


def _faults(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    from benchmarks.robustness.breakdowns import all_faults, inject

    every = all_faults(options.quick)
    wrong = {name: what for name, fault in every.items() if (what := inject(fault)) is not None}
    lines = [f"{len(every)} faults of the machine and the providers; {len(wrong)} were not survived."]
    lines += [f"  {name}: {what}" for name, what in wrong.items()]
    return "\n".join(lines), {"faults_injected": len(every), "faults_survived": len(every) - len(wrong)}


def _load(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    from benchmarks.robustness.load import measure

    sessions = options.sessions or (QUICK_SESSIONS if options.quick else SESSIONS)
    minutes = options.minutes or (QUICK_MINUTES if options.quick else MINUTES)
    load = measure(sessions, minutes, options.seed)
    return load.text(), load.figures()


def _uploads(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    from benchmarks.robustness.uploads import measure

    minutes = options.minutes or (QUICK_HOSTILE_MINUTES if options.quick else HOSTILE_MINUTES)
    found = measure(minutes, options.seed)
    return found.text(), found.figures()


def _apart(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    from benchmarks.robustness.apart import measure

    found = measure(options.inputs or (QUICK_INPUTS if options.quick else INPUTS), options.seed)
    return found.text(), found.figures()


PARTS = {"uploads": _uploads, "apart": _apart, "parsers": _parsers, "faults": _faults, "load": _load}
