"""Compiles every kernel that ``emulated_cuda`` recorded with nvcc: python compile_kernels.py DIR [sm_80 sm_90 ...]

Prints how many kernels each architecture accepts, and what nvcc says of a unit that it rejects.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

KERNELS_PER_UNIT = 60  # starting nvcc takes as long as ten kernels
FLAGS = ("-cubin", "-std=c++17", "--fmad=false")


def rejected(prelude: str, architecture: str, kernels: list[Path]) -> str:
    """What nvcc says of a translation unit of these kernels, or nothing where it accepts them."""
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "kernels.cu"
        source.write_text(prelude + "".join(kernel.read_text() for kernel in kernels))
        command = ["nvcc", *FLAGS, f"-arch={architecture}", "-o", f"{directory}/kernels.cubin", str(source)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        return result.stderr if result.returncode else ""


def main() -> int:
    directory, *architectures = sys.argv[1:]
    kernels = sorted(Path(directory).glob("*.cu"))
    prelude = (Path(directory) / "prelude.h").read_text()
    units = [kernels[start:start + KERNELS_PER_UNIT] for start in range(0, len(kernels), KERNELS_PER_UNIT)]
    failures = 0
    for architecture in architectures or ["sm_80", "sm_90"]:
        with ThreadPoolExecutor(2) as pool:
            errors = [error for error in pool.map(partial(rejected, prelude, architecture), units) if error]
        print(f"{architecture}: {len(kernels)} kernels in {len(units)} units, {len(errors)} units rejected", flush=True)
        print("\n".join(errors))
        failures += len(errors)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
