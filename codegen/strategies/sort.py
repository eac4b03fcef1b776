"""Sorting: a row is one piece of work (``codegen.sorting`` says how it is done), and rows are tasks."""

from __future__ import annotations

from codegen.kernel import Kernel, SortStatement
from codegen.strategies.plan import Plan
from codegen.target import Target

_ELEMENT_WORK = 8  # of an element that is sorted, beside one that is computed


def plan_sort(kernel: Kernel, target: Target) -> Plan:
    """The plan of a kernel that is one sort."""
    plan = Plan(kernel, target)
    statement = kernel.statements[0]
    assert isinstance(statement, SortStatement) and len(kernel.statements) == 1
    plan.make_tasks(plan.outer_names(), statement.axis.extent * _ELEMENT_WORK)
    return plan
