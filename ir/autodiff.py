"""Reverse-mode differentiation, graph to graph: gradients are graphs again, so any order is the same transformation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from ir import graph, ops
from ir.dtype import dtypes
from ir.node import Node, located
from ir.op import GraphError, describe
from ir.phases import phase

Contributions = dict[int, list[Node]]  # by number of the result; 0 for a node with one


@phase("autodiff")
def gradient(outputs: Sequence[Node], cotangents: Sequence[Node], wrt: Sequence[Node]) -> list[Node | None]:
    """The cotangents of ``wrt``: the sum over outputs of cotangent times the derivative of output by node.

    outputs, cotangents: pairs of equal type. Result i has the type of ``wrt[i]``, or is None where no output depends
    on it (or only through integers, comparisons or stop_gradient). Only nodes between ``wrt`` and the outputs are
    touched. Each new node carries the location of the one it differentiates.

        >>> x = parameter(0, dtypes.float32, (3,))
        >>> gradient([mul(x, x)], [constant(1, dtypes.float32, (3,))], [x])
        [<add float32[3]>]

    Baydin, Pearlmutter, Radul and Siskind, "Automatic differentiation in machine learning: a survey", JMLR 2018.
    """
    _check(outputs, cotangents)
    arrived: dict[Node, Contributions] = defaultdict(lambda: defaultdict(list))
    for output, cotangent in zip(outputs, cotangents, strict=True):
        arrived[output][0].append(cotangent)
    wanted = set(wrt)
    found: dict[Node, Node | None] = {}
    path = _between(wanted, outputs)
    for node in reversed(path):
        contributions = arrived.pop(node, None)
        if contributions is None:
            continue
        with located(node.location):
            cotangent = _combined(node, contributions)
            if node in wanted:
                found[node] = cotangent
            if node.op is ops.PROJECT:
                arrived[node.operands[0]][node.attributes.result].append(cotangent)
            elif node.operands:
                _distribute(node, cotangent, path, arrived)
    return [found.get(node) for node in wrt]


def jvp(outputs: Sequence[Node], inputs: Sequence[Node], tangents: Sequence[Node]) -> list[Node | None]:
    """Forward mode: the derivative of each output along ``tangents``, one for each input; None where it is constant.

    The reverse pass is linear in the cotangents of the outputs, and its own reverse pass is the forward pass
    (Townsend, "A new trick for calculating Jacobian vector products", 2017). What is left of the cotangents in the
    result are the guards at singular points, which see ones.

        >>> x = parameter(0, dtypes.float32, (3,))
        >>> jvp([sin(x)], [x], [constant(1, dtypes.float32, (3,))])
        [<cos float32[3]>]
    """
    _check(inputs, tangents)
    probes = [ops.fresh_parameter(*output.type) for output in outputs]
    pulled = gradient(outputs, probes, inputs)
    reached = [(node, tangent) for node, tangent in zip(pulled, tangents, strict=True) if node is not None]
    along = gradient([node for node, _ in reached], [tangent for _, tangent in reached], probes)
    ones = {probe: ops.constant_like(probe, 1) for probe in probes}
    found = iter(graph.substitute([node for node in along if node is not None], ones))
    return [None if node is None else next(found) for node in along]


def _check(outputs: Sequence[Node], cotangents: Sequence[Node]) -> None:
    if len(outputs) != len(cotangents):
        raise GraphError(f"gradient: {len(outputs)} outputs but {len(cotangents)} cotangents; give one for each")
    for output, cotangent in zip(outputs, cotangents, strict=True):
        if not output.dtype.is_float or output.type != cotangent.type:
            raise GraphError(f"gradient: expected a floating-point output and a cotangent of its type; given "
                             f"{describe(output)} and {describe(cotangent)}")


def _between(wanted: set[Node], outputs: Sequence[Node]) -> dict[Node, None]:
    """The differentiable nodes that depend on a wanted one (or are one), operands first."""
    path: dict[Node, None] = {}
    for node in graph.topological_order(outputs):
        depends = node in wanted or any(operand in path for operand in node.operands)
        if depends and (node.dtype.is_float or node.dtype is dtypes.void):
            path[node] = None
    return path


def _distribute(node: Node, cotangent: Any, path: dict[Node, None], arrived: dict[Node, Contributions]) -> None:
    """Adds what each operand of ``node`` receives to the contributions."""
    if not any(operand in path for operand in node.operands):
        return
    parts = node.op.gradient(node, cotangent)
    for operand, part in zip(node.operands, parts, strict=True):
        if part is None or operand not in path:
            continue
        if part.dtype is not operand.dtype or part.shape != operand.shape:
            raise GraphError(f"the gradient of {node.op.name} gave {describe(part)} for {describe(operand)}")
        arrived[operand][0].append(part)


def _combined(node: Node, contributions: Contributions) -> Any:
    """The cotangent of a node; a tuple with one for each result (None where none is read) for several results."""
    if node.dtype is not dtypes.void:
        return sum_of(contributions[0])
    count = len(node.op.result_types(node))
    return tuple(sum_of(contributions[i]) if i in contributions else None for i in range(count))


def sum_of(terms: Sequence[Node]) -> Node:
    """The sum. Disjoint pads with zeros along one axis, the gradients of slices, are put together as one concat.

    The terms of a concat are stored into their parts of one buffer; a sum of pads would read zeros again and again.
    """
    total: Node | None = None
    for term in _tiled(terms):
        total = term if total is None else ops.add(total, term)
    assert total is not None
    return total


def _tiled(terms: Sequence[Node]) -> list[Node]:
    """The terms, with those that pad along the same axis into disjoint places replaced by one concat for each axis."""
    by_axis: dict[int, list[Node]] = defaultdict(list)
    rest: list[Node] = []
    for term in terms:
        axis = _padded_axis(term)
        if axis is None:
            rest.append(term)
        else:
            by_axis[axis].append(term)
    for axis, pads in by_axis.items():
        tiles: list[Node] = []
        for term in sorted(pads, key=lambda term: int(term.attributes.widths[axis][0])):
            free = not tiles or _start(term, axis) >= _stop(tiles[-1], axis)
            (tiles if free else rest).append(term)
        rest.append(_joined(tiles, axis) if len(tiles) > 1 else tiles[0])
    return rest


def _padded_axis(term: Node) -> int | None:
    """The only axis along which the term is padded with zeros, if it is a pad at fixed places."""
    if term.op is not ops.PAD or term.attributes.fill != 0:
        return None
    padded = [axis for axis, widths in enumerate(term.attributes.widths) if widths != (0, 0)]
    if len(padded) != 1 or not all(isinstance(width, int) for width in term.attributes.widths[padded[0]]):
        return None
    return padded[0] if isinstance(term.shape[padded[0]], int) else None


def _start(term: Node, axis: int) -> int:
    return int(term.attributes.widths[axis][0])


def _stop(term: Node, axis: int) -> int:
    return int(term.shape[axis]) - int(term.attributes.widths[axis][1])  # type: ignore[arg-type]


def _joined(tiles: list[Node], axis: int) -> Node:
    """Disjoint pads in rising order as one concat, zeros in the gaps between them and a pad around it."""
    parts: list[Node] = []
    end = _start(tiles[0], axis)
    for tile in tiles:
        gap = _start(tile, axis) - end
        if gap:
            shape = list(tile.shape)
            shape[axis] = gap
            parts.append(ops.constant(0, tile.dtype, shape))
        parts.append(tile.operands[0])
        end = _stop(tile, axis)
    widths = [(0, 0)] * len(tiles[0].shape)
    widths[axis] = (_start(tiles[0], axis), tiles[-1].attributes.widths[axis][1])
    return ops.pad(ops.concat(parts, axis), widths)
