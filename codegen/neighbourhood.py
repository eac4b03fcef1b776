"""Which choices a search tries for a kernel: one kind of decision after the other, each from the best so far.

    >>> for round in rounds(kernel, target):
    ...     for choices in round(best): ...

A few dozen candidates for a kernel: tiles first, because packing and tasks depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from codegen.choices import Choices
from codegen.kernel import Kernel
from codegen.target import Target

Round = Callable[[Choices], list[Choices]]

_TILES = {32: ((8, 3), (12, 2), (6, 4), (14, 1), (10, 2), (8, 2), (6, 3), (4, 4), (4, 3), (24, 1)),
          16: ((6, 2), (4, 3), (8, 1), (5, 2), (4, 2), (12, 1), (3, 3))}  # by the number of registers: rows, vectors
_TASK_FLOPS = (1 << 18, 1 << 19, 1 << 21, 1 << 22)
_MOST_TASKS = (16, 32, 128, 256)
_TASK_ELEMENTS = (1 << 12, 1 << 13, 1 << 15, 1 << 16, 1 << 18)
_VECTORS = (1, 2, 3, 6, 8)


def rounds(kernel: Kernel, target: Target) -> Sequence[Round]:
    """The rounds of a search for ``kernel``; none where its strategy leaves nothing to choose (yet)."""
    if target.kind != "cpu":
        return ()
    if kernel.strategy == "contraction":
        tiles = _TILES[32 if target.vector_registers >= 32 else 16]
        return (lambda best: _variants(best, "tile", tiles),
                lambda best: _variants(best, "pack_lanes", (True, False)),
                lambda best: _variants(best, "pack_rows", (True, False)),
                lambda best: _variants(best, "task_work", _TASK_FLOPS),
                lambda best: _variants(best, "most_tasks", _MOST_TASKS))
    if kernel.strategy in ("elementwise", "row reduction", "column reduction"):
        return (lambda best: _variants(best, "vectors", _VECTORS),
                lambda best: _variants(best, "task_work", _TASK_ELEMENTS))
    return ()


def _variants(best: Choices, name: str, values: Iterable[object]) -> list[Choices]:
    return [replace(best, **{name: value}) for value in values]  # type: ignore[arg-type]
