"""Waiting jobs stand in the list of their lane, whoever joins, leaves or is moved; gaps of the list are known."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.joint_entries import enter_lane, leave_lane, move_entry, set_level
from gpuyard.kernel.joint_tables import LANE, Joint, Party, build_joint

_JOBS, _LANES = 24, 4


def empty() -> Joint:
    lane = np.zeros(_LANES, LANE)
    lane["first"] = NOBODY
    return build_joint(
        tenants=1,
        groups=0,
        askers=1,
        partitions=1,
        running=0,
        lane_of=(np.arange(_JOBS) % _LANES).astype(np.int32),
        lane=lane,
        breed=np.zeros(1, np.int64),
        shut=np.zeros(1, np.int8),
        place=np.zeros(_JOBS, np.int32),
        fits=np.ones((1, 1), np.bool_),
        demands=1,
        lists=(np.empty(0, np.int16), np.empty((0, 0), np.int8)),
        state=np.zeros(Party.SIZE, np.int64),
    )


def rows_of(joint: Joint, number: int) -> list[int]:
    """Return who stands in a lane; each knows who is before it."""
    rows, before, place = [], NOBODY, int(joint.lane[number]["first"])
    while place != NOBODY:
        entry = joint.entry[place]
        assert entry["before"] == before
        assert joint.lane[number]["least"] <= entry["level"] <= joint.lane[number]["most"]
        rows.append(int(entry["row"]))
        before, place = place, int(entry["after"])
    return sorted(rows)


def gaps_of(joint: Joint) -> list[int]:
    found, gap = [], int(joint.state[Party.GAPS]) - 1
    while gap != NOBODY:
        found.append(gap)
        gap = int(joint.entry[gap]["after"])
    return sorted(found)


def check(joint: Joint, waiting: dict[int, int], gaps: list[int]) -> None:
    lanes = {row % _LANES for row in waiting.values()}
    listed = joint.lane["listed"][: joint.state[Party.LANES]].tolist()
    assert sorted(listed) == sorted(lanes)
    assert joint.lane["stands"][listed].tolist() == list(range(len(listed)))
    for number in range(_LANES):
        assert rows_of(joint, number) == sorted(row for row in waiting.values() if row % _LANES == number)
    assert gaps_of(joint) == sorted(gaps)


@pytest.mark.parametrize("seed", range(5))
def test_whoever_joins_leaves_or_is_moved(seed):
    draw, joint = Random(seed), empty()
    waiting: dict[int, int] = {}
    outside, gaps = list(range(_JOBS)), []
    for _ in range(200):
        what = draw.choice(["join", "leave", "level", "close"])
        if what == "join" and outside and len(waiting) + len(gaps) < _JOBS:
            row = outside.pop(draw.randrange(len(outside)))
            place = len(waiting) + len(gaps)
            waiting[place] = row
            enter_lane(joint, place, row, draw.randint(-3, 3), 5)
        elif what == "leave" and waiting:
            place = draw.choice(sorted(waiting))
            outside.append(waiting.pop(place))
            gaps.append(place)
            leave_lane(joint, place)
        elif what == "level" and waiting:
            set_level(joint, draw.choice(sorted(waiting)), draw.randint(-9, 9))
        elif what == "close":
            for gap in sorted(gaps):
                last = max(waiting, default=NOBODY)
                if last > gap:
                    waiting[gap] = waiting.pop(last)
                    move_entry(joint, gap, last)
            gaps = []
            joint.state[Party.GAPS] = 0
        check(joint, waiting, gaps)
