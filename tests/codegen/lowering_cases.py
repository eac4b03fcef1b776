"""Small graphs, one for each thing that kernels must get right: strides, tails, guards, dtypes, orders of reduction."""

from __future__ import annotations

from collections.abc import Sequence

from lowering_harness import buffer

import ir
from ir import Node, dtypes


def total(monoid: str, x: Node, *axes: int) -> Node:
    return ir.reduce(monoid, x, axes)


def repeated(x: Node, shape: Sequence[int], axis: int) -> Node:
    """``x`` with a new dimension at ``axis``, repeated to ``shape``."""
    single = [*shape]
    single[axis] = 1
    return ir.expand(ir.reshape(x, tuple(single)), tuple(shape))


def softmax(x: Node) -> Node:
    last = len(x.shape) - 1
    exponential = ir.exp(ir.sub(x, repeated(total("max", x, last), x.shape, last)))
    return ir.div(exponential, repeated(total("sum", exponential, last), x.shape, last))


def layernorm(x: Node, scale: Node, shift: Node) -> Node:
    rows, columns = x.shape
    inverse = ir.constant(1 / columns, x.dtype, (rows,))
    centred = ir.sub(x, repeated(ir.mul(total("sum", x, 1), inverse), x.shape, 1))
    variance = ir.mul(total("sum", ir.mul(centred, centred), 1), inverse)
    deviation = ir.rsqrt(ir.add(variance, ir.constant(1e-5, x.dtype, (rows,))))
    normal = ir.mul(centred, repeated(deviation, x.shape, 1))
    return ir.add(ir.mul(normal, repeated(scale, x.shape, 0)), repeated(shift, x.shape, 0))


def matmul(a: Node, b: Node) -> Node:
    """[.., m, k] times [.., k, n]."""
    *batch, m, k = a.shape
    n = b.shape[-1]
    rank, shape = len(batch), (*batch, m, n, k)
    order = (*range(rank), rank + 1, rank)
    left = ir.expand(ir.reshape(a, (*batch, m, 1, k)), shape)
    right = ir.expand(ir.reshape(ir.permute(b, order), (*batch, 1, n, k)), shape)
    return total("sum", ir.mul(left, right), rank + 2)


def transposed(x: Node) -> Node:
    rank = len(x.shape)
    return ir.permute(x, (*range(rank - 2), rank - 1, rank - 2))


def windows(x: Node, size: int, stride: int, padding: int, fill: float = 0) -> Node:
    """[b, c, h, w] as [b, c, oh, size, ow, size]."""
    high = ir.window(x, 2, size, stride, 1, padding, padding, fill)
    return ir.window(high, 4, size, stride, 1, padding, padding, fill)


def convolution(x: Node, w: Node, stride: int = 1, padding: int = 1) -> Node:
    batch, channels, *_ = x.shape
    out, _, size, _ = w.shape
    y = windows(x, size, stride, padding)
    shape = (batch, out, channels, y.shape[2], size, y.shape[4], size)
    left = ir.expand(ir.reshape(y, (batch, 1, *y.shape[1:])), shape)
    right = ir.expand(ir.reshape(w, (1, out, channels, 1, size, 1, size)), shape)
    return total("sum", ir.mul(left, right), 2, 4, 6)


def _gradients(output: Node, wrt: Sequence[Node]) -> list[Node]:
    found = ir.gradient([output], [buffer(output.shape, output.dtype)], list(wrt))
    return [node for node in found if node is not None]


def _reductions() -> dict[str, list[Node]]:
    x, y, big, tall = buffer((33, 70)), buffer((33, 70)), buffer((300, 230)), buffer((4000, 20))
    scale, shift = buffer((70,)), buffer((70,))
    return {
        "row sum": [total("sum", x, 1)], "column sum": [total("sum", x, 0)], "total": [total("sum", x, 0, 1)],
        "row product": [total("prod", x, 1)], "column max": [total("max", x, 0)], "row min": [total("min", x, 1)],
        "argmax": [total("argmax", x, 1)], "argmin columns": [total("argmin", x, 0)],
        "argmax of all": [total("argmax", x, 0, 1)], "large total": [total("sum", big, 0, 1)],
        "large max": [total("max", big, 0, 1)], "large column sum": [total("sum", big, 0)],
        "tall column sum": [total("sum", ir.mul(tall, tall), 0)],
        "softmax": [softmax(x)], "softmax of columns": [transposed(softmax(transposed(x)))],
        "softmax gradient": _gradients(softmax(x), [x]), "large softmax": [softmax(big)],
        "layernorm": [layernorm(x, scale, shift)],
        "layernorm gradient": _gradients(layernorm(x, scale, shift), [x, scale, shift]),
        "several": [total("sum", x, 1), total("max", x, 1), ir.add(x, y)],
    }


def _views() -> dict[str, list[Node]]:
    x, y, image = buffer((33, 70)), buffer((33, 70)), buffer((2, 3, 9, 11))
    return {
        "add": [ir.add(x, y)], "transpose": [ir.contiguous(transposed(x))],
        "flip": [ir.contiguous(ir.flip(x, (0, 1)))], "pad": [ir.contiguous(ir.pad(x, ((2, 1), (3, 5)), 7))],
        "slice": [ir.contiguous(ir.slice(x, ((1, 30, 3), (2, 60, 7))))],
        "reshape of transpose": [ir.add(ir.reshape(x, (70, 33)), transposed(y))],
        "concat": [ir.concat([x, y, ir.mul(x, y)], 0)], "concat columns": [ir.concat([x, y], 1)],
        "max pool": [total("max", windows(image, 3, 2, 1, float("-inf")), 3, 5)],
        "iota": [ir.add(ir.iota(37), ir.flip(ir.iota(37), (0,)))],
        "scalar": [ir.add(buffer(()), buffer(()))], "empty": [ir.add(buffer((0, 5)), buffer((0, 5)))],
        "empty sum": [total("sum", buffer((0, 5)), 0)], "where": [ir.where(ir.less(x, y), x, y), ir.less(x, y)],
    }


def _contractions() -> dict[str, list[Node]]:
    a, b, c, at = buffer((19, 37)), buffer((37, 53)), buffer((53, 37)), buffer((37, 19))
    row, column = buffer((1, 37)), buffer((37, 1))
    q, k, v = (buffer((2, 3, 20, 16)) for _ in range(3))
    image, weights = buffer((2, 3, 9, 11)), buffer((5, 3, 3, 3))
    bias, residual = buffer((53,)), buffer((19, 53))
    biased = ir.add(ir.add(matmul(a, b), repeated(bias, (19, 53), 0)), residual)
    large, wide = buffer((40, 60)), buffer((60, 1100))
    return {
        "matmul": [matmul(a, b)], "matmul a b'": [matmul(a, transposed(c))], "matmul a' b": [matmul(transposed(at), b)],
        "matmul a' b'": [matmul(transposed(at), transposed(c))], "vector matrix": [matmul(row, b)],
        "matrix vector": [matmul(c, column)], "vector matrix'": [matmul(row, transposed(c))],
        "matmul of tanh": [matmul(ir.tanh(a), b)],
        "epilogue": [ir.tanh(biased)], "relu": [ir.maximum(biased, residual)],
        "matmul gradient": _gradients(matmul(a, b), [a, b]), "large matmul": [matmul(large, wide)],
        "large a' b": [matmul(transposed(wide), transposed(large))],
        "batched": [matmul(q, transposed(k))], "attention": [matmul(softmax(matmul(q, transposed(k))), v)],
        "convolution": [convolution(image, weights)], "strided convolution": [convolution(image, weights, 2, 0)],
        "convolution gradient": _gradients(convolution(image, weights), [image, weights]),
        "strided convolution gradient": _gradients(convolution(image, weights, 2, 1), [image, weights]),
        "long k": [matmul(buffer((5, 9000)), buffer((9000, 3)))],
    }


def _indexed() -> dict[str, list[Node]]:
    table, numbers, updates = buffer((40, 24)), buffer((5, 7), dtypes.int32), buffer((5, 7, 24))
    rows, labels = buffer((33, 70)), buffer((33,), dtypes.int32)
    cases = {
        "gather": [ir.gather(table, numbers)], "pick": [ir.gather(rows, labels, batch=1)],
        "embedding gradient": _gradients(ir.gather(table, numbers), [table]),
        "pick gradient": _gradients(ir.gather(rows, labels, batch=1), [rows]),
        "histogram": [ir.scatter(buffer((40,)), numbers, buffer((5, 7)))],
    }
    for mode in ("add", "set", "max", "min"):
        cases[f"scatter {mode}"] = [ir.scatter(table, numbers, updates, mode=mode)]
    return cases


def _types() -> dict[str, list[Node]]:
    cases: dict[str, list[Node]] = {}
    for dtype in dtypes.all:
        x, y = buffer((9, 21), dtype), buffer((9, 21), dtype)
        cases[f"max of {dtype.name}"] = [total("max", x, 0), total("argmax", x, 1)]
        cases[f"casts of {dtype.name}"] = [ir.cast(x, other) for other in dtypes.all if other is not dtype]
        if not dtype.is_bool:
            cases[f"product of {dtype.name}"] = [ir.mul(ir.add(x, y), y)]
            cases[f"sum of {dtype.name}"] = [total("sum", x, 1), total("sum", x, 0)]
            cases[f"matmul of {dtype.name}"] = [matmul(x, transposed(y))]
    return cases


def _updates() -> dict[str, list[Node]]:
    parameter, moment, gradient = buffer((33, 70)), buffer((33, 70)), buffer((33, 70))
    decay = ir.constant(0.9, dtypes.float32, moment.shape)
    moved = ir.assign(moment, ir.add(ir.mul(moment, decay), gradient))
    region = ((2, 20, 3), (1, 8, 1))
    return {
        "momentum": [moved, ir.assign(parameter, ir.sub(parameter, moved))],
        "assign a region": [ir.assign(parameter, buffer((6, 7)), region)],
    }


def running(x: Node, start: Node, reverse: bool = False, axis: int = 0) -> list[Node]:
    """A decaying sum along an axis: the last state, and the sine of every state."""
    state, element = ir.parameter(0, x.dtype, start.shape), ir.parameter(1, x.dtype, start.shape)
    moved = ir.add(ir.mul(state, ir.constant(0.9, x.dtype, state.shape)), element)
    node = ir.scan(ir.Body((state, element), (moved, ir.sin(moved))), [start], [x], reverse=reverse, axis=axis)
    return [ir.project(node, 0), ir.project(node, 1)]


def _extremes(x: Node, y: Node, reverse: bool) -> list[Node]:
    """The running maximum along the last axis, and the steps so far at which it was reached."""
    results = []
    for source in (x, y):
        rows = source.shape[:-1]
        best, steps = ir.parameter(0, source.dtype, rows), ir.parameter(1, dtypes.int32, rows)
        element = ir.parameter(2, source.dtype, rows)
        new = ir.maximum(best, element)
        count = ir.add(steps, ir.cast(ir.equal(new, element), dtypes.int32))
        starts = ir.constant(-100, source.dtype, rows), ir.constant(0, dtypes.int32, rows)
        node = ir.scan(ir.Body((best, steps, element), (new, count, new, count)), starts, [source], reverse,
                       axis=len(rows))
        results += [ir.project(node, number) for number in (1, 2, 3)]
    return results


def _scans() -> dict[str, list[Node]]:
    cases: dict[str, list[Node]] = {}
    for direction in ("forward", "backward"):
        reverse = direction == "backward"
        x, start = buffer((9, 3, 21)), buffer((3, 21))
        wide = [buffer((2, 7, 35)), buffer((2, 7))]
        cases[f"scan {direction}"] = running(x, start, reverse)
        cases[f"scan {direction} of scalars"] = running(buffer((17,)), buffer(()), reverse)
        cases[f"scan {direction} along rows"] = running(transposed(buffer((6, 33))), buffer((6,)), reverse)
        cases[f"scan {direction} of blocks"] = running(buffer((67, 37)), buffer((67,)), reverse, 1)
        cases[f"scan {direction} of blocks gradient"] = _gradients(running(*wide, reverse, 2)[1], wide)
        cases[f"scan {direction} of doubles in blocks"] = running(
            buffer((9, 21), dtypes.float64), buffer((9,), dtypes.float64), reverse, 1)
        cases[f"running maxima {direction}"] = _extremes(buffer((5, 40, 3)), buffer((21, 33)), reverse)
        cases[f"scan {direction} gradient"] = _gradients(running(x, start, reverse)[1], [x, start])
    return cases


def _sorts() -> dict[str, list[Node]]:
    """Rows sorted by counting and by digits, and the first places of some that are selected before."""
    cases = {
        "sort of short rows": [ir.argsort(buffer((5, 13)), 1), ir.argsort(buffer((20, 3)), 0, True)],
        "sort of columns": [ir.argsort(buffer((70, 5)), 0, True), ir.argsort(transposed(buffer((4, 90))), 0)],
        "sort of a row": [ir.argsort(buffer((2000,)), 0)],
        "first of a row": [ir.argsort(buffer((2000,)), 0, True, 11), ir.argsort(buffer((3, 40)), 1, False, 7)],
        "first of short rows": [ir.argsort(buffer((6, 9)), 1, True, 2)],
        "sort of a computed value": [ir.argsort(ir.sin(buffer((3, 50))), 1)],
    }
    for dtype in (dtypes.bool, dtypes.uint8, dtypes.int64, dtypes.float16, dtypes.bfloat16, dtypes.float64):
        cases[f"sort of {dtype.name}"] = [ir.argsort(buffer((2, 41), dtype), 1, True),
                                          ir.argsort(buffer((3, 6), dtype), 1)]
    return cases


CASES: dict[str, list[Node]] = {
    **_reductions(), **_views(), **_contractions(), **_indexed(), **_types(), **_updates(), **_scans(), **_sorts(),
}
