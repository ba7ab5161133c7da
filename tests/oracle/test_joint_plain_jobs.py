"""Engine against reference: many plain jobs on alike nodes, so that heads, those who pass and those who preempt abound.

They ask for GPUs alone and are expected to end by their limits.  Of workloads with everything in them most have no head
that waits for long; of these, nearly all.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import strategies as st

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.tenancy import BETWEEN, RECLAIMS, Limit, Tenant, Tenants
from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from oracle.comparing import FEWER, compare
from oracle.test_constraints import partitions, windows
from oracle.test_joint import VARIANTS, in_partitions, orders_beside, policy_of
from oracle.test_preemption import URGENT
from oracle.test_schedules import checked
from reference import RULES
from tenant_strategies import lenders

CLOSED = ("nothing", "windows", "partitions")
LIMITS = ((), (), (Limit(each=("user",), jobs=1),), (Limit(each=("user", "tenant"), gpus=2),))


@st.composite
def sites_and_jobs(draw: st.DrawFn) -> tuple[Cluster, Workload]:
    """Up to four alike nodes, and up to 20 jobs of few priorities and sizes."""
    size = draw(st.sampled_from([1, 2, 4, 4]))
    site = cluster(*[size] * draw(st.integers(1, 4)))
    gpus = st.sampled_from([1, 1, 2, 3, size, 2 * size, site.gpus]).filter(lambda each: each <= site.gpus)
    levels = st.sampled_from(draw(st.sampled_from([(0, 1), (0, 1, 1, 1, 2), (0, 1, 2, 3)])))
    more = st.sampled_from(draw(st.sampled_from([(0,), (0, 0, 0, 5), (-3, 0, 4)])))
    span = draw(st.sampled_from([10, 30]))
    rows = []
    for _ in range(draw(st.integers(8, 20))):
        runtime, level = draw(st.integers(1, 16)), draw(levels)
        columns = {
            "priority": level,
            "qos": f"tier {level}",
            "time_limit": max(runtime + draw(more), 1),
            "preemptible": draw(st.sampled_from([None, None, None, False])),
            "user": draw(st.sampled_from(["ann", "bob", "eve"])),
            "tenant": "blue",
        }
        rows.append((draw(st.integers(0, span)), runtime, draw(gpus), columns))
    rows[0][3].update(user="ann")
    return site, workload(*rows)


def plain_policy(data: st.DataObject, rule: str, variant: str) -> Policy:
    order = data.draw(st.sampled_from([*orders_beside(rule, variant), "fifo", "fifo"]), label="order")
    placement = data.draw(st.sampled_from(["first-fit", "best-fit", "worst-fit", "packed"]))
    terms = {"placement": placement, "estimate": "limit", "on_limit": "kill", "exclusive": False, "spread": False}
    return policy_of(data, rule, variant, order, 1, **({} if order == "fair" else terms))


def closing(data: st.DataObject, jobs: Workload, site: Cluster, closed: str) -> tuple[Workload, list[NodeWindow]]:
    if closed == "partitions":
        return in_partitions(data, jobs), data.draw(partitions(site.nodes), label="partitions")
    return jobs, data.draw(windows(site.nodes, 1), label="windows") if closed == "windows" else []


@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rule", URGENT)
def test_preemption_beside_scores_easy_and_windows(rule, variant, closed):
    def check(data: st.DataObject) -> None:
        site, jobs = data.draw(sites_and_jobs(), label="site and jobs")
        jobs, windows = closing(data, jobs, site, closed)
        compare(jobs, site, plain_policy(data, rule, variant), 0, None, windows=windows)

    checked(f"plain {rule} {variant} {closed}", FEWER, check)


def lent(data: st.DataObject, site: Cluster, jobs: Workload) -> tuple[Tenants, Workload]:
    """Return tenants whose quotas are about what there is, and the jobs given to them."""
    named = {"reclaim": RECLAIMS, "between": BETWEEN}
    chosen = {name: data.draw(st.sampled_from(sorted(known)), label=name) for name, known in named.items()}
    shared = replace(data.draw(lenders(site.gpus, **chosen)), limits=data.draw(st.sampled_from(LIMITS)))
    rows = jobs.table.to_pylist()
    owners = [each.name for each in shared.tenants] + [None] * data.draw(st.integers(0, 1))
    for row in rows[1:]:
        row["tenant"] = data.draw(st.sampled_from(owners))
    return shared, Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))


@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rule", ["none", *RULES])
def test_tenants_beside_scores_easy_and_windows(rule, variant, closed):
    def check(data: st.DataObject) -> None:
        site, jobs = data.draw(sites_and_jobs(), label="site and jobs")
        shared, jobs = lent(data, site, jobs)
        jobs, windows = closing(data, jobs, site, closed)
        compare(jobs, site, plain_policy(data, rule, variant), 0, None, windows=windows, tenants=shared)

    checked(f"plain tenants {rule} {variant} {closed}", FEWER, check)


@st.composite
def typed(draw: st.DrawFn) -> tuple[Cluster, Workload, Tenants]:
    """Nodes of two types, jobs of either or both, and quotas by type that mostly let in more than there is."""
    size = draw(st.sampled_from([2, 4]))
    small = draw(st.sampled_from([1, size, size]))
    site = cluster(*[("a", small)] * draw(st.integers(1, 2)), *[("b", size)] * draw(st.integers(1, 2)))
    job = st.tuples(
        st.integers(0, 12), st.integers(1, 12), st.integers(1, size), st.sampled_from(["a", "a|b", "b", "a|b"])
    )
    rows = draw(st.lists(job, min_size=8, max_size=18))
    names = ("red", "green")
    columns = [{"tenant": draw(st.sampled_from(names)), "priority": draw(st.integers(0, 2))} for _ in rows]
    jobs = workload(
        *(
            (at, run, gpus, {"gpu_type": types, **more})
            for (at, run, gpus, types), more in zip(rows, columns, strict=True)
        )
    )
    quota = st.sampled_from([0, size, 2 * size, 3 * size, 12])
    borrow = st.sampled_from([None, {"a": 0, "b": 0}])
    given = tuple(
        Tenant(name=name, nominal={"a": draw(quota), "b": draw(quota)}, borrow=draw(borrow)) for name in names
    )
    return site, jobs, Tenants(tenants=given, reclaim=draw(st.sampled_from(sorted(RECLAIMS))))


@pytest.mark.parametrize("variant", ["easy-nodes", "easy-counts"])
@pytest.mark.parametrize("rule", ["none", "reclaim", "priority", "las"])
def test_heads_of_quotas_by_type(rule, variant):
    def check(data: st.DataObject) -> None:
        site, jobs, shared = data.draw(typed(), label="typed")
        compare(jobs, site, plain_policy(data, rule, variant), 0, None, tenants=shared)

    checked(f"typed heads {rule} {variant}", 2 * FEWER, check)
