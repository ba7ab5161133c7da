"""Engine against reference where tenants share a cluster: the identical schedule, attempt by attempt.

``-k "srtf and fair"`` chooses cases; ``GPUYARD_EXAMPLES`` sets the number of workloads for each.
"""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.tenancy import BETWEEN, RECLAIMS
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES, compare
from oracle.test_commissioning import commissionings
from oracle.test_constraints import in_arrays, recorded
from oracle.test_preemption import PLACEMENTS
from oracle.test_schedules import checked
from reference import RULES
from reference.queueing import ORDERS, SCORED
from strategies import clusters, crowded_sites, crowded_workloads, policies, preemptive_policies, ranked, workloads
from tenant_strategies import KINDS, lenders, lent_to, owned, tenants

FIXED_ORDERS = tuple(order for order in ORDERS if order not in SCORED)
BACKFILLS = ("none", "fit")


def agree(
    data: st.DataObject,
    site: Cluster,
    jobs: Workload,
    rule: str,
    scale: float = 1,
    *,
    sharing: dict[str, object],
    beside: dict[str, object] | None = None,
    **fixed: object,
) -> None:
    """Compare on these jobs, given to tenants at random, under any policy with this rule and these fields.

    ``beside``: what both simulators are given as well.
    """
    jobs = data.draw(owned(data.draw(ranked(jobs, scale))), label="workload")
    fixed.setdefault("backfill", data.draw(st.sampled_from(BACKFILLS), label="backfill"))
    if rule == "none":
        fixed.setdefault("order", data.draw(st.sampled_from(FIXED_ORDERS), label="order"))
        policy = data.draw(policies(scale=scale, variant=fixed["backfill"], **fixed), label="policy")
    else:
        policy = data.draw(preemptive_policies(rule, scale, **fixed), label="policy")
    shared = data.draw(tenants(site, **sharing), label="tenants")
    run_seed = data.draw(st.integers(0, 3), label="seed")
    first = (beside or {}).get("begin", 0)
    until = data.draw(st.none() | st.none() | st.integers(0, 20).map(lambda at: first + at * scale), label="until")
    compare(jobs, site, policy, run_seed, until, tenants=shared, **(beside or {}))


def scales(data: st.DataObject) -> float:
    return data.draw(st.sampled_from([1, 1, 0.001, 1e-6]), label="scale")


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("backfill", BACKFILLS)
@pytest.mark.parametrize("kind", KINDS)
def test_tenants_have_the_schedule_of_the_reference_where_nobody_is_preempted(kind, backfill, between):
    def check(data: st.DataObject) -> None:
        scale = scales(data)
        site = data.draw(crowded_sites(), label="cluster")
        jobs = data.draw(crowded_workloads(site, scale))
        agree(data, site, jobs, "none", scale, sharing={"kind": kind, "between": between}, backfill=backfill)

    checked(f"tenants {kind} {backfill} {between}", EXAMPLES, check)


@pytest.mark.parametrize("reclaim", RECLAIMS)
@pytest.mark.parametrize("rule", RULES)
def test_tenants_have_the_attempts_of_the_reference(rule, reclaim):
    def check(data: st.DataObject) -> None:
        scale = scales(data)
        site = data.draw(crowded_sites(), label="cluster")
        jobs = data.draw(crowded_workloads(site, scale))
        agree(data, site, jobs, rule, scale, sharing={"reclaim": reclaim})

    checked(f"tenants {rule} {reclaim}", EXAMPLES, check)


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("reclaim", RECLAIMS)
def test_tenants_that_borrow_have_the_attempts_of_the_reference(reclaim, between):
    """One node and jobs of GPUs alone: nobody waits but for quotas and GPUs, so that much is lent and taken back."""

    def check(data: st.DataObject) -> None:
        gpus = data.draw(st.sampled_from([4, 8, 8]), label="gpus")
        shared = data.draw(lenders(gpus, reclaim=reclaim, between=between), label="tenants")
        jobs = data.draw(lent_to(shared), label="workload")
        rule = data.draw(st.sampled_from(["reclaim", "reclaim", "priority", "las"]), label="rule")
        policy = data.draw(preemptive_policies(rule, exclusive=False, spread=False), label="policy")
        compare(jobs, cluster(gpus), policy, 0, None, tenants=shared)

    checked(f"borrowing {reclaim} {between}", EXAMPLES, check)


@pytest.mark.parametrize("reclaim", RECLAIMS)
@pytest.mark.parametrize("backfill", BACKFILLS)
def test_quotas_by_type_have_the_attempts_of_the_reference(backfill, reclaim):
    """Two types in plenty of nodes, and jobs that take either."""

    def check(data: st.DataObject) -> None:
        sizes = data.draw(
            st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([1, 2, 4])), min_size=2, max_size=5)
        )
        job = st.tuples(
            st.integers(0, 9), st.integers(1, 9), st.integers(1, 4), st.sampled_from([None, "a", "a|b", "b"])
        )
        rows = data.draw(st.lists(job, min_size=4, max_size=14))
        jobs = workload(*((at, run, gpus, {"gpu_type": types, "user": "ann"}) for at, run, gpus, types in rows))
        rule = data.draw(st.sampled_from(["reclaim", "reclaim", "priority", "srtf"]), label="rule")
        agree(data, cluster(*sizes), jobs, rule, sharing={"kind": "types", "reclaim": reclaim}, backfill=backfill)

    checked(f"types {reclaim} {backfill}", EXAMPLES, check)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("backfill", BACKFILLS)
@pytest.mark.parametrize("rule", ["none", *RULES])
def test_tenants_have_the_attempts_of_the_reference_for_jobs_of_every_kind(rule, backfill, placement):
    def check(data: st.DataObject) -> None:
        site = data.draw(clusters(6), label="cluster")
        jobs = data.draw(workloads(site, 14))
        agree(data, site, jobs, rule, sharing={}, backfill=backfill, placement=placement)

    checked(f"tenants, every kind {rule} {backfill} {placement}", max(EXAMPLES // 10, 2), check)


@pytest.mark.parametrize("rule", ["none", "priority", "reclaim"])
def test_arrays_of_tenants_have_the_attempts_of_the_reference(rule):
    def check(data: st.DataObject) -> None:
        scale = scales(data)
        site = data.draw(crowded_sites(), label="cluster")
        agree(data, site, data.draw(in_arrays(data.draw(crowded_workloads(site, scale)))), rule, scale, sharing={})

    checked(f"tenants, arrays {rule}", EXAMPLES, check)


@pytest.mark.parametrize("reclaim", RECLAIMS)
@pytest.mark.parametrize("rule", ["none", *RULES])
def test_tenants_of_nodes_that_come_later_have_the_attempts_of_the_reference(rule, reclaim):
    def check(data: st.DataObject) -> None:
        scale = scales(data)
        site = data.draw(crowded_sites(), label="cluster")
        jobs = data.draw(crowded_workloads(site, scale))
        later = data.draw(commissionings(site.nodes, scale), label="later")
        agree(data, site, jobs, rule, scale, sharing={"reclaim": reclaim}, beside={"windows": later})

    checked(f"tenants, later {rule} {reclaim}", EXAMPLES, check)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("rule", ["none", "priority", "reclaim"])
def test_tenants_of_nodes_that_come_later_under_every_placement(rule, placement):
    def check(data: st.DataObject) -> None:
        site = data.draw(clusters(6), label="cluster")
        jobs = data.draw(workloads(site, 14))
        later = data.draw(commissionings(site.nodes, 1), label="later")
        agree(data, site, jobs, rule, sharing={}, beside={"windows": later}, placement=placement)

    checked(f"tenants, later, every kind {rule} {placement}", max(EXAMPLES // 10, 2), check)


@pytest.mark.parametrize("reclaim", RECLAIMS)
@pytest.mark.parametrize("rule", ["none", *RULES])
def test_tenants_of_a_beginning_in_the_middle_have_the_attempts_of_the_reference(rule, reclaim):
    def check(data: st.DataObject) -> None:
        scale = scales(data)
        site = data.draw(crowded_sites(), label="cluster")
        jobs = data.draw(crowded_workloads(site, scale))
        if data.draw(st.booleans()):
            jobs = data.draw(in_arrays(jobs))
        jobs = data.draw(recorded(jobs, scale))
        begin = data.draw(st.integers(0, 8).map(lambda at: at * scale), label="begin")
        later = data.draw(st.just([]) | commissionings(site.nodes, scale), label="later")
        beside = {"begin": begin, "windows": later}
        agree(data, site, jobs, rule, scale, sharing={"reclaim": reclaim}, beside=beside)

    checked(f"tenants, begin {rule} {reclaim}", EXAMPLES, check)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("rule", ["none", "priority", "reclaim"])
def test_tenants_of_a_beginning_in_the_middle_under_every_placement(rule, placement):
    def check(data: st.DataObject) -> None:
        site = data.draw(clusters(6), label="cluster")
        jobs = data.draw(recorded(data.draw(workloads(site, 14)), 1))
        begin = data.draw(st.integers(0, 8), label="begin")
        agree(data, site, jobs, rule, sharing={}, beside={"begin": begin}, placement=placement)

    checked(f"tenants, begin, every kind {rule} {placement}", max(EXAMPLES // 10, 2), check)
