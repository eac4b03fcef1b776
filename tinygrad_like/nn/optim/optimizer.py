"""What every optimizer shares: groups of parameters with their own settings, and state that lives in tensors.

Learning rates and state are tensors, so that a step inside ``jit`` is part of the one compiled program, and changing
a learning rate changes a value, not the program.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Union

import numpy as np

from ir import dtypes
from ir.dtype import DType
from tinygrad_like.nn import state
from tinygrad_like.tensor import Tensor

Parameters = Iterable[Union[Tensor, Mapping[str, Any]]]


class ParameterGroup:
    """Parameters that share their settings. Settings are read and written as in a dict, PyTorch's way:
    ``optimizer.param_groups[0]["lr"] = 1e-4``; the learning rate is a tensor of shape [1], overwritten in place.
    """

    def __init__(self, params: list[Tensor], lr: float, settings: dict[str, Any]) -> None:
        self.params = params
        self.dtype = _wide(params)
        self.lr = Tensor([float(lr)], dtype=self.dtype, device=params[0].device).is_param_(False)
        self.lr.requires_grad_(False)
        self.settings = settings

    def rate(self, dtype: DType) -> Tensor:
        """The learning rate as a scalar of ``dtype``."""
        return self.lr.reshape(()).cast(dtype)

    def __getitem__(self, name: str) -> Any:
        return {"params": self.params, "lr": self.lr, **self.settings}[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if name == "lr":
            rate = value if isinstance(value, Tensor) else Tensor([float(value)], dtype=self.dtype)
            self.lr.assign(rate.cast(self.dtype).reshape(1).to(self.lr.device))
        elif name in self.settings:
            self.settings[name] = value
        else:
            raise KeyError(f"{name!r} is no setting; there are lr, {', '.join(self.settings)}")


class Optimizer:
    """The base of all optimizers. A subclass allocates its state in ``_allocate`` and defines ``_update``.

    params: tensors, or one mapping a group: ``[{"params": [...], "lr": 1e-4}, {"params": [...]}]``. Tensors that are
    not parameters (running statistics, see ``nn.state.get_parameters``) are not updated; ``step`` only computes them.
    Errors: ValueError without parameters, for a parameter in two groups, for a negative learning rate.
    """

    def __init__(self, params: Parameters, lr: float, **defaults: Any) -> None:
        self.param_groups: list[ParameterGroup] = []
        self.buffers: list[Tensor] = []
        for group in _as_groups(params):
            self._add_group(dict(group), lr, defaults)
        if not self.param_groups:
            raise ValueError("the optimizer was given no parameters")
        self._allocate()

    def _add_group(self, group: dict[str, Any], lr: float, defaults: dict[str, Any]) -> None:
        tensors = _unique(group.pop("params"))
        rate = group.pop("lr", lr)
        unknown = sorted(set(group) - set(defaults))
        if unknown:
            raise ValueError(f"a parameter group has no setting {unknown[0]!r}; there are lr, {', '.join(defaults)}")
        if float(rate) < 0:
            raise ValueError(f"a learning rate is not negative, got {rate}")
        known = {id(p) for p in self.params}
        if any(id(p) in known for p in tensors):
            raise ValueError("a parameter is in two groups")
        self.buffers += [p for p in tensors if not p.is_param]
        parameters = [p for p in tensors if p.is_param]
        for p in parameters:
            if not p.dtype.is_float:
                raise ValueError(f"a parameter has dtype {p.dtype}; only floating-point tensors can be optimized")
            if p.requires_grad is None:
                p.requires_grad_()  # backward() gives gradients to marked tensors and then to no others
        if parameters:
            self.param_groups.append(ParameterGroup(parameters, rate, {**defaults, **group}))

    @property
    def params(self) -> list[Tensor]:
        """The parameters of all groups."""
        return [p for group in self.param_groups for p in group.params]

    @property
    def lr(self) -> Tensor:
        """The learning rate of the first group, a tensor of shape [1] that may be assigned to."""
        return self.param_groups[0].lr

    def set_lr(self, lr: float | Tensor) -> None:
        """Give every group this learning rate. Inside ``jit`` pass a tensor: a number would be part of the program."""
        for group in self.param_groups:
            group["lr"] = lr

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for p in self.params:
            p.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        Tensor.realize(*self.schedule_step())

    def schedule_step(self) -> list[Tensor]:
        """Assign the updates lazily and return the tensors that must be computed for them to happen."""
        if all(p.grad is None for p in self.params):
            raise RuntimeError("no parameter has a gradient; call backward() on the loss before step()")
        for group, slots in self._groups_with_state():
            self._update(group, slots)
        return [*self.state_dict().values(), *self.params, *self.buffers]

    def state_dict(self) -> dict[str, Tensor]:
        """The state that a resumed run needs, learning rates included, by name."""
        rates = {f"lr.{i}": group.lr for i, group in enumerate(self.param_groups)}
        return rates | self._state()

    def load_state_dict(self, state_dict: Mapping[str, Tensor]) -> None:
        """Take over the state of an optimizer of the same kind, groups and parameters."""
        state.load_state_dict(self.state_dict(), dict(state_dict))

    def _groups_with_state(self) -> Iterator[tuple[ParameterGroup, range]]:
        """Each group and the numbers of its parameters in the order of ``params``."""
        start = 0
        for group in self.param_groups:
            yield group, range(start, start + len(group.params))
            start += len(group.params)

    def _zeros_like_params(self) -> list[Tensor]:
        return [_zeros_like(p) for p in self.params]

    def _allocate(self) -> None:
        """Make the state tensors."""

    def _state(self) -> dict[str, Tensor]:
        """The state tensors by name, learning rates apart."""
        return {}

    def _update(self, group: ParameterGroup, numbers: range) -> None:
        """Assign new values to the state and the parameters of ``group`` that have gradients."""
        raise NotImplementedError(f"{type(self).__name__} defines no update")


class OptimizerGroup:
    """Several optimizers that step together."""

    def __init__(self, *optimizers: Optimizer) -> None:
        self.optimizers = optimizers

    def __getitem__(self, index: int) -> Optimizer:
        return self.optimizers[index]

    @property
    def params(self) -> list[Tensor]:
        """The parameters of all optimizers."""
        return [p for optimizer in self.optimizers for p in optimizer.params]

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def step(self) -> None:
        """One step of each."""
        Tensor.realize(*self.schedule_step())

    def schedule_step(self) -> list[Tensor]:
        """The tensors that must be computed for one step of each."""
        return [tensor for optimizer in self.optimizers for tensor in optimizer.schedule_step()]


def state_dtype(parameter: Tensor) -> DType:
    """Optimizer state is float32 beside half-precision parameters, otherwise of the parameter's dtype."""
    return parameter.dtype if parameter.dtype == dtypes.float64 else dtypes.float32


def _zeros_like(parameter: Tensor) -> Tensor:
    array = np.zeros(parameter.shape, state_dtype(parameter).numpy)
    return Tensor(array, device=parameter.device).is_param_(False).requires_grad_(False)


def _wide(params: list[Tensor]) -> DType:
    return dtypes.float64 if any(p.dtype == dtypes.float64 for p in params) else dtypes.float32


def _as_groups(params: Parameters) -> list[Mapping[str, Any]]:
    items = [params] if isinstance(params, (Tensor, Mapping)) else list(params)
    if any(isinstance(item, Mapping) for item in items):
        if not all(isinstance(item, Mapping) for item in items):
            raise TypeError("parameters are either tensors or mappings with 'params', not both")
        return items  # type: ignore[return-value]
    return [{"params": items}] if items else []


def _unique(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"a parameter must be a Tensor, got {type(tensor).__name__}")
    return list({id(tensor): tensor for tensor in tensors}.values())
