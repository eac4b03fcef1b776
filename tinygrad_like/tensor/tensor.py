"""``Tensor``: the whole of it, put together from its subjects."""

from __future__ import annotations

from typing import Any

import numpy as np

from ir import Node
from ir.dtype import DTypeLike, dtype_of_value, to_dtype
from tinygrad_like.context import Context, set_setting, setting
from tinygrad_like.device import Device
from tinygrad_like.tensor import live
from tinygrad_like.tensor.activation import ActivationMixin
from tinygrad_like.tensor.assignment import AssignmentMixin
from tinygrad_like.tensor.autograd import AutogradMixin
from tinygrad_like.tensor.base import TensorBase
from tinygrad_like.tensor.contraction import ContractionMixin
from tinygrad_like.tensor.creation import CreationMixin
from tinygrad_like.tensor.cumulative import CumulativeMixin
from tinygrad_like.tensor.data import DataMixin, node_of
from tinygrad_like.tensor.distributions import DistributionsMixin
from tinygrad_like.tensor.functions import FunctionsMixin
from tinygrad_like.tensor.hashing import HashingMixin
from tinygrad_like.tensor.index_updates import IndexUpdatesMixin
from tinygrad_like.tensor.indexing import IndexingMixin
from tinygrad_like.tensor.linear_algebra import LinearAlgebraMixin
from tinygrad_like.tensor.linear_systems import LinearSystemsMixin
from tinygrad_like.tensor.loss import LossMixin
from tinygrad_like.tensor.movement import MovementMixin
from tinygrad_like.tensor.moves import MovesMixin
from tinygrad_like.tensor.normalization import NetworkMixin
from tinygrad_like.tensor.padding import PaddingMixin
from tinygrad_like.tensor.pooling import PoolingMixin
from tinygrad_like.tensor.products import ProductsMixin
from tinygrad_like.tensor.random import RandomMixin
from tinygrad_like.tensor.rearrange import RearrangeMixin
from tinygrad_like.tensor.reduction import ReductionMixin
from tinygrad_like.tensor.searching import SearchingMixin
from tinygrad_like.tensor.sorting import SortingMixin
from tinygrad_like.tensor.special_functions import SpecialFunctionsMixin
from tinygrad_like.tensor.statistics import StatisticsMixin


class _TensorType(type):
    """Gives the class ``Tensor.training``, the setting that layers look at."""

    @property
    def training(cls) -> bool:
        """Whether layers behave as in training: ``Context(TRAINING=1)``."""
        return bool(setting("TRAINING"))

    @training.setter
    def training(cls, value: bool) -> None:
        set_setting("TRAINING", value)


class Tensor(
    DataMixin, AutogradMixin, AssignmentMixin, CreationMixin, RandomMixin, DistributionsMixin, FunctionsMixin,
    SpecialFunctionsMixin, HashingMixin, ActivationMixin, MovementMixin, MovesMixin, PaddingMixin, RearrangeMixin,
    ReductionMixin, StatisticsMixin, CumulativeMixin, IndexingMixin, IndexUpdatesMixin, SearchingMixin, SortingMixin,
    ContractionMixin, ProductsMixin, PoolingMixin, LossMixin, NetworkMixin, LinearAlgebraMixin, LinearSystemsMixin,
    metaclass=_TensorType,
):
    """A multi-dimensional array of one dtype on one device, computed when its value is asked for.

    data: a number, nested lists, a NumPy array (any strides), bytes, a path to a file of bytes, or a tensor.
    Lists become bool, int32 (int64 where a number needs it) or float32. The method names, argument orders and
    semantics are tinygrad's.

        >>> x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad.tolist()
        [[2.0, 4.0], [6.0, 8.0]]
    """

    __slots__ = ()

    def __init__(self, data: Any, device: str | None = None, dtype: DTypeLike | None = None,
                 requires_grad: bool | None = None) -> None:
        chosen = None if dtype is None else to_dtype(dtype)
        symbols = None
        if isinstance(data, TensorBase):
            source = data if device is None else data.to(device)
            source = source if chosen is None else source.cast(chosen)
            source = source if source is not data else self.from_result(data.node, data._device, data.symbols)
            self._node, self._device, symbols = source.node, source._device, source.symbols
        elif isinstance(data, Node):
            self._node, self._device = data, device
        else:
            if data is None:
                data = 0.0
            place = Device.canonicalize(device)
            if requires_grad and isinstance(data, (int, float)):
                data = np.asarray(data, dtype_of_value(data).numpy)  # a constant is one node with equal ones
            self._node, self._device = node_of(data, chosen, place)
        self.symbols, self.requires_grad, self.is_param = symbols, requires_grad, True
        self._grad = self._value = self._origin = None
        live.register(self)

    def __repr__(self) -> str:
        grad = "" if self.grad is None else " with grad"
        return f"<Tensor {self.dtype.name}{list(self.shape)} on {self.device}{grad}>"

    @staticmethod
    def train(mode: bool = True) -> Context:
        """``with Tensor.train():`` sets TRAINING for the block."""
        return Context(TRAINING=int(mode))
