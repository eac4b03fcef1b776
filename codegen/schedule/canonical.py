"""Graphs made ready for scheduling: calls are inlined, outputs are values that can be computed, and no value of a
buffer is needed after it has been overwritten."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from codegen.schedule.access import is_view
from ir.graph import topological_order
from ir.inline import inline_calls
from ir.node import Node, remake_node
from ir.ops.marker import contiguous


def canonical(outputs: Sequence[Node]) -> list[Node]:
    """Equal outputs over an equal graph without calls; an output that is a bare buffer becomes a copy of it."""
    results = inline_calls(outputs)
    results = [contiguous(node) if node.op.name in ("buffer", "parameter") else node for node in results]
    return _keep_old_versions(results)


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
        if any(a is not b for a, b in zip(operands, node.operands, strict=True)):
            new[node] = remake_node(node, tuple(operands), node.attributes)
    return [new.get(node, node) for node in outputs]
