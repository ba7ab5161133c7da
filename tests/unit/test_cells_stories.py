"""Cells worked by hand, on tiny workloads: the engine and the reference simulator must both tell the same story.

Rows are (submit_time, runtime, gpus), times in seconds; ``SITE`` is that of HiveD's Figure 3: a rack of four nodes of
eight GPUs, with levels of 1, 2, 4 and 8 GPUs.  Backfill is ``fit`` unless a story says otherwise.
"""

from __future__ import annotations

import numba
import pytest

from conftest import cluster, starts, workload
from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError, EngineError
from gpuyard.kernel import celled
from gpuyard.kernel.codes import NOBODY
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.tenancy import Tenants
from gpuyard.testing import check_policy
from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from oracle.comparing import told
from reference import SECOND, Fate, simulate

TEST = pytest.mark.parametrize("tell", ["engine", "reference"])
SITE = cluster(8, 8, 8, 8, levels=[[0, 0, 0, 0]])
PAIR = cluster(4, 4)
FIGURE_3 = {
    "A": {"gpus-4": 1, "gpus-2": 1, "gpu": 1},
    "B": {"gpus-4": 1, "gpus-2": 1, "gpu": 1},
    "C": {"node": 2, "gpus-2": 1},
}
"""The owners of HiveD's Figure 3: A and B own 7 GPUs each and C 18, all 32 of the rack."""
LENT = {"priority": -1}


def of(tenant: str, **more: object) -> dict[str, object]:
    return {"tenant": tenant, **more}


def fates(
    tell: str, jobs: Workload, site: Cluster, clusters: object, limits: object = (), **more: object
) -> list[Fate]:
    more = {"backfill": "fit", **more}
    cells = {
        "owners": clusters,
        **{name: more.pop(name) for name in ("beyond", "levels", "by", "within") if name in more},
    }
    policy = Policy(cells=cells, **more)
    tenants = Tenants(limits=tuple(limits))
    if tell == "reference":
        return simulate(jobs, site, policy, tenants=tenants)
    return told(schedule(jobs, site, policy, tenants=tenants))


def stays(*given: object, **more: object) -> list[list[tuple[float, float]]]:
    """Return when each job ran, attempt after attempt."""
    return [[(it.start / SECOND, it.end / SECOND) for it in fate.attempts] for fate in fates(*given, **more)]


def slots(*given: object, **more: object) -> list[list[tuple[int, int, int]]]:
    """Return where each job ran last: node, GPUs, lowest GPU."""
    return [fate.slots for fate in fates(*given, **more)]


def causes(*given: object, **more: object) -> list[list[int | None]]:
    return [[it.cause for it in fate.attempts] for fate in fates(*given, **more)]


def reasons(jobs: Workload, site: Cluster, clusters: object, **more: object) -> list[str]:
    record = schedule(jobs, site, Policy(backfill="fit", cells={"owners": clusters, **more}))
    return [record.reject_reasons[number] for number in record.reject_reason]


# --- HiveD's own examples ------------------------------------------------------------------------------------


@TEST
def test_all_cells_of_hiveds_figure_3_are_there_at_once_and_lie_where_the_buddy_rule_puts_them(tell):
    """Zhao et al. 2020, section 3, Figure 3 (who owns what) and Algorithm 1 (the buddy rule)."""
    asked = [("A", 1), ("B", 1), ("C", 2), ("A", 4), ("C", 8), ("B", 2), ("A", 2), ("C", 8), ("B", 4)]
    jobs = workload(*[(0, 10, gpus, of(tenant)) for tenant, gpus in asked])
    assert slots(tell, jobs, SITE, FIGURE_3) == [
        [(0, 1, 0)],  # the rack is split down to a GPU: what is left are a GPU, a pair, a four, three nodes
        [(0, 1, 1)],  # its buddy
        [(0, 2, 2)],
        [(0, 4, 4)],
        [(1, 8, 0)],
        [(2, 2, 0)],  # no pair and no four is left: the next node is split
        [(2, 2, 2)],
        [(3, 8, 0)],
        [(2, 4, 4)],
    ]


@TEST
def test_sixteen_small_jobs_of_one_tenant_leave_the_node_of_the_other_alone(tell):
    """The demonstration of VC safety of microsoft/hivedscheduler: two DGX-2, two owners of one node each."""
    site = cluster(16, 16)
    small = [(0, 100, 1, of("VC1"))] * 16
    jobs = workload(*small, (0, 100, 1, of("VC1")), (1, 5, 16, of("VC2")))
    ran = stays(tell, jobs, site, {"VC1": {"node": 1}, "VC2": {"node": 1}})
    assert ran[:16] == [[(0, 100)]] * 16
    assert ran[16:] == [[(100, 200)], [(1, 6)]], "the 17th waits for its own; the node of VC2 is whole"


@TEST
def test_an_opportunistic_job_uses_more_than_its_owner_has_until_the_owner_comes(tell):
    """The demonstration of preemption between owners of microsoft/hivedscheduler."""
    site = cluster(4, 4, 4)
    jobs = workload((0, 100, 8, of("VC1", **LENT)), (5, 20, 12, of("default")))
    cells = {"default": {"node": 3}}
    assert stays(tell, jobs, site, cells) == [[(0, 5), (25, 120)], [(5, 25)]]
    assert causes(tell, jobs, site, cells) == [[1, None], [None]]


# --- the sharing anomaly -------------------------------------------------------------------------------------

ANOMALY = workload(
    (0, 10, 2, of("a")),
    (0, 1000, 2, of("b")),
    (0, 1000, 1, of("b")),
    (0, 1000, 1, of("b")),
    (10, 50, 4, of("a")),
)
"""Neither tenant ever asks for more than 4 GPUs at once, half of two nodes of 4."""


def test_with_half_of_the_gpus_by_number_a_tenant_waits_although_its_own_half_would_have_run_the_job():
    halves = Tenants(tenants=({"name": "a", "nominal": 4}, {"name": "b", "nominal": 4}))
    record = schedule(ANOMALY, PAIR, Policy(backfill="fit", preemption="reclaim"), tenants=halves)
    assert (record.start // SECOND).tolist() == [0, 0, 0, 0, 1000]
    alone = workload((0, 10, 2), (10, 50, 4))
    assert starts(alone, cluster(4), "fifo-fit") == [0, 10]


@TEST
def test_with_half_of_the_cells_it_does_not_wait(tell):
    halves = {"a": {"node": 1}, "b": {"node": 1}}
    ran = stays(tell, ANOMALY, PAIR, halves)
    assert ran == [[(0, 10)], [(0, 1000)], [(0, 1000)], [(0, 1000)], [(10, 60)]]


# --- buddies, in a owner ---------------------------------------------------------------------------


@TEST
def test_free_buddies_join_again(tell):
    jobs = workload((0, 10, 1, of("a")), (0, 20, 1, of("a")), (1, 5, 4, of("a")))
    assert stays(tell, jobs, cluster(4), {"a": {"node": 1}}) == [[(0, 10)], [(0, 20)], [(20, 25)]]


@TEST
def test_three_gpus_take_a_cell_of_four_and_the_fourth_is_used_by_nobody(tell):
    jobs = workload((0, 10, 3, of("a")), (1, 5, 1, of("a")), (1, 5, 1, LENT))
    assert stays(tell, jobs, cluster(4), {"a": {"node": 1}}) == [[(0, 10)], [(10, 15)], [(10, 15)]]


@TEST
def test_a_cell_of_six_gpus_is_three_pairs(tell):
    jobs = workload(*[(0, 10, 2, of("a"))] * 3, (0, 10, 1, of("a")))
    assert slots(tell, jobs, cluster(6), {"a": {"node": 1}}) == [[(0, 2, 0)], [(0, 2, 2)], [(0, 2, 4)], [(0, 1, 0)]]


@TEST
def test_a_job_of_several_nodes_takes_those_of_the_tightest_rack_of_its_owner(tell):
    site = cluster(*[1] * 6, levels=[[0, 0, 0, 1, 1, 1]])
    jobs = workload((0, 10, 1, of("a")), (0, 5, 2, of("a", nodes=2)), (0, 5, 3, of("a", nodes=3)))
    cells = {"a": {"level-0": 2}}
    assert slots(tell, jobs, site, cells) == [[(0, 1, 0)], [(1, 1, 0), (2, 1, 0)], [(3, 1, 0), (4, 1, 0), (5, 1, 0)]]


@TEST
def test_a_job_of_several_nodes_spans_racks_only_if_it_must(tell):
    site = cluster(*[1] * 4, levels=[[0, 0, 1, 1]])
    jobs = workload((0, 10, 1, of("a")), (0, 5, 3, of("a", nodes=3)))
    assert slots(tell, jobs, site, {"a": {"level-0": 2}}) == [[(0, 1, 0)], [(1, 1, 0), (2, 1, 0), (3, 1, 0)]]


@TEST
def test_nodes_that_an_owner_has_one_by_one_may_lie_in_different_racks(tell):
    site = cluster(*[1] * 4, levels=[[0, 0, 1, 1]])
    jobs = workload((0, 9, 1, of("b")), (0, 5, 2, of("a", nodes=2)))
    assert slots(tell, jobs, site, {"a": {"node": 2}, "b": {"node": 1}}) == [[(0, 1, 0)], [(1, 1, 0), (2, 1, 0)]]


@TEST
def test_a_job_of_a_team_runs_in_the_cells_of_its_organisation(tell):
    jobs = workload((0, 10, 4, of("steel/vision")), (0, 10, 4, of("steel")), (0, 10, 4, of("steelworks")))
    cells = {"steel": {"node": 1}, "other": {"node": 1}}
    assert stays(tell, jobs, PAIR, cells) == [[(0, 10)], [(10, 20)], [(0, 10)]]
    assert slots(tell, jobs, PAIR, cells)[2] == [(1, 4, 0)], "steelworks has no cells: it is opportunistic"


# --- binding, and who leaves ---------------------------------------------------------------------------------


@TEST
def test_a_virtual_cell_is_bound_where_the_fewest_opportunistic_gpus_are(tell):
    jobs = workload((0, 50, 4, LENT), (0, 50, 1, LENT), (1, 10, 4, of("a")))
    assert slots(tell, jobs, PAIR, {"a": {"node": 1}})[2] == [(1, 4, 0)]
    assert causes(tell, jobs, PAIR, {"a": {"node": 1}}) == [[None], [2, None], [None]]


@TEST
def test_of_a_node_that_is_split_the_half_is_bound_where_the_fewest_opportunistic_gpus_are(tell):
    jobs = workload((0, 50, 2, LENT), (1, 10, 2, of("a")))
    assert slots(tell, jobs, cluster(4), {"a": {"gpus-2": 1}})[1] == [(0, 2, 2)]
    assert causes(tell, jobs, cluster(4), {"a": {"gpus-2": 1}}) == [[None], [None]]


@TEST
def test_a_part_of_a_bound_cell_disturbs_only_those_in_that_part(tell):
    jobs = workload((0, 50, 2, LENT), (0, 50, 2, LENT), (1, 10, 1, of("a")), (2, 10, 1, of("a")), (3, 10, 1, of("a")))
    assert causes(tell, jobs, cluster(4), {"a": {"node": 1}}) == [[2, None], [4, None], [None], [None], [None]]


@TEST
def test_who_is_preempted_goes_elsewhere_at_once_if_cells_are_idle(tell):
    jobs = workload((0, 20, 4, LENT), (0, 5, 4, LENT), (5, 10, 4, of("a")))
    site = cluster(4, 4, 4)
    assert stays(tell, jobs, site, {"a": {"node": 3}})[0] == [(0, 20)], "the third node was idle"
    jobs = workload((0, 20, 4, LENT), (0, 20, 2, LENT), (5, 10, 4, of("a")), (5, 3, 4, of("a")))
    assert stays(tell, jobs, site, {"a": {"node": 3}}) == [[(0, 20)], [(0, 5), (8, 23)], [(5, 15)], [(5, 8)]]


@TEST
def test_a_job_without_checkpoints_starts_again_from_nothing(tell):
    jobs = workload((0, 20, 4, LENT), (5, 10, 4, of("a")))
    rule = {"rule": "cells", "checkpoint_interval": "none", "restart_cost": 1}
    assert stays(tell, jobs, cluster(4), {"a": {"node": 1}}, preemption=rule) == [[(0, 5), (15, 36)], [(5, 15)]]


@TEST
def test_nobody_is_preempted_by_an_opportunistic_job_whatever_its_priority(tell):
    jobs = workload((0, 20, 4, {"priority": -5}), (1, 10, 4, LENT))
    assert stays(tell, jobs, cluster(4), {"a": {"node": 1}}, order="priority") == [[(0, 20)], [(20, 30)]]


# --- queues --------------------------------------------------------------------------------------------------


@TEST
def test_without_backfill_each_owner_is_a_queue_of_its_own(tell):
    jobs = workload(
        (0, 10, 2, of("a")),
        (1, 10, 4, of("a")),
        (2, 1, 1, of("a")),
        (3, 5, 4, of("b")),
        (4, 1, 4, LENT),
        (4, 1, 1, LENT),
    )
    cells = {"a": {"node": 1}, "b": {"node": 1}}
    ran = stays(tell, jobs, PAIR, cells, backfill="none")
    assert ran == [[(0, 10)], [(10, 20)], [(20, 21)], [(3, 8)], [(8, 9)], [(8, 9)]]
    assert [stays(tell, jobs, PAIR, cells)[row] for row in (2, 5)] == [[(2, 3)], [(4, 5)]], "fit lets them pass"


@TEST
def test_without_backfill_nobody_passes_whether_he_may_go_beyond_the_cells_or_not(tell):
    jobs = workload((0, 10, 2, of("a")), (1, 10, 4, of("a")), (2, 1, 1, of("a", preemptible=False)))
    terms = {"backfill": "none", "beyond": "opportunistic"}
    assert stays(tell, jobs, cluster(4), {"a": {"node": 1}}, **terms) == [[(0, 10)], [(10, 20)], [(20, 21)]]


@TEST
def test_the_queue_of_an_owner_is_sorted_by_score_in_every_pass(tell):
    """WFP3 at 10 s: (9/10)^3 x 4 = 2.9 for job 1, (5/1)^3 x 4 = 500 for job 2, which came later."""
    jobs = workload((0, 10, 4, of("a")), (1, 10, 4, of("a")), (5, 1, 4, of("a")))
    cells = {"a": {"node": 1}}
    assert stays(tell, jobs, PAIR, cells, order="wfp") == [[(0, 10)], [(11, 21)], [(10, 11)]]
    assert stays(tell, jobs, PAIR, cells, order="unicef") == [[(0, 10)], [(11, 21)], [(10, 11)]], "0.45 and 2.5"


@TEST
def test_a_pass_for_another_owner_finds_another_job_first_where_scores_change_with_time(tell):
    """At 20 s job 1 is first (4 to 0) and too large; b's job brings about a pass in which it is 32 to 2000."""
    jobs = workload((0, 50, 2, of("a")), (10, 10, 4, of("a")), (20, 1, 2, of("a")))
    cells, order = {"a": {"node": 1}, "b": {"node": 1}}, {"order": "wfp", "backfill": "none"}
    assert stays(tell, jobs, PAIR, cells, **order) == [[(0, 50)], [(51, 61)], [(50, 51)]], "at 50 s 30^3 x 2 to 256"
    jobs = workload((0, 50, 2, of("a")), (10, 10, 4, of("a")), (20, 1, 2, of("a")), (30, 1, 1, of("b")))
    assert stays(tell, jobs, PAIR, cells, **order) == [[(0, 50)], [(50, 60)], [(30, 31)], [(30, 31)]]


@TEST
def test_lent_cells_go_by_score_as_well_and_who_is_preempted_has_the_score_of_that_instant(tell):
    """At 5 s job 0 leaves b's node: (5/20)^3 x 4 = 0.06, and job 1, of 1 s, has waited 3: 3^3 x 4 = 108."""
    jobs = workload((0, 20, 4, LENT), (2, 1, 4, LENT), (5, 3, 4, of("b")))
    site, cells = cluster(4), {"b": {"node": 1}}
    assert stays(tell, jobs, site, cells, order="wfp") == [[(0, 5), (9, 24)], [(8, 9)], [(5, 8)]]
    assert stays(tell, jobs, site, cells) == [[(0, 5), (8, 23)], [(23, 24)], [(5, 8)]]


# --- easy: a head for each queue -----------------------------------------------------------------------------


HEADED = workload(
    (0, 10, 2, of("a")),
    (0, 4, 1, of("a")),
    (1, 10, 4, of("a")),  # the head: cells of 4 are free at 10 s
    (1, 6, 1, of("a")),  # short: it ends at 7 s
    (1, 10, 1, of("a")),  # it would be in the way until 11 s
    (2, 90, 4, of("b")),
)


@TEST
def test_behind_the_head_of_an_owner_only_those_start_that_are_gone_by_its_time(tell):
    cells = {"a": {"node": 1}, "b": {"node": 1}}
    ran = stays(tell, HEADED, PAIR, cells, backfill="easy")
    assert ran == [[(0, 10)], [(0, 4)], [(10, 20)], [(1, 7)], [(20, 30)], [(2, 92)]]
    assert stays(tell, HEADED, PAIR, cells)[2:5] == [[(14, 24)], [(1, 7)], [(4, 14)]], "fit lets all pass"
    assert stays(tell, HEADED, PAIR, cells, backfill="none")[3] == [(20, 26)], "none lets nobody pass"


@TEST
def test_a_long_job_starts_behind_the_head_where_it_leaves_it_enough_cells(tell):
    """Of a's two nodes one is free of job 0 from 10 s on: the head needs one of 4, so a pair elsewhere may stay."""
    jobs = workload(
        (0, 10, 4, of("a")), (0, 50, 2, of("a")), (1, 10, 4, of("a")), (1, 40, 2, of("a")), (2, 40, 1, of("a"))
    )
    ran = stays(tell, jobs, PAIR, {"a": {"node": 2}}, backfill="easy")
    assert ran == [[(0, 10)], [(0, 50)], [(10, 20)], [(1, 41)], [(20, 60)]]


@TEST
def test_cells_and_not_gpus_decide_whether_enough_is_left(tell):
    """With job 5 on the second node 5 GPUs were free at 10 s, 2 and 3, and no cell of 4."""
    jobs = workload(
        (0, 10, 2, of("a")),
        (0, 60, 2, of("a")),
        (0, 10, 2, of("a")),
        (0, 10, 1, of("a")),
        (1, 9, 4, of("a")),
        (1, 30, 1, of("a")),
    )
    ran = stays(tell, jobs, PAIR, {"a": {"node": 2}}, backfill="easy")
    assert ran[4:] == [[(10, 19)], [(10, 40)]]


@TEST
def test_the_queue_for_lent_cells_has_a_head_as_well_which_is_promised_nothing_against_owners(tell):
    """Job 1 is promised both nodes at 10 s, so job 2, which ends then, may start; then a takes one until 25 s."""
    jobs = workload((0, 10, 4, LENT), (1, 10, 8, LENT), (1, 9, 4, LENT), (1, 10, 4, LENT), (5, 20, 4, of("a")))
    ran = stays(tell, jobs, PAIR, {"a": {"node": 1}}, backfill="easy")
    assert ran == [[(0, 5), (10, 15)], [(25, 35)], [(1, 10)], [(15, 25)], [(5, 25)]]


ANN = {"user": "ann"}
PER_USER = {"each": ["user"], "jobs": 1}


@TEST
def test_a_limit_holds_for_own_and_lent_cells_alike(tell):
    """Ann may run one job, whoever's cells it is in; bob's starts beside it."""
    jobs = workload(
        (0, 10, 1, of("a", **ANN)),
        (1, 5, 1, of("b", **ANN)),
        (2, 5, 1, {**LENT, **ANN}),
        (3, 5, 1, of("a", user="bob")),
    )
    cells = {"a": {"node": 1}, "b": {"node": 1}}
    assert stays(tell, jobs, PAIR, cells, limits=[PER_USER]) == [[(0, 10)], [(10, 15)], [(15, 20)], [(3, 8)]]
    assert [ran[0][0] for ran in stays(tell, jobs, PAIR, cells)] == [0, 1, 2, 3]


@TEST
def test_without_backfill_a_limit_stops_the_queue_of_its_owner_and_no_other(tell):
    jobs = workload(
        (0, 10, 1, of("a", **ANN)), (1, 5, 1, of("a", **ANN)), (2, 5, 1, of("a", user="bob")), (3, 5, 1, of("b"))
    )
    cells = {"a": {"node": 1}, "b": {"node": 1}}
    ran = stays(tell, jobs, PAIR, cells, backfill="none", limits=[PER_USER])
    assert ran == [[(0, 10)], [(10, 15)], [(10, 15)], [(3, 8)]]
    assert stays(tell, jobs, PAIR, cells, limits=[PER_USER])[2] == [(2, 7)], "fit lets bob pass"


@TEST
def test_who_was_preempted_counts_no_longer_for_a_limit_in_the_same_pass(tell):
    """At 5 s b takes its node back from ann's opportunistic job, and then a's job of ann is admitted."""
    jobs = workload((0, 20, 8, {**LENT, **ANN}), (5, 10, 4, of("b")), (5, 10, 4, of("a", **ANN)))
    ran = stays(tell, jobs, PAIR, {"a": {"node": 1}, "b": {"node": 1}}, limits=[PER_USER])
    assert ran == [[(0, 5), (15, 30)], [(5, 15)], [(5, 15)]]


@TEST
def test_nobody_is_preempted_for_the_sake_of_a_limit(tell):
    jobs = workload((0, 20, 4, {**LENT, **ANN}), (5, 10, 4, of("a", **ANN)))
    ran = stays(tell, jobs, PAIR, {"a": {"node": 1}}, limits=[PER_USER])
    assert ran == [[(0, 20)], [(20, 30)]]


@TEST
def test_beyond_its_cells_an_owner_may_use_idle_ones(tell):
    jobs = workload((0, 10, 4, of("a")), (0, 10, 4, of("a")), (4, 3, 4, of("b")))
    cells = {"a": {"node": 1}, "b": {"node": 1}}
    assert stays(tell, jobs, PAIR, cells) == [[(0, 10)], [(10, 20)], [(4, 7)]]
    beyond = stays(tell, jobs, PAIR, cells, beyond="opportunistic")
    assert beyond == [[(0, 10)], [(0, 4), (7, 13)], [(4, 7)]]


@TEST
def test_beyond_its_cells_a_job_that_is_not_preemptible_waits(tell):
    jobs = workload((0, 10, 4, of("a")), (0, 10, 4, of("a", preemptible=False)))
    assert stays(tell, jobs, PAIR, {"a": {"node": 1}}, beyond="opportunistic")[1] == [(10, 20)]


def test_a_job_beyond_its_cells_that_is_preempted_finds_its_own_in_the_same_pass():
    """Job 2 runs in a lent cell; when b takes that back, the cell of a has just become free."""
    jobs = workload((0, 5, 2, of("a")), (0, 100, 2, LENT), (0, 20, 1, of("a")), (5, 9, 4, of("b")))
    policy = Policy(backfill="fit", cells={"owners": {"a": {"gpus-2": 1}, "b": {"node": 1}}, "beyond": "opportunistic"})
    record = schedule(jobs, PAIR, policy)
    mine = record.attempt_job == 2
    assert (record.attempt_start[mine] // SECOND).tolist() == [0, 5]
    assert record.attempt_cause[mine].tolist() == [3, -1]
    assert record.attempt_guest[mine].tolist() == [True, False]


@TEST
def test_a_job_that_makes_room_for_one_behind_it_in_its_own_lane_starts_once(tell):
    """Job 3 goes beyond a's cells; b takes those that got free, so that 9 sends 3 away, which takes a cell from 4."""
    jobs = workload(
        *[(0, 5, 4, of("a"))] * 3,
        (0, 20, 4, of("a")),
        *[(0, 20, 4, LENT)] * 2,
        *[(5, 9, 4, of("b"))] * 3,
        (5, 9, 4, of("a")),
    )
    cells = {"a": {"node": 3}, "b": {"node": 3}}
    ran = stays(tell, jobs, cluster(*[4] * 6), cells, beyond="opportunistic")
    assert ran[3:6] == [[(0, 5), (5, 20)], [(0, 5), (14, 29)], [(0, 20)]]
    assert ran[9] == [(5, 14)]


# --- what is rejected, what is refused -----------------------------------------------------------------------


def test_what_cells_are_not_for_is_rejected_with_the_reason():
    site = cluster(4, 4, cpus=[8, 8])
    jobs = workload(
        (0, 1, 0, of("a", cpus=1)),
        (0, 1, 1, of("a", gpu_milli=500)),
        (0, 1, 1, of("a", spread=True)),
        (0, 1, 1, of("a", exclusive=True)),
        (0, 1, 1, of("a", cpus=3)),
        (0, 1, 8, of("a")),
        (0, 1, 1, {"preemptible": False}),
        (0, 1, 4, of("a", cpus=8)),
    )
    assert reasons(jobs, site, {"a": {"node": 1}}) == [
        "asks for no GPU, and so for no cell",
        "asks for a fraction of a GPU, and cells are of whole ones",
        "asks for GPUs from anywhere, and cells are not",
        "asks for nodes to itself, which cells do not know; ask for whole nodes",
        "asks for more CPUs for a GPU than a cell has for each",
        "asks for more than its owner owns",
        "is opportunistic and not preemptible",
        "",
    ]


def test_four_gpus_of_small_cells_are_no_cell_of_four():
    jobs = workload((0, 1, 4, of("a")))
    assert reasons(jobs, PAIR, {"a": {"gpus-2": 2}}) == ["asks for more than its owner owns"]
    assert reasons(jobs, PAIR, {"a": {"gpus-2": 2}}, beyond="opportunistic") == [""]


@pytest.mark.parametrize(
    ("site", "cells", "message"),
    [
        (cluster(4, 8), {"a": {"node": 1}}, "nodes of 4, 8 GPUs"),
        (cluster(("x", 4), ("y", 4)), {"a": {"node": 1}}, "types x, y"),
        (PAIR, {"a": {"node": 3}}, "own 3 cells of level node, and 'test' has 2"),
        (PAIR, {"a": {"node": 1}, "b": {"gpus-2": 2, "gpu": 1}}, "own 1 cells of level gpu, and 'test' has 0"),
        (PAIR, {"a": {"rack": 1}}, "unknown level of cells in 'cells.owners.a' 'rack'"),
        (
            cluster(1, 1, 1, levels=[[0, 0, 1]]),
            {"a": {"node": 1}},
            "level-0s of 'test' hold 1 to 2 cells of level node",
        ),
    ],
)
def test_what_cannot_be_handed_out_is_refused_with_a_remedy(site, cells, message):
    with pytest.raises(ConfigError, match=message):
        schedule(workload((0, 1, 1, of("a"))), site, Policy(cells={"owners": cells}))


def test_cells_do_not_go_with_quotas_or_windows():
    policy, jobs = Policy(cells={"owners": {"a": {"node": 1}}}), workload((0, 1, 1, of("a")))
    with pytest.raises(ConfigError, match=r"quotas of tenants do not go with cells.*leave out 'nominal'"):
        schedule(jobs, PAIR, policy, tenants=Tenants(tenants=({"name": "a", "nominal": 4},)))
    with pytest.raises(ConfigError, match=r"between drf of tenants do not go with cells.*leave out 'between'"):
        schedule(jobs, PAIR, policy, tenants=Tenants(limits=({"jobs": 1},), between="drf"))
    with pytest.raises(ConfigError, match="do not go with cells"):
        schedule(jobs, PAIR, policy, windows=[NodeWindow(start=0, end=1, nodes=(0,))])


def test_cells_are_not_checked_on_sites_that_have_not_got_them():
    with pytest.raises(ConfigError, match="leave 'cells' out"):
        check_policy(Policy(cells={"owners": {"a": {"node": 1}}}))


def test_an_uneven_level_can_be_left_out():
    site = cluster(1, 1, 1, levels=[[0, 0, 1]])
    assert stays("engine", workload((0, 1, 1, of("a"))), site, {"a": {"node": 1}}, levels=[]) == [[(0, 1)]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"placement": "packed"}, "leave 'placement' out"),
        ({"spread": True}, "leave 'spread' out"),
        ({"backfill": "easy", "reservation": "counts"}, "leave 'reservation' out"),
        ({"backfill": "slurm"}, "does not go with backfill slurm, whose plan counts GPUs, and GPUs need not be cells"),
        ({"preemption": "priority"}, "leave out preemption = priority"),
        ({"preemption": {"rule": "cells", "min_run": 5}}, "leave 'min_run' out"),
        ({"cells": {"owners": {"a": {"node": -1}}}}, "'cells.owners.a.node' must be a whole number"),
        ({"cells": {"owners": {"a": 1}}}, "'cells.owners.a' is a table"),
        ({"cells": {"owners": {"a": {"node": 1}}, "by": "user"}}, "unknown cells.by 'user'"),
        ({"cells": {"owner": {}}}, "unknown key of cells 'owner'"),
        ({"cells": {"by": "tenant"}}, "'cells' without 'owners'"),
        ({"cells": {}, "preemption": "cells"}, "needs cells to be owned"),
    ],
)
def test_what_cells_do_not_go_with_is_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        Policy(**{"cells": {"owners": {"a": {"node": 1}}}, **fields})


def test_a_policy_with_cells_says_what_it_is():
    policy = Policy(backfill="fit", cells={"owners": {"a": {"node": 1, "gpu": 0}}})
    assert policy.name == "fifo-fit+cells"
    assert policy.to_mapping()["cells"] == {"by": "tenant", "beyond": "wait", "owners": {"a": {"node": 1}}}
    assert Policy(**policy.to_mapping()) == policy


@pytest.mark.skipif(not numba.config.DISABLE_JIT, reason="a compiled function cannot be replaced")
@pytest.mark.parametrize("until", [None, 1.0])
def test_an_engine_that_would_break_the_guarantee_stops_with_an_error(until, monkeypatch) -> None:
    monkeypatch.setattr(celled, "bind", lambda *_: NOBODY)
    policy = Policy(backfill="fit", cells={"owners": {"a": {"node": 1}}})
    with pytest.raises(EngineError, match="no cell for one that its owner had free"):
        schedule(workload((0, 10, 4, of("a"))), PAIR, policy, until=until)
