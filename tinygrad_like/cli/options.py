"""Options of the command line from the fields of a settings dataclass, so that both are written once."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from tinygrad_like.train import LanguageSettings

_HELP = {
    "data": "UTF-8 text to train on; default: Python's own language reference",
    "tokens": "what a token is: characters, or byte pairs learned from the text",
    "vocabulary": "number of byte-pair tokens",
    "layers": "number of Transformer blocks",
    "heads": "attention heads of each block",
    "width": "size of the embeddings",
    "context": "how many tokens the model looks at",
    "batch": "windows of text in a step",
    "steps": "number of steps in all",
    "rate": "highest learning rate",
    "warmup": "steps until the learning rate is at its highest",
    "weight_decay": "decay of the matrices",
    "b2": "Adam's decay of squared gradients",
    "clip": "largest norm of the gradient",
    "dropout": "probability of dropout",
    "evaluate_every": "steps between evaluations",
    "evaluation_batches": "batches of the validation text in an evaluation",
    "save_every": "steps between checkpoints",
    "seed": "seed of all random numbers",
}


def add_settings(parser: argparse.ArgumentParser) -> None:
    """One option for each field of ``LanguageSettings``."""
    group = parser.add_argument_group("model and training")
    for field in fields(LanguageSettings):
        option = f"--{field.name.replace('_', '-')}"
        details: dict[str, Any] = {"type": str if field.default is None else type(field.default)}
        if field.name == "tokens":
            details = {"choices": ("characters", "bytes")}
        if field.name == "data":
            details["metavar"] = "FILE"
        group.add_argument(option, default=field.default, help=_HELP[field.name], **details)


def settings_of(options: argparse.Namespace) -> LanguageSettings:
    """The settings that the options say."""
    return LanguageSettings(**{field.name: getattr(options, field.name) for field in fields(LanguageSettings)})
