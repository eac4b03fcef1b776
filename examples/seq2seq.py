"""An encoder-decoder Transformer learns to write strings backwards: the model of translation on the smallest language.

    python examples/seq2seq.py                          # reverse
    python examples/seq2seq.py --task copy

Strings are random, so nothing can be learned by heart: each output letter must be found at its place in the source.
The strings it is tested on never occur in training. Expected: 100 % of 1,000 of them exactly right, in a minute.
"""

from __future__ import annotations

import argparse
import string
import time
from typing import Any

import numpy as np

from tinygrad_like import Tensor, nn
from tinygrad_like.cli.parser import Parser, run_command
from tinygrad_like.data import generator
from tinygrad_like.models.seq2seq import END, PADDING, START, Seq2SeqTransformer
from tinygrad_like.nn.optim import warmup_cosine
from tinygrad_like.train import training_step

LETTERS = string.ascii_lowercase
FIRST_LETTER = 3  # behind padding, start and end
TASKS = {"copy": lambda text: text, "reverse": lambda text: text[::-1]}


def random_strings(random: np.random.Generator, count: int, longest: int, shortest: int = 3) -> list[str]:
    """Strings of 3 to ``longest`` letters."""
    lengths = random.integers(shortest, longest + 1, count)
    return ["".join(LETTERS[i] for i in random.integers(0, len(LETTERS), length)) for length in lengths]


def as_tokens(texts: list[str], length: int, start: bool) -> np.ndarray:
    """[count, length]: the letters, ``END`` and padding, behind ``START`` where that is wanted."""
    table = np.full((len(texts), length), PADDING, np.int32)
    for row, text in zip(table, texts, strict=True):
        ids = [START] * start + [FIRST_LETTER + LETTERS.index(letter) for letter in text] + [END]
        row[: len(ids)] = ids
    return table


def as_text(tokens: Any) -> str:
    """The letters before the end."""
    ids = list(tokens)
    ids = ids[: ids.index(END)] if END in ids else ids
    return "".join(LETTERS[i - FIRST_LETTER] if i >= FIRST_LETTER else "?" for i in ids)


def train(model: Seq2SeqTransformer, options: argparse.Namespace, held_out: list[str]) -> None:
    """Train on strings that are not ``held_out``."""
    optimizer = nn.optim.AdamW(model.parameters(), lr=options.rate, b2=0.98, weight_decay=0.01)
    step = training_step(model.loss, optimizer, clip=1.0)
    turn, forbidden, losses = TASKS[options.task], set(held_out), []
    start = time.perf_counter()
    for i in range(options.steps):
        texts = [text for text in random_strings(generator(options.seed, i), 2 * options.batch, options.length)
                 if text not in forbidden][: options.batch]
        source = as_tokens(texts, options.length + 1, start=False)
        target = as_tokens([turn(text) for text in texts], options.length + 2, start=True)
        losses.append(step(warmup_cosine(i, options.steps, options.rate, 0.0, warmup=100), source, target))
        if (i + 1) % max(1, options.steps // 10) == 0:
            speed = (i + 1) / (time.perf_counter() - start)
            print(f"step {i + 1:5}/{options.steps}  loss {np.mean([x.item() for x in losses]):.4f}  "
                  f"{speed:,.0f} steps/s", flush=True)
            losses.clear()


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="seq2seq.py", description="A Transformer from one string to another.")
    parser.add_argument("--task", choices=tuple(TASKS), default="reverse", help="what it learns")
    parser.add_argument("--length", type=int, default=12, help="letters of the longest string")
    parser.add_argument("--steps", type=int, default=1500, help="training steps")
    parser.add_argument("--batch", type=int, default=64, help="strings in a step")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=1337, help="seed of all random numbers")
    options = parser.parse_args(arguments)
    return run_command("seq2seq.py", lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Train, then translate strings that were never seen."""
    Tensor.manual_seed(options.seed)
    model = Seq2SeqTransformer(FIRST_LETTER + len(LETTERS))
    print(f"encoder and decoder of 2 layers: {sum(p.numel() for p in model.parameters()):,} parameters")
    held_out = random_strings(generator(options.seed, 2**40), 1000, options.length)
    train(model.train(), options, held_out)
    translated = model.eval().translator(options.length + 1)(as_tokens(held_out, options.length + 1, start=False))
    found = [as_text(row) for row in translated]
    wanted = [TASKS[options.task](text) for text in held_out]
    for text, answer, right in list(zip(held_out, found, wanted, strict=True))[:5]:
        print(f"{text:>{options.length}} -> {answer:<{options.length}} {'' if answer == right else 'wrong'}")
    exact = sum(answer == right for answer, right in zip(found, wanted, strict=True))
    print(f"{options.task}: {exact / len(wanted):.2%} of {len(wanted):,} held-out strings exactly right")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
