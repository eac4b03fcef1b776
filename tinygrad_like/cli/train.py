"""``tgl train``: train a GPT on a text."""

from __future__ import annotations

import argparse
from dataclasses import fields

from tinygrad_like.cli.options import add_settings, settings_of
from tinygrad_like.cli.parser import INTERRUPTED, Parser
from tinygrad_like.io import InputError
from tinygrad_like.train import LanguageRun, LanguageSettings, Reporter, RunDirectory, make_reporter

_SAMPLE_TOKENS = 300


def add_arguments(parser: Parser) -> None:
    """The options of ``tgl train`` and of ``examples/gpt.py``."""
    parser.add_argument("--out", metavar="DIR", default="runs/gpt", help="where everything is written")
    parser.add_argument("--resume", metavar="DIR", help="continue the run in DIR (only --steps may differ)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    add_settings(parser)


def run(options: argparse.Namespace) -> int:
    """Train, with a sample before and after, and say what to try next."""
    run = _prepare(options)
    settings = run.settings
    reporter = make_reporter(settings.steps, run.done, run.tokens_per_step, as_json=options.json)
    _describe(run, reporter)
    prompt = "\n"
    reporter.message(f"before training it writes: {_sample(run, prompt, 80)!r}")
    if not run.train(reporter):
        reporter.message(f"go on with: tgl train --resume {run.directory.path}")
        return INTERRUPTED
    reporter.message(f"validation loss on the whole held-out text: {run.full_validation_loss():.4f} nats a token")
    reporter.message(f"after training it writes:\n{_sample(run, prompt, _SAMPLE_TOKENS)}\n")
    _say_what_is_next(run, reporter)
    return 0


def _prepare(options: argparse.Namespace) -> LanguageRun:
    if options.resume is None:
        settings = settings_of(options)
        return LanguageRun.start(settings, RunDirectory.fresh(options.out))
    default = {field.name: field.default for field in fields(LanguageSettings)}
    changed = [name for name, value in default.items() if getattr(options, name) != value and name != "steps"]
    if changed:
        raise InputError(f"--{changed[0].replace('_', '-')} cannot change in a resumed run; only --steps can")
    steps = None if options.steps == default["steps"] else options.steps
    return LanguageRun.resume(RunDirectory.existing(options.resume), steps)


def _describe(run: LanguageRun, reporter: Reporter) -> None:
    config = run.model.config
    count = sum(p.numel() for p in run.model.parameters())
    tokens = len(run.training_tokens) + len(run.validation_tokens)
    reporter.message(f"text: {run.corpus.source}, {len(run.corpus.text):,} characters, {tokens:,} tokens of "
                     f"{config.vocabulary} kinds")
    reporter.message(f"model: GPT of {config.layers} layers, {config.heads} heads, width {config.width}, context "
                     f"{config.context}: {count:,} parameters")
    if run.done:
        reporter.message(f"resuming {run.directory.path} after step {run.done}")


def _sample(run: LanguageRun, prompt: str, count: int) -> str:
    if prompt not in run.corpus.text:
        prompt = run.corpus.text[:1]
    return run.sample(prompt, count, temperature=0.8, top_k=40)


def _say_what_is_next(run: LanguageRun, reporter: Reporter) -> None:
    directory = run.directory
    files = [directory.model, directory.tokenizer, directory.config, directory.log, directory.checkpoint]
    files += [directory.plot] if directory.plot.exists() else []
    names = ", ".join(file.name for file in files)
    reporter.message(f"saved in {directory.path}: {names}")
    reporter.message("try next:\n"
                     f"  tgl sample {directory.path} --prompt 'The ' --temperature 0.7\n"
                     f"  tgl train --resume {directory.path} --steps {2 * run.settings.steps}\n"
                     f"  tgl dump {directory.path} --stage schedule")


