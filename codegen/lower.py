"""From kernels to functions of the loop IR: a strategy chooses the steps, realization writes the loops.

Kernels of equal structure share one function, however many layers a network has.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import NamedTuple, Union

from codegen.block_walk import realize_block
from codegen.kernel import Kernel
from codegen.loops import Buffer, Function
from codegen.partials import Temporary
from codegen.placement import memory_extents
from codegen.realize import realize_nest
from codegen.steps import Step
from codegen.strategies import plan_kernel
from codegen.structure import Structure
from codegen.target import Target
from ir.node import Node

__all__ = ["Lowered", "LoweredLaunch", "Temporary", "explain_schedule", "lower"]

Argument = Union[Node, Temporary]
_CACHED_KERNELS = 4096
_NAMED_DIGITS = 10  # of the digest, in a function's name


class LoweredLaunch(NamedTuple):
    """One function and what it is called with, in the order of its parameters."""

    function: Function
    arguments: tuple[Argument, ...]


class Lowered(NamedTuple):
    """What carries out a kernel, in order. ``schedules``: for each launch, the steps that shaped its loops."""

    launches: tuple[LoweredLaunch, ...]
    schedules: tuple[tuple[Step, ...], ...]


class _Part(NamedTuple):
    """A launch whose arguments are numbers of the structure's values."""

    function: Function
    arguments: tuple[int | Temporary, ...]
    steps: tuple[Step, ...]


_lowered: OrderedDict[tuple[object, ...], tuple[_Part, ...]] = OrderedDict()


def lower(kernel: Kernel, target: Target) -> Lowered:
    """The functions that compute ``kernel`` on ``target``. Kernels of equal structure get the identical functions.

    Raises codegen.steps.ScheduleError for a kernel that no strategy can carry out.
    """
    structure = Structure(kernel)
    key = (structure.key, target)
    parts = _lowered.get(key)
    if parts is None:
        parts = _lowered[key] = _lower(kernel, structure, target)
        if len(_lowered) > _CACHED_KERNELS:
            _lowered.popitem(last=False)
    else:
        _lowered.move_to_end(key)
    launches = tuple([LoweredLaunch(part.function, tuple([structure.values[argument] if isinstance(argument, int)
                                                          else argument for argument in part.arguments]))
                      for part in parts])
    return Lowered(launches, tuple([part.steps for part in parts]))


def explain_schedule(kernel: Kernel, target: Target) -> str:
    """The schedule of each launch as text: the steps, one a line, in the form that ``codegen.step_text``  reads."""
    lowered = lower(kernel, target)
    return "\n\n".join("\n".join([f"# {launch.function.name}", *map(repr, steps)])
                       for launch, steps in zip(lowered.launches, lowered.schedules, strict=True))


def _lower(kernel: Kernel, structure: Structure, target: Target) -> tuple[_Part, ...]:
    plans = plan_kernel(kernel, target)
    digest = hashlib.blake2b(repr((structure.key, target)).encode(), digest_size=16).hexdigest()
    numbers = {value: number for number, value in enumerate(structure.values)}
    parts = []
    for index, plan in enumerate(plans):
        suffix = f"_{index}" if len(plans) > 1 else ""
        arguments, buffers = _parameters(plan.nest.kernel)
        realize = realize_block if plan.nest.threads else realize_nest
        function = realize(plan.nest, f"{kernel.name}_{digest[:_NAMED_DIGITS]}{suffix}",
                           [buffers[a] for a in arguments], buffers, tuple(structure.symbols))
        function.digest = digest + suffix
        parts.append(_Part(function, tuple([a if isinstance(a, Temporary) else numbers[a] for a in arguments]),
                           tuple(plan.steps)))
    return tuple(parts)


def _parameters(kernel: Kernel) -> tuple[list[Argument], dict[Argument, Buffer]]:
    """The values that the function is given, and the buffer that holds each value in memory.

    A value that is written in place has the buffer that it replaces.
    """
    arguments: list[Argument] = []
    buffers: dict[Argument, Buffer] = {}
    stored = set(kernel.outputs) | set(kernel.in_place.values())
    for value in (*kernel.inputs, *kernel.outputs):
        home = kernel.in_place.get(value, value)
        if home not in buffers:
            size = 1
            for extent in memory_extents(home):
                size *= extent
            buffers[home] = Buffer(f"{'out' if home in stored else 'in'}{len(arguments)}", home.dtype, size,
                                   readonly=home not in stored)
            arguments.append(home)
        buffers[value] = buffers[home]
    return arguments, buffers


