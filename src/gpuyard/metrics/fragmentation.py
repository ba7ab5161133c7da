"""Fragmentation over time: how much of what is free the workload could use, where it is.

The measure of Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient
Descent", USENIX ATC 2023, as docs/semantics.md defines it for the placement ``fgd``; here for any run, from its record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gpuyard.holdings import Holdings
from gpuyard.intervals import Steps
from gpuyard.record import Outcome, Record

__all__ = ["Fragmentation", "fragmentation"]

_MOST_WORK = 2 * 10**10
"""Demands looked at, over all events: beyond, fragmentation is not computed (some 20 s)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fragmentation:
    """What is free and could not be used, over a run.

    ``fragments``: thousandths of a GPU times jobs of the mix (``Phi`` of the whole cluster).
    ``stranded``: thousandths of a GPU that no job of the mix could use where they are.
    ``jobs``: how many jobs the mix has; at least one.
    """

    fragments: Steps
    stranded: Steps
    jobs: int


def fragmentation(record: Record, holdings: Holdings, start: int, stop: int) -> Fragmentation | None:
    """Return the fragmentation of a run from ``start`` to ``stop`` (int64 microseconds, around all of its attempts).

    ``None`` where the mix is empty, where so many different demands meet so many events that it would take
    minutes, where nodes are commissioned during the run, and with virtual clusters.
    """
    if record.division is not None or any(each.is_commission for each in record.windows):
        return None
    from gpuyard.kernel.fragments import Found, Held, follow  # with the compiler, when there is a run
    from gpuyard.kernel.score_build import build_mix
    from gpuyard.lowering import lower_demands, lower_site

    policy = replace(record.policy, placement="best-fit")  # whichever: only what is asked for and what is there
    asked = lower_demands(record.workload, record.cluster, policy)
    counted = record.outcome != Outcome.REJECTED
    jobs = np.bincount(asked.demand[counted], minlength=asked.demands.size)
    site = lower_site(record.cluster, policy, asked, 0)
    mix = build_mix(asked.demands, jobs, site.largest, asked.quanta)
    gpus = int(site.node["size"].sum())
    work = 2 * record.slot_node.size * max(1, mix.need.size)
    if mix.jobs == 0 or mix.jobs * gpus * 1000 >= 2**63 or work > _MOST_WORK:
        return None
    spans = holdings.spans
    held = Held(
        attempt_job=record.attempt_job,
        slot_offset=record.slot_offset,
        slot_node=record.slot_node,
        slot_gpus=record.slot_gpus,
        slot_gpu=record.slot_gpu,
        demand=asked.demand,
        start=spans.start,
        end=spans.end,
        by_start=np.empty(0, np.int64) if spans.by_start is None else spans.by_start,
        by_end=spans.by_end,
        milli=holdings.attempt_milli,
    )
    most = 2 * record.attempt_job.size
    found = Found(np.empty(most, np.int64), np.empty(most + 1, np.int64), np.empty(most + 1, np.int64))
    taken = np.zeros(gpus if asked.quanta else 0, np.int32)
    worth = np.empty((site.node.size, 2), np.int64)
    events = follow(held, asked.demands, mix, site.node, taken, asked.quanta, worth, found)
    edges = np.concatenate([[start], found.times[:events], [stop]])
    return Fragmentation(
        fragments=Steps(edges, found.fragments[: events + 1]),
        stranded=Steps(edges, found.stranded[: events + 1]),
        jobs=mix.jobs,
    )
