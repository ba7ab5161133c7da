"""The numbers of ``summary.json``: a pure function of the record and its energy account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuyard.commissioning import absence
from gpuyard.energy.account import ACTIVITY_PARTS, EnergyAccount
from gpuyard.energy.model import LOAD_SOURCES
from gpuyard.errors import ConfigError
from gpuyard.holdings import asked_milli
from gpuyard.intervals import Spans
from gpuyard.metrics.attempts import lost_hours, preempted_in, preemption_numbers
from gpuyard.metrics.deadlines import deadline_block
from gpuyard.metrics.deficits import Deficits
from gpuyard.metrics.digests import schedule_digest
from gpuyard.metrics.facts import STATES, JobTimes, job_times
from gpuyard.metrics.fairness import Fared, deficits_of, fairness_block, weights_of
from gpuyard.metrics.fidelity import nothing_ran, oversubscribed_block, recorded_block
from gpuyard.metrics.fragmentation import Fragmentation, fragmentation
from gpuyard.metrics.groups import Groups, by_gpus, by_label, by_member, everyone, percentile_block, where_stated
from gpuyard.metrics.network import network_block
from gpuyard.metrics.noted import slips
from gpuyard.metrics.queueing import is_saturated, waiting
from gpuyard.metrics.services import Judged, judge, services_block
from gpuyard.metrics.stages import Stages, phases_of, stages_of, years_of
from gpuyard.metrics.tenants import tenants_block, tenants_blocks
from gpuyard.record import EndReason, Outcome, Record
from gpuyard.windows import closed_gpus, there_from
from gpuyard.workload import MICROSECOND

__all__ = ["measured", "summarise"]

_MILLI_HOUR = 1000 * 3600 * MICROSECOND
"""One GPU-hour in thousandths of a GPU x microseconds."""

Numbers = dict[str, object]
_Judged = tuple[list[Judged], int] | None
_OF_SERVICES = ("requests", "on_time", "late", "lost", "attainment", "time_attained")
"""Of the services in a stage."""


@dataclass(frozen=True, kw_only=True)
class _View:
    """One record seen through one measurement window: what every block is computed from.

    ``chosen``: bool, shape (jobs,), the jobs submitted in the window.  ``held`` and ``busy``: float64, shape
    (attempts,), GPU-hours inside the window; ``energy`` kWh, the same.
    """

    record: Record
    account: EnergyAccount
    times: JobTimes
    start: int
    stop: int
    chosen: NDArray[np.bool_]
    attempt_job: NDArray[np.int64]
    held: NDArray[np.float64]
    busy: NDArray[np.float64]
    energy: NDArray[np.float64]

    @cached_property
    def up_parts(self) -> int:
        """Thousandths of GPUs x microseconds that were there in the window."""
        return self.up_parts_of(self.record.cluster.node_gpus.astype(np.int64))

    def up_parts_of(self, gpus: NDArray[np.int64]) -> int:
        """Return the same of some GPUs, so many of each node, int64, shape (nodes,)."""
        gone = absence(self.record, self.start, self.stop)
        away = 0 if gone is None else gone.spans.integrals(gone.weigh(gpus), np.array([self.start, self.stop]))[0]
        return (int(gpus.sum()) * (self.stop - self.start) - away) * 1000

    @property
    def gpu_hours_up(self) -> float:
        """GPU-hours that were there in the window."""
        return self.up_parts / _MILLI_HOUR


def summarise(
    record: Record,
    account: EnergyAccount,
    *,
    window: tuple[float, float] | None = None,
    warmup: float = 0.0,
    until: float | None = None,
    fragments: Fragmentation | None = None,
    judged: _Judged = None,
    tenant_weights: Mapping[str, float] | None = None,
    deficits: Deficits | None = None,
    alone: NDArray[np.float64] | None = None,
    times: JobTimes | None = None,
    digest: str | None = None,
) -> Numbers:
    """Return the numbers of ``summary.json``, as plain Python values; what does not exist is ``None``.

    Parameters
    ----------
    record, account
        The facts of a run and its energy account.
    window
        (start, end) in seconds since the origin; by default from the first submission, or from where the
        simulation begins, to the last end, or to the stop if jobs were left.  Time is cut to the end of the run.
        Jobs count that were submitted in [start, end), also after the last end; by default all do.  What is
        there already when the simulation begins counts as submitted then.
    warmup
        Seconds at the start of the window that are left out.
    until
        When the run was told to stop, seconds since the origin: jobs submitted later do not count.
    fragments
        As :func:`gpuyard.metrics.fragmentation` returns it for the account's holdings and times; worked out if
        not given.
    judged
        As :func:`gpuyard.metrics.judge` returns it; worked out if not given.
    tenant_weights
        By tenant, for the fairness among them, 1 for those not named; ``None``: by the shares of the policy.
    deficits
        As :func:`gpuyard.metrics.deficits_of` returns them, with the ends of :func:`measured` among their edges;
        worked out if not given.
    alone
        As :func:`gpuyard.apart.times_alone` returns them; without, nobody's slowdown against running alone is known.
    times
        As :func:`gpuyard.metrics.job_times` returns them; worked out if not given.
    digest
        As :func:`gpuyard.metrics.schedule_digest` returns it; worked out if not given.

    Raises
    ------
    ConfigError
        For a window that has no length, or that the warm-up uses up, and for weights of tenants that there are not.
    """
    start, stop = _window(account, window, warmup)
    queue, judged = waiting(record), judged or judge(record)
    first = start + round(warmup * MICROSECOND)
    fared = job_times(record) if times is None else times
    view = _view(record, account, fared, (first, stop), _chosen(record, first, window, until))
    whole = next(_job_blocks(view, everyone(len(record.workload))))
    submitted, last = _extremes(view)
    tenants = by_label(record.workload, "tenant")
    shared = tenants_blocks(record, view.start, view.stop, view.chosen, view.held, lost_hours(record, view.held))
    warnings = [*slips(record), *nothing_ran(record)]
    return {
        **whole,
        "makespan_s": None if submitted is None or last is None else (last - submitted) / MICROSECOND,
        "first_submit_s": None if submitted is None else submitted / MICROSECOND,
        "last_end_s": None if last is None else last / MICROSECOND,
        "gpu": _gpu(view) | _left(view, fragments),
        "queue": _queue(view, *queue),
        **preemption_numbers(record, view.held, view.start, view.stop),
        "energy": _energy(view),
        "network": network_block(record, view.held),
        "by_class": _grouped(view, by_label(record.workload, "job_class")),
        "by_tenant": _grouped(view, tenants),
        "by_gpus": _grouped(view, by_gpus(record.workload)),
        **{name: groups and _grouped(view, groups) for name, groups in where_stated(record.workload).items()},
        "by_virtual_cluster": _apart(view, *queue, shared),
        "fairness": fairness_block(record, _fared(view, tenants, tenant_weights, deficits, alone)),
        "deadlines": deadline_block(record, view.times, view.chosen),
        "maintenance": _maintenance(view),
        "stages": _apart_in_time(view, stages_of(record, view.start, view.stop), judged),
        "phases": _apart_in_time(view, phases_of(record, view.start, view.stop), judged),
        "years": _apart_in_time(view, years_of(record, view.start, view.stop), judged),
        "services": services_block(judged, view.start, view.stop),
        "tenants": tenants_block(shared, (view.stop - view.start) / MICROSECOND / 3600),
        "oversubscribed": oversubscribed_block(record, account.holdings, view.start, view.stop),
        "recorded": recorded_block(record, view.times, view.chosen),
        "engine": _engine(record, schedule_digest(record) if digest is None else digest),
        "window": {"start_s": start / MICROSECOND, "end_s": stop / MICROSECOND, "warmup_s": warmup},
        "saturated": is_saturated(record, queue, view.start, view.stop),
        **({"warnings": warnings} if warnings else {}),
    }


def measured(account: EnergyAccount, window: tuple[float, float] | None, warmup: float) -> tuple[int, int]:
    """Return from when to when is measured, microseconds, as :func:`summarise` is given it."""
    start, stop = _window(account, window, warmup)
    return start + round(warmup * MICROSECOND), stop


def _fared(
    view: _View,
    tenants: Groups,
    given: Mapping[str, float] | None,
    deficits: Deficits | None,
    alone: NDArray[np.float64] | None,
) -> Fared:
    edges = np.array([view.start, view.stop])
    if deficits is None:
        deficits = deficits_of(view.record, view.account.holdings, given, edges)
    return Fared(
        tenants=tenants,
        weights=weights_of(view.record, given),
        times=view.times,
        chosen=view.chosen,
        held=view.held,
        deficits=None if deficits is None else deficits.between(edges),
        alone=alone,
    )


def _window(account: EnergyAccount, window: tuple[float, float] | None, warmup: float) -> tuple[int, int]:
    start, stop = account.start, account.stop
    if window is not None:
        if not (np.isfinite(window[0]) and window[0] < window[1]):
            raise ConfigError(f"a window must end later than it starts, got {window[0]:g} s to {window[1]:g} s")
        start = round(window[0] * MICROSECOND)
        stop = min(stop, round(window[1] * MICROSECOND)) if np.isfinite(window[1]) else stop
        if start > stop:
            raise ConfigError(f"the window starts at {window[0]:g} s but the run ends at {stop / MICROSECOND:g} s")
    if not (warmup >= 0 and (warmup == 0 or round(warmup * MICROSECOND) < stop - start)):
        length = (stop - start) / MICROSECOND
        raise ConfigError(f"a warm-up of {warmup:g} s does not fit a window of {length:g} s; shorten it")
    return start, stop


def _chosen(record: Record, start: int, window: tuple[float, float] | None, until: float | None) -> NDArray[np.bool_]:
    """Return which jobs count, bool, shape (jobs,): a job may be rejected after the last end, where no time is left."""
    submit = record.workload.submit
    if record.begin is not None:
        submit = np.maximum(submit, record.begin)
    chosen: NDArray[np.bool_] = submit >= start
    if window is not None and np.isfinite(window[1]):
        chosen &= submit < round(window[1] * MICROSECOND)
    if until is not None and np.isfinite(until):
        chosen &= submit <= round(until * MICROSECOND)
    return chosen


def _view(
    record: Record, account: EnergyAccount, times: JobTimes, window: tuple[int, int], chosen: NDArray[np.bool_]
) -> _View:
    start, stop = window
    inside = np.clip(record.attempt_end, start, stop) - np.clip(record.attempt_start, start, stop)
    held = account.holdings.attempt_milli * (inside / _MILLI_HOUR)
    power_mw = account.attempt_mw + account.attempt_idle_mw
    job = record.attempt_job.astype(np.int64)
    return _View(
        record=record,
        account=account,
        times=times,
        start=start,
        stop=stop,
        chosen=chosen,
        attempt_job=job,
        held=held,
        busy=held * account.load[job],
        energy=power_mw * (inside / 3.6e15),
    )


def _extremes(view: _View) -> tuple[int | None, int | None]:
    """Return the first submission and the last end of the chosen jobs, microseconds."""
    submit = view.record.workload.submit[view.chosen]
    ends = view.record.end[view.chosen & view.times.ended]
    return (int(submit.min()) if submit.size else None), (int(ends.max()) if ends.size else None)


def _job_blocks(view: _View, groups: Groups) -> Iterator[Numbers]:
    """Yield, for each group, its jobs by outcome and the percentiles of its waits, completion times and slowdowns."""
    times, chosen = view.times, view.chosen
    started, done = chosen & times.started, chosen & times.done
    counts = np.bincount(
        groups.code[chosen].astype(np.int64) * len(STATES) + view.record.outcome[chosen],
        minlength=len(groups.names) * len(STATES),
    ).reshape(len(groups.names), len(STATES))
    never = np.bincount(
        groups.code[chosen & ~times.started & (view.record.outcome == Outcome.UNFINISHED)], minlength=len(groups.names)
    )
    waits = [percentile_block(wait, MICROSECOND) for wait in groups.split(times.wait, started)]
    submit_waits = waits
    if not np.array_equal(times.wait, times.submit_wait):
        submit_waits = [percentile_block(wait, MICROSECOND) for wait in groups.split(times.submit_wait, started)]
    completions = groups.split(times.jct, done)
    slowdowns = groups.split(times.bounded_slowdown, done)
    rows = zip(counts, never.tolist(), waits, submit_waits, completions, slowdowns, strict=True)
    for count, not_started, wait, submit_wait, jct, slowdown in rows:
        states = dict(zip(STATES, count.tolist(), strict=True))
        yield {
            "jobs": {"submitted": int(count.sum()), **states, "not_started": not_started},
            "wait_s": wait,
            "submit_wait_s": dict(submit_wait),
            "jct_s": percentile_block(jct, MICROSECOND),
            "bounded_slowdown": percentile_block(slowdown),
        }


def _grouped(view: _View, groups: Groups) -> dict[str, Numbers]:
    """Return the blocks of each group by its name."""
    held, busy, energy = groups.sums(view.attempt_job, view.held, view.busy, view.energy)
    preempted, lost = [0.0] * len(groups.names), [0.0] * len(groups.names)
    if view.record.attempt_useful is not None:
        times = preempted_in(view.record, view.start, view.stop).astype(np.float64)
        preempted, lost = groups.sums(view.attempt_job, times, lost_hours(view.record, view.held))
    total = sum(held)
    rows = zip(groups.names, _job_blocks(view, groups), held, busy, energy, preempted, lost, strict=True)
    return {
        name: block
        | {
            "gpu": {
                "gpu_hours": hours,
                "share": _ratio(hours, total),
                "allocation_rate": _ratio(hours, view.gpu_hours_up),
                "utilization": _ratio(busy_hours, view.gpu_hours_up),
                "activity": _ratio(busy_hours, hours),
            },
            "energy": {"it_kwh": kwh},
            "preemptions": int(often),
            "lost_gpu_hours": lost_here,
        }
        for name, block, hours, busy_hours, kwh, often, lost_here in rows
    }


def _apart(
    view: _View, jobs: NDArray[np.intp], spans: Spans, shared: Mapping[str | None, Numbers]
) -> dict[str, Numbers] | None:
    """Return the blocks of each virtual cluster, with rates of its own GPUs, and its tenants; ``None`` without any."""
    division, cluster = view.record.division, view.record.cluster
    if division is None:
        return None
    blocks = _grouped(view, by_member(division))
    for number, name in enumerate(division.names):
        nodes, mine = division.owner == number, division.member[jobs] == number
        hours = view.up_parts_of(np.where(nodes, cluster.node_gpus, 0).astype(np.int64)) / _MILLI_HOUR
        gpu: Any = blocks[name]["gpu"]
        busy = gpu["utilization"] and gpu["utilization"] * view.gpu_hours_up
        gpu |= {"allocation_rate": _ratio(gpu["gpu_hours"], hours), "utilization": busy and _ratio(busy, hours)}
        blocks[name] |= {
            "nodes": int(nodes.sum()),
            "gpus": int(cluster.node_gpus[nodes].sum()),
            "policy": division.policies[number].name,
            "tenants": shared.get(name),
            "queue": _queue(view, jobs[mine], Spans(spans.start[mine], spans.end[mine])),
        }
    return {name: blocks[name] for name in division.names}


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _gpu(view: _View) -> Numbers:
    """Return the block ``gpu``."""
    spans, edges = view.account.holdings.spans, np.array([view.start, view.stop])
    held_parts = spans.integrals(view.account.holdings.attempt_milli, edges)[0]
    busy_parts = spans.integrals(view.account.busy_parts, edges)[0]
    up_parts = view.up_parts
    held = held_parts / _MILLI_HOUR
    outcome = view.record.outcome[view.attempt_job]
    of_state = np.bincount(outcome, weights=view.held, minlength=len(STATES)).tolist()
    source = view.account.load_source[view.attempt_job]
    of_source = np.bincount(source, weights=view.held, minlength=len(LOAD_SOURCES)).tolist()
    hours = {name: total for name, total in zip(STATES, of_state, strict=True) if name != "rejected"}
    return {
        "count": view.record.cluster.gpus,
        "allocation_rate": held_parts / up_parts if up_parts else None,
        "utilization": busy_parts / (up_parts * ACTIVITY_PARTS) if up_parts else None,
        "goodput": 1.0 - float(lost_hours(view.record, view.held).sum()) / held if held > 0 else None,
        "gpu_hours": held,
        "gpu_hours_by_state": hours,
        "activity_from": {
            name: _ratio(part, sum(of_source)) for name, part in zip(LOAD_SOURCES, of_source, strict=True)
        },
    }


def _left(view: _View, fragments: Fragmentation | None) -> Numbers:
    """Return what the block ``gpu`` says of what is left free: at the end, and what of it is of use."""
    record, holdings = view.record, view.account.holdings
    edges = np.array([view.start, view.stop])
    running = (record.attempt_start <= view.stop) & (
        (record.attempt_end > view.stop)
        | ((record.attempt_end == view.stop) & (record.attempt_reason == EndReason.STOPPED))
    )
    there = there_from(record.windows, record.cluster) <= view.stop
    gpus = int(record.cluster.node_gpus[there].sum()) * 1000
    free = view.up_parts - holdings.spans.integrals(holdings.attempt_milli, edges)[0]
    known = fragments or fragmentation(record, holdings, view.account.start, view.account.stop)
    is_known = known is not None and free > 0
    return {
        "allocation_rate_end": int(holdings.attempt_milli[running].sum()) / gpus if gpus else None,
        "fragmentation": known.fragments.integrals(edges)[0] / (free * known.jobs) if known and is_known else None,
        "stranded": known.stranded.integrals(edges)[0] / free if known and is_known else None,
    }


def _queue(view: _View, jobs: NDArray[np.intp], spans: Spans) -> Numbers:
    edges = np.array([view.start, view.stop])
    length = view.stop - view.start
    queued = spans.integrals(np.ones(jobs.size, dtype=np.int64), edges)[0]
    gpus = spans.integrals(asked_milli(view.record.workload)[jobs], edges)[0]
    return {
        "mean_jobs": queued / length if length else None,
        "max_jobs": spans.peak_count(view.start, view.stop),
        "mean_gpus": gpus / 1000 / length if length else None,
    }


def _energy(view: _View) -> Numbers:
    totals = view.account.between(view.start, view.stop)
    mean, it_mean = totals.facility_mean_w, totals.it_mean_w
    return {
        "it_kwh": totals.it_kwh,
        "facility_kwh": totals.facility_kwh,
        "pue": _ratio(totals.facility_kwh, totals.it_kwh),
        "mean_mw": None if mean is None else mean / 1e6,
        "peak_mw": totals.facility_peak_w / 1e6,
        "it_mean_mw": None if it_mean is None else it_mean / 1e6,
        "it_peak_mw": totals.it_peak_w / 1e6,
        "kwh_per_gpu_hour": _ratio(totals.facility_kwh, float(view.held.sum())),
        "carbon_kg": totals.carbon_kg,
        "cost_krw": totals.cost_krw,
        "idle_share": totals.idle_share,
        "jobs_kwh": totals.jobs_kwh,
        "held_idle_kwh": totals.held_idle_kwh,
        "idle_kwh": totals.idle_kwh,
        "switches_kwh": totals.switches_kwh,
        "other_kwh": totals.other_kwh,
        "overhead_kwh": totals.overhead_kwh,
        "notes": list(view.account.notes),
    }


def _maintenance(view: _View) -> Numbers | None:
    """Return the block ``maintenance``: what windows closed to everybody; ``None`` in a run without windows."""
    record = view.record
    windows = [each for each in record.windows if not (each.is_commission or each.is_partition)]
    if not windows:
        return None
    edges, gpus = closed_gpus(windows, record.cluster)
    inside = np.clip(edges, view.start, view.stop)
    closed = sum(int(each) * int(length) for each, length in zip(gpus, np.diff(inside), strict=False))
    drains = sum(each.is_maintenance for each in windows)
    return {
        "windows": drains,
        "reservations": len(windows) - drains,
        "gpu_hours": closed / MICROSECOND / 3600,
        "share": _ratio(closed / MICROSECOND / 3600, view.gpu_hours_up),
    }


def _apart_in_time(view: _View, stages: Stages | None, judged: _Judged) -> Numbers | None:
    """Return the numbers of each stage, by its name; ``None`` where none are told apart.

    A job counts in the stage in which it was submitted.
    """
    if stages is None:
        return None
    inner = [start for start, _ in stages.values()][1:]
    number = np.searchsorted(inner, view.record.workload.submit, side="right")
    return {
        name: _stage(_view(view.record, view.account, view.times, bounds, view.chosen & (number == at)), judged)
        for at, (name, bounds) in enumerate(stages.items())
    }


def _stage(view: _View, judged: _Judged) -> Numbers:
    gpu, energy = _gpu(view), _energy(view)
    served = services_block(judged, view.start, view.stop)
    return {
        "start_s": view.start / MICROSECOND,
        "end_s": view.stop / MICROSECOND,
        "gpus_up": _ratio(view.up_parts, 1000 * (view.stop - view.start)),
        "gpu": {name: gpu[name] for name in ("allocation_rate", "utilization", "gpu_hours")},
        "energy": {name: energy[name] for name in ("it_kwh", "facility_kwh", "mean_mw", "peak_mw")},
        "services": served and {name: served[name] for name in _OF_SERVICES},
        "by_class": _grouped(view, by_label(view.record.workload, "job_class")),
    }


def _engine(record: Record, digest: str) -> Numbers:
    return {
        "events": record.events,
        "passes": record.passes,
        "wall_s": record.kernel_s,
        "events_per_s": _ratio(float(record.events), record.kernel_s),
        "digest": digest,
    }
