"""The log of a run: one JSON object a line, so that it can be read while the run goes on."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tinygrad_like.io import InputError, read_bytes, write_text


@dataclass(frozen=True)
class Record:
    """What is known after a step. ``train_loss`` is the mean since the record before; ``speed`` in units a second."""

    step: int
    train_loss: float
    validation_loss: float | None
    speed: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values, rounded to what was measured."""
        return {**asdict(self), "speed": round(self.speed, 1), "seconds": round(self.seconds, 3)}


class Log:
    """The records of a run in the file ``path``. A run that resumes at ``step`` drops what lies after it."""

    def __init__(self, path: str | os.PathLike[str], step: int = 0) -> None:
        self.path = Path(path)
        self.records = [r for r in read_log(path) if r.step <= step] if step and self.path.exists() else []
        write_text(path, "".join(json.dumps(r.to_json()) + "\n" for r in self.records))

    def append(self, record: Record) -> None:
        """Add a record, at once on disk."""
        self.records.append(record)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record.to_json()) + "\n")


def read_log(path: str | os.PathLike[str]) -> list[Record]:
    """The records of a log file; a last line that was cut short by a crash is passed over."""
    records = []
    lines = read_bytes(path, "log file").decode("utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, 1):
        try:
            records.append(Record(**json.loads(line)))
        except (TypeError, ValueError) as error:
            if number < len(lines):
                raise InputError(f"{path}, line {number}: no record of a run ({error})") from error
    return records
