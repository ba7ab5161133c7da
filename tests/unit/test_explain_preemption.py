"""The story of a job under preemption: its attempts, who made room for it, and for whom it made room."""

from __future__ import annotations

import pytest

import gpuyard as gy
from conftest import Row, cluster, workload
from explained import story, told

PAIR: tuple[Row, ...] = ((0, 100, 4), (20, 10, 4))
"""On 4 GPUs: job 1 comes after 20 s, needs all of them, and is short."""
NOTE = "Note: Among which nodes the placement chose is not told of runs that preempt."


def under(rule: str, **terms: object) -> dict[str, object]:
    return {"policy": "fifo-fit", "preemption": {"rule": rule, **terms}}


def test_the_whole_story_of_a_job_that_made_room_and_went_on() -> None:
    assert told("0", *PAIR, site=cluster(4), **under("srtf", restart_cost=10)) == [
        "Job 0 asked for 4 GPUs; expected to run 1m 40s (100 s). Policy: srtf.",
        "Submitted at 0 s.",
        "Eligible at 0 s, at once.",
        "It did not wait.",
        "Attempt 1: from 0 s for 20 s on n0 (4 GPUs).",
        "  It made room for job 1: 1m 20s (80 s) were left of it, 10 s of the other.",
        "It waited 10 s:",
        "  from 20 s for 10 s: too few GPUs: 0 free of the 4 it needs.",
        "Attempt 2: from 30 s for 1m 30s (90 s) on n0 (4 GPUs); 10 s of it were not useful.",
        "Ended at 2m (120 s): completed.",
        "In 2 attempts it held its GPUs for 1m 50s (110 s), of which 1m 40s (100 s) were useful.",
        NOTE,
    ]


def test_a_job_that_made_room_again_and_again_is_summed_up() -> None:
    """Job 0 of nobody makes room for a more urgent job of nobody, then twice for a tenant's quota; it waits 30 s."""
    rows: tuple[Row, ...] = (
        (0, 100, 4),
        (10, 10, 4, {"priority": 1}),
        (30, 10, 4, {"tenant": "steel"}),
        (50, 10, 4, {"tenant": "steel"}),
    )
    tenants = {"tenant": [{"name": "steel", "nominal": 4}]}
    lines = told("0", *rows, site=cluster(4), tenants=tenants, **under("priority"))
    assert lines[-2] == ("It made room 3 times: for more urgent jobs 1, for the tenant steel 2. It waited 30 s in all.")
    rows = ((0, 100, 4), *((10.0 * each, 5, 4) for each in range(1, 4)))
    lines = told("0", *rows, site=cluster(4), **under("srtf"))
    assert lines[-2] == "It made room 3 times. It waited 15 s in all."


def test_who_is_told_that_a_job_was_cancelled_comes_after_those_who_were_there() -> None:
    """At 5 job 3 takes 2 of the 4 GPUs of job 0, which is gone; job 2 has the others before job 1 is eligible."""
    low = {"qos": "low"}
    rows: tuple[Row, ...] = (
        (0, 20, 4, low),
        (1, 7, 2, {"depends_on": ["0"]}),
        (2, 4, 2, low),
        (5, 10, 2, {"qos": "high"}),
    )
    lines = told("1", *rows, site=cluster(4), **under("qos", tiers={"high": 1}, modes={"low": "cancel"}))
    assert lines[2:7] == [
        "It was held back until 5 s, when the last job it depends on ended: 0.",
        "Eligible at 5 s.",
        "It waited 4 s:",
        "  from 5 s for 4 s: too few GPUs: 0 free of the 2 it needs.",
        "Attempt 1: from 9 s for 7 s on n0 (2 GPUs).",
    ]


def test_the_story_of_a_job_says_who_made_room_for_it() -> None:
    assert told("1", *PAIR, site=cluster(4), **under("srtf"))[3:6] == [
        "It did not wait.",
        "Attempt 1: from 20 s for 10 s on n0 (4 GPUs).",
        "  1 job made room for it: 0.",
    ]


@pytest.mark.parametrize(
    ("rule", "terms", "why"),
    [
        ("priority", {}, "its priority was 0, that of the other 5"),
        ("qos", {"tiers": {"high": 3}}, "the tier of its QOS was 0, that of the other's 3"),
        ("partition", {"tiers": {"a": -1, "b": 2}}, "the tier of its partition was -1, that of the other's 2"),
        ("srsf", {}, "320 GPU seconds were left of it, 40 of the other"),
        ("las", {"thresholds": [15.0]}, "it had run for 20 s, the other for 0 s"),
        ("2d-las", {"thresholds": [15.0]}, "it had got 80 GPU seconds, the other 0"),
        ("time-slice", {"time_slice": 20.0}, "its time slice was over, after 20 s"),
    ],
)
def test_a_story_says_by_which_numbers_the_other_was_more_urgent(rule: str, terms: dict[str, object], why: str) -> None:
    jobs: tuple[Row, ...] = (
        (*PAIR[0], {"partition": "a"}),
        (20, 10, 4, {"priority": 5, "qos": "high", "partition": "b"}),
    )
    assert f"  It made room for job 1: {why}." in told("0", *jobs, site=cluster(4), **under(rule, **terms))


def test_a_job_that_was_promoted_has_got_nothing_when_it_makes_room_again() -> None:
    """Job 0 begins anew at 20 + 0.5 x 20 = 30, takes the GPUs back at 35, and job 1 them at 50, promoted at 42.5."""
    jobs: tuple[Row, ...] = ((0, 100, 4), (20, 20, 4))
    later = story("0", *jobs, site=cluster(4), **under("las", thresholds=[15.0], promote=0.5, max_preemptions=9))
    made = [(stay.end, stay.made_room.job_id, stay.made_room.own) for stay in later.attempts if stay.made_room]
    assert made == [(20.0, "1", 20.0), (50.0, "1", 15.0)]


def test_a_job_that_waits_again_when_the_run_stops_says_so() -> None:
    lines = told("0", *PAIR, site=cluster(4), until=25, **under("2d-las", thresholds=[15.0], checkpoint_interval=15))
    assert lines[4:-1] == [
        "Attempt 1: from 0 s for 20 s on n0 (4 GPUs); 5 s of it were not useful.",
        "  It made room for job 1: it had got 80 GPU seconds, the other 0.",
        "It waited when the simulation stopped:",
        "  from 20 s for 5 s: too few GPUs: 0 free of the 4 it needs.",
        "In 1 attempt it held its GPUs for 20 s, of which 15 s were useful.",
    ]


def test_an_attempt_that_began_before_the_simulation_is_told_from_its_start_on() -> None:
    jobs = workload((0, 20, 4, {"start_time": 0.0}), (12, 5, 4, {}))
    options = {"policy": gy.Policy(backfill="fit", preemption={"rule": "las", "thresholds": (11.0,)}), "begin": 10.0}
    result = gy.simulate(jobs, cluster(4), **options)
    told = str(gy.explain(result, "0", workload=jobs, cluster=cluster(4)))
    assert "It did not wait.\nAttempt 1: from 0 s for 12 s on" in told
    assert "It made room for job 1: it had run for 12 s, the other for 0 s." in told
    assert "it held its GPUs for 20 s, of which 20 s were useful." in told


def test_the_reasons_of_waits_are_told_where_jobs_preempt() -> None:
    """Job 2 is the head from 2 s on; of 4 GPUs job 1 gives one back at 8 s, job 0 two at 10 s; job 3 would run on."""
    jobs: tuple[Row, ...] = ((0, 10, 2), (0, 8, 1, {"priority": 1}), (2, 5, 4), (3, 20, 1))
    policy = {"policy": gy.Policy(backfill="easy", preemption="priority")}
    head, behind = (story(job, *jobs, site=cluster(4), **policy).stretches for job in ("2", "3"))
    assert [(each.start, each.end, each.reason, each.free, each.planned) for each in head] == [
        (2.0, 10.0, "gpus", (1.0, 2.0), 10.0)
    ]
    assert [(each.start, each.end, each.reason) for each in behind] == [
        (3.0, 10.0, "reservation"),
        (10.0, 15.0, "gpus"),
    ]
    assert behind[0].blocker is not None
    assert (behind[0].blocker.job_id, behind[0].blocker.promised) == ("2", 10.0)


def test_an_urgent_job_waits_for_the_first_of_a_strict_queue_and_passes_those_behind_it() -> None:
    """Job 1 takes nothing, because job 0 cannot be preempted; the most urgent job 3 comes before it, and starts."""
    lasting = {"preemptible": False}
    jobs: tuple[Row, ...] = ((0, 10, 3, lasting), (1, 5, 4, {"priority": 1}), (2, 4, 1), (3, 2, 1, {"priority": 2}))
    policy = {"policy": gy.Policy(preemption="priority")}
    first, behind, urgent = (story(job, *jobs, site=cluster(4), **policy) for job in ("1", "2", "3"))
    assert [(each.start, each.end, each.reason) for each in first.stretches] == [(1.0, 10.0, "gpus")]
    assert [(each.start, each.end, each.reason, each.blocker and each.blocker.job_id) for each in behind.stretches] == [
        (2.0, 10.0, "order", "1"),
        (10.0, 15.0, "gpus", None),
    ]
    assert urgent.start == 3.0


def test_what_was_free_is_what_a_job_saw_at_its_turn_though_others_made_room_after_it() -> None:
    """Job 3 is tried first at 2 s, with 1 GPU free; job 2 then takes job 0's two; at 7 s it gives its 3 back."""
    kept = {"priority": 3, "preemptible": False}
    jobs: tuple[Row, ...] = (
        (0, 20, 2),
        (0, 20, 1, kept),
        (2, 5, 3, {"priority": 1}),
        (2, 5, 4, {"priority": 2}),
    )
    first = story("3", *jobs, site=cluster(4), policy=gy.Policy(backfill="fit", preemption="priority"))
    assert [(each.start, each.end, each.free) for each in first.stretches] == [(2.0, 20.0, (1.0, 3.0))]


def test_a_wait_has_its_reason_though_its_times_are_no_binary_fractions() -> None:
    """55,004.321 less 12.047 is a little more than 54,992.274 in binary."""
    jobs: tuple[Row, ...] = ((54_992.0, 12.321, 4), (54_992.274, 5, 4))
    lines = told("1", *jobs, site=cluster(4), policy=gy.Policy(backfill="fit", preemption="priority"))
    at = lines.index("It waited 12.047 s:")
    assert lines[at + 1].endswith("for 12.047 s: too few GPUs: 0 free of the 4 it needs.")
