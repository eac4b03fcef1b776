"""Settings that hold for a stretch of code, and the counters of what running has cost.

    >>> with Context(TRAINING=1):       # dropout drops, batch normalisation uses the batch's statistics
    ...     loss = model(x).mean()
"""

from __future__ import annotations

from contextlib import ContextDecorator
from contextvars import ContextVar
from types import TracebackType

from runtime.counters import Counters, counters

GlobalCounters: Counters = counters

_settings: dict[str, ContextVar[int]] = {
    "TRAINING": ContextVar("TRAINING", default=0),
    "DEBUG": ContextVar("DEBUG", default=0),
}


def setting(name: str) -> int:
    """The value of a setting here and now."""
    return _settings[name].get()


def set_setting(name: str, value: int) -> None:
    """Changes a setting until the enclosing ``Context`` ends."""
    _settings[name].set(int(value))


class Context(ContextDecorator):
    """``with Context(NAME=value):`` gives settings a value inside the block; they nest. Also a function's decorator.

    TRAINING: whether layers behave as in training. DEBUG: how much is printed about what runs.
    Raises ValueError for a name that is no setting.
    """

    def __init__(self, **settings: int) -> None:
        unknown = sorted(set(settings) - set(_settings))
        if unknown:
            raise ValueError(f"unknown setting {unknown[0]!r}; there are {', '.join(_settings)}")
        self._wanted = settings
        self._before: list[dict[str, int]] = []

    def __enter__(self) -> Context:
        self._before.append({name: setting(name) for name in self._wanted})
        for name, value in self._wanted.items():
            set_setting(name, value)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        for name, value in self._before.pop().items():
            set_setting(name, value)
