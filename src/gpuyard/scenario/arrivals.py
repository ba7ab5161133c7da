"""Jobs that only arrive: how full a placement can make a cluster before nothing fits any more.

The experiment of Weng et al. ("Beware of Fragmentation", USENIX ATC 2023): the jobs of a trace in random order, then
random repeats of them, until what they ask for is a chosen multiple of the cluster's GPUs; each is placed as it
arrives, none ever ends, and what does not fit is skipped.  Nothing is released, so a job that does not fit when it
comes never fits later: an aggressive queue (``fifo-fit``) up to the last arrival skips by itself.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.holdings import asked_milli
from gpuyard.policy import Policy
from gpuyard.streams import Stream
from gpuyard.workload import Workload

__all__ = ["arrivals_only", "check_arrivals_policy"]

_KEPT = (
    "gpus", "gpu_milli", "gpu_type", "cpus", "memory_gib", "nodes", "segment", "spread", "job_class", "tenant", "user",
    "partition",
)  # fmt: skip
"""What a job asks for and whose it is; times, states and dependencies have no meaning here."""
_MOST_JOBS = 5_000_000


def check_arrivals_policy(policy: Policy) -> None:
    """Raise a ConfigError for a policy that would not skip what does not fit."""
    if (policy.order, policy.backfill, policy.replay) != ("fifo", "fit", "schedule"):
        raise ConfigError(
            "arrivals_only places each job as it arrives and skips what does not fit: it needs the policy fifo-fit, "
            f"got order {policy.order}, backfill {policy.backfill}, replay {policy.replay}"
        )


def arrivals_only(workload: Workload, gpus: int, ratio: float, seed: int) -> Workload:
    """Return the jobs in random order, one a second, followed by random repeats; no job ever ends.

    The repeats are drawn with equal chance from all jobs, until the next would ask for more than ``ratio`` times the
    cluster's ``gpus`` in all.  Where the jobs alone ask for more, the last in the random order are left out instead.
    A job runs for longer than all arrivals take, so stop the run at the last one, ``len(workload) - 1`` seconds.

    Raises
    ------
    ConfigError
        For jobs that ask for no GPUs, or so few that millions of repeats would be needed.
    """
    milli = asked_milli(workload)
    most = ratio * gpus * 1000
    total = int(milli.sum())
    if total == 0:
        raise ConfigError("arrivals_only repeats jobs until they ask for enough GPUs, and these ask for none")
    if most / total * len(workload) > _MOST_JOBS:
        raise ConfigError(
            f"arrivals_only = {ratio:g} needs some {most / total * len(workload):.2g} jobs, and at most "
            f"{_MOST_JOBS:,} can be made; choose less, or jobs that ask for more"
        )
    stream = Stream(seed, "arrivals")
    order = np.argsort(stream.uniform(len(workload)), kind="stable")
    asked = np.cumsum(milli[order])
    rows = order[: int(np.searchsorted(asked, most, side="right"))]
    if total <= most:
        rows = np.concatenate([order, _repeats(milli, most - total, stream)])
    return _in_a_row(workload, rows, f"arrivals only, up to {ratio:g} times the cluster's {gpus:,} GPUs")


def _repeats(milli: NDArray[np.int64], room: float, stream: Stream) -> NDArray[np.intp]:
    """Return rows drawn with equal chance, up to the first that asks for more than what is left of the room."""
    parts: list[NDArray[np.intp]] = []
    while True:
        rows = (stream.uniform(4096) * milli.size).astype(np.intp)
        asked = np.cumsum(milli[rows])
        fitting = int(np.searchsorted(asked, room, side="right"))
        parts.append(rows[:fitting])
        if fitting < rows.size:
            return np.concatenate(parts)
        room -= float(asked[-1])


def _in_a_row(workload: Workload, rows: NDArray[np.intp], note: str) -> Workload:
    """Return these jobs, one a second in this order; a repeat has the number of the repeat after its name."""
    chosen = workload.table.take(pa.array(rows))
    names = chosen["job_id"].to_pylist()
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name}~{seen[name]}")
    columns = {"job_id": pa.array(unique), "submit_time": pa.array(np.arange(rows.size, dtype=np.float64))}
    columns["runtime"] = pa.array(np.full(rows.size, rows.size + 1.0))
    table = pa.table(columns | {name: chosen[name] for name in _KEPT})
    repeats = rows.size - len(seen)
    notes = (*workload.notes, f"{note}: {len(seen):,} jobs in random order and {repeats:,} random repeats, none ends")
    return Workload.from_table(table, name=workload.name, rejected=workload.rejected, notes=notes)
