"""The type of what every command adds itself to."""

from __future__ import annotations

import argparse
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def assignment(text: str) -> tuple[str, str]:
    """A pair as an option gives it, "traffic=DL_Volume_MB"."""
    ours, equals, theirs = text.partition("=")
    if not (ours and equals and theirs):
        raise argparse.ArgumentTypeError(f"{text!r} is no pair such as traffic=DL_Volume_MB")
    return ours, theirs
