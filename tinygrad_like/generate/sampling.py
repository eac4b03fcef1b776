"""Choosing the next token from its logits."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_like.io import InputError

Array = np.ndarray[Any, np.dtype[Any]]


def check_sampling(temperature: float, top_k: int | None) -> None:
    """InputError where the settings make no sense."""
    if temperature < 0:
        raise InputError(f"the temperature is 0 (always the likeliest token) or above, got {temperature}")
    if top_k is not None and top_k < 1:
        raise InputError(f"top-k keeps at least 1 token, got {top_k}")


def next_token_probabilities(logits: Array, temperature: float = 1.0, top_k: int | None = None) -> Array:
    """softmax(logits / temperature) over the ``top_k`` likeliest tokens; the others have probability 0.

    Temperature 0 gives all probability to the likeliest token. Of equal logits the smaller id stays.
    """
    check_sampling(temperature, top_k)
    logits = np.asarray(logits, np.float64)
    if temperature == 0:
        top_k, temperature = 1, 1.0
    if top_k is not None and top_k < logits.size:
        logits = _largest(logits, top_k)
    weights = np.exp((logits - logits.max()) / temperature)
    probabilities: Array = weights / weights.sum()
    return probabilities


def _largest(logits: Array, count: int) -> Array:
    """The ``count`` largest logits, of equal ones those of the smaller ids; -inf in the place of the others."""
    negative = -logits
    limit = np.partition(negative, count - 1)[count - 1]  # sorting all of them would take as long as the model
    above, equal = np.flatnonzero(negative < limit), np.flatnonzero(negative == limit)
    kept = np.concatenate([above, equal[: count - above.size]])
    result = np.full_like(logits, -np.inf)
    result[kept] = logits[kept]
    return result


def sample_token(
    logits: Array, generator: np.random.Generator, temperature: float = 1.0, top_k: int | None = None
) -> int:
    """A token drawn by ``next_token_probabilities``."""
    probabilities = next_token_probabilities(logits, temperature, top_k)
    # By hand, not by generator.choice: the token then depends on one uniform number in a way that no release changes.
    index = np.searchsorted(np.cumsum(probabilities), generator.random(), side="right")
    return int(min(index, np.flatnonzero(probabilities)[-1]))
