"""Small computations to look at by name with ``tgl dump``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinygrad_like import nn
from tinygrad_like.models import CNN, GPT, MLP, GPTConfig
from tinygrad_like.tensor import Tensor

Program = Callable[[], list[Tensor]]


def _softmax() -> list[Tensor]:
    return [_filled(64, 256).softmax()]


def _layernorm() -> list[Tensor]:
    return [nn.LayerNorm(256)(_filled(64, 256))]


def _matmul() -> list[Tensor]:
    return [_filled(256, 256) @ _filled(256, 256)]


def _linear_gelu() -> list[Tensor]:
    return [nn.Linear(256, 1024)(_filled(64, 256)).gelu()]


def _attention() -> list[Tensor]:
    q, k, v = (_filled(2, 4, 64, 32) for _ in range(3))
    return [q.scaled_dot_product_attention(k, v, is_causal=True)]


def _mlp() -> list[Tensor]:
    return [MLP()(_filled(128, 784))]


def _cnn() -> list[Tensor]:
    return [CNN().eval()(_filled(16, 1, 28, 28))]


def _gpt() -> list[Tensor]:
    return [_small_gpt()(_tokens(12, 64))]


def _mlp_training() -> list[Tensor]:
    model = MLP()
    loss = model(_filled(128, 784)).sparse_categorical_crossentropy(_tokens(128, limit=10))
    return _training(model, loss)


def _gpt_training() -> list[Tensor]:
    model = _small_gpt()
    return _training(model, model.loss(_tokens(12, 64), _tokens(12, 64)))


def _training(model: nn.Module, loss: Tensor) -> list[Tensor]:
    optimizer = nn.optim.AdamW(model.parameters())
    loss.backward()
    return [loss, *optimizer.schedule_step()]


def _small_gpt() -> GPT:
    return GPT(GPTConfig(vocabulary=65))


def _filled(*shape: int) -> Tensor:
    return Tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def _tokens(*shape: int, limit: int = 65) -> Tensor:
    return Tensor(np.random.default_rng(0).integers(0, limit, shape).astype(np.int32))


PROGRAMS: dict[str, Program] = {
    "softmax": _softmax, "layernorm": _layernorm, "matmul": _matmul, "linear-gelu": _linear_gelu,
    "attention": _attention, "mlp": _mlp, "cnn": _cnn, "gpt": _gpt, "mlp-training": _mlp_training,
    "gpt-training": _gpt_training,
}
