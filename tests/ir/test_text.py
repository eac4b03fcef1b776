"""The text form: exact round trips for every kind of attribute, and errors that say where and what."""

from __future__ import annotations

import math
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ir
from ir import dtypes


def round_trip(outputs):
    """The text of the outputs, after checking that parsing it gives the identical nodes."""
    text = ir.format_graph(outputs)
    parsed = ir.parse_graph(text, ir.buffers_by_name(outputs))
    assert parsed.outputs == list(outputs)
    return text


def same_text(outputs):
    """For graphs with effects, whose parse is another graph: the text of the parse is the same text."""
    text = ir.format_graph(outputs)
    assert ir.format_graph(ir.parse_graph(text, ir.buffers_by_name(outputs)).outputs) == text
    return text


def test_text_is_one_readable_line_a_node():
    with ir.located(ir.Location("model.py", 7)):
        x = ir.parameter(97, dtypes.float32, (4, 8))
        total = ir.reduce("sum", ir.mul(x, x), (1,))
    assert round_trip([total]) == (
        "%0 = parameter number=97 dtype=float32 shape=(4, 8) : float32[4, 8]  # model.py:7\n"
        "%1 = mul %0, %0 : float32[4, 8]  # model.py:7\n"
        "%2 = reduce %1 monoid=sum axes=(1,) : float32[4]  # model.py:7\n"
        "return %2\n"
    )


def test_locations_return():
    text = "%0 = parameter number=3 dtype=int8 shape=(7, 3) : int8[7, 3]  # some file.py:12\nreturn %0\n"
    (x,) = ir.parse_graph(text).outputs
    assert x.location == ir.Location("some file.py", 12)
    assert ir.format_graph([x]) == text


@given(st.floats(), st.sampled_from([dtypes.float16, dtypes.bfloat16, dtypes.float32, dtypes.float64]))
def test_float_constants_are_exact(value, dtype):
    round_trip([ir.constant(value, dtype, (2,))])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 0.0, 5e-324, 1.7976931348623157e308, 0.1, 1e22])
def test_special_floats_are_exact(value):
    x = ir.constant(value, dtypes.float64)
    parsed = ir.parse_graph(ir.format_graph([x])).outputs[0].attributes.value
    assert repr(parsed) == repr(value)


@given(st.integers(-(2**63), 2**63 - 1))
def test_integer_constants_are_exact(value):
    round_trip([ir.constant(value, dtypes.int64), ir.constant(value, dtypes.uint64), ir.constant(value, dtypes.bool)])


def test_every_op_of_the_package():
    x, n = ir.parameter(0, dtypes.float32, (4, 6)), ir.parameter(1, dtypes.int32, (4,))
    outputs = [
        ir.reshape(x, (2, 12)), ir.permute(x, (1, 0)), ir.expand(ir.reshape(x, (4, 6, 1)), (4, 6, 5)),
        ir.pad(x, ((0, 0), (1, 2)), -math.inf), ir.slice(x, ((0, 4, 3), (1, 5, 1))), ir.flip(x, (0, 1)),
        ir.concat([x, x], 1), ir.window(x, 1, 3, 2, 1, 1, 1), ir.skew(x, 0, 1, 9, -2, 3), ir.gather(x, n),
        ir.gather(x, n, 1), ir.scatter(x, n, x, mode="set"), ir.cast(x, dtypes.bfloat16), ir.bitcast(x, dtypes.int32),
        ir.reduce("argmax", x, (0, 1)), ir.iota(5), ir.contiguous(x), ir.stop_gradient(x),
        ir.where(ir.less(x, x), x, ir.exp(x)),
    ]
    text = round_trip(outputs)
    assert "pad %0 widths=((0, 0), (1, 2)) fill=-inf : float32[4, 9]" in text


def test_symbolic_dimensions_carry_their_bounds():
    n, m = ir.Variable("n", 1, 64), ir.Variable("m", -2, 3)
    x = ir.parameter(0, dtypes.float32, (4, 2 * n + 1))
    text = round_trip([x, ir.slice(x, ((0, 4, 1), (n - 1, 2 * n, 1))), ir.iota(7 - m)])
    assert "float32[4, 2*n[1..64] + 1]" in text
    assert "ranges=((0, 4, 1), (n[1..64] - 1, 2*n[1..64], 1))" in text
    assert "int32[-1*m[-2..3] + 7]" in text


def test_bodies_stand_above_and_are_printed_once():
    total, x = ir.parameter(0, dtypes.float32, ()), ir.parameter(1, dtypes.float32, ())
    inner = ir.Body((total, x), (ir.add(total, x),))
    outer = ir.Body((total, x), tuple(ir.results_of(ir.call(inner, [x, total]))))
    values = ir.parameter(0, dtypes.float32, (8,))
    start = ir.constant(0, dtypes.float32)
    once = ir.scan(outer, [start], [values])
    again = ir.scan(outer, [ir.project(once, 0)], [values], reverse=True)
    text = round_trip([ir.project(again, 0), ir.project(ir.call(inner, [start, start], label="a b"), 0)])
    assert text.count("body @") == 2
    assert text.index("body @1") < text.index("call %1, %0 body=@0") < text.index("body=@1 carries=1 length=8")
    assert 'label="a b"' in text
    assert "    return %2\n" in text


def test_unused_body_parameters_are_kept():
    x, y = ir.parameter(0, dtypes.float32, ()), ir.parameter(1, dtypes.int32, (3,))
    round_trip([ir.call(ir.Body((x, y), (ir.exp(x),)), [x, y])])


def test_buffers_are_found_by_name():
    handle = SimpleNamespace(name="weight")
    twin = SimpleNamespace(name="weight")
    b, c, d = (ir.buffer(h, dtypes.float32, (3,)) for h in (handle, twin, object()))
    text = round_trip([ir.add(ir.add(b, c), d)])
    assert "handle=$weight " in text and "handle=$weight1 " in text
    fresh = ir.parse_graph(text)
    assert set(fresh.buffers) == set(ir.buffers_by_name([ir.add(ir.add(b, c), d)]))
    assert fresh.buffers["weight"].attributes.handle == "weight"
    assert ir.format_graph(fresh.outputs) == text


def test_buffers_of_one_name_are_told_apart():
    first, second = (ir.buffer("state", dtypes.float32, shape) for shape in ((3,), (4,)))
    text = round_trip([first, second])
    assert "handle=$state " in text and "handle=$state1 " in text


def test_assignments():
    b = ir.buffer("state", dtypes.float32, (3, 4))
    first = ir.assign(b, ir.constant(0, dtypes.float32, (3, 4)))
    text = same_text([ir.assign(first, ir.constant(1, dtypes.float32, (1, 4)), ((0, 1, 1), (0, 4, 1))), first])
    assert "region=((0, 1, 1), (0, 4, 1))" in text and "region=None" in text


def test_tags():
    x = ir.parameter(0, dtypes.float32, (3,))
    with ir.tagged(7):
        copy = ir.exp(x)
    assert "= exp!7 %0 :" in round_trip([copy, ir.exp(x)])


def test_parameters_are_returned_by_number():
    x, y = ir.parameter(4, dtypes.float32, ()), ir.parameter(1, dtypes.float32, ())
    assert ir.parse_graph(ir.format_graph([ir.add(x, y)])).parameters == {4: x, 1: y}


def test_types_and_blank_lines_are_optional():
    text = """
        # a comment
        %x = parameter number=0 dtype=float32 shape=(2, 3,)

        %sum = reduce %x monoid=sum axes=(0,)
        return %sum, %x
    """
    total, x = ir.parse_graph(text).outputs
    assert total is ir.reduce("sum", x, (0,))


def test_no_outputs():
    assert ir.parse_graph(ir.format_graph([])).outputs == []


PARAMETER = "%0 = parameter number=0 dtype=float32 shape=(2, 3) : float32[2, 3]\n"


@pytest.mark.parametrize(("text", "message"), [
    ("", "line 1, column 1: expected 'return' at the end of the graph"),
    (PARAMETER, "line 2, column 1: expected 'return'"),
    ("%0 parameter", "line 1, column 4: expected '=', got 'parameter'"),
    ("%0 = %1", "line 1, column 6: expected the name of an operation, got '%1'"),
    ("%0 = sinus %1", "line 1, column 6: there is no operation 'sinus'"),
    ("%0 = sin %1", "line 1, column 10: %1 is not defined above"),
    (PARAMETER + PARAMETER, "line 2, column 1: %0 is already defined"),
    (PARAMETER + "%1 = reduce %0 axes=(1,)\n", "line 2, column 25: expected monoid=...; reduce has the attributes"),
    (PARAMETER + "%1 = reduce %0 axis=1\n", "line 2, column 16: attribute 'axis' cannot stand here; reduce has monoid"),
    (PARAMETER + "%1 = reduce %0 axes=(1,) axes=(1,)\n", "column 26: attribute 'axes' cannot stand twice"),
    (PARAMETER + "%1 = reduce %0 monoid= axes=(1,)", "line 2, column 28: expected axes=...; reduce has"),
    (PARAMETER + "%1 = reduce %0 monoid=sum axes=(1", "expected ')', got 'the end of the line'"),
    (PARAMETER + "%1 = reduce %0 monoid=sum axes=(7,)", "line 2, column 6: reduce 'sum'(float32[2, 3]); expected"),
    (PARAMETER + "%1 = reduce %0 monoid=sum axes=(1,) : float32[3]", "column 39: this reduce has the type float32[2]"),
    (PARAMETER + "%1 = sin %0 : float33[2, 3]", "line 2, column 15: expected a dtype, got 'float33'"),
    (PARAMETER + "%1 = sin %0 : float32[2, n]", "expected '[', got ']'"),
    (PARAMETER + "%1 = sin %0 : float32[2, n[5..3]]", "column 26: variable 'n' has no value: low 5 is greater"),
    (PARAMETER + "%1 = sin %0 &", "expected the end of the line, got '&'"),
    (PARAMETER + "%1 = scan %0 body=@3", "line 2, column 19: @3 is not defined above"),
    (PARAMETER + "return %0\n%1 = sin %0", "line 3, column 1: expected nothing after the graph's return"),
    (PARAMETER + "body @0(%0):", "line 2, column 1: expected 'return' before the next body begins"),
    ("body @0(%0):\nreturn", "line 2, column 1: parameter %0 of body @0 is never defined"),
    ("%0 = iota length=n[0..4] - m[0..9] dtype=int32", "line 1, column 6: -m + n >= 0 is not decided by the bounds"),
])
def test_errors_say_where_and_what(text, message):
    with pytest.raises(ir.TextError) as raised:
        ir.parse_graph(text)
    assert message in str(raised.value)


def test_a_long_chain_takes_linear_time():
    def seconds(length):
        x = ir.parameter(0, dtypes.float32, (3,))
        for _ in range(length):
            x = ir.sin(x)
        start = time.process_time()
        assert ir.parse_graph(ir.format_graph([x])).outputs == [x]
        return time.process_time() - start

    seconds(100)
    short, long = seconds(5_000), seconds(100_000)
    assert long < 60 * short
