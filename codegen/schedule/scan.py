"""Scans: a pointwise body becomes one recurrence per element, any other body a loop around a schedule of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from codegen.index import Axis, Index, Symbol
from codegen.kernel import Apply, Expression, Read, ScanLoop, ScanStatement, Schedule
from codegen.schedule.access import Binding, Site, as_index, element, locate, sliced, under_guards
from codegen.schedule.computation import Access, Computation, Kind
from ir.graph import substitute, topological_order
from ir.node import Node
from ir.op import GraphError
from ir.ops.body import project
from ir.ops.elementwise import ElementwiseOp
from ir.ops.source import fresh_parameter
from ir.symbolic import Dimension, upper_bound

if TYPE_CHECKING:
    from codegen.schedule.builder import Builder

_MOST_OPERATIONS = 500  # in one step of a pointwise recurrence


class Part(NamedTuple):
    """``source`` is written into the storage of ``owner``: as all of it, or as its slice (axis, index).

    overwrites: the value that is lost by it. offset: (axis, how far behind the start of the owner's axis it lies).
    """

    owner: Node
    source: Node
    slice: tuple[int, Index] | None = None
    overwrites: Node | None = None
    offset: tuple[int, Index] | None = None


class LoopBody(NamedTuple):
    """A scheduled loop body, and the values outside the loop that it reads."""

    schedule: Schedule
    reads: tuple[Node, ...]


@dataclass
class LoopContext:
    """What nested schedules share: how to make one, and numbers for the step symbols."""

    schedule_parts: Callable[[Sequence[Part], Mapping[Node, Binding], LoopContext], LoopBody]
    numbers: Iterator[int]


class _Recurrence:
    """A scan over new parameters of its own, reduced to the carries and outputs that somebody needs."""

    def __init__(self, node: Node, used: Sequence[int]) -> None:
        body, count, self.length, self.reverse, self.axis = node.attributes
        self.node = node
        parameters = [fresh_parameter(old.dtype, old.shape) for old in body.parameters]
        results = substitute(body.results, dict(zip(body.parameters, parameters, strict=True)))
        self.used = frozenset(used)
        needed = _needed_carries(parameters[:count], results, used)
        self.unchanging = [(parameters[i], node.operands[i]) for i in needed
                           if results[i] is parameters[i] and i not in used]
        fixed = {parameter for parameter, _ in self.unchanging}
        self.carries = [(i, parameters[i], node.operands[i], results[i]) for i in needed if parameters[i] not in fixed]
        self.outputs = [(i, results[i]) for i in sorted(used) if i >= count]
        self.inputs = list(zip(parameters[count:], node.operands[count:], strict=True))

    @property
    def results(self) -> list[Node]:
        """The new carries, then the outputs of one step."""
        return [result for _, _, _, result in self.carries] + [result for _, result in self.outputs]

    def bindings(self, step: Index) -> dict[Node, Binding]:
        """What parameters stand for in step ``step``, but for the carries that change."""
        bindings = {parameter: Binding(operand, (self.axis, step)) for parameter, operand in self.inputs}
        bindings.update((parameter, Binding(operand)) for parameter, operand in self.unchanging)
        return bindings


def _needed_carries(parameters: Sequence[Node], results: Sequence[Node], used: Sequence[int]) -> list[int]:
    """The carries that the used results depend on, in any number of steps."""
    numbers = {parameter: i for i, parameter in enumerate(parameters)}
    needed = {i for i in used if i < len(parameters)}
    pending = [results[i] for i in used]
    while pending:
        reached = [numbers[node] for node in topological_order(pending) if node in numbers]
        pending = [results[i] for i in reached if i not in needed]
        needed.update(reached)
    return sorted(needed)


def add_scan(builder: Builder, node: Node, used: Sequence[int]) -> None:
    """Adds the computations of a scan whose results ``used`` are projected."""
    recurrence = _Recurrence(node, used)
    computation = _pointwise_scan(builder, recurrence)
    if computation is not None:
        builder.add(computation)
        return
    computation, starts = _looped_scan(builder, recurrence)
    builder.add(computation)
    for start in starts:
        part = builder.part(start)
        computation.after.append(part)
        builder.add(part)


# ------------------------------------------------------------------------------------------- pointwise bodies


def _pointwise_scan(builder: Builder, recurrence: _Recurrence) -> Computation | None:
    """The scan as one recurrence per element; None where an element's step needs more than its own carries."""
    results = recurrence.results
    if not recurrence.carries or len({result.shape for result in results}) != 1:
        return None
    loops = [builder.loops.new(results[0], i) for i in range(len(results[0].shape))]
    indices = tuple([dimension.index for dimension in loops])
    length = recurrence.length
    step = Axis(upper_bound(length), "step", as_index(length) if isinstance(length, Dimension) else None)
    here = Index.of(step) if not recurrence.reverse else as_index(length) - 1 - Index.of(step)
    steps = _StepExpressions(recurrence, {**builder.bindings, **recurrence.bindings(here)}, indices)
    expressions: list[Expression] = []
    for result in results:
        expression = steps.of(result)
        if expression is None:
            return None
        expressions.append(expression)
    node, count = recurrence.node, len(recurrence.carries)
    carries = tuple([(parameter, builder.operand(start, indices), after) for (_, parameter, start, _), after
                     in zip(recurrence.carries, expressions, strict=False)])
    stacked = sliced(indices, (recurrence.axis, here))
    outputs = tuple([(project(node, number), expression, stacked)
                     for (number, _), expression in zip(recurrence.outputs, expressions[count:], strict=True)])
    finals = tuple([(project(node, number), place, indices)
                    for place, (number, _, _, _) in enumerate(recurrence.carries) if number in recurrence.used])
    axes = tuple([axis for dimension in loops for axis in dimension.axes])
    builder.access(steps.accesses)
    return Computation(
        node, Kind.SCAN, (*axes, step), (), Read(node, ()), tuple(loops), whole=False, required=True,
        scan=ScanStatement(axes, step, carries, outputs, finals),
        values=tuple([value for value, _, _ in (*outputs, *finals)]))


class _StepExpressions:
    """The results of a pointwise body as expressions; equal elements of equal values are one object."""

    def __init__(self, recurrence: _Recurrence, bindings: Mapping[Node, Binding], indices: tuple[Index, ...]) -> None:
        self._bindings, self._indices = bindings, indices
        self._carries = {parameter for _, parameter, _, _ in recurrence.carries}
        self._inside = set(topological_order(recurrence.results))
        self._known: dict[tuple[Node, tuple[Index, ...]], Expression] = {}
        self.accesses: dict[Access, None] = {}

    def of(self, result: Node) -> Expression | None:
        """The element of ``result`` at the loops' indices; None where it is not pointwise in the carries."""
        top = self._site(result, self._indices)
        pending = [top]
        while pending:
            site = pending[-1]
            below = self._operands(site)
            if below is None or len(self._known) > _MOST_OPERATIONS:
                return None
            missing = [operand for operand in below if (operand.node, operand.indices) not in self._known]
            if missing:
                pending.extend(missing)
            else:
                pending.pop()
                self._known.setdefault((site.node, site.indices), self._expression(site, below))
        return self._element(top)

    def _site(self, node: Node, indices: Sequence[Index]) -> Site:
        return locate(node, indices, self._bindings)

    def _is_leaf(self, node: Node) -> bool:
        return node not in self._inside or node.op.name in ("constant", "iota")

    def _operands(self, site: Site) -> list[Site] | None:
        node = site.node
        if node in self._carries:
            return [] if site.indices == self._indices else None
        if self._is_leaf(node):
            return []
        if isinstance(node.op, ElementwiseOp) or node.op.name in ("cast", "bitcast", "contiguous"):
            return [self._site(operand, site.indices) for operand in node.operands]
        return None

    def _expression(self, site: Site, below: Sequence[Site]) -> Expression:
        node = site.node
        if node in self._carries:
            return Read(node, ())
        if self._is_leaf(node):
            if node.op.name not in ("constant", "iota"):
                self.accesses[Access(node, site.indices, False)] = None
            return element(site._replace(guards=()))
        operands = tuple([self._element(operand) for operand in below])
        return operands[0] if node.op.name == "contiguous" else Apply(node.op.name, operands, node.dtype)

    def _element(self, site: Site) -> Expression:
        return under_guards(site, self._known[site.node, site.indices])


# ----------------------------------------------------------------------------------------------- other bodies


def _looped_scan(builder: Builder, recurrence: _Recurrence) -> tuple[Computation, list[Part]]:
    """The scan as a loop around kernels, and what must be written before it starts.

    Each carry lives in the storage of its final value: written before the loop, read and overwritten by every step.
    """
    node, length = recurrence.node, recurrence.length
    if isinstance(length, Dimension):
        raise GraphError(f"the scan at {node.location} has the symbolic length {length}, and a body that is more than "
                         "elementwise: give it a fixed length, and mask the steps that are too many")
    step = Symbol(f"_step_{next(builder.context.numbers)}", 0, max(0, length - 1))
    homes = {number: project(node, number) for number, _, _, _ in recurrence.carries}
    bindings = {**builder.bindings, **recurrence.bindings(Index(((step, 1),)))}
    bindings.update({parameter: Binding(homes[number]) for number, parameter, _, _ in recurrence.carries})
    outputs = {number: project(node, number) for number, _ in recurrence.outputs}
    here = recurrence.axis, Index.of(step)
    parts = [Part(outputs[number], result, here) for number, result in recurrence.outputs]
    parts += [Part(homes[number], result, None, homes[number]) for number, _, _, result in recurrence.carries]
    body = builder.context.schedule_parts(parts, bindings, builder.context)
    loop = ScanLoop(step, length, recurrence.reverse, body.schedule)
    values = (*homes.values(), *outputs.values())
    computation = Computation(node, Kind.SCAN, (), (), Read(node, ()), whole=False, required=True, scan=loop,
                              values=values)
    outside = [value for value in body.reads if value not in values]
    computation.accesses = [Access(value, (), False) for value in outside]
    return computation, [Part(homes[number], start) for number, _, start, _ in recurrence.carries]
