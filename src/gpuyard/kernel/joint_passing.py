"""Who is not tried any more in a round, because another was refused."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.jit import inlined
from gpuyard.kernel.joint_tables import Joint, Party
from gpuyard.kernel.partitions import WHOLE, Partitions
from gpuyard.kernel.scored_queue import Passing
from gpuyard.kernel.tenancy import Ledger

__all__ = ["is_passed_over", "own_queue", "pass_over"]


@inlined
def own_queue(ledger: Ledger, partitions: Partitions, row: int, number: int) -> int:
    """Return the place in Joint.over of what a job's tenant has in a queue."""
    tenant = int(ledger.asker[nth(ledger.asker_of[nth(row)])]["tenant"])
    return ledger.asker.size + tenant * partitions.own.size + number


@inlined
def is_passed_over(ledger: Ledger, joint: Joint, partitions: Partitions, row: int, number: int) -> bool:
    """Return whether a job of a queue is not tried any more in this round, because another was refused."""
    own = joint.over[nth(own_queue(ledger, partitions, row, number))]
    return bool(max(joint.over[nth(ledger.asker_of[nth(row)])], own) == joint.state[Party.ROUND])


@inlined
def pass_over(ledger: Ledger, joint: Joint, partitions: Partitions, row: int, number: int) -> None:
    """Let nobody else of a refused job's tenant and queue be tried in this round, or nobody who asks for the same."""
    if joint.state[Party.PASSING] == Passing.NOBODY:
        joint.over[nth(own_queue(ledger, partitions, row, number))] = joint.state[Party.ROUND]
        if number == WHOLE:
            for other in range(partitions.own.size):
                joint.over[nth(own_queue(ledger, partitions, row, other))] = joint.state[Party.ROUND]
    elif joint.state[Party.SKIPS] > 0:
        joint.over[nth(ledger.asker_of[nth(row)])] = joint.state[Party.ROUND]
