"""Where the workers of the thread pool run, in LLVM IR: how one moves off the core of its caller.

Part of the pool's module (``runtime.cpu.thread_pool_ir``), for Linux.
"""

from __future__ import annotations

from string import Template

MAXIMUM_CPUS = 1024

_AFFINITY = """
@pool.cpu_count = internal global i64 0
@pool.cpus = internal global [$cpus x i32] zeroinitializer, align 64

declare i32 @sched_setaffinity(i32, i64, ptr)

; Sets bit %cpu of an affinity mask.
define internal void @pool_add_cpu(ptr %mask, i32 %cpu) nounwind alwaysinline {
  %wide = zext i32 %cpu to i64
  %word = lshr i64 %wide, 6
  %position = and i64 %wide, 63
  %bit = shl i64 1, %position
  %slot = getelementptr i64, ptr %mask, i64 %word
  %old = load i64, ptr %slot
  %new = or i64 %old, %bit
  store i64 %new, ptr %slot
  ret void
}

; Moves this worker to the allowed CPU that is %thread places after the caller's, then allows all of them again.
define internal void @pool_move_away(i64 %thread, i32 %caller_cpu) nounwind noinline cold {
entry:
  %mask = alloca [$mask_words x i64], align 64
  call void @llvm.memset.p0.i64(ptr %mask, i8 0, i64 $mask_bytes, i1 false)
  %count = load i64, ptr @pool.cpu_count
  br label %find
find:
  %place = phi i64 [ 0, %entry ], [ %next_place, %next ]
  %inside = icmp ult i64 %place, %count
  br i1 %inside, label %compare, label %move
compare:
  %slot = getelementptr i32, ptr @pool.cpus, i64 %place
  %cpu = load i32, ptr %slot
  %found = icmp eq i32 %cpu, %caller_cpu
  br i1 %found, label %move, label %next
next:
  %next_place = add i64 %place, 1
  br label %find
move:
  %distant = add i64 %place, %thread
  %target_place = urem i64 %distant, %count
  %target_slot = getelementptr i32, ptr @pool.cpus, i64 %target_place
  %target = load i32, ptr %target_slot
  call void @pool_add_cpu(ptr %mask, i32 %target)
  %moved = call i32 @sched_setaffinity(i32 0, i64 $mask_bytes, ptr %mask)
  br label %allow
allow:
  %index = phi i64 [ 0, %move ], [ %next_index, %allow ]
  %allowed_slot = getelementptr i32, ptr @pool.cpus, i64 %index
  %allowed = load i32, ptr %allowed_slot
  call void @pool_add_cpu(ptr %mask, i32 %allowed)
  %next_index = add i64 %index, 1
  %more = icmp ult i64 %next_index, %count
  br i1 %more, label %allow, label %done
done:
  %restored = call i32 @sched_setaffinity(i32 0, i64 $mask_bytes, ptr %mask)
  ret void
}

; The CPUs that this process may use.
define void @pool_set_cpus(ptr %cpus, i64 %count) nounwind {
entry:
  store i64 %count, ptr @pool.cpu_count
  br label %next
next:
  %index = phi i64 [ 0, %entry ], [ %following, %copy ]
  %more = icmp ult i64 %index, %count
  br i1 %more, label %copy, label %done
copy:
  %from = getelementptr i32, ptr %cpus, i64 %index
  %to = getelementptr i32, ptr @pool.cpus, i64 %index
  %cpu = load i32, ptr %from
  store i32 %cpu, ptr %to
  %following = add i64 %index, 1
  br label %next
done:
  ret void
}
"""


def affinity_functions() -> str:
    """The functions ``pool_move_away`` and ``pool_set_cpus``, and the list of CPUs that they use."""
    return Template(_AFFINITY).substitute(cpus=MAXIMUM_CPUS, mask_words=MAXIMUM_CPUS // 64,
                                          mask_bytes=MAXIMUM_CPUS // 8)
