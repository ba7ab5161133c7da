"""Slurm's fair share where jobs are preempted: each attempt is charged by itself."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.fairshare import Accounts, charge_time, decay_usage, work_out_factors
from gpuyard.kernel.jit import inner, kernel
from gpuyard.kernel.stays import Gain, Stays
from gpuyard.kernel.tables import Jobs

__all__ = ["bring_up_to_date"]


@inner
def bring_up_to_date(accounts: Accounts, jobs: Jobs, stays: Stays, now: int) -> None:
    """Bring the factors up to date, by what is written down of all attempts up to now."""
    if accounts.parent.size == 0 or accounts.state[0] > now:
        return
    while accounts.state[0] <= now:
        _charge(accounts, jobs, stays, int(accounts.state[0]))
        decay_usage(accounts)
        accounts.state[0] += accounts.state[1]
    work_out_factors(accounts)


@kernel
def _charge(accounts: Accounts, jobs: Jobs, stays: Stays, end: int) -> None:
    """Charge the accounts for the period that ends at ``end``, and forget the attempts that had ended by then."""
    state = accounts.state
    kept = 0
    for place in range(state[2]):
        number = int(accounts.running[nth(place)])
        if _charge_attempt(accounts, jobs, stays, number, end):
            accounts.running[nth(kept)] = number
            kept += 1
    while state[3] < stays.state[Gain.ATTEMPTS] and stays.attempt[nth(state[3])]["start"] < end:
        if _charge_attempt(accounts, jobs, stays, int(state[3]), end):
            accounts.running[nth(kept)] = state[3]
            kept += 1
        state[3] += 1
    state[2] = kept


@kernel
def _charge_attempt(accounts: Accounts, jobs: Jobs, stays: Stays, number: int, end: int) -> bool:
    """Charge an attempt for a period; return whether it still runs at its end."""
    attempt = stays.attempt[nth(number)]
    row = int(attempt["job"])
    time = min(int(attempt["end"]), end) - max(int(attempt["start"]), end - int(accounts.state[1]))
    charge_time(accounts, row, int(jobs.claim[nth(row)]["demand"]), time)
    return bool(attempt["end"] > end)
