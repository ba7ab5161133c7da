"""Whose turn it is where cohorts share: each names a job of the child that would have the smallest share with it.

``docs/semantics.md``, *Fair sharing level by level*, is the specification.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.cohort_shares import has_below, passed_on, queue_share, tenant_share
from gpuyard.kernel.contenders import Contenders
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.joint_passing import is_passed_over
from gpuyard.kernel.joint_tables import Joint, Party
from gpuyard.kernel.joint_turns import drop_first, goes_before, next_turn
from gpuyard.kernel.partitions import Partitions, partition_of
from gpuyard.kernel.quotas import holder_of, resources_of
from gpuyard.kernel.stays import Stays
from gpuyard.kernel.tables import Records
from gpuyard.kernel.tenancy import ANY_TYPE, Between, Ledger, Share

__all__ = ["drop_passed_over", "whose_turn"]

_ROOT = 0


@inlined
def whose_turn(demand: Records, contenders: Contenders, stays: Stays, ledger: Ledger, joint: Joint) -> int:
    """Return the place whose turn it is, or NOBODY: as :func:`next_turn`, and where cohorts share."""
    place = next_turn(contenders, stays, ledger, joint)
    if place == NOBODY or ledger.state[Share.BETWEEN] != Between.COHORTS:
        return place
    _bring_named(demand, contenders, stays, ledger, joint)
    return int(joint.turn[nth(joint.queue[nth(joint.top[0])]["first"])])


@inlined
def drop_passed_over(
    contenders: Contenders, stays: Stays, ledger: Ledger, partitions: Partitions, joint: Joint
) -> None:
    """Let no queue name a job that is passed over, where cohorts share, once queues are in order."""
    if ledger.state[Share.BETWEEN] == Between.COHORTS:
        _drop_passed_over(contenders, stays, ledger, partitions, joint)


@kernel
def _drop_passed_over(
    contenders: Contenders, stays: Stays, ledger: Ledger, partitions: Partitions, joint: Joint
) -> None:
    top, place = joint.top, 0
    while place < joint.state[Party.QUEUES]:
        its = joint.queue[nth(top[nth(place)])]
        row = int(contenders.waiting[nth(joint.turn[nth(its["first"])])]["row"])
        if not is_passed_over(ledger, joint, partitions, row, partition_of(partitions, row)):
            place += 1
        elif not drop_first(contenders, stays, joint, int(top[nth(place)])):
            joint.state[Party.QUEUES] -= 1
            top[nth(place)] = top[nth(joint.state[Party.QUEUES])]


@kernel
def _bring_named(demand: Records, contenders: Contenders, stays: Stays, ledger: Ledger, joint: Joint) -> None:
    """Let the queue of the job that the root names stand before all others."""
    queue = joint.queue
    for number in range(queue.size):
        queue[nth(number)]["named"] = NOBODY
    for tenant in range(queue.size - 1, -1, -1):
        its = queue[nth(tenant)]
        if its["size"] > 0:
            row = int(contenders.waiting[nth(joint.turn[nth(its["first"])])]["row"])
            resource, more = _added(demand, ledger, row)
            share = queue_share(ledger, tenant, resource, more) if has_below(ledger, tenant) else 0.0
            _name(contenders, stays, joint, tenant, tenant, share, resource, more)
        if tenant == _ROOT or its["named"] == NOBODY:
            continue
        resource, more = int(its["resource"]), int(its["more"])
        share = tenant_share(ledger, tenant, resource, more)
        more = passed_on(ledger, tenant, resource, more)
        parent = int(ledger.tenant[nth(tenant)]["parent"])
        _name(contenders, stays, joint, parent, int(its["named"]), share, resource, more)
    named = queue[_ROOT]["named"]
    for place in range(joint.state[Party.QUEUES]):
        if joint.top[nth(place)] == named:
            joint.top[nth(place)] = joint.top[0]
            joint.top[0] = named
            return


@inlined
def _added(demand: Records, ledger: Ledger, row: int) -> tuple[int, int]:
    """Return what a waiting job adds to its queue: of which resource, and how many thousandths of GPUs."""
    number = int(ledger.asker_of[nth(row)])
    asker = ledger.asker[nth(number)]
    resource = int(asker["resource"])
    if resource != ANY_TYPE:
        return resource, int(asker["gpus"])
    first = NOBODY
    for kind in range(resources_of(ledger)):
        if demand[nth(asker["wish"])]["kinds"] >> kind & 1:
            if holder_of(ledger, number, kind)[0] == NOBODY:
                return kind, int(asker["gpus"])
            if first == NOBODY:
                first = kind
    return first, int(asker["gpus"])


@inlined
def _name(
    contenders: Contenders,
    stays: Stays,
    joint: Joint,
    cohort: int,
    number: int,
    share: float,
    resource: int,
    more: int,
) -> None:
    """Let a cohort name the first job of a queue if no child of it that named one before goes before this one.

    ``share`` is that of the child with this job, and ``more`` what the job adds to what the cohort uses.
    """
    its = joint.queue[nth(cohort)]
    if its["named"] != NOBODY:
        if its["share"] < share:
            return
        before = joint.queue[nth(its["named"])]
        one, other = joint.turn[nth(before["first"])], joint.turn[nth(joint.queue[nth(number)]["first"])]
        if its["share"] == share and goes_before(contenders, stays, joint, int(one), int(other)):
            return
    its["named"], its["share"], its["resource"], its["more"] = number, share, resource, more
