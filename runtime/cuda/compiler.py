"""CUDA C to cubins by nvcc, kept on disk."""

from __future__ import annotations

from typing import Any

from ir.phases import phase
from runtime.disk_cache import DiskCache, cache_key
from runtime.errors import DeviceError

# Explicit fma in the loop IR is fused; anything else is rounded operation by operation, as on every other device.
NVCC_OPTIONS = ("-O3", "--fmad=false", "-std=c++17")


class CubinCompiler:
    """Compiles for one architecture through ``module``, which is ``pycuda.compiler``.

    compiled: how often nvcc ran. loaded: how often a cubin came from disk instead. An entry of ``cache`` depends on the
    text, the architecture, the options and the toolkit's version.
    """

    def __init__(self, module: Any, architecture: str, cache: DiskCache) -> None:
        self.module, self.architecture, self.cache = module, architecture, cache
        self.compiled = self.loaded = 0
        self._version = ""

    def cubin(self, text: str) -> bytes:
        """The machine code of one translation unit; raises DeviceError where nvcc is missing or rejects the text."""
        key = cache_key(text, self.architecture, " ".join(NVCC_OPTIONS), self.version())
        known = self.cache.get(key)
        if known is not None:
            self.loaded += 1
            return known
        with phase("nvcc"):
            code = self._compiled(text)
        self.compiled += 1
        self.cache.put(key, code)
        return code

    def version(self) -> str:
        """What nvcc says of itself."""
        if not self._version:
            try:
                self._version = str(self.module.get_nvcc_version("nvcc"))
            except OSError as error:
                raise DeviceError(f"CUDA: nvcc cannot be run ({error}): install the CUDA toolkit and put its bin "
                                  "directory on the PATH, or use TGL_DEVICE=CPU") from error
        return self._version

    def _compiled(self, text: str) -> bytes:
        try:
            return bytes(self.module.compile(text, options=list(NVCC_OPTIONS), arch=self.architecture,
                                             no_extern_c=True, cache_dir=False))
        except self.module.CompileError as error:
            reason = " ".join(str(error).split())
            raise DeviceError(f"CUDA: nvcc rejects the generated text for {self.architecture}: {reason}") from error
