"""A model as a function of its parameters: what ``vmap`` and ``grad`` need to treat several models as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinygrad_like.nn import state
from tinygrad_like.tensor import Tensor


def functional_call(model: Any, parameters: Mapping[str, Tensor], *arguments: Any, **keywords: Any) -> Any:
    """What ``model(*arguments, **keywords)`` returns with ``parameters`` in the places of its tensors of these names.

    Tensors that are not named keep their values; the model has its own again afterwards. An ensemble is one call:

    >>> models = [nn.Linear(3, 2) for _ in range(5)]
    >>> together = vmap(lambda p, x: functional_call(models[0], p, x), (0, None))
    >>> together(stack_states(models), Tensor.rand(4, 3)).shape
    (5, 4, 2)

    Errors: ValueError for a name that the model lacks, and for another shape or dtype.
    """
    own = state.get_state_dict(model)
    for name, value in parameters.items():
        if name not in own:
            raise ValueError(f"the model has no tensor {name!r}; it has {', '.join(own)}")
        if (value.shape, value.dtype) != (own[name].shape, own[name].dtype):
            raise ValueError(f"{name} is {own[name].dtype.name}{list(own[name].shape)} in the model, got "
                             f"{value.dtype.name}{list(value.shape)}")
    before = {name: own[name].node for name in parameters}
    try:
        for name, value in parameters.items():
            own[name].node = value.node
        return model(*arguments, **keywords)
    finally:
        for name, node in before.items():
            own[name].node = node


def stack_states(models: Sequence[Any]) -> dict[str, Tensor]:
    """The tensors of equal models stacked along a new first dimension, by name."""
    states = [state.get_state_dict(model) for model in models]
    if not states or any(list(one) != list(states[0]) for one in states):
        raise ValueError("stack_states needs one or more models with the same names")
    return {name: first.stack(*(one[name] for one in states[1:])) for name, first in states[0].items()}
