"""Maintenance, reservations and a beginning in scenario files, on the command line and in a run's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

import gpuyard as gy
from conftest import cluster, workload
from gpuyard import explain
from gpuyard.errors import ConfigError, InputError
from gpuyard.scenario import Scenario, load, run

TRACE = "job_id,submit_time,start_time,runtime,gpus,user\na,0,0,20,4,ann\nb,1,,5,8,bob\nc,2,,3,4,ann\n"
FILE = """
[workload]
trace = "jobs.csv"
[cluster]
nodes = 4
gpus_per_node = 2
nodes_per_rack = 2
[[maintenance]]
nodes = "rack 1"
start = "1m"
end = 90
[[reservation]]
nodes = [0]
start = 200
end = 300
user = "ann"
"""


def written(folder: Path) -> Path:
    (folder / "jobs.csv").write_text(TRACE, encoding="utf-8")
    path = folder / "lab.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_a_file_says_when_which_nodes_are_closed_and_to_whom(tmp_path: Path) -> None:
    resolved = load(written(tmp_path)).resolve()
    drain, kept = resolved.windows
    assert (drain.nodes, drain.start, drain.end, drain.is_maintenance) == (("rack 1",), 60, 90, True)
    assert (kept.nodes, kept.users, kept.is_maintenance) == ((0,), ("ann",), False)


def test_dates_of_a_window_are_those_of_the_calendar_of_the_workload(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(
        'extends = "phase-1"\n[workload]\nstart = 2027-01-04T00:00:00+09:00\n[[maintenance]]\nnodes = "0-3"\n'
        'start = 2027-01-05\nend = "2027-01-05T08:00:00"\n[[reservation]]\nnodes = "4-7"\ntenant = "bio"\n'
        'start = "2d"\nend = 2027-01-08T00:00:00+00:00\n',
        encoding="utf-8",
    )
    drain, kept = load(path).resolve().windows
    assert (drain.start, drain.end) == (86_400, 86_400 + 8 * 3600)
    assert (kept.start, kept.end) == (2 * 86_400, 4 * 86_400 + 9 * 3600)


def test_a_saved_run_has_its_windows_and_beginning_and_runs_again(tmp_path: Path) -> None:
    scenario = load(written(tmp_path)).apply_sets(
        ["run.begin=3", 'maintenance=[{nodes="2-3", start=4, end=30}]', "reservation=[]"]
    )
    first = run(scenario)
    first.save(tmp_path / "out")
    again = run(load(tmp_path / "out"))
    assert first.jobs["start_time"].to_pylist() == [0, 30, 35]
    assert again.summary()["engine"]["digest"] == first.summary()["engine"]["digest"]
    assert again.summary()["maintenance"] == first.summary()["maintenance"]
    assert again.scenario["run"]["begin"] == 3


@pytest.mark.parametrize(
    ("assignment", "text"),
    [
        ('maintenance=[{nodes="9", start=1, end=2}]', r"\[maintenance\].*has 4 nodes"),
        ('maintenance=[{nodes="0", start=1, stop=2}]', r"has no key 'stop'"),
        ('maintenance=[{nodes="0", start=3, end=2}]', r"ends after it starts"),
        (
            'maintenance=[{nodes="0", start=1}]',
            r"end: field required; add end = ..., which is: when it ends, since the origin",
        ),
        ('maintenance=[{nodes="0", start="2028-01-01", end=2028-01-02}]', r"got '2028-01-01'.; give start = '90d'"),
        ('maintenance=[{nodes="0", start="-h", end=2}]', r"start: a time cannot be read from '-h'"),
        (
            'maintenance=[{nodes="0", start=-inf, end=2}]',
            r"start: a time must be finite, got '-inf'; write",
        ),
        ('maintenance=[{nodes="0", start=1, end="2027-02-29"}]', r"end: there is no such date, day is out of range"),
        ("workload.resample_users=0", r"resample_users: users are drawn .* or so many times, 1 or more .got 0."),
        ("workload.thin=0", r"thin: must be greater than 0 .got 0."),
        ("workload.scale=0", r"scale: must be greater than 0 .got 0."),
        ('reservation=[{nodes="0", start=1, end=2}]', r"a reservation is for a user, tenant or partition"),
        ("policy=easy", r"sets nothing"),
    ],
)
def test_what_cannot_be_meant_is_said(tmp_path: Path, assignment: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        load(written(tmp_path)).apply_sets([assignment]).resolve()


def test_a_reservation_for_nobody_who_submits_is_refused(tmp_path: Path) -> None:
    scenario = load(written(tmp_path)).apply_sets(['reservation=[{nodes="0", start=1, end=2, user="eve"}]'])
    with pytest.raises(ConfigError, match="user 'eve', but no job has that user"):
        run(scenario)


def test_a_mapping_is_as_good_as_a_file() -> None:
    scenario = Scenario.from_mapping(
        {
            "cluster": {"nodes": 2, "gpus_per_node": 8},
            "workload": {"days": 0.5, "load": 0.4},
            "maintenance": [{"nodes": [1], "start": 0, "end": "1h"}],
        }
    )
    assert scenario.resolve().windows[0].end == 3600


@pytest.mark.parametrize(("backfill", "start"), [("none", 23), ("conservative", 20)])
def test_windows_as_people_write_them_are_read_again_for_an_explanation(
    tmp_path: Path, backfill: str, start: int
) -> None:
    """Job b wants all 8 GPUs, 4 of which job a holds until 20, when WFP has job c first: 4 (18/3)^3 over 8 (19/5)^3.

    Under conservative b has had its reservation since 1.  The windows are later, and written as a name and in minutes.
    """
    scenario = load(written(tmp_path)).apply_sets(["policy.order=wfp", f"policy.backfill={backfill}"])
    found = explain(run(scenario), "b").stretches
    assert [(each.reason, each.start, each.end) for each in found] == [("gpus", 1, start)]


@pytest.mark.parametrize("start", [-5, -5.0, "-5", "-5s", " -5 s"])
def test_a_window_may_begin_before_the_origin_as_jobs_do(tmp_path: Path, start: float | str) -> None:
    values = {
        "cluster": {"nodes": 1, "gpus_per_node": 8},
        "workload": {"trace": str(written(tmp_path).parent / "jobs.csv")},
        "maintenance": [{"nodes": [0], "start": start, "end": "3s"}],
        "commission": [{"nodes": [0], "start": start}],
    }
    drain, come = Scenario.from_mapping(values).resolve().windows
    assert (drain.start, drain.end, come.end) == (-5, 3, -5)


@pytest.mark.parametrize(
    ("window", "started"),
    [
        (gy.NodeWindow(nodes=("0",), start=-5, end=5), [-20, 5]),
        (gy.NodeWindow.commissioned(("0",), -12), [-12, -2]),
    ],
)
def test_windows_from_python_before_the_origin_are_read_again_for_an_explanation(
    window: gy.NodeWindow, started: list[float]
) -> None:
    """Two jobs of all 8 GPUs: the second would run into the maintenance, the first waits for the node to come."""
    jobs, site = workload((-20, 10, 8), (-15, 30, 8)), cluster(8)
    result = gy.simulate(jobs, site, policy="easy", windows=[window])
    assert result.jobs["start_time"].to_pylist() == started
    stretches = explain(result, "1", workload=jobs, cluster=site).stretches
    assert (stretches[0].start, stretches[-1].end) == (-15, started[1])


PARTED = (
    "job_id,submit_time,runtime,gpus,partition\n"
    "d1,0,10,4,debug\nm1,0,20,4,main\nd2,1,10,4,debug\nn1,1,10,8,\nx,1,10,1,else\nw,1,10,16,debug\n"
)
SETS = [
    'partition=[{name="debug", nodes=["0"]}, {name="main", nodes="all", default=true}]',
    "reservation=[]",
    "maintenance=[]",
    "policy.name=fifo-fit",
    "cluster.gpus_per_node=4",
]


def parted(folder: Path) -> Scenario:
    path = written(folder)
    (folder / "jobs.csv").write_text(PARTED, encoding="utf-8")
    return load(path).apply_sets(SETS)


def test_jobs_of_a_partition_run_on_its_nodes_which_others_share(tmp_path: Path) -> None:
    result = run(parted(tmp_path))
    rows = {row["job_id"]: row for row in result.jobs.to_pylist()}
    nodes = {row["job_id"]: row["nodes"] for row in result.attempts.to_pylist()}
    assert nodes == {"d1": [0], "m1": [1], "d2": [0], "n1": [2, 3]}
    assert rows["d2"]["start_time"] == 10
    assert rows["x"]["reject_reason"] == "its partition has no nodes"
    assert rows["w"]["reject_reason"] == "does not fit its partition even when that is empty"
    assert result.summary()["maintenance"] is None
    assert [stretch.reason for stretch in explain(result, "d2").stretches] == ["closed"]


def test_a_saved_run_has_its_partitions_and_runs_again(tmp_path: Path) -> None:
    first = run(parted(tmp_path))
    first.save(tmp_path / "out")
    again = load(tmp_path / "out")
    assert run(again).digest == first.digest
    assert again.resolve().windows == parted(tmp_path).resolve().windows


def test_partitions_are_refused_where_nobody_asks_which_nodes_are_open(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="do not go with replay recorded"):
        run(parted(tmp_path).apply_sets(["policy.replay=recorded"]))
    with pytest.raises(ConfigError, match="partition 'debug' names '9'"):
        run(parted(tmp_path).apply_sets(['partition=[{name="debug", nodes="9"}]']))


@pytest.mark.parametrize(
    ("tables", "text"),
    [
        ('[{name="debug", nodes="0"}, {name="debug", nodes="1"}]', "partition 'debug' is given twice"),
        (
            '[{name="debug", nodes="0", default=true}, {name="main", nodes="1", default=true}]',
            "cannot be of both 'debug' and 'main'",
        ),
        ('{name="debug", nodes="0"}', r"\[partition\] is a table.*write \[\[partition\]\]"),
    ],
)
def test_partitions_that_contradict_each_other_are_refused(tmp_path: Path, tables: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        run(parted(tmp_path).apply_sets([f"partition={tables}"]))


def test_partitions_from_python_are_held_to_the_same() -> None:
    windows = [gy.NodeWindow.partition("debug", ("0",)), gy.NodeWindow.partition("debug", ("1",))]
    with pytest.raises(ConfigError, match="partition 'debug' is given twice; give it once"):
        gy.simulate(workload((0, 10, 1, {"partition": "debug"})), cluster(2, 2), windows=windows)


def test_a_run_may_begin_stop_and_be_measured_before_the_origin(tmp_path: Path) -> None:
    """As in Python; here the job that ran by then is the only one."""
    path = written(tmp_path)
    (tmp_path / "jobs.csv").write_text(
        "job_id,submit_time,start_time,runtime,gpus\na,-20,-20,15,1\nb,-12,,4,1\nc,30,,1,1\n", encoding="utf-8"
    )
    scenario = load(path).apply_sets(["run.begin=-10", "run.until=-4s", "run.window='-8..-6s'", "reservation=[]"])
    options = scenario.resolve().options
    assert (options.begin, options.until, options.window) == (-10, -4, (-8, -6))
    window = run(scenario).summary()["window"]
    assert (window["start_s"], window["end_s"]) == (-8, -6)
    (tmp_path / "jobs.csv").write_text("job_id,submit_time,runtime,gpus,user\nc,30,1,1,ann\n", encoding="utf-8")
    early = run(load(path).apply_sets(["run.until=-4s", "reservation=[]"])).summary()
    assert early["warnings"] == ["The simulation stops at -4 s, before the first job is submitted, at 30 s."]


def test_a_row_of_which_nothing_can_be_read_is_shown(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "jobs.csv").write_text("job_id,submit_time,runtime,gpus\na,noon,15,1\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"row 2, column 'submit_time'.*\(got 'noon'\); name the right format"):
        load(path).resolve()
