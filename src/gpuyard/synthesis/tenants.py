"""Who submits: tenants by their weight in each class, and their users by Zipf's law or log-normal weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from math import inf
from statistics import NormalDist
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError, unknown_name
from gpuyard.synthesis.kinds import CLASSES

__all__ = ["DEFAULT_TENANTS", "Skew", "Tenant", "owners", "skewed_tenants"]

MOST_PRIORITY = 1000
"""A tenant's priority moves it past every class, and no further."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tenant:
    """A tenant: its users and its weight among the tenants of each class.

    Parameters
    ----------
    name
        A path, such as ``steel`` or ``steel/vision``: below it are its users, ``steel/vision/u01``.
    weights
        Class to weight; a class of which several tenants have a share is split by weight.
    priority
        Added to the priority of each of its jobs.
    start
        When it moves in, an ISO 8601 date or timestamp (without an offset: that of second 0): it submits nothing
        before.  None: it has been there from the beginning.
    quota
        Share of the cluster's GPUs that it is due; it counts only where a run has quotas of its workload
        (``[tenants] of_workload = true``).
    """

    name: str
    users: int = 40
    weights: Mapping[str, float] = field(default_factory=dict)
    priority: int = 0
    start: str | None = None
    quota: float | None = None

    def __post_init__(self) -> None:
        if not all(part.strip() == part != "" for part in self.name.split("/")):
            raise ConfigError(f"a tenant's name is a path of names with / between them, got '{self.name}'")
        if not -MOST_PRIORITY <= self.priority <= MOST_PRIORITY:
            raise ConfigError(
                f"priority of tenant '{self.name}' is added to that of its jobs and is {-MOST_PRIORITY} to "
                f"{MOST_PRIORITY}, got {self.priority}"
            )
        if self.users < 1:
            raise ConfigError(f"tenant '{self.name}' needs at least 1 user, got {self.users}")
        for job_class, weight in self.weights.items():
            if job_class not in CLASSES:
                raise unknown_name(f"class of tenant '{self.name}'", job_class, CLASSES)
            if not 0 <= weight < float("inf"):
                raise ConfigError(f"tenant '{self.name}' has weight {weight} in '{job_class}'; it must be 0 or more")
        if self.quota is not None and not 0 <= self.quota <= 1:
            raise ConfigError(
                f"quota of tenant '{self.name}' is a share of the cluster's GPUs, 0 to 1, got {self.quota:g}; numbers "
                "of GPUs stand in [[tenants.tenant]] as 'nominal'"
            )
        object.__setattr__(self, "weights", MappingProxyType(dict(self.weights)))

    def moves_in(self, origin: datetime) -> float:
        """Return from when on it submits, s since the origin; -inf where it has no start.

        Raises
        ------
        ConfigError
            If its start is no ISO 8601 date or timestamp.
        """
        if self.start is None:
            return -inf
        try:
            moment = datetime.fromisoformat(self.start)
        except ValueError:
            raise ConfigError(
                f"start of tenant '{self.name}' must be a date such as 2028-03-01, got '{self.start}'"
            ) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=origin.tzinfo)
        return (moment - origin).total_seconds()

    def to_mapping(self) -> dict[str, Any]:
        """Return the table that a scenario has of it."""
        table: dict[str, Any] = {"users": self.users, **self.weights}
        if self.priority:
            table["priority"] = self.priority
        if self.start is not None:
            table["start"] = self.start
        if self.quota is not None:
            table["quota"] = self.quota
        return table


DEFAULT_TENANTS = (
    Tenant(name="foundation-a", weights={"training": 0.40}),
    Tenant(name="foundation-b", weights={"training": 0.30}),
    Tenant(name="cloud", weights={"training": 0.20, "realtime": 0.70}),
    Tenant(name="university", weights={"training": 0.10, "drug-discovery": 0.20, "battery": 0.20}),
    Tenant(name="bio", weights={"drug-discovery": 0.80, "realtime": 0.05}),
    Tenant(name="battery", weights={"battery": 0.80}),
    Tenant(name="steel", weights={"manufacturing": 1.00, "realtime": 0.25}),
)
"""Tenants of the default workload: an assumption."""


class Skew(NamedTuple):
    """How unequal users or tenants are: by Zipf's law, or log-normal where ``sigma`` is given."""

    exponent: float
    sigma: float | None = None

    def weights(self, count: int) -> NDArray[np.float64]:
        """Return the weights of 1, 2, ..., ``count``, descending, sum 1, shape (count,).

        By Zipf's law the weight of k is ``k ** -exponent``; log-normal weights are the quantiles in the middle of each
        of ``count`` parts.
        """
        if self.sigma is None:
            weight = np.arange(1, count + 1, dtype=np.float64) ** -self.exponent
        else:
            normal = NormalDist()
            chances = ((count - at - 0.5) / count for at in range(count))
            weight = np.exp(self.sigma * np.array([normal.inv_cdf(chance) for chance in chances]))
        return np.asarray(weight / weight.sum(), dtype=np.float64)


@cache
def _cumulative(skew: Skew, count: int) -> NDArray[np.float64]:
    """Return the cumulative weights."""
    return np.cumsum(skew.weights(count))


def skewed_tenants(count: int, skew: Skew, users: int) -> tuple[Tenant, ...]:
    """Return tenants ``t01``, ``t02``, ... of unequal weight, each the same in all classes."""
    digits = max(2, len(str(count)))
    return tuple(
        Tenant(name=f"t{at:0{digits}d}", users=users, weights=dict.fromkeys(CLASSES, float(weight)))
        for at, weight in enumerate(skew.weights(count), start=1)
    )


def owners(
    tenants: tuple[Tenant, ...],
    job_class: str,
    skew: Skew,
    tenant_chance: NDArray[np.float64],
    user_chance: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the tenant's position and the user's number from 1, both int64 of the shape of the chances."""
    weight = np.array([tenant.weights.get(job_class, 0.0) for tenant in tenants])
    if not weight.sum() > 0:
        raise ConfigError(f"no tenant has a weight in the class '{job_class}'; give one a weight or drop the class")
    last = int(np.flatnonzero(weight)[-1])
    tenant = np.minimum(np.searchsorted(np.cumsum(weight) / weight.sum(), tenant_chance, side="right"), last)
    user = np.zeros(tenant.shape, dtype=np.int64)
    for position in np.flatnonzero(weight).tolist():
        mine, users = tenant == position, tenants[position].users
        rank = np.searchsorted(_cumulative(skew, users), user_chance[mine], side="right")
        user[mine] = np.minimum(rank, users - 1) + 1
    return tenant.astype(np.int64), user
