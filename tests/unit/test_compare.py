"""Two runs against each other: numbers, jobs by name, and warnings where they ran different things."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from gpuyard.errors import ConfigError
from gpuyard.report import compare, compare_all, write_comparison
from gpuyard.result import Result
from report_results import plausible_result


def run(starts, *, numbers=None, scenario=None, submits=None, gpus=1):
    """Return a result of jobs a, b, ...: each with its start, or None."""
    names = list(starts)
    submit = submits or [0.0] * len(names)
    waits = [None if start is None else start - at for start, at in zip(starts.values(), submit, strict=True)]
    jobs = pa.table(
        {
            "job_id": pa.array(names, pa.string()),
            "submit_time": pa.array(submit, pa.float64()),
            "gpus": pa.array([gpus] * len(names), pa.int32()),
            "start_time": pa.array(list(starts.values()), pa.float64()),
            "wait_time": pa.array(waits, pa.float64()),
            "jct": pa.array([None if wait is None else wait + 10 for wait in waits], pa.float64()),
        }
    )
    empty = pa.table({})
    return Result(jobs=jobs, attempts=empty, timeline=empty, numbers=numbers or {}, scenario=scenario or {})


def test_jobs_are_paired_by_name_whatever_their_order():
    first = run({"a": 0.0, "b": 10.0, "c": 20.0, "d": None, "e": 5.0})
    second = run({"e": 5.0, "d": 7.0, "c": 50.0, "b": 4.0, "a": None})
    paired = compare(first, second).paired
    assert (paired.jobs, paired.earlier, paired.later, paired.same) == (5, 1, 1, 1)
    assert (paired.only_first, paired.only_second) == (1, 1)
    assert paired.wait_mean == (-6 + 30 + 0) / 3
    assert paired.wait_quantiles["p50"] == 0.0


def test_a_start_that_differs_by_less_than_a_microsecond_is_the_same():
    paired = compare(run({"a": 0.1 + 0.2}), run({"a": 0.3})).paired
    assert (paired.earlier, paired.later, paired.same) == (0, 0, 1)


def test_a_number_is_compared_absolutely_and_relatively():
    first = run({"a": 0.0}, numbers={"wait_s": {"mean": 200.0, "p50": 0.0}, "gpu": {"utilization": 0.5}})
    second = run({"a": 0.0}, numbers={"wait_s": {"mean": 150.0, "p50": 10.0}, "gpu": {"utilization": 0.45}})
    mean, median, busy = compare(first, second).differences
    assert (mean.absolute, mean.relative, mean.verdict) == (-50.0, -0.25, "better")
    assert (median.absolute, median.relative, median.verdict) == (10.0, None, "worse")
    assert busy.verdict == "worse"


def test_rounding_noise_is_no_difference():
    first = run({"a": 0.0}, numbers={"energy": {"it_kwh": 0.1 + 0.2, "pue": 1.2}})
    second = run({"a": 0.0}, numbers={"energy": {"it_kwh": 0.3, "pue": 1.2000001}})
    energy, pue = compare(first, second).differences
    assert (energy.absolute, energy.relative, energy.verdict) == (0.0, 0.0, "")
    assert pue.absolute == pytest.approx(1e-7)
    assert [row.label for row in compare(first, second).rows(every=True)] == ["PUE"]


def test_a_number_that_one_run_lacks_has_no_difference():
    first = run({"a": 0.0}, numbers={"energy": {"pue": 1.1}})
    (only,) = compare(first, run({"a": 0.0}, numbers={})).differences
    assert (only.first, only.second, only.absolute, only.verdict) == (1.1, None, None, "")


def test_equal_runs_of_one_scenario_differ_in_nothing_and_warn_of_nothing():
    comparison = compare(plausible_result(), plausible_result())
    assert comparison.warnings == ()
    assert comparison.settings == ()
    assert comparison.rows(every=True) == []
    assert comparison.paired.same == 1980


def test_the_settings_that_differ_are_named():
    comparison = compare(plausible_result(policy="fifo"), plausible_result(policy="easy"))
    assert comparison.settings == (("policy.name", "fifo", "easy"),)
    assert comparison.warnings == ()


def test_what_follows_from_settings_or_explains_them_is_none() -> None:
    def scenario(hardware: str) -> dict[str, object]:
        return {
            "cluster": {"blocks": [{"name": "p1", "hardware": hardware, "sources": {"hardware": ["M", hardware]}}]},
            "site": {"assumptions": [hardware], "sources": {"energy.pue": ["C", hardware]}},
            "provenance": {"workload_figures": [{"figure": "load", "value": hardware}]},
        }

    starts = {"a": 0.0}
    comparison = compare(run(starts, scenario=scenario("h100")), run(starts, scenario=scenario("b200")))
    assert comparison.settings == (("cluster.blocks.p1.hardware", "h100", "b200"),)


def test_a_small_relative_difference_keeps_its_digits() -> None:
    first, second = (run({"a": 0.0}, numbers={"energy": {"facility_kwh": kwh}}) for kwh in (1000.0, 1000.25))
    (row,) = compare(first, second).rows()
    assert row.relative == "+0.025 %"


def test_different_workloads_and_clusters_are_warned_of():
    first = run({"a": 0.0}, scenario={"workload": {"digest": "1"}}, numbers={"gpu": {"count": 8}})
    second = run({"b": 0.0}, scenario={"workload": {"digest": "2"}}, numbers={"gpu": {"count": 16}})
    comparison = compare(first, second)
    assert comparison.paired is None
    assert comparison.warnings == (
        "The runs simulated DIFFERENT WORKLOADS: their numbers stand side by side, but none is called better or worse, "
        "and single jobs are not compared.",
        "The runs had different clusters (8 and 16 GPUs): differences are not the policy's alone.",
    )


def test_runs_of_different_workloads_are_not_judged_and_their_jobs_not_paired(tmp_path):
    scenarios = ({"provenance": {"workload_sha256": digest}} for digest in "12")
    runs = [
        run({"a": 1.0}, numbers={"wait_s": {"mean": wait}}, scenario=each)
        for each, wait in zip(scenarios, (5, 9), strict=True)
    ]
    comparison = compare(*runs)
    assert (comparison.same_workload, comparison.identical, comparison.paired) == (False, False, None)
    assert [(row.change, row.verdict) for row in comparison.rows()] == [("+4 s", "")]
    assert comparison.to_dict()["numbers"]["wait_s.mean"]["verdict"] == ""
    page = write_comparison(*runs, tmp_path / "c.html").read_text(encoding="utf-8")
    assert "DIFFERENT WORKLOADS" in page
    assert "worse)" not in page
    assert "no job in common" not in page


@pytest.mark.parametrize(
    ("one", "other", "identical"),
    [
        ({"engine": {"digest": "x"}}, {"engine": {"digest": "x"}}, True),
        ({"engine": {"digest": "x"}}, {"engine": {"digest": "y"}}, False),
        ({}, {}, True),
    ],
)
def test_identical_schedules_are_said_to_be(one, other, identical):
    comparison = compare(run({"a": 1.0}, numbers=one), run({"a": 1.0}, numbers=other))
    assert comparison.identical is identical
    assert compare(run({"a": 1.0}), run({"a": 2.0})).identical is False


def test_nobody_waited_is_a_number_too():
    zero = {"wait_s": {"mean": 0.0, "p95": 0.0}, "preemptions": 0}
    labels = [row.label for row in compare(run({"a": 0.0}, numbers=zero), run({"a": 0.0}, numbers=zero)).rows()]
    assert labels == ["Mean wait", "95th percentile wait"]


def test_a_digest_says_more_about_a_workload_than_its_name():
    one = {"workload": {"name": "a.csv"}, "provenance": {"workload_sha256": "1"}}
    renamed = {"workload": {"name": "b.csv"}, "provenance": {"workload_sha256": "1"}}
    other = {"workload": {"name": "a.csv"}, "provenance": {"workload_sha256": "2"}}
    starts = {"a": 0.0}
    assert compare(run(starts, scenario=one), run(starts, scenario=renamed)).warnings == ()
    (warning,) = compare(run(starts, scenario=one), run(starts, scenario=other)).warnings
    assert "DIFFERENT WORKLOADS" in warning


def test_jobs_of_one_run_alone_are_counted():
    comparison = compare(run({"a": 0.0, "b": 1.0}), run({"a": 0.0}), names=("long", "short"))
    assert comparison.warnings == ("1 job is only in long; single jobs are compared over 1.",)


def test_jobs_of_the_same_name_that_ask_for_other_things_are_noticed():
    comparison = compare(run({"a": 5.0, "b": 6.0}, gpus=1), run({"a": 5.0, "b": 6.0}, gpus=2))
    assert comparison.warnings == ("2 jobs of the same name differ between the two runs in what is asked for.",)


def test_the_dict_is_plain_json():
    comparison = compare(plausible_result(), plausible_result(wait_factor=2.0), names=("one", "two"))
    again = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert again["names"] == ["one", "two"]
    assert again["numbers"]["wait_s.mean"]["verdict"] == "worse"
    assert again["paired"]["jobs"] == 2000


def test_rows_read_in_order_and_leave_out_what_is_zero_in_both():
    labels = [row.label for row in compare(plausible_result(), plausible_result()).rows()]
    assert labels[:3] == ["Jobs submitted", "Jobs completed", "Jobs rejected"]
    assert "Preemptions" not in labels


def test_many_runs_are_each_compared_with_the_first():
    runs = [run({"a": 3.0}), run({"a": 1.0}), run({"a": 5.0})]
    comparisons = compare_all(runs, ["x", "y", "z"])
    assert [each.names for each in comparisons] == [("x", "y"), ("x", "z")]
    assert [each.paired.wait_mean for each in comparisons] == [-2.0, 2.0]


def test_one_run_is_no_comparison():
    with pytest.raises(ConfigError, match="at least 2 results, got 1"):
        compare_all([run({"a": 1.0})], ["x"])
    with pytest.raises(ConfigError, match="2 results need as many names, got 1"):
        compare_all([run({"a": 1.0}), run({"a": 1.0})], ["x"])


def test_the_page_shows_both_runs_in_the_same_charts(tmp_path):
    first, second = plausible_result(), plausible_result(wait_factor=0.5)
    page = write_comparison(first, second, tmp_path / "c.html", names=("fifo", "easy")).read_text(encoding="utf-8")
    assert "fifo and easy compared" in page
    assert all(
        f'id="figure-{name}"' in page for name in ("gpus_held", "queued_jobs", "facility_power_w", "wait_time", "jct")
    )
