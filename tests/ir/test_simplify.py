"""Every simplification rule fires where it should, keeps every bit, and makes less work; so do all of them together."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ir
from ir import dtypes, ops
from ir.simplify import RULES, simplify, work

INTEGERS = (dtypes.int8, dtypes.uint8, dtypes.int32, dtypes.int64, dtypes.uint64)
FLOATS = (dtypes.float16, dtypes.bfloat16, dtypes.float32, dtypes.float64)
NUMBERS = INTEGERS + FLOATS
SIGNED = tuple(dtype for dtype in NUMBERS if dtype.is_signed)
BITS = (*INTEGERS, dtypes.bool)
ANY = (*NUMBERS, dtypes.bool)


def raw(op, *operands, **attributes):
    """A node as it is, without what the builder simplifies."""
    return ir.make_node(op, operands, op.Attributes(**attributes))


def specials(dtype):
    """Values at which rules go wrong: signed zeros, extremes, NaN, infinities, denormals, neighbours of powers."""
    if dtype.is_bool:
        return np.array([False, True])
    if dtype.is_integer:
        values = [0, 1, 2, 3, 7, 8, 100, *(dtype.maximum >> shift for shift in (0, 1, 2)), dtype.maximum - 1]
        values += [-1, -2, -3, -8, -100, dtype.minimum, dtype.minimum + 1] if dtype.is_signed else []
        return np.array(values, dtype.numpy)
    smallest = {"float16": 6e-8, "float64": 5e-324}.get(dtype.name, 1.5e-45 if dtype is dtypes.float32 else 1e-40)
    values = [0.0, -0.0, 1, -1, 0.5, -1.5, 2.5, 3, 0.1, -7.7, 1e4, np.inf, -np.inf, np.nan, smallest, -smallest]
    return dtype.rounded(np.array([*values, 3 * smallest, 6.1e-5, 1.2e-38, 65504, 3.3e38], np.float64))


def all_pairs(dtype):
    """Arrays x and y that hold every pair of special values, and a bool array z."""
    x, y = (np.array(column) for column in zip(*itertools.product(specials(dtype), repeat=2), strict=True))
    return dtype.rounded(x), dtype.rounded(y), np.arange(len(x)) % 3 == 0


def assert_same_bits(actual, expected):
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    if actual.dtype.kind == "f":
        np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
        actual, expected = (np.where(np.isnan(a), 0, a).view(f"u{a.itemsize}") for a in (actual, expected))
    np.testing.assert_array_equal(actual, expected)


def check(outputs, values):
    """Simplifies; the names of the rules that fired, after checking every step and the results."""
    fired = set()

    def less_work(rule, node, replacement):
        fired.add(rule.name)
        assert work(replacement) < work(node), f"{rule.name}: {ir.format_graph([node])}{ir.format_graph([replacement])}"

    simpler = simplify(outputs, less_work)
    ir.verify(simpler)
    assert simplify(simpler) == simpler
    for before, after in zip(ir.evaluate(outputs, values), ir.evaluate(simpler, values), strict=True):
        assert_same_bits(after, before)
    return fired


def zero(x):
    return ir.constant_like(x, 0)


def one(x):
    return ir.constant_like(x, 1)


def ones(x):
    return ir.constant_like(x, -1)


def least(x):
    return ir.constant_like(x, x.dtype.minimum)


def greatest(x):
    return ir.constant_like(x, x.dtype.maximum)


# rule -> (dtypes, expressions of x, y and the bool z that it simplifies)
ELEMENTWISE = {
    "declared_shortcut": (NUMBERS, lambda x, y, z: [
        raw(ops.mul, x, one(x)), raw(ops.sub, x, zero(x)), raw(ops.where, ir.constant_like(z, True), x, y),
        raw(ops.add, one(x), one(x)), raw(ops.maximum, x, x), raw(ops.neg, raw(ops.neg, x))]),
    "negative_added": (NUMBERS, lambda x, y, z: [raw(ops.add, x, raw(ops.neg, y)), raw(ops.add, raw(ops.neg, x), y)]),
    "negative_subtracted": (NUMBERS, lambda x, y, z: [raw(ops.sub, x, raw(ops.neg, y))]),
    "negatives_multiplied": (FLOATS, lambda x, y, z: [
        raw(op, raw(ops.neg, x), raw(ops.neg, y)) for op in (ops.mul, ops.div)]),
    "multiplied_by_minus_one": (NUMBERS, lambda x, y, z: [raw(ops.mul, x, ones(x)), raw(ops.mul, ones(x), x)]),
    "difference_negated": (INTEGERS, lambda x, y, z: [raw(ops.neg, raw(ops.sub, x, y))]),
    "absolute_of_signed": (SIGNED, lambda x, y, z: [
        raw(ops.abs, raw(ops.neg, x)), raw(ops.abs, raw(ops.abs, x))]),
    "absolute_of_unsigned": ((dtypes.uint8, dtypes.uint64), lambda x, y, z: [raw(ops.abs, x)]),
    "rounded_twice": (FLOATS, lambda x, y, z: [
        raw(outer, raw(inner, x)) for outer, inner in
        itertools.product((ops.floor, ops.ceil, ops.trunc, ops.round), repeat=2)]),
    "cancelled": (INTEGERS, lambda x, y, z: [raw(ops.sub, x, x), raw(ops.bit_xor, x, x)]),
    "constant_subtracted": (INTEGERS, lambda x, y, z: [raw(ops.sub, x, c) for c in (one(x), least(x), greatest(x))]),
    "constants_gathered": (INTEGERS, lambda x, y, z: [
        raw(op, raw(op, c, x), d) for op in (ops.add, ops.mul, ops.bit_and, ops.bit_or, ops.bit_xor)
        for c, d in itertools.permutations([ir.constant_like(x, 3), ir.constant_like(x, 100), greatest(x)], 2)]),
    "remainder_of_one": (INTEGERS, lambda x, y, z: [raw(ops.mod, x, one(x))]),
    "divided_by_power_of_two": (INTEGERS, lambda x, y, z: [
        raw(op, x, ir.constant_like(x, 1 << shift)) for op in (ops.floordiv, ops.mod)
        for shift in range(1, x.dtype.bits - x.dtype.is_signed)]),
    "divided_twice": (INTEGERS, lambda x, y, z: [
        raw(ops.floordiv, raw(ops.floordiv, x, ir.constant_like(x, 3)), ir.constant_like(x, d)) for d in (5, 42)]),
    "complemented_twice": (BITS, lambda x, y, z: [raw(ops.bit_not, raw(ops.bit_not, x))]),
    "combined_with_itself": (BITS, lambda x, y, z: [raw(ops.bit_and, x, x), raw(ops.bit_or, x, x)]),
    "combined_with_zero": (BITS, lambda x, y, z: [
        raw(op, *pair) for op in (ops.bit_and, ops.bit_or, ops.bit_xor) for pair in ((x, zero(x)), (zero(x), x))]),
    "combined_with_ones": (BITS, lambda x, y, z: [
        raw(op, *pair) for op in (ops.bit_and, ops.bit_or, ops.bit_xor) for pair in ((x, ones(x)), (ones(x), x))]),
    "shifted_by_zero": (INTEGERS, lambda x, y, z: [raw(op, x, zero(x)) for op in (ops.shift_left, ops.shift_right)]),
    "equality_denied": (ANY, lambda x, y, z: [
        raw(ops.bit_not, raw(op, x, y)) for op in (ops.equal, ops.not_equal)]),
    "order_denied": (BITS, lambda x, y, z: [raw(ops.bit_not, raw(op, x, y)) for op in (ops.less, ops.less_equal)]),
    "less_than_itself": (ANY, lambda x, y, z: [raw(ops.less, x, x)]),
    "compared_with_itself": (BITS, lambda x, y, z: [
        raw(op, x, x) for op in (ops.equal, ops.not_equal, ops.less_equal)]),
    "beyond_the_extremes": (ANY, lambda x, y, z: [raw(ops.less, x, least(x)), raw(ops.less, greatest(x), x)]),
    "within_the_extremes": (BITS, lambda x, y, z: [
        raw(ops.less_equal, least(x), x), raw(ops.less_equal, x, greatest(x))]),
    "bool_compared": ((dtypes.bool,), lambda x, y, z: [
        raw(op, *pair) for op in (ops.equal, ops.not_equal) for c in (zero(x), one(x)) for pair in ((x, c), (c, x))]),
    "bounded_by_extreme": (ANY, lambda x, y, z: [
        raw(op, *pair) for op in (ops.maximum, ops.minimum) for c in (least(x), greatest(x))
        for pair in ((x, c), (c, x))]),
    "choice_denied": (ANY, lambda x, y, z: [raw(ops.where, raw(ops.bit_not, z), x, y)]),
    "chosen_twice_when_true": (ANY, lambda x, y, z: [raw(ops.where, z, raw(ops.where, z, x, y), y)]),
    "chosen_twice_when_false": (ANY, lambda x, y, z: [raw(ops.where, z, x, raw(ops.where, z, x, y))]),
    "choice_of_truth": ((dtypes.bool,), lambda x, y, z: [
        raw(ops.where, z, c, d) for c in (zero(x), one(x)) for d in (zero(x), one(x))]),
    "divided_by_exact_reciprocal": (FLOATS, lambda x, y, z: [
        raw(ops.div, x, ir.constant_like(x, c)) for c in (2.0, -0.25, 2.0**14, 2.0**-14, 2.0**15, 3.0, 0.1)]),
    "bitcast_twice": ((dtypes.float32,), lambda x, y, z: [
        raw(ops.BITCAST, raw(ops.BITCAST, x, dtype=dtypes.int32), dtype=t) for t in (x.dtype, dtypes.uint32)]),
    "cast_of_constant": (NUMBERS, lambda x, y, z: [
        raw(ops.CAST, c, dtype=t) for c in (least(x), greatest(x), ones(x)) for t in dtypes.all]),
}


@pytest.mark.parametrize(("name", "dtype"), [(name, dtype) for name in ELEMENTWISE for dtype in ELEMENTWISE[name][0]],
                         ids=str)
def test_elementwise_rule(name, dtype):
    arrays = all_pairs(dtype)
    x, y, z = (ir.parameter(i, t, arrays[i].shape) for i, t in enumerate((dtype, dtype, dtypes.bool)))
    expressions = ELEMENTWISE[name][1](x, y, z)
    fired = check(expressions, dict(zip((x, y, z), arrays, strict=True)))
    assert name in fired


@pytest.mark.parametrize("source", ANY)
def test_casts_of_casts(source):
    values = specials(source)
    x = ir.parameter(0, source, values.shape)
    chains = [raw(ops.CAST, raw(ops.CAST, x, dtype=middle), dtype=target)
              for middle, target in itertools.product(dtypes.all, repeat=2)]
    assert "cast_twice" in check(chains, {x: values})


def test_casts_that_must_stay():
    x = ir.parameter(0, dtypes.int8, (3,))
    assert simplify([ir.cast(ir.cast(x, dtypes.float32), dtypes.uint8)])[0].operands[0].op is ops.CAST
    y = ir.parameter(0, dtypes.float64, (3,))
    assert simplify([ir.cast(ir.cast(y, dtypes.float32), dtypes.float64)])[0].operands[0].op is ops.CAST


@pytest.mark.parametrize("expression", [
    lambda x, y: ir.sub(x, x), lambda x, y: ir.mul(x, zero(x)), lambda x, y: ir.add(x, zero(x)),
    lambda x, y: ir.neg(ir.sub(x, y)), lambda x, y: ir.add(ir.add(x, one(x)), one(x)), lambda x, y: ir.equal(x, x),
    lambda x, y: ir.div(x, ir.constant_like(x, 3)), lambda x, y: ir.bit_not(ir.less(x, y)),
    lambda x, y: ir.reduce("sum", ir.reduce("sum", x, (1,)), (0,)),
])
def test_floats_keep_what_is_not_exact(expression):
    x, y = ir.parameter(0, dtypes.float32, (4, 6)), ir.parameter(1, dtypes.float32, (4, 6))
    node = expression(x, y)
    assert simplify([node]) == [node]


def concat(*parts, axis):
    return raw(ops.CONCAT, *parts, axis=axis)


def slices(x, *ranges):
    return raw(ops.SLICE, x, ranges=ranges)


def pads(x, *widths, fill=0):
    return raw(ops.PAD, x, widths=widths, fill=x.dtype.constant(fill))


def expands(x, *shape):
    return raw(ops.EXPAND, x, shape=shape)


def reduction(monoid, x, *axes):
    return raw(ops.REDUCE, x, monoid=monoid, axes=axes)


def unchanging_scan(carries, length):
    parameters = tuple(ir.fresh_parameter(x.dtype, x.shape) for x in carries)
    return ir.scan(ir.Body(parameters, parameters), carries, [], length=length)


# rule -> (dtypes, expressions of x [4, 6], y [4, 6] and row [1, 6] that it simplifies)
VIEWS = {
    "nothing_computed": (ANY, lambda x, y, row: [
        slices(x, (2, 2, 1), (0, 6, 1)), reduction("max", slices(x, (0, 4, 1), (6, 6, 1)), 0),
        reduction("max", slices(x, (0, 4, 1), (6, 6, 1)), 1)]),
    "views_composed": (ANY, lambda x, y, row: [
        raw(ops.RESHAPE, raw(ops.RESHAPE, x, shape=(24,)), shape=(3, 8)),
        raw(ops.PERMUTE, raw(ops.PERMUTE, x, order=(1, 0)), order=(1, 0)),
        slices(slices(x, (1, 4, 1), (0, 6, 2)), (0, 3, 2), (1, 3, 1)),
        pads(pads(x, (1, 2), (0, 0)), (0, 1), (3, 0)), pads(pads(x, (1, 2), (0, 0), fill=1), (0, 1), (3, 0)),
        raw(ops.FLIP, raw(ops.FLIP, x, axes=(0,)), axes=(0, 1)),
        raw(ops.WINDOW, x, axis=1, size=1, stride=2, dilation=1, before=0, after=0, fill=0),
        expands(one(x), 4, 6)]),
    "slice_of_expand": (ANY, lambda x, y, row: [slices(expands(row, 4, 6), (1, 4, 2), (1, 6, 3))]),
    "slice_of_permute": (ANY, lambda x, y, row: [
        slices(raw(ops.PERMUTE, x, order=(1, 0)), (1, 6, 2), (0, 3, 1))]),
    "slice_of_pad": (ANY, lambda x, y, row: [
        slices(pads(x, (2, 3), (0, 0), fill=1), *ranges) for ranges in (
            ((2, 6, 1), (0, 6, 1)), ((0, 9, 2), (1, 5, 3)), ((0, 2, 1), (0, 6, 1)), ((7, 9, 1), (0, 6, 2)),
            ((3, 8, 4), (2, 3, 1)), ((1, 1, 1), (0, 6, 1)), ((1, 9, 5), (0, 0, 1)))]),
    "slice_of_concat": (ANY, lambda x, y, row: [
        slices(concat(x, y, x, axis=0), bounds, (1, 5, 1)) for bounds in (
            (0, 3, 1), (4, 8, 1), (3, 8, 1), (5, 12, 3), (9, 12, 1), (0, 12, 9))]),
    "concat_of_concat": (ANY, lambda x, y, row: [concat(concat(x, y, axis=1), x, concat(y, y, axis=1), axis=1)]),
    "neighbours_joined": (ANY, lambda x, y, row: [
        concat(slices(x, (0, 4, 1), (0, 2, 1)), slices(x, (0, 4, 1), (2, 6, 1)), axis=1),
        concat(y, slices(x, (1, 3, 1), (0, 6, 1)), slices(x, (3, 4, 1), (0, 6, 1)), y, axis=0),
        concat(x, one(y), one(x), axis=0), concat(one(x), one(x), axis=0)]),
    "neighbouring_pads_added": (NUMBERS, lambda x, y, row: [
        raw(ops.add, pads(x, (0, 4), (0, 0)), pads(y, (4, 0), (0, 0))),
        raw(ops.add, pads(y, (1, 1), (7, 2)), pads(x, (1, 1), (1, 8))),
        raw(ops.add, raw(ops.add, pads(x, (0, 5), (0, 0)), pads(row, (4, 4), (0, 0))), pads(y, (5, 0), (0, 0)))]),
    "computed_before_repetition": (NUMBERS, lambda x, y, row: [
        raw(ops.add, expands(row, 4, 6), expands(raw(ops.neg, row), 4, 6)), raw(ops.neg, expands(row, 4, 6)),
        raw(ops.CAST, expands(row, 4, 6), dtype=dtypes.int16), raw(ops.mul, expands(row, 4, 6), one(x)),
        raw(ops.maximum, ir.constant_like(x, 2), expands(row, 4, 6))]),
    "reduced_before_repetition": (INTEGERS, lambda x, y, row: [
        reduction(monoid, expands(row, 4, 6), 1) for monoid in ("sum", "prod", "max", "min", "argmax", "argmin")]),
    "copies_reduced": (INTEGERS, lambda x, y, row: [
        reduction(monoid, expands(row, 4, 6), *axes) for monoid in ("sum", "max", "min") for axes in ((0,), (0, 1))]),
    "reduction_of_reduction": (INTEGERS, lambda x, y, row: [
        reduction(monoid, reduction(monoid, raw(ops.RESHAPE, x, shape=(2, 3, 4)), 1), *axes)
        for monoid in ("sum", "prod", "max", "min") for axes in ((0,), (1,), (0, 1))]),
    "reduction_composed": (INTEGERS, lambda x, y, row: [
        reduction("sum", x), reduction("max", row, 0), reduction("sum", one(x), 0, 1)]),
    "gather_of_iota": (ANY, lambda x, y, row: [
        raw(ops.GATHER, x, ir.iota(n), batch=0) for n in (0, 1, 3, 4)]),
    "carry_of_no_steps": (ANY, lambda x, y, row: [
        ir.project(unchanging_scan([x, y], 0), number) for number in (0, 1)]),
    "stop_gradient_removed": (ANY, lambda x, y, row: [raw(ops.STOP_GRADIENT, x)]),
    "already_contiguous": (ANY, lambda x, y, row: [
        raw(ops.CONTIGUOUS, raw(ops.CONTIGUOUS, x))]),
}


@pytest.mark.parametrize(("name", "dtype"), [(name, dtype) for name in VIEWS for dtype in VIEWS[name][0]],
                         ids=str)
def test_view_rule(name, dtype):
    pool = np.resize(specials(dtype), 54)
    arrays = pool[:24].reshape(4, 6), pool[24:48].reshape(4, 6), pool[48:54].reshape(1, 6)
    x, y, row = (ir.parameter(i, dtype, array.shape) for i, array in enumerate(arrays))
    fired = check(VIEWS[name][1](x, y, row), dict(zip((x, y, row), arrays, strict=True)))
    assert name in fired


def test_every_rule_is_tested():
    assert {rule.name for rule in RULES} == {*ELEMENTWISE, *VIEWS, "cast_twice"}


def test_every_rule_says_what_it_does_and_why_it_ends():
    for rule in RULES:
        assert rule.description and rule.measure
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("monoid", ["max", "min"])
def test_extremes_of_floats_are_reduced_once(monoid):
    row = specials(dtypes.float32).reshape(1, -1)
    x = ir.parameter(0, dtypes.float32, row.shape)
    twice = reduction(monoid, reduction(monoid, expands(x, 4, row.shape[1]), 0), 0)
    assert check([twice], {x: row}) >= {"copies_reduced"}


def test_symbolic_shapes():
    n = ir.Variable("n", 2, 64)
    x = ir.parameter(0, dtypes.float32, (n, 1))
    wide = expands(x, n, 8)
    (node,) = simplify([raw(ops.neg, wide)])
    assert node is ir.expand(ir.neg(x), (n, 8))
    part = slices(pads(wide, (1, 1), (0, 0)), (0, n, 1), (0, 8, 1))
    values = {x: np.arange(3.0, dtype=np.float32).reshape(3, 1)}
    (before,), (after,) = (ir.evaluate(graph, values, {"n": 3}) for graph in ([part], simplify([part])))
    assert_same_bits(after, before)


def test_the_copy_of_a_buffer_stays():
    b = ir.buffer("state", dtypes.float32, (3,))
    outputs = [ir.contiguous(b), ir.assign(b, ir.constant(0, dtypes.float32, (3,)))]
    assert simplify(outputs) == outputs


def convolution(x):
    """A strided convolution and a maximum pooling along the last axis, then a scalar."""
    taps = ir.constant(np.float32(0.3).item(), dtypes.float32, (4, 4, 3))
    rows = ir.reduce("sum", ir.mul(ir.window(x, 1, 3, 2, 1, 1, 1), taps), (2,))
    return ir.reduce("sum", ir.reduce("max", ir.window(rows, 1, 2), (2,)), (0, 1))


def recurrence(x):
    """A scan whose carry is a running mean of the rows."""
    mean, row = (ir.parameter(number, dtypes.float32, (8,)) for number in (0, 1))
    half = ir.constant(0.5, dtypes.float32, (8,))
    body = ir.Body((mean, row), (ir.add(ir.mul(mean, half), ir.mul(row, half)), ir.tanh(mean)))
    sums = ir.scan(body, [ir.constant(0, dtypes.float32, (8,))], [x])
    return ir.reduce("sum", ir.project(sums, 1), (0, 1))


def attention_like(x):
    """Three slices of one value, a softmax, and a gather of its rows."""
    q, k, v = (ir.slice(x, ((0, 4, 1), (start, stop, 1))) for start, stop in ((0, 3), (3, 6), (5, 8)))
    raised = ir.exp(ir.sub(ir.mul(q, k), ir.stop_gradient(v)))
    total = ir.expand(ir.reshape(ir.reduce("sum", raised, (1,)), (4, 1)), (4, 3))
    picked = ir.gather(ir.div(raised, total), ir.constant(2, dtypes.int32, (5,)))
    return ir.reduce("sum", ir.mul(picked, picked), (0, 1))


@pytest.mark.parametrize("function", [convolution, recurrence, attention_like])
def test_gradients_keep_every_bit(function, rng):
    x = ir.parameter(0, dtypes.float32, (4, 8))
    scalar = function(x)
    for _ in range(2):
        (slope,) = ir.gradient([scalar], [ir.constant(1, dtypes.float32)], [x])
        check([scalar, slope], {x: rng.standard_normal((4, 8)).astype(np.float32)})
        scalar = ir.reduce("sum", ir.mul(slope, x), (0, 1))


# --------------------------------------------------------------------------------------------- random graphs


@st.composite
def expression(draw, dtype):
    """A random expression over two parameters and constants, and the parameters; nothing is simplified in building."""
    values = specials(dtype)
    leaves = [ir.parameter(i, dtype, (len(values) ** 2,)) for i in (0, 1)]
    leaves += [ir.constant_like(leaves[0], v.item()) for v in draw(st.lists(st.sampled_from(values), max_size=3))]
    nodes = list(leaves)
    conditions = [ir.constant_like(ir.less(leaves[0], leaves[1]), draw(st.booleans()))]
    usable = [op for op in ops.ELEMENTWISE.values() if op.arity < 3 and dtype in op.accepts and op.name not in INEXACT]
    for _ in range(draw(st.integers(1, 12))):
        op = draw(st.sampled_from([*usable, ops.where, ops.bit_not, ops.bit_and]))
        pool = conditions if op in (ops.bit_not, ops.bit_and) and draw(st.booleans()) else nodes
        if pool is nodes and dtype not in op.accepts:
            pool = conditions
        operands = [draw(st.sampled_from(pool)) for _ in range(op.arity)]
        if op is ops.where:
            operands[0] = draw(st.sampled_from(conditions))
        node = raw(op, *operands)
        (conditions if node.dtype.is_bool else nodes).append(node)
    return leaves[:2], [nodes[-1], conditions[-1]]


INEXACT = {"sin", "cos", "tan", "erf", "tanh", "log", "log2", "exp", "exp2", "pow", "random_bits"}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([dtypes.int8, dtypes.uint8, dtypes.int64, dtypes.bool, dtypes.float32, dtypes.float16])
       .flatmap(expression))
def test_random_expressions(drawn):
    (x, y), outputs = drawn
    left, right, _ = all_pairs(x.dtype)
    check(outputs, {x: left, y: right})


@st.composite
def view(draw, x):
    """A random view, reduction or pointwise op on ``x``, not simplified in building."""
    rank, shape = len(x.shape), x.shape
    kind = draw(st.sampled_from(["reshape", "permute", "expand", "pad", "slice", "flip", "concat", "neg", "add",
                                 "reduce", "contiguous"]))
    if kind == "reshape":
        axis = draw(st.integers(0, rank))
        return raw(ops.RESHAPE, x, shape=(*shape[:axis], 1, *shape[axis:]))
    if kind == "permute":
        return raw(ops.PERMUTE, x, order=tuple(draw(st.permutations(range(rank)))))
    if kind == "expand":
        return expands(x, *(draw(st.integers(1, 3)) if n == 1 else n for n in shape))
    if kind == "pad" and rank:
        return pads(x, *((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in shape),
                    fill=draw(st.sampled_from([0, -0.0, 1])))
    if kind == "slice":
        starts = [draw(st.integers(0, n)) for n in shape]
        return slices(x, *((start, draw(st.integers(start, n)), draw(st.integers(1, 3)))
                           for start, n in zip(starts, shape, strict=True)))
    if kind == "flip":
        return raw(ops.FLIP, x, axes=tuple(axis for axis in range(rank) if draw(st.booleans())))
    if kind == "concat" and rank:
        parts = [x] * draw(st.integers(1, 3)) + [ir.constant_like(x, 1)] * draw(st.integers(0, 1))
        return concat(*draw(st.permutations(parts)), axis=draw(st.integers(0, rank - 1)))
    if kind == "reduce":
        axes = tuple(axis for axis in range(rank) if draw(st.integers(0, 3)) == 0)
        return reduction(draw(st.sampled_from(["max", "min"])), x, *axes)
    return raw(ops.CONTIGUOUS, x) if kind == "contiguous" else raw(ops.add, x, x) if kind == "add" else raw(ops.neg, x)


@st.composite
def view_chain(draw, dtype):
    x = ir.parameter(0, dtype, (2, 1, 3))
    nodes = [x]
    for _ in range(draw(st.integers(1, 8))):
        node = draw(view(draw(st.sampled_from(nodes[-2:]))))
        if np.prod(node.shape, dtype=np.int64) < 2_000:
            nodes.append(node)
    pair = [node for node in nodes if node.type == nodes[-1].type]
    return x, [nodes[-1], raw(ops.add, pair[0], pair[-1])]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([dtypes.int8, dtypes.float32]).flatmap(view_chain), st.integers(0, 100))
def test_random_view_chains(drawn, shift):
    x, outputs = drawn
    check(outputs, {x: np.roll(specials(x.dtype), shift)[:6].reshape(2, 1, 3)})


# ------------------------------------------------------------------------------------------------------ speed


def test_a_graph_as_large_as_a_training_step_takes_a_moment():
    rows = [ir.parameter(i, dtypes.float32, (16, 1)) for i in range(8)]
    x = ir.parameter(9, dtypes.float32, (16, 32))
    for number in range(1_150):
        wide = ir.expand(rows[number % 8], (16, 32))
        x = ir.add(ir.mul(raw(ops.neg, raw(ops.neg, x)), wide), ir.constant_like(x, 0.5))
    assert len(ir.topological_order([x])) > 4_500
    seconds = []
    for _ in range(3):
        start = time.process_time()
        simplify([x])
        seconds.append(time.process_time() - start)
    assert min(seconds) < 1.5  # 0.15 s on an idle core


def test_a_long_chain_takes_linear_time():
    def seconds(length):
        x = ir.parameter(0, dtypes.float32, (3,))
        for number in range(length):
            x = raw(ops.neg, x) if number % 3 else ir.exp(x)
        start = time.process_time()
        (simpler,) = simplify([x])
        assert len(ir.topological_order([simpler])) == 1 + length // 3 + (length % 3 == 1)
        return time.process_time() - start

    seconds(90)
    short, long = seconds(4_500), seconds(90_000)
    assert long < 60 * short
