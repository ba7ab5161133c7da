"""From a fitted model to jobs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.fitting.arrivals import make_arrivals
from gpuyard.fitting.model import UNKNOWN_STATE, ClassModel, Ending, FittedModel, Owner, amount_of
from gpuyard.portrait.calendar import DAY, start_of_clock
from gpuyard.streams import Stream
from gpuyard.synthesis.table import SPAN
from gpuyard.traces.schema import ORIGIN, SOURCE_FORMAT
from gpuyard.units import MOST_DAYS, counted
from gpuyard.workload import Workload

__all__ = ["MOST_JOBS", "look_alike"]

MOST_JOBS = 50_000_000
"""A look-alike of more jobs is not made: it would take tens of GB of memory."""


class _Drawn(NamedTuple):
    """What is drawn for the jobs of one class; columns have the shape (jobs,)."""

    milli: NDArray[np.int64]  # thousandths of a GPU
    runtime: NDArray[np.float64]  # s
    limit: NDArray[np.float64]  # s, not-a-number for none
    state: list[str | None]
    tenant: list[str | None]
    user: list[str | None]


def look_alike(
    model: FittedModel, *, jobs: int | None = None, days: float | None = None, start: str | None = None, seed: int = 0
) -> Workload:
    """Return jobs like those that a model was fitted to; the same arguments give the same bytes.

    Parameters
    ----------
    jobs, days
        How many, or over how long; the other follows from the model's rate.  With both, the rate is what they come to.
        With neither, as long as what the model was fitted to.
    start
        Second 0 on the calendar, ISO 8601; that of the model if None.

    Raises
    ------
    ConfigError
        For a start that is no timestamp, or a length or number that cannot be made.
    """
    if jobs is None and days is None:
        days = model.days
    if days is not None and not 0 < days <= MOST_DAYS:
        raise ConfigError(f"days must be above 0 and at most {MOST_DAYS:g}, got {days:g}")
    expected = jobs if jobs is not None else (days or 0.0) * model.arrivals.jobs_per_day
    if not 0 < expected <= MOST_JOBS:
        raise ConfigError(f"a look-alike has 1 to {MOST_JOBS:,} jobs, and this would have {expected:,.0f}")
    origin = model.start if start is None else start
    span = None if days is None else round(days * DAY, 3)
    submit, span = make_arrivals(model.arrivals, start=start_of_clock(origin), jobs=jobs, span=span, seed=seed)
    columns = _columns(model, submit, seed)
    metadata = {ORIGIN: origin.encode(), SOURCE_FORMAT: b"synthetic", SPAN: f"{span:.3f}".encode()}
    note = (
        f"look-alike of {model.fitted_to or 'a model'}: seed {seed}, {counted(submit.size, 'job')}, window {span:g} s"
    )
    table = pa.table(columns).replace_schema_metadata(metadata)
    return Workload.from_table(table, name=f"like-{model.fitted_to or 'model'}", notes=(note,))


def _columns(model: FittedModel, submit: NDArray[np.float64], seed: int) -> dict[str, pa.Array]:
    """Return the columns of the job table, in the order of submissions."""
    classes = model.classes
    which = _pick([each.share for each in classes], Stream(seed, "fit:class").uniform(submit.size))
    rows = [np.flatnonzero(which == place) for place in range(len(classes))]
    drawn = [_draw(each, mine.size, seed, _stem(each)) for each, mine in zip(classes, rows, strict=True)]
    back = np.empty(submit.size, np.int64)
    back[np.concatenate(rows)] = np.arange(submit.size)
    order = pa.array(back)

    def together(name: str, kind: pa.DataType) -> pa.Array:
        return pa.concat_arrays([pa.array(getattr(each, name), kind) for each in drawn]).take(order)

    milli = together("milli", pa.int64()).to_numpy()
    shared = (milli > 0) & (milli < 1000)
    limit = together("limit", pa.float64()).to_numpy()
    names = pa.array([each.name for each in classes], pa.string())
    digits = pc.utf8_lpad(pa.array(np.arange(1, submit.size + 1)).cast(pa.string()), 7, "0")
    return {
        "job_id": pc.binary_join_element_wise("like", digits, "-"),
        "submit_time": pa.array(submit),
        "runtime": together("runtime", pa.float64()),
        "time_limit": pa.array(limit, mask=np.isnan(limit)),
        "gpus": pa.array(np.where(shared, 1, milli // 1000).astype(np.int32)),
        "gpu_milli": pa.array(np.where(shared, milli, 0).astype(np.int32), mask=~shared),
        "job_class": names.take(pa.array(which)),
        "tenant": together("tenant", pa.string()),
        "user": together("user", pa.string()),
        "state": together("state", pa.string()),
    }


def _stem(model: ClassModel) -> str:
    """Return what tells the streams of a part from those of the others: its class and its tenants."""
    return "|".join([model.name or "", *(owner.name or "" for owner in model.owners)])


def _draw(model: ClassModel, jobs: int, seed: int, stem: str) -> _Drawn:
    """Return what is drawn for the jobs of a class; each purpose has a stream of its own."""

    def chance(name: str) -> NDArray[np.float64]:
        return Stream(seed, f"fit:{stem}:{name}").uniform(jobs)

    amounts = np.array([amount_of(size) for size in model.sizes])
    milli = amounts[_pick(list(model.sizes.values()), chance("size"))]
    bounds = np.array([each.up_to_gpus for each in model.runtimes])
    row = np.minimum(np.searchsorted(bounds, milli / 1000, side="left"), bounds.size - 1)
    runtime, luck = np.empty(jobs), chance("runtime")
    for place, each in enumerate(model.runtimes):
        mine = row == place
        runtime[mine] = np.round(each.seconds.quantile(luck[mine]), 3)
    state, limit = _ends(model.endings, runtime, chance("state"), chance("limited"), chance("limit"))
    tenant, user = _owned(model.owners, chance("tenant"), chance("user"))
    return _Drawn(milli, runtime, limit, state, tenant, user)


def _ends(
    endings: list[Ending],
    runtime: NDArray[np.float64],
    chance: NDArray[np.float64],
    limited: NDArray[np.float64],
    which: NDArray[np.float64],
) -> tuple[list[str | None], NDArray[np.float64]]:
    """Return end states and limits by run time; a limit is never below it, and is it for a timed-out job."""
    bounds = np.array([each.up_to_s for each in endings[:-1]], dtype=np.float64)
    row = np.searchsorted(bounds, runtime, side="left")
    names = sorted({name for each in endings for name in each.states})
    state, limit = np.zeros(runtime.size, np.int64), np.full(runtime.size, np.nan)
    for place, each in enumerate(endings):
        mine = row == place
        state[mine] = _pick([each.states.get(name, 0.0) for name in names], chance[mine])
        if each.limited:
            has = mine & (limited < each.limited)
            limits = np.array(each.limits_s)
            limit[has] = limits[(which[has] * limits.size).astype(np.int64)]
    limit = np.where(limit < runtime, np.ceil(runtime / 60) * 60, limit)
    if "timed_out" in names:
        out = (state == names.index("timed_out")) & np.isfinite(limit)
        limit[out] = runtime[out]
    shown = [None if name == UNKNOWN_STATE else name for name in names]
    return [shown[code] for code in state.tolist()], limit


def _owned(
    owners: list[Owner], chance: NDArray[np.float64], luck: NDArray[np.float64]
) -> tuple[list[str | None], list[str | None]]:
    """Return the tenant and the user of each job; users are named by their rank in the tenant."""
    which = _pick([each.share for each in owners], chance)
    rank = np.zeros(chance.size, np.int64)
    for place, each in enumerate(owners):
        if each.users:
            mine = which == place
            rank[mine] = np.minimum(np.searchsorted(_together(each), luck[mine], side="right"), each.users - 1) + 1
    stems = ["user" if each.name is None else f"{each.name}/u" for each in owners]
    tenants = [owners[code].name for code in which.tolist()]
    users = [
        f"{stems[code]}{number}" if number else None for code, number in zip(which.tolist(), rank.tolist(), strict=True)
    ]
    return tenants, users


def _together(owner: Owner) -> NDArray[np.float64]:
    """Return the share of the first 1, 2, ... users together; straight in the logarithm of the rank between rows."""
    ranks, shares = zip(*owner.top, strict=True)
    known = np.interp(np.log(np.arange(1, owner.users + 1)), np.log(ranks), shares)
    return np.asarray(known / known[-1], dtype=np.float64)


def _pick(shares: list[float], chance: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the part that each chance falls into, same shape."""
    edges = np.cumsum(shares) / sum(shares)
    return np.minimum(np.searchsorted(edges, chance, side="right"), len(shares) - 1).astype(np.int64)
