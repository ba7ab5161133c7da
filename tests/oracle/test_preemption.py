"""Engine against reference under preemption: the identical attempts, job by job, for every rule on random workloads.

``-k srtf``, ``-k "time-slice and packed"`` choose cases; ``GPUYARD_EXAMPLES`` sets the number of workloads for each.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import strategies as st

from conftest import cluster, workload
from gpuyard import choices
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES, compare
from oracle.test_commissioning import commissionings
from oracle.test_constraints import in_arrays, recorded
from oracle.test_schedules import checked
from reference import RULES
from strategies import clusters, crowded_sites, crowded_workloads, preemptive_policies, ranked, workloads

URGENT = [rule for rule in RULES if rule != "reclaim"]
"""Rules under which some jobs are more urgent than others, without tenants."""

PLACEMENTS = (
    "first-fit", "best-fit", "worst-fit", "random", "packed", "spread", "fgd", "rail-aligned", "topology-tree",
    "topology-block",
)  # fmt: skip


def agree(
    data: st.DataObject,
    rule: str,
    site: Cluster,
    jobs: Workload,
    scale: float,
    beside: dict[str, object] | None = None,
    **fixed: object,
) -> None:
    """Compare on these jobs, ranked at random, under any policy with this rule and these fields.

    ``beside``: what both simulators are given as well.
    """
    jobs = data.draw(ranked(jobs, scale), label="workload")
    policy = data.draw(preemptive_policies(rule, scale, **fixed), label="policy")
    run_seed = data.draw(st.integers(0, 3), label="seed")
    first = (beside or {}).get("begin", 0)
    until = data.draw(st.none() | st.none() | st.integers(0, 20).map(lambda at: first + at * scale), label="until")
    compare(jobs, site, policy, run_seed, until, **(beside or {}))


def test_the_reference_knows_every_rule():
    assert {*RULES, "none", "cells"} == set(choices.PREEMPTIONS)


@pytest.mark.parametrize("backfill", ["none", "fit"])
@pytest.mark.parametrize("rule", URGENT)
def test_every_rule_gives_the_attempts_of_the_reference_where_jobs_have_to_wait(rule, backfill):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 0.001, 1e-6]), label="scale")
        site = data.draw(crowded_sites(), label="cluster")
        jobs = data.draw(crowded_workloads(site, scale))
        agree(data, rule, site, jobs, scale, backfill=backfill)

    checked(f"crowded {rule} {backfill}", 2 * EXAMPLES, check)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("backfill", ["none", "fit"])
@pytest.mark.parametrize("rule", URGENT)
def test_every_rule_and_placement_gives_the_attempts_of_the_reference_for_jobs_of_every_kind(rule, backfill, placement):
    def check(data: st.DataObject) -> None:
        site = data.draw(clusters(6), label="cluster")
        agree(data, rule, site, data.draw(workloads(site, 14)), 1, backfill=backfill, placement=placement)

    checked(f"every kind {rule} {backfill} {placement}", max(EXAMPLES // 4, 4), check)


@pytest.mark.parametrize("rule", URGENT)
def test_arrays_have_the_attempts_of_the_reference(rule):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 1e-6]), label="scale")
        site = data.draw(crowded_sites(), label="cluster")
        agree(data, rule, site, data.draw(in_arrays(data.draw(crowded_workloads(site, scale)))), scale)

    checked(f"arrays {rule}", EXAMPLES, check)


@pytest.mark.parametrize("backfill", ["none", "fit"])
@pytest.mark.parametrize("rule", URGENT)
def test_nodes_that_come_later_make_the_attempts_of_the_reference(rule, backfill):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 0.001, 1e-6]), label="scale")
        site = data.draw(crowded_sites(), label="cluster")
        jobs = data.draw(crowded_workloads(site, scale))
        later = data.draw(commissionings(site.nodes, scale), label="later")
        agree(data, rule, site, jobs, scale, {"windows": later}, backfill=backfill)

    checked(f"preemption, later {rule} {backfill}", EXAMPLES, check)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("rule", ["priority", "las", "time-slice"])
def test_nodes_that_come_later_make_the_attempts_of_the_reference_under_every_placement(rule, placement):
    def check(data: st.DataObject) -> None:
        site = data.draw(clusters(6), label="cluster")
        later = data.draw(commissionings(site.nodes, 1), label="later")
        agree(data, rule, site, data.draw(workloads(site, 14)), 1, {"windows": later}, placement=placement)

    checked(f"preemption, later, every kind {rule} {placement}", max(EXAMPLES // 4, 4), check)


@pytest.mark.parametrize("backfill", ["none", "fit"])
@pytest.mark.parametrize("rule", URGENT)
def test_a_beginning_in_the_middle_has_the_attempts_of_the_reference(rule, backfill):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 1e-6]), label="scale")
        site = data.draw(crowded_sites(), label="cluster")
        jobs = data.draw(crowded_workloads(site, scale))
        if data.draw(st.booleans()):
            jobs = data.draw(in_arrays(jobs))
        jobs = data.draw(recorded(jobs, scale))
        begin = data.draw(st.integers(0, 8).map(lambda at: at * scale), label="begin")
        later = data.draw(st.just([]) | commissionings(site.nodes, scale), label="later")
        agree(data, rule, site, jobs, scale, {"begin": begin, "windows": later}, backfill=backfill)

    checked(f"preemption, begin {rule} {backfill}", 2 * EXAMPLES, check)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("rule", ["priority", "srtf", "las", "time-slice"])
def test_a_beginning_in_the_middle_under_every_placement(rule, placement):
    def check(data: st.DataObject) -> None:
        site = data.draw(clusters(6), label="cluster")
        jobs = data.draw(recorded(data.draw(workloads(site, 14)), 1))
        begin = data.draw(st.integers(0, 8), label="begin")
        agree(data, rule, site, jobs, 1, {"begin": begin}, placement=placement)

    checked(f"preemption, begin, every kind {rule} {placement}", max(EXAMPLES // 4, 4), check)


def crowd(dice: random.Random, placement: str) -> tuple[Cluster, Workload, Policy]:
    """Return many small jobs, some of them gangs, and up to three large ones that are more urgent."""
    nodes, kinds = dice.randint(3, 8), dice.choice(["a", "ab"])
    site = cluster(
        *((dice.choice(kinds), 4) for _ in range(nodes)),
        cpus=[dice.choice([4, 8, 8]) for _ in range(nodes)],
        levels=[[number // 2 for number in range(nodes)]],
    )
    rows = [(dice.randrange(3), dice.randrange(5, 30), 2, {"nodes": 2, "cpus": 2.0}) for _ in range(dice.randrange(4))]
    for _ in range(dice.randrange(8, 16)):
        gpus, share = dice.choice([1, 1, 2]), dice.choice([None, None, 500])
        more = {"cpus": dice.choice([1.0, 2.0]), "gpu_milli": share if gpus == 1 else None}
        rows.append((dice.randrange(3), dice.randrange(5, 30), gpus, more))
    for _ in range(dice.randrange(1, 4)):
        gpus = dice.choice([2, 4, 6, 8])
        more = {"priority": dice.choice([1, 2]), "cpus": float(gpus)}
        more |= dice.choice([{}, {}, {"nodes": 2}, {"spread": True}, {"exclusive": True}])
        rows.append((dice.randrange(3, 12), dice.randrange(2, 9), gpus, more))
    rule = {"rule": "priority", "victims": dice.choice(["latest-start", "least-lost", "fewest-gpus"])}
    rule["checkpoint_interval"] = dice.choice([0.0, 3.0])
    policy = Policy(backfill=dice.choice(["none", "fit"]), placement=placement, preemption=rule)
    return site, workload(*sorted(rows, key=lambda row: row[0])), policy


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_large_jobs_for_which_many_small_ones_make_room(placement):
    """Up to 18 jobs may be taken off for one, of which some are spared: they are tried in growing steps."""
    for seed in range(8 * EXAMPLES):
        site, jobs, policy = crowd(random.Random(seed), placement)
        compare(jobs, site, policy, seed % 4, None)
