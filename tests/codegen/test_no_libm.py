"""No scalar call in a hot loop: kernels of every elementwise operation call nothing but our own vector functions."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from llvm_harness import HOST
from lowering_harness import buffer
from test_lower import kernels_of

import ir
from codegen.llvm import assembly, assembly_of
from codegen.lower import lower
from ir import dtypes

NAMES = sorted(name for name, op in ir.ELEMENTWISE.items() if dtypes.float32 in op.accepts)


@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.float64], ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("name", NAMES)
def test_kernels_call_no_library(name: str, dtype: ir.DType) -> None:
    op = ir.ELEMENTWISE[name]
    if name == "where":
        operands = [ir.less(buffer((37,), dtype), buffer((37,), dtype)), buffer((37,), dtype), buffer((37,), dtype)]
    else:
        operands = [buffer((37,), dtype) for _ in range(op.arity)]
    (kernel,) = kernels_of([op(*operands)])
    text = assembly([launch.function for launch in lower(kernel, HOST).launches], HOST)
    assert all(target.startswith("math.") for target in called_in(text)), called_in(text)


def called_in(text: str) -> list[str]:
    return re.findall(r"^\s+(?:callq?|jmp|bl)\s+\*?([A-Za-z_][\w.]*)", text, re.MULTILINE)


def test_a_call_of_the_library_would_be_seen() -> None:
    module = """
        declare float @llvm.exp.f32(float)
        define float @f(float %x) {
          %y = call float @llvm.exp.f32(float %x)
          %z = fadd float %y, 1.0
          ret float %z
        }"""
    assert called_in(assembly_of(module, HOST)) == ["expf"]
