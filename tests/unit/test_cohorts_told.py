"""What is said of cohorts and of those who take to borrow: scenarios, tables of a run, explanations, the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gpuyard as gy
from conftest import Row, cluster, workload
from explained import told
from gpuyard.cli import main
from gpuyard.errors import ConfigError, InputError
from gpuyard.policy import Policy
from gpuyard.scenario import Scenario, load
from gpuyard.tenancy import Tenants

URGENT = Policy(backfill="fit", preemption="priority")
SHARED = Policy(backfill="fit", preemption="reclaim")
POOL: dict[str, Any] = {
    "borrow_within": "lower",
    "borrow_threshold": 3,
    "nominal": 4,
    "tenant": [{"name": "steel"}, {"name": "bio"}, {"name": "own", "nominal": 2}],
}


def of(tenant: str, priority: int = 0) -> dict[str, object]:
    return {"tenant": tenant, "priority": priority}


BORROWS: tuple[Row, ...] = ((0, 100, 4, of("steel")), (0, 100, 2, of("bio")), (10, 20, 3, of("bio", 5)))
"""bio has 2, borrowed, and takes the 4 of steel, which are borrowed as well, to have 5."""
RECLAIMS: tuple[Row, ...] = ((0, 100, 6, of("steel")), (10, 20, 2, of("own", 5)))


@pytest.mark.parametrize(("rows", "reason"), [(BORROWS, "borrow"), (RECLAIMS, "reclaim")])
def test_the_attempts_of_a_run_tell_who_made_room_to_let_others_borrow(rows, reason, tmp_path):
    result = gy.simulate(workload(*rows), cluster(6), policy=URGENT, tenants=POOL)
    result.save(tmp_path / "run")
    table = gy.Result.load(tmp_path / "run").attempts.to_pydict()
    taken = [(job, why) for job, why in zip(table["job_id"], table["preemption_reason"], strict=True) if why]
    assert taken == [("0", reason)]


def test_own_jobs_that_make_room_beside_those_of_others_are_told_apart():
    """bio takes the job of steel to borrow, and its own."""
    rows: tuple[Row, ...] = (
        (0, 100, 2, of("steel", 1)),
        (0, 100, 4, of("bio")),
        (10, 20, 6, of("bio", 5)),
    )
    result = gy.simulate(workload(*rows), cluster(6), policy=URGENT, tenants=POOL)
    attempts = result.attempts
    names = zip(attempts["job_id"].to_pylist(), attempts["preemption_reason"].to_pylist(), strict=True)
    assert [each for each in names if each[1]] == [("0", "borrow"), ("1", "priority")]


def test_a_job_that_made_room_for_one_that_borrows_says_so():
    lines = told("0", *BORROWS, site=cluster(6), policy=URGENT, tenants=POOL)
    assert any(
        "bio took what was less urgent, and used 5 GPUs with that job, where 0 are its quota; its own tenant steel "
        "used 4 above its quota" in line
        for line in lines
    )


TREE: dict[str, Any] = {
    "reclaim": "cohorts",
    "nominal": 4,
    "tenant": [{"name": "steel"}, {"name": "steel/vision"}, {"name": "bio/cells"}],
}
"""Two departments without quotas of their own."""


def test_a_story_names_the_cohorts_whose_shares_were_compared():
    """With its job bio borrows 1 of 4; steel 4, and 2 of them would be left."""
    rows: tuple[Row, ...] = (
        (0, 100, 2, of("steel/vision")),
        (1, 100, 2, of("steel/vision")),
        (10, 20, 1, of("bio/cells")),
    )
    lines = told("1", *rows, site=cluster(4), policy=SHARED, tenants=TREE)
    assert any("steel, which its tenant is of, had the share 1, and bio with that job 0.25" in line for line in lines)


def test_the_share_of_a_queue_is_told_where_cohorts_take_turns():
    rows: tuple[Row, ...] = (
        (0, 100, 3, of("steel/vision")),
        (1, 100, 1, of("steel")),
        (2, 50, 1, of("bio/cells")),
    )
    tenants = TREE | {"between": "cohorts"}
    line = next(
        each for each in told("2", *rows, site=cluster(4), policy="fifo-fit", tenants=tenants) if "share" in each
    )
    assert "The share of its tenant was 0; of others: steel 0.25, steel/vision 0.75." in line


def scenario(**tenants: object) -> Scenario:
    work = {"days": 1.0, "load": 0.3, "classes": {"training": {"share": 1.0}}}
    return Scenario.from_mapping({"cluster": {"nodes": 1, "gpus_per_node": 8}, "workload": work, "tenants": tenants})


def test_a_scenario_has_the_keys_and_writes_them_down():
    given = {
        "borrow_within": "lower",
        "borrow_threshold": 100,
        "reclaim": "any",
        "tenant": [{"name": "a", "nominal": 8.0, "weight": 1.0}],
    }
    made = scenario(**given).resolve()
    assert (made.tenants.borrow_within, made.tenants.borrow_threshold) == ("lower", 100)
    assert made.echo["tenants"] == {"between": "queue"} | given
    assert Tenants.of(made.tenants.to_mapping()) == made.tenants


def test_what_a_file_says_of_all_tenants_holds_unless_the_scenario_says_otherwise(tmp_path: Path):
    (tmp_path / "shares.toml").write_text(
        'borrow_within = "lower"\nborrow_threshold = 5\n[[tenant]]\nname = "a"\nnominal = 8\n'
    )
    (tmp_path / "run.toml").write_text(
        "[cluster]\nnodes = 1\ngpus_per_node = 8\n[workload]\ndays = 1.0\nload = 0.3\n"
        'classes = {training = {share = 1.0}}\n[tenants]\nfile = "shares.toml"\nborrow_threshold = 7\n'
    )
    made = load(tmp_path / "run.toml").resolve()
    assert (made.tenants.borrow_within, made.tenants.borrow_threshold) == ("lower", 7)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"borrow_within": "some"}, "borrow_within 'some'"),
        ({"borrow_within": "lower", "reclaim": "fair"}, "goes with reclaim = any or lower"),
        ({"borrow_threshold": 3}, "choose that, or leave it out"),
    ],
)
def test_a_scenario_that_cannot_be_is_refused_with_the_remedy(given, says):
    with pytest.raises((ConfigError, InputError), match=says):
        scenario(tenant=[{"name": "a", "nominal": 8}], **given).resolve()


def test_both_work_from_the_command_line(tmp_path: Path, capsys):
    (tmp_path / "jobs.csv").write_text(
        "job_id,submit_time,runtime,gpus,tenant,priority\na,0,100,4,steel,0\nb,10,20,3,bio,5\n"
    )
    (tmp_path / "pool.toml").write_text(
        'nominal = 4\nborrow_within = "lower"\n[[tenant]]\nname = "steel"\n[[tenant]]\nname = "bio"\n'
    )
    words = ["run", "--trace", str(tmp_path / "jobs.csv"), "--cluster", "1x4", "--policy", "fifo-fit", "--no-report"]
    words += ["--tenants", str(tmp_path / "pool.toml"), "--set", "policy.preemption=priority"]
    assert main([*words, "-o", str(tmp_path / "lent"), "--json"]) == 0
    assert main(["explain", str(tmp_path / "lent"), "a"]) == 0
    assert "bio took what was less urgent" in capsys.readouterr().out
    more = [
        "--set",
        "tenants.reclaim=cohorts",
        "--set",
        "tenants.between=cohorts",
        "--set",
        "tenants.borrow_within=never",
    ]
    assert main([*words, *more, "-o", str(tmp_path / "cohorts"), "--json"]) == 0
    assert main(["explain", str(tmp_path / "cohorts"), "a"]) == 0
    assert "had the share 1" in capsys.readouterr().out


def test_nobody_has_a_quota_that_cohorts_could_go_by(tmp_path: Path):
    result = gy.simulate(workload((0, 1, 1)), cluster(1), tenants={"between": "cohorts", "tenant": [{"name": "a"}]})
    assert any("(between = cohorts), and nobody has a nominal quota" in each for each in result.summary()["warnings"])
