"""Small graphs that between them use every strategy of the CUDA code generator: (builder, shapes or arrays)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from test_end_to_end import (
    ELEMENTWISE,
    VIEWS,
    convolution,
    gelu,
    layernorm,
    matmul,
    mean,
    softmax,
    spread,
    total,
    with_gradients,
)

import ir
from ir import DType, Node, dtypes


class Case(NamedTuple):
    """What is built, from nodes that hold ``arrays``. ``dtype``: of float32 arrays, where the device holds another."""

    build: Callable[..., Any]
    arrays: tuple[Any, ...]
    dtype: DType | None = None


_random = np.random.default_rng(7)


def normal(*shape: int) -> Any:
    return _random.standard_normal(shape).astype(np.float32)


def integers(low: int, high: int, *shape: int) -> Any:
    return _random.integers(low, high, shape).astype(np.int32)


def swap(x: Node) -> Node:
    order = list(range(len(x.shape)))
    order[-2:] = order[:-3:-1]
    return ir.permute(x, order)


def _attention(q: Node, k: Node, v: Node) -> Node:
    scores = matmul(q, swap(k))
    rows, columns = (spread(ir.iota(scores.shape[-1]), scores.shape, [axis]) for axis in (2, 3))
    masked = ir.where(ir.less_equal(columns, rows), ir.mul(scores, ir.constant_like(scores, 0.25)),
                      ir.constant_like(scores, float("-inf")))
    return matmul(softmax(masked, 3), v)


def _cross_entropy(logits: Node, labels: Node) -> Node:
    return ir.neg(mean(ir.log(ir.gather(softmax(logits, 1), labels, batch=1)), 0))


def _biased_gelu(x: Node, w: Node, bias: Node) -> Node:
    y = matmul(ir.exp(x), w)
    return gelu(ir.add(y, spread(bias, y.shape, [1])))


def _pooling(x: Node) -> Node:
    for axis in (2, 4):
        x = ir.window(x, axis, 2, 2, 1, 0, 0, 0.0)
    return ir.reduce("max", x, (3, 5))


def _network_and_update(x: Node, w: Node, bias: Node, v: Node) -> list[Node]:
    hidden = matmul(x, w)
    hidden = ir.maximum(ir.add(hidden, spread(bias, hidden.shape, [1])), ir.constant_like(hidden, 0.0))
    loss = total(ir.mul(matmul(hidden, v), matmul(hidden, v)))
    gradients = ir.gradient([loss], [ir.constant(1.0, dtypes.float32)], [w, bias, v])
    return [loss, *[ir.assign(p, ir.sub(p, ir.mul(g, ir.constant_like(g, 1e-3))))
                    for p, g in zip((w, bias, v), gradients, strict=True)]]


def _sums(x: Node) -> list[Node]:
    return [ir.reduce("sum", x, (0,)), ir.reduce("sum", x, (1,)), ir.reduce("max", x, (0, 1))]


def _cumulative(start: Node, xs: Node) -> Sequence[Node]:
    carry, x = (ir.parameter(number, dtypes.float32, start.shape) for number in (0, 1))
    body = ir.Body((carry, x), (ir.add(carry, x), ir.add(carry, x)))
    return ir.results_of(ir.scan(body, [start], [xs]))[:2]


def _normalised_in_place(x: Node) -> list[Node]:
    return [ir.assign(x, softmax(x, 1))]


_UNARY = ["exp", "tanh", "erf", "sin", "sqrt", "floor", "neg", "abs", "log"]

CASES: dict[str, Case] = {
    "elementwise": Case(lambda x: [ELEMENTWISE[name](ir.add(ir.abs(x), ir.constant_like(x, 0.5))) for name in _UNARY],
                        (normal(67),)),
    "packets": Case(lambda x, y, b: ir.add(ir.mul(x, y), spread(b, x.shape, [1])),
                    (normal(72, 64), normal(72, 64), normal(64))),
    "packets of bfloat16": Case(lambda x: ir.add(x, x), (normal(72, 64),), dtypes.bfloat16),
    **{f"view: {name}": Case(with_gradients(lambda x, view=view: view(ir.mul(x, x))), (normal(4, 5, 6),))
       for name, view in VIEWS.items()},
    **{f"{monoid} over {axes}": Case(lambda x, m=monoid, a=axes: ir.reduce(m, x, a), (normal(7, 33, 20),))
       for monoid in ("sum", "max", "argmax") for axes in ((0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2))},
    "reductions of float16": Case(lambda x: [ir.reduce(m, x, (1,)) for m in ("sum", "max", "argmin")],
                                  (normal(9, 70).astype(np.float16),)),
    "long rows": Case(_sums, (normal(3, 20_000),)),
    "long columns": Case(_sums, (normal(20_000, 3),)),
    "wide columns": Case(_sums, (normal(300, 130),)),
    **{f"softmax over {axis}": Case(with_gradients(lambda x, axis=axis: softmax(x, axis)), (normal(9, 20, 33),))
       for axis in (0, 1, 2)},
    "softmax of a long row": Case(lambda x: softmax(x, 1), (normal(3, 14_000),)),
    "softmax in place": Case(_normalised_in_place, (normal(20, 70),)),
    "layernorm": Case(with_gradients(layernorm), (normal(40, 96), normal(96), normal(96))),
    "sorts": Case(lambda x: [ir.argsort(x, 1), ir.argsort(x, 0, True), ir.argsort(x, 1, True, 5)], (normal(20, 90),)),
    "cross-entropy": Case(with_gradients(_cross_entropy), (normal(40, 50), integers(0, 50, 40))),
    "cross-entropy of a long row": Case(with_gradients(_cross_entropy), (normal(5, 3000), integers(0, 3000, 5))),
    **{f"product {m}x{k}x{n}": Case(with_gradients(matmul), (normal(m, k), normal(k, n)))
       for m, k, n in ((1, 1, 1), (3, 5, 7), (64, 64, 64), (70, 37, 65), (1, 256, 100), (17, 300, 1), (33, 20, 100))},
    "a long product": Case(matmul, (normal(40, 3000), normal(3000, 33))),
    "a' b": Case(with_gradients(lambda a, b: matmul(swap(a), b)), (normal(40, 33), normal(40, 20))),
    "a b'": Case(with_gradients(lambda a, b: matmul(a, swap(b))), (normal(33, 40), normal(20, 40))),
    "batched": Case(with_gradients(lambda a, b: matmul(swap(a), swap(b))),
                    (normal(2, 3, 30, 20), normal(2, 3, 17, 30))),
    "product of bfloat16": Case(matmul, (normal(24, 24), normal(24, 24)), dtypes.bfloat16),
    "prologue and epilogue": Case(with_gradients(_biased_gelu), (normal(50, 64), normal(64, 80), normal(80))),
    "convolution": Case(with_gradients(lambda x, w: convolution(x, w, padding=1)),
                        (normal(2, 5, 11, 12), normal(7, 5, 3, 3))),
    "strided convolution": Case(with_gradients(lambda x, w: convolution(x, w, stride=2, padding=1)),
                                (normal(2, 5, 11, 12), normal(7, 5, 3, 3))),
    "pooling": Case(with_gradients(_pooling), (normal(2, 3, 8, 10),)),
    "attention": Case(with_gradients(_attention), tuple(normal(2, 3, 24, 16) for _ in range(3))),
    "network and update": Case(_network_and_update, (normal(32, 20), normal(20, 48), normal(48), normal(48, 10))),
    "gather": Case(with_gradients(lambda t, i: ir.gather(t, i)), (normal(30, 8), integers(-3, 33, 4, 5))),
    **{f"scatter {mode}": Case(lambda x, i, u, mode=mode: ir.scatter(x, i, u, mode=mode),
                               (normal(12, 6), integers(-2, 14, 40), normal(40, 6)))
       for mode in ("add", "set", "max", "min")},
    "cumulative sum": Case(_cumulative, (normal(6), normal(20, 6))),
}
