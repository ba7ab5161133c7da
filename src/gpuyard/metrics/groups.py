"""Percentiles of many groups of jobs at once: each measure is sorted group by group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gpuyard.virtual_clusters import Division
from gpuyard.workload import Workload

__all__ = ["PERCENTILES", "Groups", "by_gpus", "by_label", "by_member", "everyone", "percentile_block", "where_stated"]

PERCENTILES = (50, 90, 95, 99)

Block = dict[str, float | None]


def percentile_block(values: NDArray[np.int64] | NDArray[np.float64], unit: float = 1.0) -> Block:
    """Return mean, p50, p90, p95, p99 and max of the values, each divided by ``unit``; all ``None`` without values.

    A percentile lies between two order statistics by linear interpolation: definition 7 of Hyndman and Fan,
    "Sample quantiles in statistical packages", The American Statistician 50(4), 1996; NumPy calls it 'linear'.
    """
    names = ["mean", *(f"p{percent}" for percent in PERCENTILES), "max"]
    if values.size == 0:
        return dict.fromkeys(names)
    last = values.size - 1
    place = last * np.array(PERCENTILES) / 100
    lower = np.floor(place).astype(np.int64)
    upper = np.minimum(lower + 1, last)
    ordered = np.partition(values, np.unique([*lower, *upper, last]))
    below, above = ordered[lower].astype(np.float64), ordered[upper].astype(np.float64)
    between = below + (above - below) * (place - lower)
    numbers = [float(values.mean(dtype=np.float64)), *between.tolist(), float(ordered[-1])]
    return {name: number / unit for name, number in zip(names, numbers, strict=True)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Groups:
    """A partition of the jobs: group ``g``, ``names[g]``, has the jobs ``order[bounds[g]:bounds[g + 1]]``."""

    names: tuple[str, ...]
    code: NDArray[np.int32]
    order: NDArray[np.intp]
    bounds: NDArray[np.int64]

    def split(
        self, values: NDArray[np.int64] | NDArray[np.float64], keep: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.int64] | NDArray[np.float64]]:
        """Yield, for each group, the values of its jobs that ``keep`` marks."""
        if len(self.names) == 1:
            yield values if keep.all() else values[keep]
            return
        if keep.all():
            chosen, ends = values[self.order], self.bounds
            yield from (chosen[first:last] for first, last in pairwise(ends.tolist()))
            return
        kept = keep[self.order]
        chosen = values[self.order][kept]
        ends = np.concatenate([[0], np.cumsum(kept)])[self.bounds]
        for first, last in pairwise(ends.tolist()):
            yield chosen[first:last]

    def sums(self, jobs: NDArray[np.int64], *weights: NDArray[np.float64]) -> list[list[float]]:
        """Return the sums of each of the ``weights`` by group; ``jobs`` says whose each weight is."""
        code, groups = self.code[jobs], len(self.names)
        return [np.bincount(code, weights=each, minlength=groups).tolist() for each in weights]


def _partition(code: NDArray[np.int64], names: tuple[str, ...]) -> Groups:
    """Return the groups with these codes; narrow codes let NumPy sort by radix."""
    narrow = code.astype(np.int16) if len(names) < 2**15 else code
    order = np.argsort(narrow, kind="stable")
    counts = np.bincount(code, minlength=len(names))
    bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Groups(names=names, code=code.astype(np.int32), order=order, bounds=bounds)


def everyone(jobs: int) -> Groups:
    """Return one group of all jobs."""
    code = np.zeros(jobs, dtype=np.int32)
    return Groups(names=("all",), code=code, order=np.arange(jobs), bounds=np.array([0, jobs], dtype=np.int64))


def by_label(workload: Workload, column: str) -> Groups:
    """Return the jobs by a text column, groups in alphabetical order; null is 'other'."""
    return _partition(*workload.labels(column))


def where_stated(workload: Workload) -> dict[str, Groups | None]:
    """Return the jobs by partition and by QOS, by the names of these groups; ``None`` where no job states any."""
    columns = ("partition", "qos")
    return {f"by_{each}": by_label(workload, each) if workload.has(each) else None for each in columns}


def by_member(division: Division) -> Groups:
    """Return the jobs by virtual cluster, in the order of these; those of none are in a further group, the last."""
    names = (*division.names, "")
    return _partition(division.member.astype(np.int64) % len(names), names)


def by_gpus(workload: Workload) -> Groups:
    """Return the jobs by size: ``0``, ``fraction`` of one GPU, ``1``, ``2``, ``3-4``, ``5-8``, ``9-16``, and so on."""
    gpus = workload.gpus
    doublings = np.frexp((gpus - 1).astype(np.float64))[1]  # binary digits of gpus - 1: log2 of gpus, rounded up
    size = np.where(gpus > 0, 2 + doublings, 0)
    size[(gpus == 1) & (workload.integers("gpu_milli", 0) > 0)] = 1
    present = np.bincount(size) > 0
    names = tuple(_size_name(number) for number in np.flatnonzero(present).tolist())
    return _partition((np.cumsum(present) - 1)[size], names)


def _size_name(size: int) -> str:
    if size <= 1:
        return ("0", "fraction")[size]
    most = 1 << (size - 2)
    return str(most) if most <= 2 else f"{most // 2 + 1}-{most}"
