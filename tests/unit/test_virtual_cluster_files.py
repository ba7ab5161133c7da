"""Virtual clusters out of CSV files, by the file itself and by scenarios that name it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuyard.errors import ConfigError, GpuyardError, InputError
from gpuyard.scenario import load, run
from gpuyard.virtual_cluster_files import read_virtual_clusters
from gpuyard.virtual_clusters import VirtualCluster

SIZES = "name,gpus,share,nodes,tenant,policy\nvision,16,,,,\nspeech,,0.5,,nlp; audio,sjf\nlab,,,0-1;node-00007,,\n"
JOBS = "job_id,submit_time,runtime,gpus,tenant\na,0,100,8,vision\nb,0,50,8,speech\nc,0,20,8,speech\n"
SCENARIO = """
[workload]
trace = "jobs.csv"
[cluster]
nodes = 4
gpus_per_node = 8
[policy]
name = "fifo"
[[virtual_cluster]]
file = "sizes.csv"
"""


def written(folder: Path, text: str, name: str = "sizes.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_row_is_a_virtual_cluster_and_an_empty_cell_is_left_out(tmp_path):
    path = written(tmp_path, SIZES)
    assert read_virtual_clusters(path) == (
        VirtualCluster(name="vision", gpus=16),
        VirtualCluster(name="speech", share=0.5, tenants=("nlp", "audio"), policy="sjf"),
        VirtualCluster(name="lab", nodes=("0-1", "node-00007")),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name,gpu\na,8\n", r"row 1.*gpu.*did you mean 'gpus'"),
        ("gpus\n8\n", "no column of names"),
        ("name,gpus\n", "no virtual cluster is named"),
        ("name,gpus\na,8\na,16\n", r"row 3.*stands twice"),
        ("name,gpus\na,8.5\n", r"row 2.*gpus.*8\.5.*whole number"),
        ("name,share\na,half\n", r"row 2.*share.*half.*0\.25"),
        ("name,gpus\na,0\n", r"row 2, column 'gpus'.*at least 1 GPU.*got 0.*whole number"),
        ("name,share\na,2\n", r"row 2, column 'share'.*more than 0 and at most 1.*got 2\.0.*0\.25"),
        ("name,gpus\n,8\n", r"row 2, column 'name'.*needs a name.*got ''.*vc-a"),
        ("name,gpus,share\na,8,0.5\n", r"row 2, column 'share'.*more than one of nodes, gpus and share.*one of them"),
        ("name,gpus,policy\na,8,sjff\n", r"row 2, column 'policy': unknown policy 'sjff'; did you mean 'sjf'"),
    ],
)
def test_what_cannot_be_read_is_said_with_row_and_remedy(tmp_path, text, problem):
    with pytest.raises(InputError, match=f"(?s){problem}"):
        read_virtual_clusters(written(tmp_path, text))


def test_a_scenario_names_the_file_beside_it_and_a_saved_run_has_all_in_full(tmp_path):
    written(tmp_path, JOBS, "jobs.csv")
    written(tmp_path, "name,gpus,policy\nvision,8,\nspeech,8,sjf\n")
    result = run(load(written(tmp_path, SCENARIO, "lab.toml")))
    assert result.jobs["start_time"].to_pylist() == [0, 20, 0]
    assert [(table["name"], table["gpus"]) for table in result.scenario["virtual_cluster"]] == [
        ("vision", 8),
        ("speech", 8),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name,gpus\nvision,8\nspeech,12\n", "row 3, column 'gpus': .* wants 12 GPUs.*sizes are 8 and 16.*got 12"),
        ("name,share\nvision,0.5\nspeech,0.75\n", "row 3, column 'share': .*125 % of the 32 GPUs.*got 0.75.*lower"),
        ("name,share\nvision,0.1\nspeech,0.5\n", "row 2, column 'share': .*gets none.*got 0.1.*a larger share"),
        ("name,nodes\nvision,0;7-9\n", "row 2, column 'nodes': .*virtual cluster 'vision'.*got '0;7-9'"),
        ("name,nodes\nvision,0-1\nspeech,1\n", "row 3, column 'nodes': .*both have node 1.*got '1'.*to one of them"),
        ("name,gpus,tenant\nvision,8,speech;bio\n", "row 2, column 'tenant': .*no job has.*got 'bio'.*or drop it"),
        ("name,gpus,tenant\na,8,speech\nspeech,8,speech\n", "row 3: job 'b' would belong to .*; name partitions"),
        ("name,gpus\nbio,8\n", "no job belongs to a virtual cluster; .*tenants .*speech"),
    ],
)
@pytest.mark.parametrize("sets", [[], ["policy.placement=packed"], ['virtual_cluster=[{file="sizes.csv"}]']])
def test_what_a_file_says_that_does_not_fit_the_run_is_said_with_its_place(tmp_path, monkeypatch, text, problem, sets):
    """Whatever was set on the command line, it is the file that is wrong, and not the setting."""
    written(tmp_path, JOBS, "jobs.csv")
    written(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    scenario = load(written(tmp_path, SCENARIO, "lab.toml")).apply_sets(sets)
    with pytest.raises(InputError, match=rf"(?s)^\S*sizes\.csv, .*{problem}") as raised:
        run(scenario)
    assert "--set" not in str(raised.value)


def test_what_one_out_of_a_file_cannot_simulate_is_said_with_its_row(tmp_path):
    written(tmp_path, JOBS, "jobs.csv")
    written(tmp_path, "name,gpus\nvision,8\nspeech,8\n")
    text = SCENARIO.replace('name = "fifo"', 'placement = "topology-block"\nblock_level = "pod"')
    with pytest.raises(InputError, match=r"sizes\.csv, row 2: virtual cluster 'vision': "):
        run(load(written(tmp_path, text, "lab.toml")))


def test_nothing_stands_beside_a_file(tmp_path):
    written(tmp_path, JOBS, "jobs.csv")
    written(tmp_path, "name,gpus\nvision,8\n")
    with pytest.raises(ConfigError, match="'gpus' stands beside 'file'"):
        run(load(written(tmp_path, SCENARIO + "gpus = 8\n", "lab.toml")))


def test_a_table_without_name_and_file_is_refused(tmp_path):
    written(tmp_path, JOBS, "jobs.csv")
    with pytest.raises(GpuyardError, match="needs a name"):
        run(load(written(tmp_path, SCENARIO.replace('file = "sizes.csv"', "gpus = 8"), "lab.toml")))
