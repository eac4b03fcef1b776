"""What a strategy decides for a kernel where several decisions are right.

Strategies decide by rules about shapes and caches. A search (``runtime.search``) may find better by measuring; what it
finds is data on the kernel, which the strategies read.

    >>> Choices(tile=(6, 4), pack_lanes=True)
    Choices(tile=(6, 4), pack_lanes=True)
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, repr=False)
class Choices:
    """The decisions about one kernel; None where the strategy's own rule decides.

    tile: rows and vectors of a contraction's register tile. pack_lanes, pack_rows: whether a contraction packs the
    operand that it reads in vectors, and the one that it broadcasts. most_tasks: how many tasks a contraction is cut
    into at most. task_work: operations of a contraction, or elements of a sweep, that are worth a task. vectors: how
    many a sweep has side by side; for a reduction along the lanes its independent accumulators (the one choice that
    changes the order of additions).
    """

    tile: tuple[int, int] | None = None
    pack_lanes: bool | None = None
    pack_rows: bool | None = None
    most_tasks: int | None = None
    task_work: int | None = None
    vectors: int | None = None

    def __repr__(self) -> str:
        made = [f"{item.name}={value!r}" for item in fields(self) if (value := getattr(self, item.name)) is not None]
        return f"Choices({', '.join(made)})"


RULES = Choices()  # everything as the strategies' rules have it
