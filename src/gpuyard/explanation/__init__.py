"""Why a job waited and why it ran where it did: the story of one job, from a finished run.

Almost all of it is worked out afterwards from who ran where and from when to when.  What only the scheduler knew, its
reservations, is in the run's log of decisions (``decisions.parquet``); where a run kept none, it is made again with
the log on, and only used if the schedule is the same to the last byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError
from gpuyard.explanation.apart import alone
from gpuyard.explanation.cell_waits import find_cell_stretches
from gpuyard.explanation.cells import find_cells
from gpuyard.explanation.endings import find_rule
from gpuyard.explanation.evidence import Evidence, find_job, gather
from gpuyard.explanation.holding import find_holds
from gpuyard.explanation.placing import find_placed
from gpuyard.explanation.promises import NOT_NEEDED
from gpuyard.explanation.shared_waits import find_shared_stretches
from gpuyard.explanation.stays import find_stays
from gpuyard.explanation.story import (
    REASONS,
    Blocker,
    FreeCells,
    Held,
    Hold,
    InCells,
    Made,
    Passed,
    Placed,
    Right,
    Shut,
    Stay,
    Story,
    Stretch,
    Took,
)
from gpuyard.explanation.telling import tell
from gpuyard.explanation.waiting import before_begin, find_passed, find_stretches
from gpuyard.explanation.yard import demand_of
from gpuyard.result import Result
from gpuyard.workload import MICROSECOND, Workload

__all__ = [
    "REASONS",
    "Blocker",
    "Evidence",
    "FreeCells",
    "Held",
    "Hold",
    "InCells",
    "Made",
    "Passed",
    "Placed",
    "Right",
    "Shut",
    "Stay",
    "Story",
    "Stretch",
    "Took",
    "explain",
    "gather",
    "story_of",
    "tell",
]


def explain(
    result: Result,
    job_id: str,
    *,
    workload: Workload | None = None,
    cluster: Cluster | None = None,
    note: Callable[[str], None] | None = None,
) -> Story:
    """Return the story of a job: what held it back, why it waited, who passed it, why it ran on these nodes.

    ``str()`` of the story is a text for people, :meth:`Story.to_mapping` is for machines.

    Parameters
    ----------
    result
        A finished run.
    job_id
        Which job.
    workload, cluster
        What was simulated; needed for results of :func:`gpuyard.simulate`, and made again from the scenario of others.
    note
        Told what is being done when that takes a while.

    Raises
    ------
    InputError
        If there is no such job.
    ConfigError
        If workload and cluster cannot be made again, or are not those of the result.

    Examples
    --------
    >>> import pyarrow as pa
    >>> import gpuyard as gy
    >>> table = pa.table({"job_id": ["a", "b"], "submit_time": [0.0, 0.0], "runtime": [60.0, 60.0], "gpus": [8, 8]})
    >>> jobs, site = gy.Workload.from_table(table), gy.Cluster.uniform(nodes=1, gpus_per_node=8)
    >>> story = gy.explain(gy.simulate(jobs, site), "b", workload=jobs, cluster=site)
    >>> story.stretches[0].reason, story.stretches[0].seconds
    ('gpus', 60.0)
    """
    if not isinstance(result, Result):
        raise ConfigError(f"explain takes a Result, got {type(result).__name__}; load one with gpuyard.Result.load")
    evidence = gather(result, workload=workload, cluster=cluster, note=note or (lambda _: None))
    return story_of(evidence, job_id)


def story_of(evidence: Evidence, job_id: str) -> Story:
    """Return the story of a job; for many jobs of one run, gather the evidence once."""
    row = find_job(evidence, job_id)
    jobs = evidence.result.jobs
    facts = {
        name: jobs[name][row].as_py()
        for name in ("submit_time", "eligible_time", "start_time", "end_time", "state", "reject_reason")
    }
    virtual_cluster = jobs["virtual_cluster"][row].as_py() if "virtual_cluster" in jobs.column_names else None
    evidence, row = alone(evidence, row)
    rejected = facts["state"] == "rejected"
    told = not rejected and not evidence.policy.preemption
    stretches: tuple[Stretch, ...] = ()
    if not rejected:
        stretches = _find_stretches(evidence, row)
    return Story(
        job_id=job_id,
        asked=_asked(evidence, row),
        policy=evidence.policy.name,
        virtual_cluster=virtual_cluster,
        submit=facts["submit_time"],
        eligible=facts["eligible_time"],
        holds=() if rejected else find_holds(evidence, row),
        stretches=stretches,
        passed=find_passed(evidence, row) if told and evidence.tenants.between == "queue" else None,
        start=facts["start_time"],
        placed=find_placed(evidence, row),
        end=facts["end_time"],
        state=facts["state"],
        reject_reason=facts["reject_reason"],
        log=evidence.log,
        notes=_notes(evidence),
        attempts=find_stays(evidence, row),
        cells=None if rejected else find_cells(evidence, row),
        ended_by=None if rejected else find_rule(evidence, row),
    )


def _find_stretches(evidence: Evidence, row: int) -> tuple[Stretch, ...]:
    """Return why a job waited."""
    before = before_begin(evidence, row)
    if evidence.policy.cells:
        return (*before, *find_cell_stretches(evidence, row))
    if evidence.tenants or evidence.policy.preemption:
        return (*before, *find_shared_stretches(evidence, row))
    return (*before, *find_stretches(evidence, row))


def _asked(evidence: Evidence, row: int) -> dict[str, Any]:
    """Return what a job asked for, without what it did not say."""
    table = evidence.workload.table
    names = (
        "gpus",
        "gpu_milli",
        "nodes",
        "gpu_type",
        "cpus",
        "memory_gib",
        "time_limit",
        "job_class",
        "tenant",
        "user",
    )
    said = {name: table[name][row].as_py() for name in names}
    if demand_of(evidence, row)["alone"]:  # of which a fraction is a whole GPU
        said |= {"exclusive": True, "gpu_milli": None}
    said["estimate"] = int(evidence.estimate[row]) / MICROSECOND
    return {name: value for name, value in said.items() if value is not None}


def _notes(evidence: Evidence) -> tuple[str, ...]:
    """Return what is not known, and how it could be."""
    notes = []
    if evidence.policy.preemption:
        notes.append("Among which nodes the placement chose is not told of runs that preempt.")
    if evidence.log == "made again":
        notes.append(
            "The result has no log of decisions, so the run was made again with one; its schedule is the same to the "
            f"last byte (digest {evidence.result.digest[:12]}). 'gpuyard run --decisions' keeps the log."
        )
    elif evidence.log not in ("saved", NOT_NEEDED):
        notes.append(
            f"What was promised to whom is not known: {evidence.log}. 'gpuyard run DIR --decisions -o NEW' makes a "
            "result that has it."
        )
    if evidence.log != NOT_NEEDED and evidence.promises is not None and evidence.promises.lost:
        notes.append(
            f"The log of decisions was full: its last {evidence.promises.lost:,} entries are missing, and later "
            "reservations are not known."
        )
    return tuple(notes)
