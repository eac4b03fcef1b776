"""tinygrad's public names beside its Tensor: layers, optimizers, state, data sets, dtypes, devices, counters."""

from __future__ import annotations

import inspect
import tarfile
import zipfile
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tinygrad_like
import tinygrad_like.helpers
from tinygrad_like import nn

tinygrad = pytest.importorskip("tinygrad", reason="tinygrad, whose names ours are compared with, is not installed")

for _part in ("nn.datasets", "nn.optim", "nn.state"):
    import_module(f"tinygrad.{_part}")


def defined_in(module: ModuleType) -> set[str]:
    """The public names that a module defines itself."""
    return {name for name, value in vars(module).items()
            if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__}


def public(value: Any) -> set[str]:
    return {name for name in dir(value) if not name.startswith("_")}


PAIRS = {
    "top level": ({"Context", "Device", "GlobalCounters", "Tensor", "TinyJit", "UOp", "Variable", "dtypes", "function"},
                  public(tinygrad_like)),
    "nn": (defined_in(tinygrad.nn), public(nn)), "nn.optim": (defined_in(tinygrad.nn.optim), public(nn.optim)),
    "nn.state": (defined_in(tinygrad.nn.state), public(nn.state)),
    "nn.datasets": (defined_in(tinygrad.nn.datasets), public(nn.datasets)),
    "Device": (public(tinygrad.Device), public(tinygrad_like.Device)),
    "GlobalCounters": (public(tinygrad.GlobalCounters), public(tinygrad_like.GlobalCounters)),
    "dtypes": (public(tinygrad.dtypes), public(tinygrad_like.dtypes)),
}
_GRAPH = "its graph; ours is the ir package"
_EIGHT_BITS = "floats of 8 bits are not there yet"
_WEAK = "dtypes of Python numbers, which here are no dtypes of tensors: numbers take the tensor's"
ABSENT = {
    "top level": {"UOp": _GRAPH, "function": "makes one of its graph's calls; ours are checkpoint and custom_vjp"},
    "nn.state": {
        "TensorIO": "reads a tensor as a file; here files are read as arrays", "accept_filename": "a helper of its own",
        "fs_load": "its network file system", "fs_store": "its network file system",
        "safe_load_metadata": "safe_load_with_metadata gives tensors and metadata"},
    "Device": {"get_class": "a device's Python class; Device[name] is the device"},
    "GlobalCounters": {"mem_used_per_device": "levels are counted for all devices together"},
    "dtypes": {**dict.fromkeys(("fp8_fnuz", "fp8_ocp", "fp8e4m3", "fp8e4m3fnuz", "fp8e5m2", "fp8e5m2fnuz", "fp8s"),
                               _EIGHT_BITS), **dict.fromkeys(("weakfloat", "weakint", "weaks"), _WEAK)},
}


@pytest.mark.parametrize("group", PAIRS)
def test_every_name_is_there_or_absent_for_a_reason(group):
    theirs, ours = PAIRS[group]
    absent = ABSENT.get(group, {})
    assert theirs - ours == set(absent), "missing without a reason, or a reason that is stale"


# Parameters that ours lack: the updates of one step are fused in any case and lie where the parameters do.
_NOT_OURS = {"device", "fused"}
_OTHERS = {"SGD": {"classic"}, "LAMB": {"adam"}, "LARS": {"ns_steps", "ns_coefficients", "pre_wd"}}


@pytest.mark.parametrize("name", sorted(defined_in(tinygrad.nn) | defined_in(tinygrad.nn.optim) - {"Optimizer"}))
def test_parameters_of_layers_and_optimizers_have_their_places(name):
    where = "optim" if name in defined_in(tinygrad.nn.optim) else None
    theirs, ours = (getattr(m.optim if where else m, name) for m in (tinygrad.nn, nn))
    lacking = (_NOT_OURS | _OTHERS.get(name, set())) if where else set()
    wanted = [p for p in inspect.signature(theirs).parameters.values() if p.name not in lacking]
    found = list(inspect.signature(ours).parameters.values())
    assert len(found) >= len(wanted)
    for one, other in zip(found, wanted, strict=False):
        same_name = one.name == other.name or {one.name, other.name} <= {
            "size", "sz", "num_embeddings", "vocab_size", "embedding_dim", "embed_size"}
        # PyTorch has ConvTranspose's dilation behind bias; by keyword both are the same.
        assert same_name or (name.startswith("ConvTranspose") and other.name in inspect.signature(ours).parameters)
        if other.default is not inspect.Parameter.empty and same_name:
            assert one.default == other.default, f"{name}({other.name})"


def test_archives_are_dicts_of_bytes(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"\x01\x02\x03")
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "a.bin", "folder/a.bin")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(tmp_path / "a.bin", "folder/a.bin")
    for read, name in ((nn.state.tar_extract, "x.tar.gz"), (nn.state.zip_extract, "x.zip")):
        for given in (tmp_path / name, tinygrad_like.Tensor(np.frombuffer((tmp_path / name).read_bytes(), np.uint8))):
            found = read(given)
            assert list(found) == ["folder/a.bin"] and found["folder/a.bin"].tolist() == [1, 2, 3]
            assert found["folder/a.bin"].dtype.name == "uint8"
    with pytest.raises(tinygrad_like.io.InputError, match=r"a.bin is no tar archive"):
        nn.state.tar_extract(tmp_path / "a.bin")


def test_dtypes_and_devices_by_tinygrads_names():
    dtypes, device = tinygrad_like.dtypes, tinygrad_like.Device
    assert dtypes.from_py(1) is dtypes.int32 and dtypes.from_py(1.5) is dtypes.float32
    assert dtypes.from_py(True) is dtypes.bool and dtypes.from_py([1, 2.5]) is dtypes.float32
    assert dtypes.int8s == (dtypes.uint8, dtypes.int8) and dtypes.int64s == (dtypes.uint64, dtypes.int64)
    assert device.default is device[device.DEFAULT] and device.DEFAULT in set(device.get_available_devices())
