"""The workloads in JAX that the table compares with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tinygrad_like.bench import shapes

Array = np.ndarray[Any, np.dtype[Any]]
Call = Callable[[], object]

_B1, _B2, _EPS = 0.9, 0.999, 1e-8


def workloads() -> Mapping[str, Callable[..., Call]]:
    """What makes the call of each workload from its inputs."""
    return {
        "mlp": _mlp, "adam": _adam,
        "gelu_chain": partial(_compiled, lambda x, w: jax.nn.gelu(x * 1.5 + w) * x - 0.5),
        "embedding_grad": partial(_compiled, jax.grad(lambda table, tokens: jnp.square(table[tokens]).sum())),
        "transpose_copy": partial(_compiled, lambda x: x.T + 0), "cumsum": partial(_compiled, lambda x: x.cumsum(1)),
        "argmax": partial(_compiled, lambda x: x.argmax(1)),
    }


def _compiled(function: Callable[..., jax.Array], *arrays: Array) -> Call:
    compute, inputs = jax.jit(function), [jnp.asarray(array) for array in arrays]
    return lambda: jax.block_until_ready(compute(*inputs))


def _cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1).mean()


def _updated(parameters: Any, m: Any, v: Any, count: jax.Array, grads: Any) -> tuple[Any, Any, Any]:
    """Parameters and moments after one update of Adam, of nests of arrays."""
    m = jax.tree.map(lambda m, g: _B1 * m + (1 - _B1) * g, m, grads)
    v = jax.tree.map(lambda v, g: _B2 * v + (1 - _B2) * g * g, v, grads)
    first, second = 1 - _B1 ** count, 1 - _B2 ** count
    parameters = jax.tree.map(
        lambda p, m, v: p - shapes.ADAM_RATE * (m / first) / (jnp.sqrt(v / second) + _EPS), parameters, m, v)
    return parameters, m, v


def _perceptron_loss(layers: list[tuple[jax.Array, jax.Array]], x: jax.Array, y: jax.Array) -> jax.Array:
    for number, (weight, bias) in enumerate(layers):
        x = x @ weight + bias
        x = jax.nn.relu(x) if number < len(layers) - 1 else x
    return _cross_entropy(x, y)


def _mlp(x: Array, y: Array) -> Call:
    rng = np.random.default_rng(0)
    layers = [(jnp.asarray(0.05 * rng.standard_normal((before, after), np.float32)), jnp.zeros(after))
              for before, after in pairwise(shapes.MLP.sizes)]

    def step(layers: Any, m: Any, v: Any, count: jax.Array, x: jax.Array, y: jax.Array) -> Any:
        loss, grads = jax.value_and_grad(_perceptron_loss)(layers, x, y)
        return (*_updated(layers, m, v, count + 1, grads), count + 1), loss

    return _stepping(step, layers, jnp.asarray(x), jnp.asarray(y))


def _adam(*arrays: Array) -> Call:
    parameters = [jnp.asarray(array) for array in arrays]
    grads = [parameter * 0.5 for parameter in parameters]

    def step(parameters: Any, m: Any, v: Any, count: jax.Array, *grads: jax.Array) -> Any:
        return (*_updated(parameters, m, v, count + 1, list(grads)), count + 1), count

    return _stepping(step, parameters, *grads)


def _stepping(step: Callable[..., Any], parameters: Any, *given: jax.Array) -> Call:
    """Calls of ``step(parameters, m, v, count, *given)``, which yields the next of these and a result, in place."""
    compute = jax.jit(step, donate_argnums=(0, 1, 2))
    state = [(parameters, jax.tree.map(jnp.zeros_like, parameters), jax.tree.map(jnp.zeros_like, parameters),
              jnp.float32(0))]

    def run() -> float:
        state[0], result = compute(*state[0], *given)
        jax.block_until_ready(state[0])
        return float(result)

    return run
