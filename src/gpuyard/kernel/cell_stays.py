"""What a job that runs in cells holds: written down when it begins, given back when it ends or is preempted."""

from __future__ import annotations

from gpuyard.kernel.attempting import begin_attempt
from gpuyard.kernel.bindings import count_guests, unbind
from gpuyard.kernel.bits import nth
from gpuyard.kernel.buddies import give, layer_of
from gpuyard.kernel.cells import FREE, IDLE, Cells, Claims, Forests, Kept
from gpuyard.kernel.codes import NOBODY, Count
from gpuyard.kernel.jit import inner
from gpuyard.kernel.stays import Stays
from gpuyard.kernel.tables import Events, Jobs, Log

__all__ = ["begin_in_cells", "vacate_cells"]


@inner
def begin_in_cells(
    jobs: Jobs, log: Log, events: Events, stays: Stays, forests: Forests, claims: Claims, row: int, now: int
) -> None:
    """Let a job run in the physical cells that are chosen."""
    asked = claims.claim[nth(jobs.claim[nth(row)]["demand"])]
    size, node_size = forests.rung[nth(asked["level"])]["size"], forests.rung[nth(forests.state[Kept.NODE])]["size"]
    first = int(events.counter[Count.SLOTS])
    for place in range(asked["count"]):
        gpu = int(claims.chosen[nth(place)] * size)
        slot = log.slots[nth(first + place)]
        slot["node"] = gpu // node_size
        slot["gpus"] = asked["large"] if place < asked["many"] else asked["small"]
        log.gpu[nth(first + place)] = gpu % node_size
    events.counter[Count.SLOTS] = first + asked["count"]
    begin_attempt(jobs, events, stays, row, first, now)


@inner
def vacate_cells(jobs: Jobs, log: Log, stays: Stays, forests: Forests, cells: Cells, claims: Claims, row: int) -> None:
    """Free the cells of a running job."""
    asked = claims.claim[nth(jobs.claim[nth(row)]["demand"])]
    level, forest = int(asked["level"]), int(asked["forest"])
    guest = stays.attempt[nth(stays.stay[nth(row)]["attempt"])]["guest"] > 0
    size, node_size = forests.rung[nth(level)]["size"], forests.rung[nth(forests.state[Kept.NODE])]["size"]
    first = int(jobs.claim[nth(row)]["slot"])
    for slot in range(first, first + jobs.claim[nth(row)]["slots"]):
        there = int((log.slots[nth(slot)]["node"] * node_size + log.gpu[nth(slot)]) // size)
        give(forests, IDLE, level, there)
        if guest:
            count_guests(forests, cells, level, there, NOBODY)
        else:
            number = int(cells.virtual[nth(layer_of(forests, FREE, level)["base"] + there)])
            give(forests, forest, level, number)
            unbind(forests, cells, forest, level, number)
