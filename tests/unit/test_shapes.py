"""On which GPU type a job runs and in how many chunks, worked by hand: engine and reference must tell the same story.

Rows are (submit_time, runtime, gpus), times in seconds.  A tray is a node of 4 GPUs in a rack that is an NVLink domain.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from conftest import cluster, workload
from explained import told
from gpuyard.cluster import Cluster
from gpuyard.policy import OWN_PLACEMENTS, Policy
from gpuyard.simulation import schedule
from gpuyard.tenancy import Tenant, Tenants
from gpuyard.windows import NodeWindow
from gpuyard.workload import MICROSECOND, Workload
from oracle.comparing import EXAMPLES, slots_by_attempt
from oracle.test_shapes import job_tables
from reference import PLACEMENTS, simulate
from strategies import tray_sites

TEST = pytest.mark.parametrize("tell", ["engine", "reference"])
CHOSEN = settings(
    max_examples=3 * EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
Placed = list[tuple[float, list[tuple[int, int]]] | None]


def placed(tell: str, jobs: Workload, site: Cluster, *, policy: Policy | None = None, **more: object) -> Placed:
    """Return the start of each job in seconds with its (node, GPUs); ``None`` where it never starts."""
    chosen = policy or Policy(placement="packed", backfill="fit")
    if tell == "reference":
        fates = simulate(jobs, site, chosen, **more)
        found = [(fate.start, fate.slots) for fate in fates]
    else:
        record = schedule(jobs, site, chosen, **more)
        last = dict(zip(record.attempt_job.tolist(), slots_by_attempt(record), strict=True))
        found = [(int(tick) if row in last else None, last.get(row, [])) for row, tick in enumerate(record.start)]
    return [
        None if tick is None else (tick / MICROSECOND, [(node, gpus) for node, gpus, _ in slots])
        for tick, slots in found
    ]


def trays(*, joined: bool = True, hgx: str = "H100", blade: str = "GB200", count: int = 2) -> Cluster:
    """One node of 8 GPUs, n0, then a rack of trays."""
    rack = [0] + [1] * count
    names = ["nvlink"] if joined else []
    return cluster((hgx, 8), *[(blade, 4)] * count, levels=[rack] if joined else [], level_names=names)


# --- the shape depends on the type -------------------------------------------------------------------------------


@TEST
def test_a_job_that_fits_one_node_runs_there_while_there_is_room(tell):
    assert placed(tell, workload((0, 9, 8)), trays()) == [(0, [(0, 8)])]


@TEST
@pytest.mark.parametrize("placement", ["first-fit", "best-fit", "worst-fit", "packed", "topology-tree", "rail-aligned"])
def test_where_no_such_node_has_room_it_is_cut_over_the_trays_of_an_nvlink_domain(tell, placement):
    jobs = workload((0, 9, 8), (1, 9, 8), (2, 9, 8))
    policy = Policy(placement=placement, backfill="fit")
    assert placed(tell, jobs, trays(), policy=policy) == [(0, [(0, 8)]), (1, [(1, 4), (2, 4)]), (9, [(0, 8)])]


@TEST
def test_without_nvlink_domains_it_waits_for_a_node(tell):
    jobs = workload((0, 9, 8), (1, 9, 8))
    assert placed(tell, jobs, trays(joined=False)) == [(0, [(0, 8)]), (9, [(0, 8)])]


@TEST
def test_a_domain_that_has_fewer_gpus_than_the_job_does_not_count(tell):
    """Two racks of two trays of 3 GPUs: 12 in all, but 6 in each domain."""
    site = cluster(("a", 8), *[("b", 3)] * 4, levels=[[0, 1, 1, 2, 2]], level_names=["nvlink"])
    jobs = workload((0, 9, 8), (1, 9, 6), (2, 9, 8))
    assert placed(tell, jobs, site) == [(0, [(0, 8)]), (1, [(1, 3), (2, 3)]), (9, [(0, 8)])]


@TEST
def test_only_gpus_of_the_type_count_in_a_domain(tell):
    """The domain has 8 GPUs, 4 of each type."""
    site = cluster(("a", 8), ("b", 4), ("c", 4), levels=[[0, 1, 1]], level_names=["nvlink"])
    assert placed(tell, workload((0, 9, 8), (1, 9, 8)), site)[1] == (9, [(0, 8)])


@TEST
def test_the_domain_decides_whether_it_is_cut_and_not_where_its_chunks_lie(tell):
    """One tray of each rack is taken: first-fit puts the chunks on the others, packed cannot do better either."""
    site = cluster(("a", 8), *[("b", 4)] * 4, levels=[[0, 1, 1, 2, 2]], level_names=["nvlink"])
    tray = {"gpu_type": "b"}
    jobs = workload((0, 9, 8), (0, 9, 4, tray), (0, 2, 4, tray), (0, 9, 4, tray), (3, 9, 8))
    assert placed(tell, jobs, site)[4] == (3, [(2, 4), (4, 4)])


@TEST
def test_who_wants_one_node_says_so(tell):
    jobs = workload((0, 9, 8), (1, 9, 8, {"nodes": 1}))
    assert placed(tell, jobs, trays())[1] == (9, [(0, 8)])


@TEST
def test_a_job_that_accepts_trays_alone_is_cut_with_or_without_domains(tell):
    jobs = workload((0, 9, 8, {"gpu_type": "GB200"}))
    assert placed(tell, jobs, trays(joined=False)) == [(0, [(1, 4), (2, 4)])]


@TEST
def test_a_remainder_is_a_chunk_of_its_own(tell):
    jobs = workload((0, 9, 8), (1, 9, 6))
    assert placed(tell, jobs, trays())[1] == (1, [(1, 4), (2, 2)])


@TEST
def test_an_exclusive_job_that_is_cut_has_its_trays_to_itself(tell):
    jobs = workload((0, 9, 8), (1, 9, 6, {"exclusive": True}), (2, 1, 1))
    assert placed(tell, jobs, trays(), policy=Policy(placement="best-fit", backfill="fit"))[1:] == [
        (1, [(1, 4), (2, 4)]),
        (9, [(0, 1)]),
    ]


# --- the order of types ------------------------------------------------------------------------------------------


HALLS = cluster(("b", 4), ("b", 4), ("a", 4), ("a", 4), ("a", 4), levels=[[0, 0, 1, 1, 1]])


@TEST
def test_the_type_with_most_free_gpus_comes_first(tell):
    """12 of type a are free and 8 of b; then 4 of a and 8 of b."""
    assert placed(tell, workload((0, 9, 8), (1, 9, 8)), HALLS) == [(0, [(2, 4), (3, 4)]), (1, [(0, 4), (1, 4)])]


@TEST
def test_of_as_many_the_type_of_the_lowest_node_comes_first(tell):
    """After job 0 both types have 8 free; b is the type of node 0."""
    jobs = workload((0, 9, 4, {"gpu_type": "a"}), (1, 9, 8))
    assert placed(tell, jobs, HALLS)[1] == (1, [(0, 4), (1, 4)])


@TEST
def test_free_gpus_count_though_no_chunk_fits_them(tell):
    """Type a has 9 free, 3 on each node, and b 8: a comes first, has no room, and b is taken; for chunks of 3 a is."""
    small = {"gpu_type": "a"}
    ones = [(0, 9, 1, small)] * 3
    policy = Policy(placement="worst-fit", backfill="fit")
    assert placed(tell, workload(*ones, (1, 9, 8)), HALLS, policy=policy)[3] == (1, [(0, 4), (1, 4)])
    assert placed(tell, workload(*ones, (1, 9, 6, {"nodes": 2})), HALLS, policy=policy)[3] == (1, [(2, 3), (3, 3)])


@TEST
def test_nodes_that_a_job_may_not_use_do_not_count(tell):
    """A window over node 4 leaves 8 free of type a, as many as of b, whose nodes come first."""
    windows = [NodeWindow(nodes=("4",), start=0, end=5, users=())]
    assert placed(tell, workload((0, 9, 8)), HALLS, windows=windows) == [(0, [(0, 4), (1, 4)])]


@TEST
def test_for_an_exclusive_job_only_untouched_nodes_count(tell):
    """One GPU of one node of type a is taken: 11 are free, and 8 on nodes that hold nobody, as many as of b."""
    jobs = workload((0, 9, 1, {"gpu_type": "a"}), (1, 9, 8, {"exclusive": True}), (2, 9, 8))
    found = placed(tell, jobs, HALLS, policy=Policy(placement="first-fit", backfill="fit"))
    assert found[1] == (1, [(0, 4), (1, 4)])
    assert found[2] == (2, [(3, 4), (4, 4)])


@TEST
def test_nodes_reserved_for_another_do_not_count(tell):
    """Job 1 is first and waits for nodes 2 to 4 until 10; job 2 would outlast that, and has b alone to go to."""
    jobs = workload(
        (0, 10, 4, {"gpu_type": "a"}), (1, 9, 12, {"gpu_type": "a"}), (2, 20, 4, {"nodes": 2}), (2, 5, 4, {"nodes": 2})
    )
    found = placed(tell, jobs, HALLS, policy=Policy(placement="first-fit", backfill="easy"))
    assert found[2] == (2, [(0, 2), (1, 2)])
    assert found[3] == (2, [(3, 2), (4, 2)])  # a has 8 free then, b 4
    assert found[1] == (10, [(2, 4), (3, 4), (4, 4)])


@TEST
def test_quotas_by_type_try_the_type_of_the_lowest_node_first(tell):
    """However many are free: a job of one chunk goes to b as well, though the best fit is of type a."""
    site = cluster(("b", 8), ("a", 4), ("a", 4))
    shared = Tenants(tenants=(Tenant(name="blue", nominal={"a": 8, "b": 8}),))
    jobs = workload((0, 9, 4, {"tenant": "blue"}), (0, 9, 8, {"tenant": "blue"}))
    assert placed(tell, jobs, site, tenants=shared) == [(0, [(0, 4)]), (0, [(1, 4), (2, 4)])]


@TEST
def test_what_runs_at_the_beginning_is_tried_by_the_lowest_node_where_quotas_are_by_type(tell):
    site = cluster(("b", 4), ("a", 4))
    shared = Tenants(tenants=(Tenant(name="blue", nominal={"a": 4, "b": 4}),))
    running = {"tenant": "blue", "start_time": 0.0, "end_time": 20.0}
    jobs = workload((0, 20, 2, running), (11, 5, 4, {"tenant": "blue"}))
    assert placed(tell, jobs, site, tenants=shared, begin=10)[1] == (11, [(1, 4)])


# --- names -------------------------------------------------------------------------------------------------------


def renamed(site: Cluster, jobs: Workload, names: dict[str, str]) -> tuple[Cluster, Workload]:
    """Return the same site and jobs with other names of GPU types."""
    nodes = [
        (names.get(site.gpu_types[kind], ""), gpus)
        for kind, gpus in zip(site.node_type.tolist(), site.node_gpus.tolist(), strict=True)
    ]
    cpus = None if site.node_cpus is None else site.node_cpus.tolist()
    levels = [domain.tolist() for domain in site.levels.domains]
    rows = jobs.table.to_pylist()
    for row in rows:
        if row["gpu_type"]:
            row["gpu_type"] = "|".join(names[each] for each in row["gpu_type"].split("|"))
    return (
        cluster(*nodes, cpus=cpus, levels=levels, level_names=site.levels.names),
        Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema)),
    )


@pytest.mark.parametrize("placement", sorted({*PLACEMENTS} - {*OWN_PLACEMENTS}))
@CHOSEN
@given(st.data())
def test_what_types_are_called_changes_nothing(placement, data):
    site = data.draw(tray_sites(), label="cluster")
    jobs = data.draw(job_tables(site), label="workload")
    names = dict(zip("abc", data.draw(st.permutations(["x", "a", "M"])), strict=True))
    policy = Policy(placement=placement, backfill=data.draw(st.sampled_from(["none", "fit", "easy", "slurm"])))
    other_site, other_jobs = renamed(site, jobs, names)
    assert placed("engine", jobs, site, policy=policy) == placed("engine", other_jobs, other_site, policy=policy)


# --- what a user sees --------------------------------------------------------------------------------------------


def test_an_explanation_names_both_shapes():
    jobs = ((0, 9, 4, {"gpu_type": "H100"}), (0, 7, 2, {"gpu_type": "GB200"}), (1, 5, 8))
    lines = told("2", *jobs, site=trays(), placement="packed")
    assert lines[4:7] == [
        "  from 1 s for 6 s: fragmentation: 10 GPUs were free, but no node had 8 of them, and only 1 of the 2 nodes "
        "with 4 GPUs free that would do as well; the largest job of its shape that fitted has 6 GPUs. It was first in "
        "the queue.",
        "Started at 7 s.",
        "It ran on 2 nodes with 4 GPUs each: n1, n2, all in nvlink 1.",
    ]
