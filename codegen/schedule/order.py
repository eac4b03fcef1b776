"""The order of kernels: one batch after another, each of kernels that do not depend on each other."""

from __future__ import annotations

from codegen.kernel import Kernel, KernelBatch, ScanLoop
from codegen.schedule.group import Group, Partition
from codegen.schedule.kernels import build_kernel


def ordered_steps(partition: Partition) -> list[KernelBatch | ScanLoop]:
    """The kernels of all groups, in an order in which they can run."""
    steps: list[KernelBatch | ScanLoop] = []
    for group in partition.groups:
        loop = _loop(group)
        steps.append(loop if loop is not None else KernelBatch([build_kernel(partition, group)]))
    return steps


def _loop(group: Group) -> ScanLoop | None:
    scan = next(iter(group.members)).scan
    return scan if isinstance(scan, ScanLoop) else None


def kernels_of(steps: list[KernelBatch | ScanLoop]) -> list[Kernel]:
    """Every kernel, those of loop bodies included."""
    found: list[Kernel] = []
    for step in steps:
        if isinstance(step, ScanLoop):
            found.extend(kernels_of(step.body.steps))
        else:
            found.extend(step.kernels)
    return found
