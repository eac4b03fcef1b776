"""Models built from ``nn``."""

from tinygrad_like.models.cnn import CNN
from tinygrad_like.models.gpt import GPT, GPTConfig
from tinygrad_like.models.mlp import MLP

__all__ = ["CNN", "GPT", "MLP", "GPTConfig"]
