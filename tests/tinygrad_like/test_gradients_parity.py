"""Gradients in float64 against finite differences.

Gradients against PyTorch stand beside the values, in the tests of each subject; higher orders in test_tensor_autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tinygrad_like import Tensor, nn

Function = Callable[..., Tensor]
INDEX = np.array([[0, 2, 1], [2, 2, 0]], np.int32)
CLASSES = np.array([1, 0, 3], np.int32)


def evenly(*shape: int, low: float = -1.5, high: float = 1.5) -> np.ndarray:
    """Distinct numbers at equal distances in random order: nothing ties, and nothing is near a kink at 0."""
    count = int(np.prod(shape))
    values = np.linspace(low, high, count + 1 if low < 0 < high and count % 2 else count)[:count]
    return np.random.default_rng([*shape]).permutation(values).reshape(shape)


def probabilities(*shape: int) -> np.ndarray:
    return evenly(*shape, low=0.1, high=0.9)


# ------------------------------------------------------------------------------------------- first order

X, POSITIVE = evenly(3, 4), evenly(3, 4, low=0.3, high=2.0)
IMAGE = evenly(2, 3, 5, 6)

CASES: dict[str, tuple[Function, Sequence[np.ndarray]]] = {
    **{name: (getattr(Tensor, name), [X]) for name in (
        "exp", "exp2", "expm1", "sin", "cos", "atan", "sinh", "cosh", "tanh", "asinh", "erf", "abs", "square",
        "sigmoid", "silu", "swish", "gelu", "quick_gelu", "mish", "softplus", "logsigmoid", "softsign", "relu", "relu6",
        "leaky_relu", "elu", "celu", "selu", "hardswish", "hardsigmoid", "hardtanh", "neg", "softmax", "log_softmax",
        "softmin", "logsumexp", "mean", "sum", "prod", "max", "min", "var", "std", "cumsum", "logcumsumexp",
        "normalize", "layernorm", "rmsnorm", "transpose", "flatten", "contiguous", "tril", "triu")},
    **{name: (getattr(Tensor, name), [POSITIVE]) for name in (
        "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal")},
    **{name: (getattr(Tensor, name), [X * 0.6]) for name in ("tan", "asin", "acos", "atanh")},
    "acosh": (Tensor.acosh, [POSITIVE + 1]), "exact gelu": (lambda x: x.gelu("none"), [X]),
    "logarithm of a sigmoid": (lambda x: x.sigmoid().log(), [X]), "power of a number": (lambda x: 2.5**x, [X]),
    "cube": (lambda x: x**3, [X]), "negative power": (lambda x: x**-1.5, [POSITIVE]),
    # two operands
    "add": (Tensor.add, [X, evenly(4)]), "sub": (Tensor.sub, [X, evenly(3, 1)]), "mul": (Tensor.mul, [X, evenly(4)]),
    "div": (Tensor.div, [X, POSITIVE]), "pow": (Tensor.pow, [POSITIVE, X]), "atan2": (
        lambda x, y: (x / y).atan(), [X, POSITIVE]),
    "maximum": (Tensor.maximum, [X, evenly(4, low=-1.4, high=1.45)]), "minimum": (Tensor.minimum, [X, X[::-1] + 0.01]),
    "mod": (lambda x, y: x % y, [X * 0.4, POSITIVE + 1]),
    "where": (lambda x, y: (x > 0).where(x * y, y), [X, POSITIVE]),
    "lerp": (lambda x, y, w: x.lerp(y, w), [X, X[::-1], POSITIVE]),
    "clamp": (lambda x: x.clamp(-1, 0.7), [X]), "masked_fill": (lambda x: x.masked_fill(Tensor(X > 0), 3.0) * x, [X]),
    # reductions of chosen axes
    "sum of columns": (lambda x: x.sum(0).square(), [X]), "product of rows": (lambda x: x.prod(1), [X]),
    "maximum of rows": (lambda x: x.max(1) * x.min(1), [X]),
    "variance of axes": (lambda x: x.var((0, 2)), [evenly(2, 3, 4)]),
    "softmax of columns": (lambda x: x.softmax(0), [X]), "cummax": (lambda x: x.cummax(1)[0], [X]),
    "cummin": (lambda x: x.cummin(0)[0], [X]), "cumprod of columns": (lambda x: x.cumprod(0), [POSITIVE]),
    # contractions
    "matmul": (Tensor.matmul, [X, evenly(4, 5)]), "batched matmul": (Tensor.matmul, [evenly(2, 3, 4), evenly(2, 4, 2)]),
    "vector product": (Tensor.dot, [evenly(4), evenly(4, low=0.1)]), "linear": (
        Tensor.linear, [X, evenly(4, 5), evenly(5)]),
    "einsum": (lambda x, y: Tensor.einsum("bij,bkj->ik", x, y), [evenly(2, 3, 4), evenly(2, 5, 4)]),
    "diagonal einsum": (lambda x: Tensor.einsum("ii->i", x), [evenly(4, 4)]),
    "conv2d": (lambda x, w, b: x.conv2d(w, b, padding=1, stride=2), [IMAGE, evenly(4, 3, 3, 3), evenly(4)]),
    "dilated grouped conv2d": (lambda x, w: x.conv2d(w, groups=3, dilation=2), [IMAGE, evenly(6, 1, 2, 2)]),
    "conv_transpose2d": (lambda x, w: x.conv_transpose2d(w, stride=2), [IMAGE, evenly(3, 2, 3, 3)]),
    "attention": (lambda q, k, v: q.scaled_dot_product_attention(k, v),
        [evenly(2, 3, 4), evenly(2, 5, 4), evenly(2, 5, 2)]),
    "causal attention": (lambda q, k, v: q.scaled_dot_product_attention(k, v, is_causal=True),
                         [evenly(2, 4, 3), evenly(2, 4, 3), evenly(2, 4, 2)]),
    # windows
    "max_pool2d": (lambda x: x.max_pool2d(), [IMAGE]),
    "avg_pool2d": (lambda x: x.avg_pool2d((3, 2), stride=1), [IMAGE]),
    "overlapping maxima": (lambda x: x.max_pool2d(3, stride=1, padding=1), [IMAGE]),
    "unfold": (lambda x: x.unfold(1, 3, 1).square(), [X]),
    # movement
    "reshape and permute": (lambda x: x.reshape(2, 2, 3).permute(2, 0, 1).square(), [X]),
    "expand": (lambda x: x.reshape(3, 1, 4).expand(3, 2, 4).square(), [X]),
    "pad": (lambda x: x.pad(((1, 0), (2, 1)), value=3.0).square(), [X]),
    "shrink": (lambda x: x.shrink(((1, 3), (0, 2))), [X]),
    "reflect": (lambda x: x.pad((2, 1, 0, 0), mode="reflect").square(), [X]),
    "flip": (lambda x: x.flip(1).cumsum(1), [X]),
    "repeat": (lambda x: x.repeat((2, 3)).square(), [X]), "roll": (lambda x: x.roll(1, 0) * x, [X]),
    "cat": (lambda x, y: x.cat(y, dim=1).square(), [X, evenly(3, 2)]), "stack": (
        lambda x, y: Tensor.stack(x, y, dim=1).square(), [X, POSITIVE]),
    "split": (lambda x: x.split([1, 3], 1)[1].square(), [X]), "part": (lambda x: x[1:, ::2].square(), [X]),
    "reversed part": (lambda x: x[::-1, 1:3].cumsum(0), [X]),
    "diagonal": (lambda x: x.diagonal().square(), [evenly(4, 4)]),
    # indexed access
    "rows": (lambda x: x[Tensor(INDEX)].square(), [X]), "gather": (lambda x: x.gather(1, Tensor(INDEX)).square(), [X]),
    "scatter": (lambda x, s: x.scatter(1, Tensor(INDEX[:, :2]), s).square(), [X, evenly(2, 2)]),
    "scatter_reduce": (lambda x, s: x.scatter_reduce(0, Tensor(INDEX), s, "sum").square(), [X, evenly(2, 3)]),
    "largest of scattered": (lambda x, s: x.scatter_reduce(0, Tensor(INDEX), s, "amax"),
        [X, evenly(2, 3, low=-1.1, high=2)]),
    "rows out of range": (lambda x: x[Tensor(INDEX * 2)].square(), [X]),
    # losses
    "cross_entropy": (lambda x: x.cross_entropy(Tensor(CLASSES)), [X]),
    "smoothed cross_entropy": (lambda x: x.cross_entropy(Tensor(CLASSES), label_smoothing=0.2), [X]),
    "cross_entropy of probabilities": (lambda x, p: x.cross_entropy(p), [X, probabilities(3, 4)]),
    "nll_loss": (lambda x: x.log_softmax().nll_loss(Tensor(CLASSES)), [X]),
    "binary_crossentropy": (lambda p: p.binary_crossentropy(Tensor(probabilities(3, 4)[::-1].copy())),
        [probabilities(3, 4)]),
    "binary_crossentropy_logits": (lambda x, p: x.binary_crossentropy_logits(p), [X, probabilities(3, 4)]),
    "mse_loss": (Tensor.mse_loss, [X, X[::-1]]), "l1_loss": (Tensor.l1_loss, [X, X[::-1] + 0.01]),
    "huber_loss": (lambda x, y: x.huber_loss(y, delta=0.8), [X, X[::-1] + 0.01]),
    # writing
    "assigned parts": (lambda x, v: _written(x, v).square(), [X, evenly(2)]),
}


def _written(x: Tensor, v: Tensor) -> Tensor:
    y = x * 2
    y[1:, 0] = v
    return y


def weighted(function: Function) -> Function:
    """A scalar of the result that weighs each element differently."""

    def scalar(*tensors: Tensor) -> Tensor:
        result = function(*tensors)
        weights = np.cos(np.arange(int(np.prod(result.shape)))).reshape(result.shape) + 0.1
        return (result * Tensor(weights)).sum()

    return scalar


@pytest.mark.parametrize("name", CASES)
def test_the_slope_along_random_directions(name: str) -> None:
    """The gradient times a direction is the central difference along it."""
    function, inputs = CASES[name]
    scalar = weighted(function)
    tensors = [Tensor(np.ascontiguousarray(x, np.float64)) for x in inputs]
    gradients = [gradient.numpy() for gradient in scalar(*tensors).gradient(*tensors)]
    rng = np.random.default_rng(0)
    step = 1e-6
    for _ in range(2):
        directions = [rng.standard_normal(np.shape(x)) for x in inputs]
        ahead, behind = (
            scalar(*(Tensor(x + sign * step * d) for x, d in zip(inputs, directions, strict=True))).item()
            for sign in (1, -1))
        slope = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True))
        assert slope == pytest.approx((ahead - behind) / (2 * step), rel=2e-6, abs=2e-7)


# ------------------------------------------------------------------------------------------- a gradient of a gradient

def test_second_order_through_layers() -> None:
    """The gradient of a gradient's norm, as in a gradient penalty, against finite differences."""
    Tensor.manual_seed(0)
    layers = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.LayerNorm(6), nn.Linear(6, 1))
    for parameter in layers.parameters():
        parameter.replace(parameter.cast("float64").realize())

    def penalty(x: Tensor) -> Tensor:
        [gradient] = layers(x).sum().gradient(x)
        return gradient.square().sum()

    x, direction, step = evenly(3, 4), np.cos(np.arange(12.0)).reshape(3, 4), 1e-6
    point = Tensor(x)
    [found] = penalty(point).gradient(point)
    slope = (penalty(Tensor(x + step * direction)).item() - penalty(Tensor(x - step * direction)).item()) / (2 * step)
    assert float((found.numpy() * direction).sum()) == pytest.approx(slope, rel=1e-6)
