"""Sums over rows are stored where they are wanted: the copy of one becomes the sum itself.

An accumulator is complete only after its kernel, so whoever copies it, turned or into a part of a larger value, would
be a kernel of its own. Where that copy is all that reads the sum, the sum accumulates in the place of the copy instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from codegen.expression import Rewriter
from codegen.index import Axis, Index
from codegen.kernel import Read
from codegen.schedule.computation import Computation, Kind, producers_of
from codegen.schedule.contraction import classify
from codegen.schedule.inline import effective_accesses
from codegen.schedule.streaming import is_wide
from ir.node import Node


def store_directly(order: Sequence[Computation]) -> list[Computation]:
    """The computations without the sums over rows that are copied elsewhere; their copies compute them."""
    producers = producers_of(order)
    reads = Counter(access.value for computation in order for access in computation.accesses)
    replaced: set[Computation] = set()
    for computation in order:
        source = _copied(computation, producers)
        if source is None or reads[source.node] > 1:
            continue
        assert isinstance(computation.expression, Read)
        digits = source.digits(computation.expression.indices) or {}
        places = {axis: index.bare for axis, index in digits.items()}
        if set(places.values()) == set(computation.axes) and len(places) == len(computation.axes):
            _become(computation, source, digits)
            replaced.add(source)
    remaining = [computation for computation in order if computation not in replaced]
    for number, computation in enumerate(remaining):
        computation.number = number
    return remaining


def _copied(computation: Computation, producers: Mapping[Node, Computation]) -> Computation | None:
    """The sum over rows that the computation copies, if that is all it does."""
    if computation.kind is not Kind.POINTWISE or not isinstance(computation.expression, Read):
        return None
    source = producers.get(computation.expression.value)
    if source is None or source.contraction is None or source.row is not None or source.required:
        return None
    below = (producers.get(access.value) for access in source.accesses)
    return source if any(before is not None and is_wide(before) for before in below) else None


def _become(copy: Computation, source: Computation, digits: Mapping[Axis, Index]) -> None:
    """Makes the copy the reduction that it has read, over its own axes."""
    copy.kind, copy.monoid, copy.reduced = Kind.REDUCTION, source.monoid, source.reduced
    copy.axes = (*copy.axes, *(axis for axis in source.axes if axis in source.reduced))
    copy.expression = Rewriter(digits)(source.expression)
    copy.operations = source.operations
    copy.after = [*copy.after, *source.after]
    copy.accesses = effective_accesses(copy)
    for name in ("outer", "volume", "size"):  # known of the copy as it was
        copy.__dict__.pop(name, None)
    copy.contraction = classify(copy)
