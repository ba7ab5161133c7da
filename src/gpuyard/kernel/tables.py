"""The engine's state: arrays of records, with a field for each column.  Times are int64 microseconds.

Records (rather than one array a column) because a job or a node is touched as a whole, so its fields
share a cache line, and because a kernel compiles in the time of its arguments, not of their fields.
``kind`` is the number of a GPU type: that of the lowest node is 0, and so on.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.score_tables import Scores

__all__ = [
    "ARRAY",
    "CAPACITY",
    "CHUNK",
    "CLAIM",
    "DECISION",
    "DEMAND",
    "DOMAIN",
    "GPU",
    "HOLD",
    "JOB",
    "LANE",
    "LEVEL",
    "NODE",
    "PLACE",
    "SLOT",
    "STEP",
    "Decisions",
    "Dependencies",
    "Domains",
    "Events",
    "Heap",
    "Index",
    "Jobs",
    "Log",
    "Queue",
    "Records",
    "Site",
]

Records: TypeAlias = NDArray[np.void]

JOB = np.dtype(
    [
        ("submit", np.int64),
        ("duration", np.int64),  # how long an attempt runs
        ("eligible", np.int64),  # written by the engine; NEVER until known
        ("start", np.int64),  # written; NEVER until it starts
    ]
)
"""A job: when it came and what became of it.  Rows are sorted by submit time, then source row."""

CLAIM = np.dtype(
    [
        ("slot", np.int64),  # written: first row of Log.slots
        ("slots", np.int32),  # written: how many
        ("demand", np.int32),  # row of the demands; NOBODY for a job that is never simulated
    ]
)
"""What a job asks for and holds: all that its end needs, apart, so that it stays in the cache."""

PLACE = np.dtype(
    [
        ("rank", np.int32),  # in the order
        ("position", np.int32),  # in the queue: lane after lane, by rank inside a lane
    ]
)

DEMAND = np.dtype(
    [
        ("gpus", np.int64),
        ("share", np.int64),  # of one GPU, in quanta; 0 = whole GPUs
        ("cpu", np.int64),  # thousandths of a core: each GPU's, or the chunk's where gpus = 0
        ("memory", np.int64),  # MiB, likewise
        ("kinds", np.int64),  # bit set of the GPU types allowed
        ("nodes", np.int64),  # exact number of chunks; 0 = the shape rule decides
        ("whole", np.int64),  # bit set of those on which it has one chunk
        ("cut", np.int64),  # bit set of those on which it has several chunks; 1 where these have no GPUs
        ("spread", np.int64),  # 1 = no shape
        ("lane", np.int64),  # where its jobs queue
        ("plain", np.int64),  # 1 = whole GPUs on a site of one GPU type, nothing else to respect; then:
        ("large", np.int64),  # GPUs of a large chunk
        ("many", np.int64),  # large chunks
        ("rest", np.int64),  # GPUs of the last, smaller chunk; 0 = there is none
        ("alone", np.int64),  # 1 = its nodes hold nobody else, and all they have; ABSENT = they are not there yet
        ("segment", np.int64),  # chunks of a segment; 0 = the job is one; only where placement is by block
        ("bare", np.int64),  # 1 = whole GPUs and nothing else, so that its nodes are given back in the loop
        ("single", np.int64),  # 1 = bare, of one chunk on every type, which goes where it fits tightest among several
    ]
)
"""A distinct thing that jobs ask for."""

HOLD = np.dtype(
    [
        ("unmet", np.int64),  # parents that have not ended
        ("bound", np.int64),  # not eligible before; grows as parents end
        ("think", np.int64),  # delay after the last parent's end
        ("first_child", np.int64),
        ("children", np.int64),
        ("array", np.int32),  # the limited array it is a task of, or NOBODY
        ("waits", np.int32),  # 1 = ready, and waits for a place of its array
    ]
)
"""What holds a job back, and whom it holds back."""

ARRAY = np.dtype(
    [
        ("first", np.int64),  # its first task in Dependencies.task
        ("end", np.int64),  # after its last task
        ("free", np.int64),  # places nobody holds
        ("waiting", np.int64),  # ready tasks without a place
        ("cursor", np.int64),  # no task before this one waits
    ]
)
"""A job array of which only so many tasks may be eligible or running at once."""

NODE = np.dtype(
    [
        ("free", np.int32),  # wholly free GPUs
        ("size", np.int32),  # GPUs
        ("kind", np.int32),
        ("first_gpu", np.int32),
        ("cpu", np.int64),  # free thousandths of a core
        ("memory", np.int64),  # free MiB
    ]
)
CAPACITY = np.dtype([("cpu", np.int64), ("memory", np.int64)])
"""What a node has when it is empty, as in NODE."""

GPU = np.dtype([("free", np.int32), ("owner", np.int32), ("node", np.int32)])
"""A single GPU: free quanta, the job that holds it whole or NOBODY, its node.  Only where GPUs are tracked."""

LEVEL = np.dtype(
    [
        ("size", np.int64),  # domains
        ("most", np.int64),  # nodes of its largest domain
        ("base", np.int64),  # its first row in Domains.domain
        ("fitting", np.int64),  # where its counts start in Domains.tally: nodes by (size of chunk, domain)
        ("empty", np.int64),  # likewise: empty nodes by (kind, domain)
        ("held", np.int64),  # likewise: domains by (kind, empty nodes)
    ]
)
DOMAIN = np.dtype(
    [
        ("first_node", np.int64),
        ("first_child", np.int64),  # first domain of the level below
        ("visited", np.int64),  # the last placement that filled this domain
    ]
)
STEP = np.dtype([("level", np.int64), ("domain", np.int64)])
"""A step of the way down the levels."""

LANE = np.dtype(
    [
        ("waiting", np.int64),
        ("head", np.int64),  # position of the first
        ("blocked", np.int64),  # whether the first found no room; under EASY: at which codes.Promise.ROOM
        ("narrow", np.int64),  # at which codes.Promise.TERMS it found none beside the reservation
        ("cursor", np.int64),  # position of the next to be tried in this pass
        ("end", np.int64),  # position after its last
    ]
)
"""A lane of the queue: how many wait, who is first, what is known of its chances."""

SLOT = np.dtype([("node", np.int32), ("gpus", np.int32)])
"""What an attempt holds on one node."""

DECISION = np.dtype(
    [
        ("time", np.int64),
        ("begin", np.int64),  # when the job is promised to start; NEVER for no such promise
        ("extra", np.int64),  # thousandths of a GPU left to others beside it, where these are counted; else -1
        ("first", np.int64),  # its first node in Decisions.node; -1 where they found no room
        ("job", np.int32),
        ("nodes", np.int32),  # how many are reserved
    ]
)
"""What was promised, or who was first and found no room."""

CHUNK = np.dtype([("node", np.int64), ("gpus", np.int64)])
"""A chunk of a job and the node chosen for it."""


class Index(NamedTuple):
    """Sets of items by (kind, key) that yield their lowest member: three layers of bits, 262,144 items.

    ``bits`` holds, one after the other: the words of each row, the blocks, the tops, the keys in use of each
    kind (a bit set), and the number of members of each row.  A row is ``kind * n_keys + key``.
    """

    bits: NDArray[np.int64]
    n_keys: int
    kinds: int
    width: int  # words a row
    block_width: int
    key_words: int  # words a kind
    blocks: int  # where each part starts
    tops: int
    keys: int
    held: int
    lowest: int  # items with a smaller key are not kept


class Domains(NamedTuple):
    """Levels of locality, lowest first; no levels unless the placement looks at them.

    The sizes of chunk that any job can ask of a GPU type are numbered, type after type and upwards in a type: a
    node counts under all sizes that it fits.  Most changes of a node cross no such size, and leave all counts alone.
    """

    levels: int
    of_node: NDArray[np.int32]  # shape (nodes * levels,)
    level: Records
    domain: Records  # one more than its domains a level
    tally: NDArray[np.int32]
    reach: NDArray[np.int32]  # number of the first size that does not fit, by (kind, free GPUs + 1); 0 = none fits
    path: Records  # shape (levels + 1,): room for the way down


class Site(NamedTuple):
    """The cluster: what is free, and how it is handed out."""

    node: Records
    openings: Index  # nodes by wholly free GPUs
    gpu: Records
    shares: Index  # of single GPUs, by free quanta
    quanta: int  # of a whole GPU; 0 = GPUs are not tracked
    domains: Domains
    largest: NDArray[np.int64]  # shape (kinds,): GPUs of the largest node of each type
    chunk: Records  # room to plan a job of several chunks
    plan: NDArray[np.int64]  # by codes.Left
    rule: int  # codes.Placement
    stream: int  # of random placement
    number: NDArray[np.int64]  # shape (jobs,): the row by which it draws for each job; empty where that is its row
    scores: Scores
    capacity: Records  # shape (nodes,); empty unless some job is alone on its nodes
    hidden: NDArray[np.int32]  # room for the nodes that such a job cannot have; empty if all jobs are alone
    rail: NDArray[np.int64]  # shape (nodes,): free GPU numbers, the lowest the highest bit; empty unless rail-aligned
    rail_sets: NDArray[np.int32]  # room to count nodes by such sets, for large and small chunks; likewise
    block: NDArray[np.int64]  # shape (kinds + 1,): most nodes of each type, of any type, in a block


class Dependencies(NamedTuple):
    """What holds each job back, and the rows of those it holds back; all empty where no job is held."""

    hold: Records
    child: NDArray[np.int32]
    array: Records  # arrays with a limit
    task: NDArray[np.int32]  # their tasks, array after array, by row


class Jobs(NamedTuple):
    """All jobs, in three tables of the same rows."""

    job: Records
    claim: Records
    place: Records


class Heap(NamedTuple):
    """A binary heap of (time, row); or, of the lanes of a queue, of (rank, lane)."""

    time: NDArray[np.int64]
    row: NDArray[np.int32]


class Queue(NamedTuple):
    """Waiting jobs: a bit for each position.

    A strict order has one lane.  Where blocked jobs may be passed, a lane is a demand: when its first
    job finds no room, none of the lane does, until something is released.
    """

    job: NDArray[np.int32]  # shape (jobs,): by position
    bits: NDArray[np.int64]
    layer: NDArray[np.int64]  # first word of each layer of bits
    lane: Records
    heads: Heap  # of the lanes that a pass still has to try, by the rank of their first job


class Decisions(NamedTuple):
    """What only the engine knows; no room where nobody asks for it.  See :mod:`gpuyard.kernel.decisions`."""

    entry: Records
    node: NDArray[np.int32]  # reserved nodes, entry after entry
    last: NDArray[np.int64]  # shape (jobs,): the beginning that was noted last of a planned job
    state: NDArray[np.int64]  # by decisions.Noted


class Log(NamedTuple):
    """What happened: one slot a node held, attempt after attempt in the order they started."""

    slots: Records
    gpu: NDArray[np.int32]  # lowest GPU number of each slot on its node; empty where GPUs are not tracked
    attempt_job: NDArray[np.int32]
    decisions: Decisions


class Events(NamedTuple):
    """Pending ends and releases, and the engine's counters."""

    ends: Heap
    releases: Heap
    counter: NDArray[np.int64]  # by codes.Count
