"""Times as people write them; the expected seconds are worked out by hand."""

from __future__ import annotations

import re

import pytest

from gpuyard.errors import ConfigError
from gpuyard.units import (
    counted,
    format_seconds,
    nearest_scale,
    parse_grid,
    parse_instant,
    parse_seconds,
    parse_window,
    power_unit,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("90", 90.0),
        (90, 90.0),
        (2.5, 2.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("90s", 90.0),
        (" 15m ", 900.0),
        ("3h", 10_800.0),
        ("7d", 604_800.0),
        ("2w", 1_209_600.0),
        ("1.5h", 5_400.0),
        ("1d12h", 129_600.0),
        ("1d 12h", 129_600.0),
        ("250ms", 0.25),
        ("5us", 5e-6),
        ("12:30", 45_000.0),
        ("2-12:00:00", 216_000.0),
        ("00:00:01.5", 1.5),
    ],
)
def test_a_time_is_read_in_seconds(text: str | float, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "soon", "-5", "-3h", "3x", "h", "1h1h", "3 h 5", "nan", "inf", float("nan"), float("inf"), True, "1:99"],
)
def test_what_is_no_time_is_refused_with_examples(text: str | float) -> None:
    with pytest.raises(ConfigError, match="write 90, 90s, 15m, 3h, 7d"):
        parse_seconds(text)


def test_the_message_names_what_was_being_read() -> None:
    with pytest.raises(ConfigError, match="--until cannot be read from 'soon'"):
        parse_seconds("soon", "--until")


@pytest.mark.parametrize(
    ("text", "window"),
    [("2d..9d", (172_800.0, 777_600.0)), ("..12h", (0.0, 43_200.0)), ("1h..", (3600.0, float("inf")))],
)
def test_a_window_may_leave_out_either_side(text: str, window: tuple[float, float]) -> None:
    assert parse_window(text) == window


@pytest.mark.parametrize("text", ["5d", "9d..2d", "1h..1h", "a..b"])
def test_a_window_must_have_two_sides_in_order(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_window(text)


def test_a_grid_is_nodes_times_gpus() -> None:
    assert parse_grid("144x8") == (144, 8)
    assert parse_grid("144 X 8") == (144, 8)
    assert parse_grid("phase-1") is None
    assert parse_grid("144x8.toml") is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 s"), (0.25, "0.25 s"), (59.0, "59 s"), (60, "1m"), (200, "3m 20s"), (129_600, "1d 12h"), (86_405, "1d")],
)
def test_a_duration_for_people_has_at_most_two_units(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("value", "low", "high", "hint"),
    [
        (85, 0.05, 10, "did you mean 0.85? "),
        (12, 0.05, 10, "did you mean 0.12? "),
        (12, 1, 3, "did you mean 1.2? "),
        (113, 1, 3, "did you mean 1.13? "),
        (5, 1, 3, ""),
        (1e6, 0.05, 10, ""),
    ],
)
def test_a_number_without_its_point_is_guessed(value: float, low: float, high: float, hint: str) -> None:
    assert nearest_scale(value, low, high) == hint


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 jobs"), (1, "1 job"), (2, "2 jobs"), (1.0, "1 job"), (1.5, "1.5 jobs"), (1_234_567, "1,234,567 jobs")],
)
def test_one_is_singular_and_all_else_plural(number: float, said: str) -> None:
    assert counted(number, "job") == said


@pytest.mark.parametrize(
    ("watts", "unit"),
    [
        (0, (1.0, "W")),
        (999.0, (1.0, "W")),
        (20_000, (1e3, "kW")),
        (1e6, (1e6, "MW")),
        (2.5e9, (1e9, "GW")),
        (-3e6, (1e6, "MW")),
    ],
)
def test_a_power_is_read_in_the_unit_that_suits_it(watts: float, unit: tuple[float, str]) -> None:
    assert power_unit(watts) == unit


@pytest.mark.parametrize(
    ("text", "seconds"), [(-90, -90), ("-15m", -900), (" -1d12h", -129_600), ("3h", 10_800), (0, 0)]
)
def test_an_instant_may_lie_before_the_origin(text, seconds):
    assert parse_instant(text) == seconds


@pytest.mark.parametrize("text", [float("inf"), -float("inf"), "-1e400", "--5", "-soon", True, "-"])
def test_what_is_no_instant_is_shown_as_it_was_written(text):
    with pytest.raises(ConfigError, match=re.escape(str(text))):
        parse_instant(text)


def test_a_window_may_begin_before_the_origin():
    assert parse_window("-1h..-30m") == (-3600, -1800)
    assert parse_window("-1h..") == (-3600, float("inf"))
