"""Gradients, graph to graph: nothing is computed before a gradient's value is asked for, so any order is possible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import ir
from ir import Node
from tinygrad_like.tensor import live
from tinygrad_like.tensor.base import TensorBase, cast_node

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor


class AutogradMixin(TensorBase):
    """``backward`` fills ``.grad``, ``gradient`` returns gradients."""

    __slots__ = ()

    def backward(self, gradient: Tensor | None = None) -> Tensor:
        """Adds the gradient of this scalar to ``.grad`` of the tensors it depends on.

        If any of these has requires_grad=True, exactly those get gradients (PyTorch's habit; optimizers mark their
        parameters). Otherwise every floating-point leaf does (tinygrad's habit): living tensors, not marked
        requires_grad=False, that depend on no other such tensor. Nothing that the scalar does not depend on is touched.

        gradient: the cotangent, for a tensor that is no scalar. Raises RuntimeError where there is nothing to
        differentiate, as after ``realize``, which cuts the history.
        """
        cotangent = self._cotangent(gradient)
        root = _with_boundaries(self.node)
        chosen = _receivers(root)
        if not chosen:
            raise RuntimeError("backward() found no tensor to give a gradient to: this one depends on no living float "
                               "tensor through differentiable operations. realize() cuts the history: call it after "
                               "backward()")
        trace = live.current_trace()
        if trace is not None:
            trace.graded.update(map(id, chosen))
        gradients = ir.gradient([root], [cotangent], [tensor.node for tensor in chosen])
        for tensor, grad in zip(chosen, gradients, strict=True):
            if grad is None:
                continue
            found = self.from_result(grad, tensor._device or self._device, self.symbols)
            found.requires_grad = False
            if tensor.grad is None:
                tensor.grad = found
            else:
                tensor.grad.assign(tensor.grad + found)
        return self

    def gradient(self, *targets: Tensor, gradient: Tensor | None = None) -> list[Tensor]:
        """The gradient of this scalar by each of ``targets``, zeros where it does not depend on one.

        Raises TypeError for a target that is not floating-point, ValueError for a plain number such as Tensor(2.0).

            >>> x = Tensor([1.0, 2.0, 3.0])
            >>> [g] = (x * x).sum().gradient(x)
            >>> g.tolist()
            [2.0, 4.0, 6.0]
        """
        for target in targets:
            if not target.dtype.is_float:
                raise TypeError(f"only a floating-point tensor has a gradient, got a target of {target.dtype}")
            if target.node.op.name == "constant":  # a number that was folded into whatever was computed from it
                raise ValueError("a tensor made of a number is a constant, by which nothing can be differentiated; "
                                 "make it with requires_grad=True")
        root = _with_boundaries(self.node)
        found = ir.gradient([root], [self._cotangent(gradient)], [target.node for target in targets])
        return [target.const_like(0) if grad is None else self.from_result(grad, self._device, self.symbols)
                for target, grad in zip(targets, found, strict=True)]

    def detach(self) -> Tensor:
        """The same value, through which no gradient flows."""
        return self._make(ir.stop_gradient(self.node))

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Sets ``requires_grad`` and returns the tensor."""
        self.requires_grad = requires_grad
        return self

    def is_param_(self, is_param: bool = True) -> Tensor:
        """Sets ``is_param`` and returns the tensor."""
        self.is_param = is_param
        return self

    def _cotangent(self, gradient: Tensor | None) -> Node:
        """The cotangent to start from: 1 for a scalar."""
        if not self.dtype.is_float:
            raise TypeError(f"only a floating-point tensor can be differentiated, this one is {self.dtype}")
        if gradient is None:
            if ir.product(self.shape) != 1:
                raise ValueError(f"backward() of a tensor of shape {self.shape} needs gradient=, a tensor of that "
                                 "shape; without it the tensor must be a scalar, as .sum() or .mean() gives")
            return ir.constant(1, self.dtype, self.shape)
        if gradient.shape != self.shape:
            raise ValueError(f"gradient= must have this tensor's shape {self.shape}, got {gradient.shape}")
        return cast_node(gradient.node, self.dtype)


def _with_boundaries(root: Node) -> Node:
    """``root`` over the buffers of tensors that were realised: their history is cut."""
    replacements: dict[Node, Node] = {}
    seen: set[Node] = set()
    pending = list(root.operands)
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        buffer = live.boundary(node)
        if buffer is None:
            pending.extend(node.operands)
        else:
            replacements[node] = buffer
    return ir.substitute([root], replacements)[0] if replacements else root


def _receivers(root: Node) -> list[TensorBase]:
    """The tensors that ``backward`` gives gradients to: see there."""
    order = ir.topological_order([root])
    reached = _differentiable(root)
    candidates = [tensor for tensor in live.tensors() if tensor.requires_grad is not False and tensor.node in reached
                  and tensor.dtype.is_float and (tensor.node is not root or tensor.requires_grad)]
    marked = [tensor for tensor in candidates if tensor.requires_grad]
    if not marked:
        marked = _sources(candidates, order, reached)
    _check_distinct(marked)
    return marked


def _differentiable(root: Node) -> set[Node]:
    """The nodes from which a path of differentiable operations leads to ``root``."""
    reached: set[Node] = set()
    pending = [root]
    while pending:
        node = pending.pop()
        if node in reached or not (node.dtype.is_float or node.dtype is ir.dtypes.void):
            continue
        reached.add(node)
        if node.op.name != "stop_gradient":
            pending.extend(node.operands)
    return reached


def _sources(candidates: Sequence[TensorBase], order: Sequence[Node], reached: set[Node]) -> list[TensorBase]:
    """The candidates that depend on memory and on no other candidate."""
    nodes = {tensor.node for tensor in candidates}
    above: set[Node] = set()
    for node in order:
        if node in reached and node.op.name != "stop_gradient" and any(
                operand in above or operand in nodes for operand in node.operands if operand in reached):
            above.add(node)
    return [tensor for tensor in candidates if tensor.node not in above and tensor.node.op.name != "constant"]


def _check_distinct(tensors: Sequence[TensorBase]) -> None:
    owners: dict[Node, TensorBase] = {}
    for tensor in tensors:
        other = owners.setdefault(tensor.node, tensor)
        if other is not tensor and tensor.requires_grad and not live.is_buffer(tensor.node):
            raise RuntimeError(f"two tensors of shape {tensor.shape} that require gradients are one and the same "
                               "expression, so their gradients cannot be told apart; make one with .clone()")
