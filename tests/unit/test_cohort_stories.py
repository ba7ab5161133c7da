"""Fair sharing level by level and borrowing within a cohort, worked by hand and as Kueue publishes it.

Engine and reference must agree.  Rows are (submit_time, runtime, gpus), times in seconds.  Cases named after Kueue are
those of ``pkg/scheduler/preemption/preemption_fair_test.go`` of kubernetes-sigs/kueue, by their names there; CPUs are
GPUs here, a ClusterQueue or Cohort of another Cohort is a tenant below it, ROOT is the root.
"""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from tenant_stories import TEST, of, starts
from unit.test_tenant_preemption_stories import Ran, of_sizes, ones, victims

# --- who makes room: Kueue, fair sharing of cohorts --------------------------------------------------------------


def tree(nominal: float | None = None, **tenants: dict[str, object]) -> dict[str, object]:
    """Return tenants by name, ``__`` for ``/``, that share level by level; ``nominal``: of the root."""
    listed = [{"name": name.replace("__", "/"), **fields} for name, fields in tenants.items()]
    common = {} if nominal is None else {"nominal": nominal}
    return {"reclaim": "cohorts", "between": "cohorts", "tenant": listed, **common}


@TEST
def test_kueue_hierarchical_preemption(tell):
    """A and LEFT weigh 2, e weighs 0.99; every queue but a uses 5 of its quota of 1.

    Of 20 GPUs a's job wants 5.  With it LEFT borrows 3 of 7 by a weight of 2, c 4 and RIGHT 3.
    """
    tenants = tree(
        5,
        left={"nominal": 5, "weight": 2},
        left__a={"nominal": 1, "weight": 2},
        left__b={"nominal": 1},
        c={"nominal": 1},
        right={"nominal": 5},
        right__d={"nominal": 1},
        right__e={"nominal": 1, "weight": 0.99},
    )
    queues = {"b": "left/b", "c": "c", "d": "right/d", "e": "right/e"}
    jobs: dict[str, Ran] = {
        f"{name}{level}": (path, 1, level) for name, path in queues.items() for level in range(1, 6)
    }
    assert victims(tell, tenants, jobs, ("left/a", 5, 0), gpus=20) == {"b1", "b2", "c1", "c2", "e1"}


@TEST
def test_kueue_a_borrowing_queue_in_a_cohort_that_does_not_borrow_is_protected(tell):
    """ "borrowing cq in non-borrowing cohort is protected": b borrows of RIGHT, and RIGHT of nobody."""
    tenants = tree(
        a={"nominal": 5, "weight": 10}, right={"nominal": 1, "weight": 0.1}, right__b={"nominal": 0, "weight": 0.1}
    )
    jobs: dict[str, Ran] = {f"a{number}": ("a", 1, -1) for number in (1, 2, 3)}
    jobs["b1"] = ("right/b", 1, -1)
    assert victims(tell, tenants, jobs, ("a", 5, 0), gpus=6) == {"a1", "a2", "a3"}


@TEST
def test_kueue_own_jobs_go_where_the_others_share_would_fall_below(tell):
    """ "forced to preempt within clusterqueue because borrowing workload too important".

    RIGHT borrows 1, and nothing without b1, less than the 2 of 8 by 10 that a would.  Kueue has b1 out of reach by its
    priority as well, which here counts only among a tenant's own.
    """
    tenants = tree(
        a={"nominal": 5, "weight": 10}, right={"nominal": 3, "weight": 0.1}, right__b={"nominal": 0, "weight": 0.1}
    )
    jobs: dict[str, Ran] = {f"a{number}": ("a", 1, -1) for number in (1, 2, 3)}
    jobs["b1"] = ("right/b", 4, 100)
    assert victims(tell, tenants, jobs, ("a", 4, 0), gpus=8) == {"a1", "a2", "a3"}


@TEST
@pytest.mark.parametrize(("mine", "its", "expected"), [(1.01, 0.99, {"b1"}), (0.99, 1.01, set()), (1, 1, set())])
def test_kueue_deep_preemption(tell, mine, its, expected):
    """Only the weights of A and B are compared, which lie below the lowest cohort that both queues are in."""
    tenants = tree(
        A={"weight": mine},
        A__AA__AAA__a={"nominal": 0},
        B={"weight": its},
        B__BB__BBB__b={"nominal": 0, "weight": 100},
        C__CC__CCC__CCCC={"nominal": 1},
    )
    assert victims(tell, tenants, {"b1": ("B/BB/BBB/b", 1, 0)}, ("A/AA/AAA/a", 1, 0), gpus=1) == expected


@TEST
@pytest.mark.parametrize(
    ("running", "incoming", "expected"),
    [
        (ones(a=3, b=5, c=1), ("c", 1), {"b1"}),
        (of_sizes(a=[3, 1], b=[2, 3]), ("c", 3), {"a1"}),
        (ones(a=3, b=3, c=3), ("c", 1), set()),
        (ones(a=3, b=5), ("a", 2), set()),
        (of_sizes(b=[9]), ("a", 2), {"b1"}),
        (of_sizes(a=[2], b=[7]), ("a", 5), set()),
        (of_sizes(b=[2, 2, 3]), ("a", 6), set()),
    ],
)
def test_kueue_fair_sharing_of_queues_in_one_cohort(tell, running, incoming, expected):
    """Some of the cases that stand by their names beside those of ``fair``."""
    tenants = tree(a={"nominal": 3}, b={"nominal": 3}, c={"nominal": 3})
    assert victims(tell, tenants, running, (*incoming, 0), "reclaim", gpus=9) == expected


@TEST
def test_teams_of_one_organisation_are_compared_with_each_other(tell):
    """X's team 2 holds all 6 of x: team 1 takes 3 of them, though x as a whole borrows more than y (by any share)."""
    tenants = tree(4, x={"nominal": 2}, x__1={"nominal": 0}, x__2={"nominal": 0}, y={"nominal": 0})
    jobs = {f"x{number}": ("x/2", 1, 0) for number in range(6)}
    assert len(victims(tell, tenants, jobs, ("x/1", 3, 0), "reclaim")) == 3
    assert len(victims(tell, tenants, jobs, ("x/1", 4, 0), "reclaim")) == 0, "then team 1 would have more than team 2"


@TEST
def test_what_an_organisation_runs_itself_counts_as_one_more_team_of_weight_1(tell):
    """X itself, whose weight is 5, holds 4 and team 1 none: it gets 2, as between equals, and no more."""
    tenants = tree(4, x={"nominal": 0, "weight": 5}, x__1={"nominal": 0})
    jobs = {f"x{number}": ("x", 1, 0) for number in range(4)}
    assert len(victims(tell, tenants, jobs, ("x/1", 2, 0), "reclaim")) == 2
    assert victims(tell, tenants, jobs, ("x/1", 3, 0), "reclaim") == set()


# --- whose turn it is --------------------------------------------------------------------------------------------


@TEST
@pytest.mark.parametrize(("between", "first"), [("cohorts", "y"), ("fair", "x"), ("queue", "x")])
def test_the_organisation_that_borrows_less_goes_first_whatever_its_teams_have(tell, between, first):
    """At 1 one GPU is free.  X holds 4 by two teams of 2, and y 3 by one: with one more each, 5 and 4 of 8."""
    tenants = tree(8, x__1={"nominal": 0}, x__2={"nominal": 0}, y__1={"nominal": 0}) | {"between": between}
    running = [(0, 9, 2, of("x/1")), (0, 9, 2, of("x/2")), (0, 9, 3, of("y/1"))]
    jobs = workload(*running, (1, 20, 1, of("x/1")), (1, 20, 1, of("y/1")))
    found = starts(tell, jobs, cluster(8), tenants)
    assert found[3:] == ([9, 1] if first == "y" else [1, 9])


@TEST
@pytest.mark.parametrize(("between", "expected"), [("cohorts", [9, 1]), ("fair", [1, 9])])
def test_the_share_counts_the_job_that_is_next(tell, between, expected):
    """A would borrow 4 of 6 with its job, and b, which has 2 already, 3 with its own."""
    tenants = tree(6, a={"nominal": 0}, b={"nominal": 0}) | {"between": between}
    jobs = workload((0, 9, 2, of("b")), (1, 20, 4, of("a")), (1, 20, 1, of("b")))
    assert starts(tell, jobs, cluster(6), tenants)[1:] == expected


@TEST
@pytest.mark.parametrize(("weight", "expected"), [(2, [30, 9]), (0.5, [9, 30])])
def test_an_organisations_own_jobs_wait_in_a_queue_of_weight_1(tell, weight, expected):
    """At 9 two GPUs are free.  X itself and its team would hold 3 of 4 each, the team by its weight."""
    tenants = tree(4, x={"nominal": 0, "weight": 9}, x__1={"nominal": 0, "weight": weight})
    running = [(0, 9, 1, of("x")), (0, 30, 1, of("x/1")), (0, 30, 1, of("x"))]
    jobs = workload(*running, (1, 30, 2, of("x")), (1, 30, 2, of("x/1")))
    assert starts(tell, jobs, cluster(4), tenants)[3:] == expected


@TEST
def test_who_goes_first_within_a_queue_is_an_affair_of_the_order(tell):
    """At 9 a is first, with the smaller of its jobs, which counts for it: 1 of 4, as b's."""
    tenants = tree(4, a={"nominal": 0}, b={"nominal": 0})
    jobs = workload((0, 9, 4, of("c")), (1, 5, 3, of("a")), (2, 5, 1, of("b")), (3, 5, 1, of("a")))
    assert starts(tell, jobs, cluster(4), tenants, order="smallest") == [0, 14, 9, 9]


@TEST
def test_what_a_tenant_keeps_is_no_part_of_what_those_above_borrow(tell):
    """At 4 one GPU is free.  O keeps its 2, and uses them: with one more x borrows 1 of the root's 4, and y 2."""
    tenants = tree(4, x__o={"nominal": 2, "lend": 0}, y={"nominal": 0})
    running = [(0, 9, 2, of("x/o")), (0, 9, 1, of("y")), (0, 4, 1, of("y")), (0, 9, 2, of("z"))]
    jobs = workload(*running, (1, 9, 1, of("y")), (1, 9, 1, of("x/o")))
    assert starts(tell, jobs, cluster(6), tenants)[4:] == [9, 4]


@TEST
@pytest.mark.parametrize("rule", ["none", "priority"])
def test_where_nothing_is_shared_out_there_is_one_queue(tell, rule):
    jobs = workload((0, 9, 4, of("a")), (1, 5, 4, of("b", priority=1)))
    without = {"between": "cohorts", "reclaim": "cohorts"}
    assert starts(tell, jobs, cluster(4), without, rule) == starts(tell, jobs, cluster(4), {}, rule)


# --- borrowing within a cohort -----------------------------------------------------------------------------------

POOL: dict[str, object] = {
    "reclaim": "any",
    "nominal": 10,
    "tenant": [
        {"name": "a-standard", "nominal": 1},
        {"name": "a-best-effort", "nominal": 1},
        {"name": "b-best-effort", "nominal": 0},
    ],
}
LOW: dict[str, Ran] = {"large": ("a-best-effort", 10, -1), "small": ("b-best-effort", 1, -1)}


def pool(**fields: object) -> dict[str, object]:
    return POOL | {"borrow_within": "lower"} | fields


@TEST
def test_a_job_that_would_borrow_takes_from_less_urgent_ones_that_borrow(tell):
    assert victims(tell, POOL, LOW, ("a-standard", 10, 0), gpus=12) == set()
    assert victims(tell, pool(), LOW, ("a-standard", 10, 0), gpus=12) == {"large"}
    assert victims(tell, pool(reclaim="lower"), LOW, ("a-standard", 10, 0), gpus=12) == {"large"}
    assert victims(tell, pool(), LOW, ("a-standard", 10, -1), gpus=12) == set(), "none is less urgent"


@TEST
def test_only_up_to_the_threshold(tell):
    """Kueue's ``maxPriorityThreshold``: who has a higher priority is left alone, though less urgent than the job."""
    jobs: dict[str, Ran] = {"two": ("a-best-effort", 6, 2), "one": ("b-best-effort", 6, 1)}
    assert victims(tell, pool(borrow_threshold=1), jobs, ("a-standard", 6, 3), gpus=12) == {"one"}
    assert victims(tell, pool(borrow_threshold=1), jobs, ("a-standard", 7, 3), gpus=12) == set()
    assert victims(tell, pool(borrow_threshold=2), jobs, ("a-standard", 7, 3), gpus=12) == {"one", "two"}
    assert victims(tell, pool(borrow_threshold=0), jobs, ("a-standard", 6, 3), gpus=12) == set()


@TEST
def test_a_job_within_its_quota_takes_its_own_back_whatever_the_threshold(tell):
    jobs: dict[str, Ran] = {"two": ("a-best-effort", 12, 2)}
    assert victims(tell, pool(borrow_threshold=0), jobs, ("a-standard", 1, 0)) == {"two"}
    assert victims(tell, pool(borrow_threshold=0, reclaim="lower"), jobs, ("a-standard", 1, 3)) == {"two"}
    assert victims(tell, pool(borrow_threshold=9, reclaim="lower"), jobs, ("a-standard", 1, 1)) == set()


@TEST
def test_who_does_not_borrow_is_left_alone_though_less_urgent(tell):
    jobs: dict[str, Ran] = {"within": ("a-best-effort", 1, -9), "above": ("b-best-effort", 11, 0)}
    assert victims(tell, pool(), jobs, ("a-standard", 2, 1)) == {"above"}


@TEST
def test_its_own_less_urgent_jobs_follow_those_of_others(tell):
    """Listed together by level: the tenant's own of -1 first, then the borrower's of 0."""
    jobs: dict[str, Ran] = {"own": ("a-standard", 4, -1), "above": ("b-best-effort", 8, 0)}
    assert victims(tell, pool(), jobs, ("a-standard", 4, 1)) == {"above"}, "the own one is not needed"
    assert victims(tell, pool(borrow_threshold=-1), jobs, ("a-standard", 4, 1)) == {"own"}


@TEST
def test_the_threshold_is_a_tier_where_tiers_are_the_rule(tell):
    fields = {"borrow_threshold": 1, "borrow_within": "lower"}
    low, high = {"partition": "low"}, {"partition": "high"}
    jobs = workload(
        (0, 99, 6, of("a-best-effort", **low)),
        (0, 99, 6, of("b-best-effort", partition="mid")),
        (5, 9, 6, of("a-standard", **high)),
        (6, 9, 6, of("a-standard", **high)),
    )
    tiers = {"low": 1, "mid": 2, "high": 3}
    assert starts(tell, jobs, cluster(12), POOL | fields, "partition", tiers=tiers) == [0, 0, 5, 14]
    assert starts(tell, jobs, cluster(12), POOL | fields | {"borrow_threshold": 2}, "partition", tiers=tiers)[3] == 6
