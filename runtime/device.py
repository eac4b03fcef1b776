"""Devices: where memory lives and programs run, and the table of their names.

    >>> get_device("cpu")             # case does not matter
    <CPU>
    >>> get_device()                  # the environment variable TGL_DEVICE, else CPU

A device is an ordinary object that has the methods of ``Device``; ``register_device`` makes it known by name.
"""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from runtime.errors import DeviceError, unknown_name

if TYPE_CHECKING:
    from codegen.target import Target
    from runtime.canonical import CanonicalGraph
    from runtime.found_choices import FoundChoices
    from runtime.program import Program
    from runtime.program_store import ProgramStore

ALIGNMENT = 64  # of every allocation and every offset in an arena: a cache line, the widest vector
Array = np.ndarray[Any, np.dtype[Any]]


class Allocation:
    """``nbytes`` bytes from ``address`` on. ``owner`` keeps them alive: they are released with this object."""

    __slots__ = ("__weakref__", "address", "nbytes", "owner")

    def __init__(self, address: int, nbytes: int, owner: object) -> None:
        self.address, self.nbytes, self.owner = address, nbytes, owner


class Executable(Protocol):
    """A compiled program."""

    def run(self, addresses: Sequence[int], symbols: Sequence[int]) -> None:
        """Runs to completion. ``addresses``: one per ``program.arguments``; ``symbols``: one per ``program.symbols``.

        The caller holds ``device.lock``; the executable finds memory for its temporaries in ``device.workspace``.
        """


class Device(ABC):
    """One place to compute.

    lock: held while a program runs, for one program runs at a time and all share ``workspace``.
    """

    name: str

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.workspace = Workspace(self)

    @abstractmethod
    def allocate(self, nbytes: int) -> Allocation:
        """Uninitialised memory, aligned to 64 bytes; raises ``OutOfMemory``."""

    def release(self, allocation: Allocation) -> None:
        """Takes back memory that nothing uses any more; a device may keep it for the next request."""
        return None

    @abstractmethod
    def copy_in(self, allocation: Allocation, array: Array) -> None:
        """Copies a C-contiguous host array of ``allocation.nbytes`` bytes or less to the device."""

    @abstractmethod
    def copy_out(self, allocation: Allocation, array: Array) -> None:
        """Copies the first ``array.nbytes`` bytes from the device into a C-contiguous host array."""

    def synchronize(self) -> None:
        """Returns when everything that was started has finished."""
        return None

    def __repr__(self) -> str:
        return f"<{self.name}>"


class CompilingDevice(Device):
    """A device that runs programs of kernels that were lowered for ``target``.

    store: where its programs are kept between processes, if anywhere. found: what searches have found to be better
    than the strategies' rules.
    """

    target: Target
    store: ProgramStore | None = None
    found: FoundChoices | None = None

    @abstractmethod
    def compile(self, program: Program) -> Executable:
        """Native code for every function of ``program``, and its command list in the form the device walks."""


class InterpretingDevice(Device):
    """A device that runs graphs as they are, without scheduling and kernels."""

    @abstractmethod
    def interpret(self, graph: CanonicalGraph) -> Executable:
        """An executable that takes the addresses of the graph's leaves and fresh outputs, and its variables."""


class Workspace:
    """The arena that all programs of a device share: it grows to what the largest of them needs.

    Persistent memory is faster than fresh memory (no page faults), and sharing it keeps cached programs small.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._allocation: Allocation | None = None

    @property
    def nbytes(self) -> int:
        return self._allocation.nbytes if self._allocation else 0

    def reserve(self, nbytes: int) -> int:
        """The address of at least ``nbytes`` bytes, valid until the next call that asks for more."""
        if self._allocation is None or self._allocation.nbytes < nbytes:
            self._allocation = None  # the old one is released before the larger one is asked for
            self._allocation = self._device.allocate(nbytes)
        return self._allocation.address

    def release(self) -> None:
        """Gives the memory back to the system; the next program reserves anew."""
        self._allocation = None


_factories: dict[str, Callable[[], Device]] = {}
_devices: dict[str, Device] = {}


def register_device(name: str, factory: Callable[[], Device]) -> None:
    """Makes ``get_device(name)`` return what ``factory`` makes: once, at the first request."""
    _factories[name.upper()] = factory


def device_names() -> list[str]:
    """The names that ``get_device`` knows."""
    return sorted(_factories)


def default_device_name() -> str:
    """The value of the environment variable TGL_DEVICE, or ``CPU``."""
    return (os.environ.get("TGL_DEVICE") or "CPU").upper()


def get_device(name: str | None = None) -> Device:
    """The device of that name (by default TGL_DEVICE, else CPU).

    Raises DeviceError for a name that is not known, and when the device cannot be used on this machine.
    """
    key = (name or default_device_name()).upper()
    known = _devices.get(key)
    if known is not None:
        return known
    if key not in _factories:
        raise DeviceError(unknown_name("device", name or key, device_names()))
    device = _devices[key] = _factories[key]()
    return device
