"""Cohorts in cohorts, and who takes to borrow itself, as Kueue publishes it: engine and reference must agree.

Cases named after Kueue are those of ``preemption_test.go``, ``preemption_fair_test.go`` and
``preemption_hierarchical_test.go`` in ``pkg/scheduler/preemption`` of kubernetes-sigs/kueue, by their names there, and
the stories of its proposals (KEP-1714, KEP-1337); CPUs are GPUs here, and half CPUs are whole GPUs of twice as large
quotas.
"""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from gpuyard.errors import ConfigError
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.tenancy import Tenants
from tenant_stories import TEST, Ran, cohort, of, of_sizes, ones, starts, stays, victims

# --- Kueue, borrowWithinCohort -----------------------------------------------------------------------------

SHARED = {
    "reclaim": "lower",
    "borrow_within": "lower",
    "borrow_threshold": 0,
    "tenant": [
        {"name": "a_standard", "nominal": 1, "borrow": 12},
        {"name": "b_standard", "nominal": 1, "borrow": 12},
        {"name": "a_best_effort", "nominal": 1, "borrow": 12},
        {"name": "b_best_effort", "nominal": 0, "borrow": 13},
        {"name": "shared", "nominal": 10},
    ],
}
"""The cohort ``with_shared_cq``."""


@TEST
def test_kueue_allow_preempting_a_lower_priority_workload_from_another_queue_while_borrowing(tell):
    running: dict[str, Ran] = {"a_low": ("a_best_effort", 10, -1), "b_low": ("b_best_effort", 1, -1)}
    assert victims(tell, SHARED, running, ("a_standard", 10, 0), gpus=13) == {"a_low"}
    assert victims(tell, SHARED | {"borrow_within": "never", "borrow_threshold": None}, running, ("a_standard", 10, 0),
                   gpus=13) == set()  # fmt: skip


@TEST
def test_kueue_a_priority_above_the_threshold_is_left_alone_if_borrowing_is_required(tell):
    """ "don't allow preempting a lower-priority workload with priority above MaxPriorityThreshold ..."."""
    running: dict[str, Ran] = {"b_standard": ("b_standard", 10, 1)}
    assert victims(tell, SHARED, running, ("a_standard", 10, 2), gpus=13) == set()
    assert victims(tell, SHARED | {"borrow_threshold": 1}, running, ("a_standard", 10, 2), gpus=13) == {"b_standard"}
    assert victims(tell, SHARED | {"borrow_threshold": None}, running, ("a_standard", 10, 2), gpus=13) == {"b_standard"}


@TEST
def test_kueue_a_priority_above_the_threshold_is_taken_if_borrowing_is_not_required(tell):
    """ "allow preempting a lower-priority workload with priority above MaxPriorityThreshold, if ..."."""
    running: dict[str, Ran] = {"b_standard": ("b_standard", 13, 1)}
    assert victims(tell, SHARED, running, ("a_standard", 1, 2), gpus=13) == {"b_standard"}


@TEST
def test_kueue_only_preempt_from_the_queue_if_no_workloads_below_threshold_and_already_above_nominal(tell):
    running: dict[str, Ran] = {
        "a_standard_1": ("a_standard", 10, 1),
        "a_standard_2": ("a_standard", 1, 1),
        "b_standard_1": ("b_standard", 1, 1),
        "b_standard_2": ("b_standard", 1, 2),
    }
    assert victims(tell, SHARED, running, ("b_standard", 1, 3), gpus=13) == {"b_standard_1"}


@TEST
def test_kueue_preempt_from_the_queue_and_from_others_with_workloads_below_threshold(tell):
    running: dict[str, Ran] = {
        "b_standard_high": ("b_standard", 10, 2),
        "b_standard_mid": ("b_standard", 1, 1),
        "a_best_effort_low": ("a_best_effort", 1, -1),
        "a_best_effort_lower": ("a_best_effort", 1, -2),
    }
    found = victims(tell, SHARED, running, ("b_standard", 2, 2), gpus=13)
    assert found == {"b_standard_mid", "a_best_effort_lower"}


@TEST
def test_kueue_preempt_in_cohort_and_own_queue(tell):
    """The cohort c has 3, its queues none of their own; who is above the threshold of 0 stays."""
    tenants = {
        "reclaim": "any",
        "borrow_within": "lower",
        "borrow_threshold": 0,
        "tenant": [{"name": "c", "nominal": 3}, {"name": "c/q"}, {"name": "c/q_same_cohort"}],
    }
    running: dict[str, Ran] = {
        "not_preemptible": ("c/q_same_cohort", 1, 1),
        "preemptible": ("c/q_same_cohort", 1, 0),
        "own": ("c/q", 1, -1),
    }
    assert victims(tell, tenants, running, ("c/q", 2, 1)) == {"preemptible", "own"}


@TEST
def test_kueue_forced_to_preempt_priority_candidate(tell):
    """Who is within the nominal quota stays, however unimportant."""
    tenants = {
        "reclaim": "any",
        "borrow_within": "lower",
        "borrow_threshold": 0,
        "tenant": [
            {"name": "c", "nominal": 2},
            {"name": "c/q"},
            {"name": "c/q_same_cohort"},
            {"name": "q_nominal", "nominal": 2},
        ],
    }
    running: dict[str, Ran] = {"nominal": ("q_nominal", 2, -10), "same": ("c/q_same_cohort", 2, -1)}
    assert victims(tell, tenants, running, ("c/q", 2, 0)) == {"same"}


POOL = {
    "reclaim": "any",
    "borrow_within": "lower",
    "borrow_threshold": 100,
    "tenant": [
        *({"name": f"{team}_{kind}", "nominal": 0, "borrow": 100} for team in "ab" for kind in ("standard", "effort")),
        {"name": "shared", "nominal": 100, "borrow": 0},
    ],
}
"""KEP-1337, story 1."""


@TEST
def test_kep_1337_story_1(tell):
    """The four scenarios that the proposal's test plan names."""
    low: dict[str, Ran] = {"low": ("b_effort", 60, 50), "other": ("a_effort", 40, 90)}
    assert victims(tell, POOL, low, ("a_standard", 50, 200)) == {"low"}
    assert victims(tell, POOL, {"high": ("b_standard", 100, 300)}, ("a_standard", 50, 200)) == set()
    assert victims(tell, POOL, {"above": ("b_standard", 100, 150)}, ("a_standard", 50, 200)) == set()
    assert victims(tell, POOL, {"lender": ("shared", 100, 50)}, ("a_standard", 50, 200)) == set()


@TEST
@pytest.mark.parametrize(("rule", "column"), [("partition", "partition"), ("qos", "qos")])
def test_the_threshold_is_a_tier_where_tiers_decide(tell, rule, column):
    """Of the tiers 1 and 2, both below 3, a threshold of 1 leaves alone the second."""
    jobs = workload(
        (0, 100, 2, of("b", **{column: "one"})),
        (0, 100, 2, of("b", **{column: "two"})),
        (10, 10, 3, of("a", **{column: "three"})),
    )
    tiers = {"one": 1, "two": 2, "three": 3}
    tenants = {"borrow_within": "lower", "nominal": 4, "tenant": [{"name": "a"}, {"name": "b"}]}
    story = (tell, jobs, cluster(4))
    assert stays(*story, tenants | {"borrow_threshold": 1}, rule, tiers=tiers)[2] == [(100, 110)]
    assert stays(*story, tenants | {"borrow_threshold": 2}, rule, tiers=tiers)[2] == [(10, 20)]


# --- Kueue, fair sharing level by level --------------------------------------------------------------------

THREE = cohort("cohorts", a=3, b=3, c=3)
SIX = cohort("cohorts", a=6, b=6, c=6)


@TEST
@pytest.mark.parametrize(
    ("case", "running", "incoming", "expected"),
    [
        ("reclaim nominal from user using the most", ones(a=3, b=5, c=1), ("c", 1, 0), {"b1"}),
        ("can't preempt when everyone under nominal", ones(a=3, b=3, c=3), ("c", 1, 0), set()),
        ("can't preempt when it would switch the imbalance", ones(a=3, b=5), ("a", 2, 0), set()),
        ("preempt huge workload if there is no other option", of_sizes(b=[9]), ("a", 2, 0), {"b1"}),
        ("can't preempt huge workload if the incoming is also huge", of_sizes(a=[2], b=[7]), ("a", 5, 0), set()),
        ("can't preempt 2 smaller workloads if the incoming is huge", of_sizes(b=[2, 2, 3]), ("a", 6, 0), set()),
        ("cannot preempt if it would go under nominal after one", of_sizes(b=[3, 3], c=[3]), ("a", 4, 0), set()),
        (
            "can preempt lower priority workloads from same CQ",
            {"a1_low": ("a", 1, -1), "a2_low": ("a", 1, -1), "a3": ("a", 1, 0), "a4": ("a", 1, 0)} | ones(b=5),
            ("a", 2, 0),
            {"a1_low", "a2_low"},
        ),
        (
            "can preempt a combination of same CQ and highest user",
            {"a_low": ("a", 1, -1), "a2": ("a", 1, 0), "a3": ("a", 1, 0)} | ones(b=6),
            ("a", 2, 0),
            {"a_low", "b1"},
        ),
        (
            "workloads under priority threshold not capriciously preempted",
            ones(a=3, b=3) | {"c1": ("c", 1, -3), "c2": ("c", 1, -3), "c3": ("c", 1, -3)},
            ("a", 2, 0),
            set(),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_kueue_fair_sharing_in_one_cohort(tell, case, running, incoming, expected):
    assert victims(tell, THREE, running, incoming, gpus=9) == expected, case


@TEST
@pytest.mark.parametrize(
    ("case", "running", "incoming", "expected"),
    [
        ("preempt one from each CQ borrowing", of_sizes(a=[1, 1, 6], b=[1, 1, 6]), ("c", 4, 0), {"a1", "b1"}),
        ("prefer what leaves a smaller share", of_sizes(b=[4, 2, 4], c=[2]), ("a", 7, 0), {"b2"}),
        ("from different queues if the max share is smaller", of_sizes(b=[4, 5], c=[4, 5]), ("a", 7, 0), {"b1", "c1"}),
        ("scenario above does not flap", of_sizes(a=[7], b=[5], c=[5]), ("b", 4, 0), set()),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_kueue_fair_sharing_of_halves_in_one_cohort(tell, case, running, incoming, expected):
    assert victims(tell, SIX, running, incoming, gpus=18) == expected, case


@TEST
def test_kueue_hierarchical_preemption(tell):
    """LEFT, RIGHT and the root have 5 of their own; a takes from its sibling, from the root's child, and from RIGHT."""
    tenants = {
        "reclaim": "cohorts",
        "nominal": 5,
        "tenant": [
            {"name": "LEFT", "nominal": 5, "weight": 2},
            {"name": "LEFT/a", "nominal": 1, "weight": 2},
            {"name": "LEFT/b", "nominal": 1},
            {"name": "RIGHT", "nominal": 5},
            {"name": "RIGHT/d", "nominal": 1},
            {"name": "RIGHT/e", "nominal": 1, "weight": 0.99},
            {"name": "c", "nominal": 1},
        ],
    }
    running: dict[str, Ran] = {
        f"{path[-1]}{number}": (path, 1, number)
        for path in ("LEFT/b", "c", "RIGHT/d", "RIGHT/e")
        for number in range(1, 6)
    }
    assert victims(tell, tenants, running, ("LEFT/a", 5, 0)) == {"b1", "b2", "c1", "c2", "e1"}


@TEST
def test_kueue_borrowing_queue_in_a_cohort_that_does_not_borrow_is_protected(tell):
    tenants = {
        "reclaim": "cohorts",
        "tenant": [
            {"name": "a", "nominal": 5, "weight": 10},
            {"name": "RIGHT", "nominal": 1, "weight": 0.1},
            {"name": "RIGHT/b", "weight": 0.1},
        ],
    }
    running: dict[str, Ran] = {f"a{number}": ("a", 1, -1) for number in (1, 2, 3)} | {"b1": ("RIGHT/b", 1, -1)}
    assert victims(tell, tenants, running, ("a", 5, 0), gpus=6) == {"a1", "a2", "a3"}
    assert victims(tell, tenants, running, ("a", 5, 0), gpus=5) == set(), "b1 is not taken where that alone would help"


@TEST
@pytest.mark.parametrize(("weights", "expected"), [((1.01, 0.99), {"b1"}), ((0.99, 1.01), set())])
def test_kueue_deep_preemption(tell, weights, expected):
    """What is compared are the cohorts A and B below the root, far above the queues."""
    tenants = {
        "reclaim": "cohorts",
        "tenant": [
            {"name": "A", "weight": weights[0]},
            {"name": "A/AA/AAA/a"},
            {"name": "B", "weight": weights[1]},
            {"name": "B/BB/BBB/b"},
            {"name": "C/CC/CCC/CCCC", "nominal": 1},
        ],
    }
    assert victims(tell, tenants, {"b1": ("B/BB/BBB/b", 1, 0)}, ("A/AA/AAA/a", 1, 0)) == expected


@TEST
def test_kep_1714_story_3(tell):
    """A tenth of the story: 30 GPUs for C1 and C2 alike, and in C1 1C counts for three of the others."""
    tenants = {
        "between": "cohorts",
        "tenant": [
            {"name": "CS", "nominal": 30},
            {"name": "C1/1A"},
            {"name": "C1/1B"},
            {"name": "C1/1C", "weight": 3},
            {"name": "C2/2A"},
        ],
    }
    paths = ("C1/1A", "C1/1B", "C1/1C", "C2/2A")
    jobs = workload(*((0, 10, 1, of(path)) for path in paths for _ in range(25)))
    found = starts(tell, jobs, cluster(30), tenants)
    began = [sum(start == 0 for start in found[at : at + 25]) for at in range(0, 100, 25)]
    assert began == [3, 3, 9, 15]


@TEST
@pytest.mark.parametrize(("between", "began"), [("cohorts", [0, 1, 10, 5]), ("fair", [0, 1, 5, 10])])
def test_kep_1714_story_2_what_a_department_leaves_goes_to_its_own_teams_first(tell, between, began):
    """1A ends at 5, and 6 GPUs are free.  With the job of 1B its department uses 8, as many as are its own; with that
    of 2B the other uses 6 of its 2.  As tenants, 1B borrows 4 already and 2B nothing.
    """
    tenants = {
        "between": between,
        "tenant": [
            {"name": "D1/1A", "nominal": 8},
            {"name": "D1/1B"},
            {"name": "D2/2A", "nominal": 2},
            {"name": "D2/2B"},
        ],
    }
    jobs = workload(
        (0, 5, 6, of("D1/1A")),
        (1, 9, 4, of("D1/1B")),
        (2, 9, 6, of("D2/2B")),
        (2, 9, 4, of("D1/1B")),
    )
    assert starts(tell, jobs, cluster(10), tenants) == began


# --- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("reclaim", ["never", "fair", "cohorts"])
def test_who_takes_to_borrow_goes_with_classic_preemption_only(reclaim):
    with pytest.raises(ConfigError, match="borrow_within = lower goes with reclaim = any or lower"):
        Tenants(reclaim=reclaim, borrow_within="lower")


def test_a_threshold_needs_something_to_bound_and_is_a_whole_number():
    with pytest.raises(ConfigError, match="choose that, or leave it out"):
        Tenants(borrow_threshold=3)
    with pytest.raises(ConfigError, match="a whole number of 32 bits"):
        Tenants(borrow_within="lower", borrow_threshold=2.5)
    with pytest.raises(ConfigError, match="borrow_within 'lowest'"):
        Tenants(borrow_within="lowest")


@pytest.mark.parametrize(
    ("rule", "threshold", "says"),
    [("reclaim", None, "nobody is more urgent than another"), ("las", 3, "goes by neither")],
)
def test_a_rule_without_what_is_asked_for_is_refused(rule, threshold, says):
    tenants = Tenants.of(
        {"borrow_within": "lower", "borrow_threshold": threshold, "tenant": [{"name": "a", "nominal": 1}]}
    )
    with pytest.raises(ConfigError, match=says):
        schedule(workload((0, 1, 1)), cluster(1), Policy(preemption={"rule": rule}), tenants=tenants)
