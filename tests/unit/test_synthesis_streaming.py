"""A workload table by table is the workload at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from gpuyard.cli import main
from gpuyard.errors import ConfigError
from gpuyard.metrics.digests import workload_digest
from gpuyard.scenario import load
from gpuyard.synthesis import ClassShare, Generation, SynthesisSpec, Tenant, generate, generation, synthesise
from gpuyard.synthesis.calibration import Chosen
from gpuyard.synthesis.gathering import Gathered
from gpuyard.traces.write import write_table
from gpuyard.workload import Workload


def bytes_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    parquet.write_table(table.combine_chunks(), sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("rows", [1_000, 7_777, 10_000_000])
def test_tables_of_any_size_hold_the_bytes_of_the_workload_at_once(rows):
    spec = SynthesisSpec(days=3)
    made = generation(spec, gpus=4_000, seed=3)
    tables = list(made.tables(rows))
    whole = synthesise(spec, gpus=4_000, seed=3)
    assert len(tables) == -(-len(whole) // rows)
    assert bytes_of(pa.concat_tables(tables)) == bytes_of(whole.table)


def test_a_table_has_about_the_rows_asked_for():
    sizes = [table.num_rows for table in generation(SynthesisSpec(days=7), gpus=20_000, seed=0).tables(10_000)]
    assert sum(sizes) > 150_000
    assert max(sizes) < 15_000


def test_a_synthetic_table_is_what_the_checks_of_a_workload_would_make_of_it():
    made = synthesise(SynthesisSpec(days=1, limit_factor=(1, 3)), gpus=2_000, seed=0)
    assert Workload.from_table(made.table).table.equals(made.table)


def test_a_job_is_the_same_in_a_series_of_any_length():
    spec = SynthesisSpec(
        days=20,
        classes=(ClassShare(name="training", share=1.0, source={"philly": 1.0}),),
        tenants=(Tenant(name="lab", weights={"training": 1.0}),),
        limit_factor=(2, 4),
    )
    short, long = (synthesise(one, gpus=2_000, seed=0).table for one in (spec, replace(spec, days=80)))
    assert long.num_rows > 3 * 16_384  # more than one block of draws
    kept = ["job_id", "gpus"]
    assert short.select(kept).sort_by("job_id").equals(long.select(kept).sort_by("job_id").slice(0, short.num_rows))


def test_a_generation_knows_its_jobs_before_they_are_made():
    made = generation(SynthesisSpec(jobs=30_000), gpus=2_000, seed=0)
    assert made.jobs == 30_000 == sum(table.num_rows for table in made.tables(5_000))
    assert made.load == pytest.approx(0.85, rel=0.01)
    assert made.notes[0].startswith("synthetic: seed 0, window ")


def test_a_table_without_rows_is_refused():
    with pytest.raises(ConfigError, match="a table has 1 row or more, got 0"):
        list(generation(SynthesisSpec(days=1), gpus=500, seed=0).tables(0))


def test_chosen_jobs_are_counted_and_cut():
    chosen = Chosen(3, np.array([3, 7, 9]))
    assert chosen.jobs == 6
    assert chosen.numbers(1, 5).tolist() == [1, 2, 3, 7]
    assert chosen.numbers(4, 6).tolist() == [7, 9]
    assert chosen.resized(2).numbers(0, 2).tolist() == [0, 1]
    assert chosen.resized(5).numbers(0, 5).tolist() == [0, 1, 2, 3, 7]
    assert chosen.resized(8).numbers(0, 8).tolist() == [0, 1, 2, 3, 7, 9, 10, 11]


def test_the_command_writes_table_by_table_what_it_would_make_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Generation.tables, "__defaults__", (100,))
    path = tmp_path / "jobs.parquet"
    assert main(["generate", "phase-1", "--cluster", "20x8", "--set", "workload.days=2", "-o", str(path)]) == 0
    assert "gpuyard: synthetic: seed 0, window 172800 s, offered load 0.8" in capsys.readouterr().err
    cluster = {"nodes": 20, "gpus_per_node": 8}
    scenario = load("phase-1").over({"cluster": cluster, "workload": {"days": 2}}, "test")
    write_table(scenario.read_workload()[0].table, tmp_path / "at_once.parquet")
    assert path.read_bytes() == (tmp_path / "at_once.parquet").read_bytes()


def test_chosen_or_changed_jobs_are_not_made_table_by_table():
    assert load("phase-1").over({"workload": {"tenant": ["bio"]}}, "test").generation() is None


def test_a_workload_at_once_is_the_same_from_parts_of_any_size(monkeypatch):
    spec = SynthesisSpec(days=3, think_time=600.0)
    whole = synthesise(spec, gpus=4_000, seed=3, node_cpus=112.0)
    monkeypatch.setattr(generate, "CHUNK", 1_000)
    parts = synthesise(spec, gpus=4_000, seed=3, node_cpus=112.0)
    assert parts.table.equals(whole.table)
    assert workload_digest(parts) == workload_digest(whole)
    assert parts.parents.rows.tolist() == whole.parents.rows.tolist()


def test_a_closed_loop_at_once_is_the_same_however_long_its_parts_would_be(monkeypatch):
    spec = SynthesisSpec(days=3, think_time=600.0, closed_loop=True)
    whole = synthesise(spec, gpus=1_000, seed=3)
    monkeypatch.setattr(generate, "CHUNK", 500)
    assert synthesise(spec, gpus=1_000, seed=3).table.equals(whole.table)
    assert np.all(np.diff(whole.floats("submit_time")) >= 0)


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        (pa.int32(), [[1, 2], [], None, [None, 5]]),
        (pa.float64(), [None, [None], [1.5, None, 2.5]]),
        (pa.bool_(), [[True, None], None]),
        (pa.string(), [["a"], None, [None, "bc"]]),
        (pa.dictionary(pa.int32(), pa.string()), [["b", "a"], None, ["c", None, "b"], ["a", "d"]]),
        (pa.float64(), [None, [None, None]]),
        (pa.list_(pa.string()), []),
    ],
)
def test_a_column_is_what_its_parts_are(kind, parts):
    gathered, told = Gathered(kind, most=20), []
    for part in parts:
        values = [None] * 3 if part is None else part
        array = pa.array(values, pa.string()).dictionary_encode() if pa.types.is_dictionary(kind) else None
        gathered.add(None if part is None else (array or pa.array(values, kind)), len(values))
        told += values
    made = gathered.array()
    made.validate(full=True)
    assert made.type == kind
    assert made.to_pylist() == told
