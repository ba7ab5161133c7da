"""Slurm's sum of weighted factors, by hand: the engine and the reference simulator must both tell the same story.

Slurm, guide "Multifactor Priority Plugin": age, size, fair share, QOS and partition, each a factor times its weight,
less the nice value.  Rows are (submit_time, runtime, gpus), times in seconds.
"""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from oracle.comparing import told
from reference import SECOND, simulate

TEST = pytest.mark.parametrize("tell", ["engine", "reference"])
FACTORS = {"qos": {"high": 1.0, "normal": 0.25}, "partitions": {"debug": 0.5}}
NONE = dict.fromkeys(("age", "size", "priority", "nice", "qos", "partition"), 0.0)


def order(tell: str, one: dict[str, object], other: dict[str, object], **weights: float) -> list[str]:
    """Return which of two jobs that wait for a GPU from 10 and 20 on goes first when it is free at 110."""
    jobs = workload((0, 110, 1), (10, 5, 1, one), (20, 5, 1, other))
    policy = Policy(order="multifactor", weights={**NONE, **weights}, **FACTORS)
    found = simulate(jobs, cluster(1), policy) if tell == "reference" else told(schedule(jobs, cluster(1), policy))
    return sorted(("one", "other"), key=lambda name: found[1 if name == "one" else 2].start // SECOND)


@TEST
@pytest.mark.parametrize(
    ("one", "other", "weights", "first"),
    [
        ({}, {}, {}, "one"),
        ({"qos": "normal"}, {"qos": "high"}, {"qos": 1000}, "other"),
        ({"qos": "normal"}, {"qos": "else"}, {"qos": -1000}, "other"),
        ({}, {"partition": "debug"}, {"partition": 10}, "other"),
        ({"nice": 3}, {"nice": 2}, {"nice": 1}, "other"),
        # 750 x 1 of a QOS against 750 x 0.25 of another and 0.5 x 1,124, or 1,126, of a partition: 749.5 and 750.5
        ({"qos": "high"}, {"qos": "normal", "partition": "debug"}, {"qos": 750, "partition": 1124}, "one"),
        ({"qos": "high"}, {"qos": "normal", "partition": "debug"}, {"qos": 750, "partition": 1126}, "other"),
        # at 110 one has waited 100 s of 1,000 and the other 90: 10 of 1,000 more
        ({}, {"nice": -9}, {"age": 1000, "max_age": 1000, "nice": 1}, "one"),
        ({}, {"nice": -11}, {"age": 1000, "max_age": 1000, "nice": 1}, "other"),
        # both are as old as counts
        ({}, {"nice": -1}, {"age": 1000, "max_age": 90, "nice": 1}, "other"),
    ],
)
def test_factors_times_weights_add_up(tell, one, other, weights, first):
    assert order(tell, one, other, **weights)[0] == first
