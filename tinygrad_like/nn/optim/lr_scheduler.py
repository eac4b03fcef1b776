"""Schedulers that set the learning rates of an optimizer, with PyTorch's names, arguments and numbers.

``step()`` after each optimizer step (or epoch) sets the rate of every group from its first rate and the number of
steps so far. Inside ``jit`` the rates are tensors that a compiled step reads, so ``step()`` is called outside of it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_like.nn.optim.optimizer import Optimizer


class Scheduler:
    """The base of all: the rate of a group is a function of its first rate and the step.

    state: ``state_dict`` gives what a resumed run needs.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.base_lrs = [float(group["lr"].item()) for group in optimizer.param_groups]
        self.last_epoch = 0
        self._apply()

    def rate(self, base: float, step: int) -> float:
        """The learning rate at ``step`` of a group that began with ``base``."""
        raise NotImplementedError(f"{type(self).__name__} defines no rate")

    def step(self) -> None:
        """One step further."""
        self.last_epoch += 1
        self._apply()

    def get_last_lr(self) -> list[float]:
        """The present rate of each group."""
        return [self.rate(base, self.last_epoch) for base in self.base_lrs]

    def _apply(self) -> None:
        for group, lr in zip(self.optimizer.param_groups, self.get_last_lr(), strict=True):
            group["lr"] = lr

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {"base_lrs": list(self.base_lrs), "last_epoch": self.last_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on where the saved one was."""
        self.base_lrs, self.last_epoch = list(state_dict["base_lrs"]), int(state_dict["last_epoch"])
        self._apply()


class LambdaLR(Scheduler):
    """The first rate times a function of the step.

    >>> scheduler = LambdaLR(optimizer, lambda step: 0.95**step)
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float]) -> None:
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def rate(self, base: float, step: int) -> float:
        return base * self.lr_lambda(step)


class StepLR(Scheduler):
    """Multiplied by ``gamma`` every ``step_size`` steps."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def rate(self, base: float, step: int) -> float:
        return base * self.gamma ** (step // self.step_size)


class MultiStepLR(Scheduler):
    """Multiplied by ``gamma`` at each of the steps ``milestones``."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer)

    def rate(self, base: float, step: int) -> float:
        return base * self.gamma ** bisect_right(self.milestones, step)


class ExponentialLR(Scheduler):
    """Multiplied by ``gamma`` every step."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = gamma
        super().__init__(optimizer)

    def rate(self, base: float, step: int) -> float:
        return base * self.gamma**step


class LinearLR(Scheduler):
    """A straight line of factors from ``start_factor`` to ``end_factor`` over ``total_iters`` steps: warm-up."""

    def __init__(self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0,
                 total_iters: int = 5) -> None:
        if not 0 < start_factor <= 1 or not 0 <= end_factor <= 1:
            raise ValueError(f"factors lie between 0 and 1, the first above 0; got {start_factor} and {end_factor}")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def rate(self, base: float, step: int) -> float:
        part = min(step, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * part)


class CosineAnnealingLR(Scheduler):
    """Half a cosine from the first rate to ``eta_min`` over ``T_max`` steps, and back (Loshchilov and Hutter, 2017)."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:  # noqa: N803  # PyTorch's name
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate(self, base: float, step: int) -> float:
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * step / self.T_max)) / 2


class OneCycleLR(Scheduler):
    """From ``max_lr / div_factor`` up to ``max_lr`` in the part ``pct_start`` of the steps, then down to next to 0.

    The end is ``max_lr / (div_factor * final_div_factor)``. anneal_strategy: "cos" or "linear". Momentum stays as it
    is (PyTorch's ``cycle_momentum=False``). Source: Smith and Topin, "Super-Convergence", 2018.
    """

    def __init__(self, optimizer: Optimizer, max_lr: float, total_steps: int, pct_start: float = 0.3,
                 anneal_strategy: str = "cos", div_factor: float = 25.0, final_div_factor: float = 1e4) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy is 'cos' or 'linear', got {anneal_strategy!r}")
        if not 0 <= pct_start <= 1 or total_steps < 1:
            raise ValueError(f"pct_start lies in [0, 1] and total_steps is positive, got {pct_start} and {total_steps}")
        self.max_lr, self.total_steps, self.anneal_strategy = max_lr, total_steps, anneal_strategy
        self.initial_lr, self.min_lr = max_lr / div_factor, max_lr / div_factor / final_div_factor
        self.peak = pct_start * total_steps - 1
        super().__init__(optimizer)

    def rate(self, base: float, step: int) -> float:
        if step > self.total_steps:
            raise ValueError(f"OneCycleLR has {self.total_steps} steps, step {step} is beyond")
        if step <= self.peak:
            return self._between(self.initial_lr, self.max_lr, step / self.peak if self.peak else 1.0)
        return self._between(self.max_lr, self.min_lr, (step - self.peak) / (self.total_steps - 1 - self.peak))

    def _between(self, start: float, end: float, part: float) -> float:
        if self.anneal_strategy == "linear":
            return start + (end - start) * part
        return end + (start - end) / 2 * (1 + math.cos(math.pi * part))


class SequentialLR(Scheduler):
    """One scheduler after another, each from its own step 0: the next begins at each of ``milestones``.

    >>> warmup, cosine = LinearLR(optimizer, 0.01, total_iters=10), CosineAnnealingLR(optimizer, 90)
    >>> scheduler = SequentialLR(optimizer, [warmup, cosine], milestones=[10])
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[Scheduler], milestones: Sequence[int]) -> None:
        if len(schedulers) != len(milestones) + 1:
            raise ValueError(f"{len(schedulers)} schedulers need {len(schedulers) - 1} milestones, got "
                             f"{len(milestones)}")
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        super().__init__(optimizer)
        self.base_lrs = list(schedulers[0].base_lrs)
        self._apply()

    def rate(self, base: float, step: int) -> float:
        number = bisect_right(self.milestones, step)
        return self.schedulers[number].rate(base, step - (self.milestones[number - 1] if number else 0))


class ReduceLROnPlateau:
    """Multiplied by ``factor`` when a quantity has not improved for more than ``patience`` steps.

    mode: "min" or "max" is better. threshold: what counts as an improvement, as a part of the best value ("rel") or
    as a difference ("abs"). cooldown: how many steps to wait after a reduction. min_lr: the smallest rate.

    >>> scheduler = ReduceLROnPlateau(optimizer, patience=3)
    >>> scheduler.step(validation_loss)
    """

    def __init__(self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10,
                 threshold: float = 1e-4, threshold_mode: str = "rel", cooldown: int = 0, min_lr: float = 0.0,
                 eps: float = 1e-8) -> None:
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(f"mode is 'min' or 'max' and threshold_mode 'rel' or 'abs', got {mode!r} and "
                             f"{threshold_mode!r}")
        if not 0 < factor < 1:
            raise ValueError(f"factor lies between 0 and 1, got {factor}")
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown = threshold, threshold_mode, cooldown
        self.min_lr, self.eps = min_lr, eps
        self.best = math.inf if mode == "min" else -math.inf
        self.bad_steps = self.cooldown_left = 0
        self._rates = [float(group["lr"].item()) for group in optimizer.param_groups]

    def step(self, metric: float) -> None:
        """Looks at the quantity after a step (an epoch)."""
        value = float(metric.item() if hasattr(metric, "item") else metric)
        if self._better(value):
            self.best, self.bad_steps = value, 0
        else:
            self.bad_steps += 1
        if self.cooldown_left:
            self.cooldown_left, self.bad_steps = self.cooldown_left - 1, 0
        if self.bad_steps > self.patience:
            self._reduce()
            self.cooldown_left, self.bad_steps = self.cooldown, 0

    def get_last_lr(self) -> list[float]:
        """The present rate of each group."""
        return list(self._rates)

    def _better(self, value: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "abs":
            return sign * value < sign * self.best - self.threshold
        scale = 1 - self.threshold if self.mode == "min" else 1 + self.threshold
        return sign * value < sign * self.best * scale

    def _reduce(self) -> None:
        for number, group in enumerate(self.optimizer.param_groups):
            lower = max(self._rates[number] * self.factor, self.min_lr)
            if self._rates[number] - lower > self.eps:
                self._rates[number] = lower
                group["lr"] = lower

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {"best": self.best, "bad_steps": self.bad_steps, "cooldown_left": self.cooldown_left,
                "rates": list(self._rates)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on where the saved one was."""
        self.best, self.bad_steps = float(state_dict["best"]), int(state_dict["bad_steps"])
        self.cooldown_left, self._rates = int(state_dict["cooldown_left"]), list(state_dict["rates"])
        for group, lr in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = lr
