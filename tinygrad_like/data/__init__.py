"""Data sets and batches, as NumPy arrays."""

from tinygrad_like.data.augmentation import channel_statistics, normalise, random_crop, random_erase, random_flip
from tinygrad_like.data.batches import every_window, generator, random_windows, shuffled, step_seed
from tinygrad_like.data.digits import Digits, load_digits
from tinygrad_like.data.download import DownloadError, fetch
from tinygrad_like.data.idx import read_idx

__all__ = [
    "Digits",
    "DownloadError",
    "channel_statistics",
    "every_window",
    "fetch",
    "generator",
    "load_digits",
    "normalise",
    "random_crop",
    "random_erase",
    "random_flip",
    "random_windows",
    "read_idx",
    "shuffled",
    "step_seed",
]
