"""When jobs come: moved, again and again, together with the jobs of other traces."""

from __future__ import annotations

import math
from datetime import datetime

import pyarrow as pa

from gpuyard.errors import ConfigError
from gpuyard.reshaping.columns import floats, mark_for, marked, moved, rebuilt
from gpuyard.units import counted, format_seconds
from gpuyard.workload import MICROSECOND, Workload

__all__ = ["ALIGNMENTS", "MOST_COPIES", "merge", "repeat", "shift"]

DAY, WEEK = 86_400.0, 604_800.0
ALIGNMENTS = ("seconds", "calendar")
"""How the times of several traces meet: second 0 on second 0, or each at its own date."""
MOST_COPIES = 10_000
"""More repeats than this are taken for a typing error."""


def shift(workload: Workload, seconds: float) -> Workload:
    """Return the jobs so much later, or earlier where negative; the origin stays, so that the time of day moves too.

    Submission, ``not_before``, ``deadline`` and the recorded start and end all move, to the microsecond.
    """
    if not math.isfinite(seconds):
        raise ConfigError(f"jobs can be moved by a finite number of seconds, got {seconds}")
    ticks = round(seconds * MICROSECOND)
    way = "later" if ticks >= 0 else "earlier"
    note = f"every job {format_seconds(abs(ticks) / MICROSECOND)} {way}"
    return rebuilt(workload, moved(workload.table, ticks), note) if ticks else workload


def period_of(workload: Workload) -> float:
    """Return the time from the first to the last submission in whole days, or whole weeks if it is a week or more."""
    submit = floats(workload.table, "submit_time")
    span = float(submit[-1] - submit[0]) if submit.size else 0.0
    unit = WEEK if span >= WEEK else DAY
    return max(1, math.ceil(span / unit)) * unit


def repeat(workload: Workload, times: int, *, every: float | None = None) -> Workload:
    """Return the jobs ``times`` times in all, each time ``every`` seconds later than the time before.

    The copies from the second on are other jobs, ``17~2`` for 17, and their arrays other arrays; a dependency is on the
    job of the same copy; users and tenants stay.  All instants of a copy, the recorded ones too, move with it.

    Parameters
    ----------
    every
        :func:`period_of` the workload if None, so that hours keep their hours, and weekdays their days in a long trace.

    Raises
    ------
    ConfigError
        For fewer than one time or far too many, or a period that is not above 0.
    """
    if not 1 <= times <= MOST_COPIES:
        raise ConfigError(f"a trace can be repeated 1 to {MOST_COPIES:,} times in all, got {times}")
    period = period_of(workload) if every is None else every
    if not 0 < period < math.inf:
        raise ConfigError(f"the time between repeats must be above 0, got {period:g} s")
    if times == 1:
        return workload
    mark, ticks = mark_for([workload.table]), round(period * MICROSECOND)
    copies = [marked(moved(workload.table, ticks * (k - 1)), f"{mark}{k}") for k in range(2, times + 1)]
    note = f"{counted(times, 'time')} the same {counted(len(workload), 'job')}, every {format_seconds(period)}"
    return rebuilt(workload, pa.concat_tables([workload.table, *copies]), note)


def merge(workload: Workload, *others: Workload, align: str = "seconds") -> Workload:
    """Return the jobs of all workloads together, on the clock of the first.

    Where a further workload has a job id, or an array of the same user, that one before it has, all its jobs and arrays
    are named anew, ``17~2`` for job 17 of the second workload, and so are its dependencies.  Users and tenants of the
    same name are the same.

    Parameters
    ----------
    align
        ``seconds``: second 0 of one is second 0 of all.  ``calendar``: each at its own date, by the origins.

    Raises
    ------
    ConfigError
        For another word, or where an origin is missing or two cannot be compared.
    """
    if align not in ALIGNMENTS:
        raise ConfigError(f"workloads are aligned by {' or '.join(ALIGNMENTS)}, got '{align}'")
    tables = [workload.table]
    mark = mark_for([workload.table, *(other.table for other in others)])
    ids = set(workload.table["job_id"].to_pylist())
    arrays = _arrays(workload.table)
    for number, other in enumerate(others, start=2):
        table = other.table.replace_schema_metadata(workload.table.schema.metadata)
        if align == "calendar":
            table = moved(table, _apart(workload, other))
        if not ids.isdisjoint(table["job_id"].to_pylist()) or not arrays.isdisjoint(_arrays(table)):
            table = marked(table, f"{mark}{number}")
        ids.update(table["job_id"].to_pylist())
        arrays |= _arrays(table)
        tables.append(table)
    names = ", ".join(f"{counted(len(other), 'job')} of {other.name}" for other in others)
    merged = rebuilt(
        workload,
        pa.concat_tables(tables),
        f"merged by {align} with {names}",
        name="+".join([workload.name, *(other.name for other in others)]),
    )
    notes = (*merged.notes, *(f"{other.name}: {text}" for other in others for text in other.notes))
    rejected = workload.rejected + tuple(row for other in others for row in other.rejected)
    return Workload(held=merged.held, name=merged.name, rejected=rejected, notes=notes)


def _arrays(table: pa.Table) -> set[tuple[str, str | None]]:
    """Return the arrays of a table: names with their users."""
    if table["array"].null_count == len(table):
        return set()
    pairs = zip(table["array"].to_pylist(), table["user"].to_pylist(), strict=True)
    return {(array, user) for array, user in pairs if array is not None}


def _apart(first: Workload, other: Workload) -> int:
    """Return the microseconds from the origin of one workload to that of another."""
    instants = []
    for each in (first, other):
        if not each.origin:
            raise ConfigError(f"'{each.name}' states no date for its second 0, so it has no calendar; merge by seconds")
        instants.append(datetime.fromisoformat(each.origin))
    if (instants[0].tzinfo is None) != (instants[1].tzinfo is None):
        raise ConfigError(
            f"the origins of '{first.name}' and '{other.name}' cannot be compared, as only one has a time zone; "
            "name the zone of the other, or merge by seconds"
        )
    apart = instants[1] - instants[0]
    return (apart.days * 86_400 + apart.seconds) * MICROSECOND + apart.microseconds
