"""What a single job of a partition or a QOS may ask for, and whose jobs they take.

``docs/semantics.md``, *Bounds of partitions and QOS*, is the specification.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.units import MOST_CPUS, MOST_MEMORY_GIB
from gpuyard.workload import MICROSECOND, NEVER, Workload

__all__ = ["Bounds", "bound_tables", "check_bounds", "settled", "with_time_limits"]

_LONGEST: Final = 36_500 * 86_400.0
"""s: no time is longer than 100 years."""
_MOST: Final = {
    "max_time": _LONGEST,
    "default_time": _LONGEST,
    "min_nodes": 1e9,
    "max_nodes": 1e9,
    "min_gpus": 1e9,
    "max_gpus": 1e9,
    "max_cpus": MOST_CPUS,
    "max_memory_gib": MOST_MEMORY_GIB,
}
"""The numbers, and the most that each can be."""
_LEAST: Final = {"max_time": 1e-6, "default_time": 1e-6, "max_nodes": 1}
"""The least that each can be, where it is not 0: with less no job could run."""
_LISTS: Final = ("allow_tenants", "deny_tenants", "allow_qos", "deny_qos")
_ORDERED: Final = (("default_time", "max_time"), ("min_nodes", "max_nodes"), ("min_gpus", "max_gpus"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """What a job of one partition, or of one QOS, may ask for; what is left out binds nobody.

    Source: Slurm's manual pages slurm.conf(5) (``MaxTime``, ``DefaultTime``, ``MinNodes``, ``MaxNodes``,
    ``AllowAccounts`` and so on of a partition) and sacctmgr(1) (``MaxWall``, ``MaxTRESPerJob`` and ``MinTRESPerJob`` of
    a QOS).

    Parameters
    ----------
    partition, qos
        Whose bounds they are: one of the two.
    is_default
        Jobs without a partition, without a QOS, are of this one.
    max_time
        The longest time limit, s.
    default_time
        The time limit of jobs that state none, s; by default ``max_time``.
    min_nodes, max_nodes
        How many nodes a job has.
    min_gpus, max_gpus
        How many GPUs it asks for.
    max_cpus, max_memory_gib
        How many cores, and how much memory, all in all.
    allow_tenants, deny_tenants
        Whose jobs are taken, or are not: by path, those below included.
    allow_qos, deny_qos
        Of a partition: the QOS of the jobs that are taken, or are not.

    Raises
    ------
    ConfigError
        For both a partition and a QOS or neither, numbers out of range or against each other, what are no names,
        what is allowed and denied at once, and QOS of a QOS.
    """

    partition: str | None = None
    qos: str | None = None
    is_default: bool = False
    max_time: float | None = None
    default_time: float | None = None
    min_nodes: int | None = None
    max_nodes: int | None = None
    min_gpus: float | None = None
    max_gpus: float | None = None
    max_cpus: float | None = None
    max_memory_gib: float | None = None
    allow_tenants: tuple[str, ...] = ()
    deny_tenants: tuple[str, ...] = ()
    allow_qos: tuple[str, ...] = ()
    deny_qos: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        given: object = self.qos if self.partition is None else self.partition
        if (self.partition is None) == (self.qos is None) or not isinstance(given, str) or not given:
            raise ConfigError(
                "bounds are those of one partition or of one QOS, by its name, got "
                f"partition = {self.partition!r} and qos = {self.qos!r}"
            )
        if not isinstance(self.is_default, bool):
            raise ConfigError(f"'is_default' of {self.what} must be True or False, got {self.is_default!r}")
        for name in _LISTS:
            object.__setattr__(self, name, self._checked_names(name))
        for name in _MOST:
            object.__setattr__(self, name, self._checked_number(name))
        for low, high in _ORDERED:
            least, most = getattr(self, low), getattr(self, high)
            if least is not None and most is not None and least > most:
                raise ConfigError(f"'{low}' of {self.what} is {least:g}, above its '{high}' of {most:g}; correct one")
        for whose in ("tenants", "qos"):
            if getattr(self, f"allow_{whose}") and getattr(self, f"deny_{whose}"):
                raise ConfigError(
                    f"{self.what} has 'allow_{whose}' and 'deny_{whose}'; who is not allowed is denied, so leave "
                    f"'deny_{whose}' out"
                )
        if self.qos is not None and (self.allow_qos or self.deny_qos):
            raise ConfigError(f"{self.what} allows or denies QOS, which only a partition does; leave that out")

    def _checked_names(self, name: str) -> tuple[str, ...]:
        given: object = getattr(self, name)
        names = (given,) if isinstance(given, str) else given
        if not isinstance(names, list | tuple) or not all(isinstance(each, str) and each for each in names):
            raise ConfigError(
                f"'{name}' of {self.what} are names, got {given!r}; write a list of them, or leave it out"
            )
        return tuple(names)

    def _checked_number(self, name: str) -> int | float | None:
        value, most, least = getattr(self, name), _MOST[name], _LEAST.get(name, 0)
        if value is None:
            return None
        whole = name in ("min_nodes", "max_nodes")
        fits = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
        if not fits or not least <= value <= most:
            kind = "a whole number" if whole else "a number" + (" of seconds" if name.endswith("_time") else "")
            without = "; leave it out where nothing is bounded" if least else ""
            raise ConfigError(
                f"'{name}' of {self.what} must be {kind} from {least:g} to {most:g}, got {value!r}{without}"
            )
        return int(value) if isinstance(value, Integral) else float(value)

    @property
    def column(self) -> str:
        """The column that says which jobs are meant: ``partition`` or ``qos``."""
        return "partition" if self.partition is not None else "qos"

    @property
    def name(self) -> str:
        """The name of the partition or QOS."""
        return str(self.partition if self.partition is not None else self.qos)

    @property
    def what(self) -> str:
        """Whose bounds they are, in words."""
        return f"partition '{self.name}'" if self.partition is not None else f"QOS '{self.name}'"

    @property
    def binds(self) -> bool:
        """Whether there is any bound; without, they say at most who is the default."""
        return any(getattr(self, name) is not None for name in _MOST) or any(getattr(self, name) for name in _LISTS)

    @property
    def limit_of_others(self) -> float | None:
        """The time limit of jobs that state none, s."""
        return self.max_time if self.default_time is None else self.default_time

    def members(self, workload: Workload) -> NDArray[np.bool_]:
        """Return which jobs are meant, bool, shape (jobs,)."""
        codes, known = workload.labels(self.column, "\0")
        mine = [each == self.name or (self.is_default and each == "\0") for each in known]
        return np.array(mine, np.bool_)[codes] if known else np.zeros(len(workload), np.bool_)

    def to_mapping(self) -> dict[str, Any]:
        """Return it as a scenario writes it, in ``[[partition]]`` or ``[[qos]]``."""
        stated = {each.name: getattr(self, each.name) for each in fields(self) if each.name in (*_MOST, *_LISTS)}
        kept = {name: list(value) if isinstance(value, tuple) else value for name, value in stated.items()}
        default = {"default": True} if self.is_default else {}
        return {
            "name": self.name,
            **default,
            **{name: value for name, value in kept.items() if value not in (None, [])},
        }


def check_bounds(bounds: Sequence[Bounds]) -> None:
    """Raise ConfigError for what is no list of bounds, bounds that are given twice, and for two defaults."""
    if not isinstance(bounds, list | tuple) or not all(isinstance(each, Bounds) for each in bounds):
        raise ConfigError(
            f"bounds are a list of gpuyard.Bounds, got {bounds!r:.80}; write bounds=[gpuyard.Bounds(...)]"
        )
    for column, called in (("partition", "partition"), ("qos", "QOS")):
        its = [each for each in bounds if each.column == column]
        names = [each.name for each in its]
        for at, name in enumerate(names):
            if name in names[:at]:
                raise ConfigError(f"{called} '{name}' is given twice; give it once, with all of its bounds")
        defaults = [each.name for each in its if each.is_default]
        if len(defaults) > 1:
            raise ConfigError(
                f"jobs without a {called} cannot be of both '{defaults[0]}' and '{defaults[1]}'; let one of them be "
                "the default"
            )


def settled(bounds: Sequence[Bounds], with_nodes: Sequence[tuple[str, bool]]) -> tuple[Bounds, ...]:
    """Return the bounds with the default among partitions that have nodes, where there are such, as theirs.

    ``with_nodes``: the names of partitions that have nodes, and whether they are the default.

    Raises
    ------
    ConfigError
        For bounds that contradict each other, or those of a partition without nodes where others have some.
    """
    check_bounds(bounds)
    listed = dict(with_nodes)
    default = next((name for name, is_default in with_nodes if is_default), None)
    found = []
    for each in bounds:
        if each.partition is None or not listed:
            found.append(each)
            continue
        if each.name not in listed:
            raise ConfigError(
                f"{each.what} has no nodes, where '{next(iter(listed))}' has some, so that its jobs could run nowhere; "
                "give it nodes, such as nodes = 'all'"
            )
        if each.is_default and each.name != default:
            raise ConfigError(f"{each.what} is the default of its bounds and not of its nodes; say the same of both")
        found.append(replace(each, is_default=each.name == default))
    return tuple(found)


def with_time_limits(workload: Workload, bounds: Sequence[Bounds]) -> Workload:
    """Return the workload in which jobs without a time limit have that of their partition or QOS, the shorter one."""
    limit = np.full(len(workload), NEVER, np.int64)
    for each in bounds:
        if each.limit_of_others is not None:
            mine = each.members(workload)
            limit[mine] = np.minimum(limit[mine], round(each.limit_of_others * MICROSECOND))
    given = (workload.time_limit == NEVER) & (limit != NEVER)
    if not given.any():
        return workload
    seconds = np.where(given, limit / MICROSECOND, workload.floats("time_limit"))
    column = pa.array(seconds, mask=np.isnan(seconds))
    at = workload.held.schema.get_field_index("time_limit")
    table = workload.held.set_column(at, workload.held.schema.field(at), column)
    return Workload(held=table, name=workload.name, rejected=workload.rejected, notes=workload.notes)


def bound_tables(bounds: Sequence[Bounds], tables: Mapping[str, Sequence[Mapping[str, object]]]) -> dict[str, Any]:
    """Return bounds as a scenario writes them: the tables ``partition`` and ``qos``.

    ``tables``: those of partitions that have nodes, under ``partition``; bounds of the same name go into them.
    """
    found: dict[str, list[dict[str, Any]]] = {"partition": [dict(each) for each in tables.get("partition", ())]}
    for each in bounds:
        listed = found.setdefault(each.column, [])
        mine = next((table for table in listed if table["name"] == each.name), None)
        if mine is None:
            listed.append(each.to_mapping())
        else:
            mine.update(each.to_mapping())
    return {name: listed for name, listed in found.items() if listed}
