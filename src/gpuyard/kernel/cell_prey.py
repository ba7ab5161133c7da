"""Whom a guaranteed job may take the cells of its owner from: guaranteed jobs of the owner with a lower priority.

``docs/semantics.md``, *Priorities inside an owner*, is the specification.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.buddies import give, has_cells, layer_of, take
from gpuyard.kernel.cells import FREE, Cells, Claims, Forests, Kept
from gpuyard.kernel.jit import inner, kernel
from gpuyard.kernel.prey_order import sort_prey
from gpuyard.kernel.stays import Stays
from gpuyard.kernel.tables import Jobs, Log

__all__ = ["hunt_in_cells"]


@inner
def _list(jobs: Jobs, stays: Stays, claims: Claims, row: int, now: int) -> tuple[int, bool]:
    """List those from whom a job may take cells; return how many, and whether somebody only just began."""
    asked = claims.claim[nth(jobs.claim[nth(row)]["demand"])]
    found, fresh = 0, False
    for place in range(stays.ends.size[0]):
        other = int(stays.ends.row[nth(place)])
        its, stay = claims.claim[nth(jobs.claim[nth(other)]["demand"])], stays.stay[nth(other)]
        if its["forest"] != asked["forest"] or its["priority"] >= asked["priority"] or stay["fixed"] > 0:
            continue
        if stays.attempt[nth(stay["attempt"])]["guest"] > 0:
            continue
        if stay["since"] == now:
            fresh = True
            continue
        catch = stays.catch[nth(found)]
        catch["level"], catch["loss"], catch["row"], catch["spared"] = -its["priority"], -stay["since"], other, 0
        found += 1
    return found, fresh


@inner
def _move(jobs: Jobs, log: Log, forests: Forests, cells: Cells, claims: Claims, row: int, takes: bool) -> None:
    """Take the virtual cells of a running job, or give them back, in imagination."""
    asked = claims.claim[nth(jobs.claim[nth(row)]["demand"])]
    level, forest = int(asked["level"]), int(asked["forest"])
    size, node_size = forests.rung[nth(level)]["size"], forests.rung[nth(forests.state[Kept.NODE])]["size"]
    first = int(jobs.claim[nth(row)]["slot"])
    for slot in range(first, first + jobs.claim[nth(row)]["slots"]):
        there = int((log.slots[nth(slot)]["node"] * node_size + log.gpu[nth(slot)]) // size)
        number = int(cells.virtual[nth(layer_of(forests, FREE, level)["base"] + there)])
        if takes:
            take(forests, forest, level, number)
        else:
            give(forests, forest, level, number)


@kernel
def hunt_in_cells(
    jobs: Jobs, log: Log, stays: Stays, forests: Forests, cells: Cells, claims: Claims, row: int, now: int
) -> int:
    """Find those who have to leave so that a job finds cells of its owner; return how many of Stays.catch, or 0.

    Those that are spared are told there.  -1: nobody has to, but somebody began at this instant, and may be later.
    """
    asked = claims.claim[nth(jobs.claim[nth(row)]["demand"])]
    level, count, forest = int(asked["level"]), int(asked["count"]), int(asked["forest"])
    found, fresh = _list(jobs, stays, claims, row, now)
    sort_prey(stays.catch, found)
    given, taken = forests.given[nth(forest)], 0
    fits = has_cells(forests, forest, level, count)
    while taken < found and not fits:
        _move(jobs, log, forests, cells, claims, int(stays.catch[nth(taken)]["row"]), False)
        taken += 1
        fits = has_cells(forests, forest, level, count)
    for place in range(taken - 2 if fits else -1, -1, -1):
        catch = stays.catch[nth(place)]
        _move(jobs, log, forests, cells, claims, int(catch["row"]), True)
        if has_cells(forests, forest, level, count):
            catch["spared"] = 1
        else:
            _move(jobs, log, forests, cells, claims, int(catch["row"]), False)
    for place in range(taken):
        if stays.catch[nth(place)]["spared"] == 0:
            _move(jobs, log, forests, cells, claims, int(stays.catch[nth(place)]["row"]), True)
    forests.given[nth(forest)] = given
    if fits:
        return taken
    return -1 if fresh else 0
