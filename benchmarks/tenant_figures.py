"""The figures of many tenants, against the same run without any: python benchmarks/tenant_figures.py."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from itertools import product

import numpy as np
import pyarrow as pa

from gpuyard.policy import Policy
from gpuyard.record import Record
from gpuyard.simulation import schedule
from gpuyard.tenancy import Tenant, Tenants
from gpuyard.workload import Workload
from kernel_figures import demand_holds, kernel_s, nanoseconds
from measure import least, watched_kernel
from page import Section, Target, markdown
from sizes import FULL, Size
from workloads import GPUS_PER_NODE, draw, uniform

__all__ = ["LOADS", "MANY", "belonging", "sharing", "tenants_of"]

LOADS = (0.9, 1.1)
MANY = (10, 100, 1000, 10_000)
"""Users with a quota each: ten to a team, ten teams to an organisation."""
POLICY = Policy(backfill="fit", preemption={"rule": "priority"})
PLAIN = Policy(backfill="fit")
POLICIES = {"priority": POLICY, "none": PLAIN, "reclaim": Policy(backfill="fit", preemption={"rule": "reclaim"})}
"""By preemption; without tenants nobody can reclaim anything, so that the same run without them is the plain one."""
_SKEW = 1.1
_PRIORITIES = 3
_MOST_TIMES = 2.0


def _names(many: int) -> list[str]:
    return [f"org{each // 100}/team{each // 10}/user{each}" for each in range(many)]


def tenants_of(many: int, gpus: int) -> Tenants:
    """Return so many users of equal quotas that are the whole site, in three levels, and fair sharing between them."""
    each = gpus / many
    return Tenants(tenants=tuple(Tenant(name=name, nominal=each) for name in _names(many)), between="fair")


def belonging(size: Size, many: int, load: float) -> Workload:
    """Return the jobs of all benchmarks with a tenant each, a few tenants with most of them, and three priorities."""
    rng = np.random.default_rng(many)
    chance = 1 / np.arange(1, many + 1) ** _SKEW
    owner = rng.permutation(many)[rng.choice(many, size.jobs, p=chance / chance.sum())]
    jobs = draw(size.jobs, size.nodes, load=load).workload()
    table = jobs.table.drop_columns(["tenant", "priority"]) if "tenant" in jobs.table.column_names else jobs.table
    table = table.append_column("tenant", pa.array(np.array(_names(many))[owner]))
    table = table.append_column("priority", pa.array(rng.integers(0, _PRIORITIES, size.jobs), pa.int32()))
    return Workload.from_table(table, name="benchmark")


def _all_ran(record: Record) -> bool:
    """Return whether the attempts of every job last as long as it runs: nothing is lost where it makes room."""
    lasted = np.bincount(record.attempt_job, record.attempt_end - record.attempt_start, len(record.workload))
    return bool(np.array_equal(lasted, record.workload.runtime))


def sharing(size: Size) -> Section:
    """Measure quotas, fair sharing and reclaim for more and more tenants, below and above what the site can do."""
    rows: list[Sequence[str]] = []
    targets: list[Target] = []
    site = uniform(size.nodes)
    for rule, load, many in product(POLICIES, LOADS, MANY):
        policy = POLICIES[rule]
        workload, tenants = belonging(size, many, load), tenants_of(many, size.nodes * GPUS_PER_NODE)
        own = PLAIN if rule == "reclaim" else policy
        without, record = schedule(workload, site, own), schedule(workload, site, policy, tenants=tenants)
        demand_holds(_all_ran(without) and _all_ran(record), "not every job ran all its work")
        alone, shared = least(
            size.rounds,
            partial(kernel_s, workload, site, own),
            partial(kernel_s, workload, site, policy, tenants=tenants),
        )
        cells = (f"{alone:.3f}", f"{shared:.3f}", f"{shared / alone:.2f}", f"{without.attempt_job.size:,}")
        rows.append((f"`{rule}`, load {load}", f"{many:,}", *cells, f"{record.attempt_job.size:,}",
                     nanoseconds(shared, record.events)))  # fmt: skip
        if many == 1000:
            targets.append(Target(what=f"{many:,} tenants over none, `{rule}`, load {load}", measured=shared / alone,
                                  limit=_MOST_TIMES, detail=f"{len(workload):,} jobs"))  # fmt: skip
    return Section(
        title="Many tenants",
        note=(
            f"{size.jobs:,} jobs on {size.nodes:,} x 8, `fifo-fit` with `preemption = priority` (three priorities), "
            "`none` and `reclaim`, tenants in three levels with quotas that are the site, `between = fair`, "
            f"`reclaim = any`; tenants' jobs by Zipf's law ({_SKEW}). CPU s of the kernel, without and with tenants."
        ),
        header=("preemption", "tenants", "without", "with", "x", "attempts without", "with", "ns an event, with"),
        rows=rows,
        targets=targets,
    )


def main() -> int:
    """Measure and print."""
    with watched_kernel():
        sys.stdout.write(markdown([sharing(FULL)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
