"""Plain-text tables and quantities for people."""

from __future__ import annotations

from collections.abc import Sequence


def table_text(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, two spaces apart; cells that start with a digit are set right."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join("  ".join(map(_padded, line, widths)).rstrip() for line in lines)


def _padded(cell: str, width: int) -> str:
    return cell.rjust(width) if cell[:1].isdigit() else cell.ljust(width)


def count_text(value: float) -> str:
    """A number with a decimal prefix.

    >>> count_text(1234567)
    '1.23 M'
    """
    for limit, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g} {prefix}"
    return f"{value:.3g} "


def bytes_text(value: float) -> str:
    """Bytes with a decimal prefix.

    >>> bytes_text(4096)
    '4.1 kB'
    """
    return count_text(value) + "B"


def seconds_text(value: float) -> str:
    """A duration.

    >>> seconds_text(0.00125)
    '1.25 ms'
    """
    for limit, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"
