"""The clock of the compiler's phases."""

from __future__ import annotations

import pytest

from ir import phases
from ir.phases import PhaseTimes, phase, recorded_phases


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as a list of one number that a test moves on."""
    now = [0.0]
    monkeypatch.setattr(phases.time, "perf_counter", lambda: now[0])
    return now


def test_inner_phases_do_not_count_in_outer_ones(clock: list[float]) -> None:
    with recorded_phases() as times:
        with phase("outer"):
            clock[0] += 1
            for _ in range(3):
                with phase("inner"):
                    clock[0] += 2
            clock[0] += 4
        clock[0] += 100  # belongs to no phase
        with phase("inner"):
            clock[0] += 8
    assert times.seconds == {"outer": 5, "inner": 14}
    assert times.entries == {"outer": 1, "inner": 4}
    assert times.total == 19


def test_a_recording_counts_in_the_one_around_it(clock: list[float]) -> None:
    with recorded_phases() as around, phase("outer"):
        clock[0] += 1
        with recorded_phases() as within, phase("inner"):
            clock[0] += 2
        clock[0] += 4
    assert within.seconds == {"inner": 2}
    assert around.seconds == {"outer": 5, "inner": 2}


def test_what_fails_is_counted_and_nothing_is_recorded_outside(clock: list[float]) -> None:
    with recorded_phases() as times, pytest.raises(ValueError, match="no"), phase("outer"):
        clock[0] += 3
        raise ValueError("no")
    with phase("later"):
        clock[0] += 1
    assert times == PhaseTimes({"outer": 3}, {"outer": 1})
