"""The plan of free GPUs against the obvious way: a number for each instant."""

import random

import numpy as np
import pytest

from gpuyard.kernel.codes import NEVER, NOBODY
from gpuyard.kernel.marks import build_marks, drop_mark, last_mark, next_mark, put_mark
from gpuyard.kernel.plans import WIDTH, Profile, Used, build_profile
from gpuyard.kernel.profile import advance, change, copy_profile, first_room, least_free, next_change, plus

GPUS = 8


def has_room(free: np.ndarray, begin: int, gpus: int, duration: int, limit: int) -> bool:
    return bool(np.all(free[begin : min(begin + duration, limit)] >= gpus))


def check_answers(profile: Profile, free: np.ndarray, now: int, dice: random.Random) -> None:
    """Ask of the profile what the array of free GPUs, which ends with the last change, tells at a glance."""
    start = dice.randrange(now, free.size)
    later = np.flatnonzero(free[start + 1 :] != free[start])
    assert next_change(profile, start) == (start + 1 + later[0] if later.size else NEVER)
    gpus, duration = dice.randrange(0, GPUS + 2), dice.choice([1, 2, 5, 40, 10**9])
    limit = dice.choice([NEVER, dice.randrange(start, free.size)])
    begins = range(start, min(free.size, limit))
    fits = (at for at in begins if gpus == 0 or has_room(free, at, gpus, duration, limit))
    assert first_room(profile, start, gpus, duration, limit) == next(fits, limit)


def check_shape(profile: Profile, free: np.ndarray, now: int) -> None:
    """Neighbouring steps differ, sums bound what they sum up, and stretches are as full as is promised."""
    stretch = profile.stretch[: profile.used[Used.STRETCHES]]
    times = []
    for this in stretch:
        held = slice(int(this["room"]) * WIDTH, int(this["room"]) * WIDTH + int(this["size"]))
        values = profile.free[held] + this["pending"]
        times += profile.time[held].tolist()
        assert this["first"] == profile.time[held][0]
        assert this["low"] <= values.min()
        assert this["high"] >= values.max()
    assert times == [now, *(now + 1 + np.flatnonzero(np.diff(free[now:])))]
    assert least_free(profile) <= free[now:].min()
    assert np.all(stretch["size"][1:-1] + stretch["size"][2:] > WIDTH // 2)
    assert len(set(stretch["room"].tolist())) == stretch.size


@pytest.mark.parametrize("span", [30, 400, 6000])
@pytest.mark.parametrize("seed", range(4))
def test_a_profile_answers_as_an_array_would(seed: int, span: int) -> None:
    dice = random.Random(seed * 10_000 + span)
    free = np.full(2 * span, GPUS, np.int64)
    profile = build_profile(GPUS, 2 * span)
    taken: list[tuple[int, int, int]] = []
    now = 0
    advance(profile, now)
    for turn in range(1500 if span < 6000 else 6000):
        full = len(taken) > span // 4
        if taken and dice.random() < (0.6 if full else 0.2):
            begin, end, gpus = taken.pop(dice.randrange(len(taken)))
            begin, gpus = max(begin, now), -gpus
        else:
            begin = dice.randrange(now, now + span // 2 + 1)
            end = begin + min(dice.choice([dice.randrange(1, 50), dice.randrange(1, span // 2)]), span // 2)
            end = NEVER if dice.random() < 0.01 else end
            gpus = dice.randrange(0, 4)
            taken.append((begin, end, gpus))
        if begin < end:
            change(profile, begin, end, -gpus)
            free[begin : min(end, free.size)] -= gpus
        if now < span - 2 and dice.random() < 0.05:
            now += dice.randrange(1, max(2, span // 200))
            advance(profile, now)
        if span < 6000 or turn % 50 == 0:
            check_answers(profile, free, now, dice)
            check_shape(profile, free, now)
    copy = build_profile(0, 2 * span)
    copy_profile(profile, copy)
    change(copy, now, NEVER, 1)
    check_shape(copy, free + 1, now)
    check_shape(profile, free, now)


def test_an_instant_that_no_tick_can_name_is_never() -> None:
    assert plus(NEVER - 5, 4) == NEVER - 1
    assert plus(NEVER - 5, 6) == NEVER


@pytest.mark.parametrize("positions", [1, 63, 64, 65, 4095, 4096, 5000, 262144])
def test_marks_answer_as_sets_would(positions: int) -> None:
    dice = random.Random(positions)
    marks = build_marks(positions)
    plain: list[set[int]] = [set(), set()]
    for _ in range(400):
        plane, at = dice.randrange(2), dice.choice([0, positions - 1, dice.randrange(positions)])
        if dice.random() < 0.6:
            put_mark(marks, plane, at)
            plain[plane].add(at)
        else:
            drop_mark(marks, plane, at)
            plain[plane].discard(at)
        plane, at = dice.randrange(2), dice.randrange(positions)
        assert next_mark(marks, plane, at) == min((each for each in plain[plane] if each >= at), default=NOBODY)
        assert last_mark(marks, plane, at) == max((each for each in plain[plane] if each <= at), default=NOBODY)
    assert next_mark(marks, 0, positions) == NOBODY
