"""Arithmetic, functions and activations: values, gradients and dtypes, against PyTorch and NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tensor_oracle import arrays, check, close, torch

from tinygrad_like import Tensor, dtypes

F = torch.nn.functional

UNARY = {
    "neg": (lambda x: -x, lambda x: -x),
    "abs": (Tensor.abs, torch.abs),
    "square": (Tensor.square, torch.square),
    "exp": (Tensor.exp, torch.exp),
    "exp2": (Tensor.exp2, torch.exp2),
    "expm1": (Tensor.expm1, torch.expm1),
    "sin": (Tensor.sin, torch.sin),
    "cos": (Tensor.cos, torch.cos),
    "tan": (Tensor.tan, torch.tan),
    "atan": (Tensor.atan, torch.atan),
    "sinh": (Tensor.sinh, torch.sinh),
    "cosh": (Tensor.cosh, torch.cosh),
    "tanh": (Tensor.tanh, torch.tanh),
    "asinh": (Tensor.asinh, torch.asinh),
    "erf": (Tensor.erf, torch.erf),
    "floor": (Tensor.floor, torch.floor),
    "ceil": (Tensor.ceil, torch.ceil),
    "trunc": (Tensor.trunc, torch.trunc),
    "round": (Tensor.round, torch.round),
    "sign": (Tensor.sign, torch.sign),
    "relu": (Tensor.relu, torch.relu),
    "relu6": (lambda x: (x * 5).relu6(), lambda x: F.relu6(x * 5)),
    "sigmoid": (Tensor.sigmoid, torch.sigmoid),
    "leaky_relu": (Tensor.leaky_relu, F.leaky_relu),
    "hardswish": (lambda x: (x * 2).hardswish(), lambda x: F.hardswish(x * 2)),
    "hardsigmoid": (lambda x: (x * 2).hardsigmoid(), lambda x: F.hardsigmoid(x * 2)),
    "hardtanh": (Tensor.hardtanh, F.hardtanh),
    "elu": (Tensor.elu, F.elu),
    "celu": (lambda x: x.celu(0.7), lambda x: F.celu(x, 0.7)),
    "selu": (Tensor.selu, F.selu),
    "gelu tanh": (Tensor.gelu, lambda x: F.gelu(x, approximate="tanh")),
    "gelu exact": (lambda x: x.gelu("none"), F.gelu),
    "silu": (Tensor.silu, F.silu),
    "mish": (Tensor.mish, F.mish),
    "softplus": (Tensor.softplus, F.softplus),
    "logsigmoid": (Tensor.logsigmoid, F.logsigmoid),
    "softsign": (Tensor.softsign, F.softsign),
    "quick_gelu": (Tensor.quick_gelu, lambda x: x * torch.sigmoid(1.702 * x)),
    "clamp": (lambda x: x.clamp(-1, 0.5), lambda x: x.clamp(-1, 0.5)),
    "cube": (lambda x: x**3, lambda x: x**3),
    "to the seventh": (lambda x: x**7, lambda x: x**7),
    "two to the": (lambda x: 2**x, lambda x: 2**x),
    "one less": (lambda x: 1 - x, lambda x: 1 - x),
    "inverse": (lambda x: 3 / x, lambda x: 3 / x),
}
POSITIVE = {
    "log": (Tensor.log, torch.log),
    "log2": (Tensor.log2, torch.log2),
    "log10": (Tensor.log10, torch.log10),
    "log1p": (Tensor.log1p, torch.log1p),
    "sqrt": (Tensor.sqrt, torch.sqrt),
    "rsqrt": (Tensor.rsqrt, torch.rsqrt),
    "reciprocal": (Tensor.reciprocal, torch.reciprocal),
    "acosh": (lambda x: (x + 1).acosh(), lambda x: (x + 1).acosh()),
    "power": (lambda x: x**1.7, lambda x: x**1.7),
    "root": (lambda x: x**0.5, lambda x: x**0.5),
    "asin": (lambda x: (x / 2.2).asin(), lambda x: (x / 2.2).asin()),
    "acos": (lambda x: (x / 2.2).acos(), lambda x: (x / 2.2).acos()),
    "atanh": (lambda x: (x / 2.2).atanh(), lambda x: (x / 2.2).atanh()),
}
BINARY = {
    "add": (lambda x, y: x + y, lambda x, y: x + y),
    "sub": (lambda x, y: x - y, lambda x, y: x - y),
    "mul": (lambda x, y: x * y, lambda x, y: x * y),
    "div": (lambda x, y: x / y, lambda x, y: x / y),
    "maximum": (Tensor.maximum, torch.maximum),
    "minimum": (Tensor.minimum, torch.minimum),
    "floor div": (lambda x, y: x // y, lambda x, y: torch.floor(x / y)),
    "mod": (lambda x, y: x % y, lambda x, y: x % y),
    "fmod": (Tensor.fmod, torch.fmod),
    "pow": (lambda x, y: x.abs() ** y, lambda x, y: x.abs() ** y),
    "logaddexp": (Tensor.logaddexp, torch.logaddexp),
    "copysign": (Tensor.copysign, torch.copysign),
    "where": (lambda x, y: (x > y).where(x, y * 2), lambda x, y: torch.where(x > y, x, y * 2)),
    "lerp": (lambda x, y: x.lerp(y, 0.3), lambda x, y: torch.lerp(x, y, 0.3)),
}


@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str, rng: np.random.Generator) -> None:
    check(*UNARY[name], arrays(rng, (3, 7)))


@pytest.mark.parametrize("name", POSITIVE)
def test_unary_of_positive_numbers(name: str, rng: np.random.Generator) -> None:
    check(*POSITIVE[name], arrays(rng, (3, 7), low=0.1))


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("shapes", [((4, 3), (4, 3)), ((2, 1, 3), (4, 1)), ((), (3,))], ids=str)
def test_binary_with_broadcasting(name: str, shapes: tuple, rng: np.random.Generator) -> None:
    check(*BINARY[name], arrays(rng, *shapes))


@pytest.mark.parametrize(
    "name",
    [
        "exp",
        "expm1",
        "log1p",
        "sinh",
        "asinh",
        "atan",
        "asin",
        "tanh",
        "sigmoid",
        "softplus",
        "erf",
        "cosh",
        "logsigmoid",
        "atanh",
    ],
)
def test_float64_is_precise(name: str, rng: np.random.Generator) -> None:
    inputs = arrays(rng, (50,), low=-0.9, high=0.9, dtype=np.float64)
    function = {**UNARY, **POSITIVE}[name][1] if name not in ("asin", "atanh") else getattr(torch, name)
    check(getattr(Tensor, name), function, inputs, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    "name",
    [
        "exp",
        "expm1",
        "log",
        "log1p",
        "sqrt",
        "sinh",
        "cosh",
        "tanh",
        "asinh",
        "acosh",
        "atanh",
        "atan",
        "asin",
        "acos",
        "sigmoid",
        "softplus",
        "erf",
        "floor",
        "round",
        "sign",
        "relu",
        "gelu",
        "silu",
        "elu",
        "logsigmoid",
        "mish",
    ],
)
def test_special_values(name: str) -> None:
    nan = 0.0 if name == "sign" else np.nan  # torch.sign(nan) is 0; ours is nan, as NumPy's
    x = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, nan, 1e-30, 1e30, -1e30, 88.0, -104.0, 0.5, 2.5], np.float32)
    theirs = getattr(torch, name, None) or getattr(F, name)
    expected = F.gelu(torch.tensor(x), approximate="tanh") if name == "gelu" else theirs(torch.tensor(x))
    with np.errstate(all="ignore"):
        close(getattr(Tensor(x), name)(), expected, rtol=2e-5, atol=1e-38)


def test_gradients_at_the_kinks() -> None:
    x = np.array([0.0, -3.0, 3.0, 200.0, -200.0], np.float32)
    for name in ("relu", "sigmoid", "softplus", "elu", "tanh", "logsigmoid", "abs", "silu", "sinh", "asinh", "mish"):
        if name == "sinh":
            check(Tensor.sinh, torch.sinh, [x[:3]])
            continue
        check(getattr(Tensor, name), getattr(torch, name, None) or getattr(F, name), [x])


def test_python_numbers_do_not_widen() -> None:
    def dtype(x: Tensor) -> object:
        return x.dtype

    half, byte, flags = Tensor([1.0], dtype="half"), Tensor([1], dtype="int8"), Tensor([True])
    assert dtype(half * 2.5) is dtypes.float16 and dtype(2 - half) is dtypes.float16
    assert dtype(byte + 1) is dtypes.int8 and dtype(byte * 2.5) is dtypes.float32
    assert (
        dtype(flags + 1) is dtypes.int32 and dtype(flags + True) is dtypes.bool and dtype(flags * 1.5) is dtypes.float32
    )
    assert dtype(Tensor([1], dtype="int64") + Tensor([1.0], dtype="half")) is dtypes.float16
    assert dtype(Tensor([1], dtype="uint8") + Tensor([1], dtype="int8")) is dtypes.int16
    assert dtype(Tensor([3]) / 2) is dtypes.float32 and dtype(byte / byte) is dtypes.float32
    assert dtype(half / byte) is dtypes.float16 and dtype(Tensor([3]) // 2) is dtypes.int32
    assert dtype(byte.sqrt()) is dtypes.float32 and dtype(half.exp()) is dtypes.float16
    assert dtype(Tensor([1.0]) > 0) is dtypes.bool and dtype((Tensor([1]) > 0).where(1, 2.0)) is dtypes.float32
    assert (
        dtype((Tensor([1]) > 0).where(half, 2.0)) is dtypes.float16
        and dtype(Tensor([1.0]) + np.float64(1)) is dtypes.float32
    )


def test_integers() -> None:
    x, y = np.array([7, -7, 7, -7, 0], np.int32), np.array([3, 3, -3, -3, 5], np.int32)
    a, b = Tensor(x), Tensor(y)
    close(a // b, x // y)
    close(a % b, x % y)
    close(a.div(b, rounding_mode="trunc"), np.trunc(x / y).astype(np.int32))
    close(a.fmod(b), np.fmod(x, y))
    close(a & b, x & y)
    close(a | b, x | y)
    close(a ^ b, x ^ y)
    close(~a, ~x)
    close(a << 2, x << 2)
    close(a >> 1, x >> 1)
    close(2 ** b.abs(), 2 ** np.abs(y))
    close(a**3, x**3)
    close(a ** b.abs(), x ** np.abs(y))
    close(-a, -x)
    close(a.abs(), np.abs(x))
    close(Tensor([0, 2, 0]).logical_not(), np.array([True, False, True]))
    assert (Tensor([5]) // Tensor([0])).item() == 0


def test_bools() -> None:
    x, y = Tensor([True, True, False, False]), Tensor([True, False, True, False])
    assert (x & y).tolist() == [True, False, False, False] and (x | y).tolist() == [True, True, True, False]
    assert (x ^ y).tolist() == [False, True, True, False] and (~x).tolist() == [False, False, True, True]
    assert (x + y).tolist() == (x | y).tolist() and (x * y).tolist() == (x & y).tolist()
    assert x.maximum(y).tolist() == (x | y).tolist() and (-x).tolist() == (~x).tolist()
    with pytest.raises(TypeError, match="bool tensors cannot be subtracted"):
        x - y


def test_comparisons_and_special_tests() -> None:
    x = np.array([1.0, np.nan, np.inf, -np.inf, 0.0], np.float32)
    t = Tensor(x)
    close(t.isnan(), np.isnan(x))
    close(t.isinf(), np.isinf(x))
    close(t.isinf(detect_negative=False), x == np.inf)
    close(t.isfinite(), np.isfinite(x))
    close(t == t, x == x)
    close(t != 1, x != 1)
    close(t >= 0, x >= 0)
    close(t <= 1, x <= 1)
    close(t.isclose(t), np.isclose(x, x))
    close(t.isclose(t, equal_nan=True), np.isclose(x, x, equal_nan=True))
    assert Tensor([1.0, 2.0]).allclose(Tensor([1.0, 2.00001])).item() is True
    assert Tensor([5]).isnan().item() is False and Tensor([5]).isfinite().item() is True


def test_half_precision_functions_are_rounded_once(rng: np.random.Generator) -> None:
    x = rng.uniform(-0.9, 0.9, 64).astype(np.float16)
    for name in ("sinh", "asin", "log1p", "atan", "exp", "tanh"):
        exact = {"asin": np.arcsin, "atan": np.arctan}.get(name) or getattr(np, name)
        close(getattr(Tensor(x), name)(), exact(x.astype(np.float64)).astype(np.float16), rtol=1.1e-3, atol=1e-7)


def test_casts() -> None:
    x = Tensor([-1.7, 0.0, 2.9, 300.0])
    assert x.int().tolist() == [-1, 0, 2, 300] and x.bool().tolist() == [True, False, True, True]
    assert (
        x.cast("int64").dtype is dtypes.int64
        and x.half().dtype is dtypes.float16
        and x.double().dtype is dtypes.float64
    )
    assert Tensor([1.0], dtype="bfloat16").tolist() == [1.0] and x.long().dtype is dtypes.int64
    assert Tensor([1.0]).bitcast("uint32").tolist() == [0x3F800000]
    assert Tensor([1.0]).bitcast("uint8").tolist() == [0, 0, 0x80, 0x3F]


def test_rejected_operands() -> None:
    with pytest.raises(ValueError, match=r"cannot broadcast shapes \(2,\) and \(3,\)"):
        Tensor([1, 2]) + Tensor([1, 2, 3])
    with pytest.raises(TypeError, match="& needs integer or bool operands"):
        Tensor([1.0]) & Tensor([1])
    with pytest.raises(TypeError, match="expected a Tensor, a NumPy array or a number, got str 'a'"):
        Tensor([1.0]) + "a"
    with pytest.raises(ValueError, match="cannot be raised to the power -1"):
        Tensor([2]) ** -1
    with pytest.raises(ValueError, match="rounding_mode"):
        Tensor([2]).div(2, rounding_mode="up")
    with pytest.raises(ValueError, match="clamp needs"):
        Tensor([1.0]).clamp()
    with pytest.raises(TypeError, match="is not defined"):
        bool(Tensor([1.0]) > 0)


def test_numpy_operands() -> None:
    close(Tensor([1.0, 2.0]) + np.array([1.0, 1.0], np.float32), np.array([2.0, 3.0], np.float32))
    close(Tensor([1.0, 2.0]) * np.float32(2), np.array([2.0, 4.0], np.float32))
    assert math.isclose(float(Tensor(2.5)), 2.5) and int(Tensor([3])) == 3
