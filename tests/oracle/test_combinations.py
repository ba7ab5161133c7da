"""Every combination of order, backfill, preemption, sharing and partitions: refused for a stated reason, or told alike.

The combinations, 58,320, are counted out and not drawn, so that none is left out by chance; the placement is the next
in turn, workload and site are drawn.  The other tests of this directory try fewer combinations on far more workloads.
"""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass

import numpy as np
import pytest

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.dividing import schedule_apart
from gpuyard.errors import ConfigError
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.tenancy import BETWEEN, NO_TENANTS, RECLAIMS, Limit, Tenant, Tenants
from gpuyard.virtual_clusters import VirtualCluster
from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES, compare
from oracle.test_virtual_clusters import same
from reference import ORDERS, PLACEMENTS, RULES

BACKFILLS = ("none", "fit", "easy-nodes", "easy-counts", "conservative", "slurm")
PREEMPTIONS = ("none", *RULES, "cells")
QUOTAS = tuple(f"{between} {reclaim}" for between in sorted(BETWEEN) for reclaim in sorted(RECLAIMS))
APART = ("virtual clusters", "virtual clusters with limits", "virtual clusters with quotas")
BORROWING = ("queue any lower", "cohorts lower lower")
"""Quotas by ``between``, ``reclaim`` and ``borrow_within``."""
SHARINGS = ("nobody", "limits", *APART, *QUOTAS, *BORROWING)
"""By what the cluster is shared; quotas by ``between`` and ``reclaim``, which are drawn in virtual clusters."""
FAIR = ("multifactor, classic", "multifactor, fair-tree")
"""Orders by fair share, by how it is worked out."""
ALL_ORDERS = (*sorted(ORDERS), *FAIR)
OWN_ORDERS = ("srtf", "srsf", "time-slice")
"""Rules that say themselves who is next."""
STEP = 1 if EXAMPLES >= 100 else 11
"""Every eleventh combination is tried, another one under each order and backfill; all with ``GPUYARD_EXAMPLES=100``."""
TERMS = {
    "partition": {"tiers": {"debug": 2, "long": 1}},
    "qos": {"tiers": {"high": 2}},
    "time-slice": {"time_slice": 2},
    "las": {"thresholds": (2, 5)},
    "2d-las": {"thresholds": (4, 15)},
    "gittins": {"thresholds": (4, 15)},
}
"""What a rule needs, small enough to bind."""


@dataclass(frozen=True)
class Choice:
    """One combination."""

    order: str
    backfill: str
    rule: str
    sharing: str
    partitioned: bool

    @property
    def is_shared(self) -> bool:
        return self.sharing not in ("nobody", "virtual clusters")

    @property
    def is_apart(self) -> bool:
        return self.sharing in APART

    @property
    def number(self) -> int:
        """What is drawn for the combination goes by it."""
        return zlib.crc32(repr(self).encode())

    def refused(self) -> str:
        """Return what the refusal says, as the pages have it; nothing where the combination is accepted."""
        planned = self.backfill == "conservative"
        reasons = {
            "whose promises are for good: who is preempted comes back": planned and self.rule != "none",
            "whose promises are for good: quotas of that time are not known": planned and self.is_shared,
            "is an order of its own": self.rule in OWN_ORDERS and self.order != "fifo",
            "takes back what tenants lent, and there are no tenants": self.rule == "reclaim" and not self.is_shared,
            "whose plan counts GPUs, and GPUs need not be cells": self.rule == "cells" and self.backfill == "slurm",
            "what is kept for one; leave 'reservation' out": self.rule == "cells" and self.backfill == "easy-counts",
            "quotas of tenants do not go with cells": self.rule == "cells" and self.sharing in (*QUOTAS, *BORROWING),
            "takes from less urgent jobs, and under preemption reclaim": self.rule == "reclaim"
            and self.sharing in BORROWING,
            "do not go with cells, whose owners are promised cells anywhere": self.rule == "cells" and self.partitioned,
            "cells of the policy are pieces of the whole cluster": self.rule == "cells" and self.is_apart,
        }
        return "|".join(reason for reason, holds in reasons.items() if holds)

    def policy(self, placement: str) -> Policy:
        order, _, fair = self.order.partition(", ")
        fields: dict[str, object] = {"order": order, "backfill": self.backfill.split("-")[0]}
        if fair:
            fields |= {"weights": {"fairshare": 1000, "age": 1}, "fair_share": fair, "share_period": 2, "half_life": 9}
        if self.backfill == "easy-counts":
            fields["reservation"] = "counts"
        if self.backfill == "slurm":
            fields |= {"interval": 2, "resolution": 1}
        if self.rule == "cells":
            return Policy(**fields, cells={"owners": {"red": {"node": 1}}, "beyond": "opportunistic"})
        if self.rule != "none":
            costs = {"restart_cost": 1, "checkpoint_interval": 0 if self.rule == "time-slice" else 2}
            fields["preemption"] = {"rule": self.rule, **costs, **TERMS.get(self.rule, {})}
        return Policy(**fields, placement=placement)

    def tenants(self, gpus: int) -> Tenants:
        limit = Limit(each=("user",), jobs=2)
        if self.sharing.endswith("limits"):
            return Tenants(limits=(limit,))
        if not self.is_shared:
            return NO_TENANTS
        sharing = QUOTAS[self.number % len(QUOTAS)] if self.is_apart else self.sharing
        between, reclaim, *within = sharing.split()
        return Tenants(
            tenants=(
                Tenant(name="red", nominal=gpus // 3, weight=2),
                Tenant(name="blue", nominal=gpus // 3),
                Tenant(name="blue/sky", nominal=1),
            ),
            limits=(limit,) if gpus % 3 else (),
            between=between,
            reclaim=reclaim,
            borrow_within=within[0] if within else "never",
            nominal=gpus // 3,
        )

    def virtual_clusters(self, site: Cluster, jobs: Workload) -> list[VirtualCluster]:
        """Return one of the first node and one of all others; with tenants, of users, whose tenants share it."""
        column = "user" if self.is_shared else "tenant"
        known = jobs.table[column].to_pylist()
        named = {"ann": (0,), "bob": (f"1-{site.nodes - 1}",)} if self.is_shared else {"red": (0,), "blue": ("1-1",)}
        if not {*named} & {*known}:
            named = {known[0]: (f"0-{site.nodes - 1}",)}
        sizes = {
            name: int(site.node_gpus[numbers].sum())
            for name, numbers in zip(named, (slice(1), slice(1, None)), strict=False)
        }
        return [
            VirtualCluster(
                name=name,
                nodes=nodes,
                sharing=self.tenants(sizes[name]),
                **({"users": (name,)} if self.is_shared else {}),
            )
            for name, nodes in named.items()
            if name in known
        ]


CHOICES = [Choice(*each) for each in itertools.product(ALL_ORDERS, BACKFILLS, PREEMPTIONS, SHARINGS, (False, True))]


def site_of(rng: np.random.Generator, *, alike: bool) -> Cluster:
    nodes = int(rng.integers(2, 5))
    if alike:
        return cluster(*[4] * nodes)
    sizes = [("ab"[int(rng.integers(2))], int(rng.choice([1, 2, 4]))) for _ in range(nodes)]
    return cluster(*sizes, cpus=[8] * nodes, levels=[[node // 2 for node in range(nodes)]])


def jobs_of(rng: np.random.Generator, site: Cluster) -> Workload:
    """Return jobs that crowd the site, the later ones often more urgent in all that a rule may go by."""
    rows = []
    for number in range(int(rng.integers(6, 13))):
        asked = int(rng.integers(1, max(2, site.gpus // 2 + 1)))
        more: dict[str, object] = {
            "priority": int(rng.integers(-1, 2)) + number // 4,
            "user": str(rng.choice(["ann", "bob", "eve"])),
            "tenant": str(rng.choice(["red", "blue", "blue/sky", "grey"])),
            "partition": str(rng.choice(["debug", "long"])),
            "qos": str(rng.choice(["high", "low"])),
            "deadline": float(rng.integers(0, 40)),
            "nice": int(rng.integers(0, 3)),
        }
        if rng.random() < 0.5:
            more["time_limit"] = float(rng.integers(2, 12))
        rows.append((float(number * rng.choice([0.5, 1])), float(rng.integers(1, 14 - number)), asked, more))
    return workload(*rows)


def tell_alike(choice: Choice, placement: str) -> None:
    """Compare both on one workload; the name of the combination decides which."""
    rng = np.random.default_rng(choice.number)
    site = site_of(rng, alike=choice.rule == "cells")
    jobs, policy = jobs_of(rng, site), choice.policy(placement)
    until = None if rng.integers(3) else 12
    if choice.is_apart:
        same(jobs, site, policy, choice.virtual_clusters(site, jobs), 0, until, windows=windows_of(choice, site))
        return
    compare(jobs, site, policy, 0, until, tenants=choice.tenants(site.gpus), windows=windows_of(choice, site))


def windows_of(choice: Choice, site: Cluster) -> list[NodeWindow]:
    """Return partitions that overlap in one node."""
    if not choice.partitioned:
        return []
    parts = {"debug": "0-1", "long": f"1-{site.nodes - 1}"}
    return [NodeWindow.partition(name, (nodes,)) for name, nodes in parts.items()]


def refuse(choice: Choice, reason: str) -> None:
    """Assert that the engine refuses a combination for this reason."""
    with pytest.raises(ConfigError, match=reason):
        run(choice)


def run(choice: Choice) -> None:
    """Run the engine alone on one small job."""
    site = cluster(4, 4)
    jobs = workload((0, 1, 1, {"tenant": "red", "partition": "debug", "user": "ann"}))
    policy, closed = choice.policy("best-fit"), windows_of(choice, site)
    if choice.is_apart:
        schedule_apart(jobs, site, policy, virtual_clusters=choice.virtual_clusters(site, jobs), windows=closed)
    else:
        schedule(jobs, site, policy, tenants=choice.tenants(site.gpus), windows=closed)


@pytest.mark.parametrize("backfill", BACKFILLS)
@pytest.mark.parametrize("order", ALL_ORDERS)
def test_every_combination_is_refused_for_its_reason_or_told_alike(order, backfill):
    mine = [each for each in CHOICES if (each.order, each.backfill) == (order, backfill)]
    turn = itertools.cycle(PLACEMENTS)
    for choice in mine[zlib.crc32((order + backfill).encode()) % STEP :: STEP]:
        if reason := choice.refused():
            refuse(choice, reason)
        else:
            tell_alike(choice, next(turn))
