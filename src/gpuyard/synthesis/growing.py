"""A workload that grows with its cluster: stage by stage, each offering the load to the GPUs that are there by then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import numpy as np

from gpuyard.errors import ConfigError
from gpuyard.services.book import Book, Service
from gpuyard.streams import stream_key
from gpuyard.synthesis.batch import Batch, Place
from gpuyard.synthesis.generate import Generation, SteadyGeneration, generation
from gpuyard.synthesis.moving_in import MovedIn
from gpuyard.synthesis.planning import MOST_JOBS, Services
from gpuyard.synthesis.realtime import replicas
from gpuyard.synthesis.series import service_batches
from gpuyard.synthesis.spec import SynthesisSpec
from gpuyard.units import counted
from gpuyard.workload import MICROSECOND, Workload

__all__ = ["GrowingGeneration", "Stage", "generation_growing", "synthesise_growing"]

DAY = 86_400.0
ROUNDING = 0.001
"""Seconds by which a job may be submitted before its stage begins: times are rounded."""


class Stage(NamedTuple):
    """A stretch of time, s since the origin, in which the cluster does not change, and what it is in it."""

    begin: float
    end: float
    gpus: int
    largest: int  # GPUs of the largest job that it takes
    node_cpus: float | None  # CPU cores of its smallest node, None where it states none
    node_gpus: tuple[int, ...] = ()  # the different numbers of GPUs of its nodes


class GrowingGeneration(Generation):
    """The workload of a cluster that grows: the jobs of all stages, each planned like a workload of its own."""

    def __init__(self, spec: SynthesisSpec, stages: Sequence[Stage], made: Sequence[SteadyGeneration]) -> None:
        super().__init__(spec, stages[-1].end, _services(spec, stages, made))
        self._stages = [*zip(stages, made, strict=True)]
        self.jobs = sum(each.queued for each in made) + self.services.services.jobs()
        self.load = sum(each.gpu_time for each in made) / sum(each.gpus * (each.end - each.begin) for each in stages)
        self.notes = tuple(
            f"stage {number}, from {stage.begin / DAY:g} days on, {counted(stage.gpus, 'GPU')}: {each.notes[0]}"
            for number, (stage, each) in enumerate(self._stages, start=1)
        )

    def _series(self) -> tuple[list[Iterator[Batch]], list[float]]:
        series = service_batches(self.services)
        begins = [one.service.start - ROUNDING for one in self.services.services.replicas]
        for number, (stage, made) in enumerate(self._stages):
            queue = made.queue(Place(stage.node_gpus, round(stage.begin * MICROSECOND), _ending(number)))
            series += queue
            begins += [stage.begin - ROUNDING] * len(queue)
        return series, begins

    def _ends(self, rows: int) -> list[float]:
        ends: list[float] = []
        for stage, made in self._stages:
            ends += [stage.begin + moment for moment in (0.0, *made.times(made.jobs, rows))]
        return ends[1:]


def synthesise_growing(
    spec: SynthesisSpec, stages: Sequence[Stage], *, seed: int, progress: Callable[[float], None] | None = None
) -> Workload:
    """Return the jobs of all stages, each made like a workload of its own for what is there in it.

    From the second stage on a job, array or service is named after its number in the stage and the stage's:
    ``training-finetune-0000017~2``.  A stage's services end with it.

    Raises
    ------
    ConfigError
        For a number of jobs, and where :func:`gpuyard.synthesis.synthesise` does for one of the stages.
    """
    return generation_growing(spec, stages, seed=seed, most_jobs=MOST_JOBS, progress=progress).workload()


def generation_growing(
    spec: SynthesisSpec,
    stages: Sequence[Stage],
    *,
    seed: int,
    most_jobs: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> GrowingGeneration:
    """Return what :func:`synthesise_growing` would make, to be made table by table; the parameters are the same.

    ``most_jobs`` is how many jobs there may be, any number if None.
    """
    if spec.jobs is not None:
        raise ConfigError("jobs of a cluster that grows are as many as its stages need; leave 'jobs' out, give days")
    origin, made = spec.origin(), list[SteadyGeneration]()
    for number, stage in enumerate(stages):
        begin = origin + timedelta(seconds=stage.begin)
        made.append(
            generation(
                replace(spec, days=(stage.end - stage.begin) / DAY, start=begin.isoformat()),
                gpus=stage.gpus,
                seed=seed if number == 0 else stream_key(seed, f"synthesis:stage:{number}"),
                max_gpus_per_job=stage.largest,
                node_cpus=stage.node_cpus,
                most_jobs=None if most_jobs is None else most_jobs // len(stages),
                part=(stage.begin, stages[-1].end),
            )
        )
        made[-1].forget()
        if progress is not None:
            progress((number + 1) / len(stages) / 2)
    return GrowingGeneration(spec, stages, made)


def _ending(number: int) -> str:
    """Return what stands behind the names of a stage."""
    return "" if number == 0 else f"~{number + 1}"


def _services(spec: SynthesisSpec, stages: Sequence[Stage], made: Sequence[SteadyGeneration]) -> MovedIn:
    """Return the services of all stages as those of one window, each while its stage lasts."""
    books = [each.services.services.book for each in made]
    tenants = np.concatenate([each.services.tenant for each in made])
    users = np.concatenate([each.services.user for each in made])
    known = [(number, book) for number, book in enumerate(books) if book is not None]
    if not known:
        return MovedIn(made[0].services.services, tenants, users)
    kinds = {name: kind for _, book in known for name, kind in book.kinds.items()}
    if any(book.kinds[name] != kinds[name] for _, book in known for name in book.kinds):
        raise ConfigError("a stage has too few GPUs for its services as they are; give it more nodes or load")
    found, holidays, before = list[Service](), set[int](), set[str]()
    for number, book in known:
        stage = stages[number]
        shown = {one.service.name for one in made[number].services.services.replicas}
        found += [
            replace(
                each,
                name=each.name + _ending(number),
                start=max(each.start, 0.0) + stage.begin,
                stop=stage.end,
                continued=each.kind in before and each.start == 0.0,
                crowds=tuple(crowd + stage.begin for crowd in each.crowds),
            )
            for each in book.services
            if each.name in shown
        ]
        before = {each.kind for each in book.services if each.name in shown}
        day = (spec.origin() + timedelta(seconds=stage.begin)).date()
        holidays |= {free + (day - spec.origin().date()).days for free in book.holidays}
    recordings = {name: one for _, book in known for name, one in book.recordings.items()}
    start = spec.origin()
    midnight = -(start.hour * 3600.0 + start.minute * 60.0 + start.second + start.microsecond / 1e6)
    book = Book(
        span=stages[-1].end, midnight=midnight, weekday=start.weekday(), kinds=kinds, services=tuple(found),
        recordings=recordings, holidays=tuple(sorted(holidays)),
    )  # fmt: skip
    ran = replicas(book)
    there = np.array([one.jobs > 0 for one in ran], dtype=np.bool_)
    left = [one for one in ran if one.jobs]
    book = replace(book, services=tuple(one.service for one in left))
    return MovedIn(Services(book, left, ()), tenants[there], users[there])
