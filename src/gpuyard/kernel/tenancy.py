"""What a loop that shares a cluster out knows: tenants, quotas, limits, and who waits for which of them.

*Askers* are what jobs of one tenant and the same limit groups ask for.  Under ``fit`` an asker is a *lane* of the
queue, else a tenant is.  ``docs/semantics.md``, *Tenants*, is the specification.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.pairing import Pairing, build_pairing
from gpuyard.kernel.tables import Records
from gpuyard.kernel.views import Views

__all__ = [
    "ANY_TYPE",
    "ASKER",
    "GROUP",
    "LINK",
    "MANY",
    "PAIR",
    "QUOTA",
    "TENANT",
    "WISH",
    "Between",
    "Booty",
    "Held",
    "Ledger",
    "Reclaim",
    "Share",
    "Tenancy",
    "Waiting",
    "build_tenancy",
]

ANY_TYPE = -2
"""In the place of a resource: the job may use several types, each with a quota of its own."""

MANY = 1 << 40
"""Lanes: more than there are."""
_CHANGES = 64
"""Changes of tenants that are kept at most, where vain tries are known."""

QUOTA = np.dtype(
    [
        ("nominal", np.int64),  # N
        ("most", np.int64),  # N and what may be borrowed; NEVER = no limit
        ("kept", np.int64),  # R: not lent to others
        ("used", np.int64),  # U
        ("own_nominal", np.int64),  # q: without those below
        ("own_used", np.int64),  # O: of its own jobs
        ("told", np.int64),  # as much of O as U counts, of the tenant and of those above that hold nobody (charge_own)
    ]
)
"""A tenant's quota of a resource, in thousandths of GPUs."""
GROUP = np.dtype(
    [
        ("most_jobs", np.int64),
        ("most_gpus", np.int64),  # thousandths
        ("jobs", np.int64),  # that run
        ("gpus", np.int64),
    ]
)
"""A group of jobs with a limit."""
ASKER = np.dtype(
    [
        ("gpus", np.int64),  # thousandths
        ("cpu", np.int64),  # of the whole job, thousandths of a core
        ("memory", np.int64),  # of the whole job, MiB
        ("wish", np.int32),  # its demand
        ("tenant", np.int32),
        ("lane", np.int32),
        ("resource", np.int32),  # whose quota it needs; NOBODY for none, or ANY_TYPE
        ("first_link", np.int32),
        ("links", np.int16),
        ("open_links", np.int16),  # the first so many have no limit and keep nothing: they hold nobody
    ]
)
LINK = np.dtype([("node", np.int32), ("pair", np.int32)])
"""What may hold an asker: its tenant and those above, from its own up, then its groups, numbered after the tenants."""
TENANT = np.dtype(
    [
        ("gpus", np.int64),  # thousandths that its own jobs hold
        ("cpu", np.int64),  # thousandths of a core
        ("memory", np.int64),  # MiB
        ("weight", np.float64),
        ("share", np.float64),  # up to date while its own jobs wait
        ("prey_gpus", np.int64),  # thousandths that those of its jobs hold that may be taken away
        ("offered", np.int64),  # slots of its jobs that may be taken away, ever since the beginning
        ("lent", np.int64),  # as many of these as Share.LENT counts
        ("least", np.int64),  # thousandths that the smallest of its own jobs with GPUs asks for, 0 if it has none
        ("waiting", np.int32),  # its own jobs that wait
        ("parent", np.int32),  # NOBODY for the root
        ("end", np.int32),  # after the last tenant below it
        ("first_lane", np.int32),
        ("last_lane", np.int32),  # after its last
        ("end_lane", np.int32),  # after the last of those below it
        ("prey", np.int32),  # root of the heap of its jobs that may be taken away
        ("marked", np.int32),  # 1 = it is among Booty.marked
        ("view", np.int32),  # the first of what is kept of how much room there is without these
        ("open_levels", np.int32),  # it and those above it, up to the first that may hold somebody
    ]
)
"""A tenant.  Its number is its place among all paths: the root first, parents before children."""
WISH = np.dtype(
    [
        ("no_room", np.int64),  # Share.ROOM at which it found no place
        ("quiet", np.int64),  # Share.CHANCE at which none of its claims could make room
        ("ready", np.int32),  # root of the heap of lanes to be tried
        ("claim", np.int32),  # root of that of lanes that may make room, or must be tried in every pass
    ]
)
"""What is known of a demand."""
PAIR = np.dtype(
    [
        ("gpus", np.int64),
        ("root", np.int32),  # a heap of lanes held there
        ("resource", np.int32),
    ]
)
"""A tenant or group, and a demand that it may hold."""


class Between(IntEnum):
    """What decides between tenants."""

    QUEUE = 0
    DRF = 1
    FAIR = 2
    COHORTS = 3


class Reclaim(IntEnum):
    """Who takes from other tenants."""

    NEVER = 0
    ANY = 1
    LOWER = 2
    FAIR = 3
    COHORTS = 4


class Share(IntEnum):
    """Places in the state of the loop."""

    BETWEEN = 0
    RECLAIM = 1
    PREEMPTS = 2
    """1 = there is a preemption rule"""
    LISTED = 3
    """1 = whom first changes with time"""
    ROOM = 4
    """slots given back: what found no place at the same number finds none now"""
    CHANCE = 5
    """changes with which a try to make room may end otherwise"""
    BORROWERS = 6
    """root of the heap of tenants above their quota with somebody to take"""
    LENDABLE = 7
    """thousandths of GPUs"""
    LISTED_AT = 8
    """the instant for which running jobs are listed"""
    ASIDE = 9
    """lanes put aside in this round"""
    FREE = 10
    """thousandths of GPUs that no running job asked for"""
    LENT = 11
    """thousandths of GPUs that tenants above their quota hold and that may be taken away"""
    OFFERED = 12
    """1 = those that started before this instant have been told apart in this pass"""
    LEFT = 13
    """jobs that waited after the last pass, or found no room before this one; 0 where none of them can make room"""
    RESOURCES = 14
    """with quotas"""
    GIVEN = 15
    """slots given back"""
    MARKED = 16
    """tenants whose place among those that borrow may have changed since it was looked at"""
    ROUND = 17
    """rounds so far"""
    BORROWS = 18
    """1 = a job takes from other tenants to borrow itself"""
    SPARED = 19
    """the level up to which nobody is taken so"""
    STIRRED = 20
    """how many lanes may start a job since the last pass, at most; MANY where something was given back"""
    FIT = 21
    """1 = a lane has the number of its asker"""
    SETTLED = 22
    """how often those that borrow were brought up to date, or somebody made room; only where vain tries are known"""
    CHANGES = 23
    """of tenants, as many as are kept to know vain tries by"""
    ALIKE = 24
    """1 = nobody is more urgent than others, and who may take from others is told by what its own tenant holds alone"""
    CAME = 25
    """the demand of the last of the lanes that Share.STIRRED counts"""
    SIZE = 26


class Held(IntEnum):
    """Places in the state of those who wait."""

    HOPE = 0
    """root of the heap of lanes that wait for a number of free GPUs"""
    CLAIM_HOPE = 1
    """likewise, of free GPUs and those that may be taken back"""
    PATIENCE = 2
    """root of the heap of lanes that wait for a number of slots to be given back"""
    LANES = 3
    """held at pairs"""
    CLAIMS = 4
    """lanes among the claims"""
    ENVY = 5
    """root of the heap of lanes that wait until a tenant's share is as large as theirs; only under Reclaim.FAIR"""
    SIZE = 6


class Ledger(NamedTuple):
    """What is held against which quotas and limits."""

    tenant: Records
    quota: Records  # shape (tenants * resources,); empty without quotas
    group: Records
    asker: Records
    link: Records
    asker_of: NDArray[np.int32]  # shape (jobs,)
    total: NDArray[np.int64]  # shape (3,): GPUs, CPUs and memory of the cluster, as in TENANT
    state: NDArray[np.int64]  # by Share


class Waiting(NamedTuple):
    """Lanes, and what they wait for.

    The heap that a lane is in is numbered: those of the demands to be tried, of their claims, the two of lanes that
    wait for a number of GPUs, that of lanes that wait for a number of slots, those of the pairs.
    """

    lanes: Pairing  # and as many that stand for them in Held.ENVY, under Reclaim.FAIR; their level: a round (envy)
    # where vain tries are known also as many in no heap: the last such try of each (vain)
    pair: Records  # node after node
    pair_of_node: NDArray[np.int32]  # shape (tenants + groups + 1,): the first
    wish: Records
    state: NDArray[np.int64]  # by Held
    aside: NDArray[np.int32]  # room for lanes
    heads: NDArray[np.int32]  # room for a heap of demands


class Booty(NamedTuple):
    """Who may be taken away."""

    prey: Pairing  # running jobs, tenant by tenant
    borrowers: Pairing  # tenants above their quota, by the first of their prey or, under Reclaim.FAIR, by share
    # where vain tries are known, after the tenants: room for their changes, by falling share (vain)
    marked: NDArray[np.int32]  # tenants, the first Share.MARKED
    seen: NDArray[np.int32]  # room for tenants, and jobs, looked at while room is made
    views: Views


class Tenancy(NamedTuple):
    """All about tenants."""

    ledger: Ledger
    waiting: Waiting
    booty: Booty
    variant: NDArray[np.int32]  # shape (demands * types,): a demand of one type only; empty unless quotas are by type


def build_tenancy(
    ledger: Ledger,
    pair: Records,
    pair_of_node: NDArray[np.int32],
    variant: NDArray[np.int32],
    demands: int,
    views: Views,
) -> Tenancy:
    """Return tenants for whom nobody waits."""
    tenants = ledger.tenant.size
    lanes = int(ledger.tenant["last_lane"].max())
    jobs = ledger.asker_of.size if ledger.state[Share.PREEMPTS] else 0
    turns = jobs > 0 and (ledger.state[Share.RECLAIM] == Reclaim.FAIR or ledger.state[Share.BETWEEN] != Between.QUEUE)
    vain = jobs > 0 and ledger.state[Share.RECLAIM] == Reclaim.FAIR and ledger.state[Share.LISTED] == 0
    wish = np.zeros(demands, WISH)
    for name in WISH.names or ():
        wish[name] = NOBODY
    waiting = Waiting(
        lanes=build_pairing((1 + turns + vain) * lanes),
        pair=pair,
        pair_of_node=pair_of_node,
        wish=wish,
        state=np.array([NOBODY, NOBODY, NOBODY, 0, 0, NOBODY], np.int64),
        aside=np.empty(lanes, np.int32),
        heads=np.empty(demands + 1, np.int32),
    )
    booty = Booty(
        prey=build_pairing(jobs),
        borrowers=build_pairing(tenants + vain * _CHANGES),
        marked=np.empty(tenants, np.int32),
        seen=np.empty(tenants + jobs, np.int32),
        views=views,
    )
    return Tenancy(ledger=ledger, waiting=waiting, booty=booty, variant=variant)
