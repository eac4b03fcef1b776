"""Making tensors, reading them, and random numbers."""

from __future__ import annotations

import numpy as np
import pytest
from tensor_oracle import close

from tinygrad_like import Device, Tensor, dtypes


def test_numbers_and_lists() -> None:
    for data, dtype in (
        (1, "int32"),
        (1.5, "float32"),
        (True, "bool"),
        ([1, 2], "int32"),
        ([1, 2.5], "float32"),
        ([True, False], "bool"),
        ([2**40], "int64"),
        ([], "float32"),
        (np.float64(1), "float32"),
    ):
        expected = "float64" if isinstance(data, np.generic) and not isinstance(data, float) else dtype
        assert Tensor(data).dtype is getattr(dtypes, expected)
    assert Tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]] and Tensor((1, (2, 3)[0])).tolist() == [1, 2]
    assert Tensor(2.5).item() == 2.5 and Tensor(7).shape == () and Tensor(b"ab").tolist() == [97, 98]
    assert Tensor([1, 2], dtype="half").dtype is dtypes.float16 and Tensor([Tensor(1), 2]).tolist() == [1, 2]
    assert Tensor(Tensor([1, 2]), dtype="float32").tolist() == [1.0, 2.0] and Tensor(None).item() == 0.0


def test_numpy_arrays_of_any_layout(rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 6))
    for array in (
        x,
        x.T,
        x[::2, ::-1],
        x.astype(">f4"),
        np.asfortranarray(x),
        x.astype(np.float16),
        x[:0],
        x[1, 1],
        x > 0,
        (x * 9).astype(np.uint8),
    ):
        close(Tensor(array), array.astype(array.dtype.newbyteorder("=")))
    source = np.zeros(2, np.float32)
    tensor = Tensor(source)
    source[:] = 1
    assert tensor.tolist() == [0, 0]  # a copy


def test_every_dtype_survives() -> None:
    for dtype in dtypes.all:
        values = [True, False] if dtype is dtypes.bool else [0, 1, 3]
        assert Tensor(values, dtype=dtype).tolist() == values and Tensor(values).cast(dtype).tolist() == values
    assert Tensor([1.00390625], dtype="bfloat16").item() == 1.0 and Tensor([65504.0], dtype="half").item() == 65504
    assert Tensor([-1], dtype="uint8").item() == 255


def test_constants_and_ranges() -> None:
    close(Tensor.zeros(2, 3), np.zeros((2, 3), np.float32))
    close(Tensor.ones((2,), dtype="int8"), np.ones(2, np.int8))
    close(Tensor.full((2, 2), 7), np.full((2, 2), 7, np.int32))
    close(Tensor.eye(3, 4), np.eye(3, 4, dtype=np.float32))
    assert Tensor.full((), 2.0).item() == 2.0 and Tensor.zeros().shape == () and Tensor.empty(3).shape == (3,)
    x = Tensor.full((2, 3), 4, dtype="half")
    assert x.zeros_like().dtype is dtypes.float16 and x.ones_like(dtype="int32").sum().item() == 6
    assert x.full_like(3).tolist() == [[3.0] * 3] * 2 and x.empty_like().shape == (2, 3)
    for arguments in ((5,), (2, 9), (2, 10, 3), (10, 2, -3), (0, 1, 0.25), (5, 5), (3, 1), (-3, 3)):
        expected = np.arange(*arguments)
        close(Tensor.arange(*arguments), expected.astype(np.float32 if expected.dtype.kind == "f" else np.int32))
    assert (
        Tensor.arange(3, dtype="half").dtype is dtypes.float16 and Tensor.arange(2**31, 2**31 + 1).dtype is dtypes.int64
    )
    close(Tensor.linspace(-1, 2, 7), np.linspace(-1, 2, 7, dtype=np.float32))
    assert Tensor.linspace(3, 9, 1).tolist() == [3.0] and Tensor.linspace(0, 1, 0).shape == (0,)


def test_rejected_data() -> None:
    for broken, error, message in (
        (lambda: Tensor([[1, 2], [3]]), ValueError, "unequal lengths"),
        (lambda: Tensor("text"), TypeError, "cannot make a Tensor of str"),
        (lambda: Tensor(["a"]), TypeError, "expected numbers"),
        (lambda: Tensor(object()), TypeError, "cannot make"),
        (lambda: Tensor(np.array(["a"])), ValueError, "no equivalent"),
        (lambda: Tensor([1], dtype="float99"), ValueError, "no dtype is named 'float99'"),
        (lambda: Tensor.zeros("a"), TypeError, "a size must be an int"),
        (lambda: Tensor.arange(0, 3, 0), ValueError, "step other than 0"),
        (lambda: Tensor.arange(300, dtype="uint8"), OverflowError, "does not fit"),
        (lambda: Tensor.linspace(0, 1, -1), ValueError, "0 or more steps"),
        (lambda: Tensor.eye(-1), ValueError, "0 or more"),
        (lambda: Tensor.zeros(2).item(), ValueError, "exactly one"),
        (lambda: len(Tensor(1)), TypeError, "no length"),
        (lambda: Tensor([1], device="TPU"), Exception, "TPU"),
    ):
        with pytest.raises(error, match=message):
            broken()


def test_reading() -> None:
    x = Tensor([[1.5, 2.5]])
    assert x.numpy().dtype == np.float32 and bytes(x.data()) == x.numpy().tobytes()
    assert np.asarray(x).shape == (1, 2) and float(Tensor(2)) == 2.0 and len(x) == 1
    assert repr(x).startswith("<Tensor float32[1, 2] on ") and x.nbytes() == 8 and x.element_size() == 4
    assert x.size() == (1, 2) and x.size(-1) == 2 and x.numel() == 2 and x.device == Device.DEFAULT
    array = x.numpy()
    array[:] = 0
    assert x.tolist() == [[1.5, 2.5]]  # reading gives a copy


def test_random_numbers_repeat() -> None:
    Tensor.manual_seed(42)
    first, second = Tensor.rand(5).numpy(), Tensor.rand(5).numpy()
    Tensor.manual_seed(42)
    np.testing.assert_array_equal(Tensor.rand(5).numpy(), first)
    np.testing.assert_array_equal(Tensor.rand(5).numpy(), second)
    assert not (first == second).any()


def test_random_numbers_do_not_change_when_they_are_read_again() -> None:
    x = Tensor.rand(4)
    y = x + 1
    np.testing.assert_array_equal(x.numpy() + 1, y.numpy())
    np.testing.assert_array_equal(x.numpy(), x.numpy())


def test_the_numbers_of_seed_42_are_those_of_tinygrad_0_14() -> None:
    Tensor.manual_seed(42)
    assert Tensor.rand(5).tolist() == [
        0.38104248046875,
        0.009775400161743164,
        0.1128007173538208,
        0.1176995038986206,
        0.505361795425415,
    ]
    assert Tensor.rand(5, dtype="half").tolist() == [0.9208984375, 0.8701171875, 0.2138671875, 0.59765625, 0.1103515625]
    assert Tensor.rand(5, dtype="float64").tolist() == [
        0.7157843138853408,
        0.38164313181462495,
        0.4550555115220911,
        0.9850719665277419,
        0.12307578726065738,
    ]
    close(Tensor.randn(3), np.array([-1.5112126, -0.21790507, -0.14173210], np.float32), rtol=1e-6)
    assert Tensor.randint(4).tolist() == [6, 4, 1, 9]


def test_distributions() -> None:
    Tensor.manual_seed(1)
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        x = Tensor.rand(4001, dtype=dtype)
        assert x.dtype is getattr(dtypes, dtype)
        values = x.numpy()
        assert values.min() >= 0 and values.max() < 1 and abs(values.mean() - 0.5) < 0.02
        assert abs(values.astype(np.float64).std() - 12**-0.5) < 0.01
    normal = Tensor.randn(10001).numpy()
    assert abs(normal.mean()) < 0.03 and abs(normal.std() - 1) < 0.03 and np.isfinite(normal).all()
    assert abs(Tensor.normal(10001, mean=3, std=2).numpy().std() - 2) < 0.06
    integers = Tensor.randint(1000, low=-2, high=3)
    assert integers.dtype is dtypes.int32 and set(integers.tolist()) == {-2, -1, 0, 1, 2}
    assert abs(Tensor.uniform(1000, low=2, high=4).numpy().mean() - 3) < 0.1
    for make in (Tensor.kaiming_uniform, Tensor.kaiming_normal, Tensor.glorot_uniform, Tensor.scaled_uniform):
        assert 0 < np.abs(make(20, 30).numpy()).mean() < 0.3
    assert Tensor.rand(0, 3).numpy().shape == (0, 3) and Tensor.rand(()).shape == ()
    like = Tensor.zeros(2, 3)
    assert like.rand_like().shape == (2, 3) and like.randn_like(dtype="half").dtype is dtypes.float16


def test_multinomial_follows_the_weights() -> None:
    Tensor.manual_seed(3)
    drawn = Tensor([0.0, 1.0, 3.0]).multinomial(2000, replacement=True).numpy()
    assert set(drawn) == {1, 2} and 0.7 < (drawn == 2).mean() < 0.8
    assert Tensor([[0.0, 1.0], [1.0, 0.0]]).multinomial().tolist() == [[1], [0]]


def test_rejected_random_arguments() -> None:
    for broken, error in (
        (lambda: Tensor.rand(-1), ValueError),
        (lambda: Tensor.rand(2, dtype="int32"), TypeError),
        (lambda: Tensor.uniform(2, low=1, high=1), ValueError),
        (lambda: Tensor.normal(2, std=-1), ValueError),
        (lambda: Tensor.randint(2, low=1.5), ValueError),
        (lambda: Tensor.randint(2, dtype="float32"), TypeError),
    ):
        with pytest.raises(error):
            broken()


@pytest.mark.parametrize(("source", "target"), [
    ("float32", "uint8"), ("uint8", "float64"), ("int16", "int64"), ("float64", "float16"), ("int8", "uint8"),
    ("float32", "int32"), ("uint32", "uint16")])
def test_bits_read_as_another_dtype(source: str, target: str) -> None:
    data = (np.arange(32).reshape(2, 16) * 3 - 20).astype(source)
    found = Tensor(data).bitcast(target).numpy()
    expected = data.view(target)
    assert found.shape == expected.shape and found.tobytes() == expected.tobytes()


def test_bits_that_do_not_fit() -> None:
    assert Tensor([True, False]).bitcast("uint8").tolist() == [1, 0]
    with pytest.raises(TypeError, match="last dimension are no multiple of 8"):
        Tensor([1.0, 2.0, 3.0]).bitcast("float64")
    with pytest.raises(TypeError, match="no multiple of 1"):
        Tensor(np.float32(1.0)).bitcast("uint8")


def test_memory_and_constants() -> None:
    array = np.arange(6, dtype=np.int16)
    tensor = Tensor.from_blob(array.ctypes.data, (2, 3), dtype="int16")
    array[:] = 0
    assert tensor.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert Tensor.const(2.5).item() == 2.5 and Tensor.const((1, 2, 3)).tolist() == [1, 2, 3]
    assert Tensor.const(1, "float64").dtype.name == "float64"
    bits = Tensor([1, 2], dtype="uint64").threefry(Tensor([7, 7], dtype="uint64")).numpy()
    assert bits.dtype == np.uint64 and bits[0] != bits[1]
    with pytest.raises(TypeError, match="counters and keys of uint64, got dtypes.int32"):
        Tensor([1]).threefry(Tensor([1]))
