"""Workloads that look like those of published clusters: the keys of a spec for each."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from gpuyard.errors import unknown_name
from gpuyard.synthesis.published import Evidence

__all__ = ["LOOK_ALIKES", "LookAlike", "like_mapping"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LookAlike:
    """What is known of a cluster besides the sizes, run times and profiles of its jobs.

    ``rate`` is jobs an hour, ``tenants`` and ``users`` (of each tenant) their numbers; tenants are unequal by Zipf's
    law, users by log-normal weights.
    """

    gpus: int
    rate: float
    start: str
    tenants: int
    users: int
    tenant_exponent: float
    user_sigma: float
    evidence: Evidence


_ACME = "GPU jobs of cluster_summary.csv over six months (Hu et al., NSDI 2024); tenants and users as in Helios"
LOOK_ALIKES: MappingProxyType[str, LookAlike] = MappingProxyType(
    {
        "seren": LookAlike(
            gpus=2_288, rate=150.0, start="2023-03-01T00:00:00+08:00", tenants=1, users=300, tenant_exponent=0.0,
            user_sigma=1.8, evidence=Evidence("assumption", _ACME),
        ),
        "kalos": LookAlike(
            gpus=2_416, rate=4.5, start="2023-03-01T00:00:00+08:00", tenants=1, users=300, tenant_exponent=0.0,
            user_sigma=1.8, evidence=Evidence("assumption", _ACME),
        ),
        "philly": LookAlike(
            gpus=2_490, rate=38.7, start="2017-09-04T00:00:00-07:00", tenants=15, users=20, tenant_exponent=1.6,
            user_sigma=1.8,
            evidence=Evidence("computed", "trace of 82,247 jobs: 15 virtual clusters, half the jobs in one"),
        ),
        "helios": LookAlike(
            gpus=1_022, rate=28.8, start="2020-04-01T00:00:00+08:00", tenants=1, users=300, tenant_exponent=0.0,
            user_sigma=1.8,
            evidence=Evidence("computed", "Venus, one of its clusters (HeliosData); log-normal users, 1.6 to 2.0"),
        ),
        "pai": LookAlike(
            gpus=6_500, rate=720.0, start="2020-07-01T00:00:00+08:00", tenants=1, users=1_300, tenant_exponent=0.0,
            user_sigma=2.4,
            evidence=Evidence("assumption", "1,037,085 jobs in two months; 5 % of users own 77 % (recalled)"),
        ),
    }
)  # fmt: skip
"""By name of the cluster."""


def like_mapping(cluster: object) -> dict[str, Any]:
    """Return the keys of a spec for the look-alike of a published cluster.

    Raises
    ------
    ConfigError
        For a name nobody knows.
    """
    if not isinstance(cluster, str) or cluster not in LOOK_ALIKES:
        raise unknown_name("cluster to be like", str(cluster), tuple(LOOK_ALIKES))
    one = LOOK_ALIKES[cluster]
    return {
        "rate": one.rate,
        "start": one.start,
        "classes": {"training": {"share": 1.0, "source": cluster}},
        "tenants": {"count": one.tenants, "users": one.users, "zipf_exponent": one.tenant_exponent},
        "user_sigma": one.user_sigma,
    }
