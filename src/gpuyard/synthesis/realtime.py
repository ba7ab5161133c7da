"""Real-time services: their kinds, how many of which size there are, and their replicas as jobs.

The replicas that a service wants follow from its demand alone (:mod:`gpuyard.services`), so each is a job that is
submitted when it is first wanted and runs as long as it is: the scheduler decides when it really starts.  The demand of
all services is scaled by one factor, so that their replicas hold the class's share of the offered load over the window.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.services.autoscaling import lives
from gpuyard.services.book import Book, Service
from gpuyard.services.demand import DAY
from gpuyard.services.kinds import ServiceKind
from gpuyard.services.recorded import Requests, read_requests
from gpuyard.streams import Stream
from gpuyard.synthesis.distributions import LogCdf, Sizes
from gpuyard.synthesis.kinds import Kind
from gpuyard.synthesis.published import CLUSTERS, Evidence

__all__ = [
    "DEFAULT_SERVICES",
    "PRIORITY",
    "Replicas",
    "expected_replicas",
    "make_services",
    "replica_kind",
    "replicas",
    "service_kind",
    "services_of",
]

PRIORITY = 100
"""Of replicas: services go before everything else."""
_TOLERANCE = 5e-4
"""Relative miss of the services' GPU time at which their demand is left as it is."""
_TRIES = 30
AT_ONCE = 1 << 22
"""Services times control intervals whose replicas are worked out together, some 100 bytes each."""
_FOR_ROUNDING = 0.5
"""Replicas by which rounding up exceeds the demand, on average."""

DEFAULT_SERVICES = (
    ServiceKind(
        name="chat", share=0.35, gpus=8, concurrency=32, service_time=10.5, slo_wait=1.0, queue_time=20.0, goal=0.95,
        cold_start=180.0, peak=1.53, weekend=0.8, smallest=3, largest=20,
    ),
    ServiceKind(
        name="reasoning", share=0.15, gpus=16, concurrency=16, service_time=60.0, slo_wait=5.0, queue_time=60.0,
        goal=0.95, cold_start=300.0, peak=1.53, weekend=0.8, smallest=3, largest=10,
    ),
    ServiceKind(
        name="code", share=0.15, gpus=4, concurrency=16, service_time=1.4, slo_wait=0.5, queue_time=5.0, goal=0.95,
        cold_start=120.0, peak_hour=15.0, peak=2.5, weekend=0.3, crowds_a_week=1.0, crowd_factor=2.0,
    ),
    ServiceKind(
        name="image", share=0.15, gpus=1, concurrency=1, service_time=28.7, slo_wait=30.0, queue_time=300.0, goal=0.95,
        cold_start=60.0, peak_hour=20.0, peak=2.5, crowds_a_week=2.0, crowd_factor=3.0, smallest=4, largest=60,
    ),
    ServiceKind(
        name="recommendation", share=0.10, gpus=2, concurrency=8, service_time=0.02, slo_wait=0.05, queue_time=0.2,
        cold_start=60.0, peak=1.72,
    ),
    ServiceKind(
        name="stream", share=0.10, gpus=4, window=5.0, records=10_000.0, cold_start=60.0, peak=1.72,
    ),
)  # fmt: skip
"""Kinds of the default services."""

_AZURE = "Azure LLM inference trace of 2023 (Patel et al., ISCA 2024)"
_GENAI = "Alibaba GenAI request trace (2026)"
_BUMP = "bump of 3.2 to 3.8 h, peak at 17 to 18 h (Azure LLM 2024 and BurstGPT)"
_KUBERNETES = Evidence(
    "assumption",
    "tolerance and cooldown are the defaults of Kubernetes' horizontal pod autoscaler; the rest is assumed",
)
_LOADING = Evidence("assumption", "30 to 300 s to load a large model (140 GB at 1 to 5 GB/s)")
SERVICE_EVIDENCE = {
    ("chat", "requests"): Evidence(
        "assumption", f"{_AZURE}: mean of 211 tokens generated (computed), 50 ms each assumed"
    ),
    ("chat", "promise"): Evidence("assumption", "time to the first token of 0.2 to 1 s at p90 to p99"),
    ("chat", "day"): Evidence("assumption", f"{_BUMP}; p99 over mean of the hourly requests 1.53 (Azure conversation)"),
    ("reasoning", "day"): Evidence("assumption", f"{_BUMP}; peak as that of chat"),
    ("code", "requests"): Evidence(
        "assumption", f"{_AZURE}: mean of 28 tokens generated (computed), 50 ms each assumed"
    ),
    ("code", "day"): Evidence(
        "assumption", f"{_BUMP}; p99 over mean of the hourly requests 3.10 (Azure code), crowds included"
    ),
    ("image", "requests"): Evidence("assumption", f"{_GENAI}: mean execution 28.7 s (computed), one at a time assumed"),
    ("image", "day"): Evidence(
        "assumption", f"{_GENAI}: peak over mean of the hourly load 2.5 (API) and 3.3 (computed)"
    ),
    ("recommendation", "promise"): Evidence("assumption", "10 to 100 ms at p99"),
    ("recommendation", "day"): Evidence(
        "assumption", f"{_BUMP}; web traffic of 104 countries, median peak over mean 1.72"
    ),
    ("stream", "windows"): Evidence("assumption", "micro-batches of 0.5 to 5 s"),
    ("stream", "day"): Evidence("assumption", f"{_BUMP}; peak as that of web traffic"),
    **{(kind.name, "scaling"): _KUBERNETES for kind in DEFAULT_SERVICES},
    **{(kind.name, "cold start"): _LOADING for kind in DEFAULT_SERVICES[:3]},
}
"""Where figures of the default services come from, by kind and row; those that are not here have no source at all."""


class Replicas(NamedTuple):
    """The jobs of one service, in the order of their places: in which control intervals each is wanted.

    ``edges`` are where the control intervals begin and the last ends, s; ``first`` the interval in which a job is
    submitted and ``end`` the one after its last, int32, shape (jobs,): there are millions of them in a window of years.
    """

    service: Service
    gpus: int
    edges: NDArray[np.float64]
    first: NDArray[np.int32]
    end: NDArray[np.int32]

    @property
    def jobs(self) -> int:
        """How many there are."""
        return self.first.size

    def submit(self, jobs: slice | NDArray[np.integer] = slice(None)) -> NDArray[np.float64]:
        """Return when these jobs are submitted, s since the start of the window, whole milliseconds."""
        return np.round(self.edges[self.first[jobs]], 3)

    def runtime(self, jobs: slice | NDArray[np.integer] = slice(None)) -> NDArray[np.float64]:
        """Return how long these jobs run, s, whole milliseconds."""
        return np.round(self.edges[self.end[jobs]] - self.submit(jobs), 3)

    def gpu_time(self) -> float:
        """Return the GPU seconds of all jobs."""
        return float(self.runtime().sum()) * self.gpus


def services_of(key: str, table: object) -> tuple[ServiceKind, ...]:
    """Return the kinds that a scenario's table names, each built on the default of its name where there is one."""
    if not isinstance(table, Mapping):
        raise ConfigError(f"{key} must be a table, got {table!r}")
    defaults = {each.name: each for each in DEFAULT_SERVICES}
    found = []
    for name, entry in table.items():
        if not isinstance(entry, Mapping):
            raise ConfigError(f"service '{name}' must be a table, got {entry!r}")
        found.append(defaults.get(name, ServiceKind(name=name)).changed(entry))
    return tuple(found)


def make_services(
    kinds: Sequence[ServiceKind],
    gpus: float,
    *,
    largest: int,
    span: float,
    origin: datetime,
    seed: int,
    redraw: int,
    holidays: Collection[date] = (),
    part: tuple[float, float] = (0.0, 0.0),
    job_class: str = "realtime",
) -> tuple[Book, dict[str, Requests]]:
    """Return the services whose replicas hold ``gpus`` GPUs on average over the window, and the requests they replay.

    A kind that is too large for its part, or whose replicas have more than ``largest`` GPUs, leaves its part to the
    others.  Where there is room for no kind at all, one service keeps as many replicas of one GPU as come nearest.
    ``part``: where the window is one of a longer workload, the seconds of it that lie before, and of all of it;
    ``job_class``: whose services they are.
    """
    wanted = round(gpus, 6)
    parts = _parts([kind for kind in kinds if kind.gpus <= largest], wanted)
    requests = {
        kind.name: read_requests(kind.requests, kind.interval, kind.sha256)
        for kind in kinds
        if kind.requests is not None
    }
    services: list[Service] = []
    for kind, mine in parts.items():
        services += _sized(kind, mine, span, seed, f"synthesis:{job_class}-{kind.name}:{redraw}")
    known = {kind.name: kind for kind in parts}
    if not services and round(wanted) > 0:
        smallest = replace(min(kinds, key=lambda each: each.gpus), gpus=1)
        whole = round(wanted)
        known = {smallest.name: smallest}
        services = [Service(name=f"{smallest.name}-01", kind=smallest.name, mean=whole * smallest.target,
                            least=whole, most=whole, spare=0)]  # fmt: skip
    midnight = -(origin.hour * 3600.0 + origin.minute * 60.0 + origin.second + origin.microsecond / 1e6)
    recordings = {name: each.recording for name, each in requests.items() if name in known}
    book = Book(
        span=span, midnight=midnight, weekday=origin.weekday(), kinds=known,
        services=tuple(replace(each, job_class=job_class) for each in services),
        recordings=recordings, holidays=tuple(sorted((each - origin.date()).days for each in holidays)),
        replayed=part[0], whole=part[1],
    )  # fmt: skip
    return _calibrated(_normalised(book), wanted), {name: each for name, each in requests.items() if name in known}


def expected_replicas(kinds: Sequence[ServiceKind], gpus: float, span: float) -> float:
    """Return about how many jobs the replicas will be: those that stay, and so many a day as the default kinds make."""
    weights = sum(kind.share for kind in kinds)
    places = sum(kind.share / weights * gpus / kind.gpus for kind in kinds)
    return places * (1 + 1.7 * span / DAY)


def replicas(book: Book) -> list[Replicas]:
    """Return the jobs of each service."""
    made: dict[str, Replicas] = {}
    for interval in book.intervals():
        edges = book.edges(interval)
        for part in _some(book.of_interval(interval), AT_ONCE // edges.size):
            for service, row in zip(part.services, part.wanted(edges), strict=True):
                _, first, end = lives(row)
                made[service.name] = Replicas(
                    service, book.kinds[service.kind].gpus, edges, first.astype(np.int32), end.astype(np.int32)
                )
    return [made[each.name] for each in book.services]


def _some(book: Book, most: int) -> Iterator[Book]:
    """Return the services in books of at most so many, but of 1 at least."""
    for begin in range(0, len(book.services), max(most, 1)):
        yield replace(book, services=book.services[begin : begin + max(most, 1)])


def replica_kind(service: Service, kind: ServiceKind) -> Kind:
    """Return what the replicas of a service are among the kinds of jobs."""
    assumed = Evidence("assumption", "as its service has them")
    return Kind(
        name=service.name, job_class=service.job_class, share=kind.share, priority=PRIORITY, activity=kind.activity,
        sizes=Sizes.steps({kind.gpus: 1.0}), runtimes=LogCdf.between(kind.interval, 2 * kind.interval), rhythm="flat",
        states=CLUSTERS["seren"].states, size_evidence=assumed, runtime_evidence=assumed, preemptible=False,
    )  # fmt: skip


def service_kind(kind: ServiceKind, job_class: str, share: float) -> Kind:
    """Return the kind of a class that is a service, with its share of the GPU time of the class."""
    named = Service(name=kind.name, kind=kind.name, mean=0.0, least=0, most=0, spare=0, job_class=job_class)
    return replace(replica_kind(named, kind), share=share, service=kind)


def _parts(kinds: list[ServiceKind], gpus: float) -> dict[ServiceKind, float]:
    """Return the GPUs of each kind that there is room for: the least fitting kinds leave until all others fit."""
    left = list(kinds)
    while left:
        weight = sum(kind.share for kind in left)
        short = {kind.name: _fewest(kind) * kind.gpus / (gpus * kind.share / weight) if gpus else 2.0 for kind in left}
        worst = max(left, key=lambda kind: short[kind.name])
        if short[worst.name] <= 1:
            return {kind: gpus * kind.share / weight for kind in left}
        left.remove(worst)
    return {}


def _fewest(kind: ServiceKind) -> float:
    """Return the mean replicas of the smallest service of a kind."""
    return kind.minimum + kind.spare + _FOR_ROUNDING


def _sized(kind: ServiceKind, gpus: float, span: float, seed: int, stem: str) -> list[Service]:
    """Return services whose mean replicas are drawn until they hold ``gpus`` GPUs; the last takes what is left."""
    stream, left, means = Stream(seed, f"{stem}:size"), gpus / kind.gpus, []
    least = max(_fewest(kind), kind.smallest)
    while left > 0:
        drawn = least * max(kind.largest / least, 1.0) ** float(stream.uniform(1)[0])
        drawn = left if left - drawn < least else drawn
        means.append(drawn)
        left -= drawn
    found = []
    for number, mean in enumerate(means, start=1):
        crowds = kind.crowds().begins(span, Stream(seed, f"{stem}:crowds:{number}"))
        found.append(
            Service(
                name=f"{kind.name}-{number:02d}",
                kind=kind.name,
                mean=kind.target * max(mean - kind.spare - _FOR_ROUNDING, _FOR_ROUNDING / 2),
                least=kind.minimum,
                most=max(kind.minimum, math.ceil(kind.headroom * mean)),
                spare=kind.spare,
                crowds=tuple(crowds),
            )
        )
    return found


def _normalised(book: Book) -> Book:
    """Return the book with mean demands that hold over this window: its weekends, crowds and recordings considered."""
    services = {}
    for interval in book.intervals():
        part, edges = book.of_interval(interval), book.edges(interval)
        for each, shape in zip(part.services, part.shapes(edges), strict=True):
            mean = float(shape @ np.diff(edges)) / book.span
            services[each.name] = replace(each, mean=each.mean / mean) if mean > 0 else each
    return replace(book, services=tuple(services[each.name] for each in book.services))


def _calibrated(book: Book, gpus: float) -> Book:
    """Return the book with all mean demands times one factor, so that the replicas hold ``gpus`` GPUs on average."""
    if not book.services:
        return book
    fixed = float(sum(each.spare * book.kinds[each.kind].gpus for each in book.services))
    shapes = {interval: book.of_interval(interval).shapes(book.edges(interval)) for interval in book.intervals()}
    low, high, factor = 0.0, math.inf, 1.0
    best, best_miss = book, math.inf
    for _ in range(_TRIES):
        tried = replace(book, services=tuple(replace(each, mean=each.mean * factor) for each in book.services))
        held = _held(tried, shapes)
        if abs(held - gpus) < best_miss:
            best, best_miss = tried, abs(held - gpus)
        if best_miss <= _TOLERANCE * gpus:
            break
        low, high = (factor, high) if held < gpus else (low, factor)
        guess = factor * max(gpus - fixed, 0.0) / (held - fixed) if held > fixed else 2 * factor
        if not low < guess < high:
            guess = (low + high) / 2 if math.isfinite(high) else 2 * factor
        factor = guess
    return best


def _held(book: Book, shapes: Mapping[float, list[NDArray[np.float64]]]) -> float:
    """Return the GPUs that all replicas hold on average, if each starts when it is wanted."""
    total = 0.0
    for interval in book.intervals():
        part, edges = book.of_interval(interval), book.edges(interval)
        gpus = np.array([book.kinds[each.kind].gpus for each in part.services], dtype=np.float64)
        total += float(gpus @ (part.wanted(edges, shapes[interval]) @ np.diff(edges)))
    return total / book.span
