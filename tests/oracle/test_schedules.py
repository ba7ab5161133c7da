"""Engine against reference: the identical schedule, job by job, for every policy on random workloads.

``GPUYARD_EXAMPLES`` sets the number of workloads for each policy (60 unless given).
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from gpuyard.cluster import Cluster
from gpuyard.policy import BACKFILLS, ORDERS, PLACEMENTS, Policy
from gpuyard.record import Outcome, Record
from gpuyard.simulation import schedule
from gpuyard.workload import NEVER, Workload
from reference import Fate, simulate
from strategies import clusters, policies, workloads

EXAMPLES = int(os.environ.get("GPUYARD_EXAMPLES", "60"))


def told(workload: Workload, cluster: Cluster, policy: Policy, run_seed: int, until: float | None) -> list[Fate]:
    """Return the engine's record in the reference's words."""
    record = schedule(workload, cluster, policy, seed=run_seed, until=until)
    slots = slots_by_job(record)
    return [
        Fate(
            eligible=known(record.eligible[job]),
            start=known(record.start[job]),
            end=known(record.end[job]),
            outcome=Outcome(record.outcome[job]).name.lower(),
            slots=slots.get(job, []),
        )
        for job in range(len(workload))
    ]


def known(tick: int) -> int | None:
    return None if tick == NEVER else int(tick)


def slots_by_job(record: Record) -> dict[int, list[tuple[int, int, int]]]:
    slots = {}
    for attempt, job in enumerate(record.attempt_job.tolist()):
        held = slice(record.slot_offset[attempt], record.slot_offset[attempt + 1])
        columns = (record.slot_node[held], record.slot_gpus[held], record.slot_gpu[held])
        slots[job] = sorted(zip(*(column.tolist() for column in columns), strict=True))
    return slots


def without_gpu_numbers(fate: Fate) -> Fate:
    """Leave out the GPU numbers, which the engine keeps only where a job holds a fraction."""
    fate.slots = [(node, gpus, -1) for node, gpus, _ in fate.slots]
    return fate


def compare(workload: Workload, cluster: Cluster, policy: Policy, run_seed: int, until: float | None) -> None:
    """Assert that both simulators tell the same story."""
    expected = simulate(workload, cluster, policy, seed=run_seed, until=until)
    found = told(workload, cluster, policy, run_seed, until)
    untracked = all(gpu == -1 for fate in found for _, _, gpu in fate.slots)
    has_fractions = workload.table["gpu_milli"].null_count < len(workload)
    if untracked and not has_fractions:
        expected = [without_gpu_numbers(fate) for fate in expected]
    wrong = {job: pair for job, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1]}
    assert not wrong, story(workload, cluster, policy, wrong)


def story(workload: Workload, cluster: Cluster, policy: Policy, wrong: dict[int, tuple[Fate, Fate]]) -> str:
    """Return what is needed to see who is right."""
    lines = [str(policy), f"gpus {cluster.node_gpus.tolist()} types {cluster.node_type.tolist()} {cluster.gpu_types}"]
    lines += [f"cpus {cluster.node_cpus} memory {cluster.node_memory_gib}"]
    lines += [f"level {domain.tolist()}" for domain in cluster.levels.domains]
    for row in workload.table.to_pylist():
        lines.append(str({name: value for name, value in row.items() if value is not None}))
    lines += [f"job {job}: engine {pair[0]}\n       reference {pair[1]}" for job, pair in wrong.items()]
    return "\n".join(lines)


def agree(fixed: dict[str, str], max_nodes: int, max_jobs: int, examples: int) -> Callable[[], None]:
    """Return the comparison over random clusters, workloads and policies with these fields."""

    @seed(zlib.crc32(repr((sorted(fixed.items()), max_nodes)).encode()))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def check(data: st.DataObject) -> None:
        cluster = data.draw(clusters(max_nodes), label="cluster")
        workload = data.draw(workloads(cluster, max_jobs), label="workload")
        policy = data.draw(policies(**fixed), label="policy")
        run_seed = data.draw(st.integers(0, 3), label="seed")
        until = data.draw(st.none() | st.none() | st.integers(0, 12), label="until")
        compare(workload, cluster, policy, run_seed, until)

    return check


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("backfill", BACKFILLS)
@pytest.mark.parametrize("order", ORDERS)
def test_every_policy_gives_the_schedule_of_the_reference(order, backfill, placement):
    agree({"order": order, "backfill": backfill, "placement": placement}, 8, 14, EXAMPLES)()


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_recorded_replay_gives_the_schedule_of_the_reference(placement):
    agree({"placement": placement, "replay": "recorded"}, 6, 14, EXAMPLES)()


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_spread_gives_the_schedule_of_the_reference(placement):
    agree({"placement": placement, "spread": True}, 6, 14, EXAMPLES)()


def test_packed_gives_the_schedule_of_the_reference_on_larger_sites():
    agree({"placement": "packed"}, 24, 10, 4 * EXAMPLES)()
