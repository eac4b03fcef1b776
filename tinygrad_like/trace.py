"""Tracing: running a function once on stand-ins for its arguments, to learn the graph of everything it does.

What a function does is more than what it returns: it assigns to tensors from outside, leaves gradients and other new
tensors behind, and draws random numbers. A ``Trace`` notes all of it, and puts the world back as it was.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import ir
from ir import Node
from tinygrad_like.tensor import Tensor, live, realization
from tinygrad_like.tensor.base import TensorBase
from tinygrad_like.tensor.random_state import RandomStream


class JitError(RuntimeError):
    """Something that a function does cannot be part of a compiled program."""


class Argument(NamedTuple):
    """The handle of the buffer that stands for argument ``number`` while a function is traced."""

    number: int

    def __repr__(self) -> str:
        return f"argument {self.number}"


class Before(NamedTuple):
    """A tensor of the outside world as it was when the trace began."""

    tensor: TensorBase
    node: Node
    grad: Tensor | None
    symbols: dict[str, int] | None


class Trace:
    """One run of a function on stand-ins.

    outside: the tensors that lived before, by identity. unbacked: those that were assigned to without being in memory.
    graded: those that backward looked at the gradients of. draws: how many random words each stream has given.
    """

    def __init__(self) -> None:
        bring_to_memory()
        self.outside = {id(tensor): Before(tensor, tensor.node, tensor.grad, tensor.symbols)
                        for tensor in live.tensors()}
        self.unbacked: list[TensorBase] = []
        self.graded: set[int] = set()
        self.draws: dict[RandomStream, int] = {}

    def run(self, function: Callable[..., Any], arguments: Sequence[Any], keywords: dict[str, Any]) -> Any:
        """Runs the function; if it raises, the world is put back before the error leaves."""
        try:
            with live.tracing(self):
                return function(*arguments, **keywords)
        except BaseException:
            self.restore()
            raise

    # ------------------------------------------------------------------------------------------- what tensors report

    def reading_error(self) -> JitError:
        """The error for reading a value."""
        location = ir.node.user_location()
        return JitError(f"{location or 'here'}: a value is read while jit traces the function, but no values exist "
                        "yet: numpy(), item(), tolist() and the like belong outside, on what the function returns; to "
                        "choose between values inside use .where(...)")

    def before_store(self, tensor: TensorBase) -> None:
        """``tensor`` is about to be assigned to."""
        if id(tensor) in self.outside and not tensor._in_memory() and tensor._origin is None:
            self.unbacked.append(tensor)

    def draw(self, stream: RandomStream, words: int) -> int:
        """The offset of ``words`` random words from where the stream will be when the program runs."""
        offset = self.draws.get(stream, 0)
        self.draws[stream] = offset + words
        return offset

    # ------------------------------------------------------------------------------------------- what has happened

    def changed(self) -> list[Before]:
        """The tensors of the outside world that stand for something else now."""
        return [before for before in self.outside.values() if before.tensor.node is not before.node]

    def regraded(self) -> list[Before]:
        """Those that have another gradient than before, or had one."""
        return [before for before in self.outside.values()
                if before.grad is not None or before.tensor.grad is not None]

    def left_behind(self, known: Iterable[TensorBase]) -> list[TensorBase]:
        """New tensors that outlive the function and depend on memory, apart from the ``known`` ones."""
        excluded = {id(tensor) for tensor in known} | set(self.outside)
        if self._survivors(excluded):
            gc.collect()  # some may only be held by cycles
        return self._survivors(excluded)

    def _survivors(self, excluded: set[int]) -> list[TensorBase]:
        return [tensor for tensor in live.tensors() if id(tensor) not in excluded and not _is_settled(tensor)]

    def restore(self, gradients: bool = True) -> None:
        """Every tensor of the outside world stands for what it stood for before (and has its gradient of then)."""
        for tensor, node, grad, symbols in self.outside.values():
            if tensor.node is not node:
                tensor.node, tensor.symbols = node, symbols
                tensor._value = None
            if gradients and tensor.grad is not grad:
                tensor.grad = grad


def bring_to_memory(tensors: Sequence[TensorBase] | None = None) -> None:
    """Computes the given tensors (all living ones) but for expressions of constants, which a program computes itself.

    Random numbers that were drawn outside must be the same in every call, and pending assignments must happen once.
    Remnants of a trace that failed cannot be computed and are passed over.
    """
    waiting = live.tensors() if tensors is None else tensors
    realization.realize([tensor for tensor in waiting
                         if not _is_settled(tensor) and realization.is_computable(tensor.node)])


def _is_worth_memory(node: Node) -> bool:
    """Whether the value depends on memory, or is asked to have some."""
    return any(n.op.name in ("buffer", "contiguous", "assign") for n in ir.topological_order([node]))


def _is_settled(tensor: TensorBase) -> bool:
    """Whether nothing has to be computed: in memory, or constant."""
    return live.is_buffer(tensor.node) or not _is_worth_memory(tensor.node)
