"""The figures of what sharing gains: intervals, and how jobs are spread over virtual clusters."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

from conftest import workload

FIGURES = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "sharing_gains.py"))


def test_an_interval_is_that_of_students_t() -> None:
    assert FIGURES["spread"]([1.0, 2.0, 3.0], ".3f") == "2.000 +-2.484"  # 4.303 * 1 / sqrt(3)
    assert FIGURES["spread"]([5.0], ".1f") == "5.0"


def test_jobs_go_where_most_is_missing_and_to_none_of_which_they_ask_for_more_than_half() -> None:
    rng = np.random.default_rng(7)
    rows = [
        (0, float(rng.integers(1, 50)), int(rng.choice([1, 2, 4, 8, 16])), {"user": f"u{rng.integers(40)}"})
        for _ in range(3000)
    ]
    nodes, demand = {"a": 8, "b": 4, "c": 1}, {"a": 0.5, "b": 0.3, "c": 0.05}
    jobs = FIGURES["_spread"](workload(*rows), nodes, demand)
    code, names = jobs.labels("tenant")
    work = np.bincount(code, weights=jobs.gpus * jobs.floats("runtime"))
    for number, name in enumerate(names):
        assert abs(work[number] / work.sum() - demand[name] / 0.85) < 0.01
        assert 2 * jobs.gpus[code == number].max() <= 8 * nodes[name]


def test_a_load_is_met_by_one_factor_on_run_times() -> None:
    jobs = FIGURES["_loaded"](workload((0, 10, 2), (5, 30, 1)), 4.0)
    assert np.isclose((jobs.gpus * jobs.floats("runtime")).sum(), 4.0 * 30 * 86_400)
    assert np.isclose(jobs.floats("runtime")[1], 3 * jobs.floats("runtime")[0])
