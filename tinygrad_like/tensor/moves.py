"""Moving elements under PyTorch's names: turns, exchanges of dimensions, pieces, diagonals. All are views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ir
from tinygrad_like.tensor.base import Size, TensorBase, shape_argument

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor


class MovesMixin(TensorBase):
    """Compositions of ``permute``, ``flip``, ``shrink`` and ``reshape``."""

    __slots__ = ()

    # ------------------------------------------------------------------------------------------- turns

    def rot90(self, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
        """Turned by ``k`` quarters of a circle, from the first of ``dims`` towards the second."""
        first, second = self._pair("rot90", dims)
        k %= 4
        if k == 0:
            return self
        if k == 2:
            return self.flip((first, second))
        turned = self.flip(second) if k == 1 else self
        turned = turned.transpose(first, second)
        return turned if k == 1 else turned.flip(second)

    def fliplr(self) -> Tensor:
        """The order of columns (dimension 1) reversed."""
        if self.ndim < 2:
            raise ValueError(f"fliplr needs two or more dimensions, got shape {self.shape}")
        return self.flip(1)

    def flipud(self) -> Tensor:
        """The order of rows (dimension 0) reversed."""
        if self.ndim < 1:
            raise ValueError("flipud needs one or more dimensions, got a scalar")
        return self.flip(0)

    # ------------------------------------------------------------------------------------------- dimensions

    def movedim(self, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
        """Dimensions ``source`` moved to the places ``destination``; the others keep their order.

            >>> Tensor.zeros(2, 3, 4).movedim(0, -1).shape
            (3, 4, 2)
        """
        given = (source,) if isinstance(source, int) else tuple(source)
        wanted = (destination,) if isinstance(destination, int) else tuple(destination)
        if len(given) != len(wanted):
            raise ValueError(f"movedim needs one destination per source, got {source!r} and {destination!r}")
        sources, places = self._axes(given), self._axes(wanted)
        rest = iter([i for i in range(self.ndim) if i not in sources])
        origin = dict(zip(places, sources, strict=True))
        order = [origin[place] if place in origin else next(rest) for place in range(self.ndim)]
        return self.permute(order) if order else self

    def moveaxis(self, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
        """Another name of ``movedim``."""
        return self.movedim(source, destination)

    def swapaxes(self, axis0: int, axis1: int) -> Tensor:
        """Two dimensions exchanged: ``transpose``."""
        return self.transpose(axis0, axis1)

    def swapdims(self, dim0: int, dim1: int) -> Tensor:
        """Two dimensions exchanged: ``transpose``."""
        return self.transpose(dim0, dim1)

    def t(self) -> Tensor:
        """A matrix transposed; a vector or a scalar as it is."""
        if self.ndim > 2:
            raise ValueError(f"t needs at most two dimensions, got shape {self.shape}; use .mT or .transpose")
        return self.transpose(0, 1) if self.ndim == 2 else self

    @property
    def mT(self) -> Tensor:  # noqa: N802  # PyTorch's name
        """The last two dimensions exchanged."""
        if self.ndim < 2:
            raise ValueError(f"mT needs two or more dimensions, got shape {self.shape}")
        return self.transpose(-2, -1)

    def dim(self) -> int:
        """The number of dimensions."""
        return self.ndim

    def ravel(self) -> Tensor:
        """All elements in one dimension."""
        return self.flatten()

    def broadcast_to(self, shape: Any, *rest: Any) -> Tensor:
        """Dimensions of size 1 (and missing leading ones) repeated to ``shape``, by NumPy's rules."""
        return self._broadcast_to(shape_argument(shape, rest))

    def expand_as(self, other: Tensor) -> Tensor:
        """Expanded to the shape of ``other``."""
        return self.expand(other.shape)

    def view_as(self, other: Tensor) -> Tensor:
        """The same elements in the shape of ``other``."""
        return self.reshape(other.shape)

    def reshape_as(self, other: Tensor) -> Tensor:
        """The same elements in the shape of ``other``."""
        return self.reshape(other.shape)

    def tile(self, reps: Any, *rest: int) -> Tensor:
        """The whole tensor repeated along each dimension; missing counts in front are 1 (NumPy's ``tile``)."""
        counts = shape_argument(reps, rest)
        return self.repeat((1,) * (self.ndim - len(counts)) + counts)

    # ------------------------------------------------------------------------------------------- pieces

    def narrow(self, dim: int, start: int, length: Size) -> Tensor:
        """``length`` elements of ``dim`` from ``start`` on (counted from the end where negative)."""
        axis = self._axis(dim)
        first = start + self.shape[axis] if start < 0 else start
        return self._cut(axis, first, first + length)

    def select(self, dim: int, index: int) -> Tensor:
        """One element of ``dim``, which disappears."""
        return self[(slice(None),) * self._axis(dim) + (index,)]

    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:
        """All slices along ``dim``, which disappears."""
        if not self.ndim:
            raise ValueError("unbind needs one or more dimensions, got a scalar")
        axis = self._axis(dim)
        return tuple(self.select(axis, number) for number in range(int(self.shape[axis])))

    def tensor_split(self, indices_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
        """That many pieces along ``dim``, the first ones larger by 1 if need be; or pieces cut before each index."""
        axis = self._axis(dim)
        size = int(self.shape[axis])
        if isinstance(indices_or_sections, int):
            count = indices_or_sections
            if count < 1:
                raise ValueError(f"tensor_split needs 1 or more pieces, got {count}")
            small, larger = divmod(size, count)
            return self.split([small + (number < larger) for number in range(count)], axis)
        cuts = [min(max(cut + size if cut < 0 else cut, 0), size) for cut in indices_or_sections]
        starts, stops = [0, *cuts], [*cuts, size]
        return tuple(self._cut(axis, start, max(start, stop)) for start, stop in zip(starts, stops, strict=True))

    def hsplit(self, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
        """Pieces along dimension 1 (0 of a vector), equal ones for a number, which must divide the size."""
        return self._equal_pieces("hsplit", indices_or_sections, 1 if self.ndim > 1 else 0, 1)

    def vsplit(self, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
        """Pieces along dimension 0 of two or more."""
        return self._equal_pieces("vsplit", indices_or_sections, 0, 2)

    def dsplit(self, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
        """Pieces along dimension 2 of three or more."""
        return self._equal_pieces("dsplit", indices_or_sections, 2, 3)

    def _equal_pieces(self, name: str, sections: int | Sequence[int], dim: int, rank: int) -> tuple[Tensor, ...]:
        if self.ndim < rank:
            raise ValueError(f"{name} needs {rank} or more dimensions, got shape {self.shape}")
        if isinstance(sections, int) and (sections < 1 or int(self.shape[dim]) % sections):
            raise ValueError(f"{name} into {sections} equal pieces of a dimension of size {self.shape[dim]}; "
                             "tensor_split allows unequal ones")
        return self.tensor_split(sections, dim)

    # ------------------------------------------------------------------------------------------- diagonals

    def diag_embed(self, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
        """Matrices with the last dimension of this tensor on their ``offset``-th diagonal, zeros elsewhere.

        dim1, dim2: where the rows and columns of the matrices are in the result.
        """
        if not self.ndim:
            raise ValueError("diag_embed needs one or more dimensions, got a scalar")
        size = self.shape[-1] + abs(offset)
        padded = self.pad([None] * (self.ndim - 1) + [(max(-offset, 0), max(offset, 0))])
        row = self.from_node(ir.iota(size)).unsqueeze(1)
        column = self.from_node(ir.iota(size)).unsqueeze(0)
        matrices = (row + offset == column).where(padded.unsqueeze(-1), 0)
        return matrices.movedim((-2, -1), (dim1, dim2))

    def diagflat(self, offset: int = 0) -> Tensor:
        """The matrix with all elements on its ``offset``-th diagonal."""
        return self.flatten().diag_embed(offset)

    def _pair(self, name: str, dims: Sequence[int]) -> tuple[int, int]:
        """Two different dimensions."""
        given = tuple(dims)
        if len(given) != 2 or self._axis(given[0]) == self._axis(given[1]):
            raise ValueError(f"{name} needs two different dimensions of shape {self.shape}, got {given}")
        return self._axis(given[0]), self._axis(given[1])
