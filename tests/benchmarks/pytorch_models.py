"""The models of the workloads in PyTorch."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from tinygrad_like.bench import shapes

INITIAL_SCALE = 0.02  # GPT-2's

Cache = list[torch.Tensor]  # keys and values of the tokens so far


class Block(nn.Module):
    """A pre-norm Transformer block with causal attention."""

    def __init__(self, shape: shapes.GPTShape) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor, cache: Cache | None = None) -> torch.Tensor:
        batch, time, width = x.shape
        parts = self.query_key_value(self.attention_norm(x)).split(width, dim=2)
        q, k, v = (part.view(batch, time, self.heads, -1).transpose(1, 2) for part in parts)
        if cache is not None:
            k, v = cache[:] = [torch.cat(pair, 2) for pair in zip(cache, (k, v), strict=True)] if cache else [k, v]
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=time > 1)
        x = x + self.projection(attended.transpose(1, 2).reshape(batch, time, width))
        return x + self.down(functional.gelu(self.up(self.mlp_norm(x)), approximate="tanh"))


class GPT(nn.Module):
    """GPT-2 with tied embeddings; called with tokens and targets it returns the loss."""

    def __init__(self, shape: shapes.GPTShape) -> None:
        super().__init__()
        self.tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(shape.context, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=INITIAL_SCALE)

    def forward(self, tokens: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits = self.hidden(tokens) @ self.tokens.weight.T
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def hidden(self, tokens: torch.Tensor, caches: list[Cache] | None = None, position: int = 0) -> torch.Tensor:
        """What the head reads: [batch, time, width]."""
        x = self.tokens(tokens) + self.positions(torch.arange(position, position + tokens.shape[1]))
        for number, block in enumerate(self.blocks):
            x = block(x, None if caches is None else caches[number])
        return self.norm(x)

    def likeliest(self, tokens: torch.Tensor, caches: list[Cache] | None = None, position: int = 0) -> torch.Tensor:
        """The token [batch, 1] that most likely follows."""
        logits = self.hidden(tokens, caches, position)[:, -1] @ self.tokens.weight.T
        return logits.argmax(-1, keepdim=True)


class LSTM(nn.Module):
    """A language model of one LSTM layer."""

    def __init__(self, shape: shapes.LSTMShape) -> None:
        super().__init__()
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.lstm = nn.LSTM(shape.width, shape.width, batch_first=True)
        self.head = nn.Linear(shape.width, shape.vocabulary)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(self.embedding(tokens))[0])


def perceptron() -> nn.Module:
    """The perceptron, with ReLU between its layers."""
    layers: list[nn.Module] = []
    for before, after in pairwise(shapes.MLP.sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def convolutional_network() -> nn.Module:
    """The convolutional network for images of digits."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 5), nn.ReLU(), nn.Conv2d(32, 32, 5), nn.ReLU(), nn.BatchNorm2d(32), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(), nn.BatchNorm2d(64), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(576, 10),
    )
