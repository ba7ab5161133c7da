"""Prints how the jobs of each kind of the default classes end, beside the shares that they are drawn from.

``python benchmarks/ends_of_jobs.py`` prints the table of docs/validation.md: phase 1 for 30 days, the mean of 5 seeds.
"""

from __future__ import annotations

import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.synthesis import SynthesisSpec, synthesise
from gpuyard.synthesis.class_shares import DEFAULT_CLASSES
from gpuyard.synthesis.kinds import Kind

ENDS = ("completed", "cancelled", "failed")
FEW = 2_500


def ends(gpus: int, days: float, seed: int) -> dict[str, tuple[int, NDArray[np.float64]]]:
    """Return the jobs of each kind and class, and their shares by end: of the jobs and of the GPU time, shape (2, 3).

    ``*`` is all kinds of a class.
    """
    made = synthesise(SynthesisSpec(days=days), gpus=gpus, seed=seed, node_cpus=112.0)
    table = pa.table({
        "kind": pc.replace_substring_regex(made.table["job_id"], "(-[0-9]+)+$", ""),
        "class": made.table["job_class"],
        "state": made.table["state"],
        "jobs": np.ones(len(made)),
        "time": made.gpus * made.floats("runtime"),
    })  # fmt: skip
    found: dict[str, tuple[int, NDArray[np.float64]]] = {}
    for key, ending in (("kind", ""), ("class", "-*")):
        sums = table.group_by([key, "state"]).aggregate([("jobs", "sum"), ("time", "sum")]).to_pylist()
        for name in dict.fromkeys(row[key] for row in sums):
            mine = {row["state"]: (row["jobs_sum"], row["time_sum"]) for row in sums if row[key] == name}
            shares = np.array([mine.get(end, (0.0, 0.0)) for end in ENDS], dtype=np.float64).T
            jobs = int(shares[0].sum())
            found[name + ending] = jobs, shares / shares.sum(axis=1, keepdims=True)
    return found


def within(kind: Kind, jobs: int) -> tuple[float, float] | None:
    """Return how far the shares of the jobs and of the GPU time of one month may be from the source's, in points.

    None for fewer than FEW jobs, of which some dozens hold most of the GPU time.
    """
    if jobs < FEW:
        return None
    return {"training-pretrain": (1.0, 12.0), "drug-discovery-free-energy": (7.0, 7.0)}.get(kind.key, (2.0, 10.0))


def main() -> None:
    """Print the table."""
    runs = [ends(20_000, 30, seed) for seed in range(5)]
    lines = [
        "| kind | standing | jobs | of jobs: source | made | of GPU time: source | made | within, points |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for kind in (kind for one in DEFAULT_CLASSES for kind in one.kinds() if kind.service is None):
        jobs = round(float(np.mean([run[kind.key][0] for run in runs])), -1)
        made = np.mean([run[kind.key][1] for run in runs], axis=0)
        allowed = within(kind, int(jobs))
        shares = [kind.states.jobs, made[0], kind.states.gpu_time, made[1]]
        last = "few jobs" if allowed is None else f"{allowed[0]:g}, {allowed[1]:g}"
        cells = [kind.key, kind.states.evidence.standing, f"{jobs:,.0f}", *(_shown(each) for each in shares), last]
        lines.append(f"| {' | '.join(cells)} |")
    sys.stdout.write("\n".join(lines) + "\n")


def _shown(shares: NDArray[np.float64] | tuple[float, ...]) -> str:
    return " / ".join(f"{100 * share:.1f}" for share in shares)


if __name__ == "__main__":
    main()
