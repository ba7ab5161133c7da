"""The look-alike of the recorded Philly trace, by the tolerances that docs/validation.md states."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from gpuyard.fitting import fit, look_alike
from gpuyard.portrait import Portrait, distances, portray
from gpuyard.scenario import read_trace

FOLDER = Path(os.environ.get("GPUYARD_TRACES", Path(__file__).resolve().parents[2] / ".." / "shared" / "traces"))
PHILLY = FOLDER / "microsoft_philly_2017" / "philly.csv"
SEEDS = 6

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not PHILLY.exists(), reason="the public traces are not here; set GPUYARD_TRACES to their folder"
    ),
]


@cache
def recorded() -> Portrait:
    return portray(read_trace(PHILLY))


@cache
def likes() -> list[Portrait]:
    model = fit(read_trace(PHILLY))
    return [portray(look_alike(model, seed=seed)) for seed in range(SEEDS)]


@pytest.mark.parametrize(
    ("quantity", "level", "within"),
    [
        ("runtime_s", "mean", 0.08),
        *(("runtime_s", level, 0.06) for level in ("p5", "p25", "p50", "p75", "p90")),
        ("runtime_s", "p95", 0.10),
        ("runtime_s", "p99", 0.10),
        ("gap_s", "mean", 0.001),
        ("gap_s", "p50", 0.15),
        ("gap_s", "p75", 0.25),
        ("gap_s", "p90", 0.25),
    ],
)
def test_quantiles_are_those_of_the_record(quantity: str, level: str, within: float) -> None:
    for like in likes():
        assert like.quantiles(quantity)[level] == pytest.approx(recorded().quantiles(quantity)[level], rel=within)


def test_the_gpu_time_is_that_of_the_record_within_10_percent_and_on_average_within_4() -> None:
    hours = [like.gpu_hours for like in likes()]
    assert hours == pytest.approx([recorded().gpu_hours] * SEEDS, rel=0.10)
    assert np.mean(hours) == pytest.approx(recorded().gpu_hours, rel=0.04)


def test_sizes_have_the_shares_of_the_record() -> None:
    for like in likes():
        for size, share in recorded().size_jobs.items():
            assert like.size_jobs.get(size, 0.0) == pytest.approx(share, abs=0.003), size
        for size, share in recorded().size_gpu_time.items():
            assert like.size_gpu_time.get(size, 0.0) == pytest.approx(share, abs=0.04), size


@pytest.mark.parametrize(
    ("window", "low", "high"), [(60.0, 0.7, 2.0), (600.0, 0.7, 1.4), (3600.0, 0.7, 1.4), (86_400.0, 0.6, 1.4)]
)
def test_submissions_vary_as_in_the_record(window: float, low: float, high: float) -> None:
    ratio = np.mean([like.dispersion[window] for like in likes()]) / recorded().dispersion[window]
    assert low < ratio < high


def test_hours_days_and_tenants_have_the_shares_of_the_record() -> None:
    for like in likes():
        found = {each.quantity: each for each in distances(recorded(), like)}
        assert found["hourly"].overlap_lost < 0.12
        assert found["weekly"].overlap_lost < 0.16
        assert found["runtime_s"].ks < 0.012
        assert found["gap_s"].ks < 0.05
        share = "top_tenant_share_of_jobs"
        assert like.owners[share] == pytest.approx(recorded().owners[share], abs=0.006)


def test_gaps_vary_as_in_the_record() -> None:
    assert np.mean([like.gap_cv() for like in likes()]) == pytest.approx(recorded().gap_cv(), rel=0.2)
