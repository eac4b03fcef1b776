"""The command line: errors of one line, suggestions, JSON, and every command on a small run."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from runtime.realize import program_cache
from tinygrad_like.cli import main
from tinygrad_like.cli.programs import PROGRAMS
from tinygrad_like.inspect import STAGES

SMALL = ["--layers", "1", "--heads", "1", "--width", "8", "--context", "8", "--batch", "2", "--evaluate-every", "2",
         "--evaluation-batches", "1"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small trained run."""
    directory = tmp_path_factory.mktemp("cli")
    (directory / "text.txt").write_text("to be or not to be, that is the question.\n" * 20)
    arguments = ["train", "--data", str(directory / "text.txt"), "--out", str(directory / "run"), "--steps", "4"]
    assert main([*arguments, *SMALL]) == 0
    return directory / "run"


def fails(capsys, arguments, status):
    """The one line that a failing command prints on stderr."""
    try:
        found = main(arguments)
    except SystemExit as exit:
        found = exit.code
    captured = capsys.readouterr()
    assert found == status
    assert captured.err.startswith("tgl") and captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "unknown choice 'trian'; did you mean train?"),
        (["train", "--laers", "3"], "unknown option --laers; did you mean --layers?"),
        (["train", "--laers=3"], "unknown option --laers; did you mean --layers?"),
        (["train", "--layers", "many"], "invalid int value: 'many'"),
        (["train", "--tokens", "byte"], "unknown choice 'byte'; did you mean bytes?"),
        (["train", "more"], "unexpected argument 'more'"),
        (["sample"], "the following arguments are required: DIR"),
        (["sample", "runs/gpt", "--temprature", "1"], "did you mean --temperature?"),
        (["dump", "softmax", "--stage", "lops"], "unknown choice 'lops'; did you mean loops?"),
        ([], "give a command: train, sample, dump, bench, doctor"),
        (["--versio"], "did you mean --version?"),
    ],
)
def test_a_mistaken_argument_is_one_line_with_a_suggestion(capsys, arguments, message):
    assert message in fails(capsys, arguments, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--data", "/nowhere.txt"], "no text file /nowhere.txt"),
        (["train", "--heads", "3"], "number of heads divides the width"),
        (["train", "--steps", "0"], "--steps is at least 1"),
        (["train", "--resume", "/nowhere"], "no run in /nowhere"),
        (["sample", "/nowhere"], "no run in /nowhere"),
        (["dump", "sofmax"], "did you mean softmax?"),
        (["dump", "/nowhere.py:f"], "no file /nowhere.py"),
        (["bench", "gpt_smal_"], "did you mean gpt_small?"),
    ],
)
def test_bad_input_is_one_line(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in fails(capsys, arguments, 1)
    assert not list(tmp_path.rglob("config.json"))


def test_train_says_what_it_did_and_what_is_next(run, capsys, tmp_path):
    arguments = ["train", "--data", str(run.parent / "text.txt"), "--out", str(tmp_path / "run"), "--steps", "4"]
    assert main([*arguments, *SMALL]) == 0
    text = capsys.readouterr().out
    for part in ("1 layers, 1 heads, width 8", "before training it writes", "step 2/4", "step 4/4", "tokens/s",
                 "validation loss on the whole", "after training it writes", "model.safetensors",
                 f"tgl sample {tmp_path / 'run'}", "tgl train --resume"):
        assert part in text


def test_train_resumes_and_refuses_other_settings(run, capsys):
    assert main(["train", "--resume", str(run), "--steps", "6", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["step"] for event in events if event["event"] == "evaluation"] == [6]
    assert "--layers cannot change" in fails(capsys, ["train", "--resume", str(run), "--layers", "2"], 1)


def test_sample_writes_the_prompt_and_more(run, capsys):
    assert main(["sample", str(run), "--prompt", "to be", "--count", "12"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("to be") and len(text) == len("to be") + 12 + 1
    assert main(["sample", str(run), "--prompt", "to be", "--count", "12", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"prompt": "to be", "text": text[5:-1]}
    assert "'z'" in fails(capsys, ["sample", str(run), "--prompt", "zzz"], 1)


@pytest.mark.parametrize("stage", [*STAGES, "explain", "dot"])
def test_dump_shows_every_stage(capsys, stage):
    assert main(["dump", "layernorm", "--stage", stage]) == 0
    assert len(capsys.readouterr().out) > 100


@pytest.mark.parametrize("name", PROGRAMS)
def test_dump_knows_its_programs(capsys, name):
    assert main(["dump", name, "--stage", "graph"]) == 0
    assert capsys.readouterr().out.strip()


def test_dump_shows_a_run_and_a_function_of_a_file(run, capsys, tmp_path):
    assert main(["dump", str(run), "--stage", "graph", "--output", str(tmp_path / "graph.txt")]) == 0
    assert "wrote" in capsys.readouterr().out and (tmp_path / "graph.txt").stat().st_size > 1000
    script = tmp_path / "script.py"
    script.write_text("from tinygrad_like import Tensor\ndef f(): return Tensor([1.0, 2.0]).exp()\ndef g(): return 3\n")
    assert main(["dump", f"{script}:f", "--stage", "graph", "--json"]) == 0
    assert "exp" in json.loads(capsys.readouterr().out)["text"]
    assert "no function 'h'" in fails(capsys, ["dump", f"{script}:h"], 1)
    assert "returned int" in fails(capsys, ["dump", f"{script}:g"], 1)


def test_bench_says_where_the_time_goes(capsys):
    arguments = ["bench", "matmul_64", "matmul_128x128x128", "--seconds", "0.001"]
    assert main(arguments) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "workload", "matmul_64x64x64", "matmul_128x128x128"]
    program_cache.clear()
    assert main([*arguments, "--compile", "--kernels", "--json"]) == 0
    for line in capsys.readouterr().out.splitlines():
        found = json.loads(line)
        assert found["first_s"] >= sum(found["phases"].values()) > 0 and "trace" in found["phases"]
        assert not {"schedule", "restore"}.isdisjoint(found["phases"])  # an earlier run may have left it on disk
        assert found["best_ms"] <= found["median_ms"] and found["kernels"][0]["launches"] >= 1
    assert main(["bench", "matmul_64x64x64", "--seconds", "0.001", "--compile", "--kernels"]) == 0
    assert {"contraction", "trace"} <= set(capsys.readouterr().out.split())


def test_doctor_examines_the_installation(capsys):
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert all(part in text for part in ("Python", "numpy", "llvmlite", "processor", "cache", "product of matrices"))
    assert main(["doctor", "--json"]) == 0
    assert all("good" in finding for finding in json.loads(capsys.readouterr().out).values())


def test_python_m_is_the_same_command():
    done = subprocess.run([sys.executable, "-m", "tinygrad_like", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("tgl ")


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} -m tinygrad_like dump gpt --stage graph | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stderr == "" and done.stdout.count("\n") == 1
