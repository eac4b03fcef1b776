"""What the end-to-end tests share: running a graph on the CPU and comparing it with the NumPy reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

import ir
from ir import DType, Node, dtypes
from runtime import Buffer, buffer_node, buffer_of, compile_graph, get_device
from runtime.verify import verify_program

Array = np.ndarray
Build = Callable[..., "Node | Sequence[Node]"]
RELATIVE = {dtypes.float64: 1e-12, dtypes.float32: 2e-5, dtypes.float16: 4e-3, dtypes.bfloat16: 3e-2}


def assert_close(actual: Array, expected: Array, dtype: DType) -> None:
    """Floats within a few units in the last place of the largest value (sums are ordered differently), else equal."""
    assert actual.shape == expected.shape and actual.dtype == expected.dtype
    if not dtype.is_float or not expected.size:
        np.testing.assert_array_equal(actual, expected)
        return
    finite = np.abs(expected[np.isfinite(expected)].astype(np.float64))
    tolerance = RELATIVE[dtype]
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * finite.max(initial=0.0))


def graph_of(build: Build, buffers: Sequence[Buffer]) -> list[Node]:
    """The outputs that ``build`` makes of one node per buffer."""
    made = build(*map(buffer_node, buffers))
    return [made] if isinstance(made, Node) else list(made)


@pytest.fixture
def agree() -> Callable[..., list[Array]]:
    """``agree(build, *arrays)``: the outputs of ``build(*nodes)`` on the CPU equal the reference; run twice, bits are
    equal. ``dtypes``: for bfloat16 inputs. Returns the arrays that the CPU gave."""

    def check(build: Build, *arrays: Array, dtype: DType | None = None) -> list[Array]:
        device = get_device()  # CPU, unless TGL_DEVICE asks for another
        buffers = [buffer_of(array, device, dtype if array.dtype == np.float32 else None) for array in arrays]
        outputs = graph_of(build, buffers)
        values = {buffer_node(buffer): buffer.bits() for buffer in buffers}
        expected = ir.evaluate(outputs, values)
        compiled = compile_graph(outputs, device=device)
        verify_program(compiled.prepared.program)
        first = [result.numpy() for result in compiled.run()]
        for node, actual, wanted in zip(outputs, first, expected, strict=True):
            assert_close(actual, np.asarray(wanted), node.dtype)
        if not compiled.prepared.assigned:
            for actual, again in zip(first, compiled.run(), strict=True):
                np.testing.assert_array_equal(again.numpy(), actual, "a second run gave other values")
        return first

    return check
