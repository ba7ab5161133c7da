"""The story of a job where the cluster is handed out in cells."""

from __future__ import annotations

from conftest import Row, cluster
from explained import story, told

NOTE = (
    "Note: Jobs preempt each other in this run: why a job waited, and among which nodes its placement chose, is not "
    "told then."
)
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
        "It waited 1m 20s (80 s), while cells of steel were held by 1.",
        "Attempt 1: from 1m 40s (100 s) for 10 s on n0 (4 GPUs).",
        "Ended at 1m 50s (110 s): completed.",
        "In 1 attempt it held its GPUs for 10 s, of which 10 s were useful.",
        NOTE,
    ]


def test_a_story_says_that_cells_were_lent_and_for_whom_they_were_taken_back() -> None:
    jobs = (*JOBS[:2], (20, 10, 2, {"tenant": "battery"}))
    lines = told("0", *jobs, **{**OPTIONS, "site": cluster(4, 4)})
    assert lines[3:8] == [
        "It asked for 1 cell of level node, only ever lent ones: it was opportunistic.",
        "It did not wait.",
        "Attempt 1: from 0 s for 20 s on n1 (4 GPUs), in cells that were lent to it.",
        "  It made room for job 2: its cells were lent, and the other's owner needed them.",
        "It waited 10 s.",
    ]


def test_a_story_as_plain_tables_has_the_cells() -> None:
    mapping = story("2", *JOBS, **OPTIONS).to_mapping()
    assert mapping["cells"] == {
        "owner": "steel",
        "owns": {"node": 1},
        "guaranteed": True,
        "level": "node",
        "count": 1,
    }
    assert mapping["attempts"][0]["held_by"] == ("1",)
    assert mapping["attempts"][0]["lent"] is False
