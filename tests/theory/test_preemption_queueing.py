"""Long runs under preemption against queueing theory: exact results for one server from outside our code.

Sources: Schrage and Miller (1966) for the shortest remaining time; Jaiswal (1968) for preemptive-resume priorities;
Kleinrock, Queueing Systems II (1976), chapter 4, for processor sharing and foreground-background (section 4.6).
The last two are limits: slices and thresholds are short against a mean run time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, stats

from conftest import cluster
from gpuyard.policy import named_policy
from gpuyard.preemption import Preemption
from gpuyard.record import Outcome, Record
from gpuyard.simulation import schedule
from gpuyard.workload import MICROSECOND
from theory.test_queueing import MEAN_RUNTIME, assert_mean, exponential, jobs_of, lognormal, poisson

pytestmark = [
    pytest.mark.theory,
    pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="long runs need compiled code"),
]

LOGNORMAL = stats.lognorm(math.sqrt(math.log(3)), scale=math.exp(-math.log(3) / 2))
"""The law of ``lognormal`` in mean run times: its second moment is 3."""


LOAD = 0.6
"""Of the server that is shared."""


def responses(record: Record) -> NDArray[np.float64]:
    """Return how long each job took from submission to its end, in mean run times."""
    assert np.all(record.outcome == Outcome.COMPLETED)
    return (record.end - record.workload.submit) / (MEAN_RUNTIME * MICROSECOND)


def test_the_shortest_remaining_time_responds_as_schrage_and_miller_say():
    """M/M/1: E[T(x)] = lambda (m(x) + x^2 P(S > x)) / (2 (1 - rho(x))^2) + the integral of 1 / (1 - rho) up to x."""
    rng, load = np.random.default_rng(21), 0.7
    jobs = jobs_of(poisson(rng, 400_000, load), exponential(rng, 400_000))

    def rho(x: float) -> float:
        return load * (1 - math.exp(-x) * (1 + x))

    def second(x: float) -> float:
        return 2 - math.exp(-x) * (x * x + 2 * x + 2) + x * x * math.exp(-x)

    def response(x: float) -> float:
        served = integrate.quad(lambda t: 1 / (1 - rho(t)), 0, x)[0]
        return load * second(x) / (2 * (1 - rho(x)) ** 2) + served

    exact = integrate.quad(lambda x: response(x) * math.exp(-x), 0, 40, limit=200)[0]
    assert_mean(responses(schedule(jobs, cluster(1), named_policy("srtf"))), exact)


def test_preemptive_priorities_respond_as_jaiswal_says():
    """M/G/1, resume: class k takes 1 / (1 - sigma) + R / ((1 - sigma) (1 - sigma - rho_k)), with R up to k only."""
    rng, loads, count = np.random.default_rng(22), {1: 0.3, 0: 0.3}, 1_000_000
    priority = rng.choice(list(loads), count)
    jobs = jobs_of(poisson(rng, count, sum(loads.values())), lognormal(rng, count), priority=priority)
    took = responses(schedule(jobs, cluster(1), named_policy("fifo", preemption="priority")))
    above, residual = 0.0, 0.0
    for rank, load in loads.items():
        residual += load * 3 / 2
        assert_mean(took[priority == rank], 1 / (1 - above) + residual / ((1 - above) * (1 - above - load)))
        above += load


@pytest.mark.parametrize("runtime", [exponential, lognormal])
def test_short_slices_share_the_processor(runtime):
    """M/G/1-PS: a job takes x / (1 - rho) on average, whatever its length and whatever the law."""
    for stretch in stretches_in_slices(0.05, runtime, 200_000):
        assert_mean(stretch, 1 / (1 - LOAD))


def stretches_in_slices(slice_: float, runtime: Callable[..., Any], count: int) -> list[NDArray[np.float64]]:
    """Return the times to the end over the run times, of shorter and of longer jobs; slices are in mean run times."""
    rng = np.random.default_rng(23)
    jobs = jobs_of(poisson(rng, count, LOAD), runtime(rng, count))
    rule = Preemption(rule="time-slice", time_slice=slice_ * MEAN_RUNTIME)
    took = responses(schedule(jobs, cluster(1), named_policy("time-slice", preemption=rule)))
    length = jobs.runtime / (MEAN_RUNTIME * MICROSECOND)
    sizes = ((length >= low) & (length < high) for low, high in ((0.3, 1.0), (1.0, 4.0)))
    return [took[some] / length[some] for some in sizes]


@pytest.mark.parametrize("runtime", [exponential, lognormal])
def test_coarse_slices_do_not_and_the_shorter_they_are_the_nearer_they_come(runtime):
    """In slices of twice the mean run time short jobs wait for long ones, and take a fifth longer, or more."""
    off = []
    for slice_ in (2.0, 0.5, 0.1):
        ratios = [float(each.mean()) * (1 - LOAD) for each in stretches_in_slices(slice_, runtime, 100_000)]
        off.append(max(abs(ratio - 1) for ratio in ratios))
    assert off[0] > 0.2
    assert off[1] < 0.05
    assert off[2] < 0.03


@pytest.mark.parametrize(("step", "holds"), [(0.1, True), (2.0, False)])
def test_fine_thresholds_serve_who_had_least(step, holds):
    """M/G/1-FB: E[T(x)] = lambda E[min(S, x)^2] / (2 (1 - r)^2) + x / (1 - r) with r = lambda E[min(S, x)].

    In steps of twice the mean run time most jobs are in the first queue, and the shorter take half as long again.
    """
    rng, load = np.random.default_rng(24), 0.7
    jobs = jobs_of(poisson(rng, 300_000, load), lognormal(rng, 300_000))
    thresholds = tuple(step * MEAN_RUNTIME * each for each in range(1, int(6.3 / step)))
    took = responses(
        schedule(jobs, cluster(1), named_policy("las", preemption=Preemption(rule="las", thresholds=thresholds)))
    )

    grid = np.geomspace(1e-4, 300, 20_000)
    left = LOGNORMAL.sf(grid)
    rho = load * np.append(0, integrate.cumulative_trapezoid(left, grid))
    second = 2 * np.append(0, integrate.cumulative_trapezoid(grid * left, grid))
    response = load * second / (2 * (1 - rho) ** 2) + grid / (1 - rho)
    length = jobs.runtime / (MEAN_RUNTIME * MICROSECOND)
    for low, high in ((0.2, 1.0), (1.0, 5.0)):
        some, inside = (length >= low) & (length < high), (grid >= low) & (grid < high)
        weight = LOGNORMAL.pdf(grid[inside])
        exact = float(np.trapezoid(response[inside] * weight, grid[inside]) / np.trapezoid(weight, grid[inside]))
        if holds:
            assert_mean(took[some], exact)
        elif low < 1:
            assert float(took[some].mean()) > 1.3 * exact
