"""Learning rates as functions of the step."""

from __future__ import annotations

import math


def warmup_cosine(step: int, steps: int, peak: float, final: float = 0.0, warmup: int = 0) -> float:
    """A straight rise to ``peak`` over ``warmup`` steps, then half a cosine down to ``final`` at ``steps``.

    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017.

    >>> [round(warmup_cosine(s, 10, peak=1.0, warmup=2), 3) for s in (0, 1, 2, 6, 10)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    if step >= steps:
        return final
    progress = (step - warmup) / max(1, steps - warmup)
    return final + 0.5 * (peak - final) * (1 + math.cos(math.pi * progress))
