"""A run's numbers and tables: pure functions of its record and its energy account."""

from __future__ import annotations

from gpuyard.metrics.digests import cluster_digest, schedule_digest, workload_digest
from gpuyard.metrics.fragmentation import Fragmentation, fragmentation
from gpuyard.metrics.services import judge, services_table
from gpuyard.metrics.summary import summarise
from gpuyard.metrics.tables import attempts_table, decisions_table, jobs_table
from gpuyard.metrics.timeline import timeline_table

__all__ = [
    "Fragmentation",
    "attempts_table",
    "cluster_digest",
    "decisions_table",
    "fragmentation",
    "jobs_table",
    "judge",
    "schedule_digest",
    "services_table",
    "summarise",
    "timeline_table",
    "workload_digest",
]
