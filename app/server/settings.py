"""Whole numbers that the keeper of a server sets by environment variables."""

import os


def whole_number(name: str, default: int) -> int:
    """The number of a variable, or the default where it is not set. Raises InputError for what is no number."""
    text = os.environ.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        from planning.errors import InputError

        raise InputError(f"{name} is {text!r}; set it to a whole number of at least 1, or leave it out.")
    return int(text)
