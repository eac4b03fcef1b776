"""Derivatives beside gradients: ``jvp``, ``vjp``, ``jacobian`` and ``hessian``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import wraps
from typing import Any

import ir
from ir import Node, batching
from tinygrad_like.tensor import Tensor
from tinygrad_like.tensor.base import TensorBase
from tinygrad_like.transforms import Differentiated, Function, grad
from tinygrad_like.tree import flatten


def jvp(function: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """(what ``function(*primals)`` returns, its derivative along ``tangents``), forward mode.

    tangents: for each primal a nest of the same kind with tensors of the same shapes and dtypes, None where nothing
    moves. The derivative has the nesting of what is returned; zeros where it does not depend on the primals, None for
    leaves that are no floating-point tensors.

        >>> value, slope = jvp(lambda x: x.sin(), [Tensor(0.0)], [Tensor(1.0)])
        >>> slope.item()
        1.0
    """
    traced = _Traced(function, primals)
    moving = _leaves_of_tangents(traced.arguments, tangents)
    outputs = traced.float_results
    directions = [ir.constant(0, *mark.type) if moving[i] is None else moving[i].node
                  for i, mark in enumerate(traced.marks)]
    found = ir.jvp([output.node for output in outputs], list(traced.marks), directions)
    zeros = [ir.constant(0, *output.node.type) if node is None else node
             for output, node in zip(outputs, found, strict=True)]
    return traced.value(), traced.rebuilt_results(traced.unmarked(zeros))


def vjp(function: Function, *primals: Any) -> tuple[Any, Function]:
    """(what ``function(*primals)`` returns, its pullback), reverse mode.

    The pullback takes a nest of cotangents like the result (None for leaves without) and returns a tuple with the
    cotangent of each primal, nested like it; None for leaves that are no floating-point tensors.

        >>> value, pullback = vjp(lambda x: x * x, Tensor([1.0, 2.0]))
        >>> pullback(Tensor([1.0, 10.0]))[0].tolist()
        [2.0, 40.0]
    """
    traced = _Traced(function, primals)

    def pullback(cotangents: Any) -> tuple[Any, ...]:
        leaves, structure = flatten(cotangents)
        if structure != traced.structure:
            raise ValueError(f"the cotangents are nested like the result, {traced.structure.paths('result')}; got "
                             f"{structure.paths('cotangents')}")
        pairs = [(output, leaf) for output, leaf in zip(traced.leaves, leaves, strict=True)
                 if _is_float(output) and isinstance(leaf, TensorBase)]
        for output, leaf in pairs:
            if leaf.shape != output.shape:
                raise ValueError(f"a cotangent has the shape of its result, {output.shape}; got {leaf.shape}")
        nodes = ir.gradient([output.node for output, _ in pairs],
                            [leaf.cast(output.dtype).node for output, leaf in pairs], list(traced.marks))
        return traced.rebuilt_arguments(traced.unmarked(_zeros_for_none(nodes, list(traced.marks))))

    return traced.value(), pullback


def jacobian(function: Function, argnums: int | Sequence[int] = 0) -> Function:
    """A function that returns the derivatives of all elements of the result by all elements of the argument.

    For a tensor of [*m] and an argument of [*n] a tensor of [*m, *n]; a nest of results gives the nest of the
    argument in the place of each leaf; several ``argnums`` a tuple. One reverse pass, batched over the elements of
    the result.
    """
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    @wraps(function)
    def transformed(*arguments: Any, **keywords: Any) -> Any:
        def of_chosen(*chosen: Any) -> Any:
            given = list(arguments)
            for number, value in zip(numbers, chosen, strict=True):
                given[number] = value
            return function(*given, **keywords)

        traced = _Traced(of_chosen, [arguments[number] for number in numbers])
        rows = []
        for output in traced.leaves:
            blocks = traced.rebuilt_arguments(traced.unmarked(_blocks(output.node, list(traced.marks)))) if _is_float(
                output) else None
            rows.append(blocks[0] if blocks is not None and isinstance(argnums, int) else blocks)
        return traced.structure.rebuild(rows)

    return transformed


def hessian(function: Function, argnums: int | Sequence[int] = 0) -> Function:
    """A function that returns the second derivatives of a scalar: the ``jacobian`` of ``grad``.

    For an argument of [*n] a tensor of [*n, *n]; for a nest a nest of nests.

        >>> hessian(lambda x: (x * x * x).sum())(Tensor([1.0, 2.0])).tolist()
        [[6.0, 0.0], [0.0, 12.0]]
    """
    return jacobian(grad(function, argnums), argnums)


def stop_gradient(value: Any) -> Any:
    """The same nest of tensors, through which no gradient flows."""
    leaves, structure = flatten(value)
    return structure.rebuild([leaf.detach() if isinstance(leaf, Tensor) else leaf for leaf in leaves])


class _Traced:
    """What a function returned for marked stand-ins of its arguments."""

    def __init__(self, function: Function, arguments: Sequence[Any]) -> None:
        self.arguments = [Differentiated(argument) for argument in arguments]
        try:
            self.leaves, self.structure = flatten(function(*(argument.stand_in() for argument in self.arguments)))
        finally:
            for argument in self.arguments:
                argument.restore()
        self.marks: dict[Node, Node] = {mark: node for argument in self.arguments
                                        for mark, node in argument.marks.items()}

    @property
    def float_results(self) -> list[Tensor]:
        return [leaf for leaf in self.leaves if _is_float(leaf)]

    def value(self) -> Any:
        """What the function returns for the arguments themselves."""
        numbers = [number for number, leaf in enumerate(self.leaves) if isinstance(leaf, TensorBase)]
        leaves = list(self.leaves)
        for number, node in zip(numbers, ir.substitute([leaves[n].node for n in numbers], self.marks), strict=True):
            leaves[number] = Tensor.from_result(node, leaves[number]._device, leaves[number].symbols)
        return self.structure.rebuild(leaves)

    def unmarked(self, nodes: Sequence[Node]) -> list[Tensor]:
        """Tensors of nodes over the marks, which read the arguments themselves."""
        place: Any = next((leaf for leaf in self.leaves if isinstance(leaf, TensorBase)), None)
        device, symbols = (None, None) if place is None else (place._device, place.symbols)
        return [Tensor.from_result(node, device, symbols) for node in ir.substitute(nodes, self.marks)]

    def rebuilt_arguments(self, parts: Sequence[Tensor]) -> tuple[Any, ...]:
        remaining = iter(parts)
        return tuple(argument.gradient([next(remaining) for _ in argument.marks]) for argument in self.arguments)

    def rebuilt_results(self, parts: Sequence[Tensor]) -> Any:
        remaining = iter(parts)
        return self.structure.rebuild([next(remaining) if _is_float(leaf) else None for leaf in self.leaves])


def _blocks(output: Node, marks: Sequence[Node]) -> list[Node]:
    """The derivatives of ``output`` by the marks, [*output.shape, *mark.shape]; the cotangents form an identity."""
    count = ir.upper_bound(ir.product(output.shape))
    seed = ir.fresh_parameter(*output.type)
    rows = _zeros_for_none(ir.gradient([output], [seed], list(marks)), marks)
    basis = Tensor.eye(count, dtype=output.dtype).node
    wide = batching.batched(rows, {seed: ir.reshape(basis, (count, *output.shape))}, count)
    full = [batching.repeated(new, count) if new is old else new for new, old in zip(wide, rows, strict=True)]
    return [ir.reshape(new, (*output.shape, *mark.shape)) for new, mark in zip(full, marks, strict=True)]


def _leaves_of_tangents(arguments: Sequence[Differentiated], tangents: Sequence[Any]) -> list[Any]:
    """A tangent, or None, for each mark; ValueError where one does not fit."""
    if len(arguments) != len(tangents):
        raise ValueError(f"jvp needs a tangent for each primal, got {len(arguments)} primals and {len(tangents)}")
    found: list[Any] = []
    for argument, tangent in zip(arguments, tangents, strict=True):
        count = len(argument.marks)
        leaves = [None] * count if tangent is None else argument.like(tangent)
        for mark, leaf in zip(argument.marks, leaves, strict=True):
            if leaf is not None and (not isinstance(leaf, TensorBase) or leaf.node.type != mark.type):
                raise ValueError(f"a tangent has the shape and dtype of its primal, {ir.describe(mark)}; got {leaf!r}")
        found.extend(leaves)
    return found


def _zeros_for_none(nodes: Sequence[Node | None], like: Sequence[Node]) -> list[Node]:
    return [ir.constant(0, *x.type) if node is None else node for node, x in zip(nodes, like, strict=True)]


def _is_float(leaf: Any) -> bool:
    return isinstance(leaf, TensorBase) and leaf.dtype.is_float
