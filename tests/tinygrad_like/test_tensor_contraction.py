"""Products, convolutions, pooling and attention: values and gradients against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from tensor_oracle import arrays, check, close, torch

import ir
from tinygrad_like import Tensor, dtypes

F = torch.nn.functional


@pytest.mark.parametrize(
    "shapes",
    [
        ((3, 4), (4, 5)),
        ((4,), (4,)),
        ((4,), (4, 5)),
        ((3, 4), (4,)),
        ((2, 3, 4), (4, 5)),
        ((2, 3, 4), (2, 4, 5)),
        ((2, 1, 3, 4), (5, 4, 2)),
        ((3, 4), (2, 4, 5)),
        ((2, 3, 4), (4,)),
        ((4,), (2, 4, 5)),
        ((1, 1), (1, 1)),
        ((7, 1), (1, 6)),
    ],
    ids=str,
)
def test_matmul(shapes: tuple, rng: np.random.Generator) -> None:
    check(lambda x, y: x @ y, lambda x, y: x @ y, arrays(rng, *shapes))


def test_matmul_is_a_sum_of_products() -> None:
    x = Tensor.zeros(3, 4, buffer=False).reshape(3, 4) @ Tensor.ones(4, 5)
    names = {node.op.name for node in ir.topological_order([(Tensor([[1.0]]) @ Tensor([[2.0]])).node])}
    assert x.shape == (3, 5) and "matmul" not in names and "contiguous" not in names


def test_matmul_dtypes(rng: np.random.Generator) -> None:
    x, y = rng.integers(-9, 9, (3, 4)).astype(np.int8), rng.integers(-9, 9, (4, 2)).astype(np.int32)
    close(Tensor(x) @ Tensor(y), x @ y)
    half = rng.standard_normal((3, 400)).astype(np.float16)
    product = Tensor(half) @ Tensor(half.T.copy())
    assert product.dtype is dtypes.float16
    exact = half.astype(np.float64) @ half.T.astype(np.float64)
    close(product, exact.astype(np.float16), rtol=2e-3, atol=1e-2)
    assert Tensor(half).matmul(Tensor(half.T.copy()), dtype="float32").dtype is dtypes.float32
    close(Tensor(half).matmul(Tensor(half.T.copy()), dtype="float32"), exact.astype(np.float32), rtol=1e-4, atol=1e-3)


def test_linear(rng: np.random.Generator) -> None:
    check(lambda x, w, b: x.linear(w, b), lambda x, w, b: x @ w + b, arrays(rng, (2, 3), (3, 4), (4,)))
    check(lambda x, w: x.linear(w), lambda x, w: x * w, arrays(rng, (2, 3), (3,)))
    check(lambda x: np.eye(3, dtype=np.float32) @ x, lambda x: x, arrays(rng, (3, 2)))


@pytest.mark.parametrize(
    "formula,shapes",
    [
        ("ij,jk->ik", ((2, 3), (3, 4))),
        ("ij,jk", ((2, 3), (3, 4))),
        ("bij,bjk->bik", ((2, 3, 4), (2, 4, 5))),
        ("ij->ji", ((2, 3),)),
        ("ij->", ((2, 3),)),
        ("ii->i", ((3, 3),)),
        ("ii", ((3, 3),)),
        ("i,j->ij", ((2,), (3,))),
        ("...ij,...jk->...ik", ((2, 5, 2, 3), (5, 3, 4))),
        ("bhld,bhsd->bhls", ((1, 2, 3, 4), (1, 2, 5, 4))),
        ("ij,jk,kl->il", ((2, 3), (3, 4), (4, 2))),
        ("i,i,i->", ((3,), (3,), (3,))),
        ("iij->j", ((2, 2, 3),)),
        ("...i->...", ((2, 3),)),
        ("ij,ij->ij", ((2, 3), (2, 3))),
        ("a...b,b->a...", ((2, 3, 4), (4,))),
    ],
)
def test_einsum(formula: str, shapes: tuple, rng: np.random.Generator) -> None:
    check(lambda *x: Tensor.einsum(formula, *x), lambda *x: torch.einsum(formula, *x), arrays(rng, *shapes))


CONVOLUTIONS = {
    "plain": {},
    "stride": {"stride": 2},
    "padding": {"padding": 1},
    "dilation": {"dilation": 2},
    "everything": {"stride": 2, "padding": 2, "dilation": 2},
    "unequal": {"stride": (2, 1), "padding": (0, 2)},
    "large stride": {"stride": 3, "padding": 1},
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_conv2d(name: str, rng: np.random.Generator) -> None:
    options = CONVOLUTIONS[name]
    check(
        lambda x, w, b: x.conv2d(w, b, **options),
        lambda x, w, b: F.conv2d(x, w, b, **options),
        arrays(rng, (2, 3, 8, 9), (4, 3, 3, 3), (4,)),
        rtol=1e-3,
    )


@pytest.mark.parametrize("groups", [2, 4])
def test_grouped_convolution(groups: int, rng: np.random.Generator) -> None:
    check(
        lambda x, w: x.conv2d(w, groups=groups, padding=1),
        lambda x, w: F.conv2d(x, w, groups=groups, padding=1),
        arrays(rng, (2, 4, 5, 5), (8, 4 // groups, 3, 3)),
        rtol=1e-3,
    )


def test_convolution_in_other_dimensions(rng: np.random.Generator) -> None:
    check(
        lambda x, w: x.conv2d(w, stride=2, padding=1),
        lambda x, w: F.conv1d(x, w, stride=2, padding=1),
        arrays(rng, (2, 3, 9), (4, 3, 3)),
        rtol=1e-3,
    )
    check(
        lambda x, w: x.conv2d(w, padding=1),
        lambda x, w: F.conv3d(x, w, padding=1),
        arrays(rng, (1, 2, 4, 4, 3), (3, 2, 2, 3, 2)),
        rtol=1e-3,
    )
    check(lambda x, w: x.conv2d(w), F.conv2d, arrays(rng, (2, 3, 4, 4), (5, 3, 1, 1)), rtol=1e-3)


def test_uneven_padding(rng: np.random.Generator) -> None:
    check(
        lambda x, w: x.conv2d(w, padding=(1, 0, 2, -1)),
        lambda x, w: F.conv2d(F.pad(x, (1, 0, 2, -1)), w),
        arrays(rng, (1, 2, 5, 6), (2, 2, 3, 3)),
        rtol=1e-3,
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2},
        {"stride": 2, "output_padding": 1},
        {"padding": 1},
        {"dilation": 2},
        {"groups": 2},
        {"stride": (3, 2), "padding": (1, 0), "dilation": (1, 2), "output_padding": (2, 1)},
    ],
    ids=str,
)
def test_conv_transpose2d(options: dict, rng: np.random.Generator) -> None:
    groups = options.get("groups", 1)
    check(
        lambda x, w, b: x.conv_transpose2d(w, b, **options),
        lambda x, w, b: F.conv_transpose2d(x, w, b, **options),
        arrays(rng, (2, 4, 4, 5), (4, 6 // groups, 3, 3), (6,)),
        rtol=1e-3,
    )


POOLS = {
    "plain": {},
    "three": {"kernel_size": (3, 3)},
    "stride": {"kernel_size": (3, 3), "stride": 2},
    "padding": {"kernel_size": (3, 3), "stride": 2, "padding": 1},
    "uneven": {"kernel_size": (2, 3), "stride": (2, 1)},
    "ceil": {"kernel_size": (3, 3), "stride": 2, "ceil_mode": True},
    "ceil, padding": {"kernel_size": (3, 3), "stride": 3, "padding": 1, "ceil_mode": True},
}


@pytest.mark.parametrize("name", POOLS)
def test_max_pool2d(name: str, rng: np.random.Generator) -> None:
    options = {"kernel_size": (2, 2), **POOLS[name]}
    inputs = arrays(rng, (2, 3, 8, 7))
    check(lambda x: x.max_pool2d(**options), lambda x: F.max_pool2d(x, **options), inputs)
    ours = Tensor(inputs[0]).max_pool2d(**options, return_indices=True)[1]
    theirs = F.max_pool2d(torch.tensor(inputs[0]), **options, return_indices=True)[1]
    close(ours, theirs.numpy().astype(np.int32))


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("count_include_pad", [True, False])
def test_avg_pool2d(name: str, count_include_pad: bool, rng: np.random.Generator) -> None:
    options = {"kernel_size": (2, 2), **POOLS[name], "count_include_pad": count_include_pad}
    check(lambda x: x.avg_pool2d(**options), lambda x: F.avg_pool2d(x, **options), arrays(rng, (2, 3, 8, 7)))


def test_dilated_and_other_pools(rng: np.random.Generator) -> None:
    check(
        lambda x: x.max_pool2d((2, 2), 1, dilation=2),
        lambda x: F.max_pool2d(x, (2, 2), 1, dilation=2),
        arrays(rng, (1, 2, 6, 6)),
    )
    check(lambda x: x.max_pool2d((3,), 2), lambda x: F.max_pool1d(x, 3, 2), arrays(rng, (2, 3, 9)))
    check(lambda x: x.avg_pool2d((2, 2, 2)), lambda x: F.avg_pool3d(x, 2), arrays(rng, (1, 2, 4, 4, 4)))


def test_max_unpool2d(rng: np.random.Generator) -> None:
    [x] = arrays(rng, (2, 3, 6, 4))
    pooled, places = Tensor(x).max_pool2d(return_indices=True)
    theirs, their_places = F.max_pool2d(torch.tensor(x), 2, return_indices=True)
    close(pooled.max_unpool2d(places), F.max_unpool2d(theirs, their_places, 2))


@pytest.mark.parametrize(
    "mode,corners", [("linear", False), ("linear", True), ("nearest", False), ("nearest-exact", False)]
)
def test_interpolate(mode: str, corners: bool, rng: np.random.Generator) -> None:
    theirs = {"linear": "bilinear"}.get(mode, mode)
    options = {"align_corners": corners} if mode == "linear" else {}
    check(
        lambda x: x.interpolate((7, 3), mode, corners),
        lambda x: F.interpolate(x, (7, 3), mode=theirs, **options),
        arrays(rng, (2, 3, 4, 5)),
    )


@pytest.mark.parametrize("options", [{}, {"is_causal": True}], ids=str)
def test_attention(options: dict, rng: np.random.Generator) -> None:
    check(
        lambda q, k, v: q.scaled_dot_product_attention(k, v, **options),
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options),
        arrays(rng, (2, 3, 5, 4), (2, 3, 5, 4), (2, 3, 5, 4)),
    )


def test_attention_with_masks_and_groups(rng: np.random.Generator) -> None:
    mask = rng.random((4, 6)) > 0.3
    mask[:, 0] = True
    added = rng.standard_normal((2, 1, 4, 6)).astype(np.float32)
    inputs = arrays(rng, (2, 4, 4, 8), (2, 4, 6, 8), (2, 4, 6, 5))
    for m in (mask, added):
        check(
            lambda q, k, v, m=m: q.scaled_dot_product_attention(k, v, Tensor(m)),
            lambda q, k, v, m=m: F.scaled_dot_product_attention(q, k, v, torch.tensor(m)),
            inputs,
        )
    check(
        lambda q, k, v: q.scaled_dot_product_attention(k, v, is_causal=True, enable_gqa=True),
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True),
        arrays(rng, (2, 4, 5, 8), (2, 2, 5, 8), (2, 2, 5, 8)),
    )


def test_batchnorm(rng: np.random.Generator) -> None:
    def ours(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
        return x.batchnorm(w, b, mean, (variance + 1e-5).rsqrt())

    check(ours, lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), arrays(rng, (4, 3, 5, 5), (3,), (3,)))


def test_rejected_shapes() -> None:
    x = Tensor.zeros(1, 3, 5, 5)
    for broken, message in (
        (lambda: Tensor.zeros(2, 3) @ Tensor.zeros(4, 5), r"cannot multiply shapes \(2, 3\) and \(4, 5\)"),
        (lambda: Tensor(1.0) @ Tensor.zeros(4), "dot needs one or more dimensions"),
        (lambda: x.conv2d(Tensor.zeros(4, 2, 3, 3)), "3 channels are not 1 x 2"),
        (lambda: x.conv2d(Tensor.zeros(4, 3, 3)), "expected .batch, channels"),
        (lambda: x.conv2d(Tensor.zeros(4, 3, 3, 3), padding=(1, 2, 3)), "padding must be one number, 2 or 4"),
        (lambda: x.conv2d(Tensor.zeros(4, 3, 3, 3), stride=(1, 2, 3)), "expected one number or 2 of them"),
        (lambda: x.conv_transpose2d(Tensor.zeros(3, 2, 3, 3), output_padding=1), "smaller than the stride"),
        (lambda: x.max_pool2d((6, 6)), "do not fit"),
        (lambda: x.interpolate((3,), "cubic"), "mode must be"),
        (lambda: Tensor.einsum("ij,jk", Tensor.zeros(2, 3)), "names 2 operands"),
        (lambda: Tensor.einsum("ij,jk", Tensor.zeros(2, 3), Tensor.zeros(2, 3)), "axis 'j' has sizes 3 and 2"),
        (lambda: Tensor.einsum("i->ij", Tensor.zeros(2)), "each once"),
    ):
        with pytest.raises(ValueError, match=message):
            broken()


@pytest.mark.parametrize(("steps", "batch", "rows", "columns"), [
    (16, 32, 256, 128), (7, 65, 272, 97), (33, 17, 515, 48), (3, 700, 131, 33), (64, 9, 1031, 17),
])
def test_products_summed_over_two_axes(steps: int, batch: int, rows: int, columns: int) -> None:
    """Packed operands with tails: rows that no tile divides, columns that no vector divides, either order of axes."""
    rng = np.random.default_rng(rows)
    left = rng.standard_normal((steps, batch, rows)).astype(np.float32)
    right = rng.standard_normal((batch, steps, columns)).astype(np.float32)
    expected = np.einsum("tbm,btn->mn", left.astype(np.float64), right.astype(np.float64))
    a, b = Tensor(left), Tensor(right)
    bound = 2e-6 * np.sqrt(steps * batch) * 4
    assert np.abs(Tensor.einsum("tbm,btn->mn", a, b).numpy() - expected).max() < bound
    flat = Tensor(np.ascontiguousarray(right.transpose(1, 0, 2))).reshape(steps * batch, columns)
    assert np.abs((a.reshape(steps * batch, rows).T @ flat).numpy() - expected).max() < bound
