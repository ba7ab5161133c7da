"""Virtual clusters: who is in which, on which nodes; in files, results, reports and explanations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gpuyard as gy
from conftest import cluster, workload
from gpuyard.dividing import schedule_apart
from gpuyard.errors import ConfigError
from gpuyard.policy import Policy
from gpuyard.report.sections import group_grids
from gpuyard.scenario import load, run
from gpuyard.virtual_clusters import VirtualCluster, divide
from gpuyard.workload import NEVER, Workload

SITE = cluster(*[("a", 4)] * 6)
A, B = VirtualCluster(name="a", nodes=("0-2",)), VirtualCluster(name="b", nodes=("3-5",))


def jobs(*tenants: str | None, **columns: list[object]) -> Workload:
    """Return jobs of 4 GPUs and 10 s, submitted at once, one for each tenant."""
    extra = [{name: values[row] for name, values in columns.items()} for row in range(len(tenants))]
    return workload(*((0, 10, 4, {"tenant": name, **more}) for name, more in zip(tenants, extra, strict=True)))


def starts(given: Workload, *parts: VirtualCluster, policy: Policy | None = None) -> list[float | None]:
    record = schedule_apart(given, SITE, policy or Policy(), virtual_clusters=parts)
    return [None if tick == NEVER else tick / 1e6 for tick in record.start.tolist()]


def owners(*parts: VirtualCluster, site: gy.Cluster = SITE) -> list[int]:
    return divide(jobs(*[each.name for each in parts]), site, Policy(), parts).owner.tolist()


def test_a_queue_waits_though_the_nodes_of_another_stand_idle() -> None:
    assert starts(jobs(*"aaaab"), A, B) == [0, 0, 0, 10, 0]


def test_one_that_names_its_tenants_has_their_jobs_and_no_others() -> None:
    mixed = VirtualCluster(name="mixed", nodes=("3-5",), tenants=("b",), users=("eve",))
    given = jobs("a", "b", None, None, user=[None, None, "eve", "bob"])
    record = schedule_apart(given, SITE, Policy(), virtual_clusters=[A, mixed])
    assert record.division is not None
    assert record.division.member.tolist() == [0, 1, 1, -1]
    assert record.reject_reasons[record.reject_reason[3]] == "belongs to no virtual cluster"


def test_partitions_of_that_name_come_before_tenants() -> None:
    given = jobs("a", "b", "a", partition=["b", "a", None])
    assert divide(given, SITE, Policy(), [A, B]).member.tolist() == [1, 0, -1]


def test_what_depends_on_a_job_of_none_is_rejected_with_it() -> None:
    assert starts(jobs("else", "a", depends_on=[None, ["0"]]), A, B) == [None, None]


def test_nodes_are_named_then_counted_then_shared_out() -> None:
    sized = [VirtualCluster(name="s", share=0.25), VirtualCluster(name="g", gpus=8)]
    assert owners(*sized, VirtualCluster(name="n", nodes=("rack 0",)), site=racked()) == [2, 2, 1, 1, 0, -1]


def racked() -> gy.Cluster:
    return gy.Cluster.uniform(nodes=6, gpus_per_node=4, nodes_per_rack=2)


def test_shares_that_come_to_one_leave_no_node_over() -> None:
    thirds = [VirtualCluster(name=name, share=share) for name, share in (("a", 0.1), ("b", 0.2), ("c", 0.7))]
    site = gy.Cluster.uniform(nodes=30, gpus_per_node=8)
    assert np.bincount(owners(*thirds, site=site)).tolist() == [3, 6, 21]


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([A, VirtualCluster(name="b", nodes=("2-5",))], "'a' and 'b' both have node 2"),
        ([A, A], "two virtual clusters are called 'a'"),
        ([VirtualCluster(name="a", gpus=6)], r"wants 6 GPUs.*nearest sizes are 4 and 8"),
        ([VirtualCluster(name="a", gpus=28)], r"wants 28 GPUs.*nearest sizes are 20 and 24|nearest sizes are 24"),
        ([VirtualCluster(name="a", share=0.1)], "'a' gets none of the 6 nodes"),
        ([A, VirtualCluster(name="b", share=0.8)], r"come to 80 % of the 24 GPUs.*more than are left"),
        ([VirtualCluster(name="a", nodes=("rack 1",))], "virtual cluster 'a' names 'rack 1'.*no level 'rack'"),
        ([VirtualCluster(name="z", nodes=("0",))], "no job belongs to a virtual cluster; the jobs have tenants a, b"),
        ([VirtualCluster(name="z", nodes=("0",), users=("eve",))], "'z' is for the user 'eve', but no job"),
        ([A, VirtualCluster(name="z", nodes=("3",), tenants=("a",))], "job '0' would belong to .*'z' and 'a'"),
        ([VirtualCluster(name="a", nodes=("0",), policy=Policy(replay="recorded"))], "replay = recorded"),
    ],
)
def test_what_cannot_be_meant_is_said(parts: list[VirtualCluster], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        divide(jobs("a", "b"), SITE, Policy(), parts)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"nodes": ()}, "says none of nodes, gpus and share"),
        ({"nodes": ("0",), "gpus": 4}, "more than one"),
        ({"gpus": 0}, "at least 1 GPU"),
        ({"share": 1.5}, "at most 1"),
        ({"share": 0.5, "name": ""}, "needs a name"),
    ],
)
def test_a_virtual_cluster_has_a_name_and_one_size(given: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        VirtualCluster(**{"name": "a", **given})


def test_what_would_tie_two_of_them_is_refused() -> None:
    with pytest.raises(ConfigError, match="job '1' of virtual cluster 'b' depends on '0' of 'a'"):
        starts(jobs("a", "b", depends_on=[None, ["0"]]), A, B)
    arrays = {"array": ["x", "x"], "array_limit": [1, 1]}
    with pytest.raises(ConfigError, match="the array 'x', which has a limit, has tasks in virtual clusters 'a' and"):
        starts(jobs("a", "b", **arrays), A, B)


def test_the_limit_of_an_array_holds_though_only_a_job_of_none_states_it() -> None:
    given = jobs("else", "a", "a", array=["x"] * 3, array_limit=[1, None, None])
    assert starts(given, A, B) == [None, 0, 10]


def test_each_may_have_a_policy_of_its_own() -> None:
    given = workload(*((0, 10 - row, 4, {"tenant": name}) for row, name in enumerate("aabb")))
    parts = [VirtualCluster(name="a", nodes=("0",)), VirtualCluster(name="b", nodes=("3",), policy="sjf")]
    assert starts(given, *parts) == [0, 10, 7, 0]


def test_a_job_too_large_for_its_own_is_rejected_though_the_cluster_could_hold_it() -> None:
    given = workload((0, 10, 24, {"tenant": "a"}), (0, 10, 4, {"tenant": "b"}))
    record = schedule_apart(given, SITE, Policy(), virtual_clusters=[A, B])
    assert record.reject_reasons[record.reject_reason[0]] == "asks for more GPUs than its virtual cluster has"


def test_a_problem_of_one_names_it() -> None:
    given = jobs("a", "b")
    odd = VirtualCluster(name="b", nodes=("3",), policy=Policy(placement="topology-block", block_level="pod"))
    with pytest.raises(ConfigError, match="virtual cluster 'b': "):
        schedule_apart(given, SITE, Policy(), virtual_clusters=[A, odd])


def test_the_cells_of_the_whole_cluster_are_not_handed_down() -> None:
    celled = Policy(backfill="fit", cells={"levels": ["rack"], "owners": {"a": {"rack": 1}}})
    with pytest.raises(ConfigError, match="virtual cluster 'b' has a part of it"):
        divide(jobs("a", "b"), racked(), celled, [VirtualCluster(name="a", nodes=("0-1",), policy="fifo"), B])


class Decides:
    """Starts nobody."""

    def decide(self, state: object) -> list[int]:
        return []


def test_code_that_decides_is_not_asked_about_several_clusters() -> None:
    with pytest.raises(ConfigError, match="would be asked about several clusters"):
        gy.simulate(jobs("a"), SITE, policy=Decides(), virtual_clusters=[A])


TRACE = "job_id,submit_time,runtime,gpus,tenant\n" + "".join(
    f"j{row},{row},{20 + row},{1 + row % 4},{'red' if row % 3 else 'blue'}\n" for row in range(30)
)
FILE = """
[workload]
trace = "jobs.csv"
[cluster]
nodes = 4
gpus_per_node = 4
nodes_per_rack = 2
[policy]
name = "easy"
placement = "packed"
[[virtual_cluster]]
name = "red"
nodes = "rack 1"
[[virtual_cluster]]
name = "blue"
gpus = 4
[virtual_cluster.policy]
order = "sjf"
"""


def written(folder: Path) -> Path:
    (folder / "jobs.csv").write_text(TRACE, encoding="utf-8")
    path = folder / "lab.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_a_file_says_the_nodes_and_what_is_its_own_of_the_policy(tmp_path: Path) -> None:
    red, blue = load(written(tmp_path)).resolve().virtual_clusters
    assert (red.nodes, red.policy, blue.gpus) == (("rack 1",), None, 4)
    assert blue.own_policy is not None
    assert (blue.own_policy.order, blue.own_policy.backfill, blue.own_policy.placement) == ("sjf", "easy", "packed")


def test_a_saved_run_has_its_virtual_clusters_and_runs_again(tmp_path: Path) -> None:
    first = run(load(written(tmp_path)))
    first.save(tmp_path / "out")
    again = run(load(tmp_path / "out"))
    assert again.digest == first.digest
    assert again.summary()["by_virtual_cluster"] == first.summary()["by_virtual_cluster"]


def test_results_say_per_virtual_cluster_what_it_waited_and_how_full_it_was(tmp_path: Path) -> None:
    result = run(load(written(tmp_path)))
    blocks = result.summary()["by_virtual_cluster"]
    assert list(blocks) == ["red", "blue"]
    assert (blocks["red"]["nodes"], blocks["red"]["gpus"], blocks["blue"]["gpus"]) == (2, 8, 4)
    assert (blocks["red"]["policy"], blocks["blue"]["policy"]) == ("easy", "sjf+easy")
    assert blocks["red"]["jobs"]["submitted"] == 20
    length = result.summary()["window"]["end_s"] - result.summary()["window"]["start_s"]
    for name, gpus in (("red", 8), ("blue", 4)):
        mine = [row for row in result.jobs.to_pylist() if row["virtual_cluster"] == name]
        assert blocks[name]["wait_s"]["mean"] == pytest.approx(np.mean([row["wait_time"] for row in mine]))
        held = sum(row["gpu_time"] for row in mine)
        assert blocks[name]["gpu"]["allocation_rate"] == pytest.approx(held / gpus / length)
        waited = sum(row["wait_time"] for row in mine)
        assert blocks[name]["queue"]["mean_jobs"] == pytest.approx(waited / length)


def test_the_report_has_a_table_by_virtual_cluster(tmp_path: Path) -> None:
    grid = next(each for each in group_grids(run(load(written(tmp_path)))) if each.caption == "By virtual cluster")
    labels = [column.label for column in grid.columns]
    assert labels[:4] == ["Virtual cluster", "GPUs", "Policy", "Allocation rate"]
    assert {row[0]: row[1:3] for row in grid.rows} == {"red": ("8", "easy"), "blue": ("4", "sjf+easy")}


def test_a_run_without_virtual_clusters_says_nothing_of_them() -> None:
    result = gy.simulate(jobs("a", "b"), SITE)
    assert result.summary()["by_virtual_cluster"] is None
    assert result.jobs["virtual_cluster"].null_count == 2
    assert all(each.caption != "By virtual cluster" for each in group_grids(result))


REDS = np.array([row % 3 > 0 for row in range(30)])


def test_an_explanation_is_told_of_the_queue_and_the_nodes_of_its_own(tmp_path: Path) -> None:
    result = run(load(written(tmp_path)))
    reds = load(written(tmp_path)).read_workload()[0].where(REDS, "red")
    rack = gy.Cluster.uniform(nodes=2, gpus_per_node=4, nodes_per_rack=2)
    alone = gy.simulate(reds, rack, policy="easy", placement="packed")
    assert alone.jobs["start_time"].to_pylist() == [
        row["start_time"] for row in result.jobs.to_pylist() if row["virtual_cluster"] == "red"
    ]
    told = 0
    for job in alone.jobs["job_id"].to_pylist():
        story = gy.explain(result, job)
        other = gy.explain(alone, job, workload=reds, cluster=rack)
        assert story.virtual_cluster == "red"
        assert [(each.start, each.end, each.reason) for each in story.stretches] == [
            (each.start, each.end, each.reason) for each in other.stretches
        ]
        assert story.placed is not None
        assert other.placed is not None
        assert [int(name.rsplit("-", 1)[1]) for name in story.placed.nodes] == [
            2 + int(name.rsplit("-", 1)[1]) for name in other.placed.nodes
        ]
        assert story.placed.candidates == other.placed.candidates
        if story.placed.domain is not None:
            assert (story.placed.level, story.placed.domain) == ("rack", 1)
        told += len(story.stretches)
    assert told > 20
    assert "Virtual cluster: red." in str(story)


def test_a_job_that_runs_when_the_simulation_begins_waits_for_nobody() -> None:
    given = workload(
        (0, 1, 1, {"partition": "elsewhere"}),
        (0, 5, 1, {"partition": "a", "start_time": 1.0, "depends_on": ["0"]}),
    )
    parts = [VirtualCluster(name="a", nodes=(0,))]
    record = schedule_apart(given, cluster(1), Policy(), virtual_clusters=parts, begin=2.0)
    assert record.end.tolist() == [NEVER, 6_000_000]


def test_a_virtual_cluster_without_jobs_is_suspected_where_a_near_name_is_in_none() -> None:
    rows = ((0, 10, 1, {"tenant": "steel"}), (0, 10, 1, {"tenant": "steel"}), (0, 10, 1, {"tenant": "bio"}))

    def warned(*names: str) -> list[str]:
        parts = [VirtualCluster(name=name, nodes=(str(place),)) for place, name in enumerate(names)]
        result = gy.simulate(workload(*rows), cluster(1, 1), virtual_clusters=parts)
        return [each for each in result.numbers.get("warnings", ()) if "virtual cluster" in each]

    assert warned("steal", "bio") == ["No job belongs to the virtual cluster 'steal', and 2 jobs of 'steel' to none."]
    assert warned("steel", "battery") == []
