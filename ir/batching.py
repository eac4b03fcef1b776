"""A graph for one example rewritten for a batch of them: the rules behind ``vmap``, and behind what the gradient of a
scan computes for all steps at once.

In the new graph the batch is the leading axis of everything that depends on a batched value; what does not depend on
one is left as it is and shared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ir
from ir.node import Node

Size = Any  # int or ir.Dimension
Values = Mapping[Node, Node]
Rule = Callable[[Node, Values, Size], Node]


def batched(outputs: Sequence[Node], replacements: Values, size: Size) -> list[Node]:
    """The outputs for ``size`` examples: ``replacements`` gives [size, *shape] nodes for nodes of [*shape].

    The result for an output that depends on none of them is that output itself, without a batch axis.
    """
    new_of: dict[Node, Node] = dict(replacements)
    results_of: dict[Node, list[Node | None]] = {}
    for node in ir.topological_order(outputs):
        if node in new_of or not any(x in new_of or x in results_of for x in node.operands):
            continue
        with ir.located(node.location), ir.tagged(node.tag):
            if node.op.name in _SEVERAL:
                results_of[node] = _SEVERAL[node.op.name](node, new_of, size)
            elif node.op.name == "project":
                found = results_of[node.operands[0]][node.attributes.result]
                if found is not None:
                    new_of[node] = found
            elif isinstance(node.op, ir.ElementwiseOp):
                new_of[node] = node.op(*(widened(x, new_of, size) for x in node.operands))
            elif node.op.name in _RULES:
                new_of[node] = _RULES[node.op.name](node, new_of, size)
            else:
                raise NotImplementedError(f"vmap has no rule for {node.op.name} (at {node.location}); a function under "
                                          "vmap returns new values instead of assigning them")
    return [new_of.get(output, output) for output in outputs]


def has_rule(node: Node) -> bool:
    """Whether ``batched`` can rewrite the node."""
    name = node.op.name
    return isinstance(node.op, ir.ElementwiseOp) or name in _RULES or name in _SEVERAL or name == "project"


def widened(node: Node, new_of: Values, size: Size) -> Node:
    """What stands for ``node`` with a batch axis, repeated where it does not depend on the batch."""
    found = new_of.get(node)
    return repeated(node, size) if found is None else found


def repeated(node: Node, size: Size) -> Node:
    """``node`` once for each of ``size`` examples."""
    return ir.expand(ir.reshape(node, (1, *node.shape)), (size, *node.shape))


# ------------------------------------------------------------------------------------------- one operand, one result


def _only(node: Node, new_of: Values) -> Node:
    return new_of[node.operands[0]]


def _same(node: Node, new_of: Values, size: Size) -> Node:
    return ir.remake_node(node, (_only(node, new_of),), node.attributes)


def _reduce(node: Node, new_of: Values, size: Size) -> Node:
    monoid, axes = node.attributes
    return ir.reduce(monoid, _only(node, new_of), [axis + 1 for axis in axes])


def _reshape(node: Node, new_of: Values, size: Size) -> Node:
    return ir.reshape(_only(node, new_of), (size, *node.shape))


def _permute(node: Node, new_of: Values, size: Size) -> Node:
    return ir.permute(_only(node, new_of), (0, *(axis + 1 for axis in node.attributes.order)))


def _expand(node: Node, new_of: Values, size: Size) -> Node:
    return ir.expand(_only(node, new_of), (size, *node.shape))


def _pad(node: Node, new_of: Values, size: Size) -> Node:
    return ir.pad(_only(node, new_of), ((0, 0), *node.attributes.widths), node.attributes.fill)


def _slice(node: Node, new_of: Values, size: Size) -> Node:
    return ir.slice(_only(node, new_of), ((0, size, 1), *node.attributes.ranges))


def _flip(node: Node, new_of: Values, size: Size) -> Node:
    return ir.flip(_only(node, new_of), [axis + 1 for axis in node.attributes.axes])


def _window(node: Node, new_of: Values, size: Size) -> Node:
    axis, *rest = node.attributes
    return ir.window(_only(node, new_of), axis + 1, *rest)


def _skew(node: Node, new_of: Values, size: Size) -> Node:
    output_axis, tap_axis, *rest = node.attributes
    return ir.skew(_only(node, new_of), output_axis + 1, tap_axis + 1, *rest)


# ------------------------------------------------------------------------------------------- several operands


def _argsort(node: Node, new_of: Values, size: Size) -> Node:
    axis, *rest = node.attributes
    return ir.argsort(_only(node, new_of), axis + 1, *rest)


def _concat(node: Node, new_of: Values, size: Size) -> Node:
    return ir.concat([widened(x, new_of, size) for x in node.operands], node.attributes.axis + 1)


def _gather(node: Node, new_of: Values, size: Size) -> Node:
    x, index = node.operands
    if x not in new_of and node.attributes.batch == 0:
        return ir.gather(x, new_of[index])  # one table for the whole batch
    return ir.gather(widened(x, new_of, size), widened(index, new_of, size), node.attributes.batch + 1)


def _scatter(node: Node, new_of: Values, size: Size) -> Node:
    batch, mode = node.attributes
    x, index, updates = (widened(operand, new_of, size) for operand in node.operands)
    return ir.scatter(x, index, updates, batch + 1, mode)


_RULES: dict[str, Rule] = {
    "argsort": _argsort, "bitcast": _same, "cast": _same, "concat": _concat, "contiguous": _same, "expand": _expand,
    "flip": _flip, "gather": _gather, "pad": _pad, "permute": _permute, "reduce": _reduce, "reshape": _reshape,
    "scatter": _scatter, "skew": _skew, "slice": _slice, "stop_gradient": _same, "window": _window,
}


# ------------------------------------------------------------------------------------------- several results


def _scan(node: Node, new_of: Values, size: Size) -> list[Node | None]:
    """Steps stay where they are, the batch leads their slices; carries that never change may stay shared."""
    body, count, length, reverse, axis = node.attributes
    shared = [number for number in range(count)
              if body.results[number] is body.parameters[number] and node.operands[number] not in new_of]
    inputs = [x in new_of for x in node.operands[count:]]
    wide = [number not in shared for number in range(count)] + inputs
    parameters, replaced = _wide_parameters(body.parameters, wide, size)
    found = batched(body.results, replaced, size)
    results = [value if number in shared else _with_batch(value, old, size)
               for number, (value, old) in enumerate(zip(found, body.results, strict=True))]
    results = [parameters[number] if number in shared else value for number, value in enumerate(results)]
    carries = [x if number in shared else widened(x, new_of, size) for number, x in enumerate(node.operands[:count])]
    rows = [_swapped(new_of[x], axis) if x in new_of else x for x in node.operands[count:]]
    scan = ir.scan(ir.Body(tuple(parameters), tuple(results)), carries, rows, reverse, length, axis)
    projected = [ir.project(scan, number) for number in range(len(body.results))]
    return [None if number in shared else value if number < count else _swapped(value, axis)
            for number, value in enumerate(projected)]


def _call(node: Node, new_of: Values, size: Size) -> list[Node | None]:
    body, own, label, recompute = node.attributes
    wide = [x in new_of for x in node.operands]
    parameters, replaced = _wide_parameters(body.parameters, wide, size)
    results = [_with_batch(value, old, size)
               for value, old in zip(batched(body.results, replaced, size), body.results, strict=True)]
    gradient = None if own is None else _batched_gradient(own, wide, size)
    arguments = [new_of.get(x, x) for x in node.operands]
    call = ir.call(ir.Body(tuple(parameters), tuple(results)), arguments, gradient, label, recompute)
    return [ir.project(call, number) for number in range(len(results))]


def _batched_gradient(own: ir.Body, wide: Sequence[bool], size: Size) -> ir.Body:
    """The gradient of a batched call; the cotangent of a shared argument is the sum over the batch."""
    flags = [*wide, *[True] * (len(own.parameters) - len(wide))]
    parameters, replaced = _wide_parameters(own.parameters, flags, size)
    found = [_with_batch(value, old, size)
             for value, old in zip(batched(own.results, replaced, size), own.results, strict=True)]
    floats = [flag for flag, x in zip(wide, own.parameters, strict=False) if x.dtype.is_float]
    summed = [value if flag else ir.reduce("sum", value, [0]) for flag, value in zip(floats, found, strict=True)]
    return ir.Body(tuple(parameters), tuple(summed))


def _wide_parameters(old: Sequence[Node], wide: Sequence[bool], size: Size) -> tuple[list[Node], dict[Node, Node]]:
    """New parameters, with a batch axis where ``wide``, and what stands for the old ones that got one."""
    parameters = [ir.fresh_parameter(x.dtype, (size, *x.shape)) if flag else x
                  for x, flag in zip(old, wide, strict=True)]
    return parameters, {x: new for x, new in zip(old, parameters, strict=True) if x is not new}


def _with_batch(value: Node, old: Node, size: Size) -> Node:
    """``value``, which ``batched`` gave for ``old``, with a batch axis in any case."""
    return repeated(value, size) if value is old else value


def _swapped(x: Node, axis: int) -> Node:
    """``x`` with the dimensions ``axis`` and ``axis + 1`` exchanged."""
    return ir.permute(x, (*range(axis), axis + 1, axis, *range(axis + 2, len(x.shape))))


_SEVERAL: dict[str, Callable[[Node, Values, Size], list[Node | None]]] = {"call": _call, "scan": _scan}
