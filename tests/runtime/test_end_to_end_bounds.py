"""Kernels write nowhere but into their buffers: every allocation lies between guard bytes, checked after runs."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakSet

import numpy as np
import pytest

import ir
from ir import DType, Node, dtypes
from runtime import CpuDevice, buffer_node, buffer_of, realize
from runtime.device import ALIGNMENT, Allocation

GUARD, PATTERN = 1024, 0xAB


class GuardedDevice(CpuDevice):
    """A CPU device that surrounds memory with a pattern."""

    def __init__(self) -> None:
        self.guarded: WeakSet[Allocation] = WeakSet()
        super().__init__(threads=2)

    def allocate(self, nbytes: int) -> Allocation:
        raw = np.full(nbytes + 2 * GUARD + ALIGNMENT, PATTERN, np.uint8)
        address = raw.ctypes.data + GUARD
        allocation = Allocation(address + -address % ALIGNMENT, nbytes, raw)
        self.guarded.add(allocation)
        return allocation

    def check(self) -> None:
        for allocation in self.guarded:
            raw = allocation.owner
            assert isinstance(raw, np.ndarray)
            start = allocation.address - raw.ctypes.data
            assert (raw[:start] == PATTERN).all(), f"bytes below {allocation.nbytes} bytes were overwritten"
            end = start + allocation.nbytes
            assert (raw[end:] == PATTERN).all(), f"bytes above {allocation.nbytes} bytes were overwritten"


@pytest.fixture(scope="module")
def device() -> GuardedDevice:
    return GuardedDevice()


def run(device: GuardedDevice, build: Callable[..., list[Node]], *arrays: np.ndarray) -> None:
    realize(build(*(buffer_node(buffer_of(array, device)) for array in arrays)), device=device)
    device.check()


@pytest.mark.parametrize("source", [d for d in dtypes.all if d.name not in ("void", "bfloat16")], ids=str)
def test_tails_of_conversions(device: GuardedDevice, source: DType) -> None:
    targets = [d for d in dtypes.all if d.name != "void" and d is not source]
    for length in (33, 65, 39):
        run(device, lambda x: [ir.cast(x, target) for target in targets], np.ones(length, source.numpy))


@pytest.mark.parametrize("length", [1, 3, 15, 17, 31, 33, 63, 100])
def test_tails_of_sweeps_and_products(device: GuardedDevice, length: int) -> None:
    def build(x: Node, y: Node) -> list[Node]:
        shape = (length, 20, length)
        left = ir.expand(ir.reshape(x, (length, 20, 1)), shape)
        right = ir.expand(ir.reshape(y, (1, 20, length)), shape)
        return [ir.exp(x), ir.reduce("sum", x, (0,)), ir.reduce("max", x, (1,)), ir.reduce("argmax", y, (0,)),
                ir.reduce("sum", ir.mul(left, right), (1,)), ir.pad(x, ((1, 2), (3, 0))), ir.permute(x, (1, 0)),
                ir.concat([x, ir.permute(y, (1, 0))], 1)]

    numbers = np.random.default_rng(length)
    run(device, build, numbers.standard_normal((length, 20)).astype(np.float32),
        numbers.standard_normal((20, length)).astype(np.float32))


def test_scatter_drops_what_lies_outside(device: GuardedDevice) -> None:
    index = np.array([-1, 0, 9, 10, 1 << 30, -(1 << 31), 3], np.int32)
    for mode in ("add", "set", "max", "min"):
        run(device, lambda x, i, u, mode=mode: [ir.scatter(x, i, u, mode=mode), ir.gather(x, i)],
            np.zeros((10, 5), np.float32), index, np.ones((7, 5), np.float32))
