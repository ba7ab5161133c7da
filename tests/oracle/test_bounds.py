"""Engine against reference: bounds of partitions and QOS beside everything that the second draw has."""

from __future__ import annotations

from random import Random

import numba
import pytest

from gpuyard.bounds import Bounds
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES
from oracle.test_second_draw import KINDS, drawn, tell

TIMES: tuple[dict[str, object], ...] = (
    {"max_time": 3},
    {"max_time": 6},
    {"max_time": 20, "default_time": 2},
    {"default_time": 5},
    {"max_time": 10},
)
SIZES: tuple[dict[str, object], ...] = (
    {"max_nodes": 1},
    {"min_nodes": 2},
    {"max_gpus": 2},
    {"max_gpus": 0.25},
    {"min_gpus": 0.5},
    {"min_gpus": 2},
    {"max_cpus": 2},
)
WHOSE: tuple[dict[str, object], ...] = ({"allow_tenants": ("a", "b")}, {"deny_tenants": ("a/x", "c")})
WHICH: tuple[dict[str, object], ...] = ({"allow_qos": ("hi",)}, {"deny_qos": ("hi",)})


def bounds_of(draw: Random, default: str | None) -> list[Bounds]:
    """Return bounds of the partitions and QOS of the second draw; ``default``: a partition with nodes that is one."""
    found = []
    for column, names, whose in (("partition", ["p", "q", "none"], (*WHOSE, *WHICH)), ("qos", ["hi", "lo"], WHOSE)):
        first = draw.choice([None, None, *names]) if default is None or column == "qos" else default
        for name in draw.sample(names, draw.randint(0, len(names))):
            terms: dict[str, object] = {column: name, "is_default": name == first}
            for part, choices in ((0.5, TIMES), (0.3, SIZES), (0.15, whose)):
                if draw.random() < part:
                    terms |= draw.choice(choices)
            found.append(Bounds(**terms))
    return found


def bounded(kind: str, number: int) -> tuple[Workload, Cluster, Policy, dict[str, object]]:
    """Return a case of the second draw, with bounds."""
    jobs, site, policy, more = drawn(kind, number)
    defaults = [window.partitions[0] for window in more.get("windows", ()) if window.is_partition and window.is_default]
    more["bounds"] = bounds_of(Random(f"bounds {kind} {number}"), next(iter(defaults), None))
    return jobs, site, policy, more


@pytest.mark.skipif(not numba.config.DISABLE_JIT, reason="bounds are looked at before the loops, which are compiled")
@pytest.mark.parametrize("kind", KINDS)
def test_bounds_are_told_alike(kind):
    cases = 4 * EXAMPLES
    assert sum(tell(kind, number, bounded) for number in range(cases)) > cases // 2
