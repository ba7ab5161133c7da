"""The figures behind a synthetic workload, each with its standing and its source, for ``gpuyard show workload``."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

from gpuyard.services.kinds import ServiceKind
from gpuyard.synthesis.calibration import TOLERANCE
from gpuyard.synthesis.changing import CHOSEN
from gpuyard.synthesis.class_shares import BUILT_IN, DEFAULT_CLASSES, ClassShare
from gpuyard.synthesis.distributions import Sizes
from gpuyard.synthesis.generate import LOAD_TOLERANCE
from gpuyard.synthesis.kinds import ACTIVITY_OF_POWER_IDLE, Kind
from gpuyard.synthesis.limits import SUGGESTED_SHARE, VALUES
from gpuyard.synthesis.manufacturing import INSPECTION, INSPECTION_EVIDENCE
from gpuyard.synthesis.planning import HALF_A_GPU, MAKE_UP
from gpuyard.synthesis.published import (
    ASSUMPTION,
    CLUSTERS,
    FRACTIONS_EVIDENCE,
    HOURLY,
    HOURLY_EVIDENCE,
    PROFILE_EVIDENCE,
    PROFILES,
    WEEKLY,
    WEEKLY_EVIDENCE,
    Evidence,
)
from gpuyard.synthesis.reading import NO_CHECKPOINTS
from gpuyard.synthesis.realtime import DEFAULT_SERVICES, PRIORITY, SERVICE_EVIDENCE
from gpuyard.synthesis.series import LARGE_JOBS
from gpuyard.synthesis.spec import SynthesisSpec
from gpuyard.units import counted

__all__ = ["Figure", "describe"]


class Figure(NamedTuple):
    """One figure of a workload; ``standing`` is read, computed or assumption."""

    figure: str
    value: str
    standing: str
    source: str


def describe(spec: SynthesisSpec) -> list[Figure]:
    """Return every figure that shapes the workload, in reading order."""
    rows = [
        _row("window", "as long as the jobs need" if spec.jobs is not None else counted(spec.days, "day"), ASSUMPTION)
    ]
    if spec.jobs is not None:
        rows.append(_row("jobs", f"{spec.jobs}", CHOSEN))
    rows += [
        _amount(spec),
        _row("start", spec.start, ASSUMPTION),
        *_profiles(spec),
        _users(spec),
        *_loop(spec),
        _row("time limits", *_limits(spec)),
        _row("growth of campaigns with the cluster", f"exponent {spec.campaign_growth:g}", ASSUMPTION),
        _row("GPU time of a kind", f"met within {TOLERANCE:.1%} where its jobs allow", ASSUMPTION),
        _row("load that kinds make up for each other",
             f"where they miss more than {MAKE_UP:.1%} of it together, by the most numerous kind", ASSUMPTION),
        _row("services of a class with other kinds",
             f"left out where they would hold {HALF_A_GPU:g} GPUs or less; its other kinds have their part",
             ASSUMPTION),
        _row("end states of large jobs",
             f"largest {LARGE_JOBS[0]:.0%} of a kind apart, up to {LARGE_JOBS[-1]:.0%} where both shares need it",
             Evidence("assumption", "top 5 % of Philly jobs hold 93 % of the GPU time (computed)")),
    ]  # fmt: skip
    for tenant in spec.tenants:
        weights = ", ".join(f"{name} {weight:g}" for name, weight in tenant.weights.items())
        value = f"{counted(tenant.users, 'user')}; {weights or 'no class'}"
        value += f"; priority {tenant.priority:+d}" if tenant.priority else ""
        value += f"; moves in {tenant.start}" if tenant.start is not None else ""
        value += f"; quota {tenant.quota:.0%} of the GPUs" if tenant.quota is not None else ""
        rows.append(_row(f"tenant {tenant.name}", value, ASSUMPTION))
    for one in spec.classes:
        if one.name in (spec.without or ()):
            rows.append(_row(f"class {one.name}", f"left out, with {one.share:.0%} of the GPU time", CHOSEN))
            continue
        rows += _class(one)
        if one.name == "realtime":
            for kind in spec.services:
                rows += _service(kind, one.name)
    return rows


def _row(figure: str, value: str, evidence: Evidence) -> Figure:
    return Figure(figure, value, evidence.standing, evidence.source)


def _amount(spec: SynthesisSpec) -> Figure:
    if spec.rate is not None:
        return _row("rate", f"{spec.rate:g} jobs an hour, apart from services", CHOSEN)
    return _row("offered load", f"{spec.load * spec.remaining():g} (met within {LOAD_TOLERANCE:.0%})", ASSUMPTION)


def _profiles(spec: SynthesisSpec) -> list[Figure]:
    """Return hours and days, the default ones and those of published clusters that classes follow."""
    rows = [
        _row(f"submissions by hour, {first} to {first + 11}", _shown(spec.profile().hourly[first : first + 12]),
             HOURLY_EVIDENCE if spec.profile().hourly == HOURLY else CHOSEN)
        for first in (0, 12)
    ]  # fmt: skip
    evidence = WEEKLY_EVIDENCE if spec.profile().weekly == WEEKLY else CHOSEN
    rows.append(_row("submissions by day, Monday to Sunday", _shown(spec.profile().weekly), evidence))
    followed = sorted({kind.profile for one in spec.classes for kind in one.kinds() if kind.profile is not None})
    if spec.hourly is None:
        rows += [
            _row(f"{name}-like submissions by hour, 0 to 23", _shown(PROFILES[name].hourly), PROFILE_EVIDENCE[name])
            for name in followed
        ]
    if spec.weekly is None:
        rows += [
            _row(f"{name}-like submissions by day", _shown(PROFILES[name].weekly), PROFILE_EVIDENCE[name])
            for name in followed
        ]
    factor = "a Sunday" if spec.holiday_factor is None else f"{spec.holiday_factor:g} of the mean day"
    value = "none" if spec.holidays is None else f"those of {spec.holidays}, with the submissions of {factor}"
    return [*rows, _row("holidays", value, ASSUMPTION)]


def _shown(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.2f}" for value in values)


def _users(spec: SynthesisSpec) -> Figure:
    """Return how unequal users are; a figure outside of what was published is the user's own."""
    figures = "Helios data (Hu et al., SC 2021)"
    if spec.user_sigma is not None:
        evidence = Evidence("computed", f"{figures}: sigma 1.6 to 2.0 for users of a whole cluster")
        evidence = evidence if 1.6 <= spec.user_sigma <= 2.0 else CHOSEN
        return _row("log-normal weights of a tenant's users", f"sigma {spec.user_sigma:g}", evidence)
    evidence = Evidence("computed", f"{figures}: 1.0 to 1.2 for users of a whole cluster")
    evidence = evidence if 1.0 <= spec.zipf_exponent <= 1.2 else CHOSEN
    return _row("Zipf exponent of a tenant's users", f"{spec.zipf_exponent:g}", evidence)


def _loop(spec: SynthesisSpec) -> list[Figure]:
    if spec.think_time is None:
        return []
    value = f"exponential, {spec.think_time:g} s on average, after the longest of the user's last jobs of the kind"
    kind = (
        "closed: a user submits his next jobs then" if spec.closed_loop else "partly open: no earlier than without it"
    )
    return [
        _row("think time", value, ASSUMPTION),
        _row("loop of users", kind, CHOSEN if spec.closed_loop else ASSUMPTION),
    ]


def _limits(spec: SynthesisSpec) -> tuple[str, Evidence]:
    if spec.limits == "modal":
        value = f"{len(VALUES)} round values up to 7 days; {SUGGESTED_SHARE:.0%} of the jobs keep 1 day"
        source = "uniform part used (Mu'alem and Feitelson 2001), few values (Tsafrir et al. 2005); the values assumed"
        return value, Evidence("assumption", source)
    if spec.limit_factor is None:
        return "none", ASSUMPTION
    low, high = spec.limit_factor
    return f"run time x {low:g} to {high:g}, log-uniform, in whole minutes", ASSUMPTION


def _class(one: ClassShare) -> list[Figure]:
    evidence = ASSUMPTION if replace(one, changes={}) in DEFAULT_CLASSES else CHOSEN
    sources = ", ".join(f"{name} {weight:g}" for name, weight in one.source.items())
    value = f"{one.share:.0%} of the GPU time" + ("" if dict(one.source) == {BUILT_IN: 1.0} else f", from {sources}")
    rows = [_row(f"class {one.name}", value, evidence)]
    figures = {"dispersion": one.dispersion, "interarrival_cv": one.interarrival_cv}
    rows += [_row(f"class {one.name}: {name}", f"{it:g}", CHOSEN) for name, it in figures.items() if it is not None]
    usual = {row.figure: row.value for kind in one.kinds_before() for row in _kind(kind)}
    own = [row for kind in one.kinds() for row in _kind(kind)]
    return rows + [row if usual.get(row.figure) == row.value else _row(row.figure, row.value, CHOSEN) for row in own]


def _kind(kind: Kind) -> list[Figure]:
    if kind.service is not None:
        return _service(replace(kind.service, share=kind.share), kind.job_class)
    name = f"{kind.job_class}, {kind.name}"
    growth = f", on {kind.reference_gpus} GPUs" if kind.reference_gpus is not None else ""
    quantiles = [float(kind.runtimes.quantile(chance)) for chance in (0.50, 0.90, 0.99)]
    runtime = " / ".join(f"{value:,.0f}" for value in quantiles)
    rows = [
        _row(f"{name}: share of the class", f"{kind.share:.1%}", ASSUMPTION),
        _row(f"{name}: GPUs", _sizes(kind.sizes) + growth, kind.size_evidence),
        *_fractions(name, kind),
        _row(f"{name}: run time", f"p50 / p90 / p99 = {runtime} s", kind.runtime_evidence),
        _row(f"{name}: priority", f"{kind.priority}", ASSUMPTION),
        _row(f"{name}: activity", f"{kind.activity:g}", _activity(kind)),
    ]
    if not kind.preemptible:
        rows.append(_row(f"{name}: preemption", "its jobs are not preemptible", ASSUMPTION))
    rows += _checkpoints(name, kind)
    if kind.expansion is not None:
        rows += [_row(f"{name}: {figure}", value, evidence) for figure, value, evidence in kind.expansion.figures()]
    if kind.rank_correlation:
        fitted = Evidence("computed", "fitted here to the published GPU time of large jobs or of the class")
        rows.append(_row(f"{name}: correlation of size and run time", f"{kind.rank_correlation:g}", fitted))
    if kind.coupling is not None:
        shifts = zip(kind.coupling.sizes.gpus, kind.coupling.shifts, strict=True)
        value = ", ".join(f"{gpus}: {shift:+.2f}" for gpus, shift in shifts)
        fitted = Evidence("computed", "fitted here to the published share of the GPU time of each size")
        rows.append(_row(f"{name}: shift of the run time by size", value, fitted))
    clumps = CLUSTERS[kind.name.removesuffix("-like")].clumping_evidence if kind.name.endswith("-like") else ASSUMPTION
    if kind.burst > 1:
        what = "jobs" if kind.expansion is None else "units"
        rows.append(_row(f"{name}: {what} a burst", f"{kind.burst:g} on average", clumps))
    if kind.swing > 1:
        rows.append(_row(f"{name}: mean square of a day's multiplier", f"{kind.swing:g}", clumps))
    if kind.rhythm == "working-hours":
        rows.append(_row(f"{name}: submissions", "weekdays, 8 to 19 h", ASSUMPTION))
    return [
        *rows,
        _row(f"{name}: completed / cancelled / failed", _ends(kind.states.jobs), kind.states.evidence),
        _row(f"{name}: the same, by GPU time", _ends(kind.states.gpu_time), kind.states.evidence),
    ]


def _checkpoints(name: str, kind: Kind) -> list[Figure]:
    """Return what its jobs lose when they are preempted, where they say so."""
    stated = {stage.name: _interval(stage.checkpoint_interval) for stage in kind.stages}
    if all(stage.checkpoint_interval is None for stage in kind.stages):
        return []
    alike = len(set(stated.values())) == 1
    value = next(iter(stated.values())) if alike else ", ".join(f"{stage}: {each}" for stage, each in stated.items())
    return [_row(f"{name}: work between checkpoints, when preempted", value, ASSUMPTION)]


def _interval(seconds: float | None) -> str:
    if seconds is None:
        return "the policy's"
    if seconds == 0:
        return "nothing is lost"
    return "no checkpoints" if seconds == NO_CHECKPOINTS else f"{seconds:g} s"


def _ends(shares: tuple[float, float, float]) -> str:
    return " / ".join(f"{share:.1%}" for share in shares)


def _fractions(name: str, kind: Kind) -> list[Figure]:
    parts = zip(kind.fractions.milli, kind.fractions.chance, strict=True)
    value = ", ".join(f"{milli / 1000:g}: {chance:.1%}" for milli, chance in parts)
    return [_row(f"{name}: parts of a GPU, of jobs of one GPU", value, FRACTIONS_EVIDENCE)] if value else []


def _service(kind: ServiceKind, job_class: str) -> list[Figure]:
    """Return the figures of a kind of service, those that belong together in one row."""
    default = next((each for each in (*DEFAULT_SERVICES, INSPECTION) if each.name == kind.name), None)
    rows = [
        _row(f"{job_class}, {kind.name}: priority", f"{PRIORITY}", ASSUMPTION),
        _row(f"{job_class}, {kind.name}: preemption", "its replicas are not preemptible", ASSUMPTION),
        _row(f"{job_class}, {kind.name}: ends", "its replicas are completed", ASSUMPTION),
    ]
    for figure, keys in _SERVICE_ROWS.items():
        skipped = (_OF_REQUESTS if kind.window is not None else ()) + (_OF_A_BUMP if kind.hourly is not None else ())
        given = {key: getattr(kind, key) for key in keys if key not in skipped and getattr(kind, key) is not None}
        if not given:
            continue
        value = ", ".join(f"{key} {_given(each)}" for key, each in given.items())
        same = default is not None and all(getattr(default, key) == each for key, each in given.items())
        evidence = _EVIDENCE.get((kind.name, figure), ASSUMPTION) if same else CHOSEN
        rows.append(_row(f"{job_class}, {kind.name}: {figure}", value, evidence))
    return rows


_EVIDENCE = {**SERVICE_EVIDENCE, **{(INSPECTION.name, row): each for row, each in INSPECTION_EVIDENCE.items()}}
"""Where figures of default services come from, by kind and row."""


def _given(value: str | float | tuple[float, ...]) -> str:
    if isinstance(value, tuple):
        runs = [(each, len(list(same))) for each, same in groupby(value)]
        return " ".join(f"{each:g}" if times == 1 else f"{times}x{each:g}" for each, times in runs)
    return value if isinstance(value, str) else f"{value:g}"


_SERVICE_ROWS = {
    "share of the class": ("share",),
    "replica": ("gpus", "activity"),
    "requests": ("concurrency", "service_time"),
    "windows": ("window", "records"),
    "promise": ("slo_wait", "queue_time", "goal"),
    "scaling": ("target", "tolerance", "cooldown", "interval", "minimum", "headroom", "spare"),
    "cold start": ("cold_start",),
    "day": ("peak_hour", "width_hours", "peak", "weekend", "hourly"),
    "flash crowds": ("crowds_a_week", "crowd_factor", "crowd_rise", "crowd_decay"),
    "replayed requests": ("requests", "sha256"),
    "replicas of one service": ("smallest", "largest"),
}
"""What the rows of a service are called, and the keys that each holds."""
_OF_REQUESTS = ("concurrency", "service_time", "slo_wait", "queue_time")
"""Keys that have no meaning for a streaming pipeline."""
_OF_A_BUMP = ("peak_hour", "width_hours", "peak")
"""Keys that have no meaning beside a profile of hours."""


def _sizes(sizes: Sizes) -> str:
    pairs = zip(sizes.gpus, sizes.chance, strict=True)
    return ", ".join(f"{gpus}: {chance:.1%}" for gpus, chance in pairs)


def _activity(kind: Kind) -> Evidence:
    if kind.name.endswith("-like"):
        return Evidence("computed", "Acme data (Hu et al., NSDI 2024): mean SM activity 39 to 41 %")
    power = kind.activity * (1 - ACTIVITY_OF_POWER_IDLE) + ACTIVITY_OF_POWER_IDLE
    return Evidence("assumption", f"a mean draw of {power:.0%} of rated power, idle at {ACTIVITY_OF_POWER_IDLE:.0%}")
