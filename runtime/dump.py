"""Text of a graph at every stage on its way to the machine.

    >>> print(dump([ir.add(x, y)], "schedule"))
    >>> print(dump([ir.add(x, y)], "cuda", Target.cuda("sm_90a")))      # on any machine
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ir
from codegen.kernel import Schedule
from codegen.kernel_text import format_schedule
from codegen.loop_text import format_function
from codegen.target import Target
from ir.node import Node
from runtime.build import program_of, schedule_graph
from runtime.canonical import CanonicalGraph, canonicalize
from runtime.errors import RuntimeFailure, unknown_name
from runtime.program import Program
from runtime.source import assembly, llvm_source, program_source
from runtime.structure import structure_of

_DEFAULT_GPU = "sm_80"


def dump(outputs: Sequence[Node], stage: str = "schedule", target: Target | None = None) -> str:
    """The graph of ``outputs`` as text, for ``target`` (by default this machine's CPU, for "cuda" an sm_80).

    stage: graph (as it was built), schedule (kernels), loops (the structured loop IR of every kernel), llvm, asm, cuda.
    Raises RuntimeFailure for another stage, and where the target has no such stage.
    """
    if stage not in STAGES:
        raise RuntimeFailure(unknown_name("stage", stage, STAGES))
    kind = {"llvm": "cpu", "asm": "cpu", "cuda": "cuda"}.get(stage)
    chosen = target or (Target.cuda(_DEFAULT_GPU) if kind == "cuda" else Target.host())
    if kind not in (None, chosen.kind):
        raise RuntimeFailure(f"stage {stage!r} needs a {kind} target; got {chosen.arch}")
    return STAGES[stage](outputs, chosen)


def _graph(outputs: Sequence[Node], target: Target) -> str:
    return ir.format_graph(outputs)


def _scheduled(outputs: Sequence[Node], target: Target) -> tuple[CanonicalGraph, Schedule]:
    graph = canonicalize(outputs, structure_of(outputs))
    return graph, schedule_graph(graph, target)


def _program(outputs: Sequence[Node], target: Target) -> Program:
    graph, scheduled = _scheduled(outputs, target)
    return program_of(graph, scheduled, target)


def _schedule(outputs: Sequence[Node], target: Target) -> str:
    return format_schedule(_scheduled(outputs, target)[1])


def _loops(outputs: Sequence[Node], target: Target) -> str:
    return "\n\n".join(format_function(function) for function in _program(outputs, target).functions())


def _llvm(outputs: Sequence[Node], target: Target) -> str:
    return llvm_source(_program(outputs, target), target)


def _assembly(outputs: Sequence[Node], target: Target) -> str:
    return assembly(_program(outputs, target), target)


def _cuda(outputs: Sequence[Node], target: Target) -> str:
    return program_source(_program(outputs, target), target)


STAGES: dict[str, Callable[[Sequence[Node], Target], str]] = {
    "graph": _graph, "schedule": _schedule, "loops": _loops, "llvm": _llvm, "asm": _assembly, "cuda": _cuda,
}
