"""Atomic writes and safetensors files: round trips, interoperation, damage."""

from __future__ import annotations

import os
import pickle
import stat

import numpy as np
import pytest

from tinygrad_like.io import (
    InputError,
    StoredTensor,
    atomic_write,
    code_of,
    read_safetensors,
    write_safetensors,
    write_text,
)

DTYPES = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32",
          "float64"]


def arrays(rng) -> dict[str, StoredTensor]:
    result = {name: rng.integers(0, 2, (3, 5)).astype(name) for name in DTYPES}
    result |= {"scalar": np.array(2.5, np.float32), "empty": np.zeros((0, 4), np.float32), "": np.ones(1)}
    return {name: StoredTensor(code_of(array.dtype), array) for name, array in result.items()}


def test_round_trip(tmp_path, rng):
    tensors = arrays(rng) | {"brain": StoredTensor("BF16", np.array([0x3F80, 0xC000], np.uint16))}
    write_safetensors(tmp_path / "a.safetensors", tensors, {"step": "7"})
    loaded, metadata = read_safetensors(tmp_path / "a.safetensors")
    assert metadata == {"step": "7"} and set(loaded) == set(tensors)
    for name, tensor in tensors.items():
        assert loaded[name].code == tensor.code
        np.testing.assert_array_equal(loaded[name].array, tensor.array)


def test_arrays_in_any_memory_order_are_written_in_theirs(tmp_path):
    array = np.arange(12, dtype=">f4").reshape(3, 4).T[::2]
    write_safetensors(tmp_path / "a", {"x": StoredTensor("F32", array)})
    np.testing.assert_array_equal(read_safetensors(tmp_path / "a")[0]["x"].array, array)


def test_the_package_safetensors_reads_our_files_and_we_read_its(tmp_path, rng):
    oracle = pytest.importorskip("safetensors.numpy", reason="the oracle safetensors is not installed")
    tensors = arrays(rng)
    write_safetensors(tmp_path / "ours", tensors, {"note": "hello"})
    loaded = oracle.load_file(tmp_path / "ours")
    assert set(loaded) == set(tensors)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(loaded[name], tensor.array)
    oracle.save_file({name: tensor.array for name, tensor in tensors.items()}, tmp_path / "its", {"note": "hello"})
    read, metadata = read_safetensors(tmp_path / "its")
    assert metadata == {"note": "hello"}
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(read[name].array, tensor.array)


def test_every_truncation_is_one_clear_line(tmp_path):
    path = tmp_path / "model.safetensors"
    write_safetensors(path, {"weight": StoredTensor("F32", np.arange(6, dtype=np.float32))})
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match="truncated|not a safetensors file") as caught:
            read_safetensors(path)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def header(text: bytes, content: bytes = b"") -> bytes:
    return len(text).to_bytes(8, "little") + text + content


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04 and so on", "a zip archive"),
        (pickle.dumps({"a": 1}, 4), "a pickle"),
        (b"\x93NUMPY\x01\x00v\x00", "a NumPy file"),
        (b"any text that is long enough to have a length", "not a safetensors file"),
        (header(b"{]"), "damaged"),
        (header(b"[]"), "not a safetensors file"),
        (header(b'{"a": 1}'), "damaged"),
        (header(b'{"a": {"dtype": "F32"}}'), "damaged"),
        (header(b'{"a": {"dtype": "Q3", "shape": [1], "data_offsets": [0, 4]}}', b"1234"), "damaged"),
        (header(b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}', b"1234"), "damaged"),
        (header(b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}}', b"1234"), "damaged"),
        (header(b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}', b"1234"), "truncated"),
    ],
)
def test_a_foreign_or_damaged_file_is_one_clear_line(tmp_path, data, message):
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        read_safetensors(tmp_path / "file")
    assert "\n" not in str(caught.value)


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "deep" / "file"
    write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as file:
        file.write(b"half of the new")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and os.listdir(path.parent) == ["file"]


def test_a_written_file_has_the_usual_permissions(tmp_path):
    write_text(tmp_path / "ours", "x")
    (tmp_path / "usual").write_text("x")
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE((tmp_path / "usual").stat().st_mode)


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write"):
        write_text(tmp_path / "file" / "below", "x")


def test_an_unknown_dtype_is_refused():
    with pytest.raises(InputError, match="no code for dtype complex64"):
        code_of(np.dtype("complex64"))
