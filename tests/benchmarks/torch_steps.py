"""Training steps in PyTorch eager: forward, backward, update of every parameter, loss read back."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
import workloads
from torch import nn
from torch.nn import functional

INITIAL_SCALE = 0.02  # GPT-2's


class Block(nn.Module):
    """A pre-norm Transformer block with causal attention."""

    def __init__(self, shape: workloads.GPTShape) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, time, width = x.shape
        parts = self.query_key_value(self.attention_norm(x)).split(width, dim=2)
        q, k, v = (part.view(batch, time, self.heads, -1).transpose(1, 2) for part in parts)
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.projection(attended.transpose(1, 2).reshape(batch, time, width))
        return x + self.down(functional.gelu(self.up(self.mlp_norm(x)), approximate="tanh"))


class GPT(nn.Module):
    """GPT-2 with tied embeddings; called with tokens and targets it returns the loss."""

    def __init__(self, shape: workloads.GPTShape) -> None:
        super().__init__()
        self.tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(shape.context, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=INITIAL_SCALE)

    def forward(self, tokens: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = self.norm(x) @ self.tokens.weight.T
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def _step(loss: Callable[[], torch.Tensor], optimizer: torch.optim.Optimizer) -> Callable[[], float]:
    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        value = loss()
        value.backward()
        optimizer.step()
        return value.item()

    return step


def mlp_step(images: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    """One step of the perceptron on float32 [batch, pixels] and int32 [batch]."""
    sizes = workloads.MLP.sizes
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return _classifier_step(nn.Sequential(*layers[:-1]), workloads.LEARNING_RATE["mlp"], images, labels)


def cnn_step(images: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    """One step of the convolutional network on float32 [batch, 1, 28, 28] and int32 [batch]."""
    model = nn.Sequential(
        nn.Conv2d(1, 32, 5), nn.ReLU(), nn.Conv2d(32, 32, 5), nn.ReLU(), nn.BatchNorm2d(32), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(), nn.BatchNorm2d(64), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(576, 10),
    )
    return _classifier_step(model, workloads.LEARNING_RATE["cnn"], images, labels)


def _classifier_step(model: nn.Module, rate: float, images: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    x, y = torch.from_numpy(images), torch.from_numpy(labels).long()
    optimizer = torch.optim.Adam(model.parameters(), rate)
    return _step(lambda: functional.cross_entropy(model(x), y), optimizer)


def gpt_step(shape: workloads.GPTShape, rate: float, tokens: np.ndarray, targets: np.ndarray) -> Callable[[], float]:
    """One step of a GPT on int32 [batch, context] tokens and targets."""
    model = GPT(shape)
    x, y = torch.from_numpy(tokens).long(), torch.from_numpy(targets).long()
    return _step(lambda: model(x, y), torch.optim.AdamW(model.parameters(), rate))
