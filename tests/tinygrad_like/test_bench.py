"""The workloads that are timed: every row of the benchmarks has one, and all frameworks do the same work."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_like import Tensor
from tinygrad_like.bench import WORKLOADS, measure


@pytest.fixture(scope="module", autouse=True)
def benchmarks(root: Path) -> Iterator[None]:
    """Makes the scripts of the benchmarks importable."""
    sys.path.insert(0, str(root / "tests" / "benchmarks"))
    yield
    sys.path.remove(str(root / "tests" / "benchmarks"))


@pytest.fixture(scope="module")
def pytorch() -> Any:
    """PyTorch's side of every workload."""
    pytest.importorskip("torch")
    import pytorch_side

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TGL_THREADS", "1")
        return pytorch_side.workloads(compiled=False)


def test_every_row_has_a_workload_and_its_peers(pytorch: Any) -> None:
    from rows import ROWS

    assert set(ROWS) == set(WORKLOADS) == set(pytorch) & set(WORKLOADS)
    pytest.importorskip("jax")
    import jax_side

    assert {name for name, row in ROWS.items() if "jax" in row.peers} == set(jax_side.workloads())


def numbers(result: Any) -> list[np.ndarray]:
    """The values of what a call returned: of a tensor of either framework, or of several."""
    if isinstance(result, (list, tuple)):
        return [array for part in result for array in numbers(part)]
    return [result.numpy() if isinstance(result, Tensor) else np.asarray(result.detach())]


@pytest.mark.parametrize("name", [
    "matmul_64x64x64", "matmul_tn_1024x1024x1024", "softmax", "layernorm_grad", "gelu_chain", "sum_cols", "cumsum",
    "argmax", "transpose_copy", "embedding_grad", "conv5x5_first_grad", "conv3x3_stride2",
])
def test_both_sides_compute_the_same(pytorch: Any, name: str) -> None:
    workload = WORKLOADS[name]
    ours, theirs = numbers(workload.prepared()()), numbers(pytorch[name](*workload.inputs())())
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=2e-3 * np.abs(other).max())


def test_both_sides_start_with_the_same_loss(pytorch: Any) -> None:
    """Weights are random on each side: the loss of the first step is that of a guess."""
    workload = WORKLOADS["gpt_small"]
    for call in (workload.prepared(), pytorch["gpt_small"](*workload.inputs())):
        assert call() == pytest.approx(np.log(65), abs=0.1)


def test_measuring_takes_the_time_of_one_piece_of_work() -> None:
    workload = WORKLOADS["matmul_64x64x64"]
    timing = measure(workload, seconds=0.001)
    assert len(timing.times) >= 3 and timing.first > timing.median > 0


def test_the_table_says_what_was_measured_and_what_is_missing() -> None:
    from readme import table
    from results import Result

    common = {"threads": 2, "processor": "a processor", "day": "2026-01-02"}
    results = [
        Result("gpt2_train", {"ours": 600.0, "torch": 1000.0}, {"ours": 2.0}, {"ours": 3 << 30, "torch": 4 << 30}, (),
               versions={"torch": "2.0"}, **common),
        Result("gelu_chain", {"ours": 1.0, "torch": 8.0, "jax": 2.0}, {"ours": 0.5}, {}, ("torch_compile",),
               versions={"torch": "2.0", "jax": "0.4"}, **common),
    ]
    lines = table(results).splitlines()
    assert lines[0] == "Measured on a processor, 2 threads, JAX 0.4, PyTorch 2.0, 2026-01-02: medians in milliseconds."
    assert lines[2] == "| | ours | PyTorch | JAX | ratio | wanted | first call, s |"
    assert lines[4] == "| gpt2_train | 600 | 1000 |  | 0.60, memory 0.75 | 0.65, memory 1.00 | 2.00 |"
    assert lines[5] == "| gelu_chain | 1 | 8 | 2 | best 0.50 (without torch.compile) | best 0.50 | 0.50 |"
