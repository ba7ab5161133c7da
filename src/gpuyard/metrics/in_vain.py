"""What a policy or ``[tenants]`` asks for that cannot have an effect in this run, or cannot be kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.tenancy import Quota, Tenants
from gpuyard.units import counted
from gpuyard.workload import Workload

__all__ = ["in_vain", "of_sharing"]

_TIERED = ("partition", "qos")
_FACTORS = (("qos", "qos", "QOS"), ("partition", "partitions", "partition"))
"""Weights of the order ``multifactor``, the tables with their factors, and what these are factors of."""


def in_vain(policy: Policy, tenants: Tenants, workload: Workload, cluster: Cluster) -> list[str]:
    """Return a sentence for each part of the policy or the tenants that changes nothing, and for too large quotas.

    Nominal quotas are too large where they come to more GPUs than the cluster has, of each GPU type if so stated.
    """
    if not len(workload):
        return []
    return [*_of_preemption(policy, workload), *_of_factors(policy), *of_sharing(policy, tenants, cluster)]


def of_sharing(policy: Policy, tenants: Tenants, cluster: Cluster) -> list[str]:
    """Return the sentences about tenants alone."""
    return [*_of_reclaim(policy, tenants), *_overpromised(tenants, cluster), *_lends_too_much(tenants)]


def _overpromised(tenants: Tenants, cluster: Cluster) -> list[str]:
    nominal = [tenants.nominal, *(each.nominal for each in tenants.tenants)]
    given = [quota for quota in nominal if quota is not None]
    kinds: tuple[str | None, ...] = (None,) if tenants.types is None else tenants.types
    return [
        f"Nominal quotas come to {_gpus(promised, kind)}, and the cluster has {there:,}: not all of them can be used "
        "at once."
        for kind in kinds
        for promised, there in ((sum(_of_kind(quota, kind) for quota in given), _there(cluster, kind)),)
        if promised > there
    ]


def _lends_too_much(tenants: Tenants) -> Iterable[str]:
    """Say whose ``lend`` is above all that it and those below it could lend, so that it bounds nothing."""
    for each in tenants.tenants if tenants.has_quotas else ():
        if each.lend is None:
            continue
        kinds: tuple[str | None, ...] = tuple(each.lend) if isinstance(each.lend, Mapping) else (None,)
        inside = [one for one in tenants.tenants if one is each or one.name.startswith(f"{each.name}/")]
        for kind in kinds:
            most = _of_kind(each.lend, kind)
            own = sum(_of_kind(one.nominal, kind) for one in inside if one.nominal is not None)
            if most > own:
                yield (
                    f"'lend' of tenant {each.name}, {_gpus(most, kind)}, bounds nothing: its quota, with those below "
                    f"it, is {_gpus(own, kind)}."
                )


def _of_preemption(policy: Policy, workload: Workload) -> Iterable[str]:
    rule = policy.preemption.rule
    if rule == "priority":
        priority = workload.integers("priority", 0)
        if (priority == priority[0]).all():
            yield "Preemption goes by priority, and all jobs have the same one: no job is more urgent than another."
    if rule in _TIERED and not set(policy.preemption.tiers) & set(workload.labels(rule, "")[1]):
        called = "QOS" if rule == "qos" else rule
        yield f"Preemption goes by tiers, and no job is of a {called} that has one: no job is more urgent than another."


def _of_factors(policy: Policy) -> Iterable[str]:
    if policy.order != "multifactor":
        return
    for weight, table, what in _FACTORS:
        weighs, factors = policy.final_weights[weight] != 0, bool(getattr(policy, table))
        if weighs and not factors:
            yield f"The weight '{weight}' changes nothing: no {what} has a factor in [policy.{table}]."
        if factors and not weighs:
            yield f"The factors in [policy.{table}] change nothing: the weight '{weight}' is 0."


def _of_reclaim(policy: Policy, tenants: Tenants) -> Iterable[str]:
    if tenants and tenants.reclaim in ("fair", "lower") and policy.preemption.rule == "none":
        yield (
            f"Nothing is taken back (reclaim = {tenants.reclaim}), because the policy has no preemption; choose one, "
            "such as preemption = reclaim."
        )


def _of_kind(quota: Quota, kind: str | None) -> float:
    return quota.get(kind or "", 0.0) if isinstance(quota, Mapping) else quota


def _there(cluster: Cluster, kind: str | None) -> int:
    if kind is None:
        return cluster.gpus
    return int(np.sum(cluster.node_gpus[np.asarray(cluster.node_type) == cluster.gpu_types.index(kind)]))


def _gpus(number: float, kind: str | None) -> str:
    return counted(number, "GPU") + (f" of type {kind}" if kind else "")
