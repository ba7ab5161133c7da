"""The engine's state: small tables of columns.  Times are int64 microseconds, sizes int64 words.

``kind`` is the number of a GPU type in alphabetical order.  A *row* of an index is a set of items:
``kind * n_keys + key``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Demands", "Dependencies", "Domains", "Events", "Gpus", "Index", "Jobs", "Nodes", "Queue", "Slots"]


class Jobs(NamedTuple):
    """What was asked for and what became of it.  Shape (jobs,), sorted by submit time, then source row."""

    submit: NDArray[np.int64]
    duration: NDArray[np.int64]  # how long an attempt runs
    demand: NDArray[np.int32]  # row of Demands; NOBODY for a job that is never simulated
    eligible: NDArray[np.int64]  # written by the engine; NEVER until known
    start: NDArray[np.int64]  # written; NEVER until it starts
    slot: NDArray[np.int64]  # written: first row of Slots
    slots: NDArray[np.int32]  # written: how many


class Demands(NamedTuple):
    """The different things that jobs ask for.  Shape (demands,)."""

    gpus: NDArray[np.int32]
    share: NDArray[np.int32]  # of one GPU, in quanta; 0 = whole GPUs
    cpu: NDArray[np.int64]  # thousandths of a core: each GPU's, or the chunk's where gpus = 0
    memory: NDArray[np.int64]  # MiB, likewise
    kinds: NDArray[np.int64]  # bit set of the GPU types allowed
    nodes: NDArray[np.int32]  # exact number of chunks; 0 = the shape rule decides
    several: NDArray[np.int8]  # 1 = more than one chunk
    spread: NDArray[np.int8]  # 1 = no shape


class Dependencies(NamedTuple):
    """Who waits for whom, as a list of children a job, and the bound on each job's eligibility."""

    unmet: NDArray[np.int32]  # shape (jobs,): parents that have not ended
    bound: NDArray[np.int64]  # shape (jobs,): not eligible before; grows as parents end
    think: NDArray[np.int64]  # shape (jobs,): delay after the last parent's end
    first_child: NDArray[np.int64]  # shape (jobs + 1,)
    child: NDArray[np.int32]


class Index(NamedTuple):
    """Sets of items by (kind, key) that yield their lowest member: three layers of bits, 262,144 items."""

    words: NDArray[np.int64]
    blocks: NDArray[np.int64]
    tops: NDArray[np.int64]
    keys: NDArray[np.int64]  # for each kind a bit set of the keys in use
    count: NDArray[np.int64]  # members of each row
    n_keys: int
    width: int  # words a row
    block_width: int
    key_words: int  # words a kind
    kinds: int
    lowest: int  # items with a smaller key are not kept


class Nodes(NamedTuple):
    """What is free.  Shape (nodes,)."""

    free: NDArray[np.int32]  # wholly free GPUs
    size: NDArray[np.int32]  # GPUs
    kind: NDArray[np.int16]
    cpu: NDArray[np.int64]  # free thousandths of a core
    memory: NDArray[np.int64]  # free MiB
    largest: NDArray[np.int32]  # shape (kinds,): GPUs of the largest node of each type


class Gpus(NamedTuple):
    """Single GPUs; empty unless a job asks for a fraction.  Shape (gpus,)."""

    free: NDArray[np.int32]  # quanta
    owner: NDArray[np.int32]  # job that holds it whole, or NOBODY
    node: NDArray[np.int32]
    first: NDArray[np.int32]  # shape (nodes + 1,): first GPU of each node
    quanta: int  # of a whole GPU; 0 = GPUs are not tracked


class Domains(NamedTuple):
    """Levels of locality, lowest first; empty unless placement is packed and a job has several chunks.

    ``of_node`` has shape (levels * nodes,); the other columns are the levels one after the other.
    """

    of_node: NDArray[np.int32]
    size: NDArray[np.int64]  # shape (levels,): domains of each level
    base: NDArray[np.int64]  # shape (levels,): where a level starts in ``first_node``, ``first_child``
    first_node: NDArray[np.int32]  # size + 1 entries a level
    first_child: NDArray[np.int32]  # first domain of the level below
    fitting: NDArray[np.int32]  # nodes by (level, kind, free GPUs, domain)
    fitting_base: NDArray[np.int64]  # shape (levels,)
    empty: NDArray[np.int32]  # empty nodes by (level, kind, domain)
    empty_base: NDArray[np.int64]  # shape (levels,)
    visited: NDArray[np.int64]  # stamp of the last placement that filled this domain
    levels: int


class Queue(NamedTuple):
    """Waiting jobs: a bit for each position, lane after lane, by rank inside a lane.

    A strict order has one lane.  Where blocked jobs may be passed, a lane is a demand: when its first
    job finds no room, none of the lane does, until something is released.
    """

    rank: NDArray[np.int32]  # shape (jobs,): place in the order
    position: NDArray[np.int32]  # shape (jobs,)
    job: NDArray[np.int32]  # shape (jobs,): by position
    lane: NDArray[np.int32]  # shape (demands,)
    bits: NDArray[np.int64]
    layer: NDArray[np.int64]  # first word of each layer of bits
    waiting: NDArray[np.int64]  # shape (lanes,)
    head: NDArray[np.int64]  # shape (lanes,): position of the first waiting job
    blocked: NDArray[np.int8]  # shape (lanes,)


class Slots(NamedTuple):
    """Where attempts sit: one row a node, attempt after attempt in the order they started."""

    node: NDArray[np.int32]
    gpus: NDArray[np.int32]
    gpu: NDArray[np.int32]  # lowest GPU number on the node, where tracked; else empty
    attempt_job: NDArray[np.int32]  # shape (attempts,)


class Events(NamedTuple):
    """Pending ends and releases, as heaps of (time, row), and the engine's counters."""

    end_time: NDArray[np.int64]
    end_row: NDArray[np.int32]
    release_time: NDArray[np.int64]
    release_row: NDArray[np.int32]
    count: NDArray[np.int64]  # by codes.Count
