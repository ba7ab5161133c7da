"""Lay out the kernel's tables in memory: what is free at the start, and room for what will happen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.decisions import build_decisions
from gpuyard.kernel.tables import (
    CLAIM,
    DOMAIN,
    GPU,
    JOB,
    LANE,
    LEVEL,
    PLACE,
    SLOT,
    STEP,
    Decisions,
    Domains,
    Events,
    Heap,
    Index,
    Jobs,
    Log,
    Queue,
    Records,
)

__all__ = [
    "MOST_ITEMS",
    "build_domains",
    "build_events",
    "build_gpus",
    "build_index",
    "build_jobs",
    "build_log",
    "build_queue",
]

MOST_ITEMS = 64**3
"""Items an index can hold: three layers of 64-bit words."""


def build_jobs(
    submit: NDArray[np.int64], duration: NDArray[np.int64], demand: NDArray[np.int32], rank: NDArray[np.int32]
) -> Jobs:
    """Return jobs that nothing has happened to; ``rank`` is each one's place in the order, a permutation."""
    job, claim, place = (np.zeros(submit.size, record) for record in (JOB, CLAIM, PLACE))
    job["submit"] = submit
    job["duration"] = duration
    job["eligible"] = NEVER
    job["start"] = NEVER
    claim["demand"] = demand
    place["rank"] = rank
    return Jobs(job=job, claim=claim, place=place)


def build_index(kinds: int, n_keys: int, kind: NDArray[np.int32], key: NDArray[np.int32], lowest: int) -> Index:
    """Return the index of all items under their first keys; those with a key below ``lowest`` are left out."""
    items = kind.size
    width = max(1, -(-items // 64))
    block_width = -(-width // 64)
    key_words = -(-n_keys // 64)
    rows = kinds * n_keys
    blocks = rows * width
    tops = blocks + rows * block_width
    keys = tops + rows
    held = keys + kinds * key_words
    bits = np.zeros(held + rows, np.int64)
    kept = np.flatnonzero(key >= lowest)
    its_kind, its_key = kind[kept].astype(np.int64), key[kept].astype(np.int64)
    row = its_kind * n_keys + its_key
    np.bitwise_or.at(bits, row * width + (kept >> 6), _bit(kept))
    np.bitwise_or.at(bits, blocks + row * block_width + (kept >> 12), _bit(kept >> 6))
    np.bitwise_or.at(bits, tops + row, _bit(kept >> 12))
    np.bitwise_or.at(bits, keys + its_kind * key_words + (its_key >> 6), _bit(its_key))
    np.add.at(bits, held + row, 1)
    return Index(
        bits=bits,
        n_keys=n_keys,
        kinds=kinds,
        width=width,
        block_width=block_width,
        key_words=key_words,
        blocks=blocks,
        tops=tops,
        keys=keys,
        held=held,
        lowest=lowest,
    )


def _bit(place: NDArray[np.int64]) -> NDArray[np.int64]:
    return (np.uint64(1) << (place.astype(np.uint64) & np.uint64(63))).view(np.int64)


def build_gpus(node: Records, kinds: int, quanta: int) -> tuple[Records, Index]:
    """Return the single GPUs, all wholly free, and their index; both empty where ``quanta`` is 0."""
    nothing = np.empty(0, np.int32)
    if quanta == 0:
        return np.empty(0, GPU), build_index(1, 1, nothing, nothing, 1)
    gpu = np.zeros(int(node["size"].sum()), GPU)
    gpu["free"] = quanta
    gpu["owner"] = NOBODY
    gpu["node"] = np.repeat(np.arange(node.size), node["size"])
    return gpu, build_index(kinds, quanta + 1, node["kind"][gpu["node"]], gpu["free"], 1)


def build_domains(
    node: Records,
    levels: tuple[NDArray[np.int32], ...],
    kinds: int,
    n_keys: int,
    demands: Records,
    *,
    every_size: bool = False,
) -> Domains:
    """Return the counts of fitting and empty nodes for each level; empty where there is no level.

    Parameters
    ----------
    levels
        int32 arrays of shape (nodes,), lowest level first: the domain of each node.
    demands
        Which sizes of chunk are counted: those that these ask for.
    every_size
        Count all sizes from 1 GPU to the largest node instead.
    """
    level = np.zeros(len(levels), LEVEL)
    parts: list[Records] = []
    tally: list[NDArray[np.int64]] = []
    counted = _every_size(node, kinds, n_keys) if every_size else _sizes(node, kinds, n_keys, demands)
    reach = counted.ravel().cumsum(dtype=np.int32).reshape(counted.shape)
    kind = node["kind"].astype(np.int64)
    fitting, fit_node = _fitting(reach, kind, node["free"])
    lower: NDArray[np.int32] = np.arange(node.size, dtype=np.int32)
    for number, domain_of in enumerate(levels):
        size = int(domain_of[-1]) + 1
        domain = np.zeros(size + 1, DOMAIN)
        domain["first_node"] = np.searchsorted(domain_of, np.arange(size + 1))
        domain["first_child"] = np.append(lower[domain["first_node"][:-1]], lower[-1] + 1)
        most = int(np.diff(domain["first_node"]).max(initial=0))
        level[number]["size"] = size
        level[number]["most"] = most
        level[number]["base"] = sum(part.size for part in parts)
        level[number]["fitting"] = sum(part.size for part in tally)
        tally.append(np.bincount(fitting * size + domain_of[fit_node], minlength=int(reach[-1, -1]) * size))
        level[number]["empty"] = sum(part.size for part in tally)
        empty = np.bincount(kind * size + domain_of, minlength=kinds * size)
        tally.append(empty)
        level[number]["held"] = sum(part.size for part in tally)
        tally.append(np.bincount(np.arange(kinds).repeat(size) * (most + 1) + empty, minlength=kinds * (most + 1)))
        parts.append(domain)
        lower = domain_of
    return Domains(
        levels=len(levels),
        of_node=np.array(levels, np.int32).reshape(len(levels), node.size).T.ravel(),
        level=level,
        domain=np.concatenate([*parts, np.empty(0, DOMAIN)]),
        tally=np.concatenate([*tally, np.empty(0, np.int64)]).astype(np.int32),
        reach=reach.ravel(),
        path=np.zeros(len(levels) + 1, STEP),
    )


def _every_size(node: Records, kinds: int, n_keys: int) -> NDArray[np.int32]:
    """Return, by (kind, GPUs of a chunk + 1), whether chunks of so many GPUs are counted: all that a node fits."""
    counted = np.zeros((kinds, n_keys + 1), np.int32)
    for kind in range(kinds):
        counted[kind, 2 : int(node["size"][node["kind"] == kind].max(initial=0)) + 2] = 1
    return counted


def _sizes(node: Records, kinds: int, n_keys: int, asked: Records) -> NDArray[np.int32]:
    """Return, by (kind, GPUs of a chunk + 1), whether chunks of so many GPUs are counted: those that are asked for."""
    counted = np.zeros((kinds, n_keys + 1), np.int32)
    for kind in range(kinds):
        gpus, pieces = (asked[name][(asked["kinds"] >> kind & 1) > 0] for name in ("gpus", "nodes"))
        largest = max(int(node["size"][node["kind"] == kind].max(initial=0)), 1)
        exact, shaped = pieces > 0, pieces == 0
        each, more = gpus[exact] // pieces[exact], gpus[exact] % pieces[exact]
        sizes = np.concatenate([each, each + (more > 0), [largest] if shaped.any() else [], gpus[shaped] % largest])
        counted[kind, np.unique(sizes[sizes < n_keys]).astype(np.int64) + 1] = 1
    return counted


def _fitting(
    reach: NDArray[np.int32], kind: NDArray[np.int64], free: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (size of chunk, node) for every size that a node fits."""
    first, last = reach[kind, 0], reach[kind, free + 1]
    nodes = np.arange(kind.size).repeat(last - first)
    begun = (last - first).cumsum() - (last - first)
    return (first - begun).repeat(last - first) + np.arange(nodes.size), nodes


def build_queue(jobs: Jobs, lanes: int, *, marked: bool = True) -> Queue:
    """Return an empty queue, one lane or a lane for each demand, and write each job's position.

    Without ``marked`` there is no room for the bits of waiting jobs: the event loop keeps them in its own way.
    """
    total = jobs.job.size
    by_rank: NDArray[np.int32] = np.empty(total, np.int32)
    by_rank[jobs.place["rank"]] = np.arange(total, dtype=np.int32)
    at: NDArray[np.int32] = by_rank if lanes == 1 else by_rank[np.argsort(jobs.claim["demand"][by_rank], kind="stable")]
    jobs.place["position"][at] = np.arange(total, dtype=np.int32)
    layers, words = [0], max(1, -(-(total if marked else 0) // 64))
    size = words
    while words > 1:
        layers.append(size)
        words = -(-words // 64)
        size += words
    lane = np.zeros(lanes, LANE)
    lane["end"] = (
        total if lanes == 1 else np.cumsum(np.bincount(jobs.claim["demand"] + 1, minlength=lanes + 1)[: lanes + 1])[1:]
    )
    heads = Heap(time=np.empty(lanes + 1, np.int64), row=np.empty(lanes + 1, np.int32))
    return Queue(
        job=at,
        bits=np.zeros(size, np.int64),
        layer=np.array(layers, np.int64),
        lane=lane,
        heads=heads,
    )


def build_log(slots: int, attempts: int, *, tracked: bool, decisions: Decisions | None = None) -> Log:
    """Return room for so many slots and attempts; for GPU numbers only where they are tracked."""
    return Log(
        slots=np.empty(slots, SLOT),
        gpu=np.empty(slots if tracked else 0, np.int32),
        attempt_job=np.empty(attempts, np.int32),
        decisions=build_decisions(0, 0) if decisions is None else decisions,
    )


def build_events(running: int, releases: int) -> Events:
    """Return empty heaps for so many jobs running and waiting to become eligible at once."""
    ends, waiting = (Heap(time=np.empty(size, np.int64), row=np.empty(size, np.int32)) for size in (running, releases))
    return Events(ends=ends, releases=waiting, counter=np.zeros(Count.SIZE, np.int64))
