"""The compiled passes under the energy account: rounding, exact sums, the meter, and the order of the ends."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conftest import cluster, workload
from gpuyard.energy import EnergyModel, account
from gpuyard.energy.model import LOAD_SOURCES, job_load
from gpuyard.energy.power import metered
from gpuyard.intervals import Spans
from gpuyard.kernel.energy import order_ends
from records import record

MOMENTS = st.integers(0, 50)
ROWS = st.lists(st.tuples(MOMENTS, MOMENTS, st.integers(0, 10**15)), max_size=30)


def _whole(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def _spans(*pairs: tuple[int, int]) -> Spans:
    return Spans(_whole(*(a for a, _ in pairs)), _whole(*(b for _, b in pairs)))


# --- what an attempt draws ------------------------------------------------------------------------------------------


def test_a_slot_is_rounded_to_the_nearest_milliwatt_half_to_even_and_its_idle_part_down():
    asked = ((1, 0.00125), (1, 0.00375), (2, 0.0019))
    jobs = workload(*((0, 1, 1, {"gpu_milli": milli, "activity": load}) for milli, load in asked))
    drawn = account(record(jobs, cluster(3, 3, 3), *((row, 0, 1, [(row, 1)]) for row in range(3))))
    # thousandths of a GPU of 400 W: 0.5, 1.5 and 1.52 mW; its CPUs, thousandths of 200 W / 3 at that load, below 0.5 mW
    assert drawn.attempt_mw.tolist() == [0, 2, 2]
    assert drawn.attempt_idle_mw.tolist() == [33, 33, 66]  # thousandths of 100 W / 3: 33.3, 33.3 and 66.7


def test_a_job_never_holds_more_cores_than_its_node_has():
    jobs = workload((0, 10, 1, {"cpus": 48, "activity": 0.0}))
    site = cluster(4, cpus=[32])
    assert account(record(jobs, site, (0, 0, 10, [(0, 1)]))).attempt_mw.tolist() == [200_000]


def test_cores_are_not_known_where_the_node_states_none():
    jobs = workload((0, 10, 1, {"cpus": 8}), (0, 10, 1, {"cpus": 8}))
    site = cluster(4, 4, cpus=[32, 0])
    drawn = account(record(jobs, site, (0, 0, 10, [(0, 1)]), (1, 0, 10, [(1, 1)])), EnergyModel(default_load=1.0))
    assert drawn.attempt_mw.tolist() == [400_000 + 50_000, 400_000 + 50_000]  # 8/32 of the cores, 1/4 of the GPUs
    drawn = account(record(jobs, site, (0, 0, 10, [(0, 1)]), (1, 0, 10, [(1, 1)])), EnergyModel(default_load=0.5))
    assert drawn.attempt_mw.tolist() == [200_000 + 50_000, 200_000 + 25_000]


def test_an_attempt_on_several_nodes_is_the_sum_of_its_slots():
    jobs = workload((0, 10, 6, {"activity": 0.5, "cpus": 12}), (0, 10, 0, {"cpus": 16, "nodes": 2}))
    site = cluster(4, 8, cpus=[32, 64])
    drawn = account(record(jobs, site, (0, 0, 10, [(0, 4), (1, 2)]), (1, 0, 10, [(0, 0), (1, 0)])))
    # 6 x 400 x 0.5 + 200 x (8/32 + 4/64); without GPUs 8 cores on each node: 200 x (8/32 + 8/64)
    assert drawn.attempt_mw.tolist() == [1_262_500, 75_000]
    assert drawn.attempt_idle_mw.tolist() == [100_000 + 25_000, 0]


def test_a_job_that_ran_twice_adds_both_attempts():
    jobs = workload((0, 7200, 4), (0, 1, 1))
    drawn = account(
        record(jobs, cluster(4), (0, 0, 3600, [(0, 4)]), (0, 7200, 14_400, [(0, 4)])), EnergyModel(default_load=1.0)
    )
    assert drawn.job_kwh.tolist() == [1.8 + 3.6, 0.0]
    assert drawn.job_idle_kwh.tolist() == [pytest.approx(0.3), 0.0]


@pytest.mark.parametrize("named", [None, "training"])
def test_a_job_of_no_class_counts_as_other_whether_or_not_another_job_has_one(named):
    jobs = workload((0, 1, 1), (0, 1, 1, {"job_class": named}))
    load, source = job_load(jobs, EnergyModel(class_load={"other": 0.9, "training": 0.2}))
    assert load.tolist() == [0.9, 0.2 if named else 0.9]
    assert [LOAD_SOURCES[number] for number in source] == ["class", "class"]
    load, source = job_load(jobs, EnergyModel(default_load=0.3))
    assert (load[0], LOAD_SOURCES[source[0]]) == (0.3, "default")


# --- sums and the meter ---------------------------------------------------------------------------------------------


def test_the_meter_follows_the_power_from_event_to_event():
    spans = _spans((0, 10), (10, 20), (15, 15))
    energy, peak = metered(spans, _whole(5, 7, 100), _whole(0, 10, 12, 12, 20, 30), base=1)
    assert energy == [6 * 10, 8 * 2, 0, 8 * 8, 1 * 10]
    assert peak == [6, 8, 8, 8, 1]  # one leaves as the next comes; what lasts no time is no peak


def test_the_meter_knows_what_began_before_its_window():
    spans = _spans((30, 40), (-5, 15), (10, 20))
    assert metered(spans, _whole(1, 10, 100), _whole(12, 18), base=0) == ([110 * 3 + 100 * 3], [110])
    assert metered(spans, _whole(1, 10, 100), _whole(15, 15), base=0) == ([0], [100])
    assert metered(spans, _whole(1, 10, 100), _whole(41, 43), base=3) == ([6], [3])


def test_energy_is_split_at_the_edges_whatever_the_order_of_the_spans():
    spans = _spans((30, 40), (-5, 15), (10, 20), (0, 45), (99, 99))
    assert spans.integrals(_whole(1, 10, 100, 1000, 7), _whole(0, 10, 20, 35)) == [
        10 * 10 + 1000 * 10,
        10 * 5 + 100 * 10 + 1000 * 10,
        1 * 5 + 1000 * 15,
    ]


def test_a_gigawatt_over_ten_years_is_exact_although_it_overflows_64_bits():
    gigawatt_mw, ten_years_us = 10**12, 10 * 365 * 86_400 * 10**6
    spans = _spans((0, ten_years_us), (7, ten_years_us - 1))
    power = _whole(gigawatt_mw, gigawatt_mw + 1)
    expected = gigawatt_mw * ten_years_us + (gigawatt_mw + 1) * (ten_years_us - 8)
    assert expected > 2**64
    edges = _whole(0, ten_years_us)
    assert spans.integrals(power, edges) == [expected]
    assert metered(spans, power, edges, base=5) == ([expected + 5 * ten_years_us], [2 * gigawatt_mw + 6])


@given(ROWS, st.lists(MOMENTS, max_size=6))
def test_sums_and_meter_agree_with_counting_tick_by_tick(rows, cuts):
    pairs = [(min(a, b), max(a, b)) for a, b, _ in rows]
    power = _whole(*(w for *_, w in rows))
    edges = sorted({0, 50, *cuts})
    at = [sum(w for (a, b), (*_, w) in zip(pairs, rows, strict=True) if a <= tick < b) for tick in range(50)]
    bins = [at[first:last] for first, last in itertools.pairwise(edges)]
    spans = _spans(*pairs)
    assert spans.integrals(power, _whole(*edges)) == [sum(values) for values in bins]
    energy, peak = metered(spans, power, _whole(*edges), base=3)
    assert energy == [sum(values) + 3 * len(values) for values in bins]
    assert peak == [max(values) + 3 for values in bins]


# --- the order of the ends ------------------------------------------------------------------------------------------


@given(st.lists(st.one_of(MOMENTS, st.integers(-(2**63), 2**63 - 1)), max_size=40))
@example([2**63 - 1, -(2**63), 5])
def test_spans_come_in_the_order_of_their_ends_and_then_their_own(ends):
    spans = Spans(np.full(len(ends), -(2**63), dtype=np.int64), _whole(*ends))
    assert spans.by_end.tolist() == sorted(range(len(ends)), key=ends.__getitem__)


def test_ends_that_crowd_beside_one_far_away_are_sorted_in_another_way():
    ends = _whole(*range(400, 0, -1), 10**15)
    order = np.empty(401, dtype=np.int64)
    assert not order_ends(ends, 1, 41, np.zeros((10**15 >> 41) + 2, dtype=np.int64), order)
    assert Spans(np.zeros(401, dtype=np.int64), ends).by_end.tolist() == [*range(399, -1, -1), 400]


# --- imports --------------------------------------------------------------------------------------------------------


def test_the_figures_of_the_model_can_be_read_without_the_compiler():
    code = "import sys, gpuyard.energy, gpuyard.metrics; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
