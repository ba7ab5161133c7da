"""What benchmarks simulate: Poisson arrivals, log-normal run times and few sizes, for us and for the yardstick.

Times are whole milliseconds, so that both programs are given the same numbers exactly.  With the same seed the draws
are those of the yardstick's own generator.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv_format
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.workload import MICROSECOND, Workload

__all__ = ["GPUS_PER_NODE", "TICKS", "Jobs", "draw", "kept_waiting", "racked", "uniform"]

GPUS_PER_NODE = 8
TICKS = MICROSECOND // 1000
"""Engine ticks in a millisecond."""
_GPUS = (1, 2, 4, 8, 16, 32, 64)
_SHARES = (0.55, 0.10, 0.12, 0.15, 0.04, 0.03, 0.01)
_MEDIAN_S = 600
_SIGMA = 2.0


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """Drawn jobs in the order of submission: int64 milliseconds and GPUs, each of shape (jobs,)."""

    submit: NDArray[np.int64]
    runtime: NDArray[np.int64]
    gpus: NDArray[np.int64]

    def __len__(self) -> int:
        return self.submit.size

    def workload(self) -> Workload:
        """Return the jobs as a simulation takes them."""
        return Workload.from_table(
            pa.table(
                {
                    "job_id": pa.array(np.arange(len(self))).cast(pa.string()),
                    "submit_time": self.submit / 1000,
                    "runtime": self.runtime / 1000,
                    "gpus": self.gpus,
                }
            ),
            name="benchmark",
        )

    def write(self, path: Path) -> Path:
        """Write the jobs as the yardstick reads them: a header, then whole numbers; nobody is killed at a limit."""
        columns = {"submit": self.submit, "duration": self.runtime, "gpus": self.gpus, "walltime": self.runtime}
        csv_format.write_csv(pa.table({"job_id": np.arange(len(self)), **columns}), path)
        return path


def draw(jobs: int, nodes: int, *, load: float = 1.0, seed: int = 1) -> Jobs:
    """Return so many jobs that offer ``load`` times the GPU time of ``nodes`` nodes while they arrive."""
    random = np.random.default_rng(seed)
    gpus = random.choice(np.array(_GPUS), jobs, p=_SHARES)
    seconds = random.lognormal(np.log(_MEDIAN_S), _SIGMA, jobs)
    runtime = np.maximum(1, np.rint(1000 * seconds)).astype(np.int64)
    arrival = random.exponential(1, jobs).cumsum()
    span = (gpus * runtime).sum() / (nodes * GPUS_PER_NODE * load)
    submit = np.rint(arrival / arrival[-1] * span).astype(np.int64)
    return Jobs(submit=submit, runtime=runtime, gpus=gpus)


def kept_waiting(jobs: Jobs, start: NDArray[np.int64], depth: int) -> Jobs:
    """Return the jobs submitted so that under strict fifo exactly ``depth`` of them wait until arrivals end.

    ``start`` (milliseconds) is when they start if all are submitted at once.  Each is then submitted when the job
    ``depth`` places before it starts; as it still waits long before its turn, it starts when it would have.
    """
    submit = np.zeros(len(jobs), np.int64)
    submit[depth:] = start[: len(jobs) - depth]
    return replace(jobs, submit=submit)


def uniform(nodes: int) -> Cluster:
    """Return equal nodes, all equally near."""
    return Cluster.uniform(nodes=nodes, gpus_per_node=GPUS_PER_NODE)


def racked(nodes: int) -> Cluster:
    """Return equal nodes in the three levels of phase 1: racks of 4, leaves of 32, pods of 256 nodes."""
    fabric = {"kind": "rail-optimized", "rails": 8, "link_gbps": 400, "hosts_per_rack": 4, "hosts_per_leaf": 32}
    block = {
        "name": "b",
        "hardware": "hgx-h200",
        "nodes": nodes,
        "fabric": {**fabric, "leaves_per_pod": 8, "radix": 64},
    }
    return Cluster.from_mapping({"blocks": [block]})
