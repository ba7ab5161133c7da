"""The integers that kernels branch on, by name."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ABSENT", "NEVER", "NOBODY", "Count", "Left", "Placement", "Promise"]

NEVER = 2**63 - 1
"""The instant that does not come."""
NOBODY = -1
"""No row: no node, no job, no GPU."""
ABSENT = 2
"""In the place of ``alone`` of a demand: what holds nodes, whole, before they are there."""


class Placement(IntEnum):
    """Where a chunk goes."""

    FIRST_FIT = 0
    BEST_FIT = 1
    WORST_FIT = 2
    RANDOM = 3
    SPREAD = 4
    PACKED = 5
    """this and all that follow place fractions and jobs of one chunk by best fit, unless said otherwise"""
    RAIL_ALIGNED = 6
    TOPOLOGY_TREE = 7
    TOPOLOGY_BLOCK = 8
    FGD = 9
    """this and all that follow score every candidate"""
    LEAST_LEFT = 10
    DOT_PRODUCT = 11
    GPU_PACKING = 12
    GPU_CLUSTERING = 13
    OWN = 14
    """a user's score"""


class Count(IntEnum):
    """Places in the engine's array of counters."""

    NEXT = 0
    """row of the next job to be submitted"""
    RUNNING = 1
    """entries in the heap of ends"""
    RELEASES = 2
    """entries in the heap of releases"""
    ATTEMPTS = 3
    SLOTS = 4
    RELEASED = 5
    """jobs that became eligible after their submission"""
    PASSES = 6
    WAITING = 7
    MAX_WAITING = 8
    LAST = 9
    """the last instant processed"""
    CANCEL = 10
    """set from outside to make the engine return"""
    HEADS = 11
    """lanes that this pass still has to try"""
    SIZE = 12


class Left(IntEnum):
    """Places in the plan of a job of several chunks."""

    LARGE = 0
    """large chunks still to be placed"""
    SMALL = 1
    PLACED = 2
    """chunks that have a node"""
    STAMP = 3
    """number of this placement"""
    LARGE_GPUS = 4
    SMALL_GPUS = 5
    CPU = 6
    """of a GPU, or of the chunk if it has no GPUs"""
    MEMORY = 7
    KIND = 8
    """GPU type, or NOBODY for a job without GPUs"""
    RAILS = 9
    """bit set of the GPU numbers of a large chunk, as in Site.rail; 0 = any will do"""
    SMALL_RAILS = 10
    """likewise of a small chunk"""
    SIZE = 11


class Promise(IntEnum):
    """Places in the state of a scheduler that backfills."""

    HEAD = 0
    """the job that holds the reservation, or NOBODY"""
    SHADOW = 1
    """when it is expected to start"""
    EXTRA = 2
    """thousandths of a GPU that others may take beyond it; only where the reservation counts"""
    RESERVED = 3
    """nodes reserved"""
    COUNTS = 4
    """1 = the reservation counts GPUs and names no nodes"""
    FREE = 5
    """thousandths of a GPU that nobody holds"""
    RELEASED = 6
    """1 = something ended since the last pass; 2 = and not all of it when that was expected"""
    ROOM = 7
    """number of times something ended: a lane blocked at this number has found no room since"""
    TERMS = 8
    """number of reservations made: a lane narrow at this number fits nowhere beside this one"""
    FRESH = 9
    """jobs that joined since the last pass"""
    SIZE = 10
