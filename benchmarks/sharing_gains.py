"""What sharing gains: virtual clusters with their own nodes against one queue on all of them, seed by seed.

python benchmarks/sharing_gains.py TRACES [SEEDS [SITE ...]]

TRACES is the folder of the public traces.  Means are over jobs, then over seeds, with half the width of the 95 %
interval of Student's t; a gain is that of the same jobs in both.
"""

from __future__ import annotations

import csv
import gzip
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

import gpuyard as gy
from gpuyard.fitting import fit, look_alike
from gpuyard.synthesis import SynthesisSpec, synthesise

GPUS = 8  # of a node; for Philly an assumption
DAYS = 30
RESTART = {"restart_cost": 62.0}  # s: the mean cost of a preemption in Tiresias' measurements (Gu et al. 2019)
POLICIES: Mapping[str, Mapping[str, object]] = {
    "fifo": {},
    "easy": {},
    "qssf": {},
    "srtf": {"preemption": RESTART},
    "las": {"preemption": RESTART},
}
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 8: 2.365, 10: 2.262, 12: 2.201, 20: 2.093}
"""97.5 % points of Student's t with one degree of freedom less than so many seeds."""
GPU_HOURS = 13.7  # of a GPU job of Helios: all GPU time over all GPU jobs (helios_cluster_summary.csv)
VENUS_LOAD = 0.731  # GPU time of all jobs in 181 days (helios_cluster_summary.csv) over 1,080 GPUs


class Site(NamedTuple):
    """Nodes of each virtual cluster, and where its jobs come from."""

    nodes: Mapping[str, int]
    jobs: Iterator[gy.Workload]


def philly(traces: Path, seeds: int) -> Site:
    """Return Philly's virtual clusters of known size, and look-alikes of the record."""
    rows = csv.DictReader((traces / "microsoft_philly_2017" / "philly_vc.csv").read_text().splitlines())
    nodes = {row["vc"]: int(row["node num"]) for row in rows}
    recorded = gy.read_trace(traces / "microsoft_philly_2017" / "philly.csv")
    if seeds == 0:
        return Site(nodes, iter([recorded]))
    model = fit(recorded)
    return Site(nodes, (look_alike(model, seed=seed) for seed in range(seeds)))


def venus(traces: Path, seeds: int) -> Site:
    """Return the sizes of Helios Venus; that each is asked for in proportion to its size is an assumption."""
    rows = csv.reader((traces / "sensetime_helios_2020" / "venus_vc_config.csv").read_text().splitlines()[1:])
    nodes = {name: int(number) for name, number in rows}
    total = sum(nodes.values())
    return Site(nodes, _helios(nodes, {name: VENUS_LOAD * each / total for name, each in nodes.items()}, seeds))


def earth(traces: Path, seeds: int) -> Site:
    """Return the sizes of Helios Earth in May 2020, each asked for as much as was held of it then."""
    nodes, held = {}, {}
    for path in sorted((traces / "sensetime_helios_2020" / "earth_vc_sequence").glob("*.csv.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        name = path.name.removesuffix(".csv.gz")
        nodes[name] = int(rows[0]["total_gpu_num"]) // GPUS
        held[name] = statistics.fmean(int(row["running_gpu_num"]) for row in rows)
    total = GPUS * sum(nodes.values())
    return Site(nodes, _helios(nodes, {name: each / total for name, each in held.items()}, seeds))


def _helios(nodes: Mapping[str, int], demand: Mapping[str, float], seeds: int) -> Iterator[gy.Workload]:
    """Yield look-alikes of Helios' jobs whose users are spread over virtual clusters as these are asked for."""
    gpus, load = GPUS * sum(nodes.values()), sum(demand.values())
    spec = SynthesisSpec.from_mapping({"like": "helios", "days": DAYS, "rate": load * gpus / GPU_HOURS})
    for seed in range(seeds):
        jobs = synthesise(spec, gpus=gpus, seed=seed, max_gpus_per_job=GPUS * max(nodes.values()) // 2)
        yield _spread(_loaded(jobs, load * gpus), nodes, demand)


def _loaded(jobs: gy.Workload, gpus: float) -> gy.Workload:
    """Return the jobs with run times multiplied by what makes them need so many GPUs in the mean."""
    runtime = jobs.floats("runtime")
    factor = gpus * DAYS * 86_400 / float((jobs.gpus * runtime).sum())
    return _with(jobs, "runtime", pa.array(runtime * factor))


def _with(jobs: gy.Workload, column: str, values: pa.Array) -> gy.Workload:
    at = jobs.table.schema.get_field_index(column)
    return gy.Workload.from_table(jobs.table.set_column(at, column, values))


def _spread(jobs: gy.Workload, nodes: Mapping[str, int], demand: Mapping[str, float]) -> gy.Workload:
    """Return the jobs with a tenant: those of one user and size together, the heaviest first, where most is missing.

    None joins a virtual cluster of which it asks for more than half, but the largest.
    """
    sizes, unit = np.unique(np.stack([jobs.gpus, jobs.labels("user")[0]]), axis=1, return_inverse=True)
    work = np.bincount(unit.ravel(), weights=jobs.gpus * jobs.floats("runtime"))
    missing = {name: each / sum(demand.values()) * work.sum() for name, each in demand.items()}
    chosen = np.empty(work.size, object)
    for each in np.argsort(-work, kind="stable").tolist():
        wide = [name for name in nodes if nodes[name] * GPUS >= 2 * sizes[0, each]]
        chosen[each] = max(wide or [max(nodes, key=nodes.__getitem__)], key=lambda name: missing[name])
        missing[chosen[each]] -= work[each]
    return _with(jobs, "tenant", pa.array(chosen[unit.ravel()].tolist()))


class Outcome(NamedTuple):
    """Means over jobs, s: waits at first start, and completion; completion by virtual cluster."""

    wait: float
    jct: float
    of_each: Mapping[str, float]


def outcome(jobs: gy.Workload, nodes: Mapping[str, int], policy: str, *, apart: bool, size: int = 0) -> Outcome:
    """Return how jobs fare in virtual clusters, or in one queue on all nodes or on ``size``."""
    site = gy.Cluster.uniform(nodes=size or sum(nodes.values()), gpus_per_node=GPUS)
    parts = [gy.VirtualCluster(name=name, gpus=GPUS * each) for name, each in nodes.items()] if apart else []
    sums = gy.simulate(jobs, site, policy=policy, virtual_clusters=parts, **POLICIES[policy]).summary()
    of_each = {name: block["jct_s"]["mean"] for name, block in sums["by_tenant"].items()}
    return Outcome(sums["wait_s"]["mean"], sums["jct_s"]["mean"], of_each)


def fitting(jobs: gy.Workload, nodes: Mapping[str, int]) -> gy.Workload:
    """Return the jobs that their virtual cluster could ever run; all others are left out on both sides."""
    code, names = jobs.labels("tenant")
    most = np.array([GPUS * nodes.get(name, 0) for name in names])[code]
    return jobs.where(jobs.gpus <= most, "larger than their virtual cluster")


def enough(jobs: gy.Workload, nodes: Mapping[str, int], wait: float) -> int:
    """Return the fewest nodes on which jobs in one queue under easy wait no longer in the mean."""
    low, high = max(-(-int(jobs.gpus.max()) // GPUS), 1), sum(nodes.values())
    while low < high:
        middle = (low + high) // 2
        if outcome(jobs, nodes, "easy", apart=False, size=middle).wait <= wait:
            high = middle
        else:
            low = middle + 1
    return high


def spread(values: Sequence[float], form: str) -> str:
    """Return a mean, and with several values half the width of its 95 % interval."""
    mean = format(statistics.fmean(values), form)
    if len(values) == 1:
        return mean
    half = STUDENT[len(values)] * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean} +-{format(half, form)}"


def table(title: str, site: Site) -> Iterator[str]:
    """Yield the lines that tell of one site."""
    workloads = [(jobs, fitting(jobs, site.nodes)) for jobs in site.jobs]
    total, count = sum(site.nodes.values()), sum(len(kept) for _, kept in workloads)
    out = 1 - count / sum(len(jobs) for jobs, _ in workloads)
    load = [_load(kept, total) for _, kept in workloads]
    yield f"{title}: {len(site.nodes)} virtual clusters, {total} nodes, load {spread(load, '.3f')}"
    yield f"{count / len(workloads):,.0f} jobs a seed; {out:.2%} left out, too large or in none"
    heads = ("wait apart, s", "wait shared, s", "completion apart", "sharing saves, s")
    yield f"{'':6}{''.join(f'{each:>20}' for each in heads)}{'worse':>7}"
    few: list[int] = []
    for policy in POLICIES:
        pairs = [[outcome(kept, site.nodes, policy, apart=each) for each in (True, False)] for _, kept in workloads]
        worse = [sum(two.of_each[name] > 1.01 * one.of_each[name] for name in one.of_each) for one, two in pairs]
        columns = (
            [one.wait for one, _ in pairs],
            [two.wait for _, two in pairs],
            [one.jct for one, _ in pairs],
            [one.jct - two.jct for one, two in pairs],
        )
        told = "".join(f"{spread(each, ',.0f'):>20}" for each in columns)
        yield f"{policy:6}{told}{statistics.fmean(worse):>7.1f}"
        if policy == "easy":
            few = [enough(kept, site.nodes, pair[0].wait) for (_, kept), pair in zip(workloads, pairs, strict=True)]
    share = spread([each / total for each in few], ".1%")
    yield f"easy waits as long shared as apart on {spread(few, '.0f')} nodes, {share} of them"
    yield ""


def _load(jobs: gy.Workload, nodes: int) -> float:
    """Return the GPU time asked for over what there is while jobs come."""
    return float((jobs.gpus * jobs.floats("runtime")).sum() / np.ptp(jobs.floats("submit_time")) / (GPUS * nodes))


SITES = {"philly": philly, "venus": venus, "earth": earth}


def main() -> None:
    """Print the tables of the sites that are named, or of all."""
    traces, seeds = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10
    names = sys.argv[3:] or ["record", *SITES]
    titles = {"record": "Philly as recorded", "philly": "Philly look-alikes"}
    for name in names:
        site = philly(traces, 0) if name == "record" else SITES[name](traces, seeds)
        for line in table(titles.get(name, f"Helios {name.title()}"), site):
            sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
