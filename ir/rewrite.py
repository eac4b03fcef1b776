"""Rewriting: declarative patterns, and a worklist that applies rules until none matches.

A rule is a pattern, a function from what the pattern captured to the replacement, and the reason why it terminates:

    >>> x = Capture("x")
    >>> @rule(Match(neg, Match(neg, x)), measure="two nodes fewer")
    ... def double_negation(x: Node) -> Node | None:
    ...     "-(-x) = x."
    ...     return x
    >>> Rewriter([double_negation]).run([ir.neg(ir.neg(y))])
    [y]

The function may return None to decline. What it returns must have the type of what it replaces.

Rules that are used together need one measure that each of them decreases, or rewriting might go on for ever:
``measure`` says in words why it does, and for the simplification rules ``ir.simplify.work`` is that measure, checked in
tests at every step. Rules that undo each other raise RewriteError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any, Union

from ir.bodies import bodies_in_order
from ir.graph import topological_order
from ir.node import Node, located, remake_node, tagged
from ir.op import Op
from ir.ops import Body

Guard = Callable[[Node], bool]
Trace = Callable[["Rule", Node, Node], None]


class RewriteError(RuntimeError):
    """A rule changed a type, or rules undo each other: a mistake in the rules, not in the graph."""


@dataclass(frozen=True)
class Capture:
    """Matches any node for which ``guard`` holds. Where one name stands twice, both must be the same node."""

    name: str
    guard: Guard | None = None


class Match:
    """Matches a node of one of ``ops`` (None: of any op) whose operands match.

    operands: one pattern per operand; none at all where the operands do not matter.
    name: captures the node itself under this name.
    guard: a condition on the node.
    commutative: the operands may stand in any order.
    """

    def __init__(self, ops: Op | Iterable[Op] | None, *operands: Pattern, name: str = "", guard: Guard | None = None,
                 commutative: bool = False) -> None:
        self.ops = None if ops is None else frozenset([ops] if isinstance(ops, Op) else ops)
        self.operands, self.name, self.guard, self.commutative = operands, name, guard, commutative

    def alternatives(self) -> list[Match]:
        """The patterns without commutativity that this one stands for, the order as written first."""
        found: list[Match] = []
        for order in permutations(self.operands) if self.commutative else [self.operands]:
            choices: list[list[Pattern]] = [[*p.alternatives()] if isinstance(p, Match) else [p] for p in order]
            found += [Match(self.ops, *chosen, name=self.name, guard=self.guard) for chosen in product(*choices)]
        return found

    def captures(self, node: Node) -> dict[str, Node] | None:
        """What is captured where ``node`` matches, else None (for a pattern without commutativity)."""
        found: dict[str, Node] = {}
        pending: list[tuple[Pattern, Node]] = [(self, node)]
        while pending:
            pattern, candidate = pending.pop()
            if isinstance(pattern, Match):
                if pattern.ops is not None and candidate.op not in pattern.ops:
                    return None
                if pattern.operands:
                    if len(candidate.operands) != len(pattern.operands):
                        return None
                    pending.extend(zip(pattern.operands, candidate.operands, strict=True))
            if pattern.guard is not None and not pattern.guard(candidate):
                return None
            if pattern.name and found.setdefault(pattern.name, candidate) is not candidate:
                return None
        return found


Pattern = Union[Match, Capture]


@dataclass(frozen=True)
class Rule:
    """One rewriting step. ``measure``: why it cannot be applied for ever."""

    pattern: Match
    replace: Callable[..., Node | None]
    measure: str

    @property
    def name(self) -> str:
        return self.replace.__name__

    @property
    def description(self) -> str:
        return self.replace.__doc__ or ""

    def __repr__(self) -> str:
        return f"<rule {self.name}>"


def rule(pattern: Match, *, measure: str) -> Callable[[Callable[..., Node | None]], Rule]:
    """Declares the decorated function, which takes the captures by name, as the replacement of ``pattern``."""
    return lambda replace: Rule(pattern, replace, measure)


class Rewriter:
    """Applies rules to graphs, operands before users, in the order of the rules, until none matches anywhere.

    Each node is visited once and each replacement once more, so that a run is linear in the graph and in what it
    rewrites. Bodies of scans and calls are rewritten too. Nodes that nothing changes are kept as they are.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._by_op: dict[Op, list[tuple[Match, Rule]]] = {}

    def run(self, outputs: Sequence[Node], trace: Trace | None = None) -> list[Node]:
        """The rewritten outputs. ``trace`` is called with (rule, node, replacement) for each step."""
        bodies: dict[Body, Body] = {}
        for body in bodies_in_order(outputs):
            results = tuple(_Run(self, bodies, trace).rewrite(body.results))
            bodies[body] = body if results == body.results else Body(body.parameters, results)
        return _Run(self, bodies, trace).rewrite(outputs)

    def candidates(self, op: Op) -> list[tuple[Match, Rule]]:
        """The patterns that a node of ``op`` may match, each with its rule."""
        known = self._by_op.get(op)
        if known is None:
            known = self._by_op[op] = [
                (pattern, rule) for rule in self.rules for pattern in rule.pattern.alternatives()
                if pattern.ops is None or op in pattern.ops]
        return known

    def step(self, node: Node) -> tuple[Rule, Node] | None:
        """The first rule that applies to ``node`` itself, and the replacement."""
        for pattern, candidate in self.candidates(node.op):
            captures = pattern.captures(node)
            if captures is None:
                continue
            with located(node.location), tagged(node.tag):
                replacement = candidate.replace(**captures)
            if replacement is None or replacement is node:
                continue
            if replacement.type != node.type:
                raise RewriteError(f"rule {candidate.name} replaced {node} by {replacement}, which has another type")
            return candidate, replacement
        return None


class _Run:
    """One run over one graph. ``final`` maps nodes to what they become, ``replaced`` to the next step on the way."""

    def __init__(self, rewriter: Rewriter, bodies: Mapping[Body, Body], trace: Trace | None) -> None:
        self.rewriter, self.bodies, self.trace = rewriter, bodies, trace
        self.final: dict[Node, Node] = {}
        self.replaced: dict[Node, Node] = {}
        self.entered: set[Node] = set()

    def rewrite(self, outputs: Sequence[Node]) -> list[Node]:
        for node in topological_order(outputs):
            self.finish(node)
        return [self.final[node] for node in outputs]

    def finish(self, root: Node) -> None:
        """Works on ``root``, and on whatever its replacements need, until its final form is known."""
        stack = [root]
        while stack:
            node = stack[-1]
            if node in self.final:
                stack.pop()
                continue
            self.entered.add(node)
            needed = self.needed(node)
            for other in needed:
                if other in self.entered:
                    raise RewriteError(f"rules undo each other: the replacement of {other} needs {other} again")
            stack += needed

    def needed(self, node: Node) -> list[Node]:
        """The nodes that must be final before ``node`` can be; none once its own final form is entered."""
        replacement = self.replaced.get(node)
        if replacement is None:
            missing = [operand for operand in node.operands if operand not in self.final]
            if missing:
                return missing
            replacement = self.replacement(node)
            if replacement is None:
                self.final[node] = node
                return []
            self.replaced[node] = replacement
        if replacement not in self.final:
            return [replacement]
        self.final[node] = self.final[replacement]
        return []

    def replacement(self, node: Node) -> Node | None:
        """The node on the final operands and bodies if they differ, else what the first matching rule makes of it."""
        operands = tuple(self.final[operand] for operand in node.operands)
        attributes = self.attributes(node)
        if operands != node.operands or attributes is not node.attributes:
            return remake_node(node, operands, attributes)
        step = self.rewriter.step(node)
        if step is None:
            return None
        if self.trace is not None:
            self.trace(step[0], node, step[1])
        return step[1]

    def attributes(self, node: Node) -> Any:
        """The node's attributes with its bodies rewritten (the same object where nothing changed)."""
        changed = {field: self.bodies[value] for field, value in node.attributes._asdict().items()
                   if isinstance(value, Body) and self.bodies.get(value, value) != value}
        return node.attributes._replace(**changed) if changed else node.attributes
