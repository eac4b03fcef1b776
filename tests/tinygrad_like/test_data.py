"""Data files, digits and batches."""

from __future__ import annotations

import gzip
import struct
import sys

import numpy as np
import pytest

from tinygrad_like.data import (
    continued_windows,
    every_window,
    load_digits,
    load_words,
    random_windows,
    read_idx,
    shuffled,
    split_words,
    word_rows,
    word_tokenizer,
    word_windows,
)
from tinygrad_like.data.download import DownloadError, cached_path, fetch
from tinygrad_like.io import InputError

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx_bytes(array: np.ndarray) -> bytes:
    codes = {"u1": 8, "i1": 9, "i2": 0xB, "i4": 0xC, "f4": 0xD, "f8": 0xE}
    header = bytes([0, 0, codes[array.dtype.str[1:]], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_mnist(directory, names=NAMES, count=10):
    for name in names:
        shape = (count, 28, 28) if "images" in name else (count,)
        (directory / name).write_bytes(idx_bytes(np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4,), (2, 3), (0, 5), ()])
@pytest.mark.parametrize("compress", [False, True])
def test_idx_round_trip(tmp_path, dtype, shape, compress):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    data = idx_bytes(array)
    (tmp_path / "file").write_bytes(gzip.compress(data) if compress else data)
    read = read_idx(tmp_path / "file")
    assert read.dtype == dtype and read.shape == shape
    np.testing.assert_array_equal(read, array)


GOOD = idx_bytes(np.zeros((2, 3), np.uint8))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an IDX file"),
        (b"hello world", "not an IDX file"),
        (b"\0\0\x77\x01", "not an IDX file"),
        (GOOD[:6], "truncated"),
        (GOOD[:-1], "truncated"),
        (GOOD + b"x", "damaged"),
        (gzip.compress(GOOD, mtime=0)[:-12], "truncated or damaged"),
        (b"\x1f\x8b" + b"garbage" * 4, "truncated or damaged"),
    ],
)
def test_a_bad_idx_file_is_one_clear_line(tmp_path, data, message):
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        read_idx(tmp_path / "file")
    assert "\n" not in str(caught.value)


def test_a_missing_idx_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no IDX file"):
        read_idx(tmp_path / "none")


def test_all_four_files_give_the_official_split(tmp_path):
    write_mnist(tmp_path)
    digits = load_digits(tmp_path)
    assert digits.train_images.shape == digits.test_images.shape == (10, 1, 28, 28)
    assert digits.train_images.dtype == np.float32 and digits.train_labels.dtype == np.int32
    assert digits.train_images.max() == 1 and digits.train_images.min() == 0


def test_the_test_files_alone_are_split(tmp_path):
    write_mnist(tmp_path, NAMES[2:])
    digits = load_digits(tmp_path)
    assert len(digits.train_labels) == 8 and len(digits.test_labels) == 2
    assert "test images only" in digits.source


def test_the_real_test_files(shared):
    digits = load_digits(shared / "data" / "mnist")
    assert len(digits.train_labels) == 8000 and len(digits.test_labels) == 2000
    assert np.bincount(np.concatenate([digits.train_labels, digits.test_labels])).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_bad_directories_are_refused(tmp_path):
    with pytest.raises(InputError, match="no directory"):
        load_digits(tmp_path / "none")
    with pytest.raises(InputError, match="lacks t10k-images-idx3-ubyte"):
        load_digits(tmp_path)
    write_mnist(tmp_path)
    (tmp_path / NAMES[3]).write_bytes(idx_bytes(np.zeros(3, np.uint8)))
    with pytest.raises(InputError, match=r"\[3\] labels for 10 images"):
        load_digits(tmp_path)
    (tmp_path / NAMES[2]).write_bytes(idx_bytes(np.zeros(3, np.uint8)))
    with pytest.raises(InputError, match="expected images"):
        load_digits(tmp_path)


def test_without_mnist_the_small_digits_stand_in(tmp_path, monkeypatch):
    pytest.importorskip("sklearn", reason="scikit-learn, whose digits are used, is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    digits = load_digits(download=False)
    assert digits.train_images.shape == (1437, 1, 28, 28) and len(digits.test_labels) == 360
    assert "scikit-learn" in digits.source and "\n" not in digits.source
    assert digits.train_images.min() >= 0 and digits.train_images.max() == 1


def test_without_mnist_and_scikit_learn_one_line_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(InputError, match="pip install scikit-learn"):
        load_digits(download=False)


def test_a_download_is_hashed_and_cached(tmp_path, monkeypatch):
    pytest.importorskip("pooch", reason="pooch, which downloads, is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cached_path("file").parent.mkdir(parents=True)
    cached_path("file").write_bytes(b"hello")
    hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert fetch("http://127.0.0.1:9/file", hello, "file") == cached_path("file")
    with pytest.raises(DownloadError, match="cannot download http://127.0.0.1:9/file"):
        fetch("http://127.0.0.1:9/file", "0" * 64, "file")


def test_random_windows_depend_on_seed_and_step_alone():
    tokens = np.arange(1000, dtype=np.int32)
    inputs, targets = random_windows(tokens, context=8, batch=4, seed=1, step=2)
    assert inputs.shape == targets.shape == (4, 8)
    np.testing.assert_array_equal(inputs + 1, targets)
    np.testing.assert_array_equal(random_windows(tokens, 8, 4, 1, 2)[0], inputs)
    assert (random_windows(tokens, 8, 4, 1, 3)[0] != inputs).any()
    assert (random_windows(tokens, 8, 4, 2, 2)[0] != inputs).any()


def test_the_shortest_text_has_one_window():
    inputs, targets = random_windows(np.arange(9), context=8, batch=2, seed=0, step=0)
    assert inputs.tolist() == [list(range(8))] * 2 and targets.tolist() == [list(range(1, 9))] * 2
    with pytest.raises(InputError, match="expected at least 9"):
        random_windows(np.arange(8), context=8, batch=2, seed=0, step=0)


def test_every_window_covers_the_text_once():
    batches = list(every_window(np.arange(100), context=8, batch=3))
    assert len(batches) == 4
    np.testing.assert_array_equal(np.concatenate([inputs.reshape(-1) for inputs, _ in batches]), np.arange(96))
    for inputs, targets in batches:
        np.testing.assert_array_equal(inputs + 1, targets)
    assert len(list(every_window(np.arange(10), context=8, batch=3))) == 1


def test_shuffled_epochs_differ_and_repeat():
    first, second = (np.concatenate(list(shuffled(10, 5, seed=0, epoch=e))) for e in (0, 1))
    assert sorted(first) == sorted(second) == list(range(10)) and first.tolist() != second.tolist()
    np.testing.assert_array_equal(first, np.concatenate(list(shuffled(10, 5, seed=0, epoch=0))))
    assert sum(len(batch) for batch in shuffled(11, 5, seed=0, epoch=0)) == 10
    with pytest.raises(InputError, match="do not fill a batch"):
        next(shuffled(3, 5, seed=0, epoch=0))


def test_continued_windows_go_on_row_by_row():
    windows = list(continued_windows(np.arange(23), context=3, batch=2))
    assert [inputs.tolist() for inputs, _ in windows] == [
        [[0, 1, 2], [11, 12, 13]], [[3, 4, 5], [14, 15, 16]], [[6, 7, 8], [17, 18, 19]]]
    assert all((targets == inputs + 1).all() for inputs, targets in windows)
    with pytest.raises(InputError, match="too few for a context of 3"):
        next(continued_windows(np.arange(7), context=3, batch=3))


def test_words_of_the_reference_and_of_a_file(tmp_path):
    words, source = load_words()
    assert len(words) > 1000 and {"the", "function"} <= set(words) and "pydoc_data" in source
    (tmp_path / "names").write_text("\n".join(f"name{letter}" for letter in "abcdefghijkl") + "\n", encoding="utf-8")
    words, source = load_words(tmp_path / "names")
    assert words[:2] == ["namea", "nameb"] and source == str(tmp_path / "names")
    (tmp_path / "few").write_text("one\ntwo\n", encoding="utf-8")
    with pytest.raises(InputError, match="has 2 words; expected ten or more"):
        load_words(tmp_path / "few")


def test_words_are_split_once_and_for_all():
    words = [str(i) for i in range(100)]
    parts = split_words(words)
    assert [len(part) for part in parts] == [80, 10, 10] and sorted([*parts[0], *parts[1], *parts[2]], key=int) == words
    assert parts == split_words(words) != split_words(words, seed=1)


def test_words_as_arrays():
    tokenizer = word_tokenizer(["cab", "b"])
    assert tokenizer.characters == "\nabc"
    inputs, targets = word_windows(["cab", "b"], tokenizer, context=2)
    assert inputs.tolist() == [[0, 0], [0, 3], [3, 1], [1, 2], [0, 0], [0, 2]]
    assert targets.tolist() == [3, 1, 2, 0, 2, 0]
    inputs, targets = word_rows(["cab", "b"], tokenizer, context=4)
    assert inputs.tolist() == [[0, 3, 1, 2], [0, 2, 0, 0]] and targets.tolist() == [[3, 1, 2, 0], [2, 0, -1, -1]]
    with pytest.raises(InputError, match="'cab' has 3 characters; a context of 3 takes 2"):
        word_rows(["cab"], tokenizer, context=3)
