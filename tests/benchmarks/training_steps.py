"""Training steps beside PyTorch: python tests/benchmarks/training_steps.py [mlp cnn gpt_small gpt_medium] [--json FILE]

Prints medians of interleaved runs and their ratio (ours over PyTorch, below 1 is faster). TGL_THREADS sets the threads
of both. ``--readme`` also writes the table into the README.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

import our_steps
import torch_steps
import workloads
from side_by_side import HEADING, Row, compare

README = Path(__file__).resolve().parents[2] / "README.md"
TABLE = re.compile(r"(<!-- training steps: begin -->\n).*?(<!-- training steps: end -->)", re.DOTALL)


def _mlp() -> tuple[Callable[[], float], Callable[[], float]]:
    rng = np.random.default_rng(0)
    images = rng.standard_normal((workloads.MLP.batch, workloads.MLP.sizes[0])).astype(np.float32)
    labels = rng.integers(0, workloads.MLP.sizes[-1], workloads.MLP.batch).astype(np.int32)
    return our_steps.mlp_step(images, labels), torch_steps.mlp_step(images, labels)


def _cnn() -> tuple[Callable[[], float], Callable[[], float]]:
    rng = np.random.default_rng(0)
    images = rng.standard_normal(workloads.IMAGES).astype(np.float32)
    labels = rng.integers(0, 10, len(images)).astype(np.int32)
    return our_steps.cnn_step(images, labels), torch_steps.cnn_step(images, labels)


def _gpt(shape: workloads.GPTShape, rate: float) -> tuple[Callable[[], float], Callable[[], float]]:
    rng = np.random.default_rng(0)
    tokens, targets = rng.integers(0, shape.vocabulary, (2, shape.batch, shape.context)).astype(np.int32)
    return our_steps.gpt_step(shape, rate, tokens, targets), torch_steps.gpt_step(shape, rate, tokens, targets)


WORKLOADS: dict[str, Callable[[], tuple[Callable[[], float], Callable[[], float]]]] = {
    "mlp": _mlp,
    "cnn": _cnn,
    "gpt_small": lambda: _gpt(workloads.GPT_SMALL, workloads.LEARNING_RATE["gpt_small"]),
    "gpt_medium": lambda: _gpt(workloads.GPT_MEDIUM, workloads.LEARNING_RATE["gpt_medium"]),
}


def processor() -> str:
    """The name of this machine's processor, as the operating system knows it."""
    try:
        names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def readme_table(rows: list[Row], threads: int) -> str:
    lines = [
        f"Measured on {processor()}, {threads} threads, PyTorch {torch.__version__} eager: medians in milliseconds.",
        "",
        "| training step | ours | PyTorch | ours / PyTorch | first call, s |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        times = f"{row.ours_ms:.2f} | {row.torch_ms:.2f} | {row.ratio:.2f} | {row.ours_first_s:.1f}"
        lines.append(f"| {row.name} | {times} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(WORKLOADS), help=f"any of: {', '.join(WORKLOADS)}")
    parser.add_argument("--json", type=Path, help="also write one JSON object a line to this file")
    parser.add_argument("--readme", action="store_true", help="write the table into the README")
    options = parser.parse_args()
    unknown = set(options.names) - set(WORKLOADS)
    if unknown:
        parser.error(f"unknown workloads {sorted(unknown)}; known: {', '.join(WORKLOADS)}")
    threads = int(os.environ.get("TGL_THREADS") or len(os.sched_getaffinity(0)))
    torch.set_num_threads(threads)
    print(HEADING)
    rows = []
    for name in options.names:
        rows.append(compare(name, *WORKLOADS[name]()))
        print(rows[-1].line(), flush=True)
    if options.json:
        options.json.write_text("".join(row.json() + "\n" for row in rows), encoding="utf-8")
    if options.readme:
        text = README.read_text(encoding="utf-8")
        README.write_text(TABLE.sub(lambda m: m[1] + readme_table(rows, threads) + m[2], text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
