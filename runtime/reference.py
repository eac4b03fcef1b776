"""The REFERENCE device: the graph, node by node, in NumPy. Slow and plain: what every other device is compared with."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

import ir
from ir.dtype import dtypes
from ir.node import Node
from runtime.buffer import bfloat16_bits, bfloat16_values, largest, storage_bytes, stored_dtype
from runtime.canonical import CanonicalGraph
from runtime.device import Array, Executable, InterpretingDevice
from runtime.host_memory import HostMemory


class ReferenceDevice(HostMemory, InterpretingDevice):
    """``ir.evaluate`` behind the interface of a device.

    >>> realize([ir.constant(3.0, dtypes.float32, (2,))], device=ReferenceDevice())[0].numpy()
    array([3., 3.], dtype=float32)
    """

    name = "REFERENCE"

    def interpret(self, graph: CanonicalGraph) -> Executable:
        return _Interpretation(graph)


class _Interpretation:
    """A graph that is evaluated at each run. Every result is computed before any is written: reads of an assigned
    buffer see its old contents."""

    def __init__(self, graph: CanonicalGraph) -> None:
        self._graph = graph
        numbers = (*range(len(graph.leaves), len(graph.leaves) + len(graph.fresh)), *graph.assigned)
        self._destinations = tuple(zip(graph.roots, numbers))

    def run(self, addresses: Sequence[int], symbols: Sequence[int]) -> None:
        leaves = self._graph.leaves
        inputs = {leaf: _decoded(leaf, address) for leaf, address in zip(leaves, addresses)}
        results = ir.evaluate(self._graph.roots, inputs)
        encoded = [_encoded(node, result) for (node, _), result in zip(self._destinations, results)]
        for (node, number), bits in zip(self._destinations, encoded):
            _memory(node, addresses[number])[...] = bits


def _memory(node: Node, address: int) -> Array:
    """The host memory at ``address`` as an array of the node's type."""
    raw = (ctypes.c_uint8 * storage_bytes(node.dtype, node.shape)).from_address(address)
    return np.frombuffer(raw, stored_dtype(node.dtype)).reshape(largest(node.shape))


def _decoded(node: Node, address: int) -> Array:
    array = _memory(node, address)
    return bfloat16_values(array) if node.dtype is dtypes.bfloat16 else array


def _encoded(node: Node, result: Array) -> Array:
    """A copy, for the result may be a view of memory that is about to be written."""
    return bfloat16_bits(result) if node.dtype is dtypes.bfloat16 else np.array(result, copy=True)
