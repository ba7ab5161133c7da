"""A key of ``summary.json`` in words, and the keys of the fairness among tenants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["DONE", "FAIRNESS", "Key", "key", "percentiles"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """One number of ``summary.json``: path, unit and meaning.  ``*`` stands for the name of a group or state."""

    path: str
    unit: str
    meaning: str


def key(path: str, unit: str, meaning: str) -> Key:
    """Return a key."""
    return Key(path=path, unit=unit, meaning=meaning)


def percentiles(path: str, unit: str, meaning: str) -> tuple[Key, ...]:
    """Return the keys of a block of percentiles."""
    names = {"mean": "mean", "p50": "median", "p90": "90th percentile", "p95": "95th", "p99": "99th", "max": "largest"}
    return tuple(key(f"{path}.{name}", unit, f"{text}: {meaning}") for name, text in names.items())


DONE: Final = "that ended and were not cancelled by a preemption"
"""Which jobs have a completion time, and what follows from it."""


def _of_fairness(prefix: str, over: str) -> tuple[Key, ...]:
    return (
        key(f"{prefix}shortfall_gpu_hours", "GPU h", "due and not held, while jobs waited"),
        key(f"{prefix}surplus_gpu_hours", "GPU h", "held above what was due, while jobs waited"),
        *percentiles(
            f"{prefix}rho",
            "ratio",
            f"finish-time fairness, time to the end over that alone on the tenant's share of the cluster, over {over} "
            f"{DONE}",
        ),
        *percentiles(
            f"{prefix}alone_slowdown",
            "ratio",
            f"time to the end over that with the tenant alone there, over {over} {DONE}",
        ),
        key(f"{prefix}alone_slowdown_total", "ratio", "the sum of these times over that of those alone"),
    )


FAIRNESS: Final[tuple[Key, ...]] = (
    key("fairness.tenants", "tenants", "that share the cluster; the block is null where fewer than two do"),
    key("fairness.jain_gpu_hours", "0 to 1", "Jain index of GPU-hours held over weight; 1: as the weights have it"),
    key("fairness.jain_wait", "0 to 1", "Jain index of the mean waits of tenants; 1: all waited alike"),
    *_of_fairness("fairness.", "all jobs"),
    key("fairness.by_tenant.*.due_share", "0 to 1", "weight of the tenant over that of all"),
    *_of_fairness("fairness.by_tenant.*.", "its jobs"),
)
