"""Which values disappear into the expressions of their readers, and the expressions that result.

A value is inlined where recomputing costs nothing that matters: constants and scalars, outer products that only
reductions read (never in memory, however many read them), and pointwise values with one reader that reads no element
much more often than once. Everything else is a computation with a home, which merging then finds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from codegen.expression import Rewriter, walk
from codegen.index import Index
from codegen.kernel import Expression, Read
from codegen.schedule.assignments import Overwrites
from codegen.schedule.computation import READERS_OF_MEMORY, Access, Computation, Kind, is_identity, producers_of
from codegen.schedule.cost import OPERATION_COST, Limits, bytes_of
from ir.node import Node

_CHEAP = 8  # operations that are recomputed rather than read, for values that depend on constants and scalars alone
_REPEATED = 1.25  # how often an inlined value may be evaluated per element
_OUTER_PRODUCT_COST = 4


def inline(order: Sequence[Computation], limits: Limits) -> list[Computation]:
    """Decides, splices expressions, and returns the computations that remain, with their accesses and readers."""
    producers = producers_of(order)
    _connect(order, producers)
    decision = _Decision(producers, limits, Overwrites(order))
    for computation in order:
        if computation.readers:
            decision.decide(computation)
    remaining = [c for c in order if not c.inlined and (c.readers or c.required)]
    _splice(order, producers)
    for computation in remaining:
        computation.accesses = effective_accesses(computation)
    _connect(remaining, producers)
    return _alive(remaining, producers)


def _connect(order: Sequence[Computation], producers: Mapping[Node, Computation]) -> None:
    """Fills in ``readers`` from the accesses."""
    for computation in order:
        computation.readers = []
    for computation in order:
        for value in dict.fromkeys(access.value for access in computation.accesses):
            producer = producers.get(value)
            if producer is not None:
                producer.readers.append(computation)


def _alive(order: Sequence[Computation], producers: Mapping[Node, Computation]) -> list[Computation]:
    """Those that something required depends on, with dead readers forgotten."""
    alive: list[Computation] = []
    for computation in reversed(order):
        if computation.readers or computation.required:
            alive.append(computation)
        else:
            for value in {access.value for access in computation.accesses} & producers.keys():
                producers[value].readers.remove(computation)
    return alive[::-1]


class _Decision:
    """Decides producers first, so that what a value has already swallowed is known."""

    def __init__(self, producers: Mapping[Node, Computation], limits: Limits, overwrites: Overwrites) -> None:
        self._producers, self._limits, self._overwrites = producers, limits, overwrites
        self._old_versions: dict[Computation, frozenset[Node]] = {}  # versions of buffers that are overwritten later
        self._free_cost: dict[Computation, int] = {}  # of values that depend on constants and scalars alone
        self._largest_leaf: dict[Computation, int] = {}  # elements of the largest value that an expression reads

    def decide(self, computation: Computation) -> None:
        self._measure(computation)
        if computation.kind is not Kind.POINTWISE or computation.required or computation.owner is not None:
            return
        if self._is_needed_after_overwriting(computation) or any(
                reader.kind in READERS_OF_MEMORY for reader in computation.readers):
            return
        if computation in self._free_cost:
            computation.inlined = self._free_cost[computation] <= _CHEAP
        elif self._is_outer_product(computation):
            computation.inlined = True
        elif len(computation.readers) == 1:
            computation.inlined = self._into_single_reader(computation, computation.readers[0])
        if computation.inlined:
            for reader in computation.readers:
                reader.operations += computation.operations

    def _measure(self, computation: Computation) -> None:
        """Whether the value is free of tensors, and how large the tensors are that its expression reads."""
        below = [self._producers.get(access.value) for access in computation.accesses]
        inlined = [producer for producer in below if producer is not None and producer.inlined]
        leaves = [access.value for access, producer in zip(computation.accesses, below, strict=True)
                  if producer is None or not producer.inlined]
        sizes = [bytes_of(leaf) // leaf.dtype.itemsize for leaf in leaves]
        self._largest_leaf[computation] = max([*sizes, *(self._largest_leaf[p] for p in inlined)], default=1)
        scalar = all(self._is_scalar_source(leaf) for leaf in leaves)
        if scalar and computation.kind is Kind.POINTWISE and all(p in self._free_cost for p in inlined):
            own = OPERATION_COST.get(computation.node.op.name, 1)
            self._free_cost[computation] = own + sum(self._free_cost[producer] for producer in inlined)

    def _is_needed_after_overwriting(self, computation: Computation) -> bool:
        """Whether the value reads a version of a buffer and has a reader that runs after it was overwritten."""
        if not self._overwrites.by:
            return False
        versions = frozenset(access.value for access in computation.accesses) & self._overwrites.by.keys()
        for producer in (self._producers.get(access.value) for access in computation.accesses):
            if producer is not None and producer.inlined:
                versions |= self._old_versions[producer]
        self._old_versions[computation] = versions
        return any(not self._overwrites.later(version).isdisjoint(computation.readers) for version in versions)

    def _is_scalar_source(self, leaf: Node) -> bool:
        return leaf not in self._producers and bytes_of(leaf) == leaf.dtype.itemsize

    def _is_outer_product(self, computation: Computation) -> bool:
        """Whether the value is much larger than all it is made of, and only summed: it must never be stored."""
        return (computation.volume >= 2 * self._largest_leaf[computation]
                and computation.operations <= _OUTER_PRODUCT_COST
                and OPERATION_COST.get(computation.node.op.name, 1) <= _OUTER_PRODUCT_COST
                and all(reader.kind is Kind.REDUCTION for reader in computation.readers))

    def _into_single_reader(self, computation: Computation, reader: Computation) -> bool:
        accesses = list(computation_accesses(reader, computation.node))
        if any(access.indices != accesses[0].indices for access in accesses):
            return False
        if reader.operations + computation.operations > self._limits.inlined:
            return False
        if all(access.injective for access in accesses):
            return True
        return reader.volume <= _REPEATED * computation.volume or self._is_unpacking(computation)

    def _is_unpacking(self, computation: Computation) -> bool:
        """A conversion of narrower elements: reading the narrow ones again costs less than storing wide ones."""
        return (computation.node.op.name == "cast" and len(computation.accesses) == 1 and computation.operations == 1
                and computation.accesses[0].value.dtype.itemsize < computation.node.dtype.itemsize)


def computation_accesses(reader: Computation, value: Node) -> list[Access]:
    return [access for access in reader.accesses if access.value is value]


# ------------------------------------------------------------------------------------------------- expressions


def _splice(order: Sequence[Computation], producers: Mapping[Node, Computation]) -> None:
    """Replaces every read of an inlined value by its expression, producers first."""
    for computation in order:
        if any(a.value in producers and producers[a.value].inlined for a in computation.accesses):
            splicer = Splicer(producers)
            computation.expression = splicer.rewriter(computation.expression)
            computation.indices = tuple([splicer.rewriter.index(index) for index in computation.indices])
            computation.guards = tuple([guard._replace(index=splicer.rewriter.index(guard.index))
                                        for guard in computation.guards])


class Splicer:
    """Replaces reads of inlined values by their expressions at the index read; equal reads become one object."""

    def __init__(self, producers: Mapping[Node, Computation]) -> None:
        self._producers = producers
        self._known: dict[tuple[Node, tuple[Index, ...]], Expression] = {}
        self.rewriter = Rewriter({}, self._replace)

    def _replace(self, read: Read) -> Expression:
        producer = self._producers.get(read.value)
        if producer is None or not producer.inlined:
            return read
        key = read.value, read.indices
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = expression_at(producer, read.indices)
        return known


def expression_at(producer: Computation, indices: tuple[Index, ...]) -> Expression:
    """The expression of a pointwise value for its element at ``indices``."""
    digits = producer.digits(indices)
    if digits is None:
        raise ValueError(f"{producer!r} is not computed element by element and cannot be inlined")
    return producer.expression if is_identity(digits) else Rewriter(digits)(producer.expression)


def effective_accesses(computation: Computation) -> list[Access]:
    """What the whole expression reads, each element of a value once."""
    if computation.kind in (*READERS_OF_MEMORY, Kind.JOIN):
        return computation.accesses
    dynamic = [atom.expression for index in computation.indices for atom in index.dynamics]
    found: dict[tuple[Node, tuple[Index, ...]], Access] = {}
    for part in walk(computation.expression, *dynamic):
        if isinstance(part, Read):
            found.setdefault((part.value, part.indices), Access(part.value, part.indices, False))
    return list(found.values())


