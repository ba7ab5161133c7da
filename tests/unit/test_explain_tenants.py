"""The story of a job where tenants share the cluster: which quota or limit held it, and who took what from whom."""

from __future__ import annotations

import random
from typing import Any

import pytest

import gpuyard as gy
from conftest import Row, cluster, workload
from explained import story, told
from gpuyard.explanation import gather, story_of

HOUR = 3600
QUOTAS: dict[str, Any] = {"tenant": [{"name": "steel", "nominal": 8, "borrow": 4}, {"name": "bio", "nominal": 8}]}
FREE: dict[str, Any] = {"tenant": [{"name": "steel", "nominal": 8}, {"name": "bio", "nominal": 8}]}


def of(tenant: str | None, **more: object) -> dict[str, object]:
    return {"tenant": tenant, **more}


THREE: tuple[Row, ...] = ((0, HOUR, 8, of("steel")), (60, HOUR, 8, of("steel")), (120, 100, 2, of("steel")))


def test_a_story_says_whose_quota_held_a_job_and_what_the_tenant_used_of_it() -> None:
    assert told("1", *THREE, site=cluster(8, 8), policy="fifo-fit", tenants=QUOTAS)[3:5] == [
        "It waited 59m (3,540 s):",
        "  from 1m (60 s) for 59m (3,540 s): quota of tenant steel: it used 8 of its 8 GPUs and may borrow 4; the job "
        "needs 8.",
    ]


def test_the_numbers_of_a_quota_are_there_for_machines() -> None:
    (stretch,) = story("1", *THREE, site=cluster(8, 8), policy="fifo-fit", tenants=QUOTAS).stretches
    assert stretch.reason == "quota"
    assert stretch.held is not None
    assert (stretch.held.tenant, stretch.held.nominal, stretch.held.most) == ("steel", 8, 12)
    assert stretch.held.used == (8, 8)  # what its own job with 2 GPUs took had not started at its turn


def test_the_quota_of_a_tenant_above_is_told_where_that_is_what_was_used_up() -> None:
    tenants = {
        "tenant": [{"name": "steel", "borrow": 0}, {"name": "steel/a", "nominal": 4}, {"name": "bio", "nominal": 8}]
    }
    rows: list[Row] = [(0, HOUR, 3, of("steel/a")), (60, HOUR, 2, of("steel/b"))]
    (stretch,) = story("1", *rows, site=cluster(8, 8), policy="fifo-fit", tenants=tenants).stretches
    assert stretch.held is not None
    assert (stretch.held.tenant, stretch.held.used, stretch.held.most) == ("steel", (3, 3), 4)


def test_room_is_told_where_quotas_admit_a_job() -> None:
    rows: list[Row] = [(0, HOUR, 5, of("steel")), (0, HOUR, 5, of("bio")), (60, HOUR, 4, of("bio"))]
    tenants = {"tenant": [{"name": "steel", "nominal": 8}, {"name": "bio", "nominal": 12}]}
    line = told("2", *rows, site=cluster(8, 8), policy="fifo-fit", tenants=tenants)[4]
    assert "fragmentation: 6 GPUs were free, but no node had 4 of them" in line


def test_a_quota_of_all_is_told_only_where_there_would_have_been_room() -> None:
    tenants = {"tenant": [{"name": "steel", "nominal": 2}, {"name": "bio", "nominal": 2}]}
    rows: list[Row] = [(0, HOUR, 1, of("steel")), (0, HOUR, 2, of("bio")), (60, 10, 2, of("bio"))]
    (room,) = story("2", *rows, site=cluster(2, 2), policy="fifo-fit", tenants=tenants).stretches
    assert room.reason == "gpus"  # 1 is free
    (quota,) = story("2", *rows, site=cluster(8), policy="fifo-fit", tenants=tenants).stretches
    assert (quota.reason, quota.held and quota.held.tenant) == ("quota", "")


LENT: tuple[Row, ...] = ((0, HOUR, 8, of("steel")), (0, HOUR, 8, of("steel")), (60, 10, 4, of("bio")))


@pytest.mark.parametrize(
    ("more", "reclaim", "told_"),
    [
        ({"policy": "fifo-fit"}, "any", True),
        ({"policy": "fifo-fit", "preemption": "reclaim"}, "never", True),
        ({"policy": "srtf"}, "never", True),
    ],
)
def test_what_is_lent_and_never_taken_back_is_told(more: dict[str, Any], reclaim: str, told_: bool) -> None:
    lines = told("2", *LENT, site=cluster(8, 8), tenants={**FREE, "reclaim": reclaim}, **more)
    said = "steel used 8 GPUs above its own, and this policy takes nothing back."
    assert any(said in line for line in lines) is told_


def test_what_is_lent_is_not_told_to_whom_it_is_not_due() -> None:
    rows: list[Row] = [(0, HOUR, 8, of("steel")), (0, HOUR, 8, of("steel")), (60, 10, 9, of("bio"))]
    assert story("2", *rows, site=cluster(8, 8), policy="fifo-fit", tenants=FREE).stretches[0].lent == {}
    rows = [(0, HOUR, 8, of("steel")), (0, HOUR, 8, of("steel")), (60, 10, 4, of("bio"))]
    taken = story("2", *rows, site=cluster(8, 8), policy="fifo-fit", preemption="reclaim", tenants=FREE)
    assert taken.stretches == ()


def test_a_quota_of_one_type_is_told_where_the_other_type_has_no_room() -> None:
    site = cluster(("A", 2), ("B", 2))
    tenants = {"tenant": [{"name": "a", "nominal": {"A": 1, "B": 2}, "borrow": {}}, {"name": "b", "nominal": {"A": 1}}]}
    rows: list[Row] = [(0, HOUR, 2, of("a", gpu_type="B")), (0, HOUR, 1, of("a", gpu_type="A")), (60, 10, 1, of("a"))]
    (stretch,) = story("2", *rows, site=site, policy="fifo-fit", tenants=tenants).stretches
    assert stretch.reason == "quota"
    assert stretch.held is not None
    assert (stretch.held.what, stretch.held.used, stretch.held.most) == ("A", (1, 1), 1)


def test_a_type_that_no_quota_names_is_held_by_the_quota_of_all() -> None:
    """Two GPUs of type B are free and belong to nobody's quota."""
    site = cluster(("A", 1), ("B", 2))
    rows: list[Row] = [(0, HOUR, 1, of("a")), (0, 10, 1, of("a"))]
    tenants = {"tenant": [{"name": "a", "nominal": {"A": 2}}]}
    (stretch,) = story("1", *rows, site=site, policy="fifo-fit", tenants=tenants).stretches
    assert (stretch.reason, stretch.held and stretch.held.what) == ("quota", "B")


def test_room_is_told_where_types_that_quotas_close_would_help_only_together() -> None:
    """A gang of two stays on one type by its quota: of A, which admits it, one is free, and of B there is only one."""
    site = cluster(("A", 1), ("A", 1), ("B", 1))
    rows: list[Row] = [(0, HOUR, 1, of("a", gpu_type="A")), (0, 10, 2, of("a", nodes=2))]
    tenants = {"tenant": [{"name": "a", "nominal": {"A": 3}}]}
    (stretch,) = story("1", *rows, site=site, policy="fifo-fit", tenants=tenants).stretches
    assert stretch.reason == "gpu_type"


def test_a_limit_is_told_with_its_group() -> None:
    tenants = {"limit": [{"each": ["user"], "where": {"partition": "debug"}, "jobs": 1}, {"each": ["user"], "gpus": 6}]}
    rows: list[Row] = [
        (0, HOUR, 2, {"user": "ann", "partition": "debug"}),
        (60, 10, 1, {"user": "ann", "partition": "debug"}),
        (70, 10, 6, {"user": "ann", "partition": "batch"}),
        (80, 10, 6, {"user": "bob", "partition": "batch"}),
    ]
    run = {"site": cluster(8, 8), "policy": "fifo-fit", "tenants": tenants}
    assert "limit: of jobs with partition debug, user ann, at most 1 may run, and 1 did." in told("1", *rows, **run)[4]  # type: ignore[arg-type]
    assert (
        "limit: jobs with user ann may hold at most 6 GPUs, and held 1 to 2; the job needs 6."
        in told("2", *rows, **run)[4]
    )  # type: ignore[arg-type]
    assert told("3", *rows, **run)[3] == "It did not wait."  # type: ignore[arg-type]


def test_in_a_strict_queue_a_job_waits_for_the_first_of_its_own_tenant_only() -> None:
    rows = (*THREE, (130, 10, 8, of("bio")))
    run = {"site": cluster(8, 8), "policy": "fifo", "tenants": QUOTAS}
    assert told("2", *rows, **run)[4].endswith(  # type: ignore[arg-type]
        "job 1 was first and nobody may pass it; it needed 8 GPUs, 8 were free (a tenant had used up its quota, and "
        "what it may borrow); this job would have fitted."
    )
    assert told("3", *rows, **run)[3] == "It did not wait."  # type: ignore[arg-type]


def test_shares_are_told_where_they_decide() -> None:
    rows: list[Row] = [(0, HOUR, 4, of("steel")), (0, HOUR, 8, of("bio")), (60, HOUR, 8, of("steel"))]
    tenants = {"tenant": [{"name": "steel", "weight": 2.0}, {"name": "bio"}], "between": "drf"}
    line = told("2", *rows, site=cluster(8, 8), policy="fifo-fit", tenants=tenants)[4]
    assert line.endswith("4 free of the 8 it needs. The share of its tenant was 0.125; of others: bio 0.5.")


def at_their_turns(**quotas: float) -> list[str]:
    """Return the waits of the jobs of blue: it and red hold 2 of 8 GPUs each; a job of red and one of green start."""
    tenants = {
        "tenant": [{"name": name, "nominal": nominal} for name, nominal in quotas.items() if name != "pool"],
        "nominal": quotas["pool"],
        "between": "cohorts",
    }
    rows: list[Row] = [(0, HOUR, 2, of("red")), (0, HOUR, 2, of("blue"))]
    rows += [(60, HOUR, gpus, of(name)) for name, gpus in [("red", 3), ("blue", 5), ("green", 1), ("blue", 5)]]
    return [
        told(job, *rows, site=cluster(8), policy="fifo-fit", tenants=tenants, until=90)[4]
        .split(": ", 1)[1]
        .split(".")[0]
        for job in ("3", "5")
    ]


def test_between_cohorts_a_job_sees_what_was_free_when_its_cohort_named_it() -> None:
    """With their jobs red would borrow 3, green 1, and blue 5 or 1; of equals who came first is named."""
    assert at_their_turns(red=2, blue=2, green=0, pool=4) == ["too few GPUs: 0 free of the 5 it needs"] * 2
    assert at_their_turns(red=2, blue=6, green=0, pool=0)[0] == "too few GPUs: 4 free of the 5 it needs"


def test_between_cohorts_who_asks_for_the_same_is_passed_over_with_the_first() -> None:
    """Its own turn would be after that of green, which adds as much and came before it."""
    assert at_their_turns(red=2, blue=6, green=0, pool=0)[1] == "too few GPUs: 4 free of the 5 it needs"


TAKEN: tuple[Row, ...] = ((0, HOUR, 16, of("steel")), (600, HOUR, 8, of("bio")))


def test_who_made_room_says_for_whose_quota_and_how_much_its_own_tenant_had_borrowed() -> None:
    run = {"site": cluster(8, 8), "policy": "fifo-fit", "preemption": "reclaim", "tenants": FREE}
    lines = told("0", *TAKEN, **run)  # type: ignore[arg-type]
    assert lines[3:9] == [
        "It did not wait.",
        "Attempt 1: from 0 s for 10m (600 s) on n0 (8 GPUs), n1 (8 GPUs).",
        "  It made room for job 1: bio took back its quota, of which it used 8 of 8 GPUs with that job; its own tenant "
        "steel used 8 above its quota.",
        "It waited 1h (3,600 s):",
        "  from 10m (600 s) for 1h (3,600 s): too few GPUs: 8 free of the 16 it needs. Nothing is taken back for it: "
        "its tenant would hold more than its own quota with it.",
        "Attempt 2: from 1h 10m (4,200 s) for 50m (3,000 s) on n0 (8 GPUs), n1 (8 GPUs).",
    ]
    assert told("1", *TAKEN, **run)[5:7] == [  # type: ignore[arg-type]
        "  1 job made room for it: 0.",
        "  Of tenant steel, which used 8 GPUs above its quota: 0.",
    ]


def test_who_left_later_at_the_instant_counts_as_used_when_a_quota_was_taken_back() -> None:
    """Job 3 takes back what b borrowed while job 2 runs; then job 2 makes room for job 4 of its own tenant."""
    tenants = {"tenant": [{"name": "a", "nominal": 2}, {"name": "b", "nominal": 1}]}
    rows: list[Row] = [
        *((0, HOUR, 1, of(name)) for name in ("b", "b", "a")),
        *((60, HOUR, 1, of("a", priority=1)) for _ in range(2)),
    ]
    run = {"site": cluster(3), "policy": "fifo-fit", "preemption": "priority", "tenants": tenants}
    found = story("0", *rows, **run), story("2", *rows, **run)  # type: ignore[arg-type]
    first, second = (each.attempts[0].made_room for each in found)
    assert first is not None
    assert second is not None
    assert (first.job_id, second.job_id) == ("3", "4")
    assert first.right is not None
    assert first.right.used == 2


def test_where_all_that_was_borrowed_is_not_enough_the_story_says_so() -> None:
    rows: list[Row] = [(0, HOUR, 10, of("steel")), (0, HOUR, 4, of("bio", preemptible=False)), (60, 10, 4, of("bio"))]
    rows[0][3]["preemptible"] = False  # type: ignore[misc,index]
    lines = told("2", *rows, site=cluster(8, 8), policy="fifo-fit", preemption="reclaim", tenants=FREE)
    assert lines[4].endswith("2 free of the 4 it needs. What other tenants had borrowed was not enough for it.")


def test_by_fair_sharing_the_shares_of_both_are_told() -> None:
    tenants = {
        "tenant": [{"name": "steel", "nominal": 4}, {"name": "bio", "nominal": 4}],
        "nominal": 8,
        "reclaim": "fair",
    }
    rows: list[Row] = [(0, HOUR, 8, of("steel")), (0, HOUR, 8, of("steel")), (600, HOUR, 8, of("bio"))]
    lines = told("0", *rows, site=cluster(8, 8), policy="fifo-fit", preemption="reclaim", tenants=tenants)
    made = next(line for line in lines if "made room" in line)
    assert made.endswith("its tenant steel had the share 0.75, and bio with that job 0.25.")


def test_between_jobs_of_one_tenant_the_level_is_told() -> None:
    rows: list[Row] = [(0, HOUR, 8, of("bio")), (600, HOUR, 8, of("bio", priority=3))]
    lines = told("0", *rows, site=cluster(8), policy="fifo-fit", preemption="priority", tenants=FREE)
    assert "  It made room for job 1: its priority was 0, that of the other 3." in lines


def test_a_job_that_a_quota_could_never_admit_is_rejected_with_the_reason() -> None:
    tenants = {"tenant": [{"name": "steel", "nominal": 4, "borrow": 0}, {"name": "bio", "nominal": 4}]}
    lines = told("0", (0, 10, 8, of("steel")), site=cluster(8), policy="fifo-fit", tenants=tenants)
    assert lines[-1] == "Rejected: asks for more GPUs than its tenant may ever have."


# --- every wait has its reason ------------------------------------------------------------------------------------


def shared_run(seed: int, **options: object) -> tuple[gy.Result, gy.Workload, gy.Cluster]:
    """Return a crowded run of jobs of five tenants, on single nodes."""
    dice = random.Random(seed)
    names = ["a", "b", "b/x", "b/y", "c"]
    rows = [
        (
            dice.randrange(60),
            dice.randrange(1, 40),
            dice.choice([1, 2, 4]),
            of(dice.choice([*names, None]), user=dice.choice(["u", "v", "w"]), priority=dice.randrange(3)),
        )
        for _ in range(40)
    ]
    tenants = {
        "tenant": [
            {"name": name, "nominal": dice.choice([0, 2, 4]), "weight": dice.choice([1.0, 2.0])}
            | dice.choice([{}, {"borrow": dice.choice([2, 4])}])
            | dice.choice([{}, {"lend": 1}])
            for name in names
        ],
        "nominal": 4,
        "limit": [{"each": ["user"], "jobs": 4}],
        "between": dice.choice(["queue", "drf", "fair", "cohorts"]),
    }
    jobs, site = workload(*sorted(rows, key=lambda row: row[0])), cluster(4, 4, 4)
    return gy.simulate(jobs, site, tenants=tenants, **options), jobs, site  # type: ignore[arg-type]


@pytest.mark.parametrize("preemption", ["none", "reclaim", "priority"])
@pytest.mark.parametrize("policy", ["fifo-fit", "fifo", "sjf"])
@pytest.mark.parametrize("seed", range(8))
def test_every_wait_is_covered_by_a_reason_that_held_at_the_jobs_turn(seed: int, policy: str, preemption: str) -> None:
    later = [gy.NodeWindow.commissioned(("2",), 30.0)] if seed % 2 else []
    result, jobs, site = shared_run(seed, policy=policy, preemption=preemption, windows=later)
    evidence = gather(result, workload=jobs, cluster=site, note=lambda _: None)
    waited = 0.0
    for name in evidence.names:
        found = story_of(evidence, name)
        if found.state == "rejected":
            continue
        waits = [stay.waited for stay in found.attempts] if found.attempts else [found.wait or 0.0]
        assert sum(each.seconds for each in found.stretches) == pytest.approx(sum(waits))
        assert not {each.reason for each in found.stretches} & {"placement", "unknown", "closed"}, (name, str(found))
        assert str(found)
        waited += sum(waits)
    assert waited > 0


def test_gpus_are_free_for_nobody_before_they_are_there() -> None:
    jobs = workload((0, 9, 4, of("a")), (1, 9, 4, of("b")), (2, 3, 4, of("a")))
    tenants = {"tenant": [{"name": "a", "nominal": 2}, {"name": "b", "nominal": 6}]}
    later = [gy.NodeWindow.commissioned(("1",), 5.0)]
    site = cluster(4, 4)
    result = gy.simulate(jobs, site, tenants=tenants, policy="fifo-fit", preemption="reclaim", windows=later)
    told = str(gy.explain(result, "2", workload=jobs, cluster=site))
    assert "from 2 s for 8 s: too few GPUs: 0 free of the 4 it needs." in told


@pytest.mark.parametrize("reclaim", ["fair", "cohorts"])
def test_whose_own_share_would_be_larger_is_told_that_nothing_is_taken_back(reclaim: str) -> None:
    """Quotas of 4 each, and 8 of nobody: red borrows 6; blue would borrow 8 with its job, and 3 with another."""
    quotas = {
        "reclaim": reclaim,
        "nominal": 8,
        "tenant": [{"name": "red", "nominal": 4}, {"name": "blue", "nominal": 4}],
    }
    rows: list[Row] = [
        (0, HOUR, 10, of("red")),
        (0, HOUR, 6, of("blue")),
        (60, 10, 6, of("blue")),
    ]
    given: dict[str, Any] = {"site": cluster(16), "policy": "fifo-fit", "preemption": "reclaim", "tenants": quotas}
    (stretch,) = story("2", *rows, **given).stretches
    assert stretch.may_take is False
    assert stretch.rival is not None
    assert (stretch.rival.path, stretch.rival.share) == ("red", 6 / 16)
    assert (stretch.rival.own_path, stretch.rival.own_share) == ("blue", 8 / 16)
    assert told("2", *rows, **given)[4].endswith(
        "too few GPUs: 0 free of the 6 it needs. Nothing is taken back for it: with it blue would have the share 0.5, "
        "and red, which borrows, has 0.375."
    )
    rows[2] = (60, 10, 1, of("blue"))
    assert story("2", *rows, **given).stretches == ()  # with it blue borrows 3, less than red, whose job makes room


def test_shares_are_told_of_the_cohorts_that_are_compared() -> None:
    """Below steel two teams hold all that it may, some of it lent by bio: compared are the teams, not steel and bio."""
    quotas = {
        "reclaim": "cohorts",
        "tenant": [
            {"name": "steel", "nominal": 4},
            {"name": "steel/a"},
            {"name": "steel/b"},
            {"name": "bio", "nominal": 4},
        ],
    }
    rows: list[Row] = [(0, HOUR, 3, of("steel/a")), (0, HOUR, 4, of("steel/b")), (60, 10, 2, of("steel/b"))]
    given: dict[str, Any] = {"site": cluster(8), "policy": "fifo-fit", "preemption": "reclaim", "tenants": quotas}
    (stretch,) = story("2", *rows, **given).stretches
    assert stretch.rival is not None
    assert (stretch.rival.path, stretch.rival.own_path) == ("steel/a", "steel/b")
    assert (stretch.rival.share, stretch.rival.own_share) == (3 / 8, 6 / 8)


def test_nothing_is_said_of_shares_where_nobody_else_borrows() -> None:
    quotas = {"reclaim": "fair", "tenant": [{"name": "red", "nominal": 4}, {"name": "blue", "nominal": 4}]}
    rows: list[Row] = [(0, HOUR, 4, of("red")), (0, HOUR, 4, of("blue")), (60, 10, 2, of("blue"))]
    lines = told("2", *rows, site=cluster(8), policy="fifo-fit", preemption="reclaim", tenants=quotas)
    assert lines[4].endswith("too few GPUs: 0 free of the 2 it needs.")
