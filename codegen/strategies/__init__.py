"""Strategies: which steps a kernel's loops get, by what the kernel is."""

from __future__ import annotations

from codegen.kernel import Kernel
from codegen.strategies.plan import Plan
from codegen.strategies.sweeps import plan_sweeps
from codegen.target import Target

__all__ = ["Plan", "plan_kernel"]


def plan_kernel(kernel: Kernel, target: Target) -> list[Plan]:
    """One plan for each launch that the kernel takes, in order."""
    return [plan_sweeps(kernel, target)]
