"""Putting a row in order by the digits of its elements: a radix sort, from the least digit to the greatest.

Every element gets a key, an unsigned integer that rises with it. Each pass counts how often each digit occurs, so that
it is known where the elements of a digit begin, and moves the elements there in their order: n steps a pass, whatever
the elements are. Equal keys are never exchanged, hence the order is stable. Source: Knuth, TAOCP 3, section 5.2.5.

Where only the first few places are wanted, the greatest digits say which elements can come there, and only these move.
In short rows the place of an element is the number of elements before it, counted for all of them in the lanes of a
vector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from codegen.loop_builder import INDEX, LoopBuilder, literal
from codegen.loops import (
    Allocate,
    Atom,
    Buffer,
    Carried,
    Extract,
    For,
    If,
    Load,
    LoopKind,
    Reinterpret,
    Space,
    ValueType,
)
from ir.dtype import DType, dtypes

_UNSIGNED = {1: dtypes.uint8, 2: dtypes.uint16, 4: dtypes.uint32, 8: dtypes.uint64}
_SIGNED = {1: dtypes.int8, 2: dtypes.int16, 4: dtypes.int32, 8: dtypes.int64}
_CLEARED = 16  # counters that are cleared together
_FEW = 4  # the first places are selected before they are sorted where they are at most one in so many
SHORTEST = 33  # rows of fewer elements are sorted by counting

def key_dtype(dtype: DType) -> DType:
    """The type of the keys of elements: as long as they are, and that of float32 for the 16-bit floats."""
    return dtypes.uint32 if dtype.is_float and dtype.itemsize == 2 else _UNSIGNED[dtype.itemsize]


def rising_key(builder: LoopBuilder, value: Atom, descending: bool) -> Atom:
    """An unsigned integer that is less for a value that comes earlier; NaN is beyond every number, -0.0 equals 0.0."""
    unsigned = key_dtype(value.type.dtype)
    if value.type.dtype.itemsize < unsigned.itemsize:
        value = builder.convert(value, dtypes.float32)
    if value.type.dtype.is_bool:
        value = builder.convert(value, unsigned)
    dtype = value.type.dtype
    if dtype.is_float:
        key = _key_of_float(builder, value)
    elif dtype.kind == "int":
        key = _bits(builder, builder.apply("bit_xor", value, literal(dtype.minimum, dtype)), unsigned)
    else:
        key = value
    return builder.apply("bit_not", key) if descending else key


def _key_of_float(builder: LoopBuilder, value: Atom) -> Atom:
    """The bits, with the sign turned for positive numbers and all bits for negative ones."""
    size = value.type.dtype.itemsize
    signed, unsigned = _SIGNED[size], _UNSIGNED[size]
    bits = _bits(builder, builder.apply("add", value, literal(0.0, value.type.dtype)), signed)  # -0.0 becomes 0.0
    sign = builder.apply("shift_right", bits, literal(8 * size - 1, signed))
    turned = builder.apply("bit_xor", bits, builder.apply("bit_or", sign, literal(signed.minimum, signed)))
    key = _bits(builder, turned, unsigned)
    return builder.where(builder.compare("not_equal", value, value), literal(unsigned.maximum, unsigned), key)


def _bits(builder: LoopBuilder, value: Atom, dtype: DType) -> Atom:
    return builder.let(Reinterpret(value, ValueType(dtype, value.type.lanes)), "bits")


def places_by_counting(builder: LoopBuilder, keys: Atom, length: int) -> Atom:
    """For the first ``length`` lanes of a vector of keys, how many of them come before each (int32)."""
    lanes = keys.type.lanes
    numbers = builder.lane_index(dtypes.int32, lanes)
    places: Atom = literal(0, dtypes.int32, lanes)
    for number in range(length):
        key = builder.let(Extract(keys, number, ValueType(keys.type.dtype)), "key")
        behind = builder.compare("less", literal(number, dtypes.int32), numbers)
        same = builder.apply("bit_and", behind, builder.compare("equal", key, keys))
        before = builder.apply("bit_or", same, builder.compare("less", key, keys))
        places = builder.apply("add", places, builder.convert(before, dtypes.int32))
    return places


@contextmanager
def counted(builder: LoopBuilder, hint: str, extent: int | Atom, step: int = 1,
            carried: Sequence[Carried] = ()) -> Iterator[Atom]:
    """The body of a serial loop that is appended when it is complete."""
    variable = builder.variable(hint, INDEX, builder.depth + 1)
    with builder.body(conditional=not isinstance(extent, int)) as scope:
        yield variable
    stop = literal(extent, dtypes.int64) if isinstance(extent, int) else extent
    builder.append(For(variable, literal(0, dtypes.int64), stop, step, LoopKind.SERIAL, scope.statements,
                       list(carried)))


def carried(builder: LoopBuilder, name: str, dtype: DType) -> Carried:
    """A number that begins with 0 and that a loop about to be opened changes: give it its ``next`` inside."""
    inside = builder.variable(name, ValueType(dtype), builder.depth + 1)
    return Carried(inside, literal(0, dtype), inside, builder.variable(f"last_{name}", ValueType(dtype)))


class RowSort:
    """Writes the loops that find the first ``count`` positions of a row of ``length`` keys of ``dtype`` in order.

    What moves from pass to pass is an entry: a key of up to 32 bits and its position in one word, or a longer key with
    the position in an array of its own. Entries go from one array to the other and back; the last pass stores only
    positions, by ``store(place, position)``. ``key(position)`` gives the key of an element, inside a loop over them.
    """

    def __init__(self, builder: LoopBuilder, length: int, count: int, dtype: DType, name: str) -> None:
        self.builder, self.length, self.count, self.name = builder, length, count, name
        self.key_bits = 8 * dtype.itemsize
        self.selects = count * _FEW <= length
        moved = count + length // 64 if self.selects else length  # about so many
        self.digit_bits = min(4 if moved < 64 else 8 if moved < 1 << 15 else 11, self.key_bits)
        self.passes = -(-self.key_bits // self.digit_bits)
        self.packed = self.key_bits <= 32
        self.counts = self._array("counts", dtypes.int32, self.passes << self.digit_bits)
        word = dtypes.uint64 if self.packed else dtype
        self.entries = [self._array(f"entries{side}", word, length) for side in (0, 1)]
        self.positions = [] if self.packed else [
            self._array(f"positions{side}", dtypes.int32, length) for side in (0, 1)]

    def _array(self, name: str, dtype: DType, size: int) -> Buffer:
        buffer = Buffer(f"{self.name}_{name}", dtype, size, Space.SCRATCH)
        self.builder.written.add(buffer)
        self.builder.append(Allocate(buffer))
        return buffer

    def write(self, key: Callable[[Atom], Atom], store: Callable[[Atom, Atom], None]) -> None:
        """The whole sort."""
        self._clear(self.counts)
        if self.selects:
            moved: int | Atom = self._select(key)
            with counted(self.builder, "i", moved) as index:
                self._count_digits(self._load(self.entries[0], index))
        else:
            moved = self.length
            with counted(self.builder, "i", moved) as index:
                self._count_digits(self._enter(index, index, key(index)))
        self._sum_up()
        for number in range(self.passes):
            self._move(number, moved, store)

    # ---------------------------------------------------------------------------------------------- selection

    def _select(self, key: Callable[[Atom], Atom]) -> Atom:
        """Enters the elements whose greatest digit is at most that of the last place wanted; how many there are."""
        builder = self.builder
        bits = min(self.key_bits, 8 if self.length < 1 << 14 else 11)
        counts = self._array("selection", dtypes.int32, 1 << bits)
        self._clear(counts)
        with counted(builder, "i", self.length) as index:
            self._increment(counts, self._digit(key(index), self.key_bits - bits, bits))
        last = self._digit_of_place(counts, bits)
        entered = carried(builder, "entered", dtypes.int64)
        with counted(builder, "i", self.length, carried=[entered]) as index:
            value = key(index)
            self._enter(entered.inside, index, value)  # the next one takes its place unless it is wanted
            wanted = builder.compare("less_equal", self._digit(value, self.key_bits - bits, bits), last)
            entered.next = builder.apply("add", entered.inside, builder.convert(wanted, dtypes.int64))
        return entered.result

    def _digit_of_place(self, counts: Buffer, bits: int) -> Atom:
        """The digit of the element that comes at the last place wanted: the last one with fewer elements before it."""
        builder = self.builder
        before, last = carried(builder, "before", dtypes.int32), carried(builder, "digit", dtypes.int64)
        with counted(builder, "d", 1 << bits, carried=[before, last]) as digit:
            reaches = builder.compare("less", before.inside, literal(self.count, dtypes.int32))
            last.next = builder.where(reaches, digit, last.inside)
            before.next = builder.apply("add", before.inside, self._load(counts, digit))
        return last.result

    # ------------------------------------------------------------------------------------------------- passes

    def _clear(self, counts: Buffer) -> None:
        lanes = min(_CLEARED, counts.size)
        with counted(self.builder, "c", counts.size, lanes) as first:
            self.builder.store(counts, first, literal(0, dtypes.int32, lanes))

    def _enter(self, place: Atom, position: Atom, key: Atom) -> Atom:
        """Stores the entry of an element; the entry."""
        builder = self.builder
        if self.packed:
            shifted = builder.apply("shift_left", builder.convert(key, dtypes.uint64), literal(32, dtypes.uint64))
            key = builder.apply("bit_or", shifted, builder.convert(position, dtypes.uint64))
        else:
            builder.store(self.positions[0], place, builder.convert(position, dtypes.int32))
        builder.store(self.entries[0], place, key)
        return key

    def _count_digits(self, entry: Atom) -> None:
        for number in range(self.passes):
            self._increment(self.counts, self._counter(entry, number))

    def _increment(self, counts: Buffer, counter: Atom) -> Atom:
        """Adds 1 to a counter; what it was before."""
        before = self._load(counts, counter)
        self.builder.store(counts, counter, self._plus(before, 1))
        return before

    def _sum_up(self) -> None:
        """Each count becomes the number of elements whose digit is less: the place of the first with this digit."""
        for number in range(self.passes):
            before = carried(self.builder, "before", dtypes.int32)
            with counted(self.builder, "d", 1 << self.digit_bits, carried=[before]) as digit:
                place = self._plus(digit, number << self.digit_bits)
                count = self._load(self.counts, place)
                self.builder.store(self.counts, place, before.inside)
                before.next = self.builder.apply("add", before.inside, count)

    def _move(self, number: int, moved: int | Atom, store: Callable[[Atom, Atom], None]) -> None:
        """Moves every entry to the next place of its digit."""
        builder, source = self.builder, number % 2
        with counted(builder, "i", moved) as index:
            entry = self._load(self.entries[source], index)
            place = builder.convert(self._increment(self.counts, self._counter(entry, number)), dtypes.int64)
            if self.packed:
                low = builder.apply("bit_and", entry, literal((1 << 32) - 1, dtypes.uint64))
                position = builder.convert(low, dtypes.int32)
            else:
                position = self._load(self.positions[source], index)
            if number == self.passes - 1:
                self._store_if_wanted(place, position, store)
                return
            builder.store(self.entries[1 - source], place, entry)
            if not self.packed:
                builder.store(self.positions[1 - source], place, position)

    def _store_if_wanted(self, place: Atom, position: Atom, store: Callable[[Atom, Atom], None]) -> None:
        if self.count == self.length:
            store(place, position)
            return
        wanted = self.builder.compare("less", place, literal(self.count, dtypes.int64))
        with self.builder.body(conditional=True) as scope:
            store(place, position)
        self.builder.append(If(wanted, scope.statements, []))

    # ------------------------------------------------------------------------------------------------- digits

    def _counter(self, entry: Atom, number: int) -> Atom:
        """Which counter belongs to digit ``number`` of an entry."""
        digit = self._digit(entry, number * self.digit_bits + (32 if self.packed else 0), self.digit_bits)
        return self._plus(digit, number << self.digit_bits)

    def _digit(self, value: Atom, shift: int, bits: int) -> Atom:
        builder, dtype = self.builder, value.type.dtype
        digit = builder.apply("shift_right", value, literal(shift, dtype)) if shift else value
        return builder.convert(builder.apply("bit_and", digit, literal((1 << bits) - 1, dtype)), dtypes.int64)

    def _load(self, buffer: Buffer, index: Atom) -> Atom:
        return self.builder.let(Load(buffer, index, ValueType(buffer.dtype)), "e")

    def _plus(self, value: Atom, number: int) -> Atom:
        return self.builder.apply("add", value, literal(number, value.type.dtype)) if number else value
