"""Markers, which change no value: contiguous (store it here) and stop_gradient (do not differentiate)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ir.node import Node, TensorType, make_node
from ir.op import NoAttributes, Op


class Contiguous(Op):
    """``contiguous(x)``: x, computed once and given a home in memory; nothing fuses across it."""

    name = "contiguous"

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        return operands[0].type

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return (cotangent,)

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        return operands[0]


class StopGradient(Op):
    """``stop_gradient(x)``: x, as a constant to differentiation."""

    name = "stop_gradient"
    view = True

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        return operands[0].type

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return (None,)

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        return operands[0]


CONTIGUOUS = Contiguous()
STOP_GRADIENT = StopGradient()


def contiguous(x: Node) -> Node:
    """``x`` with a home in memory."""
    return x if x.op is CONTIGUOUS else make_node(CONTIGUOUS, (x,), NoAttributes())


def stop_gradient(x: Node) -> Node:
    """``x``, through which no gradient flows."""
    return x if x.op is STOP_GRADIENT else make_node(STOP_GRADIENT, (x,), NoAttributes())
