"""What a scheduler that backfills knows beyond the present: estimates, expected ends, and what it has promised."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.codes import NEVER, NOBODY, Promise
from gpuyard.kernel.tables import Records

__all__ = [
    "CHUNK_ROOM",
    "FRESH_ROOM",
    "Agenda",
    "Expectations",
    "Minima",
    "Timetable",
    "build_agenda",
    "build_expectations",
    "build_minima",
    "build_timetable",
    "thousandths_asked",
]

FRESH_ROOM = 64
"""Jobs that join at one instant and are remembered one by one; after more, the whole queue is looked at."""


CHUNK_ROOM = 64
"""Entries of a chunk of an agenda."""


class Agenda(NamedTuple):
    """Pairs of (time, row) in order, in sorted chunks; see :mod:`gpuyard.kernel.agenda`."""

    time: NDArray[np.int64]
    row: NDArray[np.int32]
    held: NDArray[np.int32]  # entries of each chunk
    order: NDArray[np.int32]  # chunks in order, then those not in use
    size: NDArray[np.int64]  # chunks in use


class Timetable(NamedTuple):
    """A binary heap of (time, row) that knows where each row stands."""

    time: NDArray[np.int64]
    row: NDArray[np.int32]
    place: NDArray[np.int32]  # shape (jobs,): of each row in the heap, or NOBODY
    front: NDArray[np.int32]  # room to look at the entries in order
    size: NDArray[np.int64]  # entries; entries of the front


class Minima(NamedTuple):
    """Numbers by position, and the least of every eight, of every eight of these, and so on."""

    tree: NDArray[np.int64]
    layer: NDArray[np.int64]  # where each layer starts


class Expectations(NamedTuple):
    """Estimates, expected ends and the reservation of the first job in the queue."""

    estimate: NDArray[np.int64]  # shape (jobs,): at least 1; doubled while a job runs that outstays it
    thousandths: NDArray[np.int64]  # shape (demands,): GPUs asked for
    ends: Agenda  # of running jobs, by expected end
    waiting: Minima  # estimates of waiting jobs, by position in the queue
    reserved: NDArray[np.int32]  # the nodes promised to the head
    is_reserved: NDArray[np.int8]  # shape (nodes,)
    reserved_free: NDArray[np.int64]  # reserved nodes by wholly free GPUs
    fresh: NDArray[np.int32]  # jobs that joined at this instant
    returned: NDArray[np.int32]  # shape (nodes,): GPUs that come back in imagination
    imagined: NDArray[np.int32]  # running jobs taken away in imagination, or nodes to which GPUs come back
    imagined_gpu: NDArray[np.int32]  # and their GPUs, where those are tracked
    promise: NDArray[np.int64]  # by codes.Promise


def thousandths_asked(demands: Records, quanta: int) -> NDArray[np.int64]:
    """Return the GPUs that each demand asks for, in thousandths, int64, shape (demands,).

    ``quanta`` are the parts that a GPU is divided into, 0 where there are no fractions.
    """
    share = demands["share"]
    return np.where(share > 0, share * (1000 // max(quanta, 1)), demands["gpus"] * 1000)


def build_agenda(entries: int) -> Agenda:
    """Return an empty agenda of at most so many entries: any two neighbours hold more than half a chunk."""
    chunks = 4 * (entries // CHUNK_ROOM + 1) + 2
    return Agenda(
        time=np.empty(chunks * CHUNK_ROOM, np.int64),
        row=np.empty(chunks * CHUNK_ROOM, np.int32),
        held=np.zeros(chunks, np.int32),
        order=np.arange(chunks, dtype=np.int32),
        size=np.zeros(1, np.int64),
    )


def build_timetable(jobs: int, entries: int) -> Timetable:
    """Return an empty timetable for rows below ``jobs``, of at most so many entries."""
    return Timetable(
        time=np.empty(entries + 1, np.int64),
        row=np.empty(entries + 1, np.int32),
        place=np.full(jobs, NOBODY, np.int32),
        front=np.empty(entries + 2, np.int32),
        size=np.zeros(2, np.int64),
    )


def build_minima(numbers: int) -> Minima:
    """Return numbers that are all NEVER.  Each layer ends with a group's worth of them, so that no look runs over."""
    layers, size, words = [], 0, numbers
    while True:
        layers.append(size)
        words = words // 8 + 1
        size += words * 8
        if words == 1:
            break
    return Minima(tree=np.full(size, NEVER, np.int64), layer=np.array(layers, np.int64))


def build_expectations(
    *,
    estimate: NDArray[np.int64],
    demands: Records,
    node: Records,
    running: int,
    quanta: int,
    counts: bool,
    positions: int,
) -> Expectations:
    """Return what is known before anything happens.

    ``running`` jobs at most run at once; with ``counts`` the reservation counts GPUs and names no nodes; ``positions``
    is the length of the queue where it is kept by position, else 0.
    """
    promise = np.zeros(Promise.SIZE, np.int64)
    promise[Promise.HEAD] = NOBODY
    promise[Promise.COUNTS] = counts
    promise[Promise.FREE] = 1000 * int(node["size"].sum(dtype=np.int64))
    promise[Promise.ROOM] = promise[Promise.TERMS] = 1
    return Expectations(
        estimate=np.maximum(estimate, 1),
        thousandths=thousandths_asked(demands, quanta),
        ends=build_agenda(running),
        waiting=build_minima(positions),
        reserved=np.empty(node.size, np.int32),
        is_reserved=np.zeros(node.size, np.int8),
        reserved_free=np.zeros(int(node["size"].max(initial=0)) + 1, np.int64),
        fresh=np.empty(FRESH_ROOM, np.int32),
        returned=np.zeros(node.size, np.int32),
        imagined=np.empty(max(running, node.size) + 1, np.int32),
        imagined_gpu=np.empty(int(node["size"].sum()) if quanta else 0, np.int32),
        promise=promise,
    )
