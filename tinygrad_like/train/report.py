"""What a run says while it trains: a progress bar on a terminal, plain lines elsewhere, JSON lines for machines."""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.util import find_spec
from types import TracebackType
from typing import Any, TextIO

from tinygrad_like.train.log import Record


class Reporter:
    """Plain lines: one for each evaluation. Use as a context manager around the steps.

    total, start: the number of the last step and of the first one; ``unit`` and ``units_per_step`` give the speed.
    """

    def __init__(
        self, total: int, start: int = 0, units_per_step: int = 1, unit: str = "tokens", stream: TextIO | None = None
    ) -> None:
        self.total, self.start, self.unit, self.units_per_step = total, start, unit, units_per_step
        self.stream = sys.stdout if stream is None else stream
        self.began = time.perf_counter()
        self._speed: float | None = None
        self._last, self._step = self.began, start

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    @property
    def speed(self) -> float:
        """Units a second, averaged over the last dozen steps; the first step, which compiles, does not count."""
        return self._speed or 0.0

    @property
    def seconds_left(self) -> float | None:
        """How long the remaining steps will take at this speed."""
        return None if not self._speed else (self.total - self._step) * self.units_per_step / self._speed

    def step(self, number: int, loss: float) -> None:
        """Step ``number`` (counted from 1) is done."""
        now = time.perf_counter()
        if number > self.start + 1:
            current = self.units_per_step / max(now - self._last, 1e-9)
            self._speed = current if self._speed is None else 0.92 * self._speed + 0.08 * current
        self._last, self._step = now, number
        self._show_step(number, loss)

    def paused(self) -> None:
        """What happened since the last step (an evaluation, a checkpoint) does not count for the speed."""
        self._last = time.perf_counter()

    def evaluated(self, record: Record) -> None:
        """The model was evaluated."""
        left = "" if self.seconds_left is None else f"  ETA {clock(self.seconds_left)}"
        width = len(str(self.total))
        self.message(f"step {record.step:{width}}/{self.total}  {losses(record)}  "
                     f"{record.speed:,.0f} {self.unit}/s{left}")

    def message(self, text: str) -> None:
        """A line of its own."""
        print(text, file=self.stream, flush=True)

    def _show_step(self, number: int, loss: float) -> None:
        """Plain lines say nothing between evaluations."""


class JsonReporter(Reporter):
    """One JSON object a line: ``{"event": "evaluation", "step": ...}`` or ``{"event": "message", "text": ...}``."""

    def evaluated(self, record: Record) -> None:
        self._write(event="evaluation", **record.to_json())

    def message(self, text: str) -> None:
        self._write(event="message", text=text)

    def _write(self, **values: Any) -> None:
        print(json.dumps(values), file=self.stream, flush=True)


class ProgressReporter(Reporter):
    """A progress bar with loss, speed and ETA, and the plain lines above it. Needs rich."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._console = Console(file=self.stream, highlight=False)  # obeys NO_COLOR
        self._progress = Progress(
            TextColumn("training"), BarColumn(bar_width=None), MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"), TextColumn("{task.fields[speed]}"),
            TextColumn("ETA {task.fields[left]}"),
            console=self._console, expand=True,
        )
        fields: dict[str, Any] = {"loss": "-", "speed": "compiling", "left": "-:--"}
        self._task = self._progress.add_task("", total=self.total, completed=self.start, **fields)

    def __enter__(self) -> Reporter:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def message(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def _show_step(self, number: int, loss: float) -> None:
        left = "-:--" if self.seconds_left is None else clock(self.seconds_left)
        speed = f"{self.speed:,.0f} {self.unit}/s"
        self._progress.update(self._task, completed=number, loss=f"{loss:.3f}", speed=speed, left=left)


def make_reporter(
    total: int, start: int = 0, units_per_step: int = 1, unit: str = "tokens", stream: TextIO | None = None,
    as_json: bool = False,
) -> Reporter:
    """The reporter that suits where the output goes; the other arguments are ``Reporter``'s."""
    stream = sys.stdout if stream is None else stream
    kind = Reporter
    if as_json:
        kind = JsonReporter
    elif stream.isatty() and os.environ.get("TERM", "") != "dumb" and find_spec("rich"):
        kind = ProgressReporter  # rich is a convenience: without it there are plain lines
    return kind(total, start, units_per_step, unit, stream)


def losses(record: Record) -> str:
    """The losses of a record, for people."""
    validation = "" if record.validation_loss is None else f"  validation {record.validation_loss:.4f}"
    return f"train {record.train_loss:.4f}{validation}"


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, or hours: ``1:05``, ``2:00:09``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
