"""Partitions out of a slurm.conf."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import cluster
from gpuyard.errors import ConfigError, InputError
from gpuyard.scenario import load, run
from gpuyard.scenario.slurm_conf import is_slurm_conf, partitions_of
from gpuyard.windows import node_numbers

CONF = """
# slurm.conf
ClusterName=lab
NodeName=n[1-4] Gres=gpu:4 CPUs=64   # four alike
NodeSet=fast Nodes=n[3-4]
PartitionName=DEFAULT MaxTime=1-0 State=UP
PartitionName=debug Nodes=n1 MaxTime=30 DefaultTime=5:00 MaxNodes=1 PriorityTier=2 \\
    AllowAccounts=steel,bio DenyAccounts=other AllowQos=ALL
partitionname=main nodes=ALL default=YES DenyQos=debug MinNodes=1
PartitionName=fast Nodes=fast,n1 MaxTime=UNLIMITED MaxNodes=UNLIMITED
PartitionName=long Nodes=n[2-3] MaxTime=2-12:30:15
"""


def test_partitions_have_their_nodes_and_bounds() -> None:
    assert is_slurm_conf(CONF)
    assert partitions_of(CONF, Path("slurm.conf")) == [
        {
            "name": "debug",
            "nodes": ["n1"],
            "max_time": 1800,
            "default_time": 300,
            "max_nodes": 1,
            "allow_tenants": ["steel", "bio"],
        },
        {"name": "main", "nodes": ["all"], "default": True, "max_time": 86_400, "min_nodes": 1, "deny_qos": ["debug"]},
        {"name": "fast", "nodes": ["n3", "n4", "n1"]},
        {"name": "long", "nodes": ["n2", "n3"], "max_time": 2 * 86_400 + 12 * 3600 + 30 * 60 + 15},
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 5400), ("1:30", 90), ("2:00:05", 7205), ("1-2", 93_600), ("1-2:03", 93_780), ("0-0:0:7", 7)],
)
def test_times_are_those_of_slurm(text: str, seconds: float) -> None:
    assert partitions_of(f"PartitionName=a MaxTime={text}\n", Path("s"))[0]["max_time"] == seconds


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("PartitionName=a MaxTime=1h", "no time of Slurm's above 0 (got '1h')"),
        ("PartitionName=a MaxNodes=many", "no number of nodes (got 'many')"),
        ("PartitionName=a Nodes=n[1-", "brackets do not match"),
        ("PartitionName=a Nodes= Default=YES", "the partition has no nodes"),
        ('PartitionName=a Nodes=""', "the partition has no nodes"),
        ("NodeSet=x Feature=h100\nPartitionName=a Nodes=x", "go by a feature, which is not read (got 'x')"),
        ("PartitionName=a MaxTime=" + 400 * "9", "no time of Slurm's"),
        ("PartitionName=a MaxTime=1-" + 5000 * "9", "no time of Slurm's"),
        ("PartitionName=a MaxTime=0", "no time of Slurm's above 0 (got '0')"),
        ("PartitionName=a MaxNodes=0", "no number of nodes (got '0')"),
        ("PartitionName=a MaxNodes=" + 5000 * "9", "no number of nodes"),
        ("PartitionName=a Nodes=n[1-" + 5000 * "9" + "]", "more than 18 digits"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_row(line: str, said: str) -> None:
    with pytest.raises(InputError, match=r"slurm\.conf, row [23]") as problem:
        partitions_of(f"# first\n{line}\n", Path("slurm.conf"))
    assert said in str(problem.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("PartitionName=a Nodes=n1\nPartitionName=b \\\n  MaxTime=1 \\", [("a", ["n1"]), ("b", None)]),
        ("PartitionName=a Nodes=s,n1\nNodeSet=s Nodes=n[3-4]\nNodeSet=t Feature=x", [("a", ["n3", "n4", "n1"])]),
        ('PartitionName = a Nodes = "n[1-2], n5," Default= yes', [("a", ["n1", "n2", "n5"])]),
    ],
)
def test_lines_that_go_on_sets_that_follow_and_blanks(text: str, found: list[object]) -> None:
    tables = partitions_of(text, Path("slurm.conf"))
    assert [(each["name"], each.get("nodes")) for each in tables] == found


def test_names_have_no_blanks_and_none_is_empty() -> None:
    assert partitions_of('PartitionName=a AllowAccounts="x, y," DenyQos=""', Path("s")) == [
        {"name": "a", "allow_tenants": ["x", "y"]}
    ]


def test_a_file_without_partitions_is_still_a_slurm_conf(tmp_path: Path) -> None:
    (tmp_path / "slurm.conf").write_text("# all of it elsewhere\nNodeName=n1\nInclude parts.conf\n", encoding="utf-8")
    (tmp_path / "lab.toml").write_text('[[partition]]\nfile = "slurm.conf"\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"slurm\.conf: there is no PartitionName line .*; .* Include is not followed"):
        load(tmp_path / "lab.toml")
    (tmp_path / "lab.toml").write_text('[[partition]]\nfile = "a\\u0000b"\n', encoding="utf-8")
    with pytest.raises(InputError, match="the file cannot be read"):
        load(tmp_path / "lab.toml")


def test_a_name_that_is_padded_is_no_number() -> None:
    with pytest.raises(ConfigError, match="names '001', which is neither a node nor a domain"):
        node_numbers(("001",), cluster(4, 1), "partition 'a'")


def test_a_scenario_takes_them_from_the_file(tmp_path: Path) -> None:
    """The nodes are those of a topology.conf; a is beyond the half hour of debug, b runs on n1 for its 5 minutes."""
    (tmp_path / "slurm.conf").write_text(CONF, encoding="utf-8")
    (tmp_path / "topology.conf").write_text("SwitchName=s1 Nodes=n[1-4]\n", encoding="utf-8")
    (tmp_path / "jobs.csv").write_text(
        "job_id,submit_time,runtime,time_limit,gpus,partition,tenant\na,0,60,3600,1,debug,steel\n"
        "b,0,900,,1,debug,bio\nc,0,60,,16,,\nd,0,60,,1,debug,other\n",
        encoding="utf-8",
    )
    path = tmp_path / "lab.toml"
    path.write_text(
        '[workload]\ntrace = "jobs.csv"\n[cluster]\nfile = "topology.conf"\ngpus_per_node = 4\n'
        '[[partition]]\nfile = "slurm.conf"\n',
        encoding="utf-8",
    )
    jobs = run(load(path)).jobs
    assert jobs["state"].to_pylist() == ["rejected", "timed_out", "completed", "rejected"]
    assert [reason and reason.rpartition("(")[2] for reason in jobs["reject_reason"].to_pylist()] == [
        "PartitionTimeLimit)", None, None, "AccountNotAllowed)",
    ]  # fmt: skip
    assert jobs["end_time"].to_pylist()[:3] == [None, 300, 360]
