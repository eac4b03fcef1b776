"""Single operations beside PyTorch: python tests/benchmarks/operations.py [NAME ...] [--json FILE]

Prints medians of interleaved runs and their ratio (ours over PyTorch, below 1 is faster). TGL_THREADS sets the threads
of both. A NAME is a row or the beginning of one: ``matmul``, ``conv3x3``. A gradient's row times forward and backward.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parent))

import workloads
from side_by_side import HEADING, compare

from tinygrad_like import Tensor, jit

Call = Callable[[], object]
Sides = tuple[Call, Call]
_RNG = np.random.default_rng(0)


def _floats(*shape: int) -> np.ndarray:
    return _RNG.standard_normal(shape).astype(np.float32)


def _forward(ours: Callable[..., Tensor], theirs: Callable[..., torch.Tensor], *arrays: np.ndarray) -> Sides:
    """The same function of float arrays on both sides."""
    tensors, others = [Tensor(array).realize() for array in arrays], [torch.from_numpy(array) for array in arrays]

    def run_theirs() -> torch.Tensor:
        with torch.no_grad():
            return theirs(*others)

    return partial(jit(ours), *tensors), run_theirs


def _gradients(ours: Callable[..., Tensor], theirs: Callable[..., torch.Tensor], *arrays: np.ndarray,
               indices: tuple[np.ndarray, ...] = ()) -> Sides:
    """The gradients of a loss of float arrays (and of index arrays, which have none) by each float array."""
    tensors = [Tensor(array).realize() for array in (*arrays, *indices)]
    leaves = [torch.from_numpy(array).requires_grad_() for array in arrays]
    integers = [torch.from_numpy(index).long() for index in indices]

    @jit
    def gradients(*given: Tensor) -> list[Tensor]:
        wanted = given[:len(arrays)]
        return ours(*given).gradient(*wanted)

    return (lambda: gradients(*tensors)), (lambda: torch.autograd.grad(theirs(*leaves, *integers), leaves))


def _matmul(rows: int, columns: int, summed: int, form: str = "nn") -> Sides:
    """C = A @ B with A [rows, summed] and B [summed, columns]; a 't' in ``form`` for what is stored transposed."""
    def product(a: Any, b: Any) -> Any:
        return (a.T if form[0] == "t" else a) @ (b.T if form[1] == "t" else b)

    a = _floats(*((summed, rows) if form[0] == "t" else (rows, summed)))
    b = _floats(*((columns, summed) if form[1] == "t" else (summed, columns)))
    return _forward(product, product, a, b)


def _rows(ours: Callable[[Tensor], Tensor], theirs: Callable[[torch.Tensor], torch.Tensor]) -> Sides:
    return _forward(ours, theirs, _floats(*workloads.MATRIX))


def _affine_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x.layernorm() * weight + bias


def _norm(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return functional.layer_norm(x, (x.shape[-1],), weight, bias)


def _layernorm(gradients: bool) -> Sides:
    width = workloads.MATRIX[1]
    arrays = _floats(*workloads.MATRIX), _floats(width), _floats(width)
    if not gradients:
        return _forward(_affine_norm, _norm, *arrays)
    return _gradients(lambda x, w, b: _affine_norm(x, w, b).square().sum(),
                      lambda x, w, b: _norm(x, w, b).square().sum(), *arrays)


def _gelu_chain() -> Sides:
    return _forward(lambda x, w: (x * 1.5 + w).gelu() * x - 0.5,
                    lambda x, w: functional.gelu(x * 1.5 + w, approximate="tanh") * x - 0.5,
                    _floats(*workloads.MATRIX), _floats(workloads.MATRIX[1]))


def _attention(causal: bool, gradients: bool) -> Sides:
    arrays = [_floats(*workloads.ATTENTION) for _ in range(3)]

    def ours(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return q.scaled_dot_product_attention(k, v, is_causal=causal)

    def theirs(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return functional.scaled_dot_product_attention(q, k, v, is_causal=causal)

    if not gradients:
        return _forward(ours, theirs, *arrays)
    return _gradients(lambda *given: ours(*given).square().sum(), lambda *given: theirs(*given).square().sum(), *arrays)


def _convolution(name: str, gradients: bool) -> Sides:
    images, filters, stride, padding = workloads.CONVOLUTIONS[name]
    arrays = _floats(*images), _floats(*filters)

    def ours(x: Tensor, w: Tensor) -> Tensor:
        return x.conv2d(w, stride=stride, padding=padding)

    def theirs(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(x, w, stride=stride, padding=padding)

    if not gradients:
        return _forward(ours, theirs, *arrays)
    if name == "conv5x5_first":
        x, images_of_torch = Tensor(arrays[0]).realize(), torch.from_numpy(arrays[0])
        return _gradients(lambda w: ours(x, w).square().sum(), lambda w: theirs(images_of_torch, w).square().sum(),
                          arrays[1])
    return _gradients(lambda x, w: ours(x, w).square().sum(), lambda x, w: theirs(x, w).square().sum(), *arrays)


def _embedding_gradient() -> Sides:
    tokens = _RNG.integers(0, workloads.TABLE[0], workloads.TOKENS).astype(np.int32)
    return _gradients(lambda table, tokens: table[tokens].square().sum(),
                      lambda table, tokens: functional.embedding(tokens, table).square().sum(),
                      _floats(*workloads.TABLE), indices=(tokens,))


def _cross_entropy_gradient() -> Sides:
    rows, classes = workloads.LOGITS
    labels = _RNG.integers(0, classes, rows).astype(np.int32)
    return _gradients(lambda logits, labels: logits.sparse_categorical_crossentropy(labels),
                      functional.cross_entropy, _floats(rows, classes), indices=(labels,))


OPERATIONS: dict[str, Callable[[], Sides]] = {
    **{f"matmul_{m}x{n}x{k}": partial(_matmul, m, n, k) for m, n, k in workloads.MATMULS},
    **{f"matmul_{form}_{m}x{n}x{k}": partial(_matmul, m, n, k, form) for form, m, n, k in workloads.TRANSPOSED_MATMULS},
    "softmax": lambda: _rows(lambda x: x.softmax(-1), lambda x: x.softmax(-1)),
    "layernorm": lambda: _layernorm(False),
    "layernorm_grad": lambda: _layernorm(True),
    "gelu_chain": _gelu_chain,
    "sum_rows": lambda: _rows(lambda x: x.sum(1), lambda x: x.sum(1)),
    "sum_cols": lambda: _rows(lambda x: x.sum(0), lambda x: x.sum(0)),
    "attention": lambda: _attention(True, False),
    "attention_grad": lambda: _attention(True, True),
    "attention_full": lambda: _attention(False, False),
    **{name: partial(_convolution, name, False) for name in workloads.CONVOLUTIONS},
    **{f"{name}_grad": partial(_convolution, name, True) for name in workloads.CONVOLUTIONS},
    "embedding_grad": _embedding_gradient,
    "cross_entropy_grad": _cross_entropy_gradient,
    "transpose_copy": lambda: _rows(lambda x: x.T.contiguous(), lambda x: x.T.contiguous()),
    "cumsum": lambda: _rows(lambda x: x.cumsum(1), lambda x: x.cumsum(1)),
    "argmax": lambda: _rows(lambda x: x.argmax(1), lambda x: x.argmax(1)),
}


def _chosen(names: list[str]) -> list[str]:
    """The rows that the names, or beginnings of names, stand for."""
    unknown = [name for name in names if not any(row.startswith(name) for row in OPERATIONS)]
    if unknown:
        raise SystemExit(f"unknown operations {unknown}; known: {', '.join(OPERATIONS)}")
    return [row for row in OPERATIONS
            if not names or row in names or any(row.startswith(name) for name in names if name not in OPERATIONS)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="rows or beginnings of rows (default: all)")
    parser.add_argument("--json", type=Path, help="also write one JSON object a line to this file")
    parser.add_argument("--rounds", type=int, default=5, help="how often the two sides alternate")
    parser.add_argument("--seconds", type=float, default=0.3, help="the time of each side in a round")
    options = parser.parse_args()
    names = _chosen(options.names)
    torch.set_num_threads(int(os.environ.get("TGL_THREADS") or len(os.sched_getaffinity(0))))
    print(HEADING)
    rows = []
    for name in names:
        rows.append(compare(name, *OPERATIONS[name](), rounds=options.rounds, seconds=options.seconds))
        print(rows[-1].line(), flush=True)
    if options.json:
        options.json.write_text("".join(row.json() + "\n" for row in rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
