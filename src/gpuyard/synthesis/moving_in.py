"""Tenants that move in later: what they would have submitted before is left out, and nothing else changes.

The workload is planned as if everybody were there from the beginning, so that every other job keeps its number, its
size, its run time, its owner and its instant.  The load grows as tenants move in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.streams import Stream
from gpuyard.synthesis.batch import Batch, part
from gpuyard.synthesis.expansion import ITEMS, Jobs
from gpuyard.synthesis.planning import Services
from gpuyard.synthesis.realtime import replicas
from gpuyard.synthesis.spec import SynthesisSpec
from gpuyard.synthesis.tenants import owners

__all__ = ["MovedIn", "services_of_tenants", "without_absent"]


class MovedIn(NamedTuple):
    """Services with their owners: the tenant's position and the user's number, int64, shape (services,)."""

    services: Services
    tenant: NDArray[np.int64]
    user: NDArray[np.int64]


def services_of_tenants(services: Services, spec: SynthesisSpec, seed: int) -> MovedIn:
    """Return the services with their owners, each from when its owner moves in; a service has one owner."""
    made = [one for one in services.replicas if one.jobs]
    nobody = np.empty(0, dtype=np.int64)
    if services.book is None or not made:
        return MovedIn(services._replace(replicas=[]), nobody, nobody)
    tenant, user = _owners_of([one.service.job_class for one in made], spec, seed)
    begins = np.maximum(spec.move_ins()[tenant], 0.0)
    if not begins.any():
        return MovedIn(services._replace(replicas=made), tenant, user)
    started = {one.service.name: begin for one, begin in zip(made, begins.tolist(), strict=True)}
    late = [replace(each, start=started.get(each.name, 0.0)) for each in services.book.services]
    found = {one.service.name: one for one in replicas(replace(services.book, services=tuple(late)))}
    there = np.array([found[one.service.name].jobs > 0 for one in made])
    left = [found[one.service.name] for one, is_there in zip(made, there.tolist(), strict=True) if is_there]
    book = replace(services.book, services=tuple(one.service for one in left))
    return MovedIn(services._replace(book=book, replicas=left), tenant[there], user[there])


def _owners_of(classes: list[str], spec: SynthesisSpec, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return tenant and user of services of these classes; the services of each class have numbers of their own."""
    tenant, user = np.empty((2, len(classes)), dtype=np.int64)
    redraws = {one.name: one.redraw for one in spec.classes}
    for name in dict.fromkeys(classes):
        mine = np.array([each == name for each in classes])
        stem = f"synthesis:{name}-service:{redraws[name]}"
        chances = (Stream(seed, f"{stem}:{what}").uniform(int(mine.sum())) for what in ("tenant", "user"))
        tenant[mine], user[mine] = owners(spec.tenants, name, spec.skew(), *chances)
    return tenant, user


def without_absent(batches: Iterable[Batch], moves_in: NDArray[np.float64]) -> Iterator[Batch]:
    """Return the batches without the jobs that are due before their tenant moves in."""
    if not np.isfinite(moves_in).any():
        yield from batches
        return
    for batch in batches:
        kept = _present(batch, batch.submit >= moves_in[batch.tenant])
        if kept.submit.size:
            yield kept


def _present(batch: Batch, present: NDArray[np.bool_]) -> Batch:
    """Return these rows, numbered as they were; a job of which a parent is left out waits for no other job."""
    if present.all():
        return batch
    kept = part(batch, present)
    if batch.jobs is None or kept.jobs is None:
        return kept
    alone = _lacks_parents(batch.jobs, batch.number, present)[present]
    jobs = replace(
        kept.jobs,
        parents=np.where(alone, 0, kept.jobs.parents),
        first_parent=np.where(alone, 0, kept.jobs.first_parent),
        think_time=np.where(alone, np.nan, kept.jobs.think_time),
    )
    return replace(kept, jobs=jobs)


def _lacks_parents(jobs: Jobs, number: NDArray[np.int64], present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which jobs have a parent that is left out, bool, shape (jobs,); parents are neighbours in their unit."""
    key = jobs.unit * ITEMS + number
    order = np.argsort(key)
    absent = np.concatenate(([0], np.cumsum(~present[order])))
    first = np.searchsorted(key[order], jobs.unit * ITEMS + jobs.first_parent)
    return np.asarray(absent[np.minimum(first + jobs.parents, key.size)] > absent[first])
