"""Bad and unusual input: each is one clear line that says what was given and what was expected, or simply works."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tinygrad_like import Context, Tensor, jit, nn
from tinygrad_like.models import MLP

NAN, INF = float("nan"), float("inf")

zeros = Tensor.zeros


def matrix() -> Tensor:
    return zeros(2, 3)


# ------------------------------------------------------------------------------------------- refused

# name -> (what is done, the error, words that say what was given and what was expected)
REFUSED: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    # shapes
    "shapes that do not broadcast": (lambda: matrix() + zeros(4), ValueError, r"\(2, 3\) and \(4,\).*sizes 3 and 4"),
    "condition of another shape": (lambda: (matrix() > 0).where(zeros(4), 0), ValueError, r"\(2, 3\) and \(4,\)"),
    "factors that do not fit": (lambda: matrix() @ zeros(2, 3), ValueError, r"\(2, 3\) and \(2, 3\).* 3, .* 2$"),
    "a product with a scalar": (lambda: matrix() @ Tensor(3.0), ValueError, r"or more dimensions.*\(2, 3\) and \(\)"),
    "reshape to another size": (lambda: matrix().reshape(4, 2), ValueError, r"\(2, 3\) to \(4, 2\): 6 elements"),
    "reshape with two unknowns": (lambda: matrix().reshape(-1, -1), ValueError, "at most one size may be -1"),
    "permute twice": (lambda: matrix().permute(0, 0), ValueError, r"\(0, 0\) is no order of the 2 dimensions"),
    "expand a size other than 1": (lambda: matrix().expand(4, 3), ValueError, r"\(2, 3\) to \(4, 3\)"),
    "cat of other sizes": (lambda: matrix().cat(zeros(2, 4)), ValueError, r"\(2, 3\) and \(2, 4\) along dimension 0"),
    "stack of other shapes": (lambda: Tensor.stack(matrix(), zeros(2, 4)), ValueError, "needs equal shapes"),
    "shrink beyond the end": (lambda: matrix().shrink(((0, 5), (0, 3))), ValueError, r"size 2 to \(0, 5\)"),
    "einsum of other sizes": (lambda: Tensor.einsum("ij,jk->ik", matrix(), zeros(2, 2)), ValueError,
                              "axis 'j' has sizes 3 and 2"),
    "a dimension that does not exist": (lambda: matrix().sum(2), IndexError, r"dimension 2 .*\(2, 3\): .*-2 to 1"),
    "a layer of another width": (lambda: nn.Linear(4, 2)(matrix()), ValueError, r"expects \[\.\.\., 4\], got \[2, 3\]"),
    "channels that do not fit": (lambda: nn.Conv2d(3, 4, 3)(zeros(1, 2, 8, 8)), ValueError, "2 channels are not 1 x 3"),
    "a kernel larger than the image": (lambda: nn.Conv2d(2, 4, 9)(zeros(1, 2, 8, 8)), ValueError, "at least 9 elem"),
    "a window larger than the image": (lambda: zeros(1, 1, 0, 4).max_pool2d(), ValueError, r"windows of \(2, 2\)"),
    "classes of another shape": (lambda: zeros(4, 3).cross_entropy(Tensor([1, 2])), ValueError, r"rows \(4,\).*\(2,\)"),
    "assigning another shape": (lambda: matrix().assign(zeros(3, 2)), ValueError, r"\(3, 2\) to \(2, 3\)"),
    # dtypes
    "an unknown dtype": (lambda: Tensor([1], dtype="float33"), ValueError, "'float33'; there are float16"),
    "a cast to an unknown dtype": (lambda: matrix().cast("int31"), ValueError, "'int31'; there are float16"),
    "bits of floats": (lambda: matrix() & 1, TypeError, "needs integer or bool operands, got dtypes.float32"),
    "shifted floats": (lambda: matrix() << 1, TypeError, "needs integer or bool operands, got dtypes.float32"),
    "assigning another dtype": (lambda: matrix().assign(zeros(2, 3, dtype="int32")), TypeError, r"use \.cast"),
    "an index of floats": (lambda: matrix()[Tensor([1.0])], IndexError, "must be of integers, got dtypes.float32"),
    "embedding of floats": (lambda: nn.Embedding(4, 2)(Tensor([1.0])), TypeError, "expects integers, got .*float32"),
    "gradient of integers": (lambda: Tensor([1, 2]).sum().backward(), TypeError, "only a floating-point tensor"),
    "gradient of a vector": (lambda: Tensor([1.0, 2.0]).backward(), ValueError, r"shape \(2,\) needs gradient="),
    "gradient by a number": (lambda: (lambda x: (x * x).gradient(x))(Tensor(2.0)), ValueError, "requires_grad=True"),
    # what is no tensor
    "text": (lambda: Tensor("abc"), TypeError, "str 'abc': expected a number, nested lists, a NumPy array"),
    "objects": (lambda: Tensor([object()]), TypeError, "elements of type object: expected numbers"),
    "unequal lists": (lambda: Tensor([[1], [1, 2]]), ValueError, "nested lists of unequal lengths"),
    "complex numbers": (lambda: Tensor(np.array([1j])), ValueError, "complex128 has no equivalent; convert"),
    "an array of text": (lambda: Tensor(np.array(["a"])), ValueError, "str32 has no equivalent; convert"),
    "adding text": (lambda: matrix() + "1", TypeError, "expected a Tensor, a NumPy array or a number, got str '1'"),
    # devices
    "an unknown device": (lambda: Tensor([1.0], device="CPUU"), RuntimeError, "'CPUU'; .*'CPU'.*Known: CPU, CUDA"),
    "moving to an unknown device": (lambda: matrix().to("GPU"), RuntimeError, "unknown device 'GPU'"),
    "two devices in one operation": (
        lambda: Tensor([1.0], device="CPU") + Tensor([1.0], device="REFERENCE"), ValueError,
        r"CPU and REFERENCE meet.*\.to\('CPU'\)"),
    # indices
    "a number out of range": (lambda: matrix()[2], IndexError, r"index 2 is out of range for dimension 0 .*\(2, 3\)"),
    "a negative number out of range": (lambda: matrix()[0, -4], IndexError, "index -4 is out of range for dimension 1"),
    "too many indices": (lambda: matrix()[0, 0, 0], IndexError, r"too many indices for shape \(2, 3\): 3 given"),
    "an index into a scalar": (lambda: Tensor(2.0)[0], IndexError, r"too many indices for shape \(\)"),
    "a name as an index": (lambda: matrix()["a"], IndexError, "'a' cannot index dimension 0"),
    # values that are not there
    "the item of many": (lambda: matrix().item(), ValueError, r"exactly one element.*\(2, 3\)"),
    "the item of none": (lambda: zeros(0).item(), ValueError, r"exactly one element.*\(0,\)"),
    "the truth of a tensor": (lambda: bool(matrix()), TypeError, r"\.item\(\).*\.any\(\) or \.all\(\)"),
    "the length of a scalar": (lambda: len(Tensor(2.0)), TypeError, "without dimensions has no length"),
    "the parts of a scalar": (lambda: list(Tensor(2.0)), TypeError, "without dimensions cannot be iterated"),
    "the largest of none": (lambda: zeros(0).argmax(), ValueError, "at least one element to choose from"),
    "a triangle of a scalar": (lambda: Tensor(2.0).tril(), ValueError, "needs two or more dimensions"),
    # settings
    "an unknown setting": (lambda: Context(TRAINNG=1), ValueError, "unknown setting 'TRAINNG'; there are"),
    "an optimizer of nothing": (lambda: nn.optim.SGD([], 0.1), ValueError, "given no parameters"),
    "a model of one size": (lambda: MLP((3,)), ValueError, r"input and output at least, got \[3\]"),
    "reading while tracing": (lambda: jit(lambda x: x * x.sum().item())(Tensor([1.0])), RuntimeError,
                              r"test_bad_input\.py:\d+: a value is read while jit traces"),
    "returning a number from jit": (lambda: jit(lambda x: 3.0)(Tensor([1.0])), RuntimeError, "returned float 3.0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_clear_line(name: str) -> None:
    broken, error, message = REFUSED[name]
    with pytest.raises(error, match=message) as caught:
        broken()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_errors_of_graphs_name_the_line_of_the_user() -> None:
    with pytest.raises(ValueError, match=r"\(at .*test_bad_input\.py:\d+\)$"):
        nn.Conv2d(2, 4, 9)(zeros(1, 2, 8, 8))


def test_a_refused_operation_changes_nothing() -> None:
    x = Tensor([1.0, 2.0])
    for broken in (lambda: x.assign(zeros(3)), lambda: x.__setitem__(slice(None), zeros(3)), lambda: x.add(zeros(3))):
        with pytest.raises(ValueError, match="3"):
            broken()
    assert x.tolist() == [1.0, 2.0]


def test_a_failed_trace_leaves_the_world_as_it_was() -> None:
    x = Tensor([1.0, 2.0]).realize()

    @jit
    def broken(y: Tensor) -> Tensor:
        x.assign(y)
        return x + zeros(3)

    with pytest.raises(ValueError, match="cannot broadcast"):
        broken(Tensor([5.0, 6.0]))
    assert x.tolist() == [1.0, 2.0]


# ------------------------------------------------------------------------------------------- out of range

def test_positions_out_of_range_read_zero_and_write_nothing() -> None:
    x = Tensor([[1.0, 2.0], [3.0, 4.0]])
    far = Tensor([[0, 7], [-1, -9]])
    assert x.gather(1, far).tolist() == [[1, 0], [0, 0]]
    assert x.scatter(1, far, Tensor([[5.0, 6.0], [7.0, 8.0]])).tolist() == [[5, 2], [3, 4]]
    assert x.scatter_reduce(1, far, Tensor([[5.0, 6.0], [7.0, 8.0]]), "sum").tolist() == [[6, 2], [3, 4]]
    assert x[Tensor([0, 5])].tolist() == [[1, 2], [0, 0]]
    assert x.index_select(0, Tensor([9, 1])).tolist() == [[0, 0], [3, 4]]
    x[Tensor([1, 5])] = 9
    assert x.tolist() == [[1, 2], [9, 9]]


def test_an_embedding_of_a_token_that_does_not_exist_is_zero_and_gets_no_gradient() -> None:
    layer = nn.Embedding(4, 2)
    rows = layer(Tensor([1, 4, 1000]))
    assert rows.tolist()[1:] == [[0, 0], [0, 0]]
    rows.sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.tolist() == [[0, 0], [1, 1], [0, 0], [0, 0]]


def test_a_class_that_does_not_exist_makes_the_loss_nan() -> None:
    """A loss that looks right would hide the mistake."""
    assert np.isnan(zeros(2, 3).cross_entropy(Tensor([1, 3])).item())
    assert not np.isnan(zeros(2, 3).cross_entropy(Tensor([1, -100])).item())


# ------------------------------------------------------------------------------------------- NaN and infinity

def same(tensor: Tensor, expected: object) -> None:
    np.testing.assert_array_equal(tensor.numpy(), np.asarray(expected, tensor.numpy().dtype))


def test_nan_is_never_lost() -> None:
    x = Tensor([1.0, NAN, 3.0, -INF])
    for result in (x.max(), x.min(), x.sum(), x.mean(), x.prod(), x.logsumexp(), x.std()):
        assert np.isnan(result.item())
    assert x.argmax().item() == x.argmin().item() == 1
    assert np.isnan(x.softmax().numpy()).all() and np.isnan(x.layernorm().numpy()).all()
    same(x.relu(), [1, NAN, 3, 0])
    same(x.clip(-1, 1), [1, NAN, 1, -1])
    same(x.maximum(0), [1, NAN, 3, 0])
    same(x.minimum(0), [0, NAN, 0, -INF])
    same(x.sign(), [1, NAN, 1, -1])
    same(x.cummax()[0], [1, NAN, NAN, NAN])
    same(x.cumsum(), [1, NAN, NAN, NAN])
    same(x == x, [True, False, True, True])
    same(x.isnan(), [False, True, False, False])
    same(x.isinf(), [False, False, False, True])


@pytest.mark.parametrize("length", [5, 64, 1000])
def test_nan_wins_at_every_place(length: int) -> None:
    """Wherever it stands: in a vector, in its rest, first or last."""
    for place in {0, 1, length // 2, length - 1}:
        values = np.linspace(-1, 1, length, dtype=np.float32)
        values[place] = NAN
        x = Tensor(values)
        assert np.isnan(x.max().item()) and np.isnan(x.min().item()) and np.isnan(x.sum().item())
        assert x.argmax().item() == place == x.argmin().item()


def test_infinity() -> None:
    same(Tensor([INF, -INF, NAN, 1000.0]).exp(), [INF, 0, NAN, INF])
    same(Tensor([INF, -1.0, NAN, 0.0]).log(), [INF, NAN, NAN, -INF])
    same(Tensor([INF, -1.0, NAN, 0.0]).sqrt(), [INF, NAN, NAN, 0])
    same(Tensor([INF, -INF, NAN]).sigmoid(), [1, 0, NAN])
    same(Tensor([INF, -INF, NAN]).tanh(), [1, -1, NAN])
    same(Tensor([[0.0, -INF], [1.0, -INF]]).softmax(), [[1, 0], [1, 0]])
    same(Tensor([[INF, 1.0], [-INF, -INF]]).softmax(), [[NAN, NAN], [NAN, NAN]])
    same(Tensor([[INF, 1.0], [-INF, -INF]]).logsumexp(1), [INF, -INF])
    assert Tensor([-INF, -INF]).argmax().item() == 0 and Tensor([1.0, INF, INF]).argmax().item() == 1
    assert (Tensor([INF]) - Tensor([INF])).isnan().item() is True
    assert (Tensor([1.0]) / 0).item() == INF and (Tensor([0.0]) / 0).isnan().item() is True


def test_gradients_beside_singular_points_are_finite() -> None:
    x = Tensor([0.0, 4.0])
    [gradient] = (x > 0).where(x.sqrt(), 0).sum().gradient(x)
    same(gradient, [0, 0.25])
    [gradient] = (x * x).sqrt().sum().gradient(x)
    assert gradient.tolist()[1] == 1
    [gradient] = x.logsumexp().gradient(x)
    assert np.isfinite(gradient.numpy()).all()
    masked = Tensor([0.0, 1.0, 2.0])
    [gradient] = (masked + Tensor([0.0, -INF, 0.0])).softmax().square().sum().gradient(masked)
    assert np.isfinite(gradient.numpy()).all() and gradient.tolist()[1] == 0


# ------------------------------------------------------------------------------------------- empty and scalar

EMPTY: dict[str, tuple[Callable[[], Tensor], object]] = {
    "no terms": (lambda: zeros(2, 0) @ zeros(0, 3), np.zeros((2, 3))),
    "no rows": (lambda: zeros(0, 2) @ zeros(2, 3), np.zeros((0, 3))),
    "no columns": (lambda: zeros(2, 2) @ zeros(2, 0), np.zeros((2, 0))),
    "einsum without terms": (lambda: Tensor.einsum("ij,jk->ik", zeros(2, 0), zeros(0, 2)), np.zeros((2, 2))),
    "bias and no terms": (lambda: zeros(2, 0).linear(zeros(0, 3), Tensor([1.0, 2.0, 3.0])), [[1, 2, 3], [1, 2, 3]]),
    "sum": (lambda: zeros(0).sum(), 0), "prod": (lambda: zeros(0).prod(), 1), "mean": (lambda: zeros(0).mean(), NAN),
    "var": (lambda: zeros(0).var(), NAN), "max": (lambda: zeros(0).max(), -INF), "min": (lambda: zeros(0).min(), INF),
    "logsumexp": (lambda: zeros(0).logsumexp(), -INF), "any": (lambda: (zeros(0) > 0).any(), False),
    "all": (lambda: (zeros(0) > 0).all(), True), "sum of no rows": (lambda: zeros(0, 3).sum(0), np.zeros(3)),
    "sum within no rows": (lambda: zeros(0, 3).sum(1), np.zeros(0)),
    "max of empty rows": (lambda: zeros(2, 0).max(1), [-INF, -INF]),
    "softmax of no rows": (lambda: zeros(0, 3).softmax(), np.zeros((0, 3))),
    "softmax of empty rows": (lambda: zeros(3, 0).softmax(), np.zeros((3, 0))),
    "layernorm of no rows": (lambda: zeros(0, 3).layernorm(), np.zeros((0, 3))),
    "cumsum": (lambda: zeros(0).cumsum(), np.zeros(0)), "part": (lambda: matrix()[0:0], np.zeros((0, 3))),
    "cat with nothing": (lambda: zeros(0, 3).cat(Tensor.ones(1, 3)), np.ones((1, 3))),
    "stack of nothing": (lambda: Tensor.stack(zeros(0), zeros(0)), np.zeros((2, 0))),
    "pad of nothing": (lambda: zeros(0).pad(((1, 2),), value=7), [7, 7, 7]),
    "no images": (lambda: nn.Conv2d(2, 4, 3)(zeros(0, 2, 8, 8)), np.zeros((0, 4, 6, 6))),
    "no tokens": (lambda: nn.Embedding(4, 2)(zeros(0, dtype="int32")), np.zeros((0, 2))),
    "loss of no rows": (lambda: zeros(0, 3).cross_entropy(zeros(0, dtype="int32")), NAN),
    "gather of nothing": (lambda: zeros(2, 0).gather(1, zeros(2, 0, dtype="int32")), np.zeros((2, 0))),
    "gather from nothing": (lambda: zeros(0).gather(0, Tensor([0, 1])), [0, 0]),
    "scatter of nothing": (lambda: Tensor.ones(2).scatter(0, zeros(0, dtype="int32"), zeros(0)), [1, 1]),
    "elementwise": (lambda: (zeros(0, 3) + Tensor([1.0, 2.0, 3.0])).exp(), np.zeros((0, 3))),
    "reshape": (lambda: zeros(0, 3).reshape(3, 0), np.zeros((3, 0))),
    "flip and permute": (lambda: zeros(2, 0, 3).permute(2, 0, 1).flip(0), np.zeros((3, 2, 0))),
    "gradient": (lambda: (lambda x: (x * 2).sum().gradient(x)[0])(zeros(0)), np.zeros(0)),
    "gradient of no terms": (lambda: (lambda x: (x @ zeros(0, 3)).sum().gradient(x)[0])(zeros(2, 0)), np.zeros((2, 0))),
    "gradient of a weight without rows": (
        lambda: (lambda w: (zeros(0, 2) @ w).sum().gradient(w)[0])(zeros(2, 3)), np.zeros((2, 3))),
}


@pytest.mark.parametrize("name", EMPTY)
def test_empty(name: str) -> None:
    make, expected = EMPTY[name]
    result = make().numpy()
    assert result.shape == np.shape(expected)
    np.testing.assert_array_equal(result, np.asarray(expected, result.dtype))


def _slope_of_square(x: Tensor) -> Tensor:
    x = x.clone()  # a number is a constant until it has memory of its own
    return (x * x).gradient(x)[0]


SCALAR: dict[str, tuple[Callable[[Tensor], Tensor], object]] = {
    "sum": (lambda x: x.sum(), 2), "mean": (lambda x: x.mean(), 2), "max": (lambda x: x.max(), 2),
    "argmax": (lambda x: x.argmax(), 0), "softmax": (lambda x: x.softmax(), 1), "cumsum": (lambda x: x.cumsum(), 2),
    "logsumexp": (lambda x: x.logsumexp(), 2), "flatten": (lambda x: x.flatten(), [2]),
    "reshape": (lambda x: x.reshape(1, 1), [[2]]), "unsqueeze": (lambda x: x.unsqueeze(0), [2]),
    "squeeze": (lambda x: x.squeeze(), 2), "permute": (lambda x: x.permute(()), 2),
    "stack": (lambda x: Tensor.stack(x, x), [2, 2]),
    "expand": (lambda x: x.expand(2, 2), [[2, 2], [2, 2]]), "all of it": (lambda x: x[...], 2),
    "a new dimension": (lambda x: x[None], [2]), "product": (lambda x: x * Tensor(3.0), 6),
    "where": (lambda x: (x > 1).where(x, 0), 2), "var": (lambda x: x.var(correction=0), 0),
    "broadcast": (lambda x: x + Tensor([1.0, 2.0]), [3, 4]), "gradient": (lambda x: _slope_of_square(x), 4),
    "matrix of one": (lambda x: x.reshape(1, 1) @ x.reshape(1, 1), [[4]]), "cast": (lambda x: x.int(), 2),
}


@pytest.mark.parametrize("name", SCALAR)
def test_zero_dimensional(name: str) -> None:
    compute, expected = SCALAR[name]
    for x in (Tensor(2.0), Tensor(np.array(2, np.float32)), Tensor(np.float32(2))):
        result = compute(x).numpy()
        assert result.shape == np.shape(expected)
        np.testing.assert_array_equal(result, np.asarray(expected, result.dtype))


# ------------------------------------------------------------------------------------------- NumPy arrays

def read_only(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


BASE = np.arange(24, dtype=np.float32).reshape(4, 6)
ARRAYS: dict[str, Callable[[], np.ndarray]] = {
    "transposed": lambda: BASE.T, "every other": lambda: BASE[::2, 1::2], "reversed": lambda: BASE[::-1, ::-1],
    "Fortran order": lambda: np.asfortranarray(BASE), "byte-swapped": lambda: BASE.astype(">f4"),
    "byte-swapped integers": lambda: np.arange(6, dtype=">i4"), "read-only": lambda: read_only(BASE.copy()),
    "broadcast": lambda: np.broadcast_to(np.float32(3), (4, 5)), "unaligned": lambda: np.frombuffer(
        b"\0" + np.arange(5, dtype=np.float32).tobytes(), np.float32, offset=1),
    "a field of records": lambda: np.zeros(4, [("a", np.int8), ("b", np.float32)])["b"],
    "bool": lambda: BASE > 5, "half": lambda: BASE.astype(np.float16), "double": lambda: BASE.astype(np.float64),
    "uint64": lambda: np.array([2**64 - 1, 1], np.uint64), "int64": lambda: np.array([-2**63, 2**63 - 1]),
    "zero-dimensional": lambda: np.array(3, np.int16), "empty": lambda: np.zeros((0, 3), np.float32),
    "masked to empty": lambda: BASE[:, :0],
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_any_layout(name: str) -> None:
    array = ARRAYS[name]()
    tensor = Tensor(array)
    assert tensor.dtype.name == array.dtype.newbyteorder("=").name and tensor.shape == array.shape
    np.testing.assert_array_equal(tensor.numpy(), array)
    doubled = np.logical_or(array, array) if array.dtype == bool else array + array
    np.testing.assert_array_equal((tensor + tensor).numpy().astype(doubled.dtype), doubled)


def test_a_tensor_keeps_a_copy_of_an_array() -> None:
    array = np.ones(3, np.float32)
    tensor = Tensor(array)
    array[:] = 7
    result = tensor.numpy()
    result[:] = 8
    assert tensor.tolist() == [1, 1, 1]


# ------------------------------------------------------------------------------------------- the cache on disk

PROGRAM = """
import numpy as np
from tinygrad_like import Tensor
x = Tensor(np.arange(12, dtype=np.float32).reshape(3, 4))
print(float((x.softmax() @ x.transpose(0, 1)).sum().item()))
"""


def run_program(root: Path, cache: Path) -> str:
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x40]) + data[middle + 1:]


def test_damaged_cache_files_are_rebuilt(root: Path, tmp_path: Path) -> None:
    """Flipped bytes, truncation and foreign contents cost a compilation; the results are the same bits."""
    expected = run_program(root, tmp_path)
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert files
    sound = {path: path.read_bytes() for path in files}
    damages = (flipped, lambda data: data[:-7], lambda data: b"", lambda data: b"something else\n")
    for number, path in enumerate(files):
        path.write_bytes(damages[number % len(damages)](sound[path]))
    assert run_program(root, tmp_path) == expected
    assert all(len(path.read_bytes()) == len(contents) for path, contents in sound.items())
    for path in files:
        path.write_bytes(flipped(sound[path]))
    assert run_program(root, tmp_path) == expected


def test_a_cache_that_cannot_be_written_costs_a_compilation(root: Path, tmp_path: Path) -> None:
    """A directory without permission to write, and a file where the directory should be."""
    directory = tmp_path / "read-only"
    directory.mkdir()
    directory.chmod(0o500)
    file = tmp_path / "file"
    file.write_text("no directory")
    try:
        assert run_program(root, directory) == run_program(root, file) == run_program(root, tmp_path / "new")
    finally:
        directory.chmod(0o700)


# ------------------------------------------------------------------------------------------- Ctrl-C

SETTINGS = ["--layers", "1", "--heads", "1", "--width", "8", "--context", "8", "--batch", "2",
            "--evaluate-every", "1000000", "--evaluation-batches", "1", "--steps", "1000000"]


@pytest.fixture
def training(root: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """examples/gpt.py in the middle of an endless training, its log in a file."""
    (tmp_path / "text.txt").write_text("to be or not to be, that is the question.\n" * 20)
    directory = tmp_path / "run"
    command = [sys.executable, "-u", str(root / "examples" / "gpt.py"), *SETTINGS, "--data", str(tmp_path / "text.txt"),
               "--out", str(directory)]
    environment = {**os.environ, "PYTHONPATH": str(root), "XDG_CACHE_HOME": str(tmp_path / "cache"), "TGL_THREADS": "1"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    try:
        yield process, directory
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_ctrl_c_saves_and_says_where(training: tuple[subprocess.Popen[str], Path], root: Path) -> None:
    process, directory = training
    deadline = time.monotonic() + 60
    while not (directory / "config.json").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(3)  # the handler is installed when the loop begins
    assert process.poll() is None, process.communicate()[0]
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0]
    assert "Traceback" not in output, output
    found = re.search(r"interrupted after step (\d+); everything is saved in (\S+)", output)
    assert found, output
    assert Path(found[2]).samefile(directory)
    assert {"checkpoint.safetensors", "model.safetensors", "log.jsonl"} <= {path.name for path in directory.iterdir()}
    from tinygrad_like.train import LanguageRun, RunDirectory

    assert LanguageRun.resume(RunDirectory(directory)).done == int(found[1])
