"""The README's table of speed, written from results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from results import Result
from rows import BEST, ROWS
from side import NAMES

README = Path(__file__).resolve().parents[2] / "README.md"
_TABLE = re.compile(r"(<!-- speed: begin -->\n).*?(<!-- speed: end -->)", re.DOTALL)


def write_table(results: Sequence[Result]) -> None:
    """Puts the table of the results between the README's two markers."""
    text = README.read_text(encoding="utf-8")
    if not _TABLE.search(text):
        raise SystemExit(f"{README} has no lines <!-- speed: begin --> and <!-- speed: end -->")
    README.write_text(_TABLE.sub(lambda found: found[1] + table(results) + found[2], text), encoding="utf-8")


def table(results: Sequence[Result]) -> str:
    """What was measured where and when, and a line a row."""
    peers = [peer for peer in NAMES if peer != "ours" and any(peer in result.milliseconds for result in results)]
    lines = [_circumstances(results), "",
             "| | ours | " + " | ".join(NAMES[peer] for peer in peers) + " | ratio | wanted | first call, s |",
             "| --- " * (len(peers) + 5) + "|"]
    lines += [_line(result, peers) for result in results]
    return "\n".join(lines) + "\n"


def _circumstances(results: Sequence[Result]) -> str:
    machines = " and ".join(dict.fromkeys(result.processor for result in results))
    threads = " and ".join(dict.fromkeys(str(result.threads) for result in results))
    versions = {f"{NAMES[name]} {version}" for result in results for name, version in result.versions.items()}
    days = sorted({result.day for result in results})
    return (f"Measured on {machines}, {threads} threads, {', '.join(sorted(versions))}, "
            f"{' to '.join(dict.fromkeys([days[0], days[-1]]))}: medians in milliseconds.")


def _line(result: Result, peers: Sequence[str]) -> str:
    times = [_time(result.milliseconds[name]) if name in result.milliseconds else "" for name in ("ours", *peers)]
    ratios, wanted = [], []
    for peer, target in ROWS[result.name].targets.items():
        ratio = result.ratio(peer)
        label = "" if peer == "torch" else "best " if peer == BEST else NAMES[peer] + " "
        wanted.append(f"{label}{target:.2f}")
        if ratio is not None:
            ratios.append(f"{label}{ratio:.2f}")
    if result.missing:
        ratios[-1] += f" (without {' and '.join(NAMES[peer] for peer in result.missing)})"
    if result.memory_ratio is not None:
        ratios.append(f"memory {result.memory_ratio:.2f}")
        wanted.append("memory 1.00")
    return "| " + " | ".join([result.name, *times, ", ".join(ratios), ", ".join(wanted),
                              f"{result.first['ours']:.2f}"]) + " |"


def _time(milliseconds: float) -> str:
    """Three digits, without an exponent."""
    return f"{milliseconds:.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"
