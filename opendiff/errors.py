"""The errors of this package: each message is one sentence that names the cause and the remedy."""

from plannerbase.text import one_line


class OpenDiffError(Exception):
    """Base of everything this package raises on bad input; its text may be shown to the user as it stands."""

    def __str__(self) -> str:
        return one_line(super().__str__())


class AreaError(OpenDiffError):
    """The drawn or uploaded area cannot be used."""


class SourceError(OpenDiffError):
    """Open data is missing, incomplete or corrupt."""


class OutsideSource(SourceError):
    """The source has none of the tiles that it is asked for."""


class TableError(OpenDiffError):
    """A traffic table cannot be read or written."""


class ModelError(OpenDiffError):
    """Weights are missing, damaged or do not fit what is asked of them."""


class StorageError(OpenDiffError, OSError):
    """A file cannot be written: the disk is full, or the place is read-only."""


class ClusterError(OpenDiffError):
    """The processes or machines that were to share the work cannot."""


class Cancelled(Exception):
    """The caller asked to stop; no fault, so not an OpenDiffError."""
