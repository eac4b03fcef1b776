"""Schedules as text: the inverse of how steps print.

    >>> parse_steps("Split('i0', 16)\\nVectorize('i0.i')")
    [Split('i0', 16), Vectorize('i0.i')]
"""

from __future__ import annotations

import ast

from codegen.block_copies import CopyBlock, CopySquares
from codegen.block_steps import Share, StageTile, Tile
from codegen.bounds import Bound
from codegen.guarded_loops import BoundByGuards, CutAt
from codegen.staging import Stage
from codegen.steps import Bind, Fuse, Parallel, Reorder, ScheduleError, Sink, Split, Step, Unroll, Vectorize

_STEPS: dict[str, type[Step]] = {kind.__name__: kind for kind in (
    Split, Fuse, Reorder, Sink, Vectorize, Unroll, Parallel, Bind, Stage, Share, StageTile, Tile,
    CopyBlock, CopySquares, Bound, CutAt, BoundByGuards)}


def parse_steps(text: str) -> list[Step]:
    """The steps that ``text`` lists, one a line, in the form in which they print; blank and # lines are skipped."""
    steps: list[Step] = []
    for line in map(str.strip, text.splitlines()):
        if line and not line.startswith("#"):
            steps.append(_parse_step(line))
    return steps


def _parse_step(line: str) -> Step:
    try:
        call = ast.parse(line, mode="eval").body
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _STEPS:
            positional = [ast.literal_eval(argument) for argument in call.args]
            named = {keyword.arg or "": ast.literal_eval(keyword.value) for keyword in call.keywords}
            return _STEPS[call.func.id](*positional, **named)
    except (SyntaxError, TypeError, ValueError) as error:
        raise ScheduleError(f"no schedule step reads {line!r}: {error}") from error
    raise ScheduleError(f"no schedule step reads {line!r}; there are {', '.join(_STEPS)}")
