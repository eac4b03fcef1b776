"""How many kernels the commonest compositions become, by rows, by columns, and with their gradients: pinned.

A number here may fall; where one rises, something stopped fusing. ``test_fusion`` says why kernels end where they do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinygrad_like import Tensor, nn
from tinygrad_like.inspect import explain


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers in memory."""
    return Tensor(np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32))


def classes(count: int, *shape: int) -> Tensor:
    return Tensor(np.random.default_rng(count).integers(0, count, shape).astype(np.int32))


def gradient(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Any]:
    """The gradient of a weighted sum of the result by the argument."""

    def found(x: Tensor) -> Any:
        result = function(x)
        return (result * normal(*map(int, result.shape), seed=5)).sum().gradient(x) if result.ndim else (
            result.gradient(x))

    return found


IMAGE = (16, 8, 10, 10)
OTHER = normal(64, 256, seed=3)
COUNTS: dict[str, tuple[Callable[[Tensor], Any], int]] = {
    # along rows
    "softmax": (lambda x: x.softmax(), 1), "log_softmax": (lambda x: x.log_softmax(), 1),
    "var": (lambda x: x.var(1), 1),
    "std": (lambda x: x.std(1), 1), "var and mean": (lambda x: x.var_mean(1), 1),
    "logsumexp": (lambda x: x.logsumexp(1), 1), "normalize": (lambda x: x.normalize(), 1),
    "normalize by sums": (lambda x: x.normalize(1), 1), "layernorm": (lambda x: nn.LayerNorm(256)(x), 1),
    "rmsnorm": (lambda x: nn.RMSNorm(256)(x), 1), "norm": (lambda x: x.norm(2, 1), 1),
    "both extremes": (lambda x: x.aminmax(dim=1), 1), "cosine similarity": (lambda x: x.cosine_similarity(OTHER), 1),
    # of everything
    "var of all": (lambda x: x.var(), 1), "logsumexp of all": (lambda x: x.logsumexp(), 1),
    "norm of all": (lambda x: x.norm(), 1), "mean squared error": (lambda x: x.mse_loss(OTHER), 1),
    # along columns
    "softmax of columns": (lambda x: x.softmax(0), 3), "var of columns": (lambda x: x.var(0), 1),
    "logsumexp of columns": (lambda x: x.logsumexp(0), 1), "normalized columns": (lambda x: x.normalize(2, 0), 2),
    # losses
    "cross_entropy": (lambda x: x.cross_entropy(classes(256, 64)), 2),
    "cross_entropy of rows": (lambda x: x.cross_entropy(classes(256, 64), reduction="none"), 1),
    "smoothed cross_entropy": (lambda x: x.cross_entropy(classes(256, 64), label_smoothing=0.1), 2),
    "binary cross-entropy": (lambda x: x.binary_crossentropy_logits(OTHER), 3),
    "huber": (lambda x: x.huber_loss(OTHER), 2),
    # gradients
    "gradient of softmax": (gradient(lambda x: x.softmax()), 1),
    "gradient of log_softmax": (gradient(lambda x: x.log_softmax()), 1),
    "gradient of var": (gradient(lambda x: x.var(1)), 1),
    "gradient of logsumexp": (gradient(lambda x: x.logsumexp(1)), 1),
    "gradient of normalize": (gradient(lambda x: x.normalize()), 1),
    "gradient of layernorm": (gradient(lambda x: x.layernorm()), 1),
    "gradient of cross_entropy": (gradient(lambda x: x.cross_entropy(classes(256, 64))), 2),
}


@pytest.mark.parametrize("name", COUNTS)
def test_number_of_kernels(name: str) -> None:
    function, expected = COUNTS[name]
    explanation = explain(function(normal(64, 256)))
    assert explanation.kernel_count <= expected, f"\n{explanation}"


NORMS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "batch norm": (lambda: nn.BatchNorm2d(8), 1), "group norm": (lambda: nn.GroupNorm(4, 8), 1),
    "instance norm": (lambda: nn.InstanceNorm2d(8), 1), "layer norm": (lambda: nn.LayerNorm((8, 10, 10)), 1),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", NORMS)
def test_norms_with_their_statistics(name: str, training: bool) -> None:
    make, expected = NORMS[name]
    layer = make().train(training)
    result = layer(normal(*IMAGE))
    statistics = [tensor for tensor in layer.state_dict().values() if not tensor.is_param] if training else []
    explanation = explain([result, *(tensor for tensor in statistics if tensor.ndim)])
    assert explanation.kernel_count <= expected, f"\n{explanation}"


@pytest.mark.parametrize(("training", "expected"), [(True, 2), (False, 2)])
def test_batch_norm_with_its_gradients(training: bool, expected: int) -> None:
    layer, x = nn.BatchNorm2d(8).train(training), normal(*IMAGE)
    x.requires_grad = True
    (layer(x) * normal(*IMAGE, seed=1)).sum().backward()
    explanation = explain([x.grad, layer.weight.grad, layer.bias.grad])
    assert explanation.kernel_count <= expected, f"\n{explanation}"
