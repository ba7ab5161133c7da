"""Cells as trees of objects: the hierarchy of a cluster, and which cell the buddy rule takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from gpuyard.cluster import Cluster


@dataclass(eq=False, kw_only=True)
class Cell:
    """A cell; ``gpus`` are numbered over the whole site, and are those of a physical cell only."""

    level: int
    parent: Cell | None
    number: int = -1
    children: list[Cell] = field(default_factory=list)
    gpus: range = range(0)
    taken: bool = False
    bound: Cell | None = None
    """of a virtual cell: the physical cell that it is in"""

    def within(self) -> Iterator[Cell]:
        """Yield this cell and all cells in it."""
        yield self
        for child in self.children:
            yield from child.within()

    def around(self) -> Iterator[Cell]:
        """Yield this cell and all that it is part of."""
        yield self
        if self.parent is not None:
            yield from self.parent.around()

    @property
    def free(self) -> bool:
        """Whether nothing in it is taken, nor anything that it is part of."""
        return not any(cell.taken for cell in self.within()) and not any(cell.taken for cell in self.around())


@dataclass(frozen=True, kw_only=True)
class Hierarchy:
    """The levels of a site, lowest first."""

    names: list[str]
    fans: list[int]
    """children of a cell, by level; 0 for the lowest"""
    tops: int
    """cells of the highest level"""

    @classmethod
    def of(cls, cluster: Cluster, levels: tuple[str, ...] | None) -> Hierarchy:
        size = int(cluster.node_gpus[0])
        inner = [1]
        while 2 * inner[-1] < size and size % (2 * inner[-1]) == 0:
            inner.append(2 * inner[-1])
        names = ["gpu", *(f"gpus-{each}" for each in inner[1:]), "node"]
        sizes = [*inner, size]
        count = cluster.nodes
        for name, domain in zip(cluster.levels.names, cluster.levels.domains, strict=True):
            if levels is None or name in levels:
                count = len(set(domain.tolist()))
                names.append(name)
                sizes.append(cluster.gpus // count)
        return cls(names=names, fans=[0, *(b // a for a, b in pairwise(sizes))], tops=count)

    @property
    def node(self) -> int:
        return self.names.index("node")

    def size(self, level: int) -> int:
        """Return the GPUs of a cell."""
        return 1 if level == 0 else self.size(level - 1) * self.fans[level]

    def grown(self, level: int, parent: Cell | None = None) -> Cell:
        """Return a new cell with all that is in it."""
        cell = Cell(level=level, parent=parent)
        cell.children = [self.grown(level - 1, cell) for _ in range(self.fans[level])]
        return cell


class Forest:
    """Cells without parents, and what is in them."""

    def __init__(self, hierarchy: Hierarchy, owned: list[int]) -> None:
        """``owned``: cells without parent, by level."""
        self.levels: list[list[Cell]] = [[] for _ in owned]
        for level in reversed(range(len(owned))):
            above = self.levels[level + 1] if level + 1 < len(owned) else []
            self.levels[level] = [child for cell in above for child in cell.children]
            self.levels[level] += [hierarchy.grown(level) for _ in range(owned[level])]
            for number, cell in enumerate(self.levels[level]):
                cell.number = number

    def buddy(
        self, level: int, inside: Cell | None = None, preferred: Callable[[Cell], int] = lambda _: 0
    ) -> Cell | None:
        """Return the cell that the buddy rule takes; among equals, those go first for which ``preferred`` is least."""
        for cells in self.levels[level:]:
            maximal = [
                cell
                for cell in cells
                if cell.free
                and (inside is None or inside in cell.around())
                and (cell is inside or cell.parent is None or not cell.parent.free)
            ]
            if maximal:
                found = min(maximal, key=lambda cell: (preferred(cell), cell.number))
                while found.level > level:
                    found = min(found.children, key=lambda cell: (preferred(cell), cell.number))
                return found
        return None

    def take(self, level: int, count: int) -> list[Cell] | None:
        """Take so many cells of a level, or none and return ``None``."""
        if count == 1:
            found = self.buddy(level)
            if found is None:
                return None
            found.taken = True
            return [found]
        if sum(cell.free for cell in self.levels[level]) < count:
            return None
        inside = self.nearest(level, count)
        taken = []
        for _ in range(count):
            cell = self.buddy(level, inside)
            assert cell is not None
            cell.taken = True
            taken.append(cell)
        return taken

    def nearest(self, level: int, count: int) -> Cell | None:
        """Return the cell of the lowest level that holds so many free cells of a level below, the tightest one."""
        for cells in self.levels[level + 1 :]:
            held = [(sum(it.free for it in cell.within() if it.level == level), cell.number, cell) for cell in cells]
            enough = [each for each in held if each[0] >= count]
            if enough:
                return min(enough, key=lambda each: each[:2])[2]
        return None
