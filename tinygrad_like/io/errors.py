"""The error for what a user handed in: a file, an option, a piece of text."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user gave cannot be used. The message is one line that says what was given and how to mend it.

    The command line and the examples print the message alone; a traceback would say nothing more.
    """
