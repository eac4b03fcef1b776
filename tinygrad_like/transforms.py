"""Functions from functions: ``grad`` and ``value_and_grad``.

    >>> grad(lambda x: (x * x).sum())(Tensor([1.0, 2.0])).tolist()
    [2.0, 4.0]

They compose: ``grad(lambda x: grad(f)(x).sum())`` is a second derivative, ``jit(grad(f))`` one program.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import wraps
from types import FunctionType, MethodType, ModuleType
from typing import Any

import ir
from ir import Node
from tinygrad_like.tensor import Tensor
from tinygrad_like.tree import flatten

Function = Callable[..., Any]
_serial = itertools.count(1)


def value_and_grad(function: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """A function that returns (what ``function`` returns, its gradient by the arguments ``argnums``).

    function: returns a scalar tensor; with ``has_aux`` a pair, the scalar and anything else.
    An argument may be a tensor, a nest of dicts, lists and tuples, or an object with tensors among its attributes, such
    as a model. Its gradient has the same nesting; that of an object is a dict by the paths of its attributes. Integer
    tensors and other values in it have the gradient None. Several ``argnums`` give a tuple of gradients.

        >>> value_and_grad(lambda w, x: (w["a"] * x).sum())({"a": Tensor([2.0])}, 3.0)
        (<Tensor float32[] on CPU>, {'a': <Tensor float32[1] on CPU>})
    """
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    @wraps(function)
    def transformed(*arguments: Any, **keywords: Any) -> Any:
        missing = [number for number in numbers if not -len(arguments) <= number < len(arguments)]
        if missing:
            raise ValueError(f"grad by argument {missing[0]} of a call with {len(arguments)} positional arguments")
        differentiated = {number % len(arguments): Differentiated(arguments[number]) for number in numbers}
        given = [differentiated[i].stand_in() if i in differentiated else x for i, x in enumerate(arguments)]
        try:
            result = function(*given, **keywords)
            value = result[0] if has_aux else result
            marks = {mark: node for argument in differentiated.values() for mark, node in argument.marks.items()}
            gradients = _gradients(value, list(marks))
        finally:
            for argument in differentiated.values():
                argument.restore()
        # The marks only told the arguments apart; what is computed reads the arguments themselves.
        replaced = ir.substitute([value.node, *gradients], marks)
        total = Tensor.from_result(replaced[0], value._device, value.symbols)
        parts = iter([Tensor.from_result(node, value._device, value.symbols) for node in replaced[1:]])
        by_number = {number: argument.gradient([next(parts) for _ in argument.marks])
                     for number, argument in differentiated.items()}
        found = tuple(by_number[number % len(arguments)] for number in numbers)
        gradient = found[0] if isinstance(argnums, int) else found
        return ((total, result[1]) if has_aux else total), gradient

    return transformed


def grad(function: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """A function that returns the gradient of ``function`` (with ``has_aux``: and what comes beside the scalar)."""
    both = value_and_grad(function, argnums, has_aux)

    @wraps(function)
    def transformed(*arguments: Any, **keywords: Any) -> Any:
        value, gradient = both(*arguments, **keywords)
        return (gradient, value[1]) if has_aux else gradient

    return transformed


class Differentiated:
    """One argument that is differentiated by.

    Each of its floating-point tensors is stood in for by a view of it that is no other node, so that equal arguments
    are told apart: marks are these views, with what they are views of. A nest is built anew around them; in an object
    the tensors themselves stand for them until ``restore``.
    """

    def __init__(self, argument: Any) -> None:
        leaves, self._structure = flatten(argument)
        self._named: dict[str, Tensor] | None = None
        self._argument = argument
        if len(leaves) == 1 and leaves[0] is argument and not isinstance(argument, Tensor):
            self._named = attributes_of(argument)
            leaves = list(self._named.values())
        self._leaves = leaves
        self._tensors = [leaf for leaf in leaves if _has_gradient(leaf)]
        if not self._tensors:
            raise TypeError(f"grad needs an argument with floating-point tensors, got {type(argument).__name__}")
        self.marks: dict[Node, Node] = {_mark(tensor.node): tensor.node for tensor in self._tensors}

    def stand_in(self) -> Any:
        """What the function is given."""
        marks = iter(self.marks)
        if self._named is None:
            return self._structure.rebuild([Tensor.from_node(next(marks), leaf._device, leaf.symbols)
                                            if _has_gradient(leaf) else leaf for leaf in self._leaves])
        for tensor, mark in zip(self._tensors, marks, strict=True):
            tensor.node = mark
        return self._argument

    def restore(self) -> None:
        """The tensors of an object stand for what they stood for, unless the function has assigned to them."""
        if self._named is not None:
            for tensor, (mark, node) in zip(self._tensors, self.marks.items(), strict=True):
                if tensor.node is mark:
                    tensor.node = node

    def like(self, value: Any) -> list[Any]:
        """The leaves of ``value``, nested like the argument (a dict by paths for an object), one for each mark."""
        leaves, structure = flatten(value)
        wanted = self._structure if self._named is None else flatten(dict(self._named))[1]
        if structure != wanted:
            raise ValueError(f"expected a nest like the argument, {wanted.paths()}; got {structure.paths()}")
        return [leaf for leaf, own in zip(leaves, self._leaves, strict=True) if _has_gradient(own)]

    def gradient(self, parts: Sequence[Tensor]) -> Any:
        """The gradients in the nesting of the argument."""
        remaining = iter(parts)
        values = [next(remaining) if _has_gradient(leaf) else None for leaf in self._leaves]
        return self._structure.rebuild(values) if self._named is None else dict(zip(self._named, values, strict=True))


def _has_gradient(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and leaf.dtype.is_float and leaf.requires_grad is not False and leaf.is_param


def attributes_of(value: Any) -> dict[str, Tensor]:
    """The tensors that an object holds in its attributes, at any depth, by their paths: ``layers.0.weight``."""
    found: dict[str, Tensor] = {}
    pending: list[tuple[str, Any]] = [("", value)]
    seen: set[int] = set()
    while pending:
        path, item = pending.pop(0)
        if isinstance(item, Tensor):
            found[path] = item
            continue
        if id(item) in seen or isinstance(item, (type, FunctionType, MethodType, ModuleType)):
            continue
        seen.add(id(item))
        children = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, (list, tuple)) else (
            getattr(item, "__dict__", {}).items())
        pending.extend((f"{path}.{key}" if path else str(key), child) for key, child in children)
    return found


def _mark(node: Node) -> Node:
    """A view of ``node`` that is no other node."""
    source = node.operands[0] if node.op.name == "stop_gradient" else node
    with ir.tagged(next(_serial)):
        return ir.stop_gradient(source)


def _gradients(value: Any, marks: Sequence[Node]) -> list[Node]:
    if not isinstance(value, Tensor) or not value.dtype.is_float or ir.product(value.shape) != 1:
        raise TypeError(f"grad needs a function that returns a floating-point scalar, got {value!r}; use .sum() or "
                        ".mean()")
    found = ir.gradient([value.node], [ir.constant(1, value.dtype, value.shape)], list(marks))
    return [ir.constant(0, mark.dtype, mark.shape) if grad is None else grad
            for mark, grad in zip(marks, found, strict=True)]
