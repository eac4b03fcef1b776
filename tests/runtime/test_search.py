"""Schedule search: what is tried, what is refused, what is kept, and that results stay what they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ir
from codegen.choices import RULES, Choices
from codegen.kernel import Kernel
from codegen.lower import lower
from codegen.target import Target
from ir import Node
from runtime import CpuDevice, compile_graph, explain, program_cache, search
from runtime.buffer import buffer_node, buffer_of
from runtime.build import schedule_graph
from runtime.canonical import canonicalize
from runtime.disk_cache import DiskCache
from runtime.found_choices import FoundChoices, kernels_within
from runtime.search import search_kernel, searching
from runtime.structure import structure_of


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CpuDevice:
    """A device whose finds are kept under ``tmp_path``; measurements are short."""
    monkeypatch.setattr(search, "_SAMPLE", 1e-5)
    monkeypatch.setattr(search, "_SAMPLES", 2)
    monkeypatch.setattr(search, "_SHORTEST", 0.0)
    result = CpuDevice(cache=DiskCache(tmp_path / "objects"))
    result.found = FoundChoices(DiskCache(tmp_path / "choices"), "this machine")
    return result


def product(device: CpuDevice) -> list[Node]:
    random = np.random.default_rng(0)
    a, b = (buffer_node(buffer_of(random.standard_normal((48, 48)).astype(np.float32), device)) for _ in range(2))
    wide = ir.expand(ir.reshape(a, (48, 48, 1)), (48, 48, 48))
    deep = ir.expand(ir.reshape(b, (1, 48, 48)), (48, 48, 48))
    return [ir.exp(ir.reduce("sum", ir.mul(wide, deep), (1,)))]


def kernel_of(outputs: list[Node]) -> Kernel:
    (kernel,) = kernels_within(schedule_graph(canonicalize(outputs, structure_of(outputs)), Target.host()))
    return kernel


def test_a_contraction_is_searched_and_gives_the_same_bits(device: CpuDevice) -> None:
    outputs = product(device)
    kernel = kernel_of(outputs)
    outcome = search_kernel(device, kernel)
    assert outcome is not None and outcome.candidates >= 5 and outcome.refused == 0
    assert outcome.seconds <= outcome.seconds_by_rule
    (by_rule,) = compile_graph(outputs, device=device).run()
    device.found.put(kernel, Choices(tile=(3, 1), pack_lanes=True))
    compiled = compile_graph(outputs, device=device)  # not the program of before: the table has another stamp
    (launch,) = compiled.prepared.program.launches()
    assert launch.function.digest == lower(replace(kernel, choices=Choices(tile=(3, 1), pack_lanes=True)),
                                           device.target).launches[0].function.digest
    np.testing.assert_array_equal(compiled.run()[0].numpy(), by_rule.numpy())
    assert "found Choices(tile=(3, 1), pack_lanes=True)" in str(explain(outputs, found=device.found))
    assert "found" not in str(explain(outputs))


def test_candidates_that_compute_something_else_are_refused(device: CpuDevice,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    x = buffer_node(buffer_of(np.ones((64, 64), np.float32), device))
    right, wrong = kernel_of([ir.reduce("sum", x, (1,))]), kernel_of([ir.reduce("max", x, (1,))])
    numbers = dict(zip((*wrong.inputs, *wrong.outputs), (*right.inputs, *right.outputs), strict=True))

    def lowered(kernel: Kernel, target: Target):
        if kernel.choices == RULES:
            return lower(kernel, target)
        other = lower(replace(wrong, choices=kernel.choices), target)
        launches = tuple(launch._replace(arguments=tuple(numbers.get(a, a) for a in launch.arguments))
                         for launch in other.launches)
        return other._replace(launches=launches)

    monkeypatch.setattr(search, "lower", lowered)
    outcome = search_kernel(device, right)
    assert outcome is not None and outcome.refused == outcome.candidates > 0 and outcome.choices == RULES


def test_a_search_covers_what_is_compiled_meanwhile_and_happens_once(device: CpuDevice) -> None:
    program_cache.clear()
    outputs = product(device)
    with searching() as report:
        compiled = compile_graph(outputs, device=device)
    (outcome,) = report.found.values()
    assert outcome.kernels == 1 and device.found.knows(kernel_of(outputs))
    assert outcome.name in str(report) and "kernels searched" in str(report)
    with searching() as again:
        compile_graph(outputs, device=device)
    assert not again.found and "nothing was searched" in str(again)
    expected = ir.evaluate(outputs, {leaf: leaf.attributes.handle.numpy() for leaf in structure_of(outputs).leaves})
    np.testing.assert_allclose(compiled.run()[0].numpy(), expected[0], rtol=1e-5)


def test_finds_survive_the_process_for_one_machine(tmp_path: Path, device: CpuDevice) -> None:
    kernel = kernel_of(product(device))
    cache = DiskCache(tmp_path / "table")
    table = FoundChoices(cache, "znver4, 2 threads")
    assert not table.knows(kernel) and table.stamp == ""
    table.put(kernel, Choices(tile=(6, 4), task_work=1000))
    again, other = FoundChoices(cache, "znver4, 2 threads"), FoundChoices(cache, "znver4, 1 threads")
    assert again.knows(kernel) and again.stamp == table.stamp != "" and not other.knows(kernel)
    scheduled = schedule_graph(canonicalize(product(device), structure_of(product(device))), Target.host())
    again.apply(scheduled)
    assert [found.choices for found in kernels_within(scheduled)] == [Choices(tile=(6, 4), task_work=1000)]


@pytest.mark.parametrize("payload", [b"", b"no json", b"[1]", b'{"a": {"tile": 3}}', b'{"a": {"unheard": 1}}'])
def test_strange_tables_are_empty_tables(tmp_path: Path, device: CpuDevice, payload: bytes) -> None:
    cache = DiskCache(tmp_path / "table")
    kernel = kernel_of(product(device))
    FoundChoices(cache, "m").put(kernel, RULES)
    (entry,) = (tmp_path / "table").iterdir()
    cache.put(entry.name, payload)
    table = FoundChoices(cache, "m")
    assert not table.knows(kernel)
    table.put(kernel, RULES)
    assert FoundChoices(cache, "m").knows(kernel)
