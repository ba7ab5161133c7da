"""Who finds no room even if all were away that may go for it: told by counts, where all jobs are plain."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, Promise
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.joint_memory import is_counted, may_claim
from gpuyard.kernel.joint_tables import Joint, Party
from gpuyard.kernel.prey import may_reach, tell_apart
from gpuyard.kernel.stays import Gain, Stays
from gpuyard.kernel.tables import Jobs, Log, Records, Site
from gpuyard.kernel.tenancy import Ledger
from gpuyard.kernel.windows import Windows

__all__ = ["may_find"]


@kernel
def may_find(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    stays: Stays,
    ledger: Ledger,
    expected: Expectations,
    windows: Windows,
    joint: Joint,
    row: int,
    level: int,
    short: bool,
    now: int,
) -> bool:
    """Return whether a job might find room if all were away that are less urgent; True where it is not known.

    If not, say in ``Gain.SHORT`` how many more nodes at least would have to change.
    """
    if joint.state[Party.PREEMPTS] == 0 or stays.reach.size == 0:
        return True
    if not is_counted(ledger, may_claim(ledger, row)):
        return True
    asked = demand[nth(ledger.asker[nth(ledger.asker_of[nth(row)])]["wish"])]
    until = now if joint.state[Party.SHARED] > 0 else NEVER
    tell_apart(jobs, site, log, stays, now, int(joint.state[Party.ORIGIN]), until)
    if not may_reach(site, stays, asked, level):
        return False
    beside = not short and expected.promise[Promise.RESERVED] > 0
    if windows.window.size == 0 and not beside:
        return True
    return _may_reach_open(site, stays, expected, windows, joint, asked, row, level, beside)


@inlined
def _may_reach_open(
    site: Site,
    stays: Stays,
    expected: Expectations,
    windows: Windows,
    joint: Joint,
    asked: Records,
    row: int,
    level: int,
    beside: bool,
) -> bool:
    """As :func:`gpuyard.kernel.prey.may_reach`, on the nodes that are open to a job, as far as that never changes.

    ``beside``: and not reserved.
    """
    nodes = site.node.size
    base, closed = level * nodes, int(windows.standing[nth(row)]) * nodes
    large, many, rest = int(asked["large"]), int(asked["many"]), int(asked["rest"])
    fitting, fitting_rest = 0, 0
    for node in range(nodes):
        gone = joint.shut[nth(closed + node)] > 0 or (beside and expected.is_reserved[nth(node)] > 0)
        there = 0 if gone else stays.reach[nth(base + node)]
        fitting += there >= large
        fitting_rest += there >= rest
    short = many - fitting
    if rest > 0:
        short = max(short, many + 1 - fitting_rest)
    stays.state[Gain.SHORT] = max(short, 1)
    return short <= 0
