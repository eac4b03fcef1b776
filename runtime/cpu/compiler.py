"""From loop IR to loaded machine code: emitted, compiled or found on disk, linked, and kept for the next program."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from codegen.llvm import compiler_version, emit_module, object_code, scratch_bytes, task_count
from codegen.loops import Function
from codegen.target import Target
from ir.phases import phase
from runtime.cpu.commands import NativeFunction
from runtime.cpu.jit import Library, process_jit
from runtime.disk_cache import DiskCache, cache_key
from runtime.program_store import compiler_digest

_FUNCTIONS_KEPT = 4096
_Key = tuple["int | str", tuple[int, ...]]  # the digest of a function (or its id), and the slots of its symbols


class FunctionCompiler:
    """Compiles functions for ``target``, one module each: equal functions of different programs share their code, in
    memory and on disk. What was lowered before is found by its digest, without emitting it again.

    compiled: how often LLVM generated code. loaded: how often code came from disk instead.
    """

    def __init__(self, target: Target, cache: DiskCache) -> None:
        self.target, self.cache = target, cache
        self.compiled = self.loaded = 0
        self._known: OrderedDict[_Key, tuple[Function, Library, NativeFunction]] = OrderedDict()
        self._lock = threading.Lock()

    def function(self, function: Function, symbol_slots: Mapping[str, int]) -> tuple[Library, NativeFunction]:
        """The function's code. The caller keeps the library as long as it uses the addresses."""
        slots = tuple(symbol_slots[name] for name in function.symbols)
        key = function.digest or id(function), slots
        with self._lock:
            known = self._known.get(key)
            if known is None:
                library, native = self._compiled(function, symbol_slots)
                known = self._known[key] = function, library, native  # the function stays alive: its id stays its own
                if len(self._known) > _FUNCTIONS_KEPT:
                    self._known.popitem(last=False)
            else:
                self._known.move_to_end(key)
            return known[1], known[2]

    def _compiled(self, function: Function, symbol_slots: Mapping[str, int]) -> tuple[Library, NativeFunction]:
        def text() -> str:
            with phase("emit"):
                return emit_module([function], self.target, symbol_slots)

        tasks = task_count(function)
        counter = f"{function.name}.tasks"
        names = [function.name] if tasks is not None else [function.name, counter]
        if function.digest:
            slots = [f"{name}:{symbol_slots[name]}" for name in function.symbols]
            library = self._library(self._key(function.digest, function.name, *slots), text, names)
        else:
            library = self.module(text(), names)
        return library, NativeFunction(library[function.name], tasks, library[counter] if tasks is None else 0,
                                       scratch_bytes(function))

    def module(self, text: str, names: Sequence[str]) -> Library:
        """A module of LLVM IR, loaded: from disk where its object code is there and sound."""
        return self._library(self._key(text), lambda: text, names)

    def _key(self, *parts: str) -> str:
        return cache_key(self.target.arch, self.target.features, compiler_version(), compiler_digest(), *parts)

    def _library(self, key: str, text: Callable[[], str], names: Sequence[str]) -> Library:
        """The entry ``key``, made of what ``text()`` returns where it is missing or damaged."""
        code = self.cache.get(key)
        if code is not None:
            try:
                library = self._load(code, names)
                self.loaded += 1
                return library
            except RuntimeError:  # sound by its checksum, but no object that this LLVM can link
                pass
        code = object_code(text(), self.target)
        self.compiled += 1
        self.cache.put(key, code)
        return self._load(code, names)

    @staticmethod
    def _load(code: bytes, names: Sequence[str]) -> Library:
        with phase("load"):
            return process_jit().load(code, names)
