"""Scenarios out to other tools, and the report."""

from planning.export.formats import FORMATS, export, tables

__all__ = [
    "FORMATS",
    "export",
    "tables",
]
