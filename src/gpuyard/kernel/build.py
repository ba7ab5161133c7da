"""Lay out the kernel's tables in memory: what is free at the start, and room for what will happen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.tables import Domains, Events, Gpus, Index, Nodes, Queue, Slots

__all__ = ["MOST_ITEMS", "build_domains", "build_events", "build_gpus", "build_index", "build_queue", "build_slots"]

MOST_ITEMS = 64**3
"""Items an index can hold: three layers of 64-bit words."""


def build_index(kinds: int, n_keys: int, kind: NDArray[np.int16], key: NDArray[np.int32], lowest: int) -> Index:
    """Return the index of all items under their first keys; those with a key below ``lowest`` are left out."""
    items = kind.size
    width = max(1, -(-items // 64))
    block_width = -(-width // 64)
    key_words = -(-n_keys // 64)
    rows = kinds * n_keys
    index = Index(
        words=np.zeros(rows * width, np.int64),
        blocks=np.zeros(rows * block_width, np.int64),
        tops=np.zeros(rows, np.int64),
        keys=np.zeros(kinds * key_words, np.int64),
        count=np.zeros(rows, np.int64),
        n_keys=n_keys,
        width=width,
        block_width=block_width,
        key_words=key_words,
        kinds=kinds,
        lowest=lowest,
    )
    kept = np.flatnonzero(key >= lowest)
    row = kind[kept].astype(np.int64) * n_keys + key[kept]
    word = row * width + (kept >> 6)
    np.bitwise_or.at(index.words, word, _bit(kept))
    np.bitwise_or.at(index.blocks, row * block_width + (kept >> 12), _bit(kept >> 6))
    np.bitwise_or.at(index.tops, row, _bit(kept >> 12))
    np.bitwise_or.at(index.keys, kind[kept].astype(np.int64) * key_words + (key[kept] >> 6), _bit(key[kept]))
    np.add.at(index.count, row, 1)
    return index


def _bit(place: NDArray[np.int64] | NDArray[np.int32]) -> NDArray[np.int64]:
    return (np.uint64(1) << (place.astype(np.uint64) & np.uint64(63))).view(np.int64)


def build_gpus(nodes: Nodes, kinds: int, quanta: int) -> tuple[Gpus, Index]:
    """Return the single GPUs, all wholly free, and their index; both empty where ``quanta`` is 0."""
    if quanta == 0:
        none = np.empty(0, np.int32)
        gpus = Gpus(free=none, owner=none.copy(), node=none.copy(), first=none.copy(), quanta=0)
        return gpus, build_index(1, 1, np.empty(0, np.int16), none, 1)
    first = np.concatenate([[0], np.cumsum(nodes.size)]).astype(np.int32)
    node = np.repeat(np.arange(nodes.size.size, dtype=np.int32), nodes.size)
    free = np.full(node.size, quanta, np.int32)
    gpus = Gpus(free=free, owner=np.full(node.size, NOBODY, np.int32), node=node, first=first, quanta=quanta)
    return gpus, build_index(kinds, quanta + 1, nodes.kind[node], free, 1)


def build_domains(nodes: Nodes, levels: tuple[NDArray[np.int32], ...], kinds: int, n_keys: int) -> Domains:
    """Return the counts of fitting and empty nodes for each level; empty where there is no level."""
    total = nodes.free.size
    size = np.array([int(level[-1]) + 1 for level in levels], np.int64)
    first_node, first_child, fitting, empty = [], [], [], []
    lower = np.arange(total, dtype=np.int32)
    for level, domains in zip(levels, size, strict=True):
        starts = np.searchsorted(level, np.arange(domains + 1)).astype(np.int32)
        first_node.append(starts)
        first_child.append(np.append(lower[starts[:-1]], lower[-1] + 1).astype(np.int32))
        counts = np.zeros(kinds * n_keys * int(domains), np.int32)
        row = nodes.kind.astype(np.int64) * n_keys + nodes.free
        np.add.at(counts, row * domains + level, 1)
        fitting.append(counts)
        counts = np.zeros(kinds * int(domains), np.int32)
        np.add.at(counts, nodes.kind.astype(np.int64) * domains + level, 1)
        empty.append(counts)
        lower = level
    return Domains(
        of_node=_joined(list(levels)),
        size=size,
        base=_starts(first_node),
        first_node=_joined(first_node),
        first_child=_joined(first_child),
        fitting=_joined(fitting),
        fitting_base=_starts(fitting),
        empty=_joined(empty),
        empty_base=_starts(empty),
        visited=np.zeros(sum(part.size for part in first_node), np.int64),
        levels=len(levels),
    )


def _joined(parts: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    return np.concatenate(parts).astype(np.int32) if parts else np.empty(0, np.int32)


def _starts(parts: list[NDArray[np.int32]]) -> NDArray[np.int64]:
    return np.cumsum([0] + [part.size for part in parts])[:-1].astype(np.int64)


def build_queue(rank: NDArray[np.int32], demand: NDArray[np.int32], demands: int, lanes: int) -> Queue:
    """Return an empty queue: one lane, or as many as there are demands.

    ``rank`` is each job's place in the order, a permutation.
    """
    jobs = rank.size
    by_rank = np.empty(jobs, np.int32)
    by_rank[rank] = np.arange(jobs, dtype=np.int32)
    at = by_rank if lanes == 1 else by_rank[np.argsort(demand[by_rank], kind="stable")]
    position = np.empty(jobs, np.int32)
    position[at] = np.arange(jobs, dtype=np.int32)
    layers, words = [0], max(1, -(-jobs // 64))
    total = words
    while words > 1:
        layers.append(total)
        words = -(-words // 64)
        total += words
    return Queue(
        rank=rank,
        position=position,
        job=at,
        lane=np.zeros(demands, np.int32) if lanes == 1 else np.arange(demands, dtype=np.int32),
        bits=np.zeros(total, np.int64),
        layer=np.array(layers, np.int64),
        waiting=np.zeros(lanes, np.int64),
        head=np.zeros(lanes, np.int64),
        blocked=np.zeros(lanes, np.int8),
    )


def build_slots(slots: int, attempts: int, tracked: bool) -> Slots:
    """Return room for so many slots and attempts; GPU numbers only where they are tracked."""
    return Slots(
        node=np.empty(slots, np.int32),
        gpus=np.empty(slots, np.int32),
        gpu=np.empty(slots if tracked else 0, np.int32),
        attempt_job=np.empty(attempts, np.int32),
    )


def build_events(running: int, releases: int) -> Events:
    """Return empty heaps for so many jobs running and waiting to become eligible at once."""
    return Events(
        end_time=np.full(running, NEVER, np.int64),
        end_row=np.zeros(running, np.int32),
        release_time=np.full(releases, NEVER, np.int64),
        release_row=np.zeros(releases, np.int32),
        count=np.zeros(Count.SIZE, np.int64),
    )
