"""``tgl dump``: look at a computation at any stage on its way to the machine."""

from __future__ import annotations

import argparse
import json
import runpy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_like.cli.parser import Parser, suggestion
from tinygrad_like.cli.programs import PROGRAMS
from tinygrad_like.inspect import STAGES, draw, dump, explain
from tinygrad_like.io import InputError, write_text
from tinygrad_like.tensor import Tensor
from tinygrad_like.train import RunDirectory, load_language_model


def add_arguments(parser: Parser) -> None:
    """The options of ``tgl dump``."""
    parser.add_argument("what", help=f"{', '.join(PROGRAMS)}; the directory of a run; or FILE.py:FUNCTION, "
                                     "a function without arguments that returns tensors")
    parser.add_argument("--stage", default="schedule", choices=(*STAGES, "explain", "dot"), help="what to show")
    parser.add_argument("--target", metavar="ARCH", help="a CUDA architecture, such as sm_90a; default: this CPU")
    parser.add_argument("--output", metavar="FILE", help="write there; .svg, .png or .pdf with --stage dot draws")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print or write the stage that was asked for."""
    tensors = _find(options.what)
    if options.stage == "dot":
        text = draw(tensors, options.output)
        if options.output is not None:
            print(f"wrote {options.output}")
            return 0
    elif options.stage == "explain":
        text = str(explain(tensors, options.target))
    else:
        text = dump(tensors, options.stage, options.target)
    if options.json:
        text = json.dumps({"what": options.what, "stage": options.stage, "text": text})
    if options.output is None:
        print(text)
    else:
        write_text(options.output, text + "\n")
        print(f"wrote {options.output}")
    return 0


def _find(what: str) -> list[Tensor]:
    if what in PROGRAMS:
        return PROGRAMS[what]()
    if Path(what).is_dir():
        model, _ = load_language_model(RunDirectory.existing(what))
        return [model(Tensor(np.zeros((1, model.config.context), np.int32)))]
    file, separator, function = what.rpartition(":")
    if separator:
        return _call(file, function)
    raise InputError(f"nothing to dump is called {what!r}{suggestion(what, list(PROGRAMS))}; there are "
                     f"{', '.join(PROGRAMS)}, directories of runs and FILE.py:FUNCTION")


def _call(file: str, function: str) -> list[Tensor]:
    if not Path(file).is_file():
        raise InputError(f"no file {file}")
    # Not "__main__": a script's own run must not start.
    names: dict[str, Any] = runpy.run_path(file, run_name="dumped")
    if not callable(names.get(function)):
        known = [name for name, value in names.items() if callable(value) and not name.startswith("_")]
        raise InputError(f"{file} has no function {function!r}{suggestion(function, known)}")
    result = names[function]()
    tensors = [result] if isinstance(result, Tensor) else list(result) if isinstance(result, Iterable) else []
    if not tensors or not all(isinstance(tensor, Tensor) for tensor in tensors):
        raise InputError(f"{file}:{function} returned {type(result).__name__}; expected one tensor or several")
    return tensors
