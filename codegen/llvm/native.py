"""From LLVM IR text to object code and assembly, through llvmlite, for any CPU that LLVM knows.

The emitter writes well-formed vector code, so that few passes pay: inlining of the small helpers, instruction
combining and control-flow simplification. Code generation itself must optimise (level 0 is three times slower code).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from codegen import loops
from codegen.llvm.emitter import emit_module
from codegen.target import Target
from ir.phases import phase

CODEGEN_LEVEL = 2


def assembly(functions: Sequence[loops.Function], target: Target,
             symbol_slots: Mapping[str, int] | None = None) -> str:
    """The assembly text of ``functions``, as the CPU device would run them on ``target``.

    symbol_slots: as in ``emit_module``; by default symbols are numbered in order of appearance.
    """
    if symbol_slots is None:
        names = {name: None for function in functions for name in function.symbols}
        symbol_slots = {name: slot for slot, name in enumerate(names)}
    return assembly_of(emit_module(functions, target, symbol_slots), target)


def assembly_of(module_text: str, target: Target) -> str:
    """The assembly of an LLVM IR module."""
    machine = target_machine(target)
    text: str = machine.emit_assembly(_optimised(module_text, machine))
    return text


def object_code(module_text: str, target: Target) -> bytes:
    """The object file (ELF, Mach-O, COFF) of an LLVM IR module; RuntimeError names the line that LLVM rejects."""
    machine = target_machine(target)
    module = _optimised(module_text, machine)
    with phase("generate"):
        code: bytes = machine.emit_object(module)
    return code


def compiler_version() -> str:
    """What, besides the IR and the target, decides the bytes of ``object_code``."""
    return f"llvmlite {llvmlite.__version__}, LLVM {'.'.join(map(str, llvm.llvm_version_info))}, level {CODEGEN_LEVEL}"


@lru_cache(maxsize=8)
def target_machine(target: Target) -> Any:
    """LLVM's code generator for ``target``, for position-independent code that a JIT may place anywhere."""
    _initialise()
    triple = llvm.get_process_triple()
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=target.arch, features=target.features, opt=CODEGEN_LEVEL, reloc="pic", codemodel="small", jit=True)


@lru_cache(maxsize=1)
def _initialise() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _optimised(module_text: str, machine: Any) -> Any:
    with phase("parse"):
        module = llvm.parse_assembly(module_text)
        module.triple, module.data_layout = llvm.get_process_triple(), str(machine.target_data)
        module.verify()
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=0))
    passes = llvm.create_new_module_pass_manager()
    passes.add_always_inliner_pass()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    with phase("optimise"):
        passes.run(module, builder)
    return module
