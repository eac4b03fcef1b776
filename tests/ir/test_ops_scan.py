"""scan and call: values and gradients of any order against the unrolled graph; bodies; errors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import ir
from ir import dtypes

FLOAT = dtypes.float64
Step = Callable[..., tuple[list[ir.Node], list[ir.Node]]]


def rolled(step: Step, carries: list[ir.Node], inputs: list[ir.Node], reverse: bool = False) -> list[ir.Node]:
    """All results of a scan whose body is the Python function ``step(*carries, *slices) -> (carries, outputs)``."""
    parameters = [*(ir.fresh_parameter(*c.type) for c in carries),
                  *(ir.fresh_parameter(x.dtype, x.shape[1:]) for x in inputs)]
    new, outputs = step(*parameters)
    node = ir.scan(ir.Body(tuple(parameters), (*new, *outputs)), carries, inputs, reverse)
    return list(ir.results_of(node))[:len(carries) + len(outputs)]


def unrolled(step: Step, carries: list[ir.Node], inputs: list[ir.Node], reverse: bool = False) -> list[ir.Node]:
    """The same, step by step."""
    length = inputs[0].shape[0]
    rows: dict[int, list[ir.Node]] = {}
    for t in reversed(range(length)) if reverse else range(length):
        slices = [ir.reshape(ir.slice(x, [(t, t + 1, 1), *((0, n, 1) for n in x.shape[1:])]), x.shape[1:])
                  for x in inputs]
        carries, rows[t] = step(*carries, *slices)
    stacked = [ir.concat([ir.reshape(rows[t][i], (1, *rows[t][i].shape)) for t in range(length)], 0)
               for i in range(len(rows[0]))]
    return [*carries, *stacked]


def cumulative_sum(total: ir.Node, x: ir.Node) -> tuple[list[ir.Node], list[ir.Node]]:
    new = ir.add(total, x)
    return [new], [new]


def gated(h: ir.Node, c: ir.Node, x: ir.Node, f: ir.Node) -> tuple[list[ir.Node], list[ir.Node]]:
    gate = ir.tanh(ir.add(ir.mul(h, f), x))
    new_c = ir.add(ir.mul(c, gate), ir.sin(x))
    new_h = ir.mul(gate, ir.tanh(new_c))
    return [new_h, new_c], [ir.mul(new_h, new_c), ir.exp(gate)]


def recurrent(h: ir.Node, w: ir.Node, x: ir.Node) -> tuple[list[ir.Node], list[ir.Node]]:
    """h' = tanh(W h + x) with W as a carry that never changes."""
    wide = ir.expand(ir.reshape(h, (1, *h.shape)), w.shape)
    new = ir.tanh(ir.add(ir.reduce("sum", ir.mul(w, wide), (1,)), x))
    return [new, w], [new]


CASES: dict[str, tuple[Step, list[tuple[int, ...]], list[tuple[int, ...]]]] = {
    "cumulative_sum": (cumulative_sum, [(3,)], [(4, 3)]),
    "gated": (gated, [(2,), (2,)], [(3, 2), (3, 2)]),
    "recurrent": (recurrent, [(2,), (2, 2)], [(4, 2)]),
    "one_step": (cumulative_sum, [()], [(1,)]),
}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_equal_the_unrolled_graph(name: str, reverse: bool, rng: np.random.Generator) -> None:
    step, carry_shapes, input_shapes = CASES[name]
    shapes = [*carry_shapes, *input_shapes]
    arguments = [ir.parameter(number, FLOAT, shape) for number, shape in enumerate(shapes)]
    values = {x: rng.normal(size=x.shape) for x in arguments}
    results = []
    for build in (rolled, unrolled):
        outputs = build(step, arguments[:len(carry_shapes)], arguments[len(carry_shapes):], reverse)
        total = sum_of_squares(outputs)
        first = ir.gradient([total], [ir.constant(1, FLOAT)], arguments)
        second = ir.gradient([sum_of_squares(first)], [ir.constant(1, FLOAT)], arguments)
        ir.verify([*outputs, *first, *second])
        results.append(ir.evaluate([*outputs, *first, *second], values))
    for mine, other in zip(*results, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-9)


def sum_of_squares(nodes: list[ir.Node]) -> ir.Node:
    total = ir.constant(0, FLOAT)
    for number, node in enumerate(nodes):
        scaled = ir.mul(node, ir.constant_like(node, 1 + 0.1 * number))
        total = ir.add(total, ir.reduce("sum", ir.mul(scaled, node), range(len(node.shape))))
    return total


@pytest.mark.parametrize("name", ["gated", "recurrent"])
def test_gradients_equal_finite_differences(name: str, check_gradient, rng: np.random.Generator) -> None:
    step, carry_shapes, input_shapes = CASES[name]
    arrays = [rng.normal(size=shape) for shape in [*carry_shapes, *input_shapes]]
    count = len(carry_shapes)
    check_gradient(lambda *xs: sum_of_squares(rolled(step, list(xs[:count]), list(xs[count:]))), *arrays, order=2,
                   tolerance=1e-4)


def test_an_integer_carry_has_no_gradient(check_gradient) -> None:
    """Powers of x weighted by the number of the step, which is an int32 carry."""

    def counted(n: ir.Node, power: ir.Node, x: ir.Node) -> tuple[list[ir.Node], list[ir.Node]]:
        following = ir.mul(power, x)
        return [ir.add(n, ir.constant_like(n, 1)), following], [ir.mul(following, ir.cast(n, FLOAT))]

    check_gradient(lambda x: rolled(counted, [ir.constant(1, dtypes.int32), ir.constant(1, FLOAT)], [x])[2],
                   np.array([1.1, 0.7, -1.3]), order=2)


def test_only_the_outputs_that_are_read_are_differentiated(rng: np.random.Generator) -> None:
    x = ir.parameter(0, FLOAT, (5,))
    final, sums = rolled(cumulative_sum, [ir.constant(0, FLOAT)], [x])
    values = {x: rng.normal(size=5)}
    for output, expected in ((final, np.ones(5)), (sums, np.arange(5.0, 0, -1))):
        (g,) = ir.gradient([output], [ir.constant_like(output, 1)], [x])
        np.testing.assert_allclose(ir.evaluate([g], values)[0], expected)


def test_the_forward_pass_runs_once() -> None:
    """The carries that the gradient reads are results of the scan that the loss reads, not of another one."""
    x = ir.parameter(0, FLOAT, (5, 2))
    step_result = rolled(gated, [ir.constant(0, FLOAT, (2,))] * 2, [x, x])
    loss = sum_of_squares(step_result)
    (g,) = ir.gradient([loss], [ir.constant(1, FLOAT)], [x])
    scans = [node for node in ir.topological_order([loss, g]) if node.op.name == "scan"]
    assert [node.attributes.reverse for node in scans] == [False, True]


def test_the_backward_scan_is_handed_only_what_it_reads() -> None:
    """The gradient of a cumulative sum reads no saved carry; weights that never change are not saved step by step."""
    x = ir.parameter(0, FLOAT, (5,))
    _, sums = rolled(cumulative_sum, [ir.constant(0, FLOAT)], [x])
    (g,) = ir.gradient([sums], [ir.parameter(1, FLOAT, (5,))], [x])
    assert {n.op.name for n in ir.topological_order([g])} == {"constant", "parameter", "scan", "project"}

    h, w = ir.parameter(2, FLOAT, (2,)), ir.parameter(3, FLOAT, (2, 2))
    final = rolled(recurrent, [h, w], [ir.parameter(4, FLOAT, (50, 2))])[0]
    gradients = ir.gradient([final], [ir.constant(1, FLOAT, (2,))], [h, w])
    assert all(n.shape != (50, 2, 2) for n in ir.topological_order([g for g in gradients if g is not None]))


def test_equal_bodies_are_one_however_they_were_traced() -> None:
    x = ir.parameter(0, FLOAT, (5,))
    first, second = (rolled(cumulative_sum, [ir.constant(0, FLOAT)], [x]) for _ in range(2))
    assert first == second


def test_no_inputs_and_no_steps() -> None:
    c = ir.parameter(0, FLOAT, ())
    doubling = ir.Body((c,), (ir.add(c, c),))
    node = ir.scan(doubling, [c], [], length=10)
    assert ir.evaluate([ir.project(node, 0)], {c: np.array(1.0)})[0] == 1024
    x = ir.parameter(1, FLOAT, (0,))
    final, sums = rolled(cumulative_sum, [c], [x])
    (g,) = ir.gradient([final], [ir.constant(1, FLOAT)], [c])
    values = ir.evaluate([final, sums, g], {c: np.array(3.0), x: np.zeros(0)})
    assert [v.tolist() for v in values] == [3, [], 1]


def test_symbolic_length() -> None:
    n = ir.Variable("n", 1, 8)
    x = ir.parameter(0, FLOAT, (n,))
    _, sums = rolled(cumulative_sum, [ir.constant(0, FLOAT)], [x])
    (g,) = ir.gradient([sums], [ir.constant_like(sums, 1)], [x])
    assert sums.shape == (n,)
    values = ir.evaluate([sums, g], {x: np.array([1.0, 2, 3])}, {"n": 3})
    assert [v.tolist() for v in values] == [[1, 3, 6], [3, 2, 1]]


@pytest.mark.parametrize("reverse", [False, True])
def test_steps_along_another_axis(reverse: bool, rng: np.random.Generator) -> None:
    """The scan of a permuted input, permuted back; so is its gradient."""
    x, h, c = ir.parameter(0, FLOAT, (2, 5, 3)), ir.parameter(1, FLOAT, (2, 3)), ir.parameter(2, FLOAT, (2, 3))
    moved = ir.permute(x, (1, 0, 2))
    parameters = [ir.fresh_parameter(FLOAT, (2, 3)) for _ in range(4)]
    new, outputs = gated(*parameters)
    body = ir.Body(tuple(parameters), (*new, *outputs))
    along = ir.results_of(ir.scan(body, [h, c], [x, ir.sin(x)], reverse, axis=1))[2:4]
    leading = ir.results_of(ir.scan(body, [h, c], [moved, ir.sin(moved)], reverse))[2:4]
    expected = [ir.permute(result, (1, 0, 2)) for result in leading]
    assert [node.shape for node in along] == [(2, 5, 3)] * 2
    seeds = [ir.cos(node) for node in (*along, *expected)]
    gradients = [g for results, ones in ((along, seeds[:2]), (expected, seeds[2:]))
                 for g in ir.gradient(list(results), ones, [x, h, c])]
    arrays = [rng.standard_normal(node.shape) for node in (x, h, c)]
    values = ir.evaluate([*along, *gradients[:3], *expected, *gradients[3:]], dict(zip((x, h, c), arrays, strict=True)))
    for ours, theirs in zip(values[:5], values[5:], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_errors() -> None:
    c, x = ir.parameter(0, FLOAT, (3,)), ir.parameter(1, FLOAT, (4, 3))
    row, outside = ir.parameter(1, FLOAT, (3,)), ir.parameter(7, FLOAT, (3,))
    with pytest.raises(ir.GraphError, match="carry 0 is float64.*keeps its dtype and shape"):
        ir.scan(ir.Body((c, row), (ir.cast(ir.add(c, row), dtypes.float32),)), [c], [x])
    with pytest.raises(ir.GraphError, match="from outside; hand it over as an operand of scan"):
        ir.scan(ir.Body((c, row), (ir.add(c, outside),)), [c], [x])
    with pytest.raises(ir.GraphError, match="a buffer from outside"):
        ir.scan(ir.Body((c, row), (ir.add(c, ir.buffer("b", FLOAT, (3,))),)), [c], [x])
    with pytest.raises(ir.GraphError, match=r"parameter 1 of its body is float64\[3\], given float64\[5\]"):
        ir.scan(ir.Body((c, row), (c,)), [c], [ir.parameter(2, FLOAT, (4, 5))])
    with pytest.raises(ir.GraphError, match="inputs whose axis 0 is 4 steps long"):
        ir.scan(ir.Body((c, row, outside), (c,)), [c], [x, ir.parameter(3, FLOAT, (5, 3))])
    with pytest.raises(ir.GraphError, match="give length="):
        ir.scan(ir.Body((c,), (c,)), [c], [])
    with pytest.raises(ir.GraphError, match="outputs that can be stacked along axis 1"):
        total = ir.parameter(0, FLOAT, ())
        ir.scan(ir.Body((total, row), (total, total)), [ir.constant(0, FLOAT)], [x], axis=1)
    with pytest.raises(ir.GraphError, match="2 parameters, given 1 carries and 0 inputs"):
        ir.scan(ir.Body((c, row), (c,)), [c], [], length=3)
    with pytest.raises(ir.GraphError, match="the same parameter twice"):
        ir.scan(ir.Body((c, c), (c,)), [c], [x])
    with pytest.raises(ir.GraphError, match="there is no result 9"):
        ir.project(ir.scan(ir.Body((c,), (c,)), [c], [], length=3), 9)


# ------------------------------------------------------------------------------------------------------------ call


def test_call_and_its_derived_gradient(check_gradient, rng: np.random.Generator) -> None:
    def swish(v: ir.Node) -> list[ir.Node]:
        return [ir.mul(v, ir.tanh(v)), ir.exp(v)]

    def called(v: ir.Node) -> ir.Node:
        p = ir.fresh_parameter(*v.type)
        node = ir.call(ir.Body((p,), tuple(swish(p))), [v], label="swish")
        return ir.mul(ir.project(node, 0), ir.project(node, 1))

    x = ir.parameter(0, FLOAT, (4,))
    values = {x: rng.normal(size=4)}
    np.testing.assert_allclose(*ir.evaluate([called(x), ir.mul(*swish(x))], values))
    check_gradient(called, values[x], order=3, tolerance=1e-4)


def test_call_with_a_gradient_of_its_own() -> None:
    """A straight-through estimator: rounding forward, the identity backward."""
    x, y, g = (ir.parameter(number, FLOAT, (3,)) for number in range(3))
    node = ir.project(ir.call(ir.Body((x,), (ir.round(x),)), [x], ir.Body((x, y, g), (g,))), 0)
    (slope,) = ir.gradient([node], [ir.constant_like(x, 5)], [x])
    values = ir.evaluate([node, slope], {x: np.array([0.4, 0.6, 2.5])})
    assert [v.tolist() for v in values] == [[0, 1, 2], [5, 5, 5]]


def test_a_gradient_of_its_own_may_read_results_and_skips_integers() -> None:
    """exp with the gradient g * result, and an integer argument without a cotangent."""
    x, n = ir.parameter(0, FLOAT, (2,)), ir.parameter(1, dtypes.int32, (2,))
    result, g = ir.parameter(2, FLOAT, (2,)), ir.parameter(3, FLOAT, (2,))
    node = ir.call(ir.Body((x, n), (ir.exp(x),)), [x, n], ir.Body((x, n, result, g), (ir.mul(g, result),)))
    (slope, none) = ir.gradient([ir.project(node, 0)], [ir.constant_like(x, 1)], [x, n])
    assert none is None
    np.testing.assert_allclose(ir.evaluate([slope], {x: np.array([0.0, 1]), n: np.zeros(2)})[0], np.exp([0, 1]))


def test_errors_of_call() -> None:
    x, y = ir.parameter(0, FLOAT, (3,)), ir.parameter(1, FLOAT, (4,))
    with pytest.raises(ir.GraphError, match=r"call: parameter 0 of its body is float64\[3\], given float64\[4\]"):
        ir.call(ir.Body((x,), (x,)), [y])
    with pytest.raises(ir.GraphError, match="the gradient of call: its body has 1 parameters, given 3"):
        ir.call(ir.Body((x,), (x,)), [x], ir.Body((x,), (x,)))
