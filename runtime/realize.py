"""From graph nodes to buffers: prepare a program for the graph's structure, once, and run it.

    >>> x = buffer_of(np.arange(4.0, dtype=np.float32), get_device())
    >>> [y] = realize([ir.exp(buffer_node(x))])
    >>> y.numpy()

Graphs of equal structure share one prepared program (least recently used ones are dropped). An ``assign`` writes into
the memory of its buffer; every read of an older version comes before it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from ir.node import Node
from runtime.buffer import Buffer, largest
from runtime.canonical import Source
from runtime.device import CompilingDevice, Device, get_device
from runtime.errors import BufferUseError, DeviceError
from runtime.prepare import PreparedGraph, prepare
from runtime.search import open_search
from runtime.structure import Structure, is_leaf, structure_of

PREPARED_LIMIT = 1024


class ProgramCache:
    """Prepared graphs by device and structure; the least recently used one makes room for the newest."""

    def __init__(self, limit: int = PREPARED_LIMIT) -> None:
        self.limit = limit
        self._entries: OrderedDict[Hashable, PreparedGraph] = OrderedDict()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def get(self, device: Device, outputs: Sequence[Node], structure: Structure) -> PreparedGraph:
        """The prepared form of that graph, from the cache where its structure is known."""
        key = (device, structure.key, _found_stamp(device), open_search() is not None)
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                found = self._entries[key] = prepare(device, outputs, structure)
                while len(self._entries) > self.limit:
                    self._entries.popitem(last=False)
            self._entries.move_to_end(key)
            return found


def _found_stamp(device: Device) -> str:
    """The stamp of what searches have found: a program of before may have slower schedules."""
    return device.found.stamp if isinstance(device, CompilingDevice) and device.found is not None else ""


program_cache = ProgramCache()


class CompiledGraph:
    """A graph that is ready to run, again and again.

    Its arguments are given at each run; the buffers that were no arguments are held and read (or assigned) as they are.
    """

    def __init__(self, device: Device, prepared: PreparedGraph, held: Sequence[Buffer]) -> None:
        self.device, self.prepared = device, prepared
        self._held = tuple(held)

    @property
    def peak_bytes(self) -> int:
        """The memory that a run needs beside its arguments: temporaries and fresh outputs, known before it runs."""
        return self.prepared.peak_bytes

    def run(self, arguments: Sequence[Buffer] = (), symbols: Mapping[str, int] | None = None) -> list[Buffer]:
        """One buffer per output. ``arguments``: in the order in which they were given to ``compile_graph``.

        symbols: the values of the bounded variables, by name. An output that is an ``assign`` is its very buffer.
        """
        prepared = self.prepared
        leaves = [*arguments, *self._held]
        self._check(leaves, len(arguments))
        values = prepared.symbol_values(symbols or {})
        fresh = [Buffer(self.device, dtype, shape, symbols) for dtype, shape in prepared.fresh]
        prepared.run(self.device, [buffer.allocation.address for buffer in (*leaves, *fresh)], values)
        return [(fresh if source is Source.FRESH else leaves)[number] for source, number in prepared.outputs]

    def _check(self, leaves: Sequence[Buffer], given: int) -> None:
        """Arguments as they were declared, and no buffer under two names where one of them is assigned."""
        prepared = self.prepared
        if len(leaves) != len(prepared.leaf_types):
            expected = len(prepared.leaf_types) - len(self._held)
            raise BufferUseError(f"this graph takes {expected} arguments; got {given}")
        for number, (buffer, (dtype, shape)) in enumerate(zip(leaves, prepared.leaf_types, strict=True)):
            if buffer.dtype is not dtype or (buffer.shape != shape and largest(buffer.shape) != largest(shape)):
                raise BufferUseError(f"argument {number} must be {dtype.name}{list(shape)}; got {buffer!r}")
            if buffer.device is not self.device:
                raise DeviceError(f"argument {number} is on {buffer.device.name}, but the graph runs on "
                                  f"{self.device.name}; move it there first")
        for number in prepared.assigned:
            if sum(buffer is leaves[number] for buffer in leaves) > 1:
                raise BufferUseError(f"{leaves[number]!r} is given for two arguments, and the graph assigns to one of "
                                     "them; pass two different buffers")


def compile_graph(outputs: Sequence[Node], arguments: Sequence[Node] = (),
                  device: Device | None = None) -> CompiledGraph:
    """Prepares the graph of ``outputs`` to be run with other buffers for ``arguments`` (buffer or parameter nodes).

    device: by default that of the buffers in the graph, else the default device. Raises DeviceError for buffers on
    several devices, and BufferUseError for a parameter that is no argument.
    """
    _check_arguments(arguments)
    structure = structure_of(outputs, first=arguments)
    held = [_handle(leaf) for leaf in structure.leaves[len(arguments):]]
    chosen = device or _common_device(structure.leaves) or get_device()
    _common_device(structure.leaves, chosen)
    return CompiledGraph(chosen, program_cache.get(chosen, outputs, structure), held)


def realize(outputs: Sequence[Node], symbols: Mapping[str, int] | None = None,
            device: Device | None = None) -> list[Buffer]:
    """Computes ``outputs``: one buffer each, fresh ones except where an output is a buffer or an assignment to one."""
    if not outputs:
        return []
    return compile_graph(outputs, device=device).run((), symbols)


def _check_arguments(arguments: Sequence[Node]) -> None:
    for node in arguments:
        if not is_leaf(node):
            raise BufferUseError(f"an argument of a graph must be a buffer or a parameter; got {node!r} of "
                                 f"{node.location}")
    if len(set(arguments)) != len(arguments):
        raise BufferUseError("the same node is given as two arguments of a graph")


def _handle(leaf: Node) -> Buffer:
    handle: Any = getattr(leaf.attributes, "handle", None)
    if not isinstance(handle, Buffer):
        raise BufferUseError(f"{leaf!r} of {leaf.location} has no memory; give it as an argument of compile_graph")
    return handle


def _common_device(leaves: Sequence[Node], device: Device | None = None) -> Device | None:
    """The device of every buffer among ``leaves`` (and ``device``, where given)."""
    for leaf in leaves:
        handle = getattr(leaf.attributes, "handle", None)
        if not isinstance(handle, Buffer):
            continue
        if device is not None and handle.device is not device:
            raise DeviceError(f"a graph must lie on one device, but {handle!r} meets {device.name}; move one of them")
        device = handle.device
    return device
