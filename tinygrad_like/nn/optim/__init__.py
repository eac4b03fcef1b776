"""Optimizers, gradient clipping and learning-rate schedules."""

from tinygrad_like.nn.optim.adam import Adam, AdamW
from tinygrad_like.nn.optim.clipping import clip_grad_norm_
from tinygrad_like.nn.optim.optimizer import Optimizer, OptimizerGroup, ParameterGroup
from tinygrad_like.nn.optim.schedules import warmup_cosine
from tinygrad_like.nn.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "OptimizerGroup", "ParameterGroup", "clip_grad_norm_", "warmup_cosine"]
