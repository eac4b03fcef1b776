"""Contractions as dot products: lanes along a reduced axis along which both operands are contiguous.

    for row tiles, column tiles:
        for k:     rows x columns vectors of partial sums, carried in registers
        combine the lanes of each, then the epilogue

For few rows (a vector times a transposed matrix), and for outputs that are not contiguous along an axis of either
operand (the weight gradient of a convolution).
"""

from __future__ import annotations

from math import prod

from codegen.index import Axis
from codegen.kernel import Kernel, Statement
from codegen.strategies.operands import longest
from codegen.strategies.plan import Plan
from codegen.target import Target

_WIDE_TILE, _NARROW_TILE = 4, 2


def plan_dot_form(kernel: Kernel, target: Target, number: int, along: Axis, lanes: int) -> Plan:
    """The plan of ``kernel``, whose statement ``number`` is the contraction, with lanes along the reduced axis."""
    plan = Plan(kernel, target)
    statement = kernel.statements[number]
    assert isinstance(statement, Statement) and statement.contraction is not None
    contraction = statement.contraction
    side = _WIDE_TILE if target.vector_registers >= 32 else _NARROW_TILE
    tile = [axis for axis in (longest(contraction.m), longest(contraction.n)) if axis is not None]
    k = [plan.name(axis) for axis in contraction.k]
    names = [plan.name(axis) for axis in kernel.axes]
    outer = [name for name in names if name not in k and plan.nest.names[name] not in tile]
    plan.reorder([*outer, *[plan.name(axis) for axis in tile], *[name for name in names if name in k]])
    splits = [plan.split(plan.name(axis), min(side, axis.extent)) for axis in tile]
    blocks, inside = [tiles for tiles, _ in splits], [inner for _, inner in splits]
    plan.reorder([*outer, *blocks, *inside])
    for name in inside:
        plan.sink(name)
    _lanes_along(plan, number, plan.name(along), k, inside, lanes)
    for name in inside:
        plan.unroll(name)
    _tasks(plan, outer, blocks, prod(axis.extent for axis in {*kernel.axes, *contraction.k}))
    return plan


def _lanes_along(plan: Plan, number: int, along: str, k: list[str], inside: list[str], lanes: int) -> None:
    """The reduced loops in order, the one along the lanes last, its vectors innermost."""
    plan.reorder([*[name for name in k if name != along], along], number)
    lane = along
    if plan.extent(along) != lanes:
        _, lane = plan.split(along, lanes, number)
    plan.reorder([*inside, lane], number)
    plan.vectorize(lane, number)


def _tasks(plan: Plan, outer: list[str], blocks: list[str], work: int) -> None:
    """Tasks of the outer loops and of the loop over row tiles, as blocks of tiles."""
    if not blocks:
        plan.make_tasks(outer, max(1, work // max(1, prod(plan.extent(name) for name in outer))))
        return
    tiles, inside = plan.split(blocks[0], 1, peel=False)
    plan.reorder([*outer, tiles, inside, *blocks[1:]])
    names = [*outer, tiles]
    plan.make_tasks(names, max(1, work // prod(plan.extent(name) for name in names)))
