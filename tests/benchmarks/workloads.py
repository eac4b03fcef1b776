"""The shapes that every framework is timed on; names are stable, so that rows of different days are comparable."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GPTShape:
    """A GPT and its batch: ``layers`` blocks of ``width`` with ``heads``, ``batch`` sequences of ``context`` tokens."""

    layers: int
    heads: int
    width: int
    context: int
    vocabulary: int
    batch: int


@dataclass(frozen=True)
class MLPShape:
    """A multi-layer perceptron with ReLU between layers of these sizes."""

    sizes: tuple[int, ...]
    batch: int


MLP = MLPShape(sizes=(784, 512, 512, 10), batch=128)
GPT_SMALL = GPTShape(layers=4, heads=4, width=128, context=64, vocabulary=65, batch=12)  # nanoGPT's CPU setting
GPT_MEDIUM = GPTShape(layers=6, heads=6, width=384, context=256, vocabulary=65, batch=4)  # its character setting

LEARNING_RATE = {"mlp": 1e-3, "gpt_small": 3e-4, "gpt_medium": 3e-4}
