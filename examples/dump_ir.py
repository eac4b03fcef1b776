"""One small computation at every stage on its way to the machine.

    python examples/dump_ir.py                  # all stages of a layer with bias and GELU
    python examples/dump_ir.py --stage loops

Expected: the graph, its kernels, their loops, LLVM IR, assembly, CUDA C, and why there are so many kernels, in seconds.
The same for any computation: tgl dump FILE.py:FUNCTION --stage STAGE.
"""

from __future__ import annotations

import argparse

from tinygrad_like import Tensor, nn
from tinygrad_like.cli.parser import Parser, run_command
from tinygrad_like.inspect import STAGES, dump, explain


def layer() -> Tensor:
    """GELU(x Wᵀ + b): a matrix product whose bias and activation should cost no memory traffic of their own."""
    x = Tensor.rand(64, 128).realize()
    return nn.Linear(128, 256)(x).gelu()


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="dump_ir.py", description="One computation at every stage on its way to the machine.")
    parser.add_argument("--stage", choices=STAGES, help="show this stage only")
    options = parser.parse_args(arguments)
    return run_command("dump_ir.py", lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Print the stages, and why the kernels are what they are."""
    result = layer()
    for stage in [options.stage] if options.stage else STAGES:
        print(f"{'=' * 30} {stage} {'=' * 30}\n{dump(result, stage)}\n")
    if options.stage is None:
        print(f"{'=' * 30} why {'=' * 30}\n{explain(result)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
