"""``tgl sample``: let a trained model write."""

from __future__ import annotations

import argparse
import json
import sys

from tinygrad_like.cli.parser import Parser
from tinygrad_like.generate import Generator
from tinygrad_like.train import RunDirectory, load_language_model


def add_arguments(parser: Parser) -> None:
    """The options of ``tgl sample``."""
    parser.add_argument("run", metavar="DIR", help="directory of a run, such as runs/gpt")
    parser.add_argument("--prompt", default="\n", help="text to continue")
    parser.add_argument("--count", type=int, default=300, help="tokens to write")
    parser.add_argument("--temperature", type=float, default=0.8, help="0 takes the likeliest token, 1 the model's own")
    parser.add_argument("--top-k", type=int, metavar="K", help="draw from the K likeliest tokens; default: all")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random numbers")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print the prompt and its continuation while it is written."""
    model, tokenizer = load_language_model(RunDirectory.existing(options.run))
    pieces = Generator(model, tokenizer).stream(
        options.prompt, options.count, options.temperature, options.top_k, options.seed
    )
    if options.json:
        print(json.dumps({"prompt": options.prompt, "text": "".join(pieces)}))
        return 0
    first = next(pieces, "")  # errors come before anything is printed
    print(options.prompt + first, end="", flush=True)
    for piece in pieces:
        print(piece, end="", flush=True)
    print(file=sys.stdout)
    return 0
