"""The columns of ``tenants.parquet`` and the keys of the block ``tenants`` of ``summary.json``: unit and meaning."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from gpuyard.traces.schema import Column

__all__ = ["SHARED", "TENANT_KEYS"]


def _number(name: str, unit: str, meaning: str, null: str = "never null") -> Column:
    return Column(name=name, dtype=pa.float64(), unit=unit, meaning=meaning, null=null)


_NO_QUOTAS: Final = "nobody has a quota"

SHARED: Final[tuple[Column, ...]] = (
    _number("time", "s", "start of the bin, since the origin"),
    _number("duration_s", "s", "length of the bin"),
    Column(
        name="tenant",
        dtype=pa.string(),
        unit="name",
        meaning="path of the tenant; those below it are counted with it",
        null="never null",
    ),
    _number("nominal_gpus", "GPUs", "nominal quotas of it and of those below it", _NO_QUOTAS),
    _number("held_gpus", "GPUs", "asked for by its running jobs, mean over the bin"),
    _number("borrowed_gpus", "GPUs", "used above the nominal quota, mean over the bin", _NO_QUOTAS),
    _number("lent_gpus", "GPUs", "of its quota, used by tenants beside it, mean over the bin", _NO_QUOTAS),
    _number("queued_gpus", "GPUs", "asked for by its waiting jobs, mean over the bin"),
    Column(
        name="virtual_cluster",
        dtype=pa.string(),
        unit="name",
        meaning="whose GPUs it shares: that of all other columns",
        null="the run has no virtual clusters",
    ),
)
"""What tenants held, a row for each bin and tenant; only for a run with tenants."""

TENANT_KEYS: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "tenants.nominal_gpus",
        "GPUs",
        "nominal quota of all; the block is null where no tenants were given, and the sum of those of virtual clusters "
        "where these have tenants",
    ),
    ("tenants.common_gpus", "GPUs", "of it, what belongs to no tenant"),
    ("tenants.common_lent_gpu_hours", "GPU h", "of what belongs to no tenant, used by tenants right below the root"),
    ("tenants.reclaims", "preemptions", "jobs that made room for a job of another tenant"),
    (
        "tenants.spared_jobs",
        "jobs",
        "preempted as often as a job may be (max_preemptions), and left alone from then on; null without such a bound",
    ),
    ("tenants.jobs_of_nobody", "jobs", "jobs that belong to none of the tenants"),
    ("tenants.by_tenant.*.jobs", "jobs", "jobs of the tenant and of those below it, as all that follows"),
    ("tenants.by_tenant.*.weight", "ratio", "what its share is divided by"),
    ("tenants.by_tenant.*.nominal_gpus", "GPUs", "nominal quotas of it and of those below it"),
    ("tenants.by_tenant.*.borrow_gpus", "GPUs", "what it may use above that; null: no limit"),
    ("tenants.by_tenant.*.held_gpu_hours", "GPU h", "asked for by running jobs, over time"),
    ("tenants.by_tenant.*.within_quota_gpu_hours", "GPU h", "of these, not borrowed"),
    ("tenants.by_tenant.*.borrowed_gpu_hours", "GPU h", "usage above the nominal quota, over time"),
    ("tenants.by_tenant.*.lent_gpu_hours", "GPU h", "of its quota, used by tenants beside it"),
    ("tenants.by_tenant.*.quota_used", "0 to 1", "within_quota_gpu_hours over the nominal quota's GPU h"),
    (
        "tenants.by_tenant.*.at_quota_s",
        "s",
        "time in which all of the nominal quota, or more, was used; null where several virtual clusters tell several",
    ),
    ("tenants.by_tenant.*.at_quota_share", "0 to 1", "the same as a share of the window"),
    ("tenants.by_tenant.*.reclaimed.preemptions", "preemptions", "its jobs that made room for other tenants"),
    ("tenants.by_tenant.*.reclaimed.gpu_hours", "GPU h", "held in these attempts"),
    ("tenants.by_tenant.*.reclaimed.lost_gpu_hours", "GPU h", "of these, not useful"),
    ("tenants.by_tenant.*.reclaims.preemptions", "preemptions", "other tenants' jobs that made room for its own"),
)
"""Path, unit and meaning."""
