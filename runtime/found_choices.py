"""What searches have found on this machine: the choices for kernels, on disk, by the structure of a kernel.

    >>> found = FoundChoices(DiskCache.default("choices"), machine="znver4, 2 threads")
    >>> found.put(kernel, Choices(tile=(6, 4)))
    >>> found.apply(scheduled)             # kernels of that structure have these choices now

A kernel's structure includes its shapes. Entries of a version with other choices are passed over.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from codegen.choices import RULES, Choices
from codegen.kernel import Kernel, ScanLoop, Schedule
from codegen.structure import Structure
from runtime.disk_cache import DiskCache, cache_key

_KEPT = 4096  # kernels; the oldest leave


class FoundChoices:
    """A table of choices for one machine, read from ``cache`` at the first question and written at each find."""

    def __init__(self, cache: DiskCache, machine: str) -> None:
        self._cache, self._key = cache, cache_key("choices", machine)
        self._known: dict[str, Choices] | None = None
        self._stamp = ""

    @property
    def stamp(self) -> str:
        """A digest of the table: what was compiled under another stamp may have other schedules."""
        if not self._table():
            return ""
        return self._stamp

    def knows(self, kernel: Kernel) -> bool:
        """Whether a search for that structure is complete (it may have found the rules to be best)."""
        return kernel_digest(kernel) in self._table()

    def put(self, kernel: Kernel, choices: Choices) -> None:
        """Keeps the outcome of a search."""
        table = self._table()
        table.pop(kernel_digest(kernel), None)
        table[kernel_digest(kernel)] = choices
        while len(table) > _KEPT:
            del table[next(iter(table))]
        payload = json.dumps({digest: _fields(found) for digest, found in table.items()}).encode()
        self._stamp = hashlib.sha256(payload).hexdigest()
        self._cache.put(self._key, payload)

    def apply(self, scheduled: Schedule) -> None:
        """Gives every kernel the choices that were found for it."""
        if not self._table():
            return
        for kernel in kernels_within(scheduled):
            kernel.choices = self._table().get(kernel_digest(kernel), RULES)

    def _table(self) -> dict[str, Choices]:
        if self._known is None:
            payload = self._cache.get(self._key) or b"{}"
            self._known = _read(payload)
            self._stamp = hashlib.sha256(payload).hexdigest()
        return self._known


def kernel_digest(kernel: Kernel) -> str:
    """What two kernels have in common exactly if they differ in their choices at most."""
    chosen, kernel.choices = kernel.choices, RULES
    try:
        return hashlib.sha256(repr(Structure(kernel).key).encode()).hexdigest()
    finally:
        kernel.choices = chosen


def kernels_within(scheduled: Schedule) -> Iterator[Kernel]:
    """Every kernel of a schedule, those of loops once."""
    pending = [*reversed(scheduled.steps)]
    while pending:
        step = pending.pop()
        if isinstance(step, ScanLoop):
            pending.extend(reversed(step.body.steps))
        else:
            yield from step.kernels


def _fields(choices: Choices) -> dict[str, Any]:
    return {name: value for name, value in asdict(choices).items() if value is not None}


def _read(payload: bytes) -> dict[str, Choices]:
    """The table of a payload; what cannot be understood is left out."""
    result = {}
    try:
        for digest, made in json.loads(payload).items():
            if "tile" in made:
                made["tile"] = tuple(made["tile"])
            result[digest] = Choices(**made)
    except (ValueError, TypeError, AttributeError):
        pass
    return result
