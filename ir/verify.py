"""The verifier: everything that holds of a graph built through the builders, checked again.

Passes that rewrite graphs are run between two calls of ``verify`` in tests, so that the pass at fault is named and not
the one that stumbles over its result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ir.bodies import bodies_in_order
from ir.dtype import dtypes
from ir.graph import topological_order
from ir.node import Node
from ir.op import GraphError, Op
from ir.ops import ASSIGN, BUFFER, PARAMETER, PROJECT, is_fresh
from ir.symbolic import Dimension, SymbolicError, Variable
from ir.text_printer import format_type


class VerificationError(GraphError):
    """The graph breaks an invariant. ``node`` is where."""

    def __init__(self, node: Node, message: str) -> None:
        super().__init__(f"{node.op.name} {format_type(node.type)}: {message}"
                         + (f" (at {node.location})" if node.location else ""))
        self.node = node


def verify(outputs: Sequence[Node]) -> None:
    """Checks the graph that computes ``outputs``, its bodies included; raises VerificationError at the first fault.

    - every node's type is the one that its op infers from its operands and attributes;
    - attributes are of the op's own type and hashable, operands are nodes;
    - no two pure nodes are equal (they would be one object);
    - only a projection reads an op of several results;
    - a body reads nothing from outside: its sources are its own parameters, constants and iotas;
    - no parameter of an unfinished body is left, and parameters of one number agree;
    - every version of a buffer is assigned to at most once (a second assignment would overwrite what the first made);
    - variables of one name have the same bounds.
    """
    graph = _Graph()
    for body in bodies_in_order(outputs):
        graph.check(body.results)
        _check_closed(body.parameters, body.results)
    graph.check(outputs)
    _check_parameters(outputs)
    _check_assignments(outputs)


class _Graph:
    """Checks node by node; remembers what must be unique over the whole graph."""

    def __init__(self) -> None:
        self.unique: dict[object, Node] = {}
        self.variables: dict[str, Variable] = {}

    def check(self, outputs: Sequence[Node]) -> None:
        for node in topological_order(outputs):
            self.check_form(node)
            self.check_type(node)
            self.check_interning(node)
            self.check_variables(node)

    def check_form(self, node: Node) -> None:
        if not isinstance(node.attributes, node.op.Attributes):
            raise VerificationError(node, f"expected attributes {node.op.Attributes.__name__}, "
                                          f"got {type(node.attributes).__name__}")
        for operand in node.operands:
            if operand.dtype is dtypes.void and node.op is not PROJECT:
                raise VerificationError(node, f"reads {operand.op.name}, which has several results; "
                                              "read one of them: ir.project(node, i)")

    def check_type(self, node: Node) -> None:
        try:
            inferred = node.op.infer(node.operands, node.attributes)
        except (GraphError, SymbolicError) as error:
            raise VerificationError(node, f"its op refuses it: {error}") from error
        if inferred != node.type:
            raise VerificationError(node, f"its op infers {format_type(inferred)}")

    def check_interning(self, node: Node) -> None:
        if not node.op.pure:
            return
        try:
            known = self.unique.setdefault((node.op, node.operands, node.attributes, node.tag), node)
        except TypeError as error:
            raise VerificationError(node, f"its attributes {node.attributes} are not hashable: {error}") from error
        if known is not node:
            raise VerificationError(node, "an equal node exists; build nodes through their builders")

    def check_variables(self, node: Node) -> None:
        for dimension in node.shape:
            if isinstance(dimension, Dimension):
                for variable in dimension.variables:
                    known = self.variables.setdefault(variable.name, variable)
                    if known != variable:
                        raise VerificationError(node, f"two variables are named {variable.name!r}: "
                                                      f"{known.declaration} and {variable.declaration}")


def _check_closed(parameters: Iterable[Node], results: Sequence[Node]) -> None:
    own = set(parameters)
    for node in topological_order(results):
        if node.op is PARAMETER and node not in own:
            raise VerificationError(node, f"parameter {node.attributes.number} belongs to no enclosing body; "
                                          "pass the value as a carry, an input or an argument")
        if not node.op.pure:
            raise VerificationError(node, f"a body may not hold {node.op.name}; "
                                          "pass the value as a carry, an input or an argument")


def _check_parameters(outputs: Sequence[Node]) -> None:
    numbers: dict[int, Node] = {}
    for node in _nodes_of(outputs, PARAMETER):
        if is_fresh(node):
            raise VerificationError(node, "the placeholder of a body outside that body; "
                                          "a value of the body escaped while it was traced")
        known = numbers.setdefault(node.attributes.number, node)
        if known is not node:
            raise VerificationError(node, f"parameter {node.attributes.number} is also {format_type(known.type)}")


def _check_assignments(outputs: Sequence[Node]) -> None:
    writers: dict[Node, Node] = {}
    for node in _nodes_of(outputs, ASSIGN):
        target = node.operands[0]
        if target.op not in (BUFFER, ASSIGN):
            raise VerificationError(node, f"expected a buffer or an assignment to one as target, got {target.op.name}")
        if writers.setdefault(target, node) is not node:
            raise VerificationError(node, "its target is also assigned to at "
                                          f"{writers[target].location}; assign to the newer version")


def _nodes_of(outputs: Sequence[Node], op: Op) -> Iterator[Node]:
    return (node for node in topological_order(outputs) if node.op is op)
