"""What all tests share: repeatable randomness, one torch thread, the repository's root and golden texts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent

os.environ.setdefault("MPLBACKEND", "Agg")  # plots are written to files; no test may open a window

hypothesis.settings.register_profile("default", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden texts instead of comparing")


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread() -> None:
    """Torch's spinning workers would compete with ours for the same cores (and with pytest-xdist's processes)."""
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """A NumPy generator seeded by the test's name, so that every test sees the same numbers in every run."""
    return np.random.default_rng(list(request.node.nodeid.encode()))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root directory."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory of data that is too large for the repository; a test that needs it skips where it is missing."""
    directory = ROOT.parent / "shared"
    if not directory.is_dir():
        pytest.skip(f"no data directory {directory}")
    return directory


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Compare a text with ``golden/<test name>.txt`` beside the test; ``--update-golden`` writes it."""

    def check(text: str) -> None:
        name = "".join(c if c.isalnum() or c in "-_." else "-" for c in request.node.name)
        path = Path(request.path).parent / "golden" / f"{name}.txt"
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        assert path.is_file(), f"no golden text {path}; run pytest --update-golden once and read what it wrote"
        assert text == path.read_text(encoding="utf-8")

    return check
