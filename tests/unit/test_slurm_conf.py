"""Partitions out of a slurm.conf."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuyard.errors import InputError
from gpuyard.scenario import load, run
from gpuyard.scenario.slurm_conf import is_slurm_conf, partitions_of

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
        ("PartitionName=a MaxTime=1h", "no time of Slurm's (got '1h')"),
        ("PartitionName=a MaxNodes=many", "no number of nodes (got 'many')"),
        ("PartitionName=a Nodes=n[1-", "brackets do not match"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_row(line: str, said: str) -> None:
    with pytest.raises(InputError, match=r"slurm\.conf, row 2") as problem:
        partitions_of(f"# first\n{line}\n", Path("slurm.conf"))
    assert said in str(problem.value)


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
