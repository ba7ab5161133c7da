"""The columns of ``services.parquet`` and the keys of the block ``services`` of ``summary.json``: unit and meaning."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from gpuyard.traces.schema import Column

__all__ = ["SERVED", "SERVICE_KEYS", "of_requests"]


def _served(name: str, dtype: pa.DataType, unit: str, meaning: str) -> Column:
    return Column(name=name, dtype=dtype, unit=unit, meaning=meaning, null="never null")


SERVED: Final[tuple[Column, ...]] = (
    _served("service", pa.string(), "name", "the service: the job_name of its replicas"),
    _served("service_kind", pa.string(), "name", "its kind"),
    _served("job_class", pa.string(), "name", "its class: realtime or manufacturing"),
    _served("time", pa.float64(), "s", "start of the control interval (or of several), since the origin"),
    _served("duration_s", pa.float64(), "s", "length of the interval; the first and last may be shorter than the rest"),
    _served("demand_replicas", pa.float64(), "replicas", "demand in replicas at full use, mean over the interval"),
    _served("wanted_replicas", pa.float64(), "replicas", "replicas asked for, spare ones too, mean over the interval"),
    _served("ready_replicas", pa.float64(), "replicas", "replicas that were started and warm, mean over the interval"),
    _served("requests", pa.float64(), "requests", "expected requests; of a streaming pipeline, windows"),
    _served(
        "on_time", pa.float64(), "requests", "expected requests that wait no longer than slo_wait; windows in time"
    ),
    _served("late", pa.float64(), "requests", "expected requests that wait longer; windows not in time"),
    _served(
        "lost", pa.float64(), "requests", "expected requests turned away, the queue being full or no replica ready"
    ),
    _served("attained_s", pa.float64(), "s", "time in the interval in which the goal of the service was met"),
)
"""How services fared, a row for each service and control interval; only for a workload with services.

Of a service with more than 2000 control intervals, so many are taken together that there are no more rows.
"""


def of_requests(prefix: str, whose: str) -> tuple[tuple[str, str, str], ...]:
    """Return path, unit and meaning of the keys that say how requests fared."""
    return (
        (f"{prefix}requests", "requests", f"expected requests {whose}"),
        (f"{prefix}on_time", "requests", "expected to wait no longer than the service promises"),
        (f"{prefix}late", "requests", "expected to wait longer"),
        (f"{prefix}lost", "requests", "expected to be turned away"),
        (f"{prefix}attainment", "0 to 1", "on_time / requests"),
    )


SERVICE_KEYS: Final[tuple[tuple[str, str, str], ...]] = (
    ("services.count", "services", "services judged; the block is null where the workload has none"),
    ("services.not_judged", "services", "services whose replicas in the workload are not those they want"),
    *of_requests("services.", "of services that answer requests"),
    ("services.windows", "windows", "windows of streaming pipelines"),
    ("services.windows_on_time", "windows", "processed before the next one closed"),
    ("services.time_attained", "0 to 1", "share of the time in which a service met its goal, over all services"),
    ("services.by_class.*.count", "services", "services of the class that were judged"),
    *of_requests("services.by_class.*.", "of its services that answer requests"),
    ("services.by_class.*.time_attained", "0 to 1", "share of the time in which a service of it met its goal"),
    ("services.by_service.*.kind", "name", "kind of the service"),
    ("services.by_service.*.job_class", "name", "class of its replicas"),
    ("services.by_service.*.gpus", "GPUs", "of one replica"),
    ("services.by_service.*.goal", "0 to 1", "share of the requests that it wants to have on time"),
    *of_requests("services.by_service.*.", "of the service; of a pipeline, windows"),
    ("services.by_service.*.time_attained", "0 to 1", "share of the time in which it met its goal"),
    ("services.by_service.*.wanted_replicas", "replicas", "asked for by its autoscaler, mean over time"),
    ("services.by_service.*.ready_replicas", "replicas", "started and warm, mean over time"),
)
"""Path, unit and meaning of the keys of the block."""
