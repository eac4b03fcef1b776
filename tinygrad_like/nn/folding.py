"""Batch normalisation folded into the convolutions before it, for inference."""

from __future__ import annotations

from typing import Any, Union

import ir
from tinygrad_like.nn.activation import Identity
from tinygrad_like.nn.convolution import Convolution
from tinygrad_like.nn.linear import Linear
from tinygrad_like.nn.module import Module
from tinygrad_like.nn.normalization import BatchNorm
from tinygrad_like.tensor import Tensor

Affine = Union[Convolution, Linear]


def fold_batchnorm(model: Module, *example: Any) -> list[str]:
    """Each batch normalisation that follows a convolution or linear layer becomes part of its weight and bias.

    In evaluation it is affine: gamma (W x + b - mean) / sqrt(var + eps) + beta = W' x + b'. ``model`` is put into
    ``eval()`` and changed in place (folded layers become ``Identity``); returns the paths of what was folded. Which
    layers follow each other is seen by running the model's graph on ``example`` (nothing is computed): a
    normalisation is folded if it reads a layer's output that nothing else reads, and each of both is used once.

    >>> fold_batchnorm(model, Tensor.zeros(1, 3, 32, 32))
    ['bn1', 'layer1.0.bn1', ...]
    """
    model.eval()
    calls = _Calls(model)
    readers = _readers(calls.run(*example))
    folded = []
    for path, module in list(model.named_modules()):
        if not isinstance(module, BatchNorm) or not module.track_running_stats:
            continue
        given = calls.inputs.get(id(module), [])
        layer = calls.producer(given[0]) if len(given) == 1 else None
        by_channel = isinstance(layer, Convolution) or (layer is not None and len(given[0].shape) == 2)
        if layer is not None and by_channel and readers.get(given[0]) == 1:
            _absorb(layer, module)
            _replace(model, path)
            folded.append(path)
    return folded


class _Calls:
    """Which nodes go into the normalisations and come out of the affine layers of a model."""

    def __init__(self, model: Module) -> None:
        self._model = model
        self.inputs: dict[int, list[ir.Node]] = {}
        self._outputs: list[tuple[ir.Node, Affine]] = []

    def run(self, *example: Any) -> list[ir.Node]:
        """Runs the model on ``example`` and keeps what its layers saw; the nodes of the result."""
        watched = [m for m in self._model.modules() if isinstance(m, (BatchNorm, Convolution, Linear))]
        for module in watched:
            module.__dict__["forward"] = self._watched(module)
        try:
            result = self._model(*example)
        finally:
            for module in watched:
                del module.__dict__["forward"]
        found = result if isinstance(result, (tuple, list)) else [result]
        return [tensor.node for tensor in found if isinstance(tensor, Tensor)]

    def _watched(self, module: Any) -> Any:
        forward = type(module).forward

        def watched(x: Tensor) -> Tensor:
            result: Tensor = forward(module, x)
            if isinstance(module, BatchNorm):
                self.inputs.setdefault(id(module), []).append(x.node)
            else:
                self._outputs.append((result.node, module))
            return result

        return watched

    def producer(self, node: ir.Node) -> Affine | None:
        """The layer whose only output ``node`` is."""
        layers = [layer for output, layer in self._outputs if output is node]
        uses = [output for output, layer in self._outputs if layers and layer is layers[0]]
        return layers[0] if len(layers) == len(uses) == 1 else None


def _readers(roots: list[ir.Node]) -> dict[ir.Node, int]:
    """How many nodes (and results) read each node."""
    counts: dict[ir.Node, int] = {}
    for node in [*ir.topological_order(roots)]:
        for operand in node.operands:
            counts[operand] = counts.get(operand, 0) + 1
    for root in roots:
        counts[root] = counts.get(root, 0) + 1
    return counts


def _absorb(layer: Affine, norm: BatchNorm) -> None:
    scale = (norm.running_var + norm.eps).rsqrt()
    scale = scale if norm.weight is None else scale * norm.weight
    shift = -norm.running_mean if layer.bias is None else layer.bias - norm.running_mean
    bias = shift * scale if norm.bias is None else shift * scale + norm.bias
    weight = layer.weight * scale.reshape(-1, *[1] * (layer.weight.ndim - 1))
    if layer.bias is None:
        layer.bias = bias.detach().realize()
    else:
        layer.bias.assign(bias.detach()).realize()
    layer.weight.assign(weight.detach()).realize()


def _replace(model: Module, path: str) -> None:
    """An ``Identity`` in the place of the module at ``path``."""
    *parents, last = path.split(".")
    owner: Any = model
    for name in parents:
        owner = owner[int(name)] if isinstance(owner, (list, tuple)) else (
            owner[name] if isinstance(owner, dict) else getattr(owner, name))
    if isinstance(owner, list):
        owner[int(last)] = Identity()
    elif isinstance(owner, dict):
        owner[last] = Identity()
    else:
        setattr(owner, last, Identity())
