"""In long overload what each got converges to what it was due: fair share of both kinds, with a confidence band."""

from __future__ import annotations

from itertools import pairwise

import numba
import numpy as np
import pytest

from conftest import cluster, workload
from gpuyard.metrics.fairness import jain_index
from gpuyard.policy import Policy
from gpuyard.record import Record
from gpuyard.simulation import schedule
from gpuyard.workload import MICROSECOND

pytestmark = [
    pytest.mark.theory,
    pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="long runs need compiled code"),
]

DUE = {"steel/vision": 3 / 8, "steel/speech": 1 / 8, "wood": 1 / 3, "paper": 1 / 6}
"""By the shares: steel 3 of 6, of which vision has 3 of 4; wood 2, paper 1."""
CLASSIC = {"steel/vision": 0.3733, "steel/speech": 0.0805, "wood": 0.3641, "paper": 0.1820}
"""Where the classic factors of all users are equal, worked by hand from Slurm's formula.

A tenant X whose 3 users used A between them has users with E / S = (2 A / 3 + E_X) / S_X: of wood 5 A, of paper 10 A,
of vision (5 v / 3 + 3 s / 4) / (3 / 8) and of speech (5 s / 3 + v / 4) / (1 / 8), for v and s used. Equal to r they
make s = r / 22.61, v = 4.636 s, wood r / 5, paper r / 10, in all 0.5493 r = 1. So an account that lies below another is
charged for what its sibling used: the shares below steel are not kept, and steel has less than its half.
"""
SHARES = {"steel": 3.0, "steel/vision": 3.0, "wood": 2.0}
JOBS, RUNS, GPUS = 1500, 12, 12
STOP = 24_000
"""s"""
STUDENT = 3.106
"""99 % of a t distribution with 11 degrees of freedom, both sides."""


def run(fair_share: str, seed: int, half_life: float | str) -> Record:
    """Return what became of tenants all of whose jobs are there from the start.

    Jobs ask for one GPU and take an exponential time, 100 s in the mean. Vision has had all its jobs at about
    1500 x 100 / (12 x 3/8) = 33,000 s; what is looked at ends at 24,000.
    """
    random = np.random.default_rng(seed)
    rows = [
        (0.0, float(random.exponential(100.0)) + 1e-6, 1, {"tenant": tenant, "user": f"user {number % 3}"})
        for number in range(JOBS)
        for tenant in DUE
    ]
    policy = Policy(
        order="multifactor",
        weights={"age": 0, "fairshare": 1e6},
        fair_share=fair_share,
        shares=SHARES,
        share_period=10,
        half_life=half_life,
    )
    return schedule(workload(*rows), cluster(GPUS), policy, until=STOP)


def shares_between(record: Record, start: float, stop: float) -> dict[str, float]:
    code, names = record.workload.labels("tenant")
    ends = (round(start * MICROSECOND), round(stop * MICROSECOND))
    held = np.clip(record.attempt_end, *ends) - np.clip(record.attempt_start, *ends)
    time = np.bincount(code[record.attempt_job], weights=held)
    return dict(zip(names, (time / time.sum()).tolist(), strict=True))


def distance(record: Record, stop: float, expected: dict[str, float]) -> float:
    """Return how far the share of some tenant up to a time is from what is expected, at most."""
    found = shares_between(record, 0, stop)
    return max(abs(found[tenant] - share) for tenant, share in expected.items())


@pytest.mark.parametrize("half_life", ["none", 3_600.0])
@pytest.mark.parametrize("fair_share", ["classic", "fair-tree"])
def test_shares_of_gpu_time_converge_to_those_at_which_all_factors_are_equal(fair_share, half_life):
    """Under Fair Tree these are the shares that are due.

    From the beginning to a time they are the nearer the longer that is: from four times the time at most 3/4 as far.
    """
    records = [run(fair_share, seed, half_life) for seed in range(RUNS)]
    expected = DUE if fair_share == "fair-tree" else CLASSIC
    off = [float(np.mean([distance(record, stop, expected) for record in records])) for stop in (400, 1600, 6400, STOP)]
    assert all(later < 0.75 * sooner for sooner, later in pairwise(off)), off
    assert off[-1] < 0.005, off
    runs = [shares_between(record, 4_000, STOP) for record in records]
    for tenant, due in expected.items():
        found = np.array([run[tenant] for run in runs])
        band = STUDENT * float(found.std(ddof=1)) / RUNS**0.5
        assert band < 0.01, (tenant, band)
        assert abs(float(found.mean()) - due) < band + 0.005, (tenant, float(found.mean()), due, band)
    index = [jain_index(run[tenant] / due for tenant, due in DUE.items()) for run in runs]
    assert (min(index) > 0.99) == (fair_share == "fair-tree")


def test_without_the_factor_they_do_not():
    """First come first served gives all the same."""
    random = np.random.default_rng(0)
    rows = [
        (0.0, float(random.exponential(100.0)) + 1e-6, 1, {"tenant": tenant}) for _ in range(JOBS) for tenant in DUE
    ]
    found = shares_between(schedule(workload(*rows), cluster(GPUS), Policy(), until=STOP), 4_000, STOP)
    assert found["steel/speech"] == pytest.approx(1 / 4, abs=0.03)
