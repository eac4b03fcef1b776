"""Dumps: every stage of one graph, for any target."""

from __future__ import annotations

import pytest

import ir
from codegen.target import Target
from ir import Node, dtypes
from runtime import RuntimeFailure
from runtime.dump import STAGES, dump


def example() -> list[Node]:
    x = ir.buffer(None, dtypes.float32, (64, 128))
    return [ir.reduce("sum", ir.exp(x), (1,))]


@pytest.mark.parametrize(("stage", "expected"), [
    ("graph", "exp"), ("schedule", "exp"), ("loops", "function "), ("llvm", "define "), ("asm", "ret"),
    ("cuda", "__global__"),
])
def test_every_stage_has_a_text(stage: str, expected: str) -> None:
    assert expected in dump(example(), stage)


def test_the_stages_are_all_tested() -> None:
    assert list(STAGES) == ["graph", "schedule", "loops", "llvm", "asm", "cuda"]


def test_dumps_are_reproducible() -> None:
    for stage in STAGES:
        assert dump(example(), stage) == dump(example(), stage)


def test_unknown_stages_suggest_the_nearest() -> None:
    with pytest.raises(RuntimeFailure, match="unknown stage 'lops'; did you mean 'loops'"):
        dump(example(), "lops")


def test_a_stage_needs_a_target_that_has_it() -> None:
    with pytest.raises(RuntimeFailure, match="stage 'llvm' needs a cpu target; got sm_80"):
        dump(example(), "llvm", Target.cuda("sm_80"))
    with pytest.raises(RuntimeFailure, match="stage 'cuda' needs a cuda target"):
        dump(example(), "cuda", Target.host())
    assert "__global__" in dump(example(), "cuda", Target.cuda("sm_90a"))
