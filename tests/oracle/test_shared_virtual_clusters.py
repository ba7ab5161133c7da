"""Engine against reference: tenants and partitions with nodes in virtual clusters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st

from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.tenancy import NO_TENANTS, Tenant, Tenants
from gpuyard.virtual_clusters import VirtualCluster, owners_of_nodes
from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES
from oracle.test_commissioning import commissionings
from oracle.test_constraints import partitions, recorded
from oracle.test_schedules import checked
from oracle.test_virtual_clusters import divided, same
from reference import ORDERS, RULES
from strategies import VARIANTS, clusters, crowded_sites, crowded_workloads, policies, preemptions, ranked
from tenant_strategies import owned, tenants

QUEUED = ("none", "fit", "easy-nodes", "easy-counts", "slurm", "slurm-bounded")
"""Backfills that tenants go with."""
SOMEBODY = Tenants(tenants=(Tenant(name="blue", nominal=1),))


@st.composite
def shared_out(draw: st.DrawFn, site: Cluster, parts: list[VirtualCluster]) -> tuple[list[VirtualCluster], Tenants]:
    """Give most virtual clusters tenants of their own, and some runs tenants that hold where there are none."""
    owner = owners_of_nodes(site, parts)
    found = []
    for number, each in enumerate(parts):
        there = site.part(np.flatnonzero(owner == number), each.name)
        found.append(replace(each, sharing=draw(tenants(there)) if draw(st.integers(0, 3)) else None))
    if draw(st.integers(0, 2)):
        return found, NO_TENANTS
    return found, replace(draw(tenants(site, kind="none")), limits=())


@st.composite
def preempting(draw: st.DrawFn, variant: str) -> Policy:
    rule = draw(st.sampled_from(["reclaim", "reclaim", *sorted(RULES)]))
    order = "fifo" if rule in {"srtf", "srsf", "time-slice"} else draw(st.sampled_from(sorted(ORDERS)))
    return draw(policies(variant=variant, order=order, preemption=draw(preemptions(rule))))


@st.composite
def closed(draw: st.DrawFn, site: Cluster) -> list[NodeWindow]:
    """Nothing, partitions that may overlap, or maintenance, and some nodes that come later."""
    found = draw(st.sampled_from([0, 1, 2]))
    maintained = [NodeWindow(nodes=(draw(st.integers(0, site.nodes - 1)),), start=3, end=draw(st.integers(4, 9)))]
    taken = [[], draw(partitions(site.nodes)), maintained][found]
    return taken + (draw(commissionings(site.nodes, 1)) if draw(st.integers(0, 3)) == 3 else [])


@pytest.mark.parametrize("preempts", [False, True], ids=["stays", "preempts"])
@pytest.mark.parametrize("variant", QUEUED)
def test_tenants_of_virtual_clusters_have_the_schedule_of_the_reference(variant, preempts):
    def check(data: st.DataObject) -> None:
        site = data.draw(st.one_of(crowded_sites(), clusters(6)), label="cluster")
        jobs = data.draw(owned(data.draw(ranked(data.draw(crowded_workloads(site, 1))))))
        more: dict[str, object] = {}
        if data.draw(st.integers(0, 2)) == 2:
            jobs, more["begin"] = data.draw(recorded(jobs, 1)), data.draw(st.integers(0, 5))
        jobs, parts = data.draw(divided(site, jobs, ("user", "partition")), label="virtual clusters")
        parts, of_run = data.draw(shared_out(site, parts), label="shared")
        policy = data.draw(preempting(variant) if preempts else policies(variant=variant), label="policy")
        if policy.preemption.rule == "reclaim":
            parts = [each if each.sharing or of_run else replace(each, sharing=SOMEBODY) for each in parts]
        more["windows"] = data.draw(closed(site), label="windows")
        until = data.draw(st.none() | st.none() | st.integers(5, 20), label="until")
        same(jobs, site, policy, parts, data.draw(st.integers(0, 3), label="seed"), until, tenants=of_run, **more)

    checked(f"tenants of virtual clusters {variant} {preempts}", EXAMPLES, check)


@pytest.mark.parametrize("variant", VARIANTS)
def test_partitions_are_cut_to_virtual_clusters_as_the_reference_has_it(variant):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 1e-6]), label="scale")
        site = data.draw(st.one_of(crowded_sites(), clusters(6)), label="cluster")
        jobs = data.draw(crowded_workloads(site, scale))
        rows = jobs.table.to_pylist()
        for row in rows:
            row["partition"] = data.draw(st.sampled_from(["debug", "all", "long", "else", None]))
        jobs = Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))
        more: dict[str, object] = {}
        if data.draw(st.integers(0, 2)) == 2:
            jobs, more["begin"] = data.draw(recorded(jobs, scale)), data.draw(st.integers(0, 5)) * scale
        jobs, parts = data.draw(divided(site, jobs, ("user", "tenant")), label="virtual clusters")
        more["windows"] = data.draw(partitions(site.nodes), label="partitions")
        policy = data.draw(policies(scale=scale, variant=variant), label="policy")
        until = data.draw(st.none() | st.none() | st.integers(5, 20).map(lambda at: at * scale), label="until")
        same(jobs, site, policy, parts, data.draw(st.integers(0, 3), label="seed"), until, **more)

    checked(f"partitions in virtual clusters {variant}", EXAMPLES, check)
