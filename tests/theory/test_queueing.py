"""Long runs against queueing theory: exact results from outside our code.

Every comparison discards the first tenth of the jobs, cuts the rest into 40 batches of equal size and asks that the
exact value lies within the batch means' 99.9 % confidence interval (Student's t with 39 degrees of freedom).  With
about 20 intervals in this file a faulty alarm would be a 2 % chance for a fresh choice of seeds; the seeds are fixed.
An interval is a test only while it is narrow, so its half-width must stay below 5 % of the exact value.

Sources: Erlang (1917) for the B and C formulas; Pollaczek (1930) and Khinchine (1932) for M/G/1; Cobham (1954) for
priorities; Phipps (1956) for shortest job first; Kaufman (1981) and Roberts (1981) for several widths; Sevastyanov
(1957) for the insensitivity of loss systems; Little (1961).  All are in Kleinrock, Queueing Systems (1975, 1976).
"""

from __future__ import annotations

import math

import numba
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from scipy import integrate, stats

from conftest import cluster
from gpuyard.policy import PLACEMENTS, Policy, named_policy
from gpuyard.record import Outcome, Record
from gpuyard.simulation import schedule
from gpuyard.workload import MICROSECOND, Workload

pytestmark = [
    pytest.mark.theory,
    pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="long runs need compiled code"),
]

BATCHES = 40
CONFIDENCE = 0.999
NARROW = 0.05
MEAN_RUNTIME = 100.0
"""s: a microsecond is then a hundred-millionth of a run time, and rounding is far below the noise"""


def exponential(rng: np.random.Generator, jobs: int) -> NDArray[np.float64]:
    return rng.exponential(MEAN_RUNTIME, jobs)


def lognormal(rng: np.random.Generator, jobs: int) -> NDArray[np.float64]:
    """Squared coefficient of variation 2."""
    spread = math.log(3)
    return rng.lognormal(math.log(MEAN_RUNTIME) - spread / 2, math.sqrt(spread), jobs)


def constant(rng: np.random.Generator, jobs: int) -> NDArray[np.float64]:
    return np.full(jobs, MEAN_RUNTIME)


def poisson(rng: np.random.Generator, jobs: int, erlangs: float) -> NDArray[np.float64]:
    """Return arrivals that offer so many mean run times at once."""
    return np.cumsum(rng.exponential(MEAN_RUNTIME / erlangs, jobs))


def jobs_of(submit: NDArray[np.float64], runtime: NDArray[np.float64], **columns: object) -> Workload:
    """Return a workload; ``gpus`` is 1 unless given."""
    given = {"gpus": 1} | columns
    full = {name: np.full(submit.size, value) if np.ndim(value) == 0 else value for name, value in given.items()}
    ids = pa.array(np.arange(submit.size)).cast(pa.string())
    return Workload.from_table(pa.table({"job_id": ids, "submit_time": submit, "runtime": runtime, **full}))


def waits(record: Record) -> NDArray[np.float64]:
    """Return each job's wait in mean run times, in the order of submission."""
    assert np.all(record.outcome == Outcome.COMPLETED)
    return (record.start - record.eligible) / (MEAN_RUNTIME * MICROSECOND)


def assert_mean(values: NDArray[np.float64], exact: float) -> None:
    """Assert that the exact mean lies in the confidence interval, and that the interval is narrow."""
    settled = values[values.size // 10 :]
    batches = settled[: settled.size // BATCHES * BATCHES].reshape(BATCHES, -1).mean(axis=1)
    half = stats.t.ppf((1 + CONFIDENCE) / 2, BATCHES - 1) * batches.std(ddof=1) / math.sqrt(BATCHES)
    assert half < NARROW * exact, f"half-width {half / exact:.2%} of {exact}"
    assert abs(batches.mean() - exact) <= half, f"{batches.mean():.5f} +- {half:.5f} is not {exact:.5f}"


def erlang_b(erlangs: float, servers: int) -> float:
    """Return the share of lost calls, by the usual recursion."""
    lost = 1.0
    for server in range(1, servers + 1):
        lost = erlangs * lost / (server + erlangs * lost)
    return lost


def erlang_c(erlangs: float, servers: int) -> float:
    """Return the share of calls that wait."""
    lost = erlang_b(erlangs, servers)
    return lost / (1 - erlangs / servers * (1 - lost))


# --- one server --------------------------------------------------------------------------------------------


def test_mm1():
    """The mean wait is rho / (1 - rho) mean run times, and rho of the jobs wait at all."""
    rng, load = np.random.default_rng(1), 0.6
    jobs = jobs_of(poisson(rng, 1_000_000, load), exponential(rng, 1_000_000))
    wait = waits(schedule(jobs, cluster(1), Policy()))
    assert_mean(wait, load / (1 - load))
    assert_mean((wait > 0).astype(float), load)


def test_mm1_waits_are_exponential_for_those_who_wait():
    """P(wait > t) = rho exp(-(1 - rho) t): the tail, not only the mean."""
    rng, load = np.random.default_rng(2), 0.6
    jobs = jobs_of(poisson(rng, 1_000_000, load), exponential(rng, 1_000_000))
    wait = waits(schedule(jobs, cluster(1), Policy()))
    for time in (1, 3):
        assert_mean((wait > time).astype(float), load * math.exp(-(1 - load) * time))


@pytest.mark.parametrize(("runtime", "second_moment"), [(constant, 1), (exponential, 2), (lognormal, 3)])
def test_mg1_waits_as_pollaczek_and_khinchine_say(runtime, second_moment):
    """The mean wait is rho E[S^2] / (2 (1 - rho)), S in mean run times."""
    rng, load = np.random.default_rng(3), 0.5
    jobs = jobs_of(poisson(rng, 1_000_000, load), runtime(rng, 1_000_000))
    assert_mean(waits(schedule(jobs, cluster(1), Policy())), load * second_moment / (2 * (1 - load)))


def test_priorities_wait_as_cobham_says():
    """Class k waits R / ((1 - sigma above k) (1 - sigma with k)), R = rho E[S^2] / 2, run times of any law."""
    rng, loads, count = np.random.default_rng(4), {1: 0.3, 0: 0.3}, 1_500_000
    priority = rng.choice(list(loads), count)
    jobs = jobs_of(poisson(rng, count, sum(loads.values())), lognormal(rng, count), priority=priority)
    wait = waits(schedule(jobs, cluster(1), named_policy("priority")))
    residual, above = sum(loads.values()) * 3 / 2, 0.0
    for rank, load in loads.items():
        assert_mean(wait[priority == rank], residual / ((1 - above) * (1 - above - load)))
        above += load


def test_shortest_job_first_waits_as_phipps_says():
    """A job of length x waits R / (1 - rho(x))^2, where rho(x) is the load of the jobs shorter than x."""
    rng, load = np.random.default_rng(5), 0.7
    jobs = jobs_of(poisson(rng, 1_000_000, load), exponential(rng, 1_000_000))

    def density_of_wait(length: float) -> float:
        shorter = load * (1 - math.exp(-length) * (1 + length))
        return load * math.exp(-length) / (1 - shorter) ** 2

    exact, _ = integrate.quad(density_of_wait, 0, math.inf)
    assert_mean(waits(schedule(jobs, cluster(1), named_policy("sjf"))), exact)


# --- several servers ---------------------------------------------------------------------------------------

EIGHT_SERVERS = {
    "eight nodes of one GPU": (cluster(*[1] * 8), {"gpus": 1}),
    "four nodes of two halves": (cluster(*[8] * 4), {"gpus": 4}),
    "pairs of whole nodes": (cluster(*[8] * 16, levels=[[node // 4 for node in range(16)]]), {"gpus": 16}),
    "eighths of one GPU": (cluster(1), {"gpus": 1, "gpu_milli": 125}),
    "cores of a node without GPUs": (cluster(0, cpus=[8]), {"gpus": 0, "cpus": 1.0}),
}


def test_mmc():
    """Mean wait C / (c - a) and share that waits C, by Erlang's C formula."""
    rng, erlangs, count = np.random.default_rng(6), 6.0, 2_500_000
    jobs = jobs_of(poisson(rng, count, erlangs), exponential(rng, count))
    wait = waits(schedule(jobs, cluster(8), Policy()))
    assert_mean(wait, erlang_c(erlangs, 8) / (8 - erlangs))
    assert_mean((wait > 0).astype(float), erlang_c(erlangs, 8))


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("servers", EIGHT_SERVERS)
def test_a_server_may_be_anything(servers, placement):
    """Eight servers are eight servers, whatever each is made of: not one wait differs from M/M/8 on one node."""
    site, shape = EIGHT_SERVERS[servers]
    rng, count = np.random.default_rng(12), 50_000
    submit, runtime = poisson(rng, count, 6.0), exponential(rng, count)
    usual = schedule(jobs_of(submit, runtime), cluster(8), Policy())
    other = schedule(jobs_of(submit, runtime, **shape), site, Policy(placement=placement))
    assert np.array_equal(other.start, usual.start)


# --- loss --------------------------------------------------------------------------------------------------


def held_nothing(record: Record) -> NDArray[np.float64]:
    """Return 1 for each job that found no room, by row; each must have started when it was submitted."""
    assert np.array_equal(record.start, record.workload.submit)
    lost = np.empty(len(record.workload))
    lost[record.attempt_job] = np.diff(record.slot_offset) == 0
    return lost


@pytest.mark.parametrize("runtime", [exponential, lognormal, constant])
def test_recorded_replay_loses_as_erlang_b_says(runtime):
    """Replayed jobs that find no room hold nothing: a loss system, insensitive to the law of the run times."""
    rng, count = np.random.default_rng(7), 500_000
    submit = poisson(rng, count, 6.0)
    jobs = jobs_of(submit, runtime(rng, count), start_time=submit)
    lost = held_nothing(schedule(jobs, cluster(*[1] * 8), Policy(replay="recorded")))
    assert_mean(lost, erlang_b(6.0, 8))


def test_recorded_replay_of_several_widths_loses_as_kaufman_and_roberts_say():
    """One node of 16 GPUs, jobs of 1, 2 and 4: n q(n) = sum of width x erlangs x q(n - width)."""
    rng, count, gpus = np.random.default_rng(8), 1_000_000, 16
    erlangs = {1: 3.0, 2: 2.0, 4: 1.0}
    total = sum(erlangs.values())
    width = rng.choice(list(erlangs), count, p=[each / total for each in erlangs.values()])
    submit = poisson(rng, count, total)
    jobs = jobs_of(submit, lognormal(rng, count), gpus=width, start_time=submit)
    lost = held_nothing(schedule(jobs, cluster(gpus), Policy(replay="recorded")))
    chance = np.zeros(gpus + 1)
    chance[0] = 1
    for held in range(1, gpus + 1):
        parts = [each * load * chance[held - each] for each, load in erlangs.items() if each <= held]
        chance[held] = sum(parts) / held
    chance /= chance.sum()
    for each in erlangs:
        assert_mean(lost[width == each], chance[gpus - each + 1 :].sum())


# --- conservation ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["sjf", "priority", "smallest", "fifo-fit"])
def test_one_server_conserves_work(policy):
    """Kleinrock's conservation law, path by path: the sum of run time x wait does not depend on the order.

    The work left to do at any instant is the same for all orders that never idle while a job waits; its integral
    is the sum of runtime x wait + runtime^2 / 2.  In whole seconds this holds to the last digit.
    """
    rng, count = np.random.default_rng(11), 200_000
    runtime = np.rint(lognormal(rng, count))
    jobs = jobs_of(np.rint(poisson(rng, count, 0.8)), runtime, priority=rng.integers(0, 5, count))
    usual = schedule(jobs, cluster(1), named_policy("fifo"))
    other = schedule(jobs, cluster(1), named_policy(policy))

    def weighted(record: Record) -> int:
        return int(np.sum((record.start - record.eligible) // MICROSECOND * runtime.astype(np.int64)))

    assert weighted(other) == weighted(usual) > 0
    assert other.stop == usual.stop
    assert np.array_equal(other.start, usual.start) == (policy in ("smallest", "fifo-fit"))


# --- Little's law ------------------------------------------------------------------------------------------


def area(up: NDArray[np.int64], down: NDArray[np.int64]) -> int:
    """Return the integral over time of the number of intervals that are open, in job-microseconds."""
    at = np.concatenate([up, down])
    change = np.repeat([1, -1], [up.size, down.size])
    order = np.argsort(at, kind="stable")
    level = np.cumsum(change[order])[:-1]
    assert level.min() >= 0
    return int(np.sum(level * np.diff(at[order])))


@pytest.mark.parametrize("policy", ["fifo", "fifo-fit", "sjf", "smallest"])
def test_little(policy):
    """Queue length integrated over time is the sum of the waits, to the microsecond, under every order."""
    rng, count = np.random.default_rng(9), 200_000
    width = rng.choice([1, 2, 4], count)
    jobs = jobs_of(poisson(rng, count, 2.0), lognormal(rng, count), gpus=width)
    record = schedule(jobs, cluster(8), named_policy(policy))
    assert area(record.eligible, record.start) == int(np.sum(record.start - record.eligible)) > 0
    assert area(record.start, record.end) == int(np.sum(jobs.runtime))


def test_the_servers_carry_what_is_offered():
    """GPUs held on average = arrivals a second x mean run time (Little's law for the servers of M/M/c)."""
    rng, count, erlangs = np.random.default_rng(10), 500_000, 6.0
    jobs = jobs_of(poisson(rng, count, erlangs), exponential(rng, count))
    record = schedule(jobs, cluster(8), Policy())
    held = area(record.start, record.end) / (record.stop - int(record.start[0]))
    assert held == pytest.approx(erlangs, rel=0.01)
