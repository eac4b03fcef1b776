"""What forbids one kernel: each clause names itself, and the name becomes the reason of a kernel boundary."""

from __future__ import annotations

from codegen.index import Axis
from codegen.schedule.alignment import Digits, Pairs, Refusal, crossing_reads
from codegen.schedule.computation import Computation, Kind
from codegen.schedule.group import Group, Partition
from codegen.schedule.streaming import is_wide


class Legality:
    """The clauses under which two groups may share the loops ``pairs``."""

    def __init__(self, partition: Partition, digits: Digits) -> None:
        self._partition, self._digits = partition, digits
        self._limits = partition.limits

    def refuse(self, first: Group, second: Group, pairs: Pairs) -> Refusal | None:
        """The first clause that fails, or None where the two may be one kernel.

        Cycles through other groups are not looked at here (``Partition.has_path``).
        """
        clauses = (self._stages, self._contraction, self._accumulators, self._size, self._parallelism, self._columns,
                   self._scratch, self._overwriting)
        refusals = (clause(first, second, pairs) for clause in clauses)
        return next((refusal for refusal in refusals if refusal is not None), None)

    def _stages(self, first: Group, second: Group, pairs: Pairs) -> Refusal | None:
        """Rows that are computed again, to be read after others are closed, are no part of an earlier kernel."""
        together = len(first.stages | second.stages) <= 1
        return None if together else Refusal("long rows of the two are not closed together")

    def _contraction(self, first: Group, second: Group, pairs: Pairs) -> Refusal | None:
        if not (first.has_contraction or second.has_contraction):
            return None
        if first.streams or second.streams:
            return self._rows(first, second, pairs)
        if first.has_contraction and second.has_contraction:
            return Refusal("two contractions share a nest only where long rows of one stay in scratch")
        if any(group.has_row_reduction for group in (first, second)):
            return Refusal("a row reduction needs whole rows of a tiled contraction")
        if second.has_contraction and any(
                member.contraction is not None and self._reads(member, first) for member in second.members):
            return Refusal("the operand of a contraction is materialised")
        if len(pairs) < len(first.loops) or len(pairs) < len(second.loops):
            return Refusal("contraction tiles would be lost")
        return None

    def _rows(self, first: Group, second: Group, pairs: Pairs) -> Refusal | None:
        """A contraction that makes or closes long rows runs once for each of them, so the loops over rows are kept."""
        for producer, reader, _ in crossing_reads(self._partition, first, second):
            if reader.contraction is not None and reader.row is None and is_wide(producer):
                return Refusal("it sums over the rows: complete only after all of them")
            if reader.contraction is not None and not is_wide(producer):
                return Refusal("the operand of a contraction is materialised")
        for group, kept in ((first, set(pairs)), (second, set(pairs.values()))):
            for member in group.members:
                if member.contraction is None or member in group.accumulators:
                    continue
                loops = group.axis_loops[member]
                if member.row is None or not {loops.get(axis) for axis in member.row.outer} <= kept:
                    return Refusal("contraction tiles would be lost")
        return None

    def _reads(self, member: Computation, group: Group) -> bool:
        producers = self._partition.producers
        return any(producers.get(access.value) in group.members for access in member.accesses
                   if access.value in producers)

    def _accumulators(self, first: Group, second: Group, pairs: Pairs) -> Refusal | None:
        for group, kept in ((first, pairs.keys()), (second, pairs.values())):
            if any(not loops <= set(kept) for loops in group.accumulators.values()):
                return Refusal("an accumulator's loop would be lost")
        return None

    def _size(self, first: Group, second: Group, pairs: Pairs) -> Refusal | None:
        if first.operations + second.operations > self._limits.kernel:
            return Refusal(f"more than {self._limits.kernel} operations in one kernel")
        return None

    def _parallelism(self, first: Group, second: Group, pairs: Pairs) -> Refusal | None:
        kept = _volume(first, pairs)
        if kept >= self._limits.parallel:
            return None
        for group in (first, second):
            if group.parallel > kept and max(member.volume for member in group.members) > self._limits.tiny:
                return Refusal(f"only {kept} parallel iterations would remain")
        return None

    def _columns(self, first: Group, second: Group, pairs: Pairs) -> Refusal | None:
        """The contiguous axis stays inside: a pointwise value that is most of the work must not walk columns."""
        if first.has_contraction or second.has_contraction:
            return None
        largest = max(member.volume for group in (first, second) for member in group.members)
        kept_volume = _volume(first, pairs)
        for group, kept in ((first, set(pairs)), (second, set(pairs.values()))):
            for member in group.members:
                if member.kind is not Kind.POINTWISE or 2 * member.size < largest or member.size <= kept_volume:
                    continue
                innermost = member.loops[-1].axes[-1:] if member.loops else ()
                if any(group.axis_loops[member].get(axis) in kept for axis in innermost):
                    return Refusal("it would walk columns")
        return None

    def _scratch(self, first: Group, second: Group, pairs: Pairs) -> Refusal | None:
        kept = max(1, _volume(first, pairs))
        for group in (first, second):
            for member in group.members:
                if member.size > kept and member.nbytes // kept > self._limits.scratch:
                    return Refusal(f"{member.nbytes // kept >> 10} KiB of scratch for each iteration are more than "
                                   f"{self._limits.scratch >> 10} KiB")
        return None

    def _overwriting(self, first: Group, second: Group, pairs: Pairs) -> Refusal | None:
        """Who reads a version of a buffer beside its overwriter must read it at the element being written.

        Two writers into one storage never share a kernel: one may write an element before the other's turn has come.
        """
        owners = {writer.owner for writer in first.writers}
        if any(writer.owner in owners for writer in second.writers):
            return Refusal("both write into the same buffer")
        for group in (first, second):
            for writer in group.writers:
                for reader in self._partition.readers.get(writer.overwrites, ()) if writer.overwrites else ():
                    home = self._partition.group_of[reader]
                    if reader is not writer and (home is first or home is second):
                        loops = _SharedLoops(first, pairs)
                        if not self._in_step(writer, loops.of(writer, group), reader, loops.of(reader, home)):
                            return Refusal("it would overwrite what the other still reads")
        return None

    def _in_step(self, writer: Computation, writer_loops: dict[Axis, int], reader: Computation,
                 reader_loops: dict[Axis, int]) -> bool:
        for access in reader.accesses:
            if access.value is not writer.overwrites:
                continue
            places = self._digits.of(writer, access.indices)
            if places is None:
                return False
            for axis, index in places.items():
                if axis not in writer_loops or index.bare not in reader_loops \
                        or reader_loops[index.bare] != writer_loops[axis]:
                    return False
        return True


class _SharedLoops:
    """Along which of the loops that two groups would share the axes of their members run."""

    def __init__(self, first: Group, pairs: Pairs) -> None:
        self._first, self._pairs = first, pairs
        self._names = {other: loop for loop, other in pairs.items()}

    def of(self, member: Computation, home: Group) -> dict[Axis, int]:
        loops = home.axis_loops[member]
        if home is self._first:
            return {axis: loop for axis, loop in loops.items() if loop in self._pairs}
        return {axis: self._names[loop] for axis, loop in loops.items() if loop in self._names}


def _volume(first: Group, pairs: Pairs) -> int:
    total = 1
    for loop in pairs:
        total *= first.loops[loop].extent
    return total
