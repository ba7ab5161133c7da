"""Look-alikes: known parameters are recovered, files can be edited, and every part has a stream of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from conftest import workload
from gpuyard.cli import main
from gpuyard.errors import ConfigError, InputError
from gpuyard.fitting import FittedModel, fit, look_alike
from gpuyard.fitting.arrivals import BentTime
from gpuyard.fitting.bursts import SCALES, _weights, growth
from gpuyard.fitting.model import Curve
from gpuyard.portrait import distances, portray
from gpuyard.scenario import Scenario
from gpuyard.streams import Stream
from gpuyard.synthesis import SynthesisSpec, synthesise
from gpuyard.traces.write import write_table
from gpuyard.workload import Workload

FLAT = [1.0] * 24


def shares(jobs: Workload) -> tuple[dict[int, float], float]:
    """Return the share of the GPU time that each size has, and all of it."""
    sizes, place = np.unique(jobs.integers("gpus", 0), return_inverse=True)
    held = np.bincount(place, weights=sizes[place] * jobs.floats("runtime"))
    return dict(zip(sizes.tolist(), (held / held.sum()).tolist(), strict=True)), float(held.sum())


def elsewhere(first: dict[int, float], second: dict[int, float]) -> float:
    """Return the share of the GPU time that lies in other sizes."""
    return sum(abs(first.get(size, 0.0) - second.get(size, 0.0)) for size in first | second) / 2


HOURLY = [0.5] * 8 + [1.5] * 12 + [1.0] * 4
WEEKLY = [1.2] * 5 + [0.5] * 2


def exponential(knots: int = 400) -> Curve:
    share = np.linspace(0, 1, knots + 1)
    value = -np.log1p(-np.append(share[:-1], 1 - 1e-5))
    return Curve(share=share.tolist(), value=value.tolist())


def known(**changes: object) -> FittedModel:
    """A model of which every parameter is stated here."""
    arrivals = {
        "jobs_per_day": 1000.0,
        "hourly": HOURLY,
        "weekly": WEEKLY,
        "gaps": exponential(),
        "persistence": [(30.0, 0.4)],
    }
    classes = [
        {
            "share": 1.0,
            "sizes": {"0.25": 0.1, "1": 0.6, "8": 0.3},
            "runtimes": [
                {"up_to_gpus": 1.0, "seconds": {"share": [0, 1], "value": [10, 1000]}},
                {"up_to_gpus": 8.0, "seconds": {"share": [0, 0.5, 1], "value": [600, 6000, 600_000]}},
            ],
            "endings": [
                {"up_to_s": 3600.0, "states": {"completed": 0.5, "failed": 0.5}, "limited": 0.5, "limits_s": [7200.0]},
                {"states": {"completed": 0.2, "timed_out": 0.8}, "limited": 1.0, "limits_s": [86_400.0]},
            ],
            "owners": [
                {"name": "a", "share": 0.7, "users": 20, "top": [(1, 0.4), (5, 0.8), (20, 1.0)]},
                {"name": "b", "share": 0.3, "users": 0},
            ],
        }
    ]
    table = {"days": 60.0, "start": "2026-03-04T06:00:00+09:00", "arrivals": arrivals, "classes": classes}
    return FittedModel.from_mapping(table | changes)


def test_the_fit_of_what_a_known_model_made_recovers_it() -> None:
    truth = known()
    found = fit(look_alike(truth, seed=4))
    assert [owner.name for part in found.classes for owner in part.owners] == ["a", "b"]  # each large enough
    assert [part.share for part in found.classes] == pytest.approx([0.7, 0.3], abs=0.01)
    assert found.arrivals.jobs_per_day == pytest.approx(1000, rel=0.03)
    assert found.arrivals.hourly == pytest.approx(HOURLY, rel=0.2, abs=0.05)
    assert found.arrivals.weekly == pytest.approx(WEEKLY, rel=0.12)
    (mine, other), (theirs,) = found.classes, truth.classes
    assert mine.sizes == pytest.approx(theirs.sizes, abs=0.01)
    chance = np.array([0.1, 0.5, 0.9])
    for each, known_curve in zip(mine.runtimes[-2:], theirs.runtimes, strict=True):
        assert each.seconds.quantile(chance) == pytest.approx(known_curve.seconds.quantile(chance), rel=0.08)
    short = next(each for each in mine.endings if each.up_to_s == 3600.0)
    assert short.states == pytest.approx({"completed": 0.5, "failed": 0.5}, abs=0.03)
    assert short.limited == pytest.approx(0.5, abs=0.03)
    assert mine.endings[-1].states["timed_out"] == pytest.approx(0.8, abs=0.03)
    tenant = mine.owners[0]
    assert (tenant.users, other.owners[0].users) == (20, 0)
    assert dict(tenant.top)[1] == pytest.approx(0.4, abs=0.02)
    assert dict(tenant.top)[5] == pytest.approx(0.8, abs=0.02)


def test_how_long_gaps_keep_together_is_recovered_as_agrowth_of_variance() -> None:
    """Which scales make it up is not unique; what they come to over blocks of 4 to 256 jobs is."""
    found = fit(look_alike(known(), seed=4)).arrivals.persistence
    for block in (4, 16, 64, 256):
        grown = 1 + sum(weight * (growth(scale, block) - 1) for scale, weight in found)
        assert grown == pytest.approx(1 + 0.4 * (growth(30.0, block) - 1), rel=0.3), block


def test_a_block_of_an_autoregressive_process_varies_as_its_covariances_sum_up() -> None:
    lags = np.abs(np.subtract.outer(np.arange(7), np.arange(7)))
    assert growth(3.0, 7) == pytest.approx(np.exp(-lags / 3.0).sum() / 7)


def test_jobs_without_bursts_make_a_look_alike_without_bursts() -> None:
    chance = Stream(1, "poisson").uniform(20_000)
    times = np.cumsum(-100.0 * np.log1p(-chance))
    like = portray(look_alike(fit(workload(*((float(at), 60.0, 1) for at in times))), seed=2))
    assert like.gap_cv() == pytest.approx(1.0, abs=0.05)
    for window in (60.0, 600.0, 3600.0):
        assert like.dispersion[window] == pytest.approx(1.0, abs=0.25), window


def test_bent_time_runs_as_fast_as_jobs_come_and_back() -> None:
    time = BentTime(np.array([3.0] * 12 + [1.0] * 12), np.ones(7))
    clock = np.array([0.0, 6 * 3600.0, 12 * 3600.0, 18 * 3600.0, 9 * 86_400.0])
    bent = np.array([0.0, 9 * 3600.0, 18 * 3600.0, 21 * 3600.0, 9 * 86_400.0])
    assert time.bent(clock) == pytest.approx(bent)
    assert time.clock(bent) == pytest.approx(clock)


def test_a_night_without_jobs_is_passed_over() -> None:
    time = BentTime(np.array([0.0] * 8 + [1.0] * 16), np.ones(7))
    assert time.clock(np.array([0.0, 1e-6])) == pytest.approx([8 * 3600.0, 8 * 3600.0], abs=1e-3)


def test_a_curve_is_straight_in_the_logarithm_and_keeps_its_zeros_apart() -> None:
    curve = Curve(share=[0.0, 0.2, 0.2, 1.0], value=[0.0, 0.0, 1.0, 100.0])
    assert curve.quantile(np.array([0.0, 0.19, 0.2, 0.6, 1.0])) == pytest.approx([0, 0, 1, 10, 100])


def test_length_and_number_are_met_exactly() -> None:
    assert len(look_alike(known(), jobs=777)) == 777
    week = look_alike(known(), days=7)
    assert len(week) == 7000  # a whole week has the mean rate, whenever it begins
    dense = look_alike(known(), jobs=5000, days=2)
    assert len(dense) == 5000
    assert dense.floats("submit_time").max() <= 2 * 86_400


def test_the_same_seed_gives_the_same_bytes_and_another_other_ones() -> None:
    first, again, other = (look_alike(known(), days=3, seed=seed).table for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_changing_the_sizes_leaves_times_users_and_states_as_they_are() -> None:
    truth = known()
    table = truth.to_mapping()
    table["classes"][0]["sizes"] = {"1": 1.0}
    plain, changed = look_alike(truth, days=3), look_alike(FittedModel.from_mapping(table), days=3)
    for column in ("submit_time", "tenant", "user"):
        assert plain.table[column].equals(changed.table[column]), column
    assert not plain.table["gpus"].equals(changed.table["gpus"])


def test_no_job_runs_past_its_limit_and_a_timed_out_one_up_to_it() -> None:
    jobs = look_alike(known(), seed=3)
    runtime, limit = jobs.floats("runtime"), jobs.floats("time_limit")
    assert np.nanmin(limit - runtime) >= 0
    timed_out = np.array(jobs.table["state"].to_pylist()) == "timed_out"
    assert timed_out.sum() > 1000
    assert np.array_equal(limit[timed_out], runtime[timed_out])


def test_classes_keep_their_own_sizes_and_jobs_without_a_run_time_are_left_out() -> None:
    rows = [(10.0 * k, 60.0, 8, {"job_class": "training"}) for k in range(60)]
    rows += [(10.0 * k + 5, 5.0, 1, {"job_class": "batch"}) for k in range(30)]
    rows += [(3.0, None, 64)]
    model = fit(workload(*rows))
    assert [(each.name, each.sizes) for each in model.classes] == [("batch", {"1": 1.0}), ("training", {"8": 1.0})]
    like = look_alike(model, jobs=300)
    assert {
        (name, gpus) for name, gpus in zip(*(like.table[c].to_pylist() for c in ("job_class", "gpus")), strict=True)
    } == {
        ("training", 8),
        ("batch", 1),
    }


def test_a_large_tenant_keeps_sizes_of_its_own_and_small_ones_are_fitted_together() -> None:
    rows = [(float(k), 10.0, 8, {"tenant": "large"}) for k in range(600)]
    rows += [(float(k), 10.0, 1 + k % 2, {"tenant": f"small-{k % 2}"}) for k in range(200)]
    found = fit(workload(*rows)).classes
    assert [(sorted(each.sizes), [owner.name for owner in each.owners]) for each in found] == [
        (["8"], ["large"]),
        (["1", "2"], ["small-0", "small-1"]),
    ]


def test_a_model_is_written_and_read_back_the_same_and_can_be_edited(tmp_path: Path) -> None:
    model = fit(look_alike(known(), days=10))
    path = model.save(tmp_path / "model.toml")
    assert FittedModel.load(path) == model
    text = path.read_text(encoding="utf-8")
    assert "\nhourly = [" in text
    assert max(map(len, text.splitlines())) > 200  # a curve is one line
    rate = f"jobs_per_day = {model.arrivals.jobs_per_day}"
    assert rate in text
    path.write_text(text.replace(rate, "jobs_per_day = 70.0"))
    assert len(look_alike(FittedModel.load(path), days=14)) == 980


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "jobs_per_day",
            "jobs_pre_day",
            "arrivals.jobs_per_day: field required; write it as .* or fit again with --save-model",
        ),
        ("days = 60.0", "days = 0", "days: input should be greater than 0 .got 0."),
        ("completed = 0.5", "finished = 0.5", "nobody knows the state 'finished'"),
        ('"0.25" = 0.1', '"0.25" = 0.9', "the shares of sizes are 0 or more and sum to 1, they sum to 1.8"),
        ('"0.25" = 0.1', '"1.25" = 0.1', "'1.25' is no number of GPUs"),
        ("up_to_gpus = 8.0", "up_to_gpus = 4.0", "no run times for more than 4 GPUs"),
        ("[30.0, 0.4]", "[30.0, 1.4]", "the weights of persistence sum to 1 at most"),
    ],
)
def test_what_cannot_be_in_a_model_is_named_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = known().save(tmp_path / "model.toml")
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message):
        FittedModel.load(path)


def test_too_few_jobs_and_files_that_are_no_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has 2 jobs with a run time over 5 s"):
        fit(workload((0, 1, 1), (5, 1, 1)))
    (tmp_path / "x.toml").write_text("a = [")
    with pytest.raises(InputError, match="this is not TOML"):
        FittedModel.load(tmp_path / "x.toml")
    with pytest.raises(InputError, match="No such file"):
        FittedModel.load(tmp_path / "y.toml")


def test_a_scenario_runs_a_look_alike_and_writes_down_what_it_was_made_of(tmp_path: Path) -> None:
    jobs = look_alike(known(), days=5)
    write_table(jobs.table, tmp_path / "jobs.csv")
    keys = {"fit": str(tmp_path / "jobs.csv"), "days": 2.0, "thin": 0.5}
    scenario = Scenario.from_mapping({"workload": keys, "cluster": {"nodes": 4, "gpus_per_node": 8}})
    resolved = scenario.resolve()
    assert resolved.options.window == (0.0, 2 * 86_400.0)
    assert 700 < len(resolved.workload) < 1300
    again = Scenario.from_mapping(dict(resolved.echo)).resolve()
    assert again.workload.table.equals(resolved.workload.table)
    (tmp_path / "jobs.csv").write_text("job_id,submit_time,runtime,gpus\nz,0,1,1\n")
    with pytest.raises(InputError, match="not the one this scenario was written for"):
        Scenario.from_mapping(dict(resolved.echo)).resolve()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"fit": "a.csv", "trace": "b.csv"}, "name one of them"),
        ({"fit": "a.csv", "load": 0.5}, "a look-alike is made of what was fitted, so 'load' has no meaning"),
        ({"zone": "Asia/Seoul"}, "'zone' is about a trace, and none is named; add trace = FILE"),
    ],
)
def test_keys_that_mean_nothing_for_a_look_alike_are_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Scenario.from_mapping({"workload": keys})


def test_generate_makes_the_same_jobs_from_a_trace_and_from_its_saved_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trace, model = tmp_path / "jobs.csv", tmp_path / "model.toml"
    write_table(look_alike(known(), days=5).table, trace)
    fits: list[Workload] = []
    monkeypatch.setattr("gpuyard.fitting.fit", lambda jobs: fits.append(jobs) or fit(jobs))
    asked = ["--days", "3", "--seed", "9", "-o"]
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    assert main(["generate", "--fit", str(trace), "--save-model", str(model), *asked, str(first)]) == 0
    told = capsys.readouterr().err
    assert f"model of jobs.csv saved in {model}" in told
    assert "look-alike of jobs.csv: seed 9, " in told
    assert len(fits) == 1
    assert main(["generate", "--fit", str(model), *asked, str(second)]) == 0
    assert first.read_bytes() == second.read_bytes()


def test_weights_that_take_many_steps_are_found() -> None:
    vary = [4.69007530532, 7.88024535835, 12.9858850854, 20.2488382325, 28.9398322601, 37.7330474102, 44.8068357691,
            51.5745716712, 57.9374696431, 62.3120420475, 64.3514049318, 66.1161056031]  # fmt: skip
    weights = dict(_weights(np.array(vary), [2**power for power in range(1, 13)]))
    # by another method: least squares with bounds
    columns = [[growth(scale, 2**power) - 1.0 for power in range(1, 13)] for scale in SCALES]
    bounded = lsq_linear(np.array(columns).T / np.array(vary)[:, None], 1 - 1 / np.array(vary), bounds=(0, np.inf))
    expected = dict(zip(SCALES, bounded.x / max(1.0, bounded.x.sum()), strict=True))
    assert weights == pytest.approx({scale: each for scale, each in expected.items() if each >= 5e-4}, abs=1e-4)


def test_gpu_time_of_a_short_look_alike_lies_in_other_sizes_as_the_page_of_fitting_says() -> None:
    source = synthesise(SynthesisSpec(jobs=2_000), gpus=128, seed=0)
    parts, model = shares(source)[0], fit(source)
    apart = [elsewhere(parts, shares(look_alike(model, jobs=2_000, seed=seed))[0]) for seed in range(4)]
    assert 0.1 < np.mean(apart) < 0.3
    assert elsewhere(parts, shares(look_alike(model, jobs=40_000, seed=4))[0]) < 0.2


def test_the_look_alike_of_a_look_alike_is_no_further_away_than_its_seeds_are() -> None:
    truth = known()
    jobs = portray(look_alike(truth, seed=1))
    like = portray(look_alike(fit(look_alike(truth, seed=1)), seed=2))
    found = {each.quantity: each for each in distances(jobs, like)}
    assert found["runtime_s"].ks is not None
    assert found["gap_s"].ks is not None
    assert max(found["runtime_s"].ks, found["gap_s"].ks) < 0.02
    assert found["size_share_of_gpu_time"].overlap_lost == pytest.approx(0, abs=0.01)


def test_sizes_of_few_jobs_run_like_those_beside_them() -> None:
    counts = {1: 100, 2: 10, 8: 60, 64: 5}
    rows = [(float(at), 10.0 * size, size) for size, count in counts.items() for at in range(count)]
    (part,) = fit(workload(*rows)).classes
    assert [each.up_to_gpus for each in part.runtimes] == [1.0, 64.0]  # 2 joins 8, and 64 has none above to join
    assert part.runtimes[0].seconds.quantile(np.array([0.5])) == pytest.approx(10)


def test_jobs_without_gpus_with_shares_and_with_run_times_of_0_are_fitted_too() -> None:
    rows = [(float(k), 0.0, 0) for k in range(60)] + [(float(k), 5.0, 1, {"gpu_milli": 250}) for k in range(60)]
    like = look_alike(fit(workload(*rows)), jobs=200)
    kinds = zip(*(like.table[name].to_pylist() for name in ("gpus", "gpu_milli", "runtime")), strict=True)
    assert set(kinds) == {(0, None, 0.0), (1, 250, 5.0)}
