"""Stories of single jobs, worked by hand on a few nodes: why they waited, who passed them, why they ran where."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import gpuyard as gy
from conftest import Row, cluster, workload
from explained import story, told
from gpuyard.cli import main
from gpuyard.errors import ConfigError, InputError
from gpuyard.explanation import REASONS
from gpuyard.kernel.build import build_log
from gpuyard.kernel.codes import NOBODY, Promise
from gpuyard.kernel.decisions import Noted, build_decisions, note_plan, note_reservation
from gpuyard.kernel.expectations import build_expectations
from gpuyard.kernel.tables import DEMAND, NODE
from gpuyard.metrics.columns import DECISIONS
from gpuyard.metrics.tables import LOST, NAMELESS
from gpuyard.result import Result
from gpuyard.windows import NodeWindow


def limit(seconds: float) -> dict[str, object]:
    return {"time_limit": float(seconds)}


PROMISE: tuple[Row, ...] = (
    (0, 100, 6, limit(200)),
    (1, 50, 8, limit(100)),
    (2, 300, 2, limit(300)),
    (3, 20, 2, limit(30)),
)
"""On one node of 8 GPUs: job 1 waits for job 0, job 2 would run past 200 s, and job 3 would not."""


# --- waiting --------------------------------------------------------------------------------------------------------


def test_the_whole_story_of_a_job_behind_one_that_nobody_may_pass() -> None:
    assert told("2", (0, 100, 6), (1, 50, 8), (2, 10, 2), site=cluster(8)) == [
        "Job 2 asked for 2 GPUs; expected to run 10 s. Policy: fifo.",
        "Submitted at 2 s.",
        "Eligible at 2 s, at once.",
        "It waited 2m 28s (148 s):",
        "  from 2 s for 1m 38s (98 s): job 1 was first and nobody may pass it; it needed 8 GPUs, 2 were free; this job "
        "would have fitted.",
        "  from 1m 40s (100 s) for 50 s: too few GPUs: 0 free of the 2 it needs. It was first in the queue.",
        "Started at 2m 30s (150 s).",
        "It ran on n0 (2 GPUs).",
        "Placement best-fit: the node that keeps the fewest GPUs free, then the lowest. 1 node fitted, with 8 GPUs "
        "wholly free.",
        "Ended at 2m 40s (160 s) after 10 s: completed.",
    ]


def test_enough_gpus_on_two_nodes_are_fragmentation() -> None:
    lines = told("2", (0, 100, 4), (0, 50, 4), (1, 10, 8), site=cluster(8, 8), placement="worst-fit")
    assert lines[4] == (
        "  from 1 s for 49 s: fragmentation: 8 GPUs were free, but no node had 8 of them; the largest job that fitted "
        "on one node has 4 GPUs. It was first in the queue."
    )


def test_too_few_nodes_with_enough_gpus_are_fragmentation() -> None:
    rows: tuple[Row, ...] = ((0, 100, 4), (0, 50, 4), (0, 60, 4), (1, 10, 16, {"nodes": 2}))
    lines = told("3", *rows, site=cluster(8, 8, 8), placement="worst-fit")
    assert lines[4:6] == [
        "  from 1 s for 49 s: too few GPUs: 12 free of the 16 it needs. It was first in the queue.",
        "  from 50 s for 10 s: fragmentation: 16 GPUs were free, but only 1 of the 2 nodes with 8 GPUs free that it "
        "needs; the largest job of its shape that fitted has 9 GPUs. It was first in the queue.",
    ]


def test_pieces_of_gpus_are_fragmentation_of_a_fraction() -> None:
    rows: tuple[Row, ...] = (
        (0, 100, 1, {"gpu_milli": 700}),
        (0, 100, 1, {"gpu_milli": 700}),
        (1, 5, 1, {"gpu_milli": 500}),
    )
    lines = told("2", *rows, site=cluster(2), policy="fifo-fit")
    assert lines[4] == (
        "  from 1 s for 1m 39s (99 s): fragmentation: 0.6 GPUs were free, but no GPU had 0.5 of it free; the largest "
        "piece was 0.3. It was first in the queue."
    )


@pytest.mark.parametrize("order", ["fifo", "wfp"])
def test_the_reservation_of_another_job_stands_in_the_way(order: str) -> None:
    policy = gy.Policy(order=order, backfill="easy")
    lines = told("2", *PROMISE, site=cluster(8), policy=policy)
    assert lines[4] == (
        "  from 2 s for 1m 38s (98 s): 2 GPUs were free and it would have fitted, but job 1 is promised node n0 at "
        "3m 20s (200 s), when this job would still run."
    )
    assert lines[6] == "Meanwhile 1 job that comes later in the order started, with 2 GPUs: 3."


def test_the_first_job_knows_when_it_is_promised_to_start() -> None:
    assert told("1", *PROMISE, site=cluster(8), policy="easy")[4] == (
        "  from 1 s for 1m 39s (99 s): too few GPUs: 2 free of the 8 it needs. It was first in the queue and promised "
        "to start at 3m 20s (200 s)."
    )


def test_a_reservation_by_counts_says_what_is_left_over() -> None:
    """10 GPUs: at 200 s all are free, 2 beside the 8 of job 1; job 2 asks for 3."""
    rows: tuple[Row, ...] = ((0, 100, 6, limit(200)), (1, 50, 8, limit(100)), (2, 300, 3, limit(300)))
    lines = told("2", *rows, site=cluster(10), policy="easy", reservation="counts")
    assert "job 1 is promised 8 GPUs and 2 GPUs are left over beside it at 3m 20s (200 s)" in lines[4]


def test_the_plan_of_conservative_says_who_is_before_it_and_when_its_turn_is() -> None:
    """Job 1 is planned for 200 s to 300 s, so that the two GPUs are not free for the 300 s of job 2 until then."""
    lines = told("2", *PROMISE, site=cluster(8), policy="conservative")
    assert lines[4] == (
        "  from 2 s for 1m 38s (98 s): 2 GPUs were free and it would have fitted, but GPUs are promised to others "
        "before it would end, first to job 1 from 3m 20s (200 s) on; it was itself planned to begin at 5m (300 s)."
    )


def test_slurm_plans_only_now_and_then() -> None:
    """Plans are made at 0 s and at 30 s; that of 30 s knows that job 1 begins at 240 s, times being whole minutes."""
    found = story("2", *PROMISE, site=cluster(8), policy="slurm").stretches
    assert [(each.reason, each.start, each.end) for each in found] == [
        ("interval", 2, 30),
        ("plan", 30, 100),
        ("gpus", 100, 150),
    ]
    assert found[1].blocker is not None
    assert (found[1].blocker.job_id, found[1].blocker.promised) == ("1", 240)


def test_no_plan_is_made_for_who_is_too_far_behind() -> None:
    rows: tuple[Row, ...] = (*PROMISE[:2], (2, 20, 2, limit(30)))
    found = story("2", *rows, site=cluster(8), policy="conservative", depth=1).stretches
    assert [(each.reason, each.start, each.end) for each in found] == [("depth", 2, 100), ("gpus", 100, 150)]


def test_a_score_may_put_a_job_too_far_behind_to_be_planned() -> None:
    """WFP: at 2 s job 1 is ahead; at 100 s job 2 has 2 x (98/30)^3 and job 1 only 8 x (99/100)^3."""
    rows: tuple[Row, ...] = (*PROMISE[:2], (2, 20, 2, limit(30)))
    policy = gy.Policy(order="wfp", backfill="conservative", depth=1)
    found = story("2", *rows, site=cluster(8), policy=policy).stretches
    assert [(each.reason, each.start, each.end) for each in found] == [("depth", 2, 100)]


def test_a_type_of_gpu_is_a_constraint() -> None:
    rows: tuple[Row, ...] = ((0, 100, 4, {"gpu_type": "A"}), (1, 50, 2, {"gpu_type": "A"}))
    assert told("1", *rows, site=cluster(("A", 4), ("B", 8)))[4] == (
        "  from 1 s for 1m 39s (99 s): constraint: 8 GPUs were free, but 0 of a type it accepts, and it needs 2. It "
        "was first in the queue."
    )


@pytest.mark.parametrize(("column", "amount", "words"), [("cpus", 6.0, "the CPUs"), ("memory_gib", 6.0, "the memory")])
def test_cpus_and_memory_are_constraints(column: str, amount: float, words: str) -> None:
    rows: tuple[Row, ...] = ((0, 20, 1, {column: amount}), (0, 20, 1, {column: amount}))
    site = cluster(8, cpus=[8], memory=[8])
    assert told("1", *rows, site=site, policy="fifo-fit")[4] == (
        f"  from 0 s for 20 s: constraint: 7 GPUs were free, and nodes had the GPUs it needs, but not {words}. It was "
        "first in the queue."
    )


def test_an_exclusive_job_waits_for_a_node_with_nobody_on_it() -> None:
    lines = told("1", (0, 100, 1), (1, 50, 2, {"exclusive": True}), site=cluster(8))
    assert lines[4] == (
        "  from 1 s for 1m 39s (99 s): constraint: 7 GPUs were free, but it has its nodes to itself, and too few nodes "
        "had nobody on them. It was first in the queue."
    )


@pytest.mark.parametrize("order", ["fifo", "wfp"])
@pytest.mark.parametrize("backfill", ["none", "fit", "easy", "conservative", "slurm"])
def test_a_maintenance_closes_a_node_before_it_begins(backfill: str, order: str) -> None:
    """Node 1 is closed from 40 s to 60 s, and job 1 would run for 50 s."""
    maintenance = NodeWindow(nodes=(1,), start=40.0, end=60.0)
    policy = gy.Policy(order=order, backfill=backfill)
    found = story("1", (0, 100, 8), (1, 50, 8), site=cluster(8, 8), policy=policy, windows=[maintenance])
    assert [(each.reason, each.start, each.end) for each in found.stretches] == [("closed", 1, 60)]
    assert found.placed is not None
    assert found.placed.nodes == ("n1",)


def test_a_head_that_changes_is_blamed_from_its_submission_on() -> None:
    """Job 3 has the higher priority, and becomes the first at 10 s although nothing starts or ends."""
    rows: tuple[Row, ...] = (
        (0, 100, 6),
        (1, 50, 8, {"priority": 5}),
        (2, 10, 2),
        (10, 50, 8, {"priority": 9}),
    )
    found = story("2", *rows, site=cluster(8), policy="priority").stretches
    blamed = [(each.start, each.end, each.blocker and each.blocker.job_id) for each in found]
    assert blamed == [(2, 10, "1"), (10, 100, "3"), (100, 150, "1"), (150, 200, None)]


def test_a_job_saw_as_free_what_later_jobs_took_at_the_same_instant() -> None:
    """At 50 s two nodes have 4 free GPUs each; job 2 of 8 does not fit, and job 3 takes 4 of them after it."""
    rows: tuple[Row, ...] = ((0, 100, 4), (0, 100, 4), (50, 10, 8), (50, 20, 4))
    found = story("2", *rows, site=cluster(8, 8), policy="fifo-fit", placement="worst-fit")
    assert [(each.reason, each.free, each.start, each.end) for each in found.stretches] == [
        ("fragmentation", (8, 8), 50, 100)
    ]
    assert found.passed is not None
    assert (found.passed.count, found.passed.gpus, found.passed.first) == (1, 4, ("3",))


# --- becoming eligible ----------------------------------------------------------------------------------------------


def test_dependency_think_time_and_earliest_start_hold_a_job_back() -> None:
    more = {"depends_on": ["0"], "think_time": 10.0, "not_before": 30.0}
    lines = told("1", (0, 3700, 2), (1, 50, 2, more), site=cluster(8))
    assert lines[1:6] == [
        "Submitted at 1 s.",
        "It was not to start before 30 s.",
        "It was held back until 1h 1m (3,710 s), when the last job it depends on ended and its think time of 10 s was "
        "over: 0.",
        "Eligible at 1h 1m (3,710 s).",
        "It did not wait.",
    ]


def test_a_job_of_a_full_array_is_held_back_until_a_place_is_free() -> None:
    array = {"array": "sweep", "array_limit": 1}
    found = story("1", (0, 20, 1, array), (5, 20, 1, array), site=cluster(8))
    assert [(hold.kind, hold.start, hold.end, hold.jobs, hold.limit) for hold in found.holds] == [
        ("array_limit", 5, 20, ("0",), 1)
    ]
    assert found.eligible == found.start == 20


def test_a_job_whose_parent_never_ends_was_never_eligible() -> None:
    lines = told("1", (0, 100, 2), (1, 50, 2, {"depends_on": ["0"]}), site=cluster(8), until=50)
    assert lines[2:] == [
        "It was held back to the end of the simulation, when the last job it depends on had not ended: 0.",
        "It was not eligible when the simulation stopped.",
    ]


# --- ends -----------------------------------------------------------------------------------------------------------


def test_a_rejected_job_says_why() -> None:
    assert told("0", (0, 100, 16), site=cluster(8))[-1] == "Rejected: asks for more GPUs than the cluster has."


def test_a_job_that_never_started_waited_to_the_stop() -> None:
    found = story("1", (0, 100, 8), (1, 5, 8), site=cluster(8), until=50)
    assert [(each.reason, each.start, each.end) for each in found.stretches] == [("gpus", 1, 50)]
    assert str(found).endswith("It had not started when the simulation stopped.")


def test_recorded_replay_waits_for_nothing() -> None:
    recorded = {"start_time": 2.0, "end_time": 7.0}
    jobs, site = workload((0, 100, 8, {"start_time": 0.0, "end_time": 100.0}), (1, 5, 8, recorded)), cluster(8)
    result = gy.simulate(jobs, site, replay="recorded")
    assert str(gy.explain(result, "1", workload=jobs, cluster=site)).splitlines()[3:6] == [
        "Recorded replay: it starts when the record says.",
        "Started at 2 s.",
        "There was no room for it: it ran as recorded and held nothing.",
    ]


def test_a_wait_before_the_beginning_is_not_explained() -> None:
    rows: tuple[Row, ...] = ((-60, 100, 8, {"start_time": -50.0, "end_time": 50.0}), (-20, 10, 8))
    found = story("1", *rows, site=cluster(8), begin=0.0)
    assert [(each.reason, each.start, each.end) for each in found.stretches] == [
        ("before_begin", -20, 0),
        ("gpus", 0, 50),
    ]
    assert "Submitted at 20 s before the origin." in str(found)


# --- placement ------------------------------------------------------------------------------------------------------


def test_best_fit_took_the_fullest_node_of_those_that_fitted() -> None:
    rows: tuple[Row, ...] = ((0, 100, 6), (0, 100, 3), (1, 10, 4))
    found = story("2", *rows, site=cluster(8, 8, 8), placement="best-fit").placed
    assert found is not None
    assert (found.nodes, found.candidates, found.before, found.fewest, found.most) == (("n1",), 2, (5,), 5, 8)
    lines = told("2", *rows, site=cluster(8, 8, 8), placement="best-fit")
    assert lines[-2].endswith("2 nodes fitted, each with 5 to 8 GPUs wholly free; the one taken had 5.")


def test_reserved_nodes_are_no_candidates_of_a_job_that_would_outstay_the_promise() -> None:
    """Job 1 is promised nodes 0 and 1 at 100 s; job 2 runs past that, on node 2, and jobs that are short may use 1."""
    rows: tuple[Row, ...] = ((0, 100, 8, limit(100)), (1, 10, 16, {"gpu_type": "A"}), (2, 200, 8, limit(200)))
    found = story("2", *rows, site=cluster(("A", 8), ("A", 8), ("B", 8)), policy="easy", placement="first-fit").placed
    assert found is not None
    assert (found.nodes, found.candidates, found.reserved) == (("n2",), 1, 1)


def test_a_job_of_several_nodes_says_where_they_meet() -> None:
    site = cluster(8, 8, 8, 8, levels=[[0, 0, 1, 1]])
    lines = told("1", (0, 100, 8), (1, 10, 16), site=site, placement="packed")
    assert lines[5] == "It ran on 2 nodes with 8 GPUs each: n2, n3, all in level-0 1."


# --- the log of decisions -------------------------------------------------------------------------------------------


def test_the_log_has_a_row_for_each_promise_that_differs() -> None:
    """Job 1 is promised node 0 at 200 s; what starts and ends meanwhile changes nothing; job 2 is promised next."""
    result = gy.simulate(workload(*PROMISE), cluster(8), policy="easy", decisions=True)
    assert result.decisions is not None
    assert result.decisions.to_pylist() == [
        {"time": 1.0, "job_id": "1", "begin_time": 200.0, "extra_gpus": None, "reserved_nodes": 1, "nodes": [0]},
        {"time": 100.0, "job_id": "2", "begin_time": 200.0, "extra_gpus": None, "reserved_nodes": 1, "nodes": [0]},
    ]
    assert result.decisions.column_names == [column.name for column in DECISIONS]
    assert result.decisions.schema.metadata[LOST] == b"0"
    assert result.decisions.schema.metadata[NAMELESS] == b"0"


@pytest.mark.parametrize("policy", ["fifo", "fifo-fit", "easy", "conservative", "slurm", "wfp"])
def test_the_log_changes_no_other_byte(policy: str, tmp_path: Path) -> None:
    jobs, site = workload(*PROMISE), cluster(8)
    plain = gy.simulate(jobs, site, policy=policy).save(tmp_path / "plain")
    kept = gy.simulate(jobs, site, policy=policy, decisions=True).save(tmp_path / "kept")
    for name in ("jobs.parquet", "attempts.parquet", "timeline.parquet"):
        assert (plain / name).read_bytes() == (kept / name).read_bytes()
    assert not (plain / "decisions.parquet").exists()
    loaded = Result.load(kept).decisions
    assert loaded is not None
    assert loaded.equals(gy.simulate(jobs, site, policy=policy, decisions=True).decisions)


def test_a_full_log_counts_what_it_lost() -> None:
    log = build_log(1, 1, tracked=False, decisions=build_decisions(4, entries=2, nodes=1))
    demand, node = np.zeros(1, DEMAND), np.zeros(3, NODE)
    expected = build_expectations(
        estimate=np.ones(4, np.int64), demands=demand, node=node, running=1, quanta=0, counts=False, positions=0
    )
    note_plan(log, 0, 10, 1)
    note_plan(log, 0, 10, 2)
    expected.promise[Promise.RESERVED] = 2
    expected.promise[Promise.SHADOW] = 7
    note_reservation(log, expected, 3, 3)
    note_reservation(log, expected, 2, 4)
    state = log.decisions.state.tolist()
    assert [state[place] for place in (Noted.ENTRIES, Noted.NODES, Noted.LOST, Noted.NAMELESS)] == [2, 0, 1, 1]
    entries = log.decisions.entry[: state[Noted.ENTRIES]]
    assert entries["job"].tolist() == [0, 3]
    assert entries["first"].tolist() == [0, NOBODY]


def test_an_explanation_after_the_end_of_a_full_log_says_so() -> None:
    jobs, site = workload(*PROMISE), cluster(8)
    result = gy.simulate(jobs, site, policy="easy", decisions=True)
    assert result.decisions is not None
    cut = result.decisions.replace_schema_metadata({**result.decisions.schema.metadata, LOST: b"5"}).slice(0, 1)
    short = Result(
        jobs=result.jobs,
        attempts=result.attempts,
        timeline=result.timeline,
        numbers=result.numbers,
        scenario=result.scenario,
        decisions=cut,
    )
    text = str(gy.explain(short, "2", workload=jobs, cluster=site))
    assert "job 1 is first and has a reservation; for when is not known" in text
    assert "its last 5 entries are missing" in text


def test_a_run_without_a_log_is_made_again_and_must_be_the_same() -> None:
    jobs, site = workload(*PROMISE), cluster(8)
    result = gy.simulate(jobs, site, policy="easy")
    found = gy.explain(result, "2", workload=jobs, cluster=site)
    assert found.log == "made again"
    assert result.digest[:12] in str(found)
    assert found.stretches == story("2", *PROMISE, site=site, policy="easy").stretches
    engine = {**result.numbers["engine"], "digest": "0" * 64}  # type: ignore[dict-item]
    other = Result(
        jobs=result.jobs,
        attempts=result.attempts,
        timeline=result.timeline,
        numbers={**result.numbers, "engine": engine},
        scenario=result.scenario,
    )
    found = gy.explain(other, "2", workload=jobs, cluster=site)
    assert found.log.startswith("the run, made again with this version, has another schedule")
    assert "'gpuyard run DIR --decisions -o NEW'" in str(found)
    assert [each.reason for each in found.stretches] == ["reservation", "gpus"]


def test_a_run_that_took_long_is_not_made_again() -> None:
    jobs, site = workload(*PROMISE), cluster(8)
    result = gy.simulate(jobs, site, policy="easy")
    engine = {**result.numbers["engine"], "wall_s": 900.0}  # type: ignore[dict-item]
    slow = Result(
        jobs=result.jobs,
        attempts=result.attempts,
        timeline=result.timeline,
        numbers={**result.numbers, "engine": engine},
        scenario=result.scenario,
    )
    assert "the run took 900 s, too long to make it again here" in str(
        gy.explain(slow, "2", workload=jobs, cluster=site)
    )


def test_nothing_is_made_again_for_a_job_that_did_not_wait() -> None:
    jobs, site = workload(*PROMISE), cluster(8)
    assert gy.explain(gy.simulate(jobs, site, policy="easy"), "0", workload=jobs, cluster=site).log == "not needed"


# --- what cannot be explained ---------------------------------------------------------------------------------------


def test_an_unknown_job_names_the_nearest() -> None:
    jobs, site = workload((0, 10, 1, {"job_id": "train-7"})), cluster(8)
    result = gy.simulate(jobs, site)
    with pytest.raises(InputError, match="did you mean 'train-7'"):
        gy.explain(result, "train-8", workload=jobs, cluster=site)


def test_a_result_of_python_needs_its_workload_and_cluster() -> None:
    jobs, site = workload((0, 10, 1)), cluster(8)
    result = gy.simulate(jobs, site)
    with pytest.raises(ConfigError, match=r"workload=\.\.\., cluster=\.\.\."):
        gy.explain(result, "0")
    with pytest.raises(ConfigError, match="is not the one that the result was made from"):
        gy.explain(result, "0", workload=workload((0, 11, 1)), cluster=site)
    with pytest.raises(ConfigError, match="explain takes a Result, got dict"):
        gy.explain({}, "0")  # type: ignore[arg-type]


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Path:
    trace = tmp_path / "jobs.csv"
    trace.write_text("job_id,submit_time,runtime,gpus,time_limit\na,0,100,6,200\nb,1,50,8,100\nc,2,300,2,300\n")
    words = ["run", "--trace", str(trace), "--cluster", "1x8", "--policy", "easy", "-o", str(tmp_path / "run")]
    assert main([*words, "--no-report", "--no-progress", "--decisions"]) == 0
    return tmp_path / "run"


def test_the_command_tells_the_story_of_a_saved_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["explain", str(run), "c", "--no-progress"]) == 0
    out = capsys.readouterr().out
    assert "  from 2 s for 1m 38s (98 s): 2 GPUs were free and it would have fitted, but job b is promised node" in out
    assert "Note:" not in out
    assert main(["explain", str(run), "c", "--json", "--no-progress"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["log"] == "saved"
    assert facts["wait"] == 148
    assert {each["reason"] for each in facts["stretches"]} <= REASONS.keys()
    assert facts["stretches"][0]["blocker"]["promised"] == 200


def test_the_command_makes_a_run_again_that_has_no_log(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "decisions.parquet").unlink()
    capsys.readouterr()
    assert main(["explain", str(run), "c", "--no-progress"]) == 0
    assert "Note: The result has no log of decisions, so the run was made again with one" in capsys.readouterr().out
    assert main(["explain", str(run), "x", "--no-progress"]) == 2
    assert "there is no such job" in capsys.readouterr().err


def test_a_long_story_is_told_in_groups() -> None:
    """Twenty jobs of the whole node stand before the last one: each is first for 10 s."""
    rows: list[Row] = [(0, 10, 8) for _ in range(20)]
    found = story("20", *rows, (1, 5, 2), site=cluster(8))
    assert len(found.stretches) == 20
    assert str(found).splitlines()[3:9] == [
        "It waited 3m 19s (199 s):",
        "  from 1 s for 3m 9s (189 s): another job was first, and nobody may pass it: 1, 2, 3, 4, 5 and 14 more.",
        "  from 3m 10s (190 s) for 10 s: too few GPUs: 0 free of the 2 it needs. It was first in the queue.",
        "In all:",
        "  3m 9s (189 s): another job was first, and nobody may pass it.",
        "  10 s: too few GPUs were free.",
    ]


def test_a_job_table_of_any_ids_is_explained() -> None:
    table = pa.table({"job_id": ["x y", "z"], "submit_time": [0.0, 0.0], "runtime": [5.0, 5.0], "gpus": [1, 1]})
    jobs, site = gy.Workload.from_table(table), cluster(1)
    assert gy.explain(gy.simulate(jobs, site), "z", workload=jobs, cluster=site).wait == 5
