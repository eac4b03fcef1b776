"""``tgl doctor``: what this installation can do, and what is missing for the rest."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from typing import NamedTuple

from tinygrad_like import Device, Tensor
from tinygrad_like.cli.parser import Parser
from tinygrad_like.io import cache_directory

_OPTIONAL = {
    "rich": "progress bars", "matplotlib": "loss plots", "sklearn": "digits without a network",
    "pooch": "downloads", "graphviz": "pictures of graphs", "pycuda": "NVIDIA GPUs",
}


class Finding(NamedTuple):
    """One line: what was looked at, whether it is as it should be (None: optional and not there), and details."""

    name: str
    good: bool | None
    details: str


def add_arguments(parser: Parser) -> None:
    """The options of ``tgl doctor``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print the findings; the status is 1 where something needed does not work."""
    findings = [_python(), *map(_package, ("numpy", "llvmlite")), _processor(), *map(_optional, _OPTIONAL),
                _cache(), _guarded(f"device {Device.DEFAULT}", _compute)]
    if options.json:
        print(json.dumps({finding.name: {"good": finding.good, "details": finding.details} for finding in findings}))
    else:
        for finding in findings:
            mark = {True: "ok", False: "FAILS", None: "-"}[finding.good]
            print(f"{mark:5}  {finding.name:20}  {finding.details}")
    return int(any(finding.good is False for finding in findings))


def _python() -> Finding:
    return Finding("Python", True, f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _processor() -> Finding:
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        import llvmlite.binding as llvm
    except ImportError:
        return Finding("processor", True, f"{available} cores")
    threads = os.environ.get("TGL_THREADS")
    limit = f", TGL_THREADS={threads}" if threads else ""
    return Finding("processor", True, f"{llvm.get_host_cpu_name()}, {available} cores{limit}")


def _package(name: str) -> Finding:
    try:
        importlib.import_module(name)
        return Finding(name, True, metadata.version(name))
    except (ImportError, metadata.PackageNotFoundError) as error:
        return Finding(name, False, f"{error}; python -m pip install {name}")


def _optional(name: str) -> Finding:
    distribution = {"sklearn": "scikit-learn"}.get(name, name)
    if importlib.util.find_spec(name) is None:
        return Finding(distribution, None, f"not installed: {_OPTIONAL[name]} (python -m pip install {distribution})")
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        version = "a version that does not say its number"
    return Finding(distribution, True, f"{version}: {_OPTIONAL[name]}")


def _cache() -> Finding:
    directory = cache_directory()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        return Finding("cache", None, f"{directory} cannot be written ({error.strerror}); everything works, but slower")
    return Finding("cache", True, str(directory))


def _compute() -> str:
    start = time.perf_counter()
    x = Tensor.arange(12).reshape(3, 4).float()
    found = (x @ x.transpose(0, 1)).sum().item()
    if found != 1134.0:
        raise ArithmeticError(f"a product of matrices gave {found} instead of 1134")
    return f"compiled and computed a product of matrices in {time.perf_counter() - start:.2f} s"


def _guarded(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except Exception as error:  # whatever is wrong with a device belongs into the report
        return Finding(name, False, f"{type(error).__name__}: {' '.join(str(error).split())}")
