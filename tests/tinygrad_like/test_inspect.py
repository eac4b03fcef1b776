"""Looking inside: every stage is text, drawings are written, nothing is computed by looking."""

from __future__ import annotations

import numpy as np
import pytest

from runtime import RuntimeFailure, counters
from tinygrad_like import Tensor, nn
from tinygrad_like.inspect import STAGES, draw, dump, explain, graph_of


@pytest.fixture
def softmax():
    return Tensor(np.arange(512, dtype=np.float32).reshape(8, 64)).softmax()


MARKS = {
    "graph": "reduce", "schedule": "kernel", "loops": "serial", "llvm": "define", "asm": "ret", "cuda": "__global__",
}


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_is_text(softmax, stage):
    assert MARKS[stage] in dump(softmax, stage)


def test_a_function_and_several_tensors_can_be_looked_at():
    x = Tensor([1.0, 2.0])
    assert dump(lambda: x.exp(), "graph").count("exp") == 1
    assert len(graph_of([x + 1, x + 2])) == 2
    with pytest.raises(TypeError, match="got float"):
        dump([1.0])


def test_explain_counts_kernels_and_names_the_line(softmax):
    explained = explain(softmax)
    assert explained.kernel_count == 1 and explained.bytes_moved == 2 * 512 * 4
    assert "test_inspect.py" in str(explained)


def test_looking_computes_nothing(softmax):
    before = counters.programs
    for stage in STAGES:
        dump(softmax, stage)
    explain(softmax)
    draw(softmax)
    assert counters.programs == before


def test_values_in_memory_are_buffers_in_the_graph():
    hidden = nn.Linear(4, 4)(Tensor.ones(2, 4)).realize()
    assert dump(hidden + 1, "graph").count("buffer") == 1


def test_a_drawing_is_text_and_where_graphviz_is_a_picture(softmax, tmp_path):
    text = draw(softmax, tmp_path / "softmax.dot")
    assert (tmp_path / "softmax.dot").read_text() == text and text.startswith("digraph")
    try:
        draw(softmax, tmp_path / "softmax.svg")
    except RuntimeError as error:
        assert "graphviz" in str(error) and (tmp_path / "softmax.dot").exists()
    else:
        assert b"<svg" in (tmp_path / "softmax.svg").read_bytes()


def test_an_unknown_stage_suggests_the_nearest(softmax):
    with pytest.raises(RuntimeFailure, match="did you mean 'loops'"):
        dump(softmax, "lops")
