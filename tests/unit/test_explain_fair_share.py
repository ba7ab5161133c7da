"""Explanations know the fair share as it was: who was first, and who passed whom."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import gpuyard as gy
from conftest import Row, cluster, workload
from explained import story
from gpuyard.explanation.past import FairPast
from gpuyard.lowering import lower_demands
from gpuyard.policy import Policy
from gpuyard.sharing import lower_accounts
from gpuyard.simulation import schedule
from gpuyard.workload import MICROSECOND
from oracle.comparing import told
from reference.jobs import read
from reference.sharing import Sharing

ANN, BOB = {"user": "ann"}, {"user": "bob"}
ROWS: tuple[Row, ...] = ((0, 12, 1, ANN), (1, 5, 1, ANN), (2, 5, 1, BOB))
"""At 10 the factor of ann falls, so that bob's job is first from then on, and starts at 12."""


def policy(fair_share: str, **more: object) -> Policy:
    fields: dict[str, object] = {"share_period": 10, "half_life": "none", "weights": {"age": 0, "fairshare": 1000}}
    return Policy(order="multifactor", backfill="fit", fair_share=fair_share, **{**fields, **more})


@pytest.mark.parametrize("fair_share", ["classic", "fair-tree"])
def test_who_has_the_higher_factor_has_not_passed(fair_share):
    assert story("1", *ROWS, site=cluster(1), policy=policy(fair_share)).passed is None
    late = story("1", *ROWS, site=cluster(1), policy=policy(fair_share, share_period=100))
    assert late.passed is None
    assert late.start == 12


def test_who_had_the_lower_factor_and_was_not_blocked_has_passed():
    """From 10 on bob, who waits for 2 GPUs, is first; ann's job of one GPU, which started at 20, passed it."""
    rows: tuple[Row, ...] = ((0, 30, 1, ANN), (1, 20, 2, BOB), (20, 5, 1, ANN))
    passed = story("1", *rows, site=cluster(2), policy=policy("fair-tree")).passed
    assert passed is not None
    assert passed.first == ("2",)


def test_the_story_tells_the_scores_and_factors_of_a_job_and_of_the_first():
    """Of two users one has used all GPUs up to 20: 2 ranks, so factors of 1 and 1/2."""
    rows: tuple[Row, ...] = ((0, 30, 2, ANN), (21, 20, 2, BOB), (20.5, 5, 1, ANN))
    told = story("2", *rows, site=cluster(2), policy=replace(policy("fair-tree", share_period=20), backfill="none"))
    late = next(each.blocker for each in told.stretches if each.reason == "order")
    assert late is not None
    assert (late.job_id, late.fair_share, late.scores) == ("1", (0.5, 1.0), (500.0, 1000.0))
    assert (
        "job 1 was first (score 1000 with a fair-share factor of 1; this job 500 with 0.5) and nobody may pass it"
    ) in str(told)
    rows = ((0, 30, 2, ANN), (1, 20, 2, BOB), (2, 5, 1, ANN))
    tree = story("2", *rows, site=cluster(2), policy=Policy(order="multifactor")).stretches[0].blocker
    assert tree is not None
    assert tree.fair_share is None, "the weight of the fair share is 0"
    assert tree.scores is not None
    fifo = story("2", *rows, site=cluster(2), policy="fifo").stretches[0].blocker
    assert fifo is not None
    assert fifo.scores is None


@pytest.mark.parametrize("fair_share", ["classic", "fair-tree"])
@pytest.mark.parametrize("seed", range(15))
def test_the_factors_of_any_instant_are_those_of_the_reference(seed, fair_share):
    """Random jobs of users in accounts below accounts; asked for forwards, and then once more further back."""
    random = np.random.default_rng(seed)
    rows: list[Row] = [
        (
            float(random.integers(0, 30)),
            float(random.integers(0, 20)),
            int(random.integers(1, 3)),
            {"user": str(random.choice(["ann", "bob"])), "tenant": str(random.choice(["a", "a/b", "c"]))},
        )
        for _ in range(12)
    ]
    jobs, site = workload(*rows), cluster(3)
    chosen = policy(fair_share, share_period=float(random.choice([1.5, 4.0])), half_life=7.0, shares={"a/b": 3})
    record = schedule(jobs, site, chosen)
    asked = lower_demands(jobs, site, chosen)
    accounts = lower_accounts(chosen, jobs, asked, site.gpus, None)
    milli = accounts.thousandths[asked.demand[record.attempt_job]]
    past = FairPast(accounts, record.attempt_job, record.attempt_start, record.attempt_end, milli)
    stays = {row: [(fate.start, fate.end)] for row, fate in enumerate(told(record)) if fate.start is not None}
    everybody = np.arange(len(jobs))
    for now in (3, 9, 30, 60, 5, 9):
        sharing = Sharing.of(chosen, read(jobs, chosen), None)
        assert sharing is not None
        sharing.come_to(now * MICROSECOND, stays)
        expected = [sharing.factors.get(row, 1.0) for row in range(len(jobs))]
        assert past.factors(everybody, now * MICROSECOND).tolist() == expected


def test_what_was_asked_before_is_not_worked_out_again_unless_there_was_too_much_of_it(monkeypatch):
    jobs, site, chosen = workload(*ROWS), cluster(1), policy("classic", share_period=10.0)
    record = schedule(jobs, site, chosen)
    asked = lower_demands(jobs, site, chosen)
    accounts = lower_accounts(chosen, jobs, asked, site.gpus, None)
    milli = accounts.thousandths[asked.demand[record.attempt_job]]
    past = FairPast(accounts, record.attempt_job, record.attempt_start, record.attempt_end, milli)
    done = []
    monkeypatch.setattr(FairPast, "_recalculate", _counted(FairPast._recalculate, done))
    instants = [number * 10 * MICROSECOND for number in range(5)]
    first = [past.factors(np.arange(2), now).tolist() for now in instants]
    assert (len(done), [past.factors(np.arange(2), now).tolist() for now in instants]) == (4, first)
    assert len(done) == 4
    monkeypatch.setattr("gpuyard.explanation.past._KEPT", 0)
    past.factors(np.arange(2), 9 * instants[1])
    assert [past.factors(np.arange(2), now).tolist() for now in instants] == first  # forgotten, and the same again
    assert len(done) > 4 + 5


def _counted(original, done):
    def recalculate(self):
        done.append(self)
        original(self)

    return recalculate


def test_a_run_without_the_factor_needs_no_past():
    jobs = workload(*ROWS)
    result = gy.simulate(jobs, cluster(1), policy=Policy(order="multifactor", backfill="fit"), decisions=True)
    assert gy.explain(result, "2", workload=jobs, cluster=cluster(1)).passed is None
