"""Buffers: what can be written, what comes out, and what is refused."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from ir import Variable, dtypes
from runtime import Buffer, BufferUseError, DeviceError, buffer_node, buffer_of, counters, get_device
from runtime.device import register_device
from runtime.host_memory import KEPT_BYTES
from runtime.reference import ReferenceDevice

DEVICE = get_device("REFERENCE")


def test_memory_is_aligned() -> None:
    buffers = [Buffer(DEVICE, dtypes.float32, (n,)) for n in (0, 1, 3, 1000, 1 << 16)]
    assert all(buffer.allocation.address % 64 == 0 for buffer in buffers)
    assert [buffer.nbytes for buffer in buffers] == [0, 4, 12, 4000, 1 << 18]


@pytest.mark.parametrize("data", [
    np.arange(12, dtype=np.int32).reshape(3, 4)[:, ::-1].copy()[:, ::-1],
    np.asfortranarray(np.arange(12, dtype=np.int32).reshape(3, 4)),
    np.arange(12, dtype=">i4").reshape(3, 4),
    np.arange(24, dtype=np.int32).reshape(3, 8)[:, ::2] // 2,
], ids=["negative stride", "column-major", "big-endian", "strided"])
def test_any_layout_can_be_written(data: np.ndarray) -> None:
    result = Buffer(DEVICE, dtypes.int32, (3, 4)).write(data).numpy()
    np.testing.assert_array_equal(result, data)
    assert result.dtype == np.int32 and result.flags.c_contiguous


def test_read_only_and_zero_dimensional_arrays_can_be_written() -> None:
    data = np.ones(3, np.float32)
    data.flags.writeable = False
    np.testing.assert_array_equal(buffer_of(data, DEVICE).numpy(), data)
    assert buffer_of(np.float64(2.5), DEVICE).numpy() == 2.5


def test_results_are_copies() -> None:
    buffer = buffer_of(np.zeros(3, np.float32), DEVICE)
    buffer.numpy()[:] = 7
    np.testing.assert_array_equal(buffer.numpy(), np.zeros(3))


def test_wrong_shapes_and_dtypes_are_refused() -> None:
    buffer = Buffer(DEVICE, dtypes.float32, (2, 3))
    with pytest.raises(BufferUseError, match=r"shape \(3, 2\) into <Buffer REFERENCE float32\[2, 3\]>"):
        buffer.write(np.zeros((3, 2), np.float32))
    with pytest.raises(BufferUseError, match=r"dtype float64 .*astype\('float32'\)"):
        buffer.write(np.zeros((2, 3)))
    with pytest.raises(BufferUseError, match="dtype uint16"):
        buffer.write(np.zeros((2, 3), np.uint16))


def test_bfloat16_takes_float32_or_bits() -> None:
    buffer = Buffer(DEVICE, dtypes.bfloat16, (2,))
    np.testing.assert_array_equal(buffer.write(np.array([1.5, -2.0], np.float32)).numpy(), [1.5, -2.0])
    np.testing.assert_array_equal(buffer.write(np.array([0x3F80, 0x4000], np.uint16)).numpy(), [1.0, 2.0])
    with pytest.raises(BufferUseError, match="float64"):
        buffer.write(np.zeros(2))


def test_bounded_dimensions_take_their_largest_size() -> None:
    n = Variable("n", 1, 10)
    buffer = Buffer(DEVICE, dtypes.float32, (n, 2), symbols={"n": 4})
    buffer.write(np.arange(20, dtype=np.float32).reshape(10, 2))
    np.testing.assert_array_equal(buffer.numpy(), np.arange(8).reshape(4, 2))


def test_one_node_per_buffer() -> None:
    buffer = Buffer(DEVICE, dtypes.float32, (2,))
    node = buffer_node(buffer)
    assert buffer_node(buffer) is node and node.shape == (2,)
    assert buffer_node(Buffer(DEVICE, dtypes.float32, (2,))) is not node


def test_memory_is_released_with_the_last_reference() -> None:
    gc.collect()
    before = counters.alive_bytes
    buffer = Buffer(DEVICE, dtypes.float32, (1000,))
    node = buffer_node(buffer)
    assert counters.alive_bytes == before + 4000
    del buffer
    assert counters.alive_bytes == before + 4000  # the node keeps it
    del node
    assert counters.alive_bytes == before  # at once, not when cycles are collected


def test_released_memory_serves_the_next_request_of_its_size() -> None:
    device = ReferenceDevice()
    first, other = (Buffer(device, dtypes.float32, (1000,)) for _ in range(2))
    address = first.allocation.address
    assert other.allocation.address != address
    first.free()
    assert Buffer(device, dtypes.int8, (4001,)).allocation.address != address
    assert Buffer(device, dtypes.float32, (10, 100)).allocation.address == address


def test_released_memory_goes_back_to_the_system_when_it_is_much() -> None:
    device = ReferenceDevice()
    for count in range(1, 40):
        buffer = Buffer(device, dtypes.uint8, (count << 20,))
        assert device._released_bytes <= KEPT_BYTES
        buffer.free()
        assert device._released_bytes == sum(a.nbytes for kept in device._released.values() for a in kept)
    before = device._released_bytes
    Buffer(device, dtypes.uint8, (KEPT_BYTES + 1,)).free()
    assert device._released_bytes == before <= KEPT_BYTES


def test_unallocatable_memory_is_one_clear_line() -> None:
    with pytest.raises(MemoryError, match="cannot allocate 4,611,686,018,427,387,904 bytes"):
        Buffer(DEVICE, dtypes.float32, (1 << 60,))


def test_unknown_devices_name_the_known_ones() -> None:
    with pytest.raises(DeviceError, match="unknown device 'REFERENC'; did you mean 'REFERENCE'"):
        get_device("REFERENC")


def test_the_environment_names_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TGL_DEVICE", "reference")
    assert get_device() is DEVICE


def test_a_device_is_made_once() -> None:
    made: list[object] = []
    register_device("TESTDEVICE", lambda: made.append(1) or DEVICE)  # type: ignore[func-returns-value]
    assert get_device("testdevice") is get_device("TESTDEVICE") is DEVICE
    assert len(made) == 1
