"""The source text that a program is compiled from: LLVM IR, assembly, CUDA C."""

from __future__ import annotations

import llvmlite.binding as llvm

from codegen.cuda import emit_cuda
from codegen.llvm.emitter import emit_module
from codegen.target import Target
from runtime.program import Program


def program_source(program: Program, target: Target) -> str:
    """The text of all kernels for ``target``: LLVM IR for a CPU, CUDA C for a GPU."""
    return emit_cuda(program.functions()) if target.kind == "cuda" else llvm_source(program, target)


def llvm_source(program: Program, target: Target) -> str:
    """One LLVM IR module with all functions of the program."""
    return emit_module(program.functions(), target, {name: slot for slot, name in enumerate(program.symbols)})


def assembly(program: Program, target: Target) -> str:
    """The machine code of the program's kernels as assembly text, for the processor that ``target`` describes."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=target.arch, features=target.features, opt=2, reloc="pic", codemodel="default")
    module = llvm.parse_assembly(llvm_source(program, target))
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    module.verify()
    return str(machine.emit_assembly(module))
