"""Element types: promotion as tinygrad's, constants as each type holds them, bfloat16 rounding."""

from __future__ import annotations

import copy
import itertools
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ir.dtype import (
    DTypes,
    bfloat16_to_float32,
    dtype_named,
    dtype_of_numpy,
    dtype_of_value,
    dtypes,
    float32_to_bfloat16,
    promote,
    to_dtype,
)


def test_promotion_equals_tinygrad() -> None:
    tinygrad = pytest.importorskip("tinygrad.dtype", reason="compares with tinygrad's lattice")
    for left, right in itertools.product(DTypes.all, repeat=2):
        theirs = tinygrad.least_upper_dtype(*(getattr(tinygrad.dtypes, d.name) for d in (left, right)))
        theirs = tinygrad.strong_dtype(theirs)
        assert getattr(tinygrad.dtypes, promote(left, right).name) == theirs, (left, right)


@given(st.lists(st.sampled_from(DTypes.all), min_size=1, max_size=4))
def test_promotion_ignores_order_and_repetition(operands: list) -> None:
    assert promote(*operands) is promote(*reversed(operands)) is promote(*operands, *operands)


def test_promotion_of_nothing() -> None:
    with pytest.raises(ValueError, match="one or more"):
        promote()


@pytest.mark.parametrize("dtype", DTypes.ints)
def test_integer_bounds_equal_numpys(dtype) -> None:
    assert (dtype.minimum, dtype.maximum) == (np.iinfo(dtype.numpy).min, np.iinfo(dtype.numpy).max)


@given(st.sampled_from(DTypes.ints), st.integers(-(2**70), 2**70))
def test_integer_constants_wrap(dtype, value: int) -> None:
    constant = dtype.constant(value)
    assert dtype.minimum <= constant <= dtype.maximum
    assert (constant - value) % 2**dtype.bits == 0


def test_float_constants_are_rounded_to_their_type() -> None:
    assert dtypes.float32.constant(0.1) == float(np.float32(0.1))
    assert dtypes.bfloat16.constant(1.01) == 1.0078125
    assert dtypes.float16.constant(1e6) == math.inf
    assert dtypes.float64.constant(0.1) == 0.1


@given(st.floats(), st.sampled_from(DTypes.floats))
def test_constants_round_as_arrays_do(value: float, dtype) -> None:
    constant, array = dtype.constant(value), dtype.rounded(np.float64(value))
    assert constant != constant if math.isnan(value) else math.copysign(1, constant) == math.copysign(1, array)
    np.testing.assert_array_equal(np.float64(constant), np.float64(array))


def test_special_constants_are_canonical() -> None:
    zero, negative = dtypes.float32.constant(0.0), dtypes.float32.constant(-0.0)
    assert zero != negative and math.copysign(1, negative) == -1 and negative == dtypes.float64.constant(-0.0)
    assert pickle.loads(pickle.dumps(negative)) == negative
    assert dtypes.float32.constant(-1e-60) == negative
    assert dtypes.float32.constant(float("nan")) is dtypes.float64.constant(-math.nan)
    assert dtypes.bool.constant(3) is True
    assert dtypes.int32.constant(2.9) == 2 and dtypes.int8.constant(1e9) == 127 and dtypes.int8.constant(math.nan) == 0


def test_dtypes_survive_copies_as_themselves() -> None:
    for dtype in DTypes.all:
        assert pickle.loads(pickle.dumps(dtype)) is dtype and copy.deepcopy(dtype) is dtype


def test_names_and_aliases() -> None:
    assert dtype_named("float") is dtypes.float32 and to_dtype("dtypes.half") is dtypes.float16
    assert dtypes.float is dtypes.float32 and dtypes.long is dtypes.int64
    with pytest.raises(ValueError, match=r"float99.*bfloat16"):
        to_dtype("float99")


def test_types_of_python_and_numpy_values() -> None:
    assert [dtype_of_value(v) for v in (True, 1, 1.0)] == [dtypes.bool, dtypes.int32, dtypes.float32]
    assert dtype_of_numpy(np.uint16) is dtypes.uint16
    with pytest.raises(ValueError, match="complex128"):
        dtype_of_numpy(np.complex128)
    with pytest.raises(TypeError, match="str"):
        dtype_of_value("1")


@given(st.lists(st.floats(width=32), min_size=1, max_size=8))
def test_bfloat16_rounding_equals_torch(values: list[float]) -> None:
    torch = pytest.importorskip("torch", reason="compares with torch's bfloat16")
    array = np.array(values, np.float32)
    theirs = torch.from_numpy(array).bfloat16()
    np.testing.assert_array_equal(bfloat16_to_float32(float32_to_bfloat16(array)), theirs.float().numpy())


def test_bfloat16_keeps_shapes() -> None:
    for shape in [(), (0,), (2, 3)]:
        assert bfloat16_to_float32(float32_to_bfloat16(np.ones(shape))).shape == shape
