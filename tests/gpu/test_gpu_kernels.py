"""Every strategy's kernels on an NVIDIA GPU, beside the reference; skipped where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "runtime"))

from cuda_graphs import CASES

import ir
from ir import Node, dtypes
from runtime import Device, DeviceError, buffer_node, buffer_of, compile_graph, get_device

TOLERANCES = {dtypes.float32: 3e-5, dtypes.float16: 4e-3, dtypes.bfloat16: 3e-2}


@pytest.fixture(scope="module")
def gpu() -> Device:
    """The CUDA device."""
    try:
        return get_device("CUDA")
    except DeviceError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", CASES)
def test_kernels_equal_the_reference(name: str, gpu: Device) -> None:
    case = CASES[name]
    buffers = [buffer_of(array, gpu, case.dtype if array.dtype == np.float32 else None) for array in case.arrays]
    made = case.build(*map(buffer_node, buffers))
    outputs = [made] if isinstance(made, Node) else list(made)
    expected = ir.evaluate(outputs, {buffer_node(buffer): buffer.bits() for buffer in buffers})
    compiled = compile_graph(outputs, device=gpu)
    found = [buffer.numpy() for buffer in compiled.run()]
    for node, actual, wanted in zip(outputs, found, expected, strict=True):
        wanted = np.asarray(wanted)
        scale = np.abs(wanted[np.isfinite(wanted)].astype(np.float64)).max(initial=0.0) if node.dtype.is_float else 0
        tolerance = TOLERANCES.get(node.dtype, 0.0)
        np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance * scale)
    if not compiled.prepared.assigned:
        for first, again in zip(found, compiled.run(), strict=True):
            np.testing.assert_array_equal(first, again.numpy(), "a second run gave other bits")
