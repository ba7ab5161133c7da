"""Bounds of partitions and QOS: what may not be, the scenario's tables and files, results and explanations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gpuyard as gy
from conftest import cluster, workload
from gpuyard import explain
from gpuyard.errors import ConfigError, InputError
from gpuyard.report import compare
from gpuyard.report.compare import DIFFERENT_WORKLOADS
from gpuyard.result import Result
from gpuyard.scenario import Scenario, load, run

HOUR = 3600.0
TRACE = (
    "job_id,submit_time,runtime,time_limit,gpus,partition,qos,tenant\n"
    "a,0,7200,,1,debug,,\nb,1,60,7200,1,debug,normal,steel\nc,2,60,600,8,main,high,steel/vision\nd,3,60,,2,,normal,bio\n"
)
FILE = """
[workload]
trace = "jobs.csv"
[cluster]
nodes = 4
gpus_per_node = 4
"""


def written(folder: Path, more: str) -> Path:
    (folder / "jobs.csv").write_text(TRACE, encoding="utf-8")
    path = folder / "lab.toml"
    path.write_text(FILE + more, encoding="utf-8")
    return path


def rejected(result: Result) -> dict[str, str]:
    jobs = result.jobs
    pairs = zip(jobs["job_id"].to_pylist(), jobs["reject_reason"].to_pylist(), strict=True)
    return {name: reason for name, reason in pairs if reason}


def test_a_scenario_says_them_and_rejected_jobs_have_their_reasons(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '[[partition]]\nname = "debug"\nmax_time = "1h"\n'
        '[[partition]]\nname = "main"\ndefault = true\nallow_qos = "high"\nmax_nodes = 1\n'
        '[[qos]]\nname = "normal"\ndefault_time = "30s"\nmax_time = "2h"\n',
    )
    result = run(load(path))
    assert rejected(result) == {
        "b": "its time limit is above the 1h of its partition 'debug' (PartitionTimeLimit)",
        "c": "has more nodes than the 1 of its partition 'main' (PartitionNodeLimit)",
        "d": "its QOS is not among those that its partition 'main' takes (QOSNotAllowed)",
    }
    states = dict(zip(result.jobs["job_id"].to_pylist(), result.jobs["state"].to_pylist(), strict=True))
    assert states["a"] == "timed_out"  # after the hour that is the limit of who states none
    assert result.jobs["end_time"].to_pylist()[0] == HOUR
    told = str(explain(result, "b"))
    assert "Rejected: its time limit is above the 1h of its partition 'debug' (PartitionTimeLimit)." in told
    assert "time_limit" in explain(result, "a").asked


def test_a_result_runs_again_with_the_same_bounds(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '[[partition]]\nname = "debug"\nnodes = "0-1"\nmax_time = "1h"\n'
        '[[partition]]\nname = "main"\nnodes = "all"\ndefault = true\n'
        '[[qos]]\nname = "high"\nmax_gpus = 4\n',
    )
    first = run(load(path))
    first.save(tmp_path / "out")
    again = run(load(tmp_path / "out"))
    assert again.digest == first.digest
    assert rejected(again) == rejected(first)
    assert set(rejected(first)) == {"b", "c"}
    assert explain(Result.load(tmp_path / "out"), "d").state == "completed"


@pytest.mark.parametrize(("begin", "jobs"), [("", 3), ("[run]\nbegin = 70\n", 2)])
def test_a_run_with_bounds_and_one_without_are_of_the_same_jobs(tmp_path: Path, begin: str, jobs: int) -> None:
    """Limits that bounds give are no part of the workload; explanations know it again and have the limits."""
    bound = '[[partition]]\nname = "debug"\nmax_time = "1h"\ndefault = true\n'
    without, bounded = load(written(tmp_path, begin)), load(written(tmp_path, begin + bound))
    record = "job_id,submit_time,start_time,runtime,gpus\na,0,0,60,1\nb,10,20,900,1\nc,80,90,60,2\n"
    (tmp_path / "jobs.csv").write_text(record, encoding="utf-8")
    result = run(bounded)
    compared = compare(run(without), result)
    assert DIFFERENT_WORKLOADS not in compared.warnings
    assert compared.paired is not None
    assert compared.paired.jobs == jobs
    result.save(tmp_path / "out")
    assert explain(Result.load(tmp_path / "out"), "c").asked["time_limit"] == HOUR


def test_python_writes_the_tables_that_a_scenario_has() -> None:
    windows = [gy.NodeWindow.partition("debug", ("0",)), gy.NodeWindow.partition("main", ("all",), is_default=True)]
    bounds = [
        gy.Bounds(partition="debug", max_time=HOUR, deny_tenants=("bio",)),
        gy.Bounds(qos="high", min_gpus=2, is_default=True),
    ]
    jobs = workload((0, 5, 1, {"partition": "debug"}), (0, 5, 1, {"partition": "debug", "time_limit": 2 * HOUR}))
    result = gy.simulate(jobs, cluster(4, 4), windows=windows, bounds=bounds)
    assert result.scenario["partition"] == [
        {"name": "debug", "nodes": ["0"], "max_time": HOUR, "deny_tenants": ["bio"]},
        {"name": "main", "nodes": ["all"], "default": True},
    ]
    assert result.scenario["qos"] == [{"name": "high", "default": True, "min_gpus": 2}]
    assert list(rejected(result).values()) == [
        "asks for fewer GPUs than the 2 of its QOS 'high' (QOSMinGRES)",
        "its time limit is above the 1h of its partition 'debug' (PartitionTimeLimit)",
    ]
    story = explain(result, "0", workload=jobs, cluster=cluster(4, 4))
    assert story.reject_reason is not None


def test_files_of_partitions_and_qos(tmp_path: Path) -> None:
    (tmp_path / "parts.csv").write_text(
        "name,nodes,default,max_time,max_nodes,allow_qos\ndebug,0;1,,1:00:00,,\nmain,all,yes,,1,high;low\n",
        encoding="utf-8",
    )
    (tmp_path / "qos.csv").write_text("name,max_gpus,max_time\nnormal,8,2d\nhigh,,\n", encoding="utf-8")
    path = written(tmp_path, '[[partition]]\nfile = "parts.csv"\n[[qos]]\nfile = "qos.csv"\n')
    scenario = load(path)
    assert scenario.to_mapping()["partition"] == [
        {"name": "debug", "nodes": ["0", "1"], "max_time": "1:00:00"},
        {"name": "main", "nodes": ["all"], "default": True, "max_nodes": 1, "allow_qos": ["high", "low"]},
    ]
    found = scenario.resolve()
    assert [(each.name, each.max_time, each.max_nodes, each.max_gpus) for each in found.bounds] == [
        ("debug", HOUR, None, None),
        ("main", None, 1, None),
        ("normal", 2 * 86_400, None, 8),
    ]
    assert set(rejected(run(scenario))) == {"b", "c", "d"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nodes\n0\n", "no column of names"),
        ("name,max_tiem\na,1\n", "did you mean 'max_time'"),
        ("name,max_nodes\na,many\n", "this is no number (got 'many')"),
        ("name,default\na,perhaps\n", "neither yes nor no"),
        ("name,nodes\n,0\n", "a row has no name"),
        ("name,nodes\n", "there is no row"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_its_row(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "parts.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"parts\.csv") as problem:
        load(written(tmp_path, '[[partition]]\nfile = "parts.csv"\n'))
    assert said in str(problem.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[[partition]]\nname = "a"\nfile = "b.csv"\n', "'name' stands beside 'file'"),
        ('[[partition]]\nname = "a"\n[[partition]]\nname = "a"\n', "partition 'a' is given twice"),
        ('[[qos]]\nname = "a"\ndefault = true\n[[qos]]\nname = "b"\ndefault = true\n', "cannot be of both 'a' and 'b'"),
        ('[[qos]]\nname = "a"\nmax_time = "1h"\ndefault_time = "2h"\n', "above its 'max_time' of 3600"),
        ('[[qos]]\nname = "a"\nallow_qos = "b"\n', "has no key 'allow_qos'"),
        ('[[partition]]\nname = "a"\nallow_tenants = "b"\ndeny_tenants = "c"\n', "leave 'deny_tenants' out"),
        ('[[partition]]\nname = "a"\nmax_nodes = -1\n', "[partition.a] max_nodes"),
        ('[[partition]]\nname = "a"\nmax_nodes = 0\n', "[partition.a] max_nodes"),
        ('[[qos]]\nname = "a"\nmax_time = 0\n', "'max_time' of QOS 'a' must be a number of seconds from 1e-06"),
        ('[[partition]]\nname = "a"\nmax_time = "1h"\n[[partition]]\nname = "b"\nnodes = 0\n', "run nowhere"),
        ('[[partition]]\nname = "a"\n[[partition]]\nname = "b"\nnodes = 0\n', "run nowhere"),
        ('[[qos]]\nname = "a"\nmax_time = "1h"\n[policy]\nreplay = "recorded"\n', "replay recorded starts every job"),
    ],
)
def test_what_may_not_be_is_said_with_a_remedy(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(ConfigError) as problem:
        run(load(written(tmp_path, more)))
    assert said in str(problem.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "one partition or of one QOS"),
        ({"partition": "a", "qos": "b"}, "one partition or of one QOS"),
        ({"qos": "a", "max_nodes": 1.5}, "a whole number from 1"),
        ({"qos": "a", "max_time": float("inf")}, "a number of seconds from 1e-06"),
        ({"qos": "a", "max_time": 0}, "leave it out where nothing is bounded"),
        ({"qos": "a", "default_time": 4e-7}, "a number of seconds from 1e-06"),
        ({"qos": "a", "max_nodes": 0}, "a whole number from 1"),
        ({"qos": "a", "max_gpus": 10**400}, "a number from 0"),
        ({"qos": 5}, "by its name, got partition = None and qos = 5"),
        ({"qos": "a", "is_default": "no"}, "must be True or False, got 'no'"),
        ({"partition": "a", "allow_qos": 5}, "are names, got 5; write a list"),
        ({"qos": "a", "allow_tenants": None}, "are names, got None"),
        ({"qos": "a", "deny_qos": "b"}, "only a partition does"),
        ({"qos": "a", "allow_tenants": (3,)}, "are names"),
    ],
)
def test_bounds_of_python_are_checked(given: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        gy.Bounds(**given)


def test_numbers_of_numpy_are_numbers() -> None:
    table = gy.Bounds(qos="a", max_nodes=np.int64(2), max_gpus=np.float32(0.5)).to_mapping()
    assert table == {"name": "a", "max_nodes": 2, "max_gpus": 0.5}
    assert [type(value) for value in table.values()] == [str, int, float]


@pytest.mark.parametrize("bounds", [gy.Bounds(qos="a"), [{"qos": "a"}], None])
def test_bounds_are_a_list_of_bounds(bounds: object) -> None:
    with pytest.raises(ConfigError, match=r"write bounds=\[gpuyard\.Bounds"):
        gy.simulate(workload((0, 1, 1)), cluster(1, 1), bounds=bounds)


def test_a_default_of_bounds_and_not_of_nodes_is_refused() -> None:
    windows = [gy.NodeWindow.partition("a", (0,)), gy.NodeWindow.partition("b", (1,), is_default=True)]
    bounds = [gy.Bounds(partition="a", max_time=5, is_default=True)]
    with pytest.raises(ConfigError, match="say the same of both"):
        gy.simulate(workload((0, 1, 1)), cluster(1, 1), windows=windows, bounds=bounds)


def test_a_name_that_no_job_has_is_noted_where_one_is_near() -> None:
    jobs = workload((0, 1, 1, {"qos": "normal"}))
    noted = gy.simulate(jobs, cluster(1), bounds=[gy.Bounds(qos="nromal", max_time=5)]).summary()["warnings"]
    assert "No job is of the qos 'nromal', which has bounds; did you mean 'normal'?" in noted


def test_a_setting_of_the_command_line_adds_them(tmp_path: Path) -> None:
    scenario = load(written(tmp_path, "")).apply_sets(['qos=[{name="normal", max_gpus=1}]'])
    assert set(rejected(run(scenario))) == {"d"}
    assert isinstance(scenario, Scenario)


def test_alone_and_virtual_clusters_keep_them() -> None:
    long = {"partition": "a", "time_limit": 10, "tenant": "x"}
    jobs = workload((0, 5, 1, long), (0, 5, 1, {"partition": "b", "tenant": "y"}))
    parts = [gy.VirtualCluster(name=name, nodes=(number,)) for number, name in enumerate("ab")]
    bounds = [gy.Bounds(partition="a", max_time=5), gy.Bounds(partition="b", max_time=3)]
    result = gy.simulate(jobs, cluster(1, 1), virtual_clusters=parts, bounds=bounds, alone=True)
    assert list(rejected(result)) == ["0"]
    assert result.jobs["end_time"].to_pylist() == [None, 3.0]
