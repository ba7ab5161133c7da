"""What jobs ask for: other numbers of GPUs, other types of GPU, and the run times that come of it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.reshaping.columns import floats, rebuilt, replaced, without_record
from gpuyard.units import counted
from gpuyard.workload import Workload

__all__ = ["ANY", "KEEPS", "TypeChange", "map_gpu_types", "resize"]

KEEPS = ("runtime", "work")
"""What stays when the number of GPUs changes: the run time, or the GPU time."""
ANY = "any"
"""The name of no GPU type: what a job accepts that names none."""
_MOST_GPUS = 2**31 - 1


def resize(workload: Workload, sizes: float | Mapping[int, int], *, keep: str = "runtime") -> Workload:
    """Return the jobs with other numbers of GPUs.

    CPUs, memory and a number of nodes change in the ratio in which the job's GPUs really changed; a number of nodes
    that would not be whole, and the ``segment`` of such a job, are dropped.  A job of another size loses its recorded
    start and end.

    Parameters
    ----------
    sizes
        A factor: GPUs times it, to the nearest whole number (halves up), at least 1; jobs without GPUs keep none, and a
        share of a GPU stays a share while it is below 1 GPU.  Or a mapping from number of GPUs to number of GPUs;
        other sizes, and shares of a GPU, stay.
    keep
        ``runtime``: the job runs as long as before, and does more or less work.  ``work``: its GPU time stays, so run
        time and time limit change in the inverse ratio, as if it scaled perfectly.

    Raises
    ------
    ConfigError
        For a factor that is not above 0, a size that no job has or that is below 1, or another word for ``keep``.
    """
    if keep not in KEEPS:
        raise ConfigError(f"with another size a job keeps its {' or its '.join(KEEPS)}, got '{keep}'")
    table = workload.table
    gpus = workload.integers("gpus", 0)
    milli = workload.integers("gpu_milli", 1000)
    if isinstance(sizes, Mapping):
        new_gpus, new_milli = _mapped(gpus, milli, sizes), milli
        what = ", ".join(f"{old} to {new}" for old, new in sorted(sizes.items()))
    else:
        new_gpus, new_milli = _times(gpus, milli, sizes)
        what = f"times {sizes:g}"
    before, after = gpus * milli, new_gpus * new_milli
    ratio = np.divide(after, before, out=np.ones(gpus.size), where=before > 0)
    changed = before != after
    columns = {"gpus": pa.array(new_gpus), "gpu_milli": pa.array(new_milli, mask=new_milli == 1000)}
    columns |= _scaled(table, ("cpus", "memory_gib"), ratio)
    if workload.has("nodes"):
        nodes = floats(table, "nodes") * ratio
        whole = np.isfinite(nodes) & (nodes >= 1) & (nodes == np.rint(nodes))
        columns["nodes"] = pa.array(np.where(whole, nodes, 0).astype(np.int64), mask=~whole)
    if workload.has("segment"):
        segment = workload.integers("segment", 0)
        columns["segment"] = pa.array(segment, mask=changed | (segment == 0))
    if keep == "work":
        columns |= _scaled(table, ("runtime", "time_limit"), 1 / ratio)
    note = (
        f"GPUs {what}, {'run times' if keep == 'runtime' else 'GPU time'} kept: {counted(changed.sum(), 'job')} changed"
    )
    return rebuilt(workload, without_record(replaced(table, columns), changed), note)


def _times(
    gpus: NDArray[np.int64], milli: NDArray[np.int64], factor: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return GPUs and thousandths of a GPU, times a factor."""
    if not 0 < factor < math.inf:
        raise ConfigError(f"sizes can be changed by a factor above 0, got {factor}")
    whole = np.where(gpus > 0, np.maximum(np.floor(gpus * (milli / 1000) * factor + 0.5), 1), 0)
    if whole.size and whole.max() > _MOST_GPUS:
        raise ConfigError(f"times {factor:g}, a job would ask for {whole.max():,.0f} GPUs; choose a smaller factor")
    share = np.maximum(np.floor(milli * factor + 0.5), 1)
    stays = (milli < 1000) & (share < 1000)
    return np.where(stays, 1, whole).astype(np.int64), np.where(stays, share, 1000).astype(np.int64)


def _mapped(gpus: NDArray[np.int64], milli: NDArray[np.int64], sizes: Mapping[int, int]) -> NDArray[np.int64]:
    """Return GPUs by the mapping, of jobs that ask for whole GPUs."""
    known = np.unique(gpus[milli == 1000])
    new = gpus.copy()
    for old, size in sizes.items():
        if old not in known:
            near = ", ".join(map(str, known[np.argsort(np.abs(known - old), kind="stable")][:8]))
            raise ConfigError(f"no job asks for {counted(old, 'whole GPU')}; sizes near it are {near or 'none'}")
        if not 1 <= size <= _MOST_GPUS:
            raise ConfigError(f"a job of {counted(old, 'GPU')} cannot be given {size}; give it 1 or more")
        new[(gpus == old) & (milli == 1000)] = size
    return new


def _scaled(table: pa.Table, names: tuple[str, ...], ratio: NDArray[np.float64]) -> dict[str, pa.Array]:
    """Return the columns times a ratio, shape (jobs,), to six decimals; nulls and jobs of ratio 1 stay as they are."""
    columns = {}
    for name in names:
        if table[name].null_count < len(table):
            values = floats(table, name)
            values = np.where(ratio == 1, values, np.round(values * ratio, 6))
            columns[name] = pa.array(values, mask=np.isnan(values))
    return columns


@dataclass(frozen=True, kw_only=True, slots=True)
class TypeChange:
    """What becomes of the jobs that ask for a GPU type.

    Parameters
    ----------
    runtime
        Run times and time limits are multiplied by it: 0.3 where the new GPU does the same in 0.3 of the time.
    to
        The type that is asked for instead, ``any`` for none; None leaves the name.
    """

    runtime: float = 1.0
    to: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.runtime < math.inf:
            raise ConfigError(f"run times can be multiplied by a number above 0, got {self.runtime}")
        if self.to is not None and (not self.to or "|" in self.to):
            raise ConfigError(f"'{self.to}' is no GPU type; name one, or 'any'")


def map_gpu_types(workload: Workload, types: Mapping[str, float | TypeChange]) -> Workload:
    """Return the jobs on other GPU types: run times and time limits times a factor by the type that a job asks for.

    A job whose run time changes loses its recorded start and end.

    Parameters
    ----------
    types
        GPU type to factor, or to :class:`TypeChange`; ``any`` speaks of the jobs that name no type.  Other types stay.

    Raises
    ------
    ConfigError
        For a type that no job asks for, or a job that accepts several types whose factors differ: its run time would
        not be one number.
    """
    changes = {name: one if isinstance(one, TypeChange) else TypeChange(runtime=one) for name, one in types.items()}
    wanted, texts = workload.labels("gpu_type", ANY)
    accepted = [text.split("|") for text in texts]
    known = sorted({name for names in accepted for name in names})
    for name in changes:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean '{nearest[0]}'? " if nearest else ""
            raise ConfigError(f"no job asks for the GPU type '{name}'; {hint}the jobs ask for {', '.join(known)}")
    factor = np.array([_one_factor(names, changes) for names in accepted])
    renamed = [_renamed(names, changes) for names in accepted]
    ratio = factor[wanted] if len(workload) else np.empty(0)
    columns = _scaled(workload.table, ("runtime", "time_limit"), ratio)
    if any(new != text for new, text in zip(renamed, texts, strict=True)):
        names = pa.array([None if text == ANY else text for text in renamed], pa.string())
        columns["gpu_type"] = names.take(pa.array(wanted))
    what = ", ".join(
        name + (f" to {one.to}" if one.to is not None else "") + f" run times x {one.runtime:g}"
        for name, one in changes.items()
    )
    table = without_record(replaced(workload.table, columns), ratio != 1)
    return rebuilt(workload, table, f"GPU types: {what}")


def _one_factor(names: list[str], changes: Mapping[str, TypeChange]) -> float:
    factors = {name: changes[name].runtime if name in changes else 1.0 for name in names}
    if len(set(factors.values())) > 1:
        shown = ", ".join(f"{name} x {factor:g}" for name, factor in factors.items())
        raise ConfigError(
            f"some jobs accept {' or '.join(names)}, and their run time would not be one number ({shown}); give these "
            "types one factor"
        )
    return next(iter(factors.values()))


def _renamed(names: list[str], changes: Mapping[str, TypeChange]) -> str:
    """Return the types that are accepted then, each once, in their order; ``any`` if one of them is that."""
    new = [changes[name].to or name if name in changes else name for name in names]
    return ANY if ANY in new else "|".join(dict.fromkeys(new))
