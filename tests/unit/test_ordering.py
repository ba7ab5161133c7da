"""Estimates, ranks and parts of scores, worked by hand; rows are (submit_time, runtime, gpus, others), s."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from conftest import workload
from gpuyard.errors import ConfigError
from gpuyard.ordering import FEATURES, estimate_run_times, is_scored, order_features, static_rank
from gpuyard.policy import ORDERS, Policy
from gpuyard.workload import MICROSECOND, Workload
from reference import Ranking, estimate, read
from strategies import random_workload

SIZES = workload(
    (0, 30, 2), (1, 10, 8), (2, 20, 1), (3, 10, 1, {"gpu_milli": 250}), (4, 10, 2), (5, 500, 1, {"time_limit": 5.0})
)  # fmt: skip


def seconds(jobs: Workload, seed: int = 0, **changes: object) -> list[float]:
    """Return the estimates in seconds."""
    return (estimate_run_times(jobs, Policy(**changes), seed) / MICROSECOND).tolist()


def queue(jobs: Workload, order: str, seed: int = 0, **changes: object) -> list[int]:
    """Return the rows in their order."""
    policy = Policy(order=order, **changes)
    rank = static_rank(jobs, policy, estimate_run_times(jobs, policy, seed), seed)
    assert rank.dtype == np.int32
    assert sorted(rank.tolist()) == list(range(len(jobs)))
    return np.argsort(rank).tolist()


# --- estimates ---------------------------------------------------------------------------------------------


def test_the_limit_is_believed_and_where_there_is_none_the_run_time() -> None:
    assert seconds(workload((0, 10, 1, {"time_limit": 60.0}), (1, 10, 1), (2, 90, 1, {"time_limit": 60.0}))) == [
        60,
        10,
        60,
    ]


def test_perfect_knowledge_knows_what_is_killed_at_its_limit() -> None:
    jobs = workload((0, 90, 1, {"time_limit": 60.0}), (1, 10, 1, {"time_limit": 60.0}))
    assert seconds(jobs, estimate="runtime") == [60, 10]
    assert seconds(jobs, estimate="runtime", on_limit="ignore") == [90, 10]


def test_history_is_the_mean_of_the_users_last_two_jobs_that_had_ended() -> None:
    ann, bob = {"user": "ann"}, {"user": "bob"}
    jobs = workload(
        (0, 100, 2, ann | {"time_limit": 500.0}),  # the first: its limit
        (10, 50, 2, ann),  # nobody has ended: its run time
        (60, 1000, 2, ann),  # row 1 ended at this instant
        (100, 30, 2, ann),  # rows 1 and 0
        (200, 7, 4, ann),  # no other job of four GPUs
        (300, 8, 2, bob),  # no other job of bob
        (5000, 9, 2, ann),  # rows 3 and 2, which ended at 130 and 1060: rows 1 and 0 are too long ago
        (5000, 9, 2, ann | {"time_limit": 400.0}),  # the same, cut at its limit
    )
    assert seconds(jobs, estimate="history") == [500, 50, 50, 75, 7, 8, 515, 400]
    assert seconds(jobs, estimate="history", history=1)[3] == 100
    assert seconds(jobs, estimate="history", history=3)[6] == pytest.approx((30 + 1000 + 100) / 3, abs=1e-6)


def test_history_goes_by_the_recorded_end() -> None:
    jobs = workload((0, 10, 1, {"start_time": 90.0, "end_time": 100.0}), (50, 1, 1), (100, 2, 1))
    assert seconds(jobs, estimate="history", history=1) == [10, 1, 10]


def test_of_two_jobs_that_ended_together_the_higher_row_ended_last() -> None:
    jobs = workload((0, 10, 1), (4, 6, 1), (50, 1, 1))
    assert seconds(jobs, estimate="history", history=1) == [10, 6, 6]


def test_jobs_without_a_user_share_a_history_and_a_fraction_is_a_size_of_its_own() -> None:
    share = {"gpu_milli": 500}
    jobs = workload((0, 10, 1), (1, 30, 1, share), (50, 1, 1), (50, 2, 1, share))
    assert seconds(jobs, estimate="history") == [10, 30, 10, 30]


def test_no_job_is_its_own_history() -> None:
    jobs = workload((0, 10, 1), (1, 20, 1), (50, 0, 1), (50, 0, 1), (50, 0, 1))
    assert seconds(jobs, estimate="history") == [10, 20, 0, 0, 0]
    assert seconds(jobs, estimate="history", history=4)[2:] == [7.5, 7.5, 7.5]  # 0, 0, 20 and 10


def test_the_mean_is_rounded_half_to_even_microseconds() -> None:
    tick = 1e-6
    jobs = workload((0, 1 * tick, 1), (0, 2 * tick, 1), (1, 5, 1), (0, 2 * tick, 2), (0, 3 * tick, 2), (1, 5, 2))
    assert estimate_run_times(jobs, Policy(estimate="history"), 0).tolist()[4:] == [2, 2]


def test_noise_is_lognormal_and_stops_at_the_limit() -> None:
    number = 20_000
    column = pa.array([100.0] * number)
    jobs = Workload.from_table(
        pa.table(
            {
                "job_id": pa.array(range(number)).cast(pa.string()),
                "submit_time": column,
                "runtime": column,
                "gpus": pa.array([1] * number, pa.int32()),
            }
        )
    )
    error = np.log(np.array(seconds(jobs, estimate="noise", noise=0.5, seed=3)) / 100)
    assert error.mean() == pytest.approx(0, abs=4 * 0.5 / number**0.5)
    assert error.std() == pytest.approx(0.5, rel=0.03)
    assert np.mean(np.abs(error) < 0.5) == pytest.approx(0.6827, abs=0.015)  # one standard deviation
    assert seconds(jobs, estimate="noise", noise=0.0, seed=3)[:3] == [100, 100, 100]
    assert seconds(jobs, estimate="noise", seed=3) != seconds(jobs, estimate="noise", seed=4)
    limited = workload(*[(0, 100, 1, {"time_limit": 100.0})] * 50)
    assert max(seconds(limited, estimate="noise", seed=3)) == 100


def test_no_estimate_is_beyond_what_ticks_can_add_up() -> None:
    jobs = workload(*[(0, 2e12, 1)] * 50)
    assert int(estimate_run_times(jobs, Policy(estimate="noise", noise=10.0), 0).max()) == 2**61


def test_a_mean_that_would_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"run times of up to 2e\+12 s are too long for the mean of 9 of them"):
        seconds(workload((0, 2e12, 1), (0, 1, 1)), estimate="history", history=9)


# --- orders ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "rows"),
    [
        ("fifo", [0, 1, 2, 3, 4, 5]),
        ("sjf", [5, 1, 3, 4, 2, 0]),
        ("ljf", [0, 2, 1, 3, 4, 5]),
        ("smallest", [3, 2, 5, 0, 4, 1]),
        ("largest", [1, 0, 4, 2, 5, 3]),
        ("smallest-area", [3, 5, 2, 4, 0, 1]),  # 2.5, 5, 20, 20, 60 and 80 GPU-seconds
        ("qssf", [3, 5, 2, 4, 0, 1]),
    ],
)
def test_orders_by_size_and_length(order: str, rows: list[int]) -> None:
    assert queue(SIZES, order) == rows


def test_edf_puts_the_earliest_deadline_first_and_none_last() -> None:
    jobs = workload((0, 1, 1), (1, 1, 1, {"deadline": 90.0}), (2, 1, 1, {"deadline": 50.0}), (3, 1, 1))
    assert queue(jobs, "edf") == [2, 1, 0, 3]


def test_priority_puts_the_highest_first() -> None:
    assert queue(workload((0, 1, 1), (1, 1, 1, {"priority": 5}), (2, 1, 1, {"priority": -5})), "priority") == [1, 0, 2]


def test_the_random_order_is_the_seeds() -> None:
    jobs = workload(*[(0, 1, 1)] * 400)
    assert queue(jobs, "random", 1) == queue(jobs, "random", 1)
    assert queue(jobs, "random", 1) != queue(jobs, "random", 2)
    first = [queue(workload(*[(0, 1, 1)] * 4), "random", seed)[0] for seed in range(400)]
    assert np.bincount(first).tolist() == pytest.approx([100] * 4, abs=35)  # four standard deviations


@pytest.mark.parametrize("order", ["wfp", "unicef", "themis", "multifactor"])
def test_an_order_with_a_score_has_no_rank_of_its_own(order: str) -> None:
    assert is_scored(Policy(order=order))
    assert queue(SIZES, order) == [0, 1, 2, 3, 4, 5]


def test_recorded_replay_has_no_order() -> None:
    assert queue(SIZES, "ljf", replay="recorded") == [0, 1, 2, 3, 4, 5]


def test_nothing_else_is_scored() -> None:
    assert [name for name in ORDERS if is_scored(Policy(order=name))] == ["wfp", "unicef", "themis", "multifactor"]


# --- what scores are made of -------------------------------------------------------------------------------


def test_features_are_seconds_gpus_and_factors() -> None:
    jobs = workload(
        (5, 0, 1, {"gpu_milli": 250, "qos": "high", "user": "bob", "tenant": "x", "nice": 3, "deadline": 70.0}),
        (6, 9, 4, {"time_limit": 60.0, "partition": "gpu", "user": "ann", "priority": -2, "job_class": "training"}),
    )
    policy = Policy(order="multifactor", weights={"size": 10.0}, qos={"high": 2.5}, partitions={"gpu": 0.5, "x": 9.0})
    table = order_features(jobs, policy, estimate_run_times(jobs, policy, 0), cluster_gpus=16)
    assert table.dtype == FEATURES
    assert {name: table[name].tolist() for name in table.dtype.names or ()} == {
        "submit": [5, 6],
        "wait": [0, 0],
        "estimate": [1e-6, 60],
        "limit": [float("inf"), 60],
        "gpus": [0.25, 4],
        "doublings": [1, 2],
        "priority": [0, -2],
        "nice": [3, 0],
        "qos": [2.5, 0],
        "partition": [0, 0.5],
        "deadline": [70, float("inf")],
        "size": [10 * 0.25 / 16, 2.5],
        "row": [0, 1],
        "user": [1, 0],
        "tenant": [1, 0],
        "job_class": [0, 1],
        "fairshare": [1.0, 1.0],
    }


# --- against the slow reference ----------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["limit", "runtime", "history", "noise"])
@pytest.mark.parametrize("seed", range(4))
def test_estimates_and_ranks_are_those_of_the_reference(model: str, seed: int) -> None:
    drawn = random_workload(np.random.default_rng(seed), 200)
    users = pa.array([None if row % 7 == 0 else f"user-{row % 3}" for row in range(len(drawn))])
    at = drawn.table.schema.get_field_index("user")
    jobs = Workload.from_table(drawn.table.set_column(at, drawn.table.schema.field(at), pa.chunked_array([users])))
    rows = read(jobs, Policy())
    for order in ORDERS:
        policy = Policy(order=order, estimate=model, history=3 if model == "history" else 2)
        slow = [estimate(job, rows, policy, seed) for job in rows]
        fast = estimate_run_times(jobs, policy, seed)
        assert fast.tolist() == slow
        if not is_scored(policy):
            ranking = Ranking(policy=policy, estimates=dict(enumerate(slow)), seed=seed, cluster_gpus=1)
            expected = sorted(range(len(rows)), key=lambda row, by=ranking: by.key(rows[row], 0, 0))
            assert np.argsort(static_rank(jobs, policy, fast, seed)).tolist() == expected
