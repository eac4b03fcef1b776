"""A pytest plugin that puts the emulator behind the device name CUDA, to run tests/gpu/run.sh's tests without a GPU.

    TGL_DEVICE=CUDA PYTHONPATH=tests/cuda_emulator python -m pytest -p emulated_cuda tests/runtime

With ``CUDA_EMULATOR_SOURCES=DIR`` the text of every kernel stays in DIR, for ``compile_kernels.py``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emulated_driver import BatchingDriver

from runtime import register_device
from runtime.cuda import CudaDevice


class RecordingDriver(BatchingDriver):
    """Keeps each kernel as ``NAME.cu`` in a directory, and the text that goes before all of them as ``prelude.h``."""

    def __init__(self, sources: Path) -> None:
        super().__init__()
        self._sources = sources
        sources.mkdir(parents=True, exist_ok=True)

    def load(self, text: str, signatures: Mapping[str, int]) -> Mapping[str, Any]:
        kernels = super().load(text, signatures)
        (self._sources / "prelude.h").write_text(self._prelude)
        for name in signatures:
            (self._sources / f"{name}.cu").write_text(self.texts[name])
        return kernels


def _device() -> CudaDevice:
    sources = os.environ.get("CUDA_EMULATOR_SOURCES")
    return CudaDevice(RecordingDriver(Path(sources)) if sources else BatchingDriver())


register_device("CUDA", _device)
