"""Where the SCRATCH buffers of a function live: on the stack when they are small, else in the thread's workspace.

Buffers of bodies that follow each other share memory; a buffer lives until the end of the body that allocates it.
"""

from __future__ import annotations

from typing import NamedTuple

from codegen import loops
from codegen.llvm.types import REPRESENTATIONS

STACK_BYTES = 16 * 1024  # of all buffers together; more goes to the workspace
_LINE = 64


class ScratchLayout(NamedTuple):
    """The byte offset of every SCRATCH buffer, and the bytes that they take together."""

    offsets: dict[str, int]
    nbytes: int

    @property
    def on_stack(self) -> bool:
        return self.nbytes <= STACK_BYTES


def scratch_layout(function: loops.Function) -> ScratchLayout:
    """Offsets (multiples of 64), depth first: a body begins where the buffers of the bodies around it end.

    Raises ValueError for two buffers of the same name, which dumps and emitters could not tell apart.
    """
    offsets: dict[str, int] = {}
    highest = 0
    pending: list[tuple[list[loops.LoopStatement], int]] = [(function.body, 0)]
    while pending:
        body, base = pending.pop()
        inner: list[list[loops.LoopStatement]] = []
        for statement in body:
            if isinstance(statement, loops.Allocate):
                buffer = statement.buffer
                if buffer.name in offsets:
                    raise ValueError(f"function {function.name!r} allocates scratch buffer {buffer.name!r} twice")
                offsets[buffer.name] = base
                nbytes = buffer.size * REPRESENTATIONS[buffer.dtype.name].itemsize
                base += -(-nbytes // _LINE) * _LINE
            elif isinstance(statement, loops.For):
                inner.append(statement.body)
            elif isinstance(statement, loops.If):
                inner.extend((statement.then, statement.otherwise))
        highest = max(highest, base)
        pending.extend((statements, base) for statements in inner)
    return ScratchLayout(offsets, highest)


def scratch_bytes(function: loops.Function) -> int:
    """The bytes that each thread's workspace must have for ``function``: 0 where the stack is enough."""
    layout = scratch_layout(function)
    return 0 if layout.on_stack else layout.nbytes
