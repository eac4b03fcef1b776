"""What ``jit`` keeps of a trace: a program, where its inputs come from at each call, and where its outputs go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import ref

import ir
from ir import Node
from ir.phases import PhaseTimes
from runtime import Buffer, buffer_node, compile_graph
from runtime.buffer import largest
from runtime.canonical import Source
from runtime.device import get_device
from tinygrad_like.device import Device
from tinygrad_like.tensor import Tensor, live, realization
from tinygrad_like.tensor.base import TensorBase
from tinygrad_like.tensor.creation import distinct
from tinygrad_like.tensor.random_state import advanced_state
from tinygrad_like.trace import Argument, JitError, Trace, bring_to_memory
from tinygrad_like.tree import flatten

_HERE = ir.Location(__file__, 0)  # results of a run belong to no line; looking for one would take longer than the run


class Guard(NamedTuple):
    """A gradient that the trace took for granted: whether there was one, and which, if its value was used."""

    tensor: ref[TensorBase]
    had_none: bool
    required: Tensor | None


class Captured(NamedTuple):
    """A buffer from outside that the program uses: that of ``owner``, which may have another by the next call."""

    node: Node
    owner: ref[TensorBase] | None


class Outputs:
    """The values that a program computes, in order, and what becomes of each after a run."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._taken: set[Node] = set()
        self.symbols: dict[str, int] = {}

    def add(self, tensor: TensorBase, in_place: bool = False) -> int:
        """The number of the output for ``tensor``: memory of its own, unless it is written ``in_place``."""
        node = tensor.node
        self.symbols.update(tensor.symbols or {})
        if not in_place and (node in self._taken or node.op in (ir.BUFFER, ir.ASSIGN)):
            node = distinct(node)
        self._taken.add(node)
        self.nodes.append(node)
        return len(self.nodes) - 1


class CompiledFunction:
    """One program of a function.

    once: whether it serves its first call only. A function may make tensors that live on, as optimizer state that is
    allocated in the first step, or assign to one that was no memory yet: the next call, which finds them in memory,
    needs another program. (may_leave_state: it has had that chance.)
    phases: how long tracing and compiling took.
    """

    def __init__(self, trace: Trace, stand_ins: Sequence[Tensor], arguments: Sequence[Tensor], result: Any,
                 may_leave_state: bool, phases: PhaseTimes) -> None:
        self.phases = phases
        self._outputs = Outputs()
        leaves, self._structure = flatten(result)
        self._results = [None if leaf is None else self._outputs.add(_result(leaf)) for leaf in leaves]
        self._note_effects(trace, stand_ins, [leaf for leaf in leaves if leaf is not None])
        self._streams = list(trace.draws.items())
        for stream, words in self._streams:
            self._outputs.nodes.append(advanced_state(stream, words))
        self.once = bool(trace.unbacked or (self._left and not may_leave_state))
        self._compile(trace, stand_ins, arguments)
        self._guards = _guards(trace, {captured.node for captured in self._captured})
        trace.restore(gradients=False)
        self._epoch = -1

    # ------------------------------------------------------------------------------------------- making

    def _note_effects(self, trace: Trace, stand_ins: Sequence[Tensor], results: Sequence[Tensor]) -> None:
        """What the function does besides returning: assignments, gradients, tensors left behind."""
        outputs = self._outputs
        self._rebound: list[tuple[ref[TensorBase], int]] = []
        for before in trace.changed():
            in_place = before.tensor.node.op is ir.ASSIGN and realization.root_buffer(before.tensor.node) is before.node
            number = outputs.add(before.tensor, in_place)
            if not in_place:
                self._rebound.append((ref(before.tensor), number))
        self._assigned_arguments: list[int] = []
        for number, stand_in in enumerate(stand_ins):
            if not live.is_buffer(stand_in.node):
                outputs.add(stand_in, in_place=True)
                self._assigned_arguments.append(number)
        grads = {id(before.tensor.grad): before.tensor for before in trace.regraded()
                 if before.tensor.grad is not None and before.tensor.grad is not before.grad}
        self._grads: list[tuple[ref[TensorBase], int]] = []
        self._left: list[tuple[ref[TensorBase], int]] = []
        self._first: list[tuple[TensorBase, int]] = []
        for tensor in trace.left_behind([*stand_ins, *results]):
            number = outputs.add(tensor)
            self._first.append((tensor, number))
            if id(tensor) in grads:
                self._grads.append((ref(grads[id(tensor)]), number))
            else:
                self._left.append((ref(tensor), number))
        self._without_grad = [ref(before.tensor) for before in trace.regraded() if before.tensor.grad is None]

    def _compile(self, trace: Trace, stand_ins: Sequence[Tensor], arguments: Sequence[Tensor]) -> None:
        owners = {before.node: before.tensor for before in trace.outside.values() if live.is_buffer(before.node)}
        own = [_root(stand_in) for stand_in in stand_ins]
        leaves = [node for node in ir.topological_order(self._outputs.nodes) if live.is_buffer(node)]
        self._captured = [Captured(node, ref(owners[node]) if node in owners else None)
                          for node in dict.fromkeys(leaves) if node not in set(own)]
        device = next((t._device for t in arguments if t._device), None) or next(
            (c.node.attributes.handle.device.name for c in self._captured), Device.DEFAULT)
        self._device = get_device(device)
        nodes = [*own, *(captured.node for captured in self._captured)]
        self._program = compile_graph(self._outputs.nodes, nodes, self._device)
        self._buffers: list[Buffer] = [captured.node.attributes.handle for captured in self._captured]
        prepared = self._program.prepared
        self._assigned = sorted(number - len(own) for number in prepared.assigned if number >= len(own))
        self._places = [(source is Source.FRESH, number) for source, number in prepared.outputs]
        self._fixed_values = None if prepared.bounds else prepared.symbol_values({})

    # ------------------------------------------------------------------------------------------- running

    def obstacle(self) -> str | None:
        """Why this program does not fit the world as it is now, or None. Makes ready what it needs."""
        if self._epoch == live.epoch():
            return None
        if self.once:
            return "the call before made tensors that live on, or put some in memory: they are inputs from now on"
        for guard in self._guards:
            tensor = guard.tensor()
            if tensor is not None and (tensor.grad is None) != guard.had_none:
                return (f"a tensor of shape {tensor.shape} has {'a' if guard.had_none else 'no'} gradient now"
                        f"{' already' if guard.had_none else ''}")
            if tensor is not None and guard.required is not None and tensor.grad is not guard.required:
                return f"a tensor of shape {tensor.shape} has another tensor as its gradient"
        return self._rebind()

    def _rebind(self) -> str | None:
        """Looks up where the captured tensors lie now."""
        owners = [captured.owner() if captured.owner is not None else None for captured in self._captured]
        bring_to_memory([owner for owner in owners if owner is not None])
        for number, (captured, owner) in enumerate(zip(self._captured, owners, strict=True)):
            if owner is None or owner.node is captured.node:
                continue
            buffer = owner.node.attributes.handle if live.is_buffer(owner.node) else None
            known = self._buffers[number]
            if buffer is None or buffer.dtype is not known.dtype or largest(buffer.shape) != largest(known.shape):
                return f"a tensor from outside is {owner.dtype.name}{list(owner.shape)} now; it was {known!r}"
            if buffer.device is not self._device:
                return f"a tensor from outside is on {buffer.device.name} now; it was on {self._device.name}"
            self._captured[number] = captured._replace(node=owner.node)
            self._buffers[number] = buffer
        overwritten = [self._captured[number].node for number in self._assigned]
        if overwritten:
            realization.settle_readers(overwritten)
        self._addresses = [buffer.allocation.address for buffer in self._buffers]
        self._conflicting = {id(self._buffers[number]) for number in self._assigned}
        if self._assigned_arguments:
            self._conflicting.update(map(id, self._buffers))
        self._epoch = live.epoch()
        return None

    def run(self, arguments: Sequence[TensorBase], symbols: dict[str, int]) -> Any:
        """Runs the program on these arguments; ``obstacle`` was asked before."""
        fresh = self._execute(arguments, symbols)
        results = self._results_from(arguments, fresh)
        if self._rebound or self._grads or self._left or self._without_grad:
            self._deliver(arguments, fresh)
            self._epoch = live.epoch() if self._rebind() is None else -1
        return results

    def first_run(self, arguments: Sequence[TensorBase], symbols: dict[str, int]) -> Any:
        """The run that belongs to the trace: the tensors that the function has left behind get their values."""
        reason = self._rebind()
        assert reason is None, reason
        fresh = self._execute(arguments, symbols)
        for tensor, number in self._first:
            tensor.node, tensor._device = buffer_node(self._output(number, arguments, fresh)), self._device.name
        self._first.clear()
        for owner, number in self._rebound:
            _stand_for(owner, self._output(number, arguments, fresh))
        self._epoch = -1
        return self._results_from(arguments, fresh)

    def _execute(self, arguments: Sequence[TensorBase], symbols: dict[str, int]) -> list[Buffer]:
        """Runs the program; its fresh outputs."""
        if self._conflicting and not self._conflicting.isdisjoint([id(_buffer(tensor)) for tensor in arguments]):
            raise JitError("an argument is also used from outside by the function, and one of the two is assigned to; "
                           "pass a .clone()")
        for stream, _ in self._streams:
            stream.synchronize()
        prepared, values = self._program.prepared, self._fixed_values
        if values is None:
            symbols = {**self._outputs.symbols, **symbols}
            values = prepared.symbol_values(symbols)
        addresses = [tensor._node.attributes.handle.allocation.address for tensor in arguments]
        addresses += self._addresses
        fresh = []
        for dtype, shape in prepared.fresh:
            buffer = Buffer(self._device, dtype, shape, symbols)
            fresh.append(buffer)
            addresses.append(buffer.allocation.address)
        prepared.run(self._device, addresses, values)
        for stream, words in self._streams:
            stream.advanced(words)
        return fresh

    def _output(self, number: int, arguments: Sequence[TensorBase], fresh: Sequence[Buffer]) -> Buffer:
        """The buffer of output ``number``: a fresh one, or one that the program was given."""
        is_fresh, place = self._places[number]
        if is_fresh:
            return fresh[place]
        return _buffer(arguments[place]) if place < len(arguments) else self._buffers[place - len(arguments)]

    def _results_from(self, arguments: Sequence[TensorBase], fresh: Sequence[Buffer]) -> Any:
        name, results = self._device.name, []
        for number in self._results:
            if number is None:
                results.append(None)
                continue
            buffer = self._output(number, arguments, fresh)
            node = buffer_node(buffer, _HERE)
            results.append(Tensor.from_node(node, name, dict(buffer.symbols) if buffer.symbols else None))
        return self._structure.rebuild(results)

    def _deliver(self, arguments: Sequence[TensorBase], fresh: Sequence[Buffer]) -> None:
        """Values for the tensors outside that stand for something new after each call."""
        for owner, number in (*self._rebound, *self._left):
            _stand_for(owner, self._output(number, arguments, fresh))
        for owner, number in self._grads:
            tensor = owner()
            if tensor is not None:
                buffer = self._output(number, arguments, fresh)
                tensor.grad = Tensor.from_node(buffer_node(buffer), self._device.name)
                tensor.grad.requires_grad = False
        for owner in self._without_grad:
            tensor = owner()
            if tensor is not None:
                tensor.grad = None


def _result(leaf: Any) -> Tensor:
    if not isinstance(leaf, Tensor):
        raise JitError(f"a compiled function returned {type(leaf).__name__} {leaf!r}, which would be the same in every "
                       "call; return tensors, or None")
    return leaf


def _buffer(tensor: TensorBase) -> Buffer:
    """The memory of a tensor that is in memory."""
    buffer: Buffer = tensor._node.attributes.handle
    return buffer


def _root(stand_in: Tensor) -> Node:
    node = stand_in.node if live.is_buffer(stand_in.node) else realization.root_buffer(stand_in.node)
    if not isinstance(getattr(node.attributes, "handle", None), Argument):
        raise JitError("an argument was replaced by another tensor; use .assign(), which writes to its memory")
    return node


def _stand_for(owner: ref[TensorBase], buffer: Buffer) -> None:
    tensor = owner()
    if tensor is not None:
        tensor.node, tensor._value, tensor._device = buffer_node(buffer), None, buffer.device.name


def _guards(trace: Trace, captured: set[Node]) -> list[Guard]:
    noted = {id(before.tensor): before for before in trace.regraded()}
    noted.update((number, trace.outside[number]) for number in trace.graded if number in trace.outside)
    return [Guard(ref(before.tensor), before.grad is None,
                  before.grad if before.grad is not None and before.grad.node in captured else None)
            for before in noted.values()]
