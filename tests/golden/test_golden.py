"""Schedules that were once looked at and must not change unnoticed: digests of samples and of slices of real traces.

A digest that changes on purpose is written anew by ``GPUYARD_UPDATE_GOLDEN=1 pytest tests/golden``; the change
belongs in the changelog, because results of earlier versions are then no longer the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numba
import pytest

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.metrics.digests import schedule_digest
from gpuyard.policy import Policy
from gpuyard.preemption import Preemption
from gpuyard.simulation import schedule
from gpuyard.traces import ReadOptions, read
from gpuyard.workload import Workload

PROJECT = Path(__file__).parents[2]
TRACES = Path(os.environ.get("GPUYARD_TRACES", PROJECT / "../shared/traces"))
STORED = Path(__file__).with_name("digests.json")
UPDATE = os.environ.get("GPUYARD_UPDATE_GOLDEN", "") not in ("", "0")

POLICIES = {
    "fifo, best-fit": Policy(),
    "fifo-fit, packed": Policy(backfill="fit", placement="packed"),
    "sjf, worst-fit, ignore": Policy(order="sjf", placement="worst-fit", on_limit="ignore"),
    "smallest+fit, random": Policy(order="smallest", backfill="fit", placement="random"),
    "fifo-fit, first-fit, spread": Policy(backfill="fit", placement="first-fit", spread=True),
    "recorded": Policy(replay="recorded"),
    "easy, best-fit": Policy(backfill="easy"),
    "sjf+conservative, packed": Policy(order="sjf", backfill="conservative", placement="packed"),
    "multifactor+slurm, fair share": Policy(order="multifactor", backfill="slurm", weights={"fairshare": 1e4}),
    "multifactor+easy, fair tree": Policy(
        order="multifactor", backfill="easy", placement="worst-fit", fair_share="fair-tree", weights={"fairshare": 1e4}
    ),
    "srtf, restarts": Policy(backfill="fit", preemption=Preemption(rule="srtf", restart_cost=60.0)),
    "2d-las, checkpoints": Policy(
        backfill="fit", preemption=Preemption(rule="2d-las", thresholds=(600.0, 6000.0), checkpoint_interval=300.0)
    ),
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """The first jobs of a trace, or of no file at all, on a cluster that is small for them."""

    path: Path | None
    site: Callable[[], Cluster]
    rule: str = "processor:1"
    jobs: int = 5_000


def grid(nodes: int, gpus: int, nodes_per_rack: int = 4) -> Callable[[], Cluster]:
    return lambda: Cluster.uniform(nodes=nodes, gpus_per_node=gpus, nodes_per_rack=nodes_per_rack)


def some_of_openb() -> Cluster:
    """Every 60th node of the list, so that pods have to wait; 21 of these 26 nodes have GPUs."""
    nodes = Cluster.from_csv(TRACES / "alibaba_openb_2023/openb_node_list_all_node.csv")
    few = slice(None, None, 60)
    assert nodes.node_cpus is not None
    assert nodes.node_memory_gib is not None
    return cluster(
        *(
            (nodes.gpu_types[kind], gpus)
            for kind, gpus in zip(nodes.node_type[few], nodes.node_gpus[few].tolist(), strict=True)
        ),
        cpus=nodes.node_cpus[few].tolist(),
        memory=nodes.node_memory_gib[few].tolist(),
    )


def typed() -> Cluster:
    """Nine nodes of four types in racks of two."""
    return cluster(
        *[("H100", 8)] * 4, *[("H200", 8)] * 2, ("T4", 2), *[("V100M32", 8)] * 2,
        cpus=[64] * 4 + [96] * 2 + [16] + [96] * 2, memory=[512] * 4 + [900] * 2 + [64] + [800] * 2,
        levels=[[0, 0, 1, 1, 2, 2, 3, 4, 4]],
    )  # fmt: skip


def with_trays() -> Cluster:
    """Two nodes of 8 GPUs, and five trays of 4 in two racks that are NVLink domains."""
    racks = [0, 1, 2, 2, 2, 3, 3]
    return cluster(
        *[("H200", 8)] * 2, *[("GB200", 4)] * 5,
        cpus=[64] * 2 + [72] * 5, levels=[racks, [0, 0, 1, 1, 1, 1, 1]], level_names=["nvlink", "pod"],
    )  # fmt: skip


SAMPLES = PROJECT / "traces" / "samples"
CASES = {
    "counted jobs": Case(path=None, site=typed),
    "counted jobs on trays": Case(path=None, site=with_trays),
    "sample of Acme Kalos": Case(path=SAMPLES / "acme_kalos.csv", site=grid(8, 8)),
    "sample of Acme Seren": Case(path=SAMPLES / "acme_seren.csv", site=grid(32, 8)),
    "sample of Curie": Case(path=SAMPLES / "curie.csv", site=grid(8, 8), rule="node:8:8"),
    "sample of Helios": Case(path=SAMPLES / "helios_cluster_log.csv", site=grid(2, 8)),
    "sample of Philly": Case(path=SAMPLES / "philly.csv", site=grid(1, 8)),
    "sample of SuperCloud": Case(path=SAMPLES / "supercloud.csv", site=grid(2, 2)),
    "sample of SWF": Case(path=SAMPLES / "workload.swf", site=grid(8, 8)),
    "sample of Tiresias": Case(path=SAMPLES / "tiresias.csv", site=grid(2, 4)),
    "sample of native": Case(path=SAMPLES / "native.csv", site=typed),
    "sample of openb": Case(path=SAMPLES / "openb_pod_list.csv", site=typed),
    "Curie": Case(path=TRACES / "cea_curie_hybrid_2012/curie_hybrid_partition.csv", site=grid(144, 8), rule="node:8:8"),
    "KTH": Case(path=TRACES / "parallel_workloads_archive/KTH-SP2-1996-2.swf", site=grid(13, 8)),
    "Philly": Case(path=TRACES / "microsoft_philly_2017/philly.csv", site=grid(20, 8)),
    "openb": Case(path=TRACES / "alibaba_openb_2023/openb_pod_list_gpuspec33.csv", site=some_of_openb, jobs=10_000),
    "SuperCloud": Case(path=TRACES / "mit_supercloud_2021/slurm-log-queueing-clean.csv", site=grid(30, 2)),
    "Tiresias": Case(path=TRACES / "tiresias_testbed_2019/60_job.csv", site=grid(4, 4, 2)),
}


def counted() -> Workload:
    """Jobs by whole-number arithmetic, so that no file and no random generator has a part in them."""
    return workload(*(_counted(number) for number in range(600)))


def _counted(number: int) -> tuple[float, float, int, dict[str, object]]:
    gpus = (1, 2, 4, 8, 12, 16, 1, 3)[number * 31 % 8]
    runtime = number * 7919 % 997 + 1
    others: dict[str, object] = {
        "time_limit": float(runtime * (1 + number % 4) if number % 9 else runtime // 2 + 1),
        "start_time": float(number * 14 + number * 7 % 50),
        "cpus": float(gpus * (1 + number % 7)),
        "memory_gib": float(gpus * (number % 5) * 8),
    }
    if gpus == 1 and number % 3 == 0:
        others["gpu_milli"] = 100 + number * 13 % 900
    if number % 6 == 0:
        others["gpu_type"] = "H100|H200"
    return float(number * 14), float(runtime), gpus, others


def digests(case: Case) -> dict[str, str]:
    jobs = counted()
    if case.path is not None:
        jobs = Workload.from_trace(read(case.path, options=ReadOptions(gpu_rule=case.rule))).head(case.jobs)
    site = case.site()
    return {name: schedule_digest(schedule(jobs, site, policy, seed=7)) for name, policy in POLICIES.items()}


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="the slices are long without compilation")
@pytest.mark.parametrize("name", CASES)
def test_the_schedules_are_those_of_the_stored_digests(name: str) -> None:
    case = CASES[name]
    if case.path is not None and not case.path.exists():
        pytest.skip(f"{case.path.name} is not here; set GPUYARD_TRACES to the folder of the public traces")
    found = digests(case)
    if UPDATE:
        _store(name, found)
        pytest.skip("the digests were written anew")
    assert found == json.loads(STORED.read_text(encoding="utf-8"))[name]


def _store(name: str, found: dict[str, str]) -> None:
    stored = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}
    stored[name] = found
    text = json.dumps({each: stored[each] for each in CASES if each in stored}, indent=2)
    STORED.write_text(text + "\n", encoding="utf-8")


def test_every_case_is_stored_and_nothing_else() -> None:
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    assert list(stored) == list(CASES)
    assert all(list(found) == list(POLICIES) for found in stored.values())


def test_the_slices_tell_policies_apart() -> None:
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    for name in ("counted jobs", "Curie", "KTH", "Philly", "openb", "SuperCloud", "Tiresias"):
        scheduled = [digest for policy, digest in stored[name].items() if policy != "recorded"]
        if name == "SuperCloud":  # nobody waits there, and only the first five differ in placement
            scheduled = scheduled[:5]
        assert len(set(scheduled)) == len(scheduled), name
