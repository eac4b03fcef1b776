"""The LLVM back end for CPUs: loop IR in, LLVM IR text, assembly or object code out.

    >>> text = emit_module([function], Target.host(), {"n": 0})
    >>> print(assembly([function], Target.host()))
"""

from __future__ import annotations

from codegen.llvm.emitter import emit_module, task_count
from codegen.llvm.native import assembly, assembly_of, compiler_version, object_code
from codegen.llvm.operations import OPERATIONS, UnsupportedOperation
from codegen.llvm.scratch import scratch_bytes

__all__ = [
    "OPERATIONS", "UnsupportedOperation", "assembly", "assembly_of", "compiler_version", "emit_module", "object_code",
    "scratch_bytes", "task_count",
]
