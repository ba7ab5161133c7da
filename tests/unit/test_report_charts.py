"""Axes are round, stairs are drawn where the numbers change, and zero waits stand in a strip of their own."""

from __future__ import annotations

import numpy as np
import pytest

from gpuyard.report.charts import Area, Curve, distribution_chart, nice_ticks, time_chart
from gpuyard.report.series import distribution


def drawn(*areas, edges=(0.0, 100.0, 200.0, 300.0, 400.0), **given):
    means = [float(np.nanmean(area.values)) for area in areas]
    return time_chart("x", "X", np.array(edges), areas, y_label="GPUs", note="", means=means, **given)


@pytest.mark.parametrize(
    ("largest", "ticks"),
    [
        (1152, [0, 250, 500, 750, 1000, 1250]),
        (1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (17, [0, 5, 10, 15, 20]),
        (0, [0, 1]),
    ],
)
def test_an_axis_ends_on_a_round_number_at_or_above_the_largest(largest, ticks):
    assert nice_ticks(largest) == pytest.approx(ticks)


def test_all_labels_of_an_axis_have_the_same_decimals():
    chart = drawn(Area(name="a", slot="c0", values=np.array([0.2, 1.4, 0.5, 0.1])))
    assert [tick.label for tick in chart.y_ticks] == ["0.0", "0.5", "1.0", "1.5"]


def test_a_line_is_a_staircase_that_merges_equal_steps_and_leaves_gaps():
    chart = drawn(Area(name="a", slot="c0", values=np.array([10.0, 10.0, np.nan, 5.0])))
    assert chart.paths[0].data == "M0 0H500M750 500H1000"


def test_layers_are_stacked_and_the_highest_is_painted_first():
    low, high = np.full(4, 4.0), np.full(4, 6.0)
    line = Area(name="up", slot="ink", values=np.full(4, 10.0))
    chart = drawn(
        Area(name="a", slot="c0", values=low, stacked=True), Area(name="b", slot="c1", values=high, stacked=True), line
    )
    assert [(path.slot, path.filled, path.data) for path in chart.paths] == [
        ("c1", True, "M0 1000V0H1000V1000Z"),
        ("c0", True, "M0 1000V600H1000V1000Z"),
        ("ink", False, "M0 0H1000"),
    ]


def test_years_are_read_with_short_labels():
    chart = drawn(Area(name="a", slot="c0", values=np.array([1.0])), edges=(0.0, 3 * 365.25 * 86_400.0))
    assert chart.x_label == "years since the start of the trace"
    assert [tick.label for tick in chart.x_ticks] == ["0", "0.5", "1", "1.5", "2", "2.5", "3"]


def test_time_is_read_in_a_unit_that_suits_the_span():
    values = np.array([1.0, 1.0])
    chart = drawn(Area(name="a", slot="c0", values=values), edges=(0.0, 5 * 86_400.0, 10 * 86_400.0))
    assert chart.x_label == "days since the start of the trace"
    assert [(tick.label, tick.place) for tick in chart.x_ticks] == [
        (str(day), day * 10.0) for day in (0, 2, 4, 6, 8, 10)
    ]


@pytest.mark.parametrize(
    ("window", "outside"),
    [
        ((-np.inf, np.inf), ()),
        ((0.0, 400.0), ()),
        ((100.0, 300.0), ((0, 25), (75, 25))),
        ((0.0, 300.0), ((75, 25),)),
        ((50.0, np.inf), ((0, 12.5),)),
        ((500.0, 600.0), ((0, 100),)),
        ((0.3, 400.0), ()),
    ],
)
def test_what_lies_outside_the_time_measured_is_shaded(window, outside):
    chart = drawn(Area(name="a", slot="c0", values=np.ones(4)), window=window)
    assert chart.outside == outside
    assert ("shaded" in chart.alternative) is bool(outside)


def test_zero_waits_rise_inside_the_strip_left_of_the_logarithmic_axis():
    points = distribution(np.array([0.0, 0.0, 1.0, 100.0]))
    chart = distribution_chart("wait", "Wait", [Curve(name="all", slot="ink", points=points)], note="", x_label="wait")
    assert chart.strip == 5.5
    assert chart.paths[0].data == "M0 1000H27.5V500H55V250H1000V0H1000"
    assert chart.x_ticks[0].label == "under 1 s"
    assert chart.keys[0].rest == "4 jobs, median 0 s, 50.0 % at zero"


def test_the_axis_begins_later_where_nothing_is_so_short():
    points = distribution(np.linspace(700.0, 90_000.0, 1000))
    chart = distribution_chart("jct", "JCT", [Curve(name="all", slot="ink", points=points)], note="", x_label="time")
    assert chart.x_ticks[0].label == "under 10 min"
