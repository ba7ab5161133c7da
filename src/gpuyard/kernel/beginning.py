"""What runs already when a simulation begins: placed before the first instant, and told to the scheduler."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.attempting import note_attempt
from gpuyard.kernel.codes import NOBODY, Count
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.hunt import try_place
from gpuyard.kernel.instants import start_job
from gpuyard.kernel.jit import kernel
from gpuyard.kernel.levels import pass_bins
from gpuyard.kernel.placement import Placer, Releaser
from gpuyard.kernel.plans import Plan, Plans
from gpuyard.kernel.prey import announce
from gpuyard.kernel.profile import change, plus
from gpuyard.kernel.quotas import charge, note_share, resource_held
from gpuyard.kernel.reservation import count_start
from gpuyard.kernel.stays import Gain, Rule, Stays, Terms
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.tenancy import Tenancy
from gpuyard.kernel.timetable import enter

__all__ = ["charge_running", "expect_running", "place_running", "plan_running", "resume_running"]


@kernel
def place_running(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    rows: NDArray[np.int64],
    variant: NDArray[np.int32],
    placer: Placer,
    releaser: Releaser,
) -> None:
    """Let these jobs run since the start that they have; one that finds no room runs and holds nothing.

    ``variant``, shape (demands, types), are the demands that are tried one after the other in the place of each; no
    types: that demand itself.
    """
    for number in range(rows.size):
        row = int(rows[number])
        wish = int(jobs.claim[row]["demand"])
        first = int(events.counter[Count.SLOTS])
        placed = variant.shape[1] == 0 and try_place(demand, site, log, events, placer, row, wish)
        for kind in range(variant.shape[1]):
            if not placed and variant[wish, kind] != NOBODY:
                placed = try_place(demand, site, log, events, placer, row, int(variant[wish, kind]))
        start_job(jobs, log, events, row, first, int(jobs.job[row]["start"]))


@kernel
def resume_running(jobs: Jobs, stays: Stays, rows: NDArray[np.int64], begin: int) -> None:
    """Let these running jobs be in their first attempt; one that holds nothing makes room for nobody."""
    state = stays.state
    for number in range(rows.size):
        row = int(rows[number])
        wish, start = int(jobs.claim[row]["demand"]), int(jobs.job[row]["start"])
        if jobs.claim[row]["slots"] == 0:
            stays.stay[row]["fixed"] = 1
        if stays.terms[Terms.RULE] == Rule.BINS:
            pass_bins(stays, row, wish, begin - start)
        note_attempt(jobs, stays, row, start, begin)
        announce(stays, row)
        state[Gain.ACTIVE] += 1
        state[Gain.CHUNKS] += stays.chunks[wish]


@kernel
def charge_running(jobs: Jobs, site: Site, log: Log, tenancy: Tenancy, rows: NDArray[np.int64]) -> None:
    """Charge these running jobs to their tenants; one that holds nothing to nobody."""
    ledger = tenancy.ledger
    for number in range(rows.size):
        row = int(rows[number])
        if jobs.claim[row]["slots"] > 0:
            charge(ledger, int(ledger.asker_of[row]), resource_held(jobs, site, log, ledger, row), 1)
    for tenant in range(ledger.tenant.size):
        note_share(ledger, tenant)


@kernel
def expect_running(
    jobs: Jobs, site: Site, log: Log, events: Events, expected: Expectations, rows: NDArray[np.int64]
) -> None:
    """Expect these running jobs to end."""
    for number in range(rows.size):
        row = int(rows[number])
        wish, start = int(jobs.claim[row]["demand"]), int(jobs.job[row]["start"])
        count_start(site, log, events, expected, row, wish, int(events.counter[Count.SLOTS]), start, True)


@kernel
def plan_running(jobs: Jobs, plans: Plans, rows: NDArray[np.int64]) -> None:
    """Take the GPUs of these running jobs from the plan until their expected ends."""
    grain = int(plans.state[Plan.RESOLUTION])
    for number in range(rows.size):
        row = int(rows[number])
        start = int(jobs.job[row]["start"])
        end = plus(start, int(plans.estimate[row]))
        end += -end % grain
        enter(plans.ends, end, row)
        change(plans.plan, start, end, -int(plans.thousandths[jobs.claim[row]["demand"]]))
