"""Loops joined again: neighbouring axes that every access of a kernel walks as one become one axis.

Axis refinement splits loops for the sake of the whole graph. Within one kernel, axes a and b are one loop wherever a
step of a is as far as b's extent of steps of b, in every address, guard and index value. An elementwise kernel over a
contiguous [768, 128] runs one loop of 98304.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from codegen.expression import indices_of, walk
from codegen.index import ZERO, Atom, Axis, Index
from codegen.kernel import Contraction, Read, Statement
from codegen.schedule.axes import extents
from ir.node import Node


def flat_address(value: Node, indices: Sequence[Index]) -> Index:
    """The element number in row-major memory."""
    address, inside = ZERO, 1
    for index, extent in zip(reversed(indices), reversed(extents(value)), strict=True):
        address, inside = address + index * inside, inside * extent
    return address


def joined_axes(outer: Sequence[Axis], statements: Sequence[Statement]) -> dict[Atom, Index]:
    """What to substitute so that joinable axes become one; empty where there is nothing to join."""
    forms = list(_forms(statements))
    fixed = {axis for form in forms for atom, _ in form.terms if not isinstance(atom, Axis)
             for axis in Index.of(atom).axes if not hasattr(atom, "expression")}
    roles = _roles(outer, statements)
    coefficients: dict[Axis, dict[int, int]] = {axis: {} for axis in roles}
    for number, form in enumerate(forms):
        for atom, factor in form.terms:
            if isinstance(atom, Axis) and atom in coefficients:
                coefficients[atom][number] = factor
    chains = _chains([axis for axis in roles if axis not in fixed], roles, coefficients)
    replacements: dict[Atom, Index] = {}
    for chain in chains:
        replacements.update(_digits_of_joined(chain))
    return replacements


def _forms(statements: Iterable[Statement]) -> Iterable[Index]:
    """Every number that the kernel computes from its axes."""
    roots = [statement.expression for statement in statements]
    for statement in statements:
        yield flat_address(statement.value, statement.indices)
        roots.extend(atom.expression for index in statement.indices for atom in index.dynamics)
        if statement.position is not None:
            yield statement.position
        for guard in statement.guards:
            yield guard.index
    for part in walk(*roots):
        if isinstance(part, Read):
            yield flat_address(part.value, part.indices)
        else:
            yield from indices_of(part)


def _roles(outer: Sequence[Axis], statements: Sequence[Statement]) -> dict[Axis, tuple[object, ...]]:
    """What an axis does in each statement: only axes of the same role can be one loop."""
    roles: defaultdict[Axis, list[object]] = defaultdict(list)
    for axis in outer:
        roles[axis].append("outer")
    for number, statement in enumerate(statements):
        parts = _contraction_parts(statement.contraction)
        for axis in statement.axes:
            roles[axis].append((number, axis in statement.reduced, parts.get(axis)))
    return {axis: tuple(role) for axis, role in roles.items()}


def _contraction_parts(contraction: Contraction | None) -> dict[Axis, str]:
    if contraction is None:
        return {}
    return {axis: part for part in ("batch", "m", "n", "k") for axis in getattr(contraction, part)}


def _chains(axes: Sequence[Axis], roles: Mapping[Axis, tuple[object, ...]],
            coefficients: Mapping[Axis, Mapping[int, int]]) -> list[list[Axis]]:
    """Runs of axes, outermost first, each of which steps over exactly the next one."""
    steps: dict[tuple[object, ...], Axis] = {}
    for axis in axes:
        over = frozenset((form, factor * axis.extent) for form, factor in coefficients[axis].items())
        if axis.limit is None and over:
            steps.setdefault((roles[axis], over), axis)
    inner: dict[Axis, Axis] = {}
    for axis in axes:
        below = steps.get((roles[axis], frozenset(coefficients[axis].items())))
        if below is not None and below is not axis and below not in inner.values():
            inner[axis] = below
    heads = [axis for axis in inner if axis not in inner.values()]
    chains: list[list[Axis]] = []
    for axis in heads:
        chain = [axis]
        while chain[-1] in inner:
            chain.append(inner[chain[-1]])
        chains.append(chain)
    return chains


def _digits_of_joined(chain: Sequence[Axis]) -> dict[Atom, Index]:
    """One new axis for a run of axes, and each of them as a digit of it."""
    extent = 1
    for axis in chain:
        extent *= axis.extent
    limit = chain[0].limit
    joined = Index.of(Axis(extent, limit=None if limit is None else limit * (extent // chain[0].extent)))
    digits: dict[Atom, Index] = {}
    inside = 1
    for axis in reversed(chain):
        digits[axis] = joined // inside if axis is chain[0] else joined // inside % axis.extent
        inside *= axis.extent
    return digits
