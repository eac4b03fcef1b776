"""Drawings: DOT text that names every op, its shapes and the user's lines; pictures where the dot program is."""

from __future__ import annotations

import builtins
import os
import re
import stat

import pytest

import ir
from ir import dtypes

X = ir.parameter(0, dtypes.float32, (4, 8))


def test_dot_shows_ops_attributes_types_and_constants():
    dot = ir.to_dot([ir.reduce("sum", ir.sub(X, ir.constant(2.5, dtypes.float32, (4, 8))), (1,))])
    assert dot.startswith("digraph") and dot.rstrip().endswith("}")
    assert "<b>sub</b>(&#183;, 2.5)" in dot
    assert "monoid=sum<br/>axes=(1,)" in dot
    assert "float32[4, 8]" in dot
    assert "n0 -> n1\n  n1 -> n2" in dot
    assert dot.count("peripheries=2") == 1


def test_text_is_escaped():
    x = ir.parameter(0, dtypes.float32, ())
    dot = ir.to_dot([ir.call(ir.Body((x,), (x,)), [x], label='<a> & "b"')])
    assert "&lt;a&gt; &amp;" in dot


def test_edges_are_numbered_where_order_matters():
    y = ir.parameter(1, dtypes.float32, (4, 8))
    assert '[label="1"]' in ir.to_dot([ir.sub(X, y)])
    assert '[label="1"]' not in ir.to_dot([ir.add(X, y)])


def test_clusters_by_line_show_the_line():
    y = ir.exp(X)  # this comment is drawn
    dot = ir.to_dot([ir.sin(y)], clusters="line")
    assert "this comment is drawn" in dot
    assert dot.count("subgraph") == 3
    assert ir.to_dot([ir.sin(y)], clusters="file").count("subgraph") == 1
    assert ir.to_dot([ir.sin(y)]).count("subgraph") == 0
    with pytest.raises(ValueError, match="clusters is"):
        ir.to_dot([y], clusters="module")


def test_bodies_are_clusters():
    total, x = ir.parameter(0, dtypes.float32, ()), ir.parameter(1, dtypes.float32, ())
    body = ir.Body((total, x), (ir.add(total, x),))
    sums = ir.scan(body, [ir.constant(0, dtypes.float32)], [ir.parameter(2, dtypes.float32, (9,))])
    dot = ir.to_dot([ir.project(sums, 0)])
    assert "subgraph cluster_body0" in dot and "lhead=cluster_body0" in dot
    assert "b0_0 -> b0_2" in dot


def test_braces_balance_and_every_edge_joins_declared_nodes():
    (slope,) = ir.gradient([ir.reduce("sum", ir.tanh(X), (0, 1))], [ir.constant(1, dtypes.float32)], [X])
    dot = ir.to_dot([slope], clusters="line")
    assert dot.count("{") == dot.count("}")
    declared = set(re.findall(r"^\s*(\w+) \[label=<", dot, re.MULTILINE))
    for source, target in re.findall(r"(\w+) -> (\w+)", dot):
        assert {source, target} <= declared


def test_an_output_that_is_a_constant_is_drawn():
    assert "<b>constant</b>" in ir.to_dot([ir.constant(1, dtypes.int32)])


def test_writing_text(tmp_path):
    path = ir.draw([X], tmp_path / "graph.dot")
    assert path.read_text() == ir.to_dot([X])
    with pytest.raises(ValueError, match=r"\.svg, \.png, \.pdf or \.dot"):
        ir.draw([X], tmp_path / "graph.jpeg")


def test_a_picture_through_the_dot_program(tmp_path, monkeypatch):
    pytest.importorskip("graphviz", reason="draws through the graphviz package")
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho \"<svg $1/>\"\ncat > /dev/null\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    path = ir.draw([X], str(tmp_path / "graph.svg"))
    assert path.read_text().startswith("<svg")
    assert (tmp_path / "graph.dot").read_text() == ir.to_dot([X])


def test_without_the_dot_program_the_text_is_written(tmp_path, monkeypatch):
    pytest.importorskip("graphviz", reason="draws through the graphviz package")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ir.DrawingError, match=r"wrote .*graph\.dot; for \.png install the dot program"):
        ir.draw([X], tmp_path / "graph.png")
    assert (tmp_path / "graph.dot").read_text() == ir.to_dot([X])


def test_without_the_graphviz_package_the_text_is_written(tmp_path, monkeypatch):
    load = builtins.__import__

    def without_graphviz(name, *arguments, **options):
        if name == "graphviz":
            raise ImportError(name)
        return load(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_graphviz)
    with pytest.raises(ir.DrawingError, match="pip install graphviz"):
        ir.draw([X], tmp_path / "graph.svg")
    assert (tmp_path / "graph.dot").exists()


def test_a_long_chain():
    x = X
    for _ in range(100_000):
        x = ir.cos(x)
    assert ir.to_dot([x]).count(" -> ") == 100_000
