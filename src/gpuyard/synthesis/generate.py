"""From a spec, a cluster size and a seed to a workload, at once or table by table."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from gpuyard.errors import ConfigError
from gpuyard.synthesis.arrivals import Clock, flat_clock
from gpuyard.synthesis.batch import Batch, in_order
from gpuyard.synthesis.expansion import Site
from gpuyard.synthesis.moving_in import MovedIn, services_of_tenants
from gpuyard.synthesis.planning import MOST_JOBS, Plan, Planner
from gpuyard.synthesis.rhythm import orders
from gpuyard.synthesis.series import batches, service_batches
from gpuyard.synthesis.spec import SynthesisSpec
from gpuyard.synthesis.table import Tables
from gpuyard.synthesis.tenants import Tenant
from gpuyard.units import counted
from gpuyard.workload import Workload

__all__ = ["CHUNK", "LOAD_TOLERANCE", "Generation", "generation", "synthesise"]

DAY = 86_400.0
LOAD_TOLERANCE = 0.01
"""Relative difference between the offered load and the wanted one that is an error."""
CHUNK = 1 << 18
"""Jobs of one table of a generation, about."""


class Generation:
    """A synthetic workload before its jobs are made: which they are is known, and each can be made anew.

    ``jobs`` is their number, ``span`` the length of the window in seconds, ``load`` the load they offer (of tenants
    that move in later: the number and the load as if they were there from the beginning), ``notes`` sentences about
    them.
    """

    def __init__(self, spec: SynthesisSpec, plan: Plan, gpus: int, seed: int, node_gpus: tuple[int, ...]) -> None:
        self._spec, self._plan, self._seed = spec, plan, seed
        self._services = services_of_tenants(plan.services, spec, seed)
        self._tables = Tables(spec, plan.span, self._services.services.book, node_gpus)
        self._orders = orders(plan, spec, seed)
        self.jobs, self.span = plan.jobs(), plan.span
        self.load = plan.gpu_time() / (gpus * plan.span)
        offered = f"window {plan.span:g} s, offered load {self.load:.4f} of {counted(gpus, 'GPU')}"
        late = [
            f"tenant {tenant.name} moves in after {moment / DAY:g} days; the load is that of all tenants"
            for tenant, moment in zip(spec.tenants, spec.move_ins().tolist(), strict=True)
            if moment > 0
        ]
        self.notes = (f"synthetic: seed {seed}, {offered}", *late, *plan.services.notes)

    def _busiest(self) -> Clock:
        """Return the clock of the kind with most jobs, by which tables of about equal length are made."""
        return max(self._orders, key=lambda one: one.chosen.jobs).clock if self._orders else flat_clock(self.span)

    @property
    def services(self) -> MovedIn:
        """The real-time services, with their owners."""
        return self._services

    @property
    def tenants(self) -> tuple[Tenant, ...]:
        """Who submits."""
        return self._spec.tenants

    @property
    def schema(self) -> pa.Schema:
        """The schema of the tables."""
        return self._tables.schema

    def tables(self, rows: int = CHUNK) -> Iterator[pa.Table]:
        """Return the jobs in order of submission, in tables of about ``rows`` jobs.

        However large the tables are, one after the other they hold the same rows.  Memory is for one table, not for all
        jobs (but for the replicas of real-time services, which are few).  A closed loop is one table: most of its jobs
        are submitted with their user's first.
        """
        if rows < 1:
            raise ConfigError(f"a table has 1 row or more, got {rows}")
        if self._spec.closed_loop:
            if self.jobs > MOST_JOBS:
                raise ConfigError(f"a closed loop of {self.jobs:,} jobs is more than {MOST_JOBS:,}; ask for fewer days")
            rows = max(self.jobs, 1)
        parts = -(-self.jobs // rows)
        return (self._tables.table(found) for found in self._parts(parts) if found or parts == 1)

    def _parts(self, parts: int) -> Iterator[list[Batch]]:
        """Return the jobs in so many parts, one after the other, in each kind by kind."""
        series = service_batches(self._services)
        series += [batches(order, self._spec, self.span, self._seed) for order in self._orders]
        return in_order(series, self._busiest().times(np.arange(1, parts) / parts).tolist())

    def workload(self) -> Workload:
        """Return all jobs at once."""
        table = self._tables.whole(self._parts(-(-self.jobs // CHUNK)), self.jobs)
        return Workload(held=table, name="synthetic", notes=self.notes)


def generation(
    spec: SynthesisSpec,
    *,
    gpus: int,
    seed: int,
    max_gpus_per_job: int | None = None,
    node_cpus: float | None = None,
    node_gpus: tuple[int, ...] = (),
    most_jobs: int | None = None,
    part: tuple[float, float] = (0.0, 0.0),
) -> Generation:
    """Return what :func:`synthesise` would make, to be made table by table; the parameters are the same.

    ``most_jobs`` is how many jobs there may be, any number if None; ``part``, of a longer workload that this is a
    part of, the seconds that lie before, after which recorded requests go on, and the seconds of all of it, by which
    control intervals of services are as long as there.
    """
    largest = gpus if max_gpus_per_job is None else max_gpus_per_job
    if gpus < 1 or not 1 <= largest <= gpus:
        raise ConfigError(f"a job takes 1 to gpus={gpus} GPUs, got max_gpus_per_job={max_gpus_per_job}")
    planner = Planner(spec, Site(gpus, largest, spec.campaign_growth, node_cpus, spec.origin(), part), seed)
    if most_jobs is not None:
        planner.check_size(most_jobs)
    plan = planner.planned()
    made = Generation(spec, plan, gpus, seed, node_gpus)
    if spec.rate is None and abs(made.load - spec.load) > LOAD_TOLERANCE * spec.load:
        raise ConfigError(
            f"the jobs offer a load of {made.load:.4f} instead of {spec.load:g}: they are too large "
            f"for {counted(gpus, 'GPU')} over {counted(plan.span / DAY, 'day')}; "
            "ask for more days or jobs, more GPUs or fewer classes"
        )
    return made


def synthesise(
    spec: SynthesisSpec,
    *,
    gpus: int,
    seed: int,
    max_gpus_per_job: int | None = None,
    node_cpus: float | None = None,
    node_gpus: tuple[int, ...] = (),
    progress: Callable[[float], None] | None = None,
) -> Workload:
    """Return a synthetic workload for a cluster of ``gpus`` GPUs; the same arguments give the same bytes.

    Parameters
    ----------
    max_gpus_per_job
        The largest job the cluster takes, ``gpus`` if None.  Sizes are drawn from the distribution conditioned on it;
        no drawn size is made smaller.
    node_cpus
        CPU cores of the cluster's smallest node, None where it states none.  Stages without GPUs then hold nothing,
        and only delay what follows them.
    node_gpus
        The different numbers of GPUs that the cluster's nodes have.  Jobs whose GPUs are to share a domain of fast
        links say in how many nodes of the smallest they lie (``segment``); without, none does.
    progress
        Called with the part that is done, 0 to 1.

    Raises
    ------
    ConfigError
        If the load cannot be met within 1 % on so small a cluster or in so short a window, if ``jobs`` is fewer than
        the load needs, if more than 50 million jobs are expected, or if no job of a class is as small as
        ``max_gpus_per_job``.
    """
    report = progress or (lambda part: None)
    report(0.0)
    made = generation(
        spec,
        gpus=gpus,
        seed=seed,
        max_gpus_per_job=max_gpus_per_job,
        node_cpus=node_cpus,
        node_gpus=node_gpus,
        most_jobs=MOST_JOBS,
    )
    report(0.4)
    workload = made.workload()
    report(1.0)
    return workload
