"""The CPU device: a program becomes machine code and a command list, and one native call runs it on all cores.

    >>> device = get_device("CPU")
    >>> executable = device.compile(program)
    >>> executable.run(addresses, symbols)
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Sequence
from weakref import WeakSet

import numpy as np

from codegen.target import Target
from ir.phases import phase
from runtime.cpu import commands, thread_pool_ir
from runtime.cpu.commands import CommandList, Context
from runtime.cpu.compiler import FunctionCompiler
from runtime.cpu.jit import Library
from runtime.cpu.thread_pool import ThreadPool, requested_threads
from runtime.device import ALIGNMENT, Allocation, CompilingDevice
from runtime.disk_cache import DiskCache
from runtime.errors import DeviceError
from runtime.found_choices import FoundChoices
from runtime.host_memory import HostMemory
from runtime.program import Program
from runtime.program_store import ProgramStore


class CpuDevice(HostMemory, CompilingDevice):
    """The processor that Python runs on.

    threads: by default TGL_THREADS, else as many as this process may use. Results do not depend on it.
    cache: where object code is kept between processes; by default the user's cache directory, as for programs and found
      schedules (which are kept nowhere if ``cache`` is given).
    """

    name = "CPU"

    def __init__(self, threads: int | None = None, cache: DiskCache | None = None) -> None:
        super().__init__()
        self.target = Target.host()
        self.compiler = FunctionCompiler(self.target, cache or DiskCache.default("objects"))
        self.store = ProgramStore(DiskCache.default("programs")) if cache is None else None
        try:
            wanted = requested_threads() if threads is None else threads
        except ValueError as error:
            raise DeviceError(str(error)) from error
        if cache is None:
            self.found = FoundChoices(DiskCache.default("choices"), f"{self.target!r}, {wanted} threads")
        self._native = self.compiler.module(thread_pool_ir.pool_module() + commands.WALKER,
                                            [*thread_pool_ir.SYMBOLS, *commands.SYMBOLS])
        self.pool = ThreadPool(self._native, wanted)
        self.run_program = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self._native["run_program"])
        self._scratch: Allocation | None = None
        _devices.add(self)

    @property
    def threads(self) -> int:
        """How many threads a region runs on."""
        return self.pool.threads

    def compile(self, program: Program) -> CpuExecutable:
        """Machine code for every function of ``program`` (from memory or disk where it is there) and its commands."""
        return CpuExecutable(self, program)

    def scratch(self, nbytes: int) -> int:
        """The address of at least ``nbytes`` for each thread, valid until more is asked for; ``lock`` is held."""
        total = nbytes * self.threads
        if self._scratch is None or self._scratch.nbytes < total:
            self._scratch = None  # the old one is released before the larger one is asked for
            self._scratch = self.allocate(total)
        return self._scratch.address


class CpuExecutable:
    """A program as machine code. ``commands`` points into ``libraries``, which stay loaded with this object."""

    def __init__(self, device: CpuDevice, program: Program) -> None:
        self._device, self._program = device, program
        self._libraries: list[Library] = []
        slots = {name: slot for slot, name in enumerate(program.symbols)}

        def resolve(function: object) -> commands.NativeFunction:
            library, native = device.compiler.function(function, slots)  # type: ignore[arg-type]
            self._libraries.append(library)
            return native

        with phase("commands"):
            self.commands = CommandList(program, resolve)
        self._symbols = np.zeros(max(1, len(program.symbols)), np.int64)
        self._scratch_stride = -(-self.commands.scratch_bytes // ALIGNMENT) * ALIGNMENT
        start = self.commands.words.ctypes.data
        self._context = Context(self._symbols.ctypes.data, None, self._scratch_stride,
                                start, start + 8 * self.commands.length)
        self._arena_bytes, self._symbol_count = program.arena_bytes, len(program.symbols)
        self._bases: tuple[int, ...] = ()
        self._context_address = ctypes.addressof(self._context)

    def run(self, addresses: Sequence[int], symbols: Sequence[int]) -> None:
        """Runs to completion. ``addresses``: one per argument, each a multiple of 64; ``symbols``: one per symbol.

        Raises DeviceError for a wrong number of either, and for an address that is not aligned.
        """
        device = self._device
        with device.lock:
            arena = device.workspace.reserve(self._arena_bytes) if self._arena_bytes else 0
            bases = (*addresses, arena)
            if bases != self._bases or len(symbols) != self._symbol_count:
                self._use(bases, symbols)
            if symbols:
                self._symbols[:] = symbols
            if self._scratch_stride:
                self._context.scratch = device.scratch(self._scratch_stride)
            if not device.pool.ready:
                device.pool.start()
            device.run_program(self._context_address)

    def _use(self, bases: tuple[int, ...], symbols: Sequence[int]) -> None:
        arguments = len(self._program.arguments)
        if len(bases) != arguments + 1 or len(symbols) != self._symbol_count:
            raise DeviceError(f"the program takes {arguments} addresses and {self._symbol_count} symbols, not "
                              f"{len(bases) - 1} and {len(symbols)}")
        self.commands.set_addresses(bases)
        self._bases = bases


_devices: WeakSet[CpuDevice] = WeakSet()


def _unlock_all() -> None:
    """In a forked child: a lock that another thread of the parent held would stay locked for ever."""
    for device in list(_devices):
        device.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_all)
