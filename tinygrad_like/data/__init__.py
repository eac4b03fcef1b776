"""Data sets and batches, as NumPy arrays."""

from tinygrad_like.data.augmentation import channel_statistics, normalise, random_crop, random_erase, random_flip
from tinygrad_like.data.batches import continued_windows, every_window, generator, random_windows, shuffled, step_seed
from tinygrad_like.data.digits import Digits, load_digits
from tinygrad_like.data.download import DownloadError, fetch
from tinygrad_like.data.idx import read_idx
from tinygrad_like.data.words import load_words, split_words, word_rows, word_tokenizer, word_windows

__all__ = [
    "Digits",
    "DownloadError",
    "channel_statistics",
    "continued_windows",
    "every_window",
    "fetch",
    "generator",
    "load_digits",
    "load_words",
    "normalise",
    "random_crop",
    "random_erase",
    "random_flip",
    "random_windows",
    "read_idx",
    "shuffled",
    "split_words",
    "step_seed",
    "word_rows",
    "word_tokenizer",
    "word_windows",
]
