"""What-if by scenario: the keys of [workload], their order, what is written down, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import workload
from gpuyard.cli import main
from gpuyard.errors import ConfigError, InputError
from gpuyard.scenario import Scenario, load
from gpuyard.traces.write import write_table

SITE = {"nodes": 2, "gpus_per_node": 8}


def trace(folder: Path, name: str = "jobs.csv") -> str:
    jobs = workload(
        (0, 60, 1, {"user": "ann", "gpu_type": "V100"}), (100, 60, 2, {"user": "bob"}), (200, 60, 4, {"user": "ann"})
    )
    write_table(jobs.table, folder / name)
    return str(folder / name)


def jobs_of(folder: Path, **keys: object) -> list[tuple[str, float, int, float]]:
    scenario = Scenario.from_mapping({"workload": {"trace": trace(folder), **keys}, "cluster": SITE})
    table = scenario.read_workload()[0].table
    return list(zip(*(table[name].to_pylist() for name in ("job_id", "submit_time", "gpus", "runtime")), strict=True))


def test_all_keys_at_once_are_done_in_the_order_that_the_page_states(tmp_path: Path) -> None:
    jobs = jobs_of(
        tmp_path,
        shift="-10s",
        repeat=2,
        repeat_every="1h",
        scale=2.0,
        sizes={"4": 16},
        sizes_keep="work",
        gpu_types={"V100": {"runtime": 0.5, "to": "H100"}},
        user="ann",
    )
    assert jobs == [
        ("0", -10.0, 1, 30.0),
        ("2", 90.0, 16, 15.0),
        ("0~2", 3590.0, 1, 30.0),
        ("2~2", 3690.0, 16, 15.0),
    ]


def test_a_merged_trace_is_found_beside_the_scenario_and_written_down_with_its_digest(tmp_path: Path) -> None:
    trace(tmp_path)
    trace(tmp_path, "more.csv")
    text = '[workload]\ntrace = "jobs.csv"\nmerge = ["more.csv"]\n[cluster]\nnodes = 2\ngpus_per_node = 8\n'
    (tmp_path / "both.toml").write_text(text)
    resolved = load(tmp_path / "both.toml").resolve()
    assert resolved.workload.table["job_id"].to_pylist() == ["0", "0~2", "1", "1~2", "2", "2~2"]
    (entry,) = resolved.echo["workload"]["merge"]
    assert entry["trace"] == str(tmp_path / "more.csv")
    again = Scenario.from_mapping(dict(resolved.echo))
    assert again.resolve().workload.table.equals(resolved.workload.table)
    (tmp_path / "more.csv").write_text("job_id,submit_time,runtime,gpus\nz,0,1,1\n")
    with pytest.raises(InputError, match="not the one this scenario was written for"):
        Scenario.from_mapping(dict(resolved.echo)).resolve()


def test_one_seed_draws_the_same_jobs_every_time(tmp_path: Path) -> None:
    first, second = (jobs_of(tmp_path, resample_users=5) for _ in range(2))
    assert first == second
    assert len(first) > 3


def test_a_synthetic_workload_can_be_thinned_too() -> None:
    plain = {"workload": {"days": 1.0, "load": 0.5}, "cluster": {"nodes": 8, "gpus_per_node": 8}}
    thinned = plain | {"workload": plain["workload"] | {"thin": 0.5}}
    whole, half = (Scenario.from_mapping(each).read_workload()[0] for each in (plain, thinned))
    assert set(half.table["job_id"].to_pylist()) < set(whole.table["job_id"].to_pylist())


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"thin": 1.5}, "thin: must be less than or equal to 1"),
        ({"thni": 0.5}, "did you mean 'thin'"),
        ({"sizes_keep": "work"}, "'sizes_keep' says how 'sizes' is done, and there is no 'sizes'"),
        ({"sizes": {"8 GPUs": 16}}, "goes from numbers of GPUs to numbers of GPUs"),
        ({"sizes": 2.0, "sizes_keep": "time"}, "runtime or its work, got 'time'"),
        ({"gpu_types": {"A100": 0.5}}, r"no job asks for the GPU type 'A100'; .*the jobs ask for V100, any"),
        ({"shift": "tomorrow"}, "cannot be read from 'tomorrow'"),
        ({"repeat": 0}, "repeat: must be greater than or equal to 1"),
        ({"merge": [{"trace": "x.csv", "formta": "swf"}]}, "has no key 'formta'; did you mean 'format'"),
        ({"gpu_types": {"V100": {"speed": 2.0}}}, "has no key 'speed'; .*runtime, to"),
        ({"thin": 1e-9}, "thin leaves none"),
    ],
)
def test_what_cannot_be_done_is_named_with_its_key(tmp_path: Path, keys: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        jobs_of(tmp_path, **keys)


def test_convert_writes_what_a_what_if_makes_of_a_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "double.csv"
    assert main(["convert", trace(tmp_path), str(out), "--set", "workload.sizes=2", "--set", "workload.repeat=2"]) == 0
    assert "GPUs times 2, run times kept: 3 jobs changed" in capsys.readouterr().err
    assert [line.split(",")[0].strip('"') for line in out.read_text().splitlines()[-3:]] == ["0~2", "1~2", "2~2"]


def test_a_plain_synthetic_workload_can_still_be_written_as_it_is_made() -> None:
    plain = {"workload": {"days": 1.0, "load": 0.5}, "cluster": {"nodes": 8, "gpus_per_node": 8}}
    assert Scenario.from_mapping(plain).generation() is not None
    for change in ({"thin": 0.5}, {"repeat": 2}):
        assert Scenario.from_mapping(plain | {"workload": plain["workload"] | change}).generation() is None
