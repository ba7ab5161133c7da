"""A run with disjoint partitions is the runs of each by itself; virtual clusters, which know no queues, say so too."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import strategies as st

from conftest import cluster
from gpuyard.cluster import Cluster
from gpuyard.dividing import schedule_apart
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.virtual_clusters import VirtualCluster
from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES, story, told, without_gpu_numbers
from oracle.test_schedules import checked
from strategies import crowded_workloads, policies, preemptions, ranked

ORDERS = ["fifo", "sjf", "ljf", "smallest", "largest", "smallest-area", "priority", "edf", "random", "multifactor"]
RULES = ["priority", "qos", "srtf", "srsf", "las", "2d-las", "time-slice"]
PLACEMENTS = ["first-fit", "best-fit", "worst-fit", "random", "packed"]
CONSTANT = {"age": 0, "max_age": 1.0, "size": 0, "priority": 1, "qos": 2, "partition": 0, "nice": 0.5}
"""Weights with which the scores of waiting jobs do not change with time."""


@st.composite
def apart(draw: st.DrawFn, site: Cluster, jobs: Workload) -> tuple[Workload, dict[str, tuple[int, ...]]]:
    """Cut a site into two or three, and give each job a part; what waits for each other is of one part."""
    names = "abc"[: draw(st.integers(2, 3))]
    owner = [*names, *(draw(st.sampled_from(names)) for _ in range(site.nodes - len(names)))]
    rows = jobs.table.to_pylist()
    for row in rows:
        row["partition"] = draw(st.sampled_from(names))
    kin = {row["job_id"]: row["partition"] for row in rows}
    for row in rows:
        row["depends_on"] = [one for one in row["depends_on"] or () if kin[one] == row["partition"]] or None
        row["array"] = row["array_limit"] = None
    jobs = Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))
    return jobs, {name: tuple(node for node, each in enumerate(owner) if each == name) for name in names}


def agree(data: st.DataObject, policy: Policy, scale: float) -> None:
    size = data.draw(st.sampled_from([1, 1, 2, 4]))
    site = cluster(*[size] * data.draw(st.integers(3, 6)))
    jobs = data.draw(ranked(data.draw(crowded_workloads(site, scale)), scale))
    jobs, parts = data.draw(apart(site, jobs), label="parts")
    until = data.draw(st.none() | st.none() | st.integers(5, 20).map(lambda at: at * scale), label="until")
    given = {"seed": data.draw(st.integers(0, 3), label="seed"), "until": until}
    windows = [NodeWindow.partition(name, nodes) for name, nodes in parts.items()]
    clusters = [VirtualCluster(name=name, nodes=nodes) for name, nodes in parts.items() if name in partitions_of(jobs)]
    together = told(schedule(jobs, site, policy, windows=windows, **given))
    divided = told(schedule_apart(jobs, site, policy, virtual_clusters=clusters, **given))
    found = [[without_gpu_numbers(fate) for fate in fates] for fates in (together, divided)]
    assert found[0] == found[1], f"{parts}\n{story(jobs, site, policy, *found)}"


def partitions_of(jobs: Workload) -> set[str]:
    return set(jobs.table["partition"].to_pylist())


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("variant", ["none", "fit", "easy-nodes"])
def test_disjoint_partitions_are_apart(variant, order):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 1e-6]), label="scale")
        fixed = {"order": order, "placement": data.draw(st.sampled_from(PLACEMENTS)), "estimate": "runtime"}
        policy = data.draw(policies(variant, scale, **fixed), label="policy")
        agree(data, replace(policy, weights=CONSTANT) if order == "multifactor" else policy, scale)

    checked(f"apart {variant} {order}", EXAMPLES, check)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("variant", ["none", "fit", "easy-nodes"])
def test_disjoint_partitions_are_apart_where_jobs_are_preempted(variant, rule):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 1e-6]), label="scale")
        own = rule in {"srtf", "srsf", "time-slice"}
        fixed = {"order": "fifo" if own else data.draw(st.sampled_from(["fifo", "sjf", "priority", "random"]))}
        fixed |= {"placement": data.draw(st.sampled_from(PLACEMENTS)), "estimate": "runtime"}
        policy = data.draw(
            policies(variant, scale, preemption=data.draw(preemptions(rule, scale)), **fixed), label="policy"
        )
        agree(data, policy, scale)

    checked(f"apart {variant} {rule}", EXAMPLES, check)
