"""Lanes of a shared cluster: which are to be tried, and which wait for their tenant's quota or their group's limit.

A lane is in one heap at most: of those to be tried of a demand, of its *claims* (lanes that may make room, and the few
that have to be tried in every pass), of those that wait for a number of GPUs to be free or lent, which they would need
even if all could be taken, of those that wait for a number of slots to be given back, or of those held at a pair of a
node and a demand.  Of the lanes held at a pair
the first alone comes back when there is room again, and the next when that one starts or is held elsewhere: so a pass
costs no more for the tenants that wait.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.envy import may_take_by_share, next_envious, note_envy, note_refused, was_refused
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.levels import level_of_waiting
from gpuyard.kernel.line import first_of
from gpuyard.kernel.pairing import Pairing, bring_forward, goes_before, put, put_off, take_out
from gpuyard.kernel.quotas import has_room, is_within_quota, note_share, resources_of
from gpuyard.kernel.stays import Stays
from gpuyard.kernel.tenancy import ANY_TYPE, Between, Held, Ledger, Reclaim, Share, Tenancy, Waiting

__all__ = [
    "anybody_waits_for_more",
    "asker_first",
    "enter_lane",
    "hold_lane",
    "is_claimant",
    "keep_lane",
    "leave_lane",
    "lose_hope",
    "note_first",
    "note_turns",
    "open_up",
    "put_aside",
    "raise_envious",
    "raise_hopes",
    "reconsider",
    "reorder",
    "succeed",
    "takes_own_only",
    "wait_for_slots",
]


_HOPES = 2
_WAITS = 3
"""Heaps of lanes that wait for numbers: of GPUs (the hopes), of slots."""


@inlined
def asker_first(tenancy: Tenancy, lane: int) -> int:
    """Return the asker of the first job of a lane."""
    if tenancy.ledger.state[Share.FIT] > 0:
        return lane
    return int(tenancy.ledger.asker_of[nth(tenancy.waiting.lanes.item[nth(lane)]["third"])])


@inlined
def is_claimant(tenancy: Tenancy, lane: int) -> bool:
    """Return whether the first job of a lane may be able to make room, or has to be tried in every pass."""
    number = asker_first(tenancy, lane)
    asker = tenancy.ledger.asker[nth(number)]
    resource = int(asker["resource"])
    if resource == ANY_TYPE:
        return True
    if tenancy.ledger.state[Share.PREEMPTS] == 0:
        return False
    reclaim = tenancy.ledger.state[Share.RECLAIM]
    if resource != NOBODY:
        if reclaim == Reclaim.FAIR:
            if may_take_by_share(tenancy, number):
                return True
        elif reclaim != Reclaim.NEVER and is_within_quota(tenancy.ledger, number, resource):
            return True
    prey = int(tenancy.ledger.tenant[nth(asker["tenant"])]["prey"])
    if prey == NOBODY:
        return False
    level = tenancy.waiting.lanes.item[nth(lane)]["level"]
    return bool(tenancy.ledger.state[Share.LISTED] > 0 or -tenancy.booty.prey.item[nth(prey)]["first"] > level)


@inlined
def takes_own_only(ledger: Ledger, number: int) -> bool:
    """Return whether a job of an asker may take from its own tenant alone."""
    resource, reclaim = int(ledger.asker[nth(number)]["resource"]), ledger.state[Share.RECLAIM]
    if resource == ANY_TYPE:
        return False
    if resource == NOBODY or reclaim == Reclaim.NEVER:
        return True
    return bool(reclaim != Reclaim.FAIR and not is_within_quota(ledger, number, resource))


@inlined
def note_first(tenancy: Tenancy, stays: Stays, lane: int) -> None:
    """Note the first job of a lane that is in no heap; everything here goes by that note."""
    row = first_of(stays, lane)
    item = tenancy.waiting.lanes.item[nth(lane)]
    item["second"], item["third"] = stays.stay[nth(row)]["key"], row
    if tenancy.ledger.state[Share.PREEMPTS] > 0 and tenancy.ledger.state[Share.ALIKE] == 0:
        item["level"] = level_of_waiting(stays, row)


@inlined
def _note_share(tenancy: Tenancy, lane: int) -> None:
    """Give a lane that is in no heap the key by which it is tried: its tenant's share, then its first job."""
    item = tenancy.waiting.lanes.item[nth(lane)]
    item["share"] = tenancy.ledger.tenant[nth(tenancy.ledger.asker[nth(asker_first(tenancy, lane))]["tenant"])]["share"]
    item["first"] = 0


@inlined
def _put_lane(tenancy: Tenancy, lane: int, place: int) -> None:
    """Put a lane into the heap with a number: of the demands to be tried, of their claims, of pairs."""
    waiting = tenancy.waiting
    _note_share(tenancy, lane)
    waiting.lanes.item[nth(lane)]["heap"] = place
    demands = waiting.wish.size
    if place < demands:
        wish = waiting.wish[nth(place)]
        wish["ready"] = put(waiting.lanes, int(wish["ready"]), lane)
    elif place < 2 * demands:
        wish = waiting.wish[nth(place - demands)]
        wish["claim"] = put(waiting.lanes, int(wish["claim"]), lane)
        waiting.state[Held.CLAIMS] += 1
    else:
        pair = waiting.pair[nth(place - 2 * demands - _WAITS)]
        pair["root"] = put(waiting.lanes, int(pair["root"]), lane)
        waiting.state[Held.LANES] += 1


@kernel
def leave_lane(waiting: Waiting, lane: int) -> None:
    """Take a lane out of the heap it is in, if it is in any."""
    item, demands = waiting.lanes.item[nth(lane)], waiting.wish.size
    place = int(item["heap"])
    item["heap"] = NOBODY
    if place == NOBODY:
        return
    if place < demands:
        wish = waiting.wish[nth(place)]
        wish["ready"] = take_out(waiting.lanes, int(wish["ready"]), lane)
    elif place < 2 * demands:
        wish = waiting.wish[nth(place - demands)]
        wish["claim"] = take_out(waiting.lanes, int(wish["claim"]), lane)
        waiting.state[Held.CLAIMS] -= 1
    elif place < 2 * demands + _WAITS:
        hope = place - 2 * demands
        waiting.state[nth(hope)] = take_out(waiting.lanes, int(waiting.state[nth(hope)]), lane)
    else:
        pair = waiting.pair[nth(place - 2 * demands - _WAITS)]
        pair["root"] = take_out(waiting.lanes, int(pair["root"]), lane)
        waiting.state[Held.LANES] -= 1


@kernel
def enter_lane(tenancy: Tenancy, lane: int) -> None:
    """Let a lane be tried that is in no heap."""
    number = asker_first(tenancy, lane)
    wish, state = int(tenancy.ledger.asker[nth(number)]["wish"]), tenancy.ledger.state
    if tenancy.waiting.wish[nth(wish)]["no_room"] != state[Share.ROOM]:
        state[Share.STIRRED] += 1
        state[Share.CAME] = wish
    if is_claimant(tenancy, lane):
        keep_lane(tenancy, lane)
        tenancy.waiting.wish[nth(wish)]["quiet"] = NOBODY
        state[Share.STIRRED] += 1
    else:
        _put_lane(tenancy, lane, wish)
        note_envy(tenancy, lane, number)


@kernel
def keep_lane(tenancy: Tenancy, lane: int) -> None:
    """Put a lane among the claims."""
    wish = int(tenancy.ledger.asker[nth(asker_first(tenancy, lane))]["wish"])
    _put_lane(tenancy, lane, tenancy.waiting.wish.size + wish)


@kernel
def hold_lane(tenancy: Tenancy, lane: int, link: int) -> None:
    """Let a lane that is in no heap wait until the tenant or group at a link has room."""
    first = 2 * tenancy.waiting.wish.size + _WAITS
    _put_lane(tenancy, lane, first + int(tenancy.ledger.link[nth(link)]["pair"]))
    note_envy(tenancy, lane, asker_first(tenancy, lane))


@kernel
def lose_hope(tenancy: Tenancy, lane: int) -> bool:
    """Let a lane that is in no heap wait for GPUs, if there would be too few of them even if all could be taken.

    Return whether there are too few.
    """
    ledger, waiting = tenancy.ledger, tenancy.waiting
    number = asker_first(tenancy, lane)
    asker, reclaim = ledger.asker[nth(number)], ledger.state[Share.RECLAIM]
    lent = asker["resource"] != NOBODY and (
        reclaim == Reclaim.FAIR
        or asker["resource"] == ANY_TYPE
        or (reclaim != Reclaim.NEVER and is_within_quota(ledger, number, int(asker["resource"])))
    )
    needed = int(asker["gpus"] - ledger.tenant[nth(asker["tenant"])]["prey_gpus"])
    if asker["gpus"] == 0 or needed <= _reach(ledger, lent):
        return False
    item = waiting.lanes.item[nth(lane)]
    item["share"], item["first"] = 0.0, needed
    hope = Held.CLAIM_HOPE.value if lent else Held.HOPE.value
    item["heap"] = 2 * waiting.wish.size + hope
    waiting.state[nth(hope)] = put(waiting.lanes, int(waiting.state[nth(hope)]), lane)
    return True


@kernel
def wait_for_slots(tenancy: Tenancy, lane: int, given: int) -> None:
    """Let a lane that is in no heap wait until so many slots were given back, ever since the beginning."""
    item, waiting = tenancy.waiting.lanes.item[nth(lane)], tenancy.waiting
    item["share"], item["first"] = 0.0, given
    item["heap"] = 2 * waiting.wish.size + Held.PATIENCE.value
    waiting.state[Held.PATIENCE] = put(waiting.lanes, int(waiting.state[Held.PATIENCE]), lane)


@inlined
def _reach(ledger: Ledger, lent: bool) -> int:
    """Return the thousandths of GPUs that are free, and lent if that counts."""
    return int(ledger.state[Share.FREE] + (ledger.state[Share.LENT] if lent else 0))


@inlined
def raise_hopes(tenancy: Tenancy, after: int) -> bool:
    """Let those be tried who waited for GPUs and may find enough; those who had their turn in the next round.

    That are those before the lane ``after``, unless it is NOBODY.  Return whether there are such.
    """
    state = tenancy.waiting.state
    return (state[Held.HOPE] != NOBODY or state[Held.CLAIM_HOPE] != NOBODY) and _raise_hopes(tenancy, after)


@kernel
def _raise_hopes(tenancy: Tenancy, after: int) -> bool:
    waiting, ledger = tenancy.waiting, tenancy.ledger
    found = False
    for hope in range(_HOPES):
        while True:
            lane = int(waiting.state[nth(hope)])
            if lane == NOBODY or waiting.lanes.item[nth(lane)]["first"] > _reach(ledger, hope == Held.CLAIM_HOPE):
                break
            leave_lane(waiting, lane)
            _note_share(tenancy, lane)
            if after != NOBODY and (was_refused(tenancy, lane) or goes_before(waiting.lanes, lane, after)):
                put_aside(tenancy, lane)
            else:
                enter_lane(tenancy, lane)
            found = True
    return found


@inlined
def put_aside(tenancy: Tenancy, lane: int) -> None:
    """Let a lane that is in no heap stand aside."""
    state = tenancy.ledger.state
    tenancy.waiting.aside[nth(state[Share.ASIDE])] = lane
    state[Share.ASIDE] += 1


@inlined
def raise_envious(tenancy: Tenancy, after: int) -> bool:
    """As :func:`raise_hopes`, those who may take from others now; who had his turn waits for the next round."""
    return tenancy.waiting.state[Held.ENVY] != NOBODY and _raise_envious(tenancy, after)


@kernel
def _raise_envious(tenancy: Tenancy, after: int) -> bool:
    waiting, demands = tenancy.waiting, tenancy.waiting.wish.size
    found = False
    lane = next_envious(tenancy)
    while lane != NOBODY:
        heap = int(waiting.lanes.item[nth(lane)]["heap"])
        if 0 <= heap < demands or heap >= 2 * demands + _WAITS:
            if not is_claimant(tenancy, lane):
                note_envy(tenancy, lane, asker_first(tenancy, lane))
            else:
                leave_lane(waiting, lane)
                _note_share(tenancy, lane)
                if after != NOBODY and (was_refused(tenancy, lane) or goes_before(waiting.lanes, lane, after)):
                    put_aside(tenancy, lane)
                else:
                    enter_lane(tenancy, lane)
                found = True
        lane = next_envious(tenancy)
    return found


@inlined
def note_turns(tenancy: Tenancy, lane: int) -> None:
    """Note that a tenant's lanes before one that starts a job had their turn: they may stand behind others now."""
    state = tenancy.waiting.state
    if state[Held.ENVY] != NOBODY or (
        state[Held.CLAIM_HOPE] != NOBODY and tenancy.ledger.state[Share.BETWEEN] != Between.QUEUE
    ):
        _note_turns(tenancy, lane)


@kernel
def _note_turns(tenancy: Tenancy, lane: int) -> None:
    tenant = tenancy.ledger.tenant[nth(tenancy.ledger.asker[nth(asker_first(tenancy, lane))]["tenant"])]
    one = tenancy.waiting.lanes.item[nth(lane)]
    for other in range(tenant["first_lane"], tenant["last_lane"]):
        its = tenancy.waiting.lanes.item[nth(other)]
        if its["heap"] >= 0 and (
            its["second"] < one["second"] or (its["second"] == one["second"] and its["third"] < one["third"])
        ):
            note_refused(tenancy, other)


@kernel
def _let_first(tenancy: Tenancy, node: int, number: int) -> None:
    """Let the first lane that is held at a pair be tried, if its node has room."""
    if number == NOBODY:
        return
    pair = tenancy.waiting.pair[nth(number)]
    lane = int(pair["root"])
    if lane != NOBODY and has_room(tenancy.ledger, node, int(pair["resource"]), int(pair["gpus"])):
        leave_lane(tenancy.waiting, lane)
        enter_lane(tenancy, lane)


@inlined
def succeed(tenancy: Tenancy, number: int) -> None:
    """Let the next be tried of those held where a job of an asker was not, now that it has started or is held."""
    if tenancy.waiting.state[Held.LANES] > 0:
        _succeed(tenancy, number)


@kernel
def _succeed(tenancy: Tenancy, number: int) -> None:
    asker = tenancy.ledger.asker[nth(number)]
    for at in range(asker["first_link"] + asker["open_links"], asker["first_link"] + asker["links"]):
        link = tenancy.ledger.link[nth(at)]
        _let_first(tenancy, int(link["node"]), int(link["pair"]))


@inlined
def open_up(tenancy: Tenancy, number: int, resource: int) -> None:
    """Let those be tried who are held at what a job of an asker was charged to; it has been taken off them.

    Where a tenant has less than it keeps, also those below it that are held above it: they lack less there now.
    """
    if tenancy.waiting.state[Held.LANES] > 0:
        _open_up(tenancy, number, resource)


@kernel
def _open_up(tenancy: Tenancy, number: int, resource: int) -> None:
    ledger, waiting = tenancy.ledger, tenancy.waiting
    asker = ledger.asker[nth(number)]
    tenants, resources = ledger.tenant.size, resources_of(ledger)
    below = NOBODY
    for at in range(asker["first_link"] + asker["open_links"], asker["first_link"] + asker["links"]):
        node = int(ledger.link[nth(at)]["node"])
        for pair in range(waiting.pair_of_node[nth(node)], waiting.pair_of_node[nth(node + 1)]):
            if waiting.pair[nth(pair)]["root"] != NOBODY:
                _let_first(tenancy, node, pair)
        if node < tenants:
            quota = ledger.quota[nth(node * resources + resource)]
            if quota["used"] < quota["kept"]:
                below = node
    if below != NOBODY:
        this, demands = ledger.tenant[nth(below)], waiting.wish.size
        for lane in range(this["first_lane"], this["end_lane"]):
            if waiting.lanes.item[nth(lane)]["heap"] >= 2 * demands + _WAITS:
                leave_lane(waiting, lane)
                enter_lane(tenancy, lane)


@inlined
def anybody_waits_for_more(tenancy: Tenancy) -> bool:
    """Return whether there are lanes that wait for GPUs or slots, or are held."""
    state = tenancy.waiting.state
    return bool(
        state[Held.HOPE] != NOBODY
        or state[Held.CLAIM_HOPE] != NOBODY
        or state[Held.PATIENCE] != NOBODY
        or state[Held.LANES] > 0
    )


@inlined
def reconsider(tenancy: Tenancy, tenant: int, offered: int) -> None:
    """Put the lanes of a tenant among the claims that belong there now; ``offered``: slots that may be taken away now.

    Those that wait for slots need so many fewer, unless they may take from other tenants now.
    """
    if (
        tenancy.ledger.state[Share.PREEMPTS] > 0
        and tenancy.ledger.tenant[nth(tenant)]["waiting"] > 0
        and not _is_out_of_reach(tenancy, tenant)
    ):
        _reconsider(tenancy, tenant, offered)


@inlined
def _is_out_of_reach(tenancy: Tenancy, tenant: int) -> bool:
    """Return whether it is plain that no lane of a tenant is a claimant, and that none waits for a number.

    That is where even its smallest job goes above its quota, and it takes from others only within that, and never from
    itself.
    """
    ledger, held = tenancy.ledger, tenancy.waiting.state
    state = ledger.state
    if state[Share.ALIKE] == 0 or state[Share.RESOURCES] != 1:
        return False
    if held[Held.HOPE] != NOBODY or held[Held.CLAIM_HOPE] != NOBODY or held[Held.PATIENCE] != NOBODY:
        return False
    quota = ledger.quota[nth(tenant)]
    return bool(quota["own_used"] + ledger.tenant[nth(tenant)]["least"] > quota["own_nominal"])


@kernel
def _reconsider(tenancy: Tenancy, tenant: int, offered: int) -> None:
    this, waiting = tenancy.ledger.tenant[nth(tenant)], tenancy.waiting
    for lane in range(this["first_lane"], this["last_lane"]):
        heap, demands = int(waiting.lanes.item[nth(lane)]["heap"]), waiting.wish.size
        if heap == 2 * demands + Held.PATIENCE:
            needed = int(waiting.lanes.item[nth(lane)]["first"]) - offered
            patient = needed > tenancy.ledger.state[Share.GIVEN] and takes_own_only(
                tenancy.ledger, asker_first(tenancy, lane)
            )
            if offered > 0 or not patient:
                leave_lane(waiting, lane)
                if patient:
                    wait_for_slots(tenancy, lane, needed)
                else:
                    enter_lane(tenancy, lane)
        elif 0 <= heap < demands or heap >= 2 * demands:
            if is_claimant(tenancy, lane):
                leave_lane(waiting, lane)
                enter_lane(tenancy, lane)
            else:
                note_envy(tenancy, lane, asker_first(tenancy, lane))


@inlined
def reorder(tenancy: Tenancy, number: int) -> None:
    """Bring the share of an asker's tenant up to date, and the places of its lanes, if it has any.

    A lane that was let in as the first of those held at a pair may not be that any more, and one that is held may be:
    then the first that is held is let in as well.
    """
    if tenancy.ledger.state[Share.BETWEEN] != Between.QUEUE:
        tenant = int(tenancy.ledger.asker[nth(number)]["tenant"])
        if tenancy.ledger.tenant[nth(tenant)]["waiting"] > 0 and note_share(tenancy.ledger, tenant):
            _reorder(tenancy, tenant)


@kernel
def _reorder(tenancy: Tenancy, tenant: int) -> None:
    this = tenancy.ledger.tenant[nth(tenant)]
    for lane in range(this["first_lane"], this["last_lane"]):
        heap = int(tenancy.waiting.lanes.item[nth(lane)]["heap"])
        demands = tenancy.waiting.wish.size
        if 0 <= heap < 2 * demands or heap >= 2 * demands + _WAITS:
            _move_lane(tenancy.waiting, lane, heap, float(this["share"]))
            succeed(tenancy, asker_first(tenancy, lane))


@inlined
def _move_lane(waiting: Waiting, lane: int, place: int, share: float) -> None:
    """Give a lane in the heap with a number another share."""
    demands = waiting.wish.size
    if place < demands:
        wish = waiting.wish[nth(place)]
        wish["ready"] = _move(waiting.lanes, int(wish["ready"]), lane, share)
    elif place < 2 * demands:
        wish = waiting.wish[nth(place - demands)]
        wish["claim"] = _move(waiting.lanes, int(wish["claim"]), lane, share)
    else:
        pair = waiting.pair[nth(place - 2 * demands - _WAITS)]
        pair["root"] = _move(waiting.lanes, int(pair["root"]), lane, share)


@kernel
def _move(lanes: Pairing, root: int, lane: int, share: float) -> int:
    """Give a lane of a heap another share; return the root."""
    item = lanes.item[nth(lane)]
    sooner = share < item["share"]
    item["share"] = share
    return bring_forward(lanes, root, lane) if sooner else put_off(lanes, root, lane)
