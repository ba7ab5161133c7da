"""What is free: GPUs, CPUs and memory of each node while some jobs run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from copy import copy

from gpuyard.cluster import Cluster
from reference.jobs import WHOLE, Job, Piece, brings


class Room:
    """What is free while these pieces are held; closed nodes neither fit nor count as empty."""

    def __init__(self, cluster: Cluster, pieces: Iterable[Piece], closed: Collection[int] = ()) -> None:
        self.cluster = cluster
        self.closed = closed
        self.pieces = list(pieces)
        self.nodes = range(cluster.nodes)
        self.type = [cluster.gpu_types[number] for number in cluster.node_type]
        self.size = [int(gpus) for gpus in cluster.node_gpus]
        self.milli = [[WHOLE] * size for size in self.size]
        self.users = [0] * cluster.nodes
        cpus, memory = cluster.node_cpus, cluster.node_memory_gib
        self.cpus = None if cpus is None else [round(float(each) * 1000) for each in cpus]
        self.memory = None if memory is None else [round(float(each) * 1024) for each in memory]
        for piece in self.pieces:
            self.users[piece.node] += 1
            for gpu in piece.gpus:
                self.milli[piece.node][gpu] -= piece.milli
            if self.cpus is not None:
                self.cpus[piece.node] -= piece.cpus
            if self.memory is not None:
                self.memory[piece.node] -= piece.memory

    def untouched(self) -> Room:
        """Return the room of those who share with nobody: nodes in use are closed."""
        beside = copy(self)
        beside.closed = {node for node in self.nodes if node in self.closed or self.users[node]}
        return beside

    def whole(self, node: int) -> list[int]:
        """Return the wholly free GPUs of a node."""
        return [gpu for gpu, free in enumerate(self.milli[node]) if free == WHOLE]

    def empty(self, nodes: Iterable[int]) -> int:
        """Return how many of these nodes have all their GPUs wholly free."""
        return sum(len(self.whole(node)) == self.size[node] for node in nodes if node not in self.closed)

    def suits(self, node: int, gpus: int) -> bool:
        """Return whether a chunk of so many GPUs may go to the node as far as GPU numbers are concerned."""
        return True

    def has(self, node: int, cpus: int, memory: int) -> bool:
        """Return whether a node is open and has so many free CPUs and so much free memory."""
        if node in self.closed:
            return False
        enough_cpus = self.cpus is None or self.cpus[node] >= cpus
        return enough_cpus and (self.memory is None or self.memory[node] >= memory)


def fits(room: Room, job: Job, node: int, gpus: int) -> bool:
    """Return whether a chunk of so many whole GPUs can go to the node now."""
    return len(room.whole(node)) >= gpus and room.has(node, *brings(job, gpus)) and room.suits(node, gpus)
