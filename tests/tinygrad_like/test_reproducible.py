"""The same bits with one thread and with two, and from run to run."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from runtime import get_device
from tinygrad_like import Tensor, nn
from tinygrad_like.generate import Decoder
from tinygrad_like.models import GPT, MLP, GPTConfig
from tinygrad_like.nn.state import get_state_dict, load_state_dict, safe_load, safe_save
from tinygrad_like.train import training_step

# ------------------------------------------------------------------------------------------- what is computed


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng([*shape]).standard_normal(shape).astype(np.float32)


def integers(high: int, *shape: int) -> np.ndarray:
    return np.random.default_rng([high, *shape]).integers(0, high, shape).astype(np.int32)


def trained(model: nn.Module, loss: Callable[..., Tensor], *batch: np.ndarray, steps: int = 2) -> list[np.ndarray]:
    """The losses of some steps, and the parameters and statistics after them."""
    optimizer = nn.optim.AdamW(list(model.parameters()), 1e-2)
    step = training_step(loss, optimizer, clip=1.0)
    with Tensor.train():
        losses = [step(1e-2, *batch).numpy() for _ in range(steps)]
    return [*losses, *(tensor.numpy() for tensor in model.state_dict().values())]


def mlp() -> list[np.ndarray]:
    model = MLP((200, 128, 128, 10))
    return trained(model, lambda x, y: model(x).sparse_categorical_crossentropy(y), normal(96, 200), integers(10, 96))


def cnn() -> list[np.ndarray]:
    model = nn.Sequential(
        nn.Conv2d(1, 12, 5), nn.ReLU(), nn.BatchNorm2d(12), nn.MaxPool2d(2), nn.Conv2d(12, 20, 3), nn.ReLU(),
        nn.BatchNorm2d(20), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(500, 10))
    images, labels = normal(8, 1, 28, 28), integers(10, 8)
    return trained(model, lambda x, y: model(x).sparse_categorical_crossentropy(y), images, labels)


def gpt() -> list[np.ndarray]:
    model = GPT(GPTConfig(vocabulary=65, context=64, layers=1, heads=2, width=64, dropout=0.1))
    return trained(model, model.loss, integers(65, 8, 64), integers(64, 8, 64))


def decoding() -> list[np.ndarray]:
    """Logits of a prompt and of steps that read keys and values from the cache; the last two move the window."""
    decoder = Decoder(GPT(GPTConfig(vocabulary=300, context=24, layers=2, heads=2, width=96)).eval(), batch=2)
    logits = [decoder.read(integers(300, 2, 17)).logits.numpy()]
    return [*logits, *(decoder.step(integers(300 - number, 2)).logits.numpy() for number in range(9))]


def embedding_gradient() -> list[np.ndarray]:
    """Many tokens meet in few rows: a sum whose order must not depend on who comes first."""
    table, tokens = Tensor(normal(50, 33)), Tensor(integers(50, 4000))
    weights = Tensor(normal(4000, 33))
    [gradient] = (table[tokens] * weights).sum().gradient(table)
    return [gradient.numpy()]


def large_sums() -> list[np.ndarray]:
    x = Tensor(normal(700, 1501))
    tensors = [x.sum(), x.sum(0), x.sum(1), (x * x).mean(), x.std(), x.prod(1), x.logsumexp(), x.cumsum(1)[:, -1],
               x.softmax(0).sum(1), x @ x.transpose(0, 1)]
    return [tensor.numpy() for tensor in tensors]


def random_numbers() -> list[np.ndarray]:
    return [Tensor.rand(100, 77).numpy(), Tensor.randn(5000).numpy(), Tensor.ones(5000).dropout(0.5).numpy(),
            Tensor.randint(100, high=9).numpy()]


WORK: dict[str, Callable[[], list[np.ndarray]]] = {
    work.__name__: work for work in (mlp, cnn, gpt, decoding, embedding_gradient, large_sums, random_numbers)}


def digest(work: Callable[[], list[np.ndarray]]) -> str:
    """A hash of every bit of the results."""
    Tensor.manual_seed(1)
    total = hashlib.sha256()
    with Tensor.train():
        for array in work():
            assert np.isfinite(array).all()
            total.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
    return total.hexdigest()


def main() -> None:
    print("threads", get_device("CPU").threads)
    for name, work in WORK.items():
        print(name, digest(work))


# ------------------------------------------------------------------------------------------- the tests


def digests(root: Path, **environment: str) -> dict[str, str]:
    """The hashes that another process finds."""
    done = subprocess.run([sys.executable, __file__], cwd=root, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(root), **environment})
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines())


@pytest.fixture(scope="module")
def with_one_thread(root: Path) -> dict[str, str]:
    return digests(root, TGL_THREADS="1")


@pytest.fixture(scope="module")
def with_two_threads(root: Path) -> dict[str, str]:
    """Also with another order of Python's sets and dicts of strings."""
    return digests(root, TGL_THREADS="2", PYTHONHASHSEED="12345")


def test_the_processes_have_one_thread_and_two(
        with_one_thread: dict[str, str], with_two_threads: dict[str, str]) -> None:
    assert (with_one_thread["threads"], with_two_threads["threads"]) == ("1", "2")


@pytest.mark.parametrize("name", WORK)
def test_the_number_of_threads_changes_no_bit(
        with_one_thread: dict[str, str], with_two_threads: dict[str, str], name: str) -> None:
    assert with_one_thread[name] == with_two_threads[name]


@pytest.mark.parametrize("name", WORK)
def test_another_run_in_another_process_has_the_same_bits(with_two_threads: dict[str, str], name: str) -> None:
    """Here programs were compiled before, other tensors live, and the memory of the process is another."""
    assert digest(WORK[name]) == with_two_threads[name]


@pytest.mark.parametrize("name", WORK)
def test_a_second_run_has_the_bits_of_the_first(name: str) -> None:
    """The second uses the programs that the first compiled."""
    assert digest(WORK[name]) == digest(WORK[name])


def test_resumed_training_has_the_bits_of_uninterrupted_training(tmp_path: Path) -> None:
    """Model, running statistics and optimizer state through a file after every step."""

    def fresh() -> tuple[nn.Module, nn.optim.Optimizer]:
        Tensor.manual_seed(3)
        model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 10))
        return model, nn.optim.AdamW(list(model.parameters()), 1e-2)

    def steps(model: nn.Module, optimizer: nn.optim.Optimizer, numbers: Sequence[int]) -> None:
        step = training_step(lambda x, y: model(x).dropout(0.2).sparse_categorical_crossentropy(y), optimizer)
        with Tensor.train():
            for number in numbers:
                Tensor.manual_seed(number)  # as tgl train does: what is drawn depends on the step alone
                step(1e-2, normal(6, 1, 10, 10) + number, integers(10, 6)).item()

    def state(model: nn.Module, optimizer: nn.optim.Optimizer) -> dict[str, Tensor]:
        named = {f"model.{name}": tensor for name, tensor in get_state_dict(model).items()}
        return named | {f"optimizer.{name}": tensor for name, tensor in optimizer.state_dict().items()}

    whole = fresh()
    steps(*whole, range(4))
    for number in range(4):
        resumed = fresh()
        if number:
            saved = safe_load(tmp_path / "state.safetensors")
            load_state_dict(resumed[0], {n[6:]: t for n, t in saved.items() if n.startswith("model.")})
            resumed[1].load_state_dict({n[10:]: t for n, t in saved.items() if n.startswith("optimizer.")})
        steps(*resumed, [number])
        safe_save(state(*resumed), tmp_path / "state.safetensors")
    for name, tensor in state(*whole).items():
        assert tensor.numpy().tobytes() == state(*resumed)[name].numpy().tobytes(), name


if __name__ == "__main__":
    main()
