"""Realising graphs: caching by structure, in-place assignment, aliasing, errors, and no growth over many runs."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import numpy as np
import pytest

import ir
from ir import Node, Variable, dtypes, live_node_count
from runtime import (
    Buffer,
    BufferUseError,
    Device,
    DeviceError,
    buffer_node,
    buffer_of,
    compile_graph,
    counters,
    device_names,
    get_device,
    program_cache,
    realize,
)

DEVICES = [name for name in ("REFERENCE", "CPU") if name in device_names()]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    program_cache.clear()
    yield get_device(request.param)
    program_cache.clear()


def filled(device: Device, value: float, shape: tuple[int, ...] = (4,)) -> Buffer:
    return buffer_of(np.full(shape, value, np.float32), device)


def ramp(device: Device, *shape: int) -> Buffer:
    return buffer_of(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), device)


# ------------------------------------------------------------------------------------------------------- results


def test_results_are_fresh_buffers(device: Device) -> None:
    x = ramp(device, 2, 3)
    total, negative = realize([ir.reduce("sum", buffer_node(x), (1,)), ir.neg(buffer_node(x))])
    np.testing.assert_allclose(total.numpy(), [3, 12])
    np.testing.assert_array_equal(negative.numpy(), -np.arange(6).reshape(2, 3))
    assert total.device is device and negative.shape == (2, 3)


def test_nothing_is_realised_to_nothing() -> None:
    assert realize([]) == []


def test_a_buffer_is_realised_to_itself(device: Device) -> None:
    x = filled(device, 1)
    launched = counters.programs
    assert realize([buffer_node(x), buffer_node(x)]) == [x, x]
    assert counters.programs == launched


def test_equal_outputs_share_a_buffer(device: Device) -> None:
    x = buffer_node(filled(device, 1))
    a, b, c = realize([ir.exp(x), ir.neg(x), ir.exp(x)])
    assert a is c and a is not b


def test_outputs_that_simplify_to_the_same_value_are_separate(device: Device) -> None:
    x = buffer_node(filled(device, 3))
    a, b = realize([ir.mul(x, ir.constant_like(x, 1.0)), ir.add(x, ir.constant_like(x, 0.0))])
    np.testing.assert_array_equal(a.numpy(), np.full(4, 3))
    np.testing.assert_array_equal(b.numpy(), np.full(4, 3))


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0, 2), (1, 1, 1)])
def test_empty_and_scalar_shapes(device: Device, shape: tuple[int, ...]) -> None:
    data = np.ones(shape, np.float32)
    x = buffer_node(buffer_of(data, device))
    result, total = realize([ir.add(x, x), ir.reduce("sum", x, tuple(range(len(shape))))])
    np.testing.assert_array_equal(result.numpy(), data + data)
    np.testing.assert_array_equal(total.numpy(), data.sum())


def test_non_finite_values_pass_through(device: Device) -> None:
    x = buffer_node(buffer_of(np.array([np.nan, np.inf, -np.inf, -0.0], np.float32), device))
    [result] = realize([ir.neg(x)])
    np.testing.assert_array_equal(result.numpy(), np.array([np.nan, -np.inf, np.inf, 0.0], np.float32))


# ------------------------------------------------------------------------------------------------------- caching


def test_equal_structures_share_a_program(device: Device) -> None:
    results = [realize([ir.exp(buffer_node(filled(device, value)))])[0].numpy()[0] for value in (0.0, 1.0, 2.0)]
    np.testing.assert_allclose(results, np.exp([0, 1, 2]), rtol=1e-6)
    assert len(program_cache) == 1


def test_constants_are_never_stale(device: Device) -> None:
    x = buffer_node(filled(device, 1))
    for value in (0.0, -0.0, 2.0, 3.0):
        [result] = realize([ir.div(x, ir.constant_like(x, value))])
        with np.errstate(divide="ignore"):
            np.testing.assert_array_equal(result.numpy(), np.ones(4, np.float32) / np.float32(value))


def test_the_cache_keeps_the_most_recently_used(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_cache, "limit", 3)
    x = buffer_node(filled(device, 1))
    for value in range(10):
        realize([ir.add(x, ir.constant_like(x, value))])
    assert len(program_cache) == 3


def test_the_cache_keeps_no_buffer_alive(device: Device) -> None:
    gc.collect()
    alive = counters.alive_bytes
    x = filled(device, 1, (1024,))
    result = realize([ir.exp(buffer_node(x))])
    assert counters.alive_bytes == alive + 2 * 4096
    del x, result
    gc.collect()
    assert counters.alive_bytes == alive


# ---------------------------------------------------------------------------------------------------- assignment


def test_assign_writes_into_the_buffer(device: Device) -> None:
    x = filled(device, 2)
    address = x.allocation.address
    node = buffer_node(x)
    [result] = realize([ir.assign(node, ir.mul(node, node))])
    assert result is x and x.allocation.address == address
    np.testing.assert_array_equal(x.numpy(), np.full(4, 4))


def test_assign_of_a_region(device: Device) -> None:
    x = ramp(device, 3, 4)
    updates = buffer_node(filled(device, 9, (2, 2)))
    realize([ir.assign(buffer_node(x), updates, region=((1, 3, 1), (0, 4, 2)))])
    expected = np.arange(12, dtype=np.float32).reshape(3, 4)
    expected[1:3, 0:4:2] = 9
    np.testing.assert_array_equal(x.numpy(), expected)


def test_reads_of_the_old_version_come_first(device: Device) -> None:
    x = ramp(device, 64)
    old = buffer_node(x)
    new = ir.assign(old, ir.flip(old, (0,)))
    before, difference, after = realize([ir.add(old, old), ir.sub(new, old), ir.add(new, new)])
    data = np.arange(64, dtype=np.float32)
    np.testing.assert_array_equal(before.numpy(), 2 * data)
    np.testing.assert_array_equal(difference.numpy(), data[::-1] - data)
    np.testing.assert_array_equal(after.numpy(), 2 * data[::-1])
    np.testing.assert_array_equal(x.numpy(), data[::-1])


def test_old_versions_as_outputs_are_copies(device: Device) -> None:
    x = filled(device, 1)
    first = ir.assign(buffer_node(x), ir.constant(2.0, dtypes.float32, (4,)))
    second = ir.assign(first, ir.add(first, first))
    old, middle, newest = realize([buffer_node(x), first, second])
    assert newest is x and old is not x and middle is not x
    assert [b.numpy()[0] for b in (old, middle, newest)] == [1, 2, 4]


def test_a_permuted_self_assignment(device: Device) -> None:
    data = np.arange(100 * 100, dtype=np.float32).reshape(100, 100)
    x = buffer_of(data, device)
    node = buffer_node(x)
    realize([ir.assign(node, ir.add(ir.permute(node, (1, 0)), node))])
    np.testing.assert_array_equal(x.numpy(), data.T + data)


def test_buffers_swap(device: Device) -> None:
    a, b = ramp(device, 50), filled(device, 7, (50,))
    realize([ir.assign(buffer_node(a), buffer_node(b)), ir.assign(buffer_node(b), buffer_node(a))])
    np.testing.assert_array_equal(a.numpy(), np.full(50, 7))
    np.testing.assert_array_equal(b.numpy(), np.arange(50))


def test_two_assignments_to_one_version_are_refused(device: Device) -> None:
    x = buffer_node(filled(device, 1))
    with pytest.raises(ir.GraphError, match="again at .*test_realize.py"):
        realize([ir.assign(x, ir.neg(x)), ir.assign(x, ir.exp(x))])


# ----------------------------------------------------------------------------------------------- compiled graphs


def test_arguments_are_given_anew_at_each_run(device: Device) -> None:
    a, b = ir.parameter(0, dtypes.float32, (4,)), ir.parameter(1, dtypes.float32, (4,))
    compiled = compile_graph([ir.sub(a, b)], arguments=[a, b], device=device)
    for x, y in ((5, 3), (1, 8)):
        [result] = compiled.run([filled(device, x), filled(device, y)])
        assert result.numpy()[0] == x - y


def test_buffers_can_be_arguments_and_held(device: Device) -> None:
    traced, held = filled(device, 1), filled(device, 10)
    compiled = compile_graph([ir.add(buffer_node(traced), buffer_node(held))], arguments=[buffer_node(traced)])
    assert compiled.run([filled(device, 5)])[0].numpy()[0] == 15
    held.write(np.full(4, 20, np.float32))
    assert compiled.run([filled(device, 5)])[0].numpy()[0] == 25


def test_assigned_arguments_are_written_in_place(device: Device) -> None:
    counter = ir.buffer(None, dtypes.float32, (4,))
    compiled = compile_graph([ir.assign(counter, ir.add(counter, ir.constant_like(counter, 1.0)))], arguments=[counter],
                             device=device)
    x = filled(device, 0)
    for expected in (1, 2, 3):
        [result] = compiled.run([x])
        assert result is x and x.numpy()[0] == expected


def test_a_run_reuses_output_buffers_only_when_asked(device: Device) -> None:
    x = ir.parameter(0, dtypes.float32, (4,))
    compiled = compile_graph([ir.neg(x)], arguments=[x], device=device)
    first, second = compiled.run([filled(device, 1)])[0], compiled.run([filled(device, 2)])[0]
    assert first.numpy()[0] == -1 and second.numpy()[0] == -2


def test_peak_bytes_are_known_before_the_run(device: Device) -> None:
    x = ir.parameter(0, dtypes.float32, (256, 256))
    compiled = compile_graph([ir.reduce("sum", x, (0,))], arguments=[x], device=device)
    assert 1024 <= compiled.peak_bytes < 1 << 20


def test_bounded_dimensions_compile_once(device: Device) -> None:
    length = Variable("length", 1, 16)
    x = buffer_of(np.arange(16, dtype=np.float32), device)
    part = ir.slice(buffer_node(x), ((0, length, 1),))
    for size in (3, 16, 1):
        total, doubled = realize([ir.reduce("sum", part, (0,)), ir.add(part, part)], symbols={"length": size})
        assert total.numpy() == sum(range(size))
        np.testing.assert_array_equal(doubled.numpy(), 2 * np.arange(size))
    assert len(program_cache) == 1


# -------------------------------------------------------------------------------------------------------- errors


def test_devices_do_not_mix() -> None:
    here, there = get_device("REFERENCE"), type(get_device("REFERENCE"))()
    node = ir.add(buffer_node(filled(here, 1)), buffer_node(filled(there, 1)))
    with pytest.raises(DeviceError, match="must lie on one device"):
        realize([node])


def test_arguments_are_checked(device: Device) -> None:
    x = ir.parameter(0, dtypes.float32, (4,))
    compiled = compile_graph([ir.neg(x)], arguments=[x], device=device)
    with pytest.raises(BufferUseError, match="takes 1 arguments; got 2"):
        compiled.run([filled(device, 1), filled(device, 1)])
    with pytest.raises(BufferUseError, match=r"argument 0 must be float32\[4\]"):
        compiled.run([filled(device, 1, (5,))])
    with pytest.raises(BufferUseError, match=r"argument 0 must be float32\[4\]"):
        compiled.run([buffer_of(np.ones(4, np.int32), device)])
    with pytest.raises(BufferUseError, match="must be a buffer or a parameter"):
        compile_graph([ir.neg(x)], arguments=[ir.neg(x)], device=device)
    with pytest.raises(BufferUseError, match="two arguments"):
        compile_graph([ir.neg(x)], arguments=[x, x], device=device)


def test_a_parameter_without_memory_says_so(device: Device) -> None:
    with pytest.raises(BufferUseError, match="has no memory"):
        realize([ir.neg(ir.parameter(0, dtypes.float32, (4,)))], device=device)


def test_one_buffer_for_an_assigned_and_another_argument_is_refused(device: Device) -> None:
    a, b = ir.buffer(None, dtypes.float32, (4,)), ir.buffer(None, dtypes.float32, (4,))
    compiled = compile_graph([ir.assign(a, ir.add(a, b))], arguments=[a, b], device=device)
    x = filled(device, 1)
    with pytest.raises(BufferUseError, match="two arguments"):
        compiled.run([x, x])


def test_freed_buffers_say_so(device: Device) -> None:
    x = filled(device, 1)
    node = buffer_node(x)
    x.free()
    x.free()
    for use in (x.numpy, lambda: x.write(np.zeros(4, np.float32)), lambda: realize([ir.neg(node)])):
        with pytest.raises(BufferUseError, match="was freed"):
            use()


def test_variables_must_be_bound_within_their_bounds(device: Device) -> None:
    length = Variable("length", 1, 16)
    part = ir.slice(buffer_node(ramp(device, 16)), ((0, length, 1),))
    with pytest.raises(BufferUseError, match="'length'"):
        realize([ir.neg(part)])
    with pytest.raises(BufferUseError, match=r"1 to 16.*17"):
        realize([ir.neg(part)], symbols={"length": 17})


def test_a_value_with_several_results_is_no_output(device: Device) -> None:
    x = ir.parameter(0, dtypes.float32, (4,))
    body = ir.Body((x,), (ir.neg(x), ir.exp(x)))
    with pytest.raises(ir.GraphError, match="several results"):
        realize([ir.call(body, [buffer_node(filled(device, 1))])])


# -------------------------------------------------------------------------------------------------------- growth


def test_a_thousand_runs_leave_nothing_behind(device: Device) -> None:
    weights = ramp(device, 8)

    def step(rate: float) -> Node:
        old = buffer_node(weights)
        return ir.assign(old, ir.sub(old, ir.mul(old, ir.constant_like(old, rate))))

    realize([step(0.01)])
    gc.collect()
    nodes, nbytes, programs = live_node_count(), counters.alive_bytes, len(program_cache)
    for _ in range(1000):
        realize([step(0.01)])
    gc.collect()
    assert (live_node_count(), counters.alive_bytes, len(program_cache)) == (nodes, nbytes, programs)


def test_long_chains_run(device: Device) -> None:
    node = buffer_node(filled(device, 1))
    for _ in range(20_000):
        node = ir.neg(node)
    assert realize([node])[0].numpy()[0] == 1
