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

__all__ = [
    "ANY_TYPE",
    "ASKER",
    "GROUP",
    "LINK",
    "PAIR",
    "QUOTA",
    "Between",
    "Reclaim",
    "Share",
    "Tenancy",
    "build_tenancy",
]

ANY_TYPE = -2
"""In the place of a resource: the job may use several types, each with a quota of its own."""

QUOTA = np.dtype(
    [
        ("nominal", np.int64),  # N
        ("most", np.int64),  # N and what may be borrowed; NEVER = no limit
        ("kept", np.int64),  # R: not lent to others
        ("used", np.int64),  # U
        ("own_nominal", np.int64),  # q: without those below
        ("own_used", np.int64),  # O: of its own jobs
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
        ("resource", np.int32),  # whose quota it needs; NOBODY for none, or ANY_TYPE
        ("first_link", np.int32),
        ("links", np.int32),
    ]
)
LINK = np.dtype([("node", np.int32), ("pair", np.int32)])
"""What may hold an asker: its tenant and those above, from its own up, then its groups, numbered after the tenants."""
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


class Reclaim(IntEnum):
    """Who takes from other tenants."""

    NEVER = 0
    ANY = 1
    LOWER = 2
    FAIR = 3


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
    BY_TYPE = 8
    """1 = each GPU type has quotas of its own"""
    LISTED_AT = 9
    """the instant for which running jobs are listed"""
    ASIDE = 10
    """lanes put aside in this round"""
    SIZE = 11


class Tenancy(NamedTuple):
    """All about tenants.  A tenant's number is its place among all paths, the root first, parents before children."""

    parent: NDArray[np.int32]  # shape (tenants,)
    end: NDArray[np.int32]  # shape (tenants,): after the last tenant below it
    quota: Records  # shape (tenants * resources,); empty without quotas
    group: Records
    asker: Records
    link: Records
    pair: Records  # node after node
    pair_of_node: NDArray[np.int32]  # shape (tenants + groups + 1,): the first
    variant: NDArray[np.int32]  # shape (demands * types,): a demand of one type only; empty unless quotas are by type
    asker_of: NDArray[np.int32]  # shape (jobs,)
    lane_of: NDArray[np.int32]  # shape (askers,)
    lane_of_tenant: NDArray[np.int32]  # shape (tenants + 1,): the first
    weight: NDArray[np.float64]  # shape (tenants,)
    share: NDArray[np.float64]  # shape (tenants,)
    share_bits: NDArray[np.int64]  # the same memory: bits of floats that are not negative sort as the floats
    held: NDArray[np.int64]  # shape (tenants * 3,): GPUs, CPUs, memory of its own jobs
    total: NDArray[np.int64]  # shape (3,): of the cluster
    lanes: Pairing
    place: NDArray[np.int32]  # by lane: the heap it is in, NOBODY for none; see :mod:`gpuyard.kernel.parting`
    ready: NDArray[np.int32]  # shape (demands,): roots of lanes to be tried
    claim: NDArray[np.int32]  # shape (demands,): roots of lanes that may make room, or must be tried in every pass
    no_room: NDArray[np.int64]  # shape (demands,): Share.ROOM at which the demand found no place
    tried: NDArray[np.int64]  # by lane: Share.CHANCE at which it could not make room
    quiet: NDArray[np.int64]  # shape (demands,): Share.CHANCE at which none of its claims could
    aside: NDArray[np.int32]  # room for lanes
    heads: NDArray[np.int32]  # room for a heap of demands
    prey: Pairing  # running jobs that may be taken away
    prey_of: NDArray[np.int32]  # shape (tenants,): roots
    is_prey: NDArray[np.int8]  # shape (jobs,)
    borrowers: Pairing  # tenants, by the first of their prey
    is_borrower: NDArray[np.int8]  # shape (tenants,): whether it is in that heap
    seen: NDArray[np.int32]  # room for tenants, and jobs, looked at while room is made
    state: NDArray[np.int64]  # by Share


def build_tenancy(
    *,
    parent: NDArray[np.int32],
    end: NDArray[np.int32],
    quota: Records,
    group: Records,
    asker: Records,
    link: Records,
    pair: Records,
    pair_of_node: NDArray[np.int32],
    variant: NDArray[np.int32],
    asker_of: NDArray[np.int32],
    lane_of: NDArray[np.int32],
    lane_of_tenant: NDArray[np.int32],
    weight: NDArray[np.float64],
    total: NDArray[np.int64],
    demands: int,
    state: NDArray[np.int64],
) -> Tenancy:
    """Return tenants that hold nothing."""
    tenants, lanes, jobs = parent.size, int(lane_of_tenant[-1]), asker_of.size
    share = np.zeros(tenants)
    room = jobs if state[Share.PREEMPTS] else 0
    return Tenancy(
        parent=parent,
        end=end,
        quota=quota,
        group=group,
        asker=asker,
        link=link,
        pair=pair,
        pair_of_node=pair_of_node,
        variant=variant,
        asker_of=asker_of,
        lane_of=lane_of,
        lane_of_tenant=lane_of_tenant,
        weight=weight,
        share=share,
        share_bits=share.view(np.int64),
        held=np.zeros(3 * tenants, np.int64),
        total=total,
        lanes=build_pairing(lanes),
        place=np.full(lanes, NOBODY, np.int32),
        ready=np.full(demands, NOBODY, np.int32),
        claim=np.full(demands, NOBODY, np.int32),
        no_room=np.full(demands, NOBODY, np.int64),
        tried=np.full(lanes, NOBODY, np.int64),
        quiet=np.full(demands, NOBODY, np.int64),
        aside=np.empty(lanes, np.int32),
        heads=np.empty(demands + 1, np.int32),
        prey=build_pairing(room),
        prey_of=np.full(tenants, NOBODY, np.int32),
        is_prey=np.zeros(room, np.int8),
        borrowers=build_pairing(tenants),
        is_borrower=np.zeros(tenants, np.int8),
        seen=np.empty(tenants + room, np.int32),
        state=state,
    )
