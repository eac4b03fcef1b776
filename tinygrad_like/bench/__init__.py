"""Workloads for measuring speed: training steps, reading and writing with GPT-2, and single operations.

``tgl bench`` times them; the benchmarks among the tests lay other frameworks beside them.

>>> measure(WORKLOADS["gpt_small"]).median
0.015
"""

from tinygrad_like.bench.inference import INFERENCE
from tinygrad_like.bench.operations import OPERATIONS
from tinygrad_like.bench.training import TRAINING
from tinygrad_like.bench.workload import Timing, Workload, measure

WORKLOADS = {**TRAINING, **INFERENCE, **OPERATIONS}

__all__ = ["INFERENCE", "OPERATIONS", "TRAINING", "WORKLOADS", "Timing", "Workload", "measure"]
