"""Tenants beside orders with a score, easy and windows, worked by hand: engine and reference must tell the same story.

Rows are (submit_time, runtime, gpus), times in seconds; estimates are the run times, a preempted job loses nothing.
"""

from __future__ import annotations

import pytest

from beside_stories import TEST, fates, starts, stays
from conftest import cluster, workload
from gpuyard.windows import NodeWindow
from tenant_stories import of

EASY = {"backfill": "easy"}


def shared(**fields: object) -> dict[str, object]:
    """Return tenants a and b with a nominal quota each, and other fields of the table."""
    quotas = {name: fields.pop(name) for name in ("a", "b") if name in fields}
    return {"tenant": [{"name": name, **quota} for name, quota in quotas.items()], **fields}


# --- easy -------------------------------------------------------------------------------------------------


@TEST
def test_a_job_held_by_its_quota_holds_nobody_up(tell):
    """Job 2 is above a's quota and waits; the head is job 3, for whose 3 GPUs node 0 has 2 and node 1 has 1.

    It is promised node 0 from 10 on: job 4 takes the free GPU of node 1, and nothing is left for job 5.  At 10 job 2 is
    within its quota and goes first.
    """
    tenants = shared(a={"nominal": 2, "borrow": 0}, b={"nominal": 6})
    jobs = workload(
        (0, 10, 2, of("a")), (0, 12, 3, of("b")), (1, 5, 1, of("a")), (2, 4, 3, of("b")), (3, 9, 1, of("b")),
        (3, 9, 1, of("b")),
    )  # fmt: skip
    assert starts(tell, jobs, cluster(4, 4), tenants=tenants, **EASY) == [0, 0, 10, 10, 3, 12]


@TEST
@pytest.mark.parametrize(("runtime", "start"), [(7, 3), (8, 10)])
def test_a_limit_for_each_user_and_the_terms_of_a_head(tell, runtime, start):
    """Ann may run one job: job 1 waits for job 0 and is no head; job 2 is, and who passes it must be done by 10."""
    jobs = workload(
        (0, 10, 3, {"user": "ann"}), (1, 5, 1, {"user": "ann"}), (2, 8, 2, {"user": "bob"}),
        (3, runtime, 1, {"user": "eve"}),
    )  # fmt: skip
    one_each = {"limit": [{"each": ["user"], "jobs": 1}]}
    assert starts(tell, jobs, cluster(4), tenants=one_each, **EASY) == [0, 10, 10, start]


@TEST
@pytest.mark.parametrize(("between", "expected"), [("queue", [0, 10, 15, 2]), ("drf", [0, 11, 2, 16])])
def test_a_round_has_one_head_whatever_its_queue(tell, between, expected):
    """In one queue a's job 1 is the head: b's job 2 would be there after 10, b's job 3 is done by then.

    By shares b goes first at 2: job 2 takes the free GPU and job 3 is the head.  At 10 it is a's turn, which waits.
    """
    jobs = workload((0, 10, 3, of("a")), (1, 5, 4, of("a")), (2, 9, 1, of("b")), (2, 8, 1, of("b")))
    tenants = shared(a={"nominal": 4}, b={"nominal": 4}, between=between)
    assert starts(tell, jobs, cluster(4), tenants=tenants, **EASY) == expected


TYPED = ((0, 10, 1, "a"), (0, 5, 1, "b"), (1, 5, 2, "a|b"), (2, 20, 1, "b"), (2, 20, 1, "a"))


@TEST
def test_the_reservation_is_for_the_first_type_that_admits_the_head(tell):
    """By type a comes first, where job 2 can start at 10: job 3 may have the free b, job 4 not the free a.

    With a quota of GPUs of any type job 2 is promised the b that are free at 5: it is the other way round.
    """
    jobs = workload(*((at, run, gpus, of("t", gpu_type=types)) for at, run, gpus, types in TYPED))
    site = cluster(("a", 2), ("b", 2))
    by_type = {"tenant": [{"name": "t", "nominal": {"a": 4, "b": 4}}]}
    assert starts(tell, jobs, site, tenants=by_type, **EASY) == [0, 0, 10, 2, 15]
    assert starts(tell, jobs, site, tenants={"tenant": [{"name": "t", "nominal": 8}]}, **EASY) == [0, 0, 5, 10, 2]


@TEST
def test_a_type_that_could_never_hold_the_head_is_not_the_one_that_it_is_promised(tell):
    """The quota of a admits job 1, and there is one a only: it is promised the two b from 10 on, and job 2 waits."""
    jobs = workload(
        (0, 10, 1, of("t", gpu_type="b")), (1, 5, 2, of("t", gpu_type="a|b")), (2, 20, 1, of("t", gpu_type="b"))
    )  # fmt: skip
    tenants = {"tenant": [{"name": "t", "nominal": {"a": 8, "b": 8}}]}
    assert starts(tell, jobs, cluster(("a", 1), ("b", 2)), tenants=tenants, **EASY) == [0, 10, 15]


@TEST
def test_the_reservation_is_made_anew_when_another_type_admits_the_head(tell):
    """Job 3 is promised node 0 from 10 on.  Job 4 of its tenant starts on node 1, and a admits job 3 no more.

    From then on it is promised node 2, of b, from 15 on: job 5 waits for that, and job 6 may have node 0.
    """
    u_a, u_b = of("u", gpu_type="a"), of("u", gpu_type="b")
    jobs = workload(
        (0, 10, 1, u_a), (0, 20, 1, u_a), (0, 15, 1, u_b), (1, 5, 2, of("t", gpu_type="a|b")),
        (2, 30, 1, of("t", gpu_type="a")), (3, 20, 1, u_b), (4, 30, 1, u_a),
    )  # fmt: skip
    quotas = {"t": {"nominal": {"a": 2, "b": 2}, "borrow": {"a": 0, "b": 0}}, "u": {"nominal": {"a": 8, "b": 8}}}
    tenants = {"tenant": [{"name": name, **quota} for name, quota in quotas.items()]}
    site = cluster(("a", 2), ("a", 2), ("b", 2))
    found = starts(tell, jobs, site, tenants=tenants, placement="worst-fit", **EASY)
    assert found == [0, 0, 0, 15, 2, 20, 4]


@TEST
def test_who_runs_on_a_reserved_node_may_go_for_its_quota(tell):
    """Node 0 is promised, from 20 on, to job 2, which must be alone there; b borrows 1 of a.

    Job 3 is not short and goes to node 1, for which it takes back what b's job 1 holds, on node 0.  With it a is at its
    quota: job 2 starts when b's job 0 has ended, at 10, and job 1 goes on when that has.
    """
    jobs = workload(
        (0, 10, 2, of("b", gpu_type="x", preemptible=False)),
        (0, 20, 1, of("b", gpu_type="x")),
        (1, 5, 1, of("a", gpu_type="x", exclusive=True, priority=1)),
        (2, 30, 2, of("a", gpu_type="y")),
    )
    tenants = shared(a={"nominal": 2}, b={"nominal": 2}, reclaim="any")
    found = stays(tell, jobs, cluster(("x", 4), ("y", 4)), "reclaim", tenants=tenants, order="priority", **EASY)
    assert found == [[(0, 10)], [(0, 2), (15, 33)], [(10, 15)], [(2, 32)]]


@TEST
def test_a_round_after_a_preemption_finds_its_own_head(tell):
    """At 2 job 2 takes a's GPU back from job 1, which is the head of the next round: it is promised node 0 from 5 on.

    Job 3 would be there until 6 and waits; job 4 takes the free GPU until 5.  All quotas are 6, of 4 GPUs.
    """
    jobs = workload(
        (0, 20, 1, of("a", preemptible=False)), (0, 20, 2, of("b")), (2, 3, 2, of("a")), (2, 4, 1, of("a")),
        (2, 3, 1, of("b")),
    )  # fmt: skip
    tenants = shared(a={"nominal": 3}, b={"nominal": 1}, reclaim="any", nominal=2)
    found = stays(tell, jobs, cluster(4), "reclaim", tenants=tenants, **EASY)
    assert found == [[(0, 20)], [(0, 2), (5, 23)], [(2, 5)], [(5, 9)], [(2, 5)]]


# --- windows ----------------------------------------------------------------------------------------------


@TEST
def test_nothing_is_taken_back_for_room_on_a_node_that_closes(tell):
    """b borrows on both nodes; node 1 closes at 8, and job 2 would run until 9: node 0 is taken back.

    Job 3, which is done by 8, takes back node 1.
    """
    jobs = workload((0, 30, 2, of("b")), (1, 7, 2, of("b")), (2, 7, 2, of("a")), (3, 5, 2, of("a")))
    tenants = shared(a={"nominal": 4}, b={"nominal": 0}, reclaim="any")
    window = NodeWindow(nodes=("1",), start=8, end=20)
    for backfill in ("none", "fit", "easy"):
        story = (tell, jobs, cluster(2, 2), "reclaim")
        found = stays(*story, tenants=tenants, windows=[window], backfill=backfill)
        assert found == [[(0, 2), (9, 37)], [(1, 3), (20, 25)], [(2, 9)], [(3, 8)]]


@TEST
def test_a_job_that_no_type_both_admits_and_holds_in_its_partition_is_rejected(tell):
    """The quota is for a and the nodes of the partition are b."""
    debug = of("t", gpu_type="a|b", partition="debug")
    jobs = workload((0, 1, 1, debug), (0, 1, 1, of("t", gpu_type="a|b")))
    tenants = {"tenant": [{"name": "t", "nominal": {"a": 2}}]}
    part = NodeWindow.partition("debug", ("1",))
    found = fates(tell, jobs, cluster(("a", 2), ("b", 2)), tenants=tenants, windows=[part])
    assert [fate.outcome for fate in found] == ["rejected", "completed"]


# --- orders with a score ----------------------------------------------------------------------------------

FAIR = {
    "order": "multifactor", "weights": {"age": 0, "fairshare": 1000}, "share_period": 10, "half_life": "none",
}  # fmt: skip


@TEST
@pytest.mark.parametrize("backfill", ["fit", "easy"])
def test_fair_share_beside_a_limit_for_each_user(tell, backfill):
    """Two GPUs, one job for each user.  Until 10 ann had 10 s, bob 10, eve nothing: at 12 she goes before bob.

    Ann's job 2 and bob's job 4 wait until 15 each, and in order neither holds up eve.
    """
    jobs = workload(
        (0, 15, 1, {"user": "ann"}), (0, 4, 1, {"user": "bob"}), (1, 4, 1, {"user": "ann"}), (4, 8, 1, {"user": "bob"}),
        (9, 4, 1, {"user": "bob"}), (11, 3, 1, {"user": "eve"}),
    )  # fmt: skip
    one_each = {"limit": [{"each": ["user"], "jobs": 1}]}
    assert starts(tell, jobs, cluster(2), tenants=one_each, backfill=backfill, **FAIR) == [0, 0, 15, 4, 15, 12]


@TEST
def test_shares_of_tenants_come_before_scores(tell):
    """WFP3.  At 6 nobody has anything, job 3 has (3/2)^3.  Then it is a's turn: job 1 has (5/4)^3, job 2 (4/3)^3."""
    jobs = workload((0, 6, 2, of("a")), (1, 4, 1, of("a")), (2, 3, 1, of("b")), (3, 2, 1, of("b")))
    tenants = shared(a={"nominal": 1}, b={"nominal": 1}, between="drf")
    assert starts(tell, jobs, cluster(2), tenants=tenants, order="wfp", backfill="fit") == [0, 6, 8, 6]


# --- several passes at one instant ------------------------------------------------------------------------

URGENT, LAST = {"priority": 1}, {"priority": -5}


@TEST
@pytest.mark.parametrize("reclaim", ["any", "fair"])
@pytest.mark.parametrize("options", [EASY, {"order": "wfp", "backfill": "fit"}])
def test_what_was_lent_at_an_instant_of_two_passes_is_taken_back_at_the_next(tell, reclaim, options):
    """At 9 nobody's more urgent job borrows what is free, and one of no length ends: a further pass of this instant.

    B may not take from it before the next instant, which is 10, though nothing is given back then.
    """
    jobs = workload((0, 9, 4, of("c")), (6, 20, 3, URGENT), (6, 3, 3, of("b")), (9, 0, 1, URGENT), (10, 1, 1, LAST))
    tenants = {"reclaim": reclaim, "tenant": [{"name": "b", "nominal": 5}, {"name": "c", "nominal": 4}]}
    assert starts(tell, jobs, cluster(4), rule="priority", tenants=tenants, **options) == [0, 9, 10, 9, 10]


@TEST
@pytest.mark.parametrize("options", [EASY, {"order": "wfp", "backfill": "fit"}, {"order": "wfp"}])
def test_who_comes_in_a_further_pass_takes_a_place_of_its_own_tenant_at_the_next_instant(tell, options):
    """Job 2 depends on a job that ends at 1 as it starts: job 0, of its tenant, has started at 1, and goes at 2."""
    first = [(1, 20, 3, of("a")), (1, 0, 1, of("a")), (1, 3, 4, of("a", depends_on=["1"], **URGENT))]
    jobs = workload(*first, (2, 1, 1, of("a", **LAST)))
    found = starts(tell, jobs, cluster(4), rule="priority", tenants=shared(a={"nominal": 4}), **options)
    assert found == [1, 1, 2, 5]
