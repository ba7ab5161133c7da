"""Preemption worked by hand, on tiny workloads: the engine and the reference simulator must both tell the same story.

Rows are (submit_time, runtime, gpus), times in seconds.  Unless a story says otherwise, backfill is ``fit``, a job that
is preempted loses nothing and a restart is free.
"""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError
from gpuyard.policy import Policy
from gpuyard.preemption import Preemption
from gpuyard.simulation import schedule
from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from oracle.comparing import told
from reference import SECOND, Fate, simulate
from reference.levels import gittins_ranks

TEST = pytest.mark.parametrize("tell", ["engine", "engine beside windows", "reference"])
"""The engine has two loops that preempt; a window that closes nothing before all is over brings about the other one."""
FAR_AWAY = NodeWindow(nodes=("0",), start=1e6, end=2e6)
ONE, TWO, FOUR, EIGHT = cluster(1), cluster(2), cluster(4), cluster(8)
HIGH = {"priority": 1}
HIGHER = {"priority": 2}


def fates(
    tell: str,
    jobs: Workload,
    site: Cluster,
    rule: str,
    *,
    order: str = "fifo",
    backfill: str = "fit",
    until: float | None = None,
    **options: object,
) -> list[Fate]:
    policy = Policy(order=order, backfill=backfill, preemption={"rule": rule, **options})
    if tell == "reference":
        return simulate(jobs, site, policy, until=until)
    windows = [FAR_AWAY] if tell == "engine beside windows" else []
    return told(schedule(jobs, site, policy, until=until, windows=windows))


def stays(*given: object, **options: object) -> list[list[tuple[float, float]]]:
    """Return when each job ran, attempt after attempt."""
    return [[(it.start / SECOND, it.end / SECOND) for it in fate.attempts] for fate in fates(*given, **options)]


def useful(*given: object, **options: object) -> list[list[float]]:
    return [[it.useful / SECOND for it in fate.attempts] for fate in fates(*given, **options)]


def causes(*given: object, **options: object) -> list[list[int | None]]:
    """Return for whom each attempt of each job was cut short."""
    return [[it.cause for it in fate.attempts] for fate in fates(*given, **options)]


def nodes(*given: object, **options: object) -> list[list[list[int]]]:
    return [[[node for node, _, _ in it.slots] for it in fate.attempts] for fate in fates(*given, **options)]


# --- the pass ---------------------------------------------------------------------------------------------


@TEST
def test_the_job_that_started_last_makes_room_first(tell):
    """At 5, job 2 finds no room; job 1 goes, and is back at 8 with 16 of its 20 seconds left."""
    story = (tell, workload((0, 20, 2), (1, 20, 2), (5, 3, 2, HIGH)), FOUR, "priority")
    assert stays(*story) == [[(0, 20)], [(1, 5), (8, 24)], [(5, 8)]]
    assert causes(*story) == [[None], [2, None], [None]]
    assert useful(*story) == [[20], [4, 16], [3]]


@TEST
def test_a_job_that_was_taken_off_in_vain_is_spared(tell):
    """Job 1 started last, but its GPU is not enough for the 7 of job 2, and those of job 0 are enough without it."""
    jobs = workload((0, 20, 7), (1, 20, 1), (2, 3, 7, HIGH))
    assert stays(tell, jobs, EIGHT, "priority") == [[(0, 2), (5, 23)], [(1, 21)], [(2, 5)]]


@TEST
def test_nobody_is_preempted_for_a_job_that_could_be_counted_but_not_placed(tell):
    """Without job 2 there would be two free GPUs, one on each node; job 3 needs two on one."""
    jobs = workload((0, 10, 3, HIGHER), (0, 10, 3, HIGHER), (1, 10, 1), (2, 10, 2, HIGH))
    assert stays(tell, jobs, cluster(4, 4), "priority") == [[(0, 10)], [(0, 10)], [(1, 11)], [(10, 20)]]


@TEST
@pytest.mark.parametrize("column", ["partition", "qos"])
def test_a_higher_tier_takes_from_a_lower_one_and_from_names_without_tiers(tell, column):
    """At 3 debug takes the GPU of normal, which at 1 took that of a name without a tier, which has 0."""
    jobs = workload((0, 9, 1, {column: "other"}), (1, 5, 1, {column: "normal"}), (3, 2, 1, {column: "debug"}))
    story = (tell, jobs, ONE, column)
    assert stays(*story, tiers={"debug": 2, "normal": 1}) == [[(0, 1), (8, 16)], [(1, 3), (5, 8)], [(3, 5)]]
    assert stays(*story, tiers={"normal": 1, "debug": 1}) == [[(0, 1), (8, 16)], [(1, 6)], [(6, 8)]]
    assert stays(*story, tiers={"other": 1, "debug": -1}) == [[(0, 9)], [(9, 14)], [(14, 16)]]


@TEST
def test_a_higher_tier_goes_first_and_the_order_decides_within_it(tell):
    """At 5 the longer job of debug goes first; then the shorter of the two of normal, though it came last."""
    normal, debug = {"qos": "normal"}, {"qos": "debug"}
    jobs = workload((0, 5, 1, debug), (1, 4, 1, normal), (2, 9, 1, debug), (3, 2, 1, normal))
    found = stays(tell, jobs, ONE, "qos", order="sjf", tiers={"debug": 2, "normal": 1})
    assert found == [[(0, 5)], [(16, 20)], [(5, 14)], [(14, 16)]]


LOW, MED, HI = {"partition": "low"}, {"partition": "med"}, {"partition": "hi"}
QUEUES = {"tiers": {"low": 10, "med": 20, "hi": 30}}


@TEST
def test_jobs_of_a_low_queue_may_be_requeued_and_those_of_a_medium_one_suspended(tell):
    """Slurm, guide Preemption, introduction: the mechanism is configured for each partition, as told there.

    At 3 hi takes the GPU of med, which at 2 took that of low.  At 4 it is done: med has 4 s left, and low, after it,
    all of its 5 s.  Without a mode both are suspended.
    """
    jobs = workload((0, 5, 1, LOW), (2, 5, 1, MED), (3, 1, 1, HI))
    modes = {"low": "requeue", "med": "suspend", "hi": "off"}
    assert stays(tell, jobs, ONE, "partition", **QUEUES, modes=modes) == [[(0, 2), (8, 13)], [(2, 3), (4, 8)], [(3, 4)]]
    assert stays(tell, jobs, ONE, "partition", **QUEUES) == [[(0, 2), (8, 11)], [(2, 3), (4, 8)], [(3, 4)]]


@TEST
def test_nobody_of_a_queue_whose_mode_is_off_is_preempted(tell):
    """Med waits for low and hi, which came last, goes before it; of another partition than those named, as ever."""
    jobs = workload((0, 5, 1, LOW), (2, 5, 1, MED), (3, 1, 1, HI))
    found = stays(tell, jobs, ONE, "partition", **QUEUES, modes={"low": "off", "other": "off"})
    assert found == [[(0, 5)], [(6, 11)], [(5, 6)]]


@TEST
def test_with_every_mode_off_tiers_say_who_is_tried_first_and_nobody_is_preempted(tell):
    """Slurm's PriorityTier without preemption: hi comes last, waits for low and goes before med."""
    jobs = workload((0, 5, 1, LOW), (1, 5, 1, MED), (2, 5, 1, HI))
    found = stays(tell, jobs, ONE, "partition", **QUEUES, modes={"low": "off", "med": "off", "hi": "off"})
    assert found == [[(0, 5)], [(10, 15)], [(5, 10)]]


@TEST
@pytest.mark.parametrize(
    ("common", "mode", "last"),
    [
        (0, "requeue", 10),
        (2, "requeue", 8),
        (2, None, 8),
        (2, "suspend", 7),
        (None, "suspend", 7),
        (None, "requeue", 10),
    ],
)
def test_a_job_that_is_requeued_goes_on_from_its_last_checkpoint_if_there_is_one(tell, common, mode, last):
    """Low did 3 s of 6; from 4 on it does the rest: all 6 s, 4 s after a checkpoint at 2, or 3 s where it was left."""
    jobs = workload((0, 6, 1, LOW), (3, 1, 1, HI))
    modes = {} if mode is None else {"low": mode}
    found = stays(tell, jobs, ONE, "partition", **QUEUES, modes=modes, checkpoint_interval=common)
    assert found == [[(0, 3), (4, last)], [(3, 4)]]


@TEST
@pytest.mark.parametrize(("mode", "last"), [("requeue", 7.5), ("suspend", 7)])
def test_checkpoints_of_its_own_are_those_to_which_a_job_is_requeued(tell, mode, last):
    """It writes one after 2.5 s of work and did 3 s of 6: ``requeue`` loses half a second, ``suspend`` nothing."""
    own = {"checkpoint_interval": 2.5}
    jobs = workload((0, 6, 1, {**LOW, **own}), (3, 1, 1, HI))
    found = stays(tell, jobs, ONE, "partition", **QUEUES, modes={"low": mode})
    assert found == [[(0, 3), (4, last)], [(3, 4)]]


ACTIVE, HIPRI = {"partition": "active"}, {"partition": "hipri"}
PARTITIONS = {"tiers": {"active": 1, "hipri": 2}}


@TEST
def test_the_simple_example_of_slurms_guide(tell):
    """Slurm, guide Preemption, "A Simple Example": 5 nodes, 5 jobs of 300 s; a job of 3 nodes suspends 3 for 30 s.

    Slurm suspends the jobs on the first three nodes; here ``victims`` says whom, by default who started last.
    """
    jobs = workload(*[(at, 300, 1, ACTIVE) for at in (0, 0, 1, 1, 2)], (27, 30, 3, {**HIPRI, "nodes": 3}))
    found = stays(tell, jobs, cluster(*[1] * 5), "partition", **PARTITIONS)
    assert found == [[(0, 300)], [(0, 300)], *[[(at, 27), (57, 330 + at)] for at in (1, 1, 2)], [(27, 57)]]


@TEST
def test_the_placement_that_slurms_guide_calls_more_ideal(tell):
    """Slurm, guide Preemption, "Future Ideas": of 5 nodes 3 run a job each, and a job of 3 nodes comes to hipri.

    Slurm took their 3 nodes and left 2 idle; "more ideal" were n[3-5], "which would allow jobs 17 and 18 to continue".
    """
    jobs = workload((0, 60, 1, ACTIVE), (0, 60, 1, ACTIVE), (1, 60, 1, ACTIVE), (14, 20, 3, {**HIPRI, "nodes": 3}))
    found = fates(tell, jobs, cluster(*[1] * 5), "partition", **PARTITIONS)
    assert [len(fate.attempts) for fate in found] == [1, 1, 2, 1]
    assert sorted(node for node, _, _ in found[3].slots) == [2, 3, 4]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"rule": "qos"},
            r"qos goes by tiers, and there are none; name some in \[policy.preemption\], beside rule = 'qos'",
        ),
        (
            {"rule": "priority", "tiers": {"a": 1}},
            "'tiers' has no meaning under preemption = priority; .* partition or",
        ),
        ({"rule": "qos", "tiers": {"a": 1.5}}, "'tiers.a' must be a whole number of less than 32 bits, got 1.5"),
        ({"rule": "qos", "tiers": {"a": 2**31}}, "'tiers.a' must be a whole number of less than 32 bits"),
        (
            {"rule": "qos", "tiers": {"a": 1}, "modes": {"a": "kill"}},
            r"unknown mode of the qos 'a': 'kill'; choose one of cancel, off, requeue, suspend",
        ),
        ({"rule": "qos", "tiers": {"a": 1}, "modes": ["off"]}, r"'modes' must be a table of names and off, suspend"),
        ({"rule": "las", "modes": {"a": "off"}}, "'modes' has no meaning under preemption = las; .* partition or"),
        ({"rule": "partition", "tiers": ["a"]}, r"'tiers' must be a table of names and whole numbers, got \['a'\]"),
    ],
)
def test_tiers_that_are_none_are_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        Preemption(**given)


@TEST
def test_equals_do_not_preempt_each_other(tell):
    """Nor does a lower priority, where there are higher ones."""
    jobs = workload((0, 10, 1, HIGH), (1, 1, 1, HIGH), (2, 1, 1), (20, 3, 1), (21, 1, 1, HIGH))
    expected = [[(0, 10)], [(10, 11)], [(11, 12)], [(20, 21), (22, 24)], [(21, 22)]]
    assert stays(tell, jobs, ONE, "priority") == expected


@TEST
@pytest.mark.parametrize(("restart_cost", "end"), [(0, 10), (1, 11)])
def test_a_preempted_job_goes_on_elsewhere_at_once(tell, restart_cost, end):
    """Job 1 must have node 0, and node 1 is free: the victim comes up in the same pass."""
    jobs = workload((0, 10, 4), (2, 3, 4, {"gpu_type": "a", **HIGH}))
    story = (tell, jobs, cluster(("a", 4), ("b", 4)), "priority")
    assert stays(*story, restart_cost=restart_cost) == [[(0, 2), (2, end)], [(2, 5)]]
    assert nodes(*story) == [[[0], [1]], [[0]]]


@TEST
@pytest.mark.parametrize(("backfill", "last"), [("fit", (2, 7)), ("none", (10, 15))])
def test_without_backfill_nobody_passes_a_job_that_makes_no_room(tell, backfill, last):
    """Job 1 may not preempt job 0, which is as high; the one free GPU is enough for job 2."""
    jobs = workload((0, 10, 3, HIGH), (1, 5, 2, HIGH), (2, 5, 1))
    assert stays(tell, jobs, FOUR, "priority", backfill=backfill) == [[(0, 10)], [(10, 15)], [last]]


@TEST
def test_without_backfill_a_job_still_makes_room(tell):
    """Job 0, preempted, blocks the queue behind it: the free GPU is not for job 2."""
    jobs = workload((0, 10, 8), (2, 3, 7, HIGH), (3, 1, 1))
    assert stays(tell, jobs, EIGHT, "priority", backfill="none") == [[(0, 2), (5, 13)], [(2, 5)], [(13, 14)]]
    assert stays(tell, jobs, EIGHT, "priority") == [[(0, 2), (5, 13)], [(2, 5)], [(3, 4)]]


@TEST
def test_the_queue_goes_by_level_and_then_by_the_order(tell):
    jobs = workload((0, 10, 1, HIGH), (1, 5, 1), (1, 2, 1), (1, 9, 1, HIGH))
    assert stays(tell, jobs, ONE, "priority", order="sjf") == [[(0, 10)], [(21, 26)], [(19, 21)], [(10, 19)]]


# --- remaining time ---------------------------------------------------------------------------------------


@TEST
def test_the_shortest_remaining_time_goes_first(tell):
    """At 1, job 0 has 7 seconds left and job 1 needs 4; at 2, job 1 has 3 left and job 2 needs 2."""
    jobs = workload((0, 8, 1), (1, 4, 1), (2, 2, 1))
    assert stays(tell, jobs, ONE, "srtf") == [[(0, 1), (7, 14)], [(1, 2), (4, 7)], [(2, 4)]]
    assert causes(tell, jobs, ONE, "srtf") == [[1, None], [2, None], [None]]


@TEST
@pytest.mark.parametrize(("runtime", "expected"), [(7, [[(0, 8)], [(8, 15)]]), (6.999999, None)])
def test_the_shortest_remaining_time_is_compared_to_the_microsecond(tell, runtime, expected):
    found = stays(tell, workload((0, 8, 1), (1, runtime, 1)), ONE, "srtf")
    assert found == (expected or [[(0, 1), (7.999999, 14.999999)], [(1, 7.999999)]])


@TEST
def test_the_time_of_a_restart_saves_no_work(tell):
    """Job 0 works 5 s; from 7 to 12 it restarts for 3 s and works 2 s; at 13 a restart and 13 s are left."""
    story = (tell, workload((0, 20, 1), (5, 2, 1), (12, 1, 1)), ONE, "srtf")
    assert stays(*story, restart_cost=3) == [[(0, 5), (7, 12), (13, 29)], [(5, 7)], [(12, 13)]]
    assert useful(*story, restart_cost=3) == [[5, 2, 13], [2], [1]]


@TEST
def test_a_restart_counts_as_remaining_time(tell):
    """At 3, job 0 waits with 7 seconds left and a restart of 2: job 2, with 8, goes first."""
    jobs = workload((0, 8, 1), (1, 2, 1), (3, 8, 1))
    assert stays(tell, jobs, ONE, "srtf", restart_cost=2) == [[(0, 1), (11, 20)], [(1, 3)], [(3, 11)]]
    assert stays(tell, jobs, ONE, "srtf") == [[(0, 1), (3, 10)], [(1, 3)], [(10, 18)]]


@TEST
def test_the_smallest_remaining_service_counts_gpus(tell):
    """At 1, job 0 has 9 GPU seconds left, job 1 asks for 4 seconds on 4 GPUs."""
    jobs = workload((0, 10, 1), (1, 4, 4))
    assert stays(tell, jobs, FOUR, "srsf") == [[(0, 10)], [(10, 14)]]
    assert stays(tell, jobs, FOUR, "srtf") == [[(0, 1), (5, 14)], [(1, 5)]]


@TEST
def test_a_job_that_outlives_its_estimate_is_not_preempted_by_one_of_a_second(tell):
    """Job 0 was believed to run 4 seconds: at 5 it has the least remaining time that there is."""
    jobs = workload((0, 10, 1, {"time_limit": 4}), (5, 1, 1))
    policy = Policy(backfill="fit", on_limit="ignore", preemption="srtf")
    found = simulate(jobs, ONE, policy) if tell == "reference" else told(schedule(jobs, ONE, policy))
    assert [fate.start for fate in found] == [0, 10 * SECOND]


# --- attained time and service ------------------------------------------------------------------------------


@TEST
def test_tiresias_two_queues(tell):
    """Job 0 has had 8 GPU seconds at 4 and goes down to the second queue: job 1, in the first since 2, takes its GPUs.

    At 8 job 1 goes down as well: nobody is more urgent than it, and it runs on to its end.
    """
    jobs = workload((0, 10, 2), (2, 6, 2))
    assert stays(tell, jobs, TWO, "2d-las", thresholds=(8,)) == [[(0, 4), (10, 16)], [(4, 10)]]


THREE_JOBS = workload((0, 2, 2), (0, 8, 1), (0, 6, 2))
"""Tiresias' example of why both dimensions count (Gu et al. 2019, section 3.2): 2, 1 and 2 GPUs, 2, 8 and 6 s."""


@TEST
def test_tiresias_example_of_three_jobs_by_remaining_service(tell):
    """The paper has a mean completion of 9.3 under SRSF: after 2, 10 and 16.

    By time alone (``srtf``) the job of 6 s passes that of 8.  The sizes are from memory; the means are published.
    """
    assert stays(tell, THREE_JOBS, TWO, "srsf") == [[(0, 2)], [(2, 10)], [(10, 16)]]
    assert stays(tell, THREE_JOBS, TWO, "srtf") == [[(0, 2)], [(8, 16)], [(2, 8)]]


@TEST
@pytest.mark.parametrize(
    ("threshold", "expected", "mean"),
    [
        (4, [[(0, 2)], [(2, 6), (12, 16)], [(6, 12)]], 10.0),
        (2, [[(0, 1), (9, 10)], [(1, 3), (10, 16)], [(3, 9)]], 35 / 3),
    ],
)
def test_tiresias_example_of_three_jobs_in_two_queues(tell, threshold, expected, mean):
    """Who has had so many GPU seconds goes down and behind; in the second queue it is first come, first served.

    The paper's means, 11.7 for 2D-LAS and 10.0 for 2D-Gittins, are of priorities that are looked at all the time, where
    these are of queues: that they are the same is worth no more than that they lie where the paper's do, above SRSF's.
    """
    found = stays(tell, THREE_JOBS, TWO, "2d-las", thresholds=(threshold,))
    assert found == expected
    assert sum(attempts[-1][1] for attempts in found) / 3 == pytest.approx(mean)


@TEST
@pytest.mark.parametrize(
    ("promote", "expected"),
    [
        (None, [[(0, 4), (24, 30)], [(4, 24)]]),
        (1, [[(0, 4), (8, 12), (16, 18)], [(4, 8), (12, 16), (18, 30)]]),
        (2, [[(0, 4), (12, 18)], [(4, 12), (18, 30)]]),
    ],
)
def test_tiresias_promotes_a_job_that_starves(tell, promote, expected):
    """Job 0 has run 4 seconds when it is preempted at 4: it begins anew in the first queue at 4 + 4 promote."""
    jobs = workload((0, 10, 2), (2, 20, 2))
    assert stays(tell, jobs, TWO, "2d-las", thresholds=(8,), promote=promote) == expected


@TEST
def test_a_fraction_attains_its_share(tell):
    """Three tenths of a GPU come to one GPU second after 3.333334 seconds, in whole microseconds."""
    jobs = workload((0, 10, 1, {"gpu_milli": 300}), (1, 1, 1))
    assert stays(tell, jobs, ONE, "2d-las", thresholds=(1,))[1] == [(3.333334, 4.333334)]


@TEST
def test_least_attained_time_lets_the_behind_catch_up(tell):
    """Foreground-background in steps of a second, up to two.

    At 1 job 0 is a step ahead; at 2 both are equal, and job 1 runs on until it is a step ahead, at 3.
    """
    jobs = workload((0, 3, 1), (0, 3, 1))
    assert stays(tell, jobs, ONE, "las", thresholds=(1, 2)) == [[(0, 1), (3, 5)], [(1, 3), (5, 6)]]


def test_gittins_ranks_of_four_jobs():
    """Jobs of 1, 2, 4, 10 seconds, bins up to 2, up to 6 and above.

    Textbook: 2 / (1 + 2 + 2 + 2), 1 / (2 + 4), 1 / 4.  Released: 2 / (1 + 2 + 2 + 2), 1 / (4 + 4), 1 / 10.
    """
    assert gittins_ranks([1, 2, 4, 10], [2, 6], "textbook") == [0, 2, 1]
    assert gittins_ranks([1, 2, 4, 10], [2, 6], "released") == [0, 1, 2]


def test_gittins_index_looks_beyond_a_bin_in_which_no_job_ends():
    """Of ten jobs nine need 15 s and one 1,000, bins up to 10, up to 20 and above.

    Who is new is run to 20: 9 / (9 x 15 + 20); who is in the second bin: 9 / (9 x 5 + 10); in the last: 1 / 980.  With
    the width of its own bin alone, in which nobody ends, the first would have the index 0 and come after the last.
    """
    history = [15] * 9 + [1000]
    assert gittins_ranks(history, [10, 20], "textbook") == [1, 0, 2]
    assert gittins_ranks(history, [10, 20], "released") == [2, 0, 1]


@TEST
@pytest.mark.parametrize(
    ("index", "expected"),
    [("textbook", [[(0, 20), (45, 65)], [(20, 35)], [(35, 45)]]), ("released", [[(0, 40)], [(40, 55)], [(55, 65)]])],
)
def test_who_is_new_takes_from_who_outlasted_all_where_many_end_soon(tell, index, expected):
    """Job 0 is in the last bin from 20 on."""
    history = (15,) * 9 + (1000,)
    jobs = workload((0, 40, 1), (1, 15, 1), (2, 10, 1))
    found = stays(tell, jobs, ONE, "gittins", thresholds=(10, 20), gittins_history=history, gittins_index=index)
    assert found == expected


@TEST
def test_a_history_of_other_jobs_says_who_is_likely_to_end(tell):
    """Both jobs need 8 GPU seconds: of themselves is known that nobody ends before 4, so that who ran is let run on.

    Where half of the jobs of the past ended within 4 seconds and the others needed 100, who comes goes first.
    """
    jobs = workload((0, 8, 1), (4, 8, 1))
    own = stays(tell, jobs, ONE, "gittins", thresholds=(4,))
    assert own == [[(0, 8)], [(8, 16)]]
    past = stays(tell, jobs, ONE, "gittins", thresholds=(4,), gittins_history=(2, 100))
    assert past == [[(0, 4), (12, 16)], [(4, 12)]]


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ((), "'gittins_history' must be 1 to 1,000,000 numbers of GPU seconds, got 0 of them"),
        (3, "'gittins_history' must be 1 to .*, got 3"),
        ((1, -2), "'gittins_history' must be GPU seconds of 0 to 4e[+]12, got -2 as number 2"),
        ((float("nan"),), "got nan as number 1"),
    ],
)
def test_a_history_that_is_none_is_refused(history, message):
    with pytest.raises(ConfigError, match=message):
        Preemption(rule="gittins", gittins_history=history)


def test_a_history_is_for_gittins_and_stands_in_the_scenario_of_a_run():
    with pytest.raises(ConfigError, match="'gittins_history' has no meaning under preemption = las"):
        Preemption(rule="las", gittins_history=(1,))
    given = Preemption(rule="gittins", gittins_history=[1, 2.5])
    assert given.to_mapping()["gittins_history"] == [1, 2.5]
    assert Preemption.of(given.to_mapping()).gittins_history == (1, 2.5)


def test_gittins_ranks_bins_that_no_job_gets_to_last():
    assert gittins_ranks([1, 2], [2, 6], "textbook") == [0, 1, 2]
    assert gittins_ranks([5, 9], [2, 6], "textbook") == [2, 1, 0]


@TEST
@pytest.mark.parametrize(
    ("index", "first", "second"),
    [
        ("textbook", [(0, 2), (7, 15)], [(2, 5), (15, 16)]),
        ("released", [(0, 2), (7, 11), (12, 16)], [(2, 5), (11, 12)]),
    ],
)
def test_gittins_takes_the_job_that_is_likeliest_to_end_soon(tell, index, first, second):
    """The history of four jobs above.  Job 0 is in the third bin from 11 on, job 1 waits in the second.

    By the textbook the third bin ranks higher, and job 0 runs on; by the released index the second does.
    """
    jobs = workload((0, 10, 1), (0, 4, 1), (5, 2, 1), (30, 1, 1))
    found = stays(tell, jobs, ONE, "gittins", thresholds=(2, 6), gittins_index=index)
    assert found == [first, second, [(5, 7)], [(30, 31)]]


# --- time slices --------------------------------------------------------------------------------------------


@TEST
def test_two_jobs_take_turns(tell):
    jobs = workload((0, 5, 1), (0, 4, 1))
    assert stays(tell, jobs, ONE, "time-slice", time_slice=2) == [[(0, 2), (4, 6), (8, 9)], [(2, 4), (6, 8)]]


@TEST
def test_a_newcomer_joins_before_the_job_that_is_preempted_at_that_instant(tell):
    jobs = workload((0, 5, 1), (0, 4, 1), (2, 2, 1))
    found = stays(tell, jobs, ONE, "time-slice", time_slice=2)
    assert found == [[(0, 2), (6, 8), (10, 11)], [(2, 4), (8, 10)], [(4, 6)]]


@TEST
def test_a_job_that_has_had_its_slice_runs_on_while_nobody_waits(tell):
    """Nothing happens at 2; job 1 finds at 3.5 that job 0 has had its slice."""
    jobs = workload((0, 5, 1), (3.5, 1, 1))
    assert stays(tell, jobs, ONE, "time-slice", time_slice=2) == [[(0, 3.5), (4.5, 6)], [(3.5, 4.5)]]


# --- who may be preempted -----------------------------------------------------------------------------------


@TEST
def test_a_job_is_left_alone_for_its_least_run(tell):
    """Job 1 comes at 2 and has to wait until 5, though nothing arrives or ends then."""
    jobs = workload((0, 20, 1), (2, 3, 1, HIGH))
    assert stays(tell, jobs, ONE, "priority", min_run=5) == [[(0, 5), (8, 23)], [(5, 8)]]


@TEST
def test_a_job_is_preempted_no_more_than_so_often(tell):
    jobs = workload((0, 20, 1), (2, 1, 1, HIGH), (4, 1, 1, HIGH))
    assert stays(tell, jobs, ONE, "priority", max_preemptions=1) == [[(0, 2), (3, 21)], [(2, 3)], [(21, 22)]]


@TEST
def test_a_job_that_is_not_preemptible_keeps_its_gpus(tell):
    jobs = workload((0, 10, 1, {"preemptible": False}), (0, 10, 1, {"preemptible": True}), (2, 1, 2, HIGH))
    assert stays(tell, jobs, TWO, "priority") == [[(0, 10)], [(0, 10)], [(10, 11)]]


@TEST
@pytest.mark.parametrize(
    ("victims", "expected"),
    [("latest-start", [[(0, 20)], [(2, 5), (8, 28)]]), ("least-lost", [[(0, 5), (8, 24)], [(2, 22)]])],
)
def test_victims_are_chosen_by_what_they_lose(tell, victims, expected):
    """With a checkpoint every 4 seconds, at 5 job 0 would lose one second and job 1 all its three."""
    jobs = workload((0, 20, 1), (2, 20, 1), (5, 3, 1, HIGH))
    assert stays(tell, jobs, TWO, "priority", victims=victims, checkpoint_interval=4)[:2] == expected


@TEST
def test_what_victims_lose_counts_their_gpus(tell):
    """Without checkpoints, at 5 job 0 would lose 5 GPU seconds and job 1, on two GPUs, 2 x 4."""
    jobs = workload((0, 20, 1), (1, 20, 2), (5, 3, 1, HIGH))
    found = stays(tell, jobs, cluster(3), "priority", victims="least-lost", checkpoint_interval=None)
    assert found == [[(0, 5), (8, 28)], [(1, 21)], [(5, 8)]]


@TEST
def test_who_has_the_fewest_gpus_goes_first(tell):
    """Job 3 needs 2 GPUs: both jobs of one GPU go, and not the one that has two.

    Levels come first: with a job of 1 GPU that is as urgent as the one that comes, the job of 2 GPUs goes.
    """
    jobs = workload((0, 20, 1), (0, 20, 2), (0, 20, 1), (5, 3, 2, HIGH))
    found = stays(tell, jobs, FOUR, "priority", victims="fewest-gpus")
    assert found == [[(0, 5), (8, 23)], [(0, 20)], [(0, 5), (8, 23)], [(5, 8)]]
    jobs = workload((0, 20, 1), (0, 20, 2), (0, 20, 1, HIGH), (5, 3, 2, HIGH))
    found = stays(tell, jobs, FOUR, "priority", victims="fewest-gpus")
    assert found == [[(0, 20)], [(0, 5), (8, 23)], [(0, 20)], [(5, 8)]]


@TEST
def test_a_part_of_a_gpu_is_the_fewest_gpus(tell):
    jobs = workload((0, 20, 1), (0, 20, 1, {"gpu_milli": 700}), (5, 3, 1, HIGH))
    found = stays(tell, jobs, TWO, "priority", victims="fewest-gpus")
    assert found == [[(0, 20)], [(0, 5), (8, 23)], [(5, 8)]]


# --- what an attempt is worth -------------------------------------------------------------------------------


@TEST
def test_a_checkpoint_saves_what_was_done_before_it(tell):
    """Checkpoints after 3, 6 and 9 of 10 seconds of work, each a second long; a restart takes 2.

    At 9 two are complete, 6 of work and 2 of writing: one second is lost.  The second attempt takes 2 + 4 and one
    checkpoint.  Job 1 takes 5 and one checkpoint.
    """
    story = (tell, workload((0, 10, 1), (9, 5, 1, HIGH)), ONE, "priority")
    costs = {"checkpoint_interval": 3, "checkpoint_cost": 1, "restart_cost": 2}
    assert stays(*story, **costs) == [[(0, 9), (15, 22)], [(9, 15)]]
    assert useful(*story, **costs) == [[6, 4], [5]]


@TEST
def test_checkpoints_take_their_time_though_nobody_is_preempted(tell):
    """None is written at the end: jobs of 9 and 10 seconds write two and three."""
    story = (tell, workload((0, 9, 1), (0, 10, 1)), TWO, "priority")
    assert stays(*story, checkpoint_interval=3, checkpoint_cost=1, restart_cost=2) == [[(0, 11)], [(0, 13)]]


@TEST
def test_a_job_that_is_suspended_loses_nothing(tell):
    """One second of work is left at 9, after a restart of 2."""
    story = (tell, workload((0, 10, 1), (9, 5, 1, HIGH)), ONE, "priority")
    assert stays(*story, restart_cost=2) == [[(0, 9), (14, 17)], [(9, 14)]]
    assert useful(*story, restart_cost=2) == [[9, 1], [5]]


@TEST
def test_a_job_without_checkpoints_begins_from_the_start(tell):
    story = (tell, workload((0, 10, 1), (9, 5, 1, HIGH)), ONE, "priority")
    assert stays(*story, checkpoint_interval=None, restart_cost=2) == [[(0, 9), (14, 26)], [(9, 14)]]
    assert useful(*story, checkpoint_interval=None, restart_cost=2) == [[0, 10], [5]]


@TEST
def test_a_restart_that_is_cut_short_saves_nothing(tell):
    """The second attempt is preempted after 4 of the 5 seconds of its restart; the third begins with what was saved.

    Had those 4 seconds been work, a checkpoint of 3 of them would have been written.
    """
    story = (tell, workload((0, 14, 1), (9, 2, 1, HIGH), (15, 1, 1, HIGH)), ONE, "priority")
    costs = {"checkpoint_interval": 3, "restart_cost": 5}
    assert stays(*story, **costs)[0] == [(0, 9), (11, 15), (16, 26)]
    assert useful(*story, **costs)[0] == [9, 0, 5]


@TEST
def test_a_time_limit_counts_work_and_not_restarts(tell):
    """The job is killed after 4 seconds of work: one before its preemption at 1, three after a restart of 2."""
    jobs = workload((0, 10, 1, {"time_limit": 4}), (1, 3, 1, HIGH))
    assert stays(tell, jobs, ONE, "priority", restart_cost=2) == [[(0, 1), (4, 9)], [(1, 4)]]
    assert fates(tell, jobs, ONE, "priority", restart_cost=2)[0].outcome == "timed_out"


@TEST
def test_the_stop_cuts_an_attempt_short(tell):
    """Three seconds have been saved by 4, the first before the preemption at 1."""
    story = (tell, workload((0, 10, 1), (1, 1, 1, HIGH)), ONE, "priority")
    assert stays(*story, until=4) == [[(0, 1), (2, 4)], [(1, 2)]]
    assert useful(*story, until=4) == [[1, 2], [1]]
    assert [fate.outcome for fate in fates(*story, until=4)] == ["unfinished", "completed"]


# --- other jobs ---------------------------------------------------------------------------------------------


@TEST
def test_a_job_waits_for_the_last_attempt_of_the_one_that_it_depends_on(tell):
    jobs = workload((0, 10, 1), (2, 3, 1, HIGH), (0, 1, 1, {"depends_on": ["0"], "think_time": 2}))
    found = fates(tell, jobs, ONE, "priority")
    assert [(fate.eligible, fate.start) for fate in found] == [(0, 0), (15 * SECOND, 15 * SECOND), (2 * SECOND,) * 2]


@TEST
def test_a_preempted_task_keeps_its_place_in_its_array(tell):
    """From 2 to 5 a GPU is idle: task 1 is not eligible before task 0 ends."""
    task = {"array": "a", "array_limit": 1}
    jobs = workload((0, 10, 2, task), (0, 1, 1, task), (2, 3, 1, HIGH))
    assert stays(tell, jobs, TWO, "priority") == [[(0, 2), (5, 13)], [(13, 14)], [(2, 5)]]
