"""Loading object code into this process, through LLVM's LLJIT.

One JIT serves the whole process. A library stays loaded, and its addresses valid, as long as its ``Library`` lives.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import llvmlite.binding as llvm

from codegen.llvm.native import target_machine
from codegen.target import Target


class Library:
    """Machine code in memory: the addresses of its exported symbols by name. Unloaded with this object."""

    __slots__ = ("_tracker", "addresses")

    def __init__(self, tracker: Any, names: Sequence[str]) -> None:
        self._tracker = tracker
        self.addresses: Mapping[str, int] = {name: tracker[name] for name in names}

    def __getitem__(self, name: str) -> int:
        return self.addresses[name]


class Jit:
    """A place where object code is linked. Symbols that the code does not define come from the process (libc)."""

    def __init__(self) -> None:
        # JITLink places all sections of an object side by side, which code for the small code model relies on;
        # it does not know every relocation of Windows' objects.
        self._engine = llvm.create_lljit_compiler(
            target_machine(Target.host()), use_jit_link=sys.platform != "win32")
        self._serial = count()
        self._lock = threading.Lock()

    def load(self, code: bytes, names: Sequence[str]) -> Library:
        """Links an object file and looks up ``names``; RuntimeError for a damaged file or a missing symbol."""
        builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
        for name in names:
            builder.export_symbol(name)
        with self._lock:
            return Library(builder.link(self._engine, f"library{next(self._serial)}"), names)


_jit: Jit | None = None
_jit_lock = threading.Lock()


def process_jit() -> Jit:
    """The JIT of this process, made at the first request (about 1 ms)."""
    global _jit
    with _jit_lock:
        if _jit is None:
            _jit = Jit()
        return _jit
