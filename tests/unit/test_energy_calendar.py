"""Monthly figures take effect at midnight, on the clock of the trace."""

from __future__ import annotations

import itertools

import pyarrow as pa
import pytest

from conftest import cluster, workload
from gpuyard.energy import EnergyModel, account
from gpuyard.energy.calendar import periods
from gpuyard.errors import ConfigError
from gpuyard.traces.schema import ORIGIN, ZONE
from gpuyard.workload import Workload
from records import record

HOUR = 3600 * 1_000_000
MONTHS = tuple(1.0 + month / 100 for month in range(1, 13))


def _edges(origin: str, zone: str, hours: int) -> tuple[list[int], list[float]]:
    found = periods(MONTHS, 0.4, 180.0, origin=origin, zone=zone, start=0, stop=hours * HOUR)
    return [edge // HOUR for edge in found.edges.tolist()], found.pue.tolist()


def test_a_month_begins_at_midnight_of_the_origins_own_offset():
    assert _edges("2026-01-31T20:00:00+09:00", "", 10) == ([0, 4, 10], [1.01, 1.02])


def test_a_month_begins_at_midnight_in_the_zone_of_the_trace():
    assert _edges("2026-01-31T11:00:00+00:00", "Asia/Seoul", 10) == ([0, 4, 10], [1.01, 1.02])


def test_a_zone_that_changes_its_clock_shortens_march():
    edges, pue = _edges("2026-03-01T00:00:00-05:00", "America/New_York", 24 * 40)
    assert edges == [0, 31 * 24 - 1, 24 * 40]
    assert pue == [1.03, 1.04]


def test_an_origin_without_a_zone_is_a_clock_of_its_own():
    assert _edges("2025-12-31T23:00:00", "", 2) == ([0, 1, 2], [1.12, 1.01])


def test_a_year_has_twelve_months():
    edges, pue = _edges("2025-01-01T00:00:00Z", "UTC", 365 * 24)
    lengths = [(b - a) // 24 for a, b in itertools.pairwise(edges)]
    assert lengths == [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    assert pue == list(MONTHS)


def test_without_an_origin_the_mean_of_the_months_holds_and_a_note_says_so():
    found = periods(MONTHS, 0.4, 180.0, origin="", zone="", start=0, stop=HOUR)
    assert found.pue.tolist() == pytest.approx([1.065])
    assert "no origin" in found.note


def test_constant_figures_need_no_calendar():
    found = periods(1.2, 0.4, 180.0, origin="", zone="", start=0, stop=10**18)
    assert (found.pue.tolist(), found.note) == ([1.2], "")


@pytest.mark.parametrize(
    ("origin", "zone", "message"),
    [
        ("2026-01-01T00:00:00+00:00", "Asia/Soul", "unknown time zone 'Asia/Soul'"),
        ("last year", "", "months cannot be told apart from the origin 'last year'"),
        ("9999-12-01T00:00:00+00:00", "", "give one PUE"),
    ],
)
def test_a_calendar_that_cannot_be_is_refused(origin, zone, message):
    with pytest.raises(ConfigError, match=message):
        periods(MONTHS, 0.4, 180.0, origin=origin, zone=zone, start=0, stop=24 * 60 * HOUR)


def test_energy_before_and_after_midnight_pays_each_months_figures():
    metadata = {ORIGIN: b"2026-01-31T23:00:00+09:00", ZONE: b"Asia/Seoul"}
    table = workload((0, 10800, 4)).table.replace_schema_metadata(metadata)
    jobs = Workload.from_table(pa.table(table))
    price = (100.0, 200.0) + (0.0,) * 10
    model = EnergyModel(default_load=1.0, pue=MONTHS, price_krw_per_kwh=price, carbon_kg_per_kwh=(1.0,) + (0.5,) * 11)
    totals = account(record(jobs, cluster(4), (0, 0, 10800, [(0, 4)])), model).totals
    january, february = 1.9 * 1.01, 2 * 1.9 * 1.02  # kWh at the meter: one hour, then two
    assert totals.facility_kwh == pytest.approx(january + february, rel=1e-14)
    assert totals.parts_kwh == pytest.approx(totals.facility_kwh, rel=1e-14)
    assert totals.cost_krw == pytest.approx(100 * january + 200 * february, rel=1e-14)
    assert totals.carbon_kg == pytest.approx(january + 0.5 * february, rel=1e-14)
    assert totals.facility_peak_w == pytest.approx(1900 * 1.02)
