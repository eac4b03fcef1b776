"""Generating text with a trained model."""

from tinygrad_like.generate.generator import Generator
from tinygrad_like.generate.sampling import next_token_probabilities, sample_token

__all__ = ["Generator", "next_token_probabilities", "sample_token"]
