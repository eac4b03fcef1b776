"""Muon."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinygrad_like.nn.optim.optimizer import ParameterGroup, Parameters, state_dtype
from tinygrad_like.nn.optim.sgd import SGD

COEFFICIENTS = (3.4445, -4.775, 2.0315)


class Muon(SGD):
    """SGD with momentum whose step is made nearly orthogonal: p -= lr (orthogonal(g + momentum b) + weight_decay p).

    b = momentum b + g; without ``nesterov`` b itself is made orthogonal, by ``ns_steps`` steps of Newton and Schulz
    (see ``Tensor.newton_schulz``). A parameter of more than two dimensions is the matrix [first, all others].
    Meant for the matrices of hidden layers; embeddings, heads and vectors are left to AdamW. Sources: Jordan et al.,
    "Muon: An optimizer for hidden layers in neural networks", 2024; Liu et al., "Muon is Scalable for LLM Training",
    2025 (weight decay). ValueError for a scalar parameter.

    adjust_lr_fn: the step times sqrt(max(1, rows / columns)) with "original", times 0.2 sqrt(max(rows, columns)) with
    "match_rms_adamw", which suits AdamW's learning rates; None leaves it as it is. eps: see ``newton_schulz``.

    >>> optimizer = Muon([layer.weight for layer in layers], lr=0.02)
    """

    def __init__(
        self, params: Parameters, lr: float = 0.001, momentum: float = 0.95, weight_decay: float = 0.1,
        ns_steps: int = 5, ns_coefficients: Sequence[float] = COEFFICIENTS, nesterov: bool = True,
        eps: float = 1e-7, adjust_lr_fn: str | None = None,
    ) -> None:
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"adjust_lr_fn is None, 'original' or 'match_rms_adamw', got {adjust_lr_fn!r}")
        self.ns_steps, self.ns_coefficients, self.eps = ns_steps, tuple(ns_coefficients), eps
        self.adjust_lr_fn = adjust_lr_fn
        super().__init__(params, lr, momentum, weight_decay, nesterov)
        if any(p.ndim == 0 for p in self.params):
            raise ValueError("Muon makes matrices orthogonal, but one parameter is a scalar; give it to AdamW")

    def _update(self, group: ParameterGroup, numbers: range) -> None:
        momentum = group["momentum"]
        for i, p in zip(numbers, group.params, strict=True):
            if p.grad is None:
                continue
            dtype = state_dtype(p)
            value, step = p.detach().cast(dtype), p.grad.detach().cast(dtype)
            if momentum:
                velocity = self.velocity[i].assign(self.velocity[i] * momentum + step)
                step = step + velocity * momentum if group["nesterov"] else velocity
            matrix = step.reshape(step.shape[0], -1).newton_schulz(self.ns_steps, self.ns_coefficients, self.eps)
            matrix = matrix * self._scale(int(matrix.shape[0]), int(matrix.shape[1]))
            direction = matrix.reshape(step.shape) + value * group["weight_decay"]
            p.assign((value - direction * group.rate(dtype)).cast(p.dtype))

    def _scale(self, rows: int, columns: int) -> float:
        if self.adjust_lr_fn is None:
            return 1.0
        ratio, size = max(1, rows / columns), max(rows, columns)
        return math.sqrt(ratio) if self.adjust_lr_fn == "original" else 0.2 * math.sqrt(size)
