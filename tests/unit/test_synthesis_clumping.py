"""Bursts and busier days have the index of dispersion and the CV that are asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from gpuyard.errors import ConfigError
from gpuyard.streams import Stream
from gpuyard.synthesis import ClassShare, SynthesisSpec, Tenant, synthesise
from gpuyard.synthesis.clumping import WEEKS, Clumping, clumping, multipliers, weather
from gpuyard.synthesis.published import CLUSTERS, PHILLY_CV, PHILLY_INDEX, PHILLY_JOBS, PROFILES

HOUR, DAY = 3600.0, 86_400.0
FLAT = np.ones(168)


def index(submits: np.ndarray, span: float) -> float:
    counts = np.bincount((submits // HOUR).astype(int), minlength=round(span / HOUR))
    return float(counts.var() / counts.mean())


def variation(submits: np.ndarray) -> float:
    gaps = np.diff(submits)
    return float(gaps.std() / gaps.mean())


def lab(days: float, rate: float, **figures: float) -> np.ndarray:
    """Return the submit times of jobs of one class at a flat rate, on clusters of jobs of one GPU."""
    spec = SynthesisSpec(
        days=days, rate=rate, hourly=(1.0,) * 24, weekly=(1.0,) * 7,
        classes=(ClassShare(name="training", share=1.0, source={"pai": 1.0}, **figures),),
        tenants=(Tenant(name="lab", weights={"training": 1.0}),),
    )  # fmt: skip
    return synthesise(spec, gpus=1_000, seed=0).floats("submit_time")


def test_multipliers_have_mean_1_and_the_asked_mean_square():
    for swing in (1.2, 2.87, 6.0):
        made = multipliers(swing)
        assert made.shape == (WEEKS,)
        assert made.mean() == pytest.approx(1.0)
        assert np.mean(made**2) == pytest.approx(swing)
        assert np.all(np.diff(made) > 0)


def test_in_8_weeks_each_day_of_the_week_has_all_multipliers_and_a_longer_window_keeps_those_of_its_first_days():
    days = np.arange(3 * 7 * WEEKS)
    made = weather(Stream(0, "days"), days, 2.0)
    for part in made.reshape(3, WEEKS, 7):
        for weekday in part.T:
            assert np.array_equal(np.sort(weekday), multipliers(2.0))
    assert np.array_equal(weather(Stream(0, "days"), days[:60], 2.0), made[:60])
    assert np.array_equal(weather(Stream(0, "days"), days, 1.0), np.ones(days.size))


def test_bursts_alone_have_the_moments_of_a_compound_poisson_process():
    # geometric bursts of mean m: variance over mean of a count and squared CV of the gaps are both 2 m - 1
    assert clumping(FLAT, 100.0, 19.0, None) == Clumping(10.0, 1.0)
    found = clumping(FLAT, 100.0, None, 19.0**0.5)
    assert found.burst == pytest.approx(10.0, rel=0.02)
    submits = lab(60, 400.0, dispersion=19.0)
    assert index(submits, 60 * DAY) == pytest.approx(19.0, rel=0.15)  # 1,440 hours: 4 standard errors
    assert variation(submits) == pytest.approx(19.0**0.5, rel=0.05)


def test_both_figures_are_met_by_bursts_and_busier_days():
    submits = lab(28 * 16, 30.0, dispersion=60.0, interarrival_cv=8.0)
    assert index(submits, 28 * 16 * DAY) == pytest.approx(60.0, rel=0.15)
    assert variation(submits) == pytest.approx(8.0, rel=0.10)


def test_what_is_stored_for_philly_is_what_its_figures_ask_for():
    found = clumping(PROFILES["philly"].rates(), PHILLY_JOBS, PHILLY_INDEX, PHILLY_CV)
    assert (CLUSTERS["philly"].burst, CLUSTERS["philly"].swing) == pytest.approx(found, rel=0.01)


@pytest.mark.parametrize(
    ("figures", "complaint"),
    [
        ((100.0, 2.0, None), "the hours and days of the profiles alone make it"),
        ((100.0, 5.0, 15.0), "interarrival_cv is 15, and with a dispersion of 5 at 100 jobs an hour it can be"),
        ((100.0, None, 1.0), "interarrival_cv is 1, and with bursts alone it can be 1"),
    ],
)
def test_what_cannot_be_had_is_refused_with_what_can(figures, complaint):
    with pytest.raises(ConfigError, match=complaint):
        clumping(PROFILES["helios"].rates() if figures[1] != 5.0 else FLAT, *figures)


def test_figures_of_a_class_are_checked_and_kept():
    with pytest.raises(ConfigError, match=r"dispersion of 'training' must be 1 or more, got 0\.5"):
        ClassShare(name="training", share=1.0, dispersion=0.5)
    with pytest.raises(ConfigError, match="class 'realtime' has no interarrival_cv"):
        ClassShare(name="realtime", share=1.0, interarrival_cv=3.0)
    spec = SynthesisSpec.from_mapping({"classes": {"training": {"share": 1, "dispersion": 20, "interarrival_cv": 4}}})
    assert spec.classes[0].dispersion == 20
    assert SynthesisSpec.from_mapping(spec.to_mapping()) == spec


def test_figures_of_one_class_leave_the_other_classes_as_they_are():
    spec = SynthesisSpec(days=3)
    clumped = replace(
        spec, classes=tuple(replace(c, dispersion=500.0) if c.name == "battery" else c for c in spec.classes)
    )
    before, after = (synthesise(one, gpus=4_000, seed=0).table for one in (spec, clumped))
    for name in ("training", "drug-discovery", "manufacturing", "realtime"):
        rows = [table.filter([each == name for each in table["job_class"].to_pylist()]) for table in (before, after)]
        assert rows[0].equals(rows[1])


def test_the_default_classes_are_as_clumped_as_the_page_of_workloads_says():
    page = (Path(__file__).parents[2] / "docs" / "workloads.md").read_text(encoding="utf-8")
    table = synthesise(SynthesisSpec(days=14), gpus=1_152, seed=1, node_cpus=112.0).table
    jobs = table.filter(pc.is_null(table["preemptible"]))  # no replicas of services
    training = jobs.filter(pc.equal(jobs["job_class"], "training"))
    (found, rate), (alone, slow) = (
        ((index(submits, 14 * DAY), variation(submits)), submits.size / (14 * 24))
        for submits in (each["submit_time"].to_numpy() for each in (jobs, training))
    )
    assert f"seed 1, {rate:.0f} submissions an hour) have an index of {found[0]:.0f} and a CV of {found[1]:.1f}" in page
    assert f"`training` alone ({slow:.0f} an hour) {alone[0]:.0f} and {alone[1]:.1f}" in page
    assert found[0] > PHILLY_INDEX / 2


def test_what_campaigns_submit_as_they_go_on_comes_on_top_as_the_page_of_workloads_says():
    page = (Path(__file__).parents[2] / "docs" / "workloads.md").read_text(encoding="utf-8")
    asked = {"has {} unasked": {}, "{} with `dispersion = 159`": {"dispersion": 159.0}}
    asked["{} with `interarrival_cv = 5`"] = {"interarrival_cv": 5.0}
    for sentence, figures in asked.items():
        one = ClassShare(name="training", share=1.0, **figures)
        submits = synthesise(SynthesisSpec(days=56, classes=(one,)), gpus=1_152, seed=0).floats("submit_time")
        index_of, cv = index(submits, 56 * DAY), variation(submits)
        form = "an index of {:.0f} and a CV of {:.1f}" if not figures else "{:.0f} and {:.1f}"
        assert sentence.format(form.format(index_of, cv)) in page
