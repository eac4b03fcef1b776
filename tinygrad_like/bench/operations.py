"""Single operations, and the update of GPT-2's parameters. The work of a name that ends in ``_grad`` is forward and
backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tinygrad_like.bench import shapes
from tinygrad_like.bench.training import make_gpt
from tinygrad_like.bench.workload import Array, Call, Workload, floats, integers, named, together
from tinygrad_like.jit import jit
from tinygrad_like.nn.optim import Adam
from tinygrad_like.tensor import Tensor

Function = Callable[..., Tensor]


def _forward(function: Function, *arrays: Array) -> Call:
    return partial(jit(function), *(Tensor(array).realize() for array in arrays))


def _gradients(loss: Function, *arrays: Array, by: int | None = None) -> Call:
    """The gradients of the loss by the first ``by`` arrays (all by default)."""
    @jit
    def gradients(*given: Tensor) -> list[Tensor]:
        return loss(*given).gradient(*given[:by])

    return partial(gradients, *(Tensor(array).realize() for array in arrays))


def forward(name: str, function: Function, *sizes: Sequence[int]) -> Workload:
    """The function of normal numbers of these sizes."""
    return Workload(name, floats(*sizes), partial(_forward, function))


def gradients(name: str, function: Function, *sizes: Sequence[int]) -> Workload:
    """The gradients of the sum of squares of the function of normal numbers, by each of its arguments."""
    return Workload(name, floats(*sizes), partial(_gradients, lambda *given: function(*given).square().sum()))


def product(form: str, a: Any, b: Any) -> Any:
    """A @ B, of any framework; a "t" in ``form`` for what is stored transposed."""
    return (a.T if form[0] == "t" else a) @ (b.T if form[1] == "t" else b)


def _matmul(rows: int, columns: int, summed: int, form: str = "nn") -> Workload:
    a = (summed, rows) if form[0] == "t" else (rows, summed)
    b = (columns, summed) if form[1] == "t" else (summed, columns)
    name = "matmul_" + ("" if form == "nn" else f"{form}_") + f"{rows}x{columns}x{summed}"
    return forward(name, partial(product, form), a, b)


def _batched_matmul(batch: int, rows: int, columns: int, summed: int) -> Workload:
    name = f"matmul_batched_{batch}x{rows}x{columns}x{summed}"
    return forward(name, partial(product, "nn"), (batch, rows, summed), (batch, summed, columns))


def _layernorm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x.layernorm() * weight + bias


def _attention(causal: bool, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return q.scaled_dot_product_attention(k, v, is_causal=causal)


def _attentions() -> list[Workload]:
    qkv = (shapes.ATTENTION,) * 3
    return [make(f"attention{form}{end}", partial(_attention, causal), *qkv)
            for form, causal in (("", True), ("_full", False)) for make, end in ((forward, ""), (gradients, "_grad"))]


def _convolution(stride: int, padding: int, x: Tensor, w: Tensor) -> Tensor:
    return x.conv2d(w, stride=stride, padding=padding)


def _convolutions(name: str) -> list[Workload]:
    images, filters, stride, padding = shapes.CONVOLUTIONS[name]
    function = partial(_convolution, stride, padding)
    if images[1] > 1:
        return [forward(name, function, images, filters), gradients(f"{name}_grad", function, images, filters)]
    by_filters = partial(_gradients, lambda w, x: function(x, w).square().sum(), by=1)
    return [forward(name, function, images, filters), Workload(f"{name}_grad", floats(filters, images), by_filters)]


def _adam(*arrays: Array) -> Call:
    """One update of every parameter of GPT-2 by gradients that are there."""
    parameters = [Tensor(array).realize().is_param_() for array in arrays]
    optimizer = Adam(parameters, lr=shapes.ADAM_RATE)
    grads = [(parameter * 0.5).realize() for parameter in parameters]

    @jit
    def update(*given: Tensor) -> None:
        for parameter, grad in zip(parameters, given, strict=True):
            parameter.grad = grad
        optimizer.step()
        optimizer.zero_grad()

    return partial(update, *grads)


def _parameters() -> list[Array]:
    return floats(*(tuple(map(int, p.shape)) for p in make_gpt(shapes.GPT2).parameters()))()


_MATRIX, _ROW = shapes.MATRIX, shapes.MATRIX[1:]

OPERATIONS = named([
    *(_matmul(*sizes) for sizes in shapes.MATMULS),
    *(_matmul(*sizes, form=form) for form, *sizes in shapes.TRANSPOSED_MATMULS),
    *(_batched_matmul(*sizes) for sizes in shapes.BATCHED_MATMULS),
    *_attentions(),
    *(workload for name in shapes.CONVOLUTIONS for workload in _convolutions(name)),
    forward("softmax", lambda x: x.softmax(-1), _MATRIX),
    forward("layernorm", _layernorm, _MATRIX, _ROW, _ROW),
    gradients("layernorm_grad", _layernorm, _MATRIX, _ROW, _ROW),
    forward("gelu_chain", lambda x, w: (x * 1.5 + w).gelu() * x - 0.5, _MATRIX, _ROW),
    forward("sum_rows", lambda x: x.sum(1), _MATRIX),
    forward("sum_cols", lambda x: x.sum(0), _MATRIX),
    Workload("cross_entropy_grad", together(floats(shapes.LOGITS), integers(shapes.LOGITS[1], shapes.LOGITS[:1])),
             partial(_gradients, lambda x, y: x.sparse_categorical_crossentropy(y), by=1)),
    Workload("embedding_grad", together(floats(shapes.TABLE), integers(shapes.TABLE[0], shapes.TOKENS)),
             partial(_gradients, lambda table, tokens: table[tokens].square().sum(), by=1)),
    forward("transpose_copy", lambda x: x.T.contiguous(), _MATRIX),
    forward("cumsum", lambda x: x.cumsum(1), _MATRIX),
    forward("argmax", lambda x: x.argmax(1), _MATRIX),
    Workload("adam", _parameters, _adam),
])
