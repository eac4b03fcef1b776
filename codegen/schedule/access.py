"""Views disappear: reading a view at an index is reading what lies below it at another index, perhaps under guards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from codegen.expression import guarded
from codegen.index import ZERO, Index, Symbol
from codegen.kernel import Apply, Constant, Expression, Guard, IndexValue, Read
from codegen.schedule.axes import extents, matched_segments
from ir.dtype import dtypes
from ir.node import Node
from ir.op import GraphError
from ir.symbolic import Dimension, Variable


class Binding(NamedTuple):
    """What a parameter of a loop body stands for: ``value``, or its slice (axis, index)."""

    value: Node
    slice: tuple[int, Index] | None = None


def sliced(indices: Sequence[Index], slice: tuple[int, Index] | None) -> tuple[Index, ...]:
    """The indices of a value, from those of its slice (axis, index)."""
    if slice is None:
        return tuple(indices)
    axis, index = slice
    return (*indices[:axis], index, *indices[axis:])


class Site(NamedTuple):
    """Where a chain of views ends: ``node``, which is no view, at ``indices``.

    guards: (guard, fill) from the reader inwards: a guard that fails yields its fill instead of the element.
    injective: no two points of the reader's index space read the same element because of the views passed.
    """

    node: Node
    indices: tuple[Index, ...]
    guards: tuple[tuple[Guard, float | int | bool], ...]
    injective: bool

    @property
    def zero_filled(self) -> bool:
        return all(fill == 0 for _, fill in self.guards)


_symbols: dict[Variable, Symbol] = {}


def symbol(variable: Variable) -> Symbol:
    """The run-time integer of a variable; one object per variable, so that equal limits compare equal."""
    known = _symbols.get(variable)
    if known is None:
        known = _symbols[variable] = Symbol(variable.name, variable.low, variable.high)
    return known


def as_index(dimension: int | Dimension) -> Index:
    """A dimension as an index expression: a constant, or affine in symbols."""
    if isinstance(dimension, int):
        return Index.of(dimension)
    result = Index.of(dimension.constant)
    for variable, factor in dimension.terms:
        result = result + Index.of(symbol(variable)) * factor
    return result


def within(index: Index, size: int | Dimension) -> tuple[Guard, ...]:
    """0 <= index < size, without the sides that hold because of the index's bounds."""
    low, high = index.bounds
    if isinstance(size, int):
        return (Guard(index, 0, size - 1),) if low < 0 or high >= size or index.dynamics else ()
    below = (Guard(index, 0, size.high - 1),) if low < 0 or index.dynamics else ()
    above = (Guard(index - as_index(size), min(low, 0) - size.high, -1),) if high >= size.low or index.dynamics else ()
    return below + above


class _Walk:
    """The state of following one chain of views from its reader down."""

    def __init__(self, node: Node, indices: Sequence[Index]) -> None:
        self.node, self.indices = node, list(indices)
        self.guards: list[tuple[Guard, float | int | bool]] = []
        self.injective = True

    def guard(self, index: Index, size: int | Dimension, fill: float | int | bool) -> None:
        self.guards.extend((guard, fill) for guard in within(index, size))


def _reshape(walk: _Walk) -> None:
    source, target = extents(walk.node.operands[0]), extents(walk.node)
    result = [ZERO] * len(source)
    for left, right in matched_segments(source, target):
        left, right = [i for i in left if source[i] > 1], [j for j in right if target[j] > 1]
        _check_layout(walk.node, left, right)
        flat, inside = ZERO, 1
        for j in reversed(right):
            flat, inside = flat + walk.indices[j] * inside, inside * target[j]
        inside = 1
        for i in reversed(left):
            digit = flat // inside
            result[i] = digit if i == left[0] else digit % source[i]
            inside *= source[i]
    walk.indices = result


def _check_layout(node: Node, left: Sequence[int], right: Sequence[int]) -> None:
    """A symbolic dimension is laid out by its largest value, so it may only be the outermost of those it joins."""
    for shape, run in ((node.operands[0].shape, left), (node.shape, right)):
        inner = [shape[i] for i in run[1:] if isinstance(shape[i], Dimension)]
        if inner:
            raise GraphError(f"reshape {list(node.operands[0].shape)} -> {list(node.shape)} at {node.location} moves "
                             f"the symbolic dimension {inner[0]} inside another: its elements are not evenly spaced in "
                             "memory; permute it to the front of the dimensions that it is joined with")


def _permute(walk: _Walk) -> None:
    result = [ZERO] * len(walk.indices)
    for index, target in zip(walk.indices, walk.node.attributes.order, strict=True):
        result[target] = index
    walk.indices = result


def _expand(walk: _Walk) -> None:
    walk.injective = False
    walk.indices = [ZERO if size == 1 else index
                    for size, index in zip(walk.node.operands[0].shape, walk.indices, strict=True)]


def _pad(walk: _Walk) -> None:
    attributes, source = walk.node.attributes, walk.node.operands[0]
    for i, ((before, after), size) in enumerate(zip(attributes.widths, source.shape, strict=True)):
        if before or after:
            walk.indices[i] = walk.indices[i] - as_index(before)
            walk.guard(walk.indices[i], size, attributes.fill)


def _slice(walk: _Walk) -> None:
    walk.indices = [index * step + as_index(start)
                    for index, (start, _, step) in zip(walk.indices, walk.node.attributes.ranges, strict=True)]


def _flip(walk: _Walk) -> None:
    for i in walk.node.attributes.axes:
        walk.indices[i] = as_index(walk.node.shape[i]) - walk.indices[i] - 1


def _window(walk: _Walk) -> None:
    a = walk.node.attributes
    output, tap = walk.indices[a.axis], walk.indices[a.axis + 1]
    index = output * a.stride + tap * a.dilation - a.before
    walk.guard(index, walk.node.operands[0].shape[a.axis], a.fill)
    walk.indices[a.axis:a.axis + 2] = [index]
    walk.injective = False


def _skew(walk: _Walk) -> None:
    a = walk.node.attributes
    index = walk.indices[a.output_axis] - walk.indices[a.tap_axis] * a.dilation + a.offset
    walk.guard(index, walk.node.operands[0].shape[a.output_axis], 0)
    walk.indices[a.output_axis] = index


def _identity(walk: _Walk) -> None:
    pass


_VIEWS: Mapping[str, Callable[[_Walk], None]] = {
    "reshape": _reshape, "permute": _permute, "expand": _expand, "pad": _pad, "slice": _slice, "flip": _flip,
    "window": _window, "skew": _skew, "stop_gradient": _identity,
}


def is_view(node: Node) -> bool:
    """Whether reads pass through the node to its operand."""
    return node.op.name in _VIEWS


def locate(node: Node, indices: Sequence[Index], bindings: Mapping[Node, Binding]) -> Site:
    """The element that ``node`` at ``indices`` is: views are followed, and parameters of a loop body to what they
    stand for."""
    walk = _Walk(node, indices)
    while True:
        node = walk.node
        if node in bindings:
            value, slice = bindings[node]
            walk.node, walk.indices = value, list(sliced(walk.indices, slice))
            continue
        step = _VIEWS.get(node.op.name)
        if step is None or 0 in node.shape:
            break
        step(walk)
        walk.node = node.operands[0]
    return Site(walk.node, tuple(walk.indices), tuple(walk.guards), walk.injective)


def element(site: Site) -> Expression:
    """The expression that a site is: a read, or the number itself for constants and iota, under the site's guards."""
    node = site.node
    result: Expression
    if node.op.name == "constant":
        result = Constant(node.attributes.value, node.dtype)
    elif 0 in extents(node):
        result = zero(node)
    elif node.op.name == "iota":
        result = _number(site.indices[0], node)
    else:
        result = Read(node, site.indices)
    return under_guards(site, result)


def under_guards(site: Site, inside: Expression) -> Expression:
    """``inside`` under the guards of ``site``; neighbouring guards with the same fill share one ``Guarded``."""
    end = len(site.guards)
    while end:
        fill = site.guards[end - 1][1]
        start = end - 1
        while start and _same_number(site.guards[start - 1][1], fill):
            start -= 1
        inside = guarded(tuple(guard for guard, _ in site.guards[start:end]), inside, Constant(fill, site.node.dtype))
        end = start
    return inside


def zero(node: Node) -> Constant:
    """What an element of a value without elements would be: nothing ever reads it."""
    return Constant(node.dtype.constant(0), node.dtype)


def _number(index: Index, node: Node) -> Expression:
    if node.dtype.is_float:
        return Apply("cast", (IndexValue(index, dtypes.int64),), node.dtype)
    return IndexValue(index, node.dtype)


def _same_number(a: float | int | bool, b: float | int | bool) -> bool:
    return a == b or (a != a and b != b)
