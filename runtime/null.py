"""The NULL device: compiles for any target, never runs. For looking at code, and for machines without the hardware.

    >>> device = NullDevice(Target.cuda("sm_90a"))        # or get_device("NULL"), for this machine's CPU
    >>> compile_graph([y], device=device).peak_bytes
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.target import Target
from runtime.device import Allocation, Array, CompilingDevice, Executable
from runtime.errors import DeviceError
from runtime.program import Program
from runtime.source import program_source


class NullDevice(CompilingDevice):
    """Memory without contents and programs without runs. Every kernel is emitted as source text for ``target``."""

    name = "NULL"

    def __init__(self, target: Target | None = None) -> None:
        super().__init__()
        self.target = target or Target.host()

    def allocate(self, nbytes: int) -> Allocation:
        return Allocation(0, nbytes, None)

    def copy_in(self, allocation: Allocation, array: Array) -> None:
        """What is written is forgotten."""

    def copy_out(self, allocation: Allocation, array: Array) -> None:
        raise DeviceError("a value on NULL cannot be read, because programs never run there; choose another device, "
                          "such as CPU")

    def compile(self, program: Program) -> Executable:
        return NullExecutable(program, self.target)


class NullExecutable:
    """The source text of a program; running it does nothing."""

    def __init__(self, program: Program, target: Target) -> None:
        self.source = program_source(program, target)

    def run(self, addresses: Sequence[int], symbols: Sequence[int]) -> None:
        """Returns at once: fresh buffers have no contents either."""
