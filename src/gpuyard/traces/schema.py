"""The job table: one row a job, the same for every trace format and for synthetic workloads.

Times are seconds since the trace's origin.  The origin, an ISO 8601 timestamp with its zone (or
empty when the source has none), travels in the table's metadata under ``gpuyard.origin``; the name
of the format that was read under ``gpuyard.format``; the source's time zone under ``gpuyard.zone``; the services whose
replicas are among the jobs, where a synthesis made some, under ``gpuyard.services``.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

__all__ = ["COLUMNS", "ORIGIN", "SERVICES", "SOURCE_FORMAT", "STATES", "ZONE", "Column", "job_schema"]

ORIGIN = b"gpuyard.origin"
SOURCE_FORMAT = b"gpuyard.format"
ZONE = b"gpuyard.zone"
SERVICES = b"gpuyard.services"

STATES = ("completed", "failed", "cancelled", "timed_out", "node_failed", "preempted", "running", "pending")
"""Recorded states of a job, in the glossary's words; a reader maps its format's own words to these."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column of the job table: what it holds, in which unit, and what a null means."""

    name: str
    dtype: pa.DataType
    unit: str
    meaning: str
    null: str


COLUMNS: tuple[Column, ...] = (
    Column(
        name="job_id",
        dtype=pa.string(),
        unit="name",
        null="never null, unique in the table",
        meaning="the job's name in the source",
    ),
    Column(
        name="submit_time",
        dtype=pa.float64(),
        unit="s",
        null="never null",
        meaning="when the job was submitted, since the trace's origin",
    ),
    Column(
        name="start_time",
        dtype=pa.float64(),
        unit="s",
        null="not recorded, or the job never started",
        meaning="when the job first started in the record",
    ),
    Column(
        name="end_time",
        dtype=pa.float64(),
        unit="s",
        null="not recorded, or the job never started or never ended",
        meaning="when the job last ended in the record",
    ),
    Column(
        name="runtime",
        dtype=pa.float64(),
        unit="s",
        null="not recorded: the job cannot be simulated, only counted",
        meaning="how long the job runs on an undisturbed allocation; never negative",
    ),
    Column(
        name="time_limit",
        dtype=pa.float64(),
        unit="s",
        null="no limit, or not recorded",
        meaning="the limit the user asked for; the scheduler may plan with it, and kills at it",
    ),
    Column(
        name="gpus",
        dtype=pa.int32(),
        unit="GPUs",
        null="never null, 0 for a job without GPUs",
        meaning="GPUs of the whole job, granted at once or not at all",
    ),
    Column(
        name="gpu_milli",
        dtype=pa.int32(),
        unit="1/1000 GPU",
        null="whole GPUs",
        meaning="share of its one GPU, 1 to 999; only where gpus = 1",
    ),
    Column(
        name="gpu_type",
        dtype=pa.string(),
        unit="name",
        null="any type",
        meaning="GPU types the job accepts, separated by |",
    ),
    Column(
        name="cpus",
        dtype=pa.float64(),
        unit="cores",
        null="not recorded: the job holds no CPUs",
        meaning="CPU cores of the whole job",
    ),
    Column(
        name="memory_gib",
        dtype=pa.float64(),
        unit="GiB",
        null="not recorded: the job holds no memory",
        meaning="host memory of the whole job",
    ),
    Column(
        name="nodes",
        dtype=pa.int32(),
        unit="nodes",
        null="as few as hold the GPUs",
        meaning="the exact number of different nodes the job must run on",
    ),
    Column(
        name="segment",
        dtype=pa.int32(),
        unit="nodes",
        null="no segments",
        meaning="the job's nodes come in segments of so many, each inside one block (Slurm's --segment)",
    ),
    Column(
        name="spread",
        dtype=pa.bool_(),
        unit="yes or no",
        null="no",
        meaning="the job's GPUs may come from anywhere, in any pieces",
    ),
    Column(
        name="exclusive",
        dtype=pa.bool_(),
        unit="yes or no",
        null="no",
        meaning="the job has its nodes to itself, and holds all they have (Slurm's --exclusive)",
    ),
    Column(
        name="preemptible",
        dtype=pa.bool_(),
        unit="yes or no",
        null="yes",
        meaning="the job may be preempted, under a policy that preempts",
    ),
    Column(
        name="checkpoint_interval",
        dtype=pa.float64(),
        unit="s",
        null="that of the policy's preemption",
        meaning="work between two checkpoints, under a policy that preempts; 0: a preempted job loses nothing; "
        "as much as the job's work, or more: it begins from the start",
    ),
    Column(
        name="priority",
        dtype=pa.int32(),
        unit="rank",
        null="0",
        meaning="higher goes first under the orders 'priority' and 'multifactor' and the preemption 'priority'",
    ),
    Column(
        name="nice",
        dtype=pa.int32(),
        unit="rank",
        null="0",
        meaning="what the user takes off the job's own score under the order 'multifactor'",
    ),
    Column(
        name="deadline",
        dtype=pa.float64(),
        unit="s",
        null="no deadline: last under the order 'edf'",
        meaning="when the job is due, since the trace's origin",
    ),
    Column(
        name="not_before",
        dtype=pa.float64(),
        unit="s",
        null="no such bound",
        meaning="earliest start the user allows, since the trace's origin",
    ),
    Column(
        name="depends_on",
        dtype=pa.list_(pa.string()),
        unit="job_id",
        null="depends on nothing",
        meaning="jobs that must have ended before this one becomes eligible",
    ),
    Column(
        name="think_time",
        dtype=pa.float64(),
        unit="s",
        null="0",
        meaning="delay between the end of the last job depended on and eligibility",
    ),
    Column(
        name="array",
        dtype=pa.string(),
        unit="name",
        null="part of no array",
        meaning="the job array that the job is one task of",
    ),
    Column(
        name="array_limit",
        dtype=pa.int32(),
        unit="jobs",
        null="no limit",
        meaning="how many jobs of its array may be eligible or running at once; only where there is an array",
    ),
    Column(
        name="job_class",
        dtype=pa.string(),
        unit="name",
        null="no class: counted as 'other'",
        meaning="workload class, such as training or realtime",
    ),
    Column(
        name="tenant",
        dtype=pa.string(),
        unit="name",
        null="no tenant: counted as 'other'",
        meaning="who is charged: virtual cluster, account or organisation",
    ),
    Column(name="user", dtype=pa.string(), unit="name", null="not recorded", meaning="who submitted the job"),
    Column(
        name="partition",
        dtype=pa.string(),
        unit="name",
        null="not recorded",
        meaning="the set of nodes or queue the job was sent to",
    ),
    Column(name="qos", dtype=pa.string(), unit="name", null="not recorded", meaning="quality of service class"),
    Column(
        name="job_name",
        dtype=pa.string(),
        unit="text",
        null="not recorded",
        meaning="the user's name for the job, application or model",
    ),
    Column(
        name="state",
        dtype=pa.string(),
        unit="name",
        null="not recorded: counted as completed",
        meaning="how the job ended in the record: " + ", ".join(STATES),
    ),
    Column(
        name="activity",
        dtype=pa.float64(),
        unit="0 to 1",
        null="the default of the job's class",
        meaning="mean activity of the job's GPUs while it holds them",
    ),
)


def job_schema(metadata: dict[bytes, bytes] | None = None) -> pa.Schema:
    """Return the Arrow schema of the job table, with the given metadata."""
    fields = [pa.field(column.name, column.dtype) for column in COLUMNS]
    return pa.schema(fields, metadata=metadata)
