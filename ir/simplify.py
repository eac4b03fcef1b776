"""Simplification: the rules of ``ir.rules``, applied to whole graphs until none matches.

    >>> ir.simplify([ir.sub(x, ir.neg(y))])
    [<add float32[4]>]

Every rule is exact (see ``ir.rules.elementwise`` for what that excludes), so that a simplified graph computes bit for
bit what the graph did. Its rules remove ``stop_gradient``: differentiate first, simplify then.
"""

from __future__ import annotations

from collections.abc import Sequence

from ir import ops
from ir.graph import topological_order
from ir.node import Node
from ir.ops.elementwise import ElementwiseOp
from ir.phases import phase
from ir.rewrite import Rewriter, Rule, Trace
from ir.rules import elementwise, views
from ir.rules.views import size

RULES: tuple[Rule, ...] = elementwise.RULES + views.RULES
_SIMPLIFIER = Rewriter(RULES)


@phase("simplify")
def simplify(outputs: Sequence[Node], trace: Trace | None = None) -> list[Node]:
    """The outputs computed by fewer or cheaper operations, bodies of scans and calls included.

    Near-linear in the size of the graph. ``trace`` is called with (rule, node, replacement) for each step.
    """
    return _SIMPLIFIER.run(outputs, trace)


def work(node: Node) -> int:
    """The measure that every rule decreases, for tests: what the expression costs, an element and op at a time.

    It counts the expression as a tree, so that less work for a part is less for the whole; and since it is never
    negative, no sequence of rewrites goes on for ever. (The operands of pow count three times, for x^2 becomes x * x.)
    """
    known: dict[Node, int] = {}
    for part in topological_order([node]):
        below = sum(known[operand] for operand in part.operands)
        elements = size((part.operands[0] if part.op is ops.REDUCE else part).shape)
        own = _cost(part) * (1 + elements) + len(part.operands) + len(getattr(part.attributes, "axes", ()))
        known[part] = own + below * (3 if part.op is ops.pow else 1)
    return known[node]


def _cost(node: Node) -> int:
    op = node.op
    if not node.operands:
        return 0
    if op in (ops.div, ops.sub, ops.floordiv, ops.mod, ops.WINDOW):
        return 5
    if isinstance(op, ElementwiseOp):
        return 2 if op.arity == 1 else 4
    return 3 if op in (ops.REDUCE, ops.GATHER, ops.PAD) else 2
