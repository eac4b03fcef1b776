"""Training a GPT on a text, from settings to the files of a run. ``tgl train`` and ``examples/gpt.py`` are this."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice

import numpy as np

from tinygrad_like.context import Context
from tinygrad_like.data import every_window, random_windows, step_seed
from tinygrad_like.generate import Generator
from tinygrad_like.io import InputError, read_bytes, write_text
from tinygrad_like.jit import jit
from tinygrad_like.models import GPT, GPTConfig
from tinygrad_like.nn import state
from tinygrad_like.nn.optim import AdamW, warmup_cosine
from tinygrad_like.tensor import Tensor
from tinygrad_like.text import BytePairTokenizer, CharacterTokenizer, Corpus, Tokenizer, load_tokenizer, read_corpus
from tinygrad_like.text.corpus import Tokens, split_tokens
from tinygrad_like.train.checkpoint import load_checkpoint, save_checkpoint
from tinygrad_like.train.log import Log
from tinygrad_like.train.loop import Loop
from tinygrad_like.train.plot import plot_losses
from tinygrad_like.train.report import Reporter
from tinygrad_like.train.run_directory import RunDirectory
from tinygrad_like.train.step import training_step


@dataclass(frozen=True)
class LanguageSettings:
    """How a GPT is trained on a text. ``data`` is a file, None Python's own reference; ``tokens`` is "characters" or
    "bytes" (byte pairs, ``vocabulary`` many). The rate rises to ``rate`` over ``warmup`` steps and falls to a tenth.
    """

    data: str | None = None
    tokens: str = "characters"
    vocabulary: int = 512
    layers: int = 4
    heads: int = 4
    width: int = 128
    context: int = 64
    batch: int = 12
    steps: int = 1000
    rate: float = 2e-3
    warmup: int = 100
    weight_decay: float = 0.1
    b2: float = 0.99
    clip: float = 1.0
    dropout: float = 0.0
    evaluate_every: int = 100
    evaluation_batches: int = 50
    save_every: int = 500
    seed: int = 1337

    def __post_init__(self) -> None:
        for name in ("batch", "steps", "evaluate_every", "evaluation_batches", "save_every"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name.replace('_', '-')} is at least 1, got {getattr(self, name)}")
        if self.tokens not in ("characters", "bytes"):
            raise InputError(f"--tokens is characters or bytes, got {self.tokens!r}")
        if self.rate <= 0:
            raise InputError(f"--rate is above 0, got {self.rate}")

    @classmethod
    def load(cls, run: RunDirectory) -> LanguageSettings:
        """The settings of a run."""
        try:
            values = json.loads(read_bytes(run.settings, "settings file"))
            return cls(**{field.name: values[field.name] for field in fields(cls)})
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{run.settings} does not hold the settings of a run ({error!r})") from error


class LanguageRun:
    """A GPT, its text and its optimizer, ready to train; ``resume`` continues one that was interrupted.

    >>> run = LanguageRun.start(LanguageSettings(steps=200), RunDirectory.fresh("runs/gpt"))
    >>> run.train(Reporter(total=200, units_per_step=run.tokens_per_step))
    """

    def __init__(
        self, settings: LanguageSettings, directory: RunDirectory, corpus: Corpus, tokenizer: Tokenizer
    ) -> None:
        self.settings, self.directory, self.corpus, self.tokenizer = settings, directory, corpus, tokenizer
        config = GPTConfig(
            len(tokenizer), settings.context, settings.layers, settings.heads, settings.width, settings.dropout
        )
        self.training_tokens, self.validation_tokens = split_tokens(corpus, tokenizer, settings.context)
        Tensor.manual_seed(settings.seed)
        self.model = GPT(config).train()
        self.optimizer = AdamW(decay_groups(self.model, settings.weight_decay), settings.rate, b2=settings.b2)
        self.done = 0
        self._step = training_step(self.model.loss, self.optimizer, settings.clip)
        self._loss = jit(lambda tokens, targets: self.model.loss(tokens, targets).realize())

    @classmethod
    def start(cls, settings: LanguageSettings, directory: RunDirectory) -> LanguageRun:
        """A new run; its settings, tokenizer and configuration are written at once."""
        corpus = read_corpus(settings.data)
        if settings.tokens == "bytes":
            tokenizer: Tokenizer = BytePairTokenizer.train(corpus.text, settings.vocabulary)
        else:
            tokenizer = CharacterTokenizer.train(corpus.text)
        run = cls(settings, directory, corpus, tokenizer)
        tokenizer.save(directory.tokenizer)
        write_text(directory.settings, json.dumps(asdict(settings), indent=1) + "\n")
        run.model.config.save(directory.config)
        return run

    @classmethod
    def resume(cls, directory: RunDirectory, steps: int | None = None) -> LanguageRun:
        """The run in ``directory`` where its last checkpoint left it, to be trained to ``steps`` in all."""
        settings = LanguageSettings.load(directory)
        settings = settings if steps is None else replace(settings, steps=steps)
        run = cls(settings, directory, read_corpus(settings.data), load_tokenizer(directory.tokenizer))
        run.done = load_checkpoint(directory.checkpoint, run.model, run.optimizer)
        return run

    @property
    def tokens_per_step(self) -> int:
        """How many tokens a step looks at."""
        return self.settings.batch * self.settings.context

    def train(self, reporter: Reporter) -> bool:
        """Do the remaining steps and write everything; False where Ctrl-C stopped it before (see ``Loop.run``)."""
        settings = self.settings
        loop = Loop(
            self.step, self.validation_loss, self.save, settings.steps, self.done, settings.evaluate_every,
            settings.save_every,
        )
        log = Log(self.directory.log, self.done)
        try:
            return loop.run(reporter, log)
        finally:
            if log.records:
                plot_losses(log.records, self.directory.plot, f"GPT on {self.corpus.source}")

    def step(self, number: int) -> float:
        """Do step ``number`` and return its loss; batch, learning rate and dropout depend on the number alone."""
        settings = self.settings
        Tensor.manual_seed(step_seed(settings.seed, number))
        batch = random_windows(self.training_tokens, settings.context, settings.batch, settings.seed, number)
        rate = warmup_cosine(number, settings.steps, settings.rate, settings.rate / 10, settings.warmup)
        return float(self._step(rate, *batch).item())

    def validation_loss(self) -> float:
        """The mean loss on the validation text (on its first ``evaluation_batches`` batches)."""
        return self._mean_loss(self.validation_tokens, self.settings.evaluation_batches)

    def full_validation_loss(self) -> float:
        """The mean loss on the whole validation text."""
        return self._mean_loss(self.validation_tokens, None)

    def save(self, done: int) -> str:
        """Write the checkpoint and the model's weights after ``done`` steps."""
        self.done = done
        save_checkpoint(self.directory.checkpoint, self.model, self.optimizer, done)
        state.safe_save(self.model.state_dict(), self.directory.model)
        return str(self.directory.path)

    def sample(self, prompt: str, count: int, temperature: float = 1.0, top_k: int | None = None) -> str:
        """A continuation of ``prompt`` by the model as it is now."""
        text = Generator(self.model, self.tokenizer).text(prompt, count, temperature, top_k)
        self.model.train()
        return text

    def _mean_loss(self, tokens: Tokens, batches: int | None) -> float:
        self.model.eval()
        windows = islice(every_window(tokens, self.settings.context, self.settings.batch), batches)
        with Context(TRAINING=0):
            losses = [self._loss(Tensor(inputs), Tensor(targets)).item() for inputs, targets in windows]
        self.model.train()
        return float(np.mean(losses))


def decay_groups(model: GPT, weight_decay: float) -> list[dict[str, object]]:
    """Matrices decay; biases and the scales of norms, which are vectors, do not."""
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def load_language_model(directory: RunDirectory) -> tuple[GPT, Tokenizer]:
    """The trained model of a run and its tokenizer."""
    tokenizer = load_tokenizer(directory.tokenizer)
    model = GPT(GPTConfig.load(directory.config))
    state.load_file(model, directory.model)
    return model.eval(), tokenizer


