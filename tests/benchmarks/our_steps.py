"""The same training steps in this project: one compiled program per step, loss read back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import workloads

from tinygrad_like import Tensor, jit
from tinygrad_like.models import CNN, GPT, MLP, GPTConfig
from tinygrad_like.nn import Module
from tinygrad_like.nn.optim import Adam, AdamW


def mlp_step(images: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    """One step of the perceptron on float32 [batch, pixels] and int32 [batch]."""
    return _classifier_step(MLP(workloads.MLP.sizes), workloads.LEARNING_RATE["mlp"], images, labels)


def cnn_step(images: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    """One step of the convolutional network on float32 [batch, 1, 28, 28] and int32 [batch]."""
    return _classifier_step(CNN(), workloads.LEARNING_RATE["cnn"], images, labels)


def _classifier_step(model: Module, rate: float, images: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    optimizer = Adam(list(model.parameters()), lr=rate)
    x, y = Tensor(images), Tensor(labels)

    @jit
    def step(x: Tensor, y: Tensor) -> Tensor:
        loss = model(x).sparse_categorical_crossentropy(y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return lambda: _run(step, x, y)


def gpt_step(shape: workloads.GPTShape, rate: float, tokens: np.ndarray, targets: np.ndarray) -> Callable[[], float]:
    """One step of a GPT on int32 [batch, context] tokens and targets."""
    config = GPTConfig(shape.vocabulary, shape.context, shape.layers, shape.heads, shape.width)
    model = GPT(config)
    optimizer = AdamW(list(model.parameters()), lr=rate)
    x, y = Tensor(tokens), Tensor(targets)

    @jit
    def step(x: Tensor, y: Tensor) -> Tensor:
        loss = model.loss(x, y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return lambda: _run(step, x, y)


def _run(step: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> float:
    with Tensor.train():
        return step(x, y).item()
