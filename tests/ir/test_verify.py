"""The verifier accepts every graph that the builders make and names the node at fault in every other one."""

from __future__ import annotations

import pytest

import ir
from ir import dtypes
from ir.node import Node

X = ir.parameter(0, dtypes.float32, (2, 3))


def forged(op, operands, attributes, dtype, shape):
    """A node that no builder would make."""
    node = Node()
    node.op, node.operands, node.attributes, node.dtype, node.shape = op, operands, attributes, dtype, shape
    node.location, node.tag = ir.Location("pass.py", 3), 0
    return node


def rejects(outputs, message):
    with pytest.raises(ir.VerificationError) as raised:
        ir.verify(outputs)
    assert message in str(raised.value)
    return raised.value


def test_accepts_what_builders_make():
    total, x = ir.parameter(0, dtypes.float32, ()), ir.parameter(1, dtypes.float32, ())
    body = ir.Body((total, x), (ir.add(total, ir.exp(x)),))
    sums = ir.scan(body, [ir.constant(0, dtypes.float32)], [ir.reduce("max", X, (1,))])
    b = ir.buffer("state", dtypes.float32, (2, 3))
    first = ir.assign(b, X)
    ir.verify([ir.project(sums, 0), ir.assign(first, ir.mul(first, b)), ir.contiguous(X)])
    (slope,) = ir.gradient([ir.reduce("sum", ir.tanh(X), (0, 1))], [ir.constant(1, dtypes.float32)], [X])
    ir.verify([slope])
    ir.verify([])


def test_a_wrong_type():
    node = forged(ir.exp, (X,), ir.NoAttributes(), dtypes.float32, (3, 2))
    error = rejects([ir.neg(node)], "exp float32[3, 2]: its op infers float32[2, 3] (at pass.py:3)")
    assert error.node is node


def test_operands_that_the_op_refuses():
    y = ir.parameter(1, dtypes.int32, (2, 3))
    rejects([forged(ir.add, (X, y), ir.NoAttributes(), dtypes.float32, (2, 3))], "its op refuses it: add(float32[2, 3]")


def test_attributes_of_another_op():
    node = forged(ir.PERMUTE, (X,), ir.EXPAND.Attributes((1, 0)), dtypes.float32, (3, 2))
    rejects([node], "expected attributes PermuteAttributes, got ExpandAttributes")


def test_an_equal_node_that_was_not_interned():
    twin = forged(ir.exp, (X,), ir.NoAttributes(), dtypes.float32, (2, 3))
    rejects([ir.exp(X), twin], "an equal node exists")


def test_attributes_that_cannot_be_hashed():
    node = forged(ir.PERMUTE, (X,), ir.PERMUTE.Attributes([1, 0]), dtypes.float32, (3, 2))
    rejects([node], "are not hashable")


def test_several_results_are_read_through_project():
    x = ir.parameter(0, dtypes.float32, ())
    call = ir.call(ir.Body((x,), (ir.exp(x), ir.sin(x))), [x])
    ir.verify([ir.project(call, 1)])
    rejects([forged(ir.exp, (call,), ir.NoAttributes(), dtypes.void, ())], "reads call, which has several results")


def test_bodies_are_closed():
    x = ir.parameter(0, dtypes.float32, (2, 3))
    outside = ir.parameter(1, dtypes.float32, (2, 3))
    buffer = ir.buffer("weight", dtypes.float32, (2, 3))
    attributes = ir.call(ir.Body((x,), (ir.exp(x),)), [X]).attributes
    for free, message in ((outside, "parameter 1 belongs to no enclosing body"), (buffer, "may not hold buffer")):
        body = ir.Body((x,), (ir.add(x, free),))
        rejects([forged(ir.CALL, (X,), attributes._replace(body=body), dtypes.void, ())], message)


def test_bodies_are_verified_inside():
    x = ir.parameter(0, dtypes.float32, (2, 3))
    wrong = forged(ir.exp, (x,), ir.NoAttributes(), dtypes.float32, (2, 3, 1))
    attributes = ir.call(ir.Body((x,), (ir.exp(x),)), [X]).attributes
    call = forged(ir.CALL, (X,), attributes._replace(body=ir.Body((x,), (wrong,))), dtypes.void, ())
    assert rejects([call], "its op infers float32[2, 3]").node is wrong


def test_a_placeholder_that_escaped_from_its_body():
    rejects([ir.exp(ir.fresh_parameter(dtypes.float32, ()))], "escaped while it was traced")


def test_parameters_of_one_number_agree():
    rejects([ir.exp(X), ir.parameter(0, dtypes.float32, (5,))], "parameter 0 is also float32[2, 3]")


def test_a_version_is_assigned_to_once():
    b = ir.buffer("state", dtypes.float32, (2, 3))
    rejects([ir.assign(b, X), ir.assign(b, ir.exp(X))], "its target is also assigned to at")


def test_an_assignment_needs_a_buffer():
    attributes = ir.assign(ir.buffer("b", dtypes.float32, (2, 3)), X).attributes
    rejects([forged(ir.ASSIGN, (X, X), attributes, dtypes.float32, (2, 3))], "its op refuses it: assign(")


def test_variables_of_one_name_agree():
    nodes = [ir.iota(ir.Variable("n", 1, high)) for high in (4, 5)]
    rejects(nodes, "two variables are named 'n': n[1..4] and n[1..5]")


def test_a_long_chain():
    x = X
    for _ in range(100_000):
        x = ir.cos(x)
    ir.verify([x])
