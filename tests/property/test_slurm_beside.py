"""The plan of slurm beside preemption and tenants, on random workloads, of the engine.

Where nobody can be preempted and everybody is admitted it is slurm alone.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import strategies as st

from gpuyard.cluster import Cluster
from gpuyard.preemption import Preemption
from gpuyard.record import Record
from gpuyard.simulation import schedule
from gpuyard.tenancy import Limit, Tenant, Tenants
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES, known, slots_by_attempt
from oracle.test_commissioning import commissionings
from oracle.test_constraints import in_arrays, partitions, recorded, windows
from oracle.test_joint import in_partitions, with_names
from oracle.test_schedules import checked
from strategies import clusters, crowded_sites, crowded_workloads, fair_policies, policies, workloads

LOOSE = Tenants(tenants=(Tenant(name="blue"),), limits=(Limit(jobs=10**6, each=("user",)),))
"""Tenants whose limit admits everybody."""
RICH = Tenants(tenants=(Tenant(name="blue", nominal=10**6),), nominal=10**6)
"""Tenants whose quotas admit everybody and from whom nothing can be taken back, because nobody borrows."""
NOBODY_YIELDS = Preemption(rule="qos", tiers={"nobody": 1})
"""All jobs are of one tier, so that nobody is more urgent than anybody else."""


@pytest.mark.parametrize("variant", ["slurm", "slurm-bounded"])
@pytest.mark.parametrize("beside", ["preemption", "limits", "quotas", "all"])
def test_where_nobody_is_preempted_and_all_are_admitted_it_is_slurm_alone(beside, variant):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 0.001, 1e-6]), label="scale")
        site, jobs = sites_and_jobs(data, scale)
        drawn = fair_policies(variant, scale) if data.draw(st.integers(0, 3)) == 0 else policies(variant, scale)
        policy = data.draw(drawn, label="policy")
        more = {"seed": data.draw(st.integers(0, 3)), "windows": closings(data, site, jobs, scale)}
        if data.draw(st.integers(0, 4)) == 0:
            jobs = data.draw(recorded(jobs, scale), label="recorded")
            more["begin"] = data.draw(st.integers(0, 8)) * scale
        alone = told(schedule(jobs, site, policy, **more))
        if beside != "limits":
            policy = replace(policy, preemption=NOBODY_YIELDS) if beside != "quotas" else policy
        if beside in ("limits", "quotas", "all"):
            more["tenants"] = LOOSE if beside == "limits" else RICH
        assert told(schedule(jobs, site, policy, **more)) == alone

    checked(f"slurm beside {beside} {variant}", 2 * EXAMPLES, check)


def sites_and_jobs(data: st.DataObject, scale: float) -> tuple[Cluster, Workload]:
    """Return any site and jobs, or a crowded one."""
    if scale == 1 and data.draw(st.booleans()):
        site = data.draw(clusters(6), label="cluster")
        jobs = data.draw(workloads(site), label="workload")
    else:
        site = data.draw(crowded_sites(), label="cluster")
        jobs = data.draw(crowded_workloads(site, scale), label="workload")
    jobs = in_partitions(data, with_names(data, jobs))
    return site, data.draw(in_arrays(jobs)) if data.draw(st.integers(0, 4)) == 0 else jobs


def closings(data: st.DataObject, site: Cluster, jobs: Workload, scale: float) -> list[object]:
    """Return windows, nodes that come later, partitions with nodes, or nothing."""
    kind = data.draw(st.sampled_from(["", "", "windows", "commissionings", "partitions"]))
    if kind == "windows":
        names = set(jobs.table["user"].to_pylist()) | set(jobs.table["tenant"].to_pylist())
        return [each for each in data.draw(windows(site.nodes, scale)) if not {*each.users, *each.tenants} - names]
    if kind == "commissionings":
        return data.draw(commissionings(site.nodes, scale))
    return data.draw(partitions(site.nodes)) if kind == "partitions" else []


def told(record: Record) -> list[object]:
    """Return when each job was eligible, started and ended, how, and where it ran."""
    last = dict(zip(record.attempt_job.tolist(), slots_by_attempt(record), strict=True))
    return [
        (
            *(known(column[job]) for column in (record.eligible, record.start, record.end)),
            record.outcome[job],
            last.get(job),
        )
        for job in range(len(record.workload))
    ]
