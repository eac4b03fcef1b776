"""The README tells the truth: its code runs, its commands exist, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from tinygrad_like.cli import make_parser


@pytest.fixture(scope="module")
def readme(root):
    return (root / "README.md").read_text(encoding="utf-8")


def blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def commands(text: str) -> list[str]:
    return [line.partition("  #")[0].strip() for line in re.findall(r"^    (\S.*)$", text, re.MULTILINE)]


def test_the_code_runs(readme, tmp_path):
    assert len(blocks(readme)) >= 3
    for code in blocks(readme):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()


def test_the_training_examples_learn(readme):
    first = blocks(readme)[0]
    names: dict[str, object] = {}
    exec(first, names)
    assert names["loss"].item() < 0.05


def test_the_two_commands_at_the_top_are_the_promised_ones(readme):
    assert commands(readme)[:2] == [
        "python -m pip install -e '.[examples]' && python examples/gpt.py",
        "python -m pip install -e '.[test]' && python -m pytest",
    ]


def test_ci_runs_the_test_command(readme, root):
    assert commands(readme)[1] in (root / ".ci" / "run").read_text()


def test_the_commands_parse(readme):
    found = [shlex.split(command)[1:] for command in commands(readme) if command.startswith("tgl ")]
    assert {arguments[0] for arguments in found} == {"doctor", "train", "sample", "dump", "bench"}
    for arguments in found:
        make_parser().parse_args(arguments)


def test_links_and_paths_exist(readme, root):
    for target in re.findall(r"\]\(([^)#]+)\)", readme):
        assert target.startswith("http") or (root / target).exists(), target
    for package, paths in re.findall(r"\| `(\w+)/` \|.*\| (.*) \|", readme):
        for path in re.findall(r"`([\w/.]+)`", paths):
            assert (root / package / path).exists(), f"{package}/{path}"


@pytest.mark.slow
def test_the_main_job_trains_within_three_minutes(root, tmp_path):
    done = subprocess.run(
        [sys.executable, str(root / "examples" / "gpt.py")], capture_output=True, text=True, cwd=tmp_path, timeout=180)
    assert done.returncode == 0, done.stderr
    loss = float(re.search(r"held-out text: ([\d.]+)", done.stdout)[1])
    assert loss < 2.2
    for name in ("model.safetensors", "tokenizer.json", "log.jsonl", "loss.png"):
        assert (tmp_path / "runs" / "gpt" / name).stat().st_size > 0
