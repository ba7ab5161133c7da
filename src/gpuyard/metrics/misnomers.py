"""What ``[tenants]`` and ``[policy]`` say in vain: names that no job has, and what goes by quotas without any."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TypeAlias

import numpy as np

from gpuyard.bounds import Bounds
from gpuyard.entitlement import owners
from gpuyard.policy import Policy
from gpuyard.tenancy import Tenants
from gpuyard.units import counted
from gpuyard.workload import Workload

__all__ = ["misnamed", "misnomers", "nearest"]

_Given: TypeAlias = tuple[str, str, set[str]]
_NEAR = 0.75
"""How alike two names are at least, of 1, to be taken for one."""


def misnomers(tenants: Tenants, workload: Workload) -> list[str]:
    """Return a sentence for each tenant without jobs and each limit about none, where jobs have a name that is near.

    A tenant is only suspected where the jobs of the near name belong to nobody, and a value in ``where`` of a limit
    also if no name is near: what no job has is no limit.  Likewise for what goes by quotas where nobody has any.
    """
    if not tenants:
        return []
    return [*_of_tenants(tenants, workload), *_of_limits(tenants, workload), *_of_quotas(tenants)]


def misnamed(policy: Policy, workload: Workload, bounds: Sequence[Bounds] = ()) -> list[str]:
    """Return a sentence for each QOS or partition with a tier, a factor, bounds or so that no job has but a near one.

    Likewise for each name, also of a tenant, in the lists of ``preempts`` and of bounds.  The near name is only
    suspected where it has none of its own, or is not in the same list.
    """
    tables = [each for each in (*_with_terms(policy, bounds), *_listed(policy, bounds)) if each[2]]
    known = {column: _names(column, workload, bounds) for column in {column for _, column, _ in tables}}
    said = []
    for which, column, given in tables:
        for name in sorted(given - known[column]):
            near = nearest(name, known[column] - given)
            if near:
                said.append(f"No job is of the {column} '{name}', which {which}; did you mean '{near}'?")
    return list(dict.fromkeys(said))


def _names(column: str, workload: Workload, bounds: Sequence[Bounds]) -> set[str]:
    """Return the names that jobs have in a column, and those above their tenants; the default QOS is one of them."""
    names = set(workload.labels(column, "")[1]) - {""}
    if column == "qos":
        names |= {each.name for each in bounds if each.qos is not None and each.is_default}
    if column == "tenant":
        names |= {parent for name in names for parent in accumulate(name.split("/"), "{}/{}".format)}
    return names


def _with_terms(policy: Policy, bounds: Sequence[Bounds]) -> Iterable[_Given]:
    """Yield what names have, the column that they are of, and the names."""
    own = policy.preemption
    if own.rule in ("partition", "qos"):
        for what, given in (
            ("a tier", own.tiers),
            ("a mode", own.modes),
            ("a min_run", own.min_runs),
            ("a list", own.preempts),
        ):
            yield f"has {what}", own.rule, set(given)
    yield "has a factor", "qos", set(policy.qos)
    yield "has a factor", "partition", set(policy.partitions)
    for column in ("qos", "partition"):
        yield "has bounds", column, {each.name for each in bounds if each.column == column}


def _listed(policy: Policy, bounds: Sequence[Bounds]) -> Iterable[_Given]:
    """Yield which list names are in, the column that they are of, and the names."""
    for name, listed in policy.preemption.preempts.items():
        yield f"is in preempts of '{name}'", policy.preemption.rule, set(listed)
    for each in bounds:
        for verb in ("allow", "deny"):
            for key, column in (("tenants", "tenant"), ("qos", "qos")):
                yield f"is in {verb}_{key} of {each.what}", column, set(getattr(each, f"{verb}_{key}"))


def _of_tenants(tenants: Tenants, workload: Workload) -> Iterable[str]:
    owner = owners(tenants.paths, workload)
    codes, names = workload.labels("tenant", "")
    nobodys: Counter[str] = Counter()
    for code, jobs in zip(*np.unique(codes[owner == 0], return_counts=True), strict=True):
        parts = names[code].split("/")
        nobodys.update({"/".join(parts[:depth]): int(jobs) for depth in range(1, len(parts) + 1)})
    without = set(tenants.paths) - {tenants.paths[place] for place in np.unique(owner).tolist()}
    for name in sorted(without & {each.name for each in tenants.tenants}):
        near = nearest(name, {each for each in nobodys if each})
        if near:
            yield f"No job belongs to the tenant '{name}', and {counted(nobodys[near], 'job')} of '{near}' to nobody."


def _of_limits(tenants: Tenants, workload: Workload) -> Iterable[str]:
    for limit in tenants.limits:
        for column, value in limit.where.items():
            known = set(tenants.paths) if column == "tenant" else set(workload.labels(column, "")[1])
            if value in known:
                continue
            near = nearest(value, known - {""})
            what = "there is no such tenant" if column == "tenant" else "no job has it"
            hint = f"; did you mean '{near}'?" if near else ""
            yield f"A limit is about jobs of the {column} '{value}', and {what}{hint or '.'}"


def _of_quotas(tenants: Tenants) -> Iterable[str]:
    if tenants.has_quotas:
        return
    bounded = [each.name for each in tenants.tenants if each.borrow is not None or each.lend is not None]
    if bounded:
        yield (
            f"The tenant '{bounded[0]}' has a limit of what it borrows or lends, and nobody has a nominal quota, so "
            "that nothing is lent; state nominal."
        )
    if tenants.between in ("fair", "cohorts"):
        yield (
            f"Tenants take turns by what they borrow (between = {tenants.between}), and nobody has a nominal quota, so "
            "that all are equal; state nominal, or choose drf."
        )


def nearest(name: str, names: set[str]) -> str | None:
    """Return which of some names is so near to a name that it may be meant; ``None`` if none is."""
    for each in sorted(names):
        if each.casefold() == name.casefold():
            return each
    found = difflib.get_close_matches(name, sorted(names), n=1, cutoff=_NEAR)
    return found[0] if found else None
