"""The jobs of one kind, in order of submission: who submits them, when, with which limit, and how they end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.services.kinds import ServiceKind
from gpuyard.streams import Stream
from gpuyard.synthesis.arrivals import Arrivals, Bursts, Clock
from gpuyard.synthesis.batch import Batch, Link
from gpuyard.synthesis.calibration import BLOCK, MILLI, Chosen, Supply, draws_of
from gpuyard.synthesis.expansion import Jobs
from gpuyard.synthesis.limits import factor_limits, modal_limits
from gpuyard.synthesis.moving_in import MovedIn, without_absent
from gpuyard.synthesis.published import States
from gpuyard.synthesis.realtime import Replicas, replica_kind
from gpuyard.synthesis.spec import SynthesisSpec
from gpuyard.synthesis.standing import stretch_by_stretch, stretches
from gpuyard.synthesis.tenants import owners
from gpuyard.synthesis.unit_supply import UnitSupply

__all__ = ["LARGE_JOBS", "Ends", "Order", "batches", "service_batches"]

LARGE_JOBS = (0.05, 0.10, 0.20, 0.30, 0.40, 0.50)
"""Shares of a kind's jobs, those of most GPU time, that may end otherwise than the rest: the first that fits."""
REPLICAS = 2_048
"""Replicas of a service that are made together: there are many services."""


class Order(NamedTuple):
    """What is asked of a kind: which jobs, in bursts of so many on average, by this clock."""

    supply: Supply | UnitSupply
    chosen: Chosen
    burst: float
    clock: Clock


def batches(order: Order, spec: SynthesisSpec, span: float, seed: int) -> Iterator[Batch]:
    """Return the chosen jobs of a kind, block by block.

    The number of a job in its series, or of its unit and in it, decides its size, its run time, its end and its limit;
    the place among the chosen jobs or units decides the burst, and the burst when they are submitted and by whom.
    """
    if not order.chosen.jobs:
        return iter(())
    maker: _UnitMaker | _JobMaker
    if not isinstance(order.supply, UnitSupply):
        maker = _JobMaker(order.supply, spec, span, seed)
    elif order.supply.standing:
        return _StandingMaker(order.supply, spec, span, seed).batches(order)
    else:
        maker = _UnitMaker(order.supply, spec, span, seed)
    return without_absent(maker.batches(order), spec.move_ins())


def service_batches(moved: MovedIn) -> list[Iterator[Batch]]:
    """Return the replicas of each service in order of submission, block by block; a service has one owner."""
    book = moved.services.book
    if book is None:
        return []
    owned = zip(moved.services.replicas, moved.tenant.tolist(), moved.user.tolist(), strict=True)
    return [_replicas(one, book.kinds[one.service.kind], tenant, user) for one, tenant, user in owned]


def _replicas(one: Replicas, kind: ServiceKind, tenant: int, user: int) -> Iterator[Batch]:
    """Return the replicas of a service, which belong to one user of one tenant."""
    order = np.argsort(one.first, kind="stable").astype(np.int32)
    shown = replica_kind(one.service, kind)
    for begin in range(0, order.size, REPLICAS):
        number = order[begin : begin + REPLICAS].astype(np.int64)
        yield Batch(
            kind=shown, number=number, submit=one.submit(number), runtime=one.runtime(number),
            gpus=np.full(number.size, one.gpus), tenant=np.full(number.size, tenant),
            user=np.full(number.size, user), state=np.zeros(number.size, dtype=np.int64),
            time_limit=np.full(number.size, np.nan),
        )  # fmt: skip


class _Owners:
    """Who submits the bursts of one kind."""

    def __init__(self, supply: Supply | UnitSupply, spec: SynthesisSpec, seed: int) -> None:
        self._spec, self._job_class = spec, supply.kind.job_class
        self._tenant, self._user = Stream(seed, f"{supply.stem}:tenant"), Stream(seed, f"{supply.stem}:user")

    def of(self, bursts: Bursts) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the tenant's position and the user's number of each burst."""
        chances = (stream.at(bursts.first, bursts.sizes.size) for stream in (self._tenant, self._user))
        return owners(self._spec.tenants, self._job_class, self._spec.skew(), *chances)


class _JobMaker:
    """Makes the jobs of a kind of which each submission is one job."""

    def __init__(self, supply: Supply, spec: SynthesisSpec, span: float, seed: int) -> None:
        self._supply, self._spec, self._span, self._seed = supply, spec, span, seed
        self._owners = _Owners(supply, spec, seed)
        self._state, self._limit = (Stream(seed, f"{supply.stem}:{name}") for name in ("state", "limit"))
        self._loop = None if spec.think_time is None else _Loop(spec, seed, supply.stem)
        number = np.arange(BLOCK, dtype=np.int64)
        gpus, runtime = supply.of(number)
        held = _held(gpus, supply.milli(number, gpus))
        self._ends = Ends.of(supply.kind.states, held * np.minimum(runtime, round(span * MILLI)) / MILLI)

    def batches(self, order: Order) -> Iterator[Batch]:
        """Return the chosen jobs, block by block."""
        for bursts in Arrivals(order.chosen.jobs, order.burst, order.clock, self._seed, self._supply.stem):
            last = bursts.first_job + int(bursts.sizes.sum())
            yield self._batch(order.chosen.numbers(bursts.first_job, last), bursts)

    def _batch(self, number: NDArray[np.int64], bursts: Bursts) -> Batch:
        gpus, milliseconds = self._supply.of(number)
        milli = self._supply.milli(number, gpus)
        runtime = np.minimum(milliseconds, round(self._span * MILLI)) / MILLI
        tenant, user = self._owners.of(bursts)
        burst = np.repeat(np.arange(bursts.sizes.size), bursts.sizes)
        limit = _limits(self._spec, runtime, lambda: draws_of(self._limit, number))
        link, times = None, bursts.times
        if self._loop is not None:
            link, times = self._loop.links(number, runtime, bursts, tenant, user)
        return Batch(
            kind=self._supply.kind, number=number, submit=times[burst], runtime=runtime, gpus=gpus,
            tenant=tenant[burst], user=user[burst], time_limit=limit,
            state=self._ends.drawn(_held(gpus, milli) * runtime, draws_of(self._state, number)), milli=milli,
            link=link,
        )  # fmt: skip


def _held(gpus: NDArray[np.int64], milli: NDArray[np.int64] | None) -> NDArray[Any]:
    """Return how many GPUs jobs ask for, with their parts of one."""
    return gpus if milli is None else gpus * milli / MILLI


class _UnitMaker:
    """Makes the jobs of a kind of which each submission is a unit of several."""

    def __init__(self, supply: UnitSupply, spec: SynthesisSpec, span: float, seed: int) -> None:
        self._supply, self._spec, self._span, self._seed = supply, spec, span, seed
        self._owners = _Owners(supply, spec, seed)
        self._ends = Ends.of(supply.kind.states, *supply.sample(span))

    def batches(self, order: Order) -> Iterator[Batch]:
        """Return the first jobs of the series, block by block; units are submitted when their burst is."""
        supply, jobs, done = self._supply, order.chosen.jobs, 0
        units, block = supply.submissions(jobs, self._span), supply.units_at_once(self._span)
        for bursts in Arrivals(units, order.burst, order.clock, self._seed, supply.stem, block):
            first = bursts.first_job
            made = supply.again(first, first + int(bursts.sizes.sum()), self._span).first(jobs - done)
            done += made.unit.size
            if done == jobs and order.chosen.last is not None:
                made = replace(made, runtime=np.append(made.runtime[:-1], order.chosen.last / MILLI))
            if made.unit.size:
                burst = np.repeat(np.arange(bursts.sizes.size), bursts.sizes)[made.unit - bursts.first_job]
                tenant, user = self._owners.of(bursts)
                made = replace(made, submit=bursts.times[burst])
                yield self._batch(made, made.item(), tenant[burst], user[burst])

    def _owners_of(self, order: Order, units: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the tenant's position and the user's number of each of the first units."""
        found = [
            [np.repeat(column, bursts.sizes) for column in self._owners.of(bursts)]
            for bursts in Arrivals(units, order.burst, order.clock, self._seed, self._supply.stem)
        ]
        tenant, user = (np.concatenate(columns) for columns in zip(*found, strict=True))
        return tenant, user

    def _batch(self, jobs: Jobs, item: NDArray[np.int64], tenant: NDArray[np.int64], user: NDArray[np.int64]) -> Batch:
        """Return the jobs, of these numbers in their units and of these owners, with their ends and limits."""
        drawn = self._ends.drawn(jobs.gpu_time(), self._supply.chances("state", jobs.unit, item))
        first_row = np.arange(item.size) - item
        return Batch(
            kind=self._supply.kind, number=item, runtime=jobs.runtime, gpus=jobs.gpus,
            submit=jobs.submit, tenant=tenant, user=user, state=np.where(jobs.state >= 0, jobs.state, drawn),
            time_limit=_limits(self._spec, jobs.runtime, lambda: self._supply.chances("limit", jobs.unit, item)),
            jobs=replace(jobs, first_parent=np.where(jobs.parents > 0, jobs.first_parent - first_row, 0)),
        )  # fmt: skip


class _StandingMaker(_UnitMaker):
    """Makes the jobs of units that stand, when they begin."""

    def batches(self, order: Order) -> Iterator[Batch]:
        """Return the first jobs of the series in order of submission, without those of tenants that are not there."""
        chosen, moves_in = order.chosen, self._spec.move_ins()
        units, of_last = self._supply.last(chosen.jobs, self._span)
        tenant, user = self._owners_of(order, units)
        begun = np.zeros(units, dtype=np.int64)  # jobs of each unit that were made before

        def opening(part: tuple[float, float]) -> Iterator[Batch]:
            for made in self._supply.opening(units, part, self._span):
                item = made.item() + begun[made.unit]
                begun[:] += np.bincount(made.unit, minlength=units)
                jobs, item = _cut_short(made, item, made.unit == units - 1, of_last, chosen.last)
                if item.size:
                    yield self._batch(jobs, item, tenant[jobs.unit], user[jobs.unit])

        return stretch_by_stretch(
            lambda part: without_absent(opening(part), moves_in), stretches(chosen.jobs, self._span)
        )


def _cut_short(
    jobs: Jobs, item: NDArray[np.int64], is_last: NDArray[np.bool_], of_last: int, last: int | None
) -> tuple[Jobs, NDArray[np.int64]]:
    """Return jobs and their numbers with so many of the last unit, the last of which runs so long (ms, None: as is)."""
    if not is_last.any():
        return jobs, item
    left = ~is_last | (item < of_last)
    jobs, item = jobs.where(left), item[left]
    if last is not None:
        jobs = replace(jobs, runtime=np.where(is_last[left] & (item == of_last - 1), last / MILLI, jobs.runtime))
    return jobs, item


class _Loop:
    """Users who wait for the jobs that they submitted last, within one kind of job."""

    def __init__(self, spec: SynthesisSpec, seed: int, stem: str) -> None:
        assert spec.think_time is not None
        self._mean, self._draws = spec.think_time, Stream(seed, f"{stem}:think")
        counts = [tenant.users for tenant in spec.tenants]
        self._first_user = np.cumsum([0, *counts])[:-1]
        self._last = np.full(sum(counts), -1, dtype=np.int64)
        self._closed = bool(spec.closed_loop)
        self._begun = np.full(sum(counts), np.inf)  # s: when each user first submitted

    def links(
        self,
        number: NDArray[np.int64],
        runtime: NDArray[np.float64],
        bursts: Bursts,
        tenant: NDArray[np.int64],
        user: NDArray[np.int64],
    ) -> tuple[Link, NDArray[np.float64]]:
        """Return which job each of these jobs waits for, and when each burst is submitted, s.

        It waits for the longest job of the burst that its user submitted before.  In a closed loop all bursts of a user
        are submitted with his first, so that nothing but the end of his jobs decides when the next may start.
        """
        begins = np.cumsum(bursts.sizes) - bursts.sizes
        burst = np.repeat(np.arange(bursts.sizes.size), bursts.sizes)
        longest = np.flatnonzero(runtime == np.maximum.reduceat(runtime, begins)[burst])
        longest = number[longest[np.unique(burst[longest], return_index=True)[1]]]
        who = self._first_user[tenant] + user - 1
        order = np.argsort(who, kind="stable")
        again = np.r_[False, who[order][1:] == who[order][:-1]]
        before = np.empty(who.size, dtype=np.int64)
        before[order] = np.where(again, np.r_[-1, longest[order][:-1]], self._last[who[order]])
        self._last[who] = longest  # of several bursts of a user, that of the last remains
        think = np.round(-np.log1p(-self._draws.at(bursts.first, who.size)) * self._mean, 3)
        np.minimum.at(self._begun, who, bursts.times)
        times = self._begun[who] if self._closed else bursts.times
        return Link(before[burst], np.where(before >= 0, think, np.nan)[burst]), times


def _limits(
    spec: SynthesisSpec, runtime: NDArray[np.float64], chances: Callable[[], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return time limits, not-a-number without a model."""
    if spec.limits == "modal":
        return modal_limits(runtime, chances())
    if spec.limit_factor is not None:
        return factor_limits(runtime, chances(), *spec.limit_factor)
    return np.full(runtime.size, np.nan)


class Ends(NamedTuple):
    """How jobs end: those of most GPU time otherwise than the rest, so that both published shares come out."""

    least: float  # GPU seconds of the smallest of the large jobs
    large: NDArray[np.float64]  # shares of completed, cancelled and failed, shape (3,)
    small: NDArray[np.float64]

    @classmethod
    def of(cls, states: States, work: NDArray[np.float64], known: NDArray[np.int64] | None = None) -> Ends:
        """Return the ends of jobs of which ``work`` (GPU seconds) is a sample.

        ``known`` are positions in STATE_NAMES, -1 for jobs whose end is drawn: with those that are known the published
        shares come out.  With f the share of the large among the jobs that are drawn and w their share of the GPU time,
        the shares L of the large and S of the others solve f L + (1 - f) S = shares of jobs and
        w L + (1 - w) S = shares of GPU time.
        """
        by_job = np.asarray(states.jobs) / sum(states.jobs)
        by_time = np.asarray(states.gpu_time) / sum(states.gpu_time)
        if known is not None and (known >= 0).any():
            by_job, by_time = _left(by_job, known, np.ones(work.size)), _left(by_time, known, work)
            work = work[known < 0]
        if not work.any():
            return cls(np.inf, by_job, by_job)
        order = np.sort(work)
        found: list[tuple[float, Ends]] = []
        for apart in LARGE_JOBS:
            least = float(order[int((1 - apart) * work.size)])
            is_large = work >= least
            jobs, time = float(is_large.mean()), float(work[is_large].sum() / work.sum())
            if time <= jobs or jobs == 1.0:
                continue
            large = (by_time - (1 - time) / (1 - jobs) * by_job) / (time - (1 - time) / (1 - jobs) * jobs)
            small = (by_job - jobs * large) / (1 - jobs)
            beyond = float(-min(large.min(), small.min(), 0.0))
            found.append((beyond, cls(least, _shares(large), _shares(small))))
            if beyond == 0.0:
                break
        return min(found, key=lambda one: one[0])[1] if found else cls(np.inf, by_job, by_job)

    def drawn(self, work: NDArray[np.float64], chance: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return positions in STATE_NAMES for jobs of so many GPU seconds."""
        large, small = (
            np.searchsorted(np.cumsum(share)[:-1], chance, side="right") for share in (self.large, self.small)
        )
        return np.where(work >= self.least, large, small).astype(np.int64)


def _left(shares: NDArray[np.float64], known: NDArray[np.int64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the shares that jobs of unknown end must have, for those of all jobs, each of its weight, to come out."""
    ended = np.bincount(known[known >= 0], weights=weight[known >= 0], minlength=len(shares))
    return _shares(shares * weight.sum() - ended)


def _shares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values with those below 0 raised to it, made to sum to 1; all alike where none is above 0."""
    positive = np.maximum(values, 0.0)
    return positive / positive.sum() if positive.any() else np.full(positive.size, 1 / positive.size)
