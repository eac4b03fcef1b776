"""The thread pool's LLVM IR: the threaded pool of Linux, and one that runs every region on its caller.

Both define ``pool_start``, ``pool_stop``, ``pool_forget``, ``pool_set_cpus`` and ``pool_run`` (``SYMBOLS``); see
``runtime.cpu.thread_pool`` for what they do together.
"""

from __future__ import annotations

import platform
import sys
from string import Template

from runtime.cpu.affinity_ir import affinity_functions

MAXIMUM_THREADS = 256
SYMBOLS = ("pool_start", "pool_stop", "pool_forget", "pool_set_cpus", "pool_run")

_SPINS = 4000  # of an idle worker before it sleeps: about 0.2 ms
_FUTEX_CALL = {"x86_64": 202, "aarch64": 98}  # the number of the system call
_PAUSE = {
    "x86_64": ("declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()"),
    "aarch64": ("declare void @llvm.aarch64.hint(i32)", "call void @llvm.aarch64.hint(i32 1)"),
}


def threads_supported() -> bool:
    """Whether this system has what the threaded pool needs (Linux on x86-64 or ARM64)."""
    return sys.platform == "linux" and platform.machine() in _FUTEX_CALL


def pool_module() -> str:
    """The pool as LLVM IR: the threaded one where it is supported."""
    if not threads_supported():
        return _SERIAL
    declare_pause, pause = _PAUSE[platform.machine()]
    return Template(_THREADED).substitute(
        maximum=MAXIMUM_THREADS, declare_pause=declare_pause, pause=pause, spins=_SPINS,
        futex=_FUTEX_CALL[platform.machine()]) + affinity_functions()


_PORTABLE = """
; Runs a region on the calling thread alone.
define internal void @pool_serial(ptr %function, ptr %context, i64 %tasks) nounwind {
  call void %function(ptr %context, i64 0, i64 %tasks, i64 0)
  ret void
}
"""

_SERIAL = _PORTABLE + """
define i64 @pool_start(i64 %threads) nounwind { ret i64 1 }
define void @pool_stop() nounwind { ret void }
define void @pool_forget() nounwind { ret void }
define void @pool_set_cpus(ptr %cpus, i64 %count) nounwind { ret void }
define void @pool_run(ptr %function, ptr %context, i64 %tasks) nounwind {
  call void @pool_serial(ptr %function, ptr %context, i64 %tasks)
  ret void
}
"""

_THREADED = _PORTABLE + """
@pool.generation = internal global i32 0, align 128  ; counts regions; workers wait for it to change
@pool.remaining = internal global i64 0, align 128   ; tasks of the present region that are not done
@pool.counters = internal global [$maximum x [16 x i64]] zeroinitializer, align 128  ; one cache line pair per thread
@pool.asleep = internal global i32 0, align 128      ; workers in the futex
@pool.busy = internal global i32 0, align 128        ; a region is running: nested and concurrent callers run serially
@pool.function = internal global ptr null, align 128
@pool.context = internal global ptr null
@pool.tasks = internal global i64 0
@pool.threads = internal global i64 1                ; with the caller, which is thread 0
@pool.stopping = internal global i32 0
@pool.caller_cpu = internal global i32 -1
@pool.handles = internal global [$maximum x i64] zeroinitializer, align 64

declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(i64, ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i64 @syscall(i64, ...)
declare i32 @sched_yield()
declare i32 @sched_getcpu()
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
$declare_pause

; One pause; after every 64 of them the core is offered to whoever else is runnable.
define internal void @pool_pause(i64 %spins) nounwind alwaysinline {
entry:
  $pause
  %low = and i64 %spins, 63
  %often = icmp eq i64 %low, 63
  br i1 %often, label %yield, label %done
yield:
  %ignored = call i32 @sched_yield()
  br label %done
done:
  ret void
}

; Waits for a change of the generation, or wakes those who wait.
define internal void @pool_futex(i32 %operation, i32 %value) nounwind {
  %result = call i64 (i64, ...) @syscall(i64 $futex, ptr @pool.generation, i32 %operation, i32 %value,
                                         ptr null, ptr null, i32 0)
  ret void
}

; The first task of the share of thread %thread.
define internal i64 @pool_share(i64 %tasks, i64 %thread, i64 %threads) nounwind alwaysinline {
  %scaled = mul i64 %tasks, %thread
  %first = udiv i64 %scaled, %threads
  ret i64 %first
}

; The counter of a share: in the high half the generation, in the low half the first task that nobody has taken.
define internal ptr @pool_counter(i64 %thread) nounwind alwaysinline {
  %counter = getelementptr [16 x i64], ptr @pool.counters, i64 %thread
  ret ptr %counter
}

; Takes tasks of region %generation, a quarter of a share at a time, and runs them: first the own share, then what the
; others have left. The caller therefore never waits for a thread that the system does not let run. A thread that comes
; late, when the region has ended, finds another generation in the counters and takes nothing.
define internal void @pool_work(i64 %thread, i32 %generation) nounwind {
entry:
  %function = load atomic ptr, ptr @pool.function acquire, align 8
  %context = load atomic ptr, ptr @pool.context acquire, align 8
  %tasks = load atomic i64, ptr @pool.tasks acquire, align 8
  %threads = load i64, ptr @pool.threads
  %number = zext i32 %generation to i64
  %tag = shl i64 %number, 32
  br label %next
next:
  %distance = phi i64 [ 0, %entry ], [ %farther, %exhausted ]
  %done = phi i64 [ 0, %entry ], [ %so_far, %exhausted ]
  %more = icmp ult i64 %distance, %threads
  br i1 %more, label %look, label %finish
look:
  %place = add i64 %thread, %distance
  %owner = urem i64 %place, %threads
  %following_owner = add i64 %owner, 1
  %first = call i64 @pool_share(i64 %tasks, i64 %owner, i64 %threads)
  %last = call i64 @pool_share(i64 %tasks, i64 %following_owner, i64 %threads)
  %size = sub i64 %last, %first
  %quarter = lshr i64 %size, 2
  %tiny = icmp eq i64 %quarter, 0
  %chunk = select i1 %tiny, i64 1, i64 %quarter
  %counter = call ptr @pool_counter(i64 %owner)
  br label %claim
claim:
  %so_far = phi i64 [ %done, %look ], [ %so_far, %try ], [ %including, %run ]
  %seen = load atomic i64, ptr %counter acquire, align 8
  %seen_number = lshr i64 %seen, 32
  %present = icmp eq i64 %seen_number, %number
  %begin = and i64 %seen, 4294967295
  %left = icmp ult i64 %begin, %last
  %open = and i1 %present, %left
  br i1 %open, label %try, label %exhausted
try:
  %wanted = add i64 %begin, %chunk
  %beyond = icmp ugt i64 %wanted, %last
  %end = select i1 %beyond, i64 %last, i64 %wanted
  %claimed = or i64 %tag, %end
  %exchange = cmpxchg ptr %counter, i64 %seen, i64 %claimed acq_rel monotonic
  %mine = extractvalue { i64, i1 } %exchange, 1
  br i1 %mine, label %run, label %claim
run:
  call void %function(ptr %context, i64 %begin, i64 %end, i64 %thread)
  %ran = sub i64 %end, %begin
  %including = add i64 %so_far, %ran
  br label %claim
exhausted:
  %farther = add i64 %distance, 1
  br label %next
finish:
  %any = icmp ne i64 %done, 0
  br i1 %any, label %report, label %over
report:
  %before = atomicrmw sub ptr @pool.remaining, i64 %done acq_rel
  br label %over
over:
  ret void
}

define internal ptr @pool_worker(ptr %number) nounwind {
entry:
  %signals = alloca [16 x i64], align 64
  call void @llvm.memset.p0.i64(ptr %signals, i8 -1, i64 128, i1 false)
  %blocked = call i32 @pthread_sigmask(i32 0, ptr %signals, ptr null)  ; signals belong to Python's threads
  %thread = ptrtoint ptr %number to i64
  br label %wait
wait:
  %last = phi i32 [ 0, %entry ], [ %last, %sleep ], [ %generation, %work ]
  br label %spin
spin:
  %spins = phi i64 [ 0, %wait ], [ %next_spins, %again ]
  %generation = load atomic i32, ptr @pool.generation acquire, align 4
  %new = icmp ne i32 %generation, %last
  br i1 %new, label %wake, label %again
again:
  call void @pool_pause(i64 %spins)
  %next_spins = add i64 %spins, 1
  %patient = icmp ult i64 %next_spins, $spins
  br i1 %patient, label %spin, label %sleep
sleep:
  %before = atomicrmw add ptr @pool.asleep, i32 1 seq_cst
  call void @pool_futex(i32 128, i32 %last)  ; FUTEX_WAIT, private: returns at once if the generation has changed
  %after = atomicrmw sub ptr @pool.asleep, i32 1 seq_cst
  br label %wait
wake:
  %stopping = load i32, ptr @pool.stopping
  %stop = icmp ne i32 %stopping, 0
  br i1 %stop, label %exit, label %look
look:
  %threads = load i64, ptr @pool.threads
  %caller_cpu = load i32, ptr @pool.caller_cpu
  %own_cpu = call i32 @sched_getcpu()
  %same = icmp eq i32 %caller_cpu, %own_cpu
  %cpu_count = load i64, ptr @pool.cpu_count
  %room = icmp ule i64 %threads, %cpu_count
  %crowded = and i1 %same, %room
  br i1 %crowded, label %move, label %work
move:
  call void @pool_move_away(i64 %thread, i32 %caller_cpu)
  br label %work
work:
  call void @pool_work(i64 %thread, i32 %generation)
  br label %wait
exit:
  ret ptr null
}

; Announces a region (or the end) to all workers, waking those that sleep.
define internal void @pool_announce() nounwind {
entry:
  %generation = atomicrmw add ptr @pool.generation, i32 1 seq_cst
  %asleep = load atomic i32, ptr @pool.asleep seq_cst, align 4
  %any = icmp ne i32 %asleep, 0
  br i1 %any, label %wake, label %done
wake:
  call void @pool_futex(i32 129, i32 2147483647)  ; FUTEX_WAKE, private: all
  br label %done
done:
  ret void
}

; Starts %threads - 1 workers; returns how many threads there are (fewer where the system refuses).
define i64 @pool_start(i64 %threads) nounwind {
entry:
  store i32 0, ptr @pool.stopping
  store atomic i32 0, ptr @pool.generation seq_cst, align 4
  br label %next
next:
  %number = phi i64 [ 1, %entry ], [ %following, %create ]
  %more = icmp ult i64 %number, %threads
  br i1 %more, label %create, label %done
create:
  %slot = getelementptr i64, ptr @pool.handles, i64 %number
  %argument = inttoptr i64 %number to ptr
  %error = call i32 @pthread_create(ptr %slot, ptr null, ptr @pool_worker, ptr %argument)
  %following = add i64 %number, 1
  %failed = icmp ne i32 %error, 0
  br i1 %failed, label %done, label %next
done:
  store i64 %number, ptr @pool.threads
  ret i64 %number
}

; Waits for a running region, ends the workers and joins them. Then the pool is serial, and may be started again.
define void @pool_stop() nounwind {
entry:
  br label %acquire
acquire:
  %spins = phi i64 [ 0, %entry ], [ %next_spins, %occupied ]
  %exchange = cmpxchg ptr @pool.busy, i32 0, i32 1 acquire monotonic
  %mine = extractvalue { i32, i1 } %exchange, 1
  br i1 %mine, label %end, label %occupied
occupied:
  call void @pool_pause(i64 %spins)
  %next_spins = add i64 %spins, 1
  br label %acquire
end:
  %threads = load i64, ptr @pool.threads
  store i32 1, ptr @pool.stopping
  call void @pool_announce()
  br label %next
next:
  %number = phi i64 [ 1, %end ], [ %following, %join ]
  %more = icmp ult i64 %number, %threads
  br i1 %more, label %join, label %done
join:
  %slot = getelementptr i64, ptr @pool.handles, i64 %number
  %handle = load i64, ptr %slot
  %error = call i32 @pthread_join(i64 %handle, ptr null)
  %following = add i64 %number, 1
  br label %next
done:
  store i64 1, ptr @pool.threads
  store atomic i32 0, ptr @pool.busy release, align 4
  ret void
}

; In a forked child, which has no workers: the pool as it was before pool_start.
define void @pool_forget() nounwind {
  store i64 1, ptr @pool.threads
  store i32 0, ptr @pool.asleep
  store i32 0, ptr @pool.busy
  ret void
}

; Runs %function(%context, begin, end, thread) over [0, %tasks) and returns when all tasks are done.
define void @pool_run(ptr %function, ptr %context, i64 %tasks) nounwind {
entry:
  %threads = load i64, ptr @pool.threads
  %alone = icmp ule i64 %threads, 1
  %small = icmp ule i64 %tasks, 1
  %huge = icmp ugt i64 %tasks, 2147483647  ; counters have 32 bits
  %unsplit = or i1 %small, %huge
  %serial_is_best = or i1 %alone, %unsplit
  br i1 %serial_is_best, label %serial, label %acquire
acquire:
  %exchange = cmpxchg ptr @pool.busy, i32 0, i32 1 acquire monotonic
  %mine = extractvalue { i32, i1 } %exchange, 1
  br i1 %mine, label %prepare, label %serial
serial:
  call void @pool_serial(ptr %function, ptr %context, i64 %tasks)
  ret void
prepare:
  %now = load i64, ptr @pool.threads  ; a stop may have come between
  %past = load atomic i32, ptr @pool.generation monotonic, align 4
  %generation = add i32 %past, 1
  %number = zext i32 %generation to i64
  %tag = shl i64 %number, 32
  br label %next
next:  ; the counters change before the description: a late thread must not combine the new one with the old counters
  %thread = phi i64 [ 0, %prepare ], [ %following, %next ]
  %first = call i64 @pool_share(i64 %tasks, i64 %thread, i64 %now)
  %start = or i64 %tag, %first
  %counter = call ptr @pool_counter(i64 %thread)
  store atomic i64 %start, ptr %counter release, align 8
  %following = add i64 %thread, 1
  %more = icmp ult i64 %following, %now
  br i1 %more, label %next, label %parallel
parallel:
  store atomic i64 %tasks, ptr @pool.remaining release, align 8
  store atomic ptr %function, ptr @pool.function release, align 8
  store atomic ptr %context, ptr @pool.context release, align 8
  store atomic i64 %tasks, ptr @pool.tasks release, align 8
  %own_cpu = call i32 @sched_getcpu()
  store i32 %own_cpu, ptr @pool.caller_cpu
  call void @pool_announce()
  call void @pool_work(i64 0, i32 %generation)
  br label %wait
wait:
  %spins = phi i64 [ 0, %parallel ], [ %next_spins, %again ]
  %remaining = load atomic i64, ptr @pool.remaining acquire, align 8
  %all = icmp eq i64 %remaining, 0
  br i1 %all, label %done, label %again
again:
  call void @pool_pause(i64 %spins)
  %next_spins = add i64 %spins, 1
  br label %wait
done:
  store atomic i32 0, ptr @pool.busy release, align 4
  ret void
}
"""
