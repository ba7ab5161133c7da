"""Public traces against what is written about them: their README, their headers, and two ways to the same number.

The files are not part of the project.  GPUYARD_TRACES names their folder (default: ../shared/traces).
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from conftest import cluster
from gpuyard.quality import QualityReport, examine, recorded_use
from gpuyard.traces import ReadOptions, read, recognise
from gpuyard.traces.catalogue import Entry, entries
from gpuyard.traces.trace import Trace
from gpuyard.traces.write import write_table

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("GPUYARD_TRACES", PROJECT / ".." / "shared" / "traces"))
ARCHIVE = "parallel_workloads_archive"
KTH = f"{ARCHIVE}/KTH-SP2-1996-2.swf"
CURIE = f"{ARCHIVE}/CEA-Curie-2011-2.1-cln.swf.gz"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not FOLDER.is_dir(), reason="the public traces are not here; set GPUYARD_TRACES to their folder"
    ),
]


def file(name: str) -> Path:
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{name} is not among the traces")
    return path


@cache
def trace(name: str) -> Trace:
    return read(file(name))


@cache
def report(name: str) -> QualityReport:
    return examine(trace(name))


def count(name: str, code: str) -> int:
    finding = report(name).finding(code)
    return finding.count if finding else 0


# -- the archive's logs, by the table of the README: jobs, users, span in days, run > request, run <= 0, procs <= 0


class Known(NamedTuple):
    """A row of the README's table."""

    jobs: int
    users: int
    days: int
    past_limit: int
    no_run: int
    no_processors: int


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("KTH-SP2-1996-2.swf", Known(28_489, 214, 340, 475, 8, 0)),
        ("UniLu-Gaia-2014-1.swf", Known(51_987, 84, 89, 1_500, 128, 0)),
        ("CEA-Curie-2011-2.1-cln.swf.gz", Known(312_826, 582, 254, 5_416, 17_286, 10_912)),
        ("SDSC-BLUE-2000-4.2-cln.swf.gz", Known(243_306, 468, 974, 23_434, 10_770, 19_516)),
        ("HPC2N-2002-2.1-cln.swf.gz", Known(202_876, 257, 1_268, 14_817, 0, 0)),
        ("RICC-2010-2.swf.gz", Known(447_794, 176, 153, 7_092, 10, 0)),
        ("lublin_256.swf", Known(10_000, 1, 89, 0, 0, 0)),
    ],
)
def test_an_archive_log_has_the_known_counts(name: str, known: Known) -> None:
    path = f"{ARCHIVE}/{name}"
    facts = report(path)
    assert recognise(file(path)) == "swf"
    assert facts.rows_in == known.jobs
    # 19 jobs of Curie state no processors at all, neither allocated nor requested.
    lost = sum(facts.rejected.values())
    assert lost == (19 if "Curie" in name else 0)
    assert facts.jobs == known.jobs - lost
    assert (facts.last_submit_s - facts.first_submit_s) / 86_400 == pytest.approx(known.days, abs=1)
    assert count(path, "past_limit") == known.past_limit
    assert count(path, "no_runtime") + count(path, "zero_runtime") + lost == known.no_run
    taken = [note for note in facts.notes if "those requested are taken" in note]
    assert sum(int(note.split()[0].replace(",", "")) for note in taken) + lost == known.no_processors
    if name != "lublin_256.swf":  # its one user is -1
        assert pc.count_distinct(trace(path).table["user"]).as_py() == known.users


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("KTH-SP2-1996-2.swf", "1996-09-23T14:00:31+02:00"),  # header: Mon Sep 23 14:00:31 CEST 1996
        ("HPC2N-2002-2.1-cln.swf.gz", "2002-07-28T09:04:05+02:00"),  # Sun Jul 28 09:04:05 CEST 2002
        ("CEA-Curie-2011-2.1-cln.swf.gz", "2011-02-01T15:38:44+01:00"),  # Tue Feb 01 15:38:44 CET 2011
        ("UniLu-Gaia-2014-1.swf", "2014-05-22T10:57:59+02:00"),  # 2014-05-22 10:57:59
        ("RICC-2010-2.swf.gz", ""),  # this copy has no header
    ],
)
def test_the_origin_is_the_headers_start_time(name: str, start: str) -> None:
    assert report(f"{ARCHIVE}/{name}").origin == start


def test_one_wait_of_hpc2n_is_unknown_and_none_of_lublin_is_known() -> None:
    assert trace(f"{ARCHIVE}/HPC2N-2002-2.1-cln.swf.gz").table["start_time"].null_count == 1
    assert report(f"{ARCHIVE}/lublin_256.swf").recorded_starts == 0


def test_the_127_preempted_jobs_of_gaia_are_jobs() -> None:
    states = trace(f"{ARCHIVE}/UniLu-Gaia-2014-1.swf").table["state"]
    assert pc.sum(pc.equal(states, "running")).as_py() == 127


@pytest.mark.parametrize("name", ["KTH-SP2-1996-2.swf", "SDSC-BLUE-2000-4.2-cln.swf.gz"])
def test_columns_agree_with_a_plain_reading_line_by_line(name: str) -> None:
    path = file(f"{ARCHIVE}/{name}")
    jobs = trace(f"{ARCHIVE}/{name}").table
    for row, (line, fields) in enumerate(_plain(path)):
        if row % 97:
            continue
        found = {
            key: column[0].as_py() for key, column in zip(jobs.column_names, jobs.slice(row, 1).columns, strict=True)
        }
        assert trace(f"{ARCHIVE}/{name}").rows[row].as_py() == line
        assert found["job_id"] == fields[0]
        assert found["submit_time"] == float(fields[1])
        assert found["gpus"] == int(fields[4] if int(fields[4]) > 0 else fields[7])
        assert found["time_limit"] == float(fields[8])
        if found["runtime"] is not None:
            assert found["runtime"] == float(fields[3])
            assert found["start_time"] == float(fields[1]) + float(fields[2])
            assert found["end_time"] == float(fields[1]) + float(fields[2]) + float(fields[3])


def _plain(path: Path) -> Iterator[tuple[int, list[str]]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip() and not line.lstrip().startswith(";"):
                yield number, line.split()


# -- recorded use -----------------------------------------------------------------------------------


def test_kth_recorded_starts_need_104_processors_where_there_are_100() -> None:
    found = examine(trace(KTH), cluster=cluster(*[1] * 100)).finding("oversubscribed")
    assert report(KTH).peak_gpus == 104
    assert found is not None
    assert "up to 104 GPUs of 100" in found.explanation
    assert examine(trace(KTH), cluster=cluster(*[1] * 104)).finding("oversubscribed") is None


def test_curies_hybrid_partition_peaks_at_exactly_its_1152_processors_and_144_nodes() -> None:
    jobs = trace(CURIE).table
    hybrid = jobs.filter(pc.equal(jobs["partition"], "8"))
    assert hybrid.num_rows == 14_260 - 1  # one of them states no processors
    columns = [hybrid[name].fill_null(float("nan")).to_numpy() for name in ("start_time", "end_time")]
    processors = hybrid["gpus"].to_numpy().astype(np.int64)
    assert recorded_use(*columns, processors * 1000).peak_gpus == 1_152
    assert recorded_use(*columns, -(-processors // 8) * 1000).peak_gpus == 144
    ran = hybrid.filter(pc.greater(hybrid["runtime"], 0.0))
    assert ran.num_rows == 13_408
    assert pc.sum(pc.greater(hybrid["runtime"], hybrid["time_limit"])).as_py() == 243
    assert Counter(hybrid["state"].to_pylist()) == {"completed": 12_881, "cancelled": 770 - 1, "failed": 609}


def test_the_gpu_rule_of_a_node_gives_curie_two_gpus_for_each_started_node() -> None:
    jobs = read(file(CURIE), options=ReadOptions(gpu_rule="node:2:8")).table
    hybrid = jobs.filter(pc.equal(jobs["partition"], "8"))
    columns = [hybrid[name].fill_null(float("nan")).to_numpy() for name in ("start_time", "end_time")]
    assert recorded_use(*columns, hybrid["gpus"].to_numpy().astype(np.int64) * 1000).peak_gpus == 288


# -- GPU traces ---------------------------------------------------------------------------------------


def test_philly_has_65_repeated_rows_and_is_not_sorted() -> None:
    name = "microsoft_philly_2017/philly.csv"
    facts = report(name)
    assert facts.jobs == 82_247
    assert count(name, "repeated_rows") == 65
    assert count(name, "unsorted") > 0
    assert round(facts.gpu_hours) == 978_078
    assert facts.sizes == {1: 76_627, 2: 1_818, 4: 1_870, 8: 1_643, 12: 7, 16: 199, 24: 7, 32: 67, 64: 6, 128: 3}
    assert facts.finding("zero_runtime") is None


def test_openb_has_its_known_counts() -> None:
    name = "alibaba_openb_2023/openb_pod_list_default.csv"
    facts = report(name)
    assert facts.jobs == 8_152
    assert facts.sizes == {0: 1_088, 1: 6_989, 2: 16, 4: 15, 8: 44}
    assert facts.shared_gpu_jobs == 3_078
    assert facts.recorded_starts == 7_255
    assert {key: round(value) for key, value in facts.wait_s.items()} == {"mean": 61, "p50": 2, "max": 14_330}
    assert count(name, "no_runtime") == 897
    assert (facts.first_submit_s, facts.last_submit_s) == (0.0, 12_901_761.0)


def test_supercloud_has_its_known_counts() -> None:
    name = "mit_supercloud_2021/slurm-log-queueing-clean.csv"
    facts, jobs = report(name), trace(name).table
    assert recognise(file(name)) == "supercloud"
    assert (facts.rows_in, facts.jobs) == (9_628, 9_628)
    assert {size: jobs for size, jobs in facts.sizes.items() if size in (0, 1, 2, 4, 8, 16)} == {
        0: 9_628 - 2_401, 1: 1_976, 2: 343, 4: 30, 8: 24, 16: 20,
    }  # fmt: skip
    gpu_jobs = jobs.filter(pc.greater(jobs["gpus"], 0))
    waits = pc.subtract(gpu_jobs["start_time"], gpu_jobs["submit_time"]).to_numpy()
    assert (round(waits.mean()), float(np.median(waits)), waits.max()) == (7_019, 4.0, 835_277.0)
    assert pc.sum(pc.greater(gpu_jobs["nodes"], 1)).as_py() == 74
    assert Counter(jobs["state"].to_pylist()) == {
        "completed": 5_784, "cancelled": 1_893, "failed": 1_077 + 21, "timed_out": 841, "node_failed": 12,
    }  # fmt: skip
    assert pc.min(jobs["runtime"]).as_py() >= 300


def test_the_sacct_sample_is_one_step_repeated() -> None:
    name = "slurm_output_samples/sample-sacct-output.txt"
    assert recognise(file(name)) == "sacct"
    assert trace(name).reasons() == {"a step, not a job": 68}
    assert trace(name).rows_in == 68


def test_a_job_line_of_the_sacct_sample_gives_its_resources(tmp_path: Path) -> None:
    text = file("slurm_output_samples/sample-sacct-output.txt").read_text()
    path = tmp_path / "jobs.txt"
    header, first, *_ = text.splitlines()
    path.write_text(f"{header}\n{first.replace('8012944_24093.0', '8012944_24093')}\n")
    (job,) = read(path).table.to_pylist()
    told = {key: job[key] for key in ("job_id", "tenant", "runtime", "gpus", "cpus", "memory_gib", "nodes")}
    assert told == {
        "job_id": "8012944_24093", "tenant": "fairusers", "runtime": 48.0, "gpus": 0, "cpus": 1.0, "memory_gib": 64.0,
        "nodes": 1,
    }  # fmt: skip


# -- writing and the catalogue ------------------------------------------------------------------------


@pytest.mark.parametrize("name", [KTH, f"{ARCHIVE}/HPC2N-2002-2.1-cln.swf.gz", CURIE])
def test_a_log_written_as_swf_reads_back_the_same(name: str, tmp_path: Path) -> None:
    jobs = trace(name).table
    write_table(jobs, tmp_path / "jobs.swf")
    back = read(tmp_path / "jobs.swf").table
    assert back.equals(jobs, check_metadata=True)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize(
    "name",
    ["microsoft_philly_2017/philly.csv", "alibaba_openb_2023/openb_pod_list_gpuspec33.csv",
     "mit_supercloud_2021/slurm-log-queueing-clean.csv", KTH],
)  # fmt: skip
def test_a_trace_written_as_our_own_reads_back_the_same(name: str, suffix: str, tmp_path: Path) -> None:
    jobs: pa.Table = trace(name).table
    write_table(jobs, tmp_path / f"jobs.{suffix}")
    assert read(tmp_path / f"jobs.{suffix}").table.equals(jobs, check_metadata=True)


@pytest.mark.parametrize("item", entries(), ids=lambda item: item.name)
def test_the_catalogue_knows_the_bytes(item: Entry) -> None:
    here = [path for path in FOLDER.glob(f"*/*{item.file}") if path.stat().st_size == item.bytes]
    if not here:
        pytest.skip(f"{item.file} is not among the traces")
    assert hashlib.sha256(here[0].read_bytes()).hexdigest() == item.sha256


@pytest.mark.parametrize("item", [item for item in entries() if item.format], ids=lambda item: item.name)
def test_the_catalogue_names_the_format(item: Entry) -> None:
    here = list(FOLDER.glob(f"*/{item.file}"))
    if not here:
        pytest.skip(f"{item.file} is not among the traces")
    assert recognise(here[0]) == item.format
