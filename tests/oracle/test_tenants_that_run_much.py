"""Engine against reference where a tenant runs so much that the engine keeps what room there is without its jobs."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import cluster, workload
from gpuyard.policy import Policy
from gpuyard.tenancy import Tenant, Tenants
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES, compare

NODES = 5
RULES = (
    {"rule": "priority"},
    {"rule": "priority", "min_run": 20, "max_preemptions": 3},
    {"rule": "las", "thresholds": (30, 200)},
)


def crowd(seed: int) -> Workload:
    """Return jobs of two tenants that ask for more than there is for most of the time, some of them for whole nodes."""
    draw = np.random.default_rng(seed)
    many = int(draw.integers(60, 140))
    gpus = draw.choice([1, 2, 4, 8, 12, 16, 24], many, p=[0.4, 0.15, 0.15, 0.14, 0.06, 0.06, 0.04])
    rows = zip(
        np.sort(draw.integers(0, 400, many)).tolist(),
        draw.integers(1, 150, many).tolist(),
        gpus.tolist(),
        draw.integers(0, 3, many).tolist(),
        draw.choice(["red", "sky"], many, p=[0.8, 0.2]).tolist(),
        strict=True,
    )
    return workload(*((at, run, asked, {"priority": high, "tenant": owner}) for at, run, asked, high, owner in rows))


@pytest.mark.parametrize("rule", RULES, ids="+".join)
@pytest.mark.parametrize("backfill", ["none", "fit"])
@pytest.mark.parametrize("seed", range(max(EXAMPLES // 4, 2)))
def test_a_tenant_that_runs_much_makes_room_as_the_reference_does(rule: dict[str, object], backfill: str, seed: int):
    shares = Tenants(
        tenants=(Tenant(name="red", nominal=24), Tenant(name="sky", nominal=16)),
        between=("queue", "fair", "drf")[seed % 3],
        reclaim=("any", "lower", "never")[seed // 3 % 3],
    )

    compare(crowd(seed), cluster(*[8] * NODES), Policy(backfill=backfill, preemption=rule), 0, None, tenants=shares)
