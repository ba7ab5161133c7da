"""Cells that owners own, as in HiveD: part of a policy.  ``docs/semantics.md``, *Cells*, is exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from gpuyard.errors import ConfigError, unknown_name
from gpuyard.preemption import NO_PREEMPTION, Preemption

__all__ = ["BEYOND", "BY", "NO_CELLS", "WITHIN", "Cells", "check_cells"]

BY: Final = ("tenant", "partition")
"""Columns that can name a job's owner."""
BEYOND: Final = ("wait", "opportunistic")
"""What becomes of a guaranteed job that finds none of its cells free."""
WITHIN: Final = ("nobody", "priority")
"""Who may take cells of an owner from other jobs of it."""
_BESIDE: Final = ("min_run", "max_preemptions", "victims")
"""Options of preemption that a promise of cells leaves no room for."""
_MOST: Final = 2**31 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Cells:
    """Which cells of the topology each owner owns.

    Source: Zhao et al. 2020, "HiveD: Sharing a GPU Cluster for Deep Learning with Guarantees", OSDI.

    Parameters
    ----------
    owners
        Cells by level, by owner: ``{"steel": {"rack": 1, "gpus-4": 2}}``.  Levels are ``gpu``, ``gpus-2``,
        ``gpus-4`` and so on inside a node, ``node``, and the cluster's levels of locality.
    by
        The column that names a job's owner: ``tenant`` or ``partition``; a path belongs to the nearest above.
    levels
        The cluster's levels of locality that are cells; ``None``: all of them.
    beyond
        A guaranteed job for which no cells are free may ``wait``, or run as an ``opportunistic`` one.

    within
        Who takes cells from guaranteed jobs of the same owner: ``nobody``, or those of a higher ``priority``.

    Raises
    ------
    ConfigError
        For a name that does not exist, and numbers of cells that are none.
    """

    owners: Mapping[str, Mapping[str, int]] = field(default_factory=dict, hash=False)
    by: str = "tenant"
    levels: tuple[str, ...] | None = None
    beyond: str = "wait"
    within: str = "nobody"

    def __post_init__(self) -> None:
        for name, known in (("by", BY), ("beyond", BEYOND), ("within", WITHIN)):
            if getattr(self, name) not in known:
                raise unknown_name(f"cells.{name}", str(getattr(self, name)), known)
        if self.levels is not None:
            object.__setattr__(self, "levels", tuple(self.levels))
        object.__setattr__(self, "owners", _counted(self.owners))

    def __bool__(self) -> bool:
        """Whether the cluster is handed out in cells."""
        return bool(self.owners)

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields, defaults filled in; nothing where there are no owners."""
        if not self:
            return {}
        owned = {name: dict(counts) for name, counts in self.owners.items()}
        levels = {} if self.levels is None else {"levels": list(self.levels)}
        within = {} if self.within == "nobody" else {"within": self.within}
        return {"by": self.by, "beyond": self.beyond, **within, **levels, "owners": owned}

    @classmethod
    def of(cls, given: Mapping[str, Any] | Cells) -> Cells:
        """Return cells from a table of their fields as in a scenario."""
        if isinstance(given, Cells):
            return given
        if not isinstance(given, Mapping):
            raise ConfigError(f"'cells' is a table with 'owners', got {given!r}")
        known = [each.name for each in fields(cls)]
        for name in given:
            if name not in known:
                raise unknown_name("key of cells", str(name), known)
        if given and not given.get("owners"):
            raise ConfigError("'cells' without 'owners' gives nobody anything; name what each owner owns")
        return cls(**given)


def _counted(owners: object) -> dict[str, dict[str, int]]:
    """Return a copy of the numbers of cells, checked; levels of which none is owned are left out."""
    if not isinstance(owners, Mapping):
        raise ConfigError(f"'cells.owners' is a table of owners, got {owners!r}")
    copy = {}
    for name, owned in owners.items():
        if not name or "" in str(name).split("/"):
            raise ConfigError(f"a owner's name is names with '/' between them, got {name!r}")
        if not isinstance(owned, Mapping):
            raise ConfigError(f"'cells.owners.{name}' is a table of levels and numbers of cells, got {owned!r}")
        for level, count in owned.items():
            if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= _MOST:
                raise ConfigError(
                    f"'cells.owners.{name}.{level}' must be a whole number of cells, 0 or more, got {count!r}"
                )
        copy[str(name)] = {str(level): int(count) for level, count in owned.items() if count}
    return copy


def check_cells(
    cells: Cells, preemption: Preemption, changed: Mapping[str, bool], *, order: str, backfill: str
) -> None:
    """Raise for what cells do not go with, and for their rule without any.

    Parameters
    ----------
    changed
        Which fields of the policy that cells leave no room for differ from their defaults.
    """
    if not cells:
        if preemption.rule == "cells":
            raise ConfigError("preemption cells needs cells to be owned; name them in [policy.cells.owners]")
        return
    if preemption.rule != "cells":
        raise ConfigError(f"cells bring a preemption of their own, cells; leave out preemption = {preemption.rule}")
    for name in _BESIDE:
        if getattr(preemption, name) != getattr(NO_PREEMPTION, name):
            raise ConfigError(f"cells are given back at once when their owner needs them; leave '{name}' out")
    for name, is_changed in changed.items():
        if is_changed:
            raise ConfigError(f"cells say where a job runs, and what is kept for one; leave '{name}' out")
    if cells.within == "priority" and order != "priority":
        raise ConfigError(
            f"cells.within = priority does not go with order {order}: who may take cells is to be tried before those "
            "from whom it may; choose order priority, or leave out 'within'"
        )
    if cells.within == "priority" and backfill == "easy":
        raise ConfigError(
            "cells.within = priority does not go with backfill easy: whom a job may take cells from has no end that a "
            "reservation could count on; choose backfill none or fit, or leave out 'within'"
        )


NO_CELLS: Final = Cells()
