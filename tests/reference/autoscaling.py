"""The autoscaler's rule, one service and one control instant at a time, as docs/services.md states it."""

from __future__ import annotations

from fractions import Fraction
from math import ceil


def wanted(
    demand: list[Fraction],
    *,
    target: Fraction,
    tolerance: Fraction,
    window: int,
    least: int,
    most: int,
    spare: int,
) -> list[int]:
    """Return the replicas asked for in each interval; ``demand`` in replicas at full use, ``window`` in intervals."""
    current: int | None = None
    advices: list[int] = []
    result = []
    for instant in range(len(demand)):
        seen = demand[max(instant - 1, 0)]
        enough = min(max(ceil(seen / target), least), most)
        if current is None:
            current = enough
        ratio = seen / (current * target)
        advice = current if abs(ratio - 1) <= tolerance else enough
        advices.append(advice)
        if advice > current:
            current = advice
        elif advice < current:
            current = min(current, max(advices[-window:]))
        result.append(current + spare)
    return result
