"""One side of a comparison in a process of its own: no thread pool and no memory is shared with the others.

The process reads commands, one JSON list a line, and answers each with one JSON value. ``prepare NAME`` makes a
workload and calls it once: the seconds of that call. ``run SECONDS`` calls it for about so long: the seconds of each
piece of work. ``forget`` lets it go: the largest memory of the process since the workload was made, in bytes.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tinygrad_like.bench import WORKLOADS
from tinygrad_like.bench.workload import Call, first_call, repeated

NAMES = {"ours": "tinygrad_like", "torch": "PyTorch", "torch_compile": "torch.compile", "jax": "JAX"}
PACKAGES = {"ours": "tinygrad_like", "torch": "torch", "torch_compile": "torch", "jax": "jax"}


class Side:
    """The process of one framework, as the comparison sees it."""

    def __init__(self, framework: str, threads: int) -> None:
        self.framework = framework
        environment = {**os.environ, "TGL_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        self._process = subprocess.Popen([sys.executable, __file__, framework], env=environment, text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def prepare(self, name: str) -> float:
        """Make the workload: the seconds of its first call, which compiles it."""
        return float(self._ask("prepare", name))

    def run(self, seconds: float) -> list[float]:
        """Do the work for about ``seconds``: the seconds of each piece of it."""
        return [float(time) for time in self._ask("run", seconds)]

    def forget(self) -> int:
        """Let the workload go: the largest memory of the process since it was made, in bytes."""
        return int(self._ask("forget"))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _ask(self, *command: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"{NAMES[self.framework]} failed at {' '.join(map(str, command))}; see above")
        return json.loads(answer)


def is_installed(framework: str) -> bool:
    """Whether the package of the framework is there."""
    return importlib.util.find_spec(PACKAGES[framework]) is not None


# ------------------------------------------------------------------------------------------------- in the process


def _builders(framework: str) -> Mapping[str, Callable[..., Call]]:
    if framework == "ours":
        return {name: workload.build for name, workload in WORKLOADS.items()}
    if framework == "jax":
        import jax_side

        return jax_side.workloads()
    import pytorch_side

    return pytorch_side.workloads(compiled=framework == "torch_compile")


class _Server:
    """What the process does for each command."""

    def __init__(self, framework: str) -> None:
        self._builders = _builders(framework)
        self._call: Call | None = None
        self._runs = 1

    def prepare(self, name: str) -> float:
        _reset_peak()
        workload = WORKLOADS[name]
        self._call, self._runs = self._builders[name](*workload.inputs()), workload.runs
        return first_call(self._call)

    def run(self, seconds: float) -> list[float]:
        assert self._call is not None
        return repeated(self._call, seconds, runs=self._runs)

    def forget(self) -> int:
        peak = _peak()
        self._call = None
        gc.collect()
        return peak


def _reset_peak() -> None:
    """Lets the kernel's record of the largest resident memory start anew (Linux)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def _peak() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) << 10


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")  # what a framework prints must not be taken for an answer
    os.dup2(2, 1)
    server = _Server(sys.argv[1])
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        print(json.dumps(getattr(server, command)(*arguments)), file=answers, flush=True)


if __name__ == "__main__":
    main()
