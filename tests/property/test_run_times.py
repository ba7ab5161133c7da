"""How long jobs ran, on random workloads that preempt: the work of each that ended, once, whatever it lost; none of the
cancelled.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from gpuyard.metrics import job_times
from gpuyard.record import EndReason
from gpuyard.simulation import schedule
from gpuyard.workload import MICROSECOND
from oracle.comparing import EXAMPLES
from oracle.test_constraints import recorded
from oracle.test_schedules import checked
from reference import read
from reference.beginning import left_at
from reference.jobs import run_length
from strategies import crowded_sites, crowded_workloads, preemptive_policies, ranked


@pytest.mark.parametrize("begins", [False, True], ids=["from the start", "in the middle"])
@pytest.mark.parametrize("rule", ["priority", "qos", "2d-las"])
def test_the_run_time_of_a_job_that_ended_is_its_work(rule: str, begins: bool) -> None:
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 1e-6]), label="scale")
        site = data.draw(crowded_sites(), label="cluster")
        plain = data.draw(crowded_workloads(site, scale))
        jobs = data.draw(ranked(data.draw(recorded(plain, scale)), scale), label="workload")
        policy = data.draw(preemptive_policies(rule, scale), label="policy")
        begin = data.draw(st.integers(0, 8), label="begin") * scale if begins else None
        record = schedule(jobs, site, policy, begin=begin)
        times, given = job_times(record), read(jobs, policy)
        first = None if begin is None else round(begin * MICROSECOND)
        left = given if first is None else left_at(given, first)
        preempted = np.isin(np.arange(len(left)), record.attempt_job[record.attempt_reason == EndReason.PREEMPTED])
        for row, job in enumerate(left):
            ran_on = first is not None and job.runs_at(first)
            work = job.known_end - job.known_start if ran_on else run_length(job, policy)
            gone = bool(preempted[row] and job.is_cancelled)
            assert times.done[row] == (times.ended[row] and not gone)
            assert record.cancelled[row] == gone
            assert times.runtime[row] == (work if times.done[row] else 0), f"the run time of job {row}"

    checked(f"run times {rule} {begins}", 2 * EXAMPLES, check)
