"""The class ``manufacturing``: retraining of lines, process models, digital twins, simulation, inspection services.

Requests of inspection come from plants in three shifts, day and night, on every day of the week.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.services.kinds import ServiceKind
from gpuyard.synthesis.changes import Changes
from gpuyard.synthesis.distributions import LogCdf, Sizes
from gpuyard.synthesis.domains import DAY, HOUR, MINUTE, POWERS_TO_8, Days, cpu_stage, gang, task
from gpuyard.synthesis.expansion import ITEMS, Draws, Jobs, Main, Site, Stage
from gpuyard.synthesis.graphs import Graph, Part
from gpuyard.synthesis.kinds import Kind, activity_of_power
from gpuyard.synthesis.published import ASSUMPTION, Evidence
from gpuyard.synthesis.reading import read_curve, read_part, read_span
from gpuyard.synthesis.realtime import service_kind
from gpuyard.synthesis.stages import WIDEST, Steps, within

__all__ = [
    "INSPECTION",
    "INSPECTION_EVIDENCE",
    "SHIFTS",
    "Lines",
    "changed_inspection",
    "manufacturing_kinds",
    "shift_hours",
]

CLASS, PRIORITY = "manufacturing", 40
WEEK = 168 * HOUR
ALWAYS = (-np.inf, np.inf)
RETRAINING = LogCdf.between(0.5 * HOUR, 12 * HOUR)
PREPARATION, VALIDATION = LogCdf.between(10 * MINUTE, 30 * MINUTE), LogCdf.between(5 * MINUTE, 20 * MINUTE)
"""s before and after a retraining."""


SHIFTS = (1.0, 0.8, 0.6)
"""Load of the morning, evening and night shift over the largest."""
FIRST_SHIFT = 6.0
"""Local hour at which the morning shift begins."""
_BUMP = ("peak_hour", "width_hours", "peak")
"""Keys of a day without shifts."""


def shift_hours(load: tuple[float, float, float], first: float) -> tuple[float, ...]:
    """Return the relative rates of the hours 0 to 23 of three shifts of 8 hours, the first from hour ``first`` on."""
    return tuple(load[int((hour - first) % 24) // 8] for hour in range(24))


INSPECTION = ServiceKind(
    name="inspection", gpus=1, concurrency=8, service_time=0.05, slo_wait=0.1, queue_time=0.5, goal=0.99,
    target=0.5, headroom=2.0, cold_start=60.0, hourly=shift_hours(SHIFTS, FIRST_SHIFT), smallest=3, largest=20,
    activity=activity_of_power(0.50),
)  # fmt: skip
"""Pictures of parts that a model looks at, sent from plants to the centre."""

INSPECTION_EVIDENCE = {
    "replica": Evidence("assumption", "services of plants have replicas of 1 to 16 GPUs; one model on one GPU"),
    "requests": Evidence("assumption", "50 ms a picture, 8 at once"),
    "promise": Evidence("assumption", "100 to 500 ms at p99, the way to the centre included"),
    "scaling": Evidence(
        "assumption",
        "tolerance and cooldown are the defaults of Kubernetes' horizontal pod autoscaler; target lower than "
        "elsewhere, as a shift begins at once",
    ),
    "day": Evidence("assumption", "shifts from 6, 14 and 22 h on every day: peak over mean 1.25; plants 1.2 to 1.5"),
}
"""Where its figures come from; those that are not here have no source at all."""


def manufacturing_kinds() -> tuple[Kind, ...]:
    """Return the kinds of the class 'manufacturing'; shares of its GPU time sum to 1."""
    days = Days(least=1, most=7, evidence=Evidence("assumption", "time-series models of a plant, 1 to 7 days"))
    runtimes = LogCdf.between(2 * HOUR, 48 * HOUR)
    simulation = Graph(
        parts=(Part(stage=Stage("robot-simulation", PRIORITY, activity_of_power(0.60)), runtimes=runtimes,
                    width=(4, 32), gpus="unit", array=True,
                    evidence=Evidence("assumption", "many short arrays of equal tasks")),),
    )  # fmt: skip
    return (
        task("vision-retraining", CLASS, 0.30, RETRAINING, power=0.70, gpus=POWERS_TO_8, priority=PRIORITY,
             sizes="1 to 8 GPUs, each power of two as likely, the same for all of a line",
             source="recurring retraining of one production line, 0.5 to 12 h", expansion=Lines()),
        gang("process-model", CLASS, 0.25, {8: 1, 16: 1, 32: 1, 64: 1}, days, power=0.80,
             source="8 to 64 GPUs for days", priority=PRIORITY),
        task("digital-twin", CLASS, 0.15, LogCdf.between(0.5 * HOUR, 8 * HOUR), power=0.50, gpus=POWERS_TO_8,
             sizes="1 to 8 GPUs, each power of two as likely", source="interactive sessions in working hours",
             priority=PRIORITY, rhythm="working-hours"),
        task("robot-simulation", CLASS, 0.15, runtimes, power=0.60,
             gpus={1: 1, 2: 1, 4: 1, 8: 1, 16: 1, 32: 1, 64: 1}, priority=PRIORITY, expansion=simulation,
             sizes="1 to 64 GPUs, each power of two as likely, the same for all of an array",
             source="tasks of 2 to 48 h"),
        service_kind(INSPECTION, CLASS, 0.15),
    )  # fmt: skip


def _minutes(curve: LogCdf) -> str:
    return f"{curve.values[0] / MINUTE:g} to {curve.values[-1] / MINUTE:g} minutes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Lines:
    """A production line: its model is trained anew every day or every week, at an hour of its own.

    Data is prepared on CPUs, the model trained, the model validated; it is due when the next round begins.  All rounds
    of a line take about as long.
    """

    weekly: float = 0.3  # share of the lines that are retrained once a week
    jitter: float = 0.25  # by which the run time of a round may differ from that of the line
    runtimes: LogCdf = RETRAINING  # of lines
    before: LogCdf = PREPARATION
    after: LogCdf = VALIDATION
    stages: tuple[Stage, ...] = (
        cpu_stage("retraining-data", PRIORITY),
        Stage("vision-retraining", PRIORITY, activity_of_power(0.70)),
        Stage("retraining-check", PRIORITY, activity_of_power(0.50)),
    )  # preparation, training, validation

    @property
    def standing(self) -> bool:
        """They began before the window and go on after it."""
        return True

    @property
    def most_at_once(self) -> int:
        """They last as long as the window."""
        return 256

    def figures(self) -> list[tuple[str, str, Evidence]]:
        """Return the rounds."""
        alike = Evidence("assumption", "90 % of the recurring tasks of PAI can be predicted within 25 %, as recalled")
        return [
            ("rounds", f"daily on {1 - self.weekly:.0%} of the lines, weekly on the others, at any hour", ASSUMPTION),
            ("run time of a round", f"that of the line within {self.jitter:.0%}", alike),
            ("before and after", f"{_minutes(self.before)} on 8 cores; {_minutes(self.after)} on one GPU", ASSUMPTION),
            ("deadline", "when the next round begins", ASSUMPTION),
        ]

    def changed(self, given: Changes, before: Main, after: Main) -> Lines:
        """Return the lines with what a user changed of them."""
        return Lines(
            weekly=given.take("weekly", read_part, self.weekly),
            jitter=given.take("jitter", read_part, self.jitter),
            runtimes=after.runtimes,
            before=given.take("before", read_curve, self.before),
            after=given.take("after", read_curve, self.after),
            stages=tuple(before.changed(stage, after) for stage in self.stages),
        )

    def jobs(self, draws: Draws, units: NDArray[np.int64], sizes: Sizes, site: Site, span: float) -> Jobs:
        """Return the rounds that fall into the window."""
        return self.due(draws, units, sizes, site, span, ALWAYS)

    def due(
        self,
        draws: Draws,
        units: NDArray[np.int64],
        sizes: Sizes,
        site: Site,
        span: float,
        part: tuple[float, float],
    ) -> Jobs:
        """Return the rounds that begin in a part of the window; one that had begun before it counts as its first."""
        every = np.where(draws.uniform("weekly", units) < self.weekly, WEEK, DAY)
        first = draws.uniform("hour", units) * every - every  # of the round before the window, s
        rounds = np.ceil((span - first) / every)
        after, before = (  # a round more on either side: submissions are rounded
            np.clip(np.floor((edge - first) / every) + more, 0.0, rounds).astype(np.int64)
            for edge, more in zip(part, (-1, 2), strict=True)
        )
        line = np.repeat(np.arange(units.size), before - after)
        number = np.arange(line.size) - np.repeat(np.cumsum(before - after) - before, before - after)
        usual = self.runtimes.quantile(draws.uniform("line", units))[line]
        factor = 1 + self.jitter * (2 * draws.uniform("round", units[line], number) - 1)
        gpus = sizes.quantile(draws.uniform("size", units))[line]
        item = number % (ITEMS // (4 * WIDEST)) * 4 * WIDEST  # 1,024 rounds later, random numbers come again
        steps = Steps(draws, units[line], site.node_cpus, item=item)
        steps.step(0, 1, self.before, cpus=8)
        steps.step(1, 1, usual * factor, gpus=gpus)
        steps.step(2, 1, self.after, gpus=1)
        begin = first[line] + number * every[line]
        inside = within(steps.jobs(), begin, span)
        submit = np.asarray(np.round(np.maximum(begin[inside.unit], 0.0), 3), dtype=np.float64)
        due = np.round(begin + every[line], 3)[inside.unit]
        return _submitted_in(part, replace(inside, unit=line[inside.unit], submit=submit, deadline=due))


def _submitted_in(part: tuple[float, float], jobs: Jobs) -> Jobs:
    """Return the jobs that are submitted from one second on and before another."""
    return jobs.where((jobs.submit >= part[0]) & (jobs.submit < part[1]))


def changed_inspection(kind: ServiceKind, given: Changes) -> ServiceKind:
    """Return the service with what a user changed of it: keys of a service, or ``load`` and ``first_shift``.

    With a key of the bump of a day it has no shifts.
    """
    load, first = given.take("load", _read_load, None), given.take("first_shift", _read_first, None)
    keys = given.rest("share")
    another = [key for key in ("hourly", *_BUMP, "requests") if key in keys]
    if load is None and first is None:
        shifts = replace(kind, hourly=None) if any(key in keys for key in _BUMP) else kind
        return shifts.changed(keys)
    if another:
        raise ConfigError(f"{given.where} has {another[0]}, and load or first_shift as well; leave out one of them")
    changed = kind.changed(keys)
    hours = shift_hours(SHIFTS if load is None else load, FIRST_SHIFT if first is None else first)
    return changed.changed({"hourly": list(hours)})


def _read_load(key: str, value: object) -> tuple[float, float, float] | None:
    """Return the loads of the three shifts."""
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise ConfigError(f"{key} must be the parts of the largest load in three shifts, got {value!r}")
    morning, evening, night = (read_part(key, each) for each in value)
    if not max(morning, evening, night) > 0:
        raise ConfigError(f"{key} must be above 0 in one shift, got {value!r}")
    return morning, evening, night


def _read_first(key: str, value: object) -> float | None:
    """Return the local hour at which the first shift begins."""
    hours = read_span(key, value) / HOUR
    if not 0 <= hours < 24 or hours != int(hours):
        raise ConfigError(f"{key} must be a whole hour from 0h to 23h, got {value!r}")
    return hours
