"""Axis refinement: into which loops each dimension of each value splits.

A reshape reads one index as the digits of another, which costs a division per element unless both sides loop over those
digits. So dimensions are split up front: every dimension has a set of cuts (products of the extents inside it), equal
dimensions exchange cuts through elementwise ops and views, and a reshape exchanges scaled cuts between its two sides.
The loops of a value are then the coarsest common refinement of all reshapes around it. A cut that would break the
divisibility chain of a dimension ((6, 4) reshaped to (8, 3)) is refused: that access keeps its division.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ir.node import Node
from ir.ops.elementwise import ElementwiseOp
from ir.symbolic import Dimension, upper_bound


class Tie(NamedTuple):
    """Dimension ``i`` of ``first`` and dimension ``j`` of ``second`` run over the same index."""

    first: Node
    i: int
    second: Node
    j: int


def extents(node: Node) -> tuple[int, ...]:
    """The shape with every symbolic dimension at its largest value."""
    return tuple([size if isinstance(size, int) else upper_bound(size) for size in node.shape])


def matched_segments(left: Sequence[int], right: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """The dimensions of two shapes of equal volume, in minimal runs of equal product.

        >>> list(matched_segments((6, 4, 5), (24, 5)))
        [([0, 1], [0]), ([2], [1])]
    """
    i = j = 0
    while i < len(left) or j < len(right):
        a, b = i, j
        left_product = right_product = 1
        if i < len(left):
            left_product, i = left[i], i + 1
        if j < len(right):
            right_product, j = right[j], j + 1
        while left_product != right_product:
            if left_product < right_product:
                left_product, i = left_product * left[i], i + 1
            else:
                right_product, j = right_product * right[j], j + 1
        yield list(range(a, i)), list(range(b, j))


def ties(node: Node) -> list[Tie]:
    """Which dimensions of the node and of its operands run over the same index."""
    name, operands, attributes = node.op.name, node.operands, node.attributes
    if isinstance(node.op, ElementwiseOp) or name in _SAME_SHAPE:
        return [Tie(node, i, operand, i) for operand in operands for i in range(len(node.shape))]
    if name == "gather":
        return _gather_ties(node)
    if name == "scatter":
        return _scatter_ties(node)
    if name == "assign":
        return _equal(node, operands[1]) if attributes.region is None else []
    if name == "permute":
        return [Tie(node, i, operands[0], j) for i, j in enumerate(attributes.order)]
    if name == "reduce":
        kept = [i for i in range(len(operands[0].shape)) if i not in attributes.axes]
        return [Tie(node, i, operands[0], j) for i, j in enumerate(kept)]
    if name == "window":
        axis = attributes.axis
        return [Tie(node, i if i < axis else i + 1, operands[0], i)
                for i in range(len(operands[0].shape)) if i != axis]
    if name == "skew":
        return [Tie(node, i, operands[0], i) for i in range(len(node.shape)) if i != attributes.output_axis]
    if name in ("expand", "pad", "slice", "concat"):
        return [tie for operand in operands for tie in _equal(node, operand)]
    return []


_SAME_SHAPE = frozenset({"cast", "bitcast", "contiguous", "stop_gradient", "flip"})


def _equal(node: Node, operand: Node) -> list[Tie]:
    return [Tie(node, i, operand, i) for i, (a, b) in enumerate(zip(node.shape, operand.shape, strict=True)) if a == b]


def _gather_ties(node: Node) -> list[Tie]:
    table, index = node.operands
    batch, rank = node.attributes.batch, len(index.shape)
    return [*(Tie(node, i, index, i) for i in range(rank)), *(Tie(node, i, table, i) for i in range(batch)),
            *(Tie(node, rank + i, table, batch + 1 + i) for i in range(len(table.shape) - batch - 1))]


def _scatter_ties(node: Node) -> list[Tie]:
    initial, index, updates = node.operands
    batch, rank = node.attributes.batch, len(index.shape)
    return [*_equal(node, initial), *(Tie(updates, i, index, i) for i in range(rank)),
            *(Tie(node, i, index, i) for i in range(batch)),
            *(Tie(node, batch + 1 + i, updates, rank + i) for i in range(len(node.shape) - batch - 1))]


class Refinement:
    """The cuts of every dimension of every value in ``order``, to a fixpoint."""

    def __init__(self, order: Sequence[Node]) -> None:
        self.conflicts: list[tuple[Node, int, int]] = []
        self._extents = {node: extents(node) for node in order}
        self._cuts: dict[Node, list[set[int]]] = {node: [set() for _ in node.shape] for node in order}
        self._ties: dict[Node, list[Tie]] = {}
        self._factors: dict[tuple[Node, int], tuple[int, ...]] = {}
        self._propagate([node for node in order if node.op.name == "reshape"], order)

    def extents(self, node: Node) -> tuple[int, ...]:
        known = self._extents.get(node)
        return extents(node) if known is None else known

    def factors(self, node: Node, dimension: int) -> tuple[int, ...]:
        """The extents of the loops over one dimension, outermost first; none for an extent of one."""
        key = node, dimension
        known = self._factors.get(key)
        if known is None:
            size = self.extents(node)[dimension]
            cuts = sorted(self._cuts[node][dimension], reverse=True) if node in self._cuts else []
            steps = zip([size, *cuts], [*cuts, 1], strict=True)
            known = () if size == 1 else tuple(outer // inner for outer, inner in steps)
            self._factors[key] = known
        return known

    def _propagate(self, seeds: Iterable[Node], order: Sequence[Node]) -> None:
        work = list(seeds)
        if not work:
            return
        users: defaultdict[Node, list[Node]] = defaultdict(list)
        for node in order:
            for operand in node.operands:
                users[operand].append(node)
        queued = set(work)
        while work:
            node = work.pop()
            queued.discard(node)
            for changed in self._exchange(node):
                for neighbour in (changed, *users[changed]):
                    if neighbour not in queued:
                        queued.add(neighbour)
                        work.append(neighbour)

    def _exchange(self, node: Node) -> set[Node]:
        """One visit: equal dimensions take each other's cuts. Returns the values whose cuts changed."""
        changed: set[Node] = set()
        if node.op.name == "reshape":
            self._exchange_reshape(node, changed)
            return changed
        known = self._ties.get(node)
        if known is None:
            known = self._ties[node] = ties(node)
        for first, i, second, j in known:
            a, b = self._cuts[first][i], self._cuts[second][j]
            if a != b:
                for cut in b - a:
                    self._add(first, i, cut, changed)
                for cut in a - b:
                    self._add(second, j, cut, changed)
        return changed

    def _exchange_reshape(self, node: Node, changed: set[Node]) -> None:
        source = node.operands[0]
        if 0 in self._extents[node]:
            return
        for left, right in matched_segments(self._extents[source], self._extents[node]):
            places = [*self._places(source, left), *self._places(node, right)]
            flat = {inside * cut for value, i, inside in places for cut in (1, *self._cuts[value][i])}
            for value, i, inside in places:
                for cut in flat:
                    if inside < cut < inside * self._extents[value][i]:
                        self._add(value, i, cut // inside if cut % inside == 0 else 0, changed)

    def _places(self, node: Node, dimensions: list[int]) -> Iterator[tuple[Node, int, int]]:
        """(node, dimension, product of the extents inside it) for a run of dimensions."""
        inside = 1
        for i in reversed(dimensions):
            yield node, i, inside
            inside *= self._extents[node][i]

    def _add(self, node: Node, dimension: int, cut: int, changed: set[Node]) -> None:
        cuts, size = self._cuts[node][dimension], self._extents[node][dimension]
        if cut in cuts or cut == 1 or cut >= size:
            return
        if cut == 0 or size % cut or any(cut % other and other % cut for other in cuts) \
                or not _divides(node.shape[dimension], cut):
            self.conflicts.append((node, dimension, cut))
            return
        cuts.add(cut)
        changed.add(node)


def _divides(dimension: int | Dimension, cut: int) -> bool:
    """Whether every value of the dimension is a multiple of the cut."""
    return dimension.content % cut == 0 if isinstance(dimension, Dimension) else dimension % cut == 0
