"""In which order those are taken away who may be: one order for all that list them."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.jit import inlined, inner, kernel
from gpuyard.kernel.tables import Records

__all__ = ["sort_prey"]


@inner
def sort_prey(prey: Records, found: int) -> None:
    """Sort the first so many of a list by level, loss and row: higher levels first, then who loses less, lower rows."""
    for at in range(found // 2 - 1, -1, -1):
        _sink(prey, found, at)
    for size in range(found - 1, 0, -1):
        _swap(prey, 0, size)
        _sink(prey, size, 0)


@inlined
def _is_later(prey: Records, one: int, other: int) -> bool:
    """Return whether one goes after another: lower level, more to lose or started earlier, higher row."""
    left, right = prey[nth(one)], prey[nth(other)]
    if left["level"] != right["level"]:
        return bool(left["level"] < right["level"])
    if left["loss"] != right["loss"]:
        return bool(left["loss"] > right["loss"])
    return bool(left["row"] > right["row"])


@inlined
def _swap(prey: Records, one: int, other: int) -> None:
    left, right = prey[nth(one)], prey[nth(other)]
    level, loss, row = int(left["level"]), int(left["loss"]), int(left["row"])
    left["level"], left["loss"], left["row"] = right["level"], right["loss"], right["row"]
    right["level"], right["loss"], right["row"] = level, loss, row


@kernel
def _sink(prey: Records, size: int, at: int) -> None:
    """Put the latest of a heap above the others, from ``at`` down."""
    child = 2 * at + 1
    while child < size:
        if child + 1 < size and _is_later(prey, child + 1, child):
            child += 1
        if _is_later(prey, at, child):
            break
        _swap(prey, at, child)
        at = child
        child = 2 * at + 1
