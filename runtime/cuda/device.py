"""The CUDA device: programs as one translation unit, launched kernel by kernel on one stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from codegen.cuda import LaunchShape, emit_cuda, launch_shape
from codegen.target import Target
from ir.phases import phase
from runtime.cuda.driver import CudaDriver, PyCudaDriver
from runtime.device import Allocation, CompilingDevice
from runtime.program import Command, Launch, Program, Region

Array = np.ndarray[Any, np.dtype[Any]]


class CudaDevice(CompilingDevice):
    """One GPU behind a ``CudaDriver``."""

    name = "CUDA"

    def __init__(self, driver: CudaDriver) -> None:
        super().__init__()
        self.driver = driver
        self.target = Target.cuda(driver.architecture)

    def allocate(self, nbytes: int) -> Allocation:
        address, owner = self.driver.allocate(nbytes)
        return Allocation(address, nbytes, owner)

    def copy_in(self, allocation: Allocation, array: Array) -> None:
        if array.nbytes:
            self.driver.copy_in(allocation.address, array)

    def copy_out(self, allocation: Allocation, array: Array) -> None:
        if array.nbytes:
            self.driver.copy_out(allocation.address, array)

    def synchronize(self) -> None:
        self.driver.synchronize()

    def compile(self, program: Program) -> CudaExecutable:
        return CudaExecutable(self, program)


class CudaExecutable:
    """A program whose kernels are loaded on the GPU."""

    def __init__(self, device: CudaDevice, program: Program) -> None:
        self._device, self._program = device, program
        functions = program.functions()
        signatures = {f.name: len(f.parameters) + len(f.symbols) for f in functions}
        with phase("emit"):
            source = emit_cuda(functions)
        with phase("load"):
            self._kernels = device.driver.load(source, signatures) if functions else {}
        self._shapes: dict[str, LaunchShape] = {function.name: launch_shape(function) for function in functions}

    def run(self, addresses: Sequence[int], symbols: Sequence[int]) -> None:
        """Enqueues every launch and waits for the last. See ``runtime.device.Executable``."""
        program = self._program
        arena = self._device.workspace.reserve(program.arena_bytes) if program.arena_bytes else 0
        places = [arena + storage.offset for storage in program.storages]
        for storage, address in zip(program.arguments, addresses, strict=True):
            places[storage] = address
        values = dict(zip(program.symbols, symbols, strict=True))
        self._run_commands(program.commands, places, values)
        self._device.synchronize()

    def _run_commands(self, commands: Sequence[Command], places: Sequence[int], values: dict[str, int]) -> None:
        for command in commands:
            if isinstance(command, Region):
                for launch in command.launches:
                    self._launch(launch, places, values)
                continue
            steps = range(command.count)
            for step in reversed(steps) if command.reverse else steps:
                values[command.symbol] = step
                self._run_commands(command.body, places, values)

    def _launch(self, launch: Launch, places: Sequence[int], values: dict[str, int]) -> None:
        function = launch.function
        arguments = [places[storage] for storage in launch.arguments]
        arguments += [values[name] for name in function.symbols]
        grid, block = self._shapes[function.name]
        self._device.driver.launch(self._kernels[function.name], grid, block, arguments)


def cuda_device() -> CudaDevice:
    """The device of the first GPU; raises DeviceError with one line on what is missing."""
    return CudaDevice(PyCudaDriver())
