"""A run's numbers and tables: pure functions of its record and its energy account."""

from __future__ import annotations

from gpuyard.metrics.digests import cluster_digest, schedule_digest, workload_digest
from gpuyard.metrics.facts import job_times
from gpuyard.metrics.fairness import deficits_of
from gpuyard.metrics.fragmentation import Fragmentation, fragmentation
from gpuyard.metrics.services import judge, services_table
from gpuyard.metrics.summary import measured, summarise
from gpuyard.metrics.tables import attempts_table, decisions_table, jobs_table
from gpuyard.metrics.tenants import tenants_table
from gpuyard.metrics.timeline import bin_edges, timeline_table

__all__ = [
    "Fragmentation",
    "attempts_table",
    "bin_edges",
    "cluster_digest",
    "decisions_table",
    "deficits_of",
    "fragmentation",
    "job_times",
    "jobs_table",
    "judge",
    "measured",
    "schedule_digest",
    "services_table",
    "summarise",
    "tenants_table",
    "timeline_table",
    "workload_digest",
]
