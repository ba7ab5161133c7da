"""Two runs against each other: every number, every job that both have, and whether they may be compared at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.report.background import scheduled_by, settings_of
from gpuyard.report.measures import MEASURES, leaves, lookup, measure_of
from gpuyard.report.series import column
from gpuyard.report.wording import UNKNOWN, clean, finite, format_change, format_value
from gpuyard.result import Result
from gpuyard.units import counted

__all__ = ["Comparison", "Difference", "Paired", "Row", "compare", "compare_all"]

_MACHINE: Final = ("engine.wall_s", "engine.events_per_s")
"""Numbers that tell about the machine a run was made on, not about the schedule."""

NOISE: Final = 1e-9
"""Relative difference up to which two numbers are equal: what rounding alone can make."""

_WAITS: Final = "wait_s."

DIFFERENT_WORKLOADS: Final = (
    "The runs simulated DIFFERENT WORKLOADS: their numbers stand side by side, but none is called better or worse, and "
    "single jobs are not compared."
)
"""The warning where two runs did not have the same jobs."""

_QUANTILES: Final = (5, 25, 50, 75, 95)


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One number of both summaries; ``None`` where a run lacks it."""

    key: str
    first: float | None
    second: float | None

    @property
    def absolute(self) -> float | None:
        """Second minus first, ``None`` unless both are known; zero where only rounding tells them apart."""
        if self.first is None or self.second is None:
            return None
        change = self.second - self.first
        return 0.0 if abs(change) <= NOISE * max(abs(self.first), abs(self.second)) else change

    @property
    def relative(self) -> float | None:
        """The difference as a share of the first; ``None`` where the first is zero or unknown."""
        change = self.absolute
        return None if change is None or not self.first else change / abs(self.first)

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` for the second run, or empty: no change, or neither way is better."""
        better, change = measure_of(self.key).better, self.absolute
        if not better or not change:
            return ""
        return "better" if (change < 0) == (better == "lower") else "worse"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A difference as people read it."""

    label: str
    first: str
    second: str
    change: str
    relative: str
    verdict: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Paired:
    """Jobs that both runs have, by ``job_id``; differences are second minus first, in seconds.

    ``earlier``, ``later`` and ``same`` count the jobs that started in both, by their start in the second run, to the
    microsecond; ``only_first`` and ``only_second`` the jobs of both that started in one run alone. ``wait_quantiles``
    holds the 5th, 25th, 50th, 75th and 95th percentile of the differences in wait.
    """

    jobs: int
    earlier: int
    later: int
    same: int
    only_first: int
    only_second: int
    wait_mean: float | None
    wait_quantiles: Mapping[str, float]
    jct_mean: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two runs side by side."""

    names: tuple[str, str]
    differences: tuple[Difference, ...]
    paired: Paired | None
    """``None`` where the runs have no job in common, or different workloads: one name is then not one job"""
    same_workload: bool
    """whether both ran the same jobs; if not, no difference is called better or worse"""
    identical: bool
    """whether every job of the same workload was scheduled alike"""
    settings: tuple[tuple[str, str, str], ...]
    """(key, first, second) of the scenario settings that differ"""
    warnings: tuple[str, ...]

    def rows(self, *, every: bool = False) -> list[Row]:
        """Return the numbers with a name, in reading order; with ``every``, all that differ.

        Numbers that are zero in both are left out, but for the waits: nobody waited is what many ask for.
        """
        if every:
            chosen = [each for each in self.differences if each.absolute != 0 and each.key not in _MACHINE]
        else:
            known = {each.key: each for each in self.differences}
            named = [known[measure.key] for measure in MEASURES if measure.key in known]
            chosen = [each for each in named if each.first or each.second or each.key.startswith(_WAITS)]
        return [_row(each, self.verdict(each)) for each in chosen]

    def verdict(self, each: Difference) -> str:
        """Return whether the second run is ``better`` or ``worse`` in a number; empty for different workloads."""
        return each.verdict if self.same_workload else ""

    def to_dict(self) -> dict[str, object]:
        """Return everything as plain values for JSON."""
        return {
            "names": list(self.names),
            "warnings": list(self.warnings),
            "same_workload": self.same_workload,
            "identical_schedules": self.identical,
            "settings": [{"key": key, "first": first, "second": second} for key, first, second in self.settings],
            "paired": None if self.paired is None else asdict(self.paired),
            "numbers": {
                each.key: {
                    "first": each.first,
                    "second": each.second,
                    "difference": each.absolute,
                    "relative": each.relative,
                    "verdict": self.verdict(each),
                }
                for each in self.differences
            },
        }


def _row(each: Difference, verdict: str) -> Row:
    measure = measure_of(each.key)
    return Row(
        label=clean(measure.label, 80),
        first=format_value(each.first, measure.form),
        second=format_value(each.second, measure.form),
        change=format_change(each.absolute, measure.form),
        relative=_relative(each),
        verdict=verdict,
    )


def _relative(each: Difference) -> str:
    if each.relative is None or not each.absolute:
        return ""
    percent = 100 * each.relative
    return f"{percent:+,.1f} %" if abs(percent) >= 0.1 else f"{percent:+.2g} %"


def compare(first: Result, second: Result, *, names: tuple[str, str] = ("first", "second")) -> Comparison:
    """Compare two runs: numbers, jobs by ``job_id``, settings; warn where they ran different things.

    Parameters
    ----------
    first, second
        The runs; differences are second minus first.
    names
        What to call them.
    """
    settings = _settings(first, second)
    same_workload = not _differs(first, second, "workload", settings)
    paired = _paired(first, second) if same_workload else None
    return Comparison(
        names=names,
        differences=_differences(first, second),
        paired=paired,
        same_workload=same_workload,
        identical=same_workload and _identical(first, second, paired),
        settings=settings,
        warnings=_warnings(first, second, names, paired, settings, same_workload=same_workload),
    )


def compare_all(results: Sequence[Result], names: Sequence[str]) -> list[Comparison]:
    """Compare each further run with the first.

    Raises
    ------
    ConfigError
        For fewer than two runs, or another number of names.
    """
    if len(results) < 2:
        raise ConfigError(f"a comparison needs at least 2 results, got {len(results)}")
    if len(names) != len(results):
        raise ConfigError(f"{len(results)} results need as many names, got {len(names)}")
    pairs = zip(results[1:], names[1:], strict=True)
    return [compare(results[0], other, names=(names[0], name)) for other, name in pairs]


def _differences(first: Result, second: Result) -> tuple[Difference, ...]:
    left = {key: finite(value) for key, value in leaves(first.numbers)}
    right = {key: finite(value) for key, value in leaves(second.numbers)}
    keys = [*left, *(key for key in right if key not in left)]
    return tuple(
        Difference(key=key, first=left.get(key), second=right.get(key))
        for key in keys
        if left.get(key) is not None or right.get(key) is not None
    )


def _paired(first: Result, second: Result) -> Paired | None:
    """Match jobs by id; the order is the first run's, so that sums come out the same every time."""
    if not {"job_id", "start_time"} <= set(first.jobs.column_names) & set(second.jobs.column_names):
        return None
    place = pc.index_in(_ids(first), value_set=_ids(second)).to_numpy(zero_copy_only=False)
    left = np.flatnonzero(~np.isnan(place.astype(np.float64)))
    if left.size == 0:
        return None
    right = place[left].astype(np.int64)
    start = column(first.jobs, "start_time")[left], column(second.jobs, "start_time")[right]
    started = np.isfinite(start[0]) & np.isfinite(start[1])
    shift = np.round((start[1] - start[0])[started] * 1e6)
    wait = _both(column(second.jobs, "wait_time")[right] - column(first.jobs, "wait_time")[left])
    jct = _both(column(second.jobs, "jct")[right] - column(first.jobs, "jct")[left])
    return Paired(
        jobs=int(left.size),
        earlier=int((shift < 0).sum()),
        later=int((shift > 0).sum()),
        same=int((shift == 0).sum()),
        only_first=int((np.isfinite(start[0]) & ~np.isfinite(start[1])).sum()),
        only_second=int((~np.isfinite(start[0]) & np.isfinite(start[1])).sum()),
        wait_mean=float(wait.mean()) if wait.size else None,
        wait_quantiles={f"p{level}": float(np.percentile(wait, level)) for level in _QUANTILES} if wait.size else {},
        jct_mean=float(jct.mean()) if jct.size else None,
    )


def _identical(first: Result, second: Result, paired: Paired | None) -> bool:
    """Return whether the schedules are the same by their digests or, where there are none, by each job's start."""
    digests = [lookup(each.numbers, "engine.digest") for each in (first, second)]
    if None not in digests:
        return digests[0] == digests[1]
    moved = None if paired is None else paired.earlier + paired.later + paired.only_first + paired.only_second
    return moved == 0 and paired is not None and first.jobs.num_rows == paired.jobs == second.jobs.num_rows


def _ids(result: Result) -> pa.Array:
    ids = pc.cast(result.jobs.column("job_id"), pa.string()).combine_chunks()
    return pa.concat_arrays(ids.chunks) if isinstance(ids, pa.ChunkedArray) else ids


def _both(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known: NDArray[np.float64] = values[np.isfinite(values)]
    return known


def _settings(first: Result, second: Result) -> tuple[tuple[str, str, str], ...]:
    left, right = (dict(settings_of(each)) | _scheduling(each) for each in (first, second))
    keys = [*left, *(key for key in right if key not in left)]
    return tuple(
        (key, clean(left.get(key, UNKNOWN), 80), clean(right.get(key, UNKNOWN), 80))
        for key in keys
        if left.get(key) != right.get(key)
    )


def _scheduling(result: Result) -> dict[str, object]:
    """Return the settings that virtual clusters with policies of their own have in place of the run's, counted."""
    said = {f"policy.{key}": scheduled_by(result, key) for key in ("order", "backfill")}
    return {key: value for key, value in said.items() if value is not None}


def _warnings(
    first: Result,
    second: Result,
    names: tuple[str, str],
    paired: Paired | None,
    settings: tuple[tuple[str, str, str], ...],
    *,
    same_workload: bool,
) -> tuple[str, ...]:
    said = []
    if not same_workload:
        said.append(DIFFERENT_WORKLOADS)
    counts = [format_value(lookup(each.numbers, "gpu.count"), "count") for each in (first, second)]
    if counts[0] != counts[1] or _differs(first, second, "cluster", settings):
        gpus = f" ({counts[0]} and {counts[1]} GPUs)" if counts[0] != counts[1] else ""
        said.append(f"The runs had different clusters{gpus}: differences are not the policy's alone.")
    if paired is None and same_workload:
        said.append("The runs have no job in common, so single jobs are not compared.")
    if paired is not None:
        for name, result in zip(names, (first, second), strict=True):
            alone = result.jobs.num_rows - paired.jobs
            if alone:
                were = "job is" if alone == 1 else "jobs are"
                said.append(f"{alone:,} {were} only in {clean(name)}; single jobs are compared over {paired.jobs:,}.")
        submits = _submits_differ(first, second) if not said else 0
        if submits:
            said.append(f"{counted(submits, 'job')} of the same name differ between the two runs in what is asked for.")
    return tuple(said)


def _differs(first: Result, second: Result, section: str, settings: tuple[tuple[str, str, str], ...]) -> bool:
    """Return whether the digests of a workload or cluster differ or, where there are none, its settings."""
    digests = [lookup(each.scenario, f"provenance.{section}_sha256") for each in (first, second)]
    if None not in digests:
        return digests[0] != digests[1]
    return any(key.startswith((f"{section}.", f"provenance.{section}")) for key, _, _ in settings)


def _submits_differ(first: Result, second: Result) -> int:
    """Return how many jobs, of the same ids in the same order, differ in submission, size or run time."""
    if not _ids(first).equals(_ids(second)):
        return 0
    differs = np.zeros(first.jobs.num_rows, dtype=bool)
    for name in ("submit_time", "gpus"):
        left, right = column(first.jobs, name), column(second.jobs, name)
        differs |= (left != right) & ~(np.isnan(left) & np.isnan(right))
    return int(differs.sum())
