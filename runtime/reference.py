"""The REFERENCE device: the graph, node by node, in NumPy. Slow and plain: what every other device is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import ir
from ir.dtype import dtypes, float32_to_bfloat16
from ir.node import Node
from runtime.buffer import largest
from runtime.canonical import CanonicalGraph
from runtime.device import Array, Executable, InterpretingDevice
from runtime.host_memory import HostMemory, host_array


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
        self._destinations = tuple(zip(graph.roots, numbers, strict=True))

    def run(self, addresses: Sequence[int], symbols: Sequence[int]) -> None:
        values = dict(zip(self._graph.bounds, symbols, strict=True))
        leaves = self._graph.leaves
        inputs = {leaf: _memory(leaf, addresses[number], values) for number, leaf in enumerate(leaves)}
        results = ir.evaluate(self._graph.roots, inputs, values)
        encoded = [_encoded(node, result) for (node, _), result in zip(self._destinations, results, strict=True)]
        for (node, number), bits in zip(self._destinations, encoded, strict=True):
            _memory(node, addresses[number], values)[...] = bits


def _memory(node: Node, address: int, values: Mapping[str, int]) -> Array:
    """The host memory at ``address`` as an array of the node's type; the part that the bounded dimensions cover."""
    whole = host_array(address, node.dtype.numpy, largest(node.shape))
    part: Any = (*(slice(ir.evaluate_dimension(size, values)) for size in node.shape), ...)
    return whole[part]  # type: ignore[no-any-return]


def _encoded(node: Node, result: Array) -> Array:
    """A copy as the bits in memory, for the result may be a view of memory that is about to be written."""
    return float32_to_bfloat16(result) if node.dtype is dtypes.bfloat16 else np.array(result, copy=True)
