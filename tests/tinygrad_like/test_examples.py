"""Every example runs; the slow ones reach the accuracy and the loss that they are meant to reach."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest


def run(root, tmp_path, name, *arguments, timeout=120):
    """What the example prints."""
    done = subprocess.run(
        [sys.executable, str(root / "examples" / name), *map(str, arguments)],
        capture_output=True, text=True, cwd=tmp_path, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done.stdout


def accuracy(text):
    return float(re.search(r"([\d.]+)% of", text)[1])


def nats(text):
    return float(re.search(r": ([\d.]+) nats a character on", text)[1])


def points(text):
    return float(re.search(r": (-?[\d.]+) points more", text)[1])


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """Nothing is cached and the network is not reachable."""
    pytest.importorskip("sklearn", reason="scikit-learn, whose digits are used, is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")


def test_the_examples_readme_names_them_all(root):
    text = (root / "examples" / "README.md").read_text()
    for path in (root / "examples").glob("*.py"):
        assert f"[{path.name}]({path.name})" in text


def test_the_snippets_of_the_learning_path_run(root, tmp_path):
    text = (root / "examples" / "README.md").read_text(encoding="utf-8")
    code = "".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "gradient.dot").exists()


def test_the_learning_path_names_files_that_exist(root):
    text = (root / "examples" / "README.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:tinygrad_like|ir|codegen|runtime)/[\w/.]*)`", text)
    assert len(paths) > 30
    for path in paths:
        assert (root / path).exists(), path


def test_every_example_is_short_and_says_what_it_reaches(root):
    for path in (root / "examples").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) < 150
        header = text.split('"""')[1]
        assert f"python examples/{path.name}" in header and "Expected" in header, path.name


def test_tensors(root, tmp_path):
    text = run(root, tmp_path, "tensors.py")
    last = re.findall(r"coefficients \[([^]]*)\]", text)[-1]
    assert [float(x) for x in last.split()] == pytest.approx([0.5, -1, 2], abs=0.05)
    assert "programs compiled: 1, for 300 steps" in text and "kernel row_reduction_4x8" in text


@pytest.mark.usefixtures("offline")
def test_transfer_on_the_small_digits(root, tmp_path):
    text = run(root, tmp_path, "transfer.py", "--seeds", 1, "--pretrain", 1, "--count", 50)
    assert "721 images of the digits 0 to 4; of 5 to 9 250" in text
    assert points(text) == pytest.approx(float(re.search(r"fine-tuned ([\d.]+)%: ", text)[1])
                                         - float(re.search(r"mean of 1: from scratch ([\d.]+)%", text)[1]), abs=0.06)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_char_rnn_small(kind, root, tmp_path):
    (tmp_path / "text").write_text("the cat sat on the mat. " * 800, encoding="utf-8")
    text = run(root, tmp_path, "char_rnn.py", "--data", "text", "--kind", kind, "--hidden", 24, "--context", 16,
               "--batch", 16, "--epochs", 2, "--rate", 0.02)
    assert nats(text) < 0.5 and len(text.splitlines()[-1]) == 300


@pytest.mark.parametrize("model", ["mlp", "transformer"])
def test_names_small(model, root, tmp_path):
    text = run(root, tmp_path, "names.py", "--model", model, "--steps", 20)
    assert nats(text) < 3.3  # below the loss of a guess, log(27)
    assert len(re.search("invented: (.*)", text)[1].split(", ")) == 15


def test_seq2seq_small(root, tmp_path):
    text = run(root, tmp_path, "seq2seq.py", "--steps", 20, "--length", 4, "--batch", 16)
    assert re.search(r"reverse: [\d.]+% of 1,000 held-out strings exactly right", text)


@pytest.mark.usefixtures("offline")
def test_mnist_mlp_on_the_small_digits(root, tmp_path):
    text = run(root, tmp_path, "mnist.py", "--epochs", 2)
    assert "scikit-learn's 1,797 digits instead" in text.splitlines()[0]
    assert accuracy(text) > 85


def test_mnist_says_which_directory_is_missing(root, tmp_path):
    done = subprocess.run(
        [sys.executable, str(root / "examples" / "mnist.py"), "--data", "nowhere"], capture_output=True, text=True,
        cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "mnist.py: error: no directory nowhere; give one that holds MNIST's IDX files\n"


def test_gpt_small(root, tmp_path):
    text = run(root, tmp_path, "gpt.py", "--steps", 4, "--layers", 1, "--width", 16, "--heads", 2, "--context", 8,
               "--evaluate-every", 2, "--evaluation-batches", 2)
    assert "tgl sample runs/gpt" in text and (tmp_path / "runs" / "gpt" / "model.safetensors").exists()


def test_ctrl_c_saves_and_the_run_goes_on(root, tmp_path):
    small = ["--layers", "1", "--width", "16", "--heads", "2", "--context", "8", "--evaluate-every", "5"]
    command = [sys.executable, "-u", str(root / "examples" / "gpt.py"), "--steps", "100000", *small]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        for line in process.stdout:
            if line.startswith("step "):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stdout.read()
    assert process.returncode == 130
    step = int(re.search(r"interrupted after step (\d+); everything is saved in runs/gpt", rest)[1])
    assert "tgl train --resume runs/gpt" in rest
    text = run(root, tmp_path, "gpt.py", "--resume", "runs/gpt", "--steps", step + 2)
    assert f"resuming runs/gpt after step {step}" in text


def test_dump_ir(root, tmp_path):
    text = run(root, tmp_path, "dump_ir.py")
    for stage in ("graph", "schedule", "loops", "llvm", "asm", "cuda", "why"):
        assert f"= {stage} =" in text


LIMIT = 120  # seconds on two cores that nothing else uses; tests allow for a busy machine
FULL_RUNS = {
    "mnist.py": lambda text: accuracy(text) > 88,
    "transfer.py": lambda text: points(text) >= 5,
    "char_rnn.py": lambda text: nats(text) < 1.8,
    "names.py": lambda text: nats(text) < 1.9,
    "seq2seq.py": lambda text: accuracy(text) == 100,
}


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", FULL_RUNS)
def test_the_full_run_reaches_what_its_header_says(name, root, tmp_path):
    assert FULL_RUNS[name](run(root, tmp_path, name, timeout=5 * LIMIT))


@pytest.mark.slow
def test_seq2seq_copies_every_held_out_string(root, tmp_path):
    assert accuracy(run(root, tmp_path, "seq2seq.py", "--task", "copy", timeout=5 * LIMIT)) == 100


@pytest.mark.slow
def test_mnist_mlp_on_the_real_images(root, tmp_path, shared):
    text = run(root, tmp_path, "mnist.py", "--data", shared / "data" / "mnist", timeout=600)
    assert accuracy(text) >= 94


@pytest.mark.slow
def test_mnist_cnn_on_the_real_images(root, tmp_path, shared):
    reached = [accuracy(run(root, tmp_path, "mnist.py", "--model", "cnn", "--epochs", 4, "--seed", seed, "--data",
                            shared / "data" / "mnist", timeout=900)) for seed in (1, 2, 3)]
    assert sum(reached) / len(reached) >= 98.5


@pytest.mark.slow
def test_fine_tuning_beats_training_from_scratch_by_five_points(root, tmp_path, shared):
    text = run(root, tmp_path, "transfer.py", "--data", shared / "data" / "mnist", timeout=900)
    assert "mean of 3" in text and points(text) >= 5


@pytest.mark.slow
def test_an_lstm_is_below_the_four_gram_floor_on_shakespeare(root, tmp_path, shared):
    text = run(root, tmp_path, "char_rnn.py", "--data", shared / "data" / "text" / "tinyshakespeare.txt", "--hidden",
               256, "--epochs", 3, timeout=3000)
    assert nats(text) < 1.784


@pytest.mark.slow
@pytest.mark.parametrize(("model", "steps", "limit"), [("mlp", 200_000, 2.12), ("transformer", 12_000, 2.0)])
def test_names_reach_the_published_losses(model, steps, limit, root, tmp_path, shared):
    text = run(root, tmp_path, "names.py", "--data", shared / "data" / "text" / "names.txt", "--model", model,
               "--steps", steps, timeout=3000)
    assert nats(text) <= limit


@pytest.mark.slow
def test_gpt_reaches_the_published_loss_on_shakespeare(root, tmp_path, shared):
    text = run(root, tmp_path, "gpt.py", "--data", shared / "data" / "text" / "tinyshakespeare.txt", "--steps", 2000,
               timeout=1800)
    assert float(re.search(r"held-out text: ([\d.]+)", text)[1]) <= 1.88
