"""Patterns and the rewriter: what matches, in which order, what is kept, and how mistakes in rules are found."""

from __future__ import annotations

import time

import pytest

import ir
from ir import Capture, Match, RewriteError, Rewriter, dtypes, rule
from ir.ops import EXPAND, add, exp, mul, neg, sin, sub

X, Y = ir.parameter(0, dtypes.float32, (2, 3)), ir.parameter(1, dtypes.float32, (2, 3))
A, B = Capture("a"), Capture("b")


def raw(op, *operands):
    """A node as it is, without what the builder simplifies."""
    return ir.make_node(op, operands, ir.NoAttributes())


@rule(Match(neg, Match(neg, A)), measure="two nodes fewer")
def double_negation(a):
    """-(-a) = a."""
    return a


@rule(Match(add, Match(mul, A, B), B, commutative=True), measure="for tests")
def repeated_capture(a, b):
    """a * b + b, found in either order of the sum."""
    return sin(b)


def test_a_rule_is_described():
    assert double_negation.name == "double_negation"
    assert double_negation.description == "-(-a) = a."
    assert double_negation.measure == "two nodes fewer"


def test_rules_apply_until_none_matches():
    x = X
    for _ in range(6):
        x = raw(neg, x)
    assert Rewriter([double_negation]).run([exp(x), x, raw(neg, x)]) == [exp(X), X, neg(X)]


def test_nodes_that_nothing_changes_are_kept():
    b = ir.buffer("b", dtypes.float32, (2, 3))
    outputs = [ir.assign(b, exp(X)), sin(X)]
    assert all(new is old for new, old in zip(Rewriter([double_negation]).run(outputs), outputs, strict=True))


def test_assignments_are_rebuilt_once():
    b = ir.buffer("b", dtypes.float32, (2, 3))
    first = ir.assign(b, raw(neg, raw(neg, X)))
    new, again = Rewriter([double_negation]).run([ir.mul(first, first), first])
    assert new.operands == (again, again) and again.operands == (b, X)


def test_equal_captures_must_be_the_same_node():
    rewriter = Rewriter([repeated_capture])
    assert rewriter.run([add(mul(X, Y), Y), add(Y, mul(X, Y))]) == [sin(Y), sin(Y)]
    assert rewriter.run([add(mul(X, Y), X)]) == [add(mul(X, Y), X)]


def test_guards_and_captures_of_inner_nodes():
    @rule(Match((exp, sin), Match(None, A, name="inner", guard=lambda node: node.op is EXPAND), name="outer"),
          measure="for tests")
    def through(outer, inner, a):
        return ir.expand(outer.op(a), inner.shape)

    row = ir.parameter(2, dtypes.float32, (1, 3))
    assert Rewriter([through]).run([sin(ir.expand(row, (2, 3))), sin(X)]) == [ir.expand(sin(row), (2, 3)), sin(X)]


def test_a_rule_may_decline():
    @rule(Match(exp, A), measure="for tests")
    def declines(a):
        return None

    assert Rewriter([declines]).run([exp(X)]) == [exp(X)]


def test_operands_without_patterns_do_not_matter():
    @rule(Match(ir.ops.CONCAT, name="node"), measure="for tests")
    def first_part(node):
        return ir.pad(node.operands[0], ((0, node.shape[0] - node.operands[0].shape[0]), (0, 0)))

    assert Rewriter([first_part]).run([ir.concat([X, Y, X], 0)]) == [ir.pad(X, ((0, 4), (0, 0)))]


def test_locations_and_tags_are_kept():
    place = ir.Location("model.py", 42)
    with ir.located(place), ir.tagged(3):
        node = raw(sub, X, raw(neg, ir.parameter(77, dtypes.float32, (2, 3))))

    @rule(Match(sub, A, Match(neg, B)), measure="one node fewer")
    def negative_subtracted(a, b):
        return add(a, b)

    (new,) = Rewriter([negative_subtracted]).run([node])
    assert (new.op, new.location, new.tag) == (add, place, 3)


def test_bodies_are_rewritten():
    total, x = ir.parameter(0, dtypes.float32, ()), ir.parameter(1, dtypes.float32, ())
    inner = ir.call(ir.Body((x,), (raw(neg, raw(neg, x)),)), [x])
    body = ir.Body((total, x), (add(total, ir.project(inner, 0)),))
    sums = ir.scan(body, [ir.constant(0, dtypes.float32)], [ir.parameter(2, dtypes.float32, (9,))])
    (new,) = Rewriter([double_negation]).run([ir.project(sums, 0)])
    assert "neg" in ir.format_graph([sums]) and "neg" not in ir.format_graph([new])
    ir.verify([new])


def test_equal_bodies_that_are_two_objects():
    x = ir.parameter(0, dtypes.float32, ())
    for result in (sin(x), raw(neg, raw(neg, x))):
        calls = [ir.call(ir.Body((x,), (result,)), [ir.constant(value, dtypes.float32)]) for value in (1, 2)]
        assert calls[0].attributes.body == calls[1].attributes.body
        new = Rewriter([double_negation]).run([ir.project(call, 0) for call in calls])
        assert (new[0].operands[0] is calls[0]) == (result.op is sin)
        ir.verify(new)


def test_the_trace_tells_every_step():
    steps = []
    node = raw(neg, raw(neg, X))
    Rewriter([double_negation]).run([exp(node)], lambda *step: steps.append(step))
    assert steps == [(double_negation, node, X)]


def test_a_rule_that_changes_a_type_is_named():
    @rule(Match(exp, A), measure="none")
    def halves(a):
        return ir.slice(a, ((0, 1, 1), (0, 3, 1)))

    with pytest.raises(RewriteError, match="rule halves replaced <exp float32.* which has another type"):
        Rewriter([halves]).run([exp(X)])


def test_rules_that_undo_each_other_are_found():
    there = rule(Match(exp, A), measure="none")(lambda a: sin(a))
    back = rule(Match(sin, A), measure="none")(lambda a: exp(a))
    with pytest.raises(RewriteError, match="undo each other"):
        Rewriter([there, back]).run([exp(X)])
    around = rule(Match(exp, A, name="node"), measure="none")(lambda node, a: neg(node))
    with pytest.raises(RewriteError, match="undo each other"):
        Rewriter([around]).run([exp(X)])


def test_a_long_chain_takes_linear_time():
    def seconds(length):
        x = X
        for number in range(length):
            x = raw(neg, x) if number % 3 else exp(x)
        start = time.process_time()
        Rewriter([double_negation]).run([x])
        return time.process_time() - start

    seconds(100)
    short, long = seconds(5_000), seconds(100_000)
    assert long < 60 * short
