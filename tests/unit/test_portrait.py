"""What a workload is like: each number worked out by hand on a few jobs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from conftest import workload
from gpuyard.errors import ConfigError
from gpuyard.portrait import distances, portray
from gpuyard.portrait.calendar import DAY, HOUR, WEEK, exposure, start_of_clock
from gpuyard.streams import Stream
from gpuyard.traces.schema import ORIGIN
from gpuyard.workload import Workload


def at(*submits: float, origin: str = "") -> Workload:
    jobs = workload(*((submit, 10.0, 1) for submit in submits))
    return Workload.from_table(jobs.table.replace_schema_metadata({ORIGIN: origin.encode()}))


def of(*runtimes: float) -> Workload:
    return workload(*((60.0 * place, runtime, 1) for place, runtime in enumerate(runtimes)))


def test_distances_are_those_worked_out_by_hand() -> None:
    found = {each.quantity: each for each in distances(portray(of(1, 2, 3)), portray(of(2, 3, 7)))}
    runtime = found["runtime_s"]
    assert runtime.ks == pytest.approx(1 / 3)  # below 2 s there is a third of the one, and nothing of the other
    assert runtime.wasserstein == pytest.approx(2.0)  # 1 to 2, 2 to 3 and 3 to 7: 6 s over 3 jobs
    assert found["gpus"].ks == found["gpus"].wasserstein == 0


def test_a_workload_is_at_distance_0_from_itself() -> None:
    rows = [(37.0 * k, 5.0 * k, 1 + k % 9, {"state": "failed" if k % 3 else "completed"}) for k in range(200)]
    itself = portray(workload(*rows))
    for each in distances(itself, itself):
        assert {each.ks, each.wasserstein, each.overlap_lost} <= {0.0, None}


def test_the_largest_difference_is_what_scipy_calls_the_kolmogorov_smirnov_statistic() -> None:
    first, second = (np.floor(Stream(seed, "ks").uniform(300) * 40 * (1 + seed)) for seed in (0, 1))
    found = distances(portray(of(*first)), portray(of(*second)))[0]
    assert found.ks == pytest.approx(ks_2samp(first, second).statistic, abs=1e-12)


def test_divisions_are_apart_by_the_share_that_lies_elsewhere() -> None:
    first = workload((0, 1, 1), (1, 1, 1), (2, 1, 8), (3, 1, 8))
    second = workload((0, 1, 1), (1, 1, 8), (2, 1, 8), (3, 1, 32))
    found = {each.quantity: each for each in distances(portray(first), portray(second))}
    assert found["size_share_of_jobs"].overlap_lost == pytest.approx(0.25)  # 1/2, 1/2, 0 and 1/4, 1/2, 1/4
    # GPU time 2, 16 of 18 and 1, 16, 32 of 49
    by_time = (abs(2 / 18 - 1 / 49) + abs(16 / 18 - 16 / 49) + 32 / 49) / 2
    assert found["size_share_of_gpu_time"].overlap_lost == pytest.approx(by_time)


def test_sizes_are_told_by_powers_of_two() -> None:
    jobs = workload((0, 1, 0), (0, 1, 1, {"gpu_milli": 250}), *((0, 1, size) for size in (1, 2, 3, 4, 5, 9)))
    assert list(portray(jobs).size_jobs) == ["0", "below 1", "1", "2", "3-4", "5-8", "9-16"]
    assert portray(jobs).size_jobs["3-4"] == 0.25


def test_a_share_of_a_gpu_has_its_share_of_the_gpu_time() -> None:
    jobs = workload((0, 7200, 1, {"gpu_milli": 500}), (0, 3600, 3), (0, None, 8))
    assert portray(jobs).gpu_hours == 4.0
    assert portray(jobs).size_gpu_time["5-8"] == 0.0


def test_dispersion_is_variance_over_mean_of_the_counts() -> None:
    found = portray(at(0, 1, 2, 60, 180)).dispersion
    counts = (3, 1, 0)  # whole minutes from the first submission; the last one begins a minute that is not whole
    mean = sum(counts) / 3
    assert found[60.0] == pytest.approx(sum((count - mean) ** 2 for count in counts) / 3 / mean)
    assert found[600.0] is None


def test_the_profile_counts_submissions_over_how_long_each_hour_lasted() -> None:
    # two days from Monday 0:00; three jobs in hour 0 of each day, one in hour 12 of the first, the last closes the span
    jobs = portray(at(0, 1, 2, 12 * HOUR, DAY, DAY + 1, DAY + 2, 2 * DAY, origin="2026-03-02T00:00:00+09:00"))
    assert jobs.hourly[0] == pytest.approx(24 * 7 / 8)
    assert jobs.hourly[12] == pytest.approx(24 * 1 / 8)
    assert jobs.weekly == (1.0,) * 7  # no whole week: days are taken as alike


def test_an_hour_that_came_twice_counts_half_as_much_for_each_job() -> None:
    # from Monday 0:00 to Tuesday 12:00: hour 6 came twice, hour 18 once, and each had two jobs
    jobs = portray(at(0, 6 * HOUR, 18 * HOUR, 18 * HOUR + 1, DAY + 6 * HOUR, DAY + 12 * HOUR, origin="2026-03-02"))
    assert jobs.hourly[18] == pytest.approx(2 * jobs.hourly[6])


def test_the_clock_begins_where_the_origin_says() -> None:
    assert start_of_clock("2026-03-04T06:30:00+09:00") == 2 * DAY + 6.5 * HOUR  # a Wednesday
    assert start_of_clock("") == 0.0
    with pytest.raises(ConfigError, match="got 'today'"):
        start_of_clock("today")


def test_an_hour_of_the_week_lasts_as_often_as_it_comes() -> None:
    lasted = exposure(WEEK - HOUR / 2, 2 * WEEK + HOUR * 1.5)
    assert (lasted[167], lasted[0], lasted[1], lasted[2]) == (1.5 * HOUR, 2 * HOUR, 1.5 * HOUR, HOUR)
    assert lasted.sum() == WEEK + 2 * HOUR


def test_the_largest_users_have_their_share_of_jobs_and_of_gpu_time() -> None:
    rows = [(float(k), 10.0, 1, {"user": "a" if k < 6 else f"u{k}"}) for k in range(15)]
    rows.append((15.0, 50.0, 10, {"user": "u14"}))
    owners = portray(workload(*rows)).owners
    assert owners["users"] == 10.0
    assert owners["top_user_share_of_jobs"] == 6 / 16
    assert owners["top_tenth_of_users_share_of_gpu_time"] == pytest.approx(510 / 650)
    assert owners["tenants"] is None


def test_nothing_is_said_of_no_jobs() -> None:
    with pytest.raises(ConfigError, match="has no jobs"):
        portray(workload((0, 1, 1)).window(5, 6))
