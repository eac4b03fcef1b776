"""The gradient of a scan: a scan in the other direction, and sums over all steps after it.

    forward                                   backward
    for t in range(n):                        for t in reversed(range(n)):
        h = tanh(h @ W + x[t])        =>          d[t] = tanh'(...) * g;  g = d[t] @ W.T      # x's cotangent is d
                                              dW = sum over t of h[t].T @ d[t]                # one contraction

What every step reads whole (W) never changes. Its cotangent is a sum over the steps of what each step contributes. A
contribution that is itself a sum (over the batch) is computed for all steps at once, after the loop, from the values of
the loop that it is made of: one long contraction instead of a short one in every step, and nothing to carry.

What the backward step needs of sums that the forward step computed (h @ W), it reads: ``scan`` keeps them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Union

from ir import autodiff, batching, graph, ops
from ir.node import Node
from ir.op import Body

Cotangent = Union[Node, None]


def scan_gradient(node: Node, cotangents: Sequence[Cotangent]) -> tuple[Cotangent, ...]:
    """The cotangents of the operands of the scan ``node``, given those of its results."""
    step = _BackwardStep(node, cotangents)
    back = step.scan()
    return tuple(step.cotangent_of(back, number) for number in range(len(node.operands)))


class _BackwardStep:
    """The body of the reversed scan.

    rows: for each parameter that stands for the slice of one step, the stacked value. states: (parameter, initial
    value, new value) of what is carried: cotangents of carries, and sums over the steps. unchanged: the forward step's
    parameters for what never changes, with their values. after: contributions that are summed after the loop, with the
    values of the loop that they are made of.
    """

    def __init__(self, node: Node, cotangents: Sequence[Cotangent]) -> None:
        self.node, self.cotangents = node, cotangents
        numbered, self.count, self.length, self.reverse, self.axis = node.attributes
        body, count = _with_own_parameters(numbered), self.count
        self.body = body
        floats = [number for number, x in enumerate(body.parameters) if x.dtype.is_float]
        self._fixed = {number for number in range(count) if body.results[number] is body.parameters[number]}
        changing = [number for number in floats if number < count and number not in self._fixed]
        self.rows = self._stacked_values()
        seeds = {number: ops.fresh_parameter(*body.results[number].type) for number in changing}
        for number in range(count, len(body.results)):
            arriving = cotangents[number]
            if arriving is not None:
                seeds[number] = ops.fresh_parameter(*body.results[number].type)
                self.rows[seeds[number]] = arriving
        self._found = self._gradients(seeds, floats)
        self.states = [(seeds[number], self._initial(number), self._or_zeros(number)) for number in changing]
        self.unchanged = {body.parameters[number]: node.operands[number] for number in self._fixed}
        self._places = {number: place for place, number in enumerate(changing)}
        self.outputs = [self._or_zeros(number) for number in floats if number >= count]
        self._places.update((number, place) for place, number in enumerate(n for n in floats if n >= count))
        self.after: dict[int, list[Node]] = {}
        self._sum_what_never_changes([number for number in floats if number in self._fixed])

    def _stacked_values(self) -> dict[Node, Node]:
        """What the backward step may read of the forward step, stacked: its inputs, and carries before each step."""
        return {x: _saved_carry(self.node, number) if number < self.count else self.node.operands[number]
                for number, x in enumerate(self.body.parameters) if number not in self._fixed}

    def _gradients(self, seeds: dict[int, Node], numbers: list[int]) -> dict[int, Cotangent]:
        """The cotangents of parameters by one step; sums that the forward step computed are read, not computed."""
        body = self.body
        found = autodiff.gradient([body.results[number] for number in seeds], list(seeds.values()),
                                  [body.parameters[number] for number in numbers])
        kept: dict[Node, Node] = {}
        for number in range(self.count, len(body.results)):
            result = body.results[number]
            if result.op is ops.REDUCE and result not in kept:
                kept[result] = ops.fresh_parameter(*result.type)
                self.rows[kept[result]] = ops.project(self.node, number)
        present = [g for g in found if g is not None]
        replaced = iter(graph.substitute(present, kept))
        return {number: None if g is None else next(replaced) for number, g in zip(numbers, found, strict=True)}

    def _initial(self, number: int) -> Node:
        """The cotangent of a carry behind the last step."""
        return self.cotangents[number] or ops.constant(0, *self.body.results[number].type)

    def _or_zeros(self, number: int) -> Node:
        found = self._found[number]
        return ops.constant(0, *self.body.parameters[number].type) if found is None else found

    # ------------------------------------------------------------------------------------------- what never changes

    def _sum_what_never_changes(self, numbers: list[int]) -> None:
        """Decides for each cotangent of an unchanging carry whether it is carried or summed after the loop."""
        inside = set(graph.topological_order([*(new for _, _, new in self.states), *self.outputs]))
        varying = self._varying([g for g in self._found.values() if g is not None])
        for number in numbers:
            contribution = self._found[number]
            if contribution is None:
                continue
            made_of = _made_of(contribution, inside, varying)
            if made_of:
                self.after[number] = made_of
                self.outputs += [x for x in made_of if x not in self.rows and x not in self.outputs]
            else:
                total = ops.fresh_parameter(*contribution.type)
                self._places[number] = len(self.states)
                self.states.append((total, self._initial(number), ops.add(total, contribution)))

    def _varying(self, values: Sequence[Node]) -> set[Node]:
        """The nodes whose values differ from step to step."""
        found: set[Node] = set()
        for x in graph.topological_order(values):
            if any(operand in found for operand in x.operands) or (x.op is ops.PARAMETER and x not in self._constants):
                found.add(x)
        return found

    @property
    def _constants(self) -> set[Node]:
        return {self.body.parameters[number] for number in self._fixed}

    # ------------------------------------------------------------------------------------------- the scan

    def scan(self) -> Node:
        """The reversed scan, with the parameters that its results need."""
        results = [new for _, _, new in self.states]
        needed = set(graph.topological_order([*results, *self.outputs]))
        unchanged = {x: value for x, value in self.unchanged.items() if x in needed}
        rows = {x: stacked for x, stacked in self.rows.items() if x in needed}
        body = Body((*(state for state, _, _ in self.states), *unchanged, *rows),
                    (*results, *unchanged, *self.outputs))
        self._first_output = len(self.states) + len(unchanged)
        return ops.scan(body, [*(initial for _, initial, _ in self.states), *unchanged.values()], list(rows.values()),
                        not self.reverse, self.length, self.axis)

    def cotangent_of(self, back: Node, number: int) -> Cotangent:
        """The cotangent of operand ``number`` of the forward scan."""
        if number in self.after:
            return self._summed(back, number)
        if number in self._places:
            return ops.project(back, self._places[number] + (self._first_output if number >= self.count else 0))
        return self.cotangents[number] if number in self._fixed else None

    def _summed(self, back: Node, number: int) -> Node:
        """The sum of a contribution over all steps, computed after the loop."""
        contribution, arriving = self._found[number], self.cotangents[number]
        assert contribution is not None
        stacked = {x: _steps_first(self.rows[x] if x in self.rows
                                   else ops.project(back, self._first_output + self.outputs.index(x)), self.axis)
                   for x in self.after[number]}
        [each] = batching.batched([contribution], stacked, self.length)
        [total] = graph.substitute([ops.reduce("sum", each, (0,))], self.unchanged)
        return total if arriving is None else ops.add(arriving, total)


def _with_own_parameters(body: Body) -> Body:
    """The body over fresh parameters: the numbered ones also stand for the operands of a call around the scan."""
    parameters = tuple(ops.fresh_parameter(x.dtype, x.shape) for x in body.parameters)
    return Body(parameters, tuple(graph.substitute(body.results, dict(zip(body.parameters, parameters, strict=True)))))


def _made_of(value: Node, inside: set[Node], varying: set[Node]) -> list[Node]:
    """The values of the loop from which ``value`` can be computed for all steps at once; none where that does not pay:
    it must be a sum of what it is made of, or its parts would take more memory than it."""
    parts: list[Node] = []
    seen: set[Node] = set()
    pending, is_sum = [value], False
    while pending:
        x = pending.pop()
        if x in seen or x not in varying:
            continue
        seen.add(x)
        if x.op is ops.PARAMETER or (x in inside and not x.op.view):  # what an expanded value is made of is smaller
            parts.append(x)
        elif not batching.has_rule(x):
            return []
        else:
            is_sum = is_sum or x.op is ops.REDUCE
            pending.extend(x.operands)
    return parts if is_sum else []


def _steps_first(x: Node, axis: int) -> Node:
    """``x`` with the axis of the steps in front."""
    return x if axis == 0 else ops.permute(x, (axis, *(i for i in range(len(x.shape)) if i != axis)))


def _saved_carry(node: Node, number: int) -> Node:
    """The carry before each step, stacked: an output of the scan, or of the scan extended by it."""
    body, count, length, reverse, axis = node.attributes
    outputs = body.results[count:]
    if body.parameters[number] in outputs:
        return ops.project(node, count + outputs.index(body.parameters[number]))
    extended = ops.scan(body, node.operands[:count], node.operands[count:], reverse, length, axis)
    return _saved_carry(extended, number)


def sums_worth_keeping(body: Body, count: int, axis: int) -> Iterable[Node]:
    """The sums that a step computes from what varies: reading them costs the gradient less than computing them again.
    """
    fixed = {x for x, after in zip(body.parameters[:count], body.results, strict=False) if x is after}
    varying: set[Node] = set()
    for x in graph.topological_order(body.results):
        if any(operand in varying for operand in x.operands) or (x.op is ops.PARAMETER and x not in fixed):
            varying.add(x)
            if x.op is ops.REDUCE and x.attributes.monoid == "sum" and x.dtype.is_float and len(x.shape) >= axis:
                yield x
