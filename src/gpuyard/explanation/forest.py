"""An owner's virtual cells, as the buddy rule takes them: worked out again for an explanation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Forest"]

Flags = NDArray[np.bool_]


class Forest:
    """Cells over a row of GPUs: those without parent lie one after the other, larger ones first.

    So cell ``number`` of a level begins at GPU ``number * size``.

    Parameters
    ----------
    size
        GPUs of a cell of each level, int64, shape (levels,), lowest first.
    owned
        Cells without parent of each level, int64, shape (levels,).
    """

    def __init__(self, size: NDArray[np.int64], owned: NDArray[np.int64]) -> None:
        self._size = size.tolist()
        above = np.cumsum((size * owned)[::-1])[::-1]
        self._cells = (above // size).tolist()
        self._taken = np.zeros(int(above[0]), np.bool_)

    @property
    def gpus(self) -> int:
        """GPUs in cells of which nothing is taken."""
        return int(self._taken.size - np.count_nonzero(self._taken))

    def free(self, level: int) -> Flags:
        """Return which cells of a level are free, shape (cells of the level,)."""
        size, cells = self._size[level], self._cells[level]
        return np.asarray(~self._taken[: size * cells].reshape(cells, size).any(axis=1))

    def take(self, level: int, count: int) -> list[int] | None:
        """Take so many cells of a level by the buddy rule and return their numbers; ``None`` without so many."""
        if np.count_nonzero(self.free(level)) < count:
            return None
        within = (0, self._taken.size) if count == 1 else self._nearest(level, count)
        chosen = []
        for _ in range(count):
            number = self._buddy(level, within)
            self._mark(level, number, True)
            chosen.append(number)
        return chosen

    def give(self, level: int, chosen: list[int]) -> None:
        """Free cells that were taken."""
        for number in chosen:
            self._mark(level, number, False)

    def _mark(self, level: int, number: int, taken: bool) -> None:
        size = self._size[level]
        self._taken[number * size : (number + 1) * size] = taken

    def _nearest(self, level: int, count: int) -> tuple[int, int]:
        """Return the GPUs, from which to before which, of the tightest cell that holds so many free ones of a level.

        That is one of the lowest level on which there is any, or all.
        """
        free = self.free(level)
        for outer in range(level + 1, len(self._size)):
            fan, cells = self._size[outer] // self._size[level], self._cells[outer]
            held = free[: fan * cells].reshape(cells, fan).sum(axis=1)
            enough = np.flatnonzero(held >= count)
            if enough.size:
                number = int(enough[np.argmin(held[enough])])
                return number * self._size[outer], (number + 1) * self._size[outer]
        return 0, self._taken.size

    def _buddy(self, level: int, within: tuple[int, int]) -> int:
        """Return the cell that the buddy rule takes among those within some GPUs: there is one."""
        first, end = within
        for outer in range(level, len(self._size)):
            size = self._size[outer]
            free = self.free(outer)[first // size : end // size]
            maximal = (place for place in np.flatnonzero(free).tolist() if self._is_maximal(outer, place, within))
            found = next(maximal, -1)
            if found >= 0:
                return (first // size + found) * (size // self._size[level])
        raise AssertionError("a cell is free, and none is maximal")

    def _is_maximal(self, level: int, place: int, within: tuple[int, int]) -> bool:
        """Return whether the parent of a free cell, the ``place``-th within some GPUs, is not free or lies outside."""
        number = within[0] // self._size[level] + place
        if level + 1 == len(self._size):
            return True
        parent = number // (self._size[level + 1] // self._size[level])
        begin = parent * self._size[level + 1]
        if parent >= self._cells[level + 1] or begin < within[0] or begin + self._size[level + 1] > within[1]:
            return True
        return bool(self._taken[begin : begin + self._size[level + 1]].any())
