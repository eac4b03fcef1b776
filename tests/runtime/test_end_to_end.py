"""Graphs from construction to native code: every op and the compositions networks are made of, vs the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import ir
from ir import ELEMENTWISE, DType, Node, dtypes

Agree = Callable[..., list[np.ndarray]]
FLOATS = [dtypes.float32, dtypes.float64, dtypes.float16, dtypes.bfloat16]
INTEGERS = [dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64, dtypes.uint8, dtypes.uint16, dtypes.uint32,
            dtypes.uint64]


@pytest.fixture
def normal(rng: np.random.Generator) -> Callable[..., np.ndarray]:
    return lambda *shape: rng.standard_normal(shape).astype(np.float32)


# ---------------------------------------------------------------------------------------- compositions, as helpers


def spread(x: Node, shape: Sequence[int], axes: Sequence[int]) -> Node:
    """``x`` over the axes ``axes`` of ``shape``, repeated along the others."""
    sizes = [1] * len(shape)
    for size, axis in zip(x.shape, axes, strict=True):
        sizes[axis] = size
    return ir.expand(ir.reshape(x, sizes), shape)


def matmul(a: Node, b: Node) -> Node:
    """[.., m, k] x [.., k, n]; equal leading axes."""
    *batch, m, k = a.shape
    n = b.shape[-1]
    shape, lead = (*batch, m, k, n), list(range(len(batch)))
    rank = len(batch)
    left = spread(a, shape, [*lead, rank, rank + 1])
    right = spread(b, shape, [*lead, rank + 1, rank + 2])
    return ir.reduce("sum", ir.mul(left, right), (rank + 1,))


def mean(x: Node, axis: int) -> Node:
    total = ir.reduce("sum", x, (axis,))
    return ir.mul(total, ir.constant_like(total, 1.0 / x.shape[axis]))


def along(x: Node, like: Node, axis: int) -> Node:
    """A value per row, beside every element of the row."""
    return spread(x, like.shape, [a for a in range(len(like.shape)) if a != axis])


def softmax(x: Node, axis: int) -> Node:
    weights = ir.exp(ir.sub(x, along(ir.reduce("max", x, (axis,)), x, axis)))
    return ir.div(weights, along(ir.reduce("sum", weights, (axis,)), x, axis))


def layernorm(x: Node, scale: Node, shift: Node) -> Node:
    axis = len(x.shape) - 1
    centred = ir.sub(x, along(mean(x, axis), x, axis))
    variance = mean(ir.mul(centred, centred), axis)
    normal = ir.mul(centred, along(ir.rsqrt(ir.add(variance, ir.constant_like(variance, 1e-5))), x, axis))
    return ir.add(ir.mul(normal, spread(scale, x.shape, [axis])), spread(shift, x.shape, [axis]))


def gelu(x: Node) -> Node:
    half = ir.mul(x, ir.constant_like(x, 0.5))
    return ir.mul(half, ir.add(ir.erf(ir.mul(x, ir.constant_like(x, 0.5**0.5))), ir.constant_like(x, 1.0)))


def convolution(x: Node, w: Node, stride: int = 1, padding: int = 0, dilation: int = 1) -> Node:
    """[n, c, h, w] with [o, c, kh, kw]."""
    for axis, size in ((2, w.shape[2]), (4, w.shape[3])):
        x = ir.window(x, axis, size, stride, dilation, padding, padding, 0.0)  # [n, c, oh, kh, ow, kw]
    n, c, oh, kh, ow, kw = x.shape
    shape = (n, w.shape[0], oh, ow, c, kh, kw)
    taps = spread(ir.permute(x, (0, 2, 4, 1, 3, 5)), shape, [0, 2, 3, 4, 5, 6])
    return ir.reduce("sum", ir.mul(taps, spread(w, shape, [1, 4, 5, 6])), (4, 5, 6))


def total(x: Node) -> Node:
    return ir.reduce("sum", x, tuple(range(len(x.shape))))


def with_gradients(build: Callable[..., Node]) -> Callable[..., list[Node]]:
    """The value, and its gradients weighted by its own values."""

    def both(*inputs: Node) -> list[Node]:
        value = build(*inputs)
        wanted = [x for x in inputs if x.dtype.is_float]
        gradients = ir.gradient([value], [ir.stop_gradient(value)], wanted)
        return [value, *(g for g in gradients if g is not None)]

    return both


# --------------------------------------------------------------------------------------------------- elementwise


def domain(name: str, dtype: DType, count: int, rng: np.random.Generator) -> np.ndarray:
    """Operands on which the op is defined."""
    if dtype.is_bool:
        return rng.integers(0, 2, count).astype(bool)
    if dtype.is_integer:
        return rng.integers(1 if name in ("truncdiv", "mod", "floordiv", "pow") else 0, 7, count).astype(dtype.numpy)
    positive = name in ("sqrt", "rsqrt", "log", "log2", "pow", "reciprocal", "div", "mod", "floordiv", "truncdiv")
    values = rng.uniform(0.25, 4.0, count) if positive else rng.uniform(-4.0, 4.0, count)
    return values.astype(np.float32 if dtype is dtypes.bfloat16 else dtype.numpy)


def accepted(name: str, dtype: DType) -> bool:
    """Whether the op takes operands of this dtype."""
    op = ELEMENTWISE[name]
    try:
        op(*(ir.parameter(i, dtype, (2,)) for i in range(arity(name))))
    except (ir.GraphError, TypeError):
        return False
    return True


def arity(name: str) -> int:
    for count in (1, 2):
        for dtype in (dtypes.float32, dtypes.int32, dtypes.bool):
            try:
                ELEMENTWISE[name](*(ir.parameter(i, dtype, (2,)) for i in range(count)))
            except (ir.GraphError, TypeError):
                continue
            return count
    return 0


PLAIN = [name for name in ELEMENTWISE if arity(name) and name not in ("random_bits",)]


@pytest.mark.parametrize("dtype", [dtypes.bool, *INTEGERS, *FLOATS], ids=str)
def test_elementwise_ops_of_every_dtype(agree: Agree, rng: np.random.Generator, dtype: DType) -> None:
    names = [name for name in PLAIN if accepted(name, dtype)]
    groups = {False: [n for n in names if n not in POSITIVE], True: [n for n in names if n in POSITIVE]}
    for positive, group in groups.items():
        if group:
            data = [domain("log" if positive else "add", dtype, 67, rng) for _ in range(2)]
            if dtype.is_integer:
                data = [domain("mod", dtype, 67, rng) for _ in range(2)]
            agree(lambda x, y, group=group: [ELEMENTWISE[n](*(x, y)[:arity(n)]) for n in group], *data, dtype=dtype)


POSITIVE = {"sqrt", "rsqrt", "log", "log2", "pow", "reciprocal", "div", "mod", "floordiv", "truncdiv"}


@pytest.mark.parametrize("source", [dtypes.bool, *INTEGERS, *FLOATS], ids=str)
def test_casts_from_every_dtype(agree: Agree, rng: np.random.Generator, source: DType) -> None:
    data = domain("add", source, 33, rng)
    if source.is_float:
        data = np.abs(data)
    agree(lambda x: [ir.cast(x, target) for target in [dtypes.bool, *INTEGERS, *FLOATS] if target is not source], data,
          dtype=source)


def test_special_values(agree: Agree) -> None:
    data = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, 3e38, -1.5, 88.0, 100.0, -100.0, 1e-5], np.float32)
    names = ["exp", "exp2", "log", "log2", "sqrt", "rsqrt", "tanh", "erf", "sin", "cos", "neg", "abs", "floor", "ceil",
             "trunc", "round", "reciprocal"]
    agree(lambda x: [ELEMENTWISE[name](x) for name in names], data)
    agree(lambda x, y: [f(x, y) for f in (ir.maximum, ir.minimum, ir.less, ir.equal, ir.not_equal, ir.less_equal)],
          data, data[::-1].copy())
    agree(lambda x: [ir.reduce(monoid, x, (0,)) for monoid in ("max", "min", "sum", "argmax", "argmin")], data)


def test_selection_and_random_bits(agree: Agree, rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((2, 50)).astype(np.float32)
    agree(lambda x, y: ir.where(ir.less(x, y), x, ir.neg(y)), x, y)
    key = ir.constant(1234567890123, dtypes.uint64, (1000,))
    agree(lambda: ir.random_bits(ir.iota(1000, dtypes.uint64), key))


def test_a_long_chain_is_one_program(agree: Agree) -> None:
    def chain(x: Node) -> Node:
        for i in range(2000):
            x = ir.neg(x) if i % 2 else ir.add(x, ir.constant_like(x, 0.001))
        return x

    agree(chain, np.ones(4, np.float32))


# --------------------------------------------------------------------------------------------------------- views


VIEWS: dict[str, Callable[[Node], Any]] = {
    "reshape": lambda x: ir.reshape(x, (4, 30)),
    "permute": lambda x: ir.permute(x, (2, 0, 1)),
    "permute of a reshape": lambda x: ir.permute(ir.reshape(x, (5, 24)), (1, 0)),
    "expand": lambda x: ir.expand(ir.reshape(x, (4, 1, 5, 6)), (4, 3, 5, 6)),
    "pad": lambda x: ir.pad(x, ((1, 0), (0, 2), (3, 3)), fill=1.5),
    "slice": lambda x: ir.slice(x, ((1, 4, 2), (0, 5, 3), (2, 5, 1))),
    "flip": lambda x: ir.flip(x, (0, 2)),
    "concat": lambda x: ir.concat([x, ir.neg(x), ir.slice(x, ((0, 4, 1), (1, 3, 1), (0, 6, 1)))], 1),
    "window": lambda x: ir.window(x, 2, 3, 2, 1, 1, 1, 0.0),
    "dilated window": lambda x: ir.window(x, 1, 2, 1, 2, 2, 0, -1.0),
    "skew": lambda x: ir.skew(x, 1, 2, 8, 1, 0),
    "pad of a slice of a flip": lambda x: ir.pad(ir.slice(ir.flip(x, (1,)), ((0, 4, 1), (1, 4, 2), (0, 6, 1))),
                                                 ((0, 0), (1, 1), (0, 0))),
    "reshape of a pad": lambda x: ir.reshape(ir.pad(x, ((0, 0), (0, 1), (0, 0))), (12, 12)),
    "reshape of a flip": lambda x: ir.reshape(ir.flip(x, (2,)), (8, 15)),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views(agree: Agree, normal: Any, name: str) -> None:
    view = VIEWS[name]
    agree(view, normal(4, 5, 6))
    agree(lambda x: ir.contiguous(view(ir.exp(x))), normal(4, 5, 6))
    agree(lambda x: ir.reduce("sum", view(ir.mul(x, x)), (0,)), normal(4, 5, 6))
    agree(with_gradients(lambda x: view(ir.mul(x, x))), normal(4, 5, 6))


# ---------------------------------------------------------------------------------------------------- reductions


@pytest.mark.parametrize("monoid", ["sum", "prod", "max", "min", "argmax", "argmin"])
@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)], ids=str)
def test_reductions_over_any_axes(agree: Agree, normal: Any, monoid: str, axes: tuple[int, ...]) -> None:
    agree(lambda x: ir.reduce(monoid, x, axes), normal(7, 33, 20))


@pytest.mark.parametrize("dtype", [dtypes.bool, *INTEGERS, *FLOATS], ids=str)
def test_reductions_of_every_dtype(agree: Agree, rng: np.random.Generator, dtype: DType) -> None:
    data = domain("add", dtype, 300, rng).reshape(20, 15)
    monoids = ["max", "min", "argmax", *([] if dtype.is_bool else ["sum", "prod"])]
    agree(lambda x: [ir.reduce(monoid, x, (1,)) for monoid in monoids], data, dtype=dtype)


@pytest.mark.parametrize("shape", [(1, 1), (3, 70_000), (70_000, 3), (1000, 1000), (1, 262_144)], ids=str)
def test_long_reductions(agree: Agree, normal: Any, shape: tuple[int, int]) -> None:
    agree(lambda x: [ir.reduce("sum", x, (0,)), ir.reduce("sum", x, (1,)), ir.reduce("sum", x, (0, 1)),
                     ir.reduce("max", x, (0, 1))], normal(*shape))


def test_ties_and_nan_in_argmax(agree: Agree) -> None:
    data = np.array([[1, 3, 3, 0], [np.nan, 5, np.nan, 9], [-0.0, 0.0, -0.0, 0.0]], np.float32)
    agree(lambda x: [ir.reduce(m, x, axes) for m in ("argmax", "argmin") for axes in ((0,), (1,), (0, 1))], data)


# -------------------------------------------------------------------------------------------------- contractions


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (64, 64, 64), (128, 100, 65), (1, 256, 100), (200, 1, 300),
                                   (17, 300, 1), (130, 257, 129)], ids=str)
def test_matrix_products(agree: Agree, normal: Any, shape: tuple[int, int, int]) -> None:
    m, k, n = shape
    agree(with_gradients(matmul), normal(m, k), normal(k, n))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_matrix_products_of_every_float(agree: Agree, rng: np.random.Generator, dtype: DType) -> None:
    a, b = (domain("add", dtype, 24 * 24, rng).reshape(24, 24) for _ in range(2))
    agree(matmul, a, b, dtype=dtype)


def test_transposed_and_batched_products(agree: Agree, normal: Any) -> None:
    def swap(x: Node) -> Node:
        order = list(range(len(x.shape)))
        order[-2:] = order[:-3:-1]
        return ir.permute(x, order)

    agree(with_gradients(lambda a, b: matmul(swap(a), b)), normal(40, 33), normal(40, 20))
    agree(with_gradients(lambda a, b: matmul(a, swap(b))), normal(33, 40), normal(20, 40))
    agree(with_gradients(matmul), normal(6, 20, 30), normal(6, 30, 17))
    agree(with_gradients(lambda a, b: matmul(swap(a), swap(b))), normal(2, 3, 30, 20), normal(2, 3, 17, 30))


def test_a_product_with_prologue_and_epilogue(agree: Agree, normal: Any) -> None:
    def build(x: Node, w: Node, bias: Node) -> Node:
        y = matmul(ir.exp(x), w)
        return gelu(ir.add(y, spread(bias, y.shape, [1])))

    agree(with_gradients(build), normal(50, 64), normal(64, 80), normal(80))


@pytest.mark.parametrize("options", [{}, {"padding": 1}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": 2},
                                     {"stride": 3}], ids=str)
def test_convolutions(agree: Agree, normal: Any, options: dict[str, int]) -> None:
    agree(with_gradients(lambda x, w: convolution(x, w, **options)), normal(2, 5, 11, 12), normal(7, 5, 3, 3))


def test_pooling(agree: Agree, normal: Any) -> None:
    def build(x: Node) -> Node:
        for axis in (2, 4):
            x = ir.window(x, axis, 2, 2, 1, 0, 0, 0.0)
        return ir.reduce("max", x, (3, 5))

    agree(with_gradients(build), normal(2, 3, 8, 10))


# -------------------------------------------------------------------------------------------------- compositions


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_softmax(agree: Agree, normal: Any, axis: int) -> None:
    agree(with_gradients(lambda x: softmax(x, axis)), normal(9, 20, 33))


def test_layernorm(agree: Agree, normal: Any) -> None:
    agree(with_gradients(layernorm), normal(6, 20, 96), normal(96), normal(96))


def test_attention(agree: Agree, normal: Any) -> None:
    def build(q: Node, k: Node, v: Node) -> Node:
        scores = matmul(q, ir.permute(k, (0, 1, 3, 2)))
        size = scores.shape[-1]
        rows, columns = (spread(ir.iota(size), scores.shape, [axis]) for axis in (2, 3))
        masked = ir.where(ir.less_equal(columns, rows), ir.mul(scores, ir.constant_like(scores, 0.25)),
                          ir.constant_like(scores, float("-inf")))
        return matmul(softmax(masked, 3), v)

    agree(with_gradients(build), *(normal(2, 3, 24, 16) for _ in range(3)))


def test_cross_entropy(agree: Agree, normal: Any, rng: np.random.Generator) -> None:
    def build(logits: Node, labels: Node) -> Node:
        chosen = ir.log(ir.gather(softmax(logits, 1), labels, batch=1))
        return ir.neg(mean(chosen, 0))

    agree(with_gradients(build), normal(40, 50), rng.integers(0, 50, 40).astype(np.int32))


def test_a_two_layer_network_and_its_update(agree: Agree, normal: Any) -> None:
    def build(x: Node, w: Node, bias: Node, v: Node) -> list[Node]:
        hidden = matmul(x, w)
        hidden = ir.maximum(ir.add(hidden, spread(bias, hidden.shape, [1])), ir.constant_like(hidden, 0.0))
        output = matmul(hidden, v)
        loss = total(ir.mul(output, output))
        gradients = ir.gradient([loss], [ir.constant(1.0, dtypes.float32)], [w, bias, v])
        rate = 1e-3
        updates = [ir.assign(p, ir.sub(p, ir.mul(g, ir.constant_like(g, rate))))
                   for p, g in zip((w, bias, v), gradients, strict=True)]
        return [loss, *updates]

    agree(build, normal(32, 20), normal(20, 48), normal(48), normal(48, 10))


# ---------------------------------------------------------------------------------------------- gather and scatter


def test_gather(agree: Agree, normal: Any, rng: np.random.Generator) -> None:
    table, index = normal(30, 8), rng.integers(-3, 33, (4, 5)).astype(np.int32)
    agree(with_gradients(lambda t, i: ir.gather(t, i)), table, index)
    agree(with_gradients(lambda t, i: ir.gather(t, i, batch=1)), normal(4, 9, 6), rng.integers(0, 9, (4, 5)))
    agree(with_gradients(lambda t, i: ir.gather(ir.exp(t), i)), table, index)


@pytest.mark.parametrize("mode", ["add", "set", "max", "min"])
def test_scatter(agree: Agree, normal: Any, rng: np.random.Generator, mode: str) -> None:
    index = rng.integers(-2, 14, 40).astype(np.int32)
    agree(lambda x, i, u: ir.scatter(x, i, u, mode=mode), normal(12, 6), index, normal(40, 6))
    agree(lambda x, i, u: ir.scatter(ir.neg(x), i, ir.exp(u), mode=mode), normal(12), index, normal(40))
    agree(lambda x, i, u: ir.scatter(x, i, u, batch=1, mode=mode), normal(3, 8), rng.integers(0, 8, (3, 5)),
          normal(3, 5))


# ---------------------------------------------------------------------------------------------------------- scans


def test_cumulative_sum(agree: Agree, normal: Any) -> None:
    carry, x = ir.parameter(0, dtypes.float32, (6,)), ir.parameter(1, dtypes.float32, (6,))
    body = ir.Body((carry, x), (ir.add(carry, x), ir.add(carry, x)))
    for reverse in (False, True):
        agree(lambda start, xs, reverse=reverse: ir.results_of(ir.scan(body, [start], [xs], reverse))[:2], normal(6),
              normal(20, 6))
    agree(with_gradients(lambda start, xs: ir.project(ir.scan(body, [start], [ir.exp(xs)]), 1)), normal(6),
          normal(9, 6))


def test_a_recurrent_network(agree: Agree, normal: Any) -> None:
    state, x, w = (ir.parameter(i, dtypes.float32, shape) for i, shape in enumerate(((4, 8), (4, 8), (8, 8))))
    new = ir.tanh(ir.add(matmul(state, w), x))
    body = ir.Body((state, w, x), (new, w, new))
    weights = 0.3 * normal(8, 8)  # larger ones make rounding grow from step to step
    agree(lambda s, xs, w: ir.results_of(ir.scan(body, [s, w], [xs]))[0], normal(4, 8), normal(7, 4, 8), weights)
    agree(with_gradients(lambda s, xs, w: ir.project(ir.scan(body, [s, w], [xs]), 2)), normal(4, 8), normal(7, 4, 8),
          weights)


def test_calls(agree: Agree, normal: Any) -> None:
    x, w = ir.parameter(0, dtypes.float32, (10, 12)), ir.parameter(1, dtypes.float32, (12, 12))
    body = ir.Body((x, w), (ir.tanh(matmul(x, w)),))

    def build(x: Node, w: Node) -> Node:
        for _ in range(3):
            x = ir.project(ir.call(body, [x, w]), 0)
        return x

    agree(with_gradients(build), normal(10, 12), normal(12, 12))
