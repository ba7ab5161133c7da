"""Engine beside reference: the record in the reference's words, and what to show where they differ."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields

import numba

from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.record import Outcome, Record
from gpuyard.simulation import schedule
from gpuyard.workload import NEVER, Workload
from reference import SECOND, Fate, simulate

EXAMPLES = int(os.environ.get("GPUYARD_EXAMPLES", "15" if numba.config.DISABLE_JIT else "60"))
"""How many workloads are tried for each case."""


def told(record: Record) -> list[Fate]:
    """Return the engine's record in the reference's words."""
    slots = slots_by_job(record)
    return [
        Fate(
            eligible=known(record.eligible[job]),
            start=known(record.start[job]),
            end=known(record.end[job]),
            outcome=Outcome(record.outcome[job]).name.lower(),
            slots=slots.get(job, []),
        )
        for job in range(len(record.workload))
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


def compare(
    workload: Workload, cluster: Cluster, policy: Policy, run_seed: int, until: float | None, **more: object
) -> None:
    """Assert that both simulators tell the same story; ``more``: ``begin`` and ``windows``."""
    expected = simulate(workload, cluster, policy, seed=run_seed, until=until, **more)
    record = schedule(workload, cluster, policy, seed=run_seed, until=until, **more)
    found, workload = told(record), record.workload
    untracked = all(gpu == -1 for fate in found for _, _, gpu in fate.slots)
    has_fractions = any(
        row["gpu_milli"] is not None and not row["exclusive"] and not policy.exclusive
        for row in workload.table.to_pylist()
    )
    if untracked and not has_fractions:
        expected = [without_gpu_numbers(fate) for fate in expected]
    assert found == expected, f"{more or ''}\n{story(workload, cluster, policy, found, expected)}"


def story(workload: Workload, cluster: Cluster, policy: Policy, found: list[Fate], expected: list[Fate]) -> str:
    """Return what is needed to see who is right: policy, cluster, and the jobs with both schedules."""
    blank = Policy()
    changed = {item.name: getattr(policy, item.name) for item in fields(policy)}
    changed = {name: value for name, value in changed.items() if value != getattr(blank, name)}
    lines = [f"policy {changed or 'fifo'}"]
    lines += [f"gpus {cluster.node_gpus.tolist()} types {cluster.node_type.tolist()} {cluster.gpu_types}"]
    lines += [f"cpus {cluster.node_cpus} memory {cluster.node_memory_gib}"]
    lines += [f"level {domain.tolist()}" for domain in cluster.levels.domains]
    rows = workload.table.to_pylist()
    columns = [name for name in rows[0] if name != "job_id" and any(row[name] is not None for row in rows)]
    cells = [["row", *columns, "engine", "", "reference", ""]]
    for number, (row, engine, reference) in enumerate(zip(rows, found, expected, strict=True)):
        asked = ["" if row[name] is None else str(row[name]) for name in columns]
        cells.append([str(number), *asked, *in_short(engine), *in_short(reference)])
        cells[-1].append("" if engine == reference else "<--")
    return "\n".join([*lines, *aligned(cells)])


def in_short(fate: Fate) -> list[str]:
    """Return ``eligible: start - end outcome`` in seconds, and ``node:GPUs`` or ``node:GPUs@GPU number``."""
    times = ["-" if at is None else f"{at / SECOND:.6f}".rstrip("0").rstrip(".") for at in (fate.start, fate.end)]
    eligible = "never" if fate.eligible is None else f"{fate.eligible / SECOND:g}"
    where = " ".join(f"{node}:{gpus}" + ("" if gpu < 0 else f"@{gpu}") for node, gpus, gpu in fate.slots)
    return [f"{eligible}: {times[0]} - {times[1]} {fate.outcome}", where]


def aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows of a table, columns as wide as their widest cell."""
    wide = max(len(row) for row in cells)
    padded = [[*row, *[""] * (wide - len(row))] for row in cells]
    widths = [max(len(row[column]) for row in padded) for column in range(wide)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in padded]
