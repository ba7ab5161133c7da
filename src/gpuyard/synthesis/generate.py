"""From a spec, a cluster size and a seed to a workload, at once or table by table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pyarrow as pa

from gpuyard.errors import ConfigError
from gpuyard.synthesis.arrivals import flat_clock
from gpuyard.synthesis.batch import Batch, Place, in_order, placed
from gpuyard.synthesis.expansion import Site
from gpuyard.synthesis.moving_in import MovedIn, services_of_tenants
from gpuyard.synthesis.planning import MOST_JOBS, Plan, Planner
from gpuyard.synthesis.rhythm import orders
from gpuyard.synthesis.series import Order, batches, service_batches
from gpuyard.synthesis.spec import SynthesisSpec
from gpuyard.synthesis.table import Tables
from gpuyard.synthesis.tenants import Tenant
from gpuyard.synthesis.unit_supply import UnitSupply
from gpuyard.units import counted
from gpuyard.workload import Workload

__all__ = ["CHUNK", "LOAD_TOLERANCE", "Generation", "SteadyGeneration", "generation", "synthesise"]

DAY = 86_400.0
LOAD_TOLERANCE = 0.01
"""Relative difference between the offered load and the wanted one that is an error."""
CHUNK = 1 << 18
"""Jobs of one table of a generation, about."""


class Generation(ABC):
    """A synthetic workload before its jobs are made: which they are is known, and each can be made anew.

    ``jobs`` is their number, ``span`` the length of the window in seconds, ``load`` the load they offer (of tenants
    that move in later: the number and the load as if they were there from the beginning), ``notes`` sentences about
    them, ``services`` the real-time services with their owners.
    """

    def __init__(self, spec: SynthesisSpec, span: float, services: MovedIn) -> None:
        self._spec, self.span, self.services = spec, span, services
        self._tables = Tables(spec, span, services.services.book)
        self.jobs, self.load, self.notes = 0, 0.0, tuple[str, ...]()

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
        if self._spec.closed_loop and self.jobs > MOST_JOBS:
            raise ConfigError(f"a closed loop of {self.jobs:,} jobs is more than {MOST_JOBS:,}; ask for fewer days")
        return self._tables.each(self._parts(rows))

    @abstractmethod
    def _series(self) -> tuple[list[Iterator[Batch]], list[float]]:
        """Return series of all jobs, each in order of submission, and when each begins, s or before."""

    @abstractmethod
    def _ends(self, rows: int) -> list[float]:
        """Return instants, s, that cut the workload into parts of about so many jobs."""

    def _parts(self, rows: int) -> Iterator[list[Batch]]:
        """Return the jobs in parts of about so many, one after the other, in each series by series."""
        series, begins = self._series()
        return in_order(series, [] if self._spec.closed_loop else self._ends(rows), begins)

    def workload(self) -> Workload:
        """Return all jobs at once."""
        return Workload(held=self._tables.whole(self._parts(CHUNK), self.jobs), name="synthetic", notes=self.notes)


class SteadyGeneration(Generation):
    """The workload of a cluster that stays as it is.

    ``queued`` is the number of its jobs that are no replicas of services, ``gpu_time`` the GPU seconds of all.
    """

    def __init__(self, spec: SynthesisSpec, plan: Plan, gpus: int, seed: int, node_gpus: tuple[int, ...]) -> None:
        super().__init__(spec, plan.span, services_of_tenants(plan.services, spec, seed))
        self._seed, self._place = seed, Place(node_gpus)
        self._orders = orders(plan, spec, seed)
        self.queued = sum(chosen.jobs for chosen in plan.chosen)
        self.jobs, self.gpu_time = plan.jobs(), plan.gpu_time()
        self.load = self.gpu_time / (gpus * plan.span)
        offered = f"window {plan.span:g} s, offered load {self.load:.4f} of {counted(gpus, 'GPU')}"
        late = [
            f"tenant {tenant.name} moves in after {moment / DAY:g} days; the load is that of all tenants"
            for tenant, moment in zip(spec.tenants, spec.move_ins().tolist(), strict=True)
            if moment > 0
        ]
        left_out = f", without {' and '.join(spec.without)}" if spec.without else ""
        self.notes = (f"synthetic: seed {seed}, {offered}{left_out}", *late, *plan.services.notes)

    def forget(self) -> None:
        """Forget jobs that were made to plan them and are kept, so that many plans take little memory."""
        for order in self._orders:
            if isinstance(order.supply, UnitSupply):
                order.supply.forget()

    def queue(self, place: Place) -> list[Iterator[Batch]]:
        """Return the jobs that are no replicas of services, kind by kind, as those of this place in a workload."""
        return [self._placed(order, place) for order in self._orders]

    def _placed(self, order: Order, place: Place) -> Iterator[Batch]:
        """Return the jobs of a kind; nothing of them is made before the first is asked for."""
        for batch in batches(order, self._spec, self.span, self._seed):
            yield placed(batch, place)

    def times(self, jobs: int, rows: int) -> list[float]:
        """Return instants, s, that cut the window into parts of about so many of these jobs."""
        busiest = max(self._orders, key=lambda one: one.chosen.jobs).clock if self._orders else flat_clock(self.span)
        parts = -(-jobs // rows)
        return busiest.times(np.arange(1, parts) / parts).tolist()

    def _series(self) -> tuple[list[Iterator[Batch]], list[float]]:
        replicas = (map(partial(placed, place=self._place), one) for one in service_batches(self.services))
        series = [*replicas, *self.queue(self._place)]
        return series, [-np.inf] * len(series)

    def _ends(self, rows: int) -> list[float]:
        return self.times(self.jobs, rows)


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
) -> SteadyGeneration:
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
    made = SteadyGeneration(spec, plan, gpus, seed, node_gpus)
    meant = spec.load * spec.remaining()
    if spec.rate is None and abs(made.load - meant) > LOAD_TOLERANCE * meant:
        raise ConfigError(
            f"the jobs offer a load of {made.load:.4f} instead of {meant:g}: they are too large "
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
