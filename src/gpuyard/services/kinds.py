"""A kind of service: what its replicas hold and can do, who asks for it, how it is scaled, and what it promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from gpuyard.errors import ConfigError, unknown_name
from gpuyard.services.demand import Crowds, Day
from gpuyard.units import parse_seconds

__all__ = ["LARGEST_REPLICA", "ServiceKind"]

LARGEST_REPLICA = 16
"""GPUs of the largest replica."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceKind:
    """One kind of service; times in seconds.

    Parameters
    ----------
    share
        Its weight in the GPU time of the class.
    gpus
        Of one replica, 1 to 16.
    concurrency, service_time
        How many requests a replica works on at once, and how long one takes on average.
    window, records
        Of a streaming pipeline: the length of its windows, and the records a second that a replica processes; with a
        window, the keys of requests have no meaning.
    slo_wait
        A request that waits longer than this before it is worked on is late.
    queue_time
        Requests are turned away when those that wait would take longer than this at full use of the replicas.
    goal
        Share of requests, or windows, that the service wants to have on time.
    target, tolerance, cooldown, interval
        Of the autoscaler: wanted utilization, share of it within which nothing changes, how long a lower demand must
        last before replicas are taken away, and the time between its decisions.
    minimum, headroom, spare
        Fewest replicas; the most, over those of the mean demand; and replicas on top of both (N+1).
    cold_start
        From the start of a replica until it is ready.
    peak_hour, width_hours, peak, weekend, hourly
        Of the day, as :class:`gpuyard.services.demand.Day` has them.
    crowds_a_week, crowd_factor, crowd_rise, crowd_decay
        Of flash crowds, as :class:`gpuyard.services.demand.Crowds` has them.
    requests, sha256
        File of a request trace whose shape is replayed in place of the day, and the SHA-256 it must have.
    smallest, largest
        Replicas at the mean demand of one service: log-uniform between them.
    activity
        Of the GPUs of a replica.
    """

    name: str
    share: float = 1.0
    gpus: int = 1
    concurrency: int = 1
    service_time: float = 1.0
    window: float | None = None
    records: float | None = None
    slo_wait: float = 1.0
    queue_time: float = 30.0
    goal: float = 0.99
    target: float = 0.6
    tolerance: float = 0.1
    cooldown: float = 300.0
    interval: float = 300.0
    minimum: int = 1
    headroom: float = 3.0
    spare: int = 1
    cold_start: float = 60.0
    peak_hour: float = 17.5
    width_hours: float = 3.5
    peak: float = 1.72
    weekend: float = 1.0
    hourly: tuple[float, ...] | None = None
    crowds_a_week: float = 0.0
    crowd_factor: float = 3.0
    crowd_rise: float = 300.0
    crowd_decay: float = 1800.0
    requests: str | None = None
    sha256: str | None = None
    smallest: float = 3.0
    largest: float = 30.0
    activity: float = 0.41

    def __post_init__(self) -> None:
        """Raise ConfigError for a value that cannot be used."""
        if not self.name or not all(each.isalnum() or each == "-" for each in self.name):
            raise ConfigError(f"a service has a name of letters, digits and '-', got '{self.name}'")
        if (self.window is None) != (self.records is None):
            raise ConfigError(f"service '{self.name}' needs both window and records to be a streaming pipeline")
        for name, (low, high, rule) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise self._wrong(name, rule)
            if "float" in str(self.__dataclass_fields__[name].type) and value is not None:
                object.__setattr__(self, name, float(value))  # a whole number is written the same, whoever wrote it
        if self.smallest > self.largest:
            raise self._wrong("largest", f"at least smallest, {self.smallest:g}")
        try:
            self.day(), self.crowds()
        except ConfigError as problem:
            raise ConfigError(f"service '{self.name}': {problem}") from None

    def _wrong(self, name: str, rule: str) -> ConfigError:
        return ConfigError(f"service '{self.name}' has {name} {getattr(self, name)}; it must be {rule}")

    @property
    def capacity(self) -> float:
        """Requests, or records, a second that one replica can do at full use."""
        return self.concurrency / self.service_time if self.records is None else self.records

    def day(self) -> Day:
        """Return the course of a day."""
        return Day(
            peak_hour=self.peak_hour, width_hours=self.width_hours, peak=self.peak, weekend=self.weekend,
            hourly=self.hourly,
        )  # fmt: skip

    def crowds(self) -> Crowds:
        """Return what is known of flash crowds."""
        return Crowds(a_week=self.crowds_a_week, factor=self.crowd_factor, rise=self.crowd_rise, decay=self.crowd_decay)

    def changed(self, table: Mapping[str, Any]) -> ServiceKind:
        """Return this kind with the keys of a scenario's table; times as numbers of seconds or texts such as 5m.

        Raises
        ------
        ConfigError
            For a key nobody knows, naming the nearest, and for a value of the wrong type or range.
        """
        known = {one.name: str(one.type) for one in fields(self) if one.name != "name"}
        values = {}
        for key, value in table.items():
            if key not in known:
                raise unknown_name(f"key of service '{self.name}'", key, known)
            values[key] = self._read(key, known[key], value)
        return replace(self, **values)

    def _read(self, key: str, kind: str, value: Any) -> Any:
        base = kind.partition(" ")[0]
        if base.startswith("tuple"):
            return _numbers(f"{key} of service '{self.name}'", value)
        if base == "float" and key in _TIMES and isinstance(value, str):
            return parse_seconds(value)
        wanted, allowed = _TYPES[base]
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise ConfigError(f"{key} of service '{self.name}' must be {wanted}, got {value!r}")
        return float(str(value)) if base == "float" else value

    def to_mapping(self) -> dict[str, Any]:
        """Return the table that :meth:`changed` reads back; what is None is left out."""
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "name"}
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in values.items()
            if value is not None
        }


def _numbers(key: str, value: Any) -> tuple[float, ...]:
    are_numbers = isinstance(value, list | tuple) and all(
        isinstance(each, int | float) and not isinstance(each, bool) for each in value
    )
    if not are_numbers:
        raise ConfigError(f"{key} must be a list of numbers, got {value!r}")
    return tuple(float(each) for each in value)


_TIMES = frozenset(
    (
        "service_time",
        "window",
        "slo_wait",
        "queue_time",
        "cooldown",
        "interval",
        "cold_start",
        "crowd_rise",
        "crowd_decay",
    )
)
"""Keys that may be given as a text such as 5m."""
_TYPES: dict[str, tuple[str, type | tuple[type, ...]]] = {
    "str": ("a text", str),
    "int": ("a whole number", int),
    "float": ("a number", (int, float)),
}
_LEAST, _MOST = 1e-6, 1e9
_RANGES = {
    "gpus": (1, LARGEST_REPLICA, f"1 to {LARGEST_REPLICA}, for no replica spans more"),
    "interval": (10, _MOST, "10 s or more"),
    **dict.fromkeys(("concurrency", "minimum"), (1, 10_000, "1 to 10,000")),
    **dict.fromkeys(
        ("share", "service_time", "slo_wait", "headroom", "smallest", "largest", "window", "records"),
        (_LEAST, _MOST, "between 1e-6 and 1e9"),
    ),
    **dict.fromkeys(("queue_time", "cooldown", "cold_start", "spare"), (0, _MOST, "between 0 and 1e9")),
    **dict.fromkeys(("goal", "target", "activity"), (_LEAST, 1, "a share above 0 and at most 1")),
    "tolerance": (0, 0.999, "a share of 0 or more, below 1"),
}
"""Least and greatest value of a key, and both in words."""
