"""The report is one file that fetches nothing, shows what the result holds, and believes no text out of a trace."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa

from conftest import cluster, workload
from gpuyard import simulate
from gpuyard.policy import Policy
from gpuyard.report import write_comparison, write_report
from gpuyard.report.background import assumptions, figures_grid, scenario_grids
from gpuyard.report.html import report_html
from gpuyard.report.sections import group_grids, lead, notices, tiles
from gpuyard.report.versus import comparison_html
from gpuyard.result import Result
from report_results import plausible_result

SCRIPT = "<script>alert(1)</script>"


def test_charts_over_time_shade_what_is_not_measured():
    result = plausible_result()
    window = {"start_s": 5 * 86_400.0, "end_s": 25 * 86_400.0, "warmup_s": 86_400.0}
    measured = replace(result, numbers=dict(result.numbers) | {"window": window})
    for page, charts in ((report_html(measured), 4), (comparison_html(measured, measured), 5)):
        assert page.count('<span class="name">not measured</span>') == charts
        assert page.count('class="veil" x="0.0" y="0" width="200') == charts
    assert '<rect class="veil"' not in report_html(result)


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


def test_assumptions_stand_under_their_name_on_the_page():
    page = report_html(plausible_result())
    assert page.count('<span class="badge">assumption</span>') == len(assumptions(plausible_result())) == 4


def test_what_the_scenario_assumes_is_listed_with_its_place():
    assert assumptions(plausible_result()) == [
        "cluster.source: assumption: 8 GPUs a node",
        "energy.price: an assumption, not a measurement",
        "run: GPU activity by class is an assumption, not a measurement",
        "energy.pue = 1.13: computed: annual mean of a direct-liquid-cooled design in the climate of Pohang; "
        "an assumption until measured",
    ]


def test_activity_that_nobody_recorded_is_an_assumption():
    result = plausible_result()
    gpu = {"activity_from": {"activity": 0.25, "class": 0.5, "default": 0.25}}
    said = assumptions(replace(result, numbers={"gpu": gpu}, scenario={}))
    assert [text.partition(",")[0] for text in said] == [
        "utilization and energy: 50.0 % of the held GPU time has the activity assumed for its class",
        "utilization and energy: 25.0 % of the held GPU time has the default activity",
    ]


def test_a_figure_that_the_user_set_is_not_credited_to_the_default_source():
    result = plausible_result()
    scenario = {"energy": {"pue": 1.4}}
    assert assumptions(replace(result, numbers={}, scenario=scenario)) == []
    (grid,) = scenario_grids(replace(result, scenario=scenario))
    assert grid.rows == (("pue", "1.4"),)
    (grid,) = scenario_grids(replace(result, scenario={"energy": {"carbon_kg_per_kwh": 0.4173}}))
    assert grid.rows[0][1].startswith("0.4173 (read: Korean grid")


def test_notes_of_reader_and_account_are_on_the_page():
    result = plausible_result()
    scenario = {"provenance": {"workload_notes": ["65 rows repeat an earlier row"], "workload_rejected_rows": 3}}
    numbers = {**result.numbers, "energy": {"notes": ["2 attempts draw nothing"]}}
    page = report_html(replace(result, numbers=numbers, scenario=scenario))
    assert "<li>65 rows repeat an earlier row</li>" in page
    assert "<li>2 attempts draw nothing</li>" in page
    assert "<li>3 rows of the workload are no jobs and were left out; &#39;gpuyard validate&#39; says why.</li>" in page


def test_settings_read_as_words_and_long_tables_take_one_row():
    loads = {f"class-{number}": number / 8 for number in range(8)}
    scenario = {"run": {"until": None, "spread": True, "window": [0, 10]}, "energy": {"class_load": loads}}
    run, energy = scenario_grids(replace(plausible_result(), scenario=scenario))
    assert run.rows == (("until", "not set"), ("spread", "yes"), ("window", "0, 10"))
    assert energy.rows[0][1].startswith("class-0 0, class-1 0.125, ")


def test_a_saturated_run_is_announced_before_any_number():
    result = plausible_result()
    numbers = {**result.numbers, "saturated": True, "notes": ["two rows had no run time"]}
    page = report_html(Result(jobs=result.jobs, attempts=result.attempts, timeline=result.timeline, numbers=numbers))
    assert page.index("The cluster was saturated") < page.index("Headline numbers")
    assert "two rows had no run time" in page


def test_recorded_and_simulated_waits_stand_side_by_side_only_where_recorded():
    assert 'id="recorded"' in report_html(plausible_result())
    assert 'id="recorded"' not in report_html(plausible_result(recorded=False))


def test_rejected_jobs_are_counted_by_reason():
    page = report_html(plausible_result())
    row = re.search(r"needs 64 GPUs on one node, the largest has 8</th>\s*<td class=\"number\">(\d+)</td>", page)
    assert row[1] == "20"


def test_a_trace_without_classes_and_tenants_has_no_tables_of_them():
    page = report_html(plausible_result(classes=("other",), tenants=("other",)))
    assert "<caption>By size of the job</caption>" in page
    assert "<caption>By class</caption>" not in page
    assert "<caption>By tenant</caption>" not in page
    assert "held: other" not in page


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


def test_tenants_that_move_in_after_the_end_are_named():
    result = plausible_result()
    tenants = {"pharma": {"start": "2027-01-01"}, "bio": {"start": "2028-03-01"}, "cloud": {"users": 3}}
    asked = {**result.scenario, "workload": {**result.scenario["workload"], "tenants": tenants}}
    (said,) = (text for text in notices(replace(result, scenario=asked)) if "move" in text)
    assert said == (
        "Less was offered than the load says: 1 tenant moves in only after the end of the workload (bio on 2028-03-01)."
    )
    assert not any("moves in" in text for text in notices(result))


def test_a_window_that_is_mostly_drain_is_said_so():
    result = plausible_result()
    last = max(result.jobs["submit_time"].to_pylist())
    numbers = {"window": {"start_s": 0.0, "end_s": last * 2}}
    (notice,) = (text for text in notices(replace(result, numbers=numbers)) if "runs empty" in text)
    assert "set a window (run.window)" in notice
    short = {"window": {"start_s": last - 10.0, "end_s": last + 10.0}}
    assert not any("runs empty" in text for text in notices(replace(result, numbers=short)))


def test_the_figures_behind_a_synthetic_workload_are_on_the_page(tmp_path):
    figures = [
        {"figure": "offered load", "value": "0.85", "standing": "assumption", "source": "no published figure"},
        {"figure": "run time", "value": "p50 707 s", "standing": "read", "source": "Acme <data>"},
    ]
    result = replace(plausible_result(), scenario={"provenance": {"workload_figures": figures}})
    assert assumptions(result)[0].startswith("workload: 1 of the 2 figures that shape the synthetic workload")
    assert figures_grid(result).rows[1] == ("run time", "p50 707 s", "read", "Acme <data>")
    page = report_html(result)
    assert "Acme &lt;data&gt;" in page
    assert figures_grid(plausible_result()) is None


def test_the_parts_of_a_list_are_settings_of_their_own():
    scenario = {
        "cluster": {
            "blocks": [{"name": "p1", "hardware": "hgx-h200", "sources": {"hardware": ["M", "an assumption: x"]}}]
        }
    }
    result = replace(plausible_result(), numbers={}, scenario=scenario)
    (grid,) = scenario_grids(result)
    assert ("blocks.p1.hardware", "hgx-h200 (assumption: x)") in grid.rows
    assert assumptions(result) == ["cluster.blocks.p1.hardware = hgx-h200: x"]


def test_the_sources_of_a_site_stand_beside_the_figures_of_other_sections():
    sources = {
        "energy.pue": ["C", "the climate"],
        "announced_mw": ["R", "a plan"],
        "policy": ["M", "an assumption: packed"],
    }
    scenario = {
        "site": {"announced_mw": 40, "sources": sources},
        "energy": {"pue": 1.2},
        "policy": {"order": "fifo"},
        "workload": {"tenants": {"a": {"users": 4, "training": 1.0}, "b": {"users": 2}}},
    }
    result = replace(plausible_result(), numbers={}, scenario=scenario)
    site, energy, policy, workload = scenario_grids(result)
    assert site.rows == (("announced_mw", "40 (read: a plan)"),)
    assert energy.rows == (("pue", "1.2 (computed: the climate)"),)
    assert (policy.rows, policy.note) == ((("order", "fifo"),), "assumption: packed")
    assert workload.rows == (("tenants", "a users 4, training 1, b users 2"),)
    assert assumptions(result) == ["policy: packed"]


def test_a_page_tells_preemptions_where_there_are_some():
    jobs = workload((0, 100, 4, {"tenant": "a"}), (20, 10, 4, {"tenant": "b"}))
    policy = Policy(backfill="fit", preemption={"rule": "srtf", "restart_cost": 10})
    preempted, waited = (simulate(jobs, cluster(4), policy=each) for each in (policy, "fifo"))
    said = "Running jobs made room for others 1 time; 91.7 % of the GPU time held was useful."
    assert [said in lead_text(each) for each in (preempted, waited)] == [True, False]
    below = [tile.below for each in (preempted, waited) for tile in tiles(each) if tile.measure.key == "wait_s.mean"]
    assert below == ["median 0 s, to the first start", "median 40 s"]
    (table,) = (grid for grid in group_grids(preempted) if grid.caption == "By tenant")
    told = [place for place, column in enumerate(table.columns) if column.label in ("Preemptions", "Lost")]
    assert [[row[0], *(row[place] for place in told)] for row in table.rows] == [
        ["a", "1", "0.0111 GPU-h"],
        ["b", "0", "0 GPU-h"],
    ]
    assert {"Preemptions", "Lost"}.isdisjoint(column.label for grid in group_grids(waited) for column in grid.columns)


def lead_text(result):
    return " ".join(lead(result)).replace("\N{NO-BREAK SPACE}", " ")
