"""The package itself: its siblings, settings, devices and nests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from runtime.errors import DeviceError
from tinygrad_like import Context, Device, GlobalCounters, Tensor
from tinygrad_like.tree import flatten


@pytest.mark.parametrize("name", ["ir", "codegen", "runtime"])
def test_a_file_in_the_way_is_named(name: str, tmp_path: Path, root: Path) -> None:
    """A user's own runtime.py beside the script would be imported in place of ours."""
    (tmp_path / f"{name}.py").write_text("", encoding="utf-8")
    script = f"import sys; sys.path.append({str(root)!r}); import tinygrad_like"
    (tmp_path / "script.py").write_text(script, encoding="utf-8")
    result = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: tinygrad_like needs its own package") and f"{name}.py; rename or move" in last


def test_settings_nest_and_return() -> None:
    assert not Tensor.training
    with Context(TRAINING=1):
        assert Tensor.training
        with Context(TRAINING=0):
            assert not Tensor.training
        assert Tensor.training
    with Tensor.train():
        assert Tensor.training
    assert not Tensor.training
    Tensor.training = True
    assert Tensor.training
    Tensor.training = False
    with pytest.raises(ValueError, match="unknown setting 'SPEED'"):
        Context(SPEED=1)


def test_dropout_only_drops_in_training() -> None:
    x = Tensor.ones(1000)
    assert x.dropout(0.5) is x
    with Context(TRAINING=1):
        values = x.dropout(0.25).numpy()
        kept = values[values != 0]
        np.testing.assert_allclose(kept, 1 / 0.75, rtol=1e-6)
        assert 650 < len(kept) < 850
        assert x.dropout(0) is x and x.dropout(1).sum().item() == 0
        with pytest.raises(ValueError, match="between 0 and 1"):
            x.dropout(1.5)
        y = Tensor.ones(100, requires_grad=True)
        dropped = y.dropout()
        dropped.sum().backward()
        assert (y.grad.numpy() == dropped.numpy()).all()  # the backward pass has the same mask


def test_devices() -> None:
    assert Device.DEFAULT in Device.names() and Device[Device.DEFAULT].name == Device.DEFAULT
    x = Tensor([1.0, 2.0])
    other = x.to("reference" if Device.DEFAULT != "REFERENCE" else "cpu")
    assert other.device != x.device and other.tolist() == [1, 2] and (other * 2).to(x.device).tolist() == [2, 4]
    assert (other + 1).tolist() == [2, 3] and x.to(x.device) is x
    with pytest.raises(ValueError, match="meet in one operation"):
        x + other
    with pytest.raises(DeviceError, match="TPU"):
        x.to("TPU")
    before = Device.DEFAULT
    try:
        Device.DEFAULT = "reference"
        assert Tensor([1.0]).device == "REFERENCE"
    finally:
        Device.DEFAULT = before


def test_counters_count() -> None:
    before = GlobalCounters.programs
    (Tensor([1.0]) + 1).realize()
    assert GlobalCounters.programs == before + 1


def test_nests() -> None:
    class Pair(NamedTuple):
        first: int
        second: object

    value = {"b": [1, (2, None)], "a": Pair(3, {}), "c": []}
    leaves, structure = flatten(value)
    assert leaves == [1, 2, None, 3] and structure.rebuild(leaves) == value
    assert isinstance(structure.rebuild(leaves)["a"], Pair) and structure.leaf_count == 4
    assert structure.paths() == ["['b'][0]", "['b'][1][0]", "['b'][1][1]", "['a'][0]"]
    assert flatten([1, [2]])[1] == flatten([3, [4]])[1] != flatten([1, 2])[1]
