"""Tenants and partitions in virtual clusters: from a scenario, a CSV file and Python, and what results say of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gpuyard as gy
from conftest import cluster, workload
from gpuyard.beginning import begin_at
from gpuyard.dividing import schedule_apart
from gpuyard.errors import ConfigError, GpuyardError
from gpuyard.explanation import explain
from gpuyard.metrics.fairness import weights_of
from gpuyard.policy import Policy
from gpuyard.report.tenants import tenant_figures, tenant_grid, tenant_lead
from gpuyard.scenario import load, run
from gpuyard.simulation import schedule
from gpuyard.tenancy import Tenants
from gpuyard.virtual_cluster_files import read_virtual_clusters
from gpuyard.virtual_clusters import VirtualCluster
from gpuyard.windows import NodeWindow

JOBS = "job_id,submit_time,runtime,gpus,tenant,user,partition\n" + "".join(
    f"j{row},{row},30,2,{('steel', 'bio', 'steel/vision')[row % 3]},{'ann' if row % 2 else 'bob'},debug\n"
    for row in range(18)
)
FILE = """
[workload]
trace = "jobs.csv"
[cluster]
nodes = 4
gpus_per_node = 4
[policy]
name = "fifo-fit"
preemption = "reclaim"
[[virtual_cluster]]
name = "left"
nodes = "0-1"
user = "ann"
[virtual_cluster.tenants]
between = "fair"
[[virtual_cluster.tenants.tenant]]
name = "steel"
nominal = 6
[[virtual_cluster.tenants.tenant]]
name = "bio"
nominal = 2
borrow = 0
[[virtual_cluster.tenants.limit]]
each = "user"
jobs = 3
[[virtual_cluster]]
name = "right"
nodes = "2-3"
user = "bob"
tenants = { file = "quotas.csv" }
"""
QUOTAS = "name,nominal\nsteel,2\nbio,6\n"
EIGHT = cluster(4, 4)
PART = {"sharing": {"tenant": [{"name": "steel", "nominal": 2, "borrow": 0}, {"name": "bio", "nominal": 2}]}}


def written(folder: Path, text: str = FILE) -> Path:
    (folder / "jobs.csv").write_text(JOBS, encoding="utf-8")
    (folder / "quotas.csv").write_text(QUOTAS, encoding="utf-8")
    path = folder / "lab.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_scenario_gives_each_its_tenants_and_a_saved_run_has_them_in_full(tmp_path: Path) -> None:
    scenario = load(written(tmp_path))
    left, right = scenario.resolve().virtual_clusters
    assert (left.own_tenants.between, left.own_tenants.limits[0].jobs) == ("fair", 3)
    assert {each.name: each.nominal for each in right.own_tenants.tenants} == {"steel": 2, "bio": 6}
    first = run(scenario)
    first.save(tmp_path / "out")
    (tmp_path / "quotas.csv").unlink()
    again = load(tmp_path / "out")
    assert again.resolve().virtual_clusters == (left, right)
    assert run(again).digest == first.digest
    assert gy.explain(gy.Result.load(tmp_path / "out"), "j17").virtual_cluster == "left"


def test_a_share_of_the_workload_is_one_of_the_virtual_clusters_gpus(tmp_path: Path) -> None:
    text = """
[workload]
days = 0.1
load = 0.3
[workload.tenants.steel]
users = 2
quota = 0.5
realtime = 1
training = 1
[workload.tenants.bio]
users = 2
quota = 0.25
training = 1
[workload.classes]
realtime = 0.5
training = 0.5
[cluster]
nodes = 4
gpus_per_node = 8
[[virtual_cluster]]
name = "steel"
nodes = "0-2"
tenants = { of_workload = true }
[[virtual_cluster]]
name = "bio"
nodes = "3"
"""
    steel, bio = load(written(tmp_path, text)).resolve().virtual_clusters
    assert {each.name: each.nominal for each in steel.own_tenants.tenants} == {"steel": 12, "bio": 6}
    assert not bio.own_tenants


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("tenants.nominal=8", r"\[tenants\] quotas and limits.*whole cluster.*\[virtual_cluster.tenants\]"),
        ("virtual_cluster=[{name='ann', gpus=8, tenants={nominl=2}}]", "has no key 'nominl'; did you mean 'nominal'"),
        ("virtual_cluster=[{name='ann', gpus=8, tenants='ann'}]", r"tenants.*write tenant ="),
        (
            "virtual_cluster=[{name='a', gpus=8, user='ann', tenants={between='drf'}}]",
            "'a', its tenants:.*there are no",
        ),
        (
            "virtual_cluster=[{name='a', gpus=8, user='ann', tenants={nominal={H100=2}}}]",
            r"\[virtual_cluster\] 'a', its tenants: .*GPU type of a quota 'H100'",
        ),
        (
            "virtual_cluster=[{name='a', gpus=8, user='ann', tenants={tenant=[{name='x', nominal=-3}]}}]",
            r"\[virtual_cluster\] 'a', its tenants: 'nominal' of tenant 'x' must be .*got -3",
        ),
        ("virtual_cluster=[{name='a', gpus=8, user='ann', tenants={file='none.csv'}}]", "none.csv.*cannot be read"),
    ],
)
def test_what_cannot_be_is_said_with_its_place(tmp_path: Path, change: str, said: str) -> None:
    with pytest.raises(GpuyardError, match=said):
        load(written(tmp_path)).apply_sets([change]).resolve()


def test_a_file_of_virtual_clusters_names_files_of_tenants(tmp_path: Path) -> None:
    written(tmp_path)
    path = tmp_path / "sizes.csv"
    path.write_text("name,gpus,user,tenants\nleft,8,ann,\nright,8,bob,quotas.csv\n", encoding="utf-8")
    left, right = read_virtual_clusters(path)
    assert not left.own_tenants
    assert right.own_tenants == gy.read_tenants(tmp_path / "quotas.csv")
    path.write_text("name,gpus,tenants\nleft,8,quota.csv\n", encoding="utf-8")
    with pytest.raises(GpuyardError, match=r"row 2, column 'tenants'.*no such file.*got 'quota\.csv'.*relative to"):
        read_virtual_clusters(path)


def test_a_problem_with_tenants_names_their_virtual_cluster() -> None:
    with pytest.raises(ConfigError, match=r"virtual cluster 'a': unknown key of tenants 'limits'"):
        VirtualCluster(name="a", gpus=4, sharing={"limits": []})
    jobs = workload((0, 1, 1, {"user": "a"}))
    part = VirtualCluster(name="a", gpus=4, users=("a",), policy="conservative", **PART)
    with pytest.raises(ConfigError, match=r"virtual cluster 'a': tenants do not go with backfill conservative"):
        schedule_apart(jobs, EIGHT, Policy(), virtual_clusters=[part])
    part = VirtualCluster(name="a", gpus=4, users=("a",), policy=Policy(preemption="reclaim"))
    with pytest.raises(ConfigError, match=r"virtual cluster 'a': .*name some in its own \[virtual_cluster.tenants\]"):
        schedule_apart(jobs, EIGHT, Policy(), virtual_clusters=[part])
    part = VirtualCluster(name="a", gpus=4, users=("a",))
    with pytest.raises(ConfigError, match=r"whole cluster.*in Python sharing"):
        schedule_apart(jobs, EIGHT, Policy(), virtual_clusters=[part], tenants=Tenants.of({"nominal": 2}))


def test_results_tell_of_each_virtual_cluster_and_add_up(tmp_path: Path) -> None:
    result = run(load(written(tmp_path)))
    numbers = result.summary()
    blocks = {name: block["tenants"] for name, block in numbers["by_virtual_cluster"].items()}
    whole = numbers["tenants"]
    for key in ("nominal_gpus", "reclaims", "jobs_of_nobody"):
        assert whole[key] == sum(block[key] for block in blocks.values())
    assert whole["nominal_gpus"] == 16
    for name in ("steel", "bio"):
        parts = [block["by_tenant"][name] for block in blocks.values()]
        for key in ("jobs", "nominal_gpus", "held_gpu_hours", "borrowed_gpu_hours", "lent_gpu_hours"):
            assert whole["by_tenant"][name][key] == pytest.approx(sum(part[key] for part in parts)), key
        assert whole["by_tenant"][name]["borrow_gpus"] is None, "in one of them there is no limit"
        mine = [row for row in result.jobs.to_pylist() if row["tenant"].split("/")[0] == name]
        assert whole["by_tenant"][name]["jobs"] == len(mine)
        held = sum(row["gpu_time"] for row in mine) / 3600
        assert whole["by_tenant"][name]["held_gpu_hours"] == pytest.approx(held)
    table = result.tenants.to_pylist()
    assert {(row["virtual_cluster"], row["tenant"]) for row in table} == {
        (part, name) for part in ("left", "right") for name in ("bio", "steel")
    }
    reasons = {row["preemption_reason"] for row in result.attempts.to_pylist()}
    assert ("reclaim" in reasons) == (whole["reclaims"] > 0)
    assert "tenants shared the virtual clusters, with quotas of 16 GPUs" in tenant_lead(result).replace("\xa0", " ")
    assert [row[0] for row in tenant_grid(result).rows][:2] == ["steel in left", "steel in right"]
    assert {chart.title for chart in tenant_figures(result)} >= {"GPUs of steel in left", "GPUs of bio in right"}


def test_a_tenant_is_due_its_part_of_each_virtual_cluster_in_which_it_has_jobs() -> None:
    """Of a's 4 GPUs by quotas 1 to 3; of b's 8, where nobody shares, evenly among the two that have jobs there."""
    rows = [("a", "steel"), ("a", "bio"), ("b", "steel"), ("b", "nut")]
    jobs = workload(*((0, 9, 1, {"user": user, "tenant": tenant}) for user, tenant in rows))
    quotas = {"tenant": [{"name": "steel", "nominal": 1}, {"name": "bio", "nominal": 3}]}
    parts = [
        VirtualCluster(name="a", nodes=("0",), users=("a",), sharing=quotas),
        VirtualCluster(name="b", nodes=("1-2",), users=("b",)),
    ]
    record = schedule_apart(jobs, cluster(4, 4, 4), Policy(backfill="fit"), virtual_clusters=parts)
    names = record.workload.labels("tenant")[1]
    assert dict(zip(names, weights_of(record, None).tolist(), strict=True)) == {"steel": 1 + 4, "bio": 3, "nut": 4}
    alike = schedule_apart(jobs, cluster(4, 4, 4), Policy(), virtual_clusters=[*map(without_tenants, parts)])
    assert weights_of(alike, None).tolist() == pytest.approx([1 / 3] * 3), "without tenants: as in one cluster"


def without_tenants(part: VirtualCluster) -> VirtualCluster:
    return VirtualCluster(name=part.name, nodes=part.nodes, users=part.users)


def test_names_that_no_job_has_are_noted_of_their_virtual_cluster() -> None:
    jobs = workload((0, 9, 1, {"user": "a", "tenant": "steel"}), (0, 9, 1, {"user": "b", "tenant": "steal"}))
    quotas = {"tenant": [{"name": "steel", "nominal": 1}]}
    parts = [VirtualCluster(name=name, gpus=4, users=(name,), sharing=quotas) for name in "ab"]
    assert "warnings" not in gy.simulate(jobs, EIGHT, policy="fifo-fit", virtual_clusters=parts[:1]).summary()
    parts[0] = without_tenants(VirtualCluster(name="a", nodes=("0",), users=("a",)))
    said = gy.simulate(jobs, EIGHT, policy="fifo-fit", virtual_clusters=parts).summary()["warnings"]
    assert said == ["Virtual cluster 'b': No job belongs to the tenant 'steel', and 1 job of 'steal' to nobody."]


def test_why_a_job_waited_is_told_by_the_quotas_and_limits_of_its_virtual_cluster() -> None:
    """In a steel has a quota of 2 that it may not exceed, in b one job a user may run; both have room."""
    limit = {"limit": [{"each": ["user"], "jobs": 1}]}
    parts = [
        VirtualCluster(name="a", nodes=("0",), partitions=("a",), **PART),
        VirtualCluster(name="b", nodes=("1",), partitions=("b",), sharing=limit),
    ]
    rows = [{"partition": part, "tenant": "steel", "user": "ann"} for part in "aabb"]
    jobs = workload(*((0, 9, 2 if row["partition"] == "a" else 1, row) for row in rows))
    result = gy.simulate(jobs, EIGHT, policy="fifo-fit", virtual_clusters=parts)
    told = [str(explain(result, str(row), workload=jobs, cluster=EIGHT)) for row in range(4)]
    assert "quota of tenant steel: it used 2 of its 2 GPUs and may borrow 0" in told[1]
    assert "limit: of jobs with user ann, at most 1 may run, and 1 did" in told[3]


def test_a_job_is_told_to_wait_for_the_nodes_of_its_partition_in_its_virtual_cluster() -> None:
    debug = NodeWindow.partition("debug", ("1-2",))
    rows = [{"user": "a", "partition": "debug"}, {"user": "a", "partition": "debug"}, {"user": "b", "partition": "x"}]
    jobs = workload(*((0, 9, 4, row) for row in rows))
    parts = [VirtualCluster(name="a", nodes=("0-1",), users=("a",)), VirtualCluster(name="b", gpus=8, users=("b",))]
    site = cluster(4, 4, 4, 4)
    result = gy.simulate(jobs, site, policy="fifo-fit", virtual_clusters=parts, windows=[debug])
    rows = result.jobs.to_pylist()
    assert [row["start_time"] for row in rows] == [0, 9, None]
    assert rows[2]["reject_reason"] == "its partition has no nodes in its virtual cluster"
    assert [each.reason for each in explain(result, "1", workload=jobs, cluster=site).stretches] == ["closed"]
    far = NodeWindow.partition("debug", ("2",))
    alone = gy.simulate(jobs, site, policy="fifo-fit", virtual_clusters=parts, windows=[far])
    reasons = alone.jobs["reject_reason"].to_pylist()
    assert reasons == ["its partition has no nodes in its virtual cluster"] * 3


def test_partitions_that_end_before_the_beginning_shut_nodes_all_the_same() -> None:
    """The only job of a partition is over when the simulation begins: those that are left are not kept out by it."""
    jobs = workload(
        (0, 2, 1, {"partition": "debug", "start_time": 0.0, "end_time": 2.0, "state": "completed"}),
        (4, 9, 1, {"priority": 0}),
        (5, 9, 1, {"priority": 1}),
    )
    policy = Policy(order="priority", backfill="easy", preemption="priority")
    debug = NodeWindow.partition("debug", ("0",))
    record = schedule(jobs, cluster(1, 1), policy, begin=3, windows=[debug])
    assert record.start.tolist() == [4_000_000, 5_000_000]
    assert begin_at(jobs, 3_000_000).kept.tolist() == [False, True, True]


@pytest.mark.parametrize("begin", [None, 5])
def test_begin_stop_and_windows_go_with_them_and_a_stopped_run_is_explained(begin: float | None) -> None:
    """User b is over by 5, and its virtual cluster is still there."""
    rows = [
        (0, 20, 2, {"user": "a", "tenant": "steel", "start_time": 0.0, "end_time": 20.0}),
        (0, 2, 2, {"user": "b", "tenant": "steel", "start_time": 0.0, "end_time": 2.0}),
        (1, 20, 2, {"user": "a", "tenant": "steel", "start_time": 20.0, "end_time": 40.0}),
        (6, 20, 2, {"user": "a", "tenant": "bio", "start_time": 6.0, "end_time": 26.0}),
    ]
    jobs = workload(*rows)
    parts = [
        VirtualCluster(name="a", nodes=("0",), users=("a",), **PART),
        VirtualCluster(name="b", nodes=("1",), users=("b",), **PART),
    ]
    closed = [NodeWindow(nodes=(0,), start=30, end=32), NodeWindow.partition("none", ("0",))]
    result = gy.simulate(
        jobs, EIGHT, policy="fifo-fit", virtual_clusters=parts, windows=closed, begin=begin, until=25, decisions=True
    )
    starts = dict(zip(result.jobs["job_id"].to_pylist(), result.jobs["start_time"].to_pylist(), strict=True))
    assert [starts[name] for name in ("0", "2", "3")] == [0, None, 6]
    story = explain(result, "2", workload=jobs, cluster=EIGHT)
    assert "quota" in [each.reason for each in story.stretches]
    assert np.isfinite(result.summary()["tenants"]["by_tenant"]["steel"]["held_gpu_hours"])


def test_each_tenant_alone_keeps_to_its_virtual_cluster() -> None:
    """Those that name a tenant are there also while another tenant's jobs run alone."""
    jobs = workload((0, 9, 4, {"tenant": "x"}), (0, 9, 4, {"tenant": "x"}), (0, 9, 4, {"tenant": "y"}))
    parts = [VirtualCluster(name=name, gpus=4, tenants=(name,)) for name in "xy"]
    found = gy.simulate(jobs, EIGHT, virtual_clusters=parts, alone=True).summary()["fairness"]
    assert found["by_tenant"]["x"]["alone_slowdown_total"] == found["by_tenant"]["y"]["alone_slowdown_total"] == 1
