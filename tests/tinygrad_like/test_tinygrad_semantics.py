# ruff: noqa: N803  (T is the class Tensor)
"""The same expression with tinygrad's Tensor and with ours: equal values, shapes and dtypes, method by method.

Where we differ on purpose, PyTorch is followed: ``round`` leaves integers as they are, ``scatter(reduce=...)`` takes a
tensor, too, and a class of -1 does not count in the mean of ``sparse_categorical_crossentropy``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_like

tinygrad = pytest.importorskip("tinygrad", reason="tinygrad, whose methods ours are compared with, is not installed")

INF, NAN = float("inf"), float("nan")
X = np.array([[-1.5, 0.25, 2.0, -0.75], [1.0, -2.25, 0.5, 3.0], [0.75, -0.5, -3.0, 1.25]], np.float32)
IMAGE = np.cos(np.arange(2 * 4 * 6 * 5, dtype=np.float32)).reshape(2, 4, 6, 5)
WHOLE = np.array([[3, -1, 2], [0, 5, -4]], np.int32)
INDEX = np.array([[0, 2, 1, 0], [2, 2, 0, 1]], np.int32)
BITS = X > 0

Case = Callable[[Any, Any, Any], Any]  # (the class Tensor, its dtypes, x) -> a tensor or several


def method(name: str, prepare: Callable[[Any], Any] = lambda x: x) -> Case:
    """A call without arguments."""
    return lambda T, d, x: getattr(prepare(x), name)()


def integers(name: str) -> Case:
    return lambda T, d, x: getattr(T([[3, -1, 2]]), name)()


def scatter_reduced(how: str) -> Case:
    return lambda T, d, x: (
        x.scatter_reduce(0, T(INDEX), x * 2, how),
        x.scatter_reduce(0, T(INDEX), x * 2, how, include_self=False),
    )


ELEMENTWISE: dict[str, Case] = {
    **{
        name: method(name)
        for name in (
            "abs",
            "asinh",
            "atan",
            "ceil",
            "celu",
            "cos",
            "cosh",
            "elu",
            "erf",
            "exp",
            "exp2",
            "floor",
            "gelu",
            "hardsigmoid",
            "hardswish",
            "hardtanh",
            "isfinite",
            "isinf",
            "isnan",
            "leaky_relu",
            "logical_not",
            "logsigmoid",
            "mish",
            "neg",
            "quick_gelu",
            "reciprocal",
            "relu",
            "relu6",
            "round",
            "selu",
            "sigmoid",
            "sign",
            "silu",
            "sin",
            "sinh",
            "softplus",
            "softsign",
            "square",
            "swish",
            "tan",
            "tanh",
            "trunc",
        )
    },
    **{name: method(name, lambda x: x.abs() + 1.25) for name in ("acosh", "log", "log10", "log2", "rsqrt", "sqrt")},
    **{name: method(name, lambda x: x / 4) for name in ("acos", "asin", "atanh")},
    **{
        f"{name} of integers": integers(name)
        for name in (
            "abs",
            "ceil",
            "exp",
            "floor",
            "neg",
            "relu",
            "sigmoid",
            "sign",
            "sin",
            "tanh",
            "square",
            "trunc",
            "reciprocal",
            "logical_not",
            "bitwise_not",
            "isnan",
            "isinf",
            "isfinite",
            "gelu",
            "softplus",
        )
    },
    "leaky_relu of 0.2": lambda T, d, x: x.leaky_relu(0.2),
    "elu of 2": lambda T, d, x: x.elu(2.0),
    "celu of 2": lambda T, d, x: x.celu(2.0),
    "softplus of 2": lambda T, d, x: x.softplus(2.0),
    "hardtanh within": lambda T, d, x: x.hardtanh(-0.5, 0.75),
    "exact gelu": lambda T, d, x: x.gelu("none"),
    "isinf of a sign": lambda T, d, x: T([INF, -INF, 1.0, NAN]).isinf(detect_negative=False),
    "round of halves": lambda T, d, x: T([0.5, 1.5, 2.5, -0.5, -1.5, 2.6]).round(),
    "clamp": lambda T, d, x: x.clamp(-1, 1.5),
    "clip from above": lambda T, d, x: x.clip(max_=0.5),
    "add": lambda T, d, x: x.add(2),
    "sub reversed": lambda T, d, x: x.sub(2, reverse=True),
    "mul of integers and floats": lambda T, d, x: T([1, 2, 3, 4]) * x,
    "mul of int and 2.5": lambda T, d, x: T([1, 2]) * 2.5,
    "div": lambda T, d, x: x / 4,
    "div of integers": lambda T, d, x: T([7, -7, 8]) / 2,
    "floor div": lambda T, d, x: T([7, -7, 8]) // T([2, 2, -3]),
    "trunc div": lambda T, d, x: T([7, -7, 8]).div(T([2, 2, -3]), rounding_mode="trunc"),
    "floor div of floats": lambda T, d, x: x.div(0.7, rounding_mode="floor"),
    "mod": lambda T, d, x: T([7, -7, 8]) % T([3, 3, -3]),
    "mod of floats": lambda T, d, x: x % 0.7,
    "fmod": lambda T, d, x: x.fmod(0.7),
    "fmod of integers": lambda T, d, x: T([7, -7, 8]).fmod(T([3, 3, -3])),
    "pow": lambda T, d, x: x**2,
    "pow of a half": lambda T, d, x: x.abs() ** 0.5,
    "rpow": lambda T, d, x: 2**x,
    "pow of integers": lambda T, d, x: T([2, -3, 4]) ** 3,
    "pow 0": lambda T, d, x: x**0,
    "pow of tensors": lambda T, d, x: (x.abs() + 0.5) ** x,
    "maximum": lambda T, d, x: x.maximum(0.5),
    "minimum of integers": lambda T, d, x: T([1, 5]).minimum(3),
    "where": lambda T, d, x: (x > 0).where(x, -1),
    "where of numbers": lambda T, d, x: (x > 0).where(1.0, 0.0),
    "where of ints and floats": lambda T, d, x: (x > 0).where(T([1, 2, 3, 4]), 0.5),
    "masked_fill": lambda T, d, x: x.masked_fill(x > 0, -9.0),
    "lerp": lambda T, d, x: x.lerp(x.flip(0), 0.25),
    "lerp of a tensor": lambda T, d, x: x.lerp(x.flip(0), x.sigmoid()),
    "copysign": lambda T, d, x: x.copysign(T([-1.0, 1.0, -0.0, 0.0])),
    "logaddexp": lambda T, d, x: x.logaddexp(x.flip(1)),
    "comparisons": lambda T, d, x: ((x < 0.5), (x <= 0.5), (x > 0.5), (x >= 0.5), (x == 0.5), (x != 0.5)),
    "isclose": lambda T, d, x: x.isclose(x * 1.001, rtol=0.01),
    "isclose of nan": lambda T, d, x: T([NAN, INF, 1.0]).isclose(T([NAN, INF, 2.0]), equal_nan=True),
    "allclose": lambda T, d, x: x.allclose(x + 1e-9),
    "bitwise": lambda T, d, x: (T([12, 10]) & 6, T([12, 10]) | 3, T([12, 10]) ^ 5, ~T([12, -1])),
    "shifts": lambda T, d, x: (T([1, 3]) << 2, T([8, 3]) >> 1, T([12, -5]).rshift(1), T([1, 3]).lshift(T([2, 1]))),
    "bitwise of bools": lambda T, d, x: ((x > 0) & (x < 1), (x > 0) | (x < -1), (x > 0) ^ (x < 1), ~(x > 0)),
    "add of bools": lambda T, d, x: (x > 0) + (x < 1),
    "mul of bools": lambda T, d, x: (x > 0) * (x < 1),
    "casts": lambda T, d, x: (x.int(), x.half(), x.double(), x.bool(), x.long(), x.short(), x.cast(d.int8)),
    "bitcast": lambda T, d, x: (x.bitcast(d.int32), T([1, 2], dtype=d.int32).bitcast(d.float32)),
}

PROMOTION = ("bool", "uint8", "int8", "int16", "int32", "int64", "uint32", "float16", "float32", "float64")

REDUCTION: dict[str, Case] = {
    "sums": lambda T, d, x: (x.sum(), x.sum(0), x.sum((0, 1), keepdim=True), x.sum(-1, dtype=d.float64)),
    "sums of integers": lambda T, d, x: (
        T([[1, 2]]).sum(),
        (x > 0).sum(),
        T([1], dtype=d.int8).sum(),
        T([1], dtype=d.uint8).sum(),
        T([1], dtype=d.int64).sum(),
        x.half().sum(),
    ),
    "prod": lambda T, d, x: (x.prod(1), T([2, 3]).prod(), x.prod()),
    "max": lambda T, d, x: (x.max(), x.max(1), x.max(0, True)),
    "min": lambda T, d, x: (x.min(), x.min(1), T([3, 1]).min()),
    "any, all": lambda T, d, x: ((x > 2).any(1), (x > -2).all(0), x.any(), x.all(1, keepdim=True)),
    "argmax": lambda T, d, x: (
        x.argmax(),
        x.argmax(1),
        x.argmin(0, keepdim=True),
        T([1, 1]).argmax(),
        T([2, 2]).argmin(),
    ),
    "mean": lambda T, d, x: (x.mean(), x.mean(0), T([1, 2]).mean(), x.half().mean(1), (x > 0).mean()),
    "var": lambda T, d, x: (x.var(), x.var(1), x.var(0, correction=0), x.var((0, 1), keepdim=True)),
    "std": lambda T, d, x: (x.std(1), x.std(correction=0)),
    "both": lambda T, d, x: (*x.var_mean(1), *x.std_mean(0)),
    "softmax": lambda T, d, x: (x.softmax(), x.softmax(0), x.log_softmax(), x.softmin(1), x.softmax(dtype=d.float64)),
    "logsumexp": lambda T, d, x: (x.logsumexp(), x.logsumexp(1), x.logsumexp(0, keepdim=True)),
    "normalize": lambda T, d, x: (x.normalize(), x.normalize(1.0), x.normalize(3.0, 0), x.normalize(0, 1)),
    "cumulative": lambda T, d, x: (x.cumsum(), x.cumsum(1), x.cumprod(1), T([1, 2, 3]).cumsum(), (x > 0).cumsum(1)),
    "cummax": lambda T, d, x: (*x.cummax(1), *x.cummin(), *T([1, 3, 3, 2]).cummax()),
    "logcumsumexp": lambda T, d, x: (x.logcumsumexp(), x.logcumsumexp(1)),
    "layernorm": lambda T, d, x: (x.layernorm(), x.layernorm((0, 1))),
    "sort": lambda T, d, x: (*x.sort(), *x.sort(0, descending=True), x.argsort(), *T([2, 1, 2, 1]).sort()),
    "topk": lambda T, d, x: (*x.topk(2), *x.topk(2, 0, largest=False)),
    "nothing to reduce": lambda T, d, x: (T([]).sum(), T([]).prod(), T([]).max(), T.zeros(2, 0).sum(1)),
}

MOVEMENT: dict[str, Case] = {
    "reshape": lambda T, d, x: (x.reshape(2, -1), x.reshape((4, 3)), x.view(None, 2, 2), x.reshape(-1)),
    "flatten": lambda T, d, x: (x.flatten(), x.reshape(3, 2, 2).flatten(1), x.unflatten(1, (2, -1))),
    "squeeze": lambda T, d, x: (x.unsqueeze(0).squeeze(), x.unsqueeze(1).squeeze(1), x.unsqueeze(-1), x.squeeze(0)),
    "expand": lambda T, d, x: (x.expand(2, 3, 4), x.unsqueeze(1).expand(-1, 2, None)),
    "permute": lambda T, d, x: (x.permute(1, 0), x.permute((1, 0)), x.T, x.transpose(), x.transpose(0, 1)),
    "flip": lambda T, d, x: (x.flip(0), x.flip((0, 1)), x.flip(-1, 0)),
    "roll": lambda T, d, x: (x.roll(1, 0), x.roll((1, -5), (0, 1)), x.roll(3), x.roll(-1, -1)),
    "shrink": lambda T, d, x: (x.shrink(((1, 3), None)), x.shrink_to(2, None), x.shrink_to((2, 3))),
    "pad": lambda T, d, x: (x.pad((1, 2)), x.pad((1, 2, 0, 1), value=7.0), x.pad(((1, 0), None)), x.pad((-1, 1))),
    "pad modes": lambda T, d, x: (
        x.pad((2, 1), mode="reflect"),
        x.pad((1, 2, 2, 0), mode="replicate"),
        x.pad((1, 3, 1, 0), mode="circular"),
        T([1, 2]).pad((1, 1), value=5),
    ),
    "pad_to": lambda T, d, x: (x.pad_to(4, 6), x.pad_to((None, 5), value=2.0)),
    "cat": lambda T, d, x: (
        x.cat(x * 2, dim=1),
        T.cat(x, x),
        x.cat(T([[1, 2, 3, 4]])),
        T.stack(x, x, dim=-1),
        x.stack(x),
    ),
    "split": lambda T, d, x: (*x.split(2), *x.split([1, 3], 1), *x.chunk(2, 1), *x.chunk(3, 1), *T.arange(7).chunk(4)),
    "repeat": lambda T, d, x: (x.repeat(2, 1), x.repeat((2, 1, 2)), x.repeat_interleave(2), x.repeat_interleave(2, 1)),
    "triangles": lambda T, d, x: (x.tril(), x.triu(1), x.tril(-1), x.reshape(3, 2, 2).triu()),
    "diagonals": lambda T, d, x: (
        x[0].diag(),
        x.diagonal(),
        x.diagonal(1),
        x.diagonal(-1),
        x.reshape(3, 2, 2).diagonal(0, 1, 2),
    ),
    "unfold": lambda T, d, x: (x.unfold(1, 2, 1), x.unfold(0, 2, 2), x.unfold(-1, 3, 1)),
    "meshgrid": lambda T, d, x: (
        *T.meshgrid(T([1, 2]), T([3, 4, 5])),
        *T([1, 2]).meshgrid(T([3, 4, 5]), indexing="xy"),
    ),
    "rearrange": lambda T, d, x: (
        x.rearrange("a (b c) -> c a b", b=2),
        x.rearrange("a b -> (b a)"),
        x.rearrange("... b -> b ..."),
    ),
}

INDEXING: dict[str, Case] = {
    "slices": lambda T, d, x: (
        x[1],
        x[-1, 1:],
        x[:, ::2],
        x[::-1],
        x[..., None],
        x[None, 2:0:-1, -3:],
        x[1:1],
        x[:, -1],
    ),
    "tensors": lambda T, d, x: (
        x[T([2, 0])],
        x[:, T([[0, -1]])],
        x[T([0, 1]), T([2, 3])],
        x[T([0, 1]), :, None],
        x[[1, 2]],
        x[0, [0, 2]],
        x[T([-1])],
    ),
    "gather": lambda T, d, x: (x.gather(1, T(INDEX)), x.gather(0, T(INDEX) % 3)),
    "scatter": lambda T, d, x: (
        x.scatter(0, T(INDEX), x * 10),
        x.scatter(0, T(INDEX), 7.0),
        x.scatter(0, T(INDEX), 2.0, reduce="add"),
        x.scatter(0, T(INDEX), 3.0, reduce="multiply"),
    ),
    **{f"scatter_reduce {how}": scatter_reduced(how) for how in ("sum", "prod", "mean", "amax", "amin")},
    "one_hot": lambda T, d, x: (T([0, 2, 1]).one_hot(4), T([[1]]).one_hot(2)),
    "masked_select": lambda T, d, x: (
        x.masked_select(x > 0),
        x.masked_select(x > 0, 9, -1.0),
        x.masked_select(x > 0, 2),
    ),
    "nonzero": lambda T, d, x: ((x > 1).nonzero(), (x > 1).nonzero(size=6, fill_value=-1)),
    "setitem": lambda T, d, x: (
        written(x, 0, 5.0),
        written(x, (slice(None), 1), T([1.0, 2.0, 3.0])),
        written(x, (slice(0, 2), slice(1, 3)), 0),
    ),
}

NETWORK: dict[str, Case] = {
    "products": lambda T, d, x: (
        x.dot(x.T),
        x @ x.T,
        x.matmul(x.T, reverse=True),
        x.dot(x[0]),
        x[0].dot(x[1]),
        T([1, 2]).dot(T([3, 4])),
    ),
    "linear": lambda T, d, x: (x.linear(x.T, T([1.0, 2.0, 3.0])), x.linear(x[0], x[1])),
    "einsum": lambda T, d, x: (
        T.einsum("ij,kj->ik", x, x),
        T.einsum("ij->j", x),
        T.einsum("ij,ij", x, x),
        T.einsum("ij->", x),
        T.einsum("i,j->ij", x[0], x[1]),
    ),
    "conv2d": lambda T, d, x: (
        T(IMAGE).conv2d(T(IMAGE[:2, :, :3, :2])),
        T(IMAGE).conv2d(T(IMAGE[:, :2, :2, :3]), groups=2),
        T(IMAGE).conv2d(T(IMAGE[:2, :, :3, :2]), T([1.0, 2.0]), stride=2, padding=1),
        T(IMAGE).conv2d(T(IMAGE[:2, :, :2, :2]), dilation=2, padding=(1, 0, 2, 1)),
        T(IMAGE).conv2d(T(IMAGE[:2, :, :2, :2]), stride=(2, 1), dilation=(1, 2), padding=(2, 1)),
    ),
    "conv1d and 3d": lambda T, d, x: (
        T(IMAGE[0]).conv2d(T(IMAGE[0, :2, :, :2].reshape(2, 6, 2))),
        T(IMAGE[None]).conv2d(T(IMAGE[None, :, :2, :2, :2]), padding=1),
    ),
    "conv_transpose2d": lambda T, d, x: (
        T(IMAGE).conv_transpose2d(T(IMAGE.reshape(4, 3, 5, 4)[:, :, :2, :3])),
        T(IMAGE).conv_transpose2d(T(IMAGE.reshape(4, 3, 5, 4)[:, :, :2, :3]), stride=2, padding=1, output_padding=1),
        T(IMAGE).conv_transpose2d(T(IMAGE.reshape(4, 3, 5, 4)[:, :, :2, :3]), groups=2, dilation=2),
    ),
    "max_pool2d": lambda T, d, x: (
        T(IMAGE).max_pool2d(),
        T(IMAGE).max_pool2d((3, 2), 1, padding=1),
        T(IMAGE).max_pool2d(3, 2, ceil_mode=True),
        T(IMAGE).max_pool2d(2, 1, dilation=2),
        *T(IMAGE).max_pool2d(2, return_indices=True),
    ),
    "avg_pool2d": lambda T, d, x: (
        T(IMAGE).avg_pool2d(),
        T(IMAGE).avg_pool2d((3, 2), 1, padding=1),
        T(IMAGE).avg_pool2d(3, 2, padding=1, ceil_mode=True),
        T(IMAGE).avg_pool2d(3, 2, padding=1, count_include_pad=False),
        T(IMAGE).avg_pool2d(2, 1, dilation=2),
    ),
    "max_unpool2d": lambda T, d, x: (
        T(IMAGE)
        .max_pool2d(2, return_indices=True)[0]
        .max_unpool2d(T(IMAGE).max_pool2d(2, return_indices=True)[1], 2, output_size=(2, 4, 6, 5))
    ),
    "interpolate": lambda T, d, x: (
        T(IMAGE).interpolate((3, 8)),
        T(IMAGE).interpolate((9, 4), align_corners=True),
        T(IMAGE).interpolate((8, 3), mode="nearest"),
        T(IMAGE).interpolate((4, 7), mode="nearest-exact"),
        T(IMAGE).interpolate((7,)),
    ),
    "attention": lambda T, d, x: (
        x.reshape(1, 3, 4).scaled_dot_product_attention(x.reshape(1, 3, 4), x.reshape(1, 3, 4), is_causal=True),
        T(IMAGE).scaled_dot_product_attention(T(IMAGE), T(IMAGE), attn_mask=T(IMAGE[0, 0] > 0)[:, :1].expand(6, 6)),
    ),
    "batchnorm": lambda T, d, x: (
        x.batchnorm(T([1.0, 2, 3, 4]), None, x.mean(0), x.var(0).rsqrt()),
        T(IMAGE).batchnorm(None, T([1.0, 2, 3, 4]), T([0.1, 0.2, 0.3, 0.4]), T([1.0, 2, 3, 4])),
    ),
    "cross_entropy": lambda T, d, x: (
        x.cross_entropy(T([1, 0, 3])),
        x.cross_entropy(T([1, 0, 3]), label_smoothing=0.1),
        x.cross_entropy(x.softmax()),
        x.cross_entropy(T([1, 0, 3]), reduction="sum"),
    ),
    "sparse": lambda T, d, x: (
        x.sparse_categorical_crossentropy(T([1, 2, 3])),
        x.sparse_categorical_crossentropy(T([1, 0, 3]), label_smoothing=0.2, reduction="none"),
        x.sparse_categorical_crossentropy(T([1, 0, 3]), ignore_index=0),
    ),
    "nll_loss": lambda T, d, x: (
        x.log_softmax().nll_loss(T([1, 0, 3])),
        x.nll_loss(T([1, 0, 3]), T([1.0, 2.0, 3.0, 4.0]), ignore_index=0),
        x.nll_loss(T([1, 0, 3]), reduction="none"),
    ),
    "binary": lambda T, d, x: (
        x.sigmoid().binary_crossentropy((x > 0).float()),
        x.binary_crossentropy_logits((x > 0).float()),
        x.binary_crossentropy_logits((x > 0).float(), "none", pos_weight=T([1.0, 2.0, 3.0, 4.0])),
    ),
    "sequential": lambda T, d, x: x.sequential([lambda y: y * 2, T.relu]),
    "dropout outside of training": lambda T, d, x: x.dropout(0.5),
    "newton_schulz": lambda T, d, x: (
        x.newton_schulz(3, (2.0, -1.5, 0.5)),
        x.T.newton_schulz(2, (3.4445, -4.775, 2.0315), 1e-5),
    ),
    "qr": lambda T, d, x: tuple(part.abs() for part in (x.T @ x + T.eye(4)).qr()),
    "singular values": lambda T, d, x: x.svd()[1],
}

CREATION: dict[str, Case] = {
    "lists": lambda T, d, x: (T([1, 2]), T([1.0, 2]), T([True, False]), T(3), T(2.5), T(True), T([[1], [2]]), T([])),
    "arrays": lambda T, d, x: (T(np.arange(3)), T(np.ones(2)), T(np.array([1], np.uint8)), T([1, 2], dtype=d.float16)),
    "constants": lambda T, d, x: (
        T.zeros(2, 3),
        T.ones((2,)),
        T.full((2, 2), 7),
        T.full((2,), 1.5),
        T.full((1,), True),
        T.zeros(2, dtype=d.int32),
    ),
    "ranges": lambda T, d, x: (
        T.arange(5),
        T.arange(2, 8, 3),
        T.arange(5, 0, -2),
        T.arange(0.0, 1.0, 0.3),
        T.arange(5.5),
        T.arange(3, dtype=d.float64),
    ),
    "linspace": lambda T, d, x: (
        T.linspace(0, 1, 5),
        T.linspace(5, 1, 3),
        T.linspace(1, 9, 3, dtype=d.int32),
        T.linspace(2, 3, 1),
    ),
    "eye": lambda T, d, x: (T.eye(3), T.eye(2, 3), T.eye(2, dtype=d.int32)),
    "like": lambda T, d, x: (
        x.zeros_like(),
        x.ones_like(),
        x.full_like(3),
        T([1]).ones_like(),
        x.zeros_like(dtype=d.int32),
        x.const_like(2),
    ),
}


def written(x: Any, index: Any, value: Any) -> Any:
    copy = (x + 0).contiguous().realize()
    copy[index] = value
    return copy


def both(case: Case) -> tuple[list[np.ndarray], list[np.ndarray]]:
    results = []
    for module in (tinygrad_like, tinygrad):
        found = case(module.Tensor, module.dtypes, module.Tensor(X))
        parts = found if isinstance(found, tuple) else (found,)
        results.append([part.contiguous() if part.device else part.clone("PYTHON") for part in parts])
        module.Tensor.realize(*results[-1])
    return [x.numpy() for x in results[0]], [x.numpy() for x in results[1]]


def compared(cases: dict[str, Case]) -> None:
    failures = []
    for name, case in cases.items():
        with tinygrad.Context(DEV="PYTHON"):  # its interpreter: no compiler is needed
            try:
                ours, theirs = both(case)
                for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
                    assert one.dtype == other.dtype, f"part {number}: dtype {one.dtype}, tinygrad's {other.dtype}"
                    assert one.shape == other.shape, f"part {number}: shape {one.shape}, tinygrad's {other.shape}"
                    half = one.dtype == np.float16
                    np.testing.assert_allclose(
                        one, other, rtol=2e-3 if half else 2e-5, atol=1e-3 if half else 2e-6, err_msg=f"part {number}"
                    )
            except Exception as error:
                failures.append(f"{name}: {type(error).__name__} {error}")
    assert not failures, "\n\n".join(failures)


GROUPS = {
    "elementwise": ELEMENTWISE,
    "reduction": REDUCTION,
    "movement": MOVEMENT,
    "indexing": INDEXING,
    "network": NETWORK,
    "creation": CREATION,
}


@pytest.mark.parametrize(
    "group", [group if group == "creation" else pytest.param(group, marks=pytest.mark.slow) for group in GROUPS]
)
def test_same_as_tinygrad(group: str) -> None:
    compared(GROUPS[group])


def test_promotion_is_that_of_tinygrad() -> None:
    for first, second in itertools.product(PROMOTION, (*PROMOTION, 2, 2.5, True)):
        with tinygrad.Context(DEV="PYTHON"):
            ours, theirs = (promoted(module, first, second) for module in (tinygrad_like, tinygrad))
        assert ours == _NAMES.get(theirs, theirs), (first, second)


def promoted(module: Any, first: str, second: Any) -> str:
    """The dtype of a sum of a tensor of one dtype and a tensor of another or a number."""
    one = module.Tensor([1], device="REFERENCE" if module is tinygrad_like else "PYTHON", dtype=first)
    if isinstance(second, str):
        second = module.Tensor([1], device=one.device, dtype=second)
    return str((one + second).dtype.name)


_NAMES = {  # "weak" dtypes are those of numbers, which become these in memory
    "weakint": "int32",
    "weakfloat": "float32",
    "signed char": "int8",
    "short": "int16",
    "int": "int32",
    "long": "int64",
    "unsigned char": "uint8",
    "half": "float16",
    "unsigned short": "uint16",
    "unsigned int": "uint32",
    "float": "float32",
    "double": "float64",
}
