"""Engine against reference: virtual clusters, and what they are against separate runs and against GPU types."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from conftest import cluster
from gpuyard.cluster import Cluster
from gpuyard.dividing import schedule_apart
from gpuyard.errors import ConfigError
from gpuyard.policy import Policy
from gpuyard.record import Record
from gpuyard.simulation import schedule
from gpuyard.virtual_clusters import VirtualCluster, divide
from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES, story, told, without_gpu_numbers
from oracle.test_commissioning import commissionings
from oracle.test_constraints import in_arrays, recorded, windows
from oracle.test_schedules import checked
from reference import RULES, Fate, simulate
from strategies import (
    VARIANTS,
    clusters,
    crowded_sites,
    crowded_workloads,
    fair_policies,
    policies,
    preemptive_policies,
    ranked,
)

NAMES = ("a", "b", "c")


@st.composite
def divided(
    draw: st.DrawFn, site: Cluster, jobs: Workload, columns: Sequence[str] = ("tenant", "partition")
) -> tuple[Workload, list[VirtualCluster]]:
    """Cut a site into up to three virtual clusters, and say which jobs they have; some may be left over.

    Whose a job is stands in one of the columns, which are made anew.
    """
    owner = [draw(st.sampled_from([*NAMES[: draw(st.integers(1, 3))], NAMES[0], ""])) for _ in range(site.nodes)]
    assume(any(owner))
    names = sorted({each for each in owner if each})
    rows = jobs.table.to_pylist()
    column = draw(st.sampled_from(columns))
    for number, row in enumerate(rows):
        row[column] = names[0] if number == 0 else draw(st.sampled_from([*names, *names, *names, "else", None]))
    kin = {row["job_id"]: row[column] for row in rows}
    arrays: dict[object, str] = {}
    for row in rows:
        row["depends_on"] = [
            one for one in row["depends_on"] or () if kin[one] not in names or kin[one] == row[column]
        ] or None
        if row["array"] is not None and row[column] in names:
            key = (row["array"], row["user"])
            if arrays.setdefault(key, row[column]) != row[column]:
                row["array"], row["array_limit"] = None, None
    sized = draw(st.sampled_from(["nodes", "nodes", "gpus", "share"]))
    found = []
    for name in names:
        mine = [node for node, each in enumerate(owner) if each == name]
        size: dict[str, object] = {"nodes": tuple(mine)}
        if sized == "gpus" and name == names[-1] and owner.count("") == 0:
            size = {"gpus": int(site.node_gpus[mine].sum()) or 1}
        elif sized == "share" and name == names[-1] and owner.count("") == 0:
            size = {"share": draw(st.sampled_from([0.3, 0.5, 0.7]))}
        is_named = name in kin.values() and (column == "user" or draw(st.booleans()))
        whom = {f"{column}s": (name,)} if is_named else {}
        found.append(VirtualCluster(name=name, **size, **whom))
    jobs = Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))
    try:
        divide(jobs, site, Policy(), found)
    except ConfigError as problem:
        assume(not re.search("gets none|are left", str(problem)))
        raise
    return jobs, found


def same(
    jobs: Workload,
    site: Cluster,
    policy: Policy,
    parts: Sequence[VirtualCluster],
    run_seed: int,
    until: float | None,
    **more: object,
) -> Record:
    """Assert that both simulators tell the same story; GPU numbers count where the virtual cluster shares GPUs."""
    record = schedule_apart(jobs, site, policy, virtual_clusters=parts, seed=run_seed, until=until, **more)
    expected = simulate(jobs, site, policy, seed=run_seed, until=until, virtual_clusters=parts, **more)
    found = attempted(record)
    assert found == [plainly(one, other) for one, other in zip(expected, found, strict=True)], (
        f"{parts} {more or ''}\n{story(record.workload, site, policy, found, expected)}"
    )
    return record


def attempted(record: Record) -> list[Fate]:
    """Return the record in the reference's words; attempts are told of jobs whose own policy preempts."""
    if record.attempt_cause is None:
        return told(replace(record, policy=Policy()))
    preempts = record.by_policy(lambda own: bool(own.preemption)) & (record.division.member >= 0)
    fates = told(replace(record, policy=Policy(preemption="srtf")))
    return [fate if known else replace(fate, attempts=[]) for fate, known in zip(fates, preempts, strict=True)]


def plainly(expected: Fate, found: Fate) -> Fate:
    """Leave out GPU numbers of the reference where the engine keeps none."""
    kept = any(gpu != -1 for _, gpus, gpu in found.slots if gpus)
    return expected if kept else without_gpu_numbers(expected)


def until_at(data: st.DataObject, scale: float) -> float | None:
    return data.draw(st.none() | st.none() | st.integers(0, 20).map(lambda at: at * scale), label="until")


@pytest.mark.parametrize("order", ["fifo", "sjf", "random", "wfp", "multifactor"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_virtual_clusters_have_the_schedule_of_the_reference(variant, order):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 1e-6]), label="scale")
        site = data.draw(st.one_of(crowded_sites(), clusters(6)), label="cluster")
        jobs = data.draw(crowded_workloads(site, scale))
        if data.draw(st.booleans()):
            jobs = data.draw(in_arrays(jobs))
        jobs, parts = data.draw(divided(site, jobs), label="virtual clusters")
        policy = data.draw(policies(scale=scale, variant=variant, order=order), label="policy")
        same(jobs, site, policy, parts, data.draw(st.integers(0, 3), label="seed"), until_at(data, scale))

    checked(f"virtual clusters {variant} {order}", EXAMPLES, check)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_beginning_and_windows_over_virtual_clusters_are_those_of_the_reference(variant):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 1e-6]), label="scale")
        site = data.draw(st.one_of(crowded_sites(), clusters(6)), label="cluster")
        jobs = data.draw(crowded_workloads(site, scale))
        rows = jobs.table.to_pylist()
        for number, row in enumerate(rows):
            row["user"] = "ann" if number == 0 else data.draw(st.sampled_from([None, "ann", "bob"]))
            row["tenant"] = "blue" if number == 0 else None
        jobs = Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))
        more: dict[str, object] = {}
        if data.draw(st.booleans()):
            jobs, more["begin"] = data.draw(recorded(jobs, scale)), data.draw(st.integers(0, 5)) * scale
        jobs, parts = data.draw(divided(site, jobs), label="virtual clusters")
        if data.draw(st.booleans()):
            closed = data.draw(windows(site.nodes, scale), label="windows")
            more["windows"] = [replace(each, tenants=()) for each in closed]
            if data.draw(st.booleans()):
                node = data.draw(st.integers(0, site.nodes - 1))
                more["windows"].append(NodeWindow.commissioned((node,), data.draw(st.integers(0, 9)) * scale))
        policy = data.draw(policies(scale=scale, variant=variant), label="policy")
        until = data.draw(st.none() | st.none() | st.integers(5, 20).map(lambda at: at * scale), label="until")
        same(jobs, site, policy, parts, data.draw(st.integers(0, 3), label="seed"), until, **more)

    checked(f"virtual clusters with windows {variant}", EXAMPLES, check)


@pytest.mark.parametrize("rule", sorted(set(RULES) - {"reclaim"}))
def test_policies_of_their_own_are_those_of_the_reference(rule):
    def check(data: st.DataObject) -> None:
        site = data.draw(st.one_of(crowded_sites(), clusters(6)), label="cluster")
        jobs = data.draw(ranked(data.draw(crowded_workloads(site, 1))))
        more: dict[str, object] = {}
        if data.draw(st.booleans()):
            jobs, more["begin"] = data.draw(recorded(jobs, 1)), data.draw(st.integers(0, 5))
        if data.draw(st.booleans()):
            more["windows"] = data.draw(commissionings(site.nodes, 1), label="later")
        jobs, parts = data.draw(divided(site, jobs), label="virtual clusters")
        kinds = [preemptive_policies(rule), policies(), fair_policies(data.draw(st.sampled_from(VARIANTS)))]
        parts = [replace(each, policy=data.draw(st.none() | st.one_of(kinds))) for each in parts]
        policy = data.draw(st.one_of(kinds), label="policy")
        until = data.draw(st.none() | st.none() | st.integers(5, 20), label="until")
        same(jobs, site, policy, parts, data.draw(st.integers(0, 3), label="seed"), until, **more)

    checked(f"virtual clusters of their own policies {rule}", EXAMPLES, check)


@pytest.mark.parametrize("variant", VARIANTS)
def test_virtual_clusters_are_separate_runs_of_their_jobs(variant):
    """The engine itself, on a cluster made of the nodes and on the jobs alone; nothing drawn, nothing learned."""

    def check(data: st.DataObject) -> None:
        site = data.draw(st.one_of(crowded_sites(), clusters(6)), label="cluster")
        jobs, parts = data.draw(divided(site, data.draw(crowded_workloads(site, 1))), label="virtual clusters")
        given = policies(variant=variant, estimate=data.draw(st.sampled_from(["limit", "runtime"])))
        policy = data.draw(given.filter(lambda it: "random" not in (it.order, it.placement)), label="policy")
        whole = schedule_apart(jobs, site, policy, virtual_clusters=parts)
        for number, each in enumerate(parts):
            mine = whole.division.member == number
            assume(all(whole.division.member[list(rows)].min(initial=number) == number for rows in parents(jobs, mine)))
            if not mine.any():
                continue
            nodes = np.flatnonzero(whole.division.owner == number)
            alone = schedule(jobs.where(mine, each.name), site.part(nodes, each.name), policy)
            for name in ("eligible", "start", "end", "outcome"):
                assert getattr(alone, name).tolist() == getattr(whole, name)[mine].tolist(), name
            assert nodes[alone.slot_node].tolist() == slots_of(whole, mine)

    checked(f"virtual clusters are separate runs {variant}", EXAMPLES, check)


def parents(jobs: Workload, mine: np.ndarray) -> list[list[int]]:
    """Return the rows of the parents of each of these jobs."""
    row_of = {name: row for row, name in enumerate(jobs.table["job_id"].to_pylist())}
    named = jobs.table["depends_on"].to_pylist()
    return [[row_of[name] for name in named[row] or ()] for row in np.flatnonzero(mine)]


def slots_of(record: Record, mine: np.ndarray) -> list[int]:
    """Return the nodes of the slots of some jobs, in the order of attempts."""
    job = np.repeat(record.attempt_job, np.diff(record.slot_offset))
    return record.slot_node[mine[job]].tolist()


@pytest.mark.parametrize("order", ["fifo", "sjf", "largest", "wfp"])
def test_where_anyone_may_pass_they_are_gpu_types_of_one_cluster(order):
    """Under ``fit`` jobs that accept one type never touch those of another, so types do what virtual clusters do."""

    def check(data: st.DataObject) -> None:
        sizes = data.draw(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([4, 8])), min_size=1, max_size=5))
        site = cluster(*sizes)
        jobs = data.draw(crowded_workloads(site, 1, plain=True), label="jobs")
        names = sorted({name for name, _ in sizes})
        rows = [{**row, "gpu_type": data.draw(st.sampled_from(names))} for row in jobs.table.to_pylist()]
        rows = [{**row, "tenant": row["gpu_type"], "gpus": min(row["gpus"], 8)} for row in rows]
        jobs = Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))
        policy = Policy(order=order, backfill="fit", placement=data.draw(st.sampled_from(["best-fit", "first-fit"])))
        parts = [
            VirtualCluster(name=name, nodes=tuple(n for n, each in enumerate(sizes) if each[0] == name))
            for name in names
        ]
        typed, apart = schedule(jobs, site, policy), schedule_apart(jobs, site, policy, virtual_clusters=parts)
        assert typed.start.tolist() == apart.start.tolist()
        assert typed.slot_node.tolist() == apart.slot_node.tolist() or typed.start.size != np.unique(typed.start).size

    checked(f"virtual clusters are types {order}", EXAMPLES, check)
