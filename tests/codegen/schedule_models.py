"""Small models written directly in ir, for tests of scheduling: layers, losses, whole training steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import prod
from typing import Any

import ir
from ir.dtype import dtypes
from ir.node import Node

F = dtypes.float32


def buffer(*shape: int, dtype: Any = F, name: Any = None) -> Node:
    return ir.buffer(name, dtype, shape)


def broadcast(x: Node, shape: Sequence[int]) -> Node:
    """``x`` with leading and unit axes repeated up to ``shape``."""
    padded = (1,) * (len(shape) - len(x.shape)) + tuple(x.shape)
    return ir.expand(ir.reshape(x, padded), tuple(shape))


def both(x: Any, y: Any) -> tuple[Node, Node]:
    """Two operands (nodes or numbers) in one shape."""
    like = x if isinstance(x, Node) else y
    x, y = (v if isinstance(v, Node) else ir.constant(v, like.dtype) for v in (x, y))
    rank = max(len(x.shape), len(y.shape))
    left, right = ((1,) * (rank - len(v.shape)) + tuple(v.shape) for v in (x, y))
    shape = tuple(max(a, b) for a, b in zip(left, right, strict=True))
    return broadcast(x, shape), broadcast(y, shape)


def add(x: Any, y: Any) -> Node:
    return ir.add(*both(x, y))


def sub(x: Any, y: Any) -> Node:
    return ir.sub(*both(x, y))


def mul(x: Any, y: Any) -> Node:
    return ir.mul(*both(x, y))


def div(x: Any, y: Any) -> Node:
    return ir.div(*both(x, y))


def keep(x: Node, like: Node, axes: Sequence[int]) -> Node:
    """A reduced value with its reduced axes back, of length 1."""
    return ir.reshape(x, [1 if i in axes else size for i, size in enumerate(like.shape)])


def mean(x: Node, axes: Sequence[int]) -> Node:
    return mul(ir.reduce("sum", x, axes), 1.0 / prod(x.shape[axis] for axis in axes))


def softmax(x: Node) -> Node:
    axis = len(x.shape) - 1
    e = ir.exp(sub(x, keep(ir.reduce("max", x, (axis,)), x, (axis,))))
    return div(e, keep(ir.reduce("sum", e, (axis,)), x, (axis,)))


def layernorm(x: Node, weight: Node, bias: Node) -> Node:
    axis = len(x.shape) - 1
    centred = sub(x, keep(mean(x, (axis,)), x, (axis,)))
    scale = ir.rsqrt(add(mean(mul(centred, centred), (axis,)), 1e-5))
    return add(mul(mul(centred, keep(scale, x, (axis,))), weight), bias)


def gelu(x: Node) -> Node:
    return mul(mul(x, 0.5), add(ir.tanh(mul(add(x, mul(mul(mul(x, x), x), 0.044715)), 0.7978845608)), 1.0))


def relu(x: Node) -> Node:
    return ir.maximum(x, ir.constant_like(x, 0))


def matmul(a: Node, b: Node) -> Node:
    """[.., m, k] times [.., k, n] (or [k, n]) as a sum of products."""
    batch, (m, k), n = a.shape[:-2], a.shape[-2:], b.shape[-1]
    shape = (*batch, m, k, n)
    right = ir.reshape(b, (*b.shape[:-2], 1, k, n))
    product = ir.mul(ir.expand(ir.reshape(a, (*a.shape, 1)), shape), broadcast(right, shape))
    return ir.reduce("sum", product, (len(batch) + 1,))


def linear(x: Node, weight: Node, bias: Node | None = None) -> Node:
    y = matmul(ir.reshape(x, (prod(x.shape[:-1]), x.shape[-1])), weight)
    return ir.reshape(y if bias is None else add(y, bias), (*x.shape[:-1], weight.shape[1]))


def cross_entropy(logits: Node, labels: Node) -> Node:
    """Mean over rows of -log softmax at the label."""
    shifted = sub(logits, keep(ir.reduce("max", logits, (1,)), logits, (1,)))
    total = ir.log(ir.reduce("sum", ir.exp(shifted), (1,)))
    return mean(ir.sub(total, ir.gather(shifted, labels, 1)), (0,))


def batchnorm(x: Node, weight: Node, bias: Node) -> Node:
    axes, channels = (0, 2, 3), (1, x.shape[1], 1, 1)
    centred = sub(x, keep(mean(x, axes), x, axes))
    scale = ir.rsqrt(add(keep(mean(mul(centred, centred), axes), x, axes), 1e-5))
    return add(mul(mul(centred, scale), ir.reshape(weight, channels)), ir.reshape(bias, channels))


def windows(x: Node, size: int, stride: int, padding: int, dilation: int, fill: float) -> Node:
    """[n, c, h, w] -> [n, c, oh, kh, ow, kw]."""
    rows = ir.window(x, 2, size, stride, dilation, padding, padding, fill)
    return ir.window(rows, 4, size, stride, dilation, padding, padding, fill)


def maxpool(x: Node, size: int, stride: int) -> Node:
    return ir.reduce("max", windows(x, size, stride, 0, 1, -math.inf), (3, 5))


def conv2d(x: Node, weight: Node, stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1) -> Node:
    n, _, _, _ = x.shape
    out, inner, kh, kw = weight.shape
    taps = windows(x, kh, stride, padding, dilation, 0)
    oh, ow = taps.shape[2], taps.shape[4]
    taps = ir.reshape(ir.permute(taps, (0, 1, 2, 4, 3, 5)), (n, groups, 1, inner, oh, ow, kh, kw))
    kernel = ir.reshape(weight, (1, groups, out // groups, inner, 1, 1, kh, kw))
    return ir.reshape(ir.reduce("sum", mul(taps, kernel), (3, 6, 7)), (n, out, oh, ow))


def attention(x: Node, wqkv: Node, bqkv: Node, wo: Node, bo: Node, heads: int) -> Node:
    batch, length, width = x.shape
    depth = width // heads
    qkv = ir.reshape(linear(x, wqkv, bqkv), (batch, length, 3, heads, depth))
    everything = [(0, size, 1) for size in qkv.shape]
    q, k, v = (ir.permute(ir.reshape(ir.slice(qkv, [*everything[:2], (i, i + 1, 1), *everything[3:]]),
                                     (batch, length, heads, depth)), (0, 2, 1, 3)) for i in range(3))
    scores = ir.reduce("sum", mul(ir.reshape(q, (batch, heads, length, 1, depth)),
                                  ir.reshape(k, (batch, heads, 1, length, depth))), (4,))
    row, column = both(ir.reshape(ir.iota(length), (length, 1)), ir.iota(length))
    masked = ir.where(broadcast(ir.less(row, column), scores.shape), ir.constant_like(scores, -1e9),
                      mul(scores, depth ** -0.5))
    weights = ir.reshape(softmax(masked), (batch, heads, length, length, 1))
    mixed = ir.reduce("sum", mul(weights, ir.reshape(v, (batch, heads, 1, length, depth))), (3,))
    return linear(ir.reshape(ir.permute(mixed, (0, 2, 1, 3)), (batch, length, width)), wo, bo)


class Parameters:
    """Named buffers, made on first use."""

    def __init__(self) -> None:
        self.all: dict[str, Node] = {}

    def __call__(self, name: str, *shape: int) -> Node:
        if name not in self.all:
            self.all[name] = buffer(*shape, name=name)
        return self.all[name]


def gpt_loss(p: Parameters, tokens: Node, labels: Node, width: int, heads: int, layers: int, vocabulary: int) -> Node:
    batch, length = tokens.shape
    x = add(ir.gather(p("wte", vocabulary, width), tokens), p("wpe", length, width))
    for i in range(layers):
        h = layernorm(x, p(f"{i}.g1", width), p(f"{i}.b1", width))
        x = add(x, attention(h, p(f"{i}.wqkv", width, 3 * width), p(f"{i}.bqkv", 3 * width), p(f"{i}.wo", width, width),
                             p(f"{i}.bo", width), heads))
        h = layernorm(x, p(f"{i}.g2", width), p(f"{i}.b2", width))
        h = gelu(linear(h, p(f"{i}.w1", width, 4 * width), p(f"{i}.bb1", 4 * width)))
        x = add(x, linear(h, p(f"{i}.w2", 4 * width, width), p(f"{i}.bb2", width)))
    x = layernorm(x, p("gf", width), p("bf", width))
    logits = matmul(ir.reshape(x, (batch * length, width)), ir.permute(p("wte", vocabulary, width), (1, 0)))
    return cross_entropy(logits, ir.reshape(labels, (batch * length,)))


def gradients(loss: Node, parameters: Sequence[Node]) -> list[Node]:
    found = ir.gradient([loss], [ir.constant(1, loss.dtype)], parameters)
    return [ir.constant_like(p, 0) if g is None else g for p, g in zip(parameters, found, strict=True)]


def adam(parameters: Sequence[Node], slopes: Sequence[Node], rate: float = 1e-2) -> list[Node]:
    """One step in place: the new versions of parameters and both moments."""
    versions = []
    first_correction, second_correction = buffer(name="c1"), buffer(name="c2")
    for p, g in zip(parameters, slopes, strict=True):
        m, v = buffer(*p.shape, name="m"), buffer(*p.shape, name="v")
        new_m = add(mul(m, 0.9), mul(g, 0.1))
        new_v = add(mul(v, 0.99), mul(mul(g, g), 0.01))
        step = div(mul(mul(new_m, first_correction), rate), add(ir.sqrt(mul(new_v, second_correction)), 1e-8))
        versions += [ir.assign(p, sub(p, step)), ir.assign(m, new_m), ir.assign(v, new_v)]
    return versions
