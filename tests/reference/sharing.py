"""Fair share: the accounts, what their jobs held, and the factors that follow from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gpuyard.policy import Policy
from reference.jobs import Job, ticks

LN_2 = 0.6931471805599453


class Account(NamedTuple):
    """An account, or a user, which is the last account of its path."""

    above: tuple[str, ...]
    """the names of the accounts above it, from the root on"""
    name: str | None
    """``None``: the nameless user"""
    is_user: bool = False

    @property
    def parent(self) -> Account | None:
        """The account right above it, ``None`` for those below the root."""
        return Account(self.above[:-1], self.above[-1]) if self.above else None

    @property
    def path(self) -> str | None:
        return None if self.name is None else "/".join([*self.above, self.name])

    @property
    def place(self) -> tuple[bool, bool, str]:
        """What the children of a parent are sorted by: names, users after accounts, the nameless one first of them."""
        return self.is_user, self.name is not None, self.name or ""


def account(path: str) -> Account:
    *above, name = path.split("/")
    return Account(tuple(above), name)


def user_of(job: Job) -> Account:
    return Account(() if job.tenant is None else tuple(job.tenant.split("/")), job.user, is_user=True)


def upwards(lowest: Account) -> list[Account]:
    """Return an account and all above it."""
    return [lowest] if lowest.parent is None else [lowest, *upwards(lowest.parent)]


def all_accounts(users: Iterable[Account], shares: Mapping[str, float]) -> set[Account]:
    """Return the users, their accounts, those that shares are named for where they name no user, and their parents."""
    accounts = {each for user in users for each in upwards(user)}
    known = {each.path for each in accounts}
    for path in shares:
        if path not in known:
            accounts |= set(upwards(account(path)))
    return accounts


def shares_of(this: Account, accounts: set[Account], shares: Mapping[str, float]) -> float:
    """Return the shares of an account; a user has those of its path unless an account has that path too."""
    if this.path is None or (this.is_user and any(it.path == this.path and not it.is_user for it in accounts)):
        return 1
    return shares.get(this.path, 1)


def added(numbers: Iterable[float]) -> float:
    """Return the sum in float64, from left to right (``sum`` carries along what it rounded off)."""
    total = 0.0
    for number in numbers:
        total = total + number
    return total


def children(parent: Account | None, accounts: set[Account]) -> list[Account]:
    return sorted((each for each in accounts if each.parent == parent), key=lambda each: each.place)


def portions(accounts: set[Account], shares: Mapping[str, float]) -> dict[Account, float]:
    """Return the shares of each account over those of all children of its parent."""
    portion = {}
    for this in accounts:
        everybody = added(shares_of(each, accounts, shares) for each in children(this.parent, accounts))
        portion[this] = 0.0 if everybody == 0 else shares_of(this, accounts, shares) / everybody
    return portion


def effective_usage(this: Account, actual: Mapping[Account, float], portion: Mapping[Account, float]) -> float:
    if this.parent is None:
        return actual[this]
    return actual[this] + (effective_usage(this.parent, actual, portion) - actual[this]) * portion[this]


def share_of_all(this: Account, portion: Mapping[Account, float]) -> float:
    return portion[this] if this.parent is None else share_of_all(this.parent, portion) * portion[this]


def factor(this: Account, actual: Mapping[Account, float], portion: Mapping[Account, float]) -> float:
    share = share_of_all(this, portion)
    return 0.0 if share == 0 else math.exp(-LN_2 * (effective_usage(this, actual, portion) / share))


def level_fairshare(
    this: Account, usage: Mapping[Account, float], accounts: set[Account], shares: Mapping[str, float]
) -> float:
    """Return the shares of an account over its usage, both as parts of what its siblings have."""
    siblings = children(this.parent, accounts)
    due, all_due = shares_of(this, accounts, shares), added(shares_of(each, accounts, shares) for each in siblings)
    used = added(usage[each] for each in siblings) if this.parent is None else usage[this.parent]
    if due == 0:
        return 0.0
    return math.inf if all_due * usage[this] == 0 else due * used / (all_due * usage[this])


def fair_tree(
    usage: Mapping[Account, float], accounts: set[Account], shares: Mapping[str, float]
) -> dict[Account, float]:
    """Return the factor of each user: the rank in the tree sorted by level fairshare, over the number of users."""
    level = {this: level_fairshare(this, usage, accounts, shares) for this in accounts}
    users = sum(this.is_user for this in accounts)
    ranks: dict[Account, int] = {}

    def go_through(siblings: list[Account], tied: int | None) -> None:
        """Rank all users of a list; who is ranked first gets the rank of those that the list is tied with."""
        for this_level in sorted({level[each] for each in siblings}, reverse=True):
            group = [each for each in siblings if level[each] == this_level]
            ranked_before = len(ranks)
            rank = users - ranked_before if tied is None else tied
            here = [each for each in group if each.is_user]
            ranks.update(dict.fromkeys(here, rank))
            inside = [child for each in group if not each.is_user for child in children(each, accounts)]
            go_through(inside, rank if here else tied)
            if len(ranks) > ranked_before:
                tied = None

    go_through(children(None, accounts), None)
    return {user: rank / users for user, rank in ranks.items()}


Stays = Mapping[int, Sequence[tuple[int, int | None]]]
"""From when to when each job has run so far, by row, microseconds; ``None``: it runs still."""


def held(jobs: Iterable[Job], stays: Stays, begin: int, end: int) -> int:
    """Return the thousandths of GPUs times microseconds that jobs were given between two instants."""
    total = 0
    for job in jobs:
        for start, last in stays[job.row]:
            until = end if last is None else min(last, end)
            total += job.thousandths * max(until - max(start, begin), 0)
    return total


@dataclass(kw_only=True)
class Sharing:
    """The factors as they are after the last recalculation; times in microseconds."""

    jobs: Sequence[Job]
    shares: Mapping[str, float]
    accounts: set[Account]
    kind: str
    """``classic`` or ``fair-tree``"""
    period: int
    decay: float
    """what is left of usage after a period"""
    last: int
    """when the factors were recalculated last, or when the first period began"""
    usage: dict[Account, float] = field(default_factory=dict)
    factors: dict[int, float] = field(default_factory=dict)
    """by row; none before the first recalculation"""

    @classmethod
    def of(cls, policy: Policy, jobs: Sequence[Job], begin: int | None) -> Sharing | None:
        """Return ``None`` where the factors do not count."""
        weight = dict(policy.weights).get("fairshare", 0)
        if policy.order != "multifactor" or weight == 0 or policy.replay == "recorded" or not jobs:
            return None
        shares = getattr(policy, "shares", {})
        period, half_life = getattr(policy, "share_period", 300.0), getattr(policy, "half_life", 604_800.0)
        return cls(
            jobs=jobs,
            shares=shares,
            accounts=all_accounts(map(user_of, jobs), shares),
            kind=policy.fair_share,
            period=ticks(period),
            decay=1.0 if half_life in (None, "none") else 0.5 ** (period / half_life),
            last=min(job.submit for job in jobs) if begin is None else begin,
        )

    def next_after(self, now: int) -> int:
        """Return the first recalculation later than an instant."""
        return self.last + max((now - self.last) // self.period + 1, 1) * self.period

    def come_to(self, now: int, stays: Stays) -> None:
        """Make all recalculations up to now, given who ran when."""
        while self.last + self.period <= now:
            self.last += self.period
            self.recalculate(stays)

    def recalculate(self, stays: Stays) -> None:
        for this in self.accounts:
            its_jobs = [job for job in self.jobs if this in upwards(user_of(job))]
            given = held(its_jobs, stays, self.last - self.period, self.last)
            self.usage[this] = self.usage.get(this, 0.0) * self.decay + float(given)
        if self.kind == "fair-tree":
            factors = fair_tree(self.usage, self.accounts, self.shares)
            self.factors = {job.row: factors[user_of(job)] for job in self.jobs}
            return
        total = added(self.usage[each] for each in children(None, self.accounts))
        actual = {this: 0.0 if total == 0 else self.usage[this] / total for this in self.accounts}
        portion = portions(self.accounts, self.shares)
        self.factors = {job.row: factor(user_of(job), actual, portion) for job in self.jobs}
