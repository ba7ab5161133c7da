"""Go through a finished run and say, from event to event, how much of what is free the workload could use."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.fragmentation import WHOLE, allow, share_weight, whole_weight
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.score_tables import Mix
from gpuyard.kernel.tables import Records

__all__ = ["Found", "Held", "follow"]


class Held(NamedTuple):
    """Who held what and when: the columns of a record of the same names, and each job's demand.

    ``by_start`` and ``by_end`` have the attempts in the order of their starts (no rows: their own) and ends;
    ``milli``: thousandths of a GPU.
    """

    attempt_job: NDArray[np.int32]
    slot_offset: NDArray[np.int64]
    slot_node: NDArray[np.int32]
    slot_gpus: NDArray[np.int32]
    slot_gpu: NDArray[np.int32]
    demand: NDArray[np.int32]  # shape (jobs,)
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    by_start: NDArray[np.int64]
    by_end: NDArray[np.int64]
    milli: NDArray[np.int64]


class Found(NamedTuple):
    """Written: the times of events, shape (2 * attempts,), and before the first and after each what cannot be used.

    ``fragments``: thousandths of a GPU times jobs of the mix; ``stranded``: thousandths; shape (2 * attempts + 1,).
    """

    times: NDArray[np.int64]
    fragments: NDArray[np.int64]
    stranded: NDArray[np.int64]


@kernel
def follow(
    held: Held,
    demand: Records,
    mix: Mix,
    node: Records,
    taken: NDArray[np.int32],
    quanta: int,
    worth: NDArray[np.int64],
    found: Found,
) -> int:
    """Write what is not usable, weighted by demands and at all; return the number of events.

    Ends come before starts at one instant; an attempt that lasts no time changes nothing.

    Parameters
    ----------
    node
        The empty site; left as it is after the last event.
    taken
        Room: shape (GPUs,), zeros; the quanta of each that fractions hold.
    worth
        Room: int64, shape (nodes, 2).
    """
    quantum = WHOLE // quanta if quanta > 0 else WHOLE
    weighted, at_all, free = 0, 0, 0
    for number in range(node.size):
        worth[nth(number), 0], worth[nth(number), 1] = _usable(mix, node, taken, quanta, quantum, number)
        weighted += worth[nth(number), 0]
        at_all += worth[nth(number), 1]
        free += WHOLE * int(node[nth(number)]["free"])
    found.fragments[0], found.stranded[0] = mix.jobs * free - weighted, free - at_all
    count, at, begun, ended = held.attempt_job.size, 0, 0, 0
    while ended < count:
        ending = held.by_end[nth(ended)]
        starting = _started(held, begun) if begun < count else ending
        if begun < count and held.end[nth(starting)] <= held.start[nth(starting)]:
            begun += 1
            continue
        if held.end[nth(ending)] <= held.start[nth(ending)]:
            ended += 1
            continue
        starts = begun < count and held.start[nth(starting)] < held.end[nth(ending)]
        attempt = starting if starts else ending
        sign = -1 if starts else 1
        begun, ended = begun + int(starts), ended + int(not starts)
        asked = demand[nth(held.demand[nth(held.attempt_job[nth(attempt)])])]
        for slot in range(held.slot_offset[nth(attempt)], held.slot_offset[nth(attempt + 1)]):
            number = int(held.slot_node[nth(slot)])
            _change(
                asked, node[nth(number)], taken, int(held.slot_gpu[nth(slot)]), int(held.slot_gpus[nth(slot)]), sign
            )
            weight, part = _usable(mix, node, taken, quanta, quantum, number)
            weighted += weight - worth[nth(number), 0]
            at_all += part - worth[nth(number), 1]
            worth[nth(number), 0], worth[nth(number), 1] = weight, part
        free += sign * held.milli[nth(attempt)]
        found.times[nth(at)] = held.start[nth(attempt)] if starts else held.end[nth(attempt)]
        at += 1
        found.fragments[nth(at)], found.stranded[nth(at)] = mix.jobs * free - weighted, free - at_all
    return at


@inlined
def _started(held: Held, number: int) -> int:
    """Return which attempt starts as the one of this number."""
    return held.by_start[nth(number)] if held.by_start.size else number


@inlined
def _change(asked: Records, this: Records, taken: NDArray[np.int32], gpu: int, gpus: int, sign: int) -> None:
    """Give a node back (+1) or take from it (-1) what one slot holds."""
    many = max(gpus, 1)
    if asked["share"] > 0:
        at = nth(int(this["first_gpu"]) + gpu)
        before = taken[at]
        taken[at] -= sign * asked["share"]
        this["free"] += int(taken[at] == 0) - int(before == 0)
        many = 1
    else:
        this["free"] += sign * gpus
    if asked["alone"] == 0:  # else no GPU is free there, and CPUs and memory make no difference
        this["cpu"] += sign * asked["cpu"] * many
        this["memory"] += sign * asked["memory"] * many


@kernel
def _usable(
    mix: Mix, node: Records, taken: NDArray[np.int32], quanta: int, quantum: int, number: int
) -> tuple[int, int]:
    """Return the usable part of a node: times the jobs that could use it, and what any job could use."""
    this = node[nth(number)]
    kind, free = int(this["kind"]), int(this["free"])
    weight = whole_weight(mix, kind, this["cpu"], this["memory"], free)
    if mix.levels > 0:
        allow(mix, kind, this["cpu"], this["memory"])
        weight += share_weight(mix, quanta)
    weighted, at_all = WHOLE * free * weight, WHOLE * free * min(weight, 1)
    if mix.levels > 0:
        first = int(this["first_gpu"])
        for gpu in range(first, first + int(this["size"])):
            if taken[nth(gpu)] > 0:
                left = quanta - int(taken[nth(gpu)])
                weight = share_weight(mix, left)
                weighted += left * quantum * weight
                at_all += left * quantum * min(weight, 1)
    return weighted, at_all
