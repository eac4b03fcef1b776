"""assign, in-place operators and versions of memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_like import Tensor, dtypes


def test_assign_keeps_the_buffer() -> None:
    x = Tensor([1.0, 2.0]).realize()
    buffer = x.node.attributes.handle
    assert x.assign(Tensor([3.0, 4.0])) is x
    assert x.tolist() == [3, 4]
    x.realize()
    assert x.node.attributes.handle is buffer and x.tolist() == [3, 4]


def test_what_was_computed_before_keeps_its_value() -> None:
    x = Tensor([1.0, 2.0]).realize()
    before, copy = x * 10, x.detach()
    x.assign(Tensor([5.0, 6.0]))
    after = x * 10
    x.realize()
    assert before.tolist() == [10, 20] and after.tolist() == [50, 60] and copy.tolist() == [1, 2]
    x += 1
    x += 1
    x.realize()
    assert before.tolist() == [10, 20] and after.tolist() == [50, 60] and x.tolist() == [7, 8]


def test_versions_in_a_chain() -> None:
    x = Tensor([1.0]).realize()
    seen = []
    for _ in range(4):
        seen.append(x * 1)
        x += x
    total = seen[0] + seen[1] + seen[2] + seen[3]
    assert total.item() == 15 and x.item() == 16 and [s.item() for s in seen] == [1, 2, 4, 8]


def test_assign_reads_its_own_old_value() -> None:
    x = Tensor(np.arange(6, dtype=np.float32).reshape(2, 3)).realize()
    x.assign(x.flip(0, 1) + x)
    assert x.realize().tolist() == [[5, 5, 5], [5, 5, 5]]
    y = Tensor([[1.0, 2.0], [3.0, 4.0]]).realize()
    y.assign(y.T.contiguous())
    assert y.realize().tolist() == [[1, 3], [2, 4]]
    z = Tensor([1.0, 2.0, 3.0]).realize()
    z[1:] = z[:2]
    assert z.tolist() == [1, 1, 2]


def test_two_buffers_that_exchange_values() -> None:
    x, y = Tensor([1.0]).realize(), Tensor([2.0]).realize()
    a, b = x * 1, y * 1
    x.assign(b)
    y.assign(a)
    Tensor.realize(x, y)
    assert (x.item(), y.item(), a.item(), b.item()) == (2, 1, 1, 2)


def test_equal_tensors_do_not_share_memory() -> None:
    x, y = Tensor.ones(2), Tensor.ones(2)
    Tensor.realize(x, y)
    x += 1
    assert x.realize().tolist() == [2, 2] and y.tolist() == [1, 1]
    z = Tensor([1.0])
    same, again = z * 3, z * 3
    Tensor.realize(same, again)
    same += 1
    assert same.realize().item() == 4 and again.item() == 3
    replaced = Tensor([0.0]).replace(again)
    replaced.realize()
    replaced += 1
    assert replaced.realize().item() == 4 and again.item() == 3


def test_lazy_tensors_become_the_new_value() -> None:
    x = Tensor([1.0, 2.0]) * 2
    y = x + 1
    x.assign(Tensor([0.0, 0.0]))
    assert x.tolist() == [0, 0] and y.tolist() == [3, 5]


def test_operators() -> None:
    x = Tensor([6, 7]).realize()
    identity = id(x)
    x += 1
    x -= 2
    x *= 3
    x //= 2
    x %= 5
    x <<= 3
    x |= 1
    x ^= 3
    x &= 0xFF
    expected = ((((np.array([6, 7]) + 1 - 2) * 3 // 2 % 5) << 3 | 1) ^ 3) & 0xFF
    assert x.tolist() == expected.tolist() and id(x) == identity and x.dtype is dtypes.int32
    y = Tensor([[1.0, 2.0], [3.0, 4.0]])
    y /= 2
    y **= 2
    y @= Tensor([[1.0, 0.0], [0.0, 1.0]])
    assert y.tolist() == [[0.25, 1.0], [2.25, 4.0]]


def test_rejected_values() -> None:
    x = Tensor([1, 2])
    with pytest.raises(TypeError, match="cannot assign dtypes.float32 to a tensor of dtypes.int32"):
        x += 1.5
    with pytest.raises(ValueError, match="cannot broadcast"):
        x.assign(Tensor([1, 2, 3]))
    with pytest.raises(ValueError, match="cannot replace"):
        x.replace(Tensor([1]))
    assert x.assign(7).tolist() == [7, 7] and x.assign([1, 3]).tolist() == [1, 3]


def test_sum_of_losses_reads_each_step() -> None:
    w = Tensor([1.0]).realize()
    losses = []
    for _ in range(3):
        losses.append((w * 2).sum())
        w.assign(w + 1).realize()
    assert [loss.item() for loss in losses] == [2, 4, 6]


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["assign", "add", "slice", "view", "flip", "realize", "read", "swap"]),
        st.integers(0, 2),
        st.integers(0, 2),
        st.integers(-3, 3),
    ),
    max_size=14,
)


@given(OPERATIONS)
@settings(max_examples=40)
def test_random_programs_of_reads_and_writes(operations: list[tuple[str, int, int, int]]) -> None:
    """Tensors against NumPy arrays, whose derived values are copies: the meaning of versions."""
    arrays = [np.arange(4, dtype=np.int32) * (i + 1) for i in range(3)]
    tensors = [Tensor(array).realize() for array in arrays]
    arrays = [array.copy() for array in arrays]
    derived: list[tuple[Tensor, np.ndarray]] = []
    for name, i, j, k in operations:
        if name == "assign":
            tensors[i].assign(tensors[j] + k)
            arrays[i] = arrays[j] + k
        elif name == "add":
            tensors[i] += tensors[j]
            arrays[i] = arrays[i] + arrays[j]
        elif name == "slice":
            tensors[i][1:3] = tensors[j][0:2] * k
            arrays[i] = np.concatenate([arrays[i][:1], arrays[j][0:2] * k, arrays[i][3:]])
        elif name == "view":
            derived.append((tensors[i].reshape(2, 2).T, arrays[i].reshape(2, 2).T.copy()))
        elif name == "flip":
            tensors[i].assign(tensors[i].flip(0) - tensors[j])
            arrays[i] = arrays[i][::-1] - arrays[j]
        elif name == "realize":
            tensors[i].realize()
        elif name == "read":
            derived.append((tensors[i] * tensors[j], arrays[i] * arrays[j]))
            if k > 0:
                derived[-1][0].realize()
        elif i != j:
            first, second = tensors[i] * 1, tensors[j] * 1
            tensors[i].assign(second)
            tensors[j].assign(first)
            arrays[i], arrays[j] = arrays[j].copy(), arrays[i].copy()
    for tensor, array in (*zip(tensors, arrays, strict=True), *derived):
        np.testing.assert_array_equal(tensor.numpy(), array)
