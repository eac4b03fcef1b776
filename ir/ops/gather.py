"""gather: rows of a tensor by number; embedding, indexing and picking one class per row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ir import ops
from ir.node import Node, TensorType, make_node
from ir.op import Op, rejected
from ir.ops.constant import constant, constant_value


class GatherAttributes(NamedTuple):
    batch: int


class Gather(Op):
    """``gather(x, index, batch=0)``: out[b.., i.., s..] = x[b.., index[b.., i..], s..].

    x: [b.., n, s..], index: [b.., i..] of any integer dtype, with ``batch`` shared leading axes b; the result has the
    shape of index followed by s. An index outside [0, n) yields 0 (there is no counting from the end).

        >>> gather(table, tokens)                           # table: float32[50257, 768], tokens: int32[4, 64]
        <gather float32[4, 64, 768]>
        >>> gather(logits, labels, batch=1)                 # logits: float32[32, 10], labels: int32[32]
        <gather float32[32]>

    Gradient: where(iota == index, g, 0) if there is one index a row, as in the last example, else a scatter-add.
    """

    name = "gather"
    Attributes = GatherAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        x, index = operands
        check_index("gather", operands, attributes.batch)
        return TensorType(x.dtype, (*index.shape, *x.shape[attributes.batch + 1:]))

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        x, index = node.operands
        batch = node.attributes.batch
        if len(index.shape) == batch:
            return _place(cotangent, index, x), None
        return ops.scatter(constant(0, x.dtype, x.shape), index, cotangent, batch), None

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        x, index = operands
        batch = node.attributes.batch
        rows, position, inside = flattened(x, index, batch)
        if rows.shape[1] == 0:
            return np.zeros(node.shape, rows.dtype)
        found = rows[np.arange(rows.shape[0])[:, None], np.where(inside, position, 0)]
        return np.where(inside[:, :, None], found, np.zeros((), rows.dtype)).reshape(node.shape)


GATHER = Gather()


def gather(x: Node, index: Node, batch: int = 0) -> Node:
    """The parts of ``x`` along axis ``batch`` that ``index`` names; 0 for a number outside. See ``Gather``."""
    node = make_node(GATHER, (x, index), GatherAttributes(batch))
    return constant(0, x.dtype, node.shape) if constant_value(x) == 0 else node


def check_index(operation: str, operands: tuple[Node, ...], batch: int) -> None:
    """Raises GraphError unless operands (x, index, ..) share their first ``batch`` axes and index is of integers."""
    x, index = operands[:2]
    if not index.dtype.is_integer:
        raise rejected(operation, operands, "an integer index", "cast the index; a bool mask selects with where")
    if not 0 <= batch < len(x.shape) or batch > len(index.shape):
        raise rejected(operation, operands, f"0 <= batch < {len(x.shape)} and batch <= {len(index.shape)}",
                       f"given batch={batch}")
    if x.shape[:batch] != index.shape[:batch]:
        raise rejected(operation, operands, f"equal first {batch} axes", "expand the index or x over them")


def flattened(x: Any, index: Any, batch: int) -> tuple[Any, Any, Any]:
    """x as [batch, n, row], index as [batch, count], and whether each index is inside [0, n)."""
    x, index = np.asarray(x), np.asarray(index)
    batches = int(np.prod(x.shape[:batch], dtype=np.int64))
    row = int(np.prod(x.shape[batch + 1:], dtype=np.int64))
    count = int(np.prod(index.shape[batch:], dtype=np.int64))
    position = index.reshape(batches, count)
    inside = (position >= 0) & (position < x.shape[batch])
    return x.reshape(batches, x.shape[batch], row), np.where(inside, position, 0).astype(np.int64), inside


def _place(cotangent: Node, index: Node, x: Node) -> Node:
    """Zeros like ``x`` with the cotangent of each row at the row's index."""
    batch, trailing = len(index.shape), (1,) * (len(x.shape) - len(index.shape) - 1)
    length = x.shape[batch]
    numbers = ops.cast(ops.iota(length), index.dtype) if _counts_to(index, length) else None
    if numbers is None:  # an index type too narrow to count the axis: compare in int32
        index, numbers = ops.cast(index, ops.iota(length).dtype), ops.iota(length)
    numbers = ops.expand(ops.reshape(numbers, (*(1,) * batch, length, *trailing)), x.shape)
    chosen = ops.expand(ops.reshape(index, (*index.shape, 1, *trailing)), x.shape)
    spread = ops.reshape(cotangent, (*cotangent.shape[:batch], 1, *cotangent.shape[batch:]))
    return ops.where(ops.equal(numbers, chosen), ops.expand(spread, x.shape), constant(0, x.dtype, x.shape))


def _counts_to(index: Node, length: Any) -> bool:
    """Whether the index's type holds every position (a symbolic length is compared by its bound)."""
    return bool(getattr(length, "high", length) <= int(index.dtype.maximum))
