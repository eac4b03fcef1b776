"""Programs on disk: what is found again, with whose lines, and what happens to entries that are no good."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import ir
from codegen.target import Target
from ir import Node, Variable, dtypes
from runtime import CpuDevice, compile_graph, program_cache
from runtime.buffer import buffer_node, buffer_of
from runtime.disk_cache import DiskCache
from runtime.prepare import prepare
from runtime.program_store import ProgramStore
from runtime.structure import structure_of
from runtime.verify import verify_program


@pytest.fixture
def device(tmp_path: Path) -> CpuDevice:
    """A device whose programs and object code are on disk under ``tmp_path``."""
    result = CpuDevice(cache=DiskCache(tmp_path / "objects"))
    result.store = ProgramStore(DiskCache(tmp_path / "programs"))
    return result


def softmax(x: Node) -> Node:
    e = ir.exp(x)
    total = ir.reshape(ir.reduce("sum", e, (1,)), (x.shape[0], 1))
    return ir.div(e, ir.expand(total, x.shape))


def run(device: CpuDevice, outputs: list[Node]) -> tuple[list[np.ndarray], list[str]]:
    """The values of the outputs as a process computes them that knows no program yet, and the lines of its kernels."""
    program_cache.clear()
    compiled = compile_graph(outputs, device=device)
    verify_program(compiled.prepared.program)
    lines = [str(line) for launch in compiled.prepared.program.launches() for line in launch.record.locations]
    return [result.numpy() for result in compiled.run()], lines


def test_an_equal_graph_is_restored_with_its_own_lines(device: CpuDevice) -> None:
    array = np.random.default_rng(0).standard_normal((37, 50)).astype(np.float32)
    results = []
    for number in range(2):
        with ir.located(ir.Location(f"user{number}.py", 7)):
            outputs = [softmax(buffer_node(buffer_of(array, device)))]
        results.append(run(device, outputs))
    assert (device.store.found, device.store.missed) == (1, 1)
    (first, first_lines), (second, second_lines) = results
    np.testing.assert_array_equal(first[0], second[0])
    assert first_lines and set(first_lines) == {"user0.py:7"} and set(second_lines) == {"user1.py:7"}


def test_damaged_entries_are_rebuilt(device: CpuDevice, tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32)
    outputs = [ir.exp(buffer_node(buffer_of(array, device)))]
    structure = structure_of(outputs)
    expected = prepare(device, outputs, structure).program
    (entry,) = (tmp_path / "programs").iterdir()
    for contents in (b"no entry", entry.read_bytes()[:-5]):
        entry.write_bytes(contents)
        assert prepare(device, outputs, structure).program.storages == expected.storages
    for payload in (b"no pickle", pickle.dumps(Path("/")), pickle.dumps(3), pickle.dumps(np.arange(3))):
        device.store.cache.put(entry.name, payload)
        assert prepare(device, outputs, structure).program.storages == expected.storages
    assert device.store.found == 0
    prepare(device, outputs, structure)
    assert device.store.found == 1


def test_keys_tell_apart_what_differs(device: CpuDevice) -> None:
    x = ir.parameter(0, dtypes.float32, (4,))
    long, short = (ir.parameter(0, dtypes.float32, (Variable("n", 1, bound),)) for bound in (8, 9))
    graphs = [[ir.add(x, ir.constant_like(x, value))] for value in (0.0, -0.0, 1.0, float("nan"))]
    graphs += [[ir.exp(x)], [ir.exp(x), x], [ir.exp(long)], [ir.exp(short)], [ir.cast(x, dtypes.int32)],
               [ir.cast(x, dtypes.uint32)]]
    keys = [device.store.key(structure_of(graph), device.target) for graph in graphs]
    keys.append(device.store.key(structure_of(graphs[0]), Target.cpu("x86-64")))
    assert None not in keys and len(set(keys)) == len(keys)


def test_attributes_without_a_text_are_not_stored(device: CpuDevice) -> None:
    structure = structure_of([ir.parameter(0, dtypes.float32, (4,))])
    _, *rest = structure.key
    strange = structure._replace(key=(((ir.EXPAND, (object(),), (0,)),), *rest))
    assert device.store.key(strange, device.target) is None
    assert device.store.get(None, None) is None
