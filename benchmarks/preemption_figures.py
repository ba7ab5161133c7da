"""The figures of policies that preempt, against strict fifo: python benchmarks/preemption_figures.py."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import gpuyard as gy
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy, named_policy
from gpuyard.simulation import schedule
from gpuyard.workload import Workload
from kernel_figures import FIFO, demand_holds, kernel_s, nanoseconds
from measure import least, watched_kernel
from page import Section, Target, markdown
from sizes import FULL, Size
from workloads import draw, uniform

__all__ = ["LOADS", "PREEMPTIVE", "preempting", "preemptive"]

LOADS = (0.9, 1.1)
PREEMPTIVE = ("las", "srtf")
_MOST_TIMES = 5.0
_MOST_MICROSECONDS = 3.0


def preemptive(name: str) -> Policy:
    """Return a policy that preempts, with the placement of the others that are measured."""
    return named_policy(name, placement=FIFO.placement)


def preempting(size: Size, philly: Path | None) -> Section:
    """Measure LAS and SRTF below and above what the site can do, and on Philly where it is there."""
    rows: list[Sequence[str]] = []
    targets: list[Target] = []
    for load in LOADS:
        _add(
            rows, targets, f"load {load}", draw(size.jobs, size.nodes, load=load).workload(), uniform(size.nodes), size
        )
    if philly is not None and philly.is_file():
        _add(rows, targets, "philly.csv", gy.read_trace(philly), uniform(352), size)
    return Section(
        title="Policies that preempt",
        note=(
            f"{size.jobs:,} jobs on {size.nodes:,} x 8, and Philly's on 352 x 8; costs by default, so that nothing is "
            "lost in a preemption. Events are submissions, ends of attempts and changes of level. Above what the site "
            "can do, strict `fifo` keeps most jobs waiting behind one and has little to decide, so what counts there "
            "is the time of an event."
        ),
        header=("jobs", "policy", "CPU s", "x `fifo`", "events", "attempts", "ns an event"),
        rows=rows,
        targets=targets,
    )


def _add(
    rows: list[Sequence[str]], targets: list[Target], what: str, workload: Workload, site: Cluster, size: Size
) -> None:
    """Measure every policy on these jobs in turn."""
    policies = {"fifo": FIFO} | {name: preemptive(name) for name in PREEMPTIVE}
    records = {name: schedule(workload, site, policy) for name, policy in policies.items()}
    seconds = least(size.rounds, *(partial(kernel_s, workload, site, policy) for policy in policies.values()))
    for (name, record), each in zip(records.items(), seconds, strict=True):
        attempts = record.attempt_job.size
        demand_holds(record.events >= len(workload) + attempts, f"{name} left jobs out")
        times = each / seconds[0]
        cells = (f"{each:.3f}", f"{times:.2f}", f"{record.events:,}", f"{attempts:,}")
        rows.append((what, f"`{name}`", *cells, nanoseconds(each, record.events)))
        if name == "fifo":
            continue
        demand_holds(attempts >= len(workload), f"{name} ran too few attempts")
        if what == f"load {LOADS[-1]}":
            demand_holds(attempts > len(workload), f"{name} preempted nobody")
            took = 1e6 * each / record.events
            targets.append(Target(what=f"`{name}`, an event at {what}", measured=took, limit=_MOST_MICROSECONDS,
                                  unit="us", detail=f"{record.events:,} events"))  # fmt: skip
        else:
            targets.append(Target(what=f"`{name}` over `fifo`, {what}", measured=times, limit=_MOST_TIMES,
                                  detail=f"{len(workload):,} jobs"))  # fmt: skip


def main() -> int:
    """Measure and print."""
    traces = Path(os.environ.get("GPUYARD_TRACES", Path(__file__).resolve().parents[2] / "shared" / "traces"))
    with watched_kernel():
        sys.stdout.write(markdown([preempting(FULL, traces / "microsoft_philly_2017" / "philly.csv")]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
