"""Programs on disk: a graph that an earlier process compiled is neither scheduled nor lowered again.

    >>> store = ProgramStore(DiskCache.default("programs"))
    >>> key = store.key(structure, target)
    >>> program = store.get(key, graph)          # None: not there, damaged, or of another version of this project
    >>> store.put(key, program, graph)

An entry depends on the structure of the graph, the target, and every source file of the compiler. It holds no user's
file names: the lines that kernels come from are kept as numbers of nodes, and are those of the graph at hand again.
"""

from __future__ import annotations

import gc
import hashlib
import io
import pickle
from collections.abc import Hashable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import ir
from codegen.target import Target
from ir.dtype import DType, dtype_named
from ir.node import Location
from ir.op import Op
from ir.phases import phase
from ir.symbolic import Dimension
from runtime.canonical import CanonicalGraph
from runtime.disk_cache import DiskCache, cache_key
from runtime.program import Program
from runtime.structure import Structure

_COMPILER = ("ir", "codegen", "runtime")
_UNKNOWN_LINE = Location("?", 0)


class ProgramStore:
    """Programs by the structure of their graphs, in ``cache``. found, missed: how often ``get`` had an answer."""

    def __init__(self, cache: DiskCache) -> None:
        self.cache = cache
        self.found = self.missed = 0

    def key(self, structure: Structure, target: Target, stamp: str = "") -> str | None:
        """The name of the graph's entry; None where an attribute has no text that says all about it.

        stamp: of the choices that searches have found (``FoundChoices.stamp``).
        """
        with phase("digest"):
            try:
                return cache_key(_structure_text(structure.key), repr(target), compiler_digest(), stamp)
            except _NoText:
                return None

    def get(self, key: str | None, graph: CanonicalGraph) -> Program | None:
        """The program of that entry, with the lines of ``graph``."""
        payload = self.cache.get(key) if key is not None else None
        program = None if payload is None else _unpickled(payload, graph)
        self.found, self.missed = self.found + (program is not None), self.missed + (program is None)
        return program

    def put(self, key: str | None, program: Program, graph: CanonicalGraph) -> None:
        """Stores the program (or does not, where the disk does not let it)."""
        if key is not None and self.cache.directory is not None:
            with phase("store"):
                self.cache.put(key, _pickled(program, graph))


# --------------------------------------------------------------------------------------------------------- contents


def _lines(graph: CanonicalGraph) -> list[Location | None]:
    """The user's line of every node, in an order that graphs of equal structure share."""
    return [node.location for node in ir.topological_order(graph.roots)]


def _pickled(program: Program, graph: CanonicalGraph) -> bytes:
    numbers: dict[Location | None, int] = {}
    for number, line in enumerate(_lines(graph)):
        numbers.setdefault(line, number)
    file = io.BytesIO()
    _Pickler(file, numbers).dump(program)
    return file.getvalue()


def _unpickled(payload: bytes, graph: CanonicalGraph) -> Program | None:
    """The program; None for an entry that is sound by its checksum and yet no program."""
    enabled = gc.isenabled()
    gc.disable()  # nothing of what is read becomes garbage
    try:
        with phase("restore"):
            program = _Unpickler(io.BytesIO(payload), graph).load()
    except (pickle.UnpicklingError, AttributeError, ImportError, IndexError, KeyError, TypeError, ValueError, EOFError):
        return None
    finally:
        if enabled:
            gc.enable()
    return program if isinstance(program, Program) else None


class _Pickler(pickle.Pickler):
    """Writes element types as their names, and the user's lines as the numbers of nodes that they made."""

    def __init__(self, file: io.BytesIO, numbers: dict[Location | None, int]) -> None:
        super().__init__(file, protocol=5)
        self._numbers = numbers

    def persistent_id(self, value: Any) -> Any:
        if type(value) is DType:
            return value.name
        return self._numbers.get(value, -1) if type(value) is Location else None


class _Unpickler(pickle.Unpickler):
    """Reads what ``_Pickler`` wrote, and makes objects of the compiler's own classes only."""

    def __init__(self, file: io.BytesIO, graph: CanonicalGraph) -> None:
        super().__init__(file)
        self._graph = graph
        self._known_lines: list[Location | None] = []

    def persistent_load(self, reference: Any) -> Any:
        if isinstance(reference, str):
            return dtype_named(reference)
        if not self._known_lines:
            self._known_lines = _lines(self._graph)
        line = self._known_lines[reference] if reference >= 0 else None
        return line or _UNKNOWN_LINE

    def find_class(self, module: str, name: str) -> Any:
        if module in ("codegen.loops", "runtime.program") or (module, name) in _OTHER_CLASSES:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a program")


_OTHER_CLASSES = {("ir.dtype", "NegativeZero"), ("codegen.partials", "Temporary")}

# --------------------------------------------------------------------------------------------------------- keys


class _NoText(Exception):
    """A value of a type that no text is known for."""


def _structure_text(key: Any) -> str:
    """A text that is equal for equal structures only."""
    entries, *rest = key
    known: dict[Hashable, str] = {}
    parts = []
    for op, attributes, *operands in entries:
        text = known.get(attributes)
        if text is None:
            text = known[attributes] = _text(attributes)
        parts.append(f"{op.name}{text}{operands}")
    return "\n".join([*parts, *map(_text, rest)])


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({','.join(map(_text, value))})"
    if value is None or type(value) in (int, str, bytes, bool):
        return repr(value)
    if type(value) is float:
        return value.hex()
    if isinstance(value, DType):
        return value.name
    if isinstance(value, Op):
        return f"op {value.name}"
    if isinstance(value, Dimension):
        bounds = ((variable.name, variable.low, variable.high) for variable in value.variables)
        return f"{value!r} {sorted(bounds)}"
    raise _NoText


@lru_cache(maxsize=1)
def compiler_digest() -> str:
    """A digest of every source file that decides what a graph is compiled to."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for path in _sources(root / package for package in _COMPILER):
        contents = path.read_bytes()
        digest.update(f"{path.relative_to(root)} {len(contents)}\n".encode() + contents)
    return digest.hexdigest()


def _sources(packages: Iterable[Path]) -> Sequence[Path]:
    return [path for package in packages for path in sorted(package.rglob("*.py"))]


