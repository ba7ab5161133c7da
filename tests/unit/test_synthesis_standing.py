"""Units that stand are made stretch by stretch: the same jobs as made at once, and no unit before it begins."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

from gpuyard.streams import Stream
from gpuyard.synthesis import SynthesisSpec, generation, series, standing
from gpuyard.synthesis.arrivals import flat_clock
from gpuyard.synthesis.batch import Batch
from gpuyard.synthesis.class_shares import DEFAULT_CLASSES
from gpuyard.synthesis.expansion import Draws, Jobs, Lasting, Site
from gpuyard.synthesis.kinds import Kind
from gpuyard.synthesis.series import Order, batches
from gpuyard.synthesis.unit_supply import UnitSupply

DAY = 86_400.0
SPAN = 40 * DAY
SITE = Site(4_000, 4_000, growth=0.5, node_cpus=112.0, start=datetime.fromisoformat("2027-01-06T16:20:30.5+09:00"))
KINDS = [kind for one in DEFAULT_CLASSES for kind in one.kinds() if kind.expansion and kind.expansion.standing]
LASTING = [kind for kind in KINDS if isinstance(kind.expansion, Lasting)]
COLUMNS = ("number", "submit", "runtime", "gpus", "tenant", "user", "state", "time_limit")


def named(kinds: list[Kind]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("kind", kinds, ids=lambda kind: kind.key)


def order_of(kind: Kind, site: Site = SITE) -> Order:
    """Return an order of a kind that cuts its last unit, and of it the last job."""
    assert kind.expansion is not None
    supply = UnitSupply(kind, kind.expansion, site, seed=0, redraw=0)
    chosen = supply.offering(0.2 * kind.share * site.gpus * SPAN, SPAN)
    return Order(supply, chosen, 3.0, flat_clock(SPAN))


def plainly(order: Order) -> list[tuple]:
    """Return the jobs of an order as the definition has them: of all units one after the other, the first, sorted.

    Time, unit, number in it, burst, run time, GPUs, parents and the number of the first of them.
    """
    supply, chosen = order.supply, order.chosen
    assert isinstance(supply, UnitSupply)
    units = supply.units(0, supply.submissions(chosen.jobs, SPAN), SPAN)
    chance = Stream(0, f"{supply.stem}:burst").uniform(units.unit.size)
    burst_of_unit = [burst for burst, one in enumerate(chance) for _ in range(1 + int(np.log1p(-one) / np.log(2 / 3)))]
    found = []
    for row in range(chosen.jobs):
        first = int(np.searchsorted(units.unit, units.unit[row]))
        is_last = row == chosen.jobs - 1
        found.append((
            float(units.submit[row]), int(units.unit[row]), row - first, burst_of_unit[units.unit[row]],
            chosen.last / 1000 if is_last and chosen.last is not None else float(units.runtime[row]),
            int(units.gpus[row]), int(units.parents[row]),
            int(units.first_parent[row]) - first if units.parents[row] else 0,
        ))  # fmt: skip
    return sorted(found)


def shown(made: list[Batch]) -> list[tuple]:
    """Return the same of batches, with the owner in place of the burst."""
    rows = []
    for one in made:
        assert one.jobs is not None
        owner = zip(one.tenant.tolist(), one.user.tolist(), strict=True)
        rows += zip(
            one.submit.tolist(), one.jobs.unit.tolist(), one.number.tolist(), owner, one.runtime.tolist(),
            one.gpus.tolist(), one.jobs.parents.tolist(), one.jobs.first_parent.tolist(), strict=True,
        )  # fmt: skip
    return rows


@named(KINDS)
@pytest.mark.parametrize("block", [97, 5_000])
def test_stretches_of_any_length_hold_the_jobs_that_the_definition_gives(kind, block, monkeypatch):
    monkeypatch.setattr(standing, "BLOCK", block)
    order = order_of(kind)
    made = list(batches(order, SynthesisSpec(limit_factor=(1, 3)), SPAN, 0))
    rows, wanted = shown(made), plainly(order)
    assert [row[:3] + row[4:] for row in rows] == [row[:3] + row[4:] for row in wanted]
    owner = {}  # units of one burst have one owner
    for row, meant in zip(rows, wanted, strict=True):
        assert owner.setdefault(meant[3], row[3]) == row[3]
    assert len(made) > 1 or len(rows) <= block


@named(KINDS)
def test_stretches_of_any_length_give_states_limits_and_owners_alike(kind, monkeypatch):
    order, spec = order_of(kind), SynthesisSpec(limit_factor=(1, 3))
    found = []
    for block in (97, 10**9):
        monkeypatch.setattr(standing, "BLOCK", block)
        made = list(batches(order, spec, SPAN, 0))
        found.append([np.concatenate([getattr(one, name) for one in made]) for name in COLUMNS])
    assert all(np.array_equal(one, other) for one, other in zip(*found, strict=True))


@named(LASTING)
@pytest.mark.parametrize("node_cpus", [112.0, None])
def test_what_is_due_in_parts_of_the_window_is_what_falls_into_all_of_it(kind, node_cpus):
    site, units = SITE._replace(node_cpus=node_cpus), np.arange(3, 40)
    sizes, draws = kind.sizes_on(site.gpus, site.largest, site.growth), Draws(0, f"synthesis:{kind.key}:0")
    whole = kind.expansion.jobs(draws, units, sizes, site, SPAN)
    ends = sorted({0.001, 7.0, *(whole.submit[::50] + 0.0004).tolist(), *whole.submit[::77].tolist(), SPAN / 3})
    parts = [
        kind.expansion.due(draws, units, sizes, site, SPAN, part)
        for part in zip((-np.inf, *ends), (*ends, np.inf), strict=True)
    ]
    assert sum(one.unit.size > 0 for one in parts) > 5

    def rows(jobs: Jobs, begun: dict[int, int]) -> list[tuple]:
        """Return unit, number in it, times, size and number of the first parent of each job."""
        number = jobs.item() + np.array([begun.get(unit, 0) for unit in jobs.unit.tolist()], dtype=np.int64)
        for unit in jobs.unit.tolist():
            begun[unit] = begun.get(unit, 0) + 1
        first = np.where(jobs.parents > 0, jobs.first_parent - np.arange(number.size) + number, -1)
        columns = (jobs.unit, number, jobs.submit, jobs.runtime, jobs.start, jobs.gpus, jobs.stage, first, jobs.parents)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    begun: dict[int, int] = {}
    assert sorted(row for one in parts for row in rows(one, begun)) == sorted(rows(whole, {}))


def test_a_unit_is_made_when_the_stretch_comes_in_which_it_begins(monkeypatch):
    monkeypatch.setattr(standing, "BLOCK", 200)
    order = order_of(next(kind for kind in KINDS if kind.name == "active-learning"))
    asked = []
    opening = UnitSupply.opening
    monkeypatch.setattr(UnitSupply, "opening", lambda *given: asked.append(given[2]) or opening(*given))
    made = batches(order, SynthesisSpec(), SPAN, 0)
    first = next(made)
    (part,) = asked
    assert float(first.submit[-1]) < part[1] < SPAN / 10
    assert sum(1 for _ in made) > 10
    assert [one[0] for one in asked[1:]] == [one[1] for one in asked[:-1]]
    assert (asked[0][0], asked[-1][1]) == (-np.inf, np.inf)


@pytest.mark.parametrize(
    "spec",
    [
        SynthesisSpec(days=9, start="2027-01-06T16:20:30+09:00", limits="modal"),
        replace(
            SynthesisSpec(days=9),
            tenants=tuple(replace(one, start="2027-01-08") if one.name in ("steel", "battery", "foundation-a") else one
                          for one in SynthesisSpec().tenants),
        ),
        replace(
            SynthesisSpec(days=9),
            classes=tuple(replace(one, dispersion=40.0) if one.name == "battery" else one for one in DEFAULT_CLASSES),
        ),
    ],
    ids=["limits", "move-ins", "bursts"],
)  # fmt: skip
def test_a_workload_is_the_same_in_stretches_of_any_length(spec, monkeypatch):
    tables = []
    for block, replicas, rows in ((100, 7, 900), (16_384, 2_048, 10**9)):
        monkeypatch.setattr(standing, "BLOCK", block)
        monkeypatch.setattr(series, "REPLICAS", replicas)
        tables.append(pa.concat_tables(generation(spec, gpus=2_000, seed=1, node_cpus=64.0).tables(rows)))
    assert tables[0].combine_chunks().equals(tables[1].combine_chunks())
    assert tables[0].num_rows > 3_000


def units_of(rows: list[tuple[int, int, float]]) -> Batch:
    """Return jobs by unit, number in the unit and submit time; all else is alike."""
    unit, number, submit = (np.array(column) for column in zip(*rows, strict=True))
    none, zero = np.full(unit.size, np.nan), np.zeros(unit.size, dtype=np.int64)
    jobs = Jobs(
        unit=unit, stage=zero, gpus=zero + 1, cpus=none, runtime=none, start=none, submit=submit, delay=none,
        think_time=none, first_parent=zero, parents=zero, array=zero - 1, deadline=none, state=zero,
    )  # fmt: skip
    return Batch(
        kind=KINDS[0], number=number, submit=submit, runtime=none, gpus=zero + 1, tenant=zero, user=zero, state=zero,
        time_limit=none, jobs=jobs,
    )  # fmt: skip


def test_jobs_of_one_instant_are_in_the_order_of_units_whichever_began_first():
    began = {-np.inf: [units_of([(5, 0, 0.0), (5, 1, 10.0), (5, 2, 10.0), (5, 3, 25.0)])],
             8.0: [units_of([(7, 0, 10.0)]), units_of([(2, 0, 9.0), (2, 1, 10.0)])]}  # fmt: skip
    made = list(standing.stretch_by_stretch(lambda part: began.get(part[0], []), [8.0, 20.0, np.inf]))
    assert [list(zip(one.jobs.unit.tolist(), one.number.tolist(), strict=True)) for one in made if one.jobs] == [
        [(5, 0)], [(2, 0), (2, 1), (5, 1), (5, 2), (7, 0)], [(5, 3)],
    ]  # fmt: skip
