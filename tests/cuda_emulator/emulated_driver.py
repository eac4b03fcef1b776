"""A CUDA driver that runs kernels on the CPU: ``runtime.cuda`` on it is the CUDA device without a GPU."""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

HEADER = Path(__file__).with_name("cuda_emulator.h")
COMPILER = shutil.which("g++") or shutil.which("clang++")
FLAGS = ("-std=c++17", "-O1", "-w", "-ffp-contract=off", "-fPIC")

_KERNEL = 'extern "C" __global__'


class EmulationError(RuntimeError):
    """A kernel did what CUDA leaves undefined, or its text is not valid."""


class EmulatedDriver:
    """``runtime.cuda.driver.CudaDriver`` on the emulator; fresh memory is filled with 0xFF bytes (NaN, -1, true)."""

    architecture = "sm_80"

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory or Path(tempfile.gettempdir()) / "tinygrad_like_cuda_emulator"
        self.launches: list[tuple[str, tuple[int, int, int], tuple[int, int, int]]] = []

    def allocate(self, nbytes: int) -> tuple[int, object]:
        memory = np.full(nbytes + 256, 0xFF, np.uint8)
        return (memory.ctypes.data + 255) // 256 * 256, memory

    def copy_in(self, address: int, array: np.ndarray[Any, Any]) -> None:
        ctypes.memmove(address, array.ctypes.data, array.nbytes)

    def copy_out(self, address: int, array: np.ndarray[Any, Any]) -> None:
        ctypes.memmove(array.ctypes.data, address, array.nbytes)

    def load(self, text: str, signatures: Mapping[str, int]) -> Mapping[str, Any]:
        library = ctypes.CDLL(str(self._build(text + _launchers(text, signatures))))
        kernels = {}
        for name in signatures:
            kernels[name] = (name, getattr(library, f"{name}__launch"))
            kernels[name][1].restype = ctypes.c_char_p
        return kernels

    def _build(self, text: str) -> Path:
        if COMPILER is None:
            raise EmulationError("the CUDA emulator needs g++ or clang++ on the PATH")
        header = self._precompiled_header(COMPILER)
        library = self._directory / f"{_digest(header.parent.name, text)}.so"
        if not library.exists():
            with tempfile.TemporaryDirectory(dir=self._directory) as scratch:
                source, output = Path(scratch) / "kernels.cu", Path(scratch) / "kernels.so"
                source.write_text(text)
                _compile(COMPILER, "-x", "c++", "-shared", "-include", str(header), str(source), "-o", str(output))
                output.replace(library)
        return library

    def _precompiled_header(self, compiler: str) -> Path:
        """The emulator's header beside its compiled form, which saves most of the time of a small kernel."""
        directory = self._directory / _digest(compiler, HEADER.read_text(), *FLAGS)
        header = directory / HEADER.name
        compiled = directory / f"{HEADER.name}.gch"
        if not compiled.exists():
            directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=directory) as scratch:
                copy, output = Path(scratch) / HEADER.name, Path(scratch) / compiled.name
                copy.write_text(HEADER.read_text())
                copy.replace(header)
                _compile(compiler, "-x", "c++-header", str(header), "-o", str(output))
                output.replace(compiled)
        return header

    def launch(self, kernel: Any, grid: Sequence[int], block: Sequence[int], arguments: Sequence[int]) -> None:
        name, function = kernel
        values = (ctypes.c_uint64 * len(arguments))(*(value & (1 << 64) - 1 for value in arguments))
        self.launches.append((name, tuple(grid), tuple(block)))
        error = function(values, (ctypes.c_uint * 3)(*grid), (ctypes.c_uint * 3)(*block))
        if error is not None:
            raise EmulationError(f"{name}: {error.decode()}")

    def synchronize(self) -> None:
        """Launches have run when ``launch`` returns."""


class BatchingDriver(EmulatedDriver):
    """Compiles when a kernel is launched first, and then everything loaded so far as one translation unit.

    Kernels of equal names are taken to be equal, as their names contain the hash of their structure.
    """

    def __init__(self, directory: Path | None = None) -> None:
        super().__init__(directory)
        self.texts: dict[str, str] = {}
        self._signatures: dict[str, int] = {}
        self._compiled: dict[str, Any] = {}

    def load(self, text: str, signatures: Mapping[str, int]) -> Mapping[str, Any]:
        prelude, *functions = text.split(_KERNEL)
        for function in functions:
            name = next(name for name in signatures if f" {name}(" in function.partition("{")[0])
            self.texts[name] = _KERNEL + function
        self._prelude = prelude
        self._signatures.update(signatures)
        return {name: name for name in signatures}

    def launch(self, kernel: Any, grid: Sequence[int], block: Sequence[int], arguments: Sequence[int]) -> None:
        if kernel not in self._compiled:
            missing = [name for name in self.texts if name not in self._compiled]
            text = self._prelude + "".join(self.texts[name] for name in missing)
            self._compiled.update(super().load(text, {name: self._signatures[name] for name in missing}))
        super().launch(self._compiled[kernel], grid, block, arguments)

    def source(self) -> str:
        """One translation unit with every kernel that was loaded."""
        return self._prelude + "".join(self.texts.values())


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:24]


def _compile(compiler: str, *arguments: str) -> None:
    result = subprocess.run([compiler, *FLAGS, *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        raise EmulationError(f"the kernels do not compile:\n{result.stderr[:4000]}")


def _launchers(text: str, signatures: Mapping[str, int]) -> str:
    """One C function per kernel that unpacks eight-byte arguments and runs the grid."""
    lines = [
        "template <class T> T argument(uint64_t value) {",
        "  T result;",
        "  memcpy(&result, &value, sizeof(T));",
        "  return result;",
        "}",
        "template <class... T> const char* run(void (*kernel)(T...), const uint64_t* values, const unsigned* grid,",
        "                                      const unsigned* block) {",
        "  return emulator::launch(grid, block, [=] {",
        "    size_t next = sizeof...(T);  // braces evaluate left to right, a call's arguments in any order",
        "    std::tuple<T...> arguments{argument<T>(values[sizeof...(T) - next--])...};",
        "    std::apply(kernel, arguments);",
        "  });",
        "}",
    ]
    for name in signatures:
        signature = "const uint64_t* values, const unsigned* grid, const unsigned* block"
        body = f"return run({name}, values, grid, block);"
        lines.append(f'extern "C" const char* {name}__launch({signature}) {{ {body} }}')
    return "\n" + "\n".join(lines) + "\n"
