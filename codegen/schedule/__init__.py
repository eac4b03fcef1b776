"""Scheduling: which values become which kernels, and where every value lives. See ``codegen.kernel`` for the result.

The phases, each in a file of its own:

1. ``canonical``: calls are inlined, old versions of buffers are kept where they are still needed;
2. ``axes``: dimensions are split into loops (the coarsest common refinement of all reshapes);
3. ``builder``, ``access``: values that are not views become computations, views become index expressions;
4. ``inline``: values that cost nothing to recompute disappear into their readers;
5. ``contraction``: sums of products are recognised by the axes of their factors;
6. ``assignments``: whoever reads an old version of a buffer runs before it is overwritten;
7. ``streaming``, ``destinations``: long rows are not stored but computed again by later kernels, and sums over them are
   stored where they are wanted;
8. ``group``, ``alignment``, ``legality``, ``merge``: one group per computation, merged where that saves bytes;
9. ``kernels``, ``coalesce``: groups become kernels, with axes joined again and a home for every value;
10. ``sequence``, ``order``: the kernels in order, in batches that may run together.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

from codegen.kernel import Schedule
from codegen.schedule.access import Binding
from codegen.schedule.accumulate import attach_accumulators
from codegen.schedule.assignments import order_assignments
from codegen.schedule.builder import Builder
from codegen.schedule.canonical import canonical
from codegen.schedule.computation import Computation, producers_of
from codegen.schedule.contraction import classify
from codegen.schedule.cost import Limits
from codegen.schedule.destinations import store_directly
from codegen.schedule.group import Partition
from codegen.schedule.inline import inline
from codegen.schedule.merge import Merger
from codegen.schedule.order import ordered_steps
from codegen.schedule.recompute import recompute_values
from codegen.schedule.scan import LoopBody, LoopContext, Part
from codegen.schedule.streaming import stream_rows
from ir.graph import topological_order
from ir.node import Node

if TYPE_CHECKING:
    from codegen.target import Target

__all__ = ["Limits", "schedule"]


def schedule(outputs: Sequence[Node], target: Target, limits: Limits | None = None) -> Schedule:
    """The kernels that compute ``outputs``, in order.

    ``Schedule.outputs`` holds, for each output in turn, the node whose storage has it: the output itself, or a copy of
    a buffer that is an output unchanged. ``limits`` replaces what the target implies (for tests).
    """
    results = canonical(outputs)
    limits = limits or Limits.of(target)

    def schedule_parts(parts: Sequence[Part], bindings: Mapping[Node, Binding], context: LoopContext) -> LoopBody:
        sources = canonical([part.source for part in parts])
        parts = [part._replace(source=source) for part, source in zip(parts, sources, strict=True)]
        builder = Builder(topological_order(sources), (), context, parts, bindings)
        body, remaining = _scheduled(builder, (), limits)
        inside = producers_of(remaining)
        reads = (access.value for computation in remaining for access in computation.accesses)
        return LoopBody(body, tuple(dict.fromkeys(value for value in reads if value not in inside)))

    with _without_garbage_collection():
        builder = Builder(topological_order(results), results, LoopContext(schedule_parts, count()))
        return _scheduled(builder, results, limits)[0]


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Scheduling makes many small objects that all stay alive until it is done: searching them for garbage is a third
    of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _scheduled(builder: Builder, outputs: Sequence[Node], limits: Limits) -> tuple[Schedule, list[Computation]]:
    """The schedule of the computations that a builder made, and those that were not inlined."""
    remaining = order_assignments(inline(builder.order, limits))
    for computation in remaining:
        computation.contraction = classify(computation)
    remaining = store_directly(stream_rows(remaining, limits))
    partition = Partition(remaining, limits)
    merger = Merger(partition)
    merger.merge_neighbours()
    merger.merge_siblings()
    attach_accumulators(merger)
    if recompute_values(merger):
        merger.merge_neighbours()
        attach_accumulators(merger)
    steps = ordered_steps(merger)
    stored = tuple(value for computation in remaining
                   if computation in partition.group_of and partition.is_stored(computation)
                   for value in computation.values)
    return Schedule(steps, stored, tuple(outputs)), remaining
