"""The CUDA device on an emulation of CUDA: every strategy's kernels, executed in three orders of their threads."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "cuda_emulator"))

from cuda_graphs import CASES
from emulated_driver import COMPILER, BatchingDriver, EmulationError

import ir
from ir import Node, dtypes
from runtime import CompiledGraph, buffer_node, buffer_of, compile_graph
from runtime.cuda import CudaDevice

pytestmark = pytest.mark.skipif(COMPILER is None, reason="the CUDA emulator needs g++ or clang++ on the PATH")
ORDERS = ("forward", "reverse", "random")
TOLERANCES = {dtypes.float32: 2e-5, dtypes.float16: 4e-3, dtypes.bfloat16: 3e-2}


def prepared(name: str, device: CudaDevice) -> tuple[CompiledGraph, list[Node], dict[Node, np.ndarray]]:
    """A graph on ``device``: compiled, its outputs, and the values of its buffers."""
    case = CASES[name]
    buffers = [buffer_of(array, device, case.dtype if array.dtype == np.float32 else None) for array in case.arrays]
    made = case.build(*map(buffer_node, buffers))
    outputs = [made] if isinstance(made, Node) else list(made)
    values = {buffer_node(buffer): buffer.bits() for buffer in buffers}
    return compile_graph(outputs, device=device), outputs, values


@pytest.fixture(scope="module")
def graphs() -> dict[str, Callable[[], tuple[CompiledGraph, list[Node], dict[Node, np.ndarray]]]]:
    """Makers of every graph on one device, whose kernels are compiled together."""
    device = CudaDevice(BatchingDriver())
    for name in CASES:
        prepared(name, device)
    return {name: lambda name=name: prepared(name, device) for name in CASES}


def assert_close(actual: np.ndarray, expected: np.ndarray, dtype: ir.DType) -> None:
    if not dtype.is_float:
        np.testing.assert_array_equal(actual, expected)
        return
    scale = np.abs(expected[np.isfinite(expected)].astype(np.float64)).max(initial=0.0)
    np.testing.assert_allclose(actual, expected, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype] * scale)


@pytest.mark.parametrize("name", CASES)
def test_kernels_equal_the_reference_in_every_order(name: str, graphs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for order in ORDERS:
        monkeypatch.setenv("CUDA_EMULATOR_ORDER", order)
        compiled, outputs, values = graphs[name]()
        if not results:
            expected = ir.evaluate(outputs, values)
        results.append([buffer.numpy() for buffer in compiled.run()])
        for node, actual, wanted in zip(outputs, results[-1], expected, strict=True):
            assert_close(actual, np.asarray(wanted), node.dtype)
    for other in results[1:]:
        for first, again in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(first, again, "the order of the threads changed the bits")


class WithoutBarriers(BatchingDriver):
    """Leaves out every barrier."""

    def load(self, text: str, signatures: Any) -> Any:
        return super().load(text.replace("__syncthreads();", ""), signatures)


@pytest.mark.parametrize("name", ["product 64x64x64", "long rows", "sum over (1, 2)"])
def test_kernels_need_their_barriers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = CudaDevice(WithoutBarriers())
    results, wrong = [], False
    for order in ("forward", "reverse"):
        monkeypatch.setenv("CUDA_EMULATOR_ORDER", order)
        compiled, outputs, values = prepared(name, device)
        results.append([buffer.numpy() for buffer in compiled.run()])
        for node, actual, wanted in zip(outputs, results[-1], ir.evaluate(outputs, values), strict=True):
            wrong = wrong or not np.allclose(actual, wanted, rtol=TOLERANCES[node.dtype], atol=1e-3)
    assert wrong, "without barriers every order gave the right result"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not on the PATH")
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_nvcc_accepts_every_kernel(architecture: str, tmp_path: Path) -> None:
    device = CudaDevice(BatchingDriver())
    for name in CASES:
        prepared(name, device)
    assert isinstance(device.driver, BatchingDriver)
    source = tmp_path / "kernels.cu"
    source.write_text(device.driver.source())
    command = ["nvcc", "-cubin", "-std=c++17", "--fmad=false", f"-arch={architecture}", "-o",
               str(tmp_path / "kernels.cubin"), str(source)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert len(re.findall("__global__", source.read_text())) > len(CASES)


def test_an_error_of_the_emulator_names_the_kernel() -> None:
    driver = BatchingDriver()
    kernels = driver.load('extern "C" __global__ void broken(float* x) { nonsense; }', {"broken": 1})
    with pytest.raises(EmulationError, match="nonsense"):
        driver.launch(kernels["broken"], (1, 1, 1), (1, 1, 1), [0])
