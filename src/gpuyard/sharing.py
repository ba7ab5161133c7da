"""Whose jobs are charged to which account, and what each account is due: fair share in the engine's units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import numpy as np

from gpuyard.errors import ConfigError
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.expectations import thousandths_asked
from gpuyard.kernel.fairshare import Accounts, build_accounts
from gpuyard.kernel.fairtree import build_tree
from gpuyard.lowering import Asked
from gpuyard.policy import Policy
from gpuyard.workload import MICROSECOND, Workload

__all__ = ["Account", "Shares", "account_tree", "lower_accounts"]

_WHOLE: Final = 1000
_LONGEST: Final = 2**62
"""Thousandths of GPUs x microseconds in a period: as much again may run without room when a simulation begins."""


class Account(NamedTuple):
    """An account, or a user of one; sorts by depth, parent, accounts before users, name."""

    depth: int
    above: tuple[str, ...]
    is_user: bool
    name: str

    @property
    def path(self) -> tuple[str, ...]:
        """The names from the root down to it."""
        return (*self.above, self.name)

    @property
    def text(self) -> str:
        """Its path as people write it."""
        return "/".join(self.path)


class Shares(NamedTuple):
    """What an account is due, and what all children of its parent are, itself among them."""

    own: float
    siblings: float


def lower_accounts(policy: Policy, workload: Workload, asked: Asked, gpus: int, begin: int | None) -> Accounts:
    """Return the accounts of a policy that shares out; none where its order does not look at them.

    Parameters
    ----------
    gpus
        Of the cluster.
    begin
        The instant at which the simulation begins with a given state, microseconds; None for the first submission.

    Raises
    ------
    ConfigError
        For a period in which the cluster has more GPU time than 64 bits hold.
    """
    shares_out = policy.order == "multifactor" and policy.final_weights["fairshare"] != 0
    pairs = _owners(workload) if shares_out else []
    tree = account_tree(pairs, policy.shares) if shares_out else {}
    rows = {account: row for row, account in enumerate(tree)}
    parents = {account.path: row for account, row in rows.items() if not account.is_user}
    codes = {pair: rows[_user(*pair)] for pair in set(pairs)}
    milli = thousandths_asked(asked.demands, asked.quanta)
    period = max(round(policy.share_period * MICROSECOND), 1)
    if shares_out and gpus * _WHOLE * period >= _LONGEST:
        raise ConfigError(
            f"'share_period' of {policy.share_period:g} s is too long for {gpus:,} GPUs; choose less than "
            f"{_LONGEST // (gpus * _WHOLE) / MICROSECOND:.3g} s"
        )
    first = int(workload.submit.min()) if len(workload) else 0
    origin = first if begin is None else begin
    half_life = policy.half_life
    parent = np.array([parents.get(account.above, NOBODY) for account in tree], np.int32)
    due, siblings = (np.array([each[part] for each in tree.values()], np.float64) for part in (0, 1))
    ranked = slice(None) if policy.fair_share == "fair-tree" else slice(0)
    users = np.array([account.is_user for account in tree], np.bool_)
    return build_accounts(
        parent,
        np.divide(due, siblings, out=np.zeros_like(due), where=siblings > 0),
        np.array([codes[pair] for pair in pairs] if pairs else np.zeros(len(workload)), np.int32),
        milli,
        build_tree(parent[ranked], users[ranked], due[ranked], siblings[ranked]),
        origin=origin,
        period=period,
        decay=1.0 if half_life is None else 0.5 ** (policy.share_period / float(half_life)),
    )


def account_tree(pairs: Iterable[tuple[tuple[str, ...], str]], shares: Mapping[str, float]) -> dict[Account, Shares]:
    """Return all accounts, parents before their children, with their shares and those of all siblings.

    Parameters
    ----------
    pairs
        Path of accounts and user of each job.
    shares
        By path; 1 for those that are not named.
    """
    accounts: set[tuple[str, ...]] = set()
    users = set()
    for path, user in pairs:
        accounts.update(path[: depth + 1] for depth in range(len(path)))
        users.add(_user(path, user))
    known = {"/".join(path) for path in accounts} | {user.text for user in users if user.name}
    for text in shares:
        path = tuple(text.split("/"))
        accounts.update(path[: depth + 1] for depth in range(len(path)) if text not in known)
    texts = {"/".join(path) for path in accounts}
    everybody = sorted([*users, *(Account(len(path), path[:-1], False, path[-1]) for path in accounts)])
    weight = {
        account: 1.0
        if account.is_user and (not account.name or account.text in texts)
        else shares.get(account.text, 1.0)
        for account in everybody
    }
    siblings: dict[tuple[str, ...], float] = {}
    for account in everybody:
        siblings[account.above] = siblings.get(account.above, 0.0) + weight[account]
    return {account: Shares(weight[account], siblings[account.above]) for account in everybody}


def _user(path: tuple[str, ...], user: str) -> Account:
    return Account(len(path) + 1, path, True, user)


def _owners(workload: Workload) -> list[tuple[tuple[str, ...], str]]:
    """Return the path of accounts and the user of each job."""
    tenants, users = (workload.held[name].to_pylist() for name in ("tenant", "user"))
    paths: dict[str | None, tuple[str, ...]] = {None: ()}
    for tenant in set(tenants) - {None}:
        paths[tenant] = tuple(tenant.split("/"))
    return [(paths[tenant], user or "") for tenant, user in zip(tenants, users, strict=True)]
