"""What to synthesise: the window, the load, the classes with their sources, and the tenants."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError, unknown_name
from gpuyard.services.kinds import ServiceKind
from gpuyard.synthesis.class_shares import DEFAULT_CLASSES, ClassShare, changed_classes, class_mapping, read_classes
from gpuyard.synthesis.free_days import check_country
from gpuyard.synthesis.limits import LIMIT_MODELS
from gpuyard.synthesis.look_alikes import like_mapping
from gpuyard.synthesis.published import HOURLY, PROFILES, WEEKLY, Profile
from gpuyard.synthesis.reading import read_names, read_number, read_table, read_whole
from gpuyard.synthesis.realtime import DEFAULT_SERVICES, services_of
from gpuyard.synthesis.tenant_tables import tenants_of
from gpuyard.synthesis.tenants import DEFAULT_TENANTS, Skew, Tenant
from gpuyard.units import MOST_DAYS, MOST_LOAD, nearest_scale, parse_seconds

__all__ = ["SynthesisSpec"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SynthesisSpec:
    """A synthetic workload, apart from the size of its cluster and the seed.

    Parameters
    ----------
    days
        Length of the window in which jobs are submitted.
    jobs
        Exact number of jobs; where given, it decides the length of the window and ``days`` is not used.
    load
        Offered load: the sum of GPUs x run time over GPUs of the cluster x length of the window.
    rate
        Jobs an hour that are submitted, apart from replicas of services; where given, the load is what comes of it and
        ``load`` is not used.
    start
        Second 0 on the calendar, ISO 8601 with its offset; decides the weekday and the month.
    classes, tenants
        Shares of the classes sum to 1.
    without
        Classes that are planned for like the others and whose jobs are then left out: every job of the other classes is
        what it is beside them, and the load is less by their shares.
    services
        Kinds of services of the class ``realtime``.
    zipf_exponent
        Of the submissions of a tenant's users; 0 makes all users equal.
    user_sigma
        Where given, users have log-normal weights with this standard deviation of the logarithm in place of Zipf's law.
    hourly, weekly
        Relative submissions by local hour 0 to 23 and by day, Monday to Sunday.  None: those of its own cluster for a
        class with a published source that has them, and the default profile for all others.
    holidays
        Country whose public holidays are kept, such as ``KR``; None for none.
    holiday_factor
        Submissions on a public holiday over those of the mean day; None: as on a Sunday.
    think_time
        None for an open loop.  Seconds on average that a user thinks after the jobs that he submitted last have ended,
        before those that he submits next may start.
    closed_loop
        Whether the next jobs of a user are submitted when those before have ended and he has thought, and at no
        instant of their own; needs a ``think_time``.
    limit_factor
        (low, high) for time limits that exceed the run time by a log-uniform factor; None for none.
    limits
        ``modal`` for time limits as users ask for them, of few round values; None for none.
    campaign_growth
        Exponent by which campaigns grow with the cluster beyond the one they were published for.
    """

    days: float = 7.0
    jobs: int | None = None
    load: float = 0.85
    rate: float | None = None
    start: str = "2027-01-04T00:00:00+09:00"
    classes: tuple[ClassShare, ...] = DEFAULT_CLASSES
    without: tuple[str, ...] | None = None
    tenants: tuple[Tenant, ...] = DEFAULT_TENANTS
    services: tuple[ServiceKind, ...] = DEFAULT_SERVICES
    zipf_exponent: float = 1.1
    user_sigma: float | None = None
    hourly: tuple[float, ...] | None = None
    weekly: tuple[float, ...] | None = None
    holidays: str | None = None
    holiday_factor: float | None = None
    think_time: float | None = None
    closed_loop: bool | None = None
    limit_factor: tuple[float, float] | None = None
    limits: str | None = None
    campaign_growth: float = 0.5

    def __post_init__(self) -> None:
        """Raise ConfigError for a value that cannot be used."""
        self._check_amount()
        self._check_arrivals()
        for name in ("zipf_exponent", "campaign_growth", "user_sigma", "holiday_factor", "think_time"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ConfigError(f"{name} must be 0 or more, got {value}")
        if self.closed_loop and self.think_time is None:
            raise ConfigError("closed_loop needs a think_time, such as 15m: how long users think before the next job")
        self._check_limits()
        _unique("class", [one.name for one in self.classes])
        _unique("tenant", [one.name for one in self.tenants])
        _unique("service", self._service_names())
        self._check_move_ins()
        total = sum(one.share for one in self.classes)
        if abs(total - 1.0) > 1e-6:
            raise ConfigError(
                f"the shares of the classes must sum to 1, they sum to {total:g}; to leave a class out and the others' "
                "jobs as they are, name it in without"
            )
        self._check_without()

    def _check_without(self) -> None:
        names = [one.name for one in self.classes]
        for name in self.without or ():
            if name not in names:
                raise unknown_name("class of without", name, names)
        if self.without and not set(names) - set(self.without):
            raise ConfigError(f"without leaves no class of {names}; name fewer")
        if self.without and self.jobs is not None:
            raise ConfigError("classes are left out (without), and fewer jobs remain than are asked for; give days")

    def remaining(self) -> float:
        """Return the part of the load that is left by the classes that are left out, 0 to 1."""
        return sum(one.share for one in self.classes if one.name not in (self.without or ()))

    def _service_names(self) -> list[str]:
        """Return the names of the kinds of services of all classes."""
        own = [kind.name for one in self.classes for kind in one.kinds() if kind.service is not None]
        return [*(one.name for one in self.services), *own]

    def _check_move_ins(self) -> None:
        """Raise for a tenant whose move-in is no date, or does not go with the rest."""
        if not any(each.start is not None for each in self.tenants):
            return
        self.move_ins()
        for name, why in (("jobs", "fewer jobs are submitted than are asked for"), ("think_time", "no one waits")):
            if getattr(self, name) is not None:
                raise ConfigError(f"a tenant has a start, and before it {why}; leave out its start or '{name}'")

    def _check_amount(self) -> None:
        _positive("days", self.days)
        if self.days > MOST_DAYS:
            raise ConfigError(
                f"days is {self.days:g}, and {MOST_DAYS:g} at most, 100 years; such as days = 7 for a week"
            )
        _positive("load", self.load)
        if self.load > MOST_LOAD:
            hint = nearest_scale(self.load, 0.05, MOST_LOAD)
            raise ConfigError(
                f"load is {self.load:g}, and {MOST_LOAD:g} at most: it is the GPU time asked for over what there is; "
                f"{hint}write load = 0.85 for 85 %"
            )
        if self.rate is not None:
            _positive("rate", self.rate)
        if self.jobs is not None and self.jobs < 1:
            raise ConfigError(f"jobs must be 1 or more, got {self.jobs}")

    def _check_arrivals(self) -> None:
        self.origin()
        if self.hourly is not None:
            _profile("hourly", self.hourly, 24)
        if self.weekly is not None:
            _profile("weekly", self.weekly, 7)
        if self.holidays is not None:
            check_country(self.holidays)

    def _check_limits(self) -> None:
        if self.limit_factor is not None and not (
            len(self.limit_factor) == 2 and 1 <= self.limit_factor[0] <= self.limit_factor[1] < math.inf
        ):
            raise ConfigError(f"limit_factor is (low, high) with 1 <= low <= high, got {self.limit_factor}")
        if self.limits is not None and self.limits not in LIMIT_MODELS:
            raise unknown_name("model of limits", self.limits, LIMIT_MODELS)
        if self.limits is not None and self.limit_factor is not None:
            raise ConfigError("time limits come from limits or from limit_factor; leave out one of them")

    def origin(self) -> datetime:
        """Return second 0 on the calendar.

        Raises
        ------
        ConfigError
            If ``start`` is no ISO 8601 timestamp with an offset.
        """
        try:
            moment = datetime.fromisoformat(self.start)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise ConfigError(f"start must be like '2027-01-04T00:00:00+09:00', with its offset, got '{self.start}'")
        return moment

    def move_ins(self) -> NDArray[np.float64]:
        """Return from when on each tenant submits, s since second 0, shape (tenants,); -inf for one without a start.

        Raises
        ------
        ConfigError
            If a start is no ISO 8601 date or timestamp.
        """
        return np.array([each.moves_in(self.origin()) for each in self.tenants], dtype=np.float64)

    def skew(self) -> Skew:
        """Return how unequal the users of a tenant are."""
        return Skew(self.zipf_exponent, self.user_sigma)

    def profile(self, published: str | None = None) -> Profile:
        """Return the hours and days of submissions: given, or those of a published cluster, or the default ones."""
        own = Profile(HOURLY, WEEKLY) if published is None else PROFILES[published]
        return Profile(
            own.hourly if self.hourly is None else self.hourly, own.weekly if self.weekly is None else self.weekly
        )

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> SynthesisSpec:
        """Return the spec of a scenario's table; missing keys keep their defaults.

        ``classes`` maps a class to its share, or to a table of ``share``, ``source`` (a name, or a table of name to
        weight), ``redraw``, ``dispersion`` and ``interarrival_cv``; classes that are not named are left out.
        ``tenants`` maps a tenant to a table of ``users`` and of its weight in each class, or has ``count`` tenants of
        ``users`` each with weights by ``zipf_exponent`` or ``sigma``.  ``like`` names a published cluster whose
        look-alike the other keys change.  ``services`` maps a service to the keys in which it differs from the
        default of the same name; services that are not named are left out.  ``kinds`` maps a class to a table of its
        kinds, and each to the keys in which it is changed.

        Raises
        ------
        ConfigError
            For a key nobody knows, naming the nearest, and for a value of the wrong type or range.
        """
        known = [one.name for one in fields(cls)]
        values: dict[str, Any] = {}
        given = dict(mapping)
        if "like" in given:
            given = like_mapping(given.pop("like")) | given
        changes = {
            name: read_table(f"kinds of class '{name}'", each)
            for name, each in read_table("kinds", given.pop("kinds", {})).items()
        }
        for key, value in given.items():
            if key not in known:
                raise unknown_name("workload key", key, (*known, "like", "kinds"))
            values[key] = _READ.get(key, read_number)(key, value)
        if changes:
            values["classes"] = changed_classes(values.get("classes", DEFAULT_CLASSES), changes)
        return cls(**values)

    def to_mapping(self) -> dict[str, Any]:
        """Return the table that :meth:`from_mapping` reads back to an equal spec; None is left out."""
        table: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name == "classes":
                value = {one.name: class_mapping(one) for one in self.classes}
            elif one.name == "tenants":
                value = {tenant.name: tenant.to_mapping() for tenant in self.tenants}
            elif one.name == "services":
                value = {kind.name: kind.to_mapping() for kind in self.services}
            elif isinstance(value, tuple):
                value = list(value)
            if one.name == "classes" and any(each.changes for each in self.classes):
                table["kinds"] = {each.name: _plain(each.changes) for each in self.classes if each.changes}
            if value is not None and (one.name != "services" or any(each.name == "realtime" for each in self.classes)):
                table[one.name] = value
        return table


def _positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ConfigError(f"{name} must be a positive number, got {value}")


def _profile(name: str, values: tuple[float, ...], length: int) -> None:
    if len(values) != length or not all(0 <= value < math.inf for value in values) or not sum(values) > 0:
        raise ConfigError(f"{name} needs {length} numbers of 0 or more, and one above 0, got {list(values)}")


def _unique(kind: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        raise ConfigError(f"{kind} '{twice[0]}' is given twice" if twice else f"a workload needs at least one {kind}")


def _name(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{key} must be a name, got {value!r}")
    return value


def _hours(key: str, value: object) -> tuple[float, ...]:
    """Return a profile that is given by its numbers, or by the name of a published cluster that has one."""
    if isinstance(value, str):
        if value not in PROFILES:
            raise unknown_name(f"profile of {key}", value, tuple(PROFILES))
        return PROFILES[value].hourly if key == "hourly" else PROFILES[value].weekly
    return _numbers(key, value)


def _choice(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{key} must be true or false, got {value!r}")
    return value


def _seconds(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ConfigError(f"{key} must be a time such as 90s or 15m, got {value!r}")
    return parse_seconds(value)


def _text(key: str, value: object) -> str:
    if not isinstance(value, str | datetime):
        raise ConfigError(f"{key} must be a timestamp, got {value!r}")
    return value if isinstance(value, str) else value.isoformat()


def _numbers(key: str, value: object) -> tuple[float, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{key} must be a list of numbers, got {value!r}")
    return tuple(read_number(key, one) for one in value)


def _plain(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with keys that a file can have, all the way down."""
    return {str(key): _plain(item) if isinstance(item, Mapping) else item for key, item in table.items()}


_READ = {
    "jobs": read_whole,
    "start": _text,
    "classes": read_classes,
    "without": read_names,
    "tenants": tenants_of,
    "services": services_of,
    "hourly": _hours,
    "weekly": _hours,
    "holidays": _name,
    "limits": _name,
    "think_time": _seconds,
    "closed_loop": _choice,
    "limit_factor": _numbers,
}
