"""Python functions of tensors as closed bodies of the graph: what they read from outside becomes further parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import ir
from ir import Node, TensorType
from tinygrad_like.tensor import live
from tinygrad_like.tensor.base import TensorBase, common_device, merged_symbols
from tinygrad_like.tree import Structure, flatten

_VIEWS = ("reshape", "permute", "expand", "flip", "slice")


class Closure(NamedTuple):
    """A traced function: ``body`` has the parameters that it was given, then one for each of ``captured``.

    result: what the function returned; structure: its nest; leaves: tensors are results of the body, in order.
    device, symbols: common to all tensors that it read or made.
    """

    body: ir.Body
    captured: list[Node]
    leaves: list[Any]
    structure: Structure
    device: str | None
    symbols: dict[str, int] | None

    @property
    def tensor_numbers(self) -> list[int]:
        """The positions among ``leaves`` of the tensors, which are the results of the body."""
        return [number for number, leaf in enumerate(self.leaves) if isinstance(leaf, TensorBase)]


def trace(function: Callable[..., Any], types: Sequence[TensorType], build: Callable[[list[Node]], tuple[Any, ...]],
          owner: str) -> Closure:
    """Runs ``function`` once on stand-ins of the given types.

    build: the arguments of the function from the stand-ins' nodes. owner: the name that errors give.
    RuntimeError where the function assigns to a tensor from outside: it runs once, its body many times.
    """
    parameters = [ir.fresh_parameter(dtype, shape) for dtype, shape in types]
    before = [(tensor, tensor.node) for tensor in live.tensors()]
    returned = function(*build(parameters))
    changed = [(tensor, node) for tensor, node in before if tensor.node is not node]
    if changed:
        for tensor, node in changed:
            tensor.node = node
        raise RuntimeError(f"the function given to {owner} assigns to a tensor of shape {changed[0][0].shape} from "
                           "outside; return the new value instead, and assign it after the call")
    leaves, structure = flatten(returned)
    tensors = [leaf for leaf in leaves if isinstance(leaf, TensorBase)]
    device, symbols = None, None
    for tensor in tensors:
        device, symbols = common_device(device, tensor._device), merged_symbols(symbols, tensor.symbols)
    results, captured, stand_ins = close([tensor.node for tensor in tensors], parameters)
    return Closure(ir.Body((*parameters, *stand_ins), tuple(results)), captured, leaves, structure, device, symbols)


def close(results: Sequence[Node], parameters: Sequence[Node]) -> tuple[list[Node], list[Node], list[Node]]:
    """The results over parameters only, the values from outside that they read, and the parameters for these.

    A value that does not depend on ``parameters`` is computed outside, once, apart from constants and views, which
    cost nothing inside.
    """
    inside = set(parameters)
    order = ir.topological_order(results)
    free: set[Node] = set()  # depends on nothing at all
    for node in order:
        if any(operand in inside for operand in node.operands):
            inside.add(node)
        elif node not in inside and node.op.name not in ("buffer", "parameter", "assign") and all(
                operand in free for operand in node.operands):
            free.add(node)
    pending = [node for node in results if node not in inside]
    pending += [operand for node in order if node in inside for operand in node.operands if operand not in inside]
    captured: dict[Node, Node] = {}
    for node in pending:
        while node.op.name in _VIEWS:
            node = node.operands[0]
        if node not in free and node not in captured:
            captured[node] = ir.fresh_parameter(*node.type)
    return ir.substitute(results, captured), list(captured), list(captured.values())
