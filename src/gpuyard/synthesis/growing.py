"""A workload that grows with its cluster: stage by stage, each offering the load to the GPUs that are there by then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpuyard.errors import ConfigError
from gpuyard.parents import coded_table
from gpuyard.reshaping.columns import marked, moved
from gpuyard.services.book import Book, Service
from gpuyard.streams import stream_key
from gpuyard.synthesis.generate import Generation, generation
from gpuyard.synthesis.moving_in import MovedIn
from gpuyard.synthesis.planning import MOST_JOBS, Services
from gpuyard.synthesis.realtime import replicas
from gpuyard.synthesis.series import service_batches
from gpuyard.synthesis.spec import SynthesisSpec
from gpuyard.synthesis.table import Tables
from gpuyard.units import counted
from gpuyard.workload import MICROSECOND, Workload

__all__ = ["Stage", "synthesise_growing"]

DAY = 86_400.0


class Stage(NamedTuple):
    """A stretch of time, s since the origin, in which the cluster does not change, and what it is in it."""

    begin: float
    end: float
    gpus: int
    largest: int  # GPUs of the largest job that it takes
    node_cpus: float | None  # CPU cores of its smallest node, None where it states none
    node_gpus: tuple[int, ...] = ()  # the different numbers of GPUs of its nodes


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
    if spec.jobs is not None:
        raise ConfigError("jobs of a cluster that grows are as many as its stages need; leave 'jobs' out, give days")
    origin, made = spec.origin(), list[Generation]()
    for number, stage in enumerate(stages):
        begin = origin + timedelta(seconds=stage.begin)
        made.append(
            generation(
                replace(spec, days=(stage.end - stage.begin) / DAY, start=begin.isoformat()),
                gpus=stage.gpus,
                seed=seed if number == 0 else stream_key(seed, f"synthesis:stage:{number}"),
                max_gpus_per_job=stage.largest,
                node_cpus=stage.node_cpus,
                node_gpus=stage.node_gpus,
                most_jobs=MOST_JOBS // len(stages),
                part=(stage.begin, stages[-1].end),
            )
        )
        if progress is not None:
            progress((number + 1) / len(stages) / 2)
    services = _services(spec, stages, made)
    tables = Tables(spec, stages[-1].end, services.services.book)
    parts = [tables.table([each for one in service_batches(services) for each in one])]
    parts += [_queued(each, stage, number) for number, (each, stage) in enumerate(zip(made, stages, strict=True))]
    whole = pa.concat_tables([each.replace_schema_metadata(tables.schema.metadata) for each in parts])
    order = np.argsort(whole["submit_time"].to_numpy(), kind="stable")
    notes = [
        f"stage {number}, from {stage.begin / DAY:g} days on, {counted(stage.gpus, 'GPU')}: {each.notes[0]}"
        for number, (each, stage) in enumerate(zip(made, stages, strict=True), start=1)
    ]
    table = coded_table(whole.take(pa.array(order)).combine_chunks())
    return Workload(held=table, name="synthetic", notes=tuple(notes))


def _queued(made: Generation, stage: Stage, number: int) -> pa.Table:
    """Return the jobs of a stage but for replicas, at their time and under their names."""
    table = made.workload().table
    services = pa.array([one.service.name for one in made.services.services.replicas], pa.string())
    table = table.filter(pc.invert(pc.is_in(table["job_name"], services))).combine_chunks()
    if number == 0 or not len(table):
        return table
    return marked(moved(table, round(stage.begin * MICROSECOND)), f"~{number + 1}")


def _services(spec: SynthesisSpec, stages: Sequence[Stage], made: Sequence[Generation]) -> MovedIn:
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
        ending = "" if number == 0 else f"~{number + 1}"
        found += [
            replace(
                each,
                name=each.name + ending,
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
