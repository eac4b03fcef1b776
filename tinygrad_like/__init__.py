"""Tensors, training and language models on a compiler that can be read from end to end.

    >>> from tinygrad_like import Tensor
    >>> (Tensor([1.0, 2.0]) * 3).tolist()
    [3.0, 6.0]
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path


def _check_siblings() -> None:
    """The packages ``ir``, ``codegen`` and ``runtime`` have common names: no file of the user may stand in for them."""
    root = Path(__file__).resolve().parent.parent
    for name in ("ir", "codegen", "runtime"):
        module = import_module(name)
        found = Path(module.__file__ or next(iter(module.__path__), "nowhere")).resolve()
        if root not in found.parents:
            raise ImportError(f"tinygrad_like needs its own package {name!r} beside {root / 'tinygrad_like'}, but "
                              f"`import {name}` found {found}; rename or move that file")


_check_siblings()

from ir import Variable, dtypes  # noqa: E402  # only after the check
from tinygrad_like.calls import checkpoint, custom_vjp  # noqa: E402
from tinygrad_like.context import Context, GlobalCounters  # noqa: E402
from tinygrad_like.derivatives import hessian, jacobian, jvp, stop_gradient, vjp  # noqa: E402
from tinygrad_like.device import Device  # noqa: E402
from tinygrad_like.inspect import draw, dump, explain, profile  # noqa: E402
from tinygrad_like.jit import TinyJit, jit  # noqa: E402
from tinygrad_like.tensor import Tensor  # noqa: E402
from tinygrad_like.tensor.scan import scan  # noqa: E402
from tinygrad_like.trace import JitError  # noqa: E402
from tinygrad_like.transforms import grad, value_and_grad  # noqa: E402
from tinygrad_like.tuning import tune  # noqa: E402
from tinygrad_like.vectorize import vmap  # noqa: E402

__version__ = "0.1.0"
__all__ = [
    "Context",
    "Device",
    "GlobalCounters",
    "JitError",
    "Tensor",
    "TinyJit",
    "Variable",
    "checkpoint",
    "custom_vjp",
    "draw",
    "dtypes",
    "dump",
    "explain",
    "grad",
    "hessian",
    "jacobian",
    "jit",
    "jvp",
    "profile",
    "scan",
    "stop_gradient",
    "tune",
    "value_and_grad",
    "vjp",
    "vmap",
]
