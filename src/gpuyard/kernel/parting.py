"""Lanes of a shared cluster: which are to be tried, and which wait for their tenant's quota or their group's limit.

A lane is in one heap at most: of those to be tried of a demand, of its *claims* (lanes that may make room, and the few
that have to be tried in every pass), or of those held at a pair of a node and a demand.  Of the lanes held at a pair
the first alone comes back when there is room again, and the next when that one starts or is held elsewhere: so a pass
costs no more for the tenants that wait.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.levels import level_of_waiting
from gpuyard.kernel.line import first_of
from gpuyard.kernel.pairing import goes_before, put, set_key, take_out
from gpuyard.kernel.quotas import has_room, is_within_quota, note_share
from gpuyard.kernel.stays import Stays
from gpuyard.kernel.tenancy import ANY_TYPE, Between, Reclaim, Share, Tenancy

__all__ = [
    "asker_first",
    "enter_lane",
    "head_of",
    "hold_lane",
    "is_claim",
    "is_claimant",
    "keep_lane",
    "leave_lane",
    "open_up",
    "reconsider",
    "reorder",
    "succeed",
]


@inlined
def asker_first(tenancy: Tenancy, stays: Stays, lane: int) -> int:
    """Return the asker of the first job of a lane."""
    return int(tenancy.asker_of[nth(first_of(stays, lane))])


@kernel
def is_claimant(tenancy: Tenancy, stays: Stays, lane: int) -> bool:
    """Return whether the first job of a lane may be able to make room, or has to be tried in every pass."""
    number = asker_first(tenancy, stays, lane)
    asker = tenancy.asker[nth(number)]
    resource = int(asker["resource"])
    if resource == ANY_TYPE:
        return True
    if tenancy.state[Share.PREEMPTS] == 0:
        return False
    reclaim = tenancy.state[Share.RECLAIM]
    if resource != NOBODY and (
        reclaim == Reclaim.FAIR or (reclaim != Reclaim.NEVER and is_within_quota(tenancy, number, resource))
    ):
        return True
    prey = int(tenancy.prey_of[nth(asker["tenant"])])
    if prey == NOBODY:
        return False
    level = level_of_waiting(stays, first_of(stays, lane))
    return bool(tenancy.state[Share.LISTED] > 0 or -tenancy.prey.item[nth(prey)]["first"] > level)


@inlined
def _put_lane(tenancy: Tenancy, stays: Stays, lane: int, place: int) -> None:
    """Put a lane into the heap with a number: of the demands to be tried, of their claims, of pairs."""
    row = first_of(stays, lane)
    tenant = tenancy.asker[nth(tenancy.asker_of[nth(row)])]["tenant"]
    set_key(tenancy.lanes, lane, int(tenancy.share_bits[nth(tenant)]), int(stays.stay[nth(row)]["key"]), row)
    demands = tenancy.ready.size
    tenancy.place[nth(lane)] = place
    if place < demands:
        tenancy.ready[nth(place)] = put(tenancy.lanes, int(tenancy.ready[nth(place)]), lane)
    elif place < 2 * demands:
        tenancy.claim[nth(place - demands)] = put(tenancy.lanes, int(tenancy.claim[nth(place - demands)]), lane)
    else:
        pair = tenancy.pair[nth(place - 2 * demands)]
        pair["root"] = put(tenancy.lanes, int(pair["root"]), lane)


@kernel
def leave_lane(tenancy: Tenancy, lane: int) -> None:
    """Take a lane out of the heap it is in, if it is in any."""
    place, demands = int(tenancy.place[nth(lane)]), tenancy.ready.size
    tenancy.place[nth(lane)] = NOBODY
    if place == NOBODY:
        return
    if place < demands:
        tenancy.ready[nth(place)] = take_out(tenancy.lanes, int(tenancy.ready[nth(place)]), lane)
    elif place < 2 * demands:
        tenancy.claim[nth(place - demands)] = take_out(tenancy.lanes, int(tenancy.claim[nth(place - demands)]), lane)
    else:
        pair = tenancy.pair[nth(place - 2 * demands)]
        pair["root"] = take_out(tenancy.lanes, int(pair["root"]), lane)


@inlined
def is_claim(tenancy: Tenancy, lane: int) -> bool:
    """Return whether a lane is among the claims."""
    demands = tenancy.ready.size
    return bool(demands <= tenancy.place[nth(lane)] < 2 * demands)


@kernel
def enter_lane(tenancy: Tenancy, stays: Stays, lane: int) -> None:
    """Let a lane be tried that is in no heap."""
    wish = int(tenancy.asker[nth(asker_first(tenancy, stays, lane))]["wish"])
    if is_claimant(tenancy, stays, lane):
        keep_lane(tenancy, stays, lane)
        tenancy.quiet[nth(wish)] = NOBODY
    else:
        _put_lane(tenancy, stays, lane, wish)


@kernel
def keep_lane(tenancy: Tenancy, stays: Stays, lane: int) -> None:
    """Put a lane among the claims."""
    wish = int(tenancy.asker[nth(asker_first(tenancy, stays, lane))]["wish"])
    _put_lane(tenancy, stays, lane, tenancy.ready.size + wish)


@kernel
def hold_lane(tenancy: Tenancy, stays: Stays, lane: int, link: int) -> None:
    """Let a lane that is in no heap wait until the tenant or group at a link has room."""
    _put_lane(tenancy, stays, lane, 2 * tenancy.ready.size + int(tenancy.link[nth(link)]["pair"]))


@kernel
def _let_first(tenancy: Tenancy, stays: Stays, node: int, number: int) -> None:
    """Let the first lane that is held at a pair be tried, if its node has room."""
    if number == NOBODY:
        return
    pair = tenancy.pair[nth(number)]
    lane = int(pair["root"])
    if lane != NOBODY and has_room(tenancy, node, int(pair["resource"]), int(pair["gpus"])):
        leave_lane(tenancy, lane)
        enter_lane(tenancy, stays, lane)


@kernel
def succeed(tenancy: Tenancy, stays: Stays, number: int) -> None:
    """Let the next be tried of those held where a job of an asker was not, now that it has started or is held."""
    asker = tenancy.asker[nth(number)]
    for at in range(asker["first_link"], asker["first_link"] + asker["links"]):
        link = tenancy.link[nth(at)]
        _let_first(tenancy, stays, int(link["node"]), int(link["pair"]))


@kernel
def open_up(tenancy: Tenancy, stays: Stays, number: int, resource: int) -> None:
    """Let those be tried who are held at what a job of an asker was charged to; it has been taken off them.

    Where a tenant has less than it keeps, also those below it that are held above it: they lack less there now.
    """
    asker = tenancy.asker[nth(number)]
    tenants = tenancy.parent.size
    resources = tenancy.quota.size // tenants
    below = NOBODY
    for at in range(asker["first_link"], asker["first_link"] + asker["links"]):
        node = int(tenancy.link[nth(at)]["node"])
        for pair in range(tenancy.pair_of_node[nth(node)], tenancy.pair_of_node[nth(node + 1)]):
            if tenancy.pair[nth(pair)]["root"] != NOBODY:
                _let_first(tenancy, stays, node, pair)
        if node < tenants:
            quota = tenancy.quota[nth(node * resources + resource)]
            if quota["used"] < quota["kept"]:
                below = node
    if below != NOBODY:
        demands = tenancy.ready.size
        first, last = tenancy.lane_of_tenant[nth(below)], tenancy.lane_of_tenant[nth(tenancy.end[nth(below)])]
        for lane in range(first, last):
            if tenancy.place[nth(lane)] >= 2 * demands:
                leave_lane(tenancy, lane)
                enter_lane(tenancy, stays, lane)


@kernel
def reconsider(tenancy: Tenancy, stays: Stays, tenant: int) -> None:
    """Put the lanes of a tenant among the claims that belong there now."""
    if tenancy.state[Share.PREEMPTS] == 0:
        return
    for lane in range(tenancy.lane_of_tenant[nth(tenant)], tenancy.lane_of_tenant[nth(tenant + 1)]):
        if tenancy.place[nth(lane)] != NOBODY and not is_claim(tenancy, lane) and is_claimant(tenancy, stays, lane):
            leave_lane(tenancy, lane)
            enter_lane(tenancy, stays, lane)


@kernel
def reorder(tenancy: Tenancy, stays: Stays, number: int) -> None:
    """Bring the share of an asker's tenant up to date, and the places of its lanes."""
    tenant = int(tenancy.asker[nth(number)]["tenant"])
    if tenancy.state[Share.BETWEEN] == Between.QUEUE or not note_share(tenancy, tenant):
        return
    for lane in range(tenancy.lane_of_tenant[nth(tenant)], tenancy.lane_of_tenant[nth(tenant + 1)]):
        place = int(tenancy.place[nth(lane)])
        if place != NOBODY:
            leave_lane(tenancy, lane)
            _put_lane(tenancy, stays, lane, place)


@inlined
def head_of(tenancy: Tenancy, wish: int) -> int:
    """Return the lane of a demand that is tried next, or NOBODY."""
    lane = NOBODY
    if tenancy.no_room[nth(wish)] != tenancy.state[Share.ROOM]:
        lane = int(tenancy.ready[nth(wish)])
    if tenancy.quiet[nth(wish)] != tenancy.state[Share.CHANCE]:
        other = int(tenancy.claim[nth(wish)])
        if lane == NOBODY or (other != NOBODY and goes_before(tenancy.lanes, other, lane)):
            lane = other
    return lane
