"""From a fitted model to jobs, at once or table by table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.absent import Absent
from gpuyard.errors import ConfigError
from gpuyard.fitting.arrivals import Submissions
from gpuyard.fitting.model import FittedModel
from gpuyard.fitting.parts import NOBODY, Drawn, Names, Part, pick
from gpuyard.portrait.calendar import DAY, start_of_clock
from gpuyard.streams import Stream
from gpuyard.synthesis.gathering import Gathered
from gpuyard.synthesis.names import digits
from gpuyard.synthesis.table import SPAN
from gpuyard.traces.schema import ORIGIN, SOURCE_FORMAT, job_schema
from gpuyard.units import MOST_DAYS, counted
from gpuyard.workload import LATEST, Workload

__all__ = ["CHUNK", "MOST_JOBS", "LookAlike", "look_alike"]

CHUNK = 1 << 18
"""Jobs of one table of a look-alike."""
MOST_JOBS = 50_000_000
"""A look-alike of more jobs is not made at once: it would take some 4.5 GB of memory."""


class LookAlike:
    """A look-alike before its jobs are made: ``jobs`` in the ``span`` seconds of its window, and ``notes`` about them.

    The parameters are those of :func:`look_alike`; there may be any number of jobs.

    Raises
    ------
    ConfigError
        As :func:`look_alike` does.
    """

    def __init__(
        self,
        model: FittedModel,
        *,
        jobs: int | None = None,
        days: float | None = None,
        start: str | None = None,
        seed: int = 0,
    ) -> None:
        if jobs is None and days is None:
            days = model.days
        if days is not None and not 0 < days <= MOST_DAYS:
            raise ConfigError(f"days must be above 0 and at most {MOST_DAYS:g}, got {days:g}")
        if jobs is not None and jobs < 1:
            raise ConfigError(f"a look-alike has 1 job or more, got jobs={jobs}")
        origin = model.start if start is None else start
        span = None if days is None else round(days * DAY, 3)
        self._submissions = Submissions(model.arrivals, start=start_of_clock(origin), jobs=jobs, span=span, seed=seed)
        self.jobs, self.span = self._submissions.jobs, self._submissions.span
        self._model, self._seed, self._names = model, seed, Names(model.classes)
        metadata = {ORIGIN: origin.encode(), SOURCE_FORMAT: b"synthetic", SPAN: f"{self.span:.3f}".encode()}
        self.schema = job_schema(metadata)
        made = f"seed {seed}, {counted(self.jobs, 'job')}, window {self.span:g} s"
        self.notes = (f"look-alike of {model.fitted_to or 'a model'}: {made}",)
        _check_times(model, self.span)

    def tables(self, rows: int = CHUNK) -> Iterator[pa.Table]:
        """Return the jobs in order of submission, in tables of ``rows`` jobs and a last one of what is left.

        However large the tables are, one after the other they hold the same rows.  Memory is for one table, and for
        the order of the gaps between submissions: 4 bytes a job up to 4 million jobs, and 67 MB beyond.
        """
        if rows < 1:
            raise ConfigError(f"a table has 1 row or more, got {rows}")
        return (self._table({name: _plain(array) for name, array in columns.items()}) for columns in self._parts(rows))

    def workload(self) -> Workload:
        """Return all jobs at once; texts that many share are coded.

        Raises
        ------
        ConfigError
            For more than 50 million jobs.
        """
        if self.jobs > MOST_JOBS:
            raise ConfigError(f"a look-alike has 1 to {MOST_JOBS:,} jobs, and this would have {self.jobs:,}")
        found: dict[str, Gathered] = {}
        for columns in self._parts(CHUNK):
            for name, array in columns.items():
                found.setdefault(name, Gathered(array.type, self.jobs)).add(array, len(array))
        table = self._table({name: found.pop(name).array() for name in tuple(found)})
        return Workload(held=table, name=f"like-{self._model.fitted_to or 'model'}", notes=self.notes)

    def _table(self, columns: dict[str, pa.Array]) -> pa.Table:
        """Return a table of these columns and of nulls."""
        nothing = Absent(len(columns["job_id"]))
        arrays = [columns[each.name] if each.name in columns else nothing.column(each.type) for each in self.schema]
        fields = [pa.field(each.name, array.type) for each, array in zip(self.schema, arrays, strict=True)]
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields, self.schema.metadata))

    def _parts(self, rows: int) -> Iterator[dict[str, pa.Array]]:
        """Return the columns that are not null, some jobs after the other; texts that many share are coded."""
        classes, first = self._model.classes, 0
        parts, choice = [Part(each, self._seed, self._names) for each in classes], Stream(self._seed, "fit:class")
        for submit in self._submissions.blocks(rows):
            which = pick([each.share for each in classes], choice.uniform(submit.size))
            number = digits(np.arange(first, first + submit.size), 7)
            yield {
                "job_id": pc.binary_join_element_wise("like", number, "-"),
                "submit_time": pa.array(submit),
                **self._columns(which, _drawn(parts, which)),
            }
            first += submit.size

    def _columns(self, which: NDArray[np.int64], drawn: Drawn) -> dict[str, pa.Array]:
        """Return the columns of what was drawn for jobs of the parts that they are ``which`` of."""
        names, shared = self._names, (drawn.milli > 0) & (drawn.milli < 1000)
        kind = np.array([names.classes.get(each.name, NOBODY) for each in self._model.classes])
        return {
            "runtime": pa.array(drawn.runtime),
            "time_limit": pa.array(drawn.limit, mask=np.isnan(drawn.limit)),
            "gpus": pa.array(np.where(shared, 1, drawn.milli // 1000).astype(np.int32)),
            "gpu_milli": pa.array(np.where(shared, drawn.milli, 0).astype(np.int32), mask=~shared),
            "job_class": _coded(kind[which], pa.array(names.classes, pa.string())),
            "tenant": _coded(drawn.tenant, pa.array(names.tenants, pa.string())),
            "user": _coded(drawn.user, names.users),
            "state": _coded(drawn.state, pa.array(names.states, pa.string())),
        }


def _check_times(model: FittedModel, span: float) -> None:
    """Raise for times of a model that nothing can be simulated with."""
    times = {"window": span}
    for place, each in enumerate(model.classes):
        times[f"classes.{place}.runtimes"] = max(row.seconds.value[-1] for row in each.runtimes)
        times[f"classes.{place}.endings"] = max((limit for row in each.endings for limit in row.limits_s), default=0.0)
    for where, longest in times.items():
        if longest > LATEST:
            raise ConfigError(f"{where}: a time of {longest:g} s is more than {LATEST:g} s; choose a shorter one")


def _drawn(parts: list[Part], which: NDArray[np.int64]) -> Drawn:
    """Return the next jobs, each of the part that it is ``which`` of."""
    order = np.argsort(which, kind="stable")
    counts = np.bincount(which, minlength=len(parts)).tolist()
    columns = zip(*(part.draw(jobs) for part, jobs in zip(parts, counts, strict=True)), strict=True)

    def placed(pieces: tuple[NDArray[Any], ...]) -> NDArray[Any]:
        joined = np.concatenate(pieces)
        column = np.empty_like(joined)
        column[order] = joined
        return column

    return Drawn(*map(placed, columns))


def _coded(codes: NDArray[np.int64], names: pa.Array) -> pa.Array:
    """Return the names of these positions as codes, null for none."""
    none = codes == NOBODY
    return pa.DictionaryArray.from_arrays(pa.array(np.where(none, 0, codes).astype(np.int32), mask=none), names)


def _plain(array: pa.Array) -> pa.Array:
    """Return a column with its texts as they are."""
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def look_alike(
    model: FittedModel, *, jobs: int | None = None, days: float | None = None, start: str | None = None, seed: int = 0
) -> Workload:
    """Return jobs like those that a model was fitted to; the same arguments give the same bytes.

    Parameters
    ----------
    jobs, days
        How many, or over how long; the other follows from the model's rate.  With both, the rate is what they come to.
        With neither, as long as what the model was fitted to.
    start
        Second 0 on the calendar, ISO 8601; that of the model if None.

    Raises
    ------
    ConfigError
        For a start that is no timestamp, or a length or number that cannot be made.
    """
    return LookAlike(model, jobs=jobs, days=days, start=start, seed=seed).workload()
