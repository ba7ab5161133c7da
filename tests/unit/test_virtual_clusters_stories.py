"""Partitions and tenants in virtual clusters, worked by hand: engine and reference must tell the same story.

Rows are (submit_time, runtime, gpus), times in seconds; the jobs of a virtual cluster are those of the user it names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.dividing import schedule_apart
from gpuyard.policy import Policy
from gpuyard.tenancy import Tenants
from gpuyard.virtual_clusters import VirtualCluster
from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from oracle.comparing import told
from reference import SECOND, Fate, simulate

TEST = pytest.mark.parametrize("tell", ["engine", "reference"])
FOUR = cluster(1, 1, 1, 1)
EIGHT = cluster(4, 4)


def part(name: str, nodes: str, sharing: Mapping[str, object] | None = None, **more: object) -> VirtualCluster:
    """Return a virtual cluster of these nodes and of the user of its name, with tenants of its own."""
    return VirtualCluster(name=name, nodes=(nodes,), users=(name,), sharing=Tenants.of(sharing), **more)


A, B = part("a", "0-1"), part("b", "2-3")


def a(**columns: object) -> dict[str, object]:
    return {"user": "a", **columns}


def b(**columns: object) -> dict[str, object]:
    return {"user": "b", **columns}


def partition(name: str, nodes: str, *, is_default: bool = False) -> NodeWindow:
    return NodeWindow.partition(name, (nodes,), is_default=is_default)


def fates(
    tell: str,
    jobs: Workload,
    site: Cluster,
    parts: Sequence[VirtualCluster],
    policy: Policy | None = None,
    *,
    tenants: Mapping[str, object] | None = None,
    **more: object,
) -> list[Fate]:
    run = simulate if tell == "reference" else schedule_apart
    more = {"tenants": Tenants.of(tenants), **more}
    found = run(jobs, site, policy or Policy(backfill="fit"), virtual_clusters=parts, **more)
    return found if tell == "reference" else told(found)


def starts(*given: object, **more: object) -> list[float | None]:
    return [None if fate.start is None else fate.start / SECOND for fate in fates(*given, **more)]


def nodes(*given: object, **more: object) -> list[list[int]]:
    return [[node for node, _, _ in fate.slots] for fate in fates(*given, **more)]


def outcomes(*given: object, **more: object) -> list[str]:
    return [fate.outcome for fate in fates(*given, **more)]


def stays(*given: object, **more: object) -> list[list[tuple[float, float]]]:
    """Return when each job ran, attempt after attempt."""
    return [[(it.start / SECOND, it.end / SECOND) for it in fate.attempts] for fate in fates(*given, **more)]


# --- partitions --------------------------------------------------------------------------------------------


@TEST
def test_a_partition_has_its_nodes_in_each_virtual_cluster(tell):
    """Debug has nodes 1 and 2: a job of a runs on the one, of b on the other, and a second of a waits for its own."""
    debug = {"partition": "debug"}
    jobs = workload((0, 5, 1, a(**debug)), (0, 5, 1, b(**debug)), (0, 5, 1, a(**debug)), (0, 5, 1, a()))
    told_so = (tell, jobs, FOUR, [A, B])
    assert nodes(*told_so, windows=[partition("debug", "1-2")]) == [[1], [2], [1], [0]]
    assert starts(*told_so, windows=[partition("debug", "1-2")]) == [0, 0, 5, 0]


@TEST
def test_a_partition_without_nodes_in_a_virtual_cluster_holds_nobody_there(tell):
    """Job 1's node is in a; job 2 depends on it; job 3 is of a partition that has nodes nowhere."""
    debug = {"partition": "debug"}
    jobs = workload(
        (0, 5, 1, a(**debug)),
        (0, 5, 1, b(**debug)),
        (0, 5, 1, b(depends_on=["1"])),
        (0, 5, 1, b(partition="else")),
        (0, 5, 1, b()),
    )
    found = outcomes(tell, jobs, FOUR, [A, B], windows=[partition("debug", "0")])
    assert found == ["completed", "rejected", "rejected", "rejected", "completed"]


@TEST
def test_jobs_of_no_partition_are_of_the_default_wherever_its_nodes_are(tell):
    """The default has no node in b; without a default job 1 may run on any of b's."""
    jobs = workload((0, 5, 1, a()), (0, 5, 1, b()), (0, 5, 1, b(partition="far")))
    both = [partition("near", "0", is_default=True), partition("far", "3")]
    assert outcomes(tell, jobs, FOUR, [A, B], windows=both) == ["completed", "rejected", "completed"]
    assert nodes(tell, jobs, FOUR, [A, B], windows=[partition("near", "0"), both[1]]) == [[0], [2], [3]]


@TEST
def test_a_job_that_is_too_large_for_what_its_partition_has_there_is_rejected(tell):
    """Of the partition's three nodes one is in a and two are in b."""
    wide = {"partition": "wide", "nodes": 2}
    jobs = workload((0, 5, 2, a(**wide)), (0, 5, 2, b(**wide)))
    assert outcomes(tell, jobs, FOUR, [A, B], windows=[partition("wide", "1-3")]) == ["rejected", "completed"]


@TEST
def test_a_queue_is_of_a_partition_and_a_virtual_cluster(tell):
    """Under a strict order job 1 blocks debug in a (node 1), which jobs 3 and 4 of others do not wait for."""
    debug, main = {"partition": "debug"}, {"partition": "main"}
    jobs = workload(
        (0, 9, 1, a(**debug)),
        (1, 5, 1, a(**debug)),
        (2, 5, 1, a(**debug)),
        (2, 5, 1, b(**debug)),
        (2, 5, 1, a(**main)),
    )
    windows = [partition("debug", "1-2"), partition("main", "0")]
    assert starts(tell, jobs, FOUR, [A, B], Policy(), windows=windows) == [0, 9, 14, 2, 2]


@TEST
def test_a_head_of_a_partition_is_promised_a_time_in_its_own_virtual_cluster(tell):
    """The head of both in a (two nodes) is job 1, from 9 on: job 2 would outstay that, and job 3 of b does no harm."""
    both = {"partition": "both"}
    jobs = workload(
        (0, 9, 1, a(**both)),
        (1, 5, 2, a(**both, nodes=2)),
        (2, 8, 1, a(**both)),
        (2, 8, 1, b(**both)),
        (3, 6, 1, a(**both)),
    )
    found = starts(tell, jobs, FOUR, [A, B], Policy(backfill="easy"), windows=[partition("both", "0-2")])
    assert found == [0, 9, 14, 2, 3]


# --- tenants -----------------------------------------------------------------------------------------------

LIMITED = {"tenant": [{"name": "x", "nominal": 1, "borrow": 0}, {"name": "y", "nominal": 3}]}


@TEST
def test_a_quota_is_of_the_virtual_cluster_that_states_it(tell):
    """In a, x has a quota of 1 and waits with its second job; in b, where x says nothing, nobody waits."""
    x = {"tenant": "x"}
    jobs = workload((0, 5, 1, a(**x)), (0, 5, 1, a(**x)), (0, 5, 1, b(**x)), (0, 5, 1, b(**x)))
    assert starts(tell, jobs, EIGHT, [part("a", "0", LIMITED), part("b", "1")]) == [0, 5, 0, 0]


@TEST
def test_the_same_name_is_two_tenants_in_two_virtual_clusters(tell):
    """Each x may have 1 GPU; neither counts what the other holds, and y of b borrows nothing of a's."""
    x, y = {"tenant": "x"}, {"tenant": "y/deep"}
    jobs = workload((0, 5, 1, a(**x)), (0, 5, 1, b(**x)), (0, 5, 4, b(**y)), (0, 5, 3, b(**y)))
    assert outcomes(tell, jobs, EIGHT, [part("a", "0", LIMITED), part("b", "1", LIMITED)]) == ["completed"] * 4
    assert starts(tell, jobs, EIGHT, [part("a", "0", LIMITED), part("b", "1", LIMITED)]) == [0, 0, 5, 0]


@TEST
def test_a_job_that_no_quota_of_its_virtual_cluster_admits_is_rejected(tell):
    """Two GPUs are more than x may have in a, and not in b."""
    jobs = workload((0, 5, 2, a(tenant="x")), (0, 5, 2, b(tenant="x")), (0, 5, 1, a(tenant="z")))
    larger = {"tenant": [{"name": "x", "nominal": 2}]}
    found = outcomes(tell, jobs, EIGHT, [part("a", "0", LIMITED), part("b", "1", larger)])
    assert found == ["rejected", "completed", "completed"], "z is nobody in a and may borrow what y leaves"


@TEST
def test_what_was_lent_is_taken_back_in_the_same_virtual_cluster_only(tell):
    """At 2 y of a takes its two GPUs back from x of a; x of b, which borrows as much, goes on."""
    halves = {"tenant": [{"name": "x", "nominal": 2}, {"name": "y", "nominal": 2}]}
    jobs = workload((0, 5, 4, a(tenant="x")), (0, 5, 4, b(tenant="x")), (2, 5, 2, a(tenant="y")))
    policy = Policy(backfill="fit", preemption="reclaim")
    found = stays(tell, jobs, EIGHT, [part("a", "0", halves), part("b", "1", halves)], policy)
    assert found == [[(0, 2), (7, 10)], [(0, 5)], [(2, 7)]]


@TEST
def test_a_dominant_share_is_of_what_the_virtual_cluster_has(tell):
    """At 5 there is room for one of the last two.  Of a's nodes x holds 1 of 2 GPUs and y 3 of 8 cores: y goes first.

    Of the whole site x would hold 1 of 18 GPUs and y 3 of 16 cores.
    """
    site = cluster(2, 16, cpus=[8, 8])
    jobs = workload(
        (0, 50, 1, a(tenant="x", cpus=1)),
        (0, 50, 0, a(tenant="y", cpus=3)),
        (5, 9, 0, a(tenant="x", cpus=4)),
        (5, 9, 0, a(tenant="y", cpus=4)),
        (6, 1, 1, b()),
    )
    drf = {"between": "drf", "tenant": [{"name": "x"}, {"name": "y"}]}
    assert starts(tell, jobs, site, [part("a", "0", drf), part("b", "1")]) == [0, 0, 14, 5, 6]
    assert starts(tell, jobs, site, [part("a", "0"), part("b", "1")], tenants=drf) == [0, 0, 14, 5, 6]
    assert starts(tell, jobs, site, [part("a", "0"), part("b", "1")]) == [0, 0, 5, 14, 6], "without tenants: one queue"


@TEST
def test_tenants_of_its_own_stand_in_the_place_of_those_of_the_run(tell):
    """The run's tenants go by drf, a's own in the order of the queue: there x's third job is before y's first."""
    site = cluster(2, 2)
    rows = [(0, 9, 1, "x"), (1, 9, 1, "x"), (2, 9, 1, "x"), (2, 9, 1, "y")]
    jobs = workload(*((at, long, gpus, {"user": who, "tenant": it}) for at, long, gpus, it in rows for who in "ab"))
    drf = {"between": "drf", "tenant": [{"name": "x"}, {"name": "y"}]}
    own = {"between": "queue", "tenant": [{"name": "x"}]}
    found = starts(tell, jobs, site, [part("a", "0", own), part("b", "1")], tenants=drf)
    assert found[0::2] == [0, 1, 9, 10], "a: in the order of submission"
    assert found[1::2] == [0, 1, 10, 9], "b: the tenant that holds less"


@TEST
def test_a_limit_counts_what_runs_in_its_virtual_cluster(tell):
    """One job a tenant in a; x of b has two running and is no part of that."""
    one = {"limit": [{"each": ["tenant"], "jobs": 1}], "tenant": [{"name": "x"}]}
    x = {"tenant": "x"}
    jobs = workload(
        (0, 5, 1, b(**x)), (0, 5, 1, b(**x)), (0, 5, 1, a(**x)), (0, 5, 1, a(**x)), (0, 5, 1, a(tenant="y"))
    )
    assert starts(tell, jobs, EIGHT, [part("a", "0", one), part("b", "1")]) == [0, 0, 0, 5, 0]


@TEST
def test_quotas_by_type_are_of_the_types_that_a_virtual_cluster_has(tell):
    """A has both types, the new one on its lowest node: it is tried first, and full of y's; b has old nodes only."""
    site = cluster(("new", 1), ("old", 1), ("old", 1))
    quotas = {
        "tenant": [{"name": "x", "nominal": {"new": 1, "old": 1}}, {"name": "y", "nominal": {"new": 0, "old": 0}}]
    }
    old = {"tenant": [{"name": "x", "nominal": {"old": 1}}]}
    jobs = workload(
        (0, 9, 1, a(tenant="y")), (1, 5, 1, a(tenant="x")), (1, 5, 1, b(tenant="x")), (1, 5, 1, b(tenant="x"))
    )
    parts = [part("a", "0-1", quotas), part("b", "2", old)]
    assert nodes(tell, jobs, site, parts) == [[0], [1], [2], [2]]
    assert starts(tell, jobs, site, parts) == [0, 1, 1, 6]


@TEST
def test_cells_of_a_virtual_cluster_go_with_limits_of_its_own(tell):
    """X has both GPUs of a in cells, and may run one job at a time there."""
    cells = Policy(backfill="fit", cells={"owners": {"x": {"gpu": 2}}})
    one = {"limit": [{"each": ["user"], "jobs": 1}]}
    x = {"tenant": "x"}
    jobs = workload((0, 5, 1, a(**x)), (0, 5, 1, a(**x)), (0, 5, 1, b(**x)), (0, 5, 1, b(**x)))
    site = cluster(2, 2)
    assert starts(tell, jobs, site, [part("a", "0", one, policy=cells), part("b", "1")]) == [0, 5, 0, 0]


@TEST
def test_partitions_and_tenants_go_together_there(tell):
    """X is within its quota of 2 in a, but debug has one node there, which y's job has to give back at 2."""
    halves = {"tenant": [{"name": "x", "nominal": 2}, {"name": "y", "nominal": 0}]}
    jobs = workload(
        (0, 9, 1, a(tenant="y", partition="debug")),
        (0, 9, 1, a(tenant="y")),
        (2, 4, 1, a(tenant="x", partition="debug")),
    )
    policy = Policy(backfill="fit", preemption="reclaim")
    found = stays(tell, jobs, FOUR, [part("a", "0-1", halves)], policy, windows=[partition("debug", "1-2")])
    assert found == [[(0, 2), (6, 13)], [(0, 9)], [(2, 6)]]
