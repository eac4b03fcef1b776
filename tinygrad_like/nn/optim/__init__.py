"""Optimizers, gradient clipping and learning-rate schedules."""

from tinygrad_like.nn.optim import lr_scheduler
from tinygrad_like.nn.optim.adam import Adam, AdamW
from tinygrad_like.nn.optim.clipping import clip_grad_norm_
from tinygrad_like.nn.optim.lamb import LAMB
from tinygrad_like.nn.optim.lars import LARS
from tinygrad_like.nn.optim.muon import Muon
from tinygrad_like.nn.optim.optimizer import Optimizer, OptimizerGroup, ParameterGroup
from tinygrad_like.nn.optim.rmsprop import RMSprop
from tinygrad_like.nn.optim.schedules import warmup_cosine
from tinygrad_like.nn.optim.sgd import SGD

__all__ = [
    "LAMB", "LARS", "SGD", "Adam", "AdamW", "Muon", "Optimizer", "OptimizerGroup", "ParameterGroup", "RMSprop",
    "clip_grad_norm_", "lr_scheduler", "warmup_cosine",
]
