"""Outputs that simplification makes equal, to each other or to a buffer, are still buffers of their own."""

from __future__ import annotations

import numpy as np

import ir
from runtime.buffer import buffer_node, buffer_of
from runtime.device import get_device
from runtime.realize import realize


def test_equal_outputs_have_homes_of_their_own():
    values = np.arange(4, dtype=np.float32)
    x = buffer_node(buffer_of(values, get_device("CPU")))
    stored = ir.contiguous(ir.neg(x))
    results = realize([stored, ir.contiguous(ir.stop_gradient(ir.neg(x))), ir.stop_gradient(x), ir.contiguous(x)])
    for result, expected in zip(results, (-values, -values, values, values), strict=True):
        np.testing.assert_array_equal(result.numpy(), expected)
