"""Jobs of one part of a model, so many at a time: numbers, and codes of texts; each purpose has a random stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.fitting.model import UNKNOWN_STATE, ClassModel, Owner, amount_of
from gpuyard.streams import Stream

__all__ = ["NOBODY", "Drawn", "Names", "Part", "pick"]

NOBODY = -1
"""The code of a text that is not stated."""
_PURPOSES = ("size", "runtime", "state", "limited", "limit", "tenant", "user")


class Drawn(NamedTuple):
    """What is drawn for jobs; columns have the shape (jobs,), and a code is -1 where nothing is stated."""

    milli: NDArray[np.int64]  # thousandths of a GPU
    runtime: NDArray[np.float64]  # s
    limit: NDArray[np.float64]  # s, not-a-number for none
    state: NDArray[np.int64]  # position in Names.states
    tenant: NDArray[np.int64]  # position in Names.tenants
    user: NDArray[np.int64]  # position in Names.users


class Names:
    """The texts that jobs may have, each once; users are named by their rank in the tenant."""

    def __init__(self, classes: Sequence[ClassModel]) -> None:
        owners = [owner for each in classes for owner in each.owners]
        stated = {state for each in classes for ending in each.endings for state in ending.states}
        self.classes = _codes(each.name for each in classes)
        self.states = _codes(sorted(stated - {UNKNOWN_STATE}))
        self.tenants = _codes(owner.name for owner in owners)
        most: dict[str, int] = {}
        for owner in owners:
            most[_stem(owner)] = max(most.get(_stem(owner), 0), owner.users)
        self._first_user = dict(zip(most, np.cumsum([0, *most.values()]).tolist(), strict=False))
        self.users = pa.concat_arrays([_numbered(stem, users) for stem, users in most.items()])

    def first_user(self, owner: Owner) -> int:
        """Return the position of the first user of a tenant; the others follow."""
        return self._first_user[_stem(owner)]


def _codes(names: Iterable[str | None]) -> dict[str | None, int]:
    """Return the position of each name among the different ones."""
    return {name: code for code, name in enumerate(dict.fromkeys(name for name in names if name is not None))}


def _stem(owner: Owner) -> str:
    return "user" if owner.name is None else f"{owner.name}/u"


def _numbered(stem: str, users: int) -> pa.Array:
    return pc.binary_join_element_wise(stem, pa.array(np.arange(1, users + 1)).cast(pa.string()), "")


class Part:
    """The jobs of one class of a model, some after the other: so many at once are the same in any pieces."""

    def __init__(self, model: ClassModel, seed: int, names: Names) -> None:
        # What tells the streams of a part from those of the others: its class and its tenants.
        stem = "|".join([model.name or "", *(owner.name or "" for owner in model.owners)])
        self._chances = {purpose: Stream(seed, f"fit:{stem}:{purpose}") for purpose in _PURPOSES}
        self._model, self._names = model, names
        self._amounts = np.array([amount_of(size) for size in model.sizes])
        self._together = [_together(owner) for owner in model.owners]

    def draw(self, jobs: int) -> Drawn:
        """Return the next jobs."""
        chance = {purpose: stream.uniform(jobs) for purpose, stream in self._chances.items()}
        milli = self._amounts[pick(list(self._model.sizes.values()), chance["size"])]
        runtime = self._runtime(milli, chance["runtime"])
        state, limit = self._ends(runtime, chance)
        tenant, user = self._owned(chance["tenant"], chance["user"])
        return Drawn(milli, runtime, limit, state, tenant, user)

    def _runtime(self, milli: NDArray[np.int64], luck: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the run time of each job by its size."""
        bounds = np.array([each.up_to_gpus for each in self._model.runtimes])
        row = np.minimum(np.searchsorted(bounds, milli / 1000, side="left"), bounds.size - 1)
        runtime = np.empty(milli.size)
        for place, each in enumerate(self._model.runtimes):
            mine = row == place
            runtime[mine] = np.round(each.seconds.quantile(luck[mine]), 3)
        return runtime

    def _ends(
        self, runtime: NDArray[np.float64], chance: Mapping[str, NDArray[np.float64]]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return end states and limits by run time; a limit is never below it, and is it for a timed-out job."""
        endings = self._model.endings
        bounds = np.array([each.up_to_s for each in endings[:-1]], dtype=np.float64)
        row = np.searchsorted(bounds, runtime, side="left")
        names = sorted({name for each in endings for name in each.states})
        state, limit = np.zeros(runtime.size, np.int64), np.full(runtime.size, np.nan)
        for place, each in enumerate(endings):
            mine = row == place
            state[mine] = pick([each.states.get(name, 0.0) for name in names], chance["state"][mine])
            if each.limited:
                has = mine & (chance["limited"] < each.limited)
                limits = np.array(each.limits_s)
                limit[has] = limits[(chance["limit"][has] * limits.size).astype(np.int64)]
        limit = np.where(limit < runtime, np.ceil(runtime / 60) * 60, limit)
        if "timed_out" in names:
            out = (state == names.index("timed_out")) & np.isfinite(limit)
            limit[out] = runtime[out]
        return np.array([self._names.states.get(name, NOBODY) for name in names])[state], limit

    def _owned(
        self, chance: NDArray[np.float64], luck: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the tenant and the user of each job."""
        owners = self._model.owners
        which = pick([each.share for each in owners], chance)
        user = np.full(chance.size, NOBODY, np.int64)
        for place, (each, together) in enumerate(zip(owners, self._together, strict=True)):
            if each.users:
                mine = which == place
                rank = np.minimum(np.searchsorted(together, luck[mine], side="right"), each.users - 1)
                user[mine] = self._names.first_user(each) + rank
        return np.array([self._names.tenants.get(each.name, NOBODY) for each in owners])[which], user


def _together(owner: Owner) -> NDArray[np.float64]:
    """Return the share of the first 1, 2, ... users together; straight in the logarithm of the rank between rows."""
    if not owner.users:
        return np.empty(0)
    ranks, shares = zip(*owner.top, strict=True)
    known = np.interp(np.log(np.arange(1, owner.users + 1)), np.log(ranks), shares)
    return np.asarray(known / known[-1], dtype=np.float64)


def pick(shares: list[float], chance: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the part that each chance falls into, same shape."""
    edges = np.cumsum(shares) / sum(shares)
    return np.minimum(np.searchsorted(edges, chance, side="right"), len(shares) - 1).astype(np.int64)
