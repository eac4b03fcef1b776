"""Data sets and batches, as NumPy arrays."""

from tinygrad_like.data.batches import every_window, generator, random_windows, shuffled, step_seed
from tinygrad_like.data.digits import Digits, load_digits
from tinygrad_like.data.download import DownloadError, fetch
from tinygrad_like.data.idx import read_idx

__all__ = [
    "Digits",
    "DownloadError",
    "every_window",
    "fetch",
    "generator",
    "load_digits",
    "random_windows",
    "read_idx",
    "shuffled",
    "step_seed",
]
