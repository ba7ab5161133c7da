"""Start the engine with the placement functions that a run needs, as pointers of a stated signature.

A pointer keeps the engine's compiled form independent of what is behind it: it is found in the cache whatever is
passed, and a run of plain jobs never compiles the special ones.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba.core.errors import NumbaExperimentalFeatureWarning
from numpy.typing import NDArray

from gpuyard.kernel.alone import place_alone, release_alone
from gpuyard.kernel.codes import ABSENT, Placement
from gpuyard.kernel.jit import compiled_for, compiler, is_kept, pointed
from gpuyard.kernel.placement import (
    Placer,
    Releaser,
    place_group,
    place_shared,
    place_special,
    place_whole,
    release_special,
    release_whole,
)
from gpuyard.kernel.rails import place_rails
from gpuyard.kernel.scored_placement import (
    place_scored,
    place_scored_alone,
    release_scored,
    release_scored_alone,
)
from gpuyard.kernel.switches import place_switched
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.trial import plain_fits, try_each

__all__ = ["Pointer", "is_ready", "start", "try_demands"]


class Pointer(NamedTuple):
    """A function that a loop calls by pointer, with what it returns and takes."""

    function: Callable[..., Any]
    signature: Callable[[Sequence[Any], tuple[Any, ...]], Any]
    """What returns numba's, as in ``float64(int64)``, for the types of what the loop takes before, and of the placer
    and the releaser."""


@pointed
def place_nothing(site: Site, demand: Records, log: Log, events: Events, row: int, wish: int) -> bool:
    """Stand in where all jobs are plain: never called."""
    return False


@pointed
def release_nothing(site: Site, demand: Records, log: Log, row: int, wish: int, first: int, chunks: int) -> None:
    """Stand in where all jobs are plain: never called."""


def start(
    engine: Callable[..., None],
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    *more: Pointer | tuple[Any, ...] | NDArray[Any] | int,
) -> float:
    """Run an event loop, such as :func:`gpuyard.kernel.engine.run`, with the placement functions that its demands need.

    ``more`` are the loop's own tables, numbers and pointers; the placement functions come last.  Return the seconds
    that the loop took; what had to be compiled before it is not in them.
    """
    return _call(engine, (jobs, demand, dependencies, site, queue, log, events, *more), demand, site, log, events)


def try_demands(demand: Records, site: Site, log: Log, events: Events) -> NDArray[np.bool_]:
    """Return for each demand, shape (demands,), whether the empty site can hold it.

    Plain ones are seen from the sizes of the nodes; the others are placed, each alone.  One that asks for nothing, or
    for a type of GPU that is not there, is not held.
    """
    something = (demand["kinds"] > 0) & ((demand["gpus"] > 0) | (demand["cpu"] > 0))
    fits = np.where(demand["plain"] > 0, plain_fits(demand, site.node["size"]), something)
    tried = (fits & (demand["plain"] == 0)).astype(np.int64)
    if tried.any():
        asked = tried > 0
        _call(try_each, (demand, site, log, events, tried), demand, site, log, events)
        fits[asked] = tried[asked] > 0
    return fits


def _call(
    function: Callable[..., None], given: tuple[Any, ...], demand: Records, site: Site, log: Log, events: Events
) -> float:
    """Call a kernel with what it is given and, as pointers, the functions that place and release these demands.

    Return the seconds that it took.
    """
    passed = tuple(each.function if isinstance(each, Pointer) else each for each in given)
    placer, releaser = _chosen(demand, site.rule, tracked=site.quanta > 0)
    if compiler.config.DISABLE_JIT:
        return _timed(function, (*passed, placer, releaser))
    whole = compiler.types.int64
    demands, sites, logs, pending = (compiler.typeof(table) for table in (demand, site, log, events))
    placing = (sites, demands, logs, pending, whole, whole)
    releasing = (sites, demands, logs, whole, whole, whole, whole)
    compiled_for(placer, placing)
    compiled_for(releaser, releasing)
    pointers = (
        compiler.types.FunctionType(compiler.types.boolean(*placing)),
        compiler.types.FunctionType(compiler.types.none(*releasing)),
    )
    own: list[Any] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NumbaExperimentalFeatureWarning)
        for each in given:
            own.append(_type_of(each, own, pointers))
        ready = compiled_for(function, (*own, *pointers))
    return _timed(ready, (*passed, placer, releaser))


def _timed(function: Callable[..., None], given: tuple[Any, ...]) -> float:
    begun = time.perf_counter()
    function(*given)
    return time.perf_counter() - begun


def _type_of(given: Any, before: Sequence[Any], placing: tuple[Any, ...]) -> Any:
    """Return numba's type of what a kernel is given; a function is compiled now."""
    if isinstance(given, Pointer):
        signature = given.signature(before, placing)
        compiled_for(given.function, signature.args)
        return compiler.types.FunctionType(signature)
    return compiler.types.int64 if isinstance(given, int) else compiler.typeof(given)


def is_ready(engine: Callable[..., None], rule: int, demand: Records | None = None, *, tracked: bool = False) -> bool:
    """Return whether all that :func:`start` needs for a loop and some demands is compiled; without them, for any.

    Parameters
    ----------
    rule
        The placement, of codes.Placement.
    tracked
        Whether single GPUs are tracked, as they are where a job asks for a fraction of one.
    """
    needed: tuple[Callable[..., object], ...] = (
        place_group,
        place_whole,
        place_shared,
        place_special,
        release_whole,
        release_special,
    )
    if demand is not None:
        needed = _chosen(demand, rule, tracked=tracked)
    elif rule >= Placement.RAIL_ALIGNED:
        needed = _OWN_PLACERS.get(rule, (place_scored, release_scored))
    return all(is_kept(each) for each in (engine, *needed))


_OWN_PLACERS: dict[int, tuple[Placer, Releaser]] = {
    Placement.RAIL_ALIGNED: (place_rails, release_special),
    Placement.TOPOLOGY_TREE: (place_switched, release_special),
    Placement.TOPOLOGY_BLOCK: (place_switched, release_special),
}
"""Placements whose functions place every job that is not plain; those that score candidates have theirs in common."""


def _chosen(demand: Records, rule: int, *, tracked: bool) -> tuple[Placer, Releaser]:
    """Return the smallest functions that place all jobs that are not plain, and release them and what is absent."""
    absent = demand["alone"] == ABSENT
    placer, releaser = _chosen_for_jobs(demand[~absent], rule, tracked=tracked)
    if absent.any():
        releaser = release_scored_alone if rule >= Placement.FGD else release_alone
    return placer, releaser


def _chosen_for_jobs(demand: Records, rule: int, *, tracked: bool) -> tuple[Placer, Releaser]:
    special = demand[demand["plain"] == 0]
    if special.size == 0:
        return place_nothing, release_nothing
    if np.any(special["alone"]):
        return (place_scored_alone, release_scored_alone) if rule >= Placement.FGD else (place_alone, release_alone)
    if rule >= Placement.RAIL_ALIGNED:
        return _OWN_PLACERS.get(rule, (place_scored, release_scored))
    spread = bool(np.any(special["spread"]))
    if tracked or spread:
        return place_special if spread or rule == Placement.PACKED else place_shared, release_special
    if rule == Placement.PACKED and not np.any(special["whole"]):
        return place_group, release_whole
    return place_whole, release_whole
