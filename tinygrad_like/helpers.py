"""Small functions that tinygrad's scripts import from ``tinygrad.helpers``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, TypeVar

from tinygrad_like.context import Context
from tinygrad_like.data.download import fetch

T = TypeVar("T")
__all__ = ["Context", "Timing", "colored", "fetch", "flatten", "getenv", "prod", "tqdm", "trange"]
_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


def getenv(key: str, default: Any = 0) -> Any:
    """The environment variable ``key`` as the type of ``default``, which is the value where it is not set."""
    return type(default)(os.environ.get(key, default))


def prod(numbers: Iterable[Any]) -> Any:
    """The product; 1 of nothing."""
    result: Any = 1
    for number in numbers:
        result = result * number
    return result


def flatten(nested: Iterable[Iterable[T]]) -> list[T]:
    """The elements of all parts in one list."""
    return [item for part in nested for item in part]


def colored(text: str, color: str | None, background: bool = False) -> str:
    """``text`` in a colour for terminals (bright in capitals); plain where NO_COLOR is set or there is no colour."""
    if color is None or os.environ.get("NO_COLOR"):
        return text
    code = 10 * background + 60 * color.isupper() + 30 + _COLOURS.index(color.lower())
    return f"\x1b[{code}m{text}\x1b[0m"


class Timing:
    """``with Timing("loading: "):`` prints how long the block took, in milliseconds."""

    def __init__(self, prefix: str = "", enabled: bool = True) -> None:
        self.prefix, self.enabled = prefix, enabled
        self.milliseconds = 0.0

    def __enter__(self) -> Timing:
        self._start = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.milliseconds = (time.perf_counter() - self._start) * 1e3
        if self.enabled:
            print(f"{self.prefix}{self.milliseconds:6.2f} ms")


class tqdm(Generic[T]):  # noqa: N801  # everybody's name
    """An iterable with a line of progress on standard error: count, description and speed; silent with ``disable``.

    >>> for step in (t := trange(100)):
    ...     t.set_description(f"loss {loss.item():.2f}")
    """

    def __init__(self, iterable: Iterable[T], desc: str = "", total: int | None = None,
                 disable: bool | None = None) -> None:
        self._iterable, self._description = iterable, desc
        self.total = total if total is not None else len(iterable) if hasattr(iterable, "__len__") else None
        self.disable = not sys.stderr.isatty() if disable is None else disable
        self._start, self._shown, self.n = time.perf_counter(), 0.0, 0

    def __iter__(self) -> Iterator[T]:
        for item in self._iterable:
            yield item
            self.n += 1
            self._show()
        self._show(last=True)

    def set_description(self, desc: str) -> None:
        """The text before the numbers."""
        self._description = desc

    def _show(self, last: bool = False) -> None:
        now = time.perf_counter()
        if self.disable or (now - self._shown < 0.1 and not last):
            return
        self._shown = now
        speed = self.n / max(now - self._start, 1e-9)
        whole = f"/{self.total}" if self.total is not None else ""
        sys.stderr.write(f"\r{self._description} {self.n}{whole} [{speed:.1f} a second]\x1b[K{chr(10) if last else ''}")
        sys.stderr.flush()


def trange(n: int, **options: Any) -> tqdm[int]:
    """``tqdm(range(n))``."""
    return tqdm(range(n), **options)
