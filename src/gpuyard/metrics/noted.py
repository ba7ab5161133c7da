"""What a run notes of itself as a likely slip: names that no job has, and what changes nothing, a sentence each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gpuyard.metrics.in_vain import in_vain, of_sharing
from gpuyard.metrics.misnomers import misnamed, misnomers, nearest
from gpuyard.record import Record
from gpuyard.tenancy import NO_TENANTS
from gpuyard.units import counted
from gpuyard.virtual_clusters import Division
from gpuyard.workload import MICROSECOND, NEVER

__all__ = ["slips"]


def slips(record: Record) -> list[str]:
    """Return what tenants and policy of a run, and the tenants of its virtual clusters, say in vain."""
    jobs, policy, division = record.workload, record.policy, record.division
    tenants = record.tenants if division is None else NO_TENANTS
    said = [
        *misnomers(tenants, jobs),
        *misnamed(policy, jobs, record.bounds),
        *in_vain(policy, tenants, jobs, record.cluster),
    ]
    return [*said, *_of_stop(record), *(() if division is None else _apart(record, division))]


def _of_stop(record: Record) -> Iterator[str]:
    """Yield that the run stops before anybody comes."""
    first = int(record.workload.submit.min(initial=NEVER))
    if record.stop < first < NEVER:
        stop, first_s = record.stop / MICROSECOND, first / MICROSECOND
        yield f"The simulation stops at {stop:g} s, before the first job is submitted, at {first_s:g} s."


def _apart(record: Record, division: Division) -> Iterator[str]:
    """Yield what tenants of virtual clusters say in vain; of the same tenants in several once."""
    yield from _without_jobs(record, division)
    for number, tenants in enumerate(division.tenants):
        having = [place for place, each in enumerate(division.tenants) if each == tenants]
        if not tenants:
            continue
        if having[0] == number:
            jobs = record.workload.where(np.isin(division.member, having), "of a virtual cluster")
            names = " and ".join(f"'{division.names[place]}'" for place in having)
            yield from (f"Virtual cluster {names}: {each}" for each in misnomers(tenants, jobs))
        name, nodes = division.names[number], np.flatnonzero(division.owner == number)
        own = of_sharing(division.policies[number], tenants, record.cluster.part(nodes, name))
        yield from (f"Virtual cluster '{name}': {each}" for each in own)


def _without_jobs(record: Record, division: Division) -> Iterator[str]:
    """Yield which virtual clusters have no job, where jobs of none have a partition or tenant whose name is near."""
    outside = division.member < 0
    empty = sorted(set(range(len(division.names))) - set(division.member.tolist())) if outside.any() else []
    for number in empty:
        for column in ("partition", "tenant"):
            codes, names = record.workload.labels(column, "")
            found = nearest(division.names[number], {names[code] for code in np.unique(codes[outside])} - {""})
            if found is not None:
                jobs = counted(int(np.sum(outside & (codes == list(names).index(found)))), "job")
                name = division.names[number]
                yield f"No job belongs to the virtual cluster '{name}', and {jobs} of '{found}' to none."
                break
