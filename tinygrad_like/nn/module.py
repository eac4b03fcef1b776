"""The base class of layers and models, for those who want one: any class with tensors in its attributes will do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from tinygrad_like.context import setting
from tinygrad_like.nn import state
from tinygrad_like.tensor import Tensor

M = TypeVar("M", bound="Module")


class Module:
    """A callable with tensors and other modules in its attributes; a subclass defines ``forward``.

    A module that was told ``train()`` or ``eval()`` is in that mode. One that was told nothing follows the setting
    TRAINING, as tinygrad's layers do: ``with Context(TRAINING=1): ...``.

    >>> class Net(Module):
    ...     def __init__(self):
    ...         self.hidden, self.out = nn.Linear(784, 128), nn.Linear(128, 10)
    ...     def forward(self, x):
    ...         return self.out(self.hidden(x).relu())
    >>> Net()(Tensor.rand(32, 784)).shape
    (32, 10)
    """

    _mode: bool | None = None

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self.forward(*arguments, **keywords)

    def forward(self, *arguments: Any, **keywords: Any) -> Any:
        """What calling the module computes."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    @property
    def training(self) -> bool:
        """Whether this module behaves as in training (dropout drops, batch normalisation looks at the batch)."""
        return bool(setting("TRAINING")) if self._mode is None else self._mode

    def train(self: M, mode: bool = True) -> M:
        """Put this module and all modules below it into training mode, or out of it."""
        for _, module in self.named_modules():
            module._mode = mode
        return self

    def eval(self: M) -> M:
        """Put this module and all modules below it into evaluation mode."""
        return self.train(False)

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, by path; one that is reached by several paths comes once."""
        seen: set[int] = set()
        for name, module in state.named_values(self, Module, prefix):
            if id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        for _, module in self.named_modules():
            yield module

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """The tensors that training changes, by path, without running statistics; a shared one comes once."""
        seen: set[int] = set()
        for name, tensor in state.get_state_dict(self, prefix).items():
            if tensor.is_param and id(tensor) not in seen:
                seen.add(id(tensor))
                yield name, tensor

    def parameters(self) -> Iterator[Tensor]:
        """The tensors that training changes."""
        for _, tensor in self.named_parameters():
            yield tensor

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """All tensors by path, running statistics included."""
        return state.get_state_dict(self, prefix)

    def load_state_dict(self, state_dict: Mapping[str, Tensor], strict: bool = True,
                        skip_mismatched: bool = False) -> state.LoadReport:
        """Copy a state dict into this module; returns a report of what matched, which ``print`` shows.

        skip_mismatched: tensors of other shapes (the head for another number of classes) keep their values instead of
        being an error. Errors: ValueError for a shape that differs and, if ``strict``, for any name that only one side
        has; then nothing has changed.
        """
        report = state.compared(self, state_dict)
        if strict and (report.missing_keys or report.unexpected_keys):
            raise ValueError(state.describe_mismatch(report, state_dict))
        passed_over = {mismatch.name for mismatch in report.mismatched} if skip_mismatched else set()
        chosen = {name: value for name, value in state_dict.items() if name not in passed_over}
        state.load_state_dict(self, chosen, strict=False)
        return report

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}("]
        for name, module in self.named_modules():
            own = [f"{key}{list(value.shape)}" for key, value in vars(module).items() if isinstance(value, Tensor)]
            if own:
                lines.append(f"  {name or 'self'}: {type(module).__name__} {' '.join(own)}")
        return "\n".join([*lines, ")"])
