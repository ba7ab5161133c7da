"""Start the engine with the placement functions that a run needs, as pointers of a stated signature.

A pointer keeps the engine's compiled form independent of what is behind it: it is found in the cache whatever is
passed, and a run of plain jobs never compiles the special ones.
"""

from __future__ import annotations

import warnings

import numpy as np
from numba.core.errors import NumbaExperimentalFeatureWarning

from gpuyard.kernel.engine import run
from gpuyard.kernel.jit import compiled_for, compiler, kernel
from gpuyard.kernel.placement import place_special, release_special
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site

__all__ = ["start"]


@kernel
def _place_nothing(site: Site, demand: Records, log: Log, events: Events, row: int, wish: int) -> bool:
    """Stand in where all jobs are plain: never called."""
    return False


@kernel
def _release_nothing(site: Site, demand: Records, log: Log, row: int, wish: int, first: int, chunks: int) -> None:
    """Stand in where all jobs are plain: never called."""


def start(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    forced: bool,
    stop: int,
) -> None:
    """Run the engine; see :func:`gpuyard.kernel.engine.run`."""
    plain = bool(np.all(demand["plain"]))
    placer = _place_nothing if plain else place_special
    releaser = _release_nothing if plain else release_special
    engine = run
    if not compiler.config.DISABLE_JIT:
        whole = compiler.types.int64
        placing = (*(compiler.typeof(table) for table in (site, demand, log, events)), whole, whole)
        releasing = (*(compiler.typeof(table) for table in (site, demand, log)), whole, whole, whole, whole)
        compiled_for(placer, placing)
        compiled_for(releaser, releasing)
        tables = tuple(compiler.typeof(table) for table in (jobs, demand, dependencies, site, queue, log, events))
        pointers = (
            compiler.types.FunctionType(compiler.types.boolean(*placing)),
            compiler.types.FunctionType(compiler.types.none(*releasing)),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NumbaExperimentalFeatureWarning)
            engine = compiled_for(run, (*tables, compiler.types.boolean, whole, *pointers))
    engine(jobs, demand, dependencies, site, queue, log, events, forced, stop, placer, releaser)
