"""Convolutions as machine code: against float64, the same bits for any number of threads, tiles in registers."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import pytest

import ir
from codegen.target import Target
from runtime import CpuDevice, buffer_node, buffer_of, compile_graph
from tinygrad_like import Tensor
from tinygrad_like.inspect import dump

Array = Any


class Case(NamedTuple):
    """Images, weights and the options of a convolution."""

    images: tuple[int, ...]
    weights: tuple[int, ...]
    options: dict[str, int]


CASES = {
    "padded": Case((6, 24, 18, 18), (32, 24, 3, 3), {"padding": 1}),
    "first layer": Case((24, 1, 20, 20), (32, 1, 5, 5), {}),
    "full padding": Case((8, 16, 9, 9), (48, 16, 5, 5), {"padding": 4}),
    "strided": Case((5, 24, 19, 20), (40, 24, 3, 3), {"stride": 2, "padding": 1}),
    "pointwise": Case((4, 48, 14, 14), (33, 48, 1, 1), {}),
    "stride of three": Case((9, 8, 23, 23), (16, 8, 5, 5), {"stride": 3, "padding": 2}),
    "dilated": Case((4, 16, 20, 20), (24, 16, 3, 3), {"dilation": 2, "padding": 2}),
    "grouped": Case((4, 32, 12, 12), (32, 8, 3, 3), {"groups": 4, "padding": 1}),
    "depthwise": Case((4, 24, 16, 16), (24, 1, 3, 3), {"groups": 24, "padding": 1}),
    "line": Case((8, 20, 70), (32, 20, 5), {"padding": 2}),
    "volume": Case((2, 6, 8, 9, 10), (16, 6, 3, 3, 3), {"padding": 1}),
}


def arrays(case: Case) -> tuple[Array, Array]:
    numbers = np.random.default_rng(3)
    return tuple(numbers.standard_normal(shape).astype(np.float32) for shape in (case.images, case.weights))


def results(case: Case, x: Tensor, w: Tensor) -> list[Tensor]:
    """The convolution, and the gradients of the sum of its squares."""
    y = x.conv2d(w, **case.options)
    return [y, *y.square().sum().gradient(x, w)]


@pytest.mark.parametrize("name", CASES)
def test_convolutions_and_gradients_are_exact_to_single_precision(name: str) -> None:
    torch = pytest.importorskip("torch", reason="the oracle is PyTorch in float64")
    case = CASES[name]
    x, w = arrays(case)
    got = [result.numpy() for result in results(case, Tensor(x), Tensor(w))]
    wide = [torch.from_numpy(array.astype(np.float64)).requires_grad_() for array in (x, w)]
    convolve = {3: torch.conv1d, 4: torch.conv2d, 5: torch.conv3d}[x.ndim]
    y = convolve(*wide, **case.options)
    expected = [y, *torch.autograd.grad(y.square().sum(), wide)]
    for mine, theirs in zip(got, expected, strict=True):
        reference = theirs.detach().numpy()
        np.testing.assert_allclose(mine, reference, rtol=0, atol=3e-6 * np.abs(reference).max())


@pytest.mark.parametrize("name", ["padded", "strided", "first layer", "grouped"])
def test_threads_do_not_change_bits(name: str) -> None:
    case = CASES[name]
    x, w = arrays(case)
    bits = []
    for threads in (1, 2, 3):
        device = CpuDevice(threads=threads)
        buffers = [buffer_of(array, device) for array in (x, w)]
        seen = buffer_node(buffers[0])
        options = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, **case.options}
        outputs, groups = case.weights[0], options["groups"]
        for i, size in enumerate(case.weights[2:]):
            seen = ir.window(seen, 2 + 2 * i, size, options["stride"], options["dilation"], options["padding"],
                             options["padding"])
        pairs = seen.shape[2:]
        full = (case.images[0], groups, outputs // groups, case.weights[1], *pairs)
        left = ir.expand(ir.reshape(seen, (full[0], groups, 1, full[3], *pairs)), full)
        taps = [n for size in case.weights[2:] for n in (1, size)]
        weights = buffer_node(buffers[1])
        right = ir.expand(ir.reshape(weights, (1, groups, full[2], full[3], *taps)), full)
        y = ir.reduce("sum", ir.mul(left, right), (3, 5, 7))
        gradients = ir.gradient([y], [y], [buffer_node(buffers[0]), weights])
        compiled = compile_graph([y, *(g for g in gradients if g is not None)], device=device)
        bits.append([result.bits().tobytes() for result in compiled.run()])
    assert bits[0] == bits[1] == bits[2]


@pytest.mark.skipif("+avx512f" not in Target.host().features.split(","), reason="reads AVX-512 assembly")
@pytest.mark.parametrize(("images", "weights", "options"), [
    ((8, 64, 32, 32), (64, 64, 3, 3), {"padding": 1}),
    ((32, 32, 12, 12), (32, 32, 5, 5), {}),
    ((8, 32, 32, 32), (64, 32, 3, 3), {"padding": 1, "stride": 2}),
])
def test_accumulators_are_not_spilled(images: tuple[int, ...], weights: tuple[int, ...],
                                      options: dict[str, int]) -> None:
    x, w = (Tensor(array) for array in arrays(Case(images, weights, options)))
    text = dump(results(Case(images, weights, options), x.realize(), w.realize()), stage="asm")
    blocks = [block for block in re.split(r"^\S+:", text, flags=re.MULTILINE) if block.count("vfmadd") >= 8]
    assert blocks
    lines = [line for block in blocks for line in block.splitlines()]
    assert not [line for line in lines if re.search(r"\(%rsp\).*%zmm|%zmm.*\(%rsp\)", line)]
