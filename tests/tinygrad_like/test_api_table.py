"""The public methods of tinygrad's Tensor beside ours: each is there, with its parameters, or is absent for a reason.

``python tests/tinygrad_like/test_api_table.py`` prints the table.
"""

from __future__ import annotations

import inspect
from inspect import Parameter

import pytest

from tinygrad_like import Tensor

tinygrad = pytest.importorskip("tinygrad", reason="tinygrad, whose methods ours are compared with, is not installed")

_ITS_GRAPH = "takes or returns nodes of its own graph (UOp); ours is reached through Tensor.node and the ir package"
_ITS_KERNELS = "takes kernels written in tinygrad's UOp language"
_ITS_SCHEDULE = "returns tinygrad's own schedule; ours is shown by explain(x) and dump(x, stage='schedule')"
_DEVICES = "computing on several devices is not there yet"
_IMAGES = "OpenCL image types of one mobile GPU"

ABSENT = {
    "alu": _ITS_GRAPH,
    "as_param": _ITS_GRAPH,
    "call": _ITS_GRAPH,
    "callify": _ITS_GRAPH,
    "custom_kernel": _ITS_KERNELS,
    "decode_hevc_frame": "video decoding of one vendor's hardware",
    "from_url": "no method reaches the network; nn.datasets downloads, checks hashes and caches",
    "image_conv2d": _IMAGES,
    "image_dot": _IMAGES,
    "invalids": "an internal placeholder of its scheduler; Tensor.empty is the public name",
    "linear_with_vars": _ITS_SCHEDULE,
    "random_bits": "an internal step of rand; ir.random_bits is ours",
    "schedule_linear": _ITS_SCHEDULE,
    "shard": _DEVICES,
    "shard_": _DEVICES,
    "shard_like": _DEVICES,
    "ufix": _ITS_GRAPH,
    "uop": _ITS_GRAPH,
    "uprod": _ITS_GRAPH,
    "usum": _ITS_GRAPH,
}
OTHER_PARAMETERS = {
    "const_like": "the first parameter is named value, not b",
    "realize": "do_update_stats is internal to its counters",
}


def public_names(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def parameters(kind: type, name: str) -> list[Parameter] | None:
    """The parameters without self or cls; None for what is no function."""
    found = inspect.getattr_static(kind, name)
    function = getattr(found, "__func__", found)
    if not inspect.isfunction(function):
        return None
    return [p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "cls")]


def positional(given: list[Parameter]) -> list[str]:
    return [p.name for p in given if p.kind is Parameter.POSITIONAL_OR_KEYWORD]


def accepts(ours: list[Parameter], theirs: list[Parameter]) -> bool:
    """Whether each call with ``theirs`` is a call with ``ours``: positions, then keywords; names after * are free."""
    names = {p.name for p in ours}
    anything = any(p.kind is Parameter.VAR_KEYWORD for p in ours)
    keywords = [p.name for p in theirs if p.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)]
    if not all(name in names or anything for name in keywords):
        return False
    shared = [name for name in positional(theirs) if name in positional(ours)]
    return positional(ours)[:len(shared)] == shared


def rows() -> list[tuple[str, str]]:
    """(method, what is said about it)."""
    table = []
    for name in sorted(public_names(tinygrad.Tensor)):
        if name not in public_names(Tensor):
            table.append((name, ABSENT.get(name, "MISSING")))
            continue
        theirs, ours = parameters(tinygrad.Tensor, name), parameters(Tensor, name)
        same = theirs is None or ours is None or accepts(ours, theirs)
        table.append((name, "yes" if same else OTHER_PARAMETERS.get(name, "OTHER PARAMETERS")))
    return table


@pytest.mark.parametrize("name", sorted(public_names(tinygrad.Tensor)))
def test_the_method_is_there_or_absent_for_a_reason(name):
    assert name in public_names(Tensor) or name in ABSENT


@pytest.mark.parametrize("name", sorted(public_names(tinygrad.Tensor) & public_names(Tensor)))
def test_the_parameters_have_the_same_names_and_places(name):
    theirs, ours = parameters(tinygrad.Tensor, name), parameters(Tensor, name)
    if theirs is None:
        assert ours is None  # a property or a field is not called
    elif name not in OTHER_PARAMETERS:
        assert ours is not None and accepts(ours, theirs), f"ours: {ours}\ntheirs: {theirs}"


def test_no_reason_is_stale():
    assert not set(ABSENT) & public_names(Tensor)
    assert set(ABSENT) | set(OTHER_PARAMETERS) <= public_names(tinygrad.Tensor)
    for name in OTHER_PARAMETERS:
        ours, theirs = parameters(Tensor, name), parameters(tinygrad.Tensor, name)
        assert ours is not None and theirs is not None and not accepts(ours, theirs)


def test_operators_are_there():
    wanted = {name for name in dir(tinygrad.Tensor) if name.startswith("__") and callable(
        getattr(tinygrad.Tensor, name))} - {"__del__", "__delitem__"}  # its __delitem__ only raises
    assert wanted <= set(dir(Tensor))


if __name__ == "__main__":
    for method, remark in rows():
        print(f"{method:32} {remark}")
