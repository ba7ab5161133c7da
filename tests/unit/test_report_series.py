"""What is drawn is exact where it is drawn: order statistics, and means over whole bins."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from gpuyard.report.series import Timeline, classes, distribution, gpu_hours_of, read_timeline
from gpuyard.result import Result
from report_results import plausible_result


def result_with(*, jobs=None, timeline=None):
    empty = pa.table({})
    return Result(jobs=jobs or empty, attempts=empty, timeline=timeline or empty, numbers={})


def test_a_small_distribution_is_kept_whole():
    points = distribution(np.array([3.0, 0.0, np.nan, 0.0, 1.0]))
    assert points.value.tolist() == [0.0, 1.0, 3.0]
    assert points.share.tolist() == [0.5, 0.75, 1.0]
    assert (points.count, points.zeros, points.median) == (4, 0.5, 0.0)


def test_a_large_distribution_is_reduced_and_exact_at_every_point():
    values = np.random.default_rng(7).lognormal(5, 2, 100_000)
    points = distribution(values)
    assert points.value.size <= 500
    exact = [np.count_nonzero(values <= value) / values.size for value in points.value]
    assert points.share.tolist() == exact
    assert points.value[-1] == values.max()
    assert np.diff(np.append(0.0, points.share)).max() <= 0.0026


def test_nothing_finite_has_no_distribution():
    assert distribution(np.array([np.nan, np.inf])) is None


def test_bins_are_merged_by_their_length_and_unknown_ones_left_out():
    table = pa.table(
        {
            "time": [0.0, 10.0, 40.0, 50.0, 60.0],
            "duration_s": [10.0, 30.0, 10.0, 10.0, 5.0],
            "gpus_held": [4.0, 8.0, 6.0, None, None],
        }
    )
    timeline = read_timeline(result_with(timeline=table), steps=3)
    assert timeline.edges.tolist() == [0.0, 40.0, 60.0, 65.0]
    assert timeline.values["gpus_held"][:2].tolist() == [7.0, 6.0]  # (4 * 10 + 8 * 30) / 40; 6 alone
    assert np.isnan(timeline.values["gpus_held"][2])
    assert timeline.mean(timeline.values["gpus_held"]) == (7 * 40 + 6 * 20) / 60


def test_a_timeline_never_has_more_steps_than_asked_for():
    timeline = read_timeline(plausible_result(bins=1999), steps=480)
    assert timeline.edges.size - 1 <= 480
    assert (timeline.edges[0], timeline.edges[-1]) == (0.0, 30 * 86_400.0)


def test_classes_come_by_gpu_time_then_name_and_jobs_without_one_are_other():
    jobs = pa.table({"job_class": ["b", None, "a", "c"], "gpu_time": [7200.0, 3600.0, 7200.0, None]})
    assert classes(result_with(jobs=jobs)) == ("a", "b", "other", "c")
    assert gpu_hours_of(result_with(jobs=jobs), "job_class") == {"b": 2.0, "other": 1.0, "a": 2.0, "c": 0.0}


def test_a_mean_is_over_the_time_that_the_headline_numbers_are_measured_over():
    edges = np.array([0.0, 10.0, 20.0, 40.0])
    whole = Timeline(edges=edges, values={}, merged=1, origin="")
    measured = Timeline(edges=edges, values={}, merged=1, origin="", window=(5.0, 20.0))
    assert whole.mean(np.array([8.0, 4.0, 0.0])) == 3.0  # (80 + 40 + 0) / 40
    assert measured.mean(np.array([8.0, 4.0, 0.0])) == pytest.approx(16 / 3)  # (40 + 40) / 15
