"""What the reference knows of a job, what a job holds, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.workload import NEVER, Workload

SECOND = 1_000_000
WHOLE = 1000
"""Thousandths of a whole GPU."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One row of the workload; times in microseconds, CPUs in thousandths of a core, memory in MiB."""

    row: int
    name: str
    submit: int
    runtime: int | None
    limit: int | None
    gpus: int
    milli: int | None
    types: tuple[str, ...] | None
    cpus: int | None
    memory: int | None
    nodes: int | None
    segment: int | None
    spread: bool
    exclusive: bool
    priority: int
    deadline: int | None
    nice: int
    user: str | None
    qos: str | None
    partition: str | None
    not_before: int | None
    parents: tuple[int, ...]
    think: int
    recorded_start: int | None
    recorded_end: int | None
    state: str | None
    tenant: str | None = None
    job_class: str | None = None
    array: tuple[str, str | None] | None = None
    """name and user"""
    array_limit: int | None = None
    preemptible: bool = True
    checkpoint_interval: int | None = None
    """work between two of its own; ``None``: as the policy says"""
    min_run: int = 0
    """how long an attempt is left alone"""
    is_cancelled: bool = False
    """whether it is gone when it is preempted"""
    number: int = -1
    """the row that random numbers are drawn by, if it is another: that in the whole workload"""

    @property
    def drawn(self) -> int:
        """The row that random numbers are drawn by."""
        return self.row if self.number < 0 else self.number

    @property
    def known_start(self) -> int | None:
        """When it started by the record."""
        return None if self.recorded_start is None else max(self.recorded_start, self.submit)

    @property
    def known_end(self) -> int | None:
        """When it ended by the record."""
        if self.recorded_end is not None or self.known_start is None or self.runtime is None:
            return self.recorded_end
        return self.known_start + self.runtime

    def runs_at(self, begin: int) -> bool:
        """Return whether it runs, by the record, when the simulation begins."""
        return None not in (self.known_start, self.known_end) and self.known_start < begin < self.known_end

    @property
    def thousandths(self) -> int:
        """The GPUs it asks for, in thousandths of a GPU; a fraction that is exclusive needs a whole one."""
        return self.gpus * WHOLE if self.milli is None or self.exclusive else self.milli

    @property
    def stated(self) -> int:
        """The GPUs of the job table, in thousandths of a GPU."""
        return self.gpus * WHOLE if self.milli is None else self.milli

    @property
    def gpu_count(self) -> float:
        """The GPUs it asks for; a fraction counts as one."""
        return self.gpus if self.milli is None else self.milli / WHOLE


@dataclass(frozen=True, kw_only=True)
class Piece:
    """What a job holds on one node: ``milli`` thousandths of each of these GPUs, CPUs, memory."""

    node: int
    gpus: tuple[int, ...]
    milli: int
    cpus: int
    memory: int


Slot = tuple[int, int, int]
"""Node, GPUs held there, lowest GPU number or -1."""


class Attempt(NamedTuple):
    """One stay on the cluster; times in microseconds."""

    start: int
    end: int
    slots: list[Slot]
    useful: int
    cause: int | None
    """row of the job it made room for"""


@dataclass(kw_only=True)
class Fate:
    """What became of one job; times in microseconds, ``None`` where there is none."""

    eligible: int | None = None
    start: int | None = None
    end: int | None = None
    outcome: str = "unfinished"
    slots: list[Slot] = field(default_factory=list)
    """by node; of the last attempt"""
    attempts: list[Attempt] = field(default_factory=list)
    """told only under preemption"""


def slots_of(pieces: Iterable[Piece]) -> list[Slot]:
    return [(it.node, len(it.gpus), min(it.gpus, default=-1)) for it in pieces]


def ticks(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * SECOND)


def at_least_one(seconds: float | None) -> int | None:
    """Return microseconds: above 0 if the seconds are."""
    return max(ticks(seconds), 1) if seconds else ticks(seconds)


def named(row: Mapping[str, object], names: Mapping[str, object], policy: Policy) -> object:
    """Return what is said of this partition or QOS, by which the rule goes."""
    return names.get(row[policy.preemption.rule]) if policy.preemption.rule in {"partition", "qos"} else None


def mode_of(row: Mapping[str, object], policy: Policy) -> str | None:
    """Return how jobs of this partition or QOS are preempted, where that is said."""
    return named(row, policy.preemption.modes, policy)


def least_run(row: Mapping[str, object], policy: Policy) -> int:
    """Return how long an attempt is left alone: as is said of its partition or QOS, else of all."""
    own = named(row, policy.preemption.min_runs, policy)
    return ticks(policy.preemption.min_run if own is None else own)


def interval_of(row: Mapping[str, object], policy: Policy) -> int | None:
    """Return the work between two checkpoints, if it is the job's own or that of its partition or QOS."""
    mode, own = mode_of(row, policy), at_least_one(row.get("checkpoint_interval"))
    if mode == "suspend":
        return 0
    if mode == "cancel":
        return NEVER
    if mode == "requeue" and own is None and policy.preemption.checkpoint_interval == 0:
        return NEVER
    return own


def read(workload: Workload, policy: Policy) -> list[Job]:
    """Return the jobs by row."""
    rows = workload.table.to_pylist()
    row_of = {row["job_id"]: number for number, row in enumerate(rows)}
    jobs = []
    for number, row in enumerate(rows):
        milli = row["gpu_milli"] if row["gpus"] == 1 else None
        job = Job(
            row=number,
            name=row["job_id"],
            submit=round(row["submit_time"] * SECOND),
            runtime=ticks(row["runtime"]),
            limit=ticks(row["time_limit"]),
            gpus=row["gpus"],
            milli=milli,
            types=None if row["gpu_type"] is None else tuple(sorted(row["gpu_type"].split("|"))),
            cpus=None if row["cpus"] is None else round(row["cpus"] * 1000),
            memory=None if row["memory_gib"] is None else round(row["memory_gib"] * 1024),
            nodes=row["nodes"],
            segment=row["segment"],
            spread=(bool(row["spread"]) or policy.spread) and row["gpus"] > 0 and milli is None,
            exclusive=bool(row["exclusive"]) or policy.exclusive,
            priority=row["priority"] or 0,
            deadline=ticks(row.get("deadline")),
            nice=row.get("nice") or 0,
            user=row["user"],
            qos=row["qos"],
            partition=row["partition"],
            not_before=ticks(row["not_before"]),
            parents=tuple(row_of[name] for name in row["depends_on"] or ()),
            think=ticks(row["think_time"]) or 0,
            recorded_start=ticks(row["start_time"]),
            recorded_end=ticks(row["end_time"]),
            state=row["state"],
            tenant=row["tenant"],
            job_class=row.get("job_class"),
            array=None if row.get("array") is None else (row["array"], row["user"]),
            array_limit=row.get("array_limit"),
            preemptible=row.get("preemptible") is not False and mode_of(row, policy) != "off",
            checkpoint_interval=interval_of(row, policy),
            min_run=least_run(row, policy),
            is_cancelled=mode_of(row, policy) == "cancel",
        )
        jobs.append(job)
    return jobs


def per_piece(amount: int | None, pieces: int) -> int:
    """Return the share of one GPU (one node), rounded up."""
    return -(-(amount or 0) // pieces)


def brings(job: Job, gpus: int) -> tuple[int, int]:
    """Return the CPUs and the memory of a chunk of so many GPUs."""
    if job.gpus == 0:
        return per_piece(job.cpus, job.nodes or 1), per_piece(job.memory, job.nodes or 1)
    return gpus * per_piece(job.cpus, job.gpus), gpus * per_piece(job.memory, job.gpus)


def asked(job: Job, cluster: Cluster, placement: str) -> tuple[object, ...]:
    """Return what a job asks for: under ``fit``, one that asks for the same as one that was refused is not tried."""
    fraction = job.milli is not None and not job.exclusive
    spread = job.spread and job.gpus > 0 and not fraction
    known = set(cluster.gpu_types)
    types = known if job.types is None or job.gpus == 0 else known & set(job.types)
    cpus, memory = brings(job, min(job.gpus, 1))
    return (
        job.gpus,
        job.milli if fraction else None,
        frozenset(types),
        cpus if cluster.node_cpus is not None else 0,
        memory if cluster.node_memory_gib is not None else 0,
        None if spread else job.nodes,
        job.segment if placement == "topology-block" and not spread and not fraction else None,
        spread,
        job.exclusive,
    )


def run_length(job: Job, policy: Policy) -> int | None:
    """Return how long the job runs once it has started."""
    if policy.replay == "recorded":
        both = job.recorded_start is not None and job.recorded_end is not None
        return job.recorded_end - job.recorded_start if both else job.runtime
    if policy.on_limit == "kill" and None not in (job.runtime, job.limit):
        return min(job.runtime, job.limit)
    return job.runtime


def ended_as(job: Job, policy: Policy, ran_on: bool = False) -> str:
    """Return the outcome of a job that has ended; one that ran on from before the beginning is never killed."""
    scheduled_to_kill = policy.replay == "schedule" and policy.on_limit == "kill" and not ran_on
    if scheduled_to_kill and job.limit is not None and job.runtime > job.limit:
        return "timed_out"
    recorded = {
        "failed": "failed",
        "node_failed": "failed",
        "cancelled": "cancelled",
        "preempted": "cancelled",
        "timed_out": "timed_out",
    }
    return recorded.get(job.state or "", "completed")
