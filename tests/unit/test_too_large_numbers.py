"""Preemption and fair share refuse what does not fit the engine's whole microseconds, or is less than one."""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from gpuyard.errors import ConfigError
from gpuyard.policy import Policy
from gpuyard.simulation import schedule

YEAR = 365 * 86_400
HUGE = cluster(100_000)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rule": "las", "thresholds": 5}, "'thresholds' must be at most 62 numbers .* got 5"),
        ({"rule": "las", "thresholds": [1, "x"]}, r"'thresholds' must be .* got \[1, 'x'\]"),
        ({"rule": "las", "thresholds": [1e13]}, r"'thresholds' must be .* up to 4e\+12"),
        ({"rule": "las", "thresholds": [1, 1.0000001]}, "'thresholds' must be .* by a microsecond at least"),
        ({"rule": ["las"]}, "unknown preemption"),
        ({"rule": "srtf", "checkpoint_interval": 1e-9, "checkpoint_cost": 1}, "'checkpoint_interval' must be 0 or at"),
        ({"rule": "time-slice", "time_slice": 10.0000001, "restart_cost": 10}, "a time slice of 10 s is used up"),
    ],
)
def test_a_preemption_is_refused_at_the_door_where_its_microseconds_make_no_sense(given, message):
    with pytest.raises(ConfigError, match=message):
        Policy(backfill="fit", preemption=given)


@pytest.mark.parametrize(
    "terms", [{"rule": "gittins"}, {"rule": "srsf"}, {"rule": "priority", "victims": "least-lost"}]
)
def test_a_job_of_more_gpu_microseconds_than_64_bits_hold_is_refused_where_they_count(terms):
    """100,000 GPUs for 4 years are 1.26e19 GPU microseconds; 64 bits hold 9.22e18."""
    with pytest.raises(ConfigError, match="on 100000 GPUs are too many GPU microseconds"):
        schedule(workload((0, 4 * YEAR, 100_000)), HUGE, Policy(backfill="fit", preemption=terms))


def test_a_job_that_is_rejected_does_not_count_for_what_fits():
    jobs = workload((0, 10, 1), (0, 10 * YEAR, 100_000_000))
    assert schedule(jobs, HUGE, Policy(backfill="fit", preemption="srsf")).attempt_job.tolist() == [0]


def test_a_period_in_which_usage_would_not_fit_is_refused():
    """100,000 GPUs hold 6.9e19 thousandths x microseconds in 8 days."""
    policy = Policy(order="multifactor", weights={"fairshare": 1}, share_period=8 * 86_400)
    with pytest.raises(ConfigError, match=r"'share_period' of 691200 s is too long for 100,000 GPUs; choose less than"):
        schedule(workload((0, 10, 1)), HUGE, policy)


def test_a_period_is_a_number():
    with pytest.raises(ConfigError, match=r"'share_period' must be 1e-06 to .* seconds, got None"):
        Policy(order="multifactor", weights={"fairshare": 1}, share_period=None)
