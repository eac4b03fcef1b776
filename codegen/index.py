"""Index expressions: affine in loop axes, with quotient and remainder atoms only where nothing simpler is equal.

    >>> i, j = Axis(4, "i"), Axis(8, "j")
    >>> flat = Index.of(i) * 8 + Index.of(j)
    >>> flat // 8, flat % 8
    (i, j)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import count
from math import gcd
from typing import Any, Union

_serial = count()


class Axis:
    """A loop variable: an integer in [0, extent). Compared by identity.

    ``limit`` is the run-time extent (at most ``extent``) of an axis whose length is a bounded symbolic dimension.
    """

    __slots__ = ("extent", "limit", "name", "serial")

    def __init__(self, extent: int, name: str = "", limit: Index | None = None) -> None:
        self.extent, self.limit = extent, limit
        self.serial = next(_serial)
        self.name = name or f"a{self.serial}"

    @property
    def bounds(self) -> tuple[int, int]:
        return 0, self.extent - 1

    def __repr__(self) -> str:
        return self.name


class Symbol:
    """An integer that is known only when the program runs (a bounded dimension, the step of a scan)."""

    __slots__ = ("high", "low", "name", "serial")

    def __init__(self, name: str, low: int, high: int) -> None:
        self.name, self.low, self.high = name, low, high
        self.serial = next(_serial)

    @property
    def bounds(self) -> tuple[int, int]:
        return self.low, self.high

    def __repr__(self) -> str:
        return self.name


class Dynamic:
    """An index that is loaded: the value of an integer expression (``codegen.kernel``).

    Whoever uses it reads under a guard 0 <= index < extent, so the bounds say what holds inside the guard. The guard
    itself can only be decided by loading: never drop a guard whose index contains a dynamic atom because of its bounds.
    ``axes`` are the loop axes that the expression depends on.
    """

    __slots__ = ("axes", "expression", "extent", "serial")

    def __init__(self, expression: Any, extent: int, axes: frozenset[Axis] = frozenset()) -> None:
        self.expression, self.extent, self.axes = expression, extent, axes
        self.serial = next(_serial)

    @property
    def bounds(self) -> tuple[int, int]:
        return 0, self.extent - 1

    def __repr__(self) -> str:
        return f"[{self.expression}]"


class Quotient:
    """floor(index / divisor), kept where it could not be simplified away. Interned through ``Index.__floordiv__``."""

    __slots__ = ("divisor", "index", "serial")

    def __init__(self, index: Index, divisor: int) -> None:
        self.index, self.divisor = index, divisor
        self.serial = next(_serial)

    @property
    def bounds(self) -> tuple[int, int]:
        low, high = self.index.bounds
        return low // self.divisor, high // self.divisor

    def __repr__(self) -> str:
        return f"({self.index} // {self.divisor})"


class Remainder:
    """index mod divisor, in [0, divisor). Interned through ``Index.__mod__``."""

    __slots__ = ("divisor", "index", "serial")

    def __init__(self, index: Index, divisor: int) -> None:
        self.index, self.divisor = index, divisor
        self.serial = next(_serial)

    @property
    def bounds(self) -> tuple[int, int]:
        return 0, self.divisor - 1

    def __repr__(self) -> str:
        return f"({self.index} % {self.divisor})"


Atom = Union[Axis, Symbol, Dynamic, Quotient, Remainder]
_quotients: dict[tuple[Index, int], Quotient] = {}
_remainders: dict[tuple[Index, int], Remainder] = {}
_INTERNED_ATOMS = 1 << 16


class Index:
    """constant + sum of coefficient * atom. Immutable; equal expressions compare equal."""

    __slots__ = ("__dict__", "_hash", "constant", "terms")

    def __init__(self, terms: tuple[tuple[Atom, int], ...] = (), constant: int = 0) -> None:
        self.terms, self.constant = terms, constant
        self._hash = hash((tuple((atom.serial, factor) for atom, factor in terms), constant))

    @staticmethod
    def of(value: Atom | int) -> Index:
        """The expression that is one atom, or a constant. An axis of extent one is always 0."""
        if isinstance(value, int):
            return Index((), value)
        if isinstance(value, Dynamic):
            return Index(((value, 1),))  # also for extent one: its guard is decided by loading
        low, high = value.bounds
        return Index((), low) if low == high else Index(((value, 1),))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Index) and self.constant == other.constant and self.terms == other.terms

    @cached_property
    def bounds(self) -> tuple[int, int]:
        """The smallest and largest value, over all values of the atoms."""
        low = high = self.constant
        for atom, factor in self.terms:
            first, last = atom.bounds
            low += factor * (first if factor > 0 else last)
            high += factor * (last if factor > 0 else first)
        return low, high

    @property
    def is_constant(self) -> bool:
        return not self.terms

    @property
    def bare(self) -> Axis | None:
        """The axis that this expression is, if it is nothing but one axis."""
        if self.constant == 0 and len(self.terms) == 1:
            atom, factor = self.terms[0]
            if factor == 1 and isinstance(atom, Axis):
                return atom
        return None

    def coefficient(self, atom: Atom) -> int:
        """The factor of ``atom`` outside quotients and remainders (0 where it does not occur)."""
        for candidate, factor in self.terms:
            if candidate is atom:
                return factor
        return 0

    def atoms(self) -> Iterator[Atom]:
        """Every atom, also inside quotients and remainders (not inside the expressions of dynamic indices)."""
        pending = [self]
        while pending:
            for atom, _ in pending.pop().terms:
                yield atom
                if isinstance(atom, (Quotient, Remainder)):
                    pending.append(atom.index)

    @cached_property
    def axes(self) -> frozenset[Axis]:
        """The loop axes that the value depends on, also through the expressions of dynamic indices."""
        found: set[Axis] = set()
        for atom in self.atoms():
            if isinstance(atom, Axis):
                found.add(atom)
            elif isinstance(atom, Dynamic):
                found |= atom.axes
        return frozenset(found)

    @cached_property
    def dynamics(self) -> tuple[Dynamic, ...]:
        """The dynamic atoms, also inside quotients and remainders, each once."""
        return tuple(dict.fromkeys(atom for atom in self.atoms() if isinstance(atom, Dynamic)))

    def is_affine_in(self, axis: Axis) -> bool:
        """True where ``axis`` occurs in no quotient, remainder or dynamic index."""
        return all(axis not in Index.of(atom).axes for atom, _ in self.terms if not isinstance(atom, (Axis, Symbol)))

    @property
    def is_affine(self) -> bool:
        """True where no quotient, remainder or dynamic index occurs."""
        return all(isinstance(atom, (Axis, Symbol)) for atom, _ in self.terms)

    def __add__(self, other: Index | int) -> Index:
        if isinstance(other, int):
            return Index(self.terms, self.constant + other) if other else self
        if not other.terms:
            return self + other.constant
        if not self.terms and not self.constant:
            return other
        factors = dict(self.terms)
        for atom, factor in other.terms:
            total = factors.get(atom, 0) + factor
            if total:
                factors[atom] = total
            else:
                factors.pop(atom, None)
        return _recombined(factors, self.constant + other.constant)

    def __radd__(self, other: int) -> Index:
        return self + other

    def __sub__(self, other: Index | int) -> Index:
        return self + (other * -1)

    def __mul__(self, factor: int) -> Index:
        if factor == 1:
            return self
        if factor == 0:
            return ZERO
        return Index(tuple((atom, old * factor) for atom, old in self.terms), self.constant * factor)

    def __rmul__(self, factor: int) -> Index:
        return self * factor

    def _split(self, divisor: int) -> tuple[Index, Index]:
        """(whole, rest) with self == whole * divisor + rest, all multiples of the divisor in ``whole``."""
        whole = tuple((atom, factor // divisor) for atom, factor in self.terms if factor % divisor == 0)
        rest = tuple((atom, factor) for atom, factor in self.terms if factor % divisor)
        return Index(whole, self.constant // divisor), Index(rest, self.constant % divisor)

    def __floordiv__(self, divisor: int) -> Index:
        if divisor == 1:
            return self
        whole, rest = self._split(divisor)
        low, high = rest.bounds
        if low // divisor == high // divisor:
            return whole + low // divisor
        common = gcd(divisor, *(factor for _, factor in rest.terms))
        if common > 1:
            smaller = Index(tuple((atom, factor // common) for atom, factor in rest.terms), rest.constant // common)
            return whole + smaller // (divisor // common)
        atom = _sole_atom(rest)
        if isinstance(atom, Quotient):
            return whole + atom.index // (atom.divisor * divisor)
        if isinstance(atom, Remainder) and atom.divisor % divisor == 0:
            return whole + (atom.index // divisor) % (atom.divisor // divisor)
        return whole + Index(((_quotient(rest, divisor), 1),))

    def __mod__(self, divisor: int) -> Index:
        if divisor == 1:
            return ZERO
        _, rest = self._split(divisor)
        low, high = rest.bounds
        if low // divisor == high // divisor:
            return Index(rest.terms, rest.constant - divisor * (low // divisor))
        common = gcd(divisor, *(factor for _, factor in rest.terms))
        if common > 1:
            smaller = Index(tuple((atom, factor // common) for atom, factor in rest.terms), rest.constant // common)
            return (smaller % (divisor // common)) * common + rest.constant % common
        atom = _sole_atom(rest)
        if isinstance(atom, Remainder) and atom.divisor % divisor == 0:
            return atom.index % divisor
        return Index(((_remainder(rest, divisor), 1),))

    def substitute(self, replacements: Mapping[Atom, Index]) -> Index:
        """This expression with axes, symbols or dynamic atoms replaced; quotients and remainders simplify again.

        Axes inside a dynamic atom's expression are not seen here: ``codegen.expression.Rewriter`` replaces those.
        """
        if not any(atom in replacements for atom in self.atoms()):
            return self
        result = Index((), self.constant)
        for atom, factor in self.terms:
            if isinstance(atom, Quotient):
                new = atom.index.substitute(replacements) // atom.divisor
            elif isinstance(atom, Remainder):
                new = atom.index.substitute(replacements) % atom.divisor
            else:
                new = replacements.get(atom) or Index.of(atom)
            result = result + new * factor
        return result

    def __repr__(self) -> str:
        parts = [f"{factor}*{atom}" if factor != 1 else f"{atom}" for atom, factor in self.terms]
        if self.constant or not parts:
            parts.append(str(self.constant))
        return " + ".join(parts).replace("+ -", "- ")


def _sole_atom(index: Index) -> Atom | None:
    return index.terms[0][0] if len(index.terms) == 1 and index.constant == 0 and index.terms[0][1] == 1 else None


def _recombined(factors: dict[Atom, int], constant: int) -> Index:
    """The sum of the terms, with f*n*(x // n) + f*(x % n) folded back into f*x."""
    for atom, factor in factors.items():
        if isinstance(atom, Remainder):
            partner = _sole_atom(atom.index // atom.divisor)  # of a nested quotient: (x // a) // n is x // (a * n)
            if partner is not None and factors.get(partner) == factor * atom.divisor:
                rest = {a: f for a, f in factors.items() if a is not atom and a is not partner}
                return _recombined(rest, constant) + atom.index * factor
    return Index(tuple(sorted(factors.items(), key=lambda term: term[0].serial)), constant)


def _quotient(index: Index, divisor: int) -> Quotient:
    return _interned_atom(_quotients, Quotient, index, divisor)  # type: ignore[no-any-return]


def _remainder(index: Index, divisor: int) -> Remainder:
    return _interned_atom(_remainders, Remainder, index, divisor)  # type: ignore[no-any-return]


def _interned_atom(table: dict[tuple[Index, int], Any], kind: type[Any], index: Index, divisor: int) -> Any:
    atom = table.get((index, divisor))
    if atom is None:
        if len(table) >= _INTERNED_ATOMS:
            table.clear()  # atoms stay valid; only the sharing of equal ones starts anew
        atom = table[index, divisor] = kind(index, divisor)
    return atom


ZERO = Index()
