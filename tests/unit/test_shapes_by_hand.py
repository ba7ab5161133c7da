"""Stories worked by hand from the section "Shape" of the page: what both simulators must make of them."""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.tenancy import Tenants
from gpuyard.workload import Workload
from oracle.comparing import compare
from reference import simulate

LARGE, TRAY = ("z", 8), ("a", 4)
PAIRS = [[0, 1, 2, 2, 3, 3], [0, 0, 1, 1, 1, 1]]
"""Two large nodes, then two NVLink domains of two trays each."""


def held(jobs: Workload, site: Cluster, **terms: object) -> list[list[tuple[int, int]] | None]:
    """Return what each job holds that starts at 0, ``None`` for others, which both simulators must agree on."""
    shared = {"tenants": terms.pop("tenants")} if "tenants" in terms else {}
    policy = Policy(**{"backfill": "fit", "placement": "packed", **terms})
    compare(jobs, site, policy, 0, None, **shared)
    fates = simulate(jobs, site, policy, seed=0, until=None, **shared)
    return [[(node, gpus) for node, gpus, _ in fate.slots] if fate.start == 0 else None for fate in fates]


def site(lowest: str = "nvlink") -> Cluster:
    return cluster(LARGE, LARGE, TRAY, TRAY, TRAY, TRAY, levels=PAIRS, level_names=(lowest, "pod"))


def asking(*jobs: int | tuple[int, dict[str, object]]) -> Workload:
    return workload(*((0, 10, *(job if isinstance(job, tuple) else (job,))) for job in jobs))


def test_a_job_of_a_node_runs_on_one_node_and_then_on_two_trays_of_a_domain():
    assert held(asking(8, 8, 8, 8), site()) == [[(0, 8)], [(1, 8)], [(2, 4), (3, 4)], [(4, 4), (5, 4)]]


def test_without_nvlink_between_the_trays_it_waits_for_a_node():
    assert held(asking(8, 8, 8), site("rack")) == [[(0, 8)], [(1, 8)], None]


def test_where_the_trays_lie_is_up_to_the_placement():
    one_in_each = [(4, {"gpu_type": "a"})] * 2
    assert held(asking(8, 8, *one_in_each, 8), site(), placement="spread")[2:] == [[(2, 4)], [(4, 4)], [(3, 4), (5, 4)]]
    assert held(asking(8, 8, one_in_each[0], 8), site())[2:] == [[(2, 4)], [(4, 4), (5, 4)]]


def test_a_domain_counts_gpus_of_one_type():
    mixed = cluster(LARGE, TRAY, ("b", 4), levels=[[0, 1, 1]], level_names=("nvlink",))
    assert held(asking(8, 8), mixed) == [[(0, 8)], None]


def test_who_says_one_node_is_not_cut():
    assert held(asking(8, 8, (8, {"nodes": 1})), site())[2] is None


def test_a_job_that_fits_no_node_is_cut_without_any_domain():
    single = cluster(("s", 1), ("s", 1), ("s", 1), TRAY)
    assert held(asking((3, {"gpu_type": "s"}), 4), single) == [[(0, 1), (1, 1), (2, 1)], [(3, 4)]]
    assert held(asking(4, 3), single) == [[(3, 4)], None]


def test_the_type_with_the_most_wholly_free_gpus_is_first_and_of_as_many_that_of_the_lowest_node():
    assert held(asking(16), site()) == [[(0, 8), (1, 8)]]
    assert held(asking((1, {"gpu_type": "z"}), 12), site())[1] == [(2, 4), (3, 4), (4, 4)]
    assert held(asking((1, {"gpu_type": "z"}), (1, {"gpu_type": "a"}), 12), site())[2] == [(0, 4), (1, 8)]


def test_a_fraction_takes_a_gpu_from_the_count():
    half = {"gpu_milli": 500, "gpu_type": "z"}
    assert held(asking((1, half), 12), site())[1] == [(2, 4), (3, 4), (4, 4)]


def test_nodes_in_use_do_not_count_for_an_exclusive_job():
    three = cluster(*[LARGE] * 3, *[TRAY] * 5)
    assert held(asking(1, (2, {"nodes": 2})), three)[1] == [(0, 1), (1, 1)]
    alone = asking((1, {"gpu_type": "z"}), (2, {"nodes": 2, "exclusive": True}))
    assert held(alone, three)[1] == [(3, 4), (4, 4)]


def test_free_gpus_count_whatever_cpus_are_free():
    bare = cluster(*[LARGE] * 3, *[TRAY] * 5, cpus=[8] * 8)
    jobs = asking((1, {"gpu_type": "z", "cpus": 8}), (2, {"nodes": 2, "cpus": 2}))
    assert held(jobs, bare) == [[(0, 1)], [(1, 1), (2, 1)]]


@pytest.mark.parametrize(("first", "second"), [("z", "a"), ("a", "z")])
def test_quotas_by_type_are_tried_from_the_lowest_node_on(first, second):
    both = cluster((first, 2), (second, 4))
    shared = Tenants(nominal={"a": 4, "z": 4})
    assert held(asking(1, 1, 1), both, tenants=shared) == [[(0, 1)], [(0, 1)], [(1, 1)]]
