"""The files of one run, under one directory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tinygrad_like.io import InputError


@dataclass(frozen=True)
class RunDirectory:
    """Where a run keeps what it makes."""

    path: Path

    @property
    def config(self) -> Path:
        """The shape of the model, JSON."""
        return self.path / "config.json"

    @property
    def settings(self) -> Path:
        """How it was trained, JSON."""
        return self.path / "settings.json"

    @property
    def tokenizer(self) -> Path:
        """The tokenizer, JSON."""
        return self.path / "tokenizer.json"

    @property
    def model(self) -> Path:
        """The parameters, safetensors."""
        return self.path / "model.safetensors"

    @property
    def checkpoint(self) -> Path:
        """What resuming needs, safetensors."""
        return self.path / "checkpoint.safetensors"

    @property
    def log(self) -> Path:
        """The losses, JSON lines."""
        return self.path / "log.jsonl"

    @property
    def plot(self) -> Path:
        """The losses, a picture."""
        return self.path / "loss.png"

    @classmethod
    def fresh(cls, wanted: str | os.PathLike[str]) -> RunDirectory:
        """``wanted``, or ``wanted-2``, ``wanted-3``, ... where a run lies there already: none is overwritten."""
        path, number = Path(wanted), 1
        while (path / "config.json").exists():
            number += 1
            path = Path(f"{os.fspath(wanted)}-{number}")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the run directory {path}: {error.strerror}") from error
        return cls(path)

    @classmethod
    def existing(cls, path: str | os.PathLike[str]) -> RunDirectory:
        """A run that was made before; InputError where there is none."""
        run = cls(Path(path))
        if not run.config.is_file():
            raise InputError(f"no run in {path}: it has no config.json; train one with: tgl train --out {path}")
        return run
