"""tune: schedules are measured, and what a function computes stays the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtime import CpuDevice, get_device, search
from runtime.disk_cache import DiskCache
from runtime.found_choices import FoundChoices
from tinygrad_like import Tensor, jit, tune


def test_a_jitted_step_is_tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = get_device()
    if not isinstance(device, CpuDevice):
        pytest.skip("only the CPU's strategies have choices")
    monkeypatch.setattr(device, "found", FoundChoices(DiskCache(tmp_path), "this machine"))
    for name, value in (("_SAMPLE", 1e-5), ("_SAMPLES", 2), ("_SHORTEST", 0.0)):
        monkeypatch.setattr(search, name, value)
    w = Tensor(np.random.default_rng(0).standard_normal((40, 40)).astype(np.float32)).realize()

    @jit
    def step(x: Tensor) -> Tensor:
        return (x @ w).relu().sum(0)

    x = Tensor.ones(24, 40).realize()
    before = step(x).numpy()
    report = tune(step, x)
    assert report.found and len(step.programs) == 1
    np.testing.assert_allclose(step(x).numpy(), before, rtol=1e-5)
    assert not tune(step, x).found
