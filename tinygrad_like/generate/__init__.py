"""Generating text with a trained model."""

from tinygrad_like.generate.decoder import Decoder, Prediction
from tinygrad_like.generate.generator import Generator
from tinygrad_like.generate.sampling import next_token_probabilities, sample_token

__all__ = ["Decoder", "Generator", "Prediction", "next_token_probabilities", "sample_token"]
