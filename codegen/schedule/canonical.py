"""Graphs made ready for scheduling: calls are inlined, outputs are values that can be computed, and no value of a
buffer is needed after it has been overwritten."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import count

from codegen.schedule.access import is_view
from ir.graph import substitute, topological_order
from ir.node import Node, located, make_node, remake_node, tagged
from ir.ops.marker import contiguous

_recomputed = count(1 << 40)


def canonical(outputs: Sequence[Node]) -> list[Node]:
    """Equal outputs over an equal graph without calls; an output that is a bare buffer becomes a copy of it."""
    results = _inline_calls(outputs)
    results = [contiguous(node) if node.op.name in ("buffer", "parameter") else node for node in results]
    return _keep_old_versions(results)


def _inline_calls(outputs: Sequence[Node]) -> list[Node]:
    """Every call replaced by its body, until none is left.

    A derived gradient (of a call without a gradient of its own) is inlined under a tag, so that its copy of the forward
    pass is computed again rather than found: that is what checkpointing asks for.
    """
    results = list(outputs)
    while True:
        order = topological_order(results)
        if not any(node.op.name == "call" for node in order):
            return results
        new: dict[Node, Node] = {}
        bodies: dict[Node, list[Node]] = {}
        for node in order:
            operands = tuple(new.get(operand, operand) for operand in node.operands)
            if node.op.name == "call":
                bodies[node] = _applied(node, operands)
            elif node.op.name == "project" and node.operands[0] in bodies:
                new[node] = bodies[node.operands[0]][node.attributes.result]
            elif any(a is not b for a, b in zip(operands, node.operands)):
                new[node] = remake_node(node, operands, node.attributes)
        results = [new.get(node, node) for node in results]


def _applied(call: Node, arguments: Sequence[Node]) -> list[Node]:
    """The results of a call's body on ``arguments``."""
    body, _, label = call.attributes
    replacements = dict(zip(body.parameters, arguments))
    if not label.endswith(".gradient"):
        return substitute(body.results, replacements)
    new = dict(replacements)
    with tagged(next(_recomputed)):
        for node in topological_order(body.results):
            if node not in new:
                with located(node.location):
                    new[node] = make_node(node.op, tuple(new[operand] for operand in node.operands), node.attributes)
    return [new[result] for result in body.results]


def _keep_old_versions(outputs: list[Node]) -> list[Node]:
    """Copies an old version of a buffer for those who also depend on the new one: they run after it was overwritten."""
    order = topological_order(outputs)
    assigns = [node for node in order if node.op.name == "assign"]
    if not assigns:
        return outputs
    users: defaultdict[Node, list[Node]] = defaultdict(list)
    for node in order:
        for operand in dict.fromkeys(node.operands):
            users[operand].append(node)
    late: set[tuple[Node, Node]] = set()  # (what is read, by whom)
    for assign in assigns:
        if users[assign]:
            late |= _late_reads(assign, users)
    return _with_copies(outputs, order, late) if late else outputs


def _late_reads(assign: Node, users: Mapping[Node, Sequence[Node]]) -> set[tuple[Node, Node]]:
    """Reads of the version that ``assign`` overwrites, directly or through views, by what depends on ``assign``."""
    after = {assign}
    pending = [assign]
    while pending:
        for user in users[pending.pop()]:
            if user not in after:
                after.add(user)
                pending.append(user)
    late: set[tuple[Node, Node]] = set()
    views = [assign.operands[0]]
    while views:
        value = views.pop()
        for user in users[value]:
            if user is assign or (user.op.name == "assign" and user.operands[1] is not value):
                continue
            if user in after:
                late.add((value, user))
            elif is_view(user):
                views.append(user)
    return late


def _with_copies(outputs: Sequence[Node], order: Sequence[Node], late: set[tuple[Node, Node]]) -> list[Node]:
    new: dict[Node, Node] = {}
    for node in order:
        operands = [new.get(operand, operand) for operand in node.operands]
        for i, operand in enumerate(node.operands):
            if (operand, node) in late and not (node.op.name == "assign" and i == 0):
                operands[i] = contiguous(operands[i])
        if any(a is not b for a, b in zip(operands, node.operands)):
            new[node] = remake_node(node, tuple(operands), node.attributes)
    return [new.get(node, node) for node in outputs]
