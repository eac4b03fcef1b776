"""Which sums are contractions: sums of products, told by the axes that each factor's index uses.

With the factors grouped by their axes into two operands, an axis of both operands and the output is a batch axis, an
axis of one operand and the output is m (left) or n (right), and an axis of both that is reduced is k. Matmul, einsum,
convolution, their gradients and every transposed form are recognised alike.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.expression import axes_of, indices_of, walk
from codegen.index import Axis
from codegen.kernel import Apply, Constant, Contraction, Expression, Guard, Guarded, Read
from codegen.schedule.computation import Computation, Kind


def classify(computation: Computation) -> Contraction | None:
    """The contraction that a sum is, or None.

    None also where an axis occurs in a quotient, a remainder or a loaded index of an operand: such an index does not
    step evenly, so its operand cannot be tiled.
    """
    if computation.kind is not Kind.REDUCTION or computation.monoid != "sum":
        return None
    factors = _factors(computation.expression)
    operands = _two_operands(factors, computation) if factors is not None else []
    if len(operands) != 2:
        return None
    (first, first_axes), (second, second_axes) = operands
    outer = frozenset(computation.outer)
    shared = first_axes & second_axes
    if not shared & computation.reduced or computation.reduced - shared:
        return None
    if outer - first_axes - second_axes or not (outer - shared):
        return None
    if not all(_steps_evenly(part) for part in walk(first, second)):
        return None
    innermost = next((axis for axis in reversed(computation.outer) if axis not in shared), None)
    if innermost in first_axes:  # the output's innermost loop belongs to the right operand
        first, first_axes, second, second_axes = second, second_axes, first, first_axes

    def ordered(axes: frozenset[Axis]) -> tuple[Axis, ...]:
        return tuple(axis for axis in computation.axes if axis in axes)

    return Contraction(first, second, ordered(outer & shared), ordered(outer & first_axes - shared),
                       ordered(outer & second_axes - shared), ordered(computation.reduced))


def _factors(expression: Expression) -> list[Expression] | None:
    """The factors of a product; a guard around the product becomes a mask of the factor that covers its axes."""
    if isinstance(expression, Guarded):
        if not (isinstance(expression.fill, Constant) and expression.fill.value == 0):
            return None
        inside = _factors(expression.inside)
        return _masked(inside, expression.guards, expression.fill) if inside is not None else None
    if isinstance(expression, Apply) and expression.code == "neg":
        inside = _factors(expression.operands[0])
        return None if inside is None else [Apply("neg", (inside[0],), expression.dtype), *inside[1:]]
    if not (isinstance(expression, Apply) and expression.code == "mul"):
        return None
    factors: list[Expression] = []
    pending: list[Expression] = [expression]
    while pending:
        part = pending.pop()
        if isinstance(part, Apply) and part.code == "mul":
            pending.extend(reversed(part.operands))
        else:
            factors.append(part)
    return factors


def _masked(factors: Sequence[Expression], guards: Sequence[Guard], fill: Expression) -> list[Expression] | None:
    result = list(factors)
    for guard in guards:
        covering = next((i for i, factor in enumerate(result) if guard.index.axes <= axes_of(factor)), None)
        if covering is None:
            return None
        result[covering] = Guarded((guard,), result[covering], fill)
    return result


def _two_operands(factors: Sequence[Expression],
                  computation: Computation) -> list[tuple[Expression, frozenset[Axis]]]:
    """The factors grouped by the axes they use, a smaller set joining a larger one: two groups for a contraction."""
    axes, dtype = frozenset(computation.axes), computation.node.dtype
    groups: list[tuple[Expression, frozenset[Axis]]] = []
    used = [(factor, axes_of(factor) & axes) for factor in factors]
    for factor, own in sorted(used, key=lambda pair: -len(pair[1])):
        for i, (product, covering) in enumerate(groups):
            if own <= covering:
                groups[i] = Apply("mul", (product, factor), dtype), covering
                break
        else:
            groups.append((factor, own))
    return groups


def _steps_evenly(part: Expression) -> bool:
    return not isinstance(part, Read) or all(index.is_affine for index in indices_of(part))
