"""Attention from tensor ops beside PyTorch's: shapes, masks, dtypes and gradients; and the kernels that it becomes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from tensor_oracle import arrays, check, torch

from codegen.kernel import KernelBatch
from codegen.schedule import schedule
from codegen.target import Target
from runtime import CpuDevice, buffer_node, buffer_of, compile_graph
from tinygrad_like import Tensor, dtypes, jit
from tinygrad_like.inspect import graph_of
from tinygrad_like.models import GPT, GPTConfig

F = torch.nn.functional
SHAPES = {  # queries, keys and values
    "even": ((2, 3, 64, 16), (2, 3, 64, 16), (2, 3, 64, 16)),
    "no multiple of a tile": ((2, 3, 83, 24), (2, 3, 83, 24), (2, 3, 83, 24)),
    "fewer queries": ((1, 2, 19, 8), (1, 2, 150, 8), (1, 2, 150, 40)),
    "more queries": ((1, 2, 150, 8), (1, 2, 19, 8), (1, 2, 19, 5)),
    "one query": ((2, 3, 1, 16), (2, 3, 70, 16), (2, 3, 70, 16)),
    "one key": ((2, 3, 70, 16), (2, 3, 1, 16), (2, 3, 1, 16)),
    "one column": ((2, 3, 70, 2), (2, 3, 70, 2), (2, 3, 70, 1)),
    "one head": ((90, 8), (90, 8), (90, 8)),
    "five dimensions": ((2, 2, 2, 33, 4), (2, 2, 2, 33, 4), (2, 2, 2, 33, 4)),
    "rows in three chunks": ((1, 3, 192, 8), (1, 3, 192, 8), (1, 3, 192, 8)),
}


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(rng: np.random.Generator, shape: str, causal: bool) -> None:
    check(lambda q, k, v: q.scaled_dot_product_attention(k, v, is_causal=causal),
          lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal), arrays(rng, *SHAPES[shape]))


@pytest.mark.parametrize("shape", [(40, 70), (2, 1, 40, 70), (1, 3, 40, 70)], ids=str)
@pytest.mark.parametrize("kind", ["numbers", "bool"])
def test_masks(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> None:
    mask = rng.random(shape) < 0.6 if kind == "bool" else rng.standard_normal(shape).astype(np.float32)
    check(lambda q, k, v: q.scaled_dot_product_attention(k, v, Tensor(mask)),
          lambda q, k, v: F.scaled_dot_product_attention(q, k, v, torch.tensor(mask)),
          arrays(rng, (2, 3, 40, 16), (2, 3, 70, 16), (2, 3, 70, 16)))


@pytest.mark.parametrize("causal", [False, True])
def test_a_group_of_heads_shares_keys(rng: np.random.Generator, causal: bool) -> None:
    check(lambda q, k, v: q.scaled_dot_product_attention(k, v, is_causal=causal, enable_gqa=True),
          lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True),
          arrays(rng, (2, 6, 40, 16), (2, 2, 40, 16), (2, 2, 40, 16)))


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float16", 2e-2), ("bfloat16", 8e-2)])
def test_dtypes(rng: np.random.Generator, dtype: str, tolerance: float) -> None:
    given = arrays(rng, *[(2, 2, 70, 16)] * 3)

    def ours(*tensors: Tensor) -> Tensor:
        q, k, v = (tensor.cast(getattr(dtypes, dtype)) for tensor in tensors)
        return q.scaled_dot_product_attention(k, v, is_causal=True).cast(dtypes.float64)

    def theirs(*tensors: torch.Tensor) -> torch.Tensor:
        q, k, v = (tensor.to(getattr(torch, dtype)).double() for tensor in tensors)
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    check(ours, theirs, [x.astype(np.float64) for x in given], tolerance, tolerance)


def plain(q: np.ndarray, k: np.ndarray, v: np.ndarray, inside: np.ndarray) -> np.ndarray:
    scores = np.where(inside, q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1]), -np.inf)
    with np.errstate(invalid="ignore"):
        exponentials = np.exp(scores - scores.max(-1, keepdims=True))
        return exponentials / exponentials.sum(-1, keepdims=True) @ v


def test_rows_that_are_masked_whole_are_nan(rng: np.random.Generator) -> None:
    q, k, v = arrays(rng, *[(2, 2, 40, 16)] * 3)
    inside = rng.random((40, 40)) < 0.5
    inside[[3, 17]] = False
    found = Tensor(q).scaled_dot_product_attention(Tensor(k), Tensor(v), Tensor(inside)).numpy()
    np.testing.assert_allclose(found, plain(q, k, v, inside), 1e-4, 1e-5)
    assert np.isnan(found[:, :, [3, 17]]).all() and not np.isnan(found[:, :, 4:17]).any()


@pytest.mark.parametrize("special", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_stays_in_the_rows_that_see_it(rng: np.random.Generator, special: float) -> None:
    q, k, v = arrays(rng, *[(2, 2, 40, 16)] * 3)
    q[0, 1, 20, 3] = special
    found = Tensor(q).scaled_dot_product_attention(Tensor(k), Tensor(v), is_causal=True).numpy()
    with np.errstate(invalid="ignore"):
        expected = plain(q, k, v, np.tri(40, dtype=bool))
    np.testing.assert_allclose(found, expected, 1e-4, 1e-5)


def test_dropout_is_the_same_backward(rng: np.random.Generator) -> None:
    """With values of ones a row is the sum of its weights: its gradient by the values is the weights themselves."""
    q, k = (Tensor(x) for x in arrays(rng, (2, 2, 40, 8), (2, 2, 40, 8)))
    v = Tensor(np.ones((2, 2, 40, 8), np.float32))
    with Tensor.train():
        Tensor.manual_seed(3)
        mixed = q.scaled_dot_product_attention(k, v, dropout_p=0.5)
        (slope,) = mixed.sum().gradient(v)
    Tensor.realize(mixed, slope)
    assert np.abs(mixed.numpy() - 1).max() > 0.1
    np.testing.assert_allclose(mixed.numpy().sum((2, 3)), slope.numpy().sum((2, 3)), 1e-4)


def test_a_training_step_is_two_kernels_of_attention_and_stores_no_scores() -> None:
    model = GPT(GPTConfig(vocabulary=11, context=128, layers=1, heads=2, width=16, dropout=0.1))
    tokens = Tensor(np.zeros((3, 128), np.int32))
    with Tensor.train():
        loss = model.loss(tokens, tokens)
        outputs = graph_of([loss, *loss.gradient(*model.parameters())])
    scheduled = schedule(outputs, Target.host())
    kernels = [kernel for step in scheduled.steps if isinstance(step, KernelBatch) for kernel in step.kernels]
    assert [kernel.strategy for kernel in kernels].count("attention") == 2
    assert all(value.shape[-2:] != (128, 128) for kernel in kernels for value in kernel.outputs)
    backward = [kernel for kernel in kernels if kernel.strategy == "attention"][1]
    assert len(backward.outputs) == 3 and len(set(backward.in_place.values())) == 1  # the parts of one gradient


@pytest.mark.parametrize("shape", [(2, 3, 83, 24), (1, 2, 192, 8)], ids=str)
def test_threads_do_not_change_bits(rng: np.random.Generator, shape: tuple[int, ...]) -> None:
    given = arrays(rng, shape, shape, shape)

    def bits(threads: int) -> list[bytes]:
        device = CpuDevice(threads=threads)
        q, k, v = (Tensor.from_node(buffer_node(buffer_of(x, device))) for x in given)
        mixed = q.scaled_dot_product_attention(k, v, is_causal=True)
        results = [mixed, *mixed.square().sum().gradient(q, k, v)]
        return [result.bits().tobytes() for result in compile_graph(graph_of(results), device=device).run()]

    assert bits(1) == bits(2) == bits(3)


def test_a_compiled_step_keeps_its_results(rng: np.random.Generator) -> None:
    """Scratch that an earlier call left behind is not read by the next."""
    step: Callable[..., Tensor] = jit(lambda q, k, v: q.scaled_dot_product_attention(k, v, is_causal=True))
    for _ in range(3):
        q, k, v = arrays(rng, *[(2, 2, 45, 16)] * 3)
        found = step(Tensor(q), Tensor(k), Tensor(v)).numpy()
        np.testing.assert_allclose(found, plain(q, k, v, np.tri(45, dtype=bool)), 1e-4, 1e-5)
        q[:], k[:] = np.nan, np.nan
        step(Tensor(q), Tensor(k), Tensor(v)).numpy()
