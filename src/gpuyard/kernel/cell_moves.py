"""What changes when a job takes cells, its owner's or lent ones, and when it leaves them: limits, ends, cells."""

from __future__ import annotations

from gpuyard.kernel.agenda import enter, strike
from gpuyard.kernel.bindings import count_guests
from gpuyard.kernel.bits import nth
from gpuyard.kernel.cell_heads import FREE_NOW, expect_cells
from gpuyard.kernel.cell_queue import Estate, Waits
from gpuyard.kernel.cell_stays import begin_in_cells, vacate_cells
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.jit import inlined, inner
from gpuyard.kernel.outstaying import next_outstayed
from gpuyard.kernel.quotas import charge
from gpuyard.kernel.stays import Stays
from gpuyard.kernel.tables import Events, Jobs, Log

__all__ = ["begin_stay", "borrow", "expect_longer", "vacate"]


@inlined
def borrow(jobs: Jobs, estate: Estate, row: int) -> None:
    """Note that an opportunistic job holds the idle cells that are chosen."""
    asked = estate.claims.claim[nth(jobs.claim[nth(row)]["demand"])]
    for place in range(asked["count"]):
        there = int(estate.claims.chosen[nth(place)])
        count_guests(estate.forests, estate.cells, int(asked["level"]), there, row)


@inlined
def begin_stay(
    jobs: Jobs, log: Log, events: Events, stays: Stays, estate: Estate, row: int, lent: bool, now: int
) -> None:
    """Let a job run in the physical cells that are chosen."""
    begin_in_cells(jobs, log, events, stays, estate.forests, estate.claims, row, now)
    stays.attempt[nth(stays.stay[nth(row)]["attempt"])]["guest"] = lent
    if estate.crowd.state[Waits.LIMITED] > 0:
        charge(estate.ledger, int(estate.ledger.asker_of[nth(row)]), NOBODY, 1)
    if estate.crowd.state[Waits.RESERVES] > 0:
        end = int(now + estate.expected.estimate[nth(row)])
        enter(estate.expected.ends, end, row)
        _expect(jobs, log, stays, estate, row, end)


@inlined
def _expect(jobs: Jobs, log: Log, stays: Stays, estate: Estate, row: int, end: int) -> None:
    """Note when a running job is expected to leave its cells."""
    expect_cells(jobs, log, stays, estate.forests, estate.cells, estate.claims, estate.heads, row, end)


@inner
def expect_longer(jobs: Jobs, log: Log, stays: Stays, estate: Estate, now: int) -> None:
    """Correct the expected ends that have come though their jobs still run."""
    row = next_outstayed(estate.expected, now)
    while row != NOBODY:
        end = int(stays.stay[nth(row)]["since"] + estate.expected.estimate[nth(row)])
        _expect(jobs, log, stays, estate, row, end)
        row = next_outstayed(estate.expected, now)


@inner
def vacate(jobs: Jobs, log: Log, stays: Stays, estate: Estate, row: int) -> None:
    """Free the cells of a running job; it counts no longer, and is not expected to end."""
    if estate.crowd.state[Waits.RESERVES] > 0:
        since = int(stays.stay[nth(row)]["since"])
        strike(estate.expected.ends, since + int(estate.expected.estimate[nth(row)]), row)
        _expect(jobs, log, stays, estate, row, FREE_NOW)
    if estate.crowd.state[Waits.LIMITED] > 0 and jobs.claim[nth(row)]["slots"] > 0:
        charge(estate.ledger, int(estate.ledger.asker_of[nth(row)]), NOBODY, -1)
    vacate_cells(jobs, log, stays, estate.forests, estate.cells, estate.claims, row)
