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


def test_the_examples_readme_names_them_all(root):
    text = (root / "examples" / "README.md").read_text()
    for path in (root / "examples").glob("*.py"):
        assert f"[{path.name}]({path.name})" in text


def test_mnist_mlp_on_the_small_digits(root, tmp_path, monkeypatch):
    pytest.importorskip("sklearn", reason="scikit-learn, whose digits are used, is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # as if offline
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


@pytest.mark.slow
def test_mnist_mlp_on_the_real_images(root, tmp_path, shared):
    text = run(root, tmp_path, "mnist.py", "--data", shared / "data" / "mnist", timeout=600)
    assert accuracy(text) >= 94


@pytest.mark.slow
def test_mnist_cnn_on_the_real_images(root, tmp_path, shared):
    text = run(root, tmp_path, "mnist.py", "--model", "cnn", "--epochs", 2, "--data", shared / "data" / "mnist",
               timeout=900)
    assert accuracy(text) >= 97.5


@pytest.mark.slow
def test_gpt_reaches_the_published_loss_on_shakespeare(root, tmp_path, shared):
    text = run(root, tmp_path, "gpt.py", "--data", shared / "data" / "text" / "tinyshakespeare.txt", "--steps", 2000,
               timeout=1800)
    assert float(re.search(r"held-out text: ([\d.]+)", text)[1]) <= 1.88
