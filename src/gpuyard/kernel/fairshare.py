"""Slurm's fair share: what accounts used, less with age, against their shares; a factor for each user.

Brought up to date at whole periods, and only when the factors are needed: what was held when is known from who started
when and for how long.  ``docs/semantics.md``, *Fair share*, is the specification.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.fairtree import Tree, rank_users
from gpuyard.kernel.jit import inlined, inner, kernel
from gpuyard.kernel.tables import Events, Jobs, Log, Records

__all__ = [
    "Accounts",
    "build_accounts",
    "charge_time",
    "decay_usage",
    "next_recalculation",
    "note_factors",
    "work_out_factors",
    "write_factors",
]

_LN2 = 0.6931471805599453


class Accounts(NamedTuple):
    """Accounts, parents before their children; no accounts where nothing is shared out."""

    parent: NDArray[np.int32]  # NOBODY for those below the root
    portion: NDArray[np.float64]  # shares over those of all siblings, itself among them
    usage: NDArray[np.float64]  # thousandths of GPUs x microseconds, decayed
    held: NDArray[np.int64]  # the same of this period
    effective: NDArray[np.float64]
    share: NDArray[np.float64]  # of the whole
    factor: NDArray[np.float64]
    leaf: NDArray[np.int32]  # shape (jobs,): the account that each job is charged to
    thousandths: NDArray[np.int64]  # shape (demands,)
    running: NDArray[np.int32]  # jobs that may still be charged
    state: NDArray[np.int64]  # next recalculation, period, entries of running, attempts seen
    decay: NDArray[np.float64]  # shape (1,): in a period
    tree: Tree  # without depths under classic fair share


def build_accounts(
    parent: NDArray[np.int32],
    portion: NDArray[np.float64],
    leaf: NDArray[np.int32],
    thousandths: NDArray[np.int64],
    tree: Tree,
    *,
    origin: int,
    period: int,
    decay: float,
) -> Accounts:
    """Return accounts that used nothing; ``period`` is microseconds, ``decay`` what is left of usage after one."""
    size = parent.size
    return Accounts(
        parent=parent,
        portion=portion,
        usage=np.zeros(size),
        held=np.zeros(size, np.int64),
        effective=np.zeros(size),
        share=np.zeros(size),
        factor=np.ones(size),
        leaf=leaf,
        thousandths=thousandths,
        running=np.empty(leaf.size, np.int32),
        state=np.array([origin + period if size else NEVER, period, 0, 0], np.int64),
        decay=np.array([decay]),
        tree=tree,
    )


@inlined
def next_recalculation(accounts: Accounts, last: int) -> int:
    """Return when the factors change next after ``last``, or NEVER; they may not have been brought up to date since."""
    following = accounts.state[0]
    if following <= last:
        following = last + accounts.state[1] - (last - following) % accounts.state[1]
    return int(following)


@inner
def note_factors(
    accounts: Accounts, jobs: Jobs, log: Log, events: Events, waiting: Records, size: int, now: int
) -> None:
    """Bring the factors up to date and write those of the first ``size`` waiting jobs."""
    if accounts.parent.size == 0:
        return
    if accounts.state[0] <= now:
        while accounts.state[0] <= now:
            _charge(accounts, jobs, log, events, int(accounts.state[0]))
            decay_usage(accounts)
            accounts.state[0] += accounts.state[1]
        work_out_factors(accounts)
    write_factors(accounts, waiting, 0, size)


@inlined
def write_factors(accounts: Accounts, waiting: Records, first: int, last: int) -> None:
    """Write the factors of the waiting jobs from the place ``first`` to before ``last``."""
    for place in range(first, last):
        this = waiting[nth(place)]
        this["fairshare"] = accounts.factor[nth(accounts.leaf[nth(this["row"])])]


@inlined
def charge_time(accounts: Accounts, row: int, wish: int, time: int) -> None:
    """Charge the account of a job, and those above, with the GPUs that it asked for during a time."""
    held = accounts.thousandths[nth(wish)] * time
    account = int(accounts.leaf[nth(row)])
    while account != NOBODY:
        accounts.held[nth(account)] += held
        account = int(accounts.parent[nth(account)])


@kernel
def _charge(accounts: Accounts, jobs: Jobs, log: Log, events: Events, end: int) -> None:
    """Charge the accounts for the period that ends at ``end``, and forget who had ended by then."""
    state = accounts.state
    begin = end - state[1]
    while state[3] < events.counter[Count.ATTEMPTS]:
        row = int(log.attempt_job[nth(state[3])])
        if jobs.job[nth(row)]["start"] >= end:
            break
        accounts.running[nth(state[2])] = row
        state[2] += 1
        state[3] += 1
    kept = 0
    for place in range(state[2]):
        row = int(accounts.running[nth(place)])
        this = jobs.job[nth(row)]
        last = this["start"] + this["duration"]
        time = min(last, end) - max(this["start"], begin)
        charge_time(accounts, row, int(jobs.claim[nth(row)]["demand"]), int(time))
        if last > end:
            accounts.running[nth(kept)] = row
            kept += 1
    state[2] = kept


@kernel
def decay_usage(accounts: Accounts) -> None:
    """Add what was held to what is left of the usage."""
    for account in range(accounts.parent.size):
        accounts.usage[nth(account)] = accounts.usage[nth(account)] * accounts.decay[0] + accounts.held[nth(account)]
        accounts.held[nth(account)] = 0


@kernel
def work_out_factors(accounts: Accounts) -> None:
    """Work out all factors."""
    total = 0.0
    for account in range(accounts.parent.size):
        if accounts.parent[nth(account)] == NOBODY:
            total += accounts.usage[nth(account)]
    if accounts.tree.depth.size > 0:
        rank_users(accounts.tree, accounts.usage, total, accounts.factor)
    else:
        _classic(accounts, total)


@kernel
def _classic(accounts: Accounts, total: float) -> None:
    """Work out all factors as two to the power of minus usage over share."""
    for account in range(accounts.parent.size):
        parent = int(accounts.parent[nth(account)])
        portion = accounts.portion[nth(account)]
        actual = accounts.usage[nth(account)] / total if total > 0 else 0.0
        if parent == NOBODY:
            accounts.effective[nth(account)] = actual
            accounts.share[nth(account)] = portion
        else:
            above = accounts.effective[nth(parent)]
            accounts.effective[nth(account)] = actual + (above - actual) * portion
            accounts.share[nth(account)] = accounts.share[nth(parent)] * portion
        share = accounts.share[nth(account)]
        ratio = accounts.effective[nth(account)] / share if share > 0 else 0.0
        accounts.factor[nth(account)] = math.exp(-_LN2 * ratio) if share > 0 else 0.0
