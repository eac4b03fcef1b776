"""How kernels walk through memory: long rows, square blocks, output past the caches, vectors that are well filled."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lowering_cases import convolution, matmul, running, total, transposed
from lowering_harness import TARGETS, buffer, check_graph, random_array
from test_strategies import explained, gathers, statements_of

import ir
from codegen.leaves import STREAMED_BYTES
from codegen.loops import Store
from ir import Node, dtypes

CASES = {
    "column sums": lambda: total("sum", buffer((20, 600)), 0),
    "column maxima of the end": lambda: total("max", ir.slice(buffer((37, 609)), ((0, 37, 1), (9, 609, 1))), 0),
    "columns with an epilogue": lambda: ir.exp(ir.neg(ir.abs(total("sum", buffer((33, 531)), 0)))),
    "column sums of halves": lambda: total("sum", buffer((32, 600), dtypes.float16), 0),
    "a vector times a matrix": lambda: matmul(buffer((1, 40)), buffer((40, 333))),
    "transposition": lambda: ir.contiguous(transposed(buffer((37, 50)))),
    "a flip": lambda: ir.flip(ir.exp(ir.flip(buffer((3, 37)), (1,))), (0, 1)),
    "a flip of doubles": lambda: ir.add(ir.flip(buffer((45,), dtypes.float64), (0,)), buffer((45,), dtypes.float64)),
    "transposed operands": lambda: ir.add(transposed(buffer((3, 40, 33))), ir.exp(transposed(buffer((3, 40, 33))))),
    "transposed and not": lambda: ir.mul(transposed(buffer((48, 21))), buffer((21, 48))),
    "a transposed operand": lambda: matmul(buffer((41, 37)), transposed(buffer((70, 37)))),
    "both transposed": lambda: matmul(transposed(buffer((64, 40))), transposed(buffer((16, 64)))),
    "a batch with a transposed operand": lambda: matmul(buffer((3, 33, 48)), transposed(buffer((3, 50, 48)))),
    "a transposed operand of doubles": lambda: matmul(buffer((40, 21), dtypes.float64),
                                                      transposed(buffer((19, 21), dtypes.float64))),
    "a transposed operand of halves": lambda: matmul(buffer((64, 35), dtypes.float16),
                                                     transposed(buffer((50, 35), dtypes.float16))),
    "a transposed operand under a mask": lambda: matmul(buffer((64, 40)), transposed(
        ir.pad(buffer((45, 33)), ((2, 3), (5, 2)), 0))),
    "a transposed sum as an operand": lambda: matmul(buffer((64, 40)), transposed(ir.mul(
        buffer((50, 40)), ir.expand(ir.reshape(buffer((50,)), (50, 1)), (50, 40))))),
    "narrow images": lambda: convolution(buffer((2, 15, 5, 5)), buffer((31, 15, 3, 3))),
}


@pytest.mark.parametrize("target", ["avx512", "sse"])
@pytest.mark.parametrize("name", CASES)
def test_results(name: str, target: str) -> None:
    output = CASES[name]()
    buffers = [node for node in ir.topological_order([output]) if node.op.name == "buffer"]
    inputs = {node: random_array(node, seed) for seed, node in enumerate(buffers)}
    tolerance = 2e-2 if output.dtype is dtypes.float16 else 1e-4
    check_graph([output], inputs, TARGETS[target], tolerance, tolerance)


def test_columns_are_summed_a_few_long_rows_at_a_time() -> None:
    steps = explained(total("sum", buffer((512, 65536)), 0))
    assert "Unroll('k0.i', within=0)" in steps and "Reorder(('k0.o', 'i0.o.i', 'k0.i'" in steps


def test_halves_are_summed_in_registers() -> None:
    """Sums that are kept in memory in between would be rounded to its type each time."""
    assert "k0.o" not in explained(total("sum", buffer((512, 65536), dtypes.float16), 0))


def test_blocks_are_copied_before_they_are_transposed() -> None:
    steps = explained(ir.contiguous(transposed(buffer((1024, 512)))))
    assert steps.count("CopyBlock(") == 1


def test_an_operand_that_is_contiguous_along_k_is_packed_in_squares() -> None:
    product = matmul(buffer((256, 96)), transposed(buffer((160, 96))))
    assert explained(product).count("CopySquares(") == 1
    assert not gathers(product)


@pytest.mark.parametrize("reverse", [False, True])
def test_scans_along_rows_turn_blocks_in_registers(reverse: bool) -> None:
    _, output = running(buffer((64, 128)), buffer((64,)), reverse, 1)
    assert explained(output).count("CopyBlock(") == 1
    assert not gathers(output)


def test_flipped_rows_are_read_in_vectors() -> None:
    assert not gathers(ir.exp(ir.flip(buffer((8, 64)), (1,))))


@pytest.mark.parametrize(("elements", "streamed"), [(STREAMED_BYTES // 4, True), (STREAMED_BYTES // 8, False)])
def test_large_outputs_bypass_the_caches(elements: int, streamed: bool) -> None:
    stores = [s for s in statements_of(ir.exp(buffer((elements,)))) if isinstance(s, Store)]
    assert stores and all(store.streaming is streamed for store in stores)


def test_what_is_updated_in_place_stays_in_the_caches() -> None:
    x = buffer((STREAMED_BYTES // 4,))
    stores = [s for s in statements_of(ir.assign(x, ir.exp(x))) if isinstance(s, Store)]
    assert stores and not any(store.streaming for store in stores)


def _images(width: int) -> Node:
    return convolution(buffer((64, 64, width, width)), buffer((64, 64, 3, 3)))


def test_lanes_run_along_channels_where_images_are_narrow() -> None:
    """Six columns fill less than half of sixteen lanes. The weights are packed once for many rows of images."""
    steps = explained(_images(6))
    assert "Stage('left', 0, " in steps and gathers(_images(6))
    assert "Stage" not in explained(_images(32))
