"""What a comparison found, and how far it is from what is to be reached."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from rows import BEST, ROWS
from side import NAMES, PACKAGES


@dataclass(frozen=True)
class Result:
    """A row. By framework: medians in milliseconds, seconds of the first call, and peak memory of its process, bytes.

    missing: peers of the row that are not installed. day: when it was measured, as year-month-day.
    """

    name: str
    milliseconds: dict[str, float]
    first: dict[str, float]
    peak: dict[str, int]
    missing: tuple[str, ...]
    threads: int
    processor: str
    versions: dict[str, str]
    day: str

    def ratio(self, peer: str) -> float | None:
        """Our time over that of the peer, or of the best of them; None where it is missing. Below 1 is faster."""
        peers = {name: time for name, time in self.milliseconds.items() if name != "ours"}
        theirs = min(peers.values(), default=None) if peer == BEST else peers.get(peer)
        return None if theirs is None else self.milliseconds["ours"] / theirs

    @property
    def memory_ratio(self) -> float | None:
        """Our peak memory over PyTorch's, in rows that are about it."""
        return self.peak["ours"] / self.peak["torch"] if ROWS[self.name].memory and "torch" in self.peak else None

    def line(self) -> str:
        """The row in a terminal."""
        peers = " ".join(f"{self.milliseconds[peer]:10.3f}" if peer in self.milliseconds else " " * 10
                         for peer in NAMES if peer != "ours")
        parts = [f"{self.name:21} {self.milliseconds['ours']:10.3f} {peers} {self.first['ours']:9.2f} "]
        for peer, target in ROWS[self.name].targets.items():
            ratio = self.ratio(peer)
            verdict = f"missing; {target:.2f}" if ratio is None else f"{ratio:.2f} {_sign(ratio, target)} {target:.2f}"
            parts.append(f"{'' if peer == 'torch' else peer + ' '}{verdict}")
        if self.memory_ratio is not None:
            parts.append(f"memory {self.memory_ratio:.2f} {_sign(self.memory_ratio, 1)} 1")
        return ", ".join(parts).replace(" ,", " ")


def _sign(ratio: float, target: float) -> str:
    return "<=" if round(ratio, 2) <= target else "> "


HEADING = (f"{'workload':21} {'ours ms':>10} " + " ".join(f"{NAMES[peer][:10]:>10}" for peer in NAMES if peer != "ours")
           + f" {'first s':>9}  ratio and target")


def processor() -> str:
    """The name of this machine's processor, as the operating system knows it."""
    try:
        names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def versions(frameworks: Iterable[str]) -> dict[str, str]:
    """The version of each framework's package."""
    return {name: metadata.version(PACKAGES[name]) for name in frameworks if name != "ours"}
