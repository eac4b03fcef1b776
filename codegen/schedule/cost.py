"""What things cost: operations of expressions, bytes of accesses, and the limits that merging respects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from codegen.expression import walk
from codegen.kernel import Apply, Expression
from codegen.schedule.axes import extents
from ir.node import Node

if TYPE_CHECKING:
    from codegen.target import Target

OPERATION_COST = {
    "div": 4, "reciprocal": 4, "sqrt": 4, "rsqrt": 4, "floordiv": 8, "mod": 8, "truncdiv": 8, "pow": 20, "exp": 8,
    "exp2": 8, "log": 10, "log2": 10, "sin": 12, "cos": 12, "tanh": 12, "erf": 12, "random_bits": 38,
}


@dataclass(frozen=True)
class Limits:
    """What a kernel may need. Fixed by the target, never by the number of threads: results must not depend on it.

    parallel: iterations of shared outer loops that a fused kernel must keep; tiny: a kernel of so few points is not
    worth spreading. scratch: bytes of values held per outer iteration. cache: bytes that an operand read again in each
    outer iteration may have. rows: of a contraction that scratch must hold as one tile; 0 where no kernel does so.
    inlined, kernel: elementwise operations in one expression, in one kernel.
    """

    parallel: int = 8
    tiny: int = 4096
    scratch: int = 256 << 10
    cache: int = 1 << 20
    rows: int = 8
    inlined: int = 256
    kernel: int = 2000

    @staticmethod
    def of(target: Target) -> Limits:
        if target.kind == "cuda":
            return Limits(parallel=64, tiny=1 << 16, scratch=target.l1_bytes, cache=target.l1_bytes, rows=0)
        return Limits(scratch=max(target.l2_bytes // 2, 256 << 10), cache=max(target.l2_bytes, 1 << 20))


def bytes_of(node: Node) -> int:
    """The size of a value in memory."""
    total = node.dtype.itemsize
    for extent in extents(node):
        total *= extent
    return total


def expression_cost(*expressions: Expression) -> int:
    """Roughly how many additions evaluating the expressions once costs; shared parts count once."""
    return sum(OPERATION_COST.get(part.code, 1) for part in walk(*expressions) if isinstance(part, Apply))
