"""Who makes room for whom among tenants, worked by hand and as Kueue publishes it: engine and reference must agree.

Rows are (submit_time, runtime, gpus), times in seconds; a preempted job loses nothing.  Cases named after Kueue are
those of ``pkg/scheduler/preemption/preemption_test.go`` and ``preemption_fair_test.go`` of kubernetes-sigs/kueue, by
their names there; CPUs are GPUs here, and half CPUs are whole GPUs of twice as large quotas.
"""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from tenant_stories import TEST, Ran, causes, cohort, nodes, of, of_sizes, ones, outcomes, stays, victims

# --- Kueue, classic preemption -----------------------------------------------------------------------------

STANDALONE = {"tenant": [{"name": "standalone", "nominal": 6}]}


def standalone(tell: str, gpus: list[int], asked: int) -> set[str]:
    """Return who of a low, a middle and a high job goes for a high one, in a queue of its own of 6."""
    named = zip(("low", "mid", "high"), gpus, (-1, 0, 1), strict=True)
    jobs: dict[str, Ran] = {name: ("standalone", each, level) for name, each, level in named}
    return victims(tell, STANDALONE, jobs, ("standalone", asked, 1), gpus=6)


@TEST
def test_kueue_within_one_queue(tell):
    assert standalone(tell, [2, 2, 2], 2) == {"low"}, "preempt lowest priority"
    assert standalone(tell, [2, 2, 2], 3) == {"low", "mid"}, "preempt multiple"
    assert standalone(tell, [1, 1, 3], 2) == {"low"}, "some free quota, preempt low priority"
    assert standalone(tell, [1, 2, 3], 2) == {"mid"}, "minimal set excludes low priority"


@TEST
def test_kueue_not_enough_low_priority_workloads(tell):
    jobs = {"low": ("standalone", 3, -1), "mid": ("standalone", 3, 0)}
    assert victims(tell, STANDALONE, jobs, ("standalone", 4, 0)) == set()
    assert victims(tell, STANDALONE, jobs, ("standalone", 1, -1)) == set(), "no preemption for low priority"


@TEST
def test_kueue_preempting_within_a_queue_spares_the_smaller_one(tell):
    """ "preempting locally and not borrowing same resource in 1-queue cohort"."""
    jobs = {"l1-med": ("l1", 4, 0), "l1-low": ("l1", 2, -1)}
    assert victims(tell, cohort("lower", l1={"nominal": 6, "borrow": 12}), jobs, ("l1", 4, 1)) == {"l1-med"}


@TEST
def test_kueue_reclaim_quota_from_borrower(tell):
    """The lower of the two jobs of the queue that borrows goes; those that are not below its nominal quota stay."""
    jobs = {"c1-low": ("c1", 3, -1), "c2-mid": ("c2", 3, 0), "c2-high": ("c2", 6, 1)}
    for reclaim in ("lower", "any"):
        assert victims(tell, cohort(reclaim, c1=6, c2=6), jobs, ("c1", 3, 1)) == {"c2-mid"}
    assert victims(tell, cohort("never", c1=6, c2=6), jobs, ("c1", 3, 1)) == {"c1-low"}


@TEST
def test_kueue_reclaim_quota_from_lender(tell):
    """Lending limits of 4 and 2 of 6 each: c2 borrows 1, and its middle job goes for 3 of c1's own."""
    lend = {"lend1": {"nominal": 6, "lend": 4}, "lend2": {"nominal": 6, "lend": 2}}
    jobs = {"lend1-low": ("lend1", 3, -1), "lend2-mid": ("lend2", 3, 0), "lend2-high": ("lend2", 4, 1)}
    assert victims(tell, cohort("lower", **lend), jobs, ("lend1", 3, 1), gpus=12) == {"lend2-mid"}


@TEST
def test_kueue_not_enough_workloads_borrowing(tell):
    """c1 would be above its quota of 6 itself, and has nothing lower of its own."""
    jobs = {"c1-high": ("c1", 4, 1), "c2-low-1": ("c2", 4, -1), "c2-low-2": ("c2", 4, -1)}
    assert victims(tell, cohort("lower", c1=6, c2=6), jobs, ("c1", 4, 1)) == set()
    assert victims(tell, cohort("any", c1=6, c2=6), jobs, ("c1", 4, 1)) == set()


@TEST
def test_kueue_preempting_locally_and_borrowing_the_same_resource_in_the_cohort(tell):
    jobs = {"c1-med": ("c1", 4, 0), "c1-low": ("c1", 4, -1), "c2-low-1": ("c2", 4, -1)}
    assert victims(tell, cohort("lower", c1=6, c2=6), jobs, ("c1", 4, 1)) == {"c1-low"}


@TEST
def test_kueue_reclaim_from_the_same_priority_under_any_and_not_under_lower(tell):
    """ "do not reclaim borrowed quota from same priority for ReclaimFromLowerPriority", and the next case there."""
    jobs = {"c1": ("c1", 2, 0), "c2-1": ("c2", 4, 0), "c2-2": ("c2", 4, 0)}
    assert victims(tell, cohort("lower", c1=6, c2=6), jobs, ("c1", 4, 0)) == set()
    jobs = {"c1-1": ("c1", 4, 0), "c1-2": ("c1", 4, 1), "c2": ("c2", 2, 0)}
    assert victims(tell, cohort("any", c1=6, c2=6), jobs, ("c2", 4, 0)) == {"c1-1"}


@TEST
def test_kueue_borrowers_first_then_the_lowest_priority_then_the_latest(tell):
    """The order of candidates in Kueue's documentation ("Classic Preemption")."""
    jobs: dict[str, Ran] = {
        "own low": ("a", 1, -2),
        "lent early": ("b", 1, 0, 1),
        "lent late": ("b", 1, 0, 2),
        "lent high": ("b", 1, 1, 3),
    }
    tenants = cohort("any", a=4, b=0)
    assert victims(tell, tenants, jobs, ("a", 1, 0)) == {"lent late"}
    assert victims(tell, tenants, jobs, ("a", 2, 0)) == {"lent late", "lent early"}
    assert victims(tell, tenants, jobs, ("a", 3, 0)) == {"lent late", "lent early", "lent high"}
    assert victims(tell, cohort("lower", a=4, b=0), jobs, ("a", 3, 0)) == set()
    assert victims(tell, cohort("lower", a=4, b=0), jobs, ("a", 1, 0)) == {"own low"}


# --- Kueue, fair sharing -----------------------------------------------------------------------------------

THREE = cohort("fair", a=3, b=3, c=3)
SIX = cohort("fair", a=6, b=6, c=6)


@TEST
@pytest.mark.parametrize(
    ("case", "running", "incoming", "expected"),
    [
        ("reclaim nominal from user using the most", ones(a=3, b=5, c=1), ("c", 1), {"b1"}),
        (
            "can reclaim from queue using less, if taking the latest workload from user using the most isn't enough",
            of_sizes(a=[3, 1], b=[2, 3]),
            ("c", 3),
            {"a1"},
        ),
        ("reclaim borrowable quota from user using the most", ones(a=3, b=5, c=1), ("a", 1), {"b1"}),
        ("can't preempt when everyone under nominal", ones(a=3, b=3, c=3), ("c", 1), set()),
        ("can't preempt when it would switch the imbalance", ones(a=3, b=5), ("a", 2), set()),
        (
            "preempt huge workload if there is no other option, as long as the target CQ gets a lower share",
            of_sizes(b=[9]),
            ("a", 2),
            {"b1"},
        ),
        ("can't preempt huge workload if the incoming is also huge", of_sizes(a=[2], b=[7]), ("a", 5), set()),
        ("can't preempt 2 smaller workloads if the incoming is huge", of_sizes(b=[2, 2, 3]), ("a", 6), set()),
        (
            "cannot preempt if it would make the candidate CQ go under nominal after preempting one element",
            of_sizes(b=[3, 3], c=[3]),
            ("a", 4),
            set(),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_kueue_fair_sharing(tell, case, running, incoming, expected):
    assert victims(tell, THREE, running, (*incoming, 0), "reclaim", gpus=9) == expected, case


@TEST
@pytest.mark.parametrize(
    ("case", "running", "incoming", "expected"),
    [
        ("preempt one from each CQ borrowing", of_sizes(a=[1, 1, 6], b=[1, 1, 6]), ("c", 4), {"a1", "b1"}),
        (
            "prefer to preempt workloads that don't make the target CQ have the biggest share",
            of_sizes(b=[4, 2, 4], c=[2]),
            ("a", 7),
            {"b2"},
        ),
        (
            "preempt from different cluster queues if the end result has a smaller max share",
            of_sizes(b=[4, 5], c=[4, 5]),
            ("a", 7),
            {"b1", "c1"},
        ),
        ("scenario above does not flap", of_sizes(a=[7], b=[5], c=[5]), ("b", 4), set()),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_kueue_fair_sharing_of_halves(tell, case, running, incoming, expected):
    assert victims(tell, SIX, running, (*incoming, 0), "reclaim", gpus=18) == expected, case


@TEST
def test_kueue_fair_sharing_with_priorities(tell):
    """ "can preempt lower priority workloads from same CQ", "... a combination of same CQ and highest user"."""
    a = {"a1_low": ("a", 1, -1), "a2_low": ("a", 1, -1), "a3": ("a", 1, 0), "a4": ("a", 1, 0)}
    assert victims(tell, THREE, a | ones(b=5), ("a", 2, 0)) == {"a1_low", "a2_low"}
    a = {"a_low": ("a", 1, -1), "a2": ("a", 1, 0), "a3": ("a", 1, 0)}
    assert victims(tell, THREE, a | ones(b=6), ("a", 2, 0)) == {"a_low", "b1"}


@TEST
def test_kueue_fair_sharing_takes_what_does_not_transfer_the_imbalance_even_if_it_is_of_high_priority(tell):
    """The first strategy of "preempt workload that doesn't transfer the imbalance, even if high priority"."""
    jobs = {"a1": ("a", 3, 0), "b_low": ("b", 5, 0), "b_high": ("b", 1, 1)}
    assert victims(tell, THREE, jobs, ("a", 1, 0)) == {"b_high"}


@TEST
def test_kueue_fair_sharing_takes_by_the_second_strategy_where_the_first_finds_nobody(tell):
    """ "preempt lower priority first, even if big" without the small job, which the first strategy would take."""
    jobs = {"a1": ("a", 3, 0), "b_low": ("b", 6, 0)}
    assert victims(tell, THREE, jobs, ("a", 1, 0)) == {"b_low"}


@TEST
def test_the_first_strategy_takes_where_both_shares_would_be_equal(tell):
    """With its job ``a`` borrows 1, as ``b`` would without its small one; the second strategy would take the other."""
    assert victims(tell, THREE, of_sizes(a=[3], b=[4, 1], c=[1]), ("a", 1, 0), "reclaim") == {"b2"}


@TEST
def test_kueue_a_queue_of_higher_weight_can_preempt_more(tell):
    """ "CQ with higher weight can preempt more"."""
    tenants = cohort("fair", a={"nominal": 3, "weight": 2}, b=3, c=3)
    assert victims(tell, tenants, ones(a=3, b=6), ("a", 2, 0), "reclaim") == {"b1", "b2"}
    assert victims(tell, THREE, ones(a=3, b=6), ("a", 2, 0), "reclaim") == set()


# --- what is promised --------------------------------------------------------------------------------------


@TEST
@pytest.mark.parametrize("reclaim", ["any", "lower", "fair", "never"])
def test_a_tenant_within_its_nominal_quota_is_never_preempted_for_one_above(tell, reclaim):
    """However urgent: ``a`` has its 4, and so has ``b``."""
    jobs: dict[str, Ran] = {"a": ("a", 4, 9), "b": ("b", 4, -5)}
    assert victims(tell, cohort(reclaim, a=4, b=4), jobs, ("a", 1, 9)) == set()
    above = set() if reclaim == "never" else {"b"}
    assert victims(tell, cohort(reclaim, a=4, b=3, c=1), jobs, ("c", 1, 9)) == above


@TEST
@pytest.mark.parametrize("reclaim", ["any", "fair", "cohorts"])
def test_an_organisation_within_its_nominal_quota_is_left_alone_though_its_teams_borrow(tell, reclaim):
    """``steel`` has its own 2 since later than its team the other 2, which are due to ``bio``.

    Where the team's job is not to be preempted, ``bio`` waits for its end.
    """
    tenants = cohort(reclaim, **{"steel": 2, "steel/vision": 0, "bio": 2})
    jobs: dict[str, Ran] = {"own": ("steel", 2, -5, 2), "team": ("steel/vision", 2, 9, 1)}
    assert victims(tell, tenants, jobs, ("bio", 2, 0), "reclaim") == {"team"}
    late = workload((1, 20, 2, of("steel/vision", preemptible=False)), (2, 20, 2, of("steel")), (5, 3, 2, of("bio")))
    assert stays(tell, late, cluster(4), tenants, "reclaim") == [[(1, 21)], [(2, 22)], [(21, 24)]]


@TEST
def test_what_was_lent_is_taken_back_and_the_borrower_goes_on_when_there_is_room(tell):
    """At 5 ``a`` has its 2 back: the later of the two jobs of ``b`` makes room, and has its last 5 seconds at 8."""
    jobs = workload((0, 10, 2, of("b")), (1, 9, 2, of("b")), (5, 3, 2, of("a")))
    story = (tell, jobs, cluster(4), cohort("any", a=2, b=2), "reclaim")
    assert stays(*story) == [[(0, 10)], [(1, 5), (8, 13)], [(5, 8)]]
    assert causes(*story) == [[None], [2, None], [None]]


@TEST
def test_nobody_who_started_at_this_instant_makes_room_at_it(tell):
    """Both come at 5, ``b`` first; ``a`` has its own back at the next instant, which is the submission at 7."""
    jobs = workload((5, 10, 4, of("b")), (5, 3, 2, of("a")), (7, 1, 1, of("b")))
    found = stays(tell, jobs, cluster(4), cohort("any", a=2, b=2), "reclaim")
    assert found == [[(5, 7), (10, 18)], [(7, 10)], [(7, 8)]]


@TEST
def test_a_borrower_that_may_not_be_preempted_yet_is_taken_when_its_least_run_is_over(tell):
    """``min_run`` of 7 s is over at 8, which is an instant by itself."""
    jobs = workload((0, 20, 2, of("b")), (1, 20, 2, of("b")), (5, 3, 2, of("a")))
    assert stays(tell, jobs, cluster(4), cohort("any", a=2, b=2), "reclaim", min_run=7)[2] == [(7, 10)]
    jobs = workload((0, 20, 4, of("b", preemptible=False)), (5, 3, 2, of("a")))
    assert stays(tell, jobs, cluster(4), cohort("any", a=2, b=2), "reclaim")[1] == [(20, 23)]


@TEST
def test_nobody_is_taken_off_for_a_job_that_could_be_counted_but_not_placed(tell):
    """``b`` borrows one GPU on each node; ``a`` needs two on one, and the other jobs are within the quota of ``c``."""
    jobs = workload(
        (0, 20, 3, of("c")), (0, 20, 3, of("c")), (1, 20, 1, of("b")), (1, 20, 1, of("b")), (5, 3, 2, of("a"))
    )
    assert stays(tell, jobs, cluster(4, 4), cohort("any", a=2, b=0, c=6), "reclaim")[4] == [(20, 23)]


@TEST
def test_what_was_taken_in_vain_is_spared(tell):
    """The single GPU that was lent last is taken first, and is not needed when the 4 are taken too."""
    jobs: dict[str, Ran] = {"four": ("b", 4, 0, 1), "one": ("b", 1, 0, 2)}
    assert victims(tell, cohort("any", a=5, b=0), jobs, ("a", 4, 0), "reclaim") == {"four"}


@TEST
def test_the_rule_reclaim_has_no_regard_to_priorities(tell):
    jobs: dict[str, Ran] = {"own": ("a", 1, -9), "lent": ("b", 1, 9)}
    assert victims(tell, cohort("any", a=2, b=0), jobs, ("a", 1, 0), "reclaim") == {"lent"}
    assert victims(tell, cohort("never", a=2, b=0), jobs, ("a", 1, 0), "reclaim") == set()


@TEST
def test_a_victim_comes_up_again_in_the_next_round(tell):
    """``a`` must have a node of type ``x``, which ``b`` borrows; ``b`` may go on at once on the other."""
    jobs = workload((0, 10, 4, of("b")), (2, 3, 4, of("a", gpu_type="x")))
    story = (tell, jobs, cluster(("x", 4), ("y", 4)), cohort("any", a=8, b=0), "reclaim")
    assert stays(*story) == [[(0, 2), (2, 10)], [(2, 5)]]
    assert nodes(*story) == [[1], [0]]


@TEST
def test_jobs_of_other_types_than_the_one_that_is_asked_for_stay(tell):
    """``b`` borrows of both types, and started later on ``y``; ``a`` wants ``x``."""
    quotas = cohort("any", a={"nominal": {"x": 2, "y": 2}}, b={"nominal": {"x": 0}})
    jobs = workload(
        (0, 20, 2, of("b", gpu_type="x")), (1, 20, 2, of("b", gpu_type="y")), (5, 3, 2, of("a", gpu_type="x"))
    )
    story = (tell, jobs, cluster(("x", 2), ("y", 2)), quotas, "reclaim")
    assert causes(*story) == [[2, None], [None], [None]]


@TEST
def test_all_types_are_tried_before_room_is_made_on_any(tell):
    quotas = cohort("any", a={"nominal": {"x": 2, "y": 2}}, b={"nominal": {"x": 0}})
    jobs = workload((0, 20, 2, of("b", gpu_type="x")), (5, 3, 2, of("a", gpu_type="x|y")), (6, 3, 2, of("a")))
    story = (tell, jobs, cluster(("x", 2), ("y", 2)), quotas, "reclaim")
    assert stays(*story) == [[(0, 6), (9, 23)], [(5, 8)], [(6, 9)]]


# --- tenants above others ----------------------------------------------------------------------------------


@TEST
@pytest.mark.parametrize("reclaim", ["any", "fair"])
def test_what_jobs_of_nobody_borrow_is_taken_back(tell, reclaim):
    """The root's own quota is 2: of its 8 GPUs, 6 are lent by ``a``."""
    tenants = {**cohort(reclaim, a=6), "nominal": 2}
    jobs: dict[str, Ran] = {f"n{number}": ("nobody", 2, 0) for number in range(4)}
    assert victims(tell, tenants, jobs, ("a", 4, 0), "reclaim") == {"n0", "n1"}
    jobs = {"n": ("nobody", 2, 0), "a": ("a", 6, 0)}
    assert victims(tell, tenants, jobs, ("a", 2, 0), "reclaim") == set()


@TEST
def test_an_organisation_has_its_own_back_from_its_teams(tell):
    tenants = cohort("any", **{"org": 4, "org/team": 2})
    jobs: dict[str, Ran] = {"t1": ("org/team", 2, 0, 1), "t2": ("org/team", 4, 0, 2)}
    assert victims(tell, tenants, jobs, ("org", 4, 0), "reclaim") == {"t2"}


@TEST
@pytest.mark.parametrize("reclaim", ["any", "fair"])
def test_a_team_within_what_its_organisation_has_loses_nothing_to_others(tell, reclaim):
    """``x/team`` borrows of ``x``, which has 4 and uses no more; ``y`` misses what is lent to ``z``."""
    tenants = cohort(reclaim, **{"x": 4, "x/team": 0, "y": 2, "z": 0})
    jobs: dict[str, Ran] = {"x": ("x/team", 4, 0, 2), "z": ("z", 2, 0, 1)}
    assert victims(tell, tenants, jobs, ("y", 2, 0), "reclaim") == {"z"}
    assert victims(tell, tenants, jobs, ("x", 2, 0), "reclaim") == {"x"}


@TEST
def test_a_try_in_vain_is_made_again_when_somebody_who_was_left_out_borrows_more_widely(tell):
    """``e/x`` has all of ``e``, so that ``a`` may take nothing at 1, and lacks a GPU; at 2 ``e/y`` wants its own.

    From then on ``e/x`` borrows from ``a`` as well, though neither its own share has changed nor a larger one than that
    of ``a``, and nobody has given a GPU back. The job that comes at 3 brings ``a`` its turn, and waits itself.
    """
    tenants = cohort("fair", a=4, b=1, e=0, **{"e/x": 0, "e/y": 4})
    rows = [(0, 20, 4, of("e/x")), (0, 20, 1, of("b")), (1, 5, 4, of("a")), (2, 20, 1, of("e/y")), (3, 1, 8, of("b"))]
    story = (tell, workload(*rows), cluster(4, 4), tenants, "reclaim")
    assert stays(*story)[:3] == [[(0, 3), (8, 25)], [(0, 20)], [(3, 8)]]
    assert causes(*story)[0] == [2, None]


@TEST
def test_a_limit_makes_room_within_a_tenant_only_for_the_more_urgent(tell):
    """One job for each user: the second of ann waits, unless it is more urgent than her first."""
    tenants = {"tenant": [{"name": "a", "nominal": 4}], "limit": [{"each": ["user"], "jobs": 1}]}
    rows = [
        (0, 10, 1, of("a", user="ann")),
        (0, 10, 1, of("a", user="bob")),
        (2, 3, 1, of("a", user="ann", priority=1)),
    ]
    story = (tell, workload(*rows), cluster(4), tenants)
    assert stays(*story, "priority") == [[(0, 2), (5, 13)], [(0, 10)], [(2, 5)]]
    assert stays(*story, "reclaim") == [[(0, 10)], [(0, 10)], [(10, 13)]]
    assert outcomes(*story, "reclaim") == ["completed"] * 3
