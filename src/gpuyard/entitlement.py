"""What tenants are entitled to, and whose job is whose: quotas along the tree, as ``docs/semantics.md`` defines them.

For people and reports; the engine has tables of its own.  GPUs are in thousandths.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gpuyard.tenancy import Quota, Tenant, Tenants
from gpuyard.workload import NEVER, Workload

__all__ = ["Entitlement", "due_quotas", "entitlement", "owners"]

Table = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Entitlement:
    """The tree of tenants, the root first and parents before children, and the quotas of each.

    ``parent``: int64, shape (tenants,), -1 for the root.  ``nominal`` (N), ``kept`` (R) and ``borrow``: int64
    thousandths of GPUs, shape (tenants, resources), NEVER in ``borrow`` for no limit; ``own`` is the nominal quota
    without that of the tenants below.  ``weight``: float64, shape (tenants,).
    """

    paths: tuple[str, ...]
    parent: Table
    resources: tuple[str, ...]
    """GPU types; one empty name where quotas are about GPUs of all types"""
    own: Table
    nominal: Table
    kept: Table
    borrow: Table
    weight: NDArray[np.float64]
    has_quotas: bool

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """The tenants right below each."""
        below: list[list[int]] = [[] for _ in self.paths]
        for number, parent in enumerate(self.parent.tolist()):
            if parent >= 0:
                below[parent].append(number)
        return tuple(tuple(each) for each in below)

    def up(self, tenant: int) -> list[int]:
        """Return a tenant and those above it, from its own up."""
        chain = []
        while tenant >= 0:
            chain.append(tenant)
            tenant = int(self.parent[tenant])
        return chain

    def usage(self, held: Table) -> Table:
        """Return U of each tenant, int64, shape (tenants, resources), from what their own jobs hold, shaped so too."""
        used = held.copy()
        for number in range(len(self.paths) - 1, 0, -1):
            used[self.parent[number]] += np.maximum(used[number] - self.kept[number], 0)
        return used


def entitlement(tenants: Tenants, types: Iterable[str] = ()) -> Entitlement:
    """Return the quotas of all tenants, those of parents implied.

    ``types`` are GPU types that have a resource each also where no quota names them: what nobody names is nobody's.
    """
    paths = tenants.paths
    number = {path: place for place, path in enumerate(paths)}
    stated = {each.name: each for each in tenants.tenants} | {"": Tenant(name="root", nominal=tenants.nominal)}
    resources = tuple(dict.fromkeys([*tenants.types, *types])) if tenants.types else ("",)
    parent = np.array([-1, *(number[path.rpartition("/")[0]] for path in paths[1:])], np.int64)
    plain = [stated.get(path) or Tenant(name=path) for path in paths]
    own = np.array([_milli(each.nominal, resources, 0) for each in plain], np.int64)
    borrow = np.array([_milli(each.borrow, resources, NEVER) for each in plain], np.int64)
    lend = np.array([_milli(each.lend, resources, NEVER) for each in plain], np.int64)
    borrow[0] = 0  # there is nobody that the root could borrow from
    nominal, kept = own.copy(), np.zeros_like(own)
    for place in range(len(paths) - 1, 0, -1):
        kept[place] = np.maximum(nominal[place] - np.minimum(lend[place], nominal[place]), 0)
        kept[place][lend[place] == NEVER] = 0
        nominal[parent[place]] += nominal[place] - kept[place]
    return Entitlement(
        paths=paths,
        parent=parent,
        resources=resources,
        own=own,
        nominal=nominal,
        kept=kept,
        borrow=borrow,
        weight=np.array([each.weight for each in plain]),
        has_quotas=tenants.has_quotas,
    )


def _milli(quota: Quota | None, resources: tuple[str, ...], without: int) -> list[int]:
    """Return a quota of each resource; ``without`` where none is stated, 0 for a type that a table leaves out."""
    if quota is None:
        return [without] * len(resources)
    if isinstance(quota, Mapping):
        return [round(quota.get(name, 0.0) * 1000) for name in resources]
    return [round(quota * 1000)]


def owners(paths: tuple[str, ...], workload: Workload) -> Table:
    """Return the tenant that each job belongs to, int64, shape (jobs,): the deepest that begins its column, or 0."""
    number = {path: place for place, path in enumerate(paths)}
    codes, names = workload.labels("tenant", "")
    return np.array([_owner(name, number) for name in names], np.int64)[codes] if names else codes


def _owner(name: str, number: Mapping[str, int]) -> int:
    while name not in number:
        name = name.rpartition("/")[0]
    return number[name]


def due_quotas(tenants: Tenants, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return the GPUs that are due to jobs with each value of the column ``tenant``, float64, shape (names,).

    A nominal quota is split evenly between the names that belong to its tenant, or to one below it without a quota
    nearer.
    """
    paths = tenants.paths
    number = {path: place for place, path in enumerate(paths)}
    quotas = {each.name: each.nominal for each in tenants.tenants if each.nominal is not None}
    quotas |= {} if tenants.nominal is None else {"": tenants.nominal}
    source, due = [], []
    for name in names:
        path = paths[_owner(name, number)]
        while path and path not in quotas:
            path = path.rpartition("/")[0]
        quota = quotas.get(path, 0.0)
        source.append(path)
        due.append(sum(quota.values()) if isinstance(quota, Mapping) else quota)
    many = Counter(source)
    return np.array([amount / many[path] for amount, path in zip(due, source, strict=True)], np.float64)
