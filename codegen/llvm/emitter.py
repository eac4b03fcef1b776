"""From the loop IR to LLVM IR text: one native function per ``loops.Function``.

Signature: ``void name(ptr arguments, ptr symbols, i64 begin, i64 end, ptr scratch)``. ``arguments`` holds the address
of each parameter, ``symbols`` the program's run-time integers, [begin, end) are the tasks to run (iterations of the
PARALLEL loop), ``scratch`` is this thread's workspace. Loops become rotated loops whose carried values are phis; every
statement is visited once, so that emission is linear in the size of the function (an UNROLL loop counts unrolled).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from codegen import loops
from codegen.alignment import index_multiples, multiple_of
from codegen.llvm import memory
from codegen.llvm.builder import FunctionBuilder, Module, Value, phi_text, splat
from codegen.llvm.expressions import EXPRESSIONS
from codegen.llvm.operations import UnsupportedOperation
from codegen.llvm.scratch import ScratchLayout, scratch_layout
from codegen.llvm.types import INDEX, POINTER, REPRESENTATIONS, literal_text, register_type

if TYPE_CHECKING:
    from codegen.target import Target


def emit_module(functions: Sequence[loops.Function], target: Target, symbol_slots: Mapping[str, int]) -> str:
    """LLVM IR text that defines every function under its own name.

    symbol_slots: the position of each run-time symbol in the program's symbol table. A function whose PARALLEL loop
    has run-time bounds also gets ``i64 NAME.tasks(ptr symbols)``, the number of its tasks.
    Raises UnsupportedOperation for what a CPU does not have, with the name of the function.
    """
    module = Module(target.vector_bytes * 8)
    for function in functions:
        try:
            module.functions.append(FunctionEmitter(module, function, symbol_slots).text())
            if task_count(function) is None:
                module.functions.append(FunctionEmitter(module, function, symbol_slots).task_count_text())
        except UnsupportedOperation as error:
            raise UnsupportedOperation(f"function {function.name!r}: {error}") from error
    return module.text()


def task_count(function: loops.Function) -> int | None:
    """How many tasks the function has: the trip count of its PARALLEL loop, 1 without one, None if only known at run
    time (then ``NAME.tasks`` computes it)."""
    loop = parallel_loop(function)
    if loop is None:
        return 1
    if isinstance(loop.start, loops.Literal) and isinstance(loop.stop, loops.Literal):
        return len(range(int(loop.start.value), int(loop.stop.value), loop.step))
    return None


def parallel_loop(function: loops.Function) -> loops.For | None:
    """The loop whose iterations are the tasks; it is a statement of the function's own body."""
    for statement in function.body:
        if isinstance(statement, loops.For) and statement.kind is loops.LoopKind.PARALLEL:
            return statement
    return None


def bound_definitions(function: loops.Function, loop: loops.For) -> list[loops.Let]:
    """The definitions in the function's own body that the bounds of ``loop`` depend on, in order."""
    needed = {loop.start, loop.stop}
    found = []
    for statement in reversed(function.body):
        if isinstance(statement, loops.Let) and statement.variable in needed:
            found.append(statement)
            needed.update(_operands(statement.value))
    return found[::-1]


def _operands(value: loops.Value) -> Iterator[loops.Atom]:
    fields = [value] if isinstance(value, (loops.Literal, loops.Variable)) else vars(value).values()
    for field in fields:
        for item in field if isinstance(field, tuple) else (field,):
            if isinstance(item, (loops.Literal, loops.Variable)):
                yield item


class FunctionEmitter:
    """The state of emitting one function: its instructions and what every variable and buffer is called."""

    def __init__(self, module: Module, function: loops.Function, symbol_slots: Mapping[str, int]) -> None:
        self.builder = FunctionBuilder(module)
        self.function = function
        self.values: dict[loops.Variable, Value] = {}
        self.pointers: dict[str, Value] = {}
        self.symbols: dict[str, Value] = {}
        self._symbol_slots = symbol_slots
        self._uses_of_name: dict[str, int] = {}
        self._literals: dict[tuple[float, loops.ValueType], Value] = {}
        self._multiples: dict[loops.Variable, int] | None = None
        self._range: tuple[Value, Value] | None = None

    # ------------------------------------------------------------------------------------------ whole functions

    def text(self) -> str:
        """The definition of the function."""
        builder = self.builder
        self._read_parameters()
        self._read_symbols()
        self._place_scratch(scratch_layout(self.function))
        self._range = (Value(builder, INDEX, "%begin"), Value(builder, INDEX, "%end"))
        self.body(self.function.body)
        builder.emit("ret void")
        signature = "ptr %arguments, ptr %symbols, i64 %begin, i64 %end, ptr %scratch"
        head = f"define void {_global_name(self.function.name)}({signature}) #0 {{"
        return "\n".join([head, "entry:", *builder.lines, "}"])

    def task_count_text(self) -> str:
        """The definition of ``NAME.tasks``: the trip count of the PARALLEL loop, from what its bounds depend on."""
        loop = parallel_loop(self.function)
        assert loop is not None
        self._read_symbols()
        for let in bound_definitions(self.function, loop):
            self.let(let)
        span = self.atom(loop.stop) - self.atom(loop.start) + (loop.step - 1)
        count = span.binary("sdiv", loop.step)
        result = (count > 0).select(count, 0)
        head = f"define i64 {_global_name(self.function.name + '.tasks')}(ptr %symbols) #0 {{"
        return "\n".join([head, "entry:", *self.builder.lines, f"  ret {result.typed}", "}"])

    def _read_parameters(self) -> None:
        arguments = Value(self.builder, POINTER, "%arguments")
        for number, buffer in enumerate(self.function.parameters):
            if buffer.name in self.pointers:
                raise UnsupportedOperation(f"two parameters are named {buffer.name!r}")
            slot = self.builder.value(POINTER, f"getelementptr inbounds ptr, {arguments.typed}, i64 {number}")
            address = self.builder.value(POINTER, f"load ptr, {slot.typed}, align 8")
            self.pointers[buffer.name] = self._renamed(address, buffer.name)

    def _read_symbols(self) -> None:
        for name in self.function.symbols:
            if name not in self._symbol_slots:
                raise UnsupportedOperation(f"symbol {name!r} has no slot; there are {sorted(self._symbol_slots)}")
            slot = self.builder.value(POINTER, f"getelementptr inbounds i64, ptr %symbols, i64 "
                                               f"{self._symbol_slots[name]}")
            self.symbols[name] = self._renamed(self.builder.value(INDEX, f"load i64, {slot.typed}, align 8"), name)

    def _place_scratch(self, layout: ScratchLayout) -> None:
        if not layout.offsets:
            return
        base = Value(self.builder, POINTER, "%scratch")
        if layout.on_stack:
            base = self.builder.value(POINTER, f"alloca [{layout.nbytes} x i8], align {memory.CACHE_LINE}")
        for name, offset in layout.offsets.items():
            pointer = self.builder.value(POINTER, f"getelementptr inbounds i8, {base.typed}, i64 {offset}")
            self.pointers[name] = self._renamed(pointer, name)

    # ------------------------------------------------------------------------------------------------- operands

    def atom(self, atom: loops.Atom) -> Value:
        """The value of an operand."""
        if isinstance(atom, loops.Literal):
            return self._literal(atom)
        value = self.values.get(atom)
        if value is None:
            raise UnsupportedOperation(f"variable {atom.name!r} is used before it is bound")
        return value

    def _literal(self, literal: loops.Literal) -> Value:
        key = literal.value, literal.type
        value = self._literals.get(key)
        if value is None:
            value = Value(self.builder, register_type(literal.type), literal_text(literal))
            if literal.value != 0:  # 0.0 and -0.0 are the same key, and so are False and 0
                self._literals[key] = value
        return value

    def bind(self, variable: loops.Variable, value: Value) -> None:
        """Gives ``variable`` its value; the instruction that made it takes the variable's name."""
        self.values[variable] = self._renamed(value, variable.name)

    def _renamed(self, value: Value, name: str) -> Value:
        """``value`` called ``name`` if the last instruction made it and nothing else names it yet, so that dumps read
        like the loop IR."""
        lines = self.builder.lines
        if lines and value.text.startswith("%."):
            made, _, instruction = lines[-1].partition(" = ")
            if made[2:] == value.text:
                readable = self.unique_name(name)
                lines[-1] = f"  {readable} = {instruction}"
                return Value(self.builder, value.type, readable)
        return value

    def unique_name(self, name: str) -> str:
        """``%name``, with a number from its second use on (the copies of an unrolled loop)."""
        uses = self._uses_of_name.get(name, 0)
        self._uses_of_name[name] = uses + 1
        numbered = f"v.{name}.{uses}" if uses else f"v.{name}"
        return f"%{numbered}" if _is_plain(name) else f'%"{_escaped(numbered)}"'

    # ----------------------------------------------------------------------------------------------- statements

    def body(self, statements: Sequence[loops.LoopStatement]) -> None:
        """Statements in order."""
        for statement in statements:
            self.statement(statement)

    def statement(self, statement: loops.LoopStatement) -> None:
        emit = _STATEMENTS.get(type(statement))
        if emit is None:
            raise UnsupportedOperation(f"a CPU has no {type(statement).__name__}")
        emit(self, statement)

    def let(self, let: loops.Let) -> None:
        value = let.value
        emit = EXPRESSIONS.get(type(value))
        if emit is None:
            raise UnsupportedOperation(f"a CPU has no {type(value).__name__} ({let.variable.name!r})")
        self.bind(let.variable, emit(self, value))

    def store(self, statement: loops.Store) -> None:
        name = statement.buffer.dtype.name
        value = self.atom(statement.value)
        pointer = self.element(statement.buffer, statement.index)
        if statement.mask is not None:
            memory.masked_store(value, pointer, name, self._store_mask(statement.mask, name))
        else:
            memory.store(value, pointer, name, statement.streaming and self._is_aligned(statement))

    def _store_mask(self, mask: loops.Atom, dtype_name: str) -> Value:
        """The mask in a form that LLVM does not see through for elements below 4 bytes.

        LLVM 20 makes a store of 4 bytes of a truncation that is stored under a constant mask of one lane: it overwrites
        what follows. No task has a negative number, but LLVM does not know that.
        """
        value = self.atom(mask)
        if REPRESENTATIONS[dtype_name].itemsize >= 4 or value.type.lanes == 1 or self._range is None:
            return value
        return value & splat(self._range[0] > -1, value.type.lanes)

    def _is_aligned(self, statement: loops.Store) -> bool:
        """Whether the index is known to be a multiple of the lanes: only then can a store bypass the caches."""
        if self._multiples is None:
            self._multiples = index_multiples(self.function)
        return multiple_of(statement.index, self._multiples) % statement.value.type.lanes == 0

    def scatter_store(self, statement: loops.ScatterStore) -> None:
        value = self.atom(statement.value)
        mask = memory.all_lanes(value) if statement.mask is None else self.atom(statement.mask)
        memory.scatter(value, self.element(statement.buffer, statement.indices), statement.buffer.dtype.name, mask)

    def element(self, buffer: loops.Buffer, index: loops.Atom) -> Value:
        """The address of an element (of one per lane, for a vector of indices)."""
        base = self.pointers.get(buffer.name)
        if base is None:
            raise UnsupportedOperation(f"buffer {buffer.name!r} is neither a parameter nor allocated")
        return memory.element_pointer(base, self.atom(index), buffer.dtype.name)

    def branch(self, statement: loops.If) -> None:
        builder = self.builder
        then, done = builder.label("then"), builder.label("endif")
        otherwise = builder.label("else") if statement.otherwise else done
        builder.branch_if(self.atom(statement.condition), then, otherwise)
        builder.place(then)
        self.body(statement.then)
        builder.branch(done)
        if statement.otherwise:
            builder.place(otherwise)
            self.body(statement.otherwise)
            builder.branch(done)
        builder.place(done)

    def comment(self, statement: loops.Comment) -> None:
        for line in statement.text.splitlines():
            self.builder.emit(f"; {line}")

    def allocate(self, statement: loops.Allocate) -> None:
        """Scratch has its place since the entry of the function."""
        if statement.buffer.space is not loops.Space.SCRATCH:
            raise UnsupportedOperation(f"a CPU has no {statement.buffer.space.value} memory "
                                       f"({statement.buffer.name!r})")

    # ---------------------------------------------------------------------------------------------------- loops

    def loop(self, loop: loops.For) -> None:
        if loop.kind is loops.LoopKind.UNROLL:
            self._unrolled_loop(loop)
        elif loop.kind is loops.LoopKind.SERIAL:
            self._counted_loop(loop, self.atom(loop.start), self.atom(loop.stop))
        elif loop.kind is loops.LoopKind.PARALLEL:
            self._task_loop(loop)
        else:
            raise UnsupportedOperation(f"a CPU has no {loop.kind.value} loop ({loop.index.name!r})")

    def _task_loop(self, loop: loops.For) -> None:
        """The iterations with numbers in [begin, end)."""
        if self._range is None or loop.carried:
            problem = "carries values" if loop.carried else "is not the only one, or not outermost"
            raise UnsupportedOperation(f"PARALLEL loop {loop.index.name!r} {problem}")
        first, last = self._range
        self._range = None
        start = self.atom(loop.start)
        self._counted_loop(loop, start + first * loop.step, start + last * loop.step)

    def _unrolled_loop(self, loop: loops.For) -> None:
        if loop.carried or not isinstance(loop.start, loops.Literal) or not isinstance(loop.stop, loops.Literal):
            raise UnsupportedOperation(f"UNROLL loop {loop.index.name!r} needs constant bounds and no carried values")
        for number in range(int(loop.start.value), int(loop.stop.value), loop.step):
            self.values[loop.index] = self.builder.constant(INDEX, number)
            self.body(loop.body)

    def _counted_loop(self, loop: loops.For, start: Value, stop: Value) -> None:
        """Entered after a test, left by a test at the end: one branch per iteration."""
        builder = self.builder
        head, done = builder.label("loop"), builder.label("done")
        initial = [self.atom(carried.initial) for carried in loop.carried]
        certain = _runs_at_least_once(loop)
        before = builder.block
        if certain:
            builder.branch(head)
        else:
            builder.branch_if(start < stop, head, done)
        builder.place(head)
        index, inside, position = self._loop_variables(loop, initial)
        self.body(loop.body)
        following = index.binary("add nsw", loop.step)
        final = [self.atom(carried.next) for carried in loop.carried]
        again, last = following < stop, builder.block
        builder.branch_if(again, head, done)
        builder.lines[position] = "\n".join(
            f"  {name.text} = {phi_text(name.type, [(first.text, before), (next_.text, last)])}"
            for name, first, next_ in [(index, start, following), *zip(inside, initial, final, strict=True)])
        builder.place(done)
        for carried, first, next_ in zip(loop.carried, initial, final, strict=True):
            result = next_ if certain else builder.phi(next_.type, [(first, before), (next_, last)])
            self.bind(carried.result, result)

    def _loop_variables(self, loop: loops.For, initial: Sequence[Value]) -> tuple[Value, list[Value], int]:
        """The index and the carried values inside, and the line that their phis will take once the body is known."""
        index = Value(self.builder, INDEX, self.unique_name(loop.index.name))
        inside = [Value(self.builder, value.type, self.unique_name(carried.inside.name))
                  for value, carried in zip(initial, loop.carried, strict=True)]
        self.values[loop.index] = index
        self.values.update((carried.inside, value) for carried, value in zip(loop.carried, inside, strict=True))
        self.builder.lines.append("")
        return index, inside, len(self.builder.lines) - 1


def _runs_at_least_once(loop: loops.For) -> bool:
    """Whether a SERIAL loop's bounds are constants that say so (a PARALLEL loop may be given no tasks)."""
    return loop.kind is loops.LoopKind.SERIAL and isinstance(loop.start, loops.Literal) \
        and isinstance(loop.stop, loops.Literal) and loop.start.value < loop.stop.value


_STATEMENTS: dict[type[Any], Callable[[FunctionEmitter, Any], None]] = {
    loops.Let: FunctionEmitter.let,
    loops.Store: FunctionEmitter.store,
    loops.ScatterStore: FunctionEmitter.scatter_store,
    loops.For: FunctionEmitter.loop,
    loops.If: FunctionEmitter.branch,
    loops.Comment: FunctionEmitter.comment,
    loops.Allocate: FunctionEmitter.allocate,
}


def _is_plain(name: str) -> bool:
    return name.isidentifier() and name.isascii()


def _escaped(name: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else f"\\{b:02X}"
                   for c in name for b in (c.encode("utf-8")[:1] if c.isascii() else c.encode("utf-8")))


def _global_name(name: str) -> str:
    return "@" + (name if _is_plain(name) else f'"{_escaped(name)}"')
