"""RNN, LSTM and GRU equal PyTorch's; their graph has one size for any number of steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ir
from tinygrad_like import Tensor, jit, nn
from tinygrad_like.inspect import dump, explain

CASES = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu", "num_layers": 2}),
    ("LSTM", {}),
    ("LSTM", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
    ("LSTM", {"bias": False}),
    ("GRU", {"num_layers": 2}),
    ("GRU", {"bidirectional": True}),
]


def layers(kind: str, *arguments: Any, **keywords: Any) -> tuple[Any, Any]:
    """Ours and PyTorch's with the same parameters."""
    torch = pytest.importorskip("torch", reason="the oracle torch is not installed")
    theirs = getattr(torch.nn, kind)(*arguments, **keywords)
    ours = getattr(nn, kind)(*arguments, **keywords)
    assert set(ours.state_dict()) == set(theirs.state_dict())
    ours.load_state_dict({name: Tensor(value.numpy().copy()) for name, value in theirs.state_dict().items()})
    return ours, theirs


def close(ours: Tensor, theirs: Any, tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=tolerance, atol=tolerance)


def states_of(final: Any) -> tuple[Any, ...]:
    return final if isinstance(final, tuple) else (final,)


@pytest.mark.parametrize(("kind", "options"), CASES, ids=[f"{kind}-{'-'.join(o)}" for kind, o in CASES])
def test_values_final_states_and_gradients_equal_torch(kind, options):
    ours, theirs = layers(kind, 3, 4, **options)
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(1)
    rows = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    data = generator.standard_normal((5, 2, 3)).astype(np.float32)
    data = data.swapaxes(0, 1).copy() if options.get("batch_first") else data
    initial = [generator.standard_normal((rows, 2, 4)).astype(np.float32) for _ in range(2 if kind == "LSTM" else 1)]
    x, tx = Tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
    hx, thx = [Tensor(h, requires_grad=True) for h in initial], [torch.tensor(h, requires_grad=True) for h in initial]
    output, final = ours(x, tuple(hx) if len(hx) == 2 else hx[0])
    expected, last = theirs(tx, tuple(thx) if len(thx) == 2 else thx[0])
    (output.square().sum() + sum(state.sin().sum() for state in states_of(final))).backward()
    (expected.square().sum() + sum(state.sin().sum() for state in states_of(last))).backward()
    close(output, expected)
    for mine, other in zip(states_of(final), states_of(last), strict=True):
        close(mine, other)
    close(x.grad, tx.grad)
    for mine, other in zip(hx, thx, strict=True):
        close(mine.grad, other.grad)
    for name, parameter in theirs.named_parameters():
        close(ours.state_dict()[name].grad, parameter.grad)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_variable_lengths_equal_packed_sequences(kind):
    ours, theirs = layers(kind, 3, 4, bidirectional=True)
    torch = pytest.importorskip("torch")
    data = np.random.default_rng(2).standard_normal((6, 3, 3)).astype(np.float32)
    lengths = [6, 3, 1]
    x, tx = Tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
    output, final = ours(x, lengths=lengths)
    packed, last = theirs(torch.nn.utils.rnn.pack_padded_sequence(tx, lengths))
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(packed)
    output.square().sum().backward()
    expected.square().sum().backward()
    close(output, expected)
    for mine, other in zip(states_of(final), states_of(last), strict=True):
        close(mine, other)
    close(x.grad, tx.grad)
    close(ours.weight_hh_l0_reverse.grad, theirs.weight_hh_l0_reverse.grad)


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cells_equal_torch(kind):
    ours, theirs = layers(kind, 3, 4)
    torch = pytest.importorskip("torch")
    data = np.random.default_rng(3).standard_normal((2, 3)).astype(np.float32)
    mine, other = ours(Tensor(data)), theirs(torch.tensor(data))
    mine, other = ours(Tensor(data), mine), theirs(torch.tensor(data), other)
    for a, b in zip(states_of(mine), states_of(other), strict=True):
        close(a, b)


def nodes_in(outputs: list[Tensor]) -> int:
    """The nodes of the graph and of all bodies inside."""
    pending, count = [[tensor.node for tensor in outputs]], 0
    while pending:
        for node in ir.topological_order(pending.pop()):
            count += 1
            pending.extend(value.results for value in node.attributes if isinstance(value, ir.Body))
    return count


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_the_graph_has_the_same_size_for_10_and_1000_steps(kind):
    layer = getattr(nn, kind)(3, 4, num_layers=2, bidirectional=True)

    def size(steps: int) -> int:
        x = Tensor.ones(steps, 2, 3).contiguous()
        loss = layer(x)[0].square().sum()
        return nodes_in([loss, *loss.gradient(*layer.parameters())])

    assert size(10) == size(1000)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_what_is_compiled_does_not_grow_with_time(kind):
    """As many kernels, and code of the same length but for the digits of sizes, for 10 steps and for 1,000."""
    layer = getattr(nn, kind)(3, 4, num_layers=2)

    def compiled(steps: int) -> tuple[int, int]:
        loss = layer(Tensor.ones(steps, 2, 3).contiguous())[0].square().sum()
        results = [loss, *loss.gradient(*layer.parameters())]
        return explain(results).kernel_count, len(dump(results, stage="llvm").splitlines())

    (few, short), (many, long) = compiled(10), compiled(1000)
    assert few == many and long < 1.25 * short


def test_a_thousand_steps_run_forward_and_backward():
    layer = nn.LSTM(3, 4)
    loss = layer(Tensor.ones(1000, 2, 3))[0].square().mean()
    loss.backward()
    assert np.isfinite(layer.weight_hh_l0.grad.numpy()).all() and np.abs(layer.weight_ih_l0.grad.numpy()).max() > 0


def test_one_sequence_without_a_batch():
    ours, theirs = layers("LSTM", 3, 4, num_layers=2)
    torch = pytest.importorskip("torch")
    data = np.random.default_rng(4).standard_normal((5, 3)).astype(np.float32)
    output, (hidden, cell) = ours(Tensor(data))
    expected, (last, last_cell) = theirs(torch.tensor(data))
    close(output, expected)
    close(hidden, last)
    close(cell, last_cell)


def test_truncated_backpropagation_continues_from_a_detached_state():
    layer = nn.GRU(3, 4)
    x = Tensor.ones(6, 2, 3)
    whole, _ = layer(x)
    first, state = layer(x[:3])
    second, _ = layer(x[3:], state.detach())
    np.testing.assert_allclose(first.cat(second).numpy(), whole.numpy(), atol=1e-6)
    second.sum().backward()
    assert layer.weight_hh_l0.grad is not None


def test_dropout_acts_between_layers_in_training_only():
    layer = nn.LSTM(3, 64, num_layers=2, dropout=0.9)
    x = Tensor.ones(4, 2, 3)
    calm = layer.eval()(x)[0].numpy()
    np.testing.assert_array_equal(layer(x)[0].numpy(), calm)
    assert np.abs(layer.train()(x)[0].numpy() - calm).max() > 1e-3


def test_initial_distribution_is_uniform_by_the_hidden_size():
    weight = nn.LSTM(50, 64).weight_ih_l0.numpy()
    assert weight.shape == (256, 50) and np.abs(weight).max() <= 1 / 8
    np.testing.assert_allclose(weight.std(), 1 / 8 / np.sqrt(3), rtol=0.03)


def test_errors_say_what_was_expected():
    layer = nn.LSTM(3, 4)
    with pytest.raises(ValueError, match=r"LSTM expects \[steps, batch, 3\]"):
        layer(Tensor.ones(5, 2, 4))
    with pytest.raises(ValueError, match=r"2 initial state"):
        layer(Tensor.ones(5, 2, 3), Tensor.zeros(1, 2, 4))
    with pytest.raises(ValueError, match="lengths are integers"):
        layer(Tensor.ones(5, 2, 3), lengths=[1, 2, 3])
    with pytest.raises(ValueError, match="'tanh' or 'relu'"):
        nn.RNN(3, 4, nonlinearity="sine")


def test_a_compiled_training_step_lowers_the_loss():
    layer, head = nn.LSTM(3, 8, bidirectional=True), nn.Linear(16, 2)
    optimizer = nn.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.02)

    @jit
    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = head(layer(x)[0]).reshape(-1, 2).cross_entropy(y)
        loss.backward()
        optimizer.step()
        return loss

    data = np.random.default_rng(5).standard_normal((6, 4, 3)).astype(np.float32)
    labels = (data.sum(2) > 0).astype(np.int32).reshape(-1)
    losses = [step(Tensor(data), Tensor(labels)).item() for _ in range(40)]
    assert losses[-1] < 0.3 * losses[0]
