"""Which jobs: each on its own by chance, or the whole series of users drawn with replacement."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.reshaping.columns import mark_for, marked, rebuilt, replaced
from gpuyard.streams import Stream, stream_key
from gpuyard.units import counted
from gpuyard.workload import Workload

__all__ = ["resample_users", "thin"]


def thin(workload: Workload, share: float, *, seed: int = 0) -> Workload:
    """Return the jobs that stay when each stays with probability ``share``, on its own.

    A job's fate depends on its ``job_id`` and the seed alone: it is the same in every part of the trace, and what stays
    at one share stays at every larger one.

    Raises
    ------
    ConfigError
        For a share that is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        hint = f"; did you mean {share / 100:g}?" if 1 < share <= 100 else ""
        raise ConfigError(f"the share of jobs that stay must be above 0 and at most 1, got {share:g}{hint}")
    return workload.where(_fates(workload.table["job_id"].to_pylist(), seed) < share, f"thinned to {share:g}")


def _fates(names: list[str], seed: int) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each name, shape (names,), from a hash that the seed keys."""
    key = stream_key(seed, "reshaping:thin").to_bytes(8, "big")
    digests = b"".join(blake2b(name.encode(), key=key, digest_size=8).digest() for name in names)
    return (np.frombuffer(digests, ">u8") >> np.uint64(11)).astype(np.float64) * 2.0**-53


def resample_users(workload: Workload, *, users: int | None = None, seed: int = 0) -> Workload:
    """Return the jobs of users drawn with replacement: the bootstrap by user, which keeps the series of each whole.

    A user who is drawn k times comes k times, with the same jobs at the same times; from the second on, the user, the
    jobs and their arrays are other ones, ``alice~2`` with ``17~2``.  A dependency inside a series stays inside it; one
    on a job of another user is on the first copy of that job, or dropped if that user was not drawn.  Jobs without a
    user stay as they are.

    Parameters
    ----------
    users
        How many are drawn; as many as there are if None.

    Raises
    ------
    ConfigError
        If no job has a user, or fewer than one is to be drawn.
    """
    if not workload.has("user"):
        raise ConfigError("no job has a user, so users cannot be drawn anew; the column 'user' is empty")
    column = workload.table["user"].combine_chunks()
    names = pc.unique(column).drop_null().sort()
    drawn = len(names) if users is None else users
    if drawn < 1:
        raise ConfigError(f"at least 1 user must be drawn, got {drawn}")
    chance = Stream(seed, "reshaping:users").uniform(drawn)
    times = np.bincount((chance * len(names)).astype(np.int64), minlength=len(names))
    who = pc.index_in(column, value_set=names).fill_null(-1).to_numpy()
    copies = np.where(who >= 0, times[who], 1)
    table = _copied(workload.table, who, copies)
    alone = int((who < 0).sum())
    note = (
        f"users resampled: {counted(drawn, 'draw')} of {counted(len(names), 'user')} gave {np.count_nonzero(times):,} "
        f"different ones, {counted(len(workload), 'job')} became {len(table):,}"
    )
    return rebuilt(workload, table, note + (f"; {counted(alone, 'job')} without a user stayed" if alone else ""))


def _copied(table: pa.Table, who: NDArray[np.int64], copies: NDArray[np.int64]) -> pa.Table:
    """Return each row so many times; copies from the second on have the number of the copy in their names."""
    mark = mark_for([table])
    owner = dict(zip(table["job_id"].to_pylist(), who.tolist(), strict=True))
    parts = [table.filter(pa.array(copies >= 1))]
    for number in range(2, int(copies.max()) + 1):
        chosen = np.flatnonzero(copies >= number)
        plain, ending = table.take(pa.array(chosen)), f"{mark}{number}"
        part = marked(plain, ending)
        columns = {"user": pc.binary_join_element_wise(plain["user"].combine_chunks(), ending, "")}
        if plain["depends_on"].null_count < len(plain):
            parents = [
                names and [name + ending if owner[name] == own else name for name in names]
                for names, own in zip(plain["depends_on"].to_pylist(), who[chosen].tolist(), strict=True)
            ]
            columns["depends_on"] = pa.array(parents, plain.schema.field("depends_on").type)
        parts.append(replaced(part, columns))
    return pa.concat_tables(parts)
