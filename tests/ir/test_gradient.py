"""Differentiation of whole graphs: what is touched, what the gradient graphs look like, higher orders, networks."""

from __future__ import annotations

import numpy as np
import pytest

import ir
from ir import dtypes

FLOAT = dtypes.float64
X, Y = (ir.parameter(number, FLOAT, (4, 6)) for number in range(2))
ONE = ir.constant(1, FLOAT, (4, 6))


def part(x: ir.Node, axis: int, start: int, stop: int, step: int = 1) -> ir.Node:
    return ir.slice(x, [(start, stop, step) if i == axis else (0, n, 1) for i, n in enumerate(x.shape)])


def total(x: ir.Node) -> ir.Node:
    return ir.reduce("sum", x, range(len(x.shape)))


def slope(scalar: ir.Node, *wrt: ir.Node) -> list[ir.Node]:
    return [g for g in ir.gradient([scalar], [ir.constant(1, scalar.dtype)], wrt) if g is not None]


def count(node: ir.Node, name: str) -> int:
    return sum(n.op.name == name for n in ir.topological_order([node]))


def test_gradients_of_outputs_themselves_and_of_nothing() -> None:
    assert ir.gradient([X], [ONE], [X, Y]) == [ONE, None]
    assert ir.gradient([], [], [X]) == [None]
    assert ir.gradient([X, X], [ONE, ONE], [X]) == [ir.constant(2, FLOAT, (4, 6))]


def test_gradients_by_nodes_inside_the_graph() -> None:
    inner = ir.mul(X, X)
    by_inner, by_x = ir.gradient([ir.sin(inner)], [ONE], [inner, X])
    assert by_inner is ir.cos(inner)
    array = np.full((4, 6), 0.5)
    np.testing.assert_allclose(ir.evaluate([by_x], {X: array})[0], np.cos(array**2) * 2 * array)


def test_only_the_path_is_touched() -> None:
    """An op without a gradient may stand anywhere but between the outputs and the nodes in question."""

    class Opaque(ir.Op):
        name = "opaque"

        def infer(self, operands, attributes):
            return operands[0].type

    opaque = ir.make_node(Opaque(), (Y,), ir.NoAttributes())
    assert ir.gradient([ir.mul(X, opaque)], [ONE], [X]) == [opaque]
    with pytest.raises(NotImplementedError, match="opaque has no gradient"):
        ir.gradient([ir.mul(X, opaque)], [ONE], [Y])


def test_gradient_nodes_have_the_location_of_what_they_differentiate() -> None:
    with ir.located(ir.Location("model.py", 7)):
        y = ir.tanh(ir.parameter(5, FLOAT, (4, 6)))
    (g,) = ir.gradient([y], [ir.parameter(6, FLOAT, (4, 6))], list(y.operands))
    assert str(g.location) == "model.py:7"


def test_errors() -> None:
    with pytest.raises(ir.GraphError, match="1 outputs but 0 cotangents"):
        ir.gradient([X], [], [X])
    with pytest.raises(ir.GraphError, match=r"float64\[4, 6\] and float64\[\]"):
        ir.gradient([X], [ir.constant(1, FLOAT)], [X])
    index = ir.cast(X, dtypes.int32)
    with pytest.raises(ir.GraphError, match="a floating-point output"):
        ir.gradient([index], [index], [X])


# ------------------------------------------------------------------------------------------- slices become concats


def test_slices_that_tile_an_axis_have_one_concat_as_gradient() -> None:
    """The projection to queries, keys and values: three slices, used apart."""
    q, k, v = (part(X, 1, 2 * i, 2 * i + 2) for i in range(3))
    (g,) = slope(total(ir.mul(ir.sin(q), ir.mul(ir.cos(k), ir.exp(v)))), X)
    assert g.op.name == "concat" and [p.shape for p in g.operands] == [(4, 2)] * 3
    assert count(g, "pad") == 0 and count(g, "add") == 0


def test_slices_with_gaps() -> None:
    (g,) = slope(total(ir.add(ir.sin(part(X, 0, 1, 2)), ir.cos(part(X, 0, 3, 4)))), X)
    assert g.op.name == "pad" and g.attributes.widths == ((1, 0), (0, 0))
    assert [p.op.name == "constant" for p in g.operands[0].operands] == [False, True, False]


def test_a_row_at_a_time_is_one_concat() -> None:
    rows = [ir.reshape(part(X, 0, i, i + 1), (6,)) for i in range(4)]
    (g,) = slope(total(ir.mul(ir.mul(rows[3], rows[0]), ir.mul(rows[1], rows[2]))), X)
    assert g.op.name == "concat" and len(g.operands) == 4


@pytest.mark.parametrize("pieces", [
    [(1, 0, 4), (1, 2, 6)], [(0, 0, 2), (1, 0, 3)], [(1, 0, 2), (1, 4, 6), (1, 1, 5)], [(0, 1, 3), (0, 1, 3)],
    [(0, 0, 4), (1, 0, 2)],
])
def test_overlapping_and_crossing_slices(pieces: list[tuple[int, int, int]], check_gradient, rng) -> None:
    def function(x: ir.Node) -> ir.Node:
        result = ir.constant(0, FLOAT)
        for number, piece in enumerate(pieces):
            result = ir.add(result, total((ir.sin, ir.exp, ir.tanh)[number](part(x, *piece))))
        return result

    check_gradient(function, rng.normal(size=(4, 6)), order=2)


def test_strided_slices(check_gradient, rng: np.random.Generator) -> None:
    check_gradient(lambda x: ir.mul(part(x, 1, 0, 6, 2), ir.sin(part(x, 1, 1, 6, 2))), rng.normal(size=(2, 6)), order=2)


# ------------------------------------------------------------------------------------------------ small programs


def matmul(a: ir.Node, b: ir.Node) -> ir.Node:
    (m, k), (_, n) = a.shape, b.shape
    wide = (m, k, n)
    left, right = ir.expand(ir.reshape(a, (m, k, 1)), wide), ir.expand(ir.reshape(b, (1, k, n)), wide)
    return ir.reduce("sum", ir.mul(left, right), (1,))


def softmax(x: ir.Node) -> ir.Node:
    def rows(reduced: ir.Node) -> ir.Node:
        return ir.expand(ir.reshape(reduced, (x.shape[0], 1)), x.shape)

    e = ir.exp(ir.sub(x, rows(ir.reduce("max", x, (1,)))))
    return ir.div(e, rows(ir.reduce("sum", e, (1,))))


def unit_rows(x: ir.Node) -> ir.Node:
    lengths = ir.rsqrt(ir.reduce("sum", ir.mul(x, x), (1,)))
    return ir.mul(x, ir.expand(ir.reshape(lengths, (x.shape[0], 1)), x.shape))


PROGRAMS = {
    "matmul": (matmul, [(3, 2), (2, 3)]),
    "softmax": (softmax, [(2, 4)]),
    "attention": (lambda q, k, v: matmul(softmax(matmul(q, ir.permute(k, (1, 0)))), v), [(3, 2), (3, 2), (3, 2)]),
    "gelu": (lambda x: ir.mul(x, ir.add(ir.constant_like(x, 0.5), ir.erf(x))), [(5,)]),
    "unit rows": (unit_rows, [(2, 3)]),
    "two layers": (lambda x, a, b: matmul(ir.tanh(matmul(x, a)), b), [(2, 3), (3, 2), (2, 2)]),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_to_second_order(name: str, check_gradient, rng: np.random.Generator) -> None:
    function, shapes = PROGRAMS[name]
    check_gradient(function, *(rng.normal(size=shape) for shape in shapes), order=2, tolerance=1e-4)


def test_softmax_and_norms_need_no_guard_against_zero() -> None:
    """What is divided by is visibly positive: no select in the gradient, which stays as small as by hand."""
    for function in (lambda x: ir.log(softmax(x)), lambda x: ir.rsqrt(ir.add(ir.mul(x, x), ir.constant_like(x, 1e-5)))):
        (g,) = slope(total(ir.mul(ir.stop_gradient(Y), function(X))), X)
        selects = [n for n in ir.topological_order([g]) if n.op.name == "where"]
        assert len(selects) <= 1, "only that of the maximum"


@pytest.mark.parametrize("name", PROGRAMS)
def test_forward_mode(name: str, rng: np.random.Generator) -> None:
    """jvp against a central difference along the tangents."""
    function, shapes = PROGRAMS[name]
    inputs = [ir.parameter(number, FLOAT, shape) for number, shape in enumerate(shapes)]
    tangents = [ir.parameter(10 + number, FLOAT, shape) for number, shape in enumerate(shapes)]
    values = {node: rng.normal(size=node.shape) for node in [*inputs, *tangents]}
    output = function(*inputs)
    (along,) = ir.jvp([output], inputs, tangents)
    ir.verify([along])
    ends = [ir.evaluate([output], {x: values[x] + step * values[t] for x, t in zip(inputs, tangents, strict=True)})[0]
            for step in (1e-5, -1e-5)]
    np.testing.assert_allclose(ir.evaluate([along], values)[0], (ends[0] - ends[1]) / 2e-5, rtol=1e-5, atol=1e-6)


def test_forward_mode_where_cotangents_cancel() -> None:
    """Two outputs whose probes cancel at the root must not hide its derivative."""
    x = ir.parameter(0, FLOAT, (2,))
    root = ir.sqrt(x)
    first, second, third = ir.jvp([root, ir.neg(root), ir.constant_like(x, 1)], [x], [ir.constant_like(x, 1)])
    assert third is None
    values = ir.evaluate([first, second], {x: np.array([4.0, 16.0])})
    assert [v.tolist() for v in values] == [[0.25, 0.125], [-0.25, -0.125]]


def test_gradients_of_gradients_reach_any_order() -> None:
    """The 7th derivative of sin is -cos."""
    x = ir.parameter(0, FLOAT, ())
    node = ir.sin(x)
    for _ in range(7):
        (node,) = slope(node, x)
    assert ir.evaluate([node], {x: np.array(0.3)})[0] == pytest.approx(-np.cos(0.3))


@pytest.mark.parametrize("dtype", [dtypes.float16, dtypes.bfloat16, dtypes.float32])
def test_lower_precisions(dtype: ir.DType, rng: np.random.Generator) -> None:
    shapes = [(2, 3), (3, 2), (2, 2)]
    arrays = [rng.normal(size=shape) for shape in shapes]
    results = []
    for precision in (dtype, FLOAT):
        arguments = [ir.parameter(number, precision, shape) for number, shape in enumerate(shapes)]
        scalar = total(softmax(PROGRAMS["two layers"][0](*arguments)))
        scalar = ir.add(scalar, total(ir.sqrt(ir.exp(arguments[0]))))
        gradients = slope(scalar, *arguments)
        assert all(g.type == x.type for g, x in zip(gradients, arguments, strict=True))
        results.append(ir.evaluate(gradients, dict(zip(arguments, arrays, strict=True))))
    for low, high in zip(*results, strict=True):
        np.testing.assert_allclose(low.astype(np.float64), high, atol=0.05)
