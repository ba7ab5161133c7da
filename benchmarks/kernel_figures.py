"""The kernel's figures: against the yardstick, by nodes, by waiting jobs, by policy, and its memory."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import numpy as np

from gpuyard.cluster import Cluster
from gpuyard.energy import account
from gpuyard.ordering import is_scored
from gpuyard.policy import BACKFILLS, ORDERS, PLACEMENTS, Policy
from gpuyard.record import Record
from gpuyard.simulation import schedule
from gpuyard.tenancy import NO_TENANTS, Tenants
from gpuyard.workload import MICROSECOND, Workload
from measure import KERNEL, least, peak_bytes
from page import Section, Target
from sizes import Size
from workloads import TICKS, draw, kept_waiting, racked, uniform
from yardstick import Yardstick

__all__ = [
    "by_depth",
    "by_nodes",
    "by_policy",
    "demand_holds",
    "kernel_s",
    "mean_waiting",
    "memory",
    "nanoseconds",
    "yardsticks",
]

FIFO = Policy(order="fifo", placement="best-fit")
PACKED = Policy(order="fifo", placement="packed")


class WrongWorkError(Exception):
    """A benchmark did something else than it was to measure."""


def demand_holds(holds: object, what: str) -> None:
    """Raise if a benchmark did not do its work."""
    if not holds:
        raise WrongWorkError(what)


def kernel_s(
    workload: Workload,
    site: Cluster,
    policy: Policy,
    until: float | None = None,
    tenants: Tenants = NO_TENANTS,
) -> float:
    """Return the CPU seconds of the kernel."""
    before = KERNEL.spent_s
    schedule(workload, site, policy, until=until, tenants=tenants)
    demand_holds(KERNEL.spent_s > before, "the kernel was not measured")
    return KERNEL.spent_s - before  # of all calls: a loop that preempts goes on in larger tables


def complete_s(workload: Workload, site: Cluster, policy: Policy) -> float:
    """Return the CPU seconds of the kernel, which always records who held what, and of the energy account in full."""
    record = schedule(workload, site, policy)
    begun = time.process_time()
    demand_holds(account(record).totals.it_kwh > 0, "the account counts no energy")
    return KERNEL.last_s + time.process_time() - begun


def yardsticks(size: Size, yardstick: Yardstick, folder: Path) -> Section:
    """Compare with the yardstick: kernel alone, with energy, and packed."""
    rows, targets = [], []
    for nodes in size.node_curve[:2]:
        jobs = draw(size.jobs, nodes)
        csv, workload, site = jobs.write(folder / f"{nodes}.csv"), jobs.workload(), uniform(nodes)
        verdict = yardstick.judge(csv, nodes)
        record = schedule(workload, site, FIFO)
        demand_holds(np.array_equal(record.start, verdict.start * TICKS), "another start than the yardstick's")
        demand_holds((record.events, record.passes) == (2 * size.jobs, verdict.passes), "other instants")
        theirs, ours, complete, flat, packed = least(
            size.rounds,
            partial(yardstick.cpu_s, csv, nodes),
            partial(kernel_s, workload, site, FIFO),
            partial(complete_s, workload, site, FIFO),
            partial(kernel_s, workload, site, PACKED),
            partial(kernel_s, workload, racked(nodes), PACKED),
        )
        for name, seconds in (
            ("yardstick", theirs),
            ("kernel, `fifo` + `best-fit`", ours),
            ("the same with the energy account", complete),
            ("kernel, `fifo` + `packed`, no levels", flat),
            ("kernel, `fifo` + `packed`, racks of 4, units of 32, pods of 256", packed),
        ):
            rate = f"{size.jobs / seconds / 1e6:.2f}"
            rows.append(
                (
                    f"{nodes:,}",
                    name,
                    f"{seconds:.3f}",
                    f"{seconds / theirs:.2f}",
                    rate,
                    nanoseconds(seconds, 2 * size.jobs),
                )
            )
        detail = f"{nodes:,} x 8, {size.jobs:,} jobs"
        if nodes == size.node_curve[0]:
            targets.append(
                Target(what="`fifo` + `best-fit`, the same starts", measured=ours / theirs, limit=1.4, detail=detail)
            )
            targets.append(
                Target(what="the same with energy and recording", measured=complete / theirs, limit=2.0, detail=detail)
            )
        else:
            targets.append(
                Target(what="`fifo` + `packed` in three levels", measured=packed / theirs, limit=3.0, detail=detail)
            )
    return Section(
        title="Against the yardstick",
        note="CPU seconds on one core. Every job starts in the same millisecond in both programs.",
        header=("nodes x 8", "program", "CPU s", "x yardstick", "million jobs/s", "ns an event"),
        rows=rows,
        targets=targets,
    )


def nanoseconds(seconds: float, events: int) -> str:
    """Return the time of an event, in words."""
    return f"{seconds / events * 1e9:.0f}"


def by_nodes(size: Size) -> Section:
    """Measure the time of an event on more nodes, at the same load, with as many jobs."""
    sites = [(draw(size.jobs, nodes).workload(), uniform(nodes)) for nodes in size.node_curve]
    seconds = least(size.rounds, *(partial(kernel_s, workload, site, FIFO) for workload, site in sites))
    rows = [
        (f"{nodes:,}", f"{nodes * 8:,}", nanoseconds(each, 2 * size.jobs), f"{each / seconds[0]:.2f}")
        for nodes, each in zip(size.node_curve, seconds, strict=True)
    ]
    targets = [
        Target(what=f"an event on {nodes:,} nodes over one on {size.node_curve[0]:,}", measured=each / seconds[0],
               limit=limit, detail=f"{size.jobs:,} jobs, load 1.0")
        for nodes, each, limit in zip(size.node_curve[1:], seconds[1:], (2.0, 3.0), strict=False)
    ]  # fmt: skip
    header = ("nodes", "GPUs", "ns an event", f"x {size.node_curve[0]:,} nodes")
    note = f"{size.jobs:,} jobs at load 1.0, `fifo` + `best-fit`."
    return Section(title="More nodes", note=note, header=header, rows=rows, targets=targets)


def by_depth(size: Size) -> Section:
    """Measure the time of a job while so many others wait: strict fifo, and with jobs that may pass."""
    site = uniform(size.nodes)
    jobs = draw(size.depth_jobs, size.nodes)
    start = schedule(kept_waiting(jobs, jobs.submit, len(jobs)).workload(), site, FIFO).start
    last = int(start[start < start[len(jobs) - max(size.depths)]].max())
    begun, until = int(np.count_nonzero(start <= last)), last / MICROSECOND
    workloads = [kept_waiting(jobs, start // TICKS, depth).workload() for depth in size.depths]
    for depth, workload in zip(size.depths, workloads, strict=True):
        record = schedule(workload, site, FIFO, until=until)
        demand_holds(
            record.max_queue == depth and np.count_nonzero(record.start <= last) == begun, f"depth is not {depth}"
        )
    strict = least(size.rounds, *(partial(kernel_s, each, site, FIFO, until) for each in workloads))
    passing = [_passing(size, depth) for depth in size.depths]
    rows = [
        (f"{depth:,}", nanoseconds(each, 2 * begun), f"{each / strict[0]:.2f}", f"{mean:,.0f}", f"{ns:.0f}")
        for depth, each, (mean, ns) in zip(size.depths, strict, passing, strict=True)
    ]
    target = Target(
        what=f"an event with {size.depths[-1]:,} waiting over one with {size.depths[0]}",
        measured=strict[-1] / strict[0],
        limit=2.0,
        detail=f"{begun:,} starts, {size.nodes:,} x 8",
    )
    return Section(
        title="More waiting jobs",
        note=(
            f"`fifo`: jobs are submitted so that exactly so many wait all the time while the same {begun:,} jobs start "
            "at the same instants; half the time of a started job. `fifo-fit`: jobs arrive as fast as they start, with "
            "so many more at first; the mean over time is stated, because who waits decides who starts."
        ),
        header=("waiting", "`fifo`: ns an event", "x the first", "`fifo-fit`: mean waiting", "ns an event"),
        rows=rows,
        targets=[target],
    )


def _passing(size: Size, depth: int) -> tuple[float, float]:
    """Return the mean number waiting, and the ns of an event, where jobs that fit may pass.

    Who starts depends on who waits, so jobs are submitted at the rate at which jobs started in the round before.
    """
    site, policy, jobs = uniform(size.nodes), Policy(backfill="fit"), draw(size.depth_jobs, size.nodes)
    start = jobs.submit
    workload = kept_waiting(jobs, start, len(jobs)).workload()
    for _ in range(3):
        start = np.sort(schedule(workload, site, policy).start) // TICKS
        workload = kept_waiting(jobs, start, depth).workload()
    until = float(start[len(jobs) - max(size.depths)]) / 1000
    record = schedule(workload, site, policy, until=until)
    (seconds,) = least(size.rounds, partial(kernel_s, workload, site, policy, until))
    return mean_waiting(record), seconds / record.events * 1e9


def mean_waiting(record: Record) -> float:
    """Return how many jobs waited, averaged over the time of the run."""
    begun = record.eligible <= record.stop
    waits = np.minimum(record.start, record.stop)[begun] - record.eligible[begun]
    span = record.stop - int(record.workload.submit[0])
    return float(waits.sum()) / span


def by_policy(size: Size) -> Section:
    """Measure every order, every backfill and every placement; orders with a score on fewer jobs."""
    large, small = (draw(jobs, size.nodes).workload() for jobs in (size.jobs, size.fewer_jobs))
    policies = [Policy(order=order) for order in ORDERS]
    policies += [Policy(backfill=backfill) for backfill in BACKFILLS if backfill != FIFO.backfill]
    policies += [Policy(placement=placement) for placement in PLACEMENTS if placement != FIFO.placement]
    rows = []
    for policy in policies:
        workload = small if is_scored(policy) else large
        record = schedule(workload, racked(size.nodes), policy)
        demand_holds(record.events == 2 * len(workload), f"{policy.name} left jobs out")
        (seconds,) = least(min(size.rounds, 3), partial(kernel_s, workload, racked(size.nodes), policy))
        mean = f"{mean_waiting(record):,.0f}"
        rows.append((f"`{policy.name}`", f"`{policy.placement}`", nanoseconds(seconds, record.events), mean))
    note = (
        f"{size.jobs:,} jobs at load 1.0 on {size.nodes:,} x 8 in racks, units and pods; {size.fewer_jobs:,} where "
        "every waiting job is scored in every pass."
    )
    return Section(
        title="Policies", note=note, header=("policy", "placement", "ns an event", "mean waiting"), rows=rows
    )


def memory(size: Size) -> Section:
    """Measure the bytes of the kernel's tables for each further job, and of everything that schedule() holds."""
    tables = []
    for jobs in (size.fewer_jobs, size.jobs):
        schedule(draw(jobs, size.nodes).workload(), uniform(size.nodes), FIFO)
        tables.append(KERNEL.table_bytes)
    more = size.jobs - size.fewer_jobs
    each = {name: (tables[1][name] - tables[0][name]) / more for name in tables[1]}
    rows = [(f"kernel: `{name}`", f"{bytes_:.1f}") for name, bytes_ in each.items() if bytes_ >= 0.05]
    rows.append(("kernel: all tables", f"{sum(each.values()):.1f}"))
    workload = draw(size.jobs, size.nodes).workload()
    peak = peak_bytes(lambda: schedule(workload, uniform(size.nodes), FIFO)) / size.jobs
    rows.append(("`schedule()` at its peak, the kernel's and the record's included", f"{peak:.0f}"))
    rows.append(("the workload's table", f"{workload.table.nbytes / size.jobs:.0f}"))
    target = Target(
        what="kernel memory", measured=sum(each.values()), limit=100, unit="bytes a job", detail=f"{size.jobs:,} jobs"
    )
    note = f"`fifo` + `best-fit` on {size.nodes:,} x 8; a job holds {_slots(size):.2f} slots (one a node) on average."
    return Section(title="Memory", note=note, header=("", "bytes a job"), rows=rows, targets=[target])


def _slots(size: Size) -> float:
    return float(np.mean(-(-draw(size.jobs, size.nodes).gpus // 8)))
