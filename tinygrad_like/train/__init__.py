"""Training: a compiled step, the loop around it, what it reports and what it saves."""

from tinygrad_like.train.checkpoint import load_checkpoint, save_checkpoint
from tinygrad_like.train.interrupt import deferred_interrupt
from tinygrad_like.train.language import LanguageRun, LanguageSettings, load_language_model
from tinygrad_like.train.log import Log, Record, read_log
from tinygrad_like.train.loop import Loop
from tinygrad_like.train.plot import plot_losses
from tinygrad_like.train.report import Reporter, make_reporter
from tinygrad_like.train.run_directory import RunDirectory
from tinygrad_like.train.step import training_step

__all__ = [
    "LanguageRun", "LanguageSettings", "Log", "Loop", "Record", "Reporter", "RunDirectory", "deferred_interrupt",
    "load_checkpoint", "load_language_model", "make_reporter", "plot_losses", "read_log", "save_checkpoint",
    "training_step",
]
