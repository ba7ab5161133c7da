"""The integers that kernels branch on, by name."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["NEVER", "NOBODY", "Count", "Left", "Placement"]

NEVER = 2**63 - 1
"""The instant that does not come."""
NOBODY = -1
"""No row: no node, no job, no GPU."""


class Placement(IntEnum):
    """Where a chunk goes."""

    FIRST_FIT = 0
    BEST_FIT = 1
    WORST_FIT = 2
    RANDOM = 3
    PACKED = 4


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
    SIZE = 9
