"""Bounds of partitions and QOS, worked by hand: engine and reference must tell the same story.

Rows are (submit_time, runtime, gpus), times in seconds.
"""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from gpuyard.bounds import Bounds
from gpuyard.cluster import Cluster
from gpuyard.dividing import schedule_apart
from gpuyard.policy import Policy
from gpuyard.virtual_clusters import VirtualCluster
from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from oracle.comparing import told
from reference import SECOND, Fate, simulate

TEST = pytest.mark.parametrize("tell", ["engine", "reference"])
FOURS = cluster(4, 4, 4)
SHORT = {"partition": "short"}


def fates(tell: str, jobs: Workload, site: Cluster, *bounds: Bounds, **more: object) -> list[Fate]:
    given = {"begin": None, "until": None, "windows": (), "virtual_clusters": (), **more}
    policy = given.pop("policy", Policy(backfill="fit"))
    if tell == "reference":
        return simulate(jobs, site, policy, bounds=bounds, **given)
    return told(schedule_apart(jobs, site, policy, bounds=bounds, **given))


def rejected(*given: object, **more: object) -> list[int]:
    """Return the rows that are rejected."""
    return [row for row, fate in enumerate(fates(*given, **more)) if fate.outcome == "rejected"]


def ran(*given: object, **more: object) -> list[tuple[float, float]]:
    return [(fate.start / SECOND, fate.end / SECOND) for fate in fates(*given, **more)]


def of(partition: str | None = None, qos: str | None = None, **more: object) -> dict[str, object]:
    return {"partition": partition, "qos": qos, **more}


# --- Time ----------------------------------------------------------------------------------------------------


@TEST
def test_a_time_limit_above_that_of_its_partition_or_qos_is_rejected_one_as_long_is_not(tell):
    jobs = workload(
        (0, 1, 1, of("short", time_limit=10)),
        (0, 1, 1, of("short", time_limit=10.000001)),
        (0, 1, 1, of("long", time_limit=50)),
        (0, 1, 1, of("long", "quick", time_limit=50)),
        (0, 1, 1, of("short", "quick", time_limit=6)),
        (0, 1, 1, of(None, "quick", time_limit=5)),
    )
    bounds = Bounds(partition="short", max_time=10), Bounds(qos="quick", max_time=5)
    assert rejected(tell, jobs, FOURS, *bounds) == [1, 3, 4]


@TEST
def test_a_job_without_a_time_limit_has_the_shortest_that_is_given(tell):
    """Who states one has that; the others are killed after 10, 4, 6 seconds, and the last not at all."""
    jobs = workload(
        (0, 20, 1, of("short", time_limit=8)),
        (0, 20, 1, of("short")),
        (0, 20, 1, of("short", "quick")),
        (0, 20, 1, of("slow", "lazy")),
        (0, 20, 1, of("slow")),
    )
    bounds = (
        Bounds(partition="short", max_time=30, default_time=10),
        Bounds(qos="quick", max_time=4),
        Bounds(qos="lazy", max_time=60, default_time=6),
    )
    assert ran(tell, jobs, FOURS, *bounds) == [(0, 8), (0, 10), (0, 4), (0, 6), (0, 20)]
    assert [fate.outcome for fate in fates(tell, jobs, FOURS, *bounds)] == ["timed_out"] * 4 + ["completed"]


@TEST
def test_the_scheduler_counts_on_the_time_limit_of_a_partition(tell):
    """The head needs all 4 GPUs at 10; of two jobs of 1 GPU that in ``short`` is done by then, as far as one knows."""
    jobs = workload(
        (0, 10, 3, of("long", time_limit=10)),
        (1, 5, 4, of("long", time_limit=5)),
        (2, 3, 1, of("long", time_limit=20)),
        (2, 3, 1, of("short")),
    )
    easy = Policy(backfill="easy")
    times = ran(tell, jobs, cluster(4), Bounds(partition="short", max_time=8), policy=easy)
    assert times == [(0, 10), (10, 15), (15, 18), (2, 5)]
    assert ran(tell, jobs, cluster(4), Bounds(partition="short", max_time=9), policy=easy)[3] == (15, 18)


@TEST
def test_where_limits_do_not_kill_they_are_estimates_and_bounds_all_the_same(tell):
    jobs = workload((0, 20, 1, of("short")), (0, 20, 1, of("short", time_limit=11)))
    ignoring = Policy(backfill="fit", on_limit="ignore")
    told_now = fates(tell, jobs, FOURS, Bounds(partition="short", max_time=10), policy=ignoring)
    assert [(fate.outcome, fate.end) for fate in told_now] == [("completed", 20 * SECOND), ("rejected", None)]


# --- Nodes ---------------------------------------------------------------------------------------------------


@TEST
def test_a_job_that_names_no_nodes_has_the_fewest_that_it_can_run_on(tell):
    """On nodes of 4 and of 8 GPUs: 8 GPUs are one node, 16 two; of type ``small`` alone these are 2 and 4."""
    site = cluster(*[("small", 4)] * 4, *[("large", 8)] * 2)
    jobs = workload(
        (0, 1, 8, of("p")),
        (0, 1, 16, of("p")),
        (0, 1, 8, of("p", gpu_type="small")),
        (0, 1, 12, of("p", gpu_type="small")),
        (0, 1, 16, of("p", gpu_type="small|large")),
        (0, 1, 3, of("p", nodes=3)),
        (0, 1, 2, of("p", nodes=2)),
    )
    assert rejected(tell, jobs, site, Bounds(partition="p", max_nodes=2)) == [3, 5]
    assert rejected(tell, jobs, site, Bounds(partition="p", min_nodes=2)) == [0]
    assert rejected(tell, jobs, site, Bounds(partition="p", min_nodes=2, max_nodes=2)) == [0, 3, 5]


@TEST
def test_a_job_of_no_gpus_has_one_node_and_one_that_is_spread_no_number(tell):
    site = cluster(4, 4, 4, cpus=[8, 8, 8])
    jobs = workload(
        (0, 1, 0, of("p", cpus=4)),
        (0, 1, 0, of("p", cpus=4, nodes=2)),
        (0, 1, 9, of("p", spread=True)),
        (0, 1, 9, of("p")),
    )
    assert rejected(tell, jobs, site, Bounds(partition="p", max_nodes=2)) == [3]
    assert rejected(tell, jobs, site, Bounds(partition="p", min_nodes=2)) == [0]


# --- GPUs, CPUs, memory --------------------------------------------------------------------------------------


@TEST
def test_gpus_are_counted_as_asked_for(tell):
    """Half a GPU is half a GPU, unless it is exclusive."""
    half = {"gpu_milli": 500}
    jobs = workload(
        (0, 1, 1, of(None, "tiny", **half)),
        (0, 1, 1, of(None, "tiny", **half, exclusive=True)),
        (0, 1, 1, of(None, "tiny")),
        (0, 1, 4, of(None, "big")),
        (0, 1, 3, of(None, "big")),
    )
    bounds = Bounds(qos="tiny", max_gpus=0.5), Bounds(qos="big", min_gpus=4)
    assert rejected(tell, jobs, FOURS, *bounds) == [1, 2, 4]


@TEST
def test_a_job_of_no_gpus_is_below_a_least_number(tell):
    jobs = workload((0, 1, 0, of("p", cpus=1)), (0, 1, 1, of("p")))
    site = cluster(4, cpus=[8])
    assert rejected(tell, jobs, site, Bounds(partition="p", min_gpus=1)) == [0]


@TEST
def test_cpus_and_memory_are_those_of_the_whole_job_and_nothing_where_nothing_is_said(tell):
    jobs = workload(
        (0, 1, 2, of("p", cpus=8)),
        (0, 1, 2, of("p", cpus=8.5)),
        (0, 1, 2, of("p", memory_gib=16)),
        (0, 1, 2, of("p", memory_gib=16.5)),
        (0, 1, 2, of("p")),
    )
    bounds = Bounds(partition="p", max_cpus=8, max_memory_gib=16)
    assert rejected(tell, jobs, FOURS, bounds) == [1, 3], "whether or not the cluster states its CPUs and memory"


# --- Who -----------------------------------------------------------------------------------------------------


@TEST
def test_a_tenant_is_allowed_with_those_below_it(tell):
    tenants = ["steel", "steel/vision", "steelworks", "vision/steel", None]
    jobs = workload(*[(0, 1, 1, of("p", tenant=tenant)) for tenant in tenants])
    assert rejected(tell, jobs, FOURS, Bounds(partition="p", allow_tenants=("steel",))) == [2, 3, 4]
    assert rejected(tell, jobs, FOURS, Bounds(partition="p", deny_tenants=("steel",))) == [0, 1]
    assert rejected(tell, jobs, FOURS, Bounds(partition="p", allow_tenants=("steel/vision", "vision"))) == [0, 2, 4]


@TEST
def test_a_partition_takes_jobs_of_the_qos_that_it_names(tell):
    jobs = workload(*[(0, 1, 1, of("p", qos)) for qos in ("high", "low", None)])
    assert rejected(tell, jobs, FOURS, Bounds(partition="p", allow_qos=("high",))) == [1, 2]
    assert rejected(tell, jobs, FOURS, Bounds(partition="p", deny_qos=("high",))) == [0]
    low = Bounds(qos="low", is_default=True)
    assert rejected(tell, jobs, FOURS, low, Bounds(partition="p", allow_qos=("low",))) == [0]
    assert rejected(tell, jobs, FOURS, low, Bounds(partition="p", deny_qos=("low",))) == [1, 2]


@TEST
def test_who_names_none_is_of_the_default(tell):
    """Job 3 names a partition and a QOS of which nothing is said."""
    jobs = workload((0, 1, 2), (0, 1, 2, of("p")), (0, 1, 2, of(None, "q")), (0, 1, 2, of("else", "else")))
    assert rejected(tell, jobs, FOURS, Bounds(partition="p", max_gpus=1)) == [1]
    assert rejected(tell, jobs, FOURS, Bounds(partition="p", is_default=True, max_gpus=1)) == [0, 1, 2]
    assert rejected(tell, jobs, FOURS, Bounds(qos="q", is_default=True, max_gpus=1)) == [0, 1, 2]


@TEST
def test_a_default_partition_with_nodes_is_the_default_for_bounds_too(tell):
    """Job 0 is of ``p``, whose only node holds it."""
    jobs = workload((0, 1, 2), (0, 1, 1))
    nodes = [NodeWindow.partition("p", (2,), is_default=True)]
    bounds = Bounds(partition="p", is_default=True, max_gpus=1)
    assert rejected(tell, jobs, FOURS, bounds, windows=nodes) == [0]
    assert fates(tell, jobs, FOURS, bounds, windows=nodes)[1].slots[0][0] == 2


# --- Beside others -------------------------------------------------------------------------------------------


@TEST
def test_what_depends_on_a_job_beyond_a_bound_is_rejected_with_it(tell):
    jobs = workload((0, 1, 2, of("p")), (0, 1, 1, {"depends_on": ["0"]}), (0, 1, 1))
    assert rejected(tell, jobs, FOURS, Bounds(partition="p", max_gpus=1)) == [0, 1]


@TEST
def test_who_has_started_has_started(tell):
    """All three are beyond the bound; the first ran when the simulation began, and ends when it did."""
    jobs = workload(
        (0, 30, 4, of("p", start_time=0)), (0, 30, 4, of("p", start_time=12)), (0, 30, 4, of("p", start_time=10))
    )
    told_now = fates(tell, jobs, FOURS, Bounds(partition="p", max_time=5, max_gpus=1), begin=10)
    assert [(fate.outcome, fate.end) for fate in told_now] == [
        ("completed", 30 * SECOND),
        ("rejected", None),
        ("rejected", None),
    ]


@TEST
def test_in_a_virtual_cluster_nodes_are_those_of_its_own(tell):
    """8 GPUs are one node of the second and two of the first."""
    site = cluster(4, 4, 8, 8)
    parts = [
        VirtualCluster(name="a", nodes=("0-1",), users=("ann",)),
        VirtualCluster(name="b", nodes=("2-3",), users=("bob",)),
    ]
    jobs = workload(*[(0, 1, 8, of("p", user=user)) for user in ("ann", "bob")])
    assert rejected(tell, jobs, site, Bounds(partition="p", max_nodes=1), virtual_clusters=parts) == [0]
    assert rejected(tell, jobs, site, Bounds(partition="p", min_nodes=2), virtual_clusters=parts) == [1]
