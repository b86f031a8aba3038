"""The errors that the app itself raises; those of `opendiff` and `planning` have modules of their own."""


class SavedWorkError(Exception):
    """A saved scenario cannot be read or written; the message is one sentence with the remedy."""
