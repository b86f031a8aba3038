"""The errors of this package: each message is one sentence that names the cause and the remedy."""

from plannerbase.errors import Cancelled as Cancelled
from plannerbase.errors import Told


class OpenDiffError(Told):
    """Base of everything this package raises on bad input; its text may be shown to the user as it stands."""


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
