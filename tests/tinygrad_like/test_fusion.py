"""What becomes one kernel, counted at the Tensor level, and why the kernels that are left are kernels of their own."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from runtime import Explanation, counters
from tinygrad_like import Tensor, nn
from tinygrad_like.inspect import explain
from tinygrad_like.models import CNN, GPT, MLP, GPTConfig

# What can stand behind the colon of a reason. A new legality clause is added here, so that no kernel boundary is ever
# explained by a text that nobody chose.
CLAUSES = (
    r"complete only after the loop over \[[\d, ]+\]",
    r"two contractions share a nest only where long rows of one stay in scratch",
    r"it sums over the rows: complete only after all of them",
    r"long rows of the two are not closed together",
    r"a row reduction needs whole rows of a tiled contraction",
    r"the operand of a contraction is materialised",
    r"contraction tiles would be lost",
    r"an accumulator's loop would be lost",
    r"more than \d+ operations in one kernel",
    r"only \d+ parallel iterations would remain",
    r"it would walk columns",
    r"\d+ KiB of scratch for each iteration are more than \d+ KiB",
    r"it would overwrite what the other still reads",
    r"other kernels read it too, and no loop would be shared",
    r"another kernel stands between the two",
    r"the loops of the two do not line up",
    r"the value is written in parts",
    r"merging saves no byte",
    r"one waits for the other",
    r"a (scan|scatter) is a kernel of its own",
    r"the result of a (scan|scatter)",
    r"contiguous\(\) asks for a value in memory",
    r"written in place",
    r"a part of a value in memory",
    r"an output",
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers in memory."""
    return Tensor(np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32))


def classes(count: int, *shape: int) -> Tensor:
    return Tensor(np.random.default_rng(count).integers(0, count, shape).astype(np.int32))


def chain_of_twenty(x: Tensor) -> Tensor:
    for number in range(5):
        x = ((x * 0.9 + number).tanh() - x).abs()  # five ops, of which the last four depend on the first
    return x


# ------------------------------------------------------------------------------------------- one kernel

ONE_KERNEL: dict[str, Callable[[Tensor], Tensor]] = {
    "twenty elementwise ops": chain_of_twenty,
    "softmax of rows": lambda x: x.softmax(-1),
    "log_softmax of rows": lambda x: x.log_softmax(-1),
    "layernorm": lambda x: x.layernorm(),
    "layernorm with scale and shift": lambda x: x.layernorm() * normal(256) + normal(256, seed=1),
    "rmsnorm": lambda x: x.rmsnorm(),
    "matmul, bias and GELU": lambda x: (x @ normal(256, 128) + normal(128)).gelu(),
    "matmul by a transposed matrix": lambda x: x @ normal(128, 256).transpose(0, 1),
    "variance of rows": lambda x: x.var(1),
    "variance of everything": lambda x: x.var(),
    "deviation of rows": lambda x: x.std(1),
    "logsumexp of rows": lambda x: x.logsumexp(1),
    "normalised rows": lambda x: x.normalize(),
    "mean of squares": lambda x: x.square().mean(),
    "sum of columns": lambda x: (x * 2).sum(0),
    "positions of maxima": lambda x: x.argmax(1),
    "cross-entropy of each row": lambda x: x.sparse_categorical_crossentropy(classes(256, 64), reduction="none"),
    "views": lambda x: x.reshape(8, 8, 256).permute(1, 0, 2)[:, ::2, 3:].pad(((0, 0), (1, 1), (0, 0))) + 1,
    "dropout and its random numbers": lambda x: x.dropout(0.5),
}


@pytest.mark.parametrize("name", ONE_KERNEL)
def test_one_kernel(name: str) -> None:
    with Tensor.train():
        tensor = ONE_KERNEL[name](normal(64, 256).realize())
        explanation = explain(tensor)
    assert explanation.kernel_count == 1, f"\n{explanation}"


@pytest.mark.parametrize("name", ["twenty elementwise ops", "softmax of rows", "layernorm", "matmul, bias and GELU"])
def test_what_runs_is_what_is_explained(name: str) -> None:
    tensor = ONE_KERNEL[name](normal(64, 256).realize())
    before = counters.kernels, counters.programs
    tensor.realize()
    assert (counters.kernels - before[0], counters.programs - before[1]) == (1, 1)


def test_a_chain_of_twenty_is_read_and_written_once() -> None:
    x = normal(64, 256)
    assert explain(chain_of_twenty(x)).bytes_moved == 2 * x.nbytes()


def test_a_chain_moves_the_values_of_its_inputs_only() -> None:
    """Broadcasting reads the small operand, not a copy of the size of the large one."""
    x, row = normal(512, 256), normal(256)
    assert explain((x + row) * row).bytes_moved <= 2 * x.nbytes() + 2 * row.nbytes()


# ------------------------------------------------------------------------------------------- few kernels

def test_a_perceptron_of_three_layers_is_three_kernels() -> None:
    explanation = explain(MLP((784, 512, 512, 10))(normal(32, 784)))
    assert [kernel.strategy for kernel in explanation.kernels] == ["contraction"] * 3, f"\n{explanation}"


def test_products_of_one_row_follow_the_rows_of_their_matrices() -> None:
    """The second product waits for the first, although it could run beside it, one column of its matrix a step."""
    up, down = nn.Linear(64, 512), nn.Linear(512, 64)
    explanation = explain(down(up(normal(1, 64)).gelu()))
    assert [kernel.name for kernel in explanation.kernels] == ["row_reduction_64x512", "row_reduction_512x64"]


def test_mean_cross_entropy_adds_one_sum() -> None:
    """The losses of the rows are one kernel, which may be parallel; their mean waits for all of them."""
    explanation = explain(normal(64, 256).sparse_categorical_crossentropy(classes(256, 64)))
    assert explanation.kernel_count <= 2, f"\n{explanation}"


@pytest.mark.parametrize("training", [False, True])
def test_batch_norm(training: bool) -> None:
    """Statistics, normalisation and, in training, the running statistics."""
    layer = nn.BatchNorm2d(8)
    with Tensor.train(training):
        result = layer(normal(16, 8, 10, 10))
        outputs = [result, layer.running_mean, layer.running_var] if training else [result]
        explanation = explain(outputs)
    assert explanation.kernel_count == 1, f"\n{explanation}"


def test_two_reductions_of_one_value_read_it_once() -> None:
    x = normal(64, 4096)
    explanation = explain([x.sum(1), x.max(1), (x * x).sum(1)])
    assert explanation.kernel_count == 1 and explanation.bytes_moved < 1.1 * x.nbytes(), f"\n{explanation}"


def test_adam_is_one_kernel_a_parameter_in_one_region() -> None:
    """About fifteen ops on each of six parameters, and two numbers that all of them share."""
    parameters = list(MLP((64, 128, 128, 10)).parameters())
    optimizer = nn.optim.Adam(parameters)
    Tensor.realize(*parameters)
    for parameter in parameters:
        parameter.grad = normal(*parameter.shape)
    explanation = explain(optimizer.schedule_step())
    assert explanation.kernel_count <= len(parameters) + 3, f"\n{explanation}"
    updates = [kernel for kernel in explanation.kernels if kernel.bytes_moved > 100]
    assert len({kernel.level for kernel in updates}) == 1, "the updates wait for each other"
    assert explanation.bytes_moved <= 1.01 * sum(7 * parameter.nbytes() for parameter in parameters) + 200


def test_a_gradient_is_used_where_it_is_made() -> None:
    """The update of a weight is in the kernel of its gradient: three products with their updates, not six kernels."""
    model = MLP((64, 128, 10))
    optimizer = nn.optim.SGD(list(model.parameters()), 0.1)
    with Tensor.train():
        model(normal(32, 64)).square().sum().backward()
        explanation = explain(optimizer.schedule_step())
    writers = [kernel for kernel in explanation.kernels if kernel.strategy == "contraction" and any(
        reason.endswith("written in place") for reason in kernel.reasons)]
    assert len(writers) == 2, f"\n{explanation}"


# ------------------------------------------------------------------------------------------- reasons

def training_step(model: nn.Module, loss: Tensor) -> Explanation:
    """Forward pass, backward pass and AdamW's update as one program."""
    optimizer = nn.optim.AdamW(list(model.parameters()))
    loss.backward()
    return explain([loss, *optimizer.schedule_step()])


def check_reasons(explanation: Explanation) -> None:
    """Every kernel says for each stored value what it is, who reads it, and which clause keeps the two apart."""
    value = r"\w+\[[\d, ]*\]"
    known = re.compile(rf"{value}( -> {value})?: ({'|'.join(CLAUSES)})")
    for kernel in explanation.kernels:
        assert kernel.reasons, f"{kernel.name} has no reason"
        assert kernel.locations, f"{kernel.name} comes from nowhere"
        for reason in kernel.reasons:
            assert known.fullmatch(reason), f"{kernel.name}: {reason}"
            subject = reason.partition("[")[0]
            if reason.endswith("written in place"):
                assert subject == "assign", reason
            if reason.endswith(": contiguous() asks for a value in memory"):
                assert "contiguous" in reason.partition(":")[0], reason


def test_every_kernel_of_a_gpt_block_step_has_a_reason() -> None:
    model = GPT(GPTConfig(vocabulary=65, context=32, layers=1, heads=2, width=32))
    with Tensor.train():
        explanation = training_step(model, model.loss(classes(65, 4, 32), classes(65, 4, 32)))
    check_reasons(explanation)
    assert explanation.kernel_count <= 44, f"\n{explanation}"
    assert sum(kernel.strategy == "contraction" for kernel in explanation.kernels) <= 21, f"\n{explanation}"


def test_a_gpt_block_is_seven_kernels() -> None:
    """Norm, queries-keys-values, attention, projection, norm, and two layers."""
    block = GPT(GPTConfig(vocabulary=65, context=32, layers=1, heads=2, width=32)).blocks[0]
    explanation = explain(block(normal(4, 32, 32)))
    check_reasons(explanation)
    assert explanation.kernel_count <= 7, f"\n{explanation}"
    assert [kernel.strategy for kernel in explanation.kernels].count("attention") == 1


def test_every_kernel_of_a_convolutional_step_has_a_reason() -> None:
    model = CNN()
    with Tensor.train():
        loss = model(normal(4, 1, 28, 28)).sparse_categorical_crossentropy(classes(10, 4))
        explanation = training_step(model, loss)
    check_reasons(explanation)
    assert explanation.kernel_count < 80, f"\n{explanation}"


def test_equal_blocks_are_equal_kernels() -> None:
    """Kernels of a structure compile once: twice the layers have the same kernels, more often."""

    def structures(layers: int) -> set[tuple[str, str]]:
        model = GPT(GPTConfig(vocabulary=65, context=32, layers=layers, heads=2, width=32))
        with Tensor.train():
            explanation = training_step(model, model.loss(classes(65, 4, 32), classes(65, 4, 32)))
        return {(kernel.name, kernel.strategy) for kernel in explanation.kernels}

    assert structures(3) == structures(4)


def test_an_explanation_runs_nothing() -> None:
    tensor = normal(8, 8).softmax()
    before = counters.programs
    assert "1 kernels" in str(explain(tensor))
    assert counters.programs == before
