"""Views, joining and padding: values and gradients against PyTorch and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from tensor_oracle import arrays, check, close, torch

from tinygrad_like import Tensor

F = torch.nn.functional

CASES = {
    "reshape": (lambda x: x.reshape(4, -1), lambda x: x.reshape(4, -1)),
    "view": (lambda x: x.view((6, 4)), lambda x: x.reshape(6, 4)),
    "keep a size": (lambda x: x.reshape(None, 12), lambda x: x.reshape(2, 12)),
    "flatten": (lambda x: x.flatten(1), lambda x: x.flatten(1)),
    "flatten all": (lambda x: x.flatten(), torch.flatten),
    "unflatten": (lambda x: x.unflatten(2, (2, -1)), lambda x: x.unflatten(2, (2, -1))),
    "permute": (lambda x: x.permute(2, 0, 1), lambda x: x.permute(2, 0, 1)),
    "transpose": (lambda x: x.transpose(0, -1), lambda x: x.transpose(0, -1)),
    "squeeze": (lambda x: x.unsqueeze(1).unsqueeze(-1).squeeze(), lambda x: x),
    "squeeze one": (lambda x: x.unsqueeze(1).squeeze(1).squeeze(0), lambda x: x),
    "unsqueeze": (lambda x: x.unsqueeze(-1), lambda x: x.unsqueeze(-1)),
    "expand": (lambda x: x.unsqueeze(1).expand(-1, 5, -1, -1), lambda x: x.unsqueeze(1).expand(-1, 5, -1, -1)),
    "expand in front": (lambda x: x.expand(3, 2, 3, 4), lambda x: x.expand(3, 2, 3, 4)),
    "flip": (lambda x: x.flip(0, -1), lambda x: x.flip(0, -1)),
    "flip one": (lambda x: x.flip((1,)), lambda x: x.flip(1)),
    "shrink": (lambda x: x.shrink(((0, 1), None, (1, 3))), lambda x: x[0:1, :, 1:3]),
    "cat": (lambda x: x.cat(x * 2, x[:1], dim=0), lambda x: torch.cat([x, x * 2, x[:1]], 0)),
    "cat by class": (lambda x: Tensor.cat(x, x, dim=-1), lambda x: torch.cat([x, x], -1)),
    "cat of a list": (lambda x: Tensor.cat([x, x], dim=1), lambda x: torch.cat([x, x], 1)),
    "stack": (lambda x: Tensor.stack(x, x * 3, dim=1), lambda x: torch.stack([x, x * 3], 1)),
    "stack last": (lambda x: x.stack(x, dim=-1), lambda x: torch.stack([x, x], -1)),
    "repeat": (lambda x: x.repeat(2, 1, 3), lambda x: x.repeat(2, 1, 3)),
    "repeat in front": (lambda x: x.repeat((2, 1, 1, 2)), lambda x: x.repeat(2, 1, 1, 2)),
    "repeat_interleave": (lambda x: x.repeat_interleave(3, 1), lambda x: x.repeat_interleave(3, 1)),
    "repeat_interleave all": (lambda x: x.repeat_interleave(2), lambda x: x.repeat_interleave(2)),
    "roll": (lambda x: x.roll(2, 1), lambda x: x.roll(2, 1)),
    "roll both": (lambda x: x.roll((1, -6), (0, 2)), lambda x: x.roll((1, -6), (0, 2))),
    "roll flat": (lambda x: x.roll(7), lambda x: x.roll(7)),
    "unfold": (lambda x: x.unfold(2, 3, 1), lambda x: x.unfold(2, 3, 1)),
    "unfold middle": (lambda x: x.unfold(1, 2, 2), lambda x: x.unfold(1, 2, 2)),
    "diagonal": (lambda x: x.diagonal(0, 1, 2), lambda x: x.diagonal(0, 1, 2)),
    "diagonal above": (lambda x: x.diagonal(2, 1, 2), lambda x: x.diagonal(2, 1, 2)),
    "diagonal below": (lambda x: x.diagonal(-1, 2, 0), lambda x: x.diagonal(-1, 2, 0)),
    "diagonal outside": (lambda x: x.diagonal(9, 1, 2), lambda x: x.diagonal(9, 1, 2)),
    "pad": (lambda x: x.pad((1, 2, 0, 1)), lambda x: F.pad(x, (1, 2, 0, 1))),
    "pad pairs": (
        lambda x: x.pad(((1, 0), None, (0, 2)), value=3.5),
        lambda x: F.pad(x, (0, 2, 0, 0, 1, 0), value=3.5),
    ),
    "pad negative": (lambda x: x.pad((-1, 2, 1, -1)), lambda x: F.pad(x, (-1, 2, 1, -1))),
    "reflect": (lambda x: x.pad((2, 1), mode="reflect"), lambda x: F.pad(x, (2, 1), mode="reflect")),
    "replicate": (lambda x: x.pad((2, 3), mode="replicate"), lambda x: F.pad(x, (2, 3), mode="replicate")),
    "circular": (lambda x: x.pad((2, 3), mode="circular"), lambda x: F.pad(x, (2, 3), mode="circular")),
    "pad_to": (lambda x: x.pad_to(2, 5, None), lambda x: F.pad(x, (0, 0, 0, 2))),
    "tril": (lambda x: x.tril(), torch.tril),
    "triu": (lambda x: x.triu(1), lambda x: torch.triu(x, 1)),
    "tril below": (lambda x: x.tril(-1), lambda x: torch.tril(x, -1)),
    "split": (lambda x: x.split(3, 2)[1], lambda x: x.split(3, 2)[1]),
    "split by sizes": (lambda x: x.split([1, 3], 2)[1], lambda x: x.split([1, 3], 2)[1]),
    "chunk": (lambda x: x.chunk(3, 2)[1], lambda x: x.chunk(3, 2)[1]),
    "rearrange": (
        lambda x: x.rearrange("a b (c d) -> (d a) b c", c=2),
        lambda x: x.reshape(2, 3, 2, 2).permute(3, 0, 1, 2).reshape(4, 3, 2),
    ),
    "rearrange rest": (lambda x: x.rearrange("... c -> c ... 1"), lambda x: x.permute(2, 0, 1).unsqueeze(-1)),
}


@pytest.mark.parametrize("name", CASES)
def test_movement(name: str, rng: np.random.Generator) -> None:
    check(*CASES[name], arrays(rng, (2, 3, 4)))


def test_matrices(rng: np.random.Generator) -> None:
    check(lambda x: x.T, lambda x: x.T, arrays(rng, (2, 3)))
    check(lambda x: x.diag(), torch.diag, arrays(rng, (3,)))
    check(lambda x: x.diagonal(), torch.diagonal, arrays(rng, (4, 3)))
    check(lambda x: x.diagonal(-2), lambda x: torch.diagonal(x, -2), arrays(rng, (4, 3)))


def test_meshgrid() -> None:
    x, y = np.arange(3, dtype=np.int32), np.arange(4, dtype=np.int32)
    for indexing in ("ij", "xy"):
        close(Tensor(x).meshgrid(Tensor(y), indexing=indexing), np.meshgrid(x, y, indexing=indexing))


def test_split_gives_all_pieces() -> None:
    x = Tensor.arange(10)
    assert [p.tolist() for p in x.split(4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [p.shape for p in x.chunk(4)] == [(3,), (3,), (3,), (1,)]


def test_empty_tensors() -> None:
    x = Tensor.zeros(0, 3)
    assert x.numpy().shape == (0, 3) and x.T.numpy().shape == (3, 0) and x.tolist() == []
    assert x.sum().item() == 0 and x.cat(Tensor.ones(2, 3)).shape == (2, 3)
    assert Tensor.ones(2, 3).cat(x).tolist() == [[1.0] * 3] * 2
    assert x.reshape(3, 0).shape == (3, 0) and (x @ Tensor.ones(3, 4)).numpy().shape == (0, 4)
    assert (Tensor.ones(2, 0) @ Tensor.ones(0, 3)).tolist() == [[0.0] * 3] * 2


def test_rejected_shapes() -> None:
    x = Tensor.zeros(2, 3)
    for broken, message in (
        (lambda: x.reshape(4), "cannot reshape"),
        (lambda: x.reshape(-1, -1), "at most one size may be -1"),
        (lambda: x.reshape(-1, 4), "no size in place of -1"),
        (lambda: x.permute(0, 0), "is no order"),
        (lambda: x.expand(2, 4), "cannot broadcast"),
        (lambda: x.shrink(((0, 3), None)), "cannot shrink"),
        (lambda: x.cat(Tensor.zeros(3, 2)), "cannot join"),
        (lambda: x.stack(Tensor.zeros(2)), "equal shapes"),
        (lambda: x.split([1, 3], 1), "add up to 4"),
        (lambda: x.pad((1, 2, 3)), "flat padding"),
        (lambda: x.pad((1, 1), mode="mirror"), "mode must be"),
        (lambda: x.unfold(1, 4, 1), "unfold needs"),
        (lambda: x.pad((3, 0), mode="reflect"), "reflecting needs"),
        (lambda: x.rearrange("a b -> a c"), "same dimensions"),
        (lambda: x.flip(0, 0), "given twice"),
    ):
        with pytest.raises(ValueError, match=message):
            broken()
    with pytest.raises(IndexError, match=r"dimension 2 is out of range for shape \(2, 3\)"):
        x.flatten(2)
