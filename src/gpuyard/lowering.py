"""Turn workload, cluster and policy into the kernel's tables: names to codes, seconds to ticks, shapes to chunks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError
from gpuyard.kernel import build
from gpuyard.kernel.codes import NEVER, NOBODY, Left, Placement
from gpuyard.kernel.own import address_of
from gpuyard.kernel.score_build import build_mix, build_scores, empty_mix
from gpuyard.kernel.score_tables import Scores
from gpuyard.kernel.tables import ARRAY, CAPACITY, CHUNK, DEMAND, HOLD, NODE, Dependencies, Records, Site
from gpuyard.locality import largest_block, lower_domains, lower_rails
from gpuyard.policy import OWN_PLACEMENTS, Policy
from gpuyard.shapes import largest_nodes, write_shapes
from gpuyard.wishes import WHOLE, exclusive_jobs, segments, wishes
from gpuyard.workload import Workload, array_tasks, to_ticks

__all__ = [
    "Asked",
    "Rejections",
    "lower_demands",
    "lower_dependencies",
    "lower_durations",
    "lower_site",
    "reject_behind",
    "reject_contradictions",
    "rule_of",
    "with_types",
]

_PLACEMENTS = {
    "first-fit": Placement.FIRST_FIT,
    "best-fit": Placement.BEST_FIT,
    "worst-fit": Placement.WORST_FIT,
    "random": Placement.RANDOM,
    "spread": Placement.SPREAD,
    "rail-aligned": Placement.RAIL_ALIGNED,
    "topology-tree": Placement.TOPOLOGY_TREE,
    "topology-block": Placement.TOPOLOGY_BLOCK,
    "packed": Placement.PACKED,
    "fgd": Placement.FGD,
    "least-left": Placement.LEAST_LEFT,
    "dot-product": Placement.DOT_PRODUCT,
    "gpu-packing": Placement.GPU_PACKING,
    "gpu-clustering": Placement.GPU_CLUSTERING,
}
_MOST_WORDS = 2**27
"""64-bit words of an index over nodes: 1 GiB."""
_FOR_EVER = 2**32
"""Parents that never end: a job with so many is not submitted to the engine."""


class Rejections:
    """Which jobs cannot be simulated, and why: the first reason found stays."""

    def __init__(self, jobs: int) -> None:
        self.reason = np.zeros(jobs, np.int16)
        self.texts: list[str] = [""]

    def add(self, rows: NDArray[np.bool_], text: str) -> None:
        """Reject the marked jobs that are not rejected yet."""
        fresh = rows & (self.reason == 0)
        if fresh.any():
            if text not in self.texts:
                self.texts.append(text)
            self.reason[fresh] = self.texts.index(text)

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """bool, shape (jobs,): jobs not rejected so far."""
        return self.reason == 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What jobs ask for: the distinct demands, and which one each job has."""

    demands: Records
    """shape (demands,)"""
    demand: NDArray[np.int32]
    """shape (jobs,)"""
    chunks: NDArray[np.int64]
    """shape (demands,): the most nodes a job with this demand can sit on"""
    quanta: int
    """parts that a GPU is divided into; 0 when single GPUs are not tracked: no fractions, no rails"""


def lower_demands(workload: Workload, cluster: Cluster, policy: Policy) -> Asked:
    """Return the distinct demands of a workload on a cluster."""
    demand, columns, quantum = wishes(workload, cluster, policy)
    gpus, share, cpu, memory, kinds, nodes, spread_, alone_, segment = columns
    demands = np.zeros(gpus.size, DEMAND)
    for name, column in zip(DEMAND.names or (), (gpus, share, cpu, memory, kinds, nodes), strict=False):
        demands[name] = column
    demands["spread"], demands["alone"], demands["segment"] = spread_, alone_, segment
    chunks = write_shapes(demands, cluster)
    quanta = WHOLE // quantum if quantum else int(rule_of(policy) == Placement.RAIL_ALIGNED)
    if policy.backfill in ("fit", "easy") and policy.replay == "schedule":
        demands["lane"] = np.arange(gpus.size)
    _mark_plain(demands, cluster, policy, fraction=quanta > 0)
    return Asked(demands=demands, demand=demand, chunks=chunks, quanta=quanta)


def with_types(asked: Asked, cluster: Cluster, policy: Policy) -> tuple[Asked, NDArray[np.int32]]:
    """Return the demands with those added that each would be if it named one of its GPU types alone.

    The second is int32, shape (demands, types): the number of each such demand; NOBODY for a type that is not allowed,
    the demand itself where it allows no other.
    """
    given = asked.demands
    found = np.full((given.size, len(cluster.gpu_types)), NOBODY, np.int32)
    added: list[tuple[int, int]] = []
    for wish in range(given.size):
        kinds = [kind for kind in range(len(cluster.gpu_types)) if int(given["kinds"][wish]) >> kind & 1]
        for kind in kinds:
            alone = len(kinds) == 1 or given["gpus"][wish] == 0
            found[wish, kind] = wish if alone else given.size + len(added)
            if not alone:
                added.append((wish, kind))
    demands = np.concatenate([given, given[[wish for wish, _ in added]]])
    demands["kinds"][given.size :] = [1 << kind for _, kind in added]
    chunks = write_shapes(demands, cluster)
    for number, (wish, _) in enumerate(added, given.size):
        chunks[wish] = max(chunks[wish], chunks[number])
    _mark_plain(demands, cluster, policy, fraction=asked.quanta > 0)
    return Asked(demands=demands, demand=asked.demand, chunks=chunks, quanta=asked.quanta), found


def _mark_plain(demands: Records, cluster: Cluster, policy: Policy, *, fraction: bool) -> None:
    """Mark the demands that the engine's own loop can place or give back, and write their chunks."""
    levels = policy.placement == "packed" and bool(cluster.levels.names)
    direct = policy.placement in ("first-fit", "best-fit", "worst-fit", "packed")
    asked = (demands["gpus"] > 0) & (demands["kinds"] > 0)
    free = asked & (demands["cpu"] == 0) & (demands["memory"] == 0) & (demands["alone"] == 0)
    demands["bare"] = free & direct & (not fraction)
    shaped = (demands["bare"] == 1) & (demands["nodes"] == 0) & (demands["spread"] == 0)
    one_kind = len(cluster.gpu_types) == 1
    demands["plain"] = shaped & one_kind & ((demands["whole"] > 0) | (not levels))
    tightest = policy.placement in ("best-fit", "packed")
    demands["single"] = shaped & (demands["plain"] == 0) & (demands["cut"] == 0) & tightest
    large = np.where(demands["whole"] == 0, max(int(largest_nodes(cluster).max()), 1), np.maximum(demands["gpus"], 1))
    demands["large"] = large
    demands["many"] = demands["gpus"] // large
    demands["rest"] = demands["gpus"] % large


def reject_contradictions(workload: Workload, policy: Policy, rejections: Rejections) -> None:
    """Reject the jobs that ask for what no cluster has."""
    alone = exclusive_jobs(workload, policy)
    fraction = (workload.gpus == 1) & (workload.integers("gpu_milli", WHOLE) < WHOLE)
    spread = ((workload.integers("spread", 0) > 0) | policy.spread) & (workload.gpus > 0) & ~fraction
    rejections.add(alone & spread, "asks for nodes to itself and for GPUs from anywhere")
    segment, nodes = segments(workload, policy), workload.integers("nodes", 0)
    uneven = (segment > 0) & (segment <= nodes) & (nodes % np.maximum(segment, 1) > 0)
    rejections.add(uneven & ~(fraction & ~alone) & ~spread, "asks for segments that do not divide its nodes")


def lower_durations(workload: Workload, policy: Policy, rejections: Rejections) -> NDArray[np.int64]:
    """Return how long each job runs, in ticks; jobs that cannot be simulated are rejected."""
    fraction = (workload.gpus == 1) & (workload.integers("gpu_milli", WHOLE) < WHOLE)
    spread = ((workload.integers("spread", 0) > 0) | policy.spread) & ~fraction
    wide = (workload.integers("nodes", 0) > workload.gpus) & (workload.gpus > 0) & ~spread
    rejections.add(wide, "asks for more nodes than GPUs")
    if policy.replay == "recorded":
        start, end = to_ticks(workload.floats("start_time")), to_ticks(workload.floats("end_time"))
        rejections.add(start == NEVER, "no recorded start to replay")
        known = (start != NEVER) & (end != NEVER)
        duration = np.where(known, np.maximum(end - np.where(known, start, 0), 0), workload.runtime)
        rejections.add(duration == NEVER, "no run time in the record")
        return duration
    rejections.add(workload.runtime == NEVER, "no run time in the record")
    if policy.on_limit == "kill":
        return np.minimum(workload.runtime, workload.time_limit)
    return workload.runtime.copy()


def lower_dependencies(
    workload: Workload, policy: Policy, rejections: Rejections, running: NDArray[np.bool_] | None = None
) -> Dependencies:
    """Return who waits for whom; empty where no job is ever held back.  Jobs behind a rejected one are rejected.

    Parameters
    ----------
    running
        bool, shape (jobs,): jobs that run before the first instant; they wait for nothing and are never submitted.
    """
    nobody = np.empty(0, np.int32)
    hold = np.zeros(len(workload), HOLD)
    hold["array"] = NOBODY
    no_array = np.empty(0, ARRAY)
    if policy.replay == "recorded":
        hold["bound"] = np.maximum(to_ticks(workload.floats("start_time")), workload.submit)
        return Dependencies(hold=hold, child=nobody, array=no_array, task=nobody)
    parent, child = workload.parents.edges()
    runs = np.zeros(len(workload), np.bool_) if running is None else running
    if running is not None:
        parent, child = parent[~runs[child]], child[~runs[child]]
    not_before = to_ticks(workload.floats("not_before"))
    limited = workload.has("array_limit")
    if parent.size == 0 and np.all(not_before == NEVER) and not limited and not runs.any():
        return Dependencies(hold=np.empty(0, HOLD), child=nobody, array=no_array, task=nobody)
    reject_behind(parent, child, rejections)
    if not rejections.accepted.all():
        kept = rejections.accepted[child]
        parent, child = parent[kept], child[kept]
    think = to_ticks(workload.floats("think_time"))
    hold["unmet"] = np.bincount(child, minlength=hold.size)
    hold["bound"] = np.where(not_before == NEVER, -NEVER, not_before)
    hold["think"] = np.where(think == NEVER, 0, think)
    hold["children"] = np.bincount(parent, minlength=hold.size)
    hold["first_child"] = np.cumsum(hold["children"]) - hold["children"]
    array, task = _lower_arrays(workload, hold) if limited else (no_array, nobody)
    hold["unmet"][runs] = _FOR_EVER
    busy = hold["array"][runs & rejections.accepted]
    np.subtract.at(array["free"], busy[busy != NOBODY], 1)
    return Dependencies(hold=hold, child=child.astype(np.int32), array=array, task=task)


def _lower_arrays(workload: Workload, hold: Records) -> tuple[Records, NDArray[np.int32]]:
    """Return the arrays with a limit and their tasks; write each task's array."""
    code, limit = array_tasks(workload)
    task = np.flatnonzero(code >= 0)
    task = task[np.argsort(code[task], kind="stable")]
    array = np.zeros(limit.size, ARRAY)
    size = np.bincount(code[task], minlength=limit.size)
    array["end"] = np.cumsum(size)
    array["first"] = array["end"] - size
    array["cursor"] = array["end"]
    array["free"] = limit
    hold["array"] = code
    return array, task.astype(np.int32)


def reject_behind(parent: NDArray[np.int64], child: NDArray[np.int64], rejections: Rejections) -> None:
    """Reject every job that depends, directly or not, on a rejected one."""
    while True:
        behind = np.zeros(rejections.reason.size, np.bool_)
        behind[child[~rejections.accepted[parent]]] = True
        if not np.any(behind & rejections.accepted):
            return
        rejections.add(behind, "depends on a job that is rejected")


def rule_of(policy: Policy) -> Placement:
    """Return the code of a policy's placement."""
    return _PLACEMENTS.get(str(policy.placement), Placement.OWN)


def lower_site(
    cluster: Cluster,
    policy: Policy,
    asked: Asked,
    stream: int,
    mix: NDArray[np.int64] | None = None,
    number: NDArray[np.int64] | None = None,
) -> Site:
    """Return the empty cluster.

    Parameters
    ----------
    stream
        Of random placement.
    mix
        int64, shape (demands,): how many jobs of the workload have each demand; by default none.
    number
        int64, shape (jobs,): the row by which random placement draws for each job; by default its own.

    Raises
    ------
    ConfigError
        For a block that is no level, nodes of more GPUs than the placement knows, and more nodes, or more GPUs where
        single GPUs are tracked, than an index can hold.
    """
    tracked = cluster.gpus if asked.quanta else 0
    if max(cluster.nodes, tracked) > build.MOST_ITEMS:
        what = f"{cluster.nodes} nodes" if cluster.nodes > build.MOST_ITEMS else f"{tracked} GPUs shared in fractions"
        raise ConfigError(f"'{cluster.name}' has {what}; at most {build.MOST_ITEMS:,} can be simulated")
    kinds = len(cluster.gpu_types)
    rows = kinds * (int(cluster.node_gpus.max()) + 1)
    if rows * (cluster.nodes // 64 + 1) > _MOST_WORDS:
        raise ConfigError(
            f"'{cluster.name}' has {cluster.nodes:,} nodes, the largest with {int(cluster.node_gpus.max()):,} GPUs: "
            f"too many different sizes to keep apart; describe its large nodes as several"
        )
    node = np.zeros(cluster.nodes, NODE)
    node["free"] = node["size"] = cluster.node_gpus
    node["kind"] = cluster.node_type
    node["first_gpu"] = np.cumsum(cluster.node_gpus) - cluster.node_gpus
    node["cpu"] = _capacity(cluster.node_cpus, WHOLE, cluster.nodes)
    node["memory"] = _capacity(cluster.node_memory_gib, 1024, cluster.nodes)
    n_keys = int(node["free"].max()) + 1
    lowest = 0 if np.any(asked.demands["gpus"] == 0) else 1
    gpu, shares = build.build_gpus(node, kinds, asked.quanta)
    plan = np.zeros(Left.SIZE, np.int64)
    plan[Left.KIND] = NOBODY
    largest = largest_nodes(cluster).astype(np.int64)
    rule = rule_of(policy)
    masks, sets = lower_rails(cluster, rule)
    return Site(
        node=node,
        openings=build.build_index(kinds, n_keys, node["kind"], node["free"], lowest),
        gpu=gpu,
        shares=shares,
        quanta=asked.quanta,
        domains=lower_domains(cluster, rule, policy.block_level, asked.demands, node),
        largest=largest,
        chunk=np.zeros(int(asked.chunks.max(initial=1)), CHUNK),
        plan=plan,
        rule=int(rule),
        stream=stream,
        number=np.empty(0, np.int64) if number is None else number,
        scores=_lower_scores(cluster, policy, asked, node, largest, mix),
        capacity=_lower_capacity(asked, node),
        hidden=np.zeros(0 if np.all(asked.demands["alone"]) else cluster.nodes, np.int32),
        rail=masks,
        rail_sets=sets,
        block=largest_block(cluster, rule, policy.block_level),
    )


def _lower_capacity(asked: Asked, node: Records) -> Records:
    """Return what each node has when it is empty; nothing unless some job is alone on its nodes."""
    capacity = np.zeros(node.size if np.any(asked.demands["alone"]) else 0, CAPACITY)
    for name in CAPACITY.names or ():
        capacity[name] = node[name][: capacity.size]
    return capacity


def _lower_scores(
    cluster: Cluster,
    policy: Policy,
    asked: Asked,
    node: Records,
    largest: NDArray[np.int64],
    mix: NDArray[np.int64] | None,
) -> Scores:
    """Return what a placement that scores every candidate keeps; empty under any other."""
    rule = rule_of(policy)
    if rule != Placement.FGD or mix is None:
        mixed = empty_mix(largest.size, asked.quanta)
    else:
        if int(mix.sum()) * cluster.gpus * WHOLE >= NEVER:
            raise ConfigError(f"placement fgd: {int(mix.sum()):,} jobs on {cluster.gpus:,} GPUs are too many to weigh")
        mixed = build_mix(asked.demands, mix, largest, asked.quanta)
    own = OWN_PLACEMENTS.get(str(policy.placement))
    try:
        address = 0 if own is None else address_of(own)
    except TypeError as problem:
        raise ConfigError(f"the score of placement '{policy.placement}' cannot be compiled: {problem}") from None
    return build_scores(node, rule, asked.quanta, 2 * asked.demands.size, mixed, address)


def _capacity(amount: NDArray[np.float64] | None, unit: int, nodes: int) -> NDArray[np.int64]:
    return np.zeros(nodes, np.int64) if amount is None else np.rint(amount * unit).astype(np.int64)
