"""Functions as named calls of the graph: ``checkpoint`` recomputes, ``custom_vjp`` has a gradient of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper, wraps
from typing import Any

import ir
from ir import Node, TensorType
from tinygrad_like.tensor import Tensor, closure
from tinygrad_like.tensor.base import TensorBase, common_device, merged_symbols
from tinygrad_like.transforms import Function
from tinygrad_like.tree import Structure, flatten


def checkpoint(function: Function) -> Function:
    """``function``, whose intermediate values the backward pass computes again instead of keeping them.

    It costs one more forward pass of the function and saves its memory: of a model, wrap each block. The function may
    read any tensors from outside (the weights of a model), and gradients flow to them; it may not assign to any.
    Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016.

        >>> x = checkpoint(lambda x: (x @ weight).gelu())(x)
    """
    @wraps(function)
    def transformed(*arguments: Any, **keywords: Any) -> Any:
        given = _Arguments(arguments)
        traced = closure.trace(lambda *chosen: function(*chosen, **keywords), given.types, given.build, "checkpoint")
        call = ir.call(traced.body, [*given.nodes, *traced.captured], label=_name(function), recompute=False)
        return _results(call, traced, given)

    return transformed


class custom_vjp:  # noqa: N801  # used as a decorator, like the functions beside it
    """A function whose reverse derivative is given by two others, set with ``defvjp``.

    forward: takes what the function takes and returns (result, residuals), any nest of tensors. backward: takes
    (residuals, cotangents nested like the result, None for leaves that are not floating-point) and returns a tuple
    with one cotangent, nested like it, for each positional argument, or None for zeros. Tensors that the functions
    read from outside get no gradient. Outside of differentiation ``forward`` computes the result, too.

        >>> @custom_vjp
        ... def clipped(x): return x
        >>> clipped.defvjp(lambda x: (x, None), lambda residuals, g: (g.clamp(-1, 1),))
    """

    def __init__(self, function: Function) -> None:
        self._function = function
        self._forward: Function | None = None
        self._backward: Function | None = None
        update_wrapper(self, function)

    def defvjp(self, forward: Function, backward: Function) -> None:
        """Sets the two functions."""
        self._forward, self._backward = forward, backward

    def __call__(self, *arguments: Any) -> Any:
        if self._forward is None or self._backward is None:
            raise TypeError(f"{_name(self._function)} has no derivative yet; call .defvjp(forward, backward) first")
        given = _Arguments(arguments)
        traced = closure.trace(self._forward, given.types, given.build, "custom_vjp")
        if traced.structure.kind is not tuple or len(traced.structure.parts) != 2:
            raise TypeError("the forward function of custom_vjp returns a pair (result, residuals)")
        count = sum(isinstance(leaf, TensorBase) for leaf in traced.leaves[:traced.structure.parts[0].leaf_count])
        gradient, outer = _gradient(self._backward, given, traced, count)
        parameters = gradient.parameters[:len(traced.body.parameters) + len(outer)]
        body = ir.Body(parameters, traced.body.results[:count])
        call = ir.call(body, [*given.nodes, *traced.captured, *outer], gradient, _name(self._function))
        return _results(call, traced, given, count)[0]


def _gradient(backward: Function, given: _Arguments, traced: closure.Closure,
              count: int) -> tuple[ir.Body, list[Node]]:
    """The gradient of a call whose ``count`` results are the first of ``traced``, and what ``backward`` reads outside.

    The body's parameters: the arguments, what the forward function reads from outside, what the backward function
    does, the results, their cotangents. Residuals are expressions of the arguments; once calls are inlined they are
    the very nodes that the forward function made, so that nothing is computed twice, and derivatives of the gradient
    reach the arguments through them.
    """
    result_structure, residual_structure = traced.structure.parts
    split = result_structure.leaf_count
    results = traced.body.results
    seeds = [x.type for x in results[:count] if x.dtype.is_float]

    def build(nodes: list[Node]) -> tuple[Any, ...]:
        values, arriving = iter(nodes[:len(results)]), iter(nodes[len(results):])
        leaves = [given.tensor(next(values)) if isinstance(leaf, TensorBase) else leaf for leaf in traced.leaves]
        cotangents = [given.tensor(next(arriving)) if isinstance(leaf, TensorBase) and leaf.dtype.is_float else None
                      for leaf in traced.leaves[:split]]
        return residual_structure.rebuild(leaves[split:]), result_structure.rebuild(cotangents)

    def checked(residuals: Any, cotangents: Any) -> list[Any]:
        returned = backward(residuals, cotangents)
        return given.cotangents(returned if isinstance(returned, tuple) else (returned,))

    inner = closure.trace(checked, [*(x.type for x in results), *seeds], build, "custom_vjp")
    own, captured = inner.body.parameters[:len(results) + len(seeds)], inner.body.parameters[len(results) + len(seeds):]
    found = iter(ir.substitute(inner.body.results, dict(zip(own[:len(results)], results, strict=True))))
    wanted = [x for x in given.nodes if x.dtype.is_float]
    parts = [next(found) if isinstance(leaf, TensorBase) else ir.constant(0, *x.type)
             for x, leaf in zip(wanted, inner.leaves, strict=True)]
    others = [x for x in (*traced.body.parameters[len(given.nodes):], *captured) if x.dtype.is_float]
    zeros = [ir.constant(0, *x.type) for x in others]
    parameters = (*traced.body.parameters, *captured, *own[:count], *own[len(results):])
    return ir.Body(parameters, (*parts, *zeros)), inner.captured


class _Arguments:
    """The arguments of a call: tensors in nests, and anything else, which the function gets as it is."""

    def __init__(self, arguments: Sequence[Any]) -> None:
        self.leaves, self.structure = flatten(tuple(arguments))
        tensors = [leaf for leaf in self.leaves if isinstance(leaf, TensorBase)]
        self.nodes = [tensor.node for tensor in tensors]
        self.device: str | None = None
        self.symbols: dict[str, int] | None = None
        for tensor in tensors:
            self.device = common_device(self.device, tensor._device)
            self.symbols = merged_symbols(self.symbols, tensor.symbols)

    @property
    def types(self) -> list[TensorType]:
        return [node.type for node in self.nodes]

    def tensor(self, node: Node) -> Tensor:
        """A tensor where the arguments are."""
        return Tensor.from_node(node, self.device, self.symbols)

    def build(self, nodes: Sequence[Node]) -> tuple[Any, ...]:
        """The arguments with other tensors."""
        remaining = iter(nodes)
        return tuple(self.structure.rebuild([self.tensor(next(remaining)) if isinstance(leaf, TensorBase) else leaf
                                             for leaf in self.leaves]))

    def cotangents(self, returned: tuple[Any, ...]) -> list[Any]:
        """One leaf (None for zeros) for each floating-point tensor of the arguments."""
        if len(returned) != len(self.structure.parts):
            raise ValueError(f"the backward function of custom_vjp returns one cotangent for each of the "
                             f"{len(self.structure.parts)} arguments, got {len(returned)}")
        leaves: list[Any] = []
        for value, part in zip(returned, self.structure.parts, strict=True):
            leaves.extend(_nested(value, part))
        found = []
        for own, leaf in zip(self.leaves, leaves, strict=True):
            if not isinstance(own, TensorBase) or not own.dtype.is_float:
                continue
            if leaf is not None and (not isinstance(leaf, TensorBase) or leaf.shape != own.shape):
                raise ValueError(f"the backward function of custom_vjp returned {leaf!r} for an argument of shape "
                                 f"{own.shape}")
            found.append(None if leaf is None else leaf.cast(own.dtype))
        return found


def _nested(value: Any, part: Structure) -> list[Any]:
    if value is None:
        return [None] * part.leaf_count
    leaves, structure = flatten(value)
    if structure != part:
        raise ValueError(f"a cotangent is nested like its argument, {part.paths()}; got {structure.paths()}")
    return leaves


def _results(call: Node, traced: closure.Closure, given: _Arguments, count: int | None = None) -> Any:
    """What the function returned, with the ``count`` results of the call (all) in the places of its first tensors."""
    device = common_device(given.device, traced.device)
    symbols = merged_symbols(given.symbols, traced.symbols)
    leaves = list(traced.leaves)
    for result, number in enumerate(traced.tensor_numbers[:count]):
        leaves[number] = Tensor.from_node(ir.project(call, result), device, symbols)
    return traced.structure.rebuild(leaves)


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
