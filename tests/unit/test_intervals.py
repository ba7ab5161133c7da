"""Exact integrals of steps, also where they do not fit 64 bits."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gpuyard.intervals import Spans, Steps, exact_integers


def _spans(*pairs: tuple[int, int]) -> Spans:
    return Spans(np.array([a for a, _ in pairs], np.int64), np.array([b for _, b in pairs], np.int64))


def test_an_integral_counts_each_span_for_the_time_it_overlaps_a_bin():
    spans = _spans((0, 10), (5, 25), (12, 12))
    assert spans.integrals(np.array([2, 3, 99]), np.array([0, 10, 20, 30])) == [2 * 10 + 3 * 5, 3 * 10, 3 * 5]


def test_spans_need_not_be_sorted_and_may_begin_before_the_first_edge():
    spans = _spans((30, 40), (-5, 15), (10, 20))
    assert spans.integrals(np.array([1, 10, 100]), np.array([10, 35])) == [1 * 5 + 10 * 5 + 100 * 10]


def test_a_gigawatt_over_ten_years_is_exact_although_it_overflows_64_bits():
    gigawatt_mw, ten_years_us = 10**12, 10 * 365 * 86_400 * 10**6
    spans = _spans((0, ten_years_us), (7, ten_years_us - 1))
    weight = np.array([gigawatt_mw, gigawatt_mw + 1], np.int64)
    edges = np.array([0, ten_years_us], np.int64)
    expected = gigawatt_mw * ten_years_us + (gigawatt_mw + 1) * (ten_years_us - 8)
    assert expected > 2**64
    assert spans.integrals(weight, edges) == [expected]
    steps = Steps.of(spans, weight, base=5, start=0, stop=ten_years_us)
    assert steps.integrals(edges) == [expected + 5 * ten_years_us]


def test_low_bits_and_an_estimate_give_the_whole_number():
    true = [3 * 2**64 + 17, -(2**64) + 5, 12]
    low = np.array([17, 5, 12], np.int64)
    estimate = np.array([float(value) for value in true]) + 2.0**61
    assert exact_integers(low, estimate) == true


def test_an_end_and_a_start_at_one_instant_make_no_peak():
    spans = _spans((0, 10), (10, 20))
    steps = Steps.of(spans, np.array([4, 6]), base=1, start=0, stop=20)
    assert steps.peak(0, 20) == 7
    assert steps.peak(0, 10) == 5
    assert spans.peak_count(0, 20) == 1


def test_a_span_of_no_length_is_never_under_way():
    spans = _spans((3, 3), (3, 3))
    assert spans.peak_count(0, 10) == 0
    assert Steps.of(spans, np.array([8, 8]), base=1, start=0, stop=10).peak(0, 10) == 1


def test_the_peak_in_a_window_sees_what_began_before_it():
    spans = _spans((0, 30), (5, 8), (20, 25))
    assert [spans.peak_count(*window) for window in ((0, 30), (9, 19), (9, 20), (26, 30))] == [2, 1, 2, 1]
    steps = Steps.of(spans, np.array([1, 10, 100]), base=0, start=0, stop=30)
    assert [steps.peak(*window) for window in ((0, 30), (9, 19), (9, 21), (26, 30), (6, 6))] == [101, 1, 101, 1, 11]


_MOMENTS = st.integers(0, 50)


@given(st.lists(st.tuples(_MOMENTS, _MOMENTS, st.integers(0, 10**15)), max_size=30), st.lists(_MOMENTS, max_size=6))
def test_both_ways_to_integrate_agree_with_counting_tick_by_tick(rows, cuts):
    pairs = [(min(a, b), max(a, b)) for a, b, _ in rows]
    weight = np.array([w for *_, w in rows], np.int64)
    edges = np.array(sorted({0, 50, *cuts}), np.int64)
    counted = [
        sum(w for (a, b), (*_, w) in zip(pairs, rows, strict=True) for tick in range(first, last) if a <= tick < b)
        for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]
    spans = _spans(*pairs)
    assert spans.integrals(weight, edges) == counted
    assert Steps.of(spans, weight, base=0, start=0, stop=50).integrals(edges) == counted
