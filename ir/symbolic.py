"""Bounded symbolic integers: dimensions whose value is chosen when a compiled program runs.

A ``Dimension`` is an affine expression over ``Variable``s. Arithmetic that leaves no variable yields a plain ``int``,
so that a shape holds either an int or a Dimension, never a Dimension that is secretly constant.

    >>> n = Variable("n", 1, 1024)
    >>> n * 4 + 8
    4*n + 8
    >>> (n * 4 + 8) // 4, n - n
    (n + 2, 0)
    >>> (n + 1).low, (n + 1).high, (n + 1).evaluate({"n": 7})
    (2, 1025, 8)
    >>> n > 0
    True

``==`` and ``hash`` are structural: ``n == 5`` is False even where n may turn out to be 5. The order comparisons and
truth are decided by the bounds, and raise SymbolicError where the bounds do not decide them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import gcd
from typing import Any


class SymbolicError(ValueError):
    """A question about a symbolic dimension that its bounds do not answer, or a result that is not affine."""


class Dimension:
    """A sum of integer multiples of variables and a constant; at least one variable occurs.

    terms: (variable, factor) pairs, ordered by the variable's name, no factor 0. Build one by arithmetic.
    """

    __slots__ = ("_hash", "constant", "terms")

    terms: tuple[tuple[Variable, int], ...]
    constant: int

    def __init__(self, terms: tuple[tuple[Variable, int], ...], constant: int) -> None:
        self.terms, self.constant = terms, constant
        self._hash = hash((terms, constant))

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables that occur, ordered by name."""
        return tuple(variable for variable, _ in self.terms)

    @property
    def low(self) -> int:
        """The smallest value, over every choice of the variables."""
        return self.constant + sum(factor * (v.low if factor > 0 else v.high) for v, factor in self.terms)

    @property
    def high(self) -> int:
        """The largest value, over every choice of the variables."""
        return self.constant + sum(factor * (v.high if factor > 0 else v.low) for v, factor in self.terms)

    def evaluate(self, values: Mapping[str, int]) -> int:
        """The value for the given values of the variables, by name; SymbolicError if one is absent or out of bounds."""
        total = self.constant
        for variable, factor in self.terms:
            if variable.name not in values:
                raise SymbolicError(f"{self} needs a value for {variable.name!r}; got values for {sorted(values)}")
            total += factor * variable.bind(values[variable.name]).value
        return total

    # ------------------------------------------------------------------------------------------- arithmetic

    def __add__(self, other: int | Dimension) -> int | Dimension:
        if isinstance(other, int):
            return _affine(self.terms, self.constant + other)
        if not isinstance(other, Dimension):
            return NotImplemented
        factors = {variable.name: (variable, factor) for variable, factor in self.terms}
        for variable, factor in other.terms:
            known, total = factors.get(variable.name, (variable, 0))
            if known != variable:
                raise SymbolicError(f"two variables are named {variable.name!r}: {known.declaration} and "
                                    f"{variable.declaration}; give them different names")
            factors[variable.name] = (variable, total + factor)
        terms = tuple(factors[name] for name in sorted(factors) if factors[name][1])
        return _affine(terms, self.constant + other.constant)

    def __mul__(self, other: int | Dimension) -> int | Dimension:
        if isinstance(other, int):
            scaled = tuple((variable, factor * other) for variable, factor in self.terms) if other else ()
            return _affine(scaled, self.constant * other)
        if not isinstance(other, Dimension):
            return NotImplemented
        raise SymbolicError(f"({self}) * ({other}) is not affine: at most one factor may be symbolic")

    def __floordiv__(self, divisor: int | Dimension) -> int | Dimension:
        quotient, remainder = self._divide(divisor)
        if remainder:
            raise SymbolicError(f"({self}) // ({divisor}) has a remainder that depends on "
                                f"{', '.join(v.name for v in self.variables)} or is {remainder}; only exact "
                                "division of a symbolic dimension is possible")
        return quotient

    def __mod__(self, divisor: int | Dimension) -> int:
        return self._divide(divisor)[1]

    def _divide(self, divisor: int | Dimension) -> tuple[int | Dimension, int]:
        """(quotient, remainder); SymbolicError where the remainder is not the same for every value."""
        if isinstance(divisor, int):
            if divisor == 0:
                raise ZeroDivisionError(f"({self}) // 0")
            if all(factor % divisor == 0 for _, factor in self.terms):
                terms = tuple((variable, factor // divisor) for variable, factor in self.terms)
                return _affine(terms, self.constant // divisor), self.constant % divisor
        else:
            ratio = self.content // divisor.content
            if ratio and divisor * ratio == self:
                return ratio, 0
        raise SymbolicError(f"({self}) is not known to be a multiple of ({divisor}) plus a constant")

    @property
    def content(self) -> int:
        """The greatest integer that divides the value whatever the variables are."""
        return gcd(self.constant, *(factor for _, factor in self.terms))

    def __neg__(self) -> int | Dimension:
        return self * -1

    def __sub__(self, other: int | Dimension) -> int | Dimension:
        return self + -other

    def __rsub__(self, other: int) -> int | Dimension:
        return self * -1 + other

    def __radd__(self, other: int) -> int | Dimension:
        return self + other

    def __rmul__(self, other: int) -> int | Dimension:
        return self * other

    # ------------------------------------------------------------------------------------------ comparisons

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Dimension) and self.terms == other.terms
                                 and self.constant == other.constant)

    def __hash__(self) -> int:
        return self._hash

    def __lt__(self, other: int | Dimension) -> bool:
        return self._decide("<", other, self - other, -1)

    def __le__(self, other: int | Dimension) -> bool:
        return self._decide("<=", other, self - other, 0)

    def __gt__(self, other: int | Dimension) -> bool:
        return self._decide(">", other, other - self, -1)

    def __ge__(self, other: int | Dimension) -> bool:
        return self._decide(">=", other, other - self, 0)

    def _decide(self, sign: str, other: int | Dimension, difference: int | Dimension, limit: int) -> bool:
        """Whether difference <= limit, where the bounds decide it."""
        if upper_bound(difference) <= limit:
            return True
        if lower_bound(difference) > limit:
            return False
        known = [v.declaration for v in dict.fromkeys((*self.variables, *variables_of((other,))))]
        raise SymbolicError(f"{self} {sign} {other} is not decided by the bounds {', '.join(known)}")

    def __bool__(self) -> bool:
        if self.low > 0 or self.high < 0:
            return True
        raise SymbolicError(f"whether {self} is 0 is not decided by its bounds [{self.low}, {self.high}]")

    def __repr__(self) -> str:
        parts = [v.name if factor == 1 else f"-{v.name}" if factor == -1 else f"{factor}*{v.name}"
                 for v, factor in self.terms]
        if self.constant:
            parts.append(str(self.constant))
        return " + ".join(parts).replace("+ -", "- ")


class Variable(Dimension):
    """A named integer in [low, high], known only when the program runs.

        >>> position = Variable("position", 0, 1023)
        >>> position.bind(5).unbind()
        (position, 5)
    """

    __slots__ = ("_high", "_low", "name")

    def __init__(self, name: str, low: int, high: int) -> None:
        if not name.isidentifier():
            raise SymbolicError(f"a variable's name must be an identifier, got {name!r}")
        if low > high:
            raise SymbolicError(f"variable {name!r} has no value: low {low} is greater than high {high}")
        self.name, self._low, self._high = name, int(low), int(high)
        self.constant = 0
        self._hash = hash((name, self._low, self._high))

    @property
    def terms(self) -> tuple[tuple[Variable, int], ...]:  # type: ignore[override]  # a cycle, so made on demand
        return ((self, 1),)

    @property
    def low(self) -> int:
        return self._low

    @property
    def high(self) -> int:
        return self._high

    @property
    def declaration(self) -> str:
        """The variable with its bounds, as the text form writes it: ``n[1..1024]``."""
        return f"{self.name}[{self.low}..{self.high}]"

    def bind(self, value: int) -> BoundVariable:
        """This variable with the value it shall have in one run; SymbolicError outside [low, high]."""
        if not self.low <= value <= self.high:
            raise SymbolicError(f"{self.name} = {value} is outside its bounds [{self.low}, {self.high}]")
        return BoundVariable(self, int(value))

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Variable) and self.name == other.name
                                 and self._low == other._low and self._high == other._high)

    __hash__ = Dimension.__hash__

    def __reduce__(self) -> tuple[type[Variable], tuple[str, int, int]]:
        return Variable, (self.name, self._low, self._high)

class _Bound:
    """Arithmetic of a dimension whose variables have values: the result is bound to the same values."""

    @property
    def dimension(self) -> int | Dimension:
        """The dimension as graphs hold it, without values."""
        raise NotImplementedError

    @property
    def values(self) -> dict[str, int]:
        """The value of each variable, by name."""
        raise NotImplementedError

    def _with(self, other: int | _Bound, combine: Callable[[Any, Any], Any]) -> BoundDimension:
        if isinstance(other, _Bound):
            return BoundDimension(combine(self.dimension, other.dimension),
                                  tuple(sorted({**self.values, **other.values}.items())))
        return BoundDimension(combine(self.dimension, other), tuple(sorted(self.values.items())))

    def __add__(self, other: int | _Bound) -> BoundDimension:
        return self._with(other, lambda x, y: x + y)

    def __radd__(self, other: int) -> BoundDimension:
        return self._with(other, lambda x, y: y + x)

    def __sub__(self, other: int | _Bound) -> BoundDimension:
        return self._with(other, lambda x, y: x - y)

    def __rsub__(self, other: int) -> BoundDimension:
        return self._with(other, lambda x, y: y - x)

    def __mul__(self, other: int) -> BoundDimension:
        return self._with(other, lambda x, y: x * y)

    def __rmul__(self, other: int) -> BoundDimension:
        return self._with(other, lambda x, y: y * x)


@dataclass(frozen=True)
class BoundDimension(_Bound):
    """A dimension together with the values that its variables have in one run: ``Variable("n", 1, 8).bind(3) + 1``."""

    bound: int | Dimension
    items: tuple[tuple[str, int], ...]

    @property
    def dimension(self) -> int | Dimension:
        return self.bound

    @property
    def values(self) -> dict[str, int]:
        return dict(self.items)

    def __repr__(self) -> str:
        return f"{self.bound} with {', '.join(f'{name}={value}' for name, value in self.items)}"


@dataclass(frozen=True)
class BoundVariable(_Bound):
    """A variable and the value it has in one run. Graphs hold the variable; runs are given the value."""

    variable: Variable
    value: int

    @property
    def dimension(self) -> int | Dimension:
        return self.variable

    @property
    def values(self) -> dict[str, int]:
        return {self.variable.name: self.value}

    def unbind(self) -> tuple[Variable, int]:
        return self.variable, self.value

    def __repr__(self) -> str:
        return f"{self.variable}={self.value}"


def _affine(terms: tuple[tuple[Variable, int], ...], constant: int) -> int | Dimension:
    """The simplest object with this value: an int, a Variable or a Dimension."""
    if not terms:
        return constant
    if constant == 0 and len(terms) == 1 and terms[0][1] == 1:
        return terms[0][0]
    return Dimension(terms, constant)


def is_symbolic(dimension: int | Dimension) -> bool:
    """True for a Dimension, False for an int."""
    return isinstance(dimension, Dimension)


def upper_bound(dimension: int | Dimension) -> int:
    """The largest value: what memory is laid out for."""
    return dimension.high if isinstance(dimension, Dimension) else dimension


def lower_bound(dimension: int | Dimension) -> int:
    """The smallest value."""
    return dimension.low if isinstance(dimension, Dimension) else dimension


def evaluate_dimension(dimension: int | Dimension, values: Mapping[str, int]) -> int:
    """The value for the given values of the variables, by name; an int is itself."""
    return dimension.evaluate(values) if isinstance(dimension, Dimension) else dimension


def variables_of(dimensions: Iterable[int | Dimension]) -> tuple[Variable, ...]:
    """The distinct variables that occur in the dimensions, in order of first occurrence."""
    found = (v for dimension in dimensions if isinstance(dimension, Dimension) for v in dimension.variables)
    return tuple(dict.fromkeys(found))


def product(dimensions: Iterable[int | Dimension]) -> int | Dimension:
    """The product (1 of none); SymbolicError where two factors are symbolic, for that is not affine.

    To compare the sizes of two shapes use ``same_product``, which needs no affine product.
    """
    result: int | Dimension = 1
    symbolic: list[Dimension] = []
    for dimension in dimensions:
        if isinstance(dimension, Dimension):
            symbolic.append(dimension)
        else:
            result = result * dimension
    if result == 0:
        return 0
    for dimension in symbolic:
        result = result * dimension
    return result


def same_product(left: Iterable[int | Dimension], right: Iterable[int | Dimension]) -> bool:
    """Whether the two products are equal for every value of the variables, also where they are not affine.

        >>> n = Variable("n", 1, 64)
        >>> same_product((n, n, 64), (n * 8, n, 8))
        True

    Affine factors without a common integer divisor are irreducible polynomials, and factoring polynomials into
    irreducible ones is unique: comparing the integer parts and the sorted symbolic parts is exact.
    """
    return _factored(left) == _factored(right)


def _factored(dimensions: Iterable[int | Dimension]) -> tuple[int, list[str]]:
    whole, parts = 1, []
    for dimension in dimensions:
        if isinstance(dimension, Dimension):
            whole *= dimension.content
            parts.append(" ".join((repr(dimension // dimension.content),
                                   *(v.declaration for v in dimension.variables))))
        else:
            whole *= dimension
    return (whole, sorted(parts)) if whole else (0, [])
