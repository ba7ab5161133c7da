"""Queues of partitions, worked by hand: engine and reference must tell the same story, in each of the event loops.

Rows are (submit_time, runtime, gpus), times in seconds; estimates are the run times.
"""

from __future__ import annotations

import pytest

from beside_stories import TEST, fates, starts, stays
from conftest import cluster, workload
from gpuyard.windows import NodeWindow
from tenant_stories import of

A, B, C = ({"partition": name} for name in "abc")
BESIDE = pytest.mark.parametrize(
    "beside",
    [
        {},
        {"order": "multifactor"},
        {"rule": "priority"},
        {"rule": "priority", "order": "multifactor"},
        {"tenants": {"limit": [{"each": ["user"], "jobs": 99}]}},
        {"rule": "priority", "tenants": {"limit": [{"each": ["user"], "jobs": 99}]}},
    ],
    ids=["plain", "scored", "preempting", "preempting scored", "shared", "shared preempting"],
)
"""Nothing of this changes a story in which all wait alike; the event loops differ."""
EASY = {"backfill": "easy"}


def parts(**nodes: str) -> list[NodeWindow]:
    return [NodeWindow.partition(name, (each,)) for name, each in nodes.items()]


# --- none -------------------------------------------------------------------------------------------------


@TEST
@BESIDE
def test_a_blocked_job_holds_back_its_own_partition_only(tell, beside):
    """a has node 0, b node 1: job 1 waits for job 0, and job 2 of a with it, although it is short; job 3 of b starts.

    In one queue job 3 would wait until 10.
    """
    jobs = workload((0, 10, 1, A), (1, 5, 2, A), (2, 1, 1, A), (3, 4, 1, B))
    site, windows = cluster(2, 1), parts(a="0", b="1")
    assert starts(tell, jobs, site, windows=windows, **beside) == [0, 10, 15, 3]


@TEST
@BESIDE
def test_the_nodes_of_a_blocked_queue_are_withheld_from_all(tell, beside):
    """a has nodes 0 and 1, b 1 and 2, c 0.

    Job 1 needs both nodes of a, and job 0 is on one of them.  So job 2 of b may run on node 2, job 3 of b, which could
    not run on node 2, waits for that, and job 4 of c may not run on node 0, which is free.
    """
    jobs = workload((0, 10, 1, B), (1, 5, 2, A | {"nodes": 2}), (2, 4, 1, B), (3, 1, 1, B), (4, 3, 1, C))
    site, windows = cluster(1, 1, 1), parts(a="0-1", b="1-2", c="0")
    assert starts(tell, jobs, site, windows=windows, **beside) == [0, 10, 2, 6, 15]


@TEST
@BESIDE
def test_who_is_kept_out_by_what_is_withheld_blocks_its_own_queue(tell, beside):
    """Job 1 of a withholds nodes 0 and 1, so that job 2 of b finds no place; it withholds node 2, and job 3 of c waits.

    At 10 job 1 starts, and at 15 job 2, which leaves nothing to c.
    """
    jobs = workload((0, 10, 1, B), (1, 5, 2, A | {"nodes": 2}), (2, 4, 2, B | {"nodes": 2}), (3, 1, 1, C))
    site, windows = cluster(1, 1, 1), parts(a="0-1", b="1-2", c="2")
    assert starts(tell, jobs, site, windows=windows, **beside) == [0, 10, 15, 19]


@TEST
@BESIDE
@pytest.mark.parametrize(("default", "start"), [(False, 10), (True, 3)])
def test_a_job_of_no_partition_waits_in_the_queue_of_the_whole_cluster(tell, beside, default, start):
    """Job 1 needs node 0, which is busy: it holds up job 2 of b, unless it is of a by default."""
    jobs = workload((0, 10, 1, A), (1, 5, 2), (3, 4, 1, B))
    windows = [NodeWindow.partition("a", ("0",), is_default=default), NodeWindow.partition("b", ("1",))]
    assert starts(tell, jobs, cluster(2, 1), windows=windows, **beside) == [0, 10, start]


# --- easy -------------------------------------------------------------------------------------------------


@TEST
@BESIDE
def test_each_partition_has_its_head(tell, beside):
    """a has node 0, b nodes 1 and 2.  Job 2 is a's head, job 3 b's, which is promised both nodes at 10.

    So job 4 may not take node 2, where it would be until 22; job 5 may, until 8.  With one head for all job 4 could.
    """
    jobs = workload(
        (0, 10, 1, A), (0, 10, 1, B), (1, 5, 1, A), (1, 5, 2, B | {"nodes": 2}), (2, 20, 1, B), (3, 5, 1, B),
    )  # fmt: skip
    site, windows = cluster(1, 1, 1), parts(a="0", b="1-2")
    assert starts(tell, jobs, site, windows=windows, **EASY, **beside) == [0, 0, 10, 10, 15, 3]


@TEST
@BESIDE
def test_a_second_head_is_promised_what_the_first_leaves(tell, beside):
    """a has nodes 0 and 1, b node 1.  Job 2 is promised both from 10 to 15; so job 3, for 8 s, has node 1 from 15 on.

    Job 4 is short for both heads when job 1 ends at 6.  Were job 3 promised node 1 from 6 on, it would not be.
    """
    jobs = workload((0, 10, 1, A), (0, 6, 1, B), (1, 5, 2, A | {"nodes": 2}), (2, 8, 1, B), (3, 4, 1, B))
    site, windows = cluster(1, 1), parts(a="0-1", b="1")
    assert starts(tell, jobs, site, windows=windows, **EASY, **beside) == [0, 0, 10, 15, 6]


@TEST
@BESIDE
def test_a_second_head_may_go_before_the_first_if_it_is_done_by_then(tell, beside):
    """As above, but job 3 needs 4: it is promised node 1 from 6 to 10, and job 4, who would be there then, waits."""
    jobs = workload((0, 10, 1, A), (0, 6, 1, B), (1, 5, 2, A | {"nodes": 2}), (2, 4, 1, B), (3, 4, 1, B))
    site, windows = cluster(1, 1), parts(a="0-1", b="1")
    assert starts(tell, jobs, site, windows=windows, **EASY, **beside) == [0, 0, 10, 6, 15]


@TEST
@BESIDE
@pytest.mark.parametrize(("nodes_of_a", "start"), [("0", 10), ("0-1", 6)])
def test_what_ends_in_queues_that_do_not_meet_leaves_a_reservation_as_it_is(tell, beside, nodes_of_a, start):
    """b has node 1 (3 GPUs) and 2 (2 GPUs).  Job 3 is promised node 2, by best fit; then job 4 takes a GPU of node 1.

    At 5 job 0 of a ends.  If a and b have no node in common, all stays, and job 5 may not take the free GPU of node 2.
    If they have, the promise is made anew: now it is node 1, the lower of two that have two GPUs free at 10.
    """
    jobs = workload(
        (0, 5, 1, A), (0, 10, 1, B), (0, 10, 2, B), (1, 4, 2, B), (2, 20, 1, B), (6, 20, 1, B),
    )  # fmt: skip
    terms = {"windows": parts(a=nodes_of_a, b="1-2"), "placement": "best-fit", **EASY, **beside}
    found = fates(tell, jobs, cluster(1, 3, 2), **terms)
    assert [[node for node, _, _ in fate.slots] for fate in found[:3]] == [[0], [2], [1]]
    assert starts(tell, jobs, cluster(1, 3, 2), **terms) == [0, 0, 0, 10, 2, start]


@TEST
@BESIDE
def test_where_gpus_are_counted_there_is_one_head(tell, beside):
    """The jobs of above; but job 2 is promised 1 of the 3 GPUs that are free at 10, and job 4 takes another."""
    jobs = workload(
        (0, 10, 1, A), (0, 10, 1, B), (1, 5, 1, A), (1, 5, 2, B | {"nodes": 2}), (2, 20, 1, B), (3, 5, 1, B),
    )  # fmt: skip
    terms = {"windows": parts(a="0", b="1-2"), "reservation": "counts", **EASY, **beside}
    assert starts(tell, jobs, cluster(1, 1, 1), **terms) == [0, 0, 10, 22, 2, 10]


# --- preemption and tenants ---------------------------------------------------------------------------------


@TEST
@pytest.mark.parametrize("beside", [{}, {"order": "multifactor"}])
def test_nobody_is_preempted_for_room_on_nodes_that_are_withheld(tell, beside):
    """a has nodes 0 and 1, b 1 and 2.  Job 3 of a needs both of its nodes, and job 0 is as urgent: it withholds both.

    So job 4 of b takes node 2 from job 1, and not node 1 from job 2, which started last.
    """
    jobs = workload(
        (0, 10, 1, C | {"priority": 9}), (0, 20, 1, {"partition": "d", "priority": 0}), (1, 20, 1, A | {"priority": 0}),
        (2, 5, 2, A | {"nodes": 2, "priority": 9}), (2, 5, 1, B | {"priority": 5}),
    )  # fmt: skip
    windows = parts(a="0-1", b="1-2", c="0", d="2")
    found = stays(tell, jobs, cluster(1, 1, 1), "priority", windows=windows, **beside)
    assert found == [[(0, 10)], [(0, 2), (7, 25)], [(1, 10), (15, 26)], [(10, 15)], [(2, 7)]]


@TEST
@pytest.mark.parametrize("rule", ["none", "priority"])
def test_what_a_tenant_waits_for_is_withheld_from_its_own_jobs(tell, rule):
    """a has nodes 0 and 1, b node 0.  x's job 1 needs both; x's job 2 of b may not have node 0, y's job 3 may."""
    tenants = {"tenant": [{"name": "x"}, {"name": "y"}], "limit": [{"each": ["user"], "jobs": 99}]}
    x, y = of("x"), of("y")
    jobs = workload((0, 10, 1, C | x), (1, 5, 2, A | x | {"nodes": 2}), (2, 3, 1, B | x), (3, 4, 1, B | y))
    windows = parts(a="0-1", b="0", c="1")
    assert starts(tell, jobs, cluster(1, 1), rule, windows=windows, tenants=tenants) == [0, 10, 15, 3]


@TEST
@pytest.mark.parametrize("rule", ["none", "priority"])
def test_the_limit_of_a_partition_holds_up_nobody_of_another(tell, rule):
    """One job at a time may run in a: job 1 waits, with a's job 2 behind it; job 3 of b does not."""
    tenants = {"limit": [{"each": ["partition"], "where": {"partition": "a"}, "jobs": 1}]}
    jobs = workload((0, 10, 1, A), (1, 5, 1, A), (2, 1, 1, A), (3, 4, 1, B))
    windows = parts(a="0-1", b="2")
    assert starts(tell, jobs, cluster(1, 1, 1), rule, windows=windows, tenants=tenants) == [0, 10, 15, 3]
