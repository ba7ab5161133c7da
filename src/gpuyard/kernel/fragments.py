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

__all__ = ["Held", "follow"]


class Held(NamedTuple):
    """Who held what: the columns of a record of the same names, and each job's demand."""

    attempt_job: NDArray[np.int32]
    slot_offset: NDArray[np.int64]
    slot_node: NDArray[np.int32]
    slot_gpus: NDArray[np.int32]
    slot_gpu: NDArray[np.int32]
    demand: NDArray[np.int32]  # shape (jobs,)


@kernel
def follow(
    event: NDArray[np.int64],
    held: Held,
    demand: Records,
    mix: Mix,
    node: Records,
    taken: NDArray[np.int32],
    quanta: int,
    worth: NDArray[np.int64],
    found: NDArray[np.int64],
) -> None:
    """Write what is usable, weighted by demands and at all, before the first event and after each.

    Parameters
    ----------
    event
        Attempts in the order of time: the number of one that starts, or minus one less that of one that ends.
    node
        The empty site; left as it is after the last event.
    taken
        Room: shape (GPUs,), zeros; the quanta of each that fractions hold.
    worth
        Room: int64, shape (nodes, 2).
    found
        int64, shape (events + 1, 2): thousandths of a GPU times jobs of the mix, and thousandths of a GPU.
    """
    quantum = WHOLE // quanta if quanta > 0 else WHOLE
    weighted, at_all = 0, 0
    for number in range(node.size):
        worth[nth(number), 0], worth[nth(number), 1] = _usable(mix, node, taken, quanta, quantum, number)
        weighted += worth[nth(number), 0]
        at_all += worth[nth(number), 1]
    found[0, 0], found[0, 1] = weighted, at_all
    for at in range(event.size):
        starts = event[nth(at)] >= 0
        attempt = event[nth(at)] if starts else -1 - event[nth(at)]
        sign = -1 if starts else 1
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
        found[nth(at + 1), 0], found[nth(at + 1), 1] = weighted, at_all


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
