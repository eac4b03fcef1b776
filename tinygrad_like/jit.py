from __future__ import annotations
def jit(f): return f
TinyJit = jit
