"""What every subject of ``Tensor`` rests on: its fields, how results are wrapped, promotion and broadcasting.

A tensor is a name for a node of the graph. Methods build nodes; nothing is computed before a value is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Union

import numpy as np

import ir
from ir import Dimension, Node, dtypes
from ir.dtype import DType, DTypeLike, promote, to_dtype
from tinygrad_like.tensor import live

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor

Scalar = Union[bool, int, float]
Size = Union[int, Dimension]
Shape = tuple[Size, ...]
_MEMORY = (ir.BUFFER, ir.ASSIGN)


class TensorBase:
    """The fields of a tensor.

    requires_grad: True (a parameter), False (never differentiated) or None (see ``backward``).
    is_param: whether ``nn.state`` counts it among the parameters (tinygrad's mark; False for running statistics).
    """

    __slots__ = ("__weakref__", "_device", "_grad", "_node", "_origin", "_value", "is_param",
                 "requires_grad", "symbols")

    _node: Node
    _grad: Tensor | None
    __array_ufunc__ = None  # array + tensor is a tensor: NumPy leaves operators to us
    requires_grad: bool | None
    is_param: bool
    _device: str | None
    _value: Any  # the buffer node of a value that was computed for reading
    _origin: Any  # (tensor, subscript) of a part of a tensor in memory: assigning to the part writes the whole
    symbols: dict[str, int] | None

    @classmethod
    def from_node(cls, node: Node, device: str | None = None, symbols: dict[str, int] | None = None) -> Tensor:
        """The tensor whose value ``node`` describes. device None: it depends on no buffer and may be anywhere."""
        tensor = cls.__new__(cls)
        tensor._node, tensor._device, tensor.symbols = node, device, symbols
        tensor._grad = tensor.requires_grad = tensor._value = tensor._origin = None
        tensor.is_param = True
        live.register(tensor)
        return tensor

    @classmethod
    def from_result(cls, node: Node, device: str | None = None, symbols: dict[str, int] | None = None) -> Tensor:
        """``from_node`` for a node that may be another tensor's memory, as that of ``x * 1`` is: then a copy of it.

        Memory belongs to one tensor, for an assignment to it must not change another.
        """
        return cls.from_node(ir.contiguous(node) if node.op in _MEMORY else node, device, symbols)

    def _make(self, node: Node, *others: TensorBase) -> Tensor:
        """The result of an operation on this tensor and ``others``: itself where nothing changes."""
        if node is self._node and not others:
            return self
        device, symbols = self._device, self.symbols
        for other in others:
            if other._device is not device:
                device = common_device(device, other._device)
            if other.symbols is not symbols:
                symbols = merged_symbols(symbols, other.symbols)
        return self.from_result(node, device, symbols)

    # ------------------------------------------------------------------------------------------- properties

    @property
    def node(self) -> Node:
        """The graph of the value."""
        return self._node

    @node.setter
    def node(self, node: Node) -> None:
        self._node = node
        live.moved()

    @property
    def grad(self) -> Tensor | None:
        """The gradient that ``backward`` has accumulated, or None."""
        return self._grad

    @grad.setter
    def grad(self, grad: Tensor | None) -> None:
        if grad is not self._grad:
            self._grad = grad
            live.moved()

    @property
    def shape(self) -> Shape:
        """The sizes of the dimensions."""
        return self._node.shape

    @property
    def dtype(self) -> DType:
        """The type of the elements."""
        return self._node.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self._node.shape)

    def numel(self) -> Size:
        """The number of elements."""
        return ir.product(self._node.shape)

    @property
    def max_shape(self) -> tuple[int, ...]:
        """The shape with the largest value of every bounded dimension."""
        return tuple(ir.upper_bound(size) for size in self.shape)

    def max_numel(self) -> int:
        """The number of elements of ``max_shape``."""
        return math.prod(self.max_shape)

    def size(self, dim: int | None = None) -> Size | Shape:
        """The shape, or the size of one dimension (PyTorch's habit)."""
        return self.shape if dim is None else self.shape[self._axis(dim)]

    def element_size(self) -> int:
        """The bytes of one element."""
        return self.dtype.itemsize

    def nbytes(self) -> int:
        """The bytes of all elements."""
        return int(self.numel()) * self.dtype.itemsize

    def is_floating_point(self) -> bool:
        """Whether the elements are floats."""
        return self.dtype.is_float

    # ------------------------------------------------------------------------------------------- arguments

    def _axis(self, axis: int, extra: int = 0) -> int:
        """``axis`` counted from the front; ``extra`` dimensions are about to be added. IndexError out of range."""
        rank = max(self.ndim + extra, 1)
        if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
            raise TypeError(f"a dimension must be an int, got {type(axis).__name__} {axis!r}")
        if not -rank <= axis < rank:
            raise IndexError(f"dimension {axis} is out of range for shape {self.shape}: expected {-rank} to {rank - 1}")
        return int(axis) + rank if axis < 0 else int(axis)

    def _axes(self, axis: int | Sequence[int] | None) -> tuple[int, ...]:
        """The dimensions meant by the ``axis`` of a reduction: None means all. ValueError where one is given twice."""
        if axis is None:
            return tuple(range(self.ndim))
        given = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
        axes = tuple(self._axis(a) for a in given)
        if len(set(axes)) != len(axes):
            raise ValueError(f"a dimension is given twice in axis={axis!r} for shape {self.shape}")
        return axes if self.ndim else ()

    def _lift(self, value: Any, dtype: DType | None = None) -> Tensor:
        """``value`` as a tensor: a number takes the dtype that suits this tensor (numbers are weak)."""
        if isinstance(value, TensorBase):
            return value
        if isinstance(value, np.ndarray) and value.ndim:
            return type(self)(value, device=self._device)
        number = plain_scalar(value)
        return self.from_node(ir.constant(number, dtype or weak_dtype(self.dtype, number)), None)

    def _operands(self, other: Any, reverse: bool = False) -> tuple[Node, Node, TensorBase]:
        """This tensor and ``other`` promoted and broadcast to each other, and ``other`` as a tensor."""
        mine = self.node
        if not isinstance(other, (TensorBase, np.ndarray)):
            number = plain_scalar(other)
            dtype = weak_dtype(mine.dtype, number)
            mine = cast_node(mine, dtype)
            theirs, partner = ir.constant(number, dtype, mine.shape), self
        else:
            partner = self._lift(other)
            theirs = partner.node
            if mine.dtype is not theirs.dtype:
                dtype = promote(mine.dtype, theirs.dtype)
                mine, theirs = cast_node(mine, dtype), cast_node(theirs, dtype)
            if mine.shape != theirs.shape:
                shape = broadcast_shape(mine.shape, theirs.shape)
                mine, theirs = broadcast_node(mine, shape), broadcast_node(theirs, shape)
        return (theirs, mine, partner) if reverse else (mine, theirs, partner)

    def cast(self, dtype: DTypeLike) -> Tensor:
        """The elements converted to ``dtype``: floats to integers toward zero, anything to bool as ``!= 0``."""
        return self._make(cast_node(self.node, to_dtype(dtype)))

    def _as_float(self) -> Tensor:
        """This tensor where it is floating-point, else converted to the default float."""
        return self if self.dtype.is_float else self.cast(dtypes.default_float)

    def _broadcast_to(self, shape: Shape) -> Tensor:
        return self._make(broadcast_node(self.node, shape))


def plain_scalar(value: Any) -> Scalar:
    """A Python number from a Python or NumPy scalar; TypeError names what was given."""
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return plain_scalar(value.item())
    raise TypeError(f"expected a Tensor, a NumPy array or a number, got {type(value).__name__} {value!r}")


def weak_dtype(dtype: DType, number: Scalar) -> DType:
    """The dtype of an operation of a tensor of ``dtype`` with a Python number, which never widens within its kind."""
    if isinstance(number, bool) or dtype.is_float:
        return dtype
    if isinstance(number, int):
        return dtypes.default_int if dtype.is_bool else dtype
    return dtypes.default_float


def cast_node(node: Node, dtype: DType) -> Node:
    return node if node.dtype is dtype else ir.cast(node, dtype)


def broadcast_shape(*shapes: Shape) -> Shape:
    """The common shape by NumPy's rules; ValueError with both shapes where there is none."""
    rank = max((len(shape) for shape in shapes), default=0)
    result: list[Size] = [1] * rank
    for shape in shapes:
        for position, size in enumerate(shape, rank - len(shape)):
            if size == 1 or size == result[position]:
                continue
            if result[position] != 1:
                raise ValueError(f"cannot broadcast shapes {' and '.join(map(str, shapes))}: dimension "
                                 f"{position - rank} has sizes {result[position]} and {size}; sizes must be equal or 1")
            result[position] = size
    return tuple(result)


def broadcast_node(node: Node, shape: Shape) -> Node:
    """``node`` with leading dimensions added and sizes of 1 repeated up to ``shape``."""
    if node.shape == shape:
        return node
    missing = len(shape) - len(node.shape)
    if missing < 0 or any(a not in (1, b) for a, b in zip(node.shape, shape[missing:], strict=True)):
        raise ValueError(f"cannot broadcast shape {node.shape} to {shape}: sizes must be equal or 1, from the last on")
    if missing:
        node = ir.reshape(node, (1,) * missing + node.shape)
    return node if node.shape == shape else ir.expand(node, shape)


def keep_axes(node: Node, shape: Shape, axes: Iterable[int]) -> Node:
    """The result of a reduction of ``shape`` over ``axes`` with those dimensions back as 1."""
    reduced = frozenset(axes)
    return ir.reshape(node, tuple(1 if i in reduced else size for i, size in enumerate(shape)))


def merged_symbols(first: dict[str, int] | None, second: dict[str, int] | None) -> dict[str, int] | None:
    """The values of bounded variables of two values that meet; ValueError where a variable has two."""
    if not first or not second:
        return first or second
    for name, value in second.items():
        if first.get(name, value) != value:
            raise ValueError(f"the variable {name!r} is bound to {first[name]} and to {value} in one expression; "
                             "realize() the part with one value before using another")
    return {**first, **second}


def common_device(first: str | None, second: str | None) -> str | None:
    if first is None or second is None or first == second:
        return first or second
    raise ValueError(f"tensors on {first} and {second} meet in one operation; move one of them with .to({first!r})")


def shape_argument(shape: Any, rest: Sequence[Any] = ()) -> Shape:
    """The shape from ``f(2, 3)``, ``f((2, 3))`` or ``f([2, 3])``; sizes may be bounded variables."""
    given = (shape, *rest) if rest or not isinstance(shape, (tuple, list)) else tuple(shape)
    return tuple(_size(size) for size in given)


def _size(size: Any) -> Any:
    if isinstance(size, (ir.BoundVariable, ir.BoundDimension)):
        return size.dimension
    if size is None or isinstance(size, Dimension) or (isinstance(size, int) and not isinstance(size, bool)):
        return size
    if isinstance(size, np.integer):
        return int(size)
    raise TypeError(f"a size must be an int or a Variable, got {type(size).__name__} {size!r}")
