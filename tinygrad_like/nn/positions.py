"""Where in the sequence: attention by itself does not know the order of its keys.

Four ways to say it. Added to the embeddings: ``SinusoidalPositions``, ``LearnedPositions``. Inside attention:
``RotaryPositions`` turn queries and keys, ``ALiBi`` is a mask. ``start`` is the position of the first row, an int, a
bound ``Variable`` or a tensor with one integer: not 0 where a sequence continues, as in decoding.
"""

from __future__ import annotations

import math
from typing import Any

import ir
from tinygrad_like.nn import init
from tinygrad_like.nn.module import Module
from tinygrad_like.tensor import Tensor


class SinusoidalPositions(Module):
    """x + p, p[t, 2i] = sin(t / base^(2i / width)), p[t, 2i + 1] = cos(the same): [.., time, width] -> the same.

    Source: Vaswani et al., "Attention Is All You Need", 2017. No parameters, no greatest length.

    >>> SinusoidalPositions(8)(Tensor.zeros(1, 1, 8)).tolist()
    [[[0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]]]
    """

    def __init__(self, width: int, base: float = 10000.0) -> None:
        _check_even("SinusoidalPositions", width)
        self.width, self.base = width, base

    def forward(self, x: Tensor, start: Any = 0) -> Tensor:
        angles = _angles(x, self.width, self.base, start)
        waves = angles.sin().stack(angles.cos(), dim=-1).flatten(-2)
        return x + waves.cast(x.dtype)


class LearnedPositions(Module):
    """x + a row of a table for each position: [.., time, width] -> the same, time at most ``length``.

    weight: [length, width], normal with deviation ``std``. Source: Gehring et al., "Convolutional Sequence to Sequence
    Learning", 2017.
    """

    def __init__(self, length: int, width: int, std: float = 0.02) -> None:
        self.length = length
        self.weight = init.normal(length, width, std=std)

    def forward(self, x: Tensor, start: Any = 0) -> Tensor:
        time = x.shape[-2]
        if isinstance(start, int) and start + time > self.length:
            raise ValueError(f"{time} positions from {start} on exceed the table of {self.length}")
        if isinstance(start, Tensor):
            return x + self.weight[_positions(time, start)]
        return x + self.weight[start : start + time]


class RotaryPositions(Module):
    """Pairs of numbers turned by an angle that grows with the position: [.., time, width] -> the same.

    The product of a query and a key then depends on their distance only. Pair i turns by t / base^(2i / width); pairs
    are neighbours (2i, 2i + 1), or with ``halves`` (i, i + width / 2), as in GPT-NeoX and LLaMA's published weights.
    Source: Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021.

    >>> attention = nn.MultiHeadAttention(64, 4, rotate=RotaryPositions(64 // 4))
    """

    def __init__(self, width: int, base: float = 10000.0, halves: bool = False) -> None:
        _check_even("RotaryPositions", width)
        self.width, self.base, self.halves = width, base, halves

    def forward(self, x: Tensor, start: Any = 0) -> Tensor:
        angles = _angles(x, self.width, self.base, start)
        sin, cos = angles.sin().cast(x.dtype), angles.cos().cast(x.dtype)
        pairs = x.unflatten(-1, (2, self.width // 2) if self.halves else (self.width // 2, 2))
        axis = -2 if self.halves else -1
        first, second = (part.squeeze(axis) for part in pairs.split(1, dim=axis))
        return (first * cos - second * sin).stack(first * sin + second * cos, dim=axis).flatten(-2)


class ALiBi(Module):
    """A mask that makes far keys fainter: -slope * distance, one slope a head, [heads, queries, keys].

    The slopes are 2^(-8 / heads), 2^(-16 / heads), ...; for heads that are no power of two, those of the next smaller
    power, then every other one of the next greater. The last query stands at the last key; with ``causal`` later keys
    are hidden, else their distance counts as well.
    Source: Press et al., "Train Short, Test Long: Attention with Linear Biases Enables Input Length Extrapolation",
    2022.

    >>> attention(x, mask=ALiBi(heads=4)(time))
    """

    def __init__(self, heads: int, causal: bool = True) -> None:
        self.heads, self.causal = heads, causal

    def forward(self, queries: int, keys: int | None = None) -> Tensor:
        keys = queries if keys is None else keys
        row = Tensor.arange(queries).reshape(queries, 1) + (keys - queries)
        distance = (row - Tensor.arange(keys).reshape(1, keys)).abs().float()
        bias = -Tensor(alibi_slopes(self.heads)).reshape(self.heads, 1, 1) * distance
        if not self.causal:
            return bias
        return (Tensor.arange(keys).reshape(1, keys) <= row).where(bias, -math.inf)


def alibi_slopes(heads: int) -> list[float]:
    """The slopes of ``ALiBi``.

    >>> alibi_slopes(4)
    [0.25, 0.0625, 0.015625, 0.00390625]
    """
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    between = [2 ** (-4 * (i + 1) / power) for i in range(0, 2 * (heads - power), 2)]
    return slopes + between


def _angles(x: Tensor, width: int, base: float, start: Any) -> Tensor:
    """[time, width / 2]: position times frequency."""
    if x.ndim < 2 or x.shape[-1] != width:
        raise ValueError(f"positions of width {width} expect [..., time, {width}], got {list(x.shape)}")
    positions = _positions(int(x.shape[-2]), start).float().unsqueeze(-1)
    frequencies = (Tensor.arange(width // 2).float() * (-2 * math.log(base) / width)).exp()
    return positions * frequencies


def _positions(time: int, start: Any) -> Tensor:
    """[time]: start, start + 1, ..."""
    if isinstance(start, (int, Tensor)):
        return Tensor.arange(time) + start
    end = start + time
    return Tensor.arange(ir.upper_bound(end.dimension))[start:end]


def _check_even(name: str, width: int) -> None:
    if width < 2 or width % 2:
        raise ValueError(f"{name} expects an even width, got {width}: sines and cosines come in pairs")
