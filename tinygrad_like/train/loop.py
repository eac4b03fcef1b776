"""The training loop: steps, evaluations, checkpoints, and a clean stop on Ctrl-C."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from tinygrad_like.io import InputError
from tinygrad_like.train.interrupt import deferred_interrupt
from tinygrad_like.train.log import Log, Record
from tinygrad_like.train.report import Reporter


@dataclass(frozen=True)
class Loop:
    """What happens when. Steps are numbered from 0; ``save`` and the records count those that are done.

    step: do step i and return its training loss. evaluate: the validation loss now. save: write a checkpoint after so
    many steps and return where it lies. ``steps`` is the total, ``start`` where a resumed run goes on. Every
    ``log_every`` steps the mean training loss of these is logged.
    """

    step: Callable[[int], float]
    evaluate: Callable[[], float]
    save: Callable[[int], str]
    steps: int
    start: int = 0
    evaluate_every: int = 100
    save_every: int = 500
    log_every: int = 10

    def run(self, reporter: Reporter, log: Log) -> bool:
        """Train to the end; returns False where Ctrl-C ended it before, with everything saved and said.

        Errors: InputError where the loss is no longer a finite number; the last checkpoint is then still good.
        """
        since: list[float] = []
        with reporter, deferred_interrupt() as interrupted:
            for i in range(self.start, self.steps):
                loss = self.step(i)
                done = i + 1
                if not math.isfinite(loss):
                    raise InputError(f"the loss became {loss} at step {done}; try a smaller learning rate")
                since.append(loss)
                reporter.step(done, loss)
                stopping = interrupted() and done < self.steps
                last = done == self.steps or stopping
                evaluating = last or done % self.evaluate_every == 0
                if evaluating or done % self.log_every == 0:
                    self._record(done, since, evaluating, reporter, log)
                    since = []
                if last or done % self.save_every == 0:
                    place = self.save(done)
                    reporter.paused()
                if stopping:
                    reporter.message(f"interrupted after step {done}; everything is saved in {place}")
                    return False
        return True

    def _record(self, done: int, since: list[float], evaluating: bool, reporter: Reporter, log: Log) -> None:
        """Log the losses ``since`` the last record, with the validation loss and a line for the user if asked for."""
        validation = self.evaluate() if evaluating else None
        seconds = time.perf_counter() - reporter.began
        record = Record(done, sum(since) / len(since), validation, reporter.speed, seconds)
        log.append(record)
        if evaluating:
            reporter.evaluated(record)
            reporter.paused()
