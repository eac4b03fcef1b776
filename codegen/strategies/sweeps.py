"""Elementwise kernels and reductions: which axis becomes lanes, and what is a task.

There are two ways to vectorise a kernel of outer loops and sweeps inside them. *Rows*: every sweep has lanes along one
of its own inner axes, reductions along it combine their lanes at the end (softmax and layernorm over the last axis).
*Columns*: one outer axis becomes the lanes of all sweeps, sums along other axes stay in registers (column sums, batch
norm over NCHW's channels, elementwise kernels). Strides of the accesses decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from math import prod

from codegen.block_copies import CopyBlock
from codegen.index import Axis, Index
from codegen.kernel import Kernel, Statement
from codegen.monoids import accumulator_dtype
from codegen.nest import Compute
from codegen.strategies.plan import Plan, access_cost, accesses, element_bytes, stride
from codegen.target import Target

_NEAR, _FAR = 4, 64  # elements between lanes
_REDUCTION_VECTORS = 4  # independent accumulators of a reduction along the lanes
_COLUMN_VECTORS = 4
_SUMMED_ROWS = 8  # rows that are added up together where their columns are summed
_BLOCK_TILES, _BLOCKS = 64, 32  # tiles of columns whose sums stay in the L1 cache; how many blocks are wanted


def plan_sweeps(kernel: Kernel, target: Target) -> Plan:
    """The plan of a kernel that consists of pointwise statements and reductions."""
    plan = Plan(kernel, target)
    lanes = target.lanes(element_bytes([s for s in kernel.statements if isinstance(s, Statement)]))
    rows = sum(_row_cost(plan, computes, lanes) for computes, _ in plan.sweeps())
    columns = [(_column_cost(plan, axis, lanes), -number, axis) for number, axis in enumerate(kernel.axes)
               if axis.limit is None]
    best = min(columns, default=None, key=lambda choice: choice[:2])
    if best is not None and best[0] <= rows:
        crossing = _crossing_axis(plan, best[2])
        if crossing is not None and best[2].extent > lanes:
            _plan_transposition(plan, best[2], crossing, lanes)
        else:
            _plan_columns(plan, best[2], lanes)
    else:
        _plan_rows(plan, lanes)
    return plan


# --------------------------------------------------------------------------------------------------------- costs


def _iterations(plan: Plan, compute: Compute) -> int:
    assert isinstance(compute.statement, Statement)
    return prod(axis.extent for axis in {*plan.kernel.axes, *compute.statement.axes})


def _cost_along(plan: Plan, computes: list[Compute], axis: Axis | None, lanes: int) -> float:
    """The cost of a sweep with lanes along ``axis``; scalar code where it is None."""
    total = 0.0
    for compute in computes:
        statement = compute.statement
        assert isinstance(statement, Statement)
        indices = list(accesses(plan.kernel, statement))
        if axis is None:
            total += _iterations(plan, compute) * (len(indices) + 1)
            continue
        vectors = _iterations(plan, compute) / axis.extent * -(-axis.extent // lanes)
        total += vectors * (1 + sum(access_cost(stride(index, axis)) for index in indices))
    return total


def _inner_axes(plan: Plan, computes: list[Compute]) -> list[Axis]:
    statement = computes[0].statement
    assert isinstance(statement, Statement)
    return [axis for axis in statement.axes if axis not in plan.kernel.axes]


def _vector_cost(step: int | None) -> float:
    """The relative cost of one vector access along inner axes: lanes a few elements apart are loaded in whole vectors,
    and what is gathered from lines far apart is dear."""
    if step is not None and 1 < step <= _NEAR:
        return 3.0
    return 20.0 if step is not None and abs(step) >= _FAR else access_cost(step)


def _best_run(plan: Plan, computes: list[Compute], lanes: int) -> tuple[Axis, ...]:
    """The inner axes that become the lanes of a sweep: one, or the innermost few, walked as one; () for scalar code."""
    inner = _inner_axes(plan, computes)
    runs: list[tuple[Axis, ...]] = [(axis,) for axis in inner if axis.extent > 1]
    runs += [tuple(inner[start:]) for start in range(len(inner) - 1) if _is_one_loop(plan, computes, inner[start:])]
    return min(runs, default=(), key=lambda run: (_run_cost(plan, computes, run, lanes), -inner.index(run[-1])))


def _is_one_loop(plan: Plan, computes: list[Compute], run: Sequence[Axis]) -> bool:
    """Whether the loops over ``run`` can be joined."""
    return all(axis.limit is None and axis.extent > 1 for axis in run) and all(
        len({plan.nest.reduces(compute, axis) for axis in run}) == 1 for compute in computes)


def _run_cost(plan: Plan, computes: list[Compute], run: tuple[Axis, ...], lanes: int) -> float:
    """The cost of a sweep with lanes along ``run``; scalar code where it is empty."""
    if not run:
        return _cost_along(plan, computes, None, lanes)
    total, extent = 0.0, prod(axis.extent for axis in run)
    for compute in computes:
        assert isinstance(compute.statement, Statement)
        vectors = _iterations(plan, compute) / extent * -(-extent // lanes)
        costs = [_access_cost_of_run(index, run) for index in accesses(plan.kernel, compute.statement)]
        total += vectors * (1 + sum(costs))
    return total


def _access_cost_of_run(index: Index, run: tuple[Axis, ...]) -> float:
    steps = [stride(index, axis) for axis in run]
    if None in steps or any(outer != inner * axis.extent  # type: ignore[operator]
                            for outer, inner, axis in zip(steps[:-1], steps[1:], run[1:], strict=True)):
        repeats = len(run) == 2 and steps == [1, 0]
        return _vector_cost(2 if repeats else None)
    return _vector_cost(steps[-1])


def _row_cost(plan: Plan, computes: list[Compute], lanes: int) -> float:
    return _run_cost(plan, computes, _best_run(plan, computes, lanes), lanes)


def _column_cost(plan: Plan, axis: Axis, lanes: int) -> float:
    if any(plan.nest.reduces(compute, axis) for compute, _ in plan.nest.leaves()):
        return float("inf")
    return sum(_cost_along(plan, computes, axis, lanes) for computes, _ in plan.sweeps())


# ---------------------------------------------------------------------------------------------------------- rows


def _plan_rows(plan: Plan, lanes: int) -> None:
    outer = plan.outer_names()[:len(plan.kernel.axes)]
    for computes, _ in plan.sweeps():
        vectorize_sweep(plan, computes, _best_run(plan, computes, lanes), lanes)
    work = sum(_iterations(plan, compute) for compute, _ in plan.nest.leaves())
    free = list(takewhile(lambda name: not _reduced_somewhere(plan, name), outer))
    plan.make_tasks(free, max(1, work // max(1, prod(plan.extent(name) for name in free))))


def _reduced_somewhere(plan: Plan, name: str) -> bool:
    axis = plan.nest.names[name]
    return any(plan.nest.reduces(compute, axis) for compute, _ in plan.nest.leaves())


def vectorize_sweep(plan: Plan, computes: list[Compute], run: tuple[Axis, ...], lanes: int) -> None:
    """Lanes along the axes ``run`` for one sweep: unreduced loops outside, reduced ones inside, vectors innermost."""
    if not run:
        return
    within = computes[0].number
    vector = plan.fuse([plan.name(part) for part in run], within)
    axis = plan.nest.names[vector]
    reduced = any(plan.nest.reduces(compute, axis) for compute in computes)
    inner = [*[plan.name(a) for a in _inner_axes(plan, computes) if a not in run], vector]
    others = sorted((name for name in inner if name != vector),
                    key=lambda name: any(plan.nest.reduces(c, plan.nest.names[name]) for c in computes))
    free = [name for name in others if not any(plan.nest.reduces(c, plan.nest.names[name]) for c in computes)]
    order = [*others, vector] if reduced else [*free, vector, *others[len(free):]]
    plan.reorder(order, within)
    count = plan.choices.vectors or _REDUCTION_VECTORS if reduced else 1
    if axis.limit is not None:
        count = 1
    count = max(1, min(count, axis.extent // lanes))
    if count > 1:
        _, vector = plan.split(vector, count * lanes, within)
        unrolled, vector = plan.split(vector, lanes, within)
        plan.unroll(unrolled, within, separate=reduced)
    elif axis.extent > lanes or axis.limit is not None:
        _, vector = plan.split(vector, lanes, within)
    elif axis.extent < lanes:
        vector = _one_vector(plan, vector, lanes, within)
    if not reduced and len(free) < len(others):
        plan.reorder([*others[len(free):], vector], within)
    plan.vectorize(vector, within)


def _one_vector(plan: Plan, name: str, lanes: int, within: int | None) -> str:
    """The whole axis in one vector: as wide as the next power of two, the last lanes masked."""
    width = 1
    while width < plan.extent(name):
        width *= 2
    return plan.split(name, min(width, lanes), within)[1] if width != plan.extent(name) else name


# ------------------------------------------------------------------------------------------------------- columns


def _plan_columns(plan: Plan, axis: Axis, lanes: int) -> None:
    vector = plan.name(axis)
    outer = plan.outer_names()[:len(plan.kernel.axes)]
    others = [name for name in outer if name != vector and not _reduced_somewhere(plan, name)]
    summed = [name for name in outer if name != vector and name not in others]
    plan.reorder([*others, vector, *summed])
    sweeps = plan.sweeps()
    deep = len(sweeps) > 1 or bool(_inner_axes(plan, sweeps[0][0])) or bool(summed)
    work = sum(_iterations(plan, compute) for compute, _ in plan.nest.leaves())
    count = plan.choices.vectors or (_COLUMN_VECTORS if deep else 1)
    count = max(1, min(count, axis.extent // lanes))
    for computes, _ in sweeps:
        _reductions_inside(plan, computes)
    tile = ""
    if axis.extent <= lanes:
        inner = [_one_vector(plan, vector, lanes, None)]
        if inner != [vector]:
            tile = f"{vector}.o"
    else:
        tile, block = plan.split(vector, count * lanes)
        inner = list(plan.split(block, lanes)) if count > 1 else [block]
    long = _long_rows(plan, axis) if tile and not summed else None
    if long is not None:
        tile, block = _tile_blocks(plan, tile, prod(plan.extent(name) for name in others))
        inner = [block, *inner]
    for name in inner if deep else []:
        plan.sink(name)
    if long is not None:
        _sum_long_rows(plan, long, inner)
        inner = inner[1:]
    if len(inner) > 1:
        plan.unroll(inner[0])
    plan.vectorize(inner[-1])
    _column_tasks(plan, others, tile, work)


def _long_rows(plan: Plan, vector: Axis) -> Compute | None:
    """A reduction of columns whose rows do not stay in a cache: they are to be read as they lie, in long pieces.

    It is the only statement with inner loops, and those are one loop over the rows.
    """
    deep = [computes for computes, _ in plan.sweeps() if _inner_axes(plan, computes)]
    if len(deep) != 1 or len(deep[0]) != 1:
        return None
    (compute,), statement = deep[0], deep[0][0].statement
    assert isinstance(statement, Statement)
    (rows, *others) = _inner_axes(plan, [compute])
    dtype, monoid = statement.value.dtype, statement.monoid or "arg"
    if (others or not plan.nest.reduces(compute, rows) or rows.limit is not None or rows.extent < 2 * _SUMMED_ROWS
            or monoid.startswith("arg") or accumulator_dtype(monoid, dtype) is not dtype):
        return None
    nbytes = prod((rows.extent, vector.extent, statement.value.dtype.itemsize))
    streams = any(stride(index, vector) == 1 and stride(index, rows) not in (0, 1)
                  for index in accesses(plan.kernel, statement))
    return compute if streams and nbytes > plan.target.l1_bytes else None


def _tile_blocks(plan: Plan, tile: str, others: int) -> tuple[str, str]:
    """Cuts the loop over tiles of columns into blocks whose sums stay in the L1 cache; enough of them to share out."""
    block = max(_BLOCK_TILES // 16, min(_BLOCK_TILES, plan.extent(tile) * others // _BLOCKS))
    return plan.split(tile, min(block, plan.extent(tile)), peel=False)


def _sum_long_rows(plan: Plan, compute: Compute, inner: list[str]) -> None:
    """A few rows at a time across a whole block of columns, whose sums are kept in storage in between."""
    (rows,) = _inner_axes(plan, [compute])
    groups, row = plan.split(plan.name(rows), _SUMMED_ROWS, compute.number)
    block, *vectors = inner
    plan.reorder([groups, block, row, *vectors], compute.number)
    plan.unroll(row, compute.number)


def _crossing_axis(plan: Plan, vector: Axis) -> Axis | None:
    """For a pointwise kernel that gathers along ``vector``: an axis along which what it gathers is contiguous."""
    if any(isinstance(s, Statement) and (s.reduced or len(s.axes) > len(plan.kernel.axes))
           for s in plan.kernel.statements):
        return None
    across = [index for s in plan.kernel.statements if isinstance(s, Statement) for index in accesses(plan.kernel, s)
              if stride(index, vector) not in (0, 1)]
    return next((axis for axis in plan.kernel.axes if axis is not vector and axis.extent > 1
                 and any(stride(index, axis) == 1 for index in across)), None)


def _plan_transposition(plan: Plan, vector: Axis, crossing: Axis, lanes: int) -> None:
    """Square blocks: the lines that one vector gathers serve the next ones, along ``crossing``, from the cache."""
    lane, across = plan.name(vector), plan.name(crossing)
    others = [plan.name(axis) for axis in plan.kernel.axes if axis not in (vector, crossing)]
    blocks, inside = plan.split(across, lanes, peel=False)
    tiles, lane = plan.split(lane, lanes)
    plan.reorder([*others, blocks, tiles, inside, lane])
    plan.vectorize(lane)
    for computes, _ in plan.sweeps():
        for compute in computes:
            plan.do(CopyBlock(compute.number, inside, lane))
    work = prod(axis.extent for axis in plan.kernel.axes)
    names = [*others, blocks]
    plan.make_tasks(names, max(1, work // prod(plan.extent(name) for name in names)))


def _reductions_inside(plan: Plan, computes: list[Compute]) -> None:
    """Within a sweep, unreduced loops go outside reduced ones."""
    names = [plan.name(axis) for axis in _inner_axes(plan, computes)]
    order = sorted(names, key=lambda name: any(plan.nest.reduces(c, plan.nest.names[name]) for c in computes))
    if order != names:
        plan.reorder(order, computes[0].number)


def _column_tasks(plan: Plan, others: list[str], tile: str, work: int) -> None:
    """Tasks of the other outer loops where they are many; else of blocks of column tiles."""
    count = prod(plan.extent(name) for name in others)
    tiles = plan.extent(tile) if tile else 1
    if count >= 16 or tiles == 1:
        plan.make_tasks(others, max(1, work // max(1, count)))
        return
    plan.reorder([tile, *others])
    plan.make_tasks([tile], max(1, work // tiles))
