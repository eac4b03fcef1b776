"""A GPT-2 reads a prompt, and goes on with the likeliest tokens."""

from __future__ import annotations

from tinygrad_like.bench import shapes
from tinygrad_like.bench.training import make_gpt
from tinygrad_like.bench.workload import Array, Call, Workload, integers, named
from tinygrad_like.context import Context
from tinygrad_like.generate import Decoder
from tinygrad_like.jit import jit
from tinygrad_like.tensor import Tensor


def _prefill(tokens: Array) -> Call:
    """The likeliest token after the prompt."""
    model = make_gpt(shapes.GPT2).eval()
    likeliest = jit(lambda tokens: model.next_token_logits(tokens).argmax(-1))
    prompt = Tensor(tokens).realize()

    def run() -> object:
        with Context(TRAINING=0):
            return likeliest(prompt).item()

    return run


def _decode(tokens: Array) -> Call:
    """The prompt and the tokens after it, each chosen before the next is computed."""
    decoder = Decoder(make_gpt(shapes.GPT2).eval())

    def run() -> object:
        prediction = decoder.read(tokens)
        for _ in range(shapes.DECODE_TOKENS):
            prediction = decoder.step(prediction.likeliest.numpy())
        return prediction.likeliest.item()

    return run


INFERENCE = named([
    Workload("gpt2_prefill", integers(shapes.GPT2.vocabulary, (1, shapes.PREFILL_TOKENS)), _prefill),
    Workload("gpt2_decode", integers(shapes.GPT2.vocabulary, (1, shapes.DECODE_PROMPT)), _decode,
             runs=shapes.DECODE_TOKENS),
])
