"""The thread pool of the CPU device: native code that Python only starts and stops.

A region is ``function(context, begin, end, thread)`` over the tasks [0, n). The share of thread t of T is the
contiguous [n t / T, n (t + 1) / T); a thread that is done with its own takes what others have not begun, so that nobody
waits for a thread that the system does not let run. What a task does never depends on who runs it. An idle worker spins
for about 0.2 ms and then sleeps in a futex; whoever waits offers its core to others every 64 pauses.

Linux tends to wake a worker on the very core of its caller and to leave it there for milliseconds. A worker that finds
itself on the caller's core moves away once, and then may run anywhere again.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import platform
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakSet, finalize

from runtime.cpu.affinity_ir import MAXIMUM_CPUS
from runtime.cpu.jit import Library
from runtime.cpu.thread_pool_ir import MAXIMUM_THREADS, threads_supported


def requested_threads() -> int:
    """TGL_THREADS, else the number of CPUs that this process may use; ValueError for anything but a positive int."""
    given = os.environ.get("TGL_THREADS", "")
    if not given:
        return min(len(available_cpus()), MAXIMUM_THREADS)
    if not given.isdigit() or not 1 <= int(given) <= MAXIMUM_THREADS:
        raise ValueError(f"TGL_THREADS is {given!r}; expected a whole number from 1 to {MAXIMUM_THREADS}")
    return int(given)


def available_cpus() -> Sequence[int]:
    """The numbers of the CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return range(os.cpu_count() or 1)


class ThreadPool:
    """The workers of a loaded pool. They start with the first call of ``start`` and end with ``stop``, at the latest
    with this object or when the interpreter exits; a forked child starts its own.

    threads: how many threads regions run on, with the caller. ready: whether that many run already.
    """

    def __init__(self, library: Library, threads: int) -> None:
        if threads > 1 and not threads_supported():
            warnings.warn(f"the CPU device runs on 1 thread: its pool needs Linux on x86-64 or ARM64, this is "
                          f"{sys.platform} on {platform.machine()}", RuntimeWarning, stacklevel=2)
            threads = 1
        self.threads = threads
        self.ready = threads == 1
        self._library = library  # the workers run its code
        self._start = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library["pool_start"])
        self._stop = ctypes.CFUNCTYPE(None)(library["pool_stop"])
        self._forget = ctypes.CFUNCTYPE(None)(library["pool_forget"])
        self._set_cpus = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(library["pool_set_cpus"])
        self._finalizer: finalize[Any, ThreadPool] | None = None
        _pools.add(self)

    @property
    def started(self) -> bool:
        """Whether there are workers."""
        return self._finalizer is not None

    def start(self) -> None:
        """Makes sure that the workers run."""
        if self.ready:
            return
        cpus = [cpu for cpu in available_cpus() if cpu < MAXIMUM_CPUS]
        self._set_cpus(ctypes.addressof((ctypes.c_int32 * len(cpus))(*cpus)), len(cpus))
        self.threads = self._start(self.threads)
        self.ready = True
        self._finalizer = finalize(self, _end_workers, self._library, self._stop)

    def stop(self) -> None:
        """Ends and joins the workers; regions then run serially until the next ``start``."""
        if self._finalizer is not None:
            self.ready = self.threads == 1
            self._finalizer()
            self._finalizer = None

    def forget(self) -> None:
        """In a forked child: the workers stayed in the parent."""
        if self._finalizer is not None:
            self._finalizer.detach()
            self._finalizer = None
        self.ready = self.threads == 1
        self._forget()


def _end_workers(library: Library, stop: Callable[[], None]) -> None:
    """Ends the workers of a pool that is gone; their code, ``library``, stays loaded until they have ended."""
    stop()


_pools: WeakSet[ThreadPool] = WeakSet()


def _stop_all() -> None:
    for pool in list(_pools):
        pool.stop()


def _forget_all() -> None:
    for pool in list(_pools):
        pool.forget()


atexit.register(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
