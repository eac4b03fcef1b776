"""The tensors that exist, and the buffers in which values of the graph already lie.

Two rules need to know all living tensors. A tensor that was computed before an assignment keeps its value although the
memory it reads is overwritten: those that are not computed yet are computed in the same program, before the write. And
``jit`` must tell the tensors of the world outside from those that a function makes while it is traced.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from ir import BUFFER, Node

if TYPE_CHECKING:
    from tinygrad_like.tensor.base import TensorBase

_known: WeakKeyDictionary[Node, Node] = WeakKeyDictionary()
_boundaries: WeakKeyDictionary[Node, Node] = WeakKeyDictionary()
_trace: ContextVar[Any] = ContextVar("trace", default=None)


class _Epoch:
    """Counts what a compiled function cannot see: as long as it stands still, its buffers are where they were."""

    number = 0


def moved() -> None:
    """A tensor stands for another value now, got another gradient, or a lazy one was born."""
    _Epoch.number += 1


def epoch() -> int:
    """How often something has moved."""
    return _Epoch.number


class _Registry:
    """The tensors that were born, oldest first. The dead are swept out when they may be half of all."""

    def __init__(self) -> None:
        self.references: list[ref[TensorBase]] = []
        self._sweep_at = 1024
        self._lock = Lock()

    def add(self, tensor: TensorBase) -> None:
        self.references.append(ref(tensor))
        if len(self.references) > self._sweep_at:
            self.sweep()

    def sweep(self) -> None:
        """Forgets the dead, unless another thread is doing so."""
        if self._lock.acquire(blocking=False):
            count = len(self.references)  # other threads may add more meanwhile
            self.references[:count] = [known for known in self.references[:count] if known() is not None]
            self._sweep_at = 2 * len(self.references) + 1024
            self._lock.release()


_registry = _Registry()


def register(tensor: TensorBase) -> None:
    """Every tensor is registered at birth, by identity: tensors compare elementwise and cannot be in sets."""
    if tensor._node.op is not BUFFER:
        _Epoch.number += 1
    _registry.add(tensor)


def tensors() -> list[TensorBase]:
    """All living tensors, oldest registration first."""
    _registry.sweep()
    return [tensor for known in list(_registry.references) if (tensor := known()) is not None]


def is_buffer(node: Node) -> bool:
    """Whether the node is a value in memory."""
    return node.op is BUFFER


# ----------------------------------------------------------------------------------------------- values in memory


def record(node: Node, buffer: Node, boundary: bool) -> None:
    """Notes that ``buffer`` holds the value of ``node``, so that later graphs read it instead of computing it again.

    boundary: differentiation stops there too, as it does after ``realize``; reading with ``numpy`` keeps the history.
    """
    _known[node] = buffer
    if boundary:
        _boundaries[node] = buffer


def forget(buffers: Iterable[Node]) -> None:
    """Drops every note about buffers that are being overwritten, and about values that were computed from them: the
    same node, made again, means the value for the new contents."""
    overwritten = set(buffers)
    verdicts: dict[Node, bool] = {}
    stale = [node for node, buffer in _known.items()
             if buffer in overwritten or reads_memory(node, overwritten, verdicts)]
    for node in stale:
        _known.pop(node, None)
        _boundaries.pop(node, None)


def reads_memory(output: Node, buffers: Container[Node], verdicts: dict[Node, bool]) -> bool:
    """Whether the value of ``output`` depends on the contents of one of ``buffers``; fills ``verdicts`` on the way.

    An assignment that has run stands for the buffer that it wrote.
    """
    pending = [output]
    while pending:
        node = pending[-1]
        known = _known.get(node)
        if node in verdicts:
            pending.pop()
        elif is_buffer(node) or (known is not None and (known in buffers or node.op.name == "assign")):
            verdicts[node] = (known or node) in buffers
        else:
            missing = [operand for operand in node.operands if operand not in verdicts]
            pending.extend(missing)
            if not missing:
                verdicts[node] = any(verdicts[operand] for operand in node.operands)
    return verdicts[output]


def known_value(node: Node) -> Node | None:
    """The buffer that holds the value of ``node``, if one does."""
    return _known.get(node)


def boundary(node: Node) -> Node | None:
    """The buffer at which differentiation stops for ``node``, if it was realised."""
    return _boundaries.get(node)


# ----------------------------------------------------------------------------------------------- tracing


def current_trace() -> Any:
    """What ``jit`` is tracing right now, or None."""
    return _trace.get()


@contextmanager
def tracing(trace: Any) -> Iterator[None]:
    """Inside, nothing is computed: a function is being traced."""
    token = _trace.set(trace)
    try:
        yield
    finally:
        _trace.reset(token)
