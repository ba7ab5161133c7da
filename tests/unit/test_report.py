"""The report is one file that fetches nothing, shows what the result holds, and believes no text out of a trace."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from gpuyard.report import write_comparison, write_report
from gpuyard.report.html import report_html
from gpuyard.report.versus import comparison_html
from gpuyard.result import Result
from report_results import plausible_result

SCRIPT = "<script>alert(1)</script>"


def test_the_same_result_gives_the_same_bytes(tmp_path):
    first = write_report(plausible_result(), tmp_path / "first.html")
    second = write_report(plausible_result(), tmp_path / "second.html")
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.html", "second.html"]


def test_a_page_refers_to_nothing_outside_itself():
    first, second = plausible_result(), plausible_result(wait_factor=2)
    for page in (report_html(first), comparison_html(first, second)):
        assert all(target.startswith("#") for target in re.findall(r'(?:src|href|action)="([^"]*)"', page))
        assert not re.search(r"@import|url\(|https?://", page)


def test_names_out_of_a_trace_are_text(tmp_path):
    evil = plausible_result(classes=(SCRIPT, "=cmd()", '"onmouseover="alert(2)'), tenants=(SCRIPT, "=cmd()"))
    page = report_html(evil)
    assert SCRIPT not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert '"onmouseover=' not in page
    other = write_comparison(evil, evil, tmp_path / "c.html", names=(SCRIPT, "b"), title=SCRIPT)
    assert SCRIPT not in other.read_text(encoding="utf-8")


def test_only_the_script_of_the_page_may_run():
    page = report_html(plausible_result())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}='", policy.replace("&#39;", "'").replace("&#43;", "+"))


def test_headlines_say_what_the_summary_says():
    page = report_html(plausible_result())
    for shown in (
        "2,000 jobs on 1,152 GPUs over 30d",
        "<strong>71.3</strong>",
        "<strong>1.145</strong>",
        "<strong>1.53</strong>",
    ):
        assert shown in page


def test_a_run_without_energy_says_so():
    page = report_html(plausible_result(energy=False))
    assert "No energy was computed for this run." in page
    assert "figure-power" not in page


def test_assumptions_of_the_scenario_are_called_assumptions():
    page = report_html(plausible_result())
    assert page.count('<span class="badge">assumption</span>') == 3
    assert "run.assumptions: GPU activity by class is an assumption" in page


def test_a_saturated_run_is_announced_before_any_number():
    result = plausible_result()
    numbers = {**result.numbers, "saturated": True, "notes": ["two rows had no run time"]}
    page = report_html(Result(jobs=result.jobs, attempts=result.attempts, timeline=result.timeline, numbers=numbers))
    assert page.index("The queue grew without bound") < page.index("Headline numbers")
    assert "two rows had no run time" in page


def test_recorded_and_simulated_waits_stand_side_by_side_only_where_recorded():
    assert 'id="recorded"' in report_html(plausible_result())
    assert 'id="recorded"' not in report_html(plausible_result(recorded=False))


def test_rejected_jobs_are_counted_by_reason():
    page = report_html(plausible_result())
    row = re.search(r"needs 64 GPUs on one node, the largest has 8</th>\s*<td class=\"number\">(\d+)</td>", page)
    assert row[1] == "20"


def test_many_tenants_are_cut_and_the_rest_is_counted():
    page = report_html(plausible_result(tenants=[f"tenant-{number}" for number in range(33)]))
    assert "13 more, with less GPU time, are in summary.json." in page


def test_many_classes_share_the_last_colour():
    page = report_html(plausible_result(classes=[f"class-{number}" for number in range(9)]))
    assert "held: 3 more classes" in page


def test_a_large_result_stays_small_on_the_page():
    page = report_html(plausible_result(jobs=200_000, bins=2000, classes=[f"class-{number}" for number in range(8)]))
    assert len(page.encode()) < 600_000


def test_a_result_without_jobs_or_timeline_still_makes_a_page():
    jobs = plausible_result().jobs.slice(0, 0)
    numbers = {"jobs": {"submitted": 0}, "wait_s": {"mean": None, "p50": None}, "by_class": {}}
    page = report_html(Result(jobs=jobs, attempts=pa.table({}), timeline=pa.table({}), numbers=numbers))
    assert "No job started." in page
    assert "This result has no timeline." in page


def test_a_class_without_a_finished_job_leaves_no_curve():
    result = plausible_result(jobs=50)
    waits = pa.array(np.full(50, np.nan), pa.float64(), mask=np.ones(50, bool))
    jobs = result.jobs.set_column(result.jobs.column_names.index("jct"), "jct", waits)
    page = report_html(Result(jobs=jobs, attempts=result.attempts, timeline=result.timeline, numbers=result.numbers))
    assert 'id="figure-wait"' in page
    assert 'id="figure-jct"' not in page


def test_a_title_replaces_the_scenarios_name(tmp_path):
    page = write_report(plausible_result(), tmp_path / "r.html", title="Phase 1 & beyond").read_text(encoding="utf-8")
    assert "<title>Phase 1 &amp; beyond</title>" in page
