"""Our workloads beside other frameworks: python tests/benchmarks/compare.py [NAME ...] [--json FILE] [--readme]

A NAME is a row or the beginning of one: ``gpt2``, ``matmul``. The sides take turns within a row, each in a process of
its own; a row's times are medians. ``--json`` keeps rows in a file, those of other names that it has too; ``--readme``
writes the README's table from them. TGL_THREADS sets the threads of all sides.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import time
from dataclasses import asdict
from datetime import date
from pathlib import Path

from readme import write_table
from results import HEADING, Result, processor, versions
from rows import ROWS, Row
from side import Side, is_installed

SETTLE_SECONDS = 0.2  # threads of a pool spin for a while after its last call and would slow the other side


def compared(row: Row, sides: dict[str, Side], rounds: int, seconds: float, threads: int) -> Result:
    """Alternates between the sides that the row names, after a first call of each."""
    chosen = {name: side for name, side in sides.items() if name == "ours" or name in row.peers}
    first = {name: side.prepare(row.name) for name, side in chosen.items()}
    times: dict[str, list[float]] = {name: [] for name in chosen}
    for _ in range(rounds):
        for name, side in chosen.items():
            time.sleep(SETTLE_SECONDS)
            times[name] += side.run(seconds)
    peak = {name: side.forget() for name, side in chosen.items()}
    missing = tuple(peer for peer in row.peers if peer not in chosen)
    milliseconds = {name: 1e3 * statistics.median(each) for name, each in times.items()}
    return Result(row.name, milliseconds, first, peak, missing, threads, processor(), versions(chosen),
                  date.today().isoformat())


def chosen_rows(names: list[str]) -> list[Row]:
    """The rows that the names, or beginnings of names, stand for."""
    unknown = [name for name in names if not any(row.startswith(name) for row in ROWS)]
    if unknown:
        raise SystemExit(f"unknown rows {unknown}; known: {', '.join(ROWS)}")
    beginnings = tuple(name for name in names if name not in ROWS)
    return [row for name, row in ROWS.items()
            if not names or name in names or (beginnings and name.startswith(beginnings))]


def load(path: Path) -> dict[str, Result]:
    """The results of a file, by row."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {result.name: result for result in (Result(**json.loads(line)) for line in lines)}


def save(path: Path, results: dict[str, Result]) -> None:
    """Writes the results to a file, one a line."""
    path.write_text("".join(json.dumps(asdict(result)) + "\n" for result in in_order(results)), encoding="utf-8")


def in_order(results: dict[str, Result]) -> list[Result]:
    """The results in the order of the table."""
    return [results[name] for name in ROWS if name in results]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="rows or beginnings of rows (default: all)")
    parser.add_argument("--json", type=Path, help="read this file's rows and write them and the new ones, one a line")
    parser.add_argument("--readme", action="store_true", help="write the rows into the README's table")
    parser.add_argument("--rounds", type=int, default=5, help="how often the sides take turns")
    parser.add_argument("--seconds", type=float, default=0.3, help="the time of each side in a round")
    options = parser.parse_args()
    threads = int(os.environ.get("TGL_THREADS") or len(os.sched_getaffinity(0)))
    rows = chosen_rows(options.names)
    results = load(options.json) if options.json else {}
    wanted = ["ours", *dict.fromkeys(peer for row in rows for peer in row.peers)]
    print(HEADING)
    with contextlib.ExitStack() as stack:
        sides = {name: Side(name, threads) for name in wanted if name == "ours" or is_installed(name)}
        for side in sides.values():
            stack.callback(side.close)
        for row in rows:
            results[row.name] = compared(row, sides, options.rounds, options.seconds, threads)
            print(results[row.name].line(), flush=True)
            if options.json:
                save(options.json, results)
    if options.readme:
        write_table(in_order(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
