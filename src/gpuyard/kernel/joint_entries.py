"""The waiting jobs of each lane, in no order: who joins it, who leaves it, and who is moved to another place."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY
from gpuyard.kernel.jit import inlined
from gpuyard.kernel.joint_tables import Joint, Party

__all__ = ["enter_lane", "leave_lane", "move_entry", "set_level"]


@inlined
def enter_lane(joint: Joint, place: int, row: int, level: int, length: int) -> None:
    """Let the job at a place wait in its lane."""
    number = int(joint.lane_of[nth(row)])
    entry, lane = joint.entry[nth(place)], joint.lane[nth(number)]
    entry["row"], entry["level"], entry["length"], entry["lane"] = row, level, length, number
    entry["before"], entry["after"] = NOBODY, lane["first"]
    if lane["first"] == NOBODY:
        lane["least"], lane["most"], lane["stands"] = NEVER, -NEVER, joint.state[Party.LANES]
        joint.lane[nth(joint.state[Party.LANES])]["listed"] = number
        joint.state[Party.LANES] += 1
    else:
        joint.entry[nth(lane["first"])]["before"] = place
    lane["first"] = place
    lane["least"], lane["most"] = min(lane["least"], level), max(lane["most"], level)


@inlined
def set_level(joint: Joint, place: int, level: int) -> None:
    """Give the job at a place another level."""
    entry = joint.entry[nth(place)]
    entry["level"] = level
    lane = joint.lane[nth(entry["lane"])]
    lane["least"], lane["most"] = min(lane["least"], level), max(lane["most"], level)


@inlined
def leave_lane(joint: Joint, place: int) -> None:
    """Let the job at a place not wait in its lane any more; its place is a gap in the list."""
    entry = joint.entry[nth(place)]
    if entry["before"] == NOBODY:
        joint.lane[nth(entry["lane"])]["first"] = entry["after"]
    else:
        joint.entry[nth(entry["before"])]["after"] = entry["after"]
    if entry["after"] != NOBODY:
        joint.entry[nth(entry["after"])]["before"] = entry["before"]
    lane = joint.lane[nth(entry["lane"])]
    if lane["first"] == NOBODY:
        joint.state[Party.LANES] -= 1
        last = int(joint.lane[nth(joint.state[Party.LANES])]["listed"])
        joint.lane[nth(lane["stands"])]["listed"] = last
        joint.lane[nth(last)]["stands"] = lane["stands"]
    entry["after"] = joint.state[Party.GAPS] - 1
    joint.state[Party.GAPS] = place + 1


@inlined
def move_entry(joint: Joint, place: int, other: int) -> None:
    """Let the job at another place wait at this one."""
    joint.entry[nth(place)] = joint.entry[nth(other)]
    entry = joint.entry[nth(place)]
    if entry["before"] == NOBODY:
        joint.lane[nth(entry["lane"])]["first"] = place
    else:
        joint.entry[nth(entry["before"])]["after"] = place
    if entry["after"] != NOBODY:
        joint.entry[nth(entry["after"])]["before"] = place
