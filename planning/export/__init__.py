"""Scenarios out to other tools, and the report."""

from planning.export.formats import FORMATS, export, export_bytes, tables

__all__ = [
    "FORMATS",
    "export",
    "export_bytes",
    "tables",
]
