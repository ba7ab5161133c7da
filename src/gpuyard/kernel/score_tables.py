"""What placements that score every candidate keep: the mix of demands, what runs where, and scores already known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["ASK", "KNOWN", "NEED", "WORST", "Mix", "Scores"]

WORST = -(2**63)
"""The score of a node that does not fit."""

NEED = np.dtype(
    [
        ("gpus", np.int64),  # whole GPUs of a chunk; 0 = a fraction
        ("level", np.int64),  # of a fraction: place of its share among the distinct shares of the mix
        ("cpu", np.int64),  # of the chunk, thousandths of a core
        ("memory", np.int64),  # of the chunk, MiB
        ("weight", np.int64),  # jobs that ask for it
    ]
)
"""A distinct demand of the mix, as it would sit on a node of one GPU type."""

ASK = np.dtype(
    [
        ("kinds", np.int64),  # bit set of GPU types; 0 = the line is not in use
        ("gpus", np.int64),
        ("share", np.int64),  # quanta
        ("cpu", np.int64),
        ("memory", np.int64),
        ("alone", np.int64),  # 1 = only on a node with nothing on it, all of which is then held
    ]
)
"""A chunk that was looked for: the scores of all nodes for it are one line of the memory of scores."""

KNOWN = np.dtype([("score", np.int64), ("stamp", np.int32), ("gpu", np.int32)])
"""A node's score for one ask: good while the node's stamp is this one; the GPU it is about, or NOBODY."""


class Mix(NamedTuple):
    """The workload as the fragmentation measure sees it.

    The needs of GPU type ``t`` are rows ``first[2 t]`` up to ``first[2 t + 1]`` (fractions, by share) and from there
    up to ``first[2 t + 2]`` (whole GPUs, by their number).
    """

    need: NDArray[np.void]
    first: NDArray[np.int64]  # shape (2 * kinds + 1,)
    jobs: int  # in all, with those that ask for no GPU
    levels: int  # distinct shares
    level: NDArray[np.int64]  # shape (quanta + 1,): how many distinct shares are at most so many quanta
    allowed: NDArray[np.int64]  # shape (levels + 1,): room for the weight of fractions up to each share


class Scores(NamedTuple):
    """Everything a scored placement needs besides what is free; empty under other placements."""

    stamp: NDArray[np.int32]  # shape (nodes,): changes whenever the node does
    ask: NDArray[np.void]  # shape (lines,)
    known: NDArray[np.void]  # shape (lines * nodes,)
    worth: NDArray[np.void]  # shape (nodes,): KNOWN, the score being the usable part of what is free
    mix: Mix
    running: NDArray[np.int32]  # shape (nodes * sizes,): fractions (size 0) and chunks of each size on a node
    sizes: int
    quantum: int  # thousandths of a GPU in a quantum
    most_cpu: int  # of a node, thousandths of a core
    most_gpu: int  # of a node, thousandths
    own: int  # address of a user's score, 0 = none
