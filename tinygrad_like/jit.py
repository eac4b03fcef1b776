"""``jit``: a function of tensors as one compiled program.

    >>> @jit
    ... def step(x):
    ...     loss = model(x).mean()
    ...     loss.backward()
    ...     optimizer.step()
    ...     optimizer.zero_grad()
    ...     return loss

The first call traces the function: it runs once, on stand-ins for its arguments, and the graph of everything it does
becomes a program. Later calls only run that program with other buffers. Guarantees:

- Tensors from outside (parameters, optimizer state) are inputs, read at each call and written in place where the
  function assigns to them. Random numbers are new ones at each call.
- Another shape, dtype, Python value, nesting or training mode traces anew; ``retraces`` says why.
- Reading a value while tracing is an error. Python numbers and NumPy arrays that the function makes are constants.
- A gradient or other tensor that the function leaves behind is refreshed at each call. End a training step with
  ``zero_grad()`` if its gradients are not needed: then they take no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, update_wrapper
from typing import Any, NamedTuple

import numpy as np

import ir
from ir.phases import phase, recorded_phases
from tinygrad_like.compiled import CompiledFunction
from tinygrad_like.context import setting
from tinygrad_like.tensor import Tensor, live
from tinygrad_like.trace import Argument, Trace
from tinygrad_like.tree import Structure, flatten

MAXIMUM_VARIANTS = 4  # programs of one signature that differ in which gradients there are


class TinyJit:
    """A function that is compiled at its first call with each signature. Use it as a decorator, also of methods.

    retraces: why each trace after the first was necessary. Raises JitError for what cannot be compiled.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.retraces: list[str] = []
        self._compiled: dict[Any, list[CompiledFunction]] = {}
        self._latest: Any = None
        self._recent: _Recent | None = None
        update_wrapper(self, function)

    def __get__(self, instance: Any, owner: type | None = None) -> Callable[..., Any]:
        return self if instance is None else partial(self.__call__, instance)

    def reset(self) -> None:
        """Forgets every program and why it was made."""
        self._compiled.clear()
        self.retraces.clear()
        self._latest = self._recent = None

    @property
    def programs(self) -> list[CompiledFunction]:
        """The compiled programs, those of one signature together."""
        return [compiled for variants in self._compiled.values() for compiled in variants]

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        if live.current_trace() is not None:
            return self.function(*arguments, **keywords)  # inside another compiled function this one is part of it
        recent = self._recent
        if recent is not None and not keywords and recent.fits(arguments):
            return recent.compiled.run(arguments, recent.symbols)
        leaves, structure = flatten((arguments, keywords) if keywords else arguments)
        inputs = _Inputs()
        signature = (structure, setting("TRAINING"), tuple([inputs.entry(leaf) for leaf in leaves]))
        variants = self._compiled.setdefault(signature, [])
        reason = None
        for compiled in variants:
            reason = compiled.obstacle()
            if reason is None:
                self._recent = None if keywords else inputs.recent(compiled, signature, arguments)
                return compiled.run(inputs.tensors, inputs.symbols)
        if reason is None and self._latest is not None:
            reason = _difference(self._latest, signature)
        if reason is not None:
            self.retraces.append(reason)
        state_was_left = any(compiled.once for compiled in variants)
        compiled = self._traced(inputs, structure, bool(keywords), state_was_left)
        variants[:] = [c for c in variants if not c.once][1 - MAXIMUM_VARIANTS:] + [compiled]
        self._latest = signature
        return compiled.first_run(inputs.tensors, inputs.symbols)

    def _traced(self, inputs: _Inputs, structure: Structure, has_keywords: bool,
                state_was_left: bool) -> CompiledFunction:
        """The program of the function for these arguments."""
        with recorded_phases() as phases:
            with phase("trace"):
                trace = Trace()
                stand_ins = inputs.stand_ins()
                given = structure.rebuild(inputs.leaves_with(stand_ins))
                arguments, keywords = given if has_keywords else (given, {})
                result = trace.run(self.function, arguments, keywords)
            try:
                return CompiledFunction(trace, stand_ins, inputs.tensors, result, state_was_left, phases)
            except BaseException:
                trace.restore()
                raise


class _Inputs:
    """The leaves of the arguments of one call: tensors, values of bounded variables, and everything else."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.symbols: dict[str, int] = {}
        self._numbers: dict[int, int] = {}
        self._leaves: list[Any] = []  # a tensor as its number

    def entry(self, leaf: Any) -> Any:
        """What of ``leaf`` decides the program."""
        if isinstance(leaf, np.ndarray):
            leaf = Tensor(leaf)
        if isinstance(leaf, Tensor):
            return self._tensor_entry(leaf)
        self._leaves.append(leaf)
        if isinstance(leaf, ir.BoundVariable):
            self.symbols[leaf.variable.name] = leaf.value
            return leaf.variable
        if isinstance(leaf, float):
            return leaf.hex()  # 0.0 and -0.0 are equal, but not the same
        try:
            hash(leaf)
        except TypeError:
            return _Identity(leaf)
        return (type(leaf), leaf)

    def _tensor_entry(self, tensor: Tensor) -> Any:
        known = self._numbers.get(id(tensor))
        if known is not None:
            self._leaves.append(_Number(known))
            return ("again", known)
        if not live.is_buffer(tensor._node):
            tensor.realize()
        self._numbers[id(tensor)] = len(self.tensors)
        self._leaves.append(_Number(len(self.tensors)))
        self.tensors.append(tensor)
        if tensor.symbols:
            self.symbols.update(tensor.symbols)
        node = tensor._node
        return (node.shape, node.dtype, tensor._device, tensor.requires_grad)

    def stand_ins(self) -> list[Tensor]:
        """A tensor for each tensor, of the same type, that stands for whatever is given in its place at a call."""
        result = []
        for number, tensor in enumerate(self.tensors):
            place = ir.buffer(Argument(number), tensor.dtype, tensor.shape)
            stand_in = Tensor.from_node(place, tensor._device, tensor.symbols)
            stand_in.requires_grad, stand_in.is_param = tensor.requires_grad, tensor.is_param
            result.append(stand_in)
        return result

    def recent(self, compiled: CompiledFunction, signature: Any, arguments: Sequence[Any]) -> _Recent | None:
        """What recognises the next call like this one, where the arguments are just different tensors."""
        if len(self.tensors) == len(arguments) == len(self._leaves) and not self.symbols:
            return _Recent(compiled, signature[1], signature[2])
        return None

    def leaves_with(self, stand_ins: list[Tensor]) -> list[Any]:
        """The leaves with stand-ins for the tensors."""
        return [stand_ins[leaf.number] if isinstance(leaf, _Number) else leaf for leaf in self._leaves]


class _Recent(NamedTuple):
    """The latest call, of different tensors in memory: whether another one is like it takes one glance at each tensor.

    types: the entries of the tensors in the signature.
    """

    compiled: CompiledFunction
    training: int
    types: tuple[tuple[Any, ...], ...]
    symbols: dict[str, int] = {}  # noqa: RUF012  # of variables, of which there are none

    def fits(self, arguments: Sequence[Any]) -> bool:
        """Whether the same program serves a call with these arguments."""
        if len(arguments) != len(self.types) or setting("TRAINING") != self.training:
            return False
        for argument, (shape, dtype, device, requires_grad) in zip(arguments, self.types):  # noqa: B905  # as long
            if not isinstance(argument, Tensor) or argument.requires_grad is not requires_grad or argument.symbols:
                return False
            node = argument._node
            if (node.dtype is not dtype or node.shape != shape or node.op is not ir.BUFFER
                    or argument._device != device):
                return False
        different = len(arguments) < 2 or len(set(map(id, arguments))) == len(arguments)
        return different and self.compiled.obstacle() is None


class _Number(NamedTuple):
    """The place of a tensor among the leaves."""

    number: int


class _Identity:
    """An argument that cannot be compared by value: the same object, or another program."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def _difference(before: Any, now: Any) -> str:
    """In what two signatures differ, in words."""
    (old_structure, old_training, old_entries), (structure, training, entries) = before, now
    if old_training != training:
        return f"TRAINING is {training} now; it was {old_training}"
    if old_structure != structure:
        return "the arguments are nested in another way, or their number is another"
    for path, old, new in zip(structure.paths(), old_entries, entries, strict=True):
        if old != new:
            return f"argument {path}: {_described(new)} now; it was {_described(old)}"
    return "an equal call was made before, and its program was dropped"


def _described(entry: Any) -> str:
    if isinstance(entry, str):
        return repr(float.fromhex(entry))
    if isinstance(entry, _Identity):
        return f"another {type(entry.value).__name__}"
    if isinstance(entry, tuple) and len(entry) == 4:
        shape, dtype, device, requires_grad = entry
        return f"{dtype.name}{list(shape)} on {device}" + (" that requires a gradient" if requires_grad else "")
    if isinstance(entry, tuple) and entry[0] == "again":
        return f"the same tensor as argument {entry[1]}"
    return repr(entry[1]) if isinstance(entry, tuple) else repr(entry)


jit = TinyJit
