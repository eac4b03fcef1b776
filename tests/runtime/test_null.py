"""The NULL device: every target compiles everywhere, nothing runs, and reading a value says so."""

from __future__ import annotations

import numpy as np
import pytest

import ir
from codegen.target import Target
from ir import dtypes
from runtime import DeviceError, buffer_node, buffer_of, compile_graph, get_device, realize
from runtime.null import NullDevice, NullExecutable


@pytest.mark.parametrize(("target", "expected"), [
    (Target.cuda("sm_80"), "__global__"),
    (Target.cuda("sm_90a"), "__global__"),
    (Target.host(), "define "),
    (Target.cpu("x86-64-v3", "+avx2,+fma"), "define "),
], ids=["sm_80", "sm_90a", "host", "avx2"])
def test_any_target_compiles(target: Target, expected: str) -> None:
    x = ir.parameter(0, dtypes.float32, (128, 64))
    compiled = compile_graph([ir.reduce("sum", ir.exp(x), (1,))], arguments=[x], device=NullDevice(target))
    executable = compiled.prepared.executable
    assert isinstance(executable, NullExecutable)
    assert expected in executable.source
    assert compiled.peak_bytes >= 128 * 4


def test_running_does_nothing_and_reading_says_so() -> None:
    device = get_device("NULL")
    x = buffer_of(np.ones(4, np.float32), device)
    [result] = realize([ir.exp(buffer_node(x))])
    assert result.shape == (4,)
    with pytest.raises(DeviceError, match="never run there; choose another device"):
        result.numpy()
