"""The loops over the dimensions of values: new ones, or those that a reader offered.

A reader offers its own axes to what it reads wherever it reads digit by digit. So most of a graph shares axes by
identity, and inlining needs no substitution.
"""

from __future__ import annotations

from codegen.index import ZERO, Axis, Index
from codegen.schedule.access import Site, as_index
from codegen.schedule.axes import Refinement
from codegen.schedule.computation import Loops
from ir.node import Node
from ir.symbolic import Dimension

SOURCES = frozenset({"buffer", "parameter", "constant", "iota", "project"})  # values that no loops compute


class LoopMaker:
    """Makes loops from the factors of a refinement, and remembers offers."""

    def __init__(self, refinement: Refinement) -> None:
        self._refinement = refinement
        self._offered: dict[Node, list[Loops | None]] = {}

    def new(self, node: Node, dimension: int) -> Loops:
        """New loops over one dimension of a value."""
        factors = self._refinement.factors(node, dimension)
        limits = self._limits(node, dimension, factors)
        axes = tuple([Axis(factor, limit=limit) for factor, limit in zip(factors, limits, strict=True)])
        index, inside = ZERO, 1
        for axis in reversed(axes):
            index, inside = index + Index.of(axis) * inside, inside * axis.extent
        return Loops(axes, index)

    def _limits(self, node: Node, dimension: int, factors: tuple[int, ...]) -> list[Index | None]:
        """The run-time extents of the loops over one dimension: only the outermost can have one."""
        size = node.shape[dimension]
        limits: list[Index | None] = [None] * len(factors)
        if isinstance(size, Dimension) and factors:
            inside = self._refinement.extents(node)[dimension] // factors[0]
            limits[0] = as_index(size) // inside
        return limits

    def domain(self, node: Node) -> list[Loops]:
        """Loops over every dimension of a value: those a reader offered, and new ones."""
        offered = self._offered.pop(node, None)
        if offered is None:
            return [self.new(node, i) for i in range(len(node.shape))]
        return [known or self.new(node, i) for i, known in enumerate(offered)]

    def offer(self, site: Site) -> None:
        """Offers the axes at ``site`` to the value there, dimension by dimension, unless someone did before."""
        node = site.node
        if node in self._offered or node.op.name in SOURCES:
            return
        taken: set[Axis] = set()
        offered: list[Loops | None] = []
        for dimension, index in enumerate(site.indices):
            axes = self._bare_digits(node, dimension, index)
            if axes is None or not taken.isdisjoint(axes):
                offered.append(None)
            else:
                taken.update(axes)
                offered.append(Loops(axes, index))
        self._offered[node] = offered

    def _bare_digits(self, node: Node, dimension: int, index: Index) -> tuple[Axis, ...] | None:
        """The axes that ``index`` is the row-major number of, if they are exactly the loops of the dimension."""
        factors = self._refinement.factors(node, dimension)
        if len(index.terms) != len(factors) or index.constant:
            return None
        axes: list[Axis] = []
        inside = 1
        for factor, limit in zip(reversed(factors), reversed(self._limits(node, dimension, factors)), strict=True):
            axis = next((atom for atom, coefficient in index.terms
                         if coefficient == inside and isinstance(atom, Axis)), None)
            if axis is None or axis.extent != factor or axis.limit != limit:
                return None
            axes.append(axis)
            inside *= factor
        return tuple(reversed(axes))

    def forget(self, node: Node) -> None:
        """Nobody will ask for the loops of ``node``: it became part of another value."""
        self._offered.pop(node, None)
