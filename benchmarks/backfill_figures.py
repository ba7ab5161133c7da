"""The figures of EASY: against the yardstick's own, and by waiting jobs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from kernel_figures import demand_holds, kernel_s, mean_waiting, nanoseconds
from measure import least
from page import Section, Target
from sizes import Size
from workloads import draw, kept_waiting, uniform
from yardstick import Yardstick

__all__ = ["easy_by_depth", "easy_yardstick"]

EASY = Policy(order="fifo", backfill="easy", placement="best-fit")
_LOADS = (0.9, 1.0, 1.1)


def easy_yardstick(size: Size, yardstick: Yardstick, folder: Path) -> Section:
    """Compare EASY with the yardstick's at three loads: CPU seconds and mean waits."""
    rows, targets = [], []
    for load in _LOADS:
        jobs = draw(size.jobs, size.nodes, load=load)
        csv, workload, site = jobs.write(folder / f"easy-{load}.csv"), jobs.workload(), uniform(size.nodes)
        verdict = yardstick.judge(csv, size.nodes, "easyx")
        record = schedule(workload, site, EASY)
        demand_holds(record.events == 2 * size.jobs, "jobs were left out")
        their_wait = float(np.mean(verdict.start - jobs.submit)) / 1000
        our_wait = float(np.mean(record.start - record.eligible)) / 1e6
        theirs, ours = least(
            size.rounds,
            partial(yardstick.cpu_s, csv, size.nodes, "easyx"),
            partial(kernel_s, workload, site, EASY),
        )
        rows.append(
            (
                f"{load}",
                f"{theirs:.3f}",
                f"{ours:.3f}",
                f"{ours / theirs:.2f}",
                nanoseconds(ours, 2 * size.jobs),
                f"{their_wait:,.1f}",
                f"{our_wait:,.1f}",
                f"{mean_waiting(record):,.0f}",
            )
        )
        targets.append(
            Target(
                what=f"`easy` + `best-fit` at load {load}",
                measured=ours / theirs,
                limit=1.5,
                detail=f"{size.nodes:,} x 8, {size.jobs:,} jobs",
            )
        )
    return Section(
        title="EASY against the yardstick",
        note=(
            "CPU seconds on one core. The two differ in one choice only: which of the nodes that are empty by the "
            "shadow time are promised to a head of several nodes. The yardstick takes those free first, `easy` "
            "those that the placement would choose; the waits differ by that, and are equal where the yardstick is "
            "given the same rule."
        ),
        header=("load", "yardstick", "`easy`", "x", "ns an event", "its mean wait, s", "ours, s", "mean waiting"),
        rows=rows,
        targets=targets,
    )


def easy_by_depth(size: Size) -> Section:
    """Measure the time of an event under EASY with more and more jobs waiting."""
    jobs, site = draw(size.depth_jobs, size.nodes), uniform(size.nodes)
    rows = []
    for depth in sorted({10, *size.depths}):
        start = jobs.submit
        workload = kept_waiting(jobs, start, len(jobs)).workload()
        for _ in range(3):
            start = np.sort(schedule(workload, site, EASY).start) // 1000
            workload = kept_waiting(jobs, start, depth).workload()
        until = float(start[len(jobs) - max(size.depths)]) / 1000
        record = schedule(workload, site, EASY, until=until)
        (seconds,) = least(size.rounds, partial(kernel_s, workload, site, EASY, until))
        rows.append((f"{depth:,}", f"{mean_waiting(record):,.0f}", nanoseconds(seconds, record.events)))
    return Section(
        title="EASY with more waiting jobs",
        note="Jobs arrive as fast as they start, with so many more at first; the mean over time is stated.",
        header=("waiting", "mean waiting", "ns an event"),
        rows=rows,
        targets=[],
    )
