"""Which jobs of which kind make up a workload: as many as offer the wanted load, or as many as are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np

from gpuyard.errors import ConfigError
from gpuyard.services.book import Book
from gpuyard.services.kinds import ServiceKind
from gpuyard.synthesis.calibration import Chosen, Supply, first_jobs
from gpuyard.synthesis.class_shares import ClassShare
from gpuyard.synthesis.expansion import Site
from gpuyard.synthesis.free_days import public_holidays
from gpuyard.synthesis.kinds import CLASSES, Kind
from gpuyard.synthesis.realtime import DEFAULT_SERVICES, Replicas, expected_replicas, make_services, replicas
from gpuyard.synthesis.spec import SynthesisSpec
from gpuyard.synthesis.unit_supply import UnitSupply
from gpuyard.units import counted

__all__ = ["MOST_JOBS", "Plan", "Planner", "Services"]

DAY = 86_400.0
DIGITS = 12
"""Digits of the GPU seconds that a kind is to offer."""
MAKE_UP = 0.003
"""Relative miss of the load beyond which the most numerous kind makes up for the others (small clusters)."""
HOUR = 3600.0
WEEK = 7 * DAY
GUESSES = 8
"""How often the length of the window is tried for a number of jobs."""
HALF_A_GPU = 0.5
"""GPUs up to which the services of a class that has other kinds are left out: not one replica comes of them."""
NEAR = 0.01
"""Relative miss of the number of jobs that the most numerous kind makes up for."""
SHORTEST, LONGEST = 60.0, 3650 * DAY
MOST_JOBS = 50_000_000
"""A workload of more jobs is not made in memory: it would take tens of GB."""


class Services(NamedTuple):
    """The services of a window, with the jobs that their replicas are, and notes of what they replay."""

    book: Book | None
    replicas: list[Replicas]
    notes: tuple[str, ...]

    expected: tuple[float, float] | None = None
    """Replicas and GPU seconds to expect, before any is made."""

    def jobs(self) -> int:
        """Return how many replicas there are."""
        return round(self.expected[0]) if self.expected else sum(each.jobs for each in self.replicas)

    def gpu_time(self) -> float:
        """Return the GPU seconds that all replicas offer."""
        return self.expected[1] if self.expected else sum(one.gpu_time() for one in self.replicas)

    def stretched(self, factor: float) -> Services:
        """Return what to expect of a window so much longer."""
        return self._replace(expected=(self.jobs() * factor, self.gpu_time() * factor))


class ServiceClass(NamedTuple):
    """The services of one class: their kinds, and the part of the workload's GPU time that they hold."""

    name: str
    kinds: tuple[ServiceKind, ...]
    share: float
    redraw: int


class Plan(NamedTuple):
    """Which jobs of which kind make up the workload over a window of ``span`` seconds."""

    span: float
    supplies: list[Supply | UnitSupply]
    chosen: list[Chosen]
    services: Services

    def jobs(self) -> int:
        """Return how many jobs there are."""
        return sum(one.jobs for one in self.chosen) + self.services.jobs()

    def gpu_time(self) -> float:
        """Return the GPU seconds that all jobs offer."""
        pairs = zip(self.supplies, self.chosen, strict=True)
        return self.services.gpu_time() + sum(supply.gpu_time(chosen, self.span) for supply, chosen in pairs)

    def queued_without(self, names: tuple[str, ...]) -> Plan:
        """Return the plan without the queued jobs of these classes."""
        pairs = zip(self.supplies, self.chosen, strict=True)
        left = [(supply, chosen) for supply, chosen in pairs if supply.kind.job_class not in names]
        return self._replace(supplies=[supply for supply, _ in left], chosen=[chosen for _, chosen in left])


class Planner:
    """One call's spec, cluster and seed, and the series of jobs of each kind."""

    def __init__(self, spec: SynthesisSpec, site: Site, seed: int) -> None:
        self.spec, self.site, self.gpus, self.seed = spec, site, site.gpus, seed
        self.load = spec.load
        order = sorted(spec.classes, key=lambda one: CLASSES.index(one.name))
        self.serving: list[ServiceClass] = []
        self.supplies: list[Supply | UnitSupply] = []
        self.parts: list[float] = []
        for one in order:
            self._take(one)

    def _take(self, one: ClassShare) -> None:
        """Plan for a class: its services and the kinds of its jobs, which have all of it where no replica has room."""
        queued, services = [kind for kind in one.kinds() if kind.service is None], _services_of(one, self.spec)
        if services is not None and (not queued or self.service_gpus(services.share) > HALF_A_GPU):
            self.serving.append(services)
            rest = 1.0
        else:
            rest = sum(kind.share for kind in queued)
        self.supplies += [self._supply(kind, one.redraw) for kind in queued]
        self.parts += [one.share * kind.share / rest for kind in queued]

    def _supply(self, kind: Kind, redraw: int) -> Supply | UnitSupply:
        if kind.expansion is not None:
            return UnitSupply(kind, kind.expansion, self.site, self.seed, redraw)
        sizes = kind.sizes_on(self.gpus, self.site.largest, self.site.growth)
        return Supply(kind, sizes, self.seed, redraw)

    def check_size(self, most_jobs: int) -> None:
        """Raise a ConfigError if there would be more jobs than that; before any is made."""
        spec = self.spec
        rate = spec.rate
        by_days = spec.days * 24 * rate if rate is not None else self._expected_jobs(spec.days * DAY)
        expected = by_days if spec.jobs is None else spec.jobs
        if expected <= most_jobs:
            return
        if spec.jobs is not None:
            asked, part = f"jobs is {spec.jobs:,}", f"at most {most_jobs:,} jobs each"
        else:
            days = float(f"{spec.days * most_jobs / expected * 0.9:.1g}")
            at = f"a load of {spec.load:g} on {self.gpus:,} GPUs" if rate is None else f"a rate of {rate:g} an hour"
            asked = f"days is {spec.days:g} at {at}: some {expected:,.0f} jobs"
            part = f"about {counted(days, 'day')} each"
        raise ConfigError(
            f"{asked}, and {most_jobs:,} at most can be made at once; make it in parts of {part}, "
            "every one with a start and a seed of its own"
        )

    def service_gpus(self, share: float | None = None) -> float:
        """Return the GPUs that services hold on average: all of them, or those of a share of the load."""
        return (sum(one.share for one in self.serving) if share is None else share) * self.load * self.gpus

    def wanted(self, span: float, services: float) -> list[float]:
        """Return the GPU seconds each kind is to offer; what services miss is made up for in proportion.

        They are rounded to so many digits that they do not depend on the order of products and sums: the last job of a
        kind is cut at whole seconds, and with round shares that lies at just half a second often enough.
        """
        whole, meant = self.load * self.gpus * span, self.service_gpus() * span
        rest = max(whole - (meant if abs(services - meant) <= MAKE_UP * whole else services), 0.0)
        return [float(f"{part / sum(self.parts) * rest:.{DIGITS}g}") for part in self.parts]

    def planned(self) -> Plan:
        """Return the jobs that the spec asks for."""
        spec = self.spec
        if spec.rate is not None:
            plan = self.plan_at(spec.rate)
        else:
            plan = self.plan(round(spec.days * DAY, 3)) if spec.jobs is None else self.plan_of(spec.jobs)
        if not spec.without:
            return plan
        return plan.queued_without(spec.without)._replace(services=self.services(plan.span, spec.without))

    def plan_at(self, rate: float) -> Plan:
        """Return jobs at a rate of so many an hour, in the shares of GPU time that the kinds have, and services."""
        if not self.supplies:
            raise ConfigError("a rate of jobs needs a kind that is no service; give load instead")
        jobs = self.spec.jobs if self.spec.jobs is not None else max(round(self.spec.days * 24 * rate), 1)
        span = round(self.spec.days * DAY, 3) if self.spec.jobs is None else max(round(jobs / rate * HOUR, 3), SHORTEST)
        each = np.array([part / one.mean_gpu_time(span) for part, one in zip(self.parts, self.supplies, strict=True)])
        ends = np.round(np.cumsum(each) / each.sum() * jobs).astype(np.int64)
        chosen = [first_jobs(int(count)) for count in np.diff(ends, prepend=0)]
        pairs = zip(self.supplies, chosen, strict=True)
        offered = sum(supply.gpu_time(one, span) for supply, one in pairs) / (self.gpus * span)
        self.load = offered / max(1 - sum(one.share for one in self.serving), 1e-9)
        return Plan(span, self.supplies, chosen, self.services(span))

    def plan(self, span: float, services: Services | None = None) -> Plan:
        """Return the jobs of a window of ``span`` seconds, beside these services if they are made already."""
        services = self.services(span) if services is None else services
        shares = self.wanted(span, services.gpu_time())
        chosen = [
            supply.offering(wanted, span) if wanted > 0 else Chosen(0, np.empty(0, dtype=np.int64))
            for supply, wanted in zip(self.supplies, shares, strict=True)
        ]
        pairs = zip(self.supplies, chosen, strict=True)
        excess = sum(supply.gpu_time(one, span) for supply, one in pairs) - sum(shares)
        if abs(excess) > MAKE_UP * self.load * self.gpus * span:
            at = int(np.argmax([one.jobs for one in chosen]))
            if shares[at] > excess:
                chosen[at] = self.supplies[at].offering(shares[at] - excess, span)
        return Plan(span, self.supplies, chosen, services)

    def plan_of(self, jobs: int) -> Plan:
        """Return exactly ``jobs`` jobs and the window in which they offer the load."""
        if not self.supplies:
            raise ConfigError("a number of jobs needs a kind that is no service; give days instead")
        span = WEEK
        for _ in range(GUESSES):
            span = min(max(round(span * jobs / self._expected_jobs(span), 3), SHORTEST), LONGEST)
        services = self._expected_services(span)
        for _ in range(2 * GUESSES):
            plan = self.plan(span, services)
            if abs(plan.jobs() - jobs) > NEAR * jobs:
                if span == SHORTEST and plan.jobs() > jobs:
                    raise ConfigError(
                        f"{counted(jobs, 'job')} cannot offer a load of {self.load:g} to {counted(self.gpus, 'GPU')}: "
                        f"it takes {plan.jobs()} at once; ask for more jobs, a lower load or fewer GPUs"
                    )
                longer = max(jobs / plan.jobs(), SHORTEST / span)
                span, services = round(span * longer, 3), services.stretched(longer)
            elif services.expected:
                services = self.services(span)
            else:
                break
        if services.expected or plan.services.expected:
            plan = self.plan(span)
        return self._with_exactly(plan, jobs)

    def _with_exactly(self, plan: Plan, jobs: int) -> Plan:
        """Return the plan with the number of jobs made exact in its most numerous kind, and the load met again."""
        pairs = zip(plan.supplies, plan.chosen, strict=True)
        at = int(np.argmax([one.jobs if isinstance(supply, Supply) else 0 for supply, one in pairs]))
        supply, before = plan.supplies[at], plan.chosen[at]
        count = before.jobs + jobs - plan.jobs()
        if count < 1:
            raise ConfigError(
                f"no window in which {jobs} jobs offer the load was found; ask for more jobs, or for days"
            )
        after = before.resized(count)
        excess = supply.gpu_time(after, plan.span) - supply.gpu_time(before, plan.span)
        if isinstance(supply, Supply) and abs(excess) > MAKE_UP * self.load * self.gpus * plan.span:
            after = supply.exactly(count, self.wanted(plan.span, plan.services.gpu_time())[at], plan.span)
        return plan._replace(chosen=[after if position == at else one for position, one in enumerate(plan.chosen)])

    def _expected_jobs(self, span: float) -> float:
        """Return about how many jobs a window of ``span`` seconds has."""
        pairs = zip(self.supplies, self.wanted(span, self.service_gpus() * span), strict=True)
        expected = sum(wanted / supply.expected_gpu_time(span) for supply, wanted in pairs)
        return expected + self._expected_replicas(span)

    def _expected_replicas(self, span: float) -> float:
        """Return about how many replicas a window of ``span`` seconds has."""
        return sum(expected_replicas(one.kinds, self.service_gpus(one.share), span) for one in self.serving)

    def _expected_services(self, span: float) -> Services:
        """Return about what the services of a window are."""
        if not self.serving:
            return self.services(span)
        return Services(None, [], (), (self._expected_replicas(span), self.service_gpus() * span))

    def _holidays(self, span: float) -> frozenset[date]:
        """Return the public holidays in the years of a window."""
        if self.spec.holidays is None:
            return frozenset()
        first = self.spec.origin()
        return public_holidays(self.spec.holidays, first.date(), (first + timedelta(seconds=span)).date())

    def services(self, span: float, without: tuple[str, ...] = ()) -> Services:
        """Return the services of a window, class by class, but for those of some classes."""
        book: Book | None = None
        notes: list[str] = []
        for one in self.serving:
            if one.name in without:
                continue
            own, requests = make_services(
                one.kinds, self.service_gpus(one.share), largest=self.site.largest, span=span,
                origin=self.spec.origin(), seed=self.seed, redraw=one.redraw, holidays=self._holidays(span),
                part=self.site.part, job_class=one.name,
            )  # fmt: skip
            book = own if book is None else book.joined(own)
            notes += [
                f"service '{name}' replays {each.number:,} requests of {each.seconds:g} s, "
                f"file of SHA-256 {each.sha256}"
                for name, each in requests.items()
            ]
            notes += self._without_room(one, own)
        return Services(book, [] if book is None else replicas(book), tuple(notes))

    def _without_room(self, one: ServiceClass, book: Book) -> Iterator[str]:
        """Yield a sentence where services that somebody named are not there."""
        left = [kind for kind in one.kinds if kind.name not in book.kinds]
        if left and one.kinds != DEFAULT_SERVICES:
            names = " and ".join(f"'{kind.name}'" for kind in left)
            yield (
                f"no room for service {names} in the {self.service_gpus(one.share):.1f} GPUs of class {one.name}: a "
                "service needs minimum + spare + 0.5 replicas; its part goes to the others"
            )


def _services_of(one: ClassShare, spec: SynthesisSpec) -> ServiceClass | None:
    """Return the services of a class, None where it has none."""
    if one.name == "realtime":
        return ServiceClass(one.name, spec.services, one.share, one.redraw)
    own = [(kind.service, kind.share) for kind in one.kinds() if kind.service is not None]
    if not own:
        return None
    kinds = tuple(replace(service, share=share) for service, share in own)
    return ServiceClass(one.name, kinds, one.share * sum(share for _, share in own), one.redraw)
