"""A placement by a score of one's own: what it is told, that it decides, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import gpuyard as gy
from conftest import cluster, workload
from gpuyard.errors import ConfigError
from gpuyard.policy import OWN_PLACEMENTS, PLACEMENTS, Policy
from gpuyard.simulation import schedule


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Placements added by a test are gone after it."""
    yield
    for name in list(OWN_PLACEMENTS):
        del OWN_PLACEMENTS[name]
        PLACEMENTS.pop(name, None)


def most_cpu_left(  # noqa: PLR0917  # as the engine calls it
    free_gpus: int, gpus: int, free_milli: int, free_cpu: int, free_memory: int, gpu_type: int,
    wanted_gpus: int, wanted_milli: int, wanted_cpu: int, wanted_memory: int,
) -> int:  # fmt: skip
    return free_cpu - wanted_cpu


def test_the_node_with_the_highest_score_is_taken_and_the_lowest_of_equals() -> None:
    gy.add_placement("most-cpu-left", most_cpu_left, "the node with the most CPUs left")
    jobs = workload(*((at, 100, 1, {"cpus": 4.0}) for at in range(5)))
    record = schedule(jobs, cluster(8, 8, 8, cpus=[16, 24, 20]), Policy(placement="most-cpu-left"))
    # CPUs left before each: 16 24 20, 16 20 20, 16 16 20, 16 16 16, 12 16 16
    assert record.slot_node.tolist() == [1, 1, 2, 0, 1]


def test_an_exclusive_job_wants_all_of_an_empty_node() -> None:
    """Who may share wants 2 GPUs on any node; alone, it wants the 8 GPUs and 24 CPUs of node 1, the most."""
    gy.add_placement("most", lambda a, b, c, d, e, f, g, h, i, j: g + i // 1000, "where most is wanted")
    site = cluster(4, 8, 2, cpus=[16, 24, 8])
    for alone, node, gpus in ((False, 0, 2), (True, 1, 8)):
        jobs = workload((0, 100, 2, {"cpus": 4.0, "exclusive": alone}))
        record = schedule(jobs, site, Policy(placement="most"))
        assert (record.slot_node.tolist(), record.slot_gpus.tolist()) == ([node], [gpus])


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, 3), (1, 4), (2, 3_500), (3, 7_000), (4, 9 * 1024), (5, 1), (6, 2), (7, 0), (8, 2_000), (9, 4 * 1024)],
)
def test_a_score_is_told_what_is_free_and_what_is_wanted(place: int, value: int) -> None:
    """Of node 1 (type b, 4 GPUs, 8 CPUs, 10 GiB) a job holds half a GPU, 1 CPU and 1 GiB when the next is placed."""
    # fmt: off
    told = {
        0: lambda a, b, c, d, e, f, g, h, i, j: a == 3, 1: lambda a, b, c, d, e, f, g, h, i, j: b == 4,
        2: lambda a, b, c, d, e, f, g, h, i, j: c == 3_500, 3: lambda a, b, c, d, e, f, g, h, i, j: d == 7_000,
        4: lambda a, b, c, d, e, f, g, h, i, j: e == 9_216, 5: lambda a, b, c, d, e, f, g, h, i, j: f == 1,
        6: lambda a, b, c, d, e, f, g, h, i, j: g == 2 and b == 4 and f == 1,
        7: lambda a, b, c, d, e, f, g, h, i, j: h == 0 and f == 1,
        8: lambda a, b, c, d, e, f, g, h, i, j: i == 2_000 and f == 1,
        9: lambda a, b, c, d, e, f, g, h, i, j: j == 4_096 and f == 1,
    }[place]
    # fmt: on
    gy.add_placement("told", told, "a node of which something is true")
    jobs = workload(
        (0, 100, 1, {"gpu_milli": 500, "cpus": 1.0, "memory_gib": 1.0, "gpu_type": "b"}),
        (1, 100, 2, {"cpus": 2.0, "memory_gib": 4.0}),
    )
    site = cluster(("a", 2), ("b", 4), cpus=[64, 8], memory=[64, 10])
    record = schedule(jobs, site, Policy(placement="told"))
    assert record.slot_node.tolist() == [1, 1], value


def test_a_name_that_is_taken_is_refused() -> None:
    for name in ("fgd", ""):
        with pytest.raises(ConfigError, match="needs a name that is not taken"):
            gy.add_placement(name, most_cpu_left, "again")


def test_what_cannot_be_compiled_is_said() -> None:
    import numba

    if numba.config.DISABLE_JIT:
        pytest.skip("nothing is compiled")
    gy.add_placement("texts", lambda a, b, c, d, e, f, g, h, i, j: str(a) + b, "adds a number to a text")
    with pytest.raises(ConfigError, match="the score of placement 'texts' cannot be compiled: "):
        schedule(workload((0, 1, 1)), cluster(1), Policy(placement="texts"))


def test_scenarios_know_the_name() -> None:
    gy.add_placement("most-cpu-left", most_cpu_left, "the node with the most CPUs left")
    values = {"cluster": {"nodes": 2, "gpus_per_node": 8}, "policy": {"placement": "most-cpu-left"}}
    assert gy.Scenario.from_mapping(values).build_policy().placement == "most-cpu-left"
