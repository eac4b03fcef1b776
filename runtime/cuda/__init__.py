"""NVIDIA GPUs: CUDA C compiled and launched through PyCUDA, which is imported only when the device is asked for."""

from runtime.cuda.device import CudaDevice, cuda_device

__all__ = ["CudaDevice", "cuda_device"]
