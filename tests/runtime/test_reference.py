"""The REFERENCE device behind the whole realize API."""

from __future__ import annotations

import numpy as np
import pytest

import ir
from ir import dtypes
from runtime import ReferenceDevice, buffer_node, buffer_of, get_device, realize


@pytest.fixture()
def device() -> ReferenceDevice:
    return ReferenceDevice()


def test_it_is_registered() -> None:
    assert get_device("reference").name == "REFERENCE"
    assert get_device("REFERENCE") is get_device("Reference")


def test_constants_need_no_buffer(device: ReferenceDevice) -> None:
    [result] = realize([ir.constant(3.0, dtypes.float32, (2,))], device=device)
    np.testing.assert_array_equal(result.numpy(), np.full(2, 3.0, np.float32))


@pytest.mark.parametrize("dtype", ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
                                   "float16", "float32", "float64"])
def test_every_dtype_round_trips(device: ReferenceDevice, dtype: str) -> None:
    data = np.array([[0, 1, 2], [3, 100, 1]]).astype(dtype)
    [result] = realize([ir.flip(buffer_node(buffer_of(data, device)), (1,))])
    assert result.numpy().dtype == data.dtype
    np.testing.assert_array_equal(result.numpy(), data[:, ::-1])


def test_bfloat16_is_held_as_bits(device: ReferenceDevice) -> None:
    data = np.array([1.0, 1.0 + 2**-9, 3.14159, np.inf, np.nan], np.float32)
    x = buffer_of(data, device, dtypes.bfloat16)
    assert x.nbytes == 10 and x.bits().dtype == np.uint16
    [doubled] = realize([ir.add(buffer_node(x), buffer_node(x))])
    np.testing.assert_array_equal(doubled.numpy(), np.array([2.0, 2.0, 6.28125, np.inf, np.nan], np.float32))


def test_assign_writes_in_place_and_reads_see_old_values(device: ReferenceDevice) -> None:
    x = buffer_of(np.arange(3, dtype=np.float32), device)
    old = buffer_node(x)
    doubled = ir.add(old, old)
    new = ir.assign(old, ir.flip(doubled, (0,)))
    product, assigned = realize([ir.mul(old, old), new])
    assert assigned is x
    np.testing.assert_array_equal(product.numpy(), [0, 1, 4])
    np.testing.assert_array_equal(x.numpy(), [4, 2, 0])


def test_two_buffers_swap(device: ReferenceDevice) -> None:
    a, b = (buffer_of(np.full(4, value, np.float32), device) for value in (1, 2))
    realize([ir.assign(buffer_node(a), buffer_node(b)), ir.assign(buffer_node(b), buffer_node(a))])
    assert a.numpy()[0] == 2 and b.numpy()[0] == 1
