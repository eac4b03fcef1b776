from __future__ import annotations
def grad(f): return f
def value_and_grad(f): return f
