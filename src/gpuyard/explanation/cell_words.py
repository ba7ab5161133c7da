"""Which cells a job asked for, and how many of them were free while it waited, in words."""

from __future__ import annotations

from gpuyard.explanation.story import FreeCells, InCells
from gpuyard.units import counted

__all__ = ["asked_words", "free_words"]


def asked_words(cells: InCells) -> str:
    """Return which cells a job asked for."""
    asked = f"{counted(cells.count, 'cell')} of level {cells.level}"
    owned = " and ".join(f"{number} {level}" for level, number in cells.owns.items()) or "none"
    if cells.guaranteed:
        return f"It asked for {asked} of {cells.owner}, which owns {owned}."
    return f"It asked for {asked}, only ever lent ones: it was opportunistic."


def free_words(asked: InCells, free: FreeCells) -> str:
    """Return how many of the cells that a job asked for were free, of its owner and of those that nobody held."""
    said = []
    if free.own is not None and free.own_gpus is not None:
        said.append(f"{_of_level(free.own, asked)} of {asked.owner} free, and {_gpus(free.own_gpus)}")
    if free.idle is not None and free.idle_gpus is not None:
        said.append(f"{_of_level(free.idle, asked)} idle on the site, and {_gpus(free.idle_gpus)}")
    if asked.takes:
        said.append("what it may take from a lower priority would not do either")
    return f"too few cells for the {asked.count} that it needs: {'; '.join(said)}"


def _of_level(cells: tuple[int, int], asked: InCells) -> str:
    return f"{_span(cells)} of level {asked.level}"


def _gpus(gpus: tuple[int, int]) -> str:
    return f"{_span(gpus)} GPU{'' if gpus == (1, 1) else 's'} in all"


def _span(numbers: tuple[int, int]) -> str:
    low, high = numbers
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
