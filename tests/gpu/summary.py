"""A short table of a JUnit result file: passed, failed and skipped tests a file.

    python tests/gpu/summary.py results.xml summary.json
"""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path


def outcomes(results: Path) -> dict[str, dict[str, float]]:
    """Per test module: how many tests passed, failed and were skipped, and the seconds they took."""
    table: dict[str, dict[str, float]] = defaultdict(lambda: {"passed": 0, "failed": 0, "skipped": 0, "seconds": 0.0})
    for case in ElementTree.parse(results).getroot().iter("testcase"):
        row = table[case.get("classname", "?")]
        children = {child.tag for child in case}
        outcome = "failed" if children & {"failure", "error"} else "skipped" if "skipped" in children else "passed"
        row[outcome] += 1
        row["seconds"] += float(case.get("time", "0"))
    return dict(sorted(table.items()))


def main() -> int:
    results, summary = Path(sys.argv[1]), Path(sys.argv[2])
    if not results.is_file():
        print(f"no results at {results}: pytest did not get as far as running tests", file=sys.stderr)
        return 1
    table = outcomes(results)
    summary.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    print(f"{'module':60} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}")
    for module, row in table.items():
        print(f"{module:60} {row['passed']:7.0f} {row['failed']:7.0f} {row['skipped']:8.0f} {row['seconds']:8.1f}")
    totals = {key: sum(row[key] for row in table.values()) for key in ("passed", "failed", "skipped", "seconds")}
    print(f"{'total':60} {totals['passed']:7.0f} {totals['failed']:7.0f} {totals['skipped']:8.0f} "
          f"{totals['seconds']:8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
