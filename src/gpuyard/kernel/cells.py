"""Cells as tables: one hierarchy, and several forests of cells in it that tell free ones from taken ones.

A forest has cells on every level.  Those with a parent come first, in the order of their parents, so that the children
of cell ``number`` of a level are those from ``number * fan`` on, on the level below.  Forest FREE is the site as far as
it is in nobody's cells, IDLE the site as far as no job holds it; forest OWNERS + v has those of a owner.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.tables import Records

__all__ = ["CLAIM", "FREE", "IDLE", "OWNERS", "Cells", "Claims", "Forests", "Kept", "build_cells"]

FREE: Final = 0
IDLE: Final = 1
OWNERS: Final = 2

RUNG = np.dtype([("size", np.int64), ("fan", np.int64)])
"""A level: GPUs of a cell, and its children."""

LAYER = np.dtype(
    [
        ("base", np.int64),  # its first cell among all
        ("cells", np.int64),
        ("inner", np.int64),  # cells with a parent: the first ones
        ("word", np.int64),  # its first word of bits
        ("hint", np.int64),  # no word before has a bit
        ("maximal", np.int64),  # bits set
        ("whole", np.int64),  # on the level of nodes: free cells
    ]
)
"""A level of a forest."""

CLAIM = np.dtype(
    [
        ("level", np.int64),
        ("count", np.int64),  # cells
        ("large", np.int64),  # GPUs held in each of the first ``many`` cells
        ("many", np.int64),
        ("small", np.int64),  # in each of the others
        ("forest", np.int64),  # of its owner, or NOBODY: it is only tried as opportunistic
        ("guest", np.int64),  # 1 = it may be tried as opportunistic
        ("lane", np.int64),  # of the queue
        ("asker", np.int64),  # somebody whom limits admit when they admit these jobs
        ("priority", np.int64),  # 0 where nobody takes cells from others of its owner
        ("own", np.int64),  # those that ask for as many cells of the same level of the same owner have the same
        ("loan", np.int64),  # those that ask for as many of the same level
    ]
)
"""What jobs of a demand ask for."""


class Kept(IntEnum):
    """Places in the state of cells."""

    NODE = 0
    """level of nodes"""
    BROKEN = 1
    """1 = there was no cell for a owner that had one left"""
    SIZE = 2


class Forests(NamedTuple):
    """All forests.  A cell is *free* if nothing in it is taken; it is *maximal* if its parent is not free."""

    rung: Records  # shape (levels,)
    layer: Records  # shape (forests * levels,)
    left: NDArray[np.int32]  # shape (cells,): GPUs in it that are not taken
    whole: NDArray[np.int32]  # shape (cells,): above the level of nodes, free cells of that level in it
    bits: NDArray[np.int64]  # maximal free cells
    given: NDArray[np.int64]  # shape (forests,): how often a cell was given back
    state: NDArray[np.int64]  # by Kept


class Cells(NamedTuple):
    """Which physical cell a virtual one is in, and where opportunistic jobs are; cells as numbered among all."""

    physical: NDArray[np.int32]  # shape (cells,): number of the physical cell on its level, or NOBODY
    bound: NDArray[np.int32]  # shape (cells,): children that are bound
    virtual: NDArray[np.int32]  # shape (physical cells,): number of the virtual cell on its level, or NOBODY
    guests: NDArray[np.int32]  # shape (physical cells,): GPUs of cells in it that opportunistic jobs hold
    holder: NDArray[np.int32]  # shape (physical cells,): the opportunistic job that holds just this cell, or NOBODY


class Claims(NamedTuple):
    """What jobs ask for and how they run."""

    claim: Records  # shape (demands,)
    stopped: NDArray[np.int64]  # shape (forests,): the last pass in which a job of it found no cells
    chosen: NDArray[np.int64]  # room for the cells of a job


def build_cells(
    size: NDArray[np.int64],
    node: int,
    owned: NDArray[np.int64],
    claim: Records,
) -> tuple[Forests, Cells, Claims]:
    """Return cells of which nothing is taken.

    Parameters
    ----------
    size
        GPUs of a cell of each level, int64, shape (levels,).
    node
        The level of nodes.
    owned
        Cells without parent of each forest, int64, shape (forests, levels); the first two are the site.
    claim
        What jobs of each demand ask for.
    """
    forests, levels = owned.shape
    rung = np.zeros(levels, RUNG)
    rung["size"] = size
    rung["fan"][1:] = size[1:] // size[:-1]
    layer = np.zeros((forests, levels), LAYER)
    above = np.zeros(forests, np.int64)
    for level in range(levels - 1, -1, -1):
        layer["inner"][:, level] = above * (rung["fan"][level + 1] if level + 1 < levels else 0)
        above = layer["cells"][:, level] = layer["inner"][:, level] + owned[:, level]
    layer["maximal"] = owned
    layer["whole"][:, node] = layer["cells"][:, node]
    flat = layer.reshape(-1)
    flat["base"] = np.cumsum(flat["cells"]) - flat["cells"]
    words = -(-flat["cells"] // 64)
    flat["word"] = np.cumsum(words) - words
    bits = np.zeros(int(words.sum()) + 1, np.int64)
    for each in flat:
        roots = np.arange(each["inner"], each["cells"])
        ones = np.uint64(1) << (roots & 63).astype(np.uint64)
        np.bitwise_or.at(bits, each["word"] + (roots >> 6), ones.view(np.int64))
    total, site = int(flat["cells"].sum()), int(flat["cells"][:levels].sum())
    state = np.zeros(Kept.SIZE, np.int64)
    state[Kept.NODE] = node
    sizes = np.tile(size, forests)
    return (
        Forests(
            rung=rung,
            layer=flat,
            left=np.repeat(sizes, flat["cells"]).astype(np.int32),
            whole=np.repeat(sizes // size[node], flat["cells"]).astype(np.int32),
            bits=bits,
            given=np.zeros(forests, np.int64),
            state=state,
        ),
        Cells(
            physical=np.full(total, NOBODY, np.int32),
            bound=np.zeros(total, np.int32),
            virtual=np.full(site, NOBODY, np.int32),
            guests=np.zeros(site, np.int32),
            holder=np.full(site, NOBODY, np.int32),
        ),
        Claims(
            claim=claim,
            stopped=np.full(forests, NOBODY, np.int64),
            chosen=np.zeros(int(claim["count"].max(initial=1)), np.int64),
        ),
    )
