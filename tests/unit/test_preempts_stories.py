"""Lists of whom a partition or QOS may preempt, worked by hand: engine and reference must tell the same story.

Rows are (submit_time, runtime, gpus), times in seconds.  Preempted jobs lose nothing.
"""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.tenancy import NO_TENANTS, Tenants
from gpuyard.workload import Workload
from oracle.comparing import told
from reference import SECOND, simulate

TEST = pytest.mark.parametrize("tell", ["engine", "reference"])
RULES = pytest.mark.parametrize("rule", ["qos", "partition"])
FOUR = cluster(4)
ONE_RANK = {"high": 1}
"""``mid`` and ``low`` are of tier 0."""
RANKS = {"high": 2, "mid": 1}
ONLY_LOW = {"high": ("low",)}


def stays(
    tell: str,
    jobs: Workload,
    tiers: dict[str, int],
    preempts: dict[str, tuple[str, ...]],
    tenants: dict[str, object] | None = None,
    *,
    rule: str = "qos",
    backfill: str = "fit",
    planned: dict[str, object] | None = None,
    site: Cluster = FOUR,
    **options: object,
) -> list[list[tuple[float, float]]]:
    """Return when each job ran, attempt after attempt."""
    terms = {"rule": rule, "tiers": tiers, "preempts": preempts, **options}
    policy = Policy(**{"backfill": backfill, **(planned or {})}, preemption=terms)
    shared = NO_TENANTS if tenants is None else Tenants.of(tenants)
    if tell == "reference":
        fates = simulate(jobs, site, policy, tenants=shared)
    else:
        fates = told(schedule(jobs, site, policy, tenants=shared))
    return [[(it.start / SECOND, it.end / SECOND) for it in fate.attempts] for fate in fates]


def of(name: str | None, **more: object) -> dict[str, object]:
    return {"qos": name, "partition": name, **more}


@TEST
@RULES
def test_a_job_takes_from_those_in_its_list_and_from_nobody_else(tell, rule):
    """mid, which started last, would be first without a list; it is not in that of high."""
    jobs = workload((0, 20, 2, of("low")), (1, 20, 2, of("mid")), (5, 10, 2, of("high")))
    assert stays(tell, jobs, ONE_RANK, ONLY_LOW, rule=rule) == [[(0, 5), (15, 30)], [(1, 21)], [(5, 15)]]
    assert stays(tell, jobs, ONE_RANK, {}, rule=rule) == [[(0, 20)], [(1, 5), (15, 31)], [(5, 15)]]


@TEST
def test_a_job_waits_for_those_who_are_not_in_its_list(tell):
    jobs = workload((0, 20, 3, of("mid")), (0, 30, 1, of("low")), (5, 10, 2, of("high")))
    assert stays(tell, jobs, ONE_RANK, ONLY_LOW) == [[(0, 20)], [(0, 30)], [(20, 30)]]


@TEST
def test_who_is_not_in_the_list_keeps_its_gpus_where_they_would_be_needed_too(tell):
    """With low alone gone there are 2 GPUs, and high asks for 3: nobody is preempted in vain."""
    jobs = workload((0, 20, 2, of("low")), (1, 20, 2, of("mid")), (5, 10, 3, of("high")))
    assert stays(tell, jobs, ONE_RANK, ONLY_LOW) == [[(0, 20)], [(1, 21)], [(21, 31)]]
    assert stays(tell, jobs, ONE_RANK, {"high": ("low", "mid")})[2] == [(5, 15)]


@TEST
def test_a_name_without_a_list_preempts_nobody(tell):
    jobs = workload((0, 20, 4, of("low")), (5, 10, 4, of("mid")), (6, 10, 4, of("high")))
    assert stays(tell, jobs, RANKS, ONLY_LOW) == [[(0, 6), (26, 40)], [(16, 26)], [(6, 16)]]


@TEST
def test_a_job_of_no_name_is_in_no_list_and_has_none(tell):
    """Job 0 is of tier 0 as low would be; job 1, of tier 0, is above low's -1 here."""
    jobs = workload((0, 20, 4, of(None)), (5, 10, 4, of("high")))
    assert stays(tell, jobs, ONE_RANK, ONLY_LOW) == [[(0, 20)], [(20, 30)]]
    jobs = workload((0, 20, 4, of("low")), (5, 10, 4, of(None)))
    assert stays(tell, jobs, {"high": 1, "low": -1}, ONLY_LOW) == [[(0, 20)], [(20, 30)]]
    assert stays(tell, jobs, {"high": 1, "low": -1}, {}) == [[(0, 5), (15, 30)], [(5, 15)]]


@TEST
def test_under_fit_one_is_tried_though_another_that_asks_for_the_same_has_no_list(tell):
    """At 6 high, which is first, may take from nobody; mid asks for the same and takes low's."""
    jobs = workload((0, 20, 4, of("low")), (5, 3, 4, of("high")), (6, 10, 4, of("mid")))
    lists = {"mid": ("low",)}
    assert stays(tell, jobs, RANKS, lists) == [[(0, 6), (19, 33)], [(16, 19)], [(6, 16)]]
    assert stays(tell, jobs, RANKS, lists, backfill="none") == [[(0, 20)], [(20, 23)], [(23, 33)]]


@TEST
def test_a_list_may_leave_out_what_lies_between(tell):
    """high takes from low and not from mid, whose own list has low as well."""
    jobs = workload((0, 20, 2, of("low")), (1, 20, 2, of("mid")), (5, 4, 4, of("high")), (6, 5, 2, of("mid")))
    lists = {"high": ("low",), "mid": ("low",)}
    ran = stays(tell, jobs, RANKS, lists)
    assert ran == [[(0, 6), (11, 21), (25, 29)], [(1, 21)], [(21, 25)], [(6, 11)]]


@TEST
def test_among_tenants_lists_are_about_ones_own(tell):
    """Nobody takes back: a's job of high takes its own tenant's low and leaves its mid, and b's low, alone."""
    halves = {"tenant": [{"name": "a", "nominal": 4}, {"name": "b", "nominal": 4}], "reclaim": "never"}
    jobs = workload(
        (0, 20, 2, of("low", tenant="a")),
        (1, 20, 2, of("mid", tenant="a")),
        (2, 20, 4, of("low", tenant="b")),
        (5, 10, 2, of("high", tenant="a")),
    )
    ran = stays(tell, jobs, ONE_RANK, ONLY_LOW, halves, site=cluster(8))
    assert ran == [[(0, 5), (15, 30)], [(1, 21)], [(2, 22)], [(5, 15)]]


@TEST
def test_under_fit_among_tenants_one_is_tried_though_another_that_asks_for_the_same_has_no_list(tell):
    jobs = workload(
        (0, 20, 4, of("low", tenant="a")), (5, 3, 4, of("high", tenant="a")), (6, 10, 4, of("mid", tenant="a"))
    )
    shared = {"tenant": [{"name": "a", "nominal": 4}], "reclaim": "never"}
    assert stays(tell, jobs, RANKS, {"mid": ("low",)}, shared) == [[(0, 6), (19, 33)], [(16, 19)], [(6, 16)]]


@TEST
@pytest.mark.parametrize("options", [{"backfill": "easy"}, {"backfill": "slurm", "interval": 0, "resolution": 1}])
def test_a_job_with_a_list_passes_a_head_without_one(tell, options):
    """high waits for all 4 GPUs until 20; mid is done by then and takes from low at 6."""
    jobs = workload((0, 20, 4, of("low")), (5, 3, 4, of("high")), (6, 10, 4, of("mid")))
    ran = stays(tell, jobs, RANKS, {"mid": ("low",)}, planned=options)
    assert ran == [[(0, 6), (19, 33)], [(16, 19)], [(6, 16)]]


@TEST
def test_lists_go_with_modes_and_least_runs(tell):
    """low is cancelled, but not before it has run for 8 seconds."""
    jobs = workload((0, 20, 4, of("low")), (5, 10, 4, of("high")))
    options = {"modes": {"low": "cancel"}, "min_runs": {"low": 8.0}}
    assert stays(tell, jobs, ONE_RANK, ONLY_LOW, **options) == [[(0, 8)], [(8, 18)]]
