"""Campaigns of any class: a chain of segments, cut by failures and people, until the work is done.

This is a mechanism, not a class.  Pre-training (:mod:`gpuyard.synthesis.training`) runs so, and so do the gangs that
train models in drug discovery, battery materials and manufacturing (:func:`gpuyard.synthesis.domains.gang`); how many
GPUs a campaign has and how much it has to do stands in the file of its class, as a :class:`Work`.  The constants here,
how segments end and what they do besides work, are those of all of them unless a kind is changed, and stand on each
class's page.

A segment begins with loading, writes a checkpoint after each interval of work, and loses what came after the last one
when it ends.  Segments end as Kalos' pre-training jobs did.  A failure of hardware is survived: the segment keeps its
GPUs, loads anew and goes on from its last checkpoint; a part of the failures may end it instead.  The next segment is
submitted after a pause and begins from the checkpoint.  Evaluations of the checkpoints of a segment wait for its end,
because a job can only wait for ends.

A campaign may have begun before the window: it begins at any of the instants at which some of it falls into the
window, so that there is no more and no less of it at the window's edges than in its middle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.synthesis.changes import Changes
from gpuyard.synthesis.distributions import LogCdf, Sizes
from gpuyard.synthesis.expansion import Draws, Jobs, Main, Site, Stage, joined
from gpuyard.synthesis.published import ASSUMPTION, Evidence, like_class
from gpuyard.synthesis.reading import (
    read_checkpoints,
    read_curve,
    read_part,
    read_positive,
    read_sizes,
    read_span,
    read_whole,
)
from gpuyard.synthesis.stages import spread, within

__all__ = [
    "FAILURES",
    "SEGMENTS",
    "Campaign",
    "Chain",
    "Evaluation",
    "Segmenting",
    "Segments",
    "Work",
    "checkpoint_interval",
    "segments_of",
]

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
SEGMENTS = like_class("kalos", p50=707, p90=43_200, p99=281_000)
"""Run times of pre-training jobs in Kalos, s."""
FAILURES = 3.79e-3 / (8 * DAY)
"""Failures of hardware for each GPU and second: 419 in 54 days on 16,384 GPUs (Llama 3)."""
FAILURES_UNIT = 1e3 * 8 * DAY
"""GPU seconds of 1,000 node-days, in which failures are given."""
SURVIVED = 416 / 419
"""The part of the failures of hardware after which a segment goes on, on the GPUs that it has (Llama 3)."""
LOADING = LogCdf.between(300, 1200)
"""s from the start of a segment, or from a failure that it survives, to its first step of work."""
LONGEST_INTERVAL = HOUR
"""s of work between two checkpoints, at most."""
WRITING = 10.0
"""s for which a checkpoint stops the work."""
PAUSE = LogCdf.between(60, 1800)
"""s from the end of a segment to the submission of the next."""
MOST_TASKS = 64
MOST_SEGMENTS = 1 << 12  # items of the draws: segment x MOST_SEGMENTS + evaluation x 64 + task
COMPLETED, FAILED, DRAWN = 0, 2, -1
"""How a job ended: positions in STATE_NAMES of the table, and by the shares of the kind."""
_SEREN_EVALUATION = Evidence("computed", "as of evaluation jobs of Seren, Acme data (Hu et al., NSDI 2024)")
EVALUATED_AFTER = 2 * DAY
"""s after a segment in which evaluations may still run."""


class Campaign(NamedTuple):
    """One campaign."""

    gpus: int
    hours: float  # GPU hours of work that count, without loading, lost work and checkpoints


class Work(Protocol):
    """How large campaigns are and how much they have to do."""

    def campaigns(self, draws: Draws, units: NDArray[np.int64], sizes: Sizes) -> list[Campaign]:
        """Return the campaigns of the units of these numbers."""
        ...

    def figures(self) -> list[tuple[str, str, Evidence]]:
        """Return what shapes them."""
        ...

    def changed(self, given: Changes) -> Work:
        """Return the work with what a user changed of it."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Segmenting:
    """When segments of campaigns end, and what they do besides work."""

    ends: LogCdf = SEGMENTS
    failures: float = FAILURES
    survived: float = SURVIVED
    loading: LogCdf = LOADING
    longest_interval: float = LONGEST_INTERVAL
    writing: float = WRITING
    pause: LogCdf = PAUSE

    def changed(self, given: Changes, ends: LogCdf) -> Segmenting:
        """Return the same with what a user changed of it, and other ``ends``."""
        failures = given.take("failures", read_positive, 0.0)
        return Segmenting(
            ends=ends,
            failures=failures / FAILURES_UNIT if failures else self.failures,
            survived=given.take("survived", read_part, self.survived),
            loading=given.take("loading", read_curve, self.loading),
            longest_interval=given.take("checkpoint_every", read_span, self.longest_interval),
            writing=given.take("checkpoint_write", read_span, self.writing),
            pause=given.take("pause", read_curve, self.pause),
        )

    def figures(self) -> list[tuple[str, str, Evidence]]:
        """Return failures, loading, checkpoints and pauses."""
        every = "hour" if self.longest_interval == HOUR else f"{self.longest_interval / MINUTE:g} minutes"
        return [
            ("failures of hardware", f"{self.failures * FAILURES_UNIT:g} in 1,000 node-days of 8 GPUs",
             Evidence("computed", "Llama 3: 419 unexpected interruptions in 54 days on 16,384 H100")),
            ("failures that a segment survives", f"{self.survived:.1%}, loading anew on the GPUs that it has",
             Evidence("assumption", "Llama 3: all but 3 of 419 were handled by automation; inside the job: assumed")),
            ("loading of a segment", _minutes(self.loading),
             Evidence("assumption", "5 to 20 minutes in the model of Meta RSC (HPCA 2025)")),
            ("checkpoints", f"{self.writing:g} s each, by Young's rule, and at least after each {every} of work",
             ASSUMPTION),
            ("pause between segments", _minutes(self.pause), ASSUMPTION),
            ("ends of segments", "completed the last, failed where hardware ends one, others as drawn", ASSUMPTION),
        ]  # fmt: skip


def _minutes(curve: LogCdf) -> str:
    return f"{curve.values[0] / MINUTE:g} to {curve.values[-1] / MINUTE:g} minutes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Evaluations of checkpoints, one array of ``tasks`` each."""

    stage: Stage
    sizes: Sizes
    runtimes: LogCdf
    tasks: int  # MOST_TASKS at most
    every: float  # s of work, at least
    most: float  # share of the campaign's GPU time, at most

    def changed(self, given: Changes) -> Evaluation:
        """Return the evaluations with what a user changed of them."""
        tasks = given.take("tasks", read_whole, self.tasks)
        if not 1 <= tasks <= MOST_TASKS:
            raise ConfigError(f"tasks of {given.where} must be from 1 to {MOST_TASKS}, got {tasks}")
        priority = given.take("priority", read_whole, self.stage.priority)
        activity = given.take("activity", read_part, self.stage.activity)
        interval = given.take("checkpoint_interval", read_checkpoints, self.stage.checkpoint_interval)
        changed = Evaluation(
            stage=self.stage._replace(priority=priority, activity=activity, checkpoint_interval=interval),
            sizes=given.take("gpus", read_sizes, self.sizes),
            runtimes=given.take("runtime", read_curve, self.runtimes),
            tasks=tasks,
            every=given.take("every", read_span, self.every),
            most=given.take("most", read_positive, self.most),
        )
        given.finish()
        return changed

    def interval(self, gpus: int) -> float:
        """Return the seconds of work between two evaluations of a campaign of so many GPUs."""
        return max(self.every, self.tasks * self.sizes.mean() * self.runtimes.mean() / (self.most * gpus))


class Segments(NamedTuple):
    """The segments of one campaign; every column has shape (segments,)."""

    runtime: NDArray[np.float64]  # s
    work: NDArray[np.float64]  # s of it that count
    failed: NDArray[np.bool_]  # by hardware, which ended it
    start: NDArray[np.float64]  # s since the campaign began, if nothing ever waits
    pause: NDArray[np.float64]  # s before it


_DEFAULT: Final = Segmenting()


def checkpoint_interval(gpus: int, rule: Segmenting = _DEFAULT) -> float:
    """Return the seconds of work between two checkpoints: Young's rule for the failures of hardware (1974)."""
    return min(rule.longest_interval, math.sqrt(2 * rule.writing / (gpus * rule.failures)))


def segments_of(draws: Draws, unit: int, campaign: Campaign, rule: Segmenting = _DEFAULT) -> Segments:
    """Return all segments of a campaign, the last of which ends with its work."""
    needed, number, done = campaign.hours * HOUR / campaign.gpus, 32, np.zeros(1)
    while done[-1] < needed and number < MOST_SEGMENTS:
        number *= 2
        drawn, loading = _drawn(draws, unit, campaign.gpus, number, rule)
        done = np.cumsum(drawn.work)
    last = min(int(np.searchsorted(done, needed)), number - 1)
    kept = Segments(drawn.runtime[: last + 1], drawn.work[: last + 1], drawn.failed[: last + 1],
                    drawn.start[: last + 1], drawn.pause[: last + 1])  # fmt: skip
    kept.work[last] = needed - (done[last - 1] if last else 0.0)
    stretches = _stretches(draws, unit, campaign.gpus, np.array([last]), drawn.runtime[[last]], rule)[0]
    lasts = _time_of(float(kept.work[last]), stretches, float(loading[last]), campaign.gpus, rule)
    kept.runtime[last] = max(round(lasts, 3), 0.001)
    kept.failed[last] = False
    start = np.cumsum(kept.pause + kept.runtime) - kept.runtime
    return kept._replace(start=start)


def _drawn(draws: Draws, unit: int, gpus: int, number: int, rule: Segmenting) -> tuple[Segments, NDArray[np.float64]]:
    """Return that many segments of work without end, not yet put in a row, and how long each takes to load."""
    item, own = np.arange(number), np.full(number, unit)
    chosen = rule.ends.quantile(draws.uniform("segment", own, item))
    ending = gpus * rule.failures * (1 - rule.survived)  # failures a second that end a segment
    failure = np.full(number, np.inf)
    if ending > 0:
        failure = -np.log1p(-draws.uniform("failure", own, item)) / ending
    loading = rule.loading.quantile(draws.uniform("loading", own, item))
    length = np.minimum(chosen, failure)
    stretches = _stretches(draws, unit, gpus, item, length, rule)
    work = _whole(stretches, loading[:, np.newaxis], checkpoint_interval(gpus, rule), rule).sum(axis=1)
    pause = np.round(rule.pause.quantile(draws.uniform("pause", own, item)), 3)
    pause[0] = 0.0
    runtime = np.maximum(np.round(length, 3), 0.001)
    return Segments(runtime, work, failure < chosen, np.zeros(number), pause), loading


def _stretches(
    draws: Draws, unit: int, gpus: int, segment: NDArray[np.int64], length: NDArray[np.float64], rule: Segmenting
) -> NDArray[np.float64]:
    """Return the seconds between the failures that segments survive, 0 where there is no more, a row a segment."""
    rate = gpus * rule.failures * rule.survived  # failures a second
    expected = float(length.max()) * rate
    most = min(math.ceil(expected + 6 * math.sqrt(expected) + 6), MOST_SEGMENTS) if rate > 0 else 0
    item = segment[:, np.newaxis] * MOST_SEGMENTS + np.arange(most)
    gaps = -np.log1p(-draws.uniform("survived", np.full(item.shape, unit), item)) / (rate or 1.0)
    breaks = np.minimum(np.cumsum(gaps, axis=1), length[:, np.newaxis])
    return np.diff(breaks, axis=1, prepend=0.0, append=length[:, np.newaxis])


def _whole(
    stretches: NDArray[np.float64], loading: NDArray[np.float64], interval: float, rule: Segmenting
) -> NDArray[np.float64]:
    """Return the seconds of work that count of each stretch: whole intervals, after it has loaded."""
    intervals = np.floor((stretches - loading) / (interval + rule.writing))
    return np.asarray(np.maximum(intervals, 0.0) * interval, dtype=np.float64)


def _time_of(work: float, stretches: NDArray[np.float64], loading: float, gpus: int, rule: Segmenting) -> float:
    """Return after how many seconds a segment of these stretches has done so much work that counts."""
    interval = checkpoint_interval(gpus, rule)
    done = np.cumsum(_whole(stretches, np.full(stretches.shape, loading), interval, rule))
    at = min(int(np.searchsorted(done, work)), stretches.size - 1)
    left = work - (float(done[at - 1]) if at else 0.0)
    return float(stretches[:at].sum()) + loading + left + rule.writing * math.ceil(left / interval)


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """Campaigns as chains of segments, with evaluations or without."""

    stage: Stage
    work: Work
    evaluation: Evaluation | None = None
    segmenting: Segmenting = _DEFAULT

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Segments, and evaluations."""
        return (self.stage,) if self.evaluation is None else (self.stage, self.evaluation.stage)

    @property
    def standing(self) -> bool:
        """They began before the window and go on after it."""
        return True

    @property
    def most_at_once(self) -> int:
        """Each is made by itself, in about a millisecond."""
        return 16

    def figures(self) -> list[tuple[str, str, Evidence]]:
        """Return work, failures, checkpoints and evaluations."""
        rows = [*self.work.figures(), *self.segmenting.figures()]
        if self.stage.domain > 1:
            shared = f"each {self.stage.domain} GPUs, where nodes have fewer"
            rows.append(("one NVLink domain", shared, Evidence("assumption", "a layer is split over 8 GPUs at most")))
        if self.evaluation is not None:
            one = self.evaluation
            rows += [
                ("evaluation of checkpoints", f"arrays of {one.tasks} jobs",
                 Evidence("read", "63 data sets of one evaluation (Hu et al., NSDI 2024)")),
                ("GPUs of an evaluation", ", ".join(f"{gpus}: {chance:.1%}" for gpus, chance in zip(
                    one.sizes.gpus, one.sizes.chance, strict=True)), _SEREN_EVALUATION),
                ("run time of an evaluation", "p50 / p90 / p99 = " + " / ".join(
                    f"{float(one.runtimes.quantile(chance)):,.0f}" for chance in (0.5, 0.9, 0.99)) + " s",
                 _SEREN_EVALUATION),
                ("priority and activity of an evaluation", f"{one.stage.priority}, {one.stage.activity:g}", ASSUMPTION),
                ("time between evaluations",
                 f"{one.every / HOUR:g} hours of work, more where they would take over {one.most:.0%} of the GPU time",
                 Evidence("assumption", "evaluation takes 0.4 % (Kalos) to 9 % (Seren) of pre-training's GPU time")),
                ("evaluations that wait at second 0",
                 f"of segments that ended in the {EVALUATED_AFTER / DAY:g} days before; earlier ones are done",
                 ASSUMPTION),
            ]  # fmt: skip
        return rows

    def changed(self, given: Changes, before: Main, after: Main) -> Chain:
        """Return the campaigns with what a user changed of them."""
        evaluation = self.evaluation
        if evaluation is not None:
            evaluation = evaluation.changed(given.inner("evaluation", f"evaluation of {given.where}"))
        domain = given.take("domain", read_whole, self.stage.domain)
        if domain < 1:
            raise ConfigError(f"domain of {given.where} must be 1 GPU or more, got {domain}")
        return Chain(
            stage=before.changed(self.stage, after)._replace(domain=domain),
            work=self.work.changed(given),
            evaluation=evaluation,
            segmenting=self.segmenting.changed(given, after.runtimes),
        )

    def jobs(self, draws: Draws, units: NDArray[np.int64], sizes: Sizes, site: Site, span: float) -> Jobs:
        """Return the jobs of the campaigns that fall into the window, each submitted when it is due."""
        campaigns = self.work.campaigns(draws, units, sizes)
        made = [self._jobs(draws, int(unit), one, span) for unit, one in zip(units, campaigns, strict=True)]
        return joined(made, [1] * len(made))

    def _jobs(self, draws: Draws, unit: int, campaign: Campaign, span: float) -> Jobs:
        parts = segments_of(draws, unit, campaign, self.segmenting)
        whole = float(parts.start[-1] + parts.runtime[-1])
        begin = spread(draws, np.array([unit]))[0] * (whole + span) - whole
        bursts = self._bursts(parts, campaign.gpus)
        due = (begin + parts.start + parts.runtime > -EVALUATED_AFTER) & (begin + parts.start < span)
        first = int(np.argmax(due)) if due.any() else 0
        kept = np.arange(first, first + int(due.sum()))
        tasks = bursts[kept] * (0 if self.evaluation is None else self.evaluation.tasks)
        row = np.cumsum(1 + tasks) - 1 - tasks  # of each segment
        segment = np.repeat(kept, 1 + tasks)
        item = np.arange(segment.size) - np.repeat(row, 1 + tasks)  # 0 the segment, its evaluations from 1
        jobs = _chained(campaign, parts, segment, item)
        if self.evaluation is not None:
            jobs = self._evaluated(self.evaluation, draws, unit, jobs, segment, item)
        inside = within(jobs, np.array([begin]), span)
        return replace(inside, submit=np.asarray(np.round(np.maximum(begin + inside.start, 0.0), 3), dtype=np.float64))

    def _bursts(self, parts: Segments, gpus: int) -> NDArray[np.int64]:
        """Return how many evaluations follow each segment: one for each multiple of the interval that it passed."""
        if self.evaluation is None:
            return np.zeros(parts.work.size, dtype=np.int64)
        passed = np.floor(np.cumsum(parts.work) / self.evaluation.interval(gpus)).astype(np.int64)
        return np.minimum(np.diff(passed, prepend=0), 63)

    @staticmethod
    def _evaluated(
        one: Evaluation, draws: Draws, unit: int, jobs: Jobs, segment: NDArray[np.int64], item: NDArray[np.int64]
    ) -> Jobs:
        """Return the jobs with sizes, run times and arrays of the evaluations."""
        own = item == 0
        burst, task = np.divmod(np.maximum(item - 1, 0), one.tasks)
        counter, number = segment * MOST_SEGMENTS + burst * 64 + task, np.full(item.size, unit)
        runtime = one.runtimes.quantile(draws.uniform("evaluation-runtime", number, counter))
        size = one.sizes.quantile(draws.uniform("evaluation-size", number, counter))
        return replace(
            jobs,
            gpus=np.where(own, jobs.gpus, np.minimum(size, jobs.gpus)),
            runtime=np.where(own, jobs.runtime, np.maximum(np.round(runtime, 3), 0.001)),
            array=np.where(own, -1, segment * 64 + burst),
        )


def _chained(campaign: Campaign, parts: Segments, segment: NDArray[np.int64], item: NDArray[np.int64]) -> Jobs:
    """Return a job for each segment, and one for each item after it, which waits for it."""
    own, row = item == 0, np.arange(item.size) - item  # of the segment
    behind = row[np.maximum(row - 1, 0)]  # of the segment before
    child = ~own | (row > 0)
    end = parts.start + parts.runtime
    state = np.where(parts.failed, FAILED, DRAWN)
    state[-1] = COMPLETED
    nothing = np.full(item.size, np.nan)
    return Jobs(
        unit=np.zeros(item.size, dtype=np.int64), stage=np.where(own, 0, 1), gpus=np.full(item.size, campaign.gpus),
        cpus=nothing, runtime=parts.runtime[segment], start=np.where(own, parts.start[segment], end[segment]),
        submit=nothing, delay=nothing, think_time=np.where(own & child, parts.pause[segment], np.nan),
        first_parent=np.where(own, behind, row), parents=child.astype(np.int64), array=np.full(item.size, -1),
        deadline=nothing, state=np.where(own, state[segment], DRAWN),
    )  # fmt: skip
