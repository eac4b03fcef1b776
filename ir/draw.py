"""Drawings of graphs, as graphviz DOT text and through it as SVG, PNG or PDF.

    >>> print(ir.to_dot([loss], clusters="line"))      # DOT text, always
    >>> ir.draw([loss], "loss.svg", clusters="line")   # and a picture, where graphviz is installed

Colour says the family of an op: sources grey, elementwise blue, reductions orange, views green, indexed access purple,
scans and calls pink, memory (buffers and assignments) yellow. Constants stand inside the op that reads them; outputs
have a double border; edges are numbered where the order of the operands matters.
"""

from __future__ import annotations

import html
import linecache
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from ir.bodies import bodies_in_order, bodies_of
from ir.dtype import DType
from ir.graph import topological_order
from ir.node import Location, Node
from ir.ops import BITCAST, CAST, CONSTANT, PROJECT, REDUCE, Body, ElementwiseOp
from ir.text_printer import format_type, format_value

Clusters = Literal["none", "line", "file"]

# family -> (fill, border)
_COLOURS = {
    "source": ("#eceff1", "#607d8b"),
    "memory": ("#fff8e1", "#ff8f00"),
    "elementwise": ("#e3f2fd", "#1976d2"),
    "reduction": ("#ffe0b2", "#e65100"),
    "view": ("#e8f5e9", "#388e3c"),
    "indexed": ("#ede7f6", "#5e35b1"),
    "control": ("#fce4ec", "#c2185b"),
}
_COMMUTATIVE = frozenset({"add", "mul", "maximum", "minimum", "equal", "not_equal", "bit_and", "bit_or", "bit_xor"})
_LONGEST_ATTRIBUTE = 48

_HEADER = """digraph graph_ir {
  graph [rankdir=TB, compound=true, nodesep=0.25, ranksep=0.35, fontname="Helvetica", fontsize=10, fontcolor="#455a64"]
  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=10, margin="0.12,0.05", height=0.3]
  edge [color="#78909c", arrowsize=0.6, fontname="Helvetica", fontsize=8, fontcolor="#78909c"]
"""


class DrawingError(RuntimeError):
    """The DOT text was written, but no picture could be made of it; says what to install."""


def to_dot(outputs: Sequence[Node], clusters: Clusters = "none") -> str:
    """The graph that computes ``outputs`` as DOT text.

    clusters: boxes around the nodes that one line ("line") or one file ("file") of user code made, with its text.
    """
    if clusters not in ("none", "line", "file"):
        raise ValueError(f"clusters is 'none', 'line' or 'file', got {clusters!r}")
    return _HEADER + "".join(f"  {line}\n" for line in _Drawing(clusters).lines(outputs)) + "}\n"


def draw(outputs: Sequence[Node], path: str | Path, clusters: Clusters = "none") -> Path:
    """Writes the drawing to ``path`` and returns it; the suffix decides the format (.svg, .png, .pdf, .dot).

    The DOT text is always written beside it, with the suffix .dot. Raises DrawingError where the suffix asks for a
    picture and graphviz is not installed.
    """
    path = Path(path)
    format_ = path.suffix[1:].lower()
    if format_ not in ("svg", "png", "pdf", "dot"):
        raise ValueError(f"a drawing is .svg, .png, .pdf or .dot, got {str(path)!r}")
    text = to_dot(outputs, clusters)
    text_path = path.with_suffix(".dot")
    text_path.write_text(text, encoding="utf-8")
    if format_ != "dot":
        path.write_bytes(_rendered(text, format_, text_path))
    return path


def _rendered(text: str, format_: str, text_path: Path) -> bytes:
    try:
        import graphviz
    except ImportError as error:
        raise DrawingError(f"wrote {text_path}; for .{format_} run: pip install graphviz, and install the dot program "
                           "(apt install graphviz, brew install graphviz)") from error
    try:
        picture: bytes = graphviz.Source(text).pipe(format=format_)
    except graphviz.ExecutableNotFound as error:
        raise DrawingError(f"wrote {text_path}; for .{format_} install the dot program: apt install graphviz, "
                           "brew install graphviz or https://graphviz.org/download") from error
    return picture


class _Drawing:
    """Names the nodes and writes the statements of the DOT text."""

    def __init__(self, clusters: Clusters) -> None:
        self.clusters = clusters
        self.names: dict[Node, str] = {}
        self.body_entries: dict[Body, str] = {}

    def lines(self, outputs: Sequence[Node]) -> list[str]:
        lines: list[str] = []
        for number, body in enumerate(bodies_in_order(outputs)):
            self.names = {}
            inside = self.graph(body.parameters, body.results, prefix=f"b{number}_")
            lines += _subgraph(f"body{number}", f"body @{number}", inside, "#c2185b")
            self.body_entries[body] = f"b{number}_0"
        self.names = {}
        return lines + self.graph((), outputs, prefix="n")

    def graph(self, parameters: Iterable[Node], outputs: Sequence[Node], prefix: str) -> list[str]:
        ends = set(outputs)
        order = dict.fromkeys((*parameters, *topological_order(outputs)))
        drawn = [node for node in order if not _is_constant(node) or node in ends]
        statements: dict[Location | str | None, list[str]] = {}
        edges: list[str] = []
        for number, node in enumerate(drawn):
            self.names[node] = f"{prefix}{number}"
            statements.setdefault(self.cluster(node), []).append(self.node(node, node in ends))
            edges += self.edges(node)
        lines: list[str] = []
        for number, (cluster, inside) in enumerate(statements.items()):
            lines += inside if cluster is None else _subgraph(f"{prefix}{number}", _source(cluster), inside, "#b0bec5")
        return lines + edges

    def cluster(self, node: Node) -> Location | str | None:
        if node.location is None or self.clusters == "none":
            return None
        return node.location if self.clusters == "line" else node.location.file

    def node(self, node: Node, is_output: bool) -> str:
        fill, border = _COLOURS[family(node)]
        settings = [f"label=<{_label(node)}>", f'fillcolor="{fill}"', f'color="{border}"']
        if is_output:
            settings.append("peripheries=2")
        if node.location:
            settings.append(f"tooltip={_quoted(str(node.location))}")
        return f"{self.names[node]} [{', '.join(settings)}]"

    def edges(self, node: Node) -> list[str]:
        sources = [(i, operand) for i, operand in enumerate(node.operands) if operand in self.names]
        numbered = len(sources) > 1 and node.op.name not in _COMMUTATIVE
        lines = [f"{self.names[source]} -> {self.names[node]}" + (f' [label="{i}"]' if numbered else "")
                 for i, source in sources]
        for body in bodies_of(node):
            entry = self.body_entries[body]
            lines.append(f"{self.names[node]} -> {entry} [style=dashed, color=\"#c2185b\", "
                         f"lhead=cluster_body{entry[1:].partition('_')[0]}, constraint=false]")
        return lines


def family(node: Node) -> str:
    """The family of a node's op, which decides its colour."""
    if not node.op.pure:
        return "memory"
    if not node.operands:
        return "source"
    if any(bodies_of(node)) or node.op is PROJECT:
        return "control"
    if node.op.view:
        return "view"
    if isinstance(node.op, ElementwiseOp) or node.op in (CAST, BITCAST):
        return "elementwise"
    return "reduction" if node.op is REDUCE else "indexed"


def _label(node: Node) -> str:
    """HTML-like label: the op with the constants it reads, its attributes, its type."""
    title = f"<b>{html.escape(node.op.name)}</b>"
    if any(_is_constant(operand) for operand in node.operands):
        arguments = [html.escape(_text(operand.attributes.value)) if _is_constant(operand) else "&#183;"
                     for operand in node.operands]
        title += f"({', '.join(arguments)})"
    attributes = [html.escape(text) for text in _attributes(node)]
    type_ = f'<font color="#546e7a">{html.escape(format_type(node.type))}</font>'
    return "<br/>".join((title, *attributes, type_))


def _attributes(node: Node) -> list[str]:
    """The attributes that the type and the title do not show already."""
    shown = []
    for field, value in zip(node.attributes._fields, node.attributes, strict=True):
        if isinstance(value, (Body, DType)) or value is None or value is False or field == "shape":
            continue
        text = f"{field}={_text(value)}"
        shown.append(text if len(text) <= _LONGEST_ATTRIBUTE else text[:_LONGEST_ATTRIBUTE - 3] + "...")
    return shown


def _text(value: Any) -> str:
    return format_value(value, lambda other: str(getattr(other, "name", type(other).__name__)))


def _is_constant(node: Node) -> bool:
    return node.op is CONSTANT


def _source(cluster: Location | str) -> str:
    """What stands above a cluster: the file, or the line with its text."""
    if isinstance(cluster, str):
        return cluster
    return f"{cluster}   {linecache.getline(cluster.file, cluster.line).strip()}".rstrip()


def _subgraph(name: str, label: str, inside: list[str], colour: str) -> list[str]:
    return [f"subgraph cluster_{name} {{",
            f'  label={_quoted(label)}; labeljust=l; style="rounded,dashed"; color="{colour}"',
            *(f"  {line}" for line in inside), "}"]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'
