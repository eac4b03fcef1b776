"""``tune``: measures other schedules for the kernels of a function, and keeps what is faster.

    >>> print(tune(step, images, labels))
    kernel                    times  by rule  found  ratio  tried  refused  choices
    ...

Winners are kept on disk for this machine (its processor, features and number of threads), and every later process uses
them without measuring. TGL_SEARCH=1 tunes whatever a process compiles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runtime.search import SearchReport, searching
from tinygrad_like.jit import TinyJit

_CALLS = 3  # a training step is one program at its first call, which makes optimizer state, and another afterwards


def tune(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> SearchReport:
    """Searches schedules for every kernel that ``function(*arguments, **keywords)`` runs; prints as a table.

    The function is called until a call compiles nothing new (three times at most), so a training step takes steps. A
    jitted function forgets its programs and is compiled with what is found. Kernels that an earlier search knows are
    not searched again. For a device without choices (REFERENCE, CUDA so far) the report is empty.
    """
    jitted = function if isinstance(function, TinyJit) else None
    if jitted is not None:
        jitted.reset()
    with searching() as report:
        for _ in range(_CALLS):
            known = len(report.found), None if jitted is None else list(map(id, jitted.programs))
            function(*arguments, **keywords)
            if known == (len(report.found), None if jitted is None else list(map(id, jitted.programs))):
                break
    return report


__all__ = ["SearchReport", "tune"]
