"""The loop, its reports, its log and plot, and Ctrl-C, without a model."""

from __future__ import annotations

import io
import json
import math
import os
import signal
import threading

import pytest

from tinygrad_like.io import InputError
from tinygrad_like.train import (
    Log,
    Loop,
    Record,
    Reporter,
    RunDirectory,
    deferred_interrupt,
    make_reporter,
    plot_losses,
)
from tinygrad_like.train.log import read_log
from tinygrad_like.train.report import JsonReporter, ProgressReporter, clock


class Terminal(io.StringIO):
    def isatty(self):
        return True


def loop(tmp_path, stream, steps=10, step=lambda i: 2.0 - i / 10, saved=None, **options):
    saved = [] if saved is None else saved
    reporter = make_reporter(steps, units_per_step=5, stream=stream)
    run = Loop(step, lambda: 1.5, lambda done: saved.append(done) or "runs/x", steps, **options)
    return run.run(reporter, Log(tmp_path / "log.jsonl", options.get("start", 0)))


def test_steps_evaluations_and_checkpoints_come_when_they_should(tmp_path):
    steps, saved, stream = [], [], io.StringIO()
    finished = loop(
        tmp_path, stream, step=lambda i: steps.append(i) or 1.0, saved=saved, evaluate_every=4, save_every=6,
        log_every=3)
    assert finished and steps == list(range(10)) and saved == [6, 10]
    records = read_log(tmp_path / "log.jsonl")
    assert [record.step for record in records] == [3, 4, 6, 8, 9, 10]
    assert [record.step for record in records if record.validation_loss is not None] == [4, 8, 10]
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3 and "\x1b" not in stream.getvalue()
    for part in ("step  4/10", "train 1.0000", "validation 1.5000", "tokens/s", "ETA"):
        assert part in lines[0]


def test_a_resumed_loop_goes_on_where_it_was(tmp_path):
    loop(tmp_path, io.StringIO(), steps=6, evaluate_every=2)
    steps = []
    loop(tmp_path, io.StringIO(), step=lambda i: steps.append(i) or 1.0, start=4, evaluate_every=2)
    assert steps == [4, 5, 6, 7, 8, 9]
    assert [record.step for record in read_log(tmp_path / "log.jsonl")] == [2, 4, 6, 8, 10]


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_run(tmp_path, loss):
    saved = []
    with pytest.raises(InputError, match=f"the loss became {loss} at step 3; try a smaller learning rate"):
        loop(tmp_path, io.StringIO(), step=lambda i: loss if i == 2 else 1.0, saved=saved, save_every=1)
    assert saved == [1, 2]


def test_ctrl_c_finishes_the_step_saves_and_says_where(tmp_path):
    saved, stream, steps = [], io.StringIO(), []

    def step(i):
        if i == 3:
            os.kill(os.getpid(), signal.SIGINT)
        steps.append(i)
        return 1.0

    before = signal.getsignal(signal.SIGINT)
    assert not loop(tmp_path, stream, step=step, saved=saved)
    assert steps == [0, 1, 2, 3] and saved == [4]
    assert "interrupted after step 4; everything is saved in runs/x" in stream.getvalue()
    assert signal.getsignal(signal.SIGINT) is before
    assert [record.step for record in read_log(tmp_path / "log.jsonl")] == [4]


def test_a_second_ctrl_c_interrupts_at_once():
    with pytest.raises(KeyboardInterrupt), deferred_interrupt() as interrupted:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupted()
        os.kill(os.getpid(), signal.SIGINT)


def test_outside_the_main_thread_signals_are_left_alone():
    seen = []

    def work():
        with deferred_interrupt() as interrupted:
            seen.append(interrupted())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


def test_a_terminal_gets_a_progress_bar(tmp_path, monkeypatch):
    pytest.importorskip("rich", reason="rich, which draws progress bars, is not installed")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    loop(tmp_path, stream, evaluate_every=5)
    text = stream.getvalue()
    assert "\x1b[" in text and "10/10" in text and "validation 1.5000" in text and "ETA" in text


def test_no_color_means_no_colour(tmp_path, monkeypatch):
    pytest.importorskip("rich", reason="rich, which draws progress bars, is not installed")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    loop(tmp_path, stream)
    assert "\x1b[3" not in stream.getvalue()


def test_the_reporter_suits_its_stream(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    assert type(make_reporter(10, stream=io.StringIO())) is Reporter
    assert type(make_reporter(10, stream=Terminal(), as_json=True)) is JsonReporter
    if pytest.importorskip("rich", reason="rich, which draws progress bars, is not installed"):
        assert type(make_reporter(10, stream=Terminal())) is ProgressReporter
    monkeypatch.setenv("TERM", "dumb")
    assert type(make_reporter(10, stream=Terminal())) is Reporter


def test_json_reports_are_one_object_a_line():
    stream = io.StringIO()
    reporter = make_reporter(10, stream=stream, as_json=True)
    reporter.message("hello\nthere")
    reporter.evaluated(Record(5, 1.0, 2.0, 3.14159, 0.5))
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first == {"event": "message", "text": "hello\nthere"}
    assert second["event"] == "evaluation" and second["validation_loss"] == 2.0 and second["speed"] == 3.1


def test_a_log_survives_a_crash_in_the_middle_of_a_line(tmp_path):
    log = Log(tmp_path / "log.jsonl")
    log.append(Record(1, 1.0, None, 2.0, 3.0))
    log.append(Record(2, 1.0, 1.5, 2.0, 3.0))
    text = log.path.read_text()
    log.path.write_text(text + text[:20])
    assert read_log(log.path) == log.records
    log.path.write_text(text[:20] + "\n" + text)
    with pytest.raises(InputError, match=r"log.jsonl, line 1: no record"):
        read_log(log.path)


def test_the_plot_is_a_picture(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib, which draws plots, is not installed")
    records = [Record(1, 3.0, None, 1.0, 1.0), Record(2, 2.0, 2.5, 1.0, 2.0)]
    assert plot_losses(records, tmp_path / "loss.png")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_no_run_overwrites_another(tmp_path):
    paths = []
    for _ in range(3):
        run = RunDirectory.fresh(tmp_path / "gpt")
        run.config.write_text("{}")
        paths.append(run.path.name)
    assert paths == ["gpt", "gpt-2", "gpt-3"]
    assert RunDirectory.existing(tmp_path / "gpt-2").path == tmp_path / "gpt-2"
    with pytest.raises(InputError, match="no run in .*nowhere"):
        RunDirectory.existing(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot make the run directory"):
        RunDirectory.fresh(tmp_path / "file" / "run")


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (65.4, "1:05"), (3600, "1:00:00"), (7209, "2:00:09")])
def test_clock(seconds, text):
    assert clock(seconds) == text
