"""From loop IR to loaded machine code: emitted, compiled or found on disk, linked, and kept for the next program."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from codegen.llvm import compiler_version, emit_module, object_code, scratch_bytes, task_count
from codegen.loops import Function
from codegen.target import Target
from ir.phases import phase
from runtime.cpu.commands import NativeFunction
from runtime.cpu.jit import Library, process_jit
from runtime.disk_cache import DiskCache, cache_key

_FUNCTIONS_KEPT = 4096


class FunctionCompiler:
    """Compiles functions for ``target``, one module each: equal functions of different programs share their code on
    disk, and the identical function shares it in memory.

    compiled: how often LLVM generated code. loaded: how often code came from disk instead.
    """

    def __init__(self, target: Target, cache: DiskCache) -> None:
        self.target, self.cache = target, cache
        self.compiled = self.loaded = 0
        self._known: OrderedDict[tuple[int, tuple[int, ...]], tuple[Function, Library, NativeFunction]] = OrderedDict()
        self._lock = threading.Lock()

    def function(self, function: Function, symbol_slots: Mapping[str, int]) -> tuple[Library, NativeFunction]:
        """The function's code. The caller keeps the library as long as it uses the addresses."""
        key = id(function), tuple(symbol_slots[name] for name in function.symbols)
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
        with phase("emit"):
            text = emit_module([function], self.target, symbol_slots)
        tasks = task_count(function)
        counter = f"{function.name}.tasks"
        library = self.module(text, [function.name] if tasks is not None else [function.name, counter])
        return library, NativeFunction(library[function.name], tasks, library[counter] if tasks is None else 0,
                                       scratch_bytes(function))

    def module(self, text: str, names: Sequence[str]) -> Library:
        """A module of LLVM IR, loaded: from disk where its object code is there and sound."""
        key = cache_key(text, self.target.arch, self.target.features, compiler_version())
        code = self.cache.get(key)
        if code is not None:
            try:
                library = self._load(code, names)
                self.loaded += 1
                return library
            except RuntimeError:  # sound by its checksum, but no object that this LLVM can link
                pass
        code = object_code(text, self.target)
        self.compiled += 1
        self.cache.put(key, code)
        return self._load(code, names)

    @staticmethod
    def _load(code: bytes, names: Sequence[str]) -> Library:
        with phase("load"):
            return process_jit().load(code, names)
