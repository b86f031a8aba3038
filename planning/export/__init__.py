"""Scenarios out to other tools, and the report."""

from planning.export.formats import FORMATS, WITHOUT_PROVENANCE, export, provenance_path, tables

__all__ = [
    "FORMATS",
    "WITHOUT_PROVENANCE",
    "export",
    "provenance_path",
    "tables",
]
