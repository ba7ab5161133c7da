"""Nodes that are commissioned during a run: closed before, not up before, without a draw before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import gpuyard as gy
from gpuyard import simulation
from gpuyard.errors import ConfigError
from gpuyard.loops import loop_of
from gpuyard.scenario import Scenario, load
from gpuyard.traces.schema import ORIGIN, ZONE

HOUR = 3600.0
LATER = gy.NodeWindow.commissioned(("1",), 2 * HOUR)


def site(nodes: int = 2) -> gy.Cluster:
    return gy.Cluster.uniform(nodes=nodes, gpus_per_node=8, hardware="hgx-h100")


def jobs(*rows: tuple[float, int, float]) -> gy.Workload:
    submit, gpus, runtime = zip(*rows, strict=True)
    ids = [f"j{number}" for number in range(len(rows))]
    return gy.Workload.from_table(
        pa.table({"job_id": ids, "submit_time": pa.array(submit, pa.float64()), "gpus": pa.array(gpus, pa.int32()),
                  "runtime": pa.array(runtime, pa.float64())})
    )  # fmt: skip


def starts(result: gy.Result) -> list[float]:
    return result.jobs["start_time"].to_pylist()


def test_a_job_waits_for_nodes_until_they_are_commissioned_and_those_that_run_are_undisturbed() -> None:
    result = gy.simulate(jobs((0, 8, 3 * HOUR), (0, 8, HOUR), (0, 16, HOUR)), site(), windows=[LATER])
    assert starts(result) == [0, 2 * HOUR, 3 * HOUR]
    assert result.jobs["end_time"][0].as_py() == 3 * HOUR


@pytest.mark.parametrize("backfill", ["none", "fit", "easy"])
def test_where_nothing_is_planned_the_schedule_is_that_of_a_maintenance_which_has_always_been(backfill: str) -> None:
    workload = gy.synthesise(gy.SynthesisSpec(days=0.2, load=1.2), gpus=32, seed=3)
    closed = gy.NodeWindow(nodes=("2-3",), start=-1e9, end=2 * HOUR)
    later = gy.NodeWindow.commissioned(("2-3",), 2 * HOUR)
    digests = [
        gy.simulate(workload, site(4), backfill=backfill, windows=[each]).summary()["engine"]["digest"]
        for each in (closed, later)
    ]
    assert digests[0] == digests[1]


@pytest.mark.parametrize("backfill", ["conservative", "slurm"])
def test_a_plan_counts_on_nodes_from_their_date_on(backfill: str) -> None:
    """With a plan that had all 16 GPUs from the beginning, the job of 16 would be promised a start at 1 h."""
    workload = jobs((0, 8, HOUR), (0, 16, HOUR), (60, 8, HOUR + 60), (60, 8, HOUR - 60))
    result = gy.simulate(workload, site(), backfill=backfill, windows=[LATER], decisions=True)
    assert starts(result) == [0, 2 * HOUR, 3 * HOUR, HOUR]
    assert result.decisions is not None
    assert {each["begin_time"] for each in result.decisions.to_pylist() if each["job_id"] == "j1"} == {2 * HOUR}


@pytest.mark.parametrize("placement", ["packed", "fgd"])
def test_jobs_without_gpus_wait_for_the_cpus_of_nodes_that_come(placement: str) -> None:
    cpus = int(gy.Cluster.uniform(nodes=1, gpus_per_node=8, hardware="hgx-h100").node_cpus[0])
    rows = [{"job_id": name, "submit_time": 0.0, "gpus": 0, "cpus": float(cpus), "runtime": HOUR} for name in "abc"]
    rows.append({"job_id": "d", "submit_time": 3 * HOUR, "gpus": 16, "cpus": 2.0 * cpus, "runtime": HOUR})
    result = gy.simulate(
        gy.Workload.from_table(pa.Table.from_pylist(rows)), site(), placement=placement, windows=[LATER]
    )
    assert starts(result) == [0, HOUR, 2 * HOUR, 3 * HOUR]


def test_a_share_of_a_gpu_waits_for_nodes_that_come() -> None:
    rows = [
        {"job_id": name, "submit_time": 0.0, "gpus": 1, "gpu_milli": 500, "runtime": 3 * HOUR}
        for name in map(str, range(17))
    ]
    result = gy.simulate(gy.Workload.from_table(pa.Table.from_pylist(rows)), site(), windows=[LATER])
    assert starts(result) == [0] * 16 + [2 * HOUR]


@pytest.mark.parametrize("reservation", ["nodes", "counts"])
def test_the_head_is_promised_the_date_on_which_its_nodes_come(reservation: str) -> None:
    """The last job fits before that date, the one before it does not."""
    workload = jobs((0, 16, HOUR), (60, 8, 2 * HOUR), (60, 8, HOUR))
    result = gy.simulate(workload, site(), backfill="easy", reservation=reservation, windows=[LATER])
    assert starts(result) == [2 * HOUR, 3 * HOUR, 60]


def test_an_explanation_does_not_count_gpus_as_free_that_are_not_there() -> None:
    workload = jobs((0, 8, HOUR), (0, 16, HOUR))
    result = gy.simulate(workload, site(), backfill="easy", windows=[LATER], decisions=True)
    told = str(gy.explain(result, "j1", workload=workload, cluster=site())).splitlines()
    assert told[4] == (
        "  from 0 s for 2h (7,200 s): too few GPUs: 0 to 8 free of the 16 it needs. It was first in the queue and "
        "promised to start at 2h (7,200 s)."
    )
    assert "It ran on 2 nodes with 8 GPUs each" in "".join(told)


def test_nodes_that_come_after_everything_has_ended_do_not_prolong_the_run() -> None:
    late = gy.NodeWindow.commissioned(("1",), 1e9)
    result = gy.simulate(jobs((0, 8, HOUR), (HOUR, 8, HOUR)), site(), windows=[late])
    assert result.summary()["last_end_s"] == 2 * HOUR
    assert pc.sum(result.timeline["duration_s"]).as_py() == 2 * HOUR


def test_nodes_that_come_later_are_no_windows_to_an_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under windows every waiting job is tried in every pass: a full-size build-out would take hours."""
    asked: list[bool] = []

    def noted(policy: gy.Policy, *, windowed: bool = False, **more: bool) -> Callable[..., None]:
        asked.append(windowed)
        return loop_of(policy, windowed=windowed, **more)

    monkeypatch.setattr(simulation, "loop_of", noted)
    gy.simulate(jobs((0, 8, HOUR)), site(), backfill="easy", windows=[LATER])
    gy.simulate(jobs((0, 8, HOUR)), site(), windows=[LATER, gy.NodeWindow(nodes=("0",), start=1e5, end=2e5)])
    assert asked == [False, True]


def test_shares_are_of_the_gpus_that_are_up() -> None:
    result = gy.simulate(jobs((0, 8, 4 * HOUR), (0, 8, 2 * HOUR)), site(), windows=[LATER])
    numbers = result.summary()
    assert numbers["gpu"]["allocation_rate"] == 1.0
    assert numbers["gpu"]["count"] == 16
    assert numbers["maintenance"] is None
    assert pc.sum(pc.multiply(result.timeline["gpus_up"], result.timeline["duration_s"])).as_py() == 48 * HOUR
    assert result.timeline["gpus_up"][0].as_py() == 8.0
    assert pc.max(result.timeline["gpus_closed"]).as_py() == 0.0


def test_a_node_draws_nothing_before_it_is_there() -> None:
    kind = gy.Cluster.uniform(nodes=1, gpus_per_node=8, hardware="hgx-h100").kinds[0]
    one = jobs((0, 8, 4 * HOUR))
    energy = gy.simulate(one, site(), windows=[LATER]).summary()["energy"]
    alone = gy.simulate(one, site(1)).summary()["energy"]
    assert energy["it_kwh"] == pytest.approx(alone["it_kwh"] + kind.idle_w * 2 / 1000)
    assert energy["idle_kwh"] == pytest.approx(kind.idle_w * 2 / 1000)
    parts = ("jobs_kwh", "held_idle_kwh", "idle_kwh", "switches_kwh", "other_kwh", "overhead_kwh")
    assert sum(energy[name] for name in parts) == pytest.approx(energy["facility_kwh"])
    assert energy["it_peak_mw"] == pytest.approx(alone["it_peak_mw"] + kind.idle_w / 1e6)


def test_switches_and_storage_of_a_block_come_with_its_nodes() -> None:
    block = {"hardware": "hgx-h100", "nodes": 2, "fabric": {"kind": "leaf-spine", "hosts_per_leaf": 2}}
    tables = [
        {"name": "a", **block, "switch_w": 1000, "other_it_w_per_gpu": 100},
        {"name": "b", **block, "switch_w": 3000, "other_it_w_per_gpu": 200},
    ]
    whole = gy.Cluster.from_mapping({"blocks": tables}, name="site")
    first = gy.Cluster.from_mapping({"blocks": tables[:1]}, name="site")
    later = gy.NodeWindow.commissioned(("2-3",), 1e9)
    some = jobs((0, 8, HOUR), (HOUR, 16, HOUR))
    staged = gy.simulate(some, whole, windows=[later]).summary()["energy"]
    alone = gy.simulate(some, first).summary()["energy"]
    for name in ("it_kwh", "idle_kwh", "switches_kwh", "other_kwh", "it_peak_mw"):
        assert staged[name] == pytest.approx(alone[name])


def test_a_scenario_commissions_nodes() -> None:
    asked = load("phase-1").apply_sets(
        [
            "cluster.nodes=4",
            "cluster.gpus_per_node=8",
            "workload.days=0.1",
            "commission=[{nodes='2-3', start='1h', phase='p2'}]",
        ]
    )
    result = run_it(asked)
    assert result.scenario["commission"] == [{"nodes": "2-3", "start": "1h", "phase": "p2"}]
    assert list(result.summary()["phases"]) == ["before p2", "p2"]
    assert result.timeline["gpus_up"][0].as_py() == 16.0


def asked_with(start: str) -> Scenario:
    return load("phase-1").apply_sets(
        ["cluster.nodes=4", "cluster.gpus_per_node=8", "workload.days=0.2", "workload.start=2027-12-31T22:00:00+09:00",
         f"commission=[{{nodes='2-3', start={start}}}]"]
    )  # fmt: skip


@pytest.mark.parametrize("start", ["2028-01-01", "2028-01-01T00:00:00", "'2027-12-31T15:00:00+00:00'", "'2h'"])
def test_nodes_come_at_a_date_of_the_calendar(start: str) -> None:
    result = run_it(asked_with(start))
    numbers = result.summary()
    assert numbers["stages"]["2"]["start_s"] == 2 * HOUR
    assert numbers["stages"]["2"]["gpu"] == numbers["years"]["2028"]["gpu"]
    assert gy.explain(result, result.jobs["job_id"][0].as_py())


def test_a_date_is_refused_where_the_calendar_is_not_known_and_where_it_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("job_id,submit_time,runtime,gpus\na,0,5,1\n")
    over = {"workload": {"trace": str(tmp_path / "a.csv")}, "commission": [{"nodes": "1", "start": "2028-01-01"}]}
    with pytest.raises(ConfigError, match=r"workload of which the calendar is known \(got '2028-01-01'\); give start"):
        run_it(load("phase-1").over(over, "test"))


@pytest.mark.parametrize(
    ("start", "problem"),
    [
        ("'2028-13-01'", r"start: there is no such date, month must be in 1..12; write a date .*\(got '2028-13-01'\)"),
        ("'2027-02-29'", r"there is no such date, day is out of range.*2028-03-01.*\(got '2027-02-29'\)"),
        ("'1 March'", r"start: a time cannot be read from '1 March'.*or a date or timestamp such as 2028-03-01"),
        ("12:30:00", r"start: a time is .* or a date .*\(got 12:30:00\)"),
        ("0001-01-01", r"start = '0001-01-01' is on the edge of the calendar; write a year"),
        ("2028-01-01, phase='a'}, {nodes='0', start='2028-01-01', phase='b'", "begin at one instant, 2028-01-01; give"),
        ("2028-01-01T09:00:00}, {nodes='0-1', start=2028-02-01", "first come at 2028-01-01T09:00:00; commission some"),
    ],
)
def test_what_is_wrong_with_a_date_shows_it_as_it_was_given(start: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        run_it(asked_with(start))


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("run.begin=2027-02-01", r"begin: a time is .*, and no date \(got 2027-02-01\)"),
        ("workload.window=[2027-02-01, 2027-02-02T01:00:00]", r"window: .*\(got \[2027-02-01, 2027-02-02T01:00:00\]\)"),
        ("workload.start=5", r"start: an instant of the calendar is like .* \(got 5\)"),
        ("workload.start=2027-02-01", r"start must be like .* got '2027-02-01'"),
    ],
)
def test_a_date_where_none_can_be_is_shown_as_it_was_given(setting: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load("phase-1").apply_sets([setting]).resolve()


@pytest.mark.parametrize("start", ["2027-03-28T03:00:00", "2027-03-28T01:00:00Z"])
def test_nodes_come_at_a_date_of_a_trace_by_the_clock_of_its_zone(tmp_path: Path, start: str) -> None:
    """From midnight to 3 o'clock is 2 hours in the night in which Berlin's clocks go forward."""
    facts = {ORIGIN: b"2027-03-27T23:00:00+00:00", ZONE: b"Europe/Berlin"}
    table = jobs((0, 8, 3 * HOUR), (0, 8, 3 * HOUR)).table.replace_schema_metadata(facts)
    pq.write_table(table, tmp_path / "a.parquet")
    over = {
        "workload": {"trace": str(tmp_path / "a.parquet")},
        "cluster": {"nodes": 2, "gpus_per_node": 8},
        "commission": [{"nodes": "1", "start": start}],
    }
    result = run_it(load("phase-1").over(over, "test"))
    assert result.jobs["start_time"].to_pylist() == [0.0, 2 * HOUR]
    assert gy.explain(result, "j1")


@pytest.mark.parametrize("start", ["2027-06-30T09:00:00+09:00", '"2027-06-30T09:00:00+09:00"'])
def test_a_workload_starts_at_a_timestamp_of_toml_or_at_a_text(start: str) -> None:
    asked = load("phase-1").apply_sets(["cluster.nodes=2", "cluster.gpus_per_node=8", "workload.days=0.1",
                                        f"workload.start={start}"])  # fmt: skip
    assert asked.read_workload()[0].table.schema.metadata[ORIGIN] == b"2027-06-30T09:00:00+09:00"


def run_it(scenario: Scenario) -> gy.Result:
    from gpuyard.scenario import run

    return run(scenario)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"policy": gy.Policy(replay="recorded")}, "replay recorded"),
        ({"windows": [gy.NodeWindow.commissioned(("7",), 5.0)]}, "has 2 nodes"),
    ],
)
def test_what_does_not_go_with_later_nodes_is_refused(options: dict[str, Sequence[object]], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        gy.simulate(jobs((0, 8, HOUR)), site(), **{"windows": [LATER], **options})
