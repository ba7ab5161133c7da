"""A run's numbers and tables: pure functions of its record and its energy account."""

from __future__ import annotations

from gpuyard.metrics.digests import cluster_digest, schedule_digest, workload_digest
from gpuyard.metrics.summary import summarise
from gpuyard.metrics.tables import attempts_table, jobs_table
from gpuyard.metrics.timeline import timeline_table

__all__ = [
    "attempts_table",
    "cluster_digest",
    "jobs_table",
    "schedule_digest",
    "summarise",
    "timeline_table",
    "workload_digest",
]
