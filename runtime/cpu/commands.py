"""A program as an array of 64-bit words, and the native code that walks it: one call from Python runs everything.

    region  [1, launches, tasks, then for each launch: function, arguments, tasks, task counter]
    repeat  [2, symbol slot, count, reverse, words of the body, then the body]

``tasks`` of a region is -1 where a launch knows its number of tasks only at run time; that launch's task counter is
then the address of ``i64 counter(ptr symbols)``, and the walker writes what it returns to the launch. Arguments are
addresses of arrays of addresses: the storages, which change only when the caller passes others.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from codegen.loops import Function
from runtime.device import ALIGNMENT
from runtime.errors import DeviceError
from runtime.program import Command, Program, Region, Repeat

REGION, REPEAT = 1, 2
LAUNCH_WORDS = 4
SYMBOLS = ("run_program",)

WALKER = """
%Context = type { ptr, ptr, i64, ptr, ptr }  ; symbols, scratch, bytes of scratch per thread; begin and end of the words
%Launch = type { ptr, ptr, i64, ptr }        ; function, arguments, tasks, task counter
%Region = type { ptr, ptr, i64 }             ; context, launches, number of launches

; The tasks [begin, end) of a region: each launch has the numbers that follow those of the launch before.
define internal void @walk_region(ptr %region, i64 %begin, i64 %end, i64 %thread) nounwind {
entry:
  %context = load ptr, ptr %region
  %launches_slot = getelementptr %Region, ptr %region, i64 0, i32 1
  %launches = load ptr, ptr %launches_slot
  %count_slot = getelementptr %Region, ptr %region, i64 0, i32 2
  %count = load i64, ptr %count_slot
  %symbols = load ptr, ptr %context
  %scratch_slot = getelementptr %Context, ptr %context, i64 0, i32 1
  %scratch_base = load ptr, ptr %scratch_slot
  %stride_slot = getelementptr %Context, ptr %context, i64 0, i32 2
  %stride = load i64, ptr %stride_slot
  %offset = mul i64 %stride, %thread
  %scratch = getelementptr i8, ptr %scratch_base, i64 %offset
  br label %next
next:
  %number = phi i64 [ 0, %entry ], [ %following, %skip ]
  %first = phi i64 [ 0, %entry ], [ %past, %skip ]
  %inside = icmp ult i64 %number, %count
  %wanted = icmp slt i64 %first, %end
  %more = and i1 %inside, %wanted
  br i1 %more, label %launch, label %done
launch:
  %record = getelementptr %Launch, ptr %launches, i64 %number
  %tasks_slot = getelementptr %Launch, ptr %record, i64 0, i32 2
  %tasks = load i64, ptr %tasks_slot
  %past = add i64 %first, %tasks
  %following = add i64 %number, 1
  %from_region = sub i64 %begin, %first
  %to_region = sub i64 %end, %first
  %starts_before = icmp slt i64 %from_region, 0
  %from = select i1 %starts_before, i64 0, i64 %from_region
  %ends_after = icmp sgt i64 %to_region, %tasks
  %to = select i1 %ends_after, i64 %tasks, i64 %to_region
  %any = icmp slt i64 %from, %to
  br i1 %any, label %run, label %skip
run:
  %function = load ptr, ptr %record
  %arguments_slot = getelementptr %Launch, ptr %record, i64 0, i32 1
  %arguments = load ptr, ptr %arguments_slot
  call void %function(ptr %arguments, ptr %symbols, i64 %from, i64 %to, ptr %scratch)
  br label %skip
skip:
  br label %next
done:
  ret void
}

; The number of tasks of a region some of whose launches count theirs at run time.
define internal i64 @walk_count(ptr %symbols, ptr %launches, i64 %count) nounwind {
entry:
  br label %next
next:
  %number = phi i64 [ 0, %entry ], [ %following, %add ]
  %total = phi i64 [ 0, %entry ], [ %sum, %add ]
  %more = icmp ult i64 %number, %count
  br i1 %more, label %launch, label %done
launch:
  %record = getelementptr %Launch, ptr %launches, i64 %number
  %tasks_slot = getelementptr %Launch, ptr %record, i64 0, i32 2
  %counter_slot = getelementptr %Launch, ptr %record, i64 0, i32 3
  %counter = load ptr, ptr %counter_slot
  %fixed = icmp eq ptr %counter, null
  br i1 %fixed, label %add, label %ask
ask:
  %answer = call i64 %counter(ptr %symbols)
  store i64 %answer, ptr %tasks_slot
  br label %add
add:
  %tasks = load i64, ptr %tasks_slot
  %sum = add i64 %total, %tasks
  %following = add i64 %number, 1
  br label %next
done:
  ret i64 %total
}

; Runs a whole program. One argument: each costs Python more than the rest of this function.
define void @run_program(ptr %context) nounwind {
  %words_slot = getelementptr %Context, ptr %context, i64 0, i32 3
  %words = load ptr, ptr %words_slot
  %end_slot = getelementptr %Context, ptr %context, i64 0, i32 4
  %end = load ptr, ptr %end_slot
  call void @walk_program(ptr %context, ptr %words, ptr %end)
  ret void
}

; Runs the commands in [words, end). Nested repeats recurse: as deep as scans are nested.
define internal void @walk_program(ptr %context, ptr %words, ptr %end) nounwind {
entry:
  %region = alloca %Region
  store ptr %context, ptr %region
  %launches_slot = getelementptr %Region, ptr %region, i64 0, i32 1
  %count_slot = getelementptr %Region, ptr %region, i64 0, i32 2
  %symbols = load ptr, ptr %context
  br label %next
next:
  %command = phi ptr [ %words, %entry ], [ %after_region, %run ], [ %after_repeat, %repeated ]
  %more = icmp ult ptr %command, %end
  br i1 %more, label %read, label %done
done:
  ret void
read:
  %kind = load i64, ptr %command
  %first_slot = getelementptr i64, ptr %command, i64 1
  %first = load i64, ptr %first_slot
  %second_slot = getelementptr i64, ptr %command, i64 2
  %second = load i64, ptr %second_slot
  %is_region = icmp eq i64 %kind, 1
  br i1 %is_region, label %start_region, label %start_repeat

start_region:
  %launches = getelementptr i64, ptr %command, i64 3
  store ptr %launches, ptr %launches_slot
  store i64 %first, ptr %count_slot
  %after_region = getelementptr %Launch, ptr %launches, i64 %first
  %uncounted = icmp slt i64 %second, 0
  br i1 %uncounted, label %count, label %run
count:
  %counted = call i64 @walk_count(ptr %symbols, ptr %launches, i64 %first)
  br label %run
run:
  %tasks = phi i64 [ %second, %start_region ], [ %counted, %count ]
  call void @pool_run(ptr @walk_region, ptr %region, i64 %tasks)
  br label %next

start_repeat:
  %reverse_slot = getelementptr i64, ptr %command, i64 3
  %reverse = load i64, ptr %reverse_slot
  %length_slot = getelementptr i64, ptr %command, i64 4
  %length = load i64, ptr %length_slot
  %body = getelementptr i64, ptr %command, i64 5
  %after_repeat = getelementptr i64, ptr %body, i64 %length
  %symbol = getelementptr i64, ptr %symbols, i64 %first
  %backwards = icmp ne i64 %reverse, 0
  br label %repeat
repeat:
  %step = phi i64 [ 0, %start_repeat ], [ %next_step, %iterate ]
  %again = icmp slt i64 %step, %second
  br i1 %again, label %iterate, label %repeated
iterate:
  %next_step = add i64 %step, 1
  %from_end = sub i64 %second, %next_step
  %value = select i1 %backwards, i64 %from_end, i64 %step
  store i64 %value, ptr %symbol
  call void @walk_program(ptr %context, ptr %body, ptr %after_repeat)
  br label %repeat
repeated:
  br label %next
}
"""


class NativeFunction(NamedTuple):
    """The addresses of a compiled function. tasks: how many it has; None where ``counter`` computes it at run time."""

    address: int
    tasks: int | None
    counter: int
    scratch_bytes: int


class CommandList:
    """The words of one program and the arrays of addresses that they point to. Kept where they are in memory."""

    def __init__(self, program: Program, resolve: Callable[[Function], NativeFunction]) -> None:
        self._resolve = resolve
        self._slots = {name: slot for slot, name in enumerate(program.symbols)}
        self._uses = _argument_uses(program)
        self.table = np.zeros(max(1, sum(map(len, self._uses))), np.int64)
        self._entries = self.table.data  # NumPy's own indexing is slower
        self._bases: Sequence[int] = (-1,) * len(self._uses)
        self._arguments_used = 0
        self.scratch_bytes = 0
        self.words = np.array(self._encoded(program.commands) or [0], np.int64)
        self.length = 0 if not program.commands else len(self.words)

    def set_addresses(self, addresses: Sequence[int]) -> None:
        """``addresses``: those of the program's arguments in order, then that of the arena; only changes cost time.

        Raises DeviceError for an address that is no multiple of 64.
        """
        changes = [(address, uses) for address, before, uses in zip(addresses, self._bases, self._uses, strict=True)
                   if address != before]
        for address, _ in changes:
            if address % ALIGNMENT:
                raise DeviceError(f"address {address:#x} is no multiple of {ALIGNMENT}; allocate memory with "
                                  "device.allocate")
        for address, uses in changes:
            for place, offset in uses:
                self._entries[place] = address + offset
        self._bases = addresses

    def _encoded(self, commands: Sequence[Command]) -> list[int]:
        words: list[int] = []
        for command in commands:
            if isinstance(command, Region):
                words.extend(self._encoded_region(command))
            else:
                words.extend(self._encoded_repeat(command))
        return words

    def _encoded_region(self, region: Region) -> list[int]:
        records: list[int] = []
        total: int | None = 0
        for launch in region.launches:
            native = self._resolve(launch.function)
            self.scratch_bytes = max(self.scratch_bytes, native.scratch_bytes)
            arguments = self.table.ctypes.data + 8 * self._arguments_used
            self._arguments_used += len(launch.arguments)
            total = None if total is None or native.tasks is None else total + native.tasks
            records.extend((native.address, arguments, native.tasks or 0, native.counter))
        return [REGION, len(region.launches), -1 if total is None else total, *records]

    def _encoded_repeat(self, repeat: Repeat) -> list[int]:
        body = self._encoded(repeat.body)
        return [REPEAT, self._slots[repeat.symbol], repeat.count, int(repeat.reverse), len(body), *body]


class Use(NamedTuple):
    """An entry of the table of addresses: its place, and how far behind its base it points."""

    place: int
    offset: int


def _argument_uses(program: Program) -> list[list[Use]]:
    """For every argument of the program, and at last for the arena: the arguments of launches (numbered in order) that
    lie there."""
    number = {storage: position for position, storage in enumerate(program.arguments)}
    storages = {storage.id: storage for storage in program.storages}
    uses: list[list[Use]] = [[] for _ in range(len(number) + 1)]
    for place, argument in enumerate(argument for launch in program.launches() for argument in launch.arguments):
        storage = storages[argument]
        if storage.kind == "argument":
            uses[number[argument]].append(Use(place, 0))
        else:
            uses[-1].append(Use(place, storage.offset))
    return uses


class Context(ctypes.Structure):
    """What the walker hands to every function, the symbol table and one stretch of scratch per thread, and where the
    program's words begin and end."""

    _fields_: Sequence[tuple[str, Any]] = [  # type: ignore[misc]
        ("symbols", ctypes.c_void_p), ("scratch", ctypes.c_void_p), ("scratch_stride", ctypes.c_int64),
        ("words", ctypes.c_void_p), ("words_end", ctypes.c_void_p)]
