"""What a workload, a cluster or a trace holds, as a flat dict of facts for people and for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gpuyard.cluster import Cluster
    from gpuyard.traces.trace import Trace
    from gpuyard.workload import Workload

__all__ = ["cluster_facts", "rows_of", "trace_facts", "workload_facts"]

HOUR = 3600.0
SOURCES = ("sources", "figures")
"""Facts that say where other facts come from."""


def workload_facts(workload: Workload) -> dict[str, object]:
    """Return counts, the span, GPU-hours, and the share of each class and tenant in GPU-hours."""
    submit, runtime = workload.floats("submit_time"), workload.floats("runtime")
    gpus = workload.gpus
    hours = np.where(np.isfinite(runtime), runtime, 0.0) * gpus / HOUR
    facts: dict[str, object] = {
        "name": workload.name,
        "jobs": len(workload),
        "rejected_rows": len(workload.rejected),
        "origin": workload.origin or None,
        "first_submit_s": float(submit.min()) if submit.size else None,
        "last_submit_s": float(submit.max()) if submit.size else None,
        "gpu_hours": float(hours.sum()),
        "gpus_largest_job": int(gpus.max()) if gpus.size else None,
        "runtime_median_s": float(np.nanmedian(runtime)) if np.isfinite(runtime).any() else None,
        "jobs_without_runtime": int((~np.isfinite(runtime)).sum()),
    }
    for column, name in (("job_class", "class"), ("tenant", "tenant")):
        codes, labels = workload.labels(column)
        if len(labels) > 1:
            jobs = np.bincount(codes, minlength=len(labels))
            share = np.bincount(codes, weights=hours, minlength=len(labels)) / max(float(hours.sum()), 1e-300)
            largest = sorted(range(len(labels)), key=lambda at: (-share[at], labels[at]))
            for at in largest[:12]:
                facts[f"{name} {labels[at]}"] = f"{int(jobs[at]):,} jobs, {share[at]:.1%} of GPU-hours"
            if len(labels) > 12:
                facts[f"further {name} names"] = len(labels) - 12
    return facts


def cluster_facts(cluster: Cluster) -> dict[str, object]:
    """Return how many nodes and GPUs of which type, the levels of locality, and what the site states of itself."""
    kinds = np.bincount(cluster.node_kind, minlength=len(cluster.kinds))
    facts: dict[str, object] = {"name": cluster.name, "nodes": cluster.nodes, "gpus": cluster.gpus}
    for kind, nodes in zip(cluster.kinds, kinds, strict=True):
        facts[f"node type {kind.name}"] = f"{int(nodes):,} nodes of {kind.gpus} {kind.gpu_type or 'no'} GPUs"
    for name, domain in zip(cluster.levels.names, cluster.levels.domains, strict=True):
        facts[f"level {name}"] = f"{int(domain.max()) + 1:,} domains"
    facts["rated_it_mw"] = float(
        sum(kind.rated_w * nodes for kind, nodes in zip(cluster.kinds, kinds, strict=True)) / 1e6
    )
    return facts | dict(cluster.facts)


def rows_of(facts: Mapping[str, object]) -> list[tuple[str, object]]:
    """Return facts as rows for people: a row for each entry of a list; sources are left to JSON."""
    rows: list[tuple[str, object]] = []
    for key, item in facts.items():
        if isinstance(item, Mapping):
            rows += [] if key.split()[-1] in SOURCES else [(f"{key} {name}", value) for name, value in rows_of(item)]
        elif isinstance(item, list | tuple):
            single = key.removesuffix("s")
            rows += [(single, _entry(entry)) for entry in item]
        else:
            rows.append((key, item))
    return rows


def _entry(entry: object) -> object:
    if not isinstance(entry, Mapping):
        return entry
    return ", ".join(f"{key} {value}" for key, value in entry.items() if isinstance(value, str | int | float))


def trace_facts(trace: Trace) -> dict[str, object]:
    """Return the format, the rows, why rows were rejected, and the reader's notes."""
    facts: dict[str, object] = {"format": trace.format, "rows": trace.rows_in, "jobs": trace.table.num_rows}
    facts |= {f"rejected: {reason}": count for reason, count in trace.reasons().items()}
    facts |= {f"note {number}": text for number, text in enumerate(trace.notes, start=1)}
    return facts
