"""What the first run of each policy family takes and compiles, and the second: python benchmarks/first_runs.py.

Each family is run in two processes of its own with an empty cache folder.  What is measured is schedule() on a few
jobs: compiling, or finding in the cache, and next to nothing else.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from numba.core.dispatcher import Dispatcher

from gpuyard.policy import Policy
from gpuyard.preemption import Preemption
from gpuyard.simulation import schedule
from gpuyard.tenancy import NO_TENANTS, Tenant, Tenants
from gpuyard.workload import Workload
from measure import command
from page import Section, Target, markdown
from workloads import draw, racked, uniform

__all__ = ["FAMILIES", "FirstRun", "first_run", "first_runs"]

_NODES = 16
_JOBS = 200
_LIMIT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Family:
    """Runs that need the same compiled functions."""

    policy: Policy = field(default_factory=Policy)
    tenants: Tenants = NO_TENANTS
    in_racks: bool = False
    fractions: bool = False
    """whether every second job asks for half a GPU"""
    combined: bool = False
    """whether it is made of several choices, each a family of its own"""


FAMILIES = {
    "`fifo` + `best-fit`": Family(),
    "`easy`": Family(policy=Policy(backfill="easy")),
    "`conservative`": Family(policy=Policy(backfill="conservative")),
    "`slurm`": Family(policy=Policy(backfill="slurm")),
    "`wfp`": Family(policy=Policy(order="wfp")),
    "`las`": Family(policy=Policy(backfill="fit", preemption=Preemption(rule="las"))),
    "`cells`": Family(policy=Policy(backfill="fit", cells={"owners": {"t": {"node": 4}}})),
    "tenants, quotas and reclaim": Family(
        policy=Policy(backfill="fit", preemption=Preemption(rule="reclaim")),
        tenants=Tenants(tenants=(Tenant(name="t", nominal=64),)),
    ),
    "`packed` in three levels": Family(policy=Policy(placement="packed"), in_racks=True),
    "`fgd`": Family(policy=Policy(placement="fgd")),
    "fractions of a GPU": Family(fractions=True),
    "`easy` + `packed` in three levels": Family(
        policy=Policy(backfill="easy", placement="packed"), in_racks=True, combined=True
    ),
    "`wfp` + `fgd`": Family(policy=Policy(order="wfp", placement="fgd"), combined=True),
    "`easy`, fractions of a GPU": Family(policy=Policy(backfill="easy"), fractions=True, combined=True),
}


@dataclass(frozen=True, kw_only=True)
class FirstRun:
    """What schedule() took in a process."""

    cpu_s: float
    compiled: int
    """functions that were not in the cache"""


def first_run(family: str, cache: Path) -> FirstRun:
    """Run a family in a process of its own."""
    child = command(family, cache=cache, script=Path(__file__).resolve())
    if child.code:
        raise SystemExit(child.stderr)
    return FirstRun(**json.loads(child.stdout))


def first_runs(families: Sequence[str] = tuple(FAMILIES)) -> Section:
    """Measure two runs of each family, from an empty cache."""
    rows, targets = [], []
    for name in families:
        with TemporaryDirectory() as folder:
            first, second = (first_run(name, Path(folder)) for _ in range(2))
        rows.append((name, f"{first.cpu_s:.2f}", f"{second.cpu_s:.2f}", f"{second.compiled}"))
        if not FAMILIES[name].combined:
            targets.append(
                Target(what=f"first run, {name}", measured=first.cpu_s, limit=_LIMIT_S, unit="s", detail="CPU")
            )
    return Section(
        title="First runs",
        note=f"CPU seconds of schedule() on {_JOBS} jobs and {_NODES} x 8, each time in a new process, the first time "
        "with an empty cache.",
        header=("family", "first run, CPU s", "second run, CPU s", "functions it compiles"),
        rows=rows,
        targets=targets,
    )


def main(family: str) -> None:
    """Run a family here, and print what it took."""
    asked = FAMILIES[family]
    workload = draw(_JOBS, _NODES).workload()
    if asked.fractions:
        halves = [500 if gpus == 1 and row % 2 == 0 else None for row, gpus in enumerate(workload.gpus.tolist())]
        place = workload.table.column_names.index("gpu_milli")
        column = pa.array(halves).cast(workload.table.schema.field(place).type)
        workload = Workload.from_table(workload.table.set_column(place, "gpu_milli", column), name="fractions")
    site = racked(_NODES) if asked.in_racks else uniform(_NODES)
    begun = time.process_time()
    schedule(workload, site, asked.policy, tenants=asked.tenants)
    cpu_s = time.process_time() - begun
    sys.stdout.write(json.dumps({"cpu_s": cpu_s, "compiled": _compiled()}))


def _compiled() -> int:
    """Return how many functions of the kernel were looked for in the cache in vain."""
    functions = {
        id(function): function
        for name, module in list(sys.modules.items())
        if name.startswith("gpuyard.kernel.")
        for function in vars(module).values()
        if isinstance(function, Dispatcher)
    }
    return sum(sum(each.stats.cache_misses.values()) for each in functions.values())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1])
    else:
        sys.stdout.write(markdown([first_runs()]))
