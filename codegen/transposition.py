"""Square blocks transposed in registers: n vectors of n lanes, by log2(n) rounds of n shuffles."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.loop_builder import LoopBuilder
from codegen.loops import Atom


def transposed(builder: LoopBuilder, rows: Sequence[Atom]) -> list[Atom]:
    """The columns of the block whose rows are given. The number of rows is that of their lanes, a power of two.

    Round d exchanges bit d of the number of the row with that of the lane:

        a0 a1 a2 a3          a0 b0 a2 b2          a0 b0 c0 d0
        b0 b1 b2 b3    d=1   a1 b1 a3 b3    d=2   a1 b1 c1 d1
        c0 c1 c2 c3   ---->  c0 d0 c2 d2   ---->  a2 b2 c2 d2
        d0 d1 d2 d3          c1 d1 c3 d3          a3 b3 c3 d3
    """
    size, result = len(rows), list(rows)
    distance = 1
    while distance < size:
        kept = [lane & distance == 0 for lane in range(size)]
        low = [lane if kept[lane] else size + lane - distance for lane in range(size)]
        high = [lane + distance if kept[lane] else size + lane for lane in range(size)]
        for number in range(size):
            if number & distance == 0:
                first, second = result[number], result[number + distance]
                result[number] = builder.shuffle(first, second, low)
                result[number + distance] = builder.shuffle(first, second, high)
        distance *= 2
    return result
