"""How many GPUs are free from when to when: a step function that is searched and changed piece by piece.

Steps lie in stretches of up to WIDTH, each with its least and most free, and with a sum that is still to be added to
all of its steps.  A search goes over stretches that cannot hold what it looks for; a change of many steps touches those
of two stretches, and the sums of the others.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.plans import SHIFT, WIDTH, Profile, Used

__all__ = [
    "add_step",
    "advance",
    "begin_profile",
    "change",
    "copy_profile",
    "first_room",
    "free_before",
    "least_free",
    "next_change",
    "plus",
]


@inlined
def plus(instant: int, duration: int) -> int:
    """Return an instant so much later; NEVER where no tick can name it."""
    return NEVER if instant > NEVER - duration else instant + duration


@inlined
def _stretch_at(profile: Profile, instant: int) -> int:
    """Return the last stretch that does not begin after an instant; the first does not."""
    low, high = 0, int(profile.used[Used.STRETCHES])
    while high - low > 1:
        middle = (low + high) >> 1
        if profile.stretch[nth(middle)]["first"] <= instant:
            low = middle
        else:
            high = middle
    return low


@inlined
def _step_at(profile: Profile, number: int, instant: int) -> int:
    """Return the last step of a stretch that does not begin after an instant; the first does not."""
    base = int(profile.stretch[nth(number)]["room"]) << SHIFT
    low, high = 0, int(profile.stretch[nth(number)]["size"])
    while high - low > 1:
        middle = (low + high) >> 1
        if profile.time[nth(base + middle)] <= instant:
            low = middle
        else:
            high = middle
    return low


@inlined
def _sum_up(profile: Profile, number: int) -> None:
    """Look for the least and the most free of a stretch."""
    this = profile.stretch[nth(number)]
    base, size = int(this["room"]) << SHIFT, int(this["size"])
    low = high = profile.free[nth(base)]
    for step in range(base + 1, base + size):
        value = profile.free[nth(step)]
        low = min(low, value)
        high = max(high, value)
    this["low"] = low + this["pending"]
    this["high"] = high + this["pending"]
    this["first"] = profile.time[nth(base)]


@kernel
def _split(profile: Profile, number: int) -> None:
    """Let the later half of a full stretch be a stretch of its own."""
    used, stretch = profile.used, profile.stretch
    for other in range(used[Used.STRETCHES], number, -1):
        stretch[nth(other)] = stretch[nth(other - 1)]
    used[Used.STRETCHES] += 1
    if used[Used.RETURNED] > 0:
        used[Used.RETURNED] -= 1
        room = int(profile.returned[nth(used[Used.RETURNED])])
    else:
        room = int(used[Used.FRESH])
        used[Used.FRESH] += 1
    half = WIDTH >> 1
    source, target = (int(stretch[nth(number)]["room"]) << SHIFT) + half, room << SHIFT
    for step in range(half):
        profile.time[nth(target + step)] = profile.time[nth(source + step)]
        profile.free[nth(target + step)] = profile.free[nth(source + step)]
    stretch[nth(number + 1)]["room"] = room
    stretch[nth(number)]["size"] = stretch[nth(number + 1)]["size"] = half
    _sum_up(profile, number)
    _sum_up(profile, number + 1)


@kernel
def _drop_stretches(profile: Profile, number: int, many: int) -> None:
    """Take stretches out, from a number on."""
    used, stretch = profile.used, profile.stretch
    for other in range(number, number + many):
        profile.returned[nth(used[Used.RETURNED])] = stretch[nth(other)]["room"]
        used[Used.RETURNED] += 1
    for other in range(number + many, used[Used.STRETCHES]):
        stretch[nth(other - many)] = stretch[nth(other)]
    used[Used.STRETCHES] -= many


@kernel
def _unite(profile: Profile, number: int) -> None:
    """Make a stretch and the next one stretch; they have room in one."""
    this, other = profile.stretch[nth(number)], profile.stretch[nth(number + 1)]
    target, source = (int(this["room"]) << SHIFT) + int(this["size"]), int(other["room"]) << SHIFT
    more = other["pending"] - this["pending"]
    for step in range(int(other["size"])):
        profile.time[nth(target + step)] = profile.time[nth(source + step)]
        profile.free[nth(target + step)] = profile.free[nth(source + step)] + more
    this["size"] += other["size"]
    this["low"] = min(this["low"], other["low"])
    this["high"] = max(this["high"], other["high"])
    _drop_stretches(profile, number + 1, 1)


@kernel
def _cut(profile: Profile, instant: int) -> int:
    """Let a step begin at an instant; return its stretch and its place there, in one number."""
    number = _stretch_at(profile, instant)
    index = _step_at(profile, number, instant)
    base = int(profile.stretch[nth(number)]["room"]) << SHIFT
    if profile.time[nth(base + index)] == instant:
        return (number << SHIFT) + index
    if profile.stretch[nth(number)]["size"] == WIDTH:
        _split(profile, number)
        if index >= WIDTH >> 1:
            index -= WIDTH >> 1
            number += 1
            base = int(profile.stretch[nth(number)]["room"]) << SHIFT
    size = int(profile.stretch[nth(number)]["size"])
    for step in range(base + size, base + index + 1, -1):
        profile.time[nth(step)] = profile.time[nth(step - 1)]
        profile.free[nth(step)] = profile.free[nth(step - 1)]
    profile.time[nth(base + index + 1)] = instant
    profile.free[nth(base + index + 1)] = profile.free[nth(base + index)]
    profile.stretch[nth(number)]["size"] = size + 1
    return (number << SHIFT) + index + 1


@kernel
def _heal(profile: Profile, number: int, index: int) -> None:
    """Take a step out that is like the one before; small stretches are united."""
    stretch = profile.stretch
    base, size = int(stretch[nth(number)]["room"]) << SHIFT, int(stretch[nth(number)]["size"]) - 1
    for step in range(base + index, base + size):
        profile.time[nth(step)] = profile.time[nth(step + 1)]
        profile.free[nth(step)] = profile.free[nth(step + 1)]
    stretch[nth(number)]["size"] = size
    if size == 0:
        _drop_stretches(profile, number, 1)
        return
    if index == 0:
        stretch[nth(number)]["first"] = profile.time[nth(base)]
    if number + 1 < profile.used[Used.STRETCHES] and size + stretch[nth(number + 1)]["size"] <= WIDTH >> 1:
        _unite(profile, number)
        size = int(stretch[nth(number)]["size"])
    if number > 0 and size + stretch[nth(number - 1)]["size"] <= WIDTH >> 1:
        _unite(profile, number - 1)


@inlined
def _is_like_before(profile: Profile, number: int, index: int) -> bool:
    """Return whether a step, not the very first, is like the one before."""
    this = profile.stretch[nth(number)]
    value = profile.free[nth((int(this["room"]) << SHIFT) + index)] + this["pending"]
    if index == 0:
        this = profile.stretch[nth(number - 1)]
        index = int(this["size"])
    return bool(profile.free[nth((int(this["room"]) << SHIFT) + index - 1)] + this["pending"] == value)


@kernel
def change(profile: Profile, begin: int, end: int, amount: int) -> None:
    """Let so much more be free from ``begin`` (not before the first step) to before ``end``, or for ever."""
    if amount == 0 or begin >= end:
        return
    if end != NEVER:
        _cut(profile, end)
    at = _cut(profile, begin)
    stretch = profile.stretch
    number, index = at >> SHIFT, at & (WIDTH - 1)
    while True:
        this = stretch[nth(number)]
        base, size = int(this["room"]) << SHIFT, int(this["size"])
        if index == 0 and profile.time[nth(base + size - 1)] < end:
            this["pending"] += amount
            this["low"] += amount
            this["high"] += amount
            index = size
        else:
            while index < size and profile.time[nth(base + index)] < end:
                profile.free[nth(base + index)] += amount
                index += 1
            _sum_up(profile, number)
        if index < size or number + 1 == profile.used[Used.STRETCHES] or stretch[nth(number + 1)]["first"] >= end:
            break
        number += 1
        index = 0
    if index == size:
        number += 1
        index = 0
    healed = at > 0 and _is_like_before(profile, at >> SHIFT, at & (WIDTH - 1))
    if end != NEVER and _is_like_before(profile, number, index):
        _heal(profile, number, index)
        if healed:
            number = _stretch_at(profile, begin)
            _heal(profile, number, _step_at(profile, number, begin))
    elif healed:
        _heal(profile, at >> SHIFT, at & (WIDTH - 1))


@kernel
def advance(profile: Profile, now: int) -> None:
    """Forget what is before now."""
    number = _stretch_at(profile, now)
    if number > 0:
        _drop_stretches(profile, 0, number)
    past = _step_at(profile, 0, now)
    this = profile.stretch[0]
    base = int(this["room"]) << SHIFT
    profile.time[nth(base + past)] = now
    if past > 0:
        size = int(this["size"]) - past
        for step in range(base, base + size):
            profile.time[nth(step)] = profile.time[nth(step + past)]
            profile.free[nth(step)] = profile.free[nth(step + past)]
        this["size"] = size
        _sum_up(profile, 0)
    this["first"] = now


@kernel
def next_change(profile: Profile, instant: int) -> int:
    """Return the first instant after one at which another number of GPUs is free, or NEVER."""
    number = _stretch_at(profile, instant)
    index = _step_at(profile, number, instant) + 1
    if index < profile.stretch[nth(number)]["size"]:
        return int(profile.time[nth((int(profile.stretch[nth(number)]["room"]) << SHIFT) + index)])
    if number + 1 < profile.used[Used.STRETCHES]:
        return int(profile.stretch[nth(number + 1)]["first"])
    return NEVER


@kernel
def free_before(profile: Profile, instant: int) -> int:
    """Return what is free right before an instant that is later than the first step."""
    number = _stretch_at(profile, instant - 1)
    this = profile.stretch[nth(number)]
    step = (int(this["room"]) << SHIFT) + _step_at(profile, number, instant - 1)
    return int(profile.free[nth(step)] + this["pending"])


@kernel
def least_free(profile: Profile) -> int:
    """Return no more than what is free at the worst of times."""
    least = NEVER
    for number in range(profile.used[Used.STRETCHES]):
        least = min(least, int(profile.stretch[nth(number)]["low"]))
    return least


@inlined
def _stretch_with(profile: Profile, number: int, gpus: int) -> int:
    """Return the first stretch from a number on in which so much may be free at some time; their number if none."""
    stretches = int(profile.used[Used.STRETCHES])
    while number < stretches and profile.stretch[nth(number)]["high"] < gpus:
        number += 1
    return number


@inlined
def _stretch_without(profile: Profile, number: int, gpus: int, end: int) -> int:
    """Return the first stretch from a number on that begins at ``end`` or later, or may have less free at some time."""
    stretches = int(profile.used[Used.STRETCHES])
    while number < stretches and profile.stretch[nth(number)]["low"] >= gpus:
        if profile.stretch[nth(number)]["first"] >= end:
            break
        number += 1
    return number


@kernel
def first_room(profile: Profile, start: int, gpus: int, duration: int, limit: int) -> int:
    """Return the first instant from ``start`` on from which so much is free for so long; or ``limit``.

    What is free from ``limit`` on does not matter: it is enough.
    """
    if gpus == 0:
        return min(start, limit)
    stretch, stretches = profile.stretch, int(profile.used[Used.STRETCHES])
    number = _stretch_at(profile, start)
    index = _step_at(profile, number, start)
    while True:
        base, size = int(stretch[nth(number)]["room"]) << SHIFT, int(stretch[nth(number)]["size"])
        enough = gpus - stretch[nth(number)]["pending"]
        while index < size and profile.free[nth(base + index)] < enough:
            index += 1
        if index == size:
            number = _stretch_with(profile, number + 1, gpus)
            if number == stretches or stretch[nth(number)]["first"] >= limit:
                return limit
            index = 0
            continue
        begin = max(start, int(profile.time[nth(base + index)]))
        if begin >= limit:
            return limit
        end = min(plus(begin, duration), limit)
        while True:
            while index < size and profile.free[nth(base + index)] >= enough:
                index += 1
            if index < size:
                break
            number = _stretch_without(profile, number + 1, gpus, end)
            if number == stretches or stretch[nth(number)]["first"] >= end:
                return begin
            index = 0
            base, size = int(stretch[nth(number)]["room"]) << SHIFT, int(stretch[nth(number)]["size"])
            enough = gpus - stretch[nth(number)]["pending"]
        if profile.time[nth(base + index)] >= end:
            return begin


@kernel
def copy_profile(source: Profile, target: Profile) -> None:
    """Make a profile like another one."""
    stretches = int(source.used[Used.STRETCHES])
    for number in range(stretches):
        target.stretch[nth(number)] = source.stretch[nth(number)]
        target.stretch[nth(number)]["room"] = number
        base, more = number << SHIFT, (int(source.stretch[nth(number)]["room"]) << SHIFT) - (number << SHIFT)
        for step in range(base, base + int(source.stretch[nth(number)]["size"])):
            target.time[nth(step)] = source.time[nth(step + more)]
            target.free[nth(step)] = source.free[nth(step + more)]
    target.used[Used.STRETCHES] = target.used[Used.FRESH] = stretches
    target.used[Used.RETURNED] = 0


@inlined
def _open_stretch(profile: Profile, number: int, first: int, free: int) -> None:
    """Let a stretch, kept in the room of its number, begin with its first step."""
    base = number << SHIFT
    profile.time[nth(base)], profile.free[nth(base)] = first, free
    this = profile.stretch[nth(number)]
    this["first"], this["low"], this["high"], this["pending"] = first, free, free, 0
    this["room"], this["size"] = number, 1
    profile.used[Used.STRETCHES] = profile.used[Used.FRESH] = number + 1


@kernel
def begin_profile(profile: Profile, first: int, free: int) -> None:
    """Let so much be free from ``first`` on, for ever, and forget all else."""
    profile.used[Used.RETURNED] = 0
    _open_stretch(profile, 0, first, free)


@kernel
def add_step(profile: Profile, instant: int, more: int) -> None:
    """Let so much more, not nothing, be free from an instant on, for ever; no step may begin later than that yet."""
    number = int(profile.used[Used.STRETCHES]) - 1
    this = profile.stretch[nth(number)]
    last = (number << SHIFT) + int(this["size"]) - 1
    free = profile.free[nth(last)] + more
    if profile.time[nth(last)] < instant:
        if this["size"] == WIDTH:
            _open_stretch(profile, number + 1, instant, free)
            return
        this["size"] += 1
        last += 1
    profile.time[nth(last)], profile.free[nth(last)] = instant, free
    this["low"] = min(this["low"], free)
    this["high"] = max(this["high"], free)
