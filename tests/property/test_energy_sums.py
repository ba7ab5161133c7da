"""Whatever the jobs: parts add up to the meter, bins to the run, groups to the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import cluster, workload
from gpuyard.energy import EnergyModel, account
from gpuyard.metrics import summarise, timeline_table
from gpuyard.traces.schema import ORIGIN
from gpuyard.workload import MICROSECOND, Workload
from records import record

SECONDS = st.integers(0, 200 * 86_400 * 10**6).map(lambda tick: tick / 10**6)
RUN = st.tuples(
    SECONDS,
    st.floats(0, 3e6, allow_nan=False).map(lambda length: round(length, 6)),
    st.floats(0, 1e5, allow_nan=False).map(lambda wait: round(wait, 6)),
    st.integers(0, 8),
    st.integers(0, 2),
    st.sampled_from([None, "training", "md", "strange"]),
    st.one_of(st.none(), st.floats(0, 1, allow_nan=False)),
)


def _facts(runs, *, dated: bool):
    """Return runs that each take part of a node of their own, as a node cannot be shared by more than it has."""
    rows = [
        (submit, runtime, gpus, {"job_class": name, "activity": activity, "job_id": str(number)})
        for number, (submit, runtime, _, gpus, _, name, activity) in enumerate(runs)
    ]
    jobs = workload(*rows)
    place = {name: number for number, name in enumerate(jobs.table["job_id"].to_pylist())}
    if dated:
        jobs = Workload.from_table(jobs.table.replace_schema_metadata({ORIGIN: b"2025-03-15T00:00:00+09:00"}))
    held = [
        (place[str(number)], submit + wait, submit + wait + runtime, [(number, gpus)])
        for number, (submit, runtime, wait, gpus, *_) in enumerate(runs)
    ]
    return record(jobs, cluster(*[8] * max(1, len(runs))), *held)


MODEL = EnergyModel(pue=tuple(1.05 + month / 50 for month in range(12)), price_krw_per_kwh=(100.0, 200.0) * 6)


@given(st.lists(RUN, min_size=1, max_size=25), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_parts_add_up_to_the_meter(runs, dated):
    totals = account(_facts(runs, dated=dated), MODEL).totals
    assert totals.parts_kwh == pytest.approx(totals.facility_kwh, rel=1e-12)
    it = totals.jobs_kwh + totals.held_idle_kwh + totals.idle_kwh + totals.switches_kwh + totals.other_kwh
    assert it == pytest.approx(totals.it_kwh, rel=1e-12)


@given(st.lists(RUN, min_size=1, max_size=25), st.booleans())
@settings(max_examples=60, deadline=None)
def test_jobs_and_attempts_account_for_the_same_energy(runs, dated):
    drawn = account(_facts(runs, dated=dated), MODEL)
    assert drawn.job_kwh.sum() == pytest.approx(drawn.totals.jobs_kwh, rel=1e-12, abs=1e-15)
    assert drawn.job_idle_kwh.sum() == pytest.approx(drawn.totals.held_idle_kwh, rel=1e-12, abs=1e-15)
    assert drawn.totals.idle_kwh >= 0


@given(st.lists(RUN, min_size=1, max_size=25), st.booleans(), st.sampled_from([None, 777.0, 86_400.0]))
@settings(max_examples=60, deadline=None)
def test_bins_times_their_lengths_add_up_to_the_totals(runs, dated, width):
    facts = _facts(runs, dated=dated)
    if width == 777.0 and int(facts.stop - facts.workload.submit.min()) > 2000 * 777 * MICROSECOND:
        width = 86_400.0
    drawn = account(facts, MODEL)
    table, found = timeline_table(facts, drawn, bin_width=width), summarise(facts, drawn)
    hours = table["duration_s"].to_numpy() / 3600

    def total(name: str) -> float:
        return float((table[name].to_numpy() * hours).sum())

    energy, span = found["energy"], float(hours.sum())
    assert total("gpus_held") == pytest.approx(found["gpu"]["gpu_hours"], rel=1e-11, abs=1e-12)
    assert total("it_power_w") / 1000 == pytest.approx(energy["it_kwh"], rel=1e-11)
    facility = table["facility_power_w"].to_numpy() / 1000 * hours
    assert facility.sum() == pytest.approx(energy["facility_kwh"], rel=1e-11)
    assert (facility * table["price_krw_per_kwh"].to_numpy()).sum() == pytest.approx(energy["cost_krw"], rel=1e-11)
    assert (facility * table["carbon_kg_per_kwh"].to_numpy()).sum() == pytest.approx(energy["carbon_kg"], rel=1e-11)
    by_class = sum(total(name) for name in table.column_names if name.startswith("held."))
    assert by_class == pytest.approx(total("gpus_held"), rel=1e-11, abs=1e-12)
    if span:
        assert total("queued_jobs") / span == pytest.approx(found["queue"]["mean_jobs"], rel=1e-11, abs=1e-15)
        assert total("gpus_busy") / span / found["gpu"]["count"] == pytest.approx(
            found["gpu"]["utilization"], rel=1e-11, abs=1e-15
        )


@given(st.lists(RUN, min_size=1, max_size=25))
@settings(max_examples=40, deadline=None)
def test_groups_add_up_to_the_whole(runs):
    facts = _facts(runs, dated=False)
    found = summarise(facts, account(facts, MODEL))
    for grouping in ("by_class", "by_tenant", "by_gpus"):
        groups = found[grouping].values()
        assert sum(group["jobs"]["submitted"] for group in groups) == found["jobs"]["submitted"] == len(runs)
        hours = sum(group["gpu"]["gpu_hours"] for group in groups)
        assert hours == pytest.approx(found["gpu"]["gpu_hours"], rel=1e-12, abs=1e-15)
        waits = [group["wait_s"]["max"] for group in groups if group["wait_s"]["max"] is not None]
        assert max(waits) == found["wait_s"]["max"]


@given(st.lists(RUN, min_size=1, max_size=25), st.integers(-(10**15), 10**15))
@settings(max_examples=40, deadline=None)
def test_the_energy_does_not_depend_on_when_it_is_used(runs, shift):
    from dataclasses import replace

    facts = _facts(runs, dated=False)
    table = facts.workload.table
    moved = np.rint(table["submit_time"].to_numpy() * 10**6).astype(np.int64) + shift
    import pyarrow as pa

    later = table.set_column(1, table.schema.field(1), pa.array(moved / 10**6))
    shifted = replace(
        facts,
        workload=Workload.from_table(later),
        stop=facts.stop + shift,
        **{name: getattr(facts, name) + shift for name in ("eligible", "start", "end", "attempt_start", "attempt_end")},
    )
    assert account(shifted).totals == account(facts).totals
