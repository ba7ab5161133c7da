"""Priorities inside an owner of cells, worked by hand: the engine and the reference must both tell the same story.

As in HiveD (Zhao et al. 2020), a job of a virtual private cluster makes room for one of a higher priority there, and
nobody outside notices.
"""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from gpuyard.errors import ConfigError
from gpuyard.policy import Policy
from gpuyard.tenancy import Limit
from unit.test_cells_stories import TEST, causes, of, slots, stays

PAIR = cluster(4, 4)
WITHIN = {"within": "priority", "order": "priority"}
LOW, HIGH = of("a", priority=0), of("a", priority=5)


@TEST
def test_a_higher_priority_takes_the_cells_of_a_lower_one_of_its_owner_and_of_no_other(tell):
    jobs = workload((0, 10, 4, LOW), (0, 10, 4, of("b")), (2, 3, 4, HIGH))
    given = (tell, jobs, PAIR, {"a": {"node": 1}, "b": {"node": 1}})
    assert stays(*given, **WITHIN) == [[(0, 2), (5, 13)], [(0, 10)], [(2, 5)]]
    assert causes(*given, **WITHIN) == [[2, None], [None], [None]]
    assert stays(*given, order="priority") == [[(0, 10)], [(0, 10)], [(10, 13)]]


@TEST
@pytest.mark.parametrize("other", [of("a", priority=5), of("a", priority=0, preemptible=False)])
def test_an_equal_priority_and_who_is_not_preemptible_keep_their_cells(tell, other):
    jobs = workload((0, 10, 4, other), (2, 3, 4, HIGH))
    assert stays(tell, jobs, PAIR, {"a": {"node": 1}}, **WITHIN) == [[(0, 10)], [(10, 13)]]


@TEST
def test_what_is_left_of_the_cell_that_was_taken_goes_to_whom_it_is_enough_for(tell):
    jobs = workload((0, 10, 4, LOW), (1, 3, 1, LOW), (2, 9, 1, HIGH))
    given = (tell, jobs, cluster(4), {"a": {"node": 1}})
    assert stays(*given, **WITHIN) == [[(0, 2), (11, 19)], [(2, 5)], [(2, 11)]]
    assert slots(*given, **WITHIN)[1:] == [[(0, 1, 1)], [(0, 1, 0)]]


@TEST
def test_who_started_last_goes_first_and_is_spared_where_that_does_not_help(tell):
    """The third leaves half a node and the second a whole one: then the third may stay."""
    jobs = workload((0, 9, 2, LOW), (1, 9, 4, LOW), (2, 7, 2, LOW), (3, 2, 4, HIGH))
    given = (tell, jobs, PAIR, {"a": {"node": 2}})
    assert stays(*given, **WITHIN) == [[(0, 9)], [(1, 3), (5, 12)], [(2, 9)], [(3, 5)]]
    assert causes(*given, **WITHIN) == [[None], [3, None], [None], [None]]


@TEST
def test_nobody_is_preempted_until_all_who_may_be_are_enough(tell):
    jobs = workload((0, 9, 2, HIGH), (1, 9, 2, LOW), (2, 2, 4, of("a", priority=1)))
    assert stays(tell, jobs, cluster(4), {"a": {"node": 1}}, **WITHIN) == [[(0, 9)], [(1, 9), (11, 12)], [(9, 11)]]


@TEST
def test_who_makes_room_may_go_on_in_lent_cells(tell):
    jobs = workload((0, 10, 4, LOW), (2, 3, 4, HIGH), (4, 3, 4, of("b")))
    given = (tell, jobs, PAIR, {"a": {"node": 1}, "b": {"node": 1}})
    assert stays(*given, beyond="opportunistic", **WITHIN) == [[(0, 2), (2, 4), (5, 11)], [(2, 5)], [(4, 7)]]


@TEST
def test_a_limit_is_asked_before_anybody_is_preempted(tell):
    jobs = workload((0, 10, 4, LOW), (2, 3, 4, HIGH))
    limits = [Limit(jobs=1)]
    assert stays(tell, jobs, PAIR, {"a": {"node": 1}}, limits, **WITHIN) == [[(0, 10)], [(10, 13)]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"order": "fifo"}, "does not go with order fifo: who may take cells is to be tried before"),
        ({"backfill": "easy"}, "does not go with backfill easy: whom a job may take cells from has no end"),
        ({"cells": {"owners": {"a": {"node": 1}}, "within": "all"}}, "unknown cells.within 'all'"),
    ],
)
def test_what_priorities_inside_an_owner_do_not_go_with_is_refused(fields, message):
    cells = {"owners": {"a": {"node": 1}}, "within": "priority"}
    with pytest.raises(ConfigError, match=message):
        Policy(**{"order": "priority", "cells": cells, **fields})


@TEST
def test_who_began_at_this_instant_keeps_its_cells_up_to_the_next(tell):
    """Job 0 ends as it begins, so job 2 comes in a second pass at 0, when job 1 has just begun; at 3 it takes them."""
    both = of("a", priority=5, nodes=2, depends_on=["0"])
    jobs = workload((0, 0, 4, LOW), (0, 10, 4, LOW), (0, 5, 8, both), (3, 1, 4, of("b")))
    given = (tell, jobs, cluster(4, 4, 4), {"a": {"node": 2}, "b": {"node": 1}})
    assert stays(*given, **WITHIN) == [[(0, 0)], [(0, 3), (8, 15)], [(3, 8)], [(3, 4)]]
