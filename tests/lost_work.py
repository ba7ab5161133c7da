"""What a preemption costs, worked out of a record from outside: the work since the last checkpoint, and no more."""

from __future__ import annotations

from gpuyard.policy import Policy
from gpuyard.record import EndReason, Outcome, Record
from reference import read, ticks
from reference.jobs import run_length

__all__ = ["check_lost_work"]


def interval_of(row: dict[str, object], policy: Policy) -> int | None:
    """Return the work between two checkpoints of a job, 0: it is suspended, None: it has none."""
    given = policy.preemption
    mode = given.modes.get(row.get(given.rule) or "") if given.rule in {"partition", "qos"} else None
    stated = row.get("checkpoint_interval")
    if mode == "suspend":
        return 0
    if mode == "cancel":
        return None
    if stated is not None:
        return max(ticks(stated), int(stated > 0))
    common = None if given.checkpoint_interval is None else ticks(given.checkpoint_interval)
    return None if mode == "requeue" and common == 0 else common


def check_lost_work(record: Record, policy: Policy) -> None:
    """Assert that no preemption costs more than is promised, and that each job that ended did all its work once."""
    rows, terms = record.workload.table.to_pylist(), policy.preemption
    jobs = read(record.workload, policy)
    assert record.attempt_useful is not None
    done = [0] * len(rows)
    seen: set[int] = set()
    cancelled: set[int] = set()
    for row, start, end, reason, useful in zip(
        record.attempt_job.tolist(),
        record.attempt_start.tolist(),
        record.attempt_end.tolist(),
        record.attempt_reason.tolist(),
        record.attempt_useful.tolist(),
        strict=True,
    ):
        worked = max(end - start - (ticks(terms.restart_cost) if row in seen else 0), 0)
        seen.add(row)
        done[row] += useful
        assert 0 <= useful <= worked
        if reason == EndReason.PREEMPTED:
            assert row not in cancelled
            cancelled |= {row} if jobs[row].is_cancelled else set()
            check_attempt(interval_of(rows[row], policy), ticks(terms.checkpoint_cost), worked, useful)
    for row, outcome in enumerate(record.outcome.tolist()):
        if outcome not in {Outcome.REJECTED, Outcome.UNFINISHED}:
            work = 0 if row in cancelled else run_length(jobs[row], policy)
            assert done[row] == work, f"the work of job {row}"


def check_attempt(interval: int | None, cost: int, worked: int, useful: int) -> None:
    """Assert that of what was worked all is kept but for the time since the last checkpoint was written."""
    if interval is None:
        assert useful == 0
    elif interval == 0:
        assert useful == worked
    else:
        written, rest = divmod(useful, interval)
        assert rest == 0
        assert 0 <= worked - written * (interval + cost) < interval + cost
