"""Fine-tuning a model: which parameters are trained, and at which rates, chosen by their names.

A pattern is matched against a parameter's whole path as file names are: ``layer1.*``, ``*.bias``, ``encoder.[01].*``.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from tinygrad_like.nn.state import get_state_dict
from tinygrad_like.tensor import Tensor


def freeze(model: Any, *patterns: str) -> list[str]:
    """Training no longer changes the parameters that match a pattern (all without patterns); returns their names.

    They get no gradient, so the backward pass computes none for them, and optimizers pass them by. Running statistics
    are no parameters: put batch normalisation that shall not move into ``eval()``.

        >>> freeze(model, "conv1.*", "layer[12].*")
    """
    return _mark(model, patterns, False)


def unfreeze(model: Any, *patterns: str) -> list[str]:
    """Training changes the parameters that match a pattern (all without patterns) again; returns their names."""
    return _mark(model, patterns, True)


def frozen(model: Any) -> list[str]:
    """The names of the parameters that training does not change."""
    return [name for name, tensor in _parameters(model).items() if tensor.requires_grad is False]


def parameter_groups(model: Any, settings: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Groups for an optimizer: the parameters of each pattern with its settings, the rest in a last group of its own.

    A parameter belongs to the first pattern that matches. Frozen parameters are left out.

        >>> groups = parameter_groups(model, {"head.*": {"lr": 1e-3}, "*.bias": {"weight_decay": 0.0}})
        >>> optimizer = nn.optim.AdamW(groups, lr=1e-4)

    Errors: ValueError for a pattern that matches no trainable parameter.
    """
    chosen: dict[str, list[Tensor]] = {pattern: [] for pattern in settings}
    rest: list[Tensor] = []
    parameters = _parameters(model)
    for name, tensor in parameters.items():
        if tensor.requires_grad is not False:
            owner = next((pattern for pattern in settings if fnmatchcase(name, pattern)), None)
            (rest if owner is None else chosen[owner]).append(tensor)
    for pattern, tensors in chosen.items():
        if not tensors:
            raise ValueError(_nothing(pattern, [name for name in parameters if name not in frozen(model)]))
    groups: list[dict[str, Any]] = [{"params": chosen[pattern], **options} for pattern, options in settings.items()]
    return groups + ([{"params": rest}] if rest else [])


def _parameters(model: Any) -> dict[str, Tensor]:
    """The parameters by name, one that is shared by its first."""
    found: dict[int, tuple[str, Tensor]] = {}
    for name, tensor in get_state_dict(model).items():
        if tensor.is_param and tensor.dtype.is_float:
            found.setdefault(id(tensor), (name, tensor))
    return dict(found.values())


def _mark(model: Any, patterns: tuple[str, ...], requires_grad: bool) -> list[str]:
    parameters = _parameters(model)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in parameters):
            raise ValueError(_nothing(pattern, list(parameters)))
    names = [name for name in parameters if not patterns or any(fnmatchcase(name, p) for p in patterns)]
    for name in names:
        parameters[name].requires_grad_(requires_grad)
        if not requires_grad:
            parameters[name].grad = None
    return names


def _nothing(pattern: str, names: list[str]) -> str:
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"no parameter matches {pattern!r}; there are {listed or 'none'}"
