"""The thread pool: who runs which tasks, and its life: stop, restart, fork, exit, nested and concurrent callers."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from codegen.llvm import object_code
from codegen.target import Target
from runtime.cpu.jit import process_jit
from runtime.cpu.thread_pool import ThreadPool, available_cpus, requested_threads
from runtime.cpu.thread_pool_ir import SYMBOLS, pool_module, threads_supported

needs_threads = pytest.mark.skipif(not threads_supported(), reason="the pool has threads on Linux only")

_PROBE = """
declare i64 @pthread_self()
declare i32 @usleep(i32)

; owner[i] += 1 + number of the thread, system[i] = its system handle, for the tasks [begin, end); then sleeps 0.2 ms.
define void @probe(ptr %context, i64 %begin, i64 %end, i64 %thread) nounwind {
entry:
  %owners = load ptr, ptr %context
  %second = getelementptr ptr, ptr %context, i64 1
  %handles = load ptr, ptr %second
  %self = call i64 @pthread_self()
  br label %next
next:
  %i = phi i64 [ %begin, %entry ], [ %following, %mark ]
  %more = icmp slt i64 %i, %end
  br i1 %more, label %mark, label %done
mark:
  %owner = getelementptr i64, ptr %owners, i64 %i
  %old = load i64, ptr %owner
  %one = add i64 %thread, 1
  %new = add i64 %old, %one
  store i64 %new, ptr %owner
  %handle = getelementptr i64, ptr %handles, i64 %i
  store i64 %self, ptr %handle
  %following = add i64 %i, 1
  br label %next
done:
  %slept = call i32 @usleep(i32 200)
  ret void
}

; Adds the number of tasks to a total, atomically.
define void @count(ptr %context, i64 %begin, i64 %end, i64 %thread) nounwind {
  %tasks = sub i64 %end, %begin
  %old = atomicrmw add ptr %context, i64 %tasks seq_cst
  ret void
}

; Runs a region of 10 tasks for each of its own tasks.
define void @nest(ptr %context, i64 %begin, i64 %end, i64 %thread) nounwind {
entry:
  br label %next
next:
  %i = phi i64 [ %begin, %entry ], [ %following, %work ]
  %more = icmp slt i64 %i, %end
  br i1 %more, label %work, label %done
work:
  call void @pool_run(ptr @count, ptr %context, i64 10)
  %following = add i64 %i, 1
  br label %next
done:
  ret void
}
"""


class Pool(ThreadPool):
    """A pool of its own with the test functions above."""

    def __init__(self, threads: int) -> None:
        names = [*SYMBOLS, "probe", "count", "nest"]
        library = process_jit().load(object_code(pool_module() + _PROBE, Target.host()), names)
        super().__init__(library, threads)
        self.address = library.addresses
        self.run_region = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(library["pool_run"])

    def probe(self, tasks: int) -> tuple[np.ndarray, np.ndarray]:
        """(the number of the thread, its system handle) for each task, while every thread takes part."""
        owners, handles = np.full(tasks + 1, -1, np.int64), np.zeros(tasks + 1, np.int64)  # one more: untouched
        context = (ctypes.c_void_p * 2)(owners.ctypes.data, handles.ctypes.data)
        self.run_region(self.address["probe"], ctypes.addressof(context), tasks)
        assert owners[-1] == -1
        return owners[:-1], handles[:-1]

    def count(self, tasks: int, function: str = "count") -> int:
        total = ctypes.c_int64(0)
        self.run_region(self.address[function], ctypes.addressof(total), tasks)
        return total.value


@pytest.fixture(params=[1, 2, 3, 8])
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    pool = Pool(request.param)
    pool.start()
    yield pool
    pool.stop()


@needs_threads
@pytest.mark.parametrize("tasks", [2, 3, 7, 64, 1000])
def test_every_task_runs_once(pool: Pool, tasks: int) -> None:
    for _ in range(20):
        owners, handles = pool.probe(tasks)
        assert owners.min() >= 0 and owners.max() < pool.threads  # a task that ran twice would count twice
        assert len({*zip(owners.tolist(), handles.tolist(), strict=True)}) == len(set(owners)) == len(set(handles))


@needs_threads
def test_tasks_are_shared_contiguously() -> None:
    """Threads that are all awake begin with the first quarter of their own shares."""
    pool = Pool(2)
    pool.start()
    found = [pool.probe(64)[0] for _ in range(50)]
    pool.stop()
    assert any(owners[:8].tolist() == [0] * 8 and owners[32:40].tolist() == [1] * 8 for owners in found)


@needs_threads
def test_nobody_waits_for_threads_that_do_not_run() -> None:
    """With many more threads than cores, most never get to work in a region of short tasks."""
    pool = Pool(64)
    pool.start()
    for _ in range(200):
        assert pool.count(1000) == 1000
    pool.stop()


@needs_threads
@pytest.mark.parametrize("tasks", [0, 1])
def test_single_tasks_stay_on_the_caller(pool: Pool, tasks: int) -> None:
    owners, handles = pool.probe(tasks)
    own = ctypes.CDLL(None).pthread_self
    own.restype = ctypes.c_int64
    assert owners.tolist() == [0] * tasks and all(handle == own() for handle in handles)


def test_many_regions_in_a_row(pool: Pool) -> None:
    for tasks in range(2000):
        assert pool.count(tasks) == tasks


@needs_threads
def test_workers_that_sleep_wake_up(pool: Pool) -> None:
    for _ in range(5):
        time.sleep(0.01)
        assert pool.count(100) == 100


@needs_threads
def test_idle_workers_use_no_time() -> None:
    pool = Pool(4)
    pool.start()
    pool.count(100)
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - before < 0.02
    pool.stop()


def test_nested_regions_run_serially_inside(pool: Pool) -> None:
    assert pool.count(50, "nest") == 500


def test_concurrent_python_threads(pool: Pool) -> None:
    wrong: list[int] = []

    def work() -> None:
        wrong.extend(found for _ in range(500) if (found := pool.count(64)) != 64)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_stop_and_start_again(pool: Pool) -> None:
    for _ in range(20):
        assert pool.count(10) == 10
        pool.stop()
        assert not pool.started
        assert pool.count(10) == 10
        pool.start()
        assert pool.probe(100)[0].min() >= 0


@needs_threads
def test_stop_while_another_thread_runs_regions() -> None:
    pool, stopped = Pool(3), threading.Event()
    pool.start()
    wrong: list[int] = []

    def work() -> None:
        while not stopped.is_set():
            wrong.extend(found for _ in range(100) if (found := pool.count(64)) != 64)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(50):
        pool.stop()
        pool.start()
    stopped.set()
    thread.join()
    pool.stop()
    assert not wrong


@needs_threads
def test_threads_are_gone_after_stop() -> None:
    def system_threads() -> int:
        return len(os.listdir("/proc/self/task"))

    before = system_threads()
    pool = Pool(6)
    pool.start()
    assert system_threads() == before + 5
    pool.stop()
    assert system_threads() == before


# ---------------------------------------------------------------------------------- processes: fork, exit, signals

_PREAMBLE = """
import os, sys, threading, time, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, {directory!r})
from test_thread_pool import Pool
pool = Pool(3)
pool.start()
assert pool.count(100) == 100
"""


def run_script(body: str) -> str:
    """What a fresh interpreter prints; it must end by itself and without an error."""
    script = _PREAMBLE.format(directory=os.path.dirname(__file__)) + body
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60,
                          cwd=os.path.dirname(os.path.dirname(os.path.dirname(__file__))), check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@needs_threads
def test_exit_without_stop() -> None:
    assert run_script("print('end')") == "end"


@needs_threads
def test_exit_while_a_daemon_thread_runs_regions() -> None:
    assert run_script("""
def work():
    while True:
        pool.count(64)
threading.Thread(target=work, daemon=True).start()
time.sleep(0.05)
print('end')
""") == "end"


@needs_threads
def test_forked_child_starts_its_own_workers() -> None:
    assert run_script("""
child = os.fork()
if child == 0:
    alone = pool.count(10), set(pool.probe(100)[0].tolist())
    pool.start()
    together = pool.count(10), set().union(*(pool.probe(100)[0].tolist() for _ in range(50)))
    pool.stop()
    os._exit(0 if alone == (10, {0}) and together == (10, {0, 1, 2}) else 1)
print(os.waitpid(child, 0)[1], pool.count(100))
""") == "0 100"


@needs_threads
def test_fork_while_another_thread_runs_regions() -> None:
    """The copy of the pool says that a region is running, and nobody will ever finish it."""
    assert run_script("""
stop = threading.Event()
def work():
    while not stop.is_set():
        pool.count(64)
thread = threading.Thread(target=work)
thread.start()
failed = 0
for _ in range(20):
    child = os.fork()
    if child == 0:
        pool.start()
        good = any(pool.probe(100)[0].max() == 2 for _ in range(50))
        pool.stop()
        os._exit(0 if good else 1)
    failed += os.waitpid(child, 0)[1] != 0
stop.set()
thread.join()
print(failed)
""") == "0"


@needs_threads
def test_workers_block_signals() -> None:
    """SIGINT reaches Python's main thread, also while it sleeps."""
    assert run_script("""
import signal
threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
start = time.monotonic()
try:
    time.sleep(20)
except KeyboardInterrupt:
    print(time.monotonic() - start < 10)
""") == "True"


# ----------------------------------------------------------------------------------------------- configuration


def test_threads_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TGL_THREADS", raising=False)
    assert requested_threads() == len(available_cpus())
    monkeypatch.setenv("TGL_THREADS", "3")
    assert requested_threads() == 3


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "1000"])
def test_wrong_number_of_threads(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TGL_THREADS", value)
    with pytest.raises(ValueError, match=f"TGL_THREADS is '{value}'; expected a whole number from 1 to 256"):
        requested_threads()


def test_systems_without_threads_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The portable pool runs every region on its caller, and a warning says why."""
    monkeypatch.setattr("runtime.cpu.thread_pool_ir.sys.platform", "plan9")
    with pytest.warns(RuntimeWarning, match="runs on 1 thread"):
        pool = Pool(4)
    pool.start()
    assert pool.threads == 1 and pool.count(100) == 100
    assert set(pool.probe(100)[0].tolist()) == {0}
