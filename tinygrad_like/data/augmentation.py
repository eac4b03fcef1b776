"""Images varied at random, and normalised: NumPy arrays [n, channels, h, w] in, the same out.

Each function that draws takes the random numbers of a step (``data.generator``), so that a resumed run draws the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def random_crop(images: Array, padding: int, random: np.random.Generator, size: int | None = None) -> Array:
    """Each image padded with zeros on all sides and cut at a random place to its own size, or to ``size`` x ``size``.

    With a padding of 4 this is the usual augmentation of CIFAR (He et al., 2016, section 4.2).

    >>> random_crop(images, 4, generator(seed, step))
    """
    _check(images)
    height, width = (size, size) if size is not None else images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    free = padded.shape[2] - height, padded.shape[3] - width
    if min(free) < 0:
        raise ValueError(f"a crop of {height} x {width} is larger than the padded {padded.shape[2]} x "
                         f"{padded.shape[3]}")
    tops, lefts = (random.integers(0, room + 1, len(images)) for room in free)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
    return np.ascontiguousarray(windows[np.arange(len(images)), :, tops, lefts])


def random_flip(images: Array, random: np.random.Generator, probability: float = 0.5) -> Array:
    """Each image mirrored left to right with the given probability."""
    _check(images)
    flipped = random.random(len(images)) < probability
    return np.where(flipped[:, None, None, None], images[..., ::-1], images)


def random_erase(images: Array, size: int, random: np.random.Generator) -> Array:
    """A square of ``size`` pixels around a random place of each image set to 0 (DeVries and Taylor, "Cutout", 2017)."""
    _check(images)
    rows, columns = (random.integers(0, n, (len(images), 1)) for n in images.shape[2:])
    near_row, near_column = (np.abs(np.arange(n) - place + 0.25) < size / 2
                             for n, place in zip(images.shape[2:], (rows, columns), strict=True))
    hidden = near_row[:, :, None] & near_column[:, None, :]
    return np.where(hidden[:, None], images.dtype.type(0), images)


def normalise(images: Array, mean: Sequence[float] | float, std: Sequence[float] | float) -> Array:
    """(images - mean) / std of each channel, float32.

    >>> normalise(images, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
    """
    _check(images)
    centre, scale = (np.asarray(x, np.float32).reshape(1, -1, 1, 1) for x in (mean, std))
    if {centre.size, scale.size} - {1, images.shape[1]}:
        raise ValueError(f"normalise needs one mean and std, or one for each of {images.shape[1]} channels, got "
                         f"{centre.size} and {scale.size}")
    if (scale <= 0).any():
        raise ValueError(f"normalise needs standard deviations above 0, got {std}")
    return (images.astype(np.float32) - centre) / scale


def channel_statistics(images: Array) -> tuple[list[float], list[float]]:
    """The mean and the standard deviation of each channel, for ``normalise``."""
    _check(images)
    wide = images.astype(np.float64)
    return wide.mean((0, 2, 3)).tolist(), wide.std((0, 2, 3)).tolist()


def _check(images: Array) -> None:
    if images.ndim != 4:
        raise ValueError(f"expected images [n, channels, h, w], got an array of shape {list(images.shape)}")
