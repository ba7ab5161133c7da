"""Engine against reference where many wait who are alike: then turns are told lane by lane in the joint loop.

Jobs ask for one of two sizes and belong to one of few tenants, all come early, and there is little room: so at least
four wait for each lane, of which some are left off and some are not.
"""

from __future__ import annotations

from random import Random

import numba
import pytest

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError
from gpuyard.policy import Policy
from gpuyard.tenancy import Tenants
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES, compare
from oracle.test_second_draw import policy_of, windows_of

RULES = ("none", "priority", "reclaim", "las", "qos")
RECLAIMS = ("any", "lower", "fair", "never", "cohorts")


def crowd(draw: Random, site: Cluster, tenants: int) -> Workload:
    """Return jobs that come in a few crowds, plain ones of one partition."""
    size, span = int(site.node_gpus[0]), draw.choice([0, 6, 20])
    sizes = draw.choice([(1, size), (1, 2), (size, 2 * size), (2,), (1, site.gpus)])
    levels, runtimes = draw.choice([(0,), (0, 1), (0, 1, 2)]), draw.choice([(3, 5), (2, 9, 20), (1, 4)])
    rows = []
    for _ in range(draw.randint(16, 36)):
        runtime, level = draw.choice(runtimes), draw.choice(levels)
        columns = {
            "tenant": f"t{draw.randrange(tenants)}",
            "user": draw.choice("uv"),
            "priority": level,
            "qos": ("lo", "hi", "lo")[level],
            "partition": "p",
            "time_limit": runtime + draw.choice([0, 0, 4]),
            "preemptible": draw.choice([None, None, None, False]),
        }
        rows.append((draw.randint(0, span), runtime, draw.choice(sizes), columns))
    return workload(*rows)


def lenders(draw: Random, site: Cluster, tenants: int) -> Tenants:
    found: dict[str, object] = {"reclaim": draw.choice(RECLAIMS), "tenant": []}
    for number in range(tenants):
        more = {name: draw.choice([0, 1, 2]) for name in ("borrow", "lend") if draw.random() < 0.2}
        found["tenant"].append({"name": f"t{number}", "nominal": site.gpus // tenants, **more})
    if found["reclaim"] in ("any", "lower") and draw.random() < 0.4:
        found["borrow_within"] = "lower"
    if draw.random() < 0.4:
        found["limit"] = [{"each": ["user"], "gpus": draw.choice([2, 4])}]
    return Tenants.of(found)


def drawn(number: int) -> tuple[Workload, Cluster, Policy, dict[str, object]]:
    draw = Random(f"turns by lane {number}")
    site = cluster(*[draw.choice([2, 4])] * draw.randint(2, 4))
    tenants = draw.randint(1, 3)
    more: dict[str, object] = {"windows": windows_of(draw, site.nodes) if draw.random() < 0.3 else []}
    if draw.random() < 0.8:
        more["tenants"] = lenders(draw, site, tenants)
    return crowd(draw, site, tenants), site, policy_of(draw, RULES, ("easy", "easy", "fit")), more


def tell(number: int) -> bool:
    """Compare both on one case; False where what was drawn does not go together."""
    jobs, site, policy, more = drawn(number)
    try:
        compare(jobs, site, policy, 0, None, **more)
    except ConfigError:
        return False
    return True


@pytest.mark.skipif(not numba.config.DISABLE_JIT, reason="the loop is compared compiled by the tests of each feature")
def test_turns_by_lane():
    cases = 5 * EXAMPLES
    assert sum(tell(number) for number in range(cases)) > cases // 2
