"""Computing values: which programs run for which tensors, and what else must be computed with them.

Versions of memory. ``x.assign(y)`` makes a new version of the buffer of x; a tensor that was computed from an older
version keeps its value. When an assignment runs, every living tensor that still reads what it overwrites is computed
in the same program (the runtime puts all reads of a version before the write of the next).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import ir
from ir import Node
from ir.node import tagged
from runtime import Buffer, buffer_node
from runtime import realize as run
from runtime.device import get_device
from tinygrad_like.device import Device
from tinygrad_like.tensor import live
from tinygrad_like.tensor.base import TensorBase


def realize(tensors: Sequence[TensorBase]) -> None:
    """Computes the tensors, each a buffer of its own afterwards: one program for all with the same device and symbols.

    While ``jit`` traces, values do not exist: nothing happens, for the program as a whole will compute them.
    """
    if live.current_trace() is not None:
        return
    for group in _groups(tensors):
        group = [tensor for tensor in group if not live.is_buffer(tensor.node) and not _settled_by_value(tensor)]
        if not group:
            continue
        outputs = [tensor.node for tensor in group]
        distinct = _distinct(outputs)
        buffers = compute(distinct, group[0]._device, group[0].symbols)
        for tensor, node, buffer in zip(group, outputs, buffers, strict=True):
            _settle(tensor, node, buffer_node(buffer))


def value(tensor: TensorBase) -> Buffer:
    """The buffer with the value of ``tensor``, computed if need be; the tensor keeps its history for ``backward``."""
    if live.current_trace() is not None:
        raise live.current_trace().reading_error()
    known = tensor._value if tensor._value is not None else tensor.node
    if not live.is_buffer(known):
        known = live.known_value(tensor.node) or tensor.node
    if not live.is_buffer(known):
        node = tensor.node
        [buffer] = compute([node], tensor._device, tensor.symbols)
        known = tensor._value = buffer_node(buffer)
        if not tensor.symbols and _reads_memory(node):
            live.record(node, known, boundary=False)
    handle: Buffer = known.attributes.handle
    return handle


def compute(outputs: Sequence[Node], device: str | None = None, symbols: dict[str, int] | None = None) -> list[Buffer]:
    """Runs the graph of ``outputs`` with everything that its assignments make necessary; one buffer per output."""
    reached = _reached(outputs)
    assigns = _pending_assigns(reached)
    readers: list[TensorBase] = []
    if assigns:
        readers, assigns = _with_stale_readers(list(outputs), assigns)
    readers = [reader for reader in readers if not _settled_by_value(reader)]
    others = [reader for reader in readers if reader.symbols and reader.symbols != symbols]
    if others:  # they need other values of variables than this program has, and must be computed before it
        realize(others)
        return compute(outputs, device, symbols)
    nodes = [*outputs, *_distinct([reader.node for reader in readers], copies=True)]
    settled = [(reader, reader.node) for reader in readers]  # the run changes the nodes of tensors
    place = get_device(device or Device.DEFAULT)
    started = _started(nodes, _reached(nodes) if readers else reached)
    buffers = run(started, symbols, place)
    _advance(assigns)
    for (reader, node), buffer in zip(settled, buffers[len(outputs):], strict=True):
        _settle(reader, node, buffer_node(buffer))
    return buffers[:len(outputs)]


def _settle(tensor: TensorBase, node: Node, buffer: Node) -> None:
    """``tensor`` was computed: it is its buffer from now on."""
    if not tensor.symbols and _reads_memory(node) and live.known_value(node) is None and node is not buffer:
        live.record(node, buffer, boundary=True)
    _stand_for(tensor, buffer)
    tensor._device = buffer.attributes.handle.device.name


def _stand_for(tensor: TensorBase, buffer: Node) -> None:
    """``tensor`` is this buffer. Values of bounded variables stay with it only as long as its shape needs them."""
    tensor.node, tensor._value = buffer, None
    if tensor.symbols and not ir.variables_of(buffer.shape):
        tensor.symbols = None


def _settled_by_value(tensor: TensorBase) -> bool:
    """Whether the value was computed for reading already: the tensor takes the buffer over."""
    if tensor._value is None:
        return False
    if not tensor.symbols:  # with them one node has several values
        live.record(tensor.node, tensor._value, boundary=True)
    _stand_for(tensor, tensor._value)
    return True


def _groups(tensors: Iterable[TensorBase]) -> list[list[TensorBase]]:
    """The tensors that are not in memory yet, each once, by device and by values of bounded variables."""
    groups: dict[Hashable, list[TensorBase]] = {}
    for tensor in {id(tensor): tensor for tensor in tensors}.values():
        if not live.is_buffer(tensor.node):
            key = (tensor._device or Device.DEFAULT, tuple(sorted((tensor.symbols or {}).items())))
            groups.setdefault(key, []).append(tensor)
    return list(groups.values())


def _distinct(outputs: Sequence[Node], copies: bool = False) -> list[Node]:
    """The outputs with copies in place of repetitions: no two tensors may share a buffer, for one could be assigned.

    A value that lies in another tensor's buffer already is copied too; with ``copies`` also a version of a buffer that
    an assignment makes.
    """
    seen: set[Node] = set()
    result: list[Node] = []
    for number, node in enumerate(outputs):
        known = live.known_value(node) or node
        if node in seen or (live.is_buffer(known) and node.op is not ir.ASSIGN) or (copies and node.op is ir.ASSIGN):
            with tagged(number + 1):
                result.append(ir.contiguous(known))
        else:
            result.append(node)
        seen.add(node)
    return result


def settle_readers(buffers: Sequence[Node]) -> None:
    """Computes every living tensor that reads one of ``buffers`` and is not computed yet: they will be overwritten."""
    newest = {buffer: buffer for buffer in buffers}
    verdicts: dict[Node, bool] = {}
    waiting = [tensor for tensor in live.tensors() if not live.is_buffer(tensor.node)]
    for tensor in waiting:
        _judge(tensor.node, newest, set(), set(), verdicts)
    realize([tensor for tensor in waiting if verdicts[tensor.node] and is_computable(tensor.node)])
    live.forget(buffers)


# ----------------------------------------------------------------------------------------------- graph walks


def _reached(outputs: Iterable[Node]) -> dict[Node, Node | None]:
    """The nodes that ``outputs`` depend on, each with the buffer that holds its value already (or None); what lies
    behind such a value is not entered."""
    reached: dict[Node, Node | None] = {}
    pending = list(outputs)
    while pending:
        node = pending.pop()
        if node in reached:
            continue
        known = reached[node] = live.known_value(node)
        if known is None:
            pending.extend(node.operands)
    return reached


def _reads_memory(output: Node) -> bool:
    """Whether the value depends on a buffer: values that do not are cheap and need no place to be remembered in."""
    seen: set[Node] = set()
    pending = [output]
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        if live.is_buffer(node) or live.known_value(node) is not None:
            return True
        seen.add(node)
        pending.extend(node.operands)
    return False


def is_computable(node: Node) -> bool:
    """Whether all memory that the value depends on exists: a trace that failed may leave tensors without."""
    return all(isinstance(n.attributes.handle, Buffer) for n in _reached([node]) if live.is_buffer(n))


def _started(outputs: Sequence[Node], reached: dict[Node, Node | None]) -> list[Node]:
    """The outputs with every value that lies in memory already replaced by its buffer."""
    replacements = {node: known for node, known in reached.items() if known is not None}
    return ir.substitute(outputs, replacements) if replacements else list(outputs)


def _pending_assigns(reached: dict[Node, Node | None]) -> set[Node]:
    """The assignments that have not run yet."""
    return {node for node, known in reached.items() if known is None and node.op is ir.ASSIGN}


def root_buffer(node: Node) -> Node:
    """The buffer whose memory an assignment writes, through earlier assignments to it."""
    while node.op is ir.ASSIGN:
        node = live.known_value(node) or node.operands[0]
    return node


# ----------------------------------------------------------------------------------------------- versions


def _newest(assigns: set[Node]) -> dict[Node, Node]:
    """buffer -> the last of the assignments to it."""
    superseded = {node.operands[0] for node in assigns}
    return {root_buffer(node): node for node in assigns if node not in superseded}


def _with_stale_readers(outputs: list[Node], assigns: set[Node]) -> tuple[list[TensorBase], set[Node]]:
    """The living tensors that read what the assignments overwrite, and all assignments that run with them."""
    chosen: list[TensorBase] = []
    computed = set(outputs)
    waiting = [tensor for tensor in live.tensors() if tensor.node not in computed]
    while True:
        found = _stale(waiting, assigns)
        if not found:
            return chosen, assigns
        chosen += found
        taken = {id(tensor) for tensor in found}
        waiting = [tensor for tensor in waiting if id(tensor) not in taken]
        assigns = assigns | _pending_assigns(_reached(tensor.node for tensor in found))


def _stale(tensors: Sequence[TensorBase], assigns: set[Node]) -> list[TensorBase]:
    """Those tensors that read an older version than the one that memory holds after the assignments."""
    newest = _newest(assigns)
    current = set(newest.values())
    verdicts: dict[Node, bool] = {}
    for tensor in tensors:
        _judge(tensor.node, newest, current, assigns, verdicts)
    return [tensor for tensor in tensors if verdicts[tensor.node] and is_computable(tensor.node)]


def _judge(output: Node, newest: dict[Node, Node], current: set[Node], assigns: set[Node],
           verdicts: dict[Node, bool]) -> None:
    """Fills ``verdicts`` for everything below ``output``: whether it reads memory that is overwritten."""
    verdicts.update((node, node not in current) for node in assigns if node not in verdicts)
    live.reads_memory(output, newest, verdicts)


def _advance(assigns: set[Node]) -> None:
    """The assignments have run: memory holds the newest versions, and tensors that stand for these are buffers."""
    if not assigns:
        return
    newest = _newest(assigns)
    live.forget(newest)
    versions = {node: buffer for buffer, node in newest.items()}
    for node, buffer in versions.items():
        live.record(node, buffer, boundary=True)
    for tensor in live.tensors():
        buffer = versions.get(tensor.node)
        if buffer is not None:
            _stand_for(tensor, buffer)


