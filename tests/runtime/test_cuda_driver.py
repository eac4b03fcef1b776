"""What stands between a program and a GPU: each missing part is one clear line; cubins are kept on disk."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime import DeviceError
from runtime.cuda import cuda_device
from runtime.cuda.compiler import CubinCompiler
from runtime.disk_cache import DiskCache

DRIVER = """
class Error(Exception): pass
def init(): {init}
class Device:
    @staticmethod
    def count(): return {count}
"""


PYCUDA_MODULES = ("pycuda", "pycuda.compiler", "pycuda.driver")


@pytest.fixture(autouse=True)
def leave_no_pycuda_behind() -> Iterator[None]:
    """The packages that these tests make up are forgotten, whatever was imported before comes back."""
    before = {name: sys.modules[name] for name in PYCUDA_MODULES if name in sys.modules}
    yield
    for name in PYCUDA_MODULES:
        sys.modules.pop(name, None)
    sys.modules.update(before)


def install(directory: Path, monkeypatch: pytest.MonkeyPatch, driver: str) -> None:
    """A package called pycuda whose driver module is ``driver``."""
    package = directory / "pycuda"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "compiler.py").write_text("")
    (package / "driver.py").write_text(driver)
    for name in PYCUDA_MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(directory))


def message() -> str:
    with pytest.raises(DeviceError) as caught:
        cuda_device()
    text = str(caught.value)
    assert "\n" not in text and "TGL_DEVICE=CPU" in text
    return text


def test_pycuda_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)
    assert "PyCUDA is not installed" in message() and "python -m pip install pycuda" in message()


def test_the_driver_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "raise ImportError('libcuda.so.1: cannot open shared object file')")
    assert "PyCUDA is installed but the NVIDIA driver is not (libcuda.so.1" in message()


def test_the_driver_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, DRIVER.format(init="raise Error('cuInit failed: unknown error')", count=0))
    assert "the NVIDIA driver does not start (cuInit failed: unknown error)" in message()


def test_there_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, DRIVER.format(init="pass", count=0))
    assert "finds no NVIDIA GPU" in message()


class FakeCompiler:
    """``pycuda.compiler`` as far as it is used."""

    class CompileError(Exception):
        pass

    def __init__(self, version: str = "release 13.0") -> None:
        self.version, self.runs = version, 0

    def get_nvcc_version(self, nvcc: str) -> str:
        if not self.version:
            raise OSError(f"{nvcc} was not found (is it on the PATH?)")
        return self.version

    def compile(self, text: str, options: list[str], arch: str, no_extern_c: bool, cache_dir: bool) -> bytes:
        self.runs += 1
        if "error" in text:
            raise self.CompileError("kernel.cu(1):\n  error: expected a ';'")
        return f"{arch}:{text}".encode()


def test_nvcc_is_missing(tmp_path: Path) -> None:
    compiler = CubinCompiler(FakeCompiler(version=""), "sm_90", DiskCache(tmp_path))
    with pytest.raises(DeviceError, match=r"nvcc cannot be run \(nvcc was not found.*CUDA toolkit.*TGL_DEVICE=CPU"):
        compiler.cubin("text")


def test_rejected_text_is_one_line(tmp_path: Path) -> None:
    compiler = CubinCompiler(FakeCompiler(), "sm_90", DiskCache(tmp_path))
    with pytest.raises(DeviceError, match=r"nvcc rejects the generated text for sm_90: kernel.cu\(1\): error"):
        compiler.cubin("an error")


def test_cubins_are_kept_on_disk(tmp_path: Path) -> None:
    first, again = FakeCompiler(), FakeCompiler()
    cubin = CubinCompiler(first, "sm_90", DiskCache(tmp_path)).cubin("text")
    reader = CubinCompiler(again, "sm_90", DiskCache(tmp_path))
    assert reader.cubin("text") == cubin and (first.runs, again.runs, reader.loaded) == (1, 0, 1)


@pytest.mark.parametrize(("version", "architecture", "text"), [
    ("release 12.8", "sm_90", "text"), ("release 13.0", "sm_80", "text"), ("release 13.0", "sm_90", "other"),
])
def test_another_toolkit_architecture_or_text_is_another_cubin(version: str, architecture: str, text: str,
                                                               tmp_path: Path) -> None:
    CubinCompiler(FakeCompiler(), "sm_90", DiskCache(tmp_path)).cubin("text")
    other = CubinCompiler(FakeCompiler(version), architecture, DiskCache(tmp_path))
    other.cubin(text)
    assert (other.compiled, other.loaded) == (1, 0)


def test_a_damaged_cubin_is_compiled_again(tmp_path: Path) -> None:
    CubinCompiler(FakeCompiler(), "sm_90", DiskCache(tmp_path)).cubin("text")
    (entry,) = tmp_path.iterdir()
    entry.write_bytes(entry.read_bytes()[:-1])
    repaired = CubinCompiler(FakeCompiler(), "sm_90", DiskCache(tmp_path))
    assert repaired.cubin("text") == b"sm_90:text" and repaired.compiled == 1
