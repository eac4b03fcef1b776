"""Random tensors. With one seed, one machine and one program, the same numbers in every run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import ir
from ir import Node, dtypes
from ir.dtype import DType, DTypeLike, to_dtype
from tinygrad_like.device import Device
from tinygrad_like.tensor.base import Shape, TensorBase, shape_argument
from tinygrad_like.tensor.random_state import random_state, words

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor


class RandomMixin(TensorBase):
    """Samples from the usual distributions, and the usual initialisations of weights."""

    __slots__ = ()

    @staticmethod
    def manual_seed(seed: int = 0) -> None:
        """Starts the random numbers anew."""
        random_state.manual_seed(seed)

    def threefry(self, seed: Tensor) -> Tensor:
        """64 random bits (uint64) of each counter in this tensor and each key in ``seed``: see ``ir.random_bits``."""
        counter, key, partner = self._operands(seed)
        if counter.dtype is not dtypes.uint64:
            raise TypeError(f"threefry needs counters and keys of uint64, got {self.dtype} and {partner.dtype}")
        return self._make(ir.random_bits(counter, key), partner)

    @classmethod
    def rand(cls, *shape: Any, device: str | None = None, dtype: DTypeLike | None = None,
             requires_grad: bool | None = None, contiguous: bool = True) -> Tensor:
        """Evenly distributed over [0, 1). contiguous=False: recomputed wherever it is used instead of stored."""
        chosen = dtypes.default_float if dtype is None else to_dtype(dtype)
        if not chosen.is_float:
            raise TypeError(f"rand gives floating-point numbers, not {chosen}; use randint or cast")
        sizes = _sizes(shape)
        place = Device.canonicalize(device)
        [node] = _uniform(place, sizes, chosen)
        return cls.from_node(ir.contiguous(node) if contiguous else node, place).requires_grad_(requires_grad)

    def rand_like(self, dtype: DTypeLike | None = None, device: str | None = None, **options: Any) -> Tensor:
        """``rand`` of this shape, dtype and device."""
        return type(self).rand(*self.shape, device=device or self._device, dtype=dtype or self.dtype, **options)

    @classmethod
    def randn(cls, *shape: Any, dtype: DTypeLike | None = None, device: str | None = None,
              requires_grad: bool | None = None) -> Tensor:
        """Normally distributed with mean 0 and standard deviation 1 (Box and Muller's transform)."""
        sizes, place = _sizes(shape), Device.canonicalize(device)
        first, second = (cls.from_node(node) for node in _uniform(place, sizes, dtypes.float32, times=2))
        radius = ((1 - second).log() * -2).sqrt()
        result = ((first * (2 * math.pi)).cos() * radius).cast(dtype or dtypes.default_float)
        return cls.from_node(ir.contiguous(result.node), place).requires_grad_(requires_grad)

    def randn_like(self, dtype: DTypeLike | None = None, device: str | None = None, **options: Any) -> Tensor:
        """``randn`` of this shape, dtype and device."""
        return type(self).randn(*self.shape, dtype=dtype or self.dtype, device=device or self._device, **options)

    @classmethod
    def uniform(cls, *shape: Any, low: float = 0.0, high: float = 1.0, dtype: DTypeLike | None = None,
                device: str | None = None, requires_grad: bool | None = None) -> Tensor:
        """Evenly distributed over [``low``, ``high``)."""
        if not low < high:
            raise ValueError(f"uniform needs low < high, got {low} and {high}")
        chosen = dtypes.default_float if dtype is None else to_dtype(dtype)
        spread = cls.rand(*_sizes(shape), device=device, contiguous=False) * (high - low)
        return (spread.cast(chosen) + low).contiguous().requires_grad_(requires_grad)

    @classmethod
    def randint(cls, *shape: Any, low: int = 0, high: int = 10, dtype: DTypeLike = dtypes.int32,
                device: str | None = None) -> Tensor:
        """Integers evenly distributed over ``low`` to ``high - 1``."""
        if not (isinstance(low, int) and isinstance(high, int)) or low >= high:
            raise ValueError(f"randint needs integers low < high, got {low!r} and {high!r}")
        if not to_dtype(dtype).is_integer:
            raise TypeError(f"randint needs an integer dtype, got {dtype}")
        return cls.uniform(*shape, low=low, high=high, dtype=dtype, device=device)

    @classmethod
    def normal(cls, *shape: Any, mean: float = 0.0, std: float = 1.0, requires_grad: bool | None = None,
               **options: Any) -> Tensor:
        """Normally distributed with ``mean`` and standard deviation ``std``."""
        if std < 0:
            raise ValueError(f"normal needs std >= 0, got {std}")
        scaled = cls.randn(*_sizes(shape), **options) * std + mean
        return scaled.contiguous().requires_grad_(requires_grad)

    @classmethod
    def scaled_uniform(cls, *shape: Any, **options: Any) -> Tensor:
        """Evenly distributed over +-1 / sqrt(number of elements)."""
        sizes = _sizes(shape)
        bound = math.prod(sizes) ** -0.5
        return cls.uniform(*sizes, low=-bound, high=bound, **options)

    @classmethod
    def glorot_uniform(cls, *shape: Any, **options: Any) -> Tensor:
        """Evenly distributed over +-sqrt(6 / (first size + product of the others)) (Glorot and Bengio, 2010)."""
        sizes: Any = _sizes(shape)
        bound = (6 / (sizes[0] + math.prod(sizes[1:]))) ** 0.5
        return cls.uniform(*sizes, low=-bound, high=bound, **options)

    @classmethod
    def kaiming_uniform(cls, *shape: Any, a: float = 0.01, **options: Any) -> Tensor:
        """Evenly distributed over +-sqrt(6 / ((1 + a^2) fan_in)) (He et al., https://arxiv.org/abs/1502.01852)."""
        sizes: Any = _sizes(shape)
        bound = (6 / (1 + a ** 2) / math.prod(sizes[1:])) ** 0.5
        return cls.uniform(*sizes, low=-bound, high=bound, **options)

    @classmethod
    def kaiming_normal(cls, *shape: Any, a: float = 0.01, **options: Any) -> Tensor:
        """Normally distributed with variance 2 / ((1 + a^2) fan_in) (He et al., https://arxiv.org/abs/1502.01852)."""
        sizes: Any = _sizes(shape)
        return cls.normal(*sizes, mean=0.0, std=(2 / (1 + a ** 2) / math.prod(sizes[1:])) ** 0.5, **options)

    @classmethod
    def randperm(cls, n: int, device: str | None = None, dtype: DTypeLike = dtypes.int32) -> Tensor:
        """The numbers 0 to ``n - 1`` in random order."""
        return cls.rand(n, device=device).argsort().cast(dtype)

    def multinomial(self, num_samples: int = 1, replacement: bool = False) -> Tensor:
        """Indices (int32) drawn in proportion to the weights of each row."""
        if not 1 <= self.ndim <= 2 or num_samples < 1:
            raise ValueError(f"multinomial needs 1 or 2 dimensions and 1 or more samples, got shape {self.shape} and "
                             f"{num_samples}")
        weights: Any = self._as_float() if self.ndim == 2 else self._as_float().unsqueeze(0)
        if replacement or num_samples == 1:
            drawn = _with_replacement(weights, num_samples)
        elif num_samples > weights.shape[1]:
            raise ValueError(f"cannot draw {num_samples} of {weights.shape[1]} without replacement")
        else:
            # The largest of log(u) / w: Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006.
            drawn = (weights.rand_like(dtype=dtypes.float32).log() / weights).topk(num_samples, 1)[1]
        return (drawn if self.ndim == 2 else drawn.squeeze(0)).cast(dtypes.int32)


def _with_replacement(weights: Tensor, count: int) -> Tensor:
    """Where random levels cross the running sums of the weights."""
    totals = weights.cumsum(1)
    level = type(weights).rand(weights.shape[0], count, 1, device=weights._device)
    threshold = level * totals[:, -1].reshape(-1, 1, 1)
    return (threshold >= totals.unsqueeze(1)).sum(-1).clamp(0, weights.shape[1] - 1)


def _sizes(shape: tuple[Any, ...]) -> Shape:
    sizes = shape_argument(shape[0], shape[1:]) if shape else ()
    if not all(isinstance(size, int) and size >= 0 for size in sizes):
        raise ValueError(f"random tensors need sizes of 0 or more, got {sizes}")
    return sizes


def _uniform(device: str, shape: Shape, dtype: DType, times: int = 1) -> list[Node]:
    """``times`` nodes of evenly distributed numbers: the consecutive parts of one sequence."""
    count = math.prod(shape)
    total = -(-count * times * dtype.itemsize // 4)
    key = random_state.stream(device).next_key(total)
    if not count:
        return [ir.constant(0, dtype, shape)] * times
    first = ir.iota(count, dtypes.uint64)
    numbers = [first, *(ir.add(first, ir.constant(part * count, dtypes.uint64, (count,))) for part in range(1, times))]
    return [ir.reshape(_fraction(key, total, number, dtype), shape) for number in numbers]


def _fraction(key: Node, total: int, number: Node, dtype: DType) -> Node:
    """The leading bits of the elements at ``number`` as the fraction of numbers in [1, 2), less 1."""
    _, fraction = dtypes.finfo(dtype)
    unsigned = {2: dtypes.uint16, 4: dtypes.uint32, 8: dtypes.uint64}[dtype.itemsize]
    bits = _element_bits(key, total, number, unsigned)
    mantissa = ir.shift_right(bits, ir.constant(dtype.bits - fraction, unsigned, bits.shape))
    value = ir.bitcast(ir.bit_or(mantissa, ir.constant(_one_bits(dtype), unsigned, bits.shape)), dtype)
    return ir.sub(value, ir.constant(1, dtype, value.shape))


def _element_bits(key: Node, total: int, number: Node, unsigned: DType) -> Node:
    """The bits of the elements at ``number``: a word, half of one, or two."""
    if unsigned is dtypes.uint32:
        return words(key, total, number)
    one = ir.constant(1, dtypes.uint64, number.shape)
    if unsigned is dtypes.uint64:
        double = ir.shift_left(number, one)
        low, high = (ir.cast(words(key, total, place), dtypes.uint64) for place in (double, ir.add(double, one)))
        return ir.bit_or(ir.shift_left(high, ir.constant(32, dtypes.uint64, number.shape)), low)
    word = words(key, total, ir.shift_right(number, one))
    upper = ir.shift_left(ir.cast(ir.bit_and(number, one), dtypes.uint32), ir.constant(4, dtypes.uint32, number.shape))
    half = ir.bit_and(ir.shift_right(word, upper), ir.constant(0xFFFF, dtypes.uint32, number.shape))
    return ir.cast(half, dtypes.uint16)


def _one_bits(dtype: DType) -> int:
    """The bits of 1.0."""
    return {"float16": 0x3C00, "bfloat16": 0x3F80, "float32": 0x3F800000, "float64": 0x3FF0000000000000}[dtype.name]
