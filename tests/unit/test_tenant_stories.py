"""Tenants worked by hand, where nobody is preempted: quotas, limits, types, what decides between tenants.

The engine and the reference simulator must tell the same story.  Rows are (submit_time, runtime, gpus), times in
seconds; backfill is ``fit`` unless a story says otherwise.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from conftest import cluster, workload
from tenant_stories import TEST, fates, nodes, of, outcomes, starts

TWO_TEAMS = {"tenant": [{"name": "a", "nominal": 9}, {"name": "b", "nominal": 12}]}


def running_at_once(tell: str, tenant: str, tenants: dict[str, object]) -> int:
    """Return how many GPUs a tenant gets on a large site while nobody else wants any."""
    jobs = workload(*[(0, 10, 1, of(tenant))] * 30)
    return starts(tell, jobs, cluster(32), tenants).count(0)


# --- Kueue's documentation of ClusterQueue -----------------------------------------------------------------


@TEST
def test_kueue_borrowing_example(tell):
    """Quotas of 9 and 12: each team may use up to 9 + 12 = 21 while the other has nothing ("Borrowing example")."""
    assert running_at_once(tell, "a", TWO_TEAMS) == 21
    assert running_at_once(tell, "b", TWO_TEAMS) == 21


@TEST
def test_kueue_borrowing_limit_example(tell):
    """``borrowingLimit: 1`` of team a: up to 9 + 1 = 10, and team b up to 12 + 9 ("BorrowingLimit")."""
    limited = {"tenant": [{"name": "a", "nominal": 9, "borrow": 1}, {"name": "b", "nominal": 12}]}
    assert running_at_once(tell, "a", limited) == 10
    assert running_at_once(tell, "b", limited) == 21


@TEST
def test_kueue_lending_limit_example(tell):
    """``lendingLimit: 1`` of team b: team a up to 9 + 1 = 10, and team b up to 9 + 12 ("LendingLimit")."""
    limited = {"tenant": [{"name": "a", "nominal": 9}, {"name": "b", "nominal": 12, "lend": 1}]}
    assert running_at_once(tell, "a", limited) == 10
    assert running_at_once(tell, "b", limited) == 21


@TEST
def test_what_a_tenant_keeps_is_no_longer_lent_while_it_uses_no_more(tell):
    """Team b has 11 of its own 12, which is what it keeps: team a still gets its 10, but with a 12th only 9."""
    limited = {"tenant": [{"name": "a", "nominal": 9}, {"name": "b", "nominal": 12, "lend": 1}]}
    for held, left in ((11, 10), (12, 9)):
        jobs = workload((0, 10, held, of("b")), *[(0, 10, 1, of("a"))] * 15)
        assert starts(tell, jobs, cluster(32), limited).count(0) == 1 + left


@TEST
def test_kueue_shared_pool_of_a_cohort(tell):
    """A cohort's own quota of 12 is for the queues in it, also for one with none of its own (Kueue, "Cohort")."""
    assert (
        running_at_once(tell, "hello/mine", {"tenant": [{"name": "hello", "nominal": 12}, {"name": "hello/mine"}]})
        == 12
    )


@TEST
def test_an_organisation_that_may_not_borrow_keeps_its_teams_from_borrowing_of_others(tell):
    """The organisation has 4 + 2; its team may borrow as much as it likes, but not from outside."""
    tenants = {
        "tenant": [
            {"name": "org", "nominal": 2, "borrow": 0},
            {"name": "org/team", "nominal": 4},
            {"name": "other", "nominal": 20},
        ]
    }
    assert running_at_once(tell, "org/team", tenants) == 6
    assert running_at_once(tell, "org", tenants) == 6
    assert running_at_once(tell, "other", tenants) == 26


@TEST
def test_jobs_of_nobody_use_the_root_and_borrow_like_everybody(tell):
    assert running_at_once(tell, "nobody", {**TWO_TEAMS, "nominal": 2}) == 23


@TEST
def test_a_job_belongs_to_the_deepest_tenant_that_begins_its_path(tell):
    """``a/x/y`` is of ``a/x``, which may have 1; ``a/z`` is of ``a``, which may have 3; ``ab`` is of the root."""
    tenants = {
        "tenant": [{"name": "a", "nominal": 2, "borrow": 0}, {"name": "a/x", "nominal": 1, "borrow": 0}],
        "nominal": 1,
    }
    assert running_at_once(tell, "a/x/y", tenants) == 1
    assert running_at_once(tell, "a/z", tenants) == 3
    assert running_at_once(tell, "ab", tenants) == 4


# --- rejected ----------------------------------------------------------------------------------------------


@TEST
def test_a_job_that_its_quota_can_never_hold_is_rejected(tell):
    jobs = workload((0, 1, 10, of("a")), (0, 1, 11, of("a")), (0, 1, 1, of("b", depends_on=["1"])))
    limited = {"tenant": [{"name": "a", "nominal": 9, "borrow": 1}, {"name": "b", "nominal": 12}]}
    assert outcomes(tell, jobs, cluster(32), limited) == ["completed", "rejected", "rejected"]


@TEST
def test_a_job_that_a_limit_never_allows_is_rejected(tell):
    jobs = workload((0, 1, 4, {"user": "ann"}), (0, 1, 5, {"user": "ann"}), (0, 1, 5, {"user": "bob"}))
    tenants = {"limit": [{"where": {"user": "ann"}, "gpus": 4}]}
    assert outcomes(tell, jobs, cluster(8), tenants) == ["completed", "rejected", "completed"]


@TEST
def test_a_job_is_rejected_if_the_type_that_admits_it_cannot_hold_it(tell):
    """Only ``b`` has 8 GPUs, and of ``b`` the tenant may have 4."""
    jobs = workload((0, 1, 8, of("t")), (0, 1, 4, of("t")))
    tenants = {"tenant": [{"name": "t", "nominal": {"a": 8, "b": 4}}]}
    assert outcomes(tell, jobs, cluster(("a", 4), ("b", 8)), tenants) == ["rejected", "completed"]


# --- limits ------------------------------------------------------------------------------------------------


@TEST
def test_a_limit_of_jobs_for_each_user(tell):
    """Two at once for each; those without a user are one more group."""
    users = ["ann", "ann", "ann", "bob", None, None, None]
    jobs = workload(*[(0, 10, 1, {"user": user}) for user in users])
    assert starts(tell, jobs, cluster(16), {"limit": [{"each": ["user"], "jobs": 2}]}) == [0, 0, 10, 0, 0, 0, 10]


@TEST
def test_a_limit_of_gpus_counts_fractions_as_such(tell):
    jobs = workload(*[(0, 10, 1, {"user": "ann", "gpu_milli": 500})] * 4, (0, 10, 2, {"user": "bob"}))
    assert starts(tell, jobs, cluster(8), {"limit": [{"each": ["user"], "gpus": 1.5}]}) == [0, 0, 0, 10, None]


@TEST
def test_every_limit_must_admit_a_job(tell):
    """At most 3 GPUs in the partition for all, and 2 jobs for each QOS there."""
    limits = [{"where": {"partition": "p"}, "gpus": 3}, {"where": {"partition": "p"}, "each": "qos", "jobs": 2}]
    rows = [("p", "high"), ("p", "high"), ("p", "high"), ("p", "low"), ("p", "low"), ("q", "high")]
    jobs = workload(*[(0, 10, 1, {"partition": partition, "qos": qos}) for partition, qos in rows])
    assert starts(tell, jobs, cluster(16), {"limit": limits}) == [0, 0, 10, 0, 10, 0]


@TEST
def test_a_limit_by_tenant_goes_by_the_tenant_that_a_job_belongs_to(tell):
    """``a/x`` and ``a/y`` are both of ``a``."""
    jobs = workload((0, 10, 1, of("a/x")), (0, 10, 1, of("a/y")), (0, 10, 1, of("b")), (0, 10, 1, of("c")))
    tenants = {"tenant": [{"name": "a"}, {"name": "b"}], "limit": [{"each": ["tenant"], "jobs": 1}]}
    assert starts(tell, jobs, cluster(4), tenants) == [0, 10, 0, 0]


# --- the pass ----------------------------------------------------------------------------------------------


@TEST
@pytest.mark.parametrize(("backfill", "small"), [("none", 10), ("fit", 0)])
def test_none_is_strict_within_a_queue_and_not_between_them(tell, backfill, small):
    """The second job of ``a`` does not fit: its third waits behind it under ``none``; ``b`` does not."""
    jobs = workload((0, 10, 3, of("a")), (0, 10, 4, of("a")), (0, 10, 1, of("a")), (1, 10, 1, of("b")))
    tenants = {"tenant": [{"name": "a"}, {"name": "b"}]}
    assert starts(tell, jobs, cluster(6), tenants, backfill=backfill) == [0, 10, small, 1]


@TEST
def test_a_job_that_its_quota_keeps_out_does_not_keep_out_a_smaller_one_under_fit(tell):
    jobs = workload((0, 10, 3, of("a")), (0, 10, 2, of("a")), (0, 10, 1, of("a")))
    tenants = {"tenant": [{"name": "a", "nominal": 4}]}
    assert starts(tell, jobs, cluster(8), tenants) == [0, 10, 0]
    assert starts(tell, jobs, cluster(8), tenants, backfill="none") == [0, 10, 10]


@TEST
def test_without_gpus_there_is_nothing_to_have_a_quota_of(tell):
    jobs = workload((0, 10, 0, of("a", cpus=1)), (0, 10, 1, of("a")))
    tenants = {"tenant": [{"name": "a", "nominal": 0}, {"name": "b", "nominal": 1}]}
    assert starts(tell, jobs, cluster(2, cpus=[8]), tenants) == [0, 0]
    tenants["tenant"][0]["borrow"] = 0
    assert starts(tell, jobs, cluster(2, cpus=[8]), tenants) == [0, None]


# --- types -------------------------------------------------------------------------------------------------


@TEST
def test_quotas_by_type_are_tried_one_after_the_other(tell):
    """Of ``a`` the tenant may have 4, of ``b`` 2: the first job takes ``a``, the third ``b``, the second waits."""
    jobs = workload(*[(0, 10, gpus, of("t", gpu_type="b|a")) for gpus in (4, 4, 2)])
    tenants = {"tenant": [{"name": "t", "nominal": {"a": 4, "b": 2}}]}
    given = (tell, jobs, cluster(("b", 4), ("a", 4)), tenants)
    assert starts(*given) == [0, 10, 0]
    assert nodes(*given) == [[1], [1], [0]]


@TEST
def test_on_each_type_a_job_is_placed_as_if_it_asked_for_that_type_alone(tell):
    """Four GPUs fit one node of ``b``; but ``a`` is tried first, and there they are two nodes of two."""
    jobs = workload((0, 10, 4, of("t")))
    tenants = {"tenant": [{"name": "t", "nominal": {"a": 4, "b": 4}}]}
    assert nodes(tell, jobs, cluster(("a", 2), ("a", 2), ("b", 4)), tenants) == [[0, 1]]


@TEST
def test_a_type_that_a_table_does_not_name_is_none_of_the_tenants(tell):
    """Of ``b`` nobody has a quota; of ``a`` the tenant may borrow the 2 of the other, of ``b`` there is nothing."""
    jobs = workload(*[(0, 10, 1, of("t"))] * 6)
    tenants = {"tenant": [{"name": "t", "nominal": {"a": 2}}, {"name": "u", "nominal": {"a": 2}}]}
    assert starts(tell, jobs, cluster(("a", 8), ("b", 8)), tenants) == [0] * 4 + [10] * 2


# --- between tenants ---------------------------------------------------------------------------------------


def running_of(
    tell: str, tasks: dict[str, dict[str, object]], tenants: dict[str, object], **options: object
) -> list[int]:
    """Return how many tasks each tenant runs on 9 CPUs and 18 GB where all have plenty."""
    jobs = workload(*[(0, 10, 0, of(name, **asked)) for name, asked in tasks.items() for _ in range(9)])
    found = starts(tell, jobs, cluster(0, cpus=[9], memory=[18]), tenants, **options)
    return [found[9 * number : 9 * number + 9].count(0) for number in range(len(tasks))]


@TEST
@pytest.mark.parametrize("backfill", ["none", "fit"])
def test_drf_example_of_the_paper(tell, backfill):
    """Ghodsi et al. 2011, NSDI, 4.1 and figure 3: A asks for 1 CPU and 4 GB, B for 3 CPUs and 1 GB: 3 and 2 tasks.

    Dominant shares: 12 of 18 GB and 6 of 9 CPUs, both two thirds.
    """
    tasks = {"a": {"cpus": 1, "memory_gib": 4}, "b": {"cpus": 3, "memory_gib": 1}}
    tenants = {"between": "drf", "tenant": [{"name": "a"}, {"name": "b"}]}
    assert running_of(tell, tasks, tenants, backfill=backfill) == [3, 2]


@TEST
def test_weighted_drf(tell):
    """A counts half: shares by weight of 1/9 a task against 1/3, so A, B, A, A, A; then 17 GB and 7 CPUs are in use."""
    tasks = {"a": {"cpus": 1, "memory_gib": 4}, "b": {"cpus": 3, "memory_gib": 1}}
    tenants = {"between": "drf", "tenant": [{"name": "a", "weight": 2}, {"name": "b"}]}
    assert running_of(tell, tasks, tenants) == [4, 1]


@TEST
def test_drf_goes_by_gpus_where_these_are_dominant(tell):
    """``a`` holds 4 of 8 GPUs and 4 of 64 CPUs; ``b`` 32 of 64 CPUs and one GPU in a job: the shares are equal then."""
    a, b = of("a", cpus=4), of("b", cpus=32)
    jobs = workload(
        (0, 10, 4, a), (0, 10, 1, b), (1, 10, 1, of("a", cpus=1)), (2, 10, 2, b), (2, 10, 1, of("a", cpus=1))
    )
    tenants = {"between": "drf", "tenant": [{"name": "a"}, {"name": "b"}]}
    assert starts(tell, jobs, cluster(8, cpus=[64]), tenants) == [0, 0, 1, 10, 2]


@TEST
def test_the_tenant_that_borrows_least_by_its_weight_is_first(tell):
    """Both have 2 of 8; at 0 ``a`` takes 4 of the other 4. When they end, ``b`` borrows 2 before ``a`` borrows one."""
    tenants = {"between": "fair", "nominal": 4, "tenant": [{"name": "a", "nominal": 2}, {"name": "b", "nominal": 2}]}
    rows = [(0, 10, 6, of("a")), (0, 30, 2, of("b")), *[(1, 10, 1, of("a"))] * 6, *[(2, 10, 1, of("b"))] * 6]
    found = starts(tell, workload(*rows), cluster(8), tenants)
    assert found[2:8].count(10) == 4  # two of its own, and two lent
    assert found[8:].count(10) == 2
    tenants["tenant"][1]["weight"] = 3
    found = starts(tell, workload(*rows), cluster(8), tenants)
    assert (found[2:8].count(10), found[8:].count(10)) == (3, 3)


def water_filling(capacity: int, demands: list[int], weights: list[int]) -> list[Fraction]:
    """Return max-min shares: everybody gets the level times the weight, or all that is asked for (independent)."""
    left, open_to = Fraction(capacity), set(range(len(demands)))
    given = [Fraction(0)] * len(demands)
    while open_to:
        level = left / sum(weights[each] for each in open_to)
        full = {each for each in open_to if demands[each] <= level * weights[each]}
        for each in full or open_to:
            given[each] = Fraction(demands[each]) if full else level * weights[each]
        if not full:
            return given
        left -= sum(demands[each] for each in full)
        open_to -= full
    return given


def test_water_filling_of_a_textbook_example():
    """Keshav 1997, example 9.1: who asks for 2, 2.6, 4 and 5 of 10 is given 2, 2.6, 2.7 and 2.7; here times ten."""
    assert water_filling(100, [20, 26, 40, 50], [1, 1, 1, 1]) == [20, 26, 27, 27]


@TEST
@pytest.mark.parametrize(
    ("demands", "weights"),
    [
        ([2, 5, 30, 30], [1, 1, 1, 1]),
        ([30, 30, 30], [1, 2, 3]),
        ([3, 30, 30, 30], [4, 1, 1, 2]),
        ([1, 2, 3], [1, 1, 1]),
    ],
)
def test_drf_of_one_resource_gives_max_min_shares_in_long_overload(tell, demands, weights):
    """Jobs of one GPU and random length; a tenant's demand is a limit of GPUs with an endless queue behind it.

    As GPUs are whole, no tenant is ever a GPU away from its share.
    """
    capacity, rng = 12, np.random.default_rng(7)
    names = [f"t{number}" for number in range(len(demands))]
    rows = [(0, int(rng.integers(5, 40)), 1, of(name)) for _ in range(30) for name in names]
    tenants = {
        "between": "drf",
        "tenant": [{"name": name, "weight": weight} for name, weight in zip(names, weights, strict=True)],
        "limit": [{"where": {"tenant": name}, "gpus": demand} for name, demand in zip(names, demands, strict=True)],
    }
    found = fates(tell, workload(*rows), cluster(capacity), tenants, until=80)
    spans = [(fate.start, 80_000_000 if fate.end is None else fate.end) for fate in found if fate.start is not None]
    owners = [number % len(names) for number, fate in enumerate(found) if fate.start is not None]
    shares = water_filling(capacity, demands, weights)
    instants = range(0, 80_000_000, 1_000_000)
    held = np.array(
        [
            np.bincount([who for who, (a, b) in zip(owners, spans, strict=True) if a <= at < b], minlength=len(names))
            for at in instants
        ]
    )
    assert np.all(held.sum(axis=1) == min(capacity, sum(demands)))
    assert np.abs(held - np.array([float(share) for share in shares])).max() < 1
