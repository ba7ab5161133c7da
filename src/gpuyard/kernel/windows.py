"""Windows over nodes: which nodes are closed for a job that would start at some instant, hidden and shown again.

What is reserved for the head of a queue is closed likewise, and what is withheld from those behind one that is blocked.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER
from gpuyard.kernel.index import insert, remove
from gpuyard.kernel.jit import kernel
from gpuyard.kernel.nodes import offer_node, withdraw_node
from gpuyard.kernel.partitions import Partitions, Round, build_partitions, is_over
from gpuyard.kernel.tables import Records, Site

__all__ = [
    "WINDOW",
    "Windows",
    "begins_later",
    "block",
    "build_windows",
    "close_for",
    "conceal",
    "hide_promised",
    "is_window_end",
    "next_opening",
    "next_promise_end",
    "next_window_end",
    "of_jobs",
    "reveal",
    "show_withheld",
    "withhold",
]

WINDOW = np.dtype(
    [
        ("start", np.int64),
        ("end", np.int64),
        ("first", np.int64),  # its first node in Windows.node
        ("last", np.int64),  # after its last node
        ("hides", np.int64),  # 1 = its nodes are hidden now
    ]
)
"""A window over some nodes; microseconds."""


class Windows(NamedTuple):
    """Windows, and who they keep out.  Jobs of one *standing* are kept out by the same windows."""

    window: Records
    node: NDArray[np.int32]  # nodes, window after window
    standing: NDArray[np.int32]  # shape (jobs,)
    keeps_out: NDArray[np.int8]  # by (standing, window): 1 = the window keeps these jobs out
    hidden: NDArray[np.int32]  # shape (nodes,): why a node is hidden: windows that hide it, and reservations
    partitions: Partitions


def build_windows(
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    nodes: list[NDArray[np.int64]],
    keeps_out: NDArray[np.bool_],
    total: int,
    partitions: Partitions | None = None,
) -> Windows:
    """Return windows that hide nothing yet.

    Parameters
    ----------
    start, end
        Microseconds, shape (windows,).
    nodes
        The numbers of each window's nodes.
    keeps_out
        Shape (jobs, windows).
    total
        Nodes of the site.
    partitions
        Their queues; without, all jobs are in that of the whole cluster.
    """
    window = np.zeros(start.size, WINDOW)
    size = np.array([each.size for each in nodes], np.int64)
    window["start"], window["end"] = start, end
    window["last"] = np.cumsum(size)
    window["first"] = window["last"] - size
    standings, standing = np.unique(keeps_out, axis=0, return_inverse=True)
    return Windows(
        window=window,
        node=np.concatenate([np.empty(0, np.int64), *nodes]).astype(np.int32),
        standing=standing.ravel().astype(np.int32),
        keeps_out=standings.astype(np.int8).ravel(),
        hidden=np.zeros(total, np.int32),
        partitions=build_partitions(np.zeros(len(keeps_out), np.int64), [], total)
        if partitions is None
        else partitions,
    )


def of_jobs(windows: Windows, rows: NDArray[np.int64]) -> Windows:
    """Return windows with some of the jobs only, int64, shape (jobs,)."""
    partitions = windows.partitions._replace(of=windows.partitions.of[rows])
    return windows._replace(standing=windows.standing[rows], partitions=partitions)


@kernel
def next_window_end(windows: Windows, now: int) -> int:
    """Return the first end of a window after an instant, or NEVER."""
    found = NEVER
    for number in range(windows.window.size):
        end = int(windows.window[number]["end"])
        if now < end < found:
            found = end
    return found


@kernel
def next_opening(windows: Windows, row: int, now: int) -> int:
    """Return the first end, after an instant, of a window that keeps a job out, or NEVER."""
    found = NEVER
    for number in range(windows.window.size):
        end = int(windows.window[number]["end"])
        keeps_out = windows.keeps_out[int(windows.standing[row]) * windows.window.size + number]
        if keeps_out > 0 and now < end < found:
            found = end
    return found


@kernel
def begins_later(windows: Windows, now: int) -> bool:
    """Return whether a window begins after an instant."""
    later = False
    for number in range(windows.window.size):
        later = later or windows.window[number]["start"] > now
    return bool(later)


@kernel
def is_window_end(windows: Windows, now: int) -> bool:
    """Return whether a window ends at an instant."""
    ends = False
    for number in range(windows.window.size):
        ends = ends or windows.window[number]["end"] == now
    return bool(ends)


@kernel
def _hide(site: Site, windows: Windows, node: int) -> None:
    """Hide a node and its GPUs for one more reason."""
    windows.hidden[node] += 1
    if windows.hidden[node] == 1:
        conceal(site, node)


@kernel
def conceal(site: Site, node: int) -> None:
    """Let nobody find a node, nor its GPUs."""
    withdraw_node(site, node)
    if site.quanta > 0:
        this = site.node[node]
        for gpu in range(int(this["first_gpu"]), int(this["first_gpu"] + this["size"])):
            free = int(site.gpu[gpu]["free"])
            if free > 0:
                remove(site.shares, int(this["kind"]), free, gpu)


@kernel
def _show(site: Site, windows: Windows, node: int) -> None:
    """Show a node and its GPUs again, if there is no other reason to hide it."""
    windows.hidden[node] -= 1
    if windows.hidden[node] == 0:
        reveal(site, node)


@kernel
def reveal(site: Site, node: int) -> None:
    """Let a node be found again, with what it has free."""
    offer_node(site, node)
    if site.quanta > 0:
        this = site.node[node]
        for gpu in range(int(this["first_gpu"]), int(this["first_gpu"] + this["size"])):
            free = int(site.gpu[gpu]["free"])
            if free > 0:
                insert(site.shares, int(this["kind"]), free, gpu)


@kernel
def close_for(site: Site, windows: Windows, row: int, begin: int, duration: int) -> None:
    """Hide the nodes that are closed for a job that would start then, and show all others; all, if it stays for 0."""
    base = int(windows.standing[row]) * windows.window.size
    for number in range(windows.window.size):
        this = windows.window[number]
        closes = 0
        if duration > 0 and windows.keeps_out[base + number] > 0:
            closes = int(begin < this["end"] and begin + duration > this["start"])
        if closes == this["hides"]:
            continue
        this["hides"] = closes
        for place_ in range(this["first"], this["last"]):
            if closes > 0:
                _hide(site, windows, int(windows.node[place_]))
            else:
                _show(site, windows, int(windows.node[place_]))


@kernel
def hide_promised(site: Site, windows: Windows, length: int, begin: int, now: int, hidden: bool) -> None:
    """Hide what is reserved in this round and closed for a job that would start then and stay so long, or show it.

    Who would start now may be there in no reservation that began; who would start later, in none that is over by then.
    """
    partitions = windows.partitions
    for place in range(partitions.state[Round.HEADS]):
        number = partitions.own[nth(place)]["listed"]
        own = partitions.own[nth(number)]
        if now < begin >= own["until"] or length <= own["shadow"] - begin:
            continue
        base = number * windows.hidden.size
        for at in range(base, base + own["reserved"]):
            if hidden:
                _hide(site, windows, int(partitions.promised[nth(at)]))
            else:
                _show(site, windows, int(partitions.promised[nth(at)]))


@kernel
def next_promise_end(windows: Windows, now: int) -> int:
    """Return the first instant, after one, at which a head of this round is expected to end, or NEVER."""
    partitions = windows.partitions
    found = NEVER
    for place in range(partitions.state[Round.HEADS]):
        own = partitions.own[nth(partitions.own[nth(place)]["listed"])]
        if own["reserved"] > 0 and now < own["until"] < found:
            found = int(own["until"])
    return found


@kernel
def withhold(site: Site, windows: Windows, number: int, withheld: bool) -> None:
    """Hide the nodes of a queue, or show them again if they are hidden so."""
    partitions = windows.partitions
    own = partitions.own[nth(number)]
    if (own["withheld"] > 0) == withheld:
        return
    own["withheld"] = withheld
    for at in range(own["first"], own["last"]):
        if withheld:
            _hide(site, windows, int(partitions.node[nth(at)]))
        else:
            _show(site, windows, int(partitions.node[nth(at)]))


@kernel
def block(site: Site, windows: Windows, number: int) -> bool:
    """Withhold the nodes of a queue for the rest of the round; return whether nobody is left who could be tried."""
    partitions = windows.partitions
    partitions.own[nth(number)]["blocked"] = partitions.state[Round.NUMBER]
    if is_over(partitions):
        return True
    withhold(site, windows, number, True)
    return False


@kernel
def show_withheld(site: Site, windows: Windows) -> None:
    """Show what was withheld."""
    for number in range(windows.partitions.own.size):
        withhold(site, windows, number, False)
