"""The errors of running a graph: one line each, with what was given, what was expected and how to fix it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class RuntimeFailure(RuntimeError):
    """Something that can only fail when a program runs: the base of every error of this package."""


class DeviceError(RuntimeFailure):
    """A device that does not exist, is not usable here, or does not hold what was asked of it."""


class OutOfMemory(RuntimeFailure, MemoryError):
    """A device cannot provide as many bytes as a buffer or a program needs."""


class BufferUseError(RuntimeFailure):
    """A buffer was used with data of another dtype or shape, or after it was freed."""


def unknown_name(kind: str, given: str, known: Iterable[str]) -> str:
    """The line that says a name does not exist, which ones do, and which was probably meant.

    >>> unknown_name("stage", "lops", ["graph", "loops"])
    "unknown stage 'lops'; did you mean 'loops'? Known: graph, loops"
    """
    names = list(known)
    folded = {name.casefold(): name for name in names}
    nearest = get_close_matches(given.casefold(), list(folded), n=1, cutoff=0.5)
    hint = f"; did you mean {folded[nearest[0]]!r}?" if nearest else "."
    return f"unknown {kind} {given!r}{hint} Known: {', '.join(names)}"
