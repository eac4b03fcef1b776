"""Running graphs: devices, buffers, programs, memory plans, and looking at all of them.

    >>> from runtime import Buffer, buffer_node, buffer_of, compile_graph, get_device, realize
"""

from __future__ import annotations

from runtime.buffer import Buffer, buffer_node, buffer_of
from runtime.counters import Counters, counters
from runtime.cpu.device import CpuDevice
from runtime.cuda import cuda_device
from runtime.device import (
    CompilingDevice,
    Device,
    Executable,
    InterpretingDevice,
    default_device_name,
    device_names,
    get_device,
    register_device,
)
from runtime.dump import dump
from runtime.errors import BufferUseError, DeviceError, OutOfMemory, RuntimeFailure
from runtime.explain import Explanation, explain
from runtime.null import NullDevice
from runtime.profile import Profile, profile
from runtime.program import KernelRecord, Launch, Program, Region, Repeat, Storage
from runtime.realize import CompiledGraph, compile_graph, program_cache, realize
from runtime.reference import ReferenceDevice

register_device("CPU", CpuDevice)
register_device("CUDA", cuda_device)
register_device("NULL", NullDevice)
register_device("REFERENCE", ReferenceDevice)

__all__ = [
    "Buffer",
    "BufferUseError",
    "CompiledGraph",
    "CompilingDevice",
    "Counters",
    "CpuDevice",
    "Device",
    "DeviceError",
    "Executable",
    "Explanation",
    "InterpretingDevice",
    "KernelRecord",
    "Launch",
    "NullDevice",
    "OutOfMemory",
    "Profile",
    "Program",
    "ReferenceDevice",
    "Region",
    "Repeat",
    "RuntimeFailure",
    "Storage",
    "buffer_node",
    "buffer_of",
    "compile_graph",
    "counters",
    "default_device_name",
    "device_names",
    "dump",
    "explain",
    "get_device",
    "profile",
    "program_cache",
    "realize",
    "register_device",
]
