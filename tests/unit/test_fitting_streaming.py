"""A look-alike table by table is the look-alike at once, and the order of its gaps is that of their values."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from scipy.special import ndtri

from gpuyard.cli import main
from gpuyard.errors import ConfigError
from gpuyard.fitting import FittedModel, LookAlike, look_alike, lookalike, order
from gpuyard.fitting.order import Order, ranks
from gpuyard.metrics.digests import workload_digest
from gpuyard.scenario import Scenario
from gpuyard.streams import Stream
from gpuyard.traces.write import write_table, write_tables
from gpuyard.workload import Workload

PERSISTENCE = [(3.0, 0.3), (40.0, 0.5)]


def model(**changes: object) -> FittedModel:
    """Three parts, one without a class, a tenant, users or states, and two of which a tenant is the same."""
    arrivals = {
        "jobs_per_day": 900.0,
        "hourly": [0.5] * 8 + [1.25] * 16,
        "weekly": [1.2] * 5 + [0.5] * 2,
        "gaps": {"share": [0, 0.1, 0.6, 1], "value": [0, 0, 0.5, 9]},
        "persistence": PERSISTENCE,
    }
    runtimes = [{"up_to_gpus": 64.0, "seconds": {"share": [0, 0.5, 1], "value": [1, 600, 600_000]}}]
    ends = [
        {"up_to_s": 600.0, "states": {"failed": 1.0}},
        {"states": {"completed": 0.7, "timed_out": 0.3}, "limited": 0.5, "limits_s": [3600.0, 86_400.0]},
    ]
    shared = {"runtimes": runtimes, "endings": ends}
    users = {"users": 30, "top": [(1, 0.5), (30, 1.0)]}
    classes = [
        {"name": "train", "share": 0.5, "sizes": {"8": 0.5, "64": 0.5}, "owners": [{"name": "a", "share": 1.0} | users]}
        | shared,
        {"name": "train", "share": 0.3, "sizes": {"1": 1.0}} | shared
        | {"owners": [{"name": "b", "share": 0.5}, {"name": "a", "share": 0.5, "users": 2, "top": [(2, 1.0)]}]},
        {"share": 0.2, "sizes": {"0": 0.5, "0.25": 0.5}, "runtimes": runtimes}
        | {"endings": [{"states": {"not recorded": 0.5, "failed": 0.5}}], "owners": [{"share": 1.0} | users]},
    ]  # fmt: skip
    table = {"days": 9.0, "start": "2026-03-04T06:00:00+09:00", "arrivals": arrivals, "classes": classes}
    return FittedModel.from_mapping(table | changes)


def bytes_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    parquet.write_table(table.combine_chunks(), sink)
    return sink.getvalue().to_pybytes()


def cells_for(monkeypatch: pytest.MonkeyPatch, cells: int) -> None:
    """Let gaps be told apart in so few cells, as those of more than 4 million jobs are."""
    monkeypatch.setattr(order, "MOST_SORTED", 10)
    monkeypatch.setattr(order, "CELLS", cells)


@pytest.mark.parametrize("cells", [None, 512])
@pytest.mark.parametrize("rows", [97, 1_000, 4_096, 1_000_000])
def test_tables_of_any_size_hold_the_bytes_of_the_look_alike_at_once(
    monkeypatch: pytest.MonkeyPatch, rows: int, cells: int | None
) -> None:
    if cells:
        cells_for(monkeypatch, cells)
    made, whole = LookAlike(model(), seed=3), look_alike(model(), seed=3)
    tables = list(made.tables(rows))
    assert [each.num_rows for each in tables[:-1]] == [rows] * (len(tables) - 1)
    assert sum(each.num_rows for each in tables) == len(whole) == made.jobs > 5_000
    assert bytes_of(pa.concat_tables(tables)) == bytes_of(whole.table)


@pytest.mark.parametrize("cells", [None, 512])
def test_a_look_alike_at_once_is_the_same_from_parts_of_any_size(
    monkeypatch: pytest.MonkeyPatch, cells: int | None
) -> None:
    if cells:
        cells_for(monkeypatch, cells)
    whole = look_alike(model(), seed=3)
    monkeypatch.setattr(lookalike, "CHUNK", 500)
    monkeypatch.setattr(order, "BLOCK", 333)
    parts = look_alike(model(), seed=3)
    assert parts.table.equals(whole.table)
    assert workload_digest(parts) == workload_digest(whole)


def test_a_look_alike_is_what_the_checks_of_a_workload_would_make_of_it() -> None:
    made = look_alike(model(), seed=1)
    checked = Workload.from_table(made.table)
    assert checked.table.equals(made.table)
    assert workload_digest(checked) == workload_digest(made)
    owners = set(zip(*(made.table[name].to_pylist() for name in ("job_class", "tenant", "user")), strict=True))
    assert {(None, None, "user1"), ("train", "a", "a/u1"), ("train", "b", None)} < owners
    assert set(made.table["state"].to_pylist()) == {"completed", "failed", "timed_out", None}


def values_of(persistence: list[tuple[float, float]], size: int, seed: int) -> list[float]:
    """The values of the process one after the other, as its definition says."""

    def normal(name: str) -> list[float]:
        return ndtri(Stream(seed, name).uniform(size) + 2.0**-54).tolist()

    own = math.sqrt(1 - sum(weight for _, weight in persistence))
    values = [own * each for each in normal("fit:gap")]
    for scale, weight in persistence:
        keep, state = math.exp(-1 / scale), 0.0
        for at, noise in enumerate(normal(f"fit:gap:{scale:g}")):
            state = noise if at == 0 else keep * state + math.sqrt(1 - keep * keep) * noise
            values[at] += math.sqrt(weight) * state
    return values


def test_ranks_are_those_of_the_values_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    values = values_of(PERSISTENCE, 2_000, 5)
    expected = np.argsort(np.argsort(values)).tolist()
    assert ranks(PERSISTENCE, 2_000, 5).tolist() == expected
    monkeypatch.setattr(order, "BLOCK", 77)
    assert ranks(PERSISTENCE, 2_000, 5).tolist() == expected
    for rows in (1, 300, 5_000):
        assert np.concatenate(list(Order(PERSISTENCE, 2_000, 5).blocks(rows))).tolist() == expected


def test_many_gaps_are_ranked_by_the_cell_of_their_value_and_in_a_cell_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    cells_for(monkeypatch, 256)
    values = values_of(PERSISTENCE, 2_000, 5)
    places = sorted(range(2_000), key=lambda gap: (math.floor((values[gap] + 8) * 16), gap))
    expected = np.argsort(places).tolist()
    found = Order(PERSISTENCE, 2_000, 5)
    for rows in (1, 300, 5_000):  # as often as one likes
        assert np.concatenate(list(found.blocks(rows))).tolist() == expected
    assert np.concatenate(list(found.anyhow())).tolist() == list(range(2_000))


def test_in_narrow_cells_the_ranks_are_those_of_the_values(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = ranks(PERSISTENCE, 2_000, 5)
    monkeypatch.setattr(order, "MOST_SORTED", 10)
    (found,) = Order(PERSISTENCE, 2_000, 5).blocks(2_000)
    assert np.abs(found - exact).max() <= 1


def test_the_command_writes_table_by_table_what_it_would_make_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, trace = model().save(tmp_path / "model.toml"), tmp_path / "trace.csv"
    write_table(look_alike(model(), seed=2).table, trace)
    monkeypatch.setattr(LookAlike.tables, "__defaults__", (100,))
    for source in (path, trace):
        out, at_once = tmp_path / "jobs.parquet", tmp_path / "at_once.parquet"
        assert main(["generate", "--fit", str(source), "--days", "2", "--seed", "9", "-o", str(out)]) == 0
        told = capsys.readouterr().err
        assert f"look-alike of {source.name if source is trace else 'a model'}: seed 9, " in told
        assert f" jobs written to {out}" in told
        scenario = Scenario.from_mapping({"workload": {"fit": str(source), "days": 2.0}, "run": {"seed": 9}})
        write_table(scenario.read_workload()[0].table, at_once)
        assert out.read_bytes() == at_once.read_bytes()


def test_what_is_chosen_or_changed_of_a_look_alike_is_made_at_once(tmp_path: Path) -> None:
    keys = {"fit": str(model().save(tmp_path / "model.toml")), "jobs": 100}
    assert Scenario.from_mapping({"workload": keys}).look_alike() is not None
    for change in ({"thin": 0.5}, {"tenant": ["a"]}):
        assert Scenario.from_mapping({"workload": keys | change}).look_alike() is None
    assert Scenario.from_mapping({"workload": {"days": 1.0}}).look_alike() is None


def test_more_jobs_than_can_be_held_are_known_before_they_are_made(tmp_path: Path) -> None:
    made = LookAlike(model(), jobs=100_000_000, seed=1)
    assert (made.jobs, made.span) == (100_000_000, pytest.approx(100_000_000 / 900 * 86_400, rel=1e-4))
    with pytest.raises(ConfigError, match="1 to 50,000,000 jobs, and this would have 100,000,000"):
        made.workload()
    with pytest.raises(ConfigError, match="a table has 1 row or more, got 0"):
        list(made.tables(0))
    with pytest.raises(ConfigError, match="1 job or more, got jobs=0"):
        LookAlike(model(), jobs=0)
    few = LookAlike(model(), jobs=1)
    assert write_tables(few.tables(), tmp_path / "one.parquet") == 1


def test_times_and_sizes_that_nothing_can_be_simulated_with_are_refused() -> None:
    table = model().to_mapping()
    table["classes"][1]["runtimes"][0]["seconds"]["value"][-1] = 1e300
    with pytest.raises(ConfigError, match=r"classes\.1\.runtimes: a time of 1e\+300 s is more than 2\.3"):
        LookAlike(FittedModel.from_mapping(table))
    table["classes"][1]["runtimes"][0]["seconds"]["value"][-1] = 6e5
    table["classes"][2]["endings"][0] |= {"limited": 1.0, "limits_s": [1e13]}
    with pytest.raises(ConfigError, match=r"classes\.2\.endings: a time of 1e\+13 s"):
        look_alike(FittedModel.from_mapping(table))
    table = model().to_mapping()
    table["arrivals"]["jobs_per_day"] = 1e-9
    with pytest.raises(ConfigError, match="window: a time of "):
        look_alike(FittedModel.from_mapping(table), jobs=1_000)
    table["classes"][1]["sizes"] = {"4294967296": 1.0}
    with pytest.raises(ConfigError, match="'4294967296' is no number of GPUs"):
        FittedModel.from_mapping(table)
