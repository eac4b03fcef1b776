"""The order of kernels, in batches of kernels that do not depend on each other, and why each kernel ends where it does.

Neighbours in the order run in one batch where neither waits for the other. Small kernels that nothing waits for (the
updates of small parameters) run last, in one batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from codegen.kernel import Boundary, Kernel, KernelBatch, ScanLoop
from codegen.schedule.computation import Computation, Kind
from codegen.schedule.group import Group
from codegen.schedule.kernels import build_kernel
from codegen.schedule.merge import Merger
from codegen.schedule.sequence import memory_order

_SMALL = 1 << 18  # bytes of a kernel that may run later than its place
_LARGEST_BATCH = 64


def ordered_steps(merger: Merger) -> list[KernelBatch | ScanLoop]:
    """The kernels of all groups, in an order in which they can run."""
    steps: list[KernelBatch | ScanLoop] = []
    for batch in _batches(merger):
        loop = next(iter(batch[0].members)).scan
        if isinstance(loop, ScanLoop):
            steps.append(loop)
            continue
        kernels = [build_kernel(merger.partition, group) for group in batch]
        for group, kernel in zip(batch, kernels, strict=True):
            kernel.boundaries = list(_boundaries(merger, group))
        steps.append(KernelBatch(kernels))
    return steps


def kernels_of(steps: Sequence[KernelBatch | ScanLoop]) -> list[Kernel]:
    """Every kernel, those of loop bodies included."""
    found: list[Kernel] = []
    for step in steps:
        found.extend(kernels_of(step.body.steps) if isinstance(step, ScanLoop) else step.kernels)
    return found


def _batches(merger: Merger) -> list[list[Group]]:
    """The groups in order, those side by side that may run at the same time."""
    partition = merger.partition
    first: list[Group] = []
    last: list[Group] = []
    for group in memory_order(partition):
        if next(iter(group.members)).kind is Kind.JOIN:
            continue
        is_late = not group.following and not _is_loop(group) and partition.bytes_moved(group) <= _SMALL
        (last if is_late else first).append(group)
    batches: list[list[Group]] = []
    for group in (*first, *last):
        if batches and len(batches[-1]) < _LARGEST_BATCH and not _is_loop(group) and not _is_loop(batches[-1][0]) \
                and not any(_waits(group, other) for other in batches[-1]):
            batches[-1].append(group)
        else:
            batches.append([group])
    return batches


def _is_loop(group: Group) -> bool:
    return isinstance(next(iter(group.members)).scan, ScanLoop)


def _waits(group: Group, other: Group) -> bool:
    """Whether ``group`` must run after ``other``, directly or because both write parts of one value it reads."""
    if other in group.preceding:
        return True
    return any(before.stands_alone and next(iter(before.members)).kind is Kind.JOIN and other in before.preceding
               for before in group.preceding)


def _boundaries(merger: Merger, group: Group) -> Iterator[Boundary]:
    """Why each value that the kernel stores is in memory."""
    partition = merger.partition
    for member in group.members:
        if member.required:
            yield Boundary(member.node, None, _demand(member))
        for value in member.values:
            seen: set[Group] = set()
            for reader in partition.readers.get(value, ()):
                other = partition.group_of[reader]
                if other is not group and other not in seen:
                    seen.add(other)
                    yield Boundary(value, reader.node, merger.reason(group, other))


def _demand(member: Computation) -> str:
    """Why a value is in memory whoever reads it."""
    if member.overwrites is not None:
        return "written in place"
    if member.owner is not None:
        return "a part of a value in memory"
    if member.kind is Kind.POINTWISE and member.node.op.name == "contiguous":
        return "contiguous() asks for a value in memory"
    alone = member.kind in (Kind.SCATTER, Kind.SCAN, Kind.SORT)
    return f"the result of a {member.kind.value}" if alone else "an output"
