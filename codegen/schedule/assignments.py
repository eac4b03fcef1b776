"""What an assignment in place demands: old versions are read before they are overwritten, and never beside it."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import count

from codegen.expression import Rewriter
from codegen.index import Axis, Index
from codegen.kernel import Read
from codegen.schedule.access import as_index
from codegen.schedule.axes import extents
from codegen.schedule.computation import READERS_OF_MEMORY, Access, Computation, Kind, Loops, producers_of
from ir.node import Node, located, make_node, tagged
from ir.op import GraphError, NoAttributes
from ir.ops.marker import CONTIGUOUS
from ir.symbolic import Dimension

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

    What reads the version it overwrites elsewhere than at the element it writes (``x.assign(x.flip())``) is computed
    into a temporary first. What would have to run before something that must run before it (``x, y = y, x``) reads a
    copy of the old version.
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
    return _sorted_with_copies(result, overwrites, producers)


def reads_at_own_element(computation: Computation, version: Node) -> bool:
    """Whether an assignment reads the old version only at the element that it writes."""
    return all(access.indices == computation.indices for access in computation.accesses if access.value is version)


def _sorted_with_copies(order: list[Computation], overwrites: Overwrites,
                        producers: Mapping[Node, Computation]) -> list[Computation]:
    """The computations in order. Where some wait for each other in a circle, one reads a copy of the old version."""
    while True:
        result = _sorted(order)
        if len(result) == len(order):
            return result
        done = set(result)
        stuck = {computation: None for computation in order if computation not in done}
        reads = ((reader, access.value) for reader in stuck if reader.kind not in READERS_OF_MEMORY
                 for access in reader.accesses
                 if access.value in overwrites.by and producers.get(access.value) not in stuck)
        found = next(((reader, value) for reader, value in reads if value is not reader.overwrites), None)
        if found is None:
            first = next(iter(stuck)).node
            raise GraphError(f"{first!r} at {first.location} reads a buffer that must be overwritten "
                             "before; read ir.contiguous(buffer) instead")
        reader, version = found
        copy = _read_copy(reader, version)
        writer = overwrites.by[version]
        writer.after = [copy if earlier is reader else earlier for earlier in writer.after]
        if version in producers:
            producer = producers[version]
            producer.readers = [copy if later is reader else later for later in producer.readers]
        order.insert(order.index(reader), copy)


def _read_copy(reader: Computation, version: Node) -> Computation:
    """A copy of a version of a buffer, which ``reader`` reads instead."""
    node = _temporary(version, reader.node)
    limits = [as_index(size) if isinstance(size, Dimension) else None for size in version.shape]
    axes = [Axis(extent, limit=limit) for extent, limit in zip(extents(version), limits, strict=True)]
    loops = tuple([Loops((axis,) if axis.extent > 1 else (), Index.of(axis)) for axis in axes])
    indices = tuple([dimension.index for dimension in loops])
    copy = Computation(node, Kind.POINTWISE, tuple([axis for dimension in loops for axis in dimension.axes]), indices,
                       Read(version, indices), loops, required=True, accesses=[Access(version, indices, True)],
                       readers=[reader])
    rewriter = Rewriter({}, lambda read: Read(node, read.indices) if read.value is version else read)
    reader.expression = rewriter(reader.expression)
    reader.indices = tuple([rewriter.index(index) for index in reader.indices])
    reader.accesses = [access._replace(value=node) if access.value is version else access for access in reader.accesses]
    return copy


def _temporary(source: Node, user: Node) -> Node:
    """A node unlike any other, with the elements of ``source``."""
    with tagged(next(_tags)), located(user.location):
        return make_node(CONTIGUOUS, (source,), NoAttributes())


def _into_temporary(assignment: Computation, producers: Mapping[Node, Computation]) -> Computation:
    """Moves the work of an assignment into a value of its own, which the assignment then copies."""
    value = assignment.node.operands[-1]  # for a part of a value: the value itself, of the same type
    node = _temporary(value, assignment.node)
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
