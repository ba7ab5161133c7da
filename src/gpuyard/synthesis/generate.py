"""From a spec, a cluster size and a seed to a workload."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.services.book import Book
from gpuyard.streams import Stream
from gpuyard.synthesis.arrivals import Calendar, burst_of_jobs
from gpuyard.synthesis.calibration import Supply, UnitSupply
from gpuyard.synthesis.expansion import Site
from gpuyard.synthesis.kinds import CLASSES, Kind
from gpuyard.synthesis.published import States
from gpuyard.synthesis.realtime import Replicas, expected_replicas, make_services, replica_kind, replicas
from gpuyard.synthesis.spec import SynthesisSpec
from gpuyard.synthesis.table import Batch, to_workload
from gpuyard.synthesis.tenants import owners
from gpuyard.units import counted
from gpuyard.workload import Workload

__all__ = ["LARGE_JOBS", "LOAD_TOLERANCE", "synthesise"]

DAY = 86_400.0
LOAD_TOLERANCE = 0.01
"""Relative difference between the offered load and the wanted one that is an error."""
MAKE_UP = 0.003
"""Relative miss of the load beyond which the most numerous kind makes up for the others (small clusters)."""
LARGE_JOBS = 0.05
"""Share of a kind's jobs, those of most GPU time, whose end states follow the published shares of GPU time."""
SHORTEST, LONGEST = 60.0, 3650 * DAY
MOST_JOBS = 50_000_000
"""A workload of more jobs is not made: it would take tens of GB of memory."""


class Services(NamedTuple):
    """The real-time services of a window, with the jobs that their replicas are, and notes of what they replay."""

    book: Book | None
    replicas: list[Replicas]
    notes: tuple[str, ...]

    def jobs(self) -> int:
        return sum(each.submit.size for each in self.replicas)

    def gpu_time(self) -> float:
        return sum(float(each.runtime.sum()) * each.gpus for each in self.replicas)


class _Plan(NamedTuple):
    """Which jobs of which kind make up the workload over a window of ``span`` seconds."""

    span: float
    supplies: list[Supply | UnitSupply]
    chosen: list[NDArray[np.int64]]
    services: Services

    def jobs(self) -> int:
        return sum(one.size for one in self.chosen) + self.services.jobs()


def synthesise(
    spec: SynthesisSpec,
    *,
    gpus: int,
    seed: int,
    max_gpus_per_job: int | None = None,
    node_cpus: float | None = None,
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
    progress
        Called with the part that is done, 0 to 1.

    Raises
    ------
    ConfigError
        If the load cannot be met within 1 % on so small a cluster or in so short a window, if ``jobs`` is fewer than
        the load needs, if more than 50 million jobs are expected, or if no job of a class is as small as
        ``max_gpus_per_job``.
    """
    largest = gpus if max_gpus_per_job is None else max_gpus_per_job
    if gpus < 1 or not 1 <= largest <= gpus:
        raise ConfigError(f"a job takes 1 to gpus={gpus} GPUs, got max_gpus_per_job={max_gpus_per_job}")
    report = progress or (lambda part: None)
    report(0.0)
    maker = _Maker(spec, Site(gpus, largest, spec.campaign_growth, node_cpus, spec.origin()), seed)
    maker.check_size()
    plan = maker.plan(round(spec.days * DAY, 3)) if spec.jobs is None else maker.plan_of(spec.jobs)
    report(0.4)
    batches = maker.batches(plan)
    report(0.7)
    load = sum(float(batch.gpus @ batch.runtime) for batch in batches) / (gpus * plan.span)
    if abs(load - spec.load) > LOAD_TOLERANCE * spec.load:
        raise ConfigError(
            f"the jobs offer a load of {load:.4f} instead of {spec.load:g}: they are too large "
            f"for {counted(gpus, 'GPU')} over {counted(plan.span / DAY, 'day')}; "
            "ask for more days or jobs, more GPUs or fewer classes"
        )
    workload = to_workload(
        batches, spec, span=plan.span, gpus=gpus, seed=seed, load=load, book=plan.services.book,
        notes=plan.services.notes,
    )  # fmt: skip
    report(1.0)
    return workload


class _Maker:
    """One call's spec, cluster and seed, and the series of jobs of each kind."""

    def __init__(self, spec: SynthesisSpec, site: Site, seed: int) -> None:
        self.spec, self.site, self.gpus, self.seed = spec, site, site.gpus, seed
        order = sorted(spec.classes, key=lambda one: CLASSES.index(one.name))
        self.batch_classes = [one for one in order if one.name != "realtime"]
        self.realtime = [one for one in order if one.name == "realtime"]
        self.supplies = [self._supply(kind, one.redraw) for one in self.batch_classes for kind in one.kinds()]
        self.parts = [one.share * kind.share for one in self.batch_classes for kind in one.kinds()]

    def _supply(self, kind: Kind, redraw: int) -> Supply | UnitSupply:
        if kind.expansion is not None:
            return UnitSupply(kind, kind.expansion, self.site, self.seed, redraw)
        sizes = kind.sizes_on(self.gpus, self.site.largest, self.site.growth)
        return Supply(kind, sizes, self.seed, redraw)

    def check_size(self) -> None:
        """Raise a ConfigError if there would be more jobs than can be made; before any is."""
        spec = self.spec
        expected = self._expected_jobs(spec.days * DAY) if spec.jobs is None else spec.jobs
        if expected <= MOST_JOBS:
            return
        if spec.jobs is not None:
            asked, part = f"jobs is {spec.jobs:,}", f"at most {MOST_JOBS:,} jobs each"
        else:
            days = float(f"{spec.days * MOST_JOBS / expected * 0.9:.1g}")
            asked = f"days is {spec.days:g} at a load of {spec.load:g} on {self.gpus:,} GPUs: some {expected:,.0f} jobs"
            part = f"about {counted(days, 'day')} each"
        raise ConfigError(
            f"{asked}, and {MOST_JOBS:,} at most can be made at once; make it in parts of {part}, "
            "every one with a start and a seed of its own"
        )

    def service_gpus(self) -> float:
        """Return the GPUs that services hold on average: their share of the load."""
        return sum(one.share for one in self.realtime) * self.spec.load * self.gpus

    def wanted(self, span: float, services: float) -> list[float]:
        """Return the GPU seconds each kind is to offer; what services miss is made up for in proportion."""
        whole, meant = self.spec.load * self.gpus * span, self.service_gpus() * span
        rest = max(whole - (meant if abs(services - meant) <= MAKE_UP * whole else services), 0.0)
        return [part / sum(self.parts) * rest for part in self.parts]

    def plan(self, span: float) -> _Plan:
        """Return the jobs of a window of ``span`` seconds."""
        services = self.services(span)
        shares = self.wanted(span, services.gpu_time())
        chosen = [
            supply.offering(wanted, span) if wanted > 0 else np.empty(0, dtype=np.int64)
            for supply, wanted in zip(self.supplies, shares, strict=True)
        ]
        pairs = zip(self.supplies, chosen, strict=True)
        excess = sum(supply.gpu_time(numbers, span) for supply, numbers in pairs) - sum(shares)
        if abs(excess) > MAKE_UP * self.spec.load * self.gpus * span:
            at = int(np.argmax([one.size for one in chosen]))
            if shares[at] > excess:
                chosen[at] = self.supplies[at].offering(shares[at] - excess, span)
        return _Plan(span, self.supplies, chosen, services)

    def plan_of(self, jobs: int) -> _Plan:
        """Return exactly ``jobs`` jobs and the window in which they offer the load."""
        if not self.supplies:
            raise ConfigError("a number of jobs needs a class besides 'realtime'; give days instead")
        least = self.plan(SHORTEST).jobs()
        if least > jobs:
            raise ConfigError(
                f"{counted(jobs, 'job')} cannot offer a load of {self.spec.load:g} to "
                f"{counted(self.gpus, 'GPU')}: it takes {least} at once; ask for more jobs, a lower load or fewer GPUs"
            )
        low, high = SHORTEST, LONGEST
        for _ in range(60):
            middle = (low * high) ** 0.5
            low, high = (middle, high) if self._expected_jobs(middle) < jobs else (low, middle)
        span = round((low * high) ** 0.5, 3)
        plan = self.plan(span)
        for _ in range(8):
            if abs(plan.jobs() - jobs) <= 0.001 * jobs:
                break
            span = round(max(span * jobs / plan.jobs(), SHORTEST), 3)
            plan = self.plan(span)
        return self._with_exactly(plan, jobs)

    def _with_exactly(self, plan: _Plan, jobs: int) -> _Plan:
        """Return the plan with the number of jobs made exact in its most numerous kind, and the load met again."""
        pairs = zip(plan.supplies, plan.chosen, strict=True)
        at = int(np.argmax([one.size if isinstance(supply, Supply) else -1 for supply, one in pairs]))
        numbers, supply = plan.chosen[at], plan.supplies[at]
        assert isinstance(supply, Supply)  # every class but 'realtime' has a kind of single jobs
        missing = jobs - plan.jobs()
        if numbers.size + missing < 1:
            raise ConfigError(
                f"no window in which {jobs} jobs offer the load was found; ask for more jobs, or for days"
            )
        first = int(numbers[-1]) + 1
        numbers = np.concatenate((numbers, np.arange(first, first + missing)))[: numbers.size + missing]
        excess = supply.gpu_time(numbers, plan.span) - supply.gpu_time(plan.chosen[at], plan.span)
        if numbers.size and abs(excess) > MAKE_UP * self.spec.load * self.gpus * plan.span:
            numbers = supply.exactly(numbers.size, self.wanted(plan.span, plan.services.gpu_time())[at], plan.span)
        chosen = [numbers if position == at else one for position, one in enumerate(plan.chosen)]
        return plan._replace(chosen=chosen)

    def _expected_jobs(self, span: float) -> float:
        """Return about how many jobs a window of ``span`` seconds has."""
        pairs = zip(self.supplies, self.wanted(span, self.service_gpus() * span), strict=True)
        expected = sum(wanted / supply.expected_gpu_time(span) for supply, wanted in pairs)
        if self.realtime:
            expected += expected_replicas(self.spec.services, self.service_gpus(), span)
        return expected

    def services(self, span: float) -> Services:
        """Return the real-time services of a window."""
        if not self.realtime:
            return Services(None, [], ())
        book, requests = make_services(
            self.spec.services, self.service_gpus(), largest=self.site.largest, span=span, origin=self.spec.origin(),
            seed=self.seed, redraw=self.realtime[0].redraw,
        )  # fmt: skip
        book, made = replicas(book)
        notes = tuple(
            f"service '{name}' replays {each.number:,} requests of {each.seconds:g} s, file of SHA-256 {each.sha256}"
            for name, each in requests.items()
        )
        return Services(book, made, notes)

    def _service_batches(self, services: Services) -> list[Batch]:
        """Return the replicas of each service as its batch; a service has one owner."""
        if services.book is None or not services.replicas:
            return []
        stem = f"synthesis:realtime-service:{self.realtime[0].redraw}"
        tenant, user = self._owners("realtime", stem, len(services.replicas))
        return [
            Batch(
                kind=replica_kind(one.service, services.book.kinds[one.service.kind]),
                number=np.arange(one.submit.size), submit=one.submit, runtime=one.runtime,
                gpus=np.full(one.submit.size, one.gpus), tenant=np.full(one.submit.size, tenant[at]),
                user=np.full(one.submit.size, user[at]), state=np.zeros(one.submit.size, dtype=np.int64),
                time_limit=np.full(one.submit.size, np.nan),
            )
            for at, one in enumerate(services.replicas)
        ]  # fmt: skip

    def _owners(self, job_class: str, stem: str, submissions: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return owners(
            self.spec.tenants, job_class, self.spec.zipf_exponent,
            Stream(self.seed, f"{stem}:tenant").uniform(submissions),
            Stream(self.seed, f"{stem}:user").uniform(submissions),
        )  # fmt: skip

    def batches(self, plan: _Plan) -> list[Batch]:
        """Return the columns of every kind."""
        calendar = Calendar(self.spec.origin(), plan.span, self.spec.hourly, self.spec.weekly)
        pairs = zip(plan.supplies, plan.chosen, strict=True)
        return self._service_batches(plan.services) + [
            self._batch(supply, chosen, plan.span, calendar) for supply, chosen in pairs
        ]

    def _batch(self, supply: Supply | UnitSupply, chosen: NDArray[np.int64], span: float, calendar: Calendar) -> Batch:
        if isinstance(supply, UnitSupply):
            return self._batch_of_units(supply, chosen, span, calendar)
        return self._batch_of_jobs(supply, chosen, span, calendar)

    def _batch_of_units(self, supply: UnitSupply, chosen: NDArray[np.int64], span: float, calendar: Calendar) -> Batch:
        """Return the columns of the chosen jobs of units; who submits them and when is drawn for the unit."""
        kind, stem = supply.kind, supply.stem
        jobs = supply.jobs(chosen.size, span)
        units = int(jobs.unit[-1]) + 1 if chosen.size else 0
        burst = burst_of_jobs(Stream(self.seed, f"{stem}:burst"), units, kind.burst)
        bursts = int(burst[-1]) + 1 if units else 0
        moment = calendar.times(kind.rhythm, Stream(self.seed, f"{stem}:arrival").uniform(bursts))
        tenant, user = self._owners(kind.job_class, stem, bursts)
        drawn = _states(jobs.gpu_time(), kind.states, supply.chances("state", jobs))
        burst = burst[jobs.unit]
        return Batch(
            kind=kind, number=chosen, submit=np.where(np.isnan(jobs.submit), np.round(moment, 3)[burst], jobs.submit),
            runtime=jobs.runtime, gpus=jobs.gpus, tenant=tenant[burst], user=user[burst],
            state=np.where(jobs.state >= 0, jobs.state, drawn),
            time_limit=self._limits(jobs.runtime, supply.chances("limit", jobs)), jobs=jobs,
        )  # fmt: skip

    def _batch_of_jobs(self, supply: Supply, chosen: NDArray[np.int64], span: float, calendar: Calendar) -> Batch:
        """Return the columns of the chosen jobs; whatever is drawn for a job is drawn by its number."""
        kind, stem = supply.kind, supply.stem
        until = int(chosen[-1]) + 1 if chosen.size else 0
        all_gpus, all_runtimes = supply.first(until)
        gpus, runtime = all_gpus[chosen], np.minimum(all_runtimes[chosen], span)
        burst = burst_of_jobs(Stream(self.seed, f"{stem}:burst"), until, kind.burst)
        bursts = int(burst[-1]) + 1 if until else 0
        moment = calendar.times(kind.rhythm, Stream(self.seed, f"{stem}:arrival").uniform(bursts))
        tenant, user = self._owners(kind.job_class, stem, bursts)
        state = _states(
            gpus.astype(np.float64) * runtime, kind.states, Stream(self.seed, f"{stem}:state").uniform(until)[chosen]
        )
        burst = burst[chosen]
        return Batch(
            kind=kind, number=chosen, submit=np.round(moment, 3)[burst], runtime=runtime, gpus=gpus,
            tenant=tenant[burst], user=user[burst], state=state,
            time_limit=self._limits(runtime, Stream(self.seed, f"{stem}:limit").uniform(until)[chosen]),
        )  # fmt: skip

    def _limits(self, runtime: NDArray[np.float64], chance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return time limits in whole minutes, not-a-number without the model."""
        if self.spec.limit_factor is None:
            return np.full(runtime.size, np.nan)
        low, high = self.spec.limit_factor
        return np.asarray(np.ceil(runtime * low * (high / low) ** chance / 60) * 60, dtype=np.float64)


def _states(work: NDArray[np.float64], shares: States, chance: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return positions in STATE_NAMES: large jobs by the shares of GPU time, the rest so that those of jobs hold."""
    if not work.size:
        return np.empty(0, dtype=np.int64)
    by_job = np.asarray(shares.jobs) / sum(shares.jobs)
    by_time = np.asarray(shares.gpu_time) / sum(shares.gpu_time)
    small = (by_job - LARGE_JOBS * by_time) / (1 - LARGE_JOBS)
    is_large = work >= np.quantile(work, 1 - LARGE_JOBS)
    columns = [np.searchsorted(np.cumsum(share)[:-1], chance, side="right") for share in (small, by_time)]
    return np.where(is_large, columns[1], columns[0]).astype(np.int64)
