"""The story of a job where the cluster is handed out in cells."""

from __future__ import annotations

from conftest import Row, cluster
from explained import story, told
from gpuyard.tenancy import Tenants

NOTE = "Note: Among which nodes the placement chose is not told of runs that preempt."
FEW = "too few cells for the 1 that it needs: 0 of level node"
JOBS: tuple[Row, ...] = (
    (0, 100, 4, {"priority": -1}),
    (0, 100, 2, {"tenant": "steel"}),
    (20, 10, 4, {"tenant": "steel/vision"}),
)
CELLS = {"owners": {"steel": {"node": 1}, "battery": {"gpus-2": 1}}}
OPTIONS = {"policy": "fifo-fit", "cells": CELLS, "site": cluster(4, 4)}


def test_a_story_says_which_cells_a_job_asked_for_and_who_held_those_of_its_owner() -> None:
    assert told("2", *JOBS, **OPTIONS) == [
        "Job 2 asked for 4 GPUs; expected to run 10 s. Policy: fifo-fit+cells.",
        "Submitted at 20 s.",
        "Eligible at 20 s, at once.",
        "It asked for 1 cell of level node of steel, which owns 1 node.",
        "It waited 1m 20s (80 s), while cells of steel were held by 1:",
        f"  from 20 s for 1m 20s (80 s): {FEW} of steel free, and 2 GPUs in all.",
        "Attempt 1: from 1m 40s (100 s) for 10 s on n0 (4 GPUs).",
        "Ended at 1m 50s (110 s): completed.",
        "In 1 attempt it held its GPUs for 10 s, of which 10 s were useful.",
        NOTE,
    ]


def test_a_story_says_that_cells_were_lent_and_for_whom_they_were_taken_back() -> None:
    jobs = (*JOBS[:2], (20, 10, 2, {"tenant": "battery"}))
    lines = told("0", *jobs, **{**OPTIONS, "site": cluster(4, 4)})
    assert lines[3:9] == [
        "It asked for 1 cell of level node, only ever lent ones: it was opportunistic.",
        "It did not wait.",
        "Attempt 1: from 0 s for 20 s on n1 (4 GPUs), in cells that were lent to it.",
        "  It made room for job 2: its cells were lent, and the other's owner needed them.",
        "It waited 10 s:",
        f"  from 20 s for 10 s: {FEW} idle on the site, and 4 GPUs in all.",
    ]


def test_a_story_as_plain_tables_has_the_cells() -> None:
    mapping = story("2", *JOBS, **OPTIONS).to_mapping()
    assert mapping["cells"] == {
        "owner": "steel",
        "owns": {"node": 1},
        "guaranteed": True,
        "level": "node",
        "count": 1,
        "takes": False,
    }
    assert mapping["attempts"][0]["held_by"] == ("1",)
    assert mapping["attempts"][0]["lent"] is False


STRICT: tuple[Row, ...] = (
    (0, 50, 2, {"tenant": "steel"}),
    (10, 10, 4, {"tenant": "steel"}),
    (20, 10, 2, {"tenant": "steel"}),
    (20, 10, 2, {"tenant": "battery"}),
)
"""On two nodes of 4, of which steel owns one and battery half of one."""


def test_in_the_strict_queue_of_its_owner_a_job_waits_for_the_first_though_it_would_fit() -> None:
    options = {**OPTIONS, "policy": "fifo"}
    first, *more = story("2", *STRICT, **options).stretches
    assert (first.start, first.end, first.reason, first.fits) == (20, 50, "order", True)
    assert first.blocker is not None
    assert (first.blocker.job_id, first.blocker.reason) == ("1", "cells")
    assert [(each.start, each.end, each.reason) for each in more] == [(50, 60, "cells")]
    assert story("3", *STRICT, **options).stretches == ()


def test_where_the_order_is_a_score_a_job_waits_for_who_was_first_then() -> None:
    """At 20 s job 1 is first by WFP3, and too large; at 30 s, when battery's job comes, job 2 is, and starts."""
    jobs: tuple[Row, ...] = (STRICT[0], STRICT[1], (20, 1, 2, {"tenant": "steel"}), (30, 1, 1, {"tenant": "battery"}))
    (wait,) = story("2", *jobs, **{**OPTIONS, "policy": "wfp"}).stretches
    assert (wait.start, wait.end, wait.reason, wait.fits) == (20, 30, "order", True)
    assert wait.blocker is not None
    assert wait.blocker.job_id == "1"
    own = story("1", *jobs, **{**OPTIONS, "policy": "wfp"}).stretches
    assert [(each.start, each.end, each.reason) for each in own] == [(10, 50, "cells")]


def test_a_limit_that_holds_a_job_back_is_told_and_so_is_that_of_the_job_before_it() -> None:
    most = Tenants(limits=({"each": ["user"], "jobs": 1},))
    ann, bob = {"tenant": "steel", "user": "ann"}, {"tenant": "steel", "user": "bob"}
    jobs: tuple[Row, ...] = ((0, 50, 2, ann), (10, 10, 1, ann), (20, 10, 1, bob))
    options = {**OPTIONS, "policy": "fifo", "tenants": most}
    assert told("1", *jobs, **options)[4:6] == [
        "It waited 40 s, while cells of steel were held by 0:",
        "  from 10 s for 40 s: limit: of jobs with user ann, at most 1 may run, and 1 did.",
    ]
    (wait,) = story("2", *jobs, **options).stretches
    assert (wait.start, wait.end, wait.reason, wait.fits) == (20, 50, "order", True)
    assert wait.blocker is not None
    assert (wait.blocker.job_id, wait.blocker.reason) == ("1", "limit")


def test_under_easy_a_job_is_told_of_the_head_of_its_queue_whose_cells_it_would_need() -> None:
    jobs: tuple[Row, ...] = (*STRICT[:2], (20, 60, 2, {"tenant": "steel"}), (20, 10, 2, {"tenant": "steel"}))
    options = {**OPTIONS, "policy": "easy"}
    (wait, *more) = story("2", *jobs, **options).stretches
    assert (wait.start, wait.reason, wait.fits) == (20, "reservation", True)
    assert wait.blocker is not None
    assert (wait.blocker.job_id, wait.blocker.reason) == ("1", "cells")
    assert (more[-1].end, more[-1].reason) == (60, "cells")
    assert story("3", *jobs, **options).stretches == (), "it is short"


def test_a_job_that_may_run_in_lent_cells_is_told_of_both() -> None:
    cells = {**CELLS, "beyond": "opportunistic"}
    jobs: tuple[Row, ...] = ((0, 30, 4, {"tenant": "steel"}), (0, 20, 1, {}), (5, 5, 4, {"tenant": "steel"}))
    lines = told("2", *jobs, **{**OPTIONS, "cells": cells})
    assert lines[5] == (
        f"  from 5 s for 15 s: {FEW} of steel free, and 0 GPUs in all; "
        "0 of level node idle on the site, and 3 GPUs in all."
    )
    assert lines[6].startswith("Attempt 1: from 20 s for 5 s on n1 (4 GPUs), in cells that were lent to it")


def test_what_is_lent_goes_by_a_queue_of_its_own() -> None:
    """Job 0 is nobody's and first for lent cells, of which one is idle; job 1 would fit."""
    jobs: tuple[Row, ...] = ((0, 20, 4, {"tenant": "steel"}), (1, 10, 8, {}), (2, 10, 4, {}))
    behind = story("2", *jobs, **{**OPTIONS, "policy": "fifo"}).stretches
    assert [
        (each.start, each.end, each.reason, each.blocker and each.blocker.job_id, each.fits) for each in behind
    ] == [
        (2, 20, "order", "1", True),
        (20, 30, "cells", None, False),
    ]


def test_who_began_in_lent_cells_was_first_in_the_queue_of_its_owner_until_then() -> None:
    """Job 2 finds too few cells of steel, holds up job 3 there, and begins in lent cells later in the same pass."""
    cells = {"owners": {"steel": {"node": 1}}, "beyond": "opportunistic"}
    jobs: tuple[Row, ...] = (
        (0, 50, 2, {"tenant": "steel"}),
        (0, 30, 2, {}),
        (0, 10, 4, {"tenant": "steel"}),
        (0, 10, 2, {"tenant": "steel"}),
    )
    options = {**OPTIONS, "policy": "fifo", "cells": cells}
    (wait,) = story("3", *jobs, **options).stretches
    assert (wait.start, wait.end, wait.reason, wait.fits) == (0, 10, "order", True)
    assert wait.blocker is not None
    assert (wait.blocker.job_id, wait.blocker.gpus) == ("2", 4)
    (attempt,) = story("2", *jobs, **options).attempts
    assert (attempt.start, attempt.lent) == (0, True)


def test_who_ran_when_the_simulation_began_may_be_more_than_a_limit_admits() -> None:
    """Job 1 runs in the cell of steel and job 2 in a lent one; where it may not be lent one, it counts for no limit."""
    running = {"tenant": "steel", "start_time": 0}
    jobs: tuple[Row, ...] = ((0, 1, 1, {}), (0, 2, 1, running), (0, 3, 1, running))
    most = Tenants(limits=({"jobs": 1},))
    options = {**OPTIONS, "policy": "fifo", "cells": {"owners": {"steel": {"gpu": 1}}}, "tenants": most, "begin": 1}
    assert told("0", *jobs, **options)[4:7] == [
        "It waited 3 s:",
        "  from 0 s for 1 s: it was ready before the simulation begins.",
        "  from 1 s for 2 s: limit: of all jobs, at most 1 may run, and 1 to 2 did.",
    ]
    jobs = (*jobs[:2], (0, 3, 1, {**running, "preemptible": False}))
    assert told("0", *jobs, **options)[4:7] == [
        "It waited 2 s:",
        "  from 0 s for 1 s: it was ready before the simulation begins.",
        "  from 1 s for 1 s: limit: of all jobs, at most 1 may run, and 1 did.",
    ]
    assert told("2", *jobs, **options)[5] == "Attempt 1: from 0 s for 3 s, without room, so that it held nothing."
