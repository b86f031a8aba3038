"""Names that a package offers without importing their modules first (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package whose names are imported when they are first asked for.

    Parameters
    ----------
    package : str
        Its `__name__`.
    modules : mapping of str to str
        The module of each name.

    Returns
    -------
    tuple of two functions
        `__getattr__`, which raises AttributeError for any other name, and `__dir__`.

    References
    ----------
    PEP 562, Module `__getattr__` and `__dir__`.
    """

    def lookup(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(modules[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules})

    return lookup, names
