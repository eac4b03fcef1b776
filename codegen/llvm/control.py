"""Control flow inside helper functions: branches that some lane takes."""

from __future__ import annotations

from collections.abc import Callable

from codegen.llvm.builder import Value, vector


def any_lane(mask: Value) -> Value:
    """Whether a mask is on in at least one lane, as an i1."""
    lanes = mask.type.lanes
    if lanes == 1:
        return mask
    return mask.convert("bitcast", vector(f"i{lanes}", 1)).compare("ne", 0)


def choose_rare(mask: Value, common: Value, rare: Callable[[], Value]) -> Value:
    """``rare()`` in the lanes of ``mask``, else ``common``; a branch skips ``rare`` where no lane needs it."""
    builder = mask.builder
    before, slow, done = builder.block, builder.label("rare"), builder.label("done")
    builder.branch_if(any_lane(mask), slow, done)
    builder.place(slow)
    mixed = mask.select(rare(), common)
    leaving = builder.block
    builder.branch(done)
    builder.place(done)
    return builder.phi(common.type, [(common, before), (mixed, leaving)])
