"""Who is left off in a round, told lane by lane: of most who wait it is known that they find no room, or are held.

A *lane* is of jobs that are kin and of one asker.  Whether any of them may start now is asked once, and then only
their levels and lengths are compared.  Who is left off for want of room would be told so at its turn, too.
"""

from __future__ import annotations

from typing import Any

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Promise
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.joint_admission import holder_of_asker
from gpuyard.kernel.joint_memory import holds_now, is_counted, is_known, is_known_beside, is_told, may_claim
from gpuyard.kernel.joint_tables import Joint, Ordered, Party
from gpuyard.kernel.partitions import Partitions, Round, has_head, made_for_all, partition_of
from gpuyard.kernel.scored_queue import Passing
from gpuyard.kernel.tenancy import Ledger, Reclaim, Share

__all__ = ["is_all_off", "is_off", "leave_off", "look_anew", "look_at"]


@kernel
def leave_off(ledger: Ledger, expected: Expectations, partitions: Partitions, joint: Joint, now: int) -> None:
    """Leave off who is known to find no room, or is held; if that is half of the only queue, it is in no order yet.

    Of a queue whose head is sought: who is not admitted either.  Who is not will not be while jobs only start, so it is
    not the head.
    """
    state = joint.state
    look_anew(partitions, joint, now)
    for each in range(state[Party.MANNED]):
        its = joint.queue[nth(joint.queue[nth(each)]["manned"])]
        first, size = int(its["first"]), int(its["size"])
        kept = first
        for at in range(first, first + size):
            place = int(joint.turn[nth(at)])
            lane = joint.lane[nth(joint.entry[nth(place)]["lane"])]
            if lane["look"] != state[Party.LOOK]:
                look_at(ledger, expected, partitions, joint, lane)
            if not is_off(joint, lane, place):
                joint.turn[nth(kept)] = place
                kept += 1
        its["size"] = kept - first
        if kept < first + size and state[Party.ORDERED] == Ordered.ALL:
            state[Party.ORDERED] = Ordered.NOT
        if 2 * (kept - first) <= size and state[Party.ORDERED] == Ordered.NOT:
            state[Party.ORDERED] = Ordered.LATER


@inlined
def look_anew(partitions: Partitions, joint: Joint, now: int) -> None:
    """Let what is known of all lanes be looked at again when it is asked for: somebody was tried, or a pass began."""
    soon = NEVER
    for place in range(partitions.state[Round.HEADS]):
        soon = min(soon, int(partitions.own[nth(partitions.own[nth(place)]["listed"])]["shadow"] - now))
    joint.state[Party.SOON] = soon
    joint.state[Party.LOOK] += 1


@inlined
def is_off(joint: Joint, lane: Any, place: int) -> bool:
    """Return whether the job at a place of a lane that was looked at does not start now.

    Those that are not short for all heads may be known to find no room beside what is reserved.
    """
    entry = joint.entry[nth(place)]
    level, length = int(entry["level"]), entry["length"]
    return bool(
        is_told(lane["level"], lane["exact"], level)
        or (
            is_told(lane["beside_level"], lane["beside_exact"], level)
            and length > joint.state[Party.SOON]
            and lane["beside_length"] <= length
        )
    )


@inlined
def is_all_off(lane: Any) -> bool:
    """Return whether none of a lane that was looked at starts now, as its levels alone tell."""
    return bool(lane["level"] <= lane["least"] and is_told(lane["level"], lane["exact"], lane["most"]))


@kernel
def look_at(ledger: Ledger, expected: Expectations, partitions: Partitions, joint: Joint, lane: Any) -> None:
    """Write from which level on jobs of a lane do not start now, and those that stay longer than some time do not."""
    state, row, kin = joint.state, int(lane["row"]), int(lane["kin"])
    breed = int(joint.vain[nth(kin)]["breed"])
    lane["look"] = state[Party.LOOK]
    lane["level"], lane["beside_level"], lane["beside_length"] = NEVER, NEVER, 0
    lane["exact"], lane["beside_exact"] = 0, 0
    claims = ledger.state[Share.RECLAIM] != Reclaim.NEVER and may_claim(ledger, row)
    if kin != breed:
        _learn(partitions, joint, lane, kin)
    if is_counted(ledger, claims):
        _learn(partitions, joint, lane, breed)
    if lane["level"] < NEVER or lane["beside_level"] < NEVER:
        sought = state[Party.PASSING] == Passing.BESIDE and not has_head(partitions, partition_of(partitions, row))
        if sought and holder_of_asker(ledger, row) == NOBODY:
            lane["level"], lane["beside_level"] = NEVER, NEVER
    number = int(ledger.asker_of[nth(row)])
    if state[Party.HOLDS] > 0 and holds_now(ledger, joint, row):
        _lower(lane, int(joint.held[nth(number)]["level"]), int(state[Party.EXACT]))
    if state[Party.SKIPS] > 0 and joint.over[nth(number)] == state[Party.ROUND]:
        lane["level"], lane["exact"] = -NEVER, 0
    counts = expected.promise[Promise.COUNTS] > 0 and partitions.own.size == 1  # what the only head leaves gets less
    if counts and ledger.asker[nth(number)]["gpus"] > expected.promise[Promise.EXTRA]:
        lane["beside_level"], lane["beside_length"], lane["beside_exact"] = -NEVER, 0, 0


@inlined
def _lower(lane: Any, level: int, exact: int) -> None:
    """Let none of a lane start from a level on, or of ``exact``ly that level, if that is more than what is written."""
    if level < lane["level"] if exact == lane["exact"] else lane["level"] == NEVER or exact == 0:
        lane["level"], lane["exact"] = level, exact


@inlined
def _learn(partitions: Partitions, joint: Joint, lane: Any, at: int) -> None:
    """Write what is known of a kin or breed."""
    this = joint.vain[nth(at)]
    if is_known(joint, this, NEVER if joint.state[Party.OPENS] > 0 else 1):
        _lower(lane, int(this["level"]), int(this["exact"]))
    if (
        is_known_beside(partitions, joint, this, made_for_all(partitions))
        and this["beside_level"] < lane["beside_level"]
    ):
        anyhow = partitions.own.size == 1 and joint.state[Party.OPENS] > 0
        lane["beside_level"], lane["beside_length"] = this["beside_level"], 0 if anyhow else this["beside_length"]
        lane["beside_exact"] = this["beside_exact"]
