"""Slurm's Fair Tree: users ranked by shares over usage at each level of the tree, siblings that tie together.

Depth by depth, parents before their children.  What an account hands down to its children is how many users are ranked
before all of them; accounts that tie hand down the same, which makes one list of their children.
``docs/semantics.md``, *Fair share*, is the specification.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.tables import Records

__all__ = ["Tree", "build_tree", "rank_users"]

_BRANCH: Final = np.dtype(
    [
        ("shares", np.float64),
        ("siblings", np.float64),  # shares of all children of its parent
        ("level", np.float64),  # the level fairshare
        ("parent", np.int64),  # NOBODY for those below the root
        ("user", np.int64),  # 1 for a user, 0 for an account
        ("users", np.int64),  # in it; 1 for a user
        ("ahead", np.int64),  # users that are ranked before those in it
        ("tied", np.int64),  # the rank of the first of those in it, where they tie with others; else 0
    ]
)


class Tree(NamedTuple):
    """Accounts and users, parents before their children; no depths under another kind of fair share."""

    branch: Records  # _BRANCH
    turn: NDArray[np.int32]  # those with users in them, depth by depth, each depth in the order of its lists
    spare: NDArray[np.int32]
    depth: NDArray[np.int64]  # where each depth begins in turn, and where the last ends


def build_tree(
    parent: NDArray[np.int32],
    user: NDArray[np.bool_],
    shares: NDArray[np.float64],
    siblings: NDArray[np.float64],
) -> Tree:
    """Return a tree in which nobody has been ranked.

    Parameters
    ----------
    parent
        Row of the parent of each account, NOBODY below the root; parents come before their children.
    siblings
        Sum of the shares of all children of its parent.
    """
    branch = np.zeros(parent.size, _BRANCH)
    branch["parent"], branch["user"], branch["users"] = parent, user, user
    branch["shares"], branch["siblings"] = shares, siblings
    depth = np.zeros(parent.size, np.int64)
    for row in range(parent.size):
        depth[row] = 0 if parent[row] == NOBODY else depth[parent[row]] + 1
    for row in range(parent.size - 1, -1, -1):
        if parent[row] != NOBODY:
            branch["users"][parent[row]] += branch["users"][row]
    turn = np.flatnonzero(branch["users"] > 0).astype(np.int32)
    turn = turn[np.argsort(depth[turn], kind="stable")]
    deepest = int(depth.max(initial=-1))
    begins = np.searchsorted(depth[turn], np.arange(deepest + 2)) if parent.size else np.zeros(0)
    return Tree(branch=branch, turn=turn, spare=np.empty_like(turn), depth=begins.astype(np.int64))


@kernel
def rank_users(tree: Tree, usage: NDArray[np.float64], total: float, factor: NDArray[np.float64]) -> None:
    """Write the factor of each user, from the usage of all accounts; ``total`` is that of all below the root."""
    users = 0
    for row in range(tree.branch.size):
        this = tree.branch[nth(row)]
        users += this["user"]
        used = total if this["parent"] == NOBODY else usage[nth(this["parent"])]
        parts = this["siblings"] * usage[nth(row)]
        if this["shares"] == 0:
            this["level"] = 0.0
        else:
            this["level"] = math.inf if parts == 0 else float(this["shares"] * used) / float(parts)
    for depth in range(tree.depth.size - 1):
        begin, end = int(tree.depth[nth(depth)]), int(tree.depth[nth(depth + 1)])
        _sort(tree, begin, end)
        _rank(tree, begin, end, users, factor)


@kernel
def _rank(tree: Tree, begin: int, end: int, users: int, factor: NDArray[np.float64]) -> None:
    """Rank the users of a depth that is sorted, group by group, and tell its accounts who is ranked before theirs."""
    turn = tree.turn
    before, ahead, tied = NOBODY, 0, 0
    at = begin
    while at < end:
        first = int(turn[nth(at)])
        if _ranked_before(tree, first) != before:
            before = _ranked_before(tree, first)
            ahead, tied = before, _tied_with(tree, first)
        stop, here, inside = at, 0, 0
        while stop < end and not _goes_before(tree, first, int(turn[nth(stop)])):
            this = tree.branch[nth(turn[nth(stop)])]
            here += this["user"]
            inside += this["users"]
            stop += 1
        rank = tied if tied > 0 else users - ahead
        for place in range(at, stop):
            row = turn[nth(place)]
            this = tree.branch[nth(row)]
            if this["user"] > 0:
                factor[nth(row)] = rank / users
            this["ahead"] = ahead + here
            this["tied"] = rank if here > 0 else tied
        ahead += inside
        tied = 0
        at = stop


@inlined
def _ranked_before(tree: Tree, account: int) -> int:
    """Return how many users are ranked before the list in which an account stands."""
    parent = tree.branch[nth(account)]["parent"]
    return 0 if parent == NOBODY else int(tree.branch[nth(parent)]["ahead"])


@inlined
def _tied_with(tree: Tree, account: int) -> int:
    """Return the rank with which the list ties in which an account stands, or 0."""
    parent = tree.branch[nth(account)]["parent"]
    return 0 if parent == NOBODY else int(tree.branch[nth(parent)]["tied"])


@inlined
def _goes_before(tree: Tree, one: int, other: int) -> bool:
    """Return whether an account goes before another of its depth: by list, then by level fairshare."""
    left, right = _ranked_before(tree, one), _ranked_before(tree, other)
    if left != right:
        return left < right
    return bool(tree.branch[nth(one)]["level"] > tree.branch[nth(other)]["level"])


@kernel
def _sort(tree: Tree, begin: int, end: int) -> None:
    """Sort a depth by merging the runs that it has: little work where little has changed since the last time."""
    merged = True
    while merged:
        merged = False
        at = begin
        while at < end:
            middle = _end_of_run(tree, at, end)
            last = _end_of_run(tree, middle, end)
            if middle < last:
                _merge(tree, at, middle, last)
                merged = True
            at = last


@inlined
def _end_of_run(tree: Tree, at: int, end: int) -> int:
    """Return where those from a place on that are in order end."""
    stop = min(at + 1, end)
    while stop < end and not _goes_before(tree, int(tree.turn[nth(stop)]), int(tree.turn[nth(stop - 1)])):
        stop += 1
    return stop


@inlined
def _merge(tree: Tree, begin: int, middle: int, end: int) -> None:
    """Merge two runs that follow each other; of equals those of the first go first."""
    turn, spare = tree.turn, tree.spare
    for place in range(begin, middle):
        spare[nth(place)] = turn[nth(place)]
    left, right = begin, middle
    at = begin
    while left < middle:
        if right < end and _goes_before(tree, int(turn[nth(right)]), int(spare[nth(left)])):
            turn[nth(at)] = turn[nth(right)]
            right += 1
        else:
            turn[nth(at)] = spare[nth(left)]
            left += 1
        at += 1
