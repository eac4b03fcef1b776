"""The workloads in PyTorch, eager or compiled."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytorch_models as models
import torch
from torch import nn
from torch.nn import functional

from tinygrad_like.bench import shapes
from tinygrad_like.bench.operations import product

Array = np.ndarray[Any, np.dtype[Any]]
Call = Callable[[], object]
Compiler = Callable[[Callable[..., Any]], Callable[..., Any]]


def workloads(compiled: bool) -> Mapping[str, Callable[..., Call]]:
    """What makes the call of each workload from its inputs."""
    torch.manual_seed(0)
    torch.set_num_threads(int(os.environ["TGL_THREADS"]))
    compiler: Compiler = torch.compile if compiled else lambda function: function
    return {**_training(compiler), **_inference(compiler), **_operations(compiler)}


# ------------------------------------------------------------------------------------------------- training steps


def _step(loss: Callable[..., torch.Tensor], optimizer: torch.optim.Optimizer, x: Array, y: Array) -> Call:
    inputs, targets = (_tensor(array) for array in (x, y))

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        value = loss(inputs, targets)
        value.backward()
        optimizer.step()
        return value.item()

    return step


def _classifier(compiler: Compiler, make: Callable[[], nn.Module], x: Array, y: Array) -> Call:
    model = make()

    def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(model(x).flatten(0, -2), y.flatten())

    return _step(compiler(loss), torch.optim.Adam(model.parameters(), shapes.ADAM_RATE), x, y)


def _gpt(compiler: Compiler, shape: shapes.GPTShape, tokens: Array, targets: Array) -> Call:
    model = models.GPT(shape)
    return _step(compiler(model), torch.optim.AdamW(model.parameters(), shapes.ADAMW_RATE), tokens, targets)


def _training(compiler: Compiler) -> dict[str, Callable[..., Call]]:
    makers = {"mlp": models.perceptron, "cnn": models.convolutional_network, "lstm": lambda: models.LSTM(shapes.LSTM)}
    gpts = {"gpt_small": shapes.GPT_SMALL, "gpt_medium": shapes.GPT_MEDIUM, "gpt2_train": shapes.GPT2}
    return {**{name: partial(_classifier, compiler, make) for name, make in makers.items()},
            **{name: partial(_gpt, compiler, shape) for name, shape in gpts.items()}}


# ------------------------------------------------------------------------------------------------- inference


def _prefill(compiler: Compiler, tokens: Array) -> Call:
    model, prompt = models.GPT(shapes.GPT2).eval(), _tensor(tokens)
    likeliest = compiler(model.likeliest)

    @torch.inference_mode()
    def run() -> int:
        return likeliest(prompt).item()

    return run


def _decode(tokens: Array) -> Call:
    model, prompt = models.GPT(shapes.GPT2).eval(), _tensor(tokens)

    @torch.inference_mode()
    def run() -> int:
        caches: list[models.Cache] = [[] for _ in model.blocks]
        token = model.likeliest(prompt, caches)
        for position in range(shapes.DECODE_PROMPT, shapes.DECODE_PROMPT + shapes.DECODE_TOKENS):
            token = model.likeliest(token, caches, position)
        return token.item()

    return run


def _inference(compiler: Compiler) -> dict[str, Callable[..., Call]]:
    return {"gpt2_prefill": partial(_prefill, compiler), "gpt2_decode": _decode}


# ------------------------------------------------------------------------------------------------- operations


def _tensor(array: Array) -> torch.Tensor:
    tensor = torch.from_numpy(array)
    return tensor if tensor.is_floating_point() else tensor.long()


def _forward(compiler: Compiler, function: Callable[..., torch.Tensor], *arrays: Array) -> Call:
    compute = compiler(function)
    tensors = [_tensor(array) for array in arrays]

    def run() -> torch.Tensor:
        with torch.no_grad():
            return compute(*tensors)

    return run


def _gradients(compiler: Compiler, loss: Callable[..., torch.Tensor], *arrays: Array, by: int | None = None) -> Call:
    compute = compiler(loss)
    tensors = [_tensor(array) for array in arrays]
    leaves = [tensor.requires_grad_() for tensor in tensors[:by]]
    return lambda: torch.autograd.grad(compute(*tensors), leaves)


def _adam(*arrays: Array) -> Call:
    parameters = [nn.Parameter(torch.from_numpy(array)) for array in arrays]
    for parameter in parameters:
        parameter.grad = parameter.detach() * 0.5
    return torch.optim.Adam(parameters, shapes.ADAM_RATE, fused=True).step


def _layernorm(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return functional.layer_norm(x, weight.shape, weight, bias)


def _gelu_chain(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return functional.gelu(x * 1.5 + w, approximate="tanh") * x - 0.5


def _functions() -> dict[str, Callable[..., torch.Tensor]]:
    """The operations that are timed forward, or by the gradients of their squares' sum where there is a `_grad`."""
    functions: dict[str, Callable[..., torch.Tensor]] = {
        "attention": partial(functional.scaled_dot_product_attention, is_causal=True),
        "attention_full": functional.scaled_dot_product_attention,
        "softmax": lambda x: x.softmax(-1), "layernorm": _layernorm, "gelu_chain": _gelu_chain,
        "sum_rows": lambda x: x.sum(1), "sum_cols": lambda x: x.sum(0),
        "transpose_copy": lambda x: x.T.contiguous(), "cumsum": lambda x: x.cumsum(1), "argmax": lambda x: x.argmax(1),
    }
    for rows, columns, summed in shapes.MATMULS:
        functions[f"matmul_{rows}x{columns}x{summed}"] = partial(product, "nn")
    for form, rows, columns, summed in shapes.TRANSPOSED_MATMULS:
        functions[f"matmul_{form}_{rows}x{columns}x{summed}"] = partial(product, form)
    for batch, rows, columns, summed in shapes.BATCHED_MATMULS:
        functions[f"matmul_batched_{batch}x{rows}x{columns}x{summed}"] = partial(product, "nn")
    for name, (_, _, stride, padding) in shapes.CONVOLUTIONS.items():
        functions[name] = partial(functional.conv2d, stride=stride, padding=padding)
    return functions


def _squares(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    return lambda *given: function(*given).square().sum()


def _operations(compiler: Compiler) -> dict[str, Callable[..., Call]]:
    functions = _functions()
    calls: dict[str, Callable[..., Call]] = {}
    for name, function in functions.items():
        calls[name] = partial(_forward, compiler, function)
        calls[f"{name}_grad"] = partial(_gradients, compiler, _squares(function))
    for name, (images, *_) in shapes.CONVOLUTIONS.items():
        if images[1] == 1:
            by_filters = _squares(lambda w, x, convolution=functions[name]: convolution(x, w))
            calls[f"{name}_grad"] = partial(_gradients, compiler, by_filters, by=1)
    calls["cross_entropy_grad"] = partial(_gradients, compiler, functional.cross_entropy, by=1)
    embedding = _squares(lambda table, tokens: functional.embedding(tokens, table))
    return {**calls, "embedding_grad": partial(_gradients, compiler, embedding, by=1), "adam": _adam}
