"""Strategies: which steps a kernel's loops get, by what the kernel is.

- ``contraction``: sums of products, in register tiles or as dot products;
- ``attention``: contractions that pass long rows on in scratch;
- ``sweeps``: elementwise kernels and reductions, by rows or by columns;
- ``scatter``: updates in their order, apart along the axes on which they cannot meet;
- ``scan``: recurrences;
- ``sort``: rows put in order, by their digits;
- ``gpu``: which of the strategies for GPUs a kernel gets.
"""

from __future__ import annotations

from codegen.kernel import Kernel, ScanStatement, SortStatement, Statement
from codegen.partials import without_accumulators
from codegen.strategies.attention import plan_attention
from codegen.strategies.contraction import plan_contraction
from codegen.strategies.gpu import plan_gpu
from codegen.strategies.plan import Plan
from codegen.strategies.scan import plan_scan
from codegen.strategies.scatter import plan_scatter
from codegen.strategies.sort import plan_sort
from codegen.strategies.sweeps import plan_sweeps
from codegen.target import Target

__all__ = ["Plan", "plan_kernel"]


def plan_kernel(kernel: Kernel, target: Target) -> list[Plan]:
    """One plan for each launch that the kernel takes, in order."""
    return [plan for part in without_accumulators(kernel, target) for plan in _plans(part, target)]


def _plans(kernel: Kernel, target: Target) -> list[Plan]:
    if target.kind == "cuda":
        return [plan_gpu(kernel, target)]
    if any(isinstance(statement, SortStatement) for statement in kernel.statements):
        return [plan_sort(kernel, target)]
    if any(isinstance(statement, ScanStatement) for statement in kernel.statements):
        return [plan_scan(kernel, target)]
    if any(isinstance(statement, Statement) and statement.scatter for statement in kernel.statements):
        return [plan_scatter(kernel, target)]
    if kernel.strategy == "attention":
        return [plan_attention(kernel, target)]
    if any(isinstance(statement, Statement) and statement.contraction for statement in kernel.statements):
        return plan_contraction(kernel, target)
    return [plan_sweeps(kernel, target)]
