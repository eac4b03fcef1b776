"""A pytest plugin that puts the emulator behind the device name CUDA, to try tests/gpu/run.sh's tests without a GPU.

    TGL_DEVICE=CUDA PYTHONPATH=tests/cuda_emulator python -m pytest -p emulated_cuda tests/runtime
"""

from __future__ import annotations

from emulated_driver import BatchingDriver

from runtime import register_device
from runtime.cuda import CudaDevice

register_device("CUDA", lambda: CudaDevice(BatchingDriver()))
