"""Simulations of public traces against facts that do not come from us.

Counts and totals are those of the traces' README or of a plain reading of the file with the csv module; whether a
schedule is possible at all is recomputed here from its attempts alone.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

import gpuyard as gy
from gpuyard.cli import main
from gpuyard.dividing import schedule_apart
from gpuyard.energy import account
from gpuyard.metrics.fidelity import oversubscribed_block
from gpuyard.policy import named_policy
from gpuyard.preemption import Preemption
from gpuyard.record import Outcome, Record
from gpuyard.simulation import schedule
from gpuyard.traces import ReadOptions, read
from gpuyard.workload import MICROSECOND, Workload
from shown import ROOT, blocks, matches, run, sessions, with_commands

TRACES = Path(os.environ.get("GPUYARD_TRACES", ROOT / "../shared/traces")).resolve()
CURIE = "cea_curie_hybrid_2012/curie_hybrid_partition.csv"
HPC2N = "parallel_workloads_archive/HPC2N-2002-2.1-cln.swf.gz"
KTH = "parallel_workloads_archive/KTH-SP2-1996-2.swf"
OPENB = "alibaba_openb_2023/openb_pod_list_default.csv"
OPENB_NODES = "alibaba_openb_2023/openb_node_list_all_node.csv"
OPENB_TYPED = "alibaba_openb_2023/openb_pod_list_gpuspec33.csv"
PHILLY = "microsoft_philly_2017/philly.csv"
PHILLY_VCS = "microsoft_philly_2017/philly_vc.csv"
SUPERCLOUD = "mit_supercloud_2021/slurm-log-queueing-clean.csv"
SECOND = MICROSECOND

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not TRACES.is_dir(), reason="the public traces are not here; set GPUYARD_TRACES to their folder"
    ),
    pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="whole traces are long without compilation"),
]


def file(name: str) -> Path:
    path = TRACES / name
    if not path.exists():
        pytest.skip(f"{name} is not among the traces")
    return path


@cache
def jobs(name: str, rule: str = "processor:1") -> Workload:
    return Workload.from_trace(read(file(name), options=ReadOptions(gpu_rule=rule)))


@cache
def plain(name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file as they stand."""
    with file(name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def swf(name: str) -> NDArray[np.int64]:
    """Return (wait, run, processors allocated, time requested) of every line of an SWF log."""
    path = file(name)
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8") as stream:
        lines = [line.split() for line in stream if line.strip() and not line.startswith(";")]
    return np.array([[fields[at] for at in (2, 3, 4, 8)] for fields in lines]).astype(np.int64)


@cache
def run_on(name: str, site: str, policy: str = "fifo", rule: str = "processor:1", **changes: object) -> Record:
    """Return the schedule of a trace on NODESxGPUS."""
    cluster = gy.Cluster.parse(site)
    return schedule(jobs(name, rule), cluster, named_policy(policy, **changes))


def beyond_capacity(record: Record) -> dict[str, object]:
    drawn = account(record)
    block = oversubscribed_block(record, drawn.holdings, drawn.start, drawn.stop)
    assert block is not None
    return block


# -- what a schedule must be, from its attempts alone ---------------------------------------------------


def running(changes: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64], *keys: NDArray[np.int64]):
    """Return the sums, after each start and end, of what is held under each key; ends come first at one instant."""
    moments, signed = np.concatenate([ends, starts]), np.concatenate([-changes, changes])
    kind = np.repeat([0, 1], starts.size)
    order = np.lexsort((kind, moments, *(np.tile(key, 2) for key in keys)))
    return np.cumsum(signed[order])


def most_held(record: Record) -> int:
    """Return the most GPUs held at one instant."""
    sizes = np.add.reduceat(record.slot_gpus, record.slot_offset[:-1]).astype(np.int64)
    return int(running(sizes, record.attempt_start, record.attempt_end).max())


def assert_possible(record: Record) -> None:
    """Nothing starts early, runs shorter or longer, holds other than it asked, or is held twice."""
    workload, job = record.workload, record.attempt_job
    accepted = record.outcome != Outcome.REJECTED
    assert np.array_equal(np.sort(job), np.flatnonzero(accepted))  # each job once
    assert np.all(record.attempt_start >= workload.submit[job])
    limits = workload.time_limit if record.policy.on_limit == "kill" else np.full(len(workload), np.iinfo(np.int64).max)
    assert np.array_equal(record.attempt_end - record.attempt_start, np.minimum(workload.runtime, limits)[job])
    slots = np.diff(record.slot_offset)
    assert slots.min() >= 1
    held = np.zeros(job.size, np.int64)
    attempt = np.repeat(np.arange(job.size), slots)
    np.add.at(held, attempt, record.slot_gpus)
    assert np.array_equal(held, workload.gpus[job])
    lasts = record.attempt_end[attempt] > record.attempt_start[attempt]
    attempt, node, gpus = attempt[lasts], record.slot_node[lasts].astype(np.int64), record.slot_gpus[lasts]
    sums = running(gpus.astype(np.int64), record.attempt_start[attempt], record.attempt_end[attempt], node)
    assert sums.min() >= 0
    assert sums.max() <= record.cluster.node_gpus.max()  # nodes are equal


SCHEDULES = [
    (CURIE, "144x8", "node:8:8"),
    (CURIE, "144x8", "processor:1"),
    (KTH, "100x1", "processor:1"),
    (HPC2N, "120x2", "processor:1"),
    (PHILLY, "120x8", "processor:1"),
]


@pytest.mark.parametrize("policy", ["fifo", "fifo-fit", "sjf"])
@pytest.mark.parametrize(("name", "site", "rule"), SCHEDULES, ids=["curie", "curie-shared", "kth", "hpc2n", "philly"])
def test_the_schedule_of_a_real_trace_is_possible(name: str, site: str, rule: str, policy: str) -> None:
    assert_possible(run_on(name, site, policy, rule))


@pytest.mark.parametrize("placement", ["first-fit", "worst-fit", "random", "packed"])
def test_the_schedule_is_possible_under_every_placement(placement: str) -> None:
    assert_possible(run_on(PHILLY, "120x8", "fifo-fit", placement=placement))


def test_strict_fifo_starts_a_real_trace_in_the_order_of_submission() -> None:
    for name, site in ((KTH, "100x1"), (HPC2N, "120x2")):
        assert np.all(np.diff(run_on(name, site, "fifo").start) >= 0)


def test_nobody_waits_for_a_free_processor_where_whatever_fits_may_start() -> None:
    record = run_on(KTH, "100x1", "fifo-fit")
    submit, gpus = record.workload.submit, record.workload.gpus
    moments = np.unique(np.concatenate([submit, record.start, record.end]))
    used = np.zeros(moments.size + 1, np.int64)
    np.add.at(used, np.searchsorted(moments, record.start), gpus)
    np.add.at(used, np.searchsorted(moments, record.end), -gpus)
    used = np.cumsum(used)
    first, last = np.searchsorted(moments, submit), np.searchsorted(moments, record.start)
    waited = np.flatnonzero(record.start > submit)
    assert waited.size > 10_000
    assert min(int(used[first[job] : last[job]].min()) + gpus[job] for job in waited) > 100


# -- Philly ---------------------------------------------------------------------------------------------


def held_s(record: Record) -> int:
    """Return the GPU-seconds that were held."""
    length = np.repeat(record.attempt_end - record.attempt_start, np.diff(record.slot_offset))
    return int((length // SECOND * record.slot_gpus).sum())


def held_us(record: Record) -> int:
    """Return the GPU-microseconds that were held."""
    length = np.repeat(record.attempt_end - record.attempt_start, np.diff(record.slot_offset))
    return int((length * record.slot_gpus).sum())


def unsized() -> set[str]:
    return {row["cluster"] for row in plain(PHILLY)} - {row["vc"] for row in plain(PHILLY_VCS)}


@pytest.mark.parametrize("policy", ["fifo", "fifo-fit", "sjf", "smallest"])
def test_philly_as_one_pool_runs_every_job_and_holds_the_files_own_gpu_time(policy: str) -> None:
    record = run_on(PHILLY, "352x8", policy)
    assert Counter(record.outcome.tolist()) == {Outcome.COMPLETED: 82_247}
    assert held_s(record) == sum(round(float(row["gpu_time"])) for row in plain(PHILLY))
    assert round(held_s(record) / 3600) == 978_078


@pytest.mark.parametrize("rule", ["srtf", "las", "2d-las"])
def test_philly_on_80_nodes_repeats_nothing_but_restarts_when_jobs_make_room(rule: str) -> None:
    record = run_on(PHILLY, "80x8", "fifo-fit", preemption=Preemption(rule=rule, restart_cost=62.0))
    work = sum(round(float(row["gpu_time"])) for row in plain(PHILLY))
    assert Counter(record.outcome.tolist()) == {Outcome.COMPLETED: 82_247}
    later = np.ones(record.attempt_job.size, np.bool_)
    later[np.unique(record.attempt_job, return_index=True)[1]] = False
    restarts = np.minimum(record.attempt_end - record.attempt_start, 62 * SECOND)[later]
    assert record.attempt_useful is not None
    useful = np.bincount(record.attempt_job, record.attempt_useful, 82_247)
    assert np.array_equal(useful, record.workload.runtime)
    gpus = record.workload.gpus[record.attempt_job]
    assert held_us(record) == work * SECOND + int((restarts * gpus[later]).sum())
    assert later.sum() > 9_000


def test_each_virtual_cluster_alone_runs_its_jobs_and_holds_its_gpu_time() -> None:
    whole, sizes = jobs(PHILLY), {row["vc"]: int(row["node num"]) for row in plain(PHILLY_VCS)}
    assert (len(sizes), sum(sizes.values())) == (11, 352)
    tenant = np.array(whole.table["tenant"].to_pylist())
    for name, nodes in sizes.items():
        rows = [row for row in plain(PHILLY) if row["cluster"] == name]
        cluster = gy.Cluster.uniform(nodes=nodes, gpus_per_node=8)
        record = schedule(whole.where(tenant == name, name), cluster, named_policy("fifo"))
        assert_possible(record)
        assert len(record.workload) == len(rows)
        assert held_s(record) == sum(round(float(row["gpu_time"])) for row in rows)


@pytest.mark.parametrize("policy", ["fifo-fit", "easy", "las"])
def test_one_run_with_virtual_clusters_is_each_of_them_alone(policy: str) -> None:
    whole, sizes = jobs(PHILLY), {row["vc"]: int(row["node num"]) for row in plain(PHILLY_VCS)}
    parts = [gy.VirtualCluster(name=name, gpus=8 * nodes) for name, nodes in sizes.items()]
    site = gy.Cluster.uniform(nodes=sum(sizes.values()), gpus_per_node=8)
    record = schedule_apart(whole, site, named_policy(policy), virtual_clusters=parts)
    tenant, first = np.array(whole.table["tenant"].to_pylist()), 0
    assert (record.outcome == Outcome.REJECTED).sum() == np.isin(tenant, list(unsized())).sum() == 18
    for name, nodes in sizes.items():
        cluster = gy.Cluster.uniform(nodes=nodes, gpus_per_node=8)
        alone = schedule(whole.where(tenant == name, name), cluster, named_policy(policy))
        mine = np.flatnonzero(tenant == name)
        assert np.array_equal(record.start[mine], alone.start)
        assert np.array_equal(record.end[mine], alone.end)
        slots = np.isin(np.repeat(record.attempt_job, np.diff(record.slot_offset)), mine)
        assert np.array_equal(record.slot_node[slots], first + alone.slot_node)
        first += nodes


def test_the_four_virtual_clusters_of_unknown_size_are_18_jobs_and_run_in_the_pool() -> None:
    names = unsized()
    assert names == {"23dbec", "51b7ef", "795a4c", "925e2b"}
    assert sum(row["cluster"] in names for row in plain(PHILLY)) == 18
    record = run_on(PHILLY, "352x8", "fifo")
    theirs = np.isin(record.workload.table["tenant"].to_pylist(), list(names))
    assert theirs.sum() == 18
    assert set(record.outcome[theirs].tolist()) == {Outcome.COMPLETED}


def test_a_virtual_cluster_is_chosen_by_its_name_whether_or_not_its_size_is_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["run", "--trace", str(file(PHILLY)), "--cluster", "8x8", "--json", "--no-progress"]
    assert main([*words, "--tenant", "ed69ec"]) == 0
    assert json.loads(capsys.readouterr().out)["jobs"]["submitted"] == 1_137
    assert main([*words, *(word for name in sorted(unsized()) for word in ("--tenant", name))]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["jobs"]["submitted"], summary["jobs"]["completed"]) == (18, 18)
    assert set(summary["by_tenant"]) == unsized()


# -- Curie ----------------------------------------------------------------------------------------------


def test_curie_replays_into_exactly_1152_processors_and_144_whole_nodes() -> None:
    shared = run_on(CURIE, "144x8", replay="recorded")
    whole = run_on(CURIE, "144x8", rule="node:8:8", replay="recorded")
    nodes = run_on(CURIE, "144x1", rule="node:1:8", replay="recorded")
    assert (most_held(shared), most_held(whole), most_held(nodes)) == (1_152, 1_152, 144)
    for record in (shared, whole, nodes):
        assert len(record.attempt_job) == 13_408
        assert beyond_capacity(record)["attempts"] == 0
        rows = [row for row in plain(CURIE) if int(row["run_s"]) > 0 and int(row["procs_alloc"]) > 0]
        starts = sorted((int(row["submit_s"]) + int(row["wait_s"])) * SECOND for row in rows)
        assert record.attempt_start.tolist() == starts
    held = held_s(whole) / (144 * 8 * (whole.end[whole.outcome != Outcome.REJECTED].max() - whole.workload.submit[0]))
    assert round(held * SECOND, 3) == 0.223  # node-time used over the span, by the README


def test_of_curies_jobs_those_that_never_ran_are_rejected_and_say_so() -> None:
    record = run_on(CURIE, "144x8", rule="node:8:8")
    reasons = Counter(record.reject_reasons[number] for number in record.reject_reason.tolist())
    assert reasons == {
        "": 13_408,
        "no run time in the record": 851,
        "asks for no GPU, and for no CPU that the cluster knows of": 1,  # its processors are not recorded
    }
    assert Counter(record.outcome.tolist())[Outcome.TIMED_OUT] == 243  # ran past their walltime request
    ignored = run_on(CURIE, "144x8", rule="node:8:8", on_limit="ignore")
    ran = [row for row in plain(CURIE) if int(row["run_s"]) > 0 and int(row["procs_alloc"]) > 0]
    assert held_s(ignored) == sum(-(-int(row["procs_alloc"]) // 8) * 8 * int(row["run_s"]) for row in ran)


def test_a_recorded_replay_waits_as_recorded() -> None:
    result = gy.simulate(jobs(CURIE, "node:8:8"), gy.Cluster.parse("144x8"), replay="recorded")
    block = result.summary()["recorded"]
    waits = [int(row["wait_s"]) for row in plain(CURIE) if int(row["run_s"]) > 0 and int(row["procs_alloc"]) > 0]
    assert block["jobs"] == 13_408
    assert block["simulated_wait_s"]["mean"] == pytest.approx(np.mean(waits), rel=1e-12)
    assert block["simulated_wait_s"]["p99"] == pytest.approx(np.percentile(waits, 99), rel=1e-12)
    assert block["mean_absolute_error_s"] == 0
    energy = result.summary()["energy"]
    parts = ("jobs_kwh", "held_idle_kwh", "idle_kwh", "switches_kwh", "other_kwh")
    assert sum(energy[part] for part in parts) == pytest.approx(energy["it_kwh"], rel=1e-9)
    assert energy["it_kwh"] + energy["overhead_kwh"] == pytest.approx(energy["facility_kwh"], rel=1e-9)


# -- KTH and HPC2N --------------------------------------------------------------------------------------


def test_kth_held_104_of_its_100_nodes_and_that_is_reported() -> None:
    found = beyond_capacity(run_on(KTH, "100x1", replay="recorded"))
    assert found["peak_gpus_above_capacity"] == 4
    assert found["attempts"] > 0
    roomy = run_on(KTH, "104x1", replay="recorded")
    assert beyond_capacity(roomy)["attempts"] == 0
    assert most_held(roomy) == 104


@pytest.mark.parametrize(("name", "site"), [(KTH, "100x1"), (HPC2N, "120x2")])
def test_a_log_is_worked_off_to_the_second(name: str, site: str) -> None:
    _, length, processors, asked = swf(name).T
    kept = held_s(run_on(name, site, "fifo-fit", on_limit="ignore"))
    assert kept == int((length * processors).sum())
    killed = held_s(run_on(name, site, "fifo-fit"))
    assert killed == int((np.where(asked > 0, np.minimum(length, asked), length) * processors).sum())


def test_the_one_job_of_hpc2n_without_a_recorded_start_runs_but_is_not_replayed() -> None:
    assert (swf(HPC2N)[:, 0] == -1).sum() == 1
    replayed = run_on(HPC2N, "120x2", replay="recorded")
    assert Counter(replayed.outcome.tolist())[Outcome.REJECTED] == 1
    assert replayed.reject_reasons[replayed.reject_reason.max()] == "no recorded start to replay"
    assert Counter(run_on(HPC2N, "120x2", "fifo-fit").outcome.tolist())[Outcome.REJECTED] == 0


# -- openb ----------------------------------------------------------------------------------------------


@cache
def openb(name: str, every: int = 1) -> tuple[Record, list[dict[str, str]]]:
    """Return the run on every so-manyth node of openb's list, and these nodes in the order of the cluster."""
    path = file(OPENB_NODES)
    rows = plain(OPENB_NODES)[::every]
    cluster = gy.Cluster.from_csv(path)
    if every > 1:
        cluster = thinned(cluster, {row["sn"] for row in rows})
    listed = {row["sn"]: row for row in rows}
    return schedule(jobs(name), cluster, named_policy("fifo-fit")), [listed[node] for node in cluster.node_names]


def thinned(cluster: gy.Cluster, names: set[str]) -> gy.Cluster:
    """Return a cluster of only these nodes."""
    from dataclasses import replace

    from gpuyard.topology.levels import Levels

    keep = np.isin(cluster.node_names, list(names))
    return replace(
        cluster,
        node_names=tuple(name for name in cluster.node_names if name in names),
        node_gpus=cluster.node_gpus[keep],
        node_kind=cluster.node_kind[keep],
        node_cpus=cluster.node_cpus[keep],
        node_memory_gib=cluster.node_memory_gib[keep],
        levels=Levels.flat(),
    )


def shares(record: Record) -> Iterator[tuple[int, dict[str, str], int, int, int]]:
    """Yield (attempt, pod, node, GPUs on it, GPU) of every slot of an openb run."""
    pods = {row["name"]: row for row in plain(OPENB_TYPED)}
    names = record.workload.table["job_id"].to_pylist()
    for attempt, job in enumerate(record.attempt_job.tolist()):
        for slot in range(record.slot_offset[attempt], record.slot_offset[attempt + 1]):
            yield (
                attempt, pods[names[job]],
                int(record.slot_node[slot]), int(record.slot_gpus[slot]), int(record.slot_gpu[slot]),
            )  # fmt: skip


def test_openbs_nodes_hold_its_pods_at_once_and_nobody_waits() -> None:
    record, nodes = openb(OPENB)
    assert (len(nodes), record.cluster.gpus) == (1_523, 6_212)
    assert Counter(record.outcome.tolist())[Outcome.REJECTED] == 897  # the pending ones
    assert np.array_equal(record.attempt_start, record.workload.submit[record.attempt_job])
    delays = [
        float(row["scheduled_time"]) - float(row["creation_time"]) for row in plain(OPENB) if row["scheduled_time"]
    ]
    assert (len(delays), round(np.mean(delays)), np.median(delays)) == (7_255, 61, 2)


def test_the_one_pod_too_large_for_its_gpu_type_is_rejected() -> None:
    record, nodes = openb(OPENB_TYPED)
    misfit = [
        record.workload.table["job_id"][job].as_py()
        for job in np.flatnonzero(record.outcome == Outcome.REJECTED).tolist()
        if record.reject_reasons[record.reject_reason[job]] != "no run time in the record"
    ]
    assert misfit == ["openb-pod-1639"]
    pod = next(row for row in plain(OPENB_TYPED) if row["name"] == misfit[0])
    assert pod["gpu_spec"] == "G2"
    assert max(int(node["cpu_milli"]) for node in nodes if node["model"] == "G2") < int(pod["cpu_milli"])


@pytest.mark.parametrize("every", [1, 60])
def test_openbs_pods_get_the_gpu_types_cpus_memory_and_shares_that_their_nodes_have(every: int) -> None:
    record, nodes = openb(OPENB_TYPED, every)
    waited = record.attempt_start > record.workload.submit[record.attempt_job]
    assert waited.any() == (every == 60)
    rows = list(shares(record))
    for _, pod, node, gpus, _ in rows:
        assert not gpus or not pod["gpu_spec"] or nodes[node]["model"] in pod["gpu_spec"].split("|")
    attempt = np.array([row[0] for row in rows])
    lasts = record.attempt_end[attempt] > record.attempt_start[attempt]
    start, end = record.attempt_start[attempt][lasts], record.attempt_end[attempt][lasts]
    node = np.array([row[2] for row in rows])[lasts]
    for column, per_node in (("cpu_milli", "cpu_milli"), ("memory_mib", "memory_mib")):
        part = np.array([int(pod[column]) * (gpus / int(pod["num_gpu"]) if gpus else 1) for _, pod, _, gpus, _ in rows])
        used = running(part[lasts].astype(np.int64), start, end, node)
        _within(used, node, np.array([int(each[per_node]) for each in nodes]), start, end)
    milli = np.array([int(pod["gpu_milli"]) * gpus for _, pod, _, gpus, _ in rows])[lasts]
    _within(running(milli, start, end, node), node, np.array([int(each["gpu"]) * 1000 for each in nodes]), start, end)
    single = np.array([pod["num_gpu"] == "1" for _, pod, *_ in rows])[lasts]
    gpu = np.array([row[4] for row in rows])[lasts]
    assert gpu[single].min() >= 0
    assert running(milli[single], start[single], end[single], gpu[single], node[single]).max() <= 1000


def _within(
    used: NDArray[np.int64],
    node: NDArray[np.int64],
    capacity: NDArray[np.int64],
    start: NDArray[np.int64],
    end: NDArray[np.int64],
) -> None:
    """Assert that no node ever holds more than its capacity; ``used`` is in the order of :func:`running`."""
    kind = np.repeat([0, 1], start.size)
    both = np.tile(node, 2)
    order = np.lexsort((kind, np.concatenate([end, start]), both))
    assert np.all(used <= capacity[both[order]])


# -- MIT SuperCloud, and the page -----------------------------------------------------------------------


def test_the_supercloud_sample_is_validated(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["validate", str(file(SUPERCLOUD)), "--json", "--no-progress"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows_in"], found["jobs"], found["rejected"]) == (9_628, 9_628, {})
    assert sum(count for size, count in found["sizes"].items() if size != "0") == 2_401
    assert "past_limit" in {finding["code"] for finding in found["findings"]}
    assert main([*words, "--strict"]) == 1  # 817 jobs ran past their limit: doubtful, so a strict reader stops


COMMANDS = [
    pytest.param(command, expected, id=" ".join(command.split()[:2]) + f" {number}")
    for number, (command, expected) in enumerate(
        session for kind, body in blocks("docs/validation.md") if kind == "console" for session in sessions(body)
    )
]


@pytest.mark.parametrize(("command", "expected"), COMMANDS)
def test_the_page_on_validation_shows_what_is_printed_now(command: str, expected: str, tmp_path: Path) -> None:
    for name in (CURIE, HPC2N, KTH, OPENB, OPENB_NODES, OPENB_TYPED, PHILLY, PHILLY_VCS, SUPERCLOUD):
        if f"../shared/traces/{name}" in command:
            file(name)
    done = run(command.replace("../shared/traces", str(TRACES)), ROOT, with_commands(tmp_path))
    assert done.returncode == 0, done.stderr
    assert matches(expected, done.stdout), f"$ {command}\n{done.stdout}"
