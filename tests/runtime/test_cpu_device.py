"""The CPU device: programs of regions and repeats, arguments and temporaries, scratch, caches and errors."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from codegen import loops
from codegen.loops import LoopKind, Space, ValueType
from ir.dtype import dtypes
from runtime import get_device
from runtime.cpu.commands import WALKER
from runtime.cpu.device import CpuDevice
from runtime.device import Allocation
from runtime.disk_cache import DiskCache
from runtime.errors import DeviceError, OutOfMemory
from runtime.program import Command, Launch, Program, Region, Repeat, Storage

INDEX, FLOAT = ValueType(dtypes.int64), ValueType(dtypes.float32)
SIZE = 64


@pytest.fixture
def device(tmp_path: Path) -> Iterator[CpuDevice]:
    device = CpuDevice(threads=2, cache=DiskCache(tmp_path / "objects"))
    yield device
    device.pool.stop()


def integer(value: int) -> loops.Literal:
    return loops.Literal(value, INDEX)


def parameter(name: str, size: int = SIZE) -> loops.Buffer:
    return loops.Buffer(name, dtypes.float32, size)


def task_loop(index: loops.Variable, stop: loops.Atom, body: list[loops.LoopStatement]) -> loops.For:
    return loops.For(index, integer(0), stop, 1, LoopKind.PARALLEL, body, [])


def binary(code: str, name: str = "binary") -> loops.Function:
    """out[i] = code(x[i], y[i]), one task per element."""
    x, y, out, i = parameter("x"), parameter("y"), parameter("out"), loops.Variable("i", INDEX)
    left, right, result = (loops.Variable(n, FLOAT) for n in ("left", "right", "result"))
    return loops.Function(name, (x, y, out), (), [task_loop(i, integer(SIZE), [
        loops.Let(left, loops.Load(x, i, FLOAT)), loops.Let(right, loops.Load(y, i, FLOAT)),
        loops.Let(result, loops.Operation(code, (left, right), FLOAT)), loops.Store(out, i, result)])])


def trace() -> loops.Function:
    """Appends the symbol ``step`` to a list in memory, whose element 0 is its length: shows the order of calls."""
    out = parameter("out", 64)
    step, length, place_ = (loops.Variable(name, INDEX) for name in ("step", "length", "place"))
    old, number, new = (loops.Variable(name, FLOAT) for name in ("old", "number", "new"))
    return loops.Function("trace", (out,), ("step",), [
        loops.Let(step, loops.SymbolValue("step", INDEX)),
        loops.Let(old, loops.Load(out, integer(0), FLOAT)),
        loops.Let(length, loops.Convert(old, INDEX)),
        loops.Let(place_, loops.Operation("add", (length, integer(1)), INDEX)),
        loops.Let(number, loops.Convert(step, FLOAT)),
        loops.Store(out, place_, number),
        loops.Let(new, loops.Convert(place_, FLOAT)),
        loops.Store(out, integer(0), new)])


def fill_up_to(symbol: str) -> loops.Function:
    """out[i] = 1 for i below the symbol: the number of tasks is known at run time."""
    out, i, limit = parameter("out"), loops.Variable("i", INDEX), loops.Variable("limit", INDEX)
    return loops.Function("fill", (out,), (symbol,), [
        loops.Let(limit, loops.SymbolValue(symbol, INDEX)),
        task_loop(i, limit, [loops.Store(out, i, loops.Literal(1.0, FLOAT))])])


def program(commands: Sequence[Command], arguments: int, temporaries: int = 0,
            symbols: tuple[str, ...] = ()) -> Program:
    """Storages 0 .. arguments-1 are arguments, the next ``temporaries`` follow each other in the arena."""
    nbytes = 4 * SIZE
    storages = [Storage(number, nbytes, dtypes.float32, "argument") for number in range(arguments)]
    storages += [Storage(arguments + number, nbytes, dtypes.float32, "temporary", nbytes * number)
                 for number in range(temporaries)]
    return Program(tuple(commands), tuple(storages), tuple(range(arguments)), symbols, nbytes * temporaries)


def region(*launches: tuple[loops.Function, tuple[int, ...]]) -> Region:
    return Region(tuple(Launch(function, arguments) for function, arguments in launches))


def place(device: CpuDevice, *arrays: np.ndarray) -> list[Allocation]:
    allocations = [device.allocate(array.nbytes) for array in arrays]
    for allocation, array in zip(allocations, arrays, strict=True):
        device.copy_in(allocation, array)
    return allocations


def fetch(device: CpuDevice, allocation: Allocation) -> np.ndarray:
    array = np.empty(allocation.nbytes // 4, np.float32)
    device.copy_out(allocation, array)
    return array


def numbers(*values: float) -> list[np.ndarray]:
    return [np.full(SIZE, value, np.float32) + np.arange(SIZE, dtype=np.float32) for value in values]


# ---------------------------------------------------------------------------------------------------- programs


def test_regions_run_in_order_through_temporaries(device: CpuDevice) -> None:
    """(x + y) * x - y, each step in a region of its own."""
    add, multiply, subtract = binary("add", "sum"), binary("mul", "product"), binary("sub", "difference")
    work = program([region((add, (0, 1, 3))), region((multiply, (3, 0, 4))), region((subtract, (4, 1, 2)))], 3, 2)
    x, y, out = numbers(1, 2, 0)
    memory = place(device, x, y, out)
    device.compile(work).run([allocation.address for allocation in memory], ())
    np.testing.assert_array_equal(fetch(device, memory[2]), (x + y) * x - y)


def test_launches_of_one_region_share_its_tasks(device: CpuDevice) -> None:
    launches = [(binary(code, code), (0, 1, 2 + place_)) for place_, code in enumerate(["add", "sub", "mul", "div"])]
    x, y, *outs = numbers(1, 2, 0, 0, 0, 0)
    memory = place(device, x, y, *outs)
    device.compile(program([region(*launches)], 6)).run([allocation.address for allocation in memory], ())
    for allocation, expected in zip(memory[2:], [x + y, x - y, x * y, x / y], strict=True):
        np.testing.assert_array_equal(fetch(device, allocation), expected)


def test_other_addresses_in_the_next_run(device: CpuDevice) -> None:
    executable = device.compile(program([region((binary("add"), (0, 1, 3))), region((binary("add"), (3, 3, 2)))], 3, 1))
    for start in range(3):
        x, y, out = numbers(start, start + 1, 0)
        memory = place(device, x, y, out)
        executable.run([allocation.address for allocation in memory], ())
        np.testing.assert_array_equal(fetch(device, memory[2]), 2 * (x + y))


@pytest.mark.parametrize("reverse", [False, True])
def test_repeat_counts_its_symbol(device: CpuDevice, reverse: bool) -> None:
    work = program([Repeat("step", 5, reverse, (region((trace(), (0,))),))], 1, symbols=("step",))
    memory = place(device, np.zeros(SIZE, np.float32))
    device.compile(work).run([memory[0].address], (77,))
    expected = [4, 3, 2, 1, 0] if reverse else [0, 1, 2, 3, 4]
    assert fetch(device, memory[0])[:6].tolist() == [5, *expected]


def test_nested_repeats_and_what_follows(device: CpuDevice) -> None:
    """for a in 0..2: {for step in 1..0: trace; trace again}; trace."""
    call = region((trace(), (0,)))
    inner = Repeat("step", 2, True, (call,))
    work = program([Repeat("a", 3, False, (inner, call)), call, Repeat("step", 0, False, (call,))], 1,
                   symbols=("a", "step"))
    memory = place(device, np.zeros(SIZE, np.float32))
    device.compile(work).run([memory[0].address], (0, 9))
    assert fetch(device, memory[0])[:11].tolist() == [10, *[1, 0, 0] * 3, 0]


@pytest.mark.parametrize("limit", [0, 1, 5, SIZE])
def test_task_counts_of_run_time_bounds(device: CpuDevice, limit: int) -> None:
    work = program([region((fill_up_to("n"), (0,)), (binary("add"), (1, 1, 2)))], 3, symbols=("n",))
    memory = place(device, np.zeros(SIZE, np.float32), *numbers(3, 0))
    device.compile(work).run([allocation.address for allocation in memory], (limit,))
    assert fetch(device, memory[0]).tolist() == [1] * limit + [0] * (SIZE - limit)
    np.testing.assert_array_equal(fetch(device, memory[2]), 2 * numbers(3)[0])


def test_empty_program(device: CpuDevice) -> None:
    device.compile(program([], 0)).run((), ())


def test_large_scratch_is_private_to_each_thread(device: CpuDevice) -> None:
    """Every task fills 64 KiB of scratch with its number and sums it: another thread's writes would show."""
    room_size, tasks = 1 << 14, 64
    out, room = parameter("out"), loops.Buffer("room", dtypes.float32, room_size, Space.SCRATCH)
    task, i, j = (loops.Variable(name, INDEX) for name in ("task", "i", "j"))
    number, element, total = (loops.Variable(name, FLOAT) for name in ("number", "element", "next"))
    carried = loops.Carried(
        loops.Variable("sum", FLOAT), loops.Literal(0.0, FLOAT), total, loops.Variable("all", FLOAT))
    fill = loops.For(i, integer(0), integer(room_size), 1, LoopKind.SERIAL, [loops.Store(room, i, number)], [])
    reduce = loops.For(j, integer(0), integer(room_size), 1, LoopKind.SERIAL, [
        loops.Let(element, loops.Load(room, j, FLOAT)),
        loops.Let(total, loops.Operation("add", (carried.inside, element), FLOAT))], [carried])
    work = loops.Function("rooms", (out,), (), [task_loop(task, integer(tasks), [
        loops.Allocate(room), loops.Let(number, loops.Convert(task, FLOAT)), fill, reduce,
        loops.Store(out, task, carried.result)])])
    memory = place(device, np.zeros(tasks, np.float32))
    executable = device.compile(program([region((work, (0,)))], 1))
    for _ in range(5):
        executable.run([memory[0].address], ())
        np.testing.assert_array_equal(fetch(device, memory[0]), room_size * np.arange(tasks))


def test_results_do_not_depend_on_the_number_of_threads(tmp_path: Path, rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((2, SIZE)).astype(np.float32)
    results = set()
    for threads in (1, 2, 3, 7):
        device = CpuDevice(threads, DiskCache(tmp_path))
        memory = place(device, x, y, np.zeros(SIZE, np.float32))
        device.compile(program([region((binary("pow"), (0, 1, 2)))], 3)).run([a.address for a in memory], ())
        results.add(fetch(device, memory[2]).tobytes())
        device.pool.stop()
    assert len(results) == 1


def test_many_python_threads_run_programs(device: CpuDevice) -> None:
    executable = device.compile(program([region((binary("add"), (0, 1, 3))), region((binary("add"), (3, 1, 2)))], 3, 1))
    wrong: list[int] = []

    def work(start: int) -> None:
        x, y, out = numbers(start, 1, 0)
        memory = place(device, x, y, out)
        for _ in range(200):
            executable.run([allocation.address for allocation in memory], ())
            if not (fetch(device, memory[2]) == x + y + y).all():
                wrong.append(start)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# ---------------------------------------------------------------------------------------- memory, caches, errors


def test_allocations_are_aligned_and_large_requests_fail_clearly(device: CpuDevice) -> None:
    assert all(device.allocate(nbytes).address % 64 == 0 for nbytes in (0, 1, 63, 64, 1000))
    with pytest.raises(OutOfMemory, match="cannot allocate"):
        device.allocate(1 << 62)


def test_compiled_code_is_shared_in_memory_and_on_disk(tmp_path: Path) -> None:
    function = binary("add")
    work = program([region((function, (0, 1, 2))), region((function, (2, 1, 0)))], 3)
    first = CpuDevice(1, DiskCache(tmp_path))
    first.compile(work)
    first.compile(work)
    assert (first.compiler.compiled, first.compiler.loaded) == (2, 0)  # the walker and the function
    second = CpuDevice(1, DiskCache(tmp_path))
    second.compile(program([region((binary("add"), (0, 1, 2)))], 3))
    assert (second.compiler.compiled, second.compiler.loaded) == (0, 2)


@pytest.mark.parametrize("damage", [lambda data: data[:100], lambda data: data[:-8] + bytes(8)],
                         ids=["truncated", "overwritten"])
def test_damaged_object_code_is_compiled_again(tmp_path: Path, damage: object) -> None:
    work = program([region((binary("add"), (0, 1, 2)))], 3)
    CpuDevice(1, DiskCache(tmp_path)).compile(work)
    for path in tmp_path.iterdir():
        path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    device = CpuDevice(1, DiskCache(tmp_path))
    memory = place(device, *numbers(1, 2, 0))
    device.compile(work).run([allocation.address for allocation in memory], ())
    np.testing.assert_array_equal(fetch(device, memory[2]), sum(numbers(1, 2)))
    assert (device.compiler.compiled, device.compiler.loaded) == (2, 0)
    assert CpuDevice(1, DiskCache(tmp_path)).compiler.loaded == 1


def test_sound_entry_that_is_no_object_is_compiled_again(tmp_path: Path) -> None:
    """As another program, or a version of LLVM that calls itself the same, might leave it."""
    CpuDevice(1, DiskCache(tmp_path))
    for path in tmp_path.iterdir():
        DiskCache(tmp_path).put(path.name, b"no object code")
    device = CpuDevice(1, DiskCache(tmp_path))
    assert (device.compiler.compiled, device.compiler.loaded) == (1, 0)


def test_device_works_without_a_cache() -> None:
    device = CpuDevice(1, DiskCache(None))
    memory = place(device, *numbers(1, 2, 0))
    device.compile(program([region((binary("add"), (0, 1, 2)))], 3)).run([a.address for a in memory], ())
    np.testing.assert_array_equal(fetch(device, memory[2]), sum(numbers(1, 2)))


def test_wrong_calls_are_refused(device: CpuDevice) -> None:
    executable = device.compile(program([region((binary("add"), (0, 1, 2)))], 3))
    memory = place(device, *numbers(1, 2, 0))
    addresses = [allocation.address for allocation in memory]
    with pytest.raises(DeviceError, match="takes 3 addresses and 0 symbols, not 2 and 0"):
        executable.run(addresses[:2], ())
    with pytest.raises(DeviceError, match="takes 3 addresses and 0 symbols, not 3 and 1"):
        executable.run(addresses, (1,))
    with pytest.raises(DeviceError, match="is no multiple of 64"):
        executable.run([addresses[0] + 4, *addresses[1:]], ())


def test_wrong_number_of_threads_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TGL_THREADS", "two")
    with pytest.raises(DeviceError, match="TGL_THREADS is 'two'; expected a whole number"):
        CpuDevice()


def test_registered_under_its_name() -> None:
    assert isinstance(get_device("CPU"), CpuDevice) and get_device("cpu") is get_device("CPU")
    assert "walk_program" in WALKER


def test_executables_release_their_memory(device: CpuDevice) -> None:
    """Compiling and dropping programs does not make the process grow."""
    work = program([region((binary("add"), (0, 1, 2)))], 3, 1)
    memory = place(device, *numbers(1, 2, 0))

    def use() -> None:
        for _ in range(300):
            device.compile(work).run([allocation.address for allocation in memory], ())

    use()
    before = resident_bytes()
    use()
    assert resident_bytes() - before < 4 << 20


def resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        pytest.skip("the system has no /proc")
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_forked_child_runs_programs() -> None:
    """Also when another thread of the parent holds the device at that moment."""
    script = """
import os, sys, threading
sys.path.insert(0, sys.argv[1])
from test_cpu_device import *
device = CpuDevice(2, DiskCache(None))
executable = device.compile(program([region((binary("add"), (0, 1, 2)))], 3))
memory = place(device, *numbers(1, 2, 0))
addresses = [allocation.address for allocation in memory]
executable.run(addresses, ())
device.lock.acquire()
child = []
def fork():
    pid = os.fork()
    if pid == 0:
        executable.run(addresses, ())
        os._exit(0 if (fetch(device, memory[2]) == sum(numbers(1, 2))).all() else 1)
    child.append(pid)
thread = threading.Thread(target=fork)
thread.start()
thread.join()
device.lock.release()
print(os.waitpid(child[0], 0)[1])
"""
    if not hasattr(os, "fork"):
        pytest.skip("the system has no fork")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script, str(Path(__file__).parent)], timeout=60,
                          capture_output=True, text=True, cwd=Path(__file__).parent.parent.parent, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr
