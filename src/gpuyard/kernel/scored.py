"""Placements that score every candidate and take the best; a node's score is worked out again when the node changes.

``docs/semantics.md`` ("Scored placements") has each score.  A score depends on one node and on what is looked for, so
it is kept by (what is looked for, node) together with the node's stamp.  Whether a node is on offer at all (it may be
withdrawn for the moment) is asked of the index, and only of nodes whose score would win.
"""

from __future__ import annotations

from gpuyard.kernel.bits import ONE, nth
from gpuyard.kernel.codes import NOBODY, Placement
from gpuyard.kernel.fragmentation import WHOLE, share_weight, usable, whole_weight
from gpuyard.kernel.jit import inlined, inner, kernel
from gpuyard.kernel.own import own_score
from gpuyard.kernel.score_tables import WORST
from gpuyard.kernel.tables import Index, Site

__all__ = ["best_gpu", "best_node"]

MILLION = 1_000_000
TIER = 2**40


@inner
def best_node(site: Site, kinds: int, gpus: int, cpu: int, memory: int, alone: int) -> int:
    """Return the node on offer with the best score for a chunk of whole GPUs, or of none, or NOBODY.

    One that is ``alone`` needs a node with nothing on it.
    """
    line = _line(site, kinds, gpus, 0, cpu, memory, alone)
    base = line * site.node.size
    best, chosen = WORST, NOBODY
    for node in range(site.node.size):
        known = site.scores.known[nth(base + node)]
        if known["stamp"] != site.scores.stamp[nth(node)]:
            _learn(site, line, node)
        if known["score"] > best:
            this = site.node[nth(node)]
            if _has(site.openings, int(this["kind"]), int(this["free"]), node):
                best, chosen = known["score"], node
    return chosen


@inner
def best_gpu(site: Site, kinds: int, share: int, cpu: int, memory: int) -> int:
    """Return the GPU on offer with the best score for a fraction, or NOBODY."""
    line = _line(site, kinds, 0, share, cpu, memory, 0)
    base = line * site.node.size
    best, chosen = WORST, NOBODY
    for node in range(site.node.size):
        known = site.scores.known[nth(base + node)]
        if known["stamp"] != site.scores.stamp[nth(node)]:
            _learn(site, line, node)
        if known["score"] > best:
            gpu = int(known["gpu"])
            if _has(site.shares, int(site.node[nth(node)]["kind"]), int(site.gpu[nth(gpu)]["free"]), gpu):
                best, chosen = known["score"], gpu
    return chosen


@inlined
def _has(index: Index, kind: int, key: int, item: int) -> bool:
    """Return whether an index holds an item under a key."""
    row = kind * index.n_keys + key
    return index.bits[nth(row * index.width + (item >> 6))] >> (item & 63) & ONE != 0


@kernel
def _line(site: Site, kinds: int, gpus: int, share: int, cpu: int, memory: int, alone: int) -> int:
    """Return the line of scores for what is looked for; a new one takes an unused line, or another's place."""
    ask = site.scores.ask
    mask = ask.size - 1
    home = _mixed(kinds, gpus, share, cpu, memory) + alone & mask
    for step in range(min(ask.size, 16)):
        line = (home + step) & mask
        this = ask[nth(line)]
        if (
            this["kinds"] == kinds
            and this["gpus"] == gpus
            and this["share"] == share
            and this["cpu"] == cpu
            and this["memory"] == memory
            and this["alone"] == alone
        ):
            return line
        if this["kinds"] == 0:
            home = line
            break
    this = ask[nth(home)]
    this["kinds"] = kinds
    this["gpus"] = gpus
    this["share"] = share
    this["cpu"] = cpu
    this["memory"] = memory
    this["alone"] = alone
    for row in range(home * site.node.size, (home + 1) * site.node.size):
        site.scores.known[nth(row)]["stamp"] = 0
    return home


@kernel
def _mixed(kinds: int, gpus: int, share: int, cpu: int, memory: int) -> int:
    """Return a number that differs between most asks; all parts stay far below 2**63."""
    mixed = (kinds & 0xFFFF) * 31 + gpus
    mixed = (mixed & 0xFFFFFFFF) * 1_000_003 + share
    mixed = (mixed & 0xFFFFFFFF) * 1_000_003 + (cpu & 0xFFFFFFFF)
    mixed = (mixed & 0xFFFFFFFF) * 1_000_003 + (memory & 0xFFFFFFFF)
    return (mixed >> 17) ^ mixed


@kernel
def _learn(site: Site, line: int, node: int) -> None:
    """Work out a node's score for what a line is about, and keep it."""
    scores = site.scores
    ask = scores.ask[nth(line)]
    this = site.node[nth(node)]
    known = scores.known[nth(line * site.node.size + node)]
    known["stamp"] = scores.stamp[nth(node)]
    known["score"] = WORST
    known["gpu"] = NOBODY
    cpu, memory, gpus, share = ask["cpu"], ask["memory"], ask["gpus"], ask["share"]
    if not ask["kinds"] >> int(this["kind"]) & 1 or this["cpu"] < cpu or this["memory"] < memory:
        return
    if share > 0:
        gpu = _tightest(site, node, share)
        if gpu == NOBODY:
            return
        known["gpu"] = gpu
        if site.rule == Placement.FGD:
            _learn_fraction(site, line, node)
            return
    elif this["free"] < gpus:
        return
    if ask["alone"] > 0:
        if this["free"] < this["size"] or this["cpu"] < site.capacity[nth(node)]["cpu"]:
            return
        gpus, cpu, memory = int(this["size"]), this["cpu"], this["memory"]
    if site.rule == Placement.FGD:
        after = usable(site, node, int(this["free"]) - gpus, this["cpu"] - cpu, this["memory"] - memory)
        if gpus > 0 and scores.mix.levels > 0:
            after -= gpus * WHOLE * share_weight(scores.mix, site.quanta)
        known["score"] = gpus * WHOLE * scores.mix.jobs + after - _worth(site, node)
    else:
        known["score"] = _score(site, line, node, int(known["gpu"]), gpus, cpu, memory)


@kernel
def _learn_fraction(site: Site, line: int, node: int) -> None:
    """Work out under ``fgd`` which GPU of a node is best for a fraction; one GPU fits it."""
    scores = site.scores
    mix, ask, this = scores.mix, scores.ask[nth(line)], site.node[nth(node)]
    known = scores.known[nth(line * site.node.size + node)]
    share, kind, free = ask["share"], int(this["kind"]), int(this["free"])
    cpu, memory = this["cpu"] - ask["cpu"], this["memory"] - ask["memory"]
    base = usable(site, node, free, cpu, memory)
    fewer = WHOLE * (free - 1) * whole_weight(mix, kind, cpu, memory, free - 1) if free > 0 else 0
    fewer -= WHOLE * free * whole_weight(mix, kind, cpu, memory, free)
    best, chosen = WORST, NOBODY
    first = int(this["first_gpu"])
    for gpu in range(first, first + int(this["size"])):
        before = int(site.gpu[nth(gpu)]["free"])
        if before < share:
            continue
        left = before - share
        after = (left * share_weight(mix, left) - before * share_weight(mix, before)) * scores.quantum
        if before == site.quanta:
            after += fewer
        if after > best:
            best, chosen = after, gpu
    known["gpu"] = chosen
    known["score"] = share * scores.quantum * mix.jobs + base + best - _worth(site, node)


@kernel
def _worth(site: Site, node: int) -> int:
    """Return the usable part of a node as it is."""
    worth = site.scores.worth[nth(node)]
    if worth["stamp"] != site.scores.stamp[nth(node)]:
        this = site.node[nth(node)]
        worth["score"] = usable(site, node, int(this["free"]), this["cpu"], this["memory"])
        worth["stamp"] = site.scores.stamp[nth(node)]
    return worth["score"]


@kernel
def _tightest(site: Site, node: int, share: int) -> int:
    """Return the GPU of a node with the least free that fits a fraction, or NOBODY."""
    first = int(site.node[nth(node)]["first_gpu"])
    best = NOBODY
    for gpu in range(first, first + int(site.node[nth(node)]["size"])):
        free = site.gpu[nth(gpu)]["free"]
        if free >= share and (best == NOBODY or free < site.gpu[nth(best)]["free"]):
            best = gpu
    return best


@kernel
def _free_milli(site: Site, node: int) -> int:
    """Return T: what the GPUs of a node have free, in thousandths."""
    this = site.node[nth(node)]
    if site.quanta == 0:
        return WHOLE * int(this["free"])
    first = int(this["first_gpu"])
    found = 0
    for gpu in range(first, first + int(this["size"])):
        found += int(site.gpu[nth(gpu)]["free"])
    return found * site.scores.quantum


@kernel
def _score(site: Site, line: int, node: int, gpu: int, gpus: int, cpu: int, memory: int) -> int:
    """Return the score of a node that fits, under any rule but ``fgd``; ``gpu`` is the tightest for a fraction.

    The chunk would hold so many GPUs, so much CPU and memory; who is alone holds more than is looked for.
    """
    scores = site.scores
    ask, this = scores.ask[nth(line)], site.node[nth(node)]
    share = ask["share"]
    held = WHOLE * gpus + share * scores.quantum
    free = _free_milli(site, node)
    if site.rule == Placement.OWN:
        score = own_score(
            scores.own, int(this["free"]), int(this["size"]), free, this["cpu"], this["memory"], int(this["kind"]),
            gpus, share * scores.quantum, cpu, memory,
        )  # fmt: skip
    elif site.rule == Placement.LEAST_LEFT:
        score = -_part(this["cpu"] - cpu, scores.most_cpu) - _part(free - held, scores.most_gpu)
    elif site.rule == Placement.DOT_PRODUCT:
        along = _part(this["cpu"], scores.most_cpu) * _part(cpu, scores.most_cpu)
        score = -along - _part(free, scores.most_gpu) * _part(held, scores.most_gpu)
    elif ask["gpus"] + share == 0:
        score = 0
    elif site.rule == Placement.GPU_CLUSTERING:
        score = _tier(site, node, gpus) * TIER - free
    elif gpu != NOBODY and site.gpu[nth(gpu)]["free"] < site.quanta:
        score = 2 * WHOLE - int(site.gpu[nth(gpu)]["free"]) * scores.quantum
    else:
        score = 0 if this["free"] < this["size"] else -int(this["free"])
    return int(score)


@inlined
def _part(amount: int, most: int) -> int:
    """Return an amount in millionths of the most that a node has, rounded down."""
    return amount * MILLION // most if most > 0 else 0


@kernel
def _tier(site: Site, node: int, gpus: int) -> int:
    """Return how well a size goes with what runs on a node: 3 its like, 2 its like and others, 1 nothing, 0 others."""
    sizes = site.scores.sizes
    alike = 0
    others = 0
    for size in range(sizes):
        if site.scores.running[nth(node * sizes + size)] > 0:
            if size == gpus:
                alike = 1
            else:
                others = 1
    if alike == 1:
        return 3 - others
    return 1 - others
