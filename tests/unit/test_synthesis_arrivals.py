"""Submissions follow the hour, the day and the burst."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from gpuyard.errors import ConfigError
from gpuyard.streams import Stream
from gpuyard.synthesis import SynthesisSpec, Tenant, synthesise
from gpuyard.synthesis.arrivals import Arrivals, Calendar, burst_sizes
from gpuyard.synthesis.published import Profile
from gpuyard.synthesis.tenants import Skew, owners, skewed_tenants

HOUR, DAY = 3600.0, 86_400.0
MONDAY = datetime.fromisoformat("2027-01-04T00:00:00+09:00")
FLAT_DAY, FLAT_WEEK = (1.0,) * 24, (1.0,) * 7
FLAT = Profile(FLAT_DAY, FLAT_WEEK)

# Helios data, submissions by local hour, mean of Venus, Earth, Saturn and Uranus.
HELIOS_HOURS = np.array([.90, .79, .65, .53, .49, .48, .48, .44, .51, .80, 1.15, 1.28,
                         1.23, 1.26, 1.39, 1.47, 1.55, 1.40, 1.13, 1.23, 1.33, 1.25, 1.16, 1.08])  # fmt: skip
# Philly trace, submissions by day, Monday to Sunday.
PHILLY_DAYS = np.array([0.86, 1.07, 1.14, 1.29, 1.44, 0.61, 0.59])


def chi_square(observed: np.ndarray, weights: np.ndarray) -> float:
    expected = weights / weights.sum() * observed.sum()
    return float(((observed - expected) ** 2 / expected).sum())


@pytest.fixture(scope="module")
def finetune_submits():
    workload = synthesise(SynthesisSpec(days=14), gpus=10_000, seed=0)
    names, choices = workload.labels("job_name")
    return workload.floats("submit_time")[names == choices.index("finetune")]


def test_submissions_by_hour_follow_the_published_profile(finetune_submits):
    observed = np.bincount((finetune_submits % DAY // HOUR).astype(int), minlength=24)
    assert observed.sum() > 30_000
    assert chi_square(observed, HELIOS_HOURS) < 54.1  # 99.98 % point of chi-square with 23 degrees of freedom


def test_submissions_by_day_follow_the_published_profile(finetune_submits):
    observed = np.bincount((finetune_submits // DAY).astype(int) % 7, minlength=7)
    assert chi_square(observed, PHILLY_DAYS) < 26.1  # 99.98 % point of chi-square with 6 degrees of freedom


def test_single_submissions_are_poisson_within_an_hour(finetune_submits):
    # the busiest hour of each Wednesday to Friday, in minutes: variance over mean of a Poisson count is 1
    minutes = np.bincount((finetune_submits // 60).astype(int), minlength=14 * 1440).reshape(14, 24, 60)[2:5, 16, :]
    ratios = minutes.var(axis=1, ddof=1) / minutes.mean(axis=1)
    assert ratios.mean() == pytest.approx(1.0, abs=0.35)  # 3.3 standard errors of 3 x 60 minutes


def test_time_is_spent_where_the_rate_is():
    weekend_off = (1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0)
    calendar = Calendar(MONDAY, 7 * DAY)
    assert calendar.clock("cluster", Profile(FLAT_DAY, weekend_off)).times(
        np.array([0.0, 0.5, 0.999999])
    ) == pytest.approx([0.0, 2.5 * DAY, 5 * DAY], abs=1)
    assert calendar.clock("flat", FLAT).times(np.array([0.5])) == pytest.approx([3.5 * DAY])


def test_working_hours_are_8_to_19_on_weekdays():
    saturday = datetime.fromisoformat("2027-01-09T00:00:00+09:00")
    times = Calendar(saturday, 4 * DAY).clock("working-hours", FLAT).times(np.array([0.0, 0.25, 0.5, 0.75]))
    assert times / HOUR == pytest.approx([48 + 8, 48 + 13.5, 72 + 8, 72 + 13.5])


def test_a_window_without_working_hours_is_used_evenly():
    sunday = datetime.fromisoformat("2027-01-10T00:00:00+09:00")
    times = Calendar(sunday, DAY).clock("working-hours", FLAT).times(np.array([0.25, 0.5]))
    assert times == pytest.approx([0.25 * DAY, 0.5 * DAY])


def test_a_window_may_begin_within_an_hour():
    only_ten = tuple(1.0 if hour == 10 else 0.0 for hour in range(24))
    start = datetime.fromisoformat("2027-01-04T09:30:00+09:00")
    calendar = Calendar(start, DAY)
    assert calendar.clock("cluster", Profile(only_ten, FLAT_WEEK)).times(
        np.array([0.0, 0.5, 0.999999])
    ) == pytest.approx([1800, 3600, 5400], abs=1)


def bursts(jobs: int, mean: float) -> tuple[np.ndarray, np.ndarray]:
    calendar = Calendar(MONDAY, 7 * DAY)
    blocks = list(Arrivals(jobs, mean, calendar.clock("flat", FLAT), 0, "a kind"))
    return np.concatenate([one.sizes for one in blocks]), np.concatenate([one.times for one in blocks])


def test_bursts_have_their_mean_and_the_first_keep_their_sizes():
    few, many = bursts(1_000, 40.0)[0], bursts(1_000_000, 40.0)[0]
    assert (few.sum(), many.sum()) == (1_000, 1_000_000)
    assert np.array_equal(few[:-1], many[: few.size - 1])
    assert many.mean() == pytest.approx(40, rel=0.03)  # 25,000 geometric sizes: 4 standard errors
    assert np.mean(many == 1) == pytest.approx(1 / 40, abs=0.004)


def test_a_burst_of_uniform_numbers_is_geometric():
    # P(size > n) = (1 - 1/4)^n: 0.75, 0.5625, 0.4219
    assert burst_sizes(np.array([0.0, 0.24, 0.26, 0.43, 0.44, 0.57, 0.58]), 4.0).tolist() == [1, 1, 2, 2, 3, 3, 4]


def test_without_bursts_jobs_come_one_by_one():
    sizes, times = bursts(50_000, 1.0)
    assert sizes.tolist() == [1] * 50_000
    assert np.all(np.diff(times) >= 0)


def test_times_of_a_flat_rate_are_those_of_a_poisson_process():
    # given their number they are independent and even: gaps over their mean are exponential, with CV 1
    _, times = bursts(200_000, 1.0)
    gaps = np.diff(times)
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.01)
    assert np.mean(gaps > gaps.mean()) == pytest.approx(np.exp(-1), abs=0.005)
    assert times[[50_000, 100_000, 150_000]] / (7 * DAY) == pytest.approx([0.25, 0.5, 0.75], abs=0.005)


def test_users_of_a_burst_are_one_user_at_one_instant():
    workload = synthesise(SynthesisSpec(days=2), gpus=4_000, seed=0)
    rows = [row for row in workload.table.to_pylist() if row["job_id"].startswith("training-evaluation")]
    instants: dict[float, set[str]] = {}
    for row in rows:
        instants.setdefault(row["submit_time"], set()).add(row["user"])
    assert len(rows) / len(instants) > 25
    assert all(len(users) == 1 for users in instants.values())


def test_users_follow_zipf_with_the_given_exponent():
    tenants = (Tenant(name="a", users=100, weights={"training": 1.0}),)
    _, user = owners(tenants, "training", Skew(1.1), np.zeros(100_000), Stream(0, "user").uniform(100_000))
    counts = np.bincount(user, minlength=101)[1:]
    rank = np.arange(1, 101)
    # maximum likelihood: the exponent whose mean of log(rank) is the observed one
    observed = (counts * np.log(rank)).sum() / counts.sum()
    grid = np.arange(0.8, 1.4, 0.001)
    means = [(rank**-s * np.log(rank)).sum() / (rank**-s).sum() for s in grid]
    assert grid[np.argmin(np.abs(np.array(means) - observed))] == pytest.approx(1.1, abs=0.02)


def test_an_exponent_of_zero_makes_users_equal():
    assert Skew(0.0).weights(4) == pytest.approx([0.25] * 4)


def test_tenants_get_their_weight_of_a_class():
    tenants = (
        Tenant(name="a", weights={"training": 3.0}),
        Tenant(name="b", weights={"battery": 1.0}),
        Tenant(name="c", weights={"training": 1.0}),
    )
    tenant, _ = owners(tenants, "training", Skew(1.0), np.array([0.0, 0.74, 0.76, 0.999999]), np.zeros(4))
    assert tenant.tolist() == [0, 0, 2, 2]
    with pytest.raises(ConfigError, match="no tenant has a weight in the class 'realtime'"):
        owners(tenants, "realtime", Skew(1.0), np.zeros(1), np.zeros(1))


def test_log_normal_users_have_the_shares_of_the_log_normal_law():
    # Helios: top 5 % of users hold 46 to 62 % of the GPU time; a log-normal law gives the top p the share
    # Phi(sigma - Phi^-1(1 - p)): Phi(1.8 - 1.645) = 0.562 for sigma 1.8 and p = 0.05
    weights = Skew(1.0, sigma=1.8).weights(10_000)
    assert np.all(np.diff(weights) < 0)
    assert weights[:500].sum() == pytest.approx(0.562, abs=0.005)


def test_tenants_may_be_counted_instead_of_named():
    spec = SynthesisSpec.from_mapping({"tenants": {"count": 3, "users": 7, "zipf_exponent": 1.0}})
    assert [tenant.name for tenant in spec.tenants] == ["t01", "t02", "t03"]
    assert [tenant.weights["battery"] for tenant in spec.tenants] == pytest.approx([6 / 11, 3 / 11, 2 / 11])
    assert spec.tenants == skewed_tenants(3, Skew(1.0), 7)
    assert SynthesisSpec.from_mapping(spec.to_mapping()) == spec


def test_a_free_day_is_like_a_sunday_and_has_no_working_hours():
    weekly = (2.0, 2.0, 2.0, 2.0, 2.0, 1.0, 0.5)
    calendar = Calendar(MONDAY, 2 * DAY, frozenset({MONDAY.date()}))
    clock = calendar.clock("cluster", Profile(FLAT_DAY, weekly))
    assert clock.cumulative[24] / clock.cumulative[48] == pytest.approx(0.5 / 2.5)
    clock = calendar.clock("cluster", Profile(FLAT_DAY, weekly), free=0.0)
    assert clock.cumulative[24] == 0.0
    assert calendar.clock("working-hours", FLAT).times(np.array([0.0])) == pytest.approx([DAY + 8 * HOUR])


def test_public_holidays_of_korea_are_kept():
    pytest.importorskip("holidays")
    # 1 January 2027 is a Friday; the week from 4 January has no holiday; Seollal 2027 is Sunday 7 February, and
    # Tuesday 9 February stands in for it
    spec = SynthesisSpec(
        start="2027-02-08T00:00:00+09:00", days=7, holidays="KR", holiday_factor=0.0, weekly=FLAT_WEEK, hourly=FLAT_DAY
    )
    made = synthesise(spec, gpus=2_000, seed=0)
    names, choices = made.labels("job_name")
    days = made.floats("submit_time")[names == choices.index("finetune")] // DAY
    assert set(days.tolist()) == {2.0, 3.0, 4.0, 5.0, 6.0}


def test_holidays_of_nowhere_are_refused():
    pytest.importorskip("holidays")
    with pytest.raises(ConfigError, match="in capitals"):
        SynthesisSpec(holidays="kr")
    with pytest.raises(
        ConfigError, match=r"unknown country of holidays .XX.;.* names such as .*list_supported_countries"
    ):
        SynthesisSpec(holidays="XX")
