"""Looking inside: what a tensor's computation is at every stage on its way to the machine, and why.

>>> x = Tensor.rand(64, 64)
>>> print(dump(x.softmax(), stage="schedule"))
>>> print(explain(x.softmax()))
>>> draw(x.softmax(), "softmax.svg")

Nothing is computed by looking: tensors stay as lazy as they were.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Union

import ir
from codegen.target import Target
from ir.draw import Clusters
from ir.node import Node
from runtime.device import CompilingDevice, get_device
from runtime.dump import STAGES as _STAGES
from runtime.dump import dump as dump_graph
from runtime.explain import Explanation
from runtime.explain import explain as explain_graph
from runtime.profile import Profile, profile
from tinygrad_like.io import write_text
from tinygrad_like.tensor import Tensor, live

STAGES = tuple(_STAGES)
Inspected = Union[Tensor, Iterable[Tensor], Callable[[], "Inspected"]]


def graph_of(what: Inspected) -> list[Node]:
    """The graph that computing ``what`` would run: a tensor, several, or a function without arguments that makes them.

    Values that lie in memory already are buffers in it.
    """
    if not isinstance(what, Tensor) and callable(what):
        return graph_of(what())
    tensors = [what] if isinstance(what, Tensor) else list(what)
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"expected a Tensor, several, or a function that returns them; got {type(tensor).__name__}")
    outputs = [tensor.node for tensor in tensors]
    known = {node: live.known_value(node) for node in ir.topological_order(outputs)}
    return ir.substitute(outputs, {node: value for node, value in known.items() if value is not None})


def dump(what: Inspected, stage: str = "schedule", target: str | None = None) -> str:
    """The computation of ``what`` as text.

    stage: graph, schedule (kernels), loops (structured loops of every kernel), llvm, asm or cuda. target: a CUDA
    architecture such as "sm_90a", for "schedule", "loops" and "cuda" on any machine; None is this machine's CPU (for
    "cuda" sm_80). Errors: RuntimeFailure for an unknown stage, with the nearest.
    """
    return dump_graph(graph_of(what), stage, None if target is None else Target.cuda(target))


def explain(what: Inspected, target: str | None = None) -> Explanation:
    """Each kernel of ``what``: why it ends where it does, bytes, operations and the user's lines; prints as a table.

    A kernel whose schedule a search has found (``tune``) says so beside its strategy.
    """
    if target is not None:
        return explain_graph(graph_of(what), Target.cuda(target))
    device = get_device()
    return explain_graph(graph_of(what), found=device.found if isinstance(device, CompilingDevice) else None)


def draw(what: Inspected, path: str | os.PathLike[str] | None = None, clusters: Clusters = "line") -> str:
    """The graph of ``what`` as DOT text, which is returned and, given a path, written.

    A path that ends in .svg, .png or .pdf also gets a picture, and the text a neighbour ending in .dot. Errors:
    DrawingError where graphviz, which makes pictures, is not installed; the text is then written all the same.
    """
    nodes = graph_of(what)
    text = ir.to_dot(nodes, clusters)
    if path is not None and Path(path).suffix in ("", ".dot", ".gv"):
        write_text(path, text)
    elif path is not None:
        ir.draw(nodes, Path(path), clusters)
    return text


__all__ = ["STAGES", "Profile", "draw", "dump", "explain", "graph_of", "profile"]
