"""Placements that score every candidate, against their definition said once more, slowly.

A run is replayed attempt by attempt: what is free is worked out anew from who holds what, each candidate gets its
score by the definition in docs/semantics.md, and the chunk must lie on the first of the best.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numba
import numpy as np
import pytest

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.holdings import hold
from gpuyard.kernel import scored
from gpuyard.kernel.tables import Site as TableSite
from gpuyard.metrics import fragmentation
from gpuyard.policy import Policy
from gpuyard.record import Outcome, Record
from gpuyard.simulation import schedule
from gpuyard.workload import Workload

PLACEMENTS = ("fgd", "least-left", "dot-product", "gpu-packing", "gpu-clustering")


@dataclass
class Node:
    """What a node has free, and the sizes of what runs on it."""

    kind: str
    gpus: list[int]
    cpu: int
    memory: int
    sizes: list[int] = field(default_factory=list)
    whole_held: int = 0

    @property
    def free(self) -> int:
        return self.gpus.count(1000)


@dataclass(frozen=True)
class Chunk:
    """What is looked for: whole GPUs, or thousandths of one; CPUs and memory of the whole chunk."""

    gpus: int
    milli: int
    cpu: int
    memory: int

    @property
    def asked(self) -> int:
        return self.milli or 1000 * self.gpus

    @property
    def size(self) -> int:
        return 0 if self.milli else self.gpus


def fits(node: Node, chunk: Chunk) -> bool:
    if node.cpu < chunk.cpu or node.memory < chunk.memory:
        return False
    return any(left >= chunk.milli for left in node.gpus) if chunk.milli else node.free >= chunk.gpus


def tightest(node: Node, chunk: Chunk) -> int:
    return min((left, gpu) for gpu, left in enumerate(node.gpus) if left >= chunk.milli)[1]


def with_chunk(node: Node, chunk: Chunk, gpu: int | None) -> Node:
    gpus = list(node.gpus)
    if gpu is not None:
        gpus[gpu] -= chunk.milli
    for _ in range(chunk.gpus if not chunk.milli else 0):
        gpus[gpus.index(1000)] = 0
    return Node(node.kind, gpus, node.cpu - chunk.cpu, node.memory - chunk.memory)


class Site:
    """The cluster as it is before each attempt, and the mix of the workload."""

    def __init__(self, record: Record) -> None:
        site = record.cluster
        self.site = site
        self.rows = record.workload.table.to_pylist()
        self.nodes = [
            Node(
                site.gpu_types[site.node_type[node]],
                [1000] * int(site.node_gpus[node]),
                0 if site.node_cpus is None else round(site.node_cpus[node] * 1000),
                0 if site.node_memory_gib is None else round(site.node_memory_gib[node] * 1024),
            )
            for node in range(site.nodes)
        ]
        self.most_cpu = max(node.cpu for node in self.nodes)
        self.most_gpu = 1000 * max(len(node.gpus) for node in self.nodes)
        self.mix = [job for job in range(len(self.rows)) if record.outcome[job] != Outcome.REJECTED]

    def kinds(self, job: int) -> set[str]:
        asked = self.rows[job]["gpu_type"]
        known = set(self.site.gpu_types)
        return known & set(asked.split("|")) if asked and self.rows[job]["gpus"] else known

    def largest(self, kind: str) -> int:
        return max((len(node.gpus) for node in self.nodes if node.kind == kind), default=0)

    def chunk(self, job: int, gpus: int) -> Chunk:
        """Return the chunk of so many GPUs of a job."""
        row = self.rows[job]
        pieces = row["gpus"] or row["nodes"] or 1
        cpu = 0 if self.site.node_cpus is None else -(-round((row["cpus"] or 0) * 1000) // pieces)
        memory = 0 if self.site.node_memory_gib is None else -(-round((row["memory_gib"] or 0) * 1024) // pieces)
        milli = row["gpu_milli"] or 0 if row["gpus"] == 1 else 0
        many = max(gpus, 1)
        return Chunk(0 if milli else gpus, milli, cpu * many, memory * many)

    def large(self, job: int, kind: str) -> int:
        """Return the GPUs of the chunk of a job that the mix counts on nodes of a type."""
        row = self.rows[job]
        if row["spread"]:
            return 1
        if row["nodes"]:
            return -(-row["gpus"] // row["nodes"])
        one = any(self.largest(other) >= row["gpus"] for other in self.kinds(job))
        return row["gpus"] if one else self.largest(kind)

    def fragments(self, node: Node) -> int:
        """Return Phi: the fragments of a node, over all jobs of the mix."""
        total = 0
        for job in self.mix:
            row = self.rows[job]
            hosted = False
            if row["gpus"] > 0 and node.kind in self.kinds(job):
                chunk = self.chunk(job, self.large(job, node.kind))
                hosted = chunk.asked > 0 and fits(node, chunk)
            need = (chunk.milli or 1000) if hosted else 1001
            total += sum(left for left in node.gpus if left < need)
        return total

    def stranded(self, node: Node) -> int:
        """Return what is free in GPUs that no job of the mix could use."""
        useful = [1001]
        for job in self.mix:
            if self.rows[job]["gpus"] > 0 and node.kind in self.kinds(job):
                chunk = self.chunk(job, self.large(job, node.kind))
                if chunk.asked > 0 and fits(node, chunk):
                    useful.append(chunk.milli or 1000)
        return sum(left for left in node.gpus if left < min(useful))

    def part(self, amount: int, most: int) -> int:
        return amount * 1_000_000 // most if most else 0

    def score(self, placement: str, node: Node, chunk: Chunk) -> tuple[int, int]:
        """Return a node's score and, of a fraction, minus its GPU, so that the largest is the best."""
        if placement == "fgd":
            now = self.fragments(node)
            if not chunk.milli:
                return now - self.fragments(with_chunk(node, chunk, None)), 0
            fitting = [gpu for gpu, left in enumerate(node.gpus) if left >= chunk.milli]
            return max((now - self.fragments(with_chunk(node, chunk, gpu)), -gpu) for gpu in fitting)
        gpu = tightest(node, chunk) if chunk.milli else 0
        return self.plain_score(placement, node, chunk, gpu), -gpu

    def plain_score(self, placement: str, node: Node, chunk: Chunk, gpu: int) -> int:
        total = sum(node.gpus)
        if placement == "least-left":
            left = self.part(node.cpu - chunk.cpu, self.most_cpu) + self.part(total - chunk.asked, self.most_gpu)
            return -left
        if placement == "dot-product":
            along = self.part(node.cpu, self.most_cpu) * self.part(chunk.cpu, self.most_cpu)
            return -along - self.part(total, self.most_gpu) * self.part(chunk.asked, self.most_gpu)
        if chunk.asked == 0:
            return 0
        if placement == "gpu-packing":
            if chunk.milli and node.gpus[gpu] < 1000:
                return 2000 - node.gpus[gpu]
            return 0 if node.free < len(node.gpus) else -node.free
        sizes = set(node.sizes)
        tier = (3 if sizes == {chunk.size} else 2) if chunk.size in sizes else 0 if sizes else 1
        return tier * 2**40 - total

    def best(self, placement: str, chunk: Chunk, kinds: set[str], used: list[int]) -> tuple[int, int]:
        """Return the node, and the GPU for a fraction, that a chunk goes to."""
        scored = [
            (*self.score(placement, node, chunk), -number)
            for number, node in enumerate(self.nodes)
            if number not in used and (node.kind in kinds or chunk.asked == 0) and fits(node, chunk)
        ]
        top = max(score for score, _, _ in scored)
        number, gpu = max((number, gpu) for score, gpu, number in scored if score == top)
        return -number, -gpu


def replay(record: Record, placement: str) -> int:
    """Assert that every chunk of a record lies where the definition says; return how many chunks there were."""
    site = Site(record)
    held: list[tuple[int, int, Chunk, list[int]]] = []
    seen = 0
    for attempt, job in enumerate(record.attempt_job.tolist()):
        now = record.attempt_start[attempt]
        for end, number, chunk, gpus in [entry for entry in held if entry[0] <= now]:
            held.remove((end, number, chunk, gpus))
            change(site.nodes[number], chunk, gpus, 1)
        row = site.rows[job]
        slots = range(record.slot_offset[attempt], record.slot_offset[attempt + 1])
        kinds = site.kinds(job)
        if len(slots) > 1 and not row["spread"]:
            kinds = {site.nodes[record.slot_node[slots[0]]].kind}
        used: list[int] = []
        taken = []
        for slot in slots:
            number, gpus = int(record.slot_node[slot]), int(record.slot_gpus[slot])
            chunk = site.chunk(job, gpus)
            wanted = site.chunk(job, 1) if row["spread"] and row["gpus"] else chunk
            node, gpu = site.best(placement, wanted, kinds, used)
            assert number == node, (job, slot)
            if chunk.milli:
                assert record.slot_gpu[slot] == gpu
            free = [each for each, left in enumerate(site.nodes[number].gpus) if left == 1000]
            its = [gpu] if chunk.milli else free[:gpus]
            used.append(number)
            taken.append((int(record.attempt_end[attempt]), number, chunk, its))
            seen += 1
        for entry in taken:
            change(site.nodes[entry[1]], entry[2], entry[3], -1)
        held += taken
    return seen


def change(node: Node, chunk: Chunk, gpus: list[int], sign: int) -> None:
    """Let a chunk be given back (+1) or taken (-1)."""
    for gpu in gpus:
        node.gpus[gpu] += sign * (chunk.milli or 1000)
    node.cpu += sign * chunk.cpu
    node.memory += sign * chunk.memory
    if chunk.asked:
        if sign < 0:
            node.sizes.append(chunk.size)
        else:
            node.sizes.remove(chunk.size)


def random_run(seed: int) -> tuple[Workload, Cluster]:
    """Return a small site with or without CPUs and memory, and more jobs than fit at once."""
    dice = np.random.default_rng(seed)
    count = int(dice.integers(2, 9))
    types = ["a", "b", "c"][: int(dice.integers(1, 4))]
    sizes = dice.choice([[1, 2], [2, 4, 8], [0, 4], [8, 8]][dice.integers(4)], count)
    site = cluster(
        *((str(dice.choice(types)), int(gpus)) for gpus in sizes),
        cpus=dice.integers(2, 24, count).tolist() if dice.random() < 0.7 else None,
        memory=dice.integers(2, 24, count).tolist() if dice.random() < 0.5 else None,
    )
    shares = [[250, 500], [100, 300, 700], [100, 250, 300, 500, 700, 999]][int(dice.integers(3))]
    fractions, spread = dice.random() < 0.7, dice.random() < 0.3
    rows = []
    for _ in range(60):
        more: dict[str, object] = {"cpus": int(dice.integers(0, 9)) / 2, "memory_gib": int(dice.integers(0, 5)) / 2}
        if dice.random() < 0.3:
            more["gpu_type"] = str(dice.choice(["a", "a|b", "b|c"]))
        gpus = int(dice.choice([0, 1, 1, 2, 3, 4, 8, 12]))
        if fractions and dice.random() < 0.5:
            gpus, more["gpu_milli"] = 1, int(dice.choice(shares))
        elif dice.random() < 0.2 and gpus > 1:
            more["nodes"] = 2
        elif spread and gpus > 0:
            more["spread"] = True
        rows.append((int(dice.integers(0, 40)), int(dice.integers(1, 12)), gpus, more))
    return workload(*rows), site


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("seed", range(12))
def test_every_chunk_goes_to_the_candidate_that_the_definition_scores_best(seed: int, placement: str) -> None:
    jobs, site = random_run(seed)
    record = schedule(jobs, site, Policy(order="fifo", backfill="fit", placement=placement))
    assert replay(record, placement) > 0


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_scores_that_share_one_line_of_memory_are_worked_out_anew(
    placement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, site = random_run(1)
    policy = Policy(order="fifo", backfill="fit", placement=placement)
    roomy = schedule(jobs, site, policy)
    monkeypatch.setattr("gpuyard.kernel.score_build._ROOM", 1)
    cramped = schedule(jobs, site, policy)
    assert np.array_equal(roomy.slot_node, cramped.slot_node)
    assert np.array_equal(roomy.start, cramped.start)


@pytest.mark.parametrize("seed", range(12))
def test_fragmentation_over_time_is_the_sum_over_the_nodes_at_every_instant(seed: int) -> None:
    jobs, site = random_run(seed)
    record = schedule(jobs, site, Policy(order="fifo", backfill="fit", placement=PLACEMENTS[seed % 5]))
    found = fragmentation(record, hold(record), 0, record.stop)
    assert found is not None
    for now in np.unique(record.attempt_start).tolist():
        said = Site(record)
        for attempt in np.flatnonzero((record.attempt_start <= now) & (now < record.attempt_end)).tolist():
            for slot in range(record.slot_offset[attempt], record.slot_offset[attempt + 1]):
                node = said.nodes[record.slot_node[slot]]
                chunk = said.chunk(int(record.attempt_job[attempt]), int(record.slot_gpus[slot]))
                change(node, chunk, [int(record.slot_gpu[slot])] if chunk.milli else [], -1)
                node.whole_held += chunk.gpus
        for node in said.nodes:
            for _ in range(node.whole_held):
                node.gpus[node.gpus.index(1000)] = 0
        at = int(np.searchsorted(found.fragments.times, now, side="right")) - 1
        assert found.fragments.values[at] == sum(said.fragments(node) for node in said.nodes)
        assert found.stranded.values[at] == sum(said.stranded(node) for node in said.nodes)


@pytest.mark.skipif(not numba.config.DISABLE_JIT, reason="a compiled function cannot be replaced")
@pytest.mark.parametrize("backfill", ["fit", "easy", "conservative", "slurm"])
def test_scores_that_are_kept_are_those_that_would_be_worked_out_anew(
    backfill: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where jobs are taken off the cluster in imagination, for a reservation, and put back."""
    kept = scored._line

    def forgetful(site: TableSite, *ask: int) -> int:
        line = kept(site, *ask)
        site.scores.known["stamp"] = 0
        site.scores.worth["stamp"] = 0
        return line

    for seed in range(5):
        jobs, site = random_run(seed)
        for placement in PLACEMENTS:
            policy = Policy(order="fifo", backfill=backfill, placement=placement, estimate="runtime")
            remembered = schedule(jobs, site, policy)
            with monkeypatch.context() as patch:
                patch.setattr(scored, "_line", forgetful)
                anew = schedule(jobs, site, policy)
            assert np.array_equal(remembered.slot_node, anew.slot_node)
            assert np.array_equal(remembered.start, anew.start)
