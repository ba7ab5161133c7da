"""A result on disk: complete or not there, the same bytes for the same run, and nobody else's files harmed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pyarrow as pa
import pytest

from conftest import cluster, workload
from gpuyard.energy import account
from gpuyard.errors import ConfigError, InputError
from gpuyard.metrics import attempts_table, jobs_table, summarise, timeline_table
from gpuyard.result import FILES, Result
from records import record


def result(seconds: float = 2.0, note: str = "first") -> Result:
    jobs = workload((0, 10, 2, {"tenant": "a"}), (5, 20, 6, {"job_class": "md"}))
    facts = record(jobs, cluster(4, 4), (0, 0, 10, [(0, 2)]), (1, 10, 30, [(0, 4), (1, 2)]), seconds=seconds)
    drawn = account(facts)
    return Result(
        jobs=jobs_table(facts, drawn),
        attempts=attempts_table(facts),
        timeline=timeline_table(facts, drawn),
        numbers=summarise(facts, drawn),
        scenario={"run": {"seed": 0, "until": None, "window": (0.0, 5.0)}, "note": note},
    )


def test_what_is_saved_is_what_is_loaded(tmp_path):
    saved = result()
    assert saved.save(tmp_path / "out") == tmp_path / "out"
    loaded = Result.load(tmp_path / "out")
    assert loaded.jobs.equals(saved.jobs, check_metadata=True)
    assert loaded.attempts.equals(saved.attempts)
    assert loaded.timeline.equals(saved.timeline)
    assert loaded.summary() == saved.summary()
    assert loaded.scenario == {"run": {"seed": 0, "window": [0.0, 5.0]}, "note": "first"}
    assert loaded.digest == saved.digest != ""
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES)


def test_the_same_run_gives_the_same_bytes_but_for_the_clock(tmp_path):
    result(seconds=1.0).save(tmp_path / "one", csv=True)
    result(seconds=3.0).save(tmp_path / "two", csv=True)
    for path in sorted((tmp_path / "one").iterdir()):
        same = (
            hashlib.sha256(path.read_bytes()).digest()
            == hashlib.sha256((tmp_path / "two" / path.name).read_bytes()).digest()
        )
        assert same == (path.name != "summary.json"), path.name
    one, two = (json.loads((tmp_path / name / "summary.json").read_text()) for name in ("one", "two"))
    assert {key for key in one if one[key] != two[key]} == {"engine"}
    assert {key for key in one["engine"] if one["engine"][key] != two["engine"][key]} == {"wall_s", "events_per_s"}


def test_csv_holds_lists_as_text(tmp_path):
    result().save(tmp_path / "out", csv=True)
    lines = (tmp_path / "out" / "attempts.csv").read_text().splitlines()
    assert lines[2] == '"1",1,10,30,"finished",20,,,0,,1,6,"0|1","4|2","-1|-1"'


def test_saving_again_replaces_a_result_with_its_report(tmp_path):
    result().save(tmp_path / "out", csv=True)
    (tmp_path / "out" / "report.html").write_text("old")
    result(note="second").save(tmp_path / "out")
    assert Result.load(tmp_path / "out").scenario["note"] == "second"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_is_taken_and_parents_are_made(tmp_path):
    (tmp_path / "empty").mkdir()
    result().save(tmp_path / "empty")
    result().save(tmp_path / "a" / "b")
    assert Result.load(tmp_path / "a" / "b").digest == Result.load(tmp_path / "empty").digest


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    result().save(tmp_path / "out")
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match=r"holds 'thesis.tex', which is no part of a result"):
        result().save(tmp_path / "out")
    assert (tmp_path / "out" / "thesis.tex").read_text() == "years of work"


def test_a_folder_that_only_looks_like_a_result_is_left_alone(tmp_path):
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(ConfigError, match="is not a complete result"):
        result().save(tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="is a file; give a folder"):
        result().save(tmp_path / "file")


def test_a_save_that_fails_leaves_nothing_and_the_old_result_in_place(tmp_path):
    result().save(tmp_path / "out")
    broken = replace(result(), numbers={"wait": float("nan")})
    with pytest.raises(ValueError, match="not JSON compliant"):
        broken.save(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert Result.load(tmp_path / "out").scenario["note"] == "first"


def test_a_folder_that_cannot_be_made_is_a_readable_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        result().save(tmp_path / "file" / "out")


def test_loading_what_is_not_a_result_says_what_is_missing(tmp_path):
    with pytest.raises(InputError, match="there is no such folder"):
        Result.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"jobs.parquet, attempts.parquet"):
        Result.load(tmp_path)


@pytest.mark.parametrize(("name", "text"), [("jobs.parquet", "x"), ("summary.json", "{"), ("scenario.toml", "=")])
def test_a_spoilt_file_is_named(tmp_path, name, text):
    result().save(tmp_path / "out")
    (tmp_path / "out" / name).write_text(text)
    with pytest.raises(InputError, match=f"{name}.*not readable"):
        Result.load(tmp_path / "out")


def test_a_summary_that_is_a_list_is_refused(tmp_path):
    result().save(tmp_path / "out")
    (tmp_path / "out" / "summary.json").write_text("[]")
    with pytest.raises(InputError, match="holds no table of keys"):
        Result.load(tmp_path / "out")


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    result().save(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    result(note="second").save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert Result.load(tmp_path / "real").scenario["note"] == "second"


def test_a_result_without_numbers_has_no_digest():
    empty = pa.table({})
    assert Result(jobs=empty, attempts=empty, timeline=empty, numbers={}).digest == ""
