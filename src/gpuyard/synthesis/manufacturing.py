"""Manufacturing: retraining of production lines, process models, digital twins, simulation, inspection services."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.synthesis.changes import Changes
from gpuyard.synthesis.distributions import LogCdf, Sizes
from gpuyard.synthesis.domains import DAY, HOUR, MINUTE, POWERS_TO_8, Days, cpu_stage, gang, task
from gpuyard.synthesis.expansion import ITEMS, Draws, Jobs, Main, Site, Stage
from gpuyard.synthesis.graphs import Graph, Part
from gpuyard.synthesis.kinds import Kind, activity_of_power
from gpuyard.synthesis.published import ASSUMPTION, Evidence
from gpuyard.synthesis.reading import read_curve, read_part, read_span, read_whole
from gpuyard.synthesis.stages import WIDEST, Steps, within

__all__ = ["Lines", "Shifts", "manufacturing_kinds"]

CLASS, PRIORITY = "manufacturing", 40
WEEK = 168 * HOUR
ALWAYS = (-np.inf, np.inf)
COMPLETED = 0
"""Position in STATE_NAMES of the table."""
RETRAINING = LogCdf.between(0.5 * HOUR, 12 * HOUR)
PREPARATION, VALIDATION = LogCdf.between(10 * MINUTE, 30 * MINUTE), LogCdf.between(5 * MINUTE, 20 * MINUTE)
"""s before and after a retraining."""


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
        task("inspection", CLASS, 0.15, LogCdf.between(8 * HOUR, 16 * HOUR), power=0.50, priority=100,
             gpus={1: 1, 2: 1, 4: 1, 8: 1, 16: 1}, preemptible=False, expansion=Shifts(),
             sizes="1 to 16 GPUs a replica, the same for all of a service",
             source="replicas for one shift, for two, or for the whole window"),
    )  # fmt: skip


_MOST_REPLICAS = 1_000
"""Of one inspection service."""


def _minutes(curve: LogCdf) -> str:
    return f"{curve.values[0] / MINUTE:g} to {curve.values[-1] / MINUTE:g} minutes"


def _read_load(key: str, value: object) -> tuple[float, float, float]:
    """Return the loads of the three shifts."""
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise ConfigError(f"{key} must be the parts of the largest load in three shifts, got {value!r}")
    morning, evening, night = (read_part(key, each) for each in value)
    if not morning >= evening >= night > 0:
        raise ConfigError(f"{key} must not rise from shift to shift, and stay above 0, got {value!r}")
    return morning, evening, night


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Shifts:
    """An inspection service of plants: replicas by the load of three shifts, and one to spare.

    A replica that is needed in all shifts holds its GPUs for the whole window; another is submitted when the first
    shift of the day that needs it begins, and ends with the last.
    """

    load: tuple[float, float, float] = (1.0, 0.8, 0.6)  # morning, evening, night: of the largest, never rising
    first_shift: float = 6 * HOUR  # local time at which the morning shift begins
    most: int = 8  # replicas at the largest load
    stages: tuple[Stage, ...] = (Stage("inspection", 100, activity_of_power(0.50), preemptible=False),)  # replicas

    @property
    def standing(self) -> bool:
        """They began before the window and go on after it."""
        return True

    @property
    def most_at_once(self) -> int:
        """They last as long as the window."""
        return 256

    def figures(self) -> list[tuple[str, str, Evidence]]:
        """Return shifts and replicas."""
        levels = ", ".join(f"{one:.0%}" for one in self.load)
        begins = [(self.first_shift / HOUR + 8 * shift) % 24 for shift in range(3)]
        flat = Evidence("assumption", "plants run day and night: peak over mean 1.2 to 1.5, consumers 1.5 to 3")
        return [
            (f"load of the shifts from {begins[0]:g}, {begins[1]:g} and {begins[2]:g} h", levels, flat),
            ("replicas", f"1 to {self.most} at the largest load, log-uniform, and 1 to spare", ASSUMPTION),
        ]

    def changed(self, given: Changes, before: Main, after: Main) -> Shifts:
        """Return the services with what a user changed of them; their replicas run by shifts."""
        if after.runtimes != before.runtimes:
            raise ConfigError(f"{given.where} has no runtime: its replicas run for one shift, for two, or on")
        most = given.take("most", read_whole, self.most)
        if not 1 <= most <= _MOST_REPLICAS:
            raise ConfigError(f"most of {given.where} must be from 1 to {_MOST_REPLICAS} replicas, got {most}")
        return Shifts(
            load=given.take("load", _read_load, self.load),
            first_shift=given.take("first_shift", read_span, self.first_shift),
            most=most,
            stages=tuple(before.changed(stage, after) for stage in self.stages),
        )

    def jobs(self, draws: Draws, units: NDArray[np.int64], sizes: Sizes, site: Site, span: float) -> Jobs:
        """Return the replicas that fall into the window."""
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
        """Return the replicas that are submitted in a part of the window."""
        peak = np.floor((self.most + 1.0) ** draws.uniform("replicas", units))
        morning, evening, night = ((np.ceil(peak * load) + 1).astype(np.int64) for load in self.load)
        since_midnight = site.start.hour * HOUR + site.start.minute * MINUTE + site.start.second
        days = np.arange(-1, int(np.ceil(span / DAY)) + 1) * DAY + self.first_shift - since_midnight
        days = days[(days > part[0] - 2 * DAY) & (days < part[1] + DAY)]
        service = np.arange(units.size)
        whole = np.repeat(service, night)
        daily = np.concatenate((np.repeat(service, morning - evening), np.repeat(service, evening - night)))
        hours = np.repeat((8.0, 16.0), (int((morning - evening).sum()), int((evening - night).sum())))
        owner = np.concatenate((whole, np.repeat(daily, days.size)))
        begin = np.concatenate((np.zeros(whole.size), np.tile(days, daily.size)))
        length = np.concatenate((np.full(whole.size, span), np.repeat(hours * HOUR, days.size)))
        order = np.lexsort((begin, owner))
        owner, begin = owner[order], begin[order]
        steps = Steps(draws, units[owner], site.node_cpus)
        steps.step(0, 1, length[order], gpus=sizes.quantile(draws.uniform("size", units))[owner])
        inside = within(steps.jobs(), begin, span)
        submit = np.asarray(np.round(np.maximum(begin[inside.unit], 0.0), 3), dtype=np.float64)
        ended = np.full(submit.size, COMPLETED)
        return _submitted_in(part, replace(inside, unit=owner[inside.unit], submit=submit, state=ended))


def _submitted_in(part: tuple[float, float], jobs: Jobs) -> Jobs:
    """Return the jobs that are submitted from one second on and before another."""
    return jobs.where((jobs.submit >= part[0]) & (jobs.submit < part[1]))
