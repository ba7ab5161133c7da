"""What is remembered of jobs that found no room: who need not be tried before something is given back.

A job that finds no room, whoever makes room for it, finds none either while jobs only start: what is free, and what
those hold who may be taken away, only becomes less.  Nor does another of its *kin* that is no more urgent and, where
windows begin later, would stay no shorter.  ``Party.GIVEN`` counts the slots that are given back or may be taken away
from now on; each lets one more node hold what it could not.  A job that no quota or limit admits, though all were
taken away that may be, waits until something is given back that was charged to the tenant or group that holds it.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, Promise
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.joint_tables import Joint, Party
from gpuyard.kernel.tables import Jobs, Site
from gpuyard.kernel.tenancy import Ledger, Share

__all__ = ["is_held", "is_vain", "note_given", "note_held", "note_pass", "note_start", "note_vain"]


@inlined
def is_vain(expected: Expectations, joint: Joint, row: int, level: int, short: bool) -> bool:
    """Return whether a job is known to find no room; one that is not ``short`` may not have the reserved nodes."""
    state, this = joint.state, joint.vain[nth(joint.kin[nth(row)])]
    longest = NEVER if state[Party.OPENS] > 0 else expected.estimate[nth(row)]
    if this["until"] > state[Party.GIVEN] and this["level"] <= level and this["length"] <= longest:
        return True
    if short or this["beside_until"] <= state[Party.GIVEN] or this["beside_level"] > level:
        return False
    return bool(this["beside_terms"] == expected.promise[Promise.TERMS] and this["beside_length"] <= longest)


@inlined
def note_vain(expected: Expectations, joint: Joint, row: int, level: int, short: bool, lacking: int) -> None:
    """Remember that a job found no room; ``lacking``: how many more nodes at least would have to hold a part of it."""
    until = joint.state[Party.GIVEN] + lacking
    this = joint.vain[nth(joint.kin[nth(row)])]
    if short:
        this["until"], this["level"], this["length"] = until, level, expected.estimate[nth(row)]
    else:
        this["beside_until"], this["beside_level"] = until, level
        this["beside_length"] = expected.estimate[nth(row)]
        this["beside_terms"] = expected.promise[Promise.TERMS]


@inlined
def is_held(ledger: Ledger, joint: Joint, row: int, level: int) -> bool:
    """Return whether a job is known not to be admitted, whoever is taken away."""
    this = joint.held[nth(ledger.asker_of[nth(row)])]
    if this["stirred"] != joint.stirred[nth(this["node"])]:
        return False
    return bool(this["level"] <= level and this["until"] > joint.state[Party.GIVEN])


@inlined
def note_held(ledger: Ledger, joint: Joint, row: int, level: int, node: int) -> None:
    """Remember that a tenant or group holds a job."""
    this = joint.held[nth(ledger.asker_of[nth(row)])]
    this["node"], this["level"], this["stirred"] = node, level, joint.stirred[nth(node)]
    this["until"] = joint.state[Party.GIVEN] + 1 if joint.state[Party.SHIFTS] > 0 else NEVER


@kernel
def note_given(jobs: Jobs, ledger: Ledger, joint: Joint, row: int) -> None:
    """Note that a job gives back what it holds, or may be taken away from now on."""
    joint.state[Party.GIVEN] += max(int(jobs.claim[nth(row)]["slots"]), 1)
    asker = ledger.asker[nth(ledger.asker_of[nth(row)])]
    for at in range(asker["first_link"], asker["first_link"] + asker["links"]):
        joint.stirred[nth(ledger.link[nth(at)]["node"])] += 1


@inlined
def note_start(site: Site, joint: Joint) -> None:
    """Note that a job starts."""
    if joint.state[Party.SHIFTS] > 0:
        joint.state[Party.GIVEN] += site.node.size + 1
        joint.state[Party.SHIFTED] = 1


@inlined
def note_pass(site: Site, ledger: Ledger, joint: Joint) -> None:
    """Forget at the beginning of a pass what who started in the one before may have changed: they may go now.

    So may others be taken first, where whom first changes with time, and that decides what else may be.
    """
    if joint.state[Party.SHIFTED] > 0 or (joint.state[Party.SHIFTS] > 0 and ledger.state[Share.LISTED] > 0):
        joint.state[Party.GIVEN] += site.node.size + 1
        joint.state[Party.SHIFTED] = 0
