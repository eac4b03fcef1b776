"""Batches that depend on the seed and the step alone: a run that resumes at step n draws what it would have drawn.

Randomness is counter-based (Philox): step n needs no state of step n - 1, so a checkpoint has none to save.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_like.io.errors import InputError

Array = np.ndarray[Any, np.dtype[Any]]


def generator(seed: int, step: int) -> np.random.Generator:
    """The random numbers of one step."""
    key = np.array([seed % 2**64, step % 2**64], np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def step_seed(seed: int, step: int) -> int:
    """The seed of everything random in one step that is not its batch (dropout), 32 bits."""
    return int(generator(~seed, step).integers(2**32))


def random_windows(tokens: Array, context: int, batch: int, seed: int, step: int) -> tuple[Array, Array]:
    """``batch`` random windows of ``tokens`` and their targets, the same windows one token later: two [batch, context].

    >>> inputs, targets = random_windows(np.arange(100), context=8, batch=4, seed=0, step=0)
    """
    _check_length(tokens, context)
    starts = generator(seed, step).integers(0, len(tokens) - context, batch)
    index = starts[:, None] + np.arange(context)
    return tokens[index], tokens[index + 1]


def every_window(tokens: Array, context: int, batch: int) -> Iterator[tuple[Array, Array]]:
    """Consecutive windows that cover ``tokens`` once, in full batches; what does not fill a batch is left out.

    A text of fewer windows than ``batch`` gives one batch of random windows instead, so that there is always one.
    """
    _check_length(tokens, context)
    count = (len(tokens) - 1) // context // batch
    for i in range(count):
        part = tokens[i * batch * context : (i + 1) * batch * context + 1]
        yield part[:-1].reshape(batch, context), part[1:].reshape(batch, context)
    if count == 0:
        yield random_windows(tokens, context, batch, seed=0, step=0)


def continued_windows(tokens: Array, context: int, batch: int) -> Iterator[tuple[Array, Array]]:
    """Windows and targets, two [batch, context], whose rows go on where the same rows of the windows before ended.

    Row i reads the i-th of ``batch`` equal parts of ``tokens`` from beginning to end, so that a recurrent network can
    carry its states along (truncated backpropagation through time, Williams and Peng, 1990).

    >>> [inputs[0].tolist() for inputs, _ in continued_windows(np.arange(13), context=3, batch=2)]
    [[0, 1, 2], [3, 4, 5]]
    """
    length = (len(tokens) - 1) // batch
    _check_length(tokens[:length + 1], context)
    inputs, targets = (tokens[start : start + batch * length].reshape(batch, length) for start in (0, 1))
    for start in range(0, length - context + 1, context):
        yield inputs[:, start : start + context], targets[:, start : start + context]


def shuffled(count: int, batch: int, seed: int, epoch: int) -> Iterator[Array]:
    """Indices of full batches in an order that depends on seed and epoch; what does not fill a batch waits an epoch.

    >>> sorted(np.concatenate(list(shuffled(10, 5, seed=0, epoch=0))).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    if count < batch:
        raise InputError(f"{count} examples do not fill a batch of {batch}; give a smaller --batch")
    order = generator(seed, epoch).permutation(count)
    for start in range(0, count - batch + 1, batch):
        yield order[start : start + batch]


def _check_length(tokens: Array, context: int) -> None:
    if len(tokens) <= context:
        raise InputError(
            f"{len(tokens)} tokens are too few for a context of {context}; expected at least {context + 1}"
        )
