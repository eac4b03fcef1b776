"""From nodes to computations, consumers first: views become index expressions, everything else gets loops."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate, count

from codegen.expression import dynamic_index, guarded
from codegen.index import ZERO, Axis, Index
from codegen.kernel import Apply, Constant, Expression, Guard, IndexValue, Read, SortStatement
from codegen.schedule.access import Binding, Site, as_index, element, is_view, locate, sliced, within, zero
from codegen.schedule.axes import Refinement, extents
from codegen.schedule.computation import Access, Computation, Kind, Loops
from codegen.schedule.loop_maker import SOURCES, LoopMaker
from codegen.schedule.scan import LoopContext, Part, add_scan
from ir.graph import topological_order
from ir.node import Node, located, make_node, tagged
from ir.op import GraphError
from ir.ops.elementwise import ElementwiseOp
from ir.ops.marker import CONTIGUOUS
from ir.ops.reduce import identity
from ir.symbolic import Dimension

_tags_of_parts = count(-1, -1)  # parts of values are unlike each other and unlike the nodes of the user's graph


class Builder:
    """The computations of the values in ``order`` (operands first).

    outputs: the values that must be in memory; a view among them is copied.
    parts: values that are written into the storage of others (in a loop body).
    bindings: what the parameters of a loop body stand for.
    """

    def __init__(self, order: Sequence[Node], outputs: Iterable[Node], context: LoopContext,
                 parts: Sequence[Part] = (), bindings: Mapping[Node, Binding] | None = None) -> None:
        self.loops = LoopMaker(Refinement(order))
        self.context = context
        self.bindings = bindings or {}
        self.computations: dict[Node, Computation] = {}
        self._outputs = frozenset(outputs)
        self._uses = Counter(operand for node in order for operand in node.operands)
        self._uses.update((*self._outputs, *(part.source for part in parts)))
        self._projected: defaultdict[Node, list[int]] = defaultdict(list)
        self._absorbed: set[Node] = set()
        self._accesses: list[Access] = []
        self._made: list[Computation] = []
        for part in parts:
            self.add(self.part(part))
        for node in reversed(order):
            self._make(node)

    @property
    def order(self) -> list[Computation]:
        """The computations, producers first, numbered so."""
        ordered = self._made[::-1]
        for number, computation in enumerate(ordered):
            computation.number = number
        return ordered

    # -------------------------------------------------------------------------------------------- which and how

    def _make(self, node: Node) -> None:
        if node in self._absorbed or 0 in extents(node):
            return
        name = node.op.name
        if name == "project":
            self._projected[node.operands[0]].append(node.attributes.result)
        elif isinstance(node.op, ElementwiseOp) or name in ("cast", "bitcast"):
            self.add(self._elementwise(node))
        elif name in _MAKERS:
            _MAKERS[name](self, node)
        elif name not in SOURCES and not is_view(node):
            raise GraphError(f"{node!r} at {node.location} cannot be scheduled: no rule for the op {name!r}")
        elif node in self._outputs:
            self.add(self._copy(node, node))

    def add(self, computation: Computation) -> None:
        """Takes up a computation together with the accesses that were made for it."""
        computation.accesses, self._accesses = [*computation.accesses, *self._accesses], []
        computation.required = computation.required or computation.node in self._outputs
        self.computations[computation.node] = computation
        self._made.append(computation)

    def access(self, accesses: Iterable[Access]) -> None:
        """Remembers accesses of the computation that is being made."""
        self._accesses.extend(accesses)

    def operand(self, node: Node, indices: Sequence[Index]) -> Expression:
        """The element of ``node`` at ``indices``; remembers the access and offers the reader's axes to what is read."""
        return self._element(locate(node, indices, self.bindings))

    def _element(self, site: Site) -> Expression:
        if site.node.op.name not in ("constant", "iota"):
            self._accesses.append(Access(site.node, site.indices, site.injective))
            self.loops.offer(site)
        return element(site)

    # --------------------------------------------------------------------------------------------- pointwise ops

    def _pointwise(self, node: Node, loops: list[Loops], expression: Expression) -> Computation:
        return Computation(node, Kind.POINTWISE, tuple(axis for dimension in loops for axis in dimension.axes),
                           tuple(dimension.index for dimension in loops), expression, tuple(loops))

    def _elementwise(self, node: Node) -> Computation:
        loops = self.loops.domain(node)
        indices = [dimension.index for dimension in loops]
        operands = tuple([self.operand(operand, indices) for operand in node.operands])
        return self._pointwise(node, loops, Apply(node.op.name, operands, node.dtype))

    def _copy(self, node: Node, source: Node) -> Computation:
        """``node`` as a value of its own with the elements of ``source``, which has the same shape."""
        loops = self.loops.domain(node)
        computation = self._pointwise(node, loops, self.operand(source, [dimension.index for dimension in loops]))
        computation.required = True
        return computation

    def _contiguous(self, node: Node) -> None:
        self.add(self._copy(node, node.operands[0]))

    def _gather(self, node: Node) -> None:
        table, index = node.operands
        batch, rank = node.attributes.batch, len(index.shape)
        loops = self.loops.domain(node)
        indices = [dimension.index for dimension in loops]
        position = self._loaded_index(self.operand(index, indices[:rank]), extents(table)[batch])
        inside = self.operand(table, [*indices[:batch], position, *indices[rank:]])
        if self._accesses:
            self._accesses[-1] = self._accesses[-1]._replace(injective=False)
        guards = within(position, table.shape[batch])
        expression = zero(node) if 0 in extents(table) else guarded(guards, inside, zero(node))
        self.add(self._pointwise(node, loops, expression))

    def _concat(self, node: Node) -> None:
        """The operands side by side: a balanced tree of guards chooses the one that an index falls into.

        Where an operand must be computed before it can be read, every operand is written into its part instead.
        """
        axis = node.attributes.axis
        starts = list(accumulate((as_index(operand.shape[axis]) for operand in node.operands), initial=ZERO))
        if any(self._is_reduced(operand) for operand in node.operands):
            join = Computation(node, Kind.JOIN, (), (), Read(node, ()), whole=False, required=True)
            self.add(join)
            for operand, start in zip(node.operands, starts, strict=False):
                join.after.append(self.part(Part(node, operand, offset=(axis, start))))
                self.add(join.after[-1])
            return
        loops = self.loops.domain(node)
        indices = [dimension.index for dimension in loops]
        branches: list[tuple[int, Expression]] = []
        for number, operand in enumerate(node.operands):
            inside = [*indices[:axis], indices[axis] - starts[number], *indices[axis + 1:]]
            branches.append((number, self.operand(operand, inside)))
        while len(branches) > 1:
            pairs = [(left, right[1], _before(indices[axis], starts[right[0]]))
                     for left, right in zip(branches[::2], branches[1::2], strict=False)]
            joined = [(left[0], guarded((guard,), left[1], right)) for left, right, guard in pairs]
            branches = joined + branches[len(joined) * 2:]
        self.add(self._pointwise(node, loops, branches[0][1]))

    def _is_reduced(self, node: Node) -> bool:
        """Whether the node is, through views, a reduction that nothing else reads."""
        while self._uses[node] == 1:
            if node.op.name == "reduce":
                return True
            if not is_view(node):
                return False
            node = node.operands[0]
        return False

    def _loaded_index(self, expression: Expression, extent: int) -> Index:
        """The value of an integer expression as an index; one that loads nothing needs no dynamic atom."""
        if isinstance(expression, IndexValue):
            return expression.index
        if isinstance(expression, Constant):
            return Index.of(int(expression.value))
        return dynamic_index(expression, extent)

    # ------------------------------------------------------------------------------------------------ reductions

    def _reduction(self, node: Node) -> None:
        source, monoid = node.operands[0], node.attributes.monoid
        kept = iter(self.loops.domain(node))
        reduced_dimensions = frozenset(node.attributes.axes)
        loops = [self.loops.new(source, i) if i in reduced_dimensions else next(kept)
                 for i in range(len(source.shape))]
        outer = [dimension for i, dimension in enumerate(loops) if i not in reduced_dimensions]
        if 0 in extents(source):
            self.add(self._pointwise(node, outer, Constant(identity(monoid, node.dtype), node.dtype)))
            return
        inner = [loops[i] for i in sorted(reduced_dimensions)]
        position = self._position(source, node.attributes.axes, inner) if monoid in ("argmax", "argmin") else None
        site = self._merged_sums(node, locate(source, [d.index for d in loops], self.bindings), inner)
        expression = self._element(site)
        reduced = frozenset(axis for dimension in inner for axis in dimension.axes)
        if not reduced:
            self.add(self._pointwise(node, outer, expression if position is None else Constant(0, node.dtype)))
            return
        axes = tuple(axis for dimension in loops for axis in dimension.axes)
        extra = tuple(axis for dimension in inner for axis in dimension.axes if axis not in axes)
        self.add(Computation(
            node, Kind.REDUCTION, axes + extra, tuple(dimension.index for dimension in outer), expression,
            tuple(outer), reduced=reduced, monoid=monoid, position=position))

    def _position(self, source: Node, axes: Sequence[int], inner: list[Loops]) -> Index:
        """The row-major number of a point among the reduced ones."""
        position, inside = ZERO, 1
        for axis, dimension in zip(sorted(axes, reverse=True), reversed(inner), strict=True):
            position = position + dimension.index * inside
            inside *= extents(source)[axis]
            if isinstance(source.shape[axis], Dimension) and axis != min(axes):
                raise GraphError(f"argmax or argmin at {source.location} counts over the symbolic dimension "
                                 f"{source.shape[axis]} inside another; reduce over one axis at a time")
        return position

    def _merged_sums(self, node: Node, site: Site, inner: list[Loops]) -> Site:
        """The sum of (a view of) a sum is one sum where the view only renames elements; ``inner`` gets its loops."""
        top = node.operands[0]
        while self._is_mergeable(node, top, site):
            below = site.node
            self._absorbed.add(below)
            self.loops.forget(below)
            kept = iter(site.indices)
            indices: list[Index] = []
            for i in range(len(below.operands[0].shape)):
                if i in below.attributes.axes:
                    inner.append(self.loops.new(below.operands[0], i))
                    indices.append(inner[-1].index)
                else:
                    indices.append(next(kept))
            top = below.operands[0]
            deeper = locate(top, indices, self.bindings)
            site = deeper._replace(guards=site.guards + deeper.guards)
        return site

    def _is_mergeable(self, node: Node, top: Node, site: Site) -> bool:
        below = site.node
        if below.op.name != "reduce" or node.attributes.monoid != "sum" or below.attributes.monoid != "sum":
            return False
        if below.dtype is not node.dtype or not site.injective or not site.zero_filled:
            return False
        if 0 in extents(below.operands[0]):
            return False
        while self._uses[top] == 1 and top not in self._outputs:
            if top is below:
                return True
            top = top.operands[0]
        return False

    # ------------------------------------------------------------------------------- writes into other storage

    def part(self, part: Part) -> Computation:
        """The computation that writes one value into the storage of another."""
        with tagged(next(_tags_of_parts)), located(part.source.location):
            node = make_node(CONTIGUOUS, (part.owner,), CONTIGUOUS.Attributes())  # of the owner's shape
        loops = self.loops.domain(part.source)
        indices = [dimension.index for dimension in loops]
        computation = self._pointwise(node, loops, self.operand(part.source, indices))
        computation.owner, computation.overwrites, computation.required = part.owner, part.overwrites, True
        if part.offset is not None:
            axis, start = part.offset
            indices[axis] = indices[axis] + start
        computation.indices = sliced(indices, part.slice)
        computation.whole = part.slice is None and part.offset is None
        return computation

    def _assign(self, node: Node) -> None:
        target, value = node.operands
        region = node.attributes.region
        if region is None and self._scatters_into(target, value):
            self._absorbed.add(value)
            self._add_scatter(node, value, target)
            return
        loops = self.loops.domain(value if region is not None else node)
        computation = self._pointwise(node, loops, self.operand(value, [dimension.index for dimension in loops]))
        computation.overwrites, computation.owner, computation.required = target, _buffer_of(target), True
        if region is not None:
            computation.whole = False
            computation.indices = tuple([dimension.index * step + as_index(start)
                                         for dimension, (start, _, step) in zip(loops, region, strict=True)])
        self.add(computation)

    def _scan(self, node: Node) -> None:
        add_scan(self, node, self._projected[node])

    def _argsort(self, node: Node) -> None:
        source, (axis, descending, count) = node.operands[0], node.attributes
        loops = [self.loops.new(node, i) for i in range(len(node.shape)) if i != axis]
        along = Axis(extents(source)[axis])
        indices = sliced([dimension.index for dimension in loops], (axis, Index.of(along)))
        axes = tuple([a for dimension in loops for a in dimension.axes])
        statement = SortStatement(node, axes, along, self.operand(source, indices), indices, descending, count)
        self.add(Computation(node, Kind.SORT, (*axes, along), (), Read(node, ()), whole=False, required=True,
                             scan=statement))

    def _scatters_into(self, target: Node, value: Node) -> bool:
        """Whether ``value`` is the target with updates that do not depend on it: these can go right into the buffer."""
        if value.op.name != "scatter" or value.operands[0] is not target or value in self._outputs:
            return False
        _, index, updates = value.operands
        if self._uses[value] > 1 or 0 in extents(updates):
            return False
        return target not in topological_order([index, updates])

    def _scatter(self, node: Node) -> None:
        initial, _, updates = node.operands
        if 0 in extents(updates):
            self.add(self._copy(node, initial))
            return
        scatter = self._add_scatter(node, node)
        start = self.part(Part(node, initial))
        scatter.after.append(start)
        self.add(start)

    def _add_scatter(self, node: Node, scatter: Node, overwrites: Node | None = None) -> Computation:
        """Adds the updates of ``scatter`` as the computation of ``node``; its storage holds what they combine with."""
        _, index, updates = scatter.operands
        batch, rank = scatter.attributes.batch, len(index.shape)
        loops = [self.loops.new(updates, i) for i in range(len(updates.shape))]
        indices = [dimension.index for dimension in loops]
        place = self._loaded_index(self.operand(index, indices[:rank]), extents(node)[batch])
        expression = self.operand(updates, indices)
        axes = tuple(axis for dimension in loops for axis in dimension.axes)
        owner = None if overwrites is None else _buffer_of(overwrites)
        computation = Computation(node, Kind.SCATTER, axes, (*indices[:batch], place, *indices[rank:]), expression,
                                  tuple(loops), whole=False, guards=within(place, node.shape[batch]),
                                  mode=scatter.attributes.mode, owner=owner, overwrites=overwrites, required=True)
        self.add(computation)
        return computation




def _buffer_of(version: Node) -> Node:
    """The buffer that an assigned version is one of."""
    while version.op.name == "assign":
        version = version.operands[0]
    return version


def _before(index: Index, bound: Index) -> Guard:
    """index < bound."""
    difference = index - bound
    return Guard(difference, difference.bounds[0], -1)


_MAKERS: dict[str, Callable[[Builder, Node], None]] = {
    "reduce": Builder._reduction, "gather": Builder._gather, "scatter": Builder._scatter,
    "assign": Builder._assign, "contiguous": Builder._contiguous, "concat": Builder._concat,
    "scan": Builder._scan, "argsort": Builder._argsort,
}
