"""The source text that a program is compiled from: LLVM IR, assembly, CUDA C."""

from __future__ import annotations

from codegen.cuda import emit_cuda
from codegen.llvm import assembly_of, emit_module
from codegen.target import Target
from runtime.program import Program


def program_source(program: Program, target: Target) -> str:
    """The text of all kernels for ``target``: LLVM IR for a CPU, CUDA C for a GPU."""
    return emit_cuda(program.functions()) if target.kind == "cuda" else llvm_source(program, target)


def llvm_source(program: Program, target: Target) -> str:
    """One LLVM IR module with all functions of the program."""
    return emit_module(program.functions(), target, _symbol_slots(program))


def assembly(program: Program, target: Target) -> str:
    """The machine code of the program's kernels as assembly text, for the processor that ``target`` describes."""
    return assembly_of(llvm_source(program, target), target)


def _symbol_slots(program: Program) -> dict[str, int]:
    return {name: slot for slot, name in enumerate(program.symbols)}
