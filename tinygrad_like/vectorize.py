"""``vmap``: a function of one example as a function of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import wraps
from typing import Any

import ir
from ir import batching
from tinygrad_like.tensor import Tensor
from tinygrad_like.tensor.base import TensorBase
from tinygrad_like.tensor.random_state import collected_keys
from tinygrad_like.transforms import Function
from tinygrad_like.tree import Structure, flatten


def vmap(function: Function, in_axes: Any = 0, out_axes: Any = 0, randomness: str = "same") -> Function:
    """A function that applies ``function`` to each example of a batch and stacks what it returns.

    in_axes: for each positional argument the dimension over which it is batched, or None where all examples share it;
    one number for all; an argument that is a nest may have a nest of them, or one for all its leaves. out_axes: where
    the batch is in what is returned, likewise; None for what is the same for all examples. Leaves that are no tensors
    are shared. The graph is rewritten, so that products become batched products; nothing is repeated that the examples
    share. randomness: whether random numbers that the function draws are the "same" for all examples or "different".

        >>> rows, weights = Tensor([[1.0, 2.0], [3.0, 4.0]]), Tensor([1.0, 10.0])
        >>> vmap(lambda row, w: (row * w).sum(), in_axes=(0, None))(rows, weights).tolist()
        [21.0, 43.0]

    vmap, grad and jit compose in any order. Errors: ValueError for batches of unequal sizes or for none at all, and for
    an out_axes of None where a result depends on the example.
    """
    if randomness not in ("same", "different"):
        raise ValueError(f"randomness is 'same' or 'different', got {randomness!r}")

    @wraps(function)
    def transformed(*arguments: Any, **keywords: Any) -> Any:
        leaves, structure = flatten(arguments)
        axes = _spread_axes(list(in_axes) if isinstance(in_axes, (tuple, list)) else in_axes, structure, "in_axes")
        given, replacements, size = _stand_ins(leaves, axes)
        with collected_keys() as keys:
            returned = function(*structure.rebuild(given), **keywords)
        if randomness == "different":
            replacements.update({key: _own_keys(key, size) for key in keys})
        results, result_structure = flatten(returned)
        places = _spread_axes(out_axes, result_structure, "out_axes")
        numbers = [number for number, leaf in enumerate(results) if isinstance(leaf, TensorBase)]
        old = [results[number].node for number in numbers]
        for number, node, before in zip(numbers, batching.batched(old, replacements, size), old, strict=True):
            leaf, place = results[number], places[number]
            if place is None:
                if node is not before:
                    raise ValueError("out_axes is None for a result that depends on the example; give the dimension "
                                     "where its batch is to be")
                continue
            wide = batching.repeated(node, size) if node is before else node
            results[number] = _moved(Tensor.from_result(wide, leaf._device, leaf.symbols), place)
        return result_structure.rebuild(results)

    return transformed


def _stand_ins(leaves: Sequence[Any], axes: Sequence[int | None]) -> tuple[list[Any], dict[ir.Node, ir.Node], Any]:
    """The leaves as one example sees them, what the stand-ins stand for, and the size of the batch."""
    given, replacements, sizes = list(leaves), {}, {}
    for number, (leaf, axis) in enumerate(zip(leaves, axes, strict=True)):
        if not isinstance(leaf, Tensor) or axis is None:
            continue
        if not leaf.ndim:
            raise ValueError(f"vmap batches over dimension {axis} of a scalar tensor; give None for it in in_axes")
        front = _front(leaf, axis)
        sizes[number] = front.shape[0]
        parameter = ir.fresh_parameter(front.dtype, front.shape[1:])
        replacements[parameter] = front.node
        given[number] = Tensor.from_node(parameter, leaf._device, leaf.symbols)
    if len(set(sizes.values())) != 1:
        found = ", ".join(map(str, sizes.values())) or "no batched tensor"
        raise ValueError(f"vmap needs batches of one size, got {found}")
    return given, replacements, next(iter(sizes.values()))


def _front(tensor: Tensor, axis: int) -> Tensor:
    """``tensor`` with dimension ``axis`` first."""
    place = tensor._axis(axis)
    return tensor if place == 0 else tensor.permute(place, *(i for i in range(tensor.ndim) if i != place))


def _own_keys(key: ir.Node, size: Any) -> ir.Node:
    """[size]: a key for each example, made of the common one and the example's number."""
    number = ir.cast(ir.iota(size), ir.dtypes.uint64)
    return ir.random_bits(number, ir.expand(ir.reshape(key, (1,)), (size,)))


def _moved(tensor: Tensor, axis: int) -> Tensor:
    """``tensor`` with its first dimension at ``axis``."""
    place = tensor._axis(axis)
    return tensor if place == 0 else tensor.permute(*range(1, place + 1), 0, *range(place + 1, tensor.ndim))


def _spread_axes(axes: Any, structure: Structure, name: str) -> list[int | None]:
    """One axis for each leaf of ``structure`` from a nest of axes that may end earlier."""
    if axes is None or isinstance(axes, int):
        return [axes] * structure.leaf_count
    items = list(axes.values()) if isinstance(axes, dict) else list(axes) if isinstance(axes, (tuple, list)) else None
    if items is None or structure.kind is None or len(items) != len(structure.parts):
        raise ValueError(f"{name}={axes!r} does not fit what it is for: {structure.paths() or 'nothing'}")
    keys = structure.keys
    if isinstance(axes, dict) and keys is not None:
        items = [axes[key] for key in keys]
    return [axis for item, part in zip(items, structure.parts, strict=True) for axis in _spread_axes(item, part, name)]
