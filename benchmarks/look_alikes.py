"""Look-alikes of five published clusters, 2,000,000 jobs each (Kalos 400,000), beside what their sources say of them.

A figure holds if it is no farther from the published one than the last column says.
"""

import sys
from typing import NamedTuple

import numpy as np

from gpuyard.synthesis import SynthesisSpec, synthesise
from gpuyard.synthesis.look_alikes import LOOK_ALIKES
from gpuyard.workload import Workload

HOUR, DAY = 3600.0, 86_400.0
CHANCES, SIZES, TOP = (10, 25, 50, 75, 90, 95, 99), (1, 4, 8, 32, 128), (1, 5, 10, 20)
QUANTILES = {  # s at these percentages of jobs: Acme data, cdf_job_duration_util.pdf
    "seren": (7, 18, 134, 413, 1_352, 3_269, 27_500),
    "kalos": (23, 40, 125, 380, 1_546, 2_938, 13_700),
    "philly": (36, 108, 853, 3_186, 15_800, 68_700, 414_000),
    "helios": (14, 64, 201, 1_001, 6_969, 20_700, 146_000),
    "pai": (28, 90, 484, 3_095, 11_400, 22_700, 64_900),
}
MEANS = {"seren": 1_414, "kalos": 1_260, "philly": 18_006, "helios": 6_652, "pai": 4_787}  # s: cluster_summary.csv
AT_MOST = {  # % of jobs, and of GPU time, of at most so many GPUs: Acme data, cdf_job_gpunum.pdf
    "seren": ((53.9, 67.9, 96.7, 98.8, 99.6), (1.3, 2.4, 11.9, 19.1, 41.7)),
    "kalos": ((86.0, 88.4, 93.9, 94.7, 95.7), (0.1, 0.2, 0.6, 2.0, 3.7)),
    "philly": ((82.2, 92.0, 98.9, 100.0, 100.0), (16.1, 38.2, 88.0, 100.0, 100.0)),
    "helios": ((72.0, 80.5, 94.7, 99.4, 99.9), (5.3, 12.1, 41.3, 86.6, 97.5)),
    "pai": ((96.8, 99.1, 100.0, 100.0, 100.0), (67.0, 78.7, 100.0, 100.0, 100.0)),
}
PARTS = {"pai": (70.0, 0.68)}  # % of instances (Weng et al., NSDI 2022); mean request, computed from the trace
STATES = ("completed", "cancelled", "failed")
ENDS = {  # % of jobs, and of GPU time: Acme data, cluster_summary.csv
    "seren": ((49.7, 7.5, 42.9), (21.2, 66.4, 12.4)),
    "kalos": ((54.1, 6.2, 39.7), (31.3, 60.7, 8.0)),
    "philly": ((60.4, 9.0, 30.5), (32.1, 29.4, 38.6)),
    "helios": ((62.4, 22.1, 15.5), (51.3, 39.4, 9.3)),
}
CLUMPS = {"philly": (159.0, 15.0), "helios": (39.3, None)}  # index of dispersion of hourly counts; CV of the gaps
HOURS = {  # relative submissions at 0, 4, 8, 12, 16, 20 h
    "philly": (1.27, 0.70, 1.11, 0.75, 0.88, 1.02),
    "helios": (0.90, 0.49, 0.51, 1.23, 1.55, 1.33),
}
DAYS = {"philly": (0.86, 1.07, 1.14, 1.29, 1.44, 0.61, 0.59), "helios": (1.02, 1.10, 1.27, 1.20, 0.95, 0.68, 0.77)}
TOP_USERS = {"helios": (26, 54, 70, 86)}  # % of GPU time of the top users, middle of the four clusters: HeliosData
LARGEST_TENANT = {"philly": 50}  # % of jobs


class Row(NamedTuple):
    """One figure: published, of the look-alike, and how far apart they may be."""

    figure: str
    published: float
    made: float
    tolerance: float

    def holds(self) -> bool:
        """Return whether the look-alike is as near as it has to be."""
        return abs(self.made - self.published) <= self.tolerance


def rows(cluster: str) -> list[Row]:
    """Return all figures of the look-alike of a cluster."""
    jobs = 400_000 if cluster == "kalos" else 2_000_000
    spec = SynthesisSpec.from_mapping({"like": cluster, "jobs": jobs})
    made = synthesise(spec, gpus=LOOK_ALIKES[cluster].gpus, seed=0)
    return [*_run_times(cluster, made), *_sizes(cluster, made), *_ends(cluster, made), *_arrivals(cluster, made, spec),
            *_users(cluster, made)]  # fmt: skip


def _asked(made: Workload) -> np.ndarray:
    return made.floats("gpus") * made.integers("gpu_milli", 1000) / 1000


def _work(made: Workload) -> np.ndarray:
    return _asked(made) * made.floats("runtime")


def _run_times(cluster: str, made: Workload) -> list[Row]:
    runtime, published = made.floats("runtime"), zip(CHANCES, QUANTILES[cluster], strict=True)
    found = [Row(f"run time p{at}, s", value, np.percentile(runtime, at), 0.10 * value) for at, value in published]
    return [*found, Row("run time, mean, s", MEANS[cluster], runtime.mean(), 0.20 * MEANS[cluster])]


def _sizes(cluster: str, made: Workload) -> list[Row]:
    gpus, work = made.gpus, _work(made)
    found = []
    for most, jobs, time in zip(SIZES, *AT_MOST[cluster], strict=True):
        mine = gpus <= most
        found.append(Row(f"jobs of at most {most} GPUs, %", jobs, 100 * mine.mean(), 0.5))
        found.append(Row(f"GPU time of at most {most} GPUs, %", time, 100 * work[mine].sum() / work.sum(), 2.0))
    if cluster in PARTS:
        less, mean = PARTS[cluster]
        found.append(Row("jobs of less than one GPU, %", less, 100 * (_asked(made) < 1).mean(), 0.5))
        found.append(Row("GPUs asked for, mean", mean, _asked(made).mean(), 0.02))
    return found


def _ends(cluster: str, made: Workload) -> list[Row]:
    (codes, names), work = made.labels("state"), _work(made)
    found = []
    for state, jobs, time in zip(STATES, *ENDS.get(cluster, ((), ())), strict=False):
        mine = codes == names.index(state)
        found.append(Row(f"{state}, % of jobs", jobs, 100 * mine.mean(), 1.0))
        found.append(Row(f"{state}, % of GPU time", time, 100 * work[mine].sum() / work.sum(), 2.0))
    return found


def _arrivals(cluster: str, made: Workload, spec: SynthesisSpec) -> list[Row]:
    """Return how submissions are spread over whole weeks, beginning on a Monday."""
    submit = made.floats("submit_time") - (7 - spec.origin().weekday()) % 7 * DAY
    gaps = np.diff(submit)
    weeks = int(submit[-1] // (7 * DAY))
    submit = submit[(submit >= 0) & (submit < weeks * 7 * DAY)]
    counts = np.bincount((submit // HOUR).astype(int), minlength=weeks * 168).reshape(weeks, 7, 24)
    hours, days = counts.sum(axis=(0, 1)), counts.sum(axis=(0, 2))
    index, variation = CLUMPS.get(cluster, (None, None))
    found = []
    if index is not None:
        found.append(Row("index of dispersion, hourly counts", index, counts.var() / counts.mean(), 0.1 * index))
    if variation is not None:
        found.append(Row("CV between submissions", variation, gaps.std() / gaps.mean(), 0.1 * variation))
    found += [
        Row(f"submissions at {hour} h over mean", value, hours[hour] / hours.mean(), 0.1)
        for hour, value in zip((0, 4, 8, 12, 16, 20), HOURS.get(cluster, ()), strict=False)
    ]
    names = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
    found += [
        Row(f"submissions on {name} over mean", value, at / days.mean(), 0.1)
        for name, value, at in zip(names, DAYS.get(cluster, ()), days, strict=False)
    ]
    return found


def _users(cluster: str, made: Workload) -> list[Row]:
    work, found = _work(made), []
    if cluster in TOP_USERS:
        codes, names = made.labels("user")
        held = np.sort(np.bincount(codes, weights=work))[::-1]
        for part, share in zip(TOP, TOP_USERS[cluster], strict=True):
            top = 100 * held[: round(len(names) * part / 100)].sum() / work.sum()
            found.append(Row(f"GPU time of the top {part}% of users, %", share, top, 4.0))
    if cluster in LARGEST_TENANT:
        largest = 100 * np.bincount(made.labels("tenant")[0]).max() / len(made)
        found.append(Row("jobs of the largest tenant, %", LARGEST_TENANT[cluster], largest, 3.0))
    return found


if __name__ == "__main__":
    for cluster in QUANTILES:
        sys.stdout.write(f"{cluster:42}{'published':>12}{'look-alike':>12}{'within':>10}\n")
        for row in rows(cluster):
            digits = 1 if row.published < 1_000 and row.tolerance > 0.1 else 2 if row.tolerance <= 0.1 else 0
            shown = f"{row.published:12,.{digits}f}{row.made:12,.{digits}f}{row.tolerance:10,.{max(digits, 1)}f}"
            sys.stdout.write(f"  {row.figure:40}{shown}{'' if row.holds() else '  no'}\n")
