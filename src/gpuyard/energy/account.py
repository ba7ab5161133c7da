"""The energy account of a run: who drew what, and the meter that must agree.

The power of a node is ``idle_w``, plus for each job on it: its GPUs there x ``gpu_dynamic_w`` x its load,
plus ``cpu_dynamic_w`` x the share of the node's cores it holds (where the cores of both are known,
else its share of the node's GPUs x its load).  Each slot's power is rounded once, to a milliwatt;
from there on everything is whole numbers: milliwatts times microseconds are nanojoules.

The parts are summed over attempts; the meter integrates the power of the whole site from event to event.
The two ways share nothing but the power of each attempt.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gpuyard.commissioning import absence
from gpuyard.energy.calendar import Periods, periods
from gpuyard.energy.model import EnergyModel, job_load
from gpuyard.holdings import Holdings, hold
from gpuyard.intervals import Spans
from gpuyard.record import Outcome, Record
from gpuyard.traces.schema import ZONE
from gpuyard.workload import NEVER

__all__ = ["ACTIVITY_PARTS", "NANOJOULES_PER_KWH", "EnergyAccount", "EnergyTotals", "account", "span_of"]

NANOJOULES_PER_KWH = 3_600_000_000_000_000
ACTIVITY_PARTS = 1_000_000
"""Activity counts in millionths where it is integrated, so that a busy GPU is a whole number of parts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EnergyTotals:
    """Energy, power, carbon and cost of a stretch of time.

    ``jobs_kwh + held_idle_kwh + idle_kwh + switches_kwh + other_kwh + overhead_kwh`` are the parts;
    ``it_kwh`` and ``facility_kwh`` come from the meter.  A mean over no time is ``None``.
    """

    jobs_kwh: float
    """GPUs and CPUs above idle, because of jobs"""
    held_idle_kwh: float
    """idle draw of the nodes, for the share of their GPUs that jobs held"""
    idle_kwh: float
    """idle draw of the nodes, for the rest"""
    switches_kwh: float
    other_kwh: float
    """storage and management"""
    overhead_kwh: float
    """cooling and losses: (PUE - 1) x IT"""
    it_kwh: float
    facility_kwh: float
    carbon_kg: float
    cost_krw: float
    it_mean_w: float | None
    it_peak_w: float
    facility_mean_w: float | None
    facility_peak_w: float

    @property
    def parts_kwh(self) -> float:
        """The sum of the parts: equal to ``facility_kwh`` to rounding."""
        nodes = self.jobs_kwh + self.held_idle_kwh + self.idle_kwh
        return nodes + self.switches_kwh + self.other_kwh + self.overhead_kwh

    @property
    def idle_share(self) -> float | None:
        """Share of the IT energy that nodes drew for GPUs nobody held, or ``None`` without energy."""
        return self.idle_kwh / self.it_kwh if self.it_kwh > 0 else None


@dataclass(frozen=True, kw_only=True)
class Absent:
    """What is not drawn because nodes are not there yet: idle draw, switches and other IT, each int64 mW, per span."""

    spans: Spans
    each_mw: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]

    @classmethod
    def nothing(cls) -> Absent:
        """Return that everything is there."""
        none = np.empty(0, np.int64)
        return cls(spans=Spans(none, none), each_mw=(none, none, none))

    @property
    def all_mw(self) -> NDArray[np.int64]:
        """The three together."""
        idle, switches, other = self.each_mw
        return idle + switches + other


@dataclass(frozen=True, kw_only=True)
class EnergyAccount:
    """Energy of a run, by job and in all.

    ``load``, ``load_source``: per job, see :func:`gpuyard.energy.model.job_load`.  ``job_kwh`` (above idle) and
    ``job_idle_kwh`` (idle draw of the GPUs it held): float64, shape (jobs,), IT energy.  ``attempt_mw`` and
    ``attempt_idle_mw``: the same as power, int64 milliwatts, shape (attempts,); ``attempt_job``
    says whose.  ``node_idle_mw``,
    ``switches_mw``, ``other_mw``: constants of the site.  ``start``, ``stop``: what the run spans, microseconds.
    ``absent``: what nodes that are commissioned later do not draw of these constants, None where there are none.
    """

    model: EnergyModel
    holdings: Holdings
    start: int
    stop: int
    load: NDArray[np.float64]
    load_source: NDArray[np.int8]
    attempt_mw: NDArray[np.int64]
    attempt_idle_mw: NDArray[np.int64]
    job_kwh: NDArray[np.float64]
    job_idle_kwh: NDArray[np.float64]
    attempt_job: NDArray[np.int32]
    node_idle_mw: int
    switches_mw: int
    other_mw: int
    periods: Periods
    notes: tuple[str, ...] = ()
    absent: Absent | None = None

    def it_nanojoules(self, edges: NDArray[np.int64]) -> list[int]:
        """Return the exact IT energy of the site between each pair of ascending edges (microseconds) inside the run."""
        spans, drawn = self._changes
        base = self.node_idle_mw + self.switches_mw + self.other_mw
        pairs = zip(spans.integrals(drawn, edges), np.diff(edges).tolist(), strict=True)
        return [energy + base * length for energy, length in pairs]

    @cached_property
    def _changes(self) -> tuple[Spans, NDArray[np.int64]]:
        """What is drawn besides the constants of the site, and when: attempts, and less for nodes not there yet."""
        spans, absent = self.holdings.spans, self.absent
        if absent is None:
            return spans, self.attempt_mw
        start = np.concatenate([absent.spans.start, spans.start])
        end = np.concatenate([absent.spans.end, spans.end])
        return Spans(start, end), np.concatenate([-absent.all_mw, self.attempt_mw])

    @cached_property
    def busy_parts(self) -> NDArray[np.int64]:
        """GPUs held x activity of each attempt, int64, shape (attempts,), in 1 / (1000 x ``ACTIVITY_PARTS``) GPU."""
        parts = np.rint(self.load * ACTIVITY_PARTS).astype(np.int64)
        return self.holdings.attempt_milli * parts[self.attempt_job]

    @cached_property
    def totals(self) -> EnergyTotals:
        """Everything, over the whole run."""
        return self.between(self.start, self.stop)

    def between(self, start: int, stop: int) -> EnergyTotals:
        """Return the totals of a stretch inside the run, microseconds since the origin."""
        from gpuyard.energy.power import metered

        now = self.periods.between(start, stop)
        lengths = np.diff(now.edges).tolist()
        spans, constant = self.holdings.spans, self.node_idle_mw + self.switches_mw + self.other_mw
        jobs, held = (spans.integrals(power, now.edges) for power in (self.attempt_mw, self.attempt_idle_mw))
        absent = Absent.nothing() if self.absent is None else self.absent
        idle, switches, other = (absent.spans.integrals(power, now.edges) for power in absent.each_mw)
        away = [sum(period) for period in zip(idle, switches, other, strict=True)]
        parts = _kwh([up + constant * length - off for up, length, off in zip(jobs, lengths, away, strict=True)])
        meter, peaks = metered(*self._changes, now.edges, base=constant)
        it = _kwh(meter)
        facility = it * now.pue
        span = stop - start
        return EnergyTotals(
            jobs_kwh=sum(jobs) / NANOJOULES_PER_KWH,
            held_idle_kwh=sum(held) / NANOJOULES_PER_KWH,
            idle_kwh=(self.node_idle_mw * span - sum(held) - sum(idle)) / NANOJOULES_PER_KWH,
            switches_kwh=(self.switches_mw * span - sum(switches)) / NANOJOULES_PER_KWH,
            other_kwh=(self.other_mw * span - sum(other)) / NANOJOULES_PER_KWH,
            overhead_kwh=float((parts * (now.pue - 1)).sum()),
            it_kwh=float(it.sum()),
            facility_kwh=float(facility.sum()),
            carbon_kg=float((facility * now.carbon_kg_per_kwh).sum()),
            cost_krw=float((facility * now.price_krw_per_kwh).sum()),
            it_mean_w=float(it.sum()) * 3.6e12 / span if span else None,
            it_peak_w=max(peaks) / 1000,
            facility_mean_w=float(facility.sum()) * 3.6e12 / span if span else None,
            facility_peak_w=float((np.array(peaks) * now.pue).max()) / 1000,
        )


def _kwh(nanojoules: list[int]) -> NDArray[np.float64]:
    return np.array([energy / NANOJOULES_PER_KWH for energy in nanojoules], dtype=np.float64)


def span_of(record: Record) -> tuple[int, int]:
    """Return when a run begins (the first submission, unless it was told) and when it ends, microseconds.

    The end is the last end of a job, or the stop where a job was left waiting or running.
    """
    submit = record.workload.submit
    if submit.size == 0:
        return 0, 0
    start = int(submit.min()) if record.begin is None else record.begin
    ends = record.end[record.end != NEVER]
    last = int(ends.max()) if ends.size else start
    left = (record.outcome == Outcome.UNFINISHED) & (submit <= record.stop)
    return start, max(start, last, record.stop if left.any() else last)


def account(record: Record, model: EnergyModel | None = None) -> EnergyAccount:
    """Return the energy account of a run, by default with the default :class:`EnergyModel`.

    Raises
    ------
    InputError, ConfigError
        For an activity or a fact of the cluster out of its range, or a zone that does not exist.
    """
    from gpuyard.energy.power import idle_mw, power_of

    model = model if model is not None else EnergyModel()
    holdings = hold(record)
    load, load_source = job_load(record.workload, model)
    drawn = power_of(record, load)
    start, stop = span_of(record)
    metadata = record.workload.held.schema.metadata or {}
    calendar = periods(
        model.pue,
        model.carbon_kg_per_kwh,
        model.price_krw_per_kwh,
        origin=record.workload.origin,
        zone=metadata.get(ZONE, b"").decode(),
        start=start,
        stop=stop,
    )
    switches_mw = round(model.switches_w(record.cluster.facts) * 1000)
    other_mw = round(model.others_w(record.cluster.facts) * 1000)
    notes = [calendar.note] if calendar.note else []
    if not holdings.has_room.all():
        without = int(np.count_nonzero(~holdings.has_room))
        notes.append(f"{without} attempts ran where the cluster had no room; they hold no node and draw nothing")
    return EnergyAccount(
        model=model,
        holdings=holdings,
        start=start,
        stop=stop,
        load=load,
        load_source=load_source,
        attempt_mw=drawn.attempt_mw,
        attempt_idle_mw=drawn.attempt_idle_mw,
        attempt_job=record.attempt_job,
        job_kwh=drawn.job_kwh,
        job_idle_kwh=drawn.job_idle_kwh,
        node_idle_mw=int(idle_mw(record.cluster).sum()),
        switches_mw=switches_mw,
        other_mw=other_mw,
        periods=calendar,
        notes=tuple(notes),
        absent=_absent(record, start, stop, switches_mw, other_mw),
    )


def _absent(record: Record, start: int, stop: int, switches_mw: int, other_mw: int) -> Absent | None:
    """Return what nodes do not draw before they are there: their idle draw, and their part of the site's constants."""
    from gpuyard.energy.power import idle_mw, parts_of_site

    gone = absence(record, start, stop)
    if gone is None:
        return None
    switches, other = parts_of_site(record.cluster, switches_mw, other_mw)
    return Absent(
        spans=gone.spans, each_mw=(gone.weigh(idle_mw(record.cluster)), gone.weigh(switches), gone.weigh(other))
    )
