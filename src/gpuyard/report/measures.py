"""The numbers people compare runs by: name, form, meaning, and which way is better.

Keys are paths into ``summary.json``.  Text, pages and comparisons all read this one list, so that
a number is called and explained the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gpuyard.report.wording import finite, format_value

__all__ = ["HEADLINES", "MEASURES", "Measure", "leaves", "lookup", "measure_of", "number_at"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """One number of ``summary.json``."""

    key: str
    """path such as ``wait_s.p95``"""
    label: str
    form: str
    """a name out of :data:`gpuyard.report.wording.FORMS`"""
    meaning: str
    better: str = ""
    """``lower``, ``higher``, or empty where neither is better"""

    def shown(self, numbers: Mapping[str, object]) -> str:
        """Return this number as people read it, or a dash where the summary lacks it."""
        return format_value(lookup(numbers, self.key), self.form)


_WAIT = "time from when a job could have started to its first start, over the jobs that started"
_JCT = "job completion time: from submission to the last end, over the jobs that ended and no preemption cancelled"
_SLOWDOWN = "completion time over run time, at least 1; run times under 10 s count as 10 s"

MEASURES: Final[tuple[Measure, ...]] = (
    Measure(key="jobs.submitted", label="Jobs submitted", form="count", meaning="jobs of the workload"),
    Measure(key="jobs.completed", label="Jobs completed", form="count", meaning="ran to the end of their run time"),
    Measure(key="jobs.failed", label="Jobs failed", form="count", meaning="failed in the record, after their run time"),
    Measure(
        key="jobs.cancelled",
        label="Jobs cancelled",
        form="count",
        meaning="cancelled in the record, after their run time, or by a preemption",
    ),
    Measure(
        key="jobs.timed_out", label="Jobs timed out", form="count", meaning="ended at their time limit", better="lower"
    ),
    Measure(
        key="jobs.rejected",
        label="Jobs rejected",
        form="count",
        meaning="could never run on this cluster, or had no run time",
        better="lower",
    ),
    Measure(
        key="jobs.unfinished",
        label="Jobs unfinished",
        form="count",
        meaning="still waiting or running when the simulation stopped",
        better="lower",
    ),
    Measure(
        key="jobs.not_started",
        label="Jobs not started",
        form="count",
        meaning="had not started when the simulation stopped, those among them that other jobs hold up; in no wait",
        better="lower",
    ),
    Measure(key="wait_s.mean", label="Mean wait", form="seconds", meaning=f"mean {_WAIT}", better="lower"),
    Measure(
        key="wait_s.p50",
        label="Median wait",
        form="seconds",
        meaning=f"half of the jobs waited no longer: {_WAIT}",
        better="lower",
    ),
    Measure(
        key="wait_s.p95",
        label="95th percentile wait",
        form="seconds",
        meaning=f"95 of 100 jobs waited no longer: {_WAIT}",
        better="lower",
    ),
    Measure(
        key="wait_s.p99",
        label="99th percentile wait",
        form="seconds",
        meaning=f"99 of 100 jobs waited no longer: {_WAIT}",
        better="lower",
    ),
    Measure(key="wait_s.max", label="Longest wait", form="seconds", meaning=f"longest {_WAIT}", better="lower"),
    Measure(key="jct_s.mean", label="Mean completion time", form="seconds", meaning=f"mean {_JCT}", better="lower"),
    Measure(key="jct_s.p50", label="Median completion time", form="seconds", meaning=f"median {_JCT}", better="lower"),
    Measure(
        key="jct_s.p95",
        label="95th percentile completion time",
        form="seconds",
        meaning=f"95th percentile {_JCT}",
        better="lower",
    ),
    Measure(
        key="bounded_slowdown.mean", label="Mean bounded slowdown", form="number", meaning=_SLOWDOWN, better="lower"
    ),
    Measure(
        key="bounded_slowdown.p95",
        label="95th percentile bounded slowdown",
        form="number",
        meaning=_SLOWDOWN,
        better="lower",
    ),
    Measure(
        key="makespan_s",
        label="Makespan",
        form="seconds",
        meaning="from the first submission to the last end",
        better="lower",
    ),
    Measure(
        key="services.attainment",
        label="Requests on time",
        form="share",
        meaning="expected requests of services that waited no longer than promised, over all",
        better="higher",
    ),
    Measure(
        key="services.time_attained",
        label="Services' goals met",
        form="share",
        meaning="share of the time in which a service had the part of its requests on time that is its goal",
        better="higher",
    ),
    Measure(
        key="fairness.jain_gpu_hours",
        label="Fairness of GPU time",
        form="ratio",
        meaning="Jain index of the GPU time of tenants over their weights: 1 where all got what their weights say",
        better="higher",
    ),
    Measure(
        key="fairness.jain_wait",
        label="Fairness of waits",
        form="ratio",
        meaning="Jain index of the mean waits of tenants: 1 where all waited alike",
        better="higher",
    ),
    Measure(
        key="fairness.shortfall_gpu_hours",
        label="Shortfall of tenants",
        form="gpu_hours",
        meaning="GPU time that was due to tenants by their weights while their jobs waited, and that others held",
        better="lower",
    ),
    Measure(
        key="fairness.rho.mean",
        label="Finish-time fairness",
        form="number",
        meaning="mean of how long jobs took over how long they would have alone on their tenant's share of the cluster",
        better="lower",
    ),
    Measure(
        key="fairness.alone_slowdown_total",
        label="Slowdown against running alone",
        form="number",
        meaning="how long jobs took over how long they take if no other tenant's jobs are there, over all",
        better="lower",
    ),
    Measure(key="gpu.count", label="GPUs", form="count", meaning="GPUs of the cluster"),
    Measure(
        key="gpu.allocation_rate",
        label="Allocation rate",
        form="share",
        meaning="GPUs held by jobs over GPUs up, averaged over the measured window; holding is not using",
        better="higher",
    ),
    Measure(
        key="gpu.utilization",
        label="Utilization",
        form="share",
        meaning="busy share of the GPUs that are up: held, times the activity of the jobs that hold them",
        better="higher",
    ),
    Measure(
        key="gpu.goodput", label="Goodput", form="share", meaning="useful GPU time over held GPU time", better="higher"
    ),
    Measure(
        key="gpu.fragmentation",
        label="Fragmentation",
        form="share",
        meaning="share of what is free that a job could not use where it is, the mean over the workload",
        better="lower",
    ),
    Measure(
        key="queue.mean_jobs",
        label="Mean queue",
        form="number",
        meaning="jobs waiting, averaged over time",
        better="lower",
    ),
    Measure(
        key="queue.max_jobs",
        label="Longest queue",
        form="count",
        meaning="most jobs waiting at one instant",
        better="lower",
    ),
    Measure(
        key="queue.mean_gpus",
        label="Mean GPUs queued",
        form="number",
        meaning="GPUs asked for by waiting jobs, averaged over time",
        better="lower",
    ),
    Measure(
        key="preemptions",
        label="Preemptions",
        form="count",
        meaning="times a running job had to leave its GPUs",
        better="lower",
    ),
    Measure(key="restarts", label="Restarts", form="count", meaning="attempts after a job's first", better="lower"),
    Measure(
        key="lost_gpu_hours",
        label="Lost GPU time",
        form="gpu_hours",
        meaning="GPU time held for nothing: work that had to be repeated, restarts and checkpoints",
        better="lower",
    ),
    Measure(
        key="energy.facility_kwh",
        label="Facility energy",
        form="kwh",
        meaning="all electricity of the site: nodes and network, cooling and losses",
        better="lower",
    ),
    Measure(
        key="energy.it_kwh",
        label="IT energy",
        form="kwh",
        meaning="electricity of nodes and network alone",
        better="lower",
    ),
    Measure(
        key="energy.pue",
        label="PUE",
        form="ratio",
        meaning="power usage effectiveness: facility energy over IT energy",
        better="lower",
    ),
    Measure(
        key="energy.mean_mw",
        label="Mean facility power",
        form="mw",
        meaning="facility energy over the length of the window",
        better="lower",
    ),
    Measure(
        key="energy.peak_mw",
        label="Peak power",
        form="mw",
        meaning="highest facility power at any instant of the window",
        better="lower",
    ),
    Measure(
        key="energy.kwh_per_gpu_hour",
        label="Energy per GPU-hour",
        form="kwh_per_gpu_hour",
        meaning="facility energy over GPU-hours held",
        better="lower",
    ),
    Measure(
        key="energy.cost_krw",
        label="Electricity cost",
        form="krw",
        meaning="facility energy priced with the tariff of the scenario",
        better="lower",
    ),
    Measure(
        key="energy.carbon_kg",
        label="Carbon",
        form="kg",
        meaning="CO₂ equivalent of the facility energy at the grid's carbon intensity",
        better="lower",
    ),
    Measure(
        key="energy.idle_share",
        label="Idle share of IT energy",
        form="share",
        meaning="part of the IT energy drawn by GPUs and nodes that no job held",
        better="lower",
    ),
    Measure(
        key="network.cross_rack_share",
        label="GPU time across racks",
        form="share",
        meaning="of the GPU time of jobs on several nodes, the part held by jobs whose nodes lie in several racks",
        better="lower",
    ),
    Measure(
        key="network.mean_speed",
        label="Mean speed",
        form="ratio",
        meaning="speed of jobs relative to an undisturbed placement",
        better="higher",
    ),
)
"""All numbers that have a name, in reading order."""

_BY_KEY: Final = {measure.key: measure for measure in MEASURES}

HEADLINES: Final = tuple(
    _BY_KEY[key]
    for key in (
        "jobs.submitted",
        "gpu.allocation_rate",
        "gpu.utilization",
        "wait_s.mean",
        "wait_s.p95",
        "energy.facility_kwh",
        "energy.peak_mw",
        "energy.pue",
        "energy.cost_krw",
        "energy.carbon_kg",
    )
)
"""The ten numbers at the head of a report."""


def lookup(numbers: Mapping[str, object], key: str) -> object:
    """Return what stands at a dotted path, or ``None``."""
    place: object = numbers
    for part in key.split("."):
        if not isinstance(place, Mapping) or part not in place:
            return None
        place = place[part]
    return place


def leaves(numbers: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield (dotted path, value) of everything that is not a mapping, in the order of the mapping."""
    for name, value in numbers.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def measure_of(key: str) -> Measure:
    """Return the measure of a path, or one that shows the bare number under its path."""
    if key in _BY_KEY:
        return _BY_KEY[key]
    form = "seconds" if key.endswith("_s") or any(part.endswith("_s") for part in key.split(".")[:-1]) else "number"
    return Measure(key=key, label=key, form=form, meaning="")


def number_at(numbers: Mapping[str, object], key: str) -> float | None:
    """Return the finite number at a dotted path, or ``None``."""
    return finite(lookup(numbers, key))
