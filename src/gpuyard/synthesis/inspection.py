"""Inspection services of plants: requests that come in three shifts, day and night, on every day of the week."""

from __future__ import annotations

from dataclasses import replace

from gpuyard.errors import ConfigError
from gpuyard.services.demand import HOUR
from gpuyard.services.kinds import ServiceKind
from gpuyard.synthesis.changes import Changes
from gpuyard.synthesis.kinds import activity_of_power
from gpuyard.synthesis.published import Evidence
from gpuyard.synthesis.reading import read_part, read_span

__all__ = ["INSPECTION", "INSPECTION_EVIDENCE", "SHIFTS", "changed_inspection", "shift_hours"]

SHIFTS = (1.0, 0.8, 0.6)
"""Load of the morning, evening and night shift over the largest."""
FIRST_SHIFT = 6.0
"""Local hour at which the morning shift begins."""
_BUMP = ("peak_hour", "width_hours", "peak")
"""Keys of a day without shifts."""


def shift_hours(load: tuple[float, float, float], first: float) -> tuple[float, ...]:
    """Return the relative rates of the hours 0 to 23 of three shifts of 8 hours, the first from hour ``first`` on."""
    return tuple(load[int((hour - first) % 24) // 8] for hour in range(24))


INSPECTION = ServiceKind(
    name="inspection", gpus=1, concurrency=8, service_time=0.05, slo_wait=0.1, queue_time=0.5, goal=0.99,
    target=0.5, headroom=2.0, cold_start=60.0, hourly=shift_hours(SHIFTS, FIRST_SHIFT), smallest=3, largest=20,
    activity=activity_of_power(0.50),
)  # fmt: skip
"""Pictures of parts that a model looks at, sent from plants to the centre."""

INSPECTION_EVIDENCE = {
    "replica": Evidence("assumption", "services of plants have replicas of 1 to 16 GPUs; one model on one GPU"),
    "requests": Evidence("assumption", "50 ms a picture, 8 at once"),
    "promise": Evidence("assumption", "100 to 500 ms at p99, the way to the centre included"),
    "scaling": Evidence(
        "assumption",
        "tolerance and cooldown are the defaults of Kubernetes' horizontal pod autoscaler; target lower than "
        "elsewhere, as a shift begins at once",
    ),
    "day": Evidence("assumption", "shifts from 6, 14 and 22 h on every day: peak over mean 1.25; plants 1.2 to 1.5"),
}
"""Where its figures come from; those that are not here have no source at all."""


def changed_inspection(kind: ServiceKind, given: Changes) -> ServiceKind:
    """Return the service with what a user changed of it: keys of a service, or ``load`` and ``first_shift``.

    With a key of the bump of a day it has no shifts.
    """
    load, first = given.take("load", _read_load, None), given.take("first_shift", _read_first, None)
    keys = given.rest("share")
    another = [key for key in ("hourly", *_BUMP, "requests") if key in keys]
    if load is None and first is None:
        shifts = replace(kind, hourly=None) if any(key in keys for key in _BUMP) else kind
        return shifts.changed(keys)
    if another:
        raise ConfigError(f"{given.where} has {another[0]}, and load or first_shift as well; leave out one of them")
    changed = kind.changed(keys)
    hours = shift_hours(SHIFTS if load is None else load, FIRST_SHIFT if first is None else first)
    return changed.changed({"hourly": list(hours)})


def _read_load(key: str, value: object) -> tuple[float, float, float] | None:
    """Return the loads of the three shifts."""
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise ConfigError(f"{key} must be the parts of the largest load in three shifts, got {value!r}")
    morning, evening, night = (read_part(key, each) for each in value)
    if not max(morning, evening, night) > 0:
        raise ConfigError(f"{key} must be above 0 in one shift, got {value!r}")
    return morning, evening, night


def _read_first(key: str, value: object) -> float | None:
    """Return the local hour at which the first shift begins."""
    hours = read_span(key, value) / HOUR
    if not 0 <= hours < 24 or hours != int(hours):
        raise ConfigError(f"{key} must be a whole hour from 0h to 23h, got {value!r}")
    return hours
