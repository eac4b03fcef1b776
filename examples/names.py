"""Invent names: two language models of single characters, from the first neural one to the Transformer (makemore).

    python examples/names.py                             # words of Python's reference, an MLP
    python examples/names.py --model transformer
    python examples/names.py --data names.txt --steps 200000                       # one name a line
    python examples/names.py --data names.txt --model transformer --steps 12000

The recipes are those of Andrej Karpathy's makemore (github.com/karpathy/makemore and its lectures): an MLP on the last
three characters, trained by plain SGD, and a Transformer of four layers, trained by AdamW.

Expected, in nats a character on held-out words: 1.86 and 1.88 in half a minute and a minute and a half (2,757 words are
few, and both models are too large for them). With makemore's 32,033 names 2.11 in a minute (published: 2.10), and with
the Transformer 1.96 in 3 to 9 minutes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_like import Tensor, jit, nn
from tinygrad_like.cli.parser import Parser, run_command
from tinygrad_like.data import generator, load_words, split_words, word_rows, word_tokenizer, word_windows
from tinygrad_like.generate import sample_token
from tinygrad_like.models import GPT, GPTConfig, MLPLanguageModel
from tinygrad_like.text import CharacterTokenizer
from tinygrad_like.train import training_step


class Recipe(NamedTuple):
    """A model with its optimizer, how it sees words as arrays, and its learning rate after a share of the steps."""

    model: Any
    optimizer: nn.optim.Optimizer
    arrays: Callable[..., tuple[np.ndarray, np.ndarray]]
    context: int
    batch: int
    steps: int
    rate: Callable[[float], float]


def mlp(vocabulary: int) -> Recipe:
    """Three characters to the next one; the learning rate falls once, to a tenth."""
    model = MLPLanguageModel(vocabulary, context=3, width=10, hidden=200)
    optimizer = nn.optim.SGD(model.parameters(), lr=0.1)
    return Recipe(model, optimizer, word_windows, 3, 32, 50_000, lambda done: 0.1 if done < 0.5 else 0.01)


def transformer(vocabulary: int) -> Recipe:
    """All characters of a word at once, each looking back at those before it."""
    model = GPT(GPTConfig(vocabulary, context=16, layers=4, heads=4, width=64, dropout=0.1))
    optimizer = nn.optim.AdamW(model.parameters(), lr=2e-3, b2=0.99, weight_decay=0.01)
    return Recipe(model, optimizer, word_rows, 16, 64, 1500, lambda done: 2e-3 * min(1, (1 - done) / 0.7))


RECIPES = {"mlp": mlp, "transformer": transformer}


def train(recipe: Recipe, words: list[list[str]], tokenizer: CharacterTokenizer, steps: int, seed: int) -> float:
    """Train on the first of the lists of words and return the loss on the second, in nats a character."""
    inputs, targets, held_inputs, held_targets = (
        Tensor(array) for part in words[:2] for array in recipe.arrays(part, tokenizer, recipe.context))
    model = recipe.model
    step = training_step(lambda index: model.loss(inputs[index], targets[index]), recipe.optimizer)
    validate = jit(lambda: model.loss(held_inputs, held_targets).realize())
    loss, losses, start = 0.0, [], time.perf_counter()
    for i in range(steps):
        model.train()
        index = generator(seed, i).integers(0, inputs.shape[0], recipe.batch).astype(np.int32)
        losses.append(step(recipe.rate(i / steps), index))
        if (i + 1) % max(1, steps // 10) == 0 or i + 1 == steps:
            model.eval()
            loss, speed = validate().item(), (i + 1) / (time.perf_counter() - start)
            print(f"step {i + 1:6}/{steps}  train {np.mean([x.item() for x in losses]):.4f}  validation {loss:.4f}  "
                  f"{speed:,.0f} steps/s", flush=True)
            losses.clear()
    return loss


def invent(recipe: Recipe, tokenizer: CharacterTokenizer, count: int, seed: int) -> list[str]:
    """``count`` new words, a character at a time until the model ends them."""
    random = generator(seed, 0)
    logits = jit(lambda tokens: recipe.model(tokens).reshape(-1, len(tokenizer)).realize())
    words = []
    while len(words) < count:
        ids = [0]
        while len(ids) == 1 or (ids[-1] and len(ids) < 16):
            if recipe.arrays is word_windows:
                row, last = ([0] * recipe.context + ids)[-recipe.context :], 0
            else:
                row, last = ids + [0] * (recipe.context - len(ids)), len(ids) - 1
            ids.append(sample_token(logits(Tensor(np.array([row], np.int32))).numpy()[last], random))
        words.append(tokenizer.decode(i for i in ids if i))
    return words


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="names.py", description="Invent names.")
    parser.add_argument("--model", choices=tuple(RECIPES), default="mlp", help="which recipe")
    parser.add_argument("--data", metavar="FILE", help="words, one a line; default: those of Python's reference")
    parser.add_argument("--steps", type=int, help="training steps; default: 50000 and 1500")
    parser.add_argument("--seed", type=int, default=1337, help="seed of all random numbers")
    options = parser.parse_args(arguments)
    return run_command("names.py", lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Load, train, report, invent."""
    words, source = load_words(options.data)
    tokenizer, parts = word_tokenizer(words), split_words(words)
    print(f"{source}: {len(words):,} words of {len(tokenizer) - 1} characters")
    Tensor.manual_seed(options.seed)
    recipe = RECIPES[options.model](len(tokenizer))
    loss = train(recipe, parts, tokenizer, options.steps or recipe.steps, options.seed)
    print(f"{options.model}: {loss:.4f} nats a character on {len(parts[1]):,} held-out words")
    print("invented:", ", ".join(invent(recipe, tokenizer, 15, options.seed)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
