"""What an assignment in place demands: old versions are read before they are overwritten, and never beside it."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import count

from codegen.kernel import Read
from codegen.schedule.computation import Access, Computation, Kind, producers_of
from ir.node import Node, located, make_node, tagged
from ir.op import NoAttributes
from ir.ops.marker import CONTIGUOUS

_tags = count(-(1 << 40), -1)  # temporaries are unlike each other and unlike the nodes of the user's graph


class Overwrites:
    """Which computation overwrites which version of a buffer."""

    def __init__(self, order: Sequence[Computation]) -> None:
        self.by: dict[Node, Computation] = {
            computation.overwrites: computation for computation in order if computation.overwrites is not None}
        self._later: dict[Computation, frozenset[Computation]] = {}

    def later(self, version: Node) -> frozenset[Computation]:
        """Whatever depends on the version that replaces ``version``: it must not read ``version`` itself."""
        start = self.by.get(version)
        if start is None:
            return frozenset()
        if start not in self._later:
            found: set[Computation] = set()
            pending = [start]
            while pending:
                computation = pending.pop()
                next_version = [self.by[value] for value in computation.values if value in self.by]
                for later in (*computation.readers, *next_version):
                    if later not in found:
                        found.add(later)
                        pending.append(later)
            self._later[start] = frozenset(found)
        return self._later[start]


def order_assignments(order: Sequence[Computation]) -> list[Computation]:
    """Adds the edges from the readers of every old version to its overwriter; returns all in an order that keeps them.

    What reads the version it overwrites elsewhere than at the element it writes (``x.assign(x.flip())``), and what
    would have to run before something that must run before it (``x, y = y, x``), is computed into a temporary first.
    """
    overwrites = Overwrites(order)
    result = list(order)
    producers = producers_of(order)
    for computation in order:
        version = computation.overwrites
        if version is not None and not reads_at_own_element(computation, version):
            result.insert(result.index(computation), _into_temporary(computation, producers))
    for computation in result:
        for value in {access.value: None for access in computation.accesses}:
            writer = overwrites.by.get(value)
            if writer is not None and writer is not computation:
                writer.after.append(computation)
    for version, writer in overwrites.by.items():
        if version in producers:
            writer.after.append(producers[version])
    return _sorted_with_temporaries(result, overwrites, producers)


def reads_at_own_element(computation: Computation, version: Node) -> bool:
    """Whether an assignment reads the old version only at the element that it writes."""
    return all(access.indices == computation.indices for access in computation.accesses if access.value is version)


def _sorted_with_temporaries(order: list[Computation], overwrites: Overwrites,
                             producers: Mapping[Node, Computation]) -> list[Computation]:
    """The computations in order; a cycle of writers that read what the others overwrite goes through temporaries."""
    while True:
        result = _sorted(order)
        if len(result) == len(order):
            return result
        done = set(result)
        writer = next((c for c in order if c not in done and c.overwrites is not None and any(
            access.value in overwrites.by and access.value is not c.overwrites for access in c.accesses)), None)
        if writer is None:
            stuck = next(computation for computation in order if computation not in done)
            raise AssertionError(f"cyclic order between computations: {stuck!r} waits for itself")
        temporary = _into_temporary(writer, producers)
        for other in order:
            other.after = [temporary if earlier is writer and _reads(temporary, other.overwrites) else earlier
                           for earlier in other.after]
        writer.after.append(temporary)
        order.insert(order.index(writer), temporary)


def _reads(computation: Computation, value: Node | None) -> bool:
    return any(access.value is value for access in computation.accesses)


def _into_temporary(assignment: Computation, producers: Mapping[Node, Computation]) -> Computation:
    """Moves the work of an assignment into a value of its own, which the assignment then copies."""
    value = assignment.node.operands[-1]  # for a part of a value: the value itself, of the same type
    with tagged(next(_tags)), located(assignment.node.location):
        node = make_node(CONTIGUOUS, (value,), NoAttributes())
    indices = tuple([dimension.index for dimension in assignment.loops])
    temporary = Computation(node, Kind.POINTWISE, assignment.axes, indices, assignment.expression, assignment.loops,
                            required=True, operations=assignment.operations, accesses=assignment.accesses,
                            readers=[assignment])
    for value in {access.value for access in assignment.accesses} & producers.keys():
        readers = producers[value].readers
        readers[readers.index(assignment)] = temporary
    assignment.expression = Read(node, indices)
    assignment.accesses = [Access(node, indices, True)]
    assignment.operations = 1
    return temporary


def _sorted(order: Sequence[Computation]) -> list[Computation]:
    """The computations numbered in an order in which readers and ``after`` come later, else as before.

    Those that wait for themselves are left out.
    """
    place = {computation: i for i, computation in enumerate(order)}
    successors: defaultdict[Computation, list[Computation]] = defaultdict(list)
    missing = dict.fromkeys(order, 0)
    for computation in order:
        for later in computation.readers:
            successors[computation].append(later)
            missing[later] += 1
        for earlier in computation.after:
            successors[earlier].append(computation)
            missing[computation] += 1
    ready = [place[computation] for computation in order if not missing[computation]]
    heapq.heapify(ready)
    result: list[Computation] = []
    while ready:
        computation = order[heapq.heappop(ready)]
        computation.number = len(result)
        result.append(computation)
        for later in successors[computation]:
            missing[later] -= 1
            if not missing[later]:
                heapq.heappush(ready, place[later])
    return result
