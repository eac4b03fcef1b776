"""scatter: rows combined into a tensor at numbered places; the transpose of gather."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ir import ops
from ir.dtype import dtypes
from ir.node import Node, TensorType, make_node
from ir.op import Op, rejected
from ir.ops.constant import constant, constant_like
from ir.ops.gather import check_index, flattened
from ir.symbolic import product

MODES = ("add", "set", "max", "min")


class ScatterAttributes(NamedTuple):
    batch: int
    mode: str


class Scatter(Op):
    """``scatter(x, index, updates, batch=0, mode="add")``: updates[b.., i.., s..] combined into x[b.., index, s..].

    x: [b.., n, s..], index: [b.., i..] of integers, updates: [b.., i.., s..]. Updates are taken in row-major order: for
    mode "set" the last one wins, and sums are formed in that order (of 16-bit floats in float32), so results are
    reproducible. An index outside [0, n) drops its update.

        >>> scatter(zeros, tokens, rows)        # zeros: float32[9, 4], tokens: int32[5], rows: float32[5, 4]
        <scatter float32[9, 4]>

    Gradient: with max and min, x and the updates that attain the extreme share the cotangent equally.
    """

    name = "scatter"
    Attributes = ScatterAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        x, index, updates = operands
        batch, mode = attributes
        if mode not in MODES:
            raise rejected("scatter", operands, f"a mode among {', '.join(MODES)}", f"given {mode!r}")
        check_index("scatter", operands, batch)
        expected = (*index.shape, *x.shape[batch + 1:])
        if updates.shape != expected or updates.dtype is not x.dtype:
            raise rejected("scatter", operands, f"updates {x.dtype.name}{list(expected)}",
                           "expand or cast the updates first")
        if x.dtype.is_bool and mode == "add":
            raise rejected("scatter", operands, "numbers to add", "mode 'max' of bool is or")
        return x.type

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        x, index, updates = node.operands
        batch, mode = node.attributes
        arriving = ops.gather(cotangent, index, batch)
        if mode == "add":
            return cotangent, None, arriving
        if mode == "set":
            kept = scatter(cotangent, index, constant_like(updates, 0), batch, "set")
            return kept, None, ops.where(_wins(node), arriving, constant_like(updates, 0))
        attains, winners = ops.equal(x, node), ops.equal(updates, ops.gather(node, index, batch))
        count = scatter(ops.cast(attains, x.dtype), index, ops.cast(winners, x.dtype), batch)
        share = ops.div(cotangent, count)
        to_updates = ops.where(winners, ops.gather(share, index, batch), constant_like(updates, 0))
        return ops.where(attains, share, constant_like(x, 0)), None, to_updates

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        x, index, updates = operands
        batch, mode = node.attributes
        rows, position, inside = flattened(x, index, batch)
        result = rows.astype(node.dtype.computed)
        values = np.asarray(updates).reshape(*position.shape, rows.shape[2])
        batches, columns = np.nonzero(inside)
        places = (batches, position[batches, columns])
        combine = {"add": np.add, "max": np.maximum, "min": np.minimum}.get(mode)
        if combine is None:
            result[places] = values[batches, columns]
        else:
            combine.at(result, places, values[batches, columns].astype(result.dtype))
        return node.dtype.rounded(result).reshape(node.shape)


SCATTER = Scatter()


def scatter(x: Node, index: Node, updates: Node, batch: int = 0, mode: str = "add") -> Node:
    """``x`` with ``updates`` combined in at the places that ``index`` names along axis ``batch``. See ``Scatter``."""
    return make_node(SCATTER, (x, index, updates), ScatterAttributes(batch, mode))


def _wins(node: Node) -> Node:
    """For mode "set": whether each element of the updates is the one that stayed."""
    x, index, updates = node.operands
    batch = node.attributes.batch
    count = product(index.shape[batch:])
    order = ops.reshape(ops.iota(count), (*(1,) * batch, *index.shape[batch:]))
    order = ops.expand(order, index.shape)
    last = scatter(constant(-1, dtypes.int32, x.shape[:batch + 1]), index, order, batch, "max")
    wins = ops.equal(ops.gather(last, index, batch), order)
    trailing = updates.shape[len(index.shape):]
    return ops.expand(ops.reshape(wins, (*index.shape, *(1,) * len(trailing))), updates.shape)
