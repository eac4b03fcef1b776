"""Which schedule a kernel gets on a GPU, and the CUDA C that it becomes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lowering_cases import layernorm, matmul, repeated, softmax
from lowering_harness import buffer

import ir
from codegen.block_steps import Share, Tile
from codegen.cuda import emit_cuda, launch_shape
from codegen.kernel import Kernel, KernelBatch
from codegen.lower import explain_schedule, lower
from codegen.nest import build_nest
from codegen.schedule import schedule
from codegen.step_text import parse_steps
from codegen.steps import ScheduleError
from codegen.target import Target
from ir import Node

GPU = Target.cuda("sm_80")


def kernels(*outputs: Node) -> list[Kernel]:
    return [kernel for step in schedule(list(outputs), GPU).steps if isinstance(step, KernelBatch)
            for kernel in step.kernels]


def the_kernel(*outputs: Node) -> Kernel:
    (kernel,) = kernels(*outputs)
    return kernel


def text_of(kernel: Kernel) -> str:
    functions = [launch.function for launch in lower(kernel, GPU).launches]
    return "".join(emit_cuda([function]).partition('extern "C"')[2] for function in functions)


def shapes_of(kernel: Kernel) -> list[tuple[tuple[int, int, int], tuple[int, int, int]]]:
    return [tuple(launch_shape(launch.function)) for launch in lower(kernel, GPU).launches]


def test_elementwise_kernels_move_packets() -> None:
    x, y = buffer((64, 256)), buffer((64, 256))
    kernel = the_kernel(ir.add(ir.mul(x, y), repeated(buffer((256,)), (64, 256), 0)))
    assert "Vectorize" in explain_schedule(kernel, GPU)
    assert text_of(kernel).count("reinterpret_cast<const Packet<float, 4>*>") == 3
    assert text_of(kernel).count("*reinterpret_cast<Packet<float, 4>*>") == 1
    assert shapes_of(kernel) == [((32, 1, 1), (128, 1, 1))]


def test_odd_lengths_move_single_elements() -> None:
    x, y = buffer((63, 255)), buffer((63, 255))
    assert "Packet<" not in text_of(the_kernel(ir.add(x, y)))


def test_a_long_row_is_one_block_of_shuffles_and_shared_memory() -> None:
    kernel = the_kernel(softmax(buffer((300, 2000))))
    text = text_of(kernel)
    assert shapes_of(kernel) == [((300, 1, 1), (256, 1, 1))]
    assert "__shfl_xor_sync" in text and "__shared__" in text and text.count("__syncthreads();") == 2


def test_short_rows_share_a_block_and_need_no_barrier() -> None:
    kernel = the_kernel(softmax(buffer((300, 60))))
    assert shapes_of(kernel) == [((75, 1, 1), (32, 4, 1))]
    assert "__syncthreads" not in text_of(kernel)


def test_a_row_that_does_not_fit_shared_memory_stays_with_its_threads() -> None:
    kernel = kernels(layernorm(buffer((80, 30_000)), buffer((30_000,)), buffer((30_000,))))[0]
    assert "Share" in explain_schedule(kernel, GPU)


def test_columns_have_threads_along_both_dimensions() -> None:
    kernel = the_kernel(ir.reduce("sum", buffer((500, 8192)), (0,)))
    assert shapes_of(kernel) == [((256, 1, 1), (32, 8, 1))]


def test_few_columns_are_cut_into_chunks() -> None:
    shapes = shapes_of(the_kernel(ir.reduce("sum", buffer((100_000, 40)), (0,))))
    assert len(shapes) == 2 and shapes[0][0][0] >= 128


def test_products_run_in_shared_tiles() -> None:
    kernel = the_kernel(matmul(buffer((256, 128)), buffer((128, 192))))
    steps = explain_schedule(kernel, GPU)
    assert steps.count("StageTile") == 2 and steps.count("Tile('") == 4
    text = text_of(kernel)
    assert shapes_of(kernel) == [((12, 1, 1), (16, 16, 1))]
    assert text.count("__syncthreads();") == 2 and text.count("fmaf(") == 16
    assert "Packet<float, 4>" in text


def test_a_short_last_block_of_k_is_written_out() -> None:
    assert text_of(the_kernel(matmul(buffer((64, 40)), buffer((40, 64))))).count("fmaf(") == 32


@pytest.mark.parametrize("output", [softmax(buffer((300, 2000))), matmul(buffer((64, 40)), buffer((40, 64)))],
                         ids=["softmax", "product"])
def test_schedules_are_read_back(output: Node) -> None:
    text = explain_schedule(the_kernel(output), GPU)
    assert [repr(step) for step in parse_steps(text)] == [line for line in text.splitlines() if line[:1] not in "#"]


def test_illegal_steps_say_why() -> None:
    kernel = the_kernel(ir.reduce("sum", buffer((100, 200)), (1,)))
    with pytest.raises(ScheduleError, match="statement 0 reduces over k0"):
        Tile("k0", 32).apply(build_nest(kernel))
    with pytest.raises(ScheduleError, match="power of two"):
        Share("k0", 100).apply(build_nest(kernel))
    nest = build_nest(kernel)
    nest.threads[0] = 64
    with pytest.raises(ScheduleError, match="the block already has 64 threads"):
        Share("k0", 128).apply(nest)
