"""Numbers read as people write them, and text out of traces cannot steer a page or a terminal."""

from __future__ import annotations

import pytest

from gpuyard.report.wording import UNKNOWN, clean, format_change, format_number, format_value, natural_key, unbroken


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [
        (893_000.0, "kwh", "893 MWh"),
        (12_340_000.0, "kwh", "12.3 GWh"),
        (0.85, "mw", "850 kW"),
        (40.0, "mw", "40 MW"),
        (125e6, "krw", "125 m KRW"),
        (1.925e9, "krw", "1.93 bn KRW"),
        (375_000.0, "kg", "375 t"),
        (0.713, "share", "71.3 %"),
        (0.00042, "share", "0.042 %"),
        (3168.0, "seconds", "52m 48s"),
        (730.0 * 86_400, "seconds", "730d"),
        (5114.0 * 86_400, "seconds", "14.0 years"),
        (-5114.0 * 86_400, "seconds", "-14.0 years"),
        (1.1449, "ratio", "1.145"),
        (20_000, "count", "20,000"),
        (None, "count", UNKNOWN),
        (float("nan"), "seconds", UNKNOWN),
        (True, "count", UNKNOWN),
    ],
)
def test_a_number_has_few_digits_and_its_unit(value, form, shown):
    assert format_value(value, form) == shown


def test_three_digits_are_kept_and_whole_numbers_are_whole():
    assert [format_number(value) for value in (0, 0.01234, 1.5, 12.34, 999.4, 1234.5, 7.0)] == [
        "0", "0.0123", "1.50", "12.3", "999", "1,234", "7",
    ]  # fmt: skip


def test_a_difference_carries_its_sign_and_shares_differ_by_points():
    assert format_change(-200.0, "seconds") == "-3m 20s"
    assert format_change(0.012, "share") == "+1.20 points"
    assert format_change(0.0, "kwh") == "no change"
    assert format_change(None, "kwh") == UNKNOWN


def test_characters_that_do_not_print_are_replaced_and_long_text_is_cut():
    assert clean("a\x1b[31mred\nline") == "a\ufffd[31mred\ufffdline"
    assert clean("x" * 70, 10) == "xxxxxxxxx…"


def test_sizes_sort_as_numbers_and_words_come_last():
    assert sorted(["16+", "other", "2-4", "1", "8"], key=natural_key) == ["1", "2-4", "8", "16+", "other"]


def test_a_number_stays_with_its_unit():
    assert unbroken("held 71.3 % for 1d 12h") == "held 71.3\xa0% for 1d\xa012h"
