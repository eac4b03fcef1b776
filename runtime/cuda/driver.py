"""What a CUDA device asks of the driver, and PyCUDA behind that interface.

Keeping the driver behind a small protocol lets the tests run the whole device on an emulation of CUDA.
"""

from __future__ import annotations

import atexit
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from runtime.cuda.compiler import CubinCompiler
from runtime.disk_cache import DiskCache
from runtime.errors import DeviceError, OutOfMemory

Array = np.ndarray[Any, np.dtype[Any]]
Extent = tuple[int, int, int]


class CudaDriver(Protocol):
    """Memory, modules and launches on one device."""

    architecture: str  # for instance "sm_90"

    def allocate(self, nbytes: int) -> tuple[int, object]:
        """(address, owner): the memory lives as long as the owner. Raises OutOfMemory."""

    def copy_in(self, address: int, array: Array) -> None: ...

    def copy_out(self, address: int, array: Array) -> None: ...

    def load(self, text: str, signatures: Mapping[str, int]) -> Mapping[str, Any]:
        """Compiles one translation unit; ``signatures`` maps each kernel's name to its number of parameters."""

    def launch(self, kernel: Any, grid: Extent, block: Extent, arguments: Sequence[int]) -> None:
        """Enqueues a launch; every argument is an address or a symbol, eight bytes."""

    def synchronize(self) -> None: ...


class PyCudaDriver:
    """The first GPU of this machine, in its primary context."""

    def __init__(self) -> None:
        cuda, compiler = _import_pycuda()
        self._cuda = cuda
        _require_gpu(cuda)
        gpu = cuda.Device(0)
        self._context = gpu.retain_primary_context()
        self._context.push()
        atexit.register(self._context.pop)  # a context that is still pushed at exit aborts the process
        self._stream = cuda.Stream()
        major, minor = gpu.compute_capability()
        self.architecture = f"sm_{major}{minor}"
        self.compiler = CubinCompiler(compiler, self.architecture, DiskCache.default("cubins"))

    def allocate(self, nbytes: int) -> tuple[int, object]:
        try:
            memory = self._cuda.mem_alloc(max(nbytes, 1))
        except self._cuda.MemoryError as error:
            free, total = self._cuda.mem_get_info()
            raise OutOfMemory(f"CUDA: {nbytes:,} bytes asked for, {free:,} of {total:,} are free") from error
        return int(memory), memory

    def copy_in(self, address: int, array: Array) -> None:
        self._cuda.memcpy_htod(address, array)

    def copy_out(self, address: int, array: Array) -> None:
        self.synchronize()
        self._cuda.memcpy_dtoh(array, address)

    def load(self, text: str, signatures: Mapping[str, int]) -> Mapping[str, Any]:
        module = self._cuda.module_from_buffer(self.compiler.cubin(text))
        kernels = {}
        for name, parameters in signatures.items():
            kernels[name] = module.get_function(name)
            kernels[name].prepare("P" * parameters)
        return kernels

    def launch(self, kernel: Any, grid: Extent, block: Extent, arguments: Sequence[int]) -> None:
        kernel.prepared_async_call(grid, block, self._stream, *arguments)

    def synchronize(self) -> None:
        self._stream.synchronize()


def _import_pycuda() -> tuple[Any, Any]:
    try:
        import pycuda.compiler
        import pycuda.driver
    except ImportError as error:
        raise DeviceError(f"CUDA: {_missing(error)}; use TGL_DEVICE=CPU where there is no GPU") from error
    return pycuda.driver, pycuda.compiler


def _require_gpu(cuda: Any) -> None:
    try:
        cuda.init()
        count = cuda.Device.count()
    except cuda.Error as error:
        raise DeviceError(f"CUDA: the NVIDIA driver does not start ({error}); use TGL_DEVICE=CPU") from error
    if count == 0:
        raise DeviceError("CUDA: the driver finds no NVIDIA GPU on this machine; use TGL_DEVICE=CPU")


def _missing(error: ImportError) -> str:
    if "libcuda" in str(error):
        return f"PyCUDA is installed but the NVIDIA driver is not ({error})"
    return f"PyCUDA is not installed ({error}): python -m pip install pycuda, with the CUDA toolkit's nvcc on the PATH"
