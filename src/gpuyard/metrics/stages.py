"""Stages of a run of which the numbers are told apart: stages and phases of a site that grows, and calendar years."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from gpuyard.record import Record
from gpuyard.traces.schema import ORIGIN, ZONE
from gpuyard.windows import there_from
from gpuyard.workload import Workload

__all__ = ["Stages", "phases_of", "second_0", "stages_of", "years_of"]

Stages = dict[str, tuple[int, int]]
"""From when to before when, microseconds since the origin, by name; one after the other without a gap."""

_TICK = timedelta(microseconds=1)


def stages_of(record: Record, start: int, stop: int) -> Stages | None:
    """Return the stages between two instants, from each commissioning of nodes to the next; None without any."""
    if not any(each.is_commission for each in record.windows):
        return None
    begins = np.unique(there_from(record.windows, record.cluster))
    inner = begins[(begins > start) & (begins < stop)].tolist()
    return {str(number): each for number, each in enumerate(pairwise([start, *inner, stop]), start=1)}


def phases_of(record: Record, start: int, stop: int) -> Stages | None:
    """Return the phases between two instants, each of the stages from its name on; None where no phase has a name.

    What is before the first is called after it: ``before phase-2``.
    """
    named = sorted((each.end_tick, each.phase) for each in record.windows if each.phase)
    stages = stages_of(record, start, stop)
    if not named or stages is None:
        return None
    found: Stages = {}
    for begin, end in stages.values():
        name = next((phase for tick, phase in reversed(named) if tick <= begin), f"before {named[0][1]}")
        found[name] = (found.get(name, (begin, end))[0], end)
    return found


def second_0(workload: Workload) -> datetime | None:
    """Return when second 0 is, by the clock of the workload's zone or of its origin; None where it is not known."""
    facts = workload.held.schema.metadata or {}
    origin, zone = (facts.get(key, b"").decode() for key in (ORIGIN, ZONE))
    try:
        zero = datetime.fromisoformat(origin)
        return zero.astimezone(ZoneInfo(zone)) if zone and zero.tzinfo else zero.replace(tzinfo=zero.tzinfo or UTC)
    except (ZoneInfoNotFoundError, OverflowError, ValueError, OSError):
        return None


def years_of(record: Record, start: int, stop: int) -> Stages | None:
    """Return the calendar years between two instants; None where the calendar is not known, or it is one year.

    Years begin at midnight in the zone of the workload, or by the offset of its origin.
    """
    found = second_0(record.workload)
    if found is None:
        return None
    clock, zero = found.tzinfo, found.astimezone(UTC)
    try:
        first, last = ((zero + instant * _TICK).astimezone(clock).year for instant in (start, max(stop - 1, start)))
        edges = [(datetime(year, 1, 1, tzinfo=clock) - zero) // _TICK for year in range(first + 1, last + 1)]
    except (OverflowError, ValueError):
        return None
    if first == last:
        return None
    return dict(zip(map(str, range(first, last + 1)), pairwise([start, *edges, stop]), strict=True))
