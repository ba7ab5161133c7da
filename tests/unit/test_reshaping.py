"""What-if on a workload: each rule of docs/what-if.md on a handful of jobs."""

from __future__ import annotations

import re

import numpy as np
import pytest

from conftest import workload
from gpuyard.errors import ConfigError
from gpuyard.reshaping import TypeChange, map_gpu_types, merge, repeat, resample_users, resize, shift, thin
from gpuyard.traces.schema import ORIGIN
from gpuyard.workload import Workload

HOUR, DAY, WEEK = 3600.0, 86_400.0, 604_800.0


def ids(jobs: Workload) -> list[str]:
    return jobs.table["job_id"].to_pylist()


def column(jobs: Workload, name: str) -> list[object]:
    return jobs.table[name].to_pylist()


def from_origin(origin: str, *submits: float) -> Workload:
    jobs = workload(*((at, 1.0, 1) for at in submits))
    table = jobs.table.replace_schema_metadata({ORIGIN: origin.encode()})
    return Workload.from_table(table, name=origin or "undated")


# --- thin ---------------------------------------------------------------------------------------------------------


def test_a_job_that_stays_stays_at_every_larger_share_and_in_every_part_of_the_trace() -> None:
    jobs = workload(*((float(at), 1.0, 1) for at in range(400)))
    tenth, half = set(ids(thin(jobs, 0.1, seed=3))), set(ids(thin(jobs, 0.5, seed=3)))
    part = jobs.window(100.0, 200.0)
    assert tenth < half
    assert set(ids(thin(part, 0.5, seed=3))) == half & set(ids(part))


def test_thinning_keeps_the_share_it_is_told_and_other_seeds_keep_other_jobs() -> None:
    jobs = workload(*((float(at), 1.0, 1) for at in range(10_000)))
    first, second = (set(ids(thin(jobs, 0.3, seed=seed))) for seed in (1, 2))
    deviation = (10_000 * 0.3 * 0.7) ** 0.5
    assert abs(len(first) - 3000) < 4 * deviation
    assert abs(len(first & second) - 900) < 4 * (10_000 * 0.09 * 0.91) ** 0.5  # independent: 0.3 x 0.3 of all


def test_a_dependency_on_a_job_that_is_thinned_out_is_dropped() -> None:
    jobs = workload(*((float(at), 1.0, 1, {"depends_on": [str(at - 1)]} if at else {}) for at in range(50)))
    left = thin(jobs, 0.5, seed=0)
    stays = set(ids(left))
    assert column(left, "depends_on") == [
        [str(int(name) - 1)] if str(int(name) - 1) in stays else None for name in ids(left)
    ]


def test_a_share_in_per_cent_is_asked_about() -> None:
    with pytest.raises(ConfigError, match=r"at most 1, got 50; did you mean 0\.5"):
        thin(workload((0, 1, 1)), 50)


# --- users --------------------------------------------------------------------------------------------------------


def test_a_user_drawn_twice_comes_twice_with_the_whole_series() -> None:
    jobs = workload((0, 5, 1, {"user": "ann"}), (1, 6, 2, {"user": "ann", "depends_on": ["0"], "array": "a"}))
    twice = resample_users(jobs, users=2)
    assert ids(twice) == ["0", "0~2", "1", "1~2"]
    assert column(twice, "user") == ["ann", "ann~2", "ann", "ann~2"]
    assert column(twice, "depends_on") == [None, None, ["0"], ["0~2"]]
    assert column(twice, "array") == [None, None, "a", "a~2"]
    assert column(twice, "submit_time") == [0.0, 0.0, 1.0, 1.0]


def test_every_user_who_was_drawn_keeps_all_jobs_and_every_other_loses_all() -> None:
    rows = [(float(at), 1.0, 1, {"user": f"u{at % 7}"}) for at in range(70)]
    drawn = resample_users(workload(*rows), seed=6)
    names, counts = np.unique(column(drawn, "user"), return_counts=True)
    assert set(counts.tolist()) == {10}
    assert len(names) == 7  # as many series as there are users
    assert len({name.partition("~")[0] for name in names}) < 7


def test_a_dependency_on_a_user_who_was_not_drawn_is_dropped_and_counted() -> None:
    jobs = workload((0, 1, 1, {"user": "ann"}), (1, 1, 1, {"user": "bob", "depends_on": ["0"]}))
    seed = next(seed for seed in range(50) if ids(resample_users(jobs, users=1, seed=seed)) == ["1"])
    alone = resample_users(jobs, users=1, seed=seed)
    assert column(alone, "depends_on") == [None]
    assert alone.notes[-1].endswith("dependencies on jobs left out dropped from 1 of them")


def test_a_second_copy_depends_on_the_first_copy_of_another_users_job() -> None:
    jobs = workload((0, 1, 1, {"user": "ann"}), (1, 1, 1, {"user": "bob", "depends_on": ["0"]}))
    seed = next(seed for seed in range(50) if ids(resample_users(jobs, users=3, seed=seed)) == ["0", "1", "1~2"])
    assert column(resample_users(jobs, users=3, seed=seed), "depends_on") == [None, ["0"], ["0"]]


def test_jobs_without_a_user_stay_and_without_any_user_nothing_can_be_drawn() -> None:
    jobs = workload((0, 1, 1), (1, 1, 1, {"user": "ann"}))
    assert ids(resample_users(jobs, users=2)) == ["0", "1", "1~2"]
    with pytest.raises(ConfigError, match="no job has a user"):
        resample_users(workload((0, 1, 1)))


# --- times --------------------------------------------------------------------------------------------------------


def test_a_shift_moves_every_instant_of_a_job_and_no_length() -> None:
    times = {"not_before": 20.0, "deadline": 90.0, "start_time": 30.0, "end_time": 35.5, "time_limit": 60.0}
    later = shift(workload((10, 5, 1, times)), 0.000001)
    names = ("submit_time", "not_before", "deadline", "start_time", "end_time", "time_limit", "runtime")
    assert [column(later, name)[0] for name in names] == [10.000001, 20.000001, 90.000001, 30.000001, 35.500001, 60, 5]
    assert column(shift(later, -10.000001), "submit_time") == [0.0]


def test_repeats_are_other_jobs_with_dependencies_and_arrays_of_their_own() -> None:
    jobs = workload((0, 5, 1, {"array": "a", "user": "u"}), (7, 5, 1, {"depends_on": ["0"], "start_time": 9.0}))
    thrice = repeat(jobs, 3, every=100)
    assert ids(thrice) == ["0", "1", "0~2", "1~2", "0~3", "1~3"]
    assert column(thrice, "submit_time") == [0, 7, 100, 107, 200, 207]
    assert column(thrice, "depends_on") == [None, ["0"], None, ["0~2"], None, ["0~3"]]
    assert column(thrice, "array") == ["a", None, "a~2", None, "a~3", None]
    assert column(thrice, "start_time") == [None, 9, None, 109, None, 209]
    assert column(thrice, "user") == ["u", None, "u", None, "u", None]


@pytest.mark.parametrize(
    ("last", "period"), [(0.0, DAY), (HOUR, DAY), (DAY, DAY), (DAY + 1, 2 * DAY), (WEEK, WEEK), (WEEK + 1, 2 * WEEK)]
)
def test_left_alone_a_repeat_keeps_the_hour_and_in_long_traces_the_weekday(last: float, period: float) -> None:
    jobs = workload((50.0, 1, 1), (50.0 + last, 1, 1))
    assert sorted(column(repeat(jobs, 2), "submit_time")) == sorted([50, 50 + last, 50 + period, 50 + last + period])


def test_a_repeat_of_a_repeat_finds_names_that_are_free() -> None:
    four = repeat(repeat(workload((0, 1, 1)), 2, every=10), 2, every=20)
    assert ids(four) == ["0", "0~2", "0~~2", "0~2~~2"]


def test_merged_jobs_of_the_same_name_are_named_anew_with_all_of_their_workload() -> None:
    first = workload((0, 1, 1), (5, 1, 1))
    second = workload((3, 1, 1), (4, 1, 1, {"depends_on": ["0"], "job_id": "x", "array": "a"}))
    both = merge(first, second)
    assert ids(both) == ["0", "0~2", "x~2", "1"]
    assert column(both, "depends_on") == [None, None, ["0~2"], None]
    assert column(both, "array") == [None, None, "a~2", None]


def test_merged_jobs_of_other_names_keep_them_unless_their_arrays_would_be_one() -> None:
    def one(name: str, array: str, user: str) -> Workload:
        return workload((0, 1, 1, {"job_id": name, "array": array, "user": user}))

    assert ids(merge(one("a", "sweep", "u"), one("b", "sweep", "v"))) == ["a", "b"]
    assert ids(merge(one("a", "sweep", "u"), one("b", "sweep", "u"))) == ["a", "b~2"]


def test_workloads_meet_at_second_0_or_on_the_calendar() -> None:
    first, second = from_origin("2026-03-02T09:00:00+09:00", 0.0), from_origin("2026-03-02T01:00:00+00:00", 0.0)
    assert column(merge(first, second), "submit_time") == [0.0, 0.0]
    assert column(merge(first, second, align="calendar"), "submit_time") == [0.0, HOUR]


def test_a_calendar_needs_dates_that_can_be_compared() -> None:
    zoned, naive, undated = (from_origin(origin, 0.0) for origin in ("2026-03-02T09:00:00+09:00", "2026-03-02", ""))
    with pytest.raises(ConfigError, match="only one has a time zone"):
        merge(zoned, naive, align="calendar")
    with pytest.raises(ConfigError, match="'undated' states no date"):
        merge(zoned, undated, align="calendar")
    with pytest.raises(ConfigError, match="seconds or calendar, got 'date'"):
        merge(zoned, naive, align="date")


# --- sizes --------------------------------------------------------------------------------------------------------


def test_a_factor_goes_to_the_nearest_whole_number_and_never_below_one_gpu() -> None:
    jobs = workload(*((0, 1, gpus) for gpus in (0, 1, 2, 3, 8)))
    assert column(resize(jobs, 0.5), "gpus") == [0, 1, 1, 2, 4]
    assert column(resize(jobs, 1.5), "gpus") == [0, 2, 3, 5, 12]


def test_a_share_of_a_gpu_stays_one_below_a_whole_gpu() -> None:
    jobs = workload((0, 1, 1, {"gpu_milli": 500}), (0, 1, 1, {"gpu_milli": 1}))
    assert [column(resize(jobs, 1.5), name) for name in ("gpus", "gpu_milli")] == [[1, 1], [750, 2]]
    assert [column(resize(jobs, 5), name) for name in ("gpus", "gpu_milli")] == [[3, 1], [None, 5]]


def test_what_else_a_job_asks_for_changes_in_the_ratio_of_its_gpus() -> None:
    asks = {"cpus": 12.0, "memory_gib": 90.0, "nodes": 3, "segment": 3}
    larger, smaller = (resize(workload((0, 60, 24, asks)), factor) for factor in (2, 0.5))
    names = ("gpus", "cpus", "memory_gib", "nodes", "segment")
    assert [column(larger, name)[0] for name in names] == [48, 24, 180, 6, None]
    assert [column(smaller, name)[0] for name in names] == [12, 6, 45, None, None]


def test_with_its_gpu_time_kept_a_job_of_twice_the_gpus_takes_half_the_time() -> None:
    record = {"time_limit": 100.0, "start_time": 5.0, "end_time": 65.0}
    jobs = workload((0, 60, 8, record), (0, 60, 4, record))
    same, work = resize(jobs, {8: 16}), resize(jobs, {8: 16}, keep="work")
    assert [column(same, name) for name in ("gpus", "runtime", "time_limit")] == [[16, 4], [60, 60], [100, 100]]
    assert [column(work, name) for name in ("gpus", "runtime", "time_limit")] == [[16, 4], [30, 60], [50, 100]]
    assert column(work, "start_time") == [None, 5.0]
    assert column(same, "end_time") == [None, 65.0]


def test_a_size_that_no_job_has_is_refused_with_those_near_it() -> None:
    with pytest.raises(ConfigError, match="no job asks for 16 whole GPUs; sizes near it are 8, 1"):
        resize(workload((0, 1, 1), (0, 1, 8)), {16: 32})


# --- GPU types ----------------------------------------------------------------------------------------------------


def test_run_times_and_limits_follow_the_type_a_job_asks_for() -> None:
    more = {"time_limit": 100.0, "start_time": 1.0}
    jobs = workload((0, 60, 1, {"gpu_type": "V100", **more}), (0, 60, 1, {"gpu_type": "T4", **more}), (0, 60, 1, more))
    faster = map_gpu_types(jobs, {"V100": TypeChange(runtime=0.3, to="H100"), "any": 0.5})
    assert column(faster, "gpu_type") == ["H100", "T4", None]
    assert column(faster, "runtime") == [18, 60, 30]
    assert column(faster, "time_limit") == [30, 100, 50]
    assert column(faster, "start_time") == [None, 1.0, None]


def test_a_job_of_several_types_needs_one_factor() -> None:
    jobs = workload((0, 60, 1, {"gpu_type": "V100M16|V100M32"}))
    one = map_gpu_types(jobs, {name: TypeChange(runtime=0.5, to="H100") for name in ("V100M16", "V100M32")})
    assert (column(one, "gpu_type"), column(one, "runtime")) == (["H100"], [30.0])
    with pytest.raises(ConfigError, match=re.escape("(V100M16 x 0.5, V100M32 x 1)")):
        map_gpu_types(jobs, {"V100M16": 0.5})


def test_a_type_that_no_job_asks_for_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'V10O'; did you mean 'V100'"):
        map_gpu_types(workload((0, 60, 1, {"gpu_type": "V100"})), {"V10O": 0.5})
