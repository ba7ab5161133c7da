"""Engine beside reference: the record in the reference's words, and what to show where they differ."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields, replace

import numba

from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.record import EndReason, Outcome, Record
from gpuyard.simulation import schedule
from gpuyard.workload import NEVER, Workload
from reference import SECOND, Attempt, Fate, simulate

EXAMPLES = int(os.environ.get("GPUYARD_EXAMPLES", "15" if numba.config.DISABLE_JIT else "30"))
"""How many workloads are tried for each case."""
FEWER = max(EXAMPLES // 5, 3)
"""Likewise, where there are hundreds of cases that differ in one choice each."""


Slots = list[tuple[int, int, int]]


def told(record: Record) -> list[Fate]:
    """Return the engine's record in the reference's words."""
    slots = slots_by_attempt(record)
    last = dict(zip(record.attempt_job.tolist(), slots, strict=True))
    attempts = attempts_by_job(record, slots) if record.policy.preemption else {}
    return [
        Fate(
            eligible=known(record.eligible[job]),
            start=known(record.start[job]),
            end=known(record.end[job]),
            outcome=Outcome(record.outcome[job]).name.lower(),
            slots=last.get(job, []),
            attempts=attempts.get(job, []),
        )
        for job in range(len(record.workload))
    ]


def known(tick: int) -> int | None:
    return None if tick == NEVER else int(tick)


def slots_by_attempt(record: Record) -> list[Slots]:
    slots = []
    for attempt in range(len(record.attempt_job)):
        held = slice(record.slot_offset[attempt], record.slot_offset[attempt + 1])
        columns = (record.slot_node[held], record.slot_gpus[held], record.slot_gpu[held])
        slots.append(sorted(zip(*(column.tolist() for column in columns), strict=True)))
    return slots


def attempts_by_job(record: Record, slots: list[Slots]) -> dict[int, list[Attempt]]:
    """Return the attempts of each job, which the record must have in the order in which they started."""
    starts, causes = record.attempt_start.tolist(), record.attempt_cause.tolist()
    assert starts == sorted(starts)
    assert [reason == EndReason.PREEMPTED for reason in record.attempt_reason] == [cause >= 0 for cause in causes]
    columns = zip(starts, record.attempt_end.tolist(), slots, record.attempt_useful.tolist(), causes, strict=True)
    attempts: dict[int, list[Attempt]] = {}
    for job, (start, end, held, useful, cause) in zip(record.attempt_job.tolist(), columns, strict=True):
        attempts.setdefault(job, []).append(Attempt(start, end, held, useful, None if cause < 0 else cause))
    return attempts


def without_gpu_numbers(fate: Fate) -> Fate:
    """Leave out the GPU numbers, which the engine keeps only where a job holds a fraction."""
    attempts = [attempt._replace(slots=unnumbered(attempt.slots)) for attempt in fate.attempts]
    return replace(fate, slots=unnumbered(fate.slots), attempts=attempts)


def unnumbered(slots: Slots) -> Slots:
    return [(node, gpus, -1) for node, gpus, _ in slots]


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
    """Return ``eligible: start - end outcome`` in seconds, and where; under preemption every attempt, and where.

    Where is ``node:GPUs`` or ``node:GPUs@GPU number``; an attempt is ``start - end (useful) for the row of the job``.
    """
    eligible = "never" if fate.eligible is None else f"{fate.eligible / SECOND:g}"
    times = f"{eligible}: {short(fate.start)} - {short(fate.end)} {fate.outcome}"
    if not fate.attempts:
        return [times, places(fate.slots)]
    told = [
        f"{short(each.start)} - {short(each.end)} ({short(each.useful)})"
        + ("" if each.cause is None else f" for {each.cause}")
        + f" on {places(each.slots)}"
        for each in fate.attempts
    ]
    return [times, "; ".join(told)]


def short(at: int | None) -> str:
    return "-" if at is None else f"{at / SECOND:.6f}".rstrip("0").rstrip(".")


def places(slots: Slots) -> str:
    return " ".join(f"{node}:{gpus}" + ("" if gpu < 0 else f"@{gpu}") for node, gpus, gpu in slots)


def aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows of a table, columns as wide as their widest cell."""
    wide = max(len(row) for row in cells)
    padded = [[*row, *[""] * (wide - len(row))] for row in cells]
    widths = [max(len(row[column]) for row in padded) for column in range(wide)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in padded]
