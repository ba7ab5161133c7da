"""Who shares a cluster: tenants as a tree with quotas, limits, and what decides between tenants.

``docs/semantics.md``, *Tenants*, says exactly what each field does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, TypeAlias

from gpuyard.errors import ConfigError, unknown_name

__all__ = [
    "BETWEEN",
    "BORROW_WITHIN",
    "LIMIT_COLUMNS",
    "NO_TENANTS",
    "RECLAIMS",
    "Limit",
    "Quota",
    "Tenant",
    "Tenants",
]

Quota: TypeAlias = float | Mapping[str, float]
"""GPUs of all types together, or of each type by name."""

BETWEEN: Final = {
    "queue": "one queue for all tenants, in the policy's order",
    "drf": "the tenant with the smallest dominant share of GPUs, CPUs and memory by its weight first",
    "fair": "the tenant that borrows the smallest share by its weight first",
    "cohorts": "likewise, on every level of the tree, with the next job of each",
}
"""What decides between tenants."""
RECLAIMS: Final = {
    "any": "a job within its tenant's nominal quota takes back from tenants above theirs",
    "lower": "likewise, from jobs that are less urgent",
    "fair": "a job takes from tenants that borrow a larger share than its own with it",
    "never": "nothing is taken from other tenants",
    "cohorts": "a job takes, on every level of the tree, from those that borrow a larger share than its own with it",
}
"""Who takes from other tenants, under a preemption rule."""
BORROW_WITHIN: Final = {
    "never": "a job with which its tenant would borrow takes nothing from others",
    "lower": "it takes from tenants that borrow, what is less urgent; beside reclaim any and lower",
}
"""Who takes from other tenants to borrow itself, under a preemption rule."""
LIMIT_COLUMNS: Final = ("user", "tenant", "partition", "qos", "job_class")
"""Columns by which limits group jobs."""
_MOST_GPUS: Final = 1e9
_MOST_URGENT: Final = 2**31


@dataclass(frozen=True, kw_only=True, slots=True)
class Tenant:
    """A tenant, by its path: ``steel``, ``steel/vision``.

    Parameters
    ----------
    name
        The path, names with ``/`` between them.
    nominal
        GPUs that it may always have; ``None``: none of its own.
    borrow
        At most so many GPUs above its nominal quota, and those of the tenants below; ``None``: no limit.
    lend
        At most so many of these to others; ``None``: all.
    weight
        What its share is divided by.

    Raises
    ------
    ConfigError
        For a name that is no path, and for numbers out of range.
    """

    name: str
    nominal: Quota | None = None
    borrow: Quota | None = None
    lend: Quota | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not all(part.strip() == part != "" for part in self.name.split("/")):
            raise ConfigError(f"a tenant's name is a path of names with / between them, got {self.name!r}")
        for name in ("nominal", "borrow", "lend"):
            object.__setattr__(self, name, _quota(f"'{name}' of tenant '{self.name}'", getattr(self, name)))
        if not _is_number(self.weight) or not 0 < self.weight <= 1e9:
            raise ConfigError(f"'weight' of tenant '{self.name}' must be a number above 0, got {_shown(self.weight)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """How much the jobs of each group may have running.

    Parameters
    ----------
    each
        Columns out of :data:`LIMIT_COLUMNS`: jobs that are the same in these are a group.
    where
        Values of such columns; jobs with others are not limited.
    jobs
        Running jobs of a group; ``None``: no limit.
    gpus
        GPUs that running jobs of a group asked for; ``None``: no limit.

    Raises
    ------
    ConfigError
        For columns that there are not, numbers out of range, and a limit of nothing.
    """

    each: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict, hash=False)
    jobs: int | None = None
    gpus: float | None = None

    def __post_init__(self) -> None:
        each = (self.each,) if isinstance(self.each, str) else tuple(self.each)
        object.__setattr__(self, "each", each)
        if not isinstance(self.where, Mapping):
            raise ConfigError(f"'where' of a limit is a table of columns and values, got {self.where!r}")
        object.__setattr__(self, "where", dict(self.where))
        for column in (*each, *self.where):
            if column not in LIMIT_COLUMNS:
                raise unknown_name("column of a limit", str(column), LIMIT_COLUMNS)
        for column, value in self.where.items():
            if not isinstance(value, str):
                raise ConfigError(f"'{column}' in 'where' of a limit is a text, got {value!r}")
        if self.jobs is None and self.gpus is None:
            about = ", ".join([*each, *(f"{column} = {value!r}" for column, value in self.where.items())])
            raise ConfigError(f"a limit{f' of {about}' if about else ''} has no number; give it 'jobs', 'gpus' or both")
        if self.jobs is not None and (not isinstance(self.jobs, int) or isinstance(self.jobs, bool) or self.jobs < 0):
            raise ConfigError(f"'jobs' of a limit must be a whole number of 0 or more, got {self.jobs!r}")
        if self.gpus is not None and not (_is_number(self.gpus) and 0 <= self.gpus <= _MOST_GPUS):
            raise ConfigError(f"'gpus' of a limit must be a number of 0 or more, got {self.gpus!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tenants:
    """How a cluster is shared out.

    Parameters
    ----------
    tenants
        In any order; paths above a tenant's are implied.
    limits
        What groups of jobs may have running.
    between
        What decides between tenants: a name out of :data:`BETWEEN`.
    reclaim
        Under a preemption rule: who takes from other tenants, a name out of :data:`RECLAIMS`.
    borrow_within
        Under a preemption rule: who takes from other tenants to borrow itself, a name out of :data:`BORROW_WITHIN`.
    borrow_threshold
        Under ``borrow_within``: the highest priority, or tier, of a job that is taken so; ``None``: any.
    nominal
        GPUs that belong to no tenant and that all may borrow.

    Raises
    ------
    ConfigError
        For names that do not exist or stand twice, for quotas as numbers beside quotas by type, and for
        ``borrow_within`` where ``reclaim`` is neither ``any`` nor ``lower``.
    """

    tenants: tuple[Tenant, ...] = ()
    limits: tuple[Limit, ...] = ()
    between: str = "queue"
    reclaim: str = "any"
    borrow_within: str = "never"
    borrow_threshold: int | None = None
    nominal: Quota | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tenants", tuple(_made(Tenant, each, "tenant") for each in self.tenants))
        object.__setattr__(self, "limits", tuple(_made(Limit, each, "limit") for each in self.limits))
        object.__setattr__(self, "nominal", _quota("'nominal' of all tenants", self.nominal))
        if self.between not in BETWEEN:
            raise unknown_name("between", str(self.between), BETWEEN)
        if self.reclaim not in RECLAIMS:
            raise unknown_name("reclaim", str(self.reclaim), RECLAIMS)
        self._check_borrowing()
        seen: set[str] = set()
        for each in self.tenants:
            if each.name in seen:
                raise ConfigError(f"tenant '{each.name}' stands twice; give it once")
            seen.add(each.name)
        by_type = [isinstance(quota, Mapping) for quota in self._quotas() if quota is not None]
        if any(by_type) and not all(by_type):
            raise ConfigError(
                "some quotas of tenants are numbers of GPUs and some are tables by GPU type; write all of them one way"
            )

    def __bool__(self) -> bool:
        """Whether anything is shared out."""
        return bool(self.tenants or self.limits or self.nominal is not None)

    def _check_borrowing(self) -> None:
        """Raise ConfigError for a way to take what others borrow that cannot be, or that ``reclaim`` leaves out."""
        if self.borrow_within not in BORROW_WITHIN:
            raise unknown_name("borrow_within", str(self.borrow_within), BORROW_WITHIN)
        if self.borrow_within != "never" and self.reclaim not in ("any", "lower"):
            raise ConfigError(
                f"borrow_within = {self.borrow_within} goes with reclaim = any or lower, as in Kueue, not with "
                f"{self.reclaim}; choose one of these, or leave 'borrow_within' out"
            )
        most = self.borrow_threshold
        if most is None:
            return
        if not isinstance(most, int) or isinstance(most, bool) or not -_MOST_URGENT <= most < _MOST_URGENT:
            raise ConfigError(f"'borrow_threshold' is a whole number of 32 bits, a priority or tier, got {most!r}")
        if self.borrow_within == "never":
            raise ConfigError(
                "'borrow_threshold' says who is taken under borrow_within = lower; choose that, or leave it out"
            )

    @property
    def shares_by_cohorts(self) -> bool:
        """Whether shares are compared on every level of the tree."""
        return "cohorts" in (self.between, self.reclaim)

    @property
    def borrows_within(self) -> bool:
        """Whether jobs take from other tenants to borrow themselves."""
        return self.borrow_within != "never"

    @property
    def has_quotas(self) -> bool:
        """Whether anybody has a nominal quota; without, nobody's GPUs are counted against one."""
        return self.nominal is not None or any(each.nominal is not None for each in self.tenants)

    @property
    def is_absolute(self) -> bool:
        """Whether it has numbers of GPUs or jobs, which mean one cluster and no part of it."""
        return bool(self.limits) or any(quota is not None for quota in self._quotas())

    @property
    def types(self) -> tuple[str, ...] | None:
        """The GPU types that quotas name, in order, ``None`` where they are numbers."""
        named = [quota for quota in self._quotas() if isinstance(quota, Mapping)]
        return tuple(sorted({kind for quota in named for kind in quota})) if named else None

    @property
    def is_by_type(self) -> bool:
        """Whether there are quotas, and each GPU type is a resource of its own."""
        return self.has_quotas and self.types is not None

    @property
    def paths(self) -> tuple[str, ...]:
        """All tenants, those above others implied, ordered by their paths level by level; the root, ``""``, first."""
        found: set[tuple[str, ...]] = {()}
        for each in self.tenants:
            parts = tuple(each.name.split("/"))
            found.update(parts[:depth] for depth in range(1, len(parts) + 1))
        return tuple("/".join(parts) for parts in sorted(found))

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields as scenarios have them: ``Tenants.of(mapping)`` is the same."""
        if not self:
            return {}
        mapping: dict[str, Any] = {"between": self.between, "reclaim": self.reclaim}
        if self.borrows_within:
            mapping["borrow_within"] = self.borrow_within
        if self.borrow_threshold is not None:
            mapping["borrow_threshold"] = self.borrow_threshold
        if self.nominal is not None:
            mapping["nominal"] = _plain(self.nominal)
        if self.tenants:
            mapping["tenant"] = [_stated(each) for each in self.tenants]
        if self.limits:
            mapping["limit"] = [_stated(each) for each in self.limits]
        return mapping

    @classmethod
    def of(cls, given: Mapping[str, Any] | Tenants | None) -> Tenants:
        """Return tenants from a table as scenarios have it, with lists ``tenant`` and ``limit``."""
        if given is None:
            return NO_TENANTS
        if isinstance(given, Tenants):
            return given
        if not isinstance(given, Mapping):
            raise ConfigError(f"'tenants' is a table, got {given!r}")
        known = ("between", "reclaim", "borrow_within", "borrow_threshold", "nominal", "tenant", "limit")
        for name in given:
            if name not in known:
                raise unknown_name("key of tenants", str(name), known)
        values = dict(given)
        for name, plural in (("tenant", "tenants"), ("limit", "limits")):
            listed = values.pop(name, ())
            if isinstance(listed, str | Mapping) or not isinstance(listed, Sequence):
                raise ConfigError(f"'{name}' of tenants is a list of tables, [[tenants.{name}]], got {listed!r}")
            values[plural] = tuple(listed)
        return cls(**values)

    def _quotas(self) -> Iterable[Quota | None]:
        yield self.nominal
        for each in self.tenants:
            yield from (each.nominal, each.borrow, each.lend)


def _made(kind: type[Any], given: Any, what: str) -> Any:
    """Return a tenant or limit, from a table of its fields where it is one."""
    if isinstance(given, kind):
        return given
    if not isinstance(given, Mapping):
        raise ConfigError(f"a {what} is a table of its fields, got {given!r}")
    known = [each.name for each in fields(kind)]
    for name in given:
        if name not in known:
            raise unknown_name(f"key of a {what}", str(name), known)
    if kind is Tenant and "name" not in given:
        raise ConfigError(f"a tenant needs a 'name', got {dict(given)!r}")
    return kind(**given)


def _quota(what: str, given: Any) -> Quota | None:
    """Return a quota; raise ConfigError for what is none."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        for kind, value in given.items():
            if not isinstance(kind, str) or not kind:
                raise ConfigError(f"{what} names a GPU type that is no name: {kind!r}")
            _quota(f"{what} of {kind}", _number_only(f"{what} of {kind}", value))
        return {kind: float(value) for kind, value in sorted(given.items())}
    _number_only(what, given)
    return float(given)


def _number_only(what: str, given: Any) -> Any:
    if not _is_number(given) or not 0 <= given <= _MOST_GPUS:
        raise ConfigError(
            f"{what} must be a number of GPUs from 0 to {_MOST_GPUS:,.0f}, or a table of them by type, got "
            f"{_shown(given)}"
        )
    return given


def _shown(given: object) -> str:
    """Return a value as somebody would write it: a whole number without its fraction."""
    whole = isinstance(given, float) and given.is_integer() and abs(given) < 1e15
    return str(int(given)) if isinstance(given, float) and whole else repr(given)


def _stated(given: Any) -> dict[str, Any]:
    """Return the fields of a tenant or limit that were given."""
    found: dict[str, Any] = {}
    for each in fields(given):
        value = getattr(given, each.name)
        if value is None or value == () or (each.name == "where" and not value):
            continue  # an empty quota is one: nothing of any type
        found[each.name] = list(value) if isinstance(value, tuple) else _plain(value)
    return found


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


NO_TENANTS: Final = Tenants()
"""Nothing is shared out: one queue, no quotas, no limits."""
