"""What runs already when a simulation begins: placed before the first instant, and told to the scheduler."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.codes import Count
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.instants import start_job
from gpuyard.kernel.jit import kernel
from gpuyard.kernel.placement import Placer, Releaser, place_plain
from gpuyard.kernel.plans import Plan, Plans
from gpuyard.kernel.profile import change, plus
from gpuyard.kernel.reservation import count_start
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.timetable import enter

__all__ = ["expect_running", "place_running", "plan_running"]


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
    placer: Placer,
    releaser: Releaser,
) -> None:
    """Let these jobs run since the start that they have; one that finds no room runs and holds nothing."""
    for number in range(rows.size):
        row = int(rows[number])
        wish = int(jobs.claim[row]["demand"])
        asked = demand[wish]
        first = int(events.counter[Count.SLOTS])
        if asked["plain"] == 0:
            placer(site, demand, log, events, row, wish)
        else:
            place_plain(site, log, events, asked["large"], asked["many"], asked["rest"])
        start_job(jobs, log, events, row, first, int(jobs.job[row]["start"]))


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
