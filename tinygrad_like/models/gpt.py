"""A GPT: token and position embeddings, Transformer blocks, and a head that shares the token embedding's table."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from tinygrad_like import nn
from tinygrad_like.io import InputError, read_bytes, write_text
from tinygrad_like.nn import init
from tinygrad_like.tensor import Tensor

Caches = Sequence[nn.KeyValueCache]


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a GPT. ``vocabulary`` is the number of tokens, ``context`` how many positions it can look at."""

    vocabulary: int
    context: int = 64
    layers: int = 4
    heads: int = 4
    width: int = 128
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("vocabulary", "context", "layers", "heads", "width"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is at least 1, got {getattr(self, name)}")
        if self.width % self.heads:
            raise InputError(f"the number of heads divides the width, got {self.heads} heads and width {self.width}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout lies in [0, 1), got {self.dropout}")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the configuration as JSON."""
        write_text(path, json.dumps({"model": "gpt", **asdict(self)}, indent=1) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> GPTConfig:
        """The configuration that ``save`` wrote."""
        try:
            values: dict[str, Any] = json.loads(read_bytes(path, "model configuration"))
            return cls(**{field.name: values[field.name] for field in fields(cls)})
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path} is no GPT configuration ({error!r})") from error


class GPT(nn.Module):
    """Token ids [batch, time] to logits [batch, time, vocabulary], time at most ``context``.

    Source: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, with its initialisation:
    weights normal with deviation 0.02, those that write into the shortcut divided by sqrt(2 layers), biases zero.

    >>> model = GPT(GPTConfig(vocabulary=65, context=32, layers=2, heads=2, width=64))
    >>> model(Tensor([[1, 2, 3]])).shape
    (1, 3, 65)

    With ``caches`` each token is read once: ``tokens`` are those from ``position`` on, an int or a bound ``Variable``.

    >>> caches = model.make_caches(batch=1)
    >>> model(Tensor([[1, 2, 3]]), caches), model(Tensor([[4]]), caches, position=3)
    """

    def __init__(self, config: GPTConfig) -> None:
        self.config = config
        self.token_embedding = nn.Embedding(config.vocabulary, config.width)
        self.position_embedding = nn.Embedding(config.context, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = [
            nn.TransformerBlock(config.width, config.heads, dropout=config.dropout) for _ in range(config.layers)
        ]
        self.norm = nn.LayerNorm(config.width)
        self._initialise()

    def forward(self, tokens: Tensor, caches: Caches | None = None, position: Any = 0) -> Tensor:
        return self._head(self.hidden(tokens, caches, position))

    def hidden(self, tokens: Tensor, caches: Caches | None = None, position: Any = 0) -> Tensor:
        """What the head reads: [batch, time, width]."""
        end = position + tokens.shape[1]
        if isinstance(end, int) and end > self.config.context:
            raise ValueError(f"{end} tokens exceed the model's context of {self.config.context}")
        x = self.dropout(self.token_embedding(tokens) + self.position_embedding.weight[position:end])
        for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
            x = block(x, cache=cache, position=position)
        return self.norm(x)

    def next_token_logits(
        self, tokens: Tensor, last: Tensor | int = -1, caches: Caches | None = None, position: Any = 0
    ) -> Tensor:
        """The logits [batch, vocabulary] of what follows the token number ``last``: the head reads one row each."""
        return self._head(self.hidden(tokens, caches, position)[:, last])

    def make_caches(self, batch: int = 1) -> list[nn.KeyValueCache]:
        """One cache for each block, with room for the whole context of ``batch`` sequences."""
        config, weight = self.config, self.token_embedding.weight
        width = config.width // config.heads
        return [
            nn.KeyValueCache(batch, config.heads, config.context, width, weight.dtype, weight.device)
            for _ in self.blocks
        ]

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """The mean cross-entropy in nats of ``targets`` [batch, time]."""
        return self(tokens).flatten(0, 1).sparse_categorical_crossentropy(targets.flatten())

    def _head(self, hidden: Tensor) -> Tensor:
        return hidden.linear(self.token_embedding.weight.transpose(0, 1))

    def _initialise(self) -> None:
        shortcut = 0.02 / (2 * self.config.layers) ** 0.5
        parameters = dict(self.named_parameters())
        for name, parameter in parameters.items():
            if name.endswith("bias"):
                init.constant_(parameter, 0.0)
            elif parameter.ndim == 2:
                writes = name.endswith(("out_proj.weight", "linear2.weight"))
                init.normal_(parameter, std=shortcut if writes else 0.02)
        Tensor.realize(*parameters.values())
