"""Engine against reference where fair sharing makes room in vain, again and again: jobs that need several whole nodes.

What the engine knows of a try that failed must not keep it from one that would not.
"""

from __future__ import annotations

import numpy as np
import pytest

from conftest import cluster, workload
from gpuyard.policy import Policy
from gpuyard.tenancy import Tenant, Tenants
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES, compare

NODES = 6
NAMES = ("a", "b", "c", "d", "e/x", "e/y", "e/z")
RULES = ({"rule": "reclaim"}, {"rule": "priority"}, {"rule": "las", "thresholds": (30, 200)})


def crowd(draw: np.random.Generator) -> Workload:
    """Return jobs most of which find room, and some that need half of the nodes, or all; one tenant has most."""
    many = int(draw.integers(40, 70))
    rows = zip(
        np.sort(draw.integers(0, 120, many)).tolist(),
        np.rint(draw.lognormal(2.5, 1.2, many)).clip(1).tolist(),
        draw.choice([1, 2, 4, 8, 12, 24], many, p=[0.5, 0.15, 0.1, 0.1, 0.1, 0.05]).tolist(),
        draw.integers(0, 2, many).tolist(),
        draw.choice(NAMES, many, p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05]).tolist(),
        strict=True,
    )
    return workload(*((at, run, asked, {"priority": high, "tenant": owner}) for at, run, asked, high, owner in rows))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["rule"])
@pytest.mark.parametrize("backfill", ["none", "fit"])
@pytest.mark.parametrize("seed", range(2, 2 + max(EXAMPLES // 6, 2)))
def test_who_makes_room_in_vain_is_tried_again_when_the_reference_finds_room(rule, backfill, seed):
    draw = np.random.default_rng(seed)
    given = tuple(
        Tenant(name=name, nominal=float(draw.integers(1, 5)), weight=float(draw.choice([1, 1, 2]))) for name in NAMES
    )
    between = ("fair", "queue", "drf")[seed % 3]
    shares = Tenants(tenants=given, nominal=4 * NODES, between=between, reclaim="fair")

    compare(crowd(draw), cluster(*[4] * NODES), Policy(backfill=backfill, preemption=rule), 0, None, tenants=shares)
