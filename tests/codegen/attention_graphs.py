"""Graphs of attention from plain ops, with masks of every kind, forward and backward."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import schedule_models as models

import ir
from ir import Node, dtypes

Mask = Callable[[Node], Node]


def contracted(left: Node, right: Node, summed: str) -> Node:
    """[b, h, i, j] from [b, h, i, d] and [b, h, j, d] ("last"), or [b, h, i, e] from [b, h, i, j], [b, h, j, e]."""
    batch, heads, rows, _ = left.shape
    if summed == "last":
        a = ir.reshape(left, (batch, heads, rows, 1, left.shape[3]))
        return ir.reduce("sum", models.mul(a, ir.reshape(right, (batch, heads, 1, *right.shape[2:]))), (4,))
    a = ir.reshape(left, (*left.shape, 1))
    return ir.reduce("sum", models.mul(a, ir.reshape(right, (batch, heads, 1, *right.shape[2:]))), (3,))


def places(scores: Node) -> tuple[Node, Node]:
    """The row and the column of every score."""
    rows, columns = scores.shape[2:]
    return models.both(ir.reshape(ir.iota(rows), (rows, 1)), ir.iota(columns))


def where_inside(inside: Node, scores: Node) -> Node:
    return ir.where(models.broadcast(inside, scores.shape), scores, ir.constant_like(scores, -math.inf))


def causal(scores: Node) -> Node:
    row, column = places(scores)
    return where_inside(ir.less_equal(column, row), scores)


def window(scores: Node, length: int = 9) -> Node:
    """Causal, and only the last ``length`` keys."""
    row, column = places(scores)
    recent = ir.less(ir.sub(row, column), ir.constant_like(row, length))
    return where_inside(ir.bit_and(ir.less_equal(column, row), recent), scores)


MASKS: dict[str, Mask] = {"full": lambda scores: scores, "causal": causal, "window": window}


def attention(q: Node, k: Node, v: Node, mask: Mask) -> Node:
    """softmax(mask(q k^T / sqrt(d))) v for [b, h, i, d], [b, h, j, d] and [b, h, j, e]."""
    scores = models.mul(contracted(q, k, "last"), q.shape[3] ** -0.5)
    weights = models.softmax(mask(scores))
    return contracted(weights, v, "keys")


def inputs(batch: int, heads: int, rows: int, keys: int, depth: int, width: int,
           dtype: ir.DType = dtypes.float32) -> tuple[Node, Node, Node]:
    shapes = (rows, depth), (keys, depth), (keys, width)
    q, k, v = (models.buffer(batch, heads, *shape, dtype=dtype) for shape in shapes)
    return q, k, v


def slopes(result: Node, wanted: Sequence[Node]) -> list[Node]:
    """Gradients of the sum of squares."""
    loss = ir.reduce("sum", ir.mul(result, result), tuple(range(len(result.shape))))
    return models.gradients(loss, list(wanted))
