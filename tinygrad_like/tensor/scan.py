"""``scan``: a recurrence over the leading axis as one node of the graph, whatever the number of steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ir
from ir import Node, TensorType
from tinygrad_like.tensor import closure
from tinygrad_like.tensor.base import TensorBase, common_device, merged_symbols
from tinygrad_like.tensor.tensor import Tensor
from tinygrad_like.tree import flatten

Step = Callable[[Any, Any], tuple[Any, Any]]


def scan(function: Step, carry: Any, inputs: Any = None, length: int | None = None,
         reverse: bool = False) -> tuple[Any, Any]:
    """``carry, output = function(carry, slice)`` for each slice of ``inputs``; (the last carry, the stacked outputs).

    carry: a tensor or a nest of tensors, of which each keeps its shape and dtype. inputs: a nest of tensors of
    [steps, ...], of which a step gets one slice each; None where there are none: then give ``length``. reverse: from
    the last slice to the first (outputs stay in the order of the inputs).

    The function is called once, on stand-ins; it may read any tensor from outside, and gradients flow to all of them.
    Random numbers that it draws are the same in every step. Errors: ValueError for unequal lengths and for a carry
    that changes its type, RuntimeError for an assignment inside.

        >>> total, sums = scan(lambda total, x: (total + x, total + x), Tensor(0.0), Tensor([1.0, 2.0, 3.0]))
        >>> sums.tolist()
        [1.0, 3.0, 6.0]
    """
    carries, carry_structure = flatten(carry)
    rows, row_structure = flatten(inputs) if inputs is not None else ([], None)
    _check_tensors("carry", carries)
    _check_tensors("inputs", rows)
    steps = _steps(rows, length)
    types = [x.node.type for x in carries] + [TensorType(x.dtype, x.shape[1:]) for x in rows]
    device, symbols = _place([*carries, *rows])

    def build(nodes: list[Node]) -> tuple[Any, Any]:
        stand_ins = [Tensor.from_node(node, device, symbols) for node in nodes]
        given = carry_structure.rebuild(stand_ins[:len(carries)])
        return given, None if row_structure is None else row_structure.rebuild(stand_ins[len(carries):])

    traced = closure.trace(_checked(function, carry_structure), types, build, "scan")
    body = _with_fixed_carries(traced, len(carries), len(rows))
    node = ir.scan(body, [*(x.node for x in carries), *traced.captured], [x.node for x in rows], reverse, steps)
    place, symbols = common_device(device, traced.device), merged_symbols(symbols, traced.symbols)
    leaves: list[Any] = list(traced.leaves)
    for result, number in enumerate(traced.tensor_numbers):
        shifted = result if result < len(carries) else result + len(traced.captured)
        leaves[number] = Tensor.from_result(ir.project(node, shifted), place, symbols)
    final, outputs = traced.structure.rebuild(leaves)
    return final, outputs


def _checked(function: Step, structure: Any) -> Step:
    """``function``, with an error where it returns no pair or another carry than it was given."""
    def checked(carry: Any, rows: Any) -> tuple[Any, Any]:
        returned = function(carry, rows)
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise TypeError(f"the function given to scan returns a pair (carry, output), got {type(returned).__name__}")
        before, (after, new_structure) = flatten(carry)[0], flatten(returned[0])
        if new_structure != structure:
            raise ValueError(f"the carry of scan keeps its nesting; it has the leaves {structure.paths('carry')} "
                             f"before a step and {new_structure.paths('carry')} after")
        for path, old, new in zip(structure.paths("carry"), before, after, strict=True):
            if not isinstance(new, TensorBase) or new.node.type != old.node.type:
                found = f"{new.dtype}{list(new.shape)}" if isinstance(new, TensorBase) else repr(new)
                raise ValueError(f"{path} of scan keeps its type; it is {old.dtype}{list(old.shape)} before a step and "
                                 f"{found} after; .cast() or .expand() the initial value")
        return returned

    return checked


def _with_fixed_carries(traced: closure.Closure, carries: int, rows: int) -> ir.Body:
    """The body with captured values as carries that every step hands on unchanged."""
    parameters, results = traced.body
    given, slices, captured = parameters[:carries], parameters[carries:carries + rows], parameters[carries + rows:]
    return ir.Body((*given, *captured, *slices), (*results[:carries], *captured, *results[carries:]))


def _steps(rows: Sequence[Tensor], length: int | None) -> Any:
    lengths = {x.shape[0] if x.ndim else None for x in rows} | ({length} if length is not None else set())
    if len(lengths) != 1 or None in lengths:
        raise ValueError(f"scan needs inputs of one common length (or length= without inputs), got inputs of shapes "
                         f"{[x.shape for x in rows]} and length={length}")
    return lengths.pop()


def _place(tensors: Sequence[Tensor]) -> tuple[str | None, dict[str, int] | None]:
    device, symbols = None, None
    for tensor in tensors:
        device, symbols = common_device(device, tensor._device), merged_symbols(symbols, tensor.symbols)
    return device, symbols


def _check_tensors(name: str, leaves: Sequence[Any]) -> None:
    for leaf in leaves:
        if not isinstance(leaf, TensorBase):
            raise TypeError(f"the {name} of scan is made of tensors, got {type(leaf).__name__} {leaf!r}")
