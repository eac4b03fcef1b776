"""A recurrent network learns to write, one character at a time: truncated backpropagation through time, written out.

    python examples/char_rnn.py                         # Python's own language reference, an LSTM
    python examples/char_rnn.py --kind GRU
    python examples/char_rnn.py --data tinyshakespeare.txt --hidden 256 --epochs 8

The text is cut into ``batch`` parts that are read side by side. Each step reads ``context`` characters of every part,
begins with the states in which the step before ended, and sends gradients back to its own beginning only.

Expected: 1.46 nats a character on the last tenth of Python's reference, in a minute and a half. On Tiny Shakespeare the
last line reaches 1.55 (a model of the last three characters' counts: 1.78), in 5 to 15 minutes.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from tinygrad_like import Context, Tensor, jit, nn
from tinygrad_like.cli.parser import Parser, run_command
from tinygrad_like.data import continued_windows, generator
from tinygrad_like.generate import sample_token
from tinygrad_like.models import CharacterRNN
from tinygrad_like.nn.optim import warmup_cosine
from tinygrad_like.text import CharacterTokenizer, read_corpus
from tinygrad_like.text.corpus import split_tokens
from tinygrad_like.train import training_step


def train(model: CharacterRNN, tokens: Any, held_out: Any, options: argparse.Namespace) -> float:
    """Read ``tokens`` ``epochs`` times and return the loss on ``held_out``, in nats a character."""
    optimizer = nn.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=0.01)
    step = training_step(model.loss, optimizer, clip=1.0)
    total = options.epochs * ((len(tokens) - 1) // options.batch // options.context)
    done, loss, start = 0, 0.0, time.perf_counter()
    for epoch in range(options.epochs):
        model.train()
        states, losses = model.initial_states(options.batch), []
        for inputs, targets in continued_windows(tokens, options.context, options.batch):
            rate = warmup_cosine(done, total, options.rate, options.rate / 20, warmup=100)
            found, states = step(rate, inputs, targets, states)
            losses.append(found)
            done += 1
        loss = evaluate(model, held_out, options.context, options.batch)
        speed = done * options.batch * options.context / (time.perf_counter() - start)
        print(f"epoch {epoch + 1}/{options.epochs}  train {np.mean([x.item() for x in losses]):.4f}  "
              f"validation {loss:.4f}  {speed:,.0f} characters/s", flush=True)
    return loss


def evaluate(model: CharacterRNN, tokens: Any, context: int, batch: int) -> float:
    """The mean loss on ``tokens``, read from beginning to end in ``batch`` parts."""
    model.eval()
    step = jit(model.loss)
    with Context(TRAINING=0):
        states, losses = model.initial_states(batch), []
        for inputs, targets in continued_windows(tokens, context, batch):
            loss, states = step(Tensor(inputs.copy()), Tensor(targets.copy()), states)
            losses.append(loss.item())
    return float(np.mean(losses))


def write(model: CharacterRNN, tokenizer: CharacterTokenizer, count: int, temperature: float, seed: int) -> str:
    """``count`` characters by the model; its states are all that it remembers."""
    model.eval()
    random, token, text = generator(seed, 0), 0, []
    step = jit(lambda token, states: model(token, states))
    states = model.initial_states(1)
    for _ in range(count):
        logits, states = step(Tensor([[token]]), states)
        token = sample_token(logits.numpy()[0, 0], random, temperature)
        text.append(token)
    return tokenizer.decode(text)


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="char_rnn.py", description="A recurrent network learns to write.")
    parser.add_argument("--data", metavar="FILE", help="a UTF-8 text; default: Python's own reference")
    parser.add_argument("--kind", choices=("LSTM", "GRU", "RNN"), default="LSTM", help="the recurrent layer")
    parser.add_argument("--hidden", type=int, default=192, help="size of a layer's state")
    parser.add_argument("--layers", type=int, default=1, help="recurrent layers")
    parser.add_argument("--dropout", type=float, default=0.0, help="dropout between layers and before the head")
    parser.add_argument("--epochs", type=int, default=4, help="how often the text is read")
    parser.add_argument("--context", type=int, default=64, help="characters through which gradients flow")
    parser.add_argument("--batch", type=int, default=32, help="parts of the text read side by side")
    parser.add_argument("--rate", type=float, default=4e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=1337, help="seed of all random numbers")
    options = parser.parse_args(arguments)
    return run_command("char_rnn.py", lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Load, train, report, write."""
    corpus = read_corpus(options.data)
    tokenizer = CharacterTokenizer.train(corpus.text)
    tokens, held_out = split_tokens(corpus, tokenizer, options.context * options.batch)
    Tensor.manual_seed(options.seed)
    model = CharacterRNN(len(tokenizer), 64, options.hidden, options.layers, options.kind, options.dropout)
    count = sum(p.numel() for p in model.parameters())
    print(f"{corpus.source}: {len(corpus.text):,} characters of {len(tokenizer)} kinds; {count:,} parameters")
    loss = train(model, tokens, held_out, options)
    print(f"{options.kind}: {loss:.4f} nats a character on the held-out text")
    print(write(model, tokenizer, 300, 0.7, options.seed))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
