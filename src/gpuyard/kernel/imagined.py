"""Take running jobs off the site in imagination, and put them back exactly where they were."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.fraction import take_share
from gpuyard.kernel.index import remove
from gpuyard.kernel.jit import kernel
from gpuyard.kernel.nodes import change_free, offer_node, withdraw_node
from gpuyard.kernel.placement import Releaser, release_plain
from gpuyard.kernel.scored_placement import note_change
from gpuyard.kernel.tables import Jobs, Log, Records, Site

__all__ = ["put_back", "take_away"]


@kernel
def take_away(
    jobs: Jobs, demand: Records, site: Site, log: Log, noted: NDArray[np.int32], releaser: Releaser, row: int, gpus: int
) -> int:
    """Free in imagination what a job holds; note which GPUs, after ``gpus`` others, and return how many are noted."""
    claim = jobs.claim[row]
    wish = int(claim["demand"])
    first, slots = int(claim["slot"]), int(claim["slots"])
    if demand[wish]["plain"] != 0:
        release_plain(site, log, first, slots)
        return gpus
    if site.quanta > 0 and demand[wish]["share"] == 0:
        for number in range(first, first + slots):
            this = site.node[int(log.slots[number]["node"])]
            for gpu in range(int(this["first_gpu"]), int(this["first_gpu"] + this["size"])):
                if site.gpu[gpu]["owner"] == row:
                    noted[gpus] = gpu
                    gpus += 1
    releaser(site, demand, log, row, wish, first, slots)
    return gpus


@kernel
def put_back(jobs: Jobs, demand: Records, site: Site, log: Log, noted: NDArray[np.int32], row: int, gpus: int) -> int:
    """Give a job what :func:`take_away` took; return how many GPUs remain noted."""
    claim = jobs.claim[row]
    wish = int(claim["demand"])
    asked = demand[wish]
    whole = 0
    for number in range(int(claim["slot"]), int(claim["slot"] + claim["slots"])):
        node, held = int(log.slots[number]["node"]), int(log.slots[number]["gpus"])
        this = site.node[node]
        if asked["plain"] != 0:
            change_free(site, node, -held)
            continue
        if asked["alone"] > 0:
            this["cpu"], this["memory"] = 0, 0
        else:
            this["cpu"] -= asked["cpu"] * max(held, 1)
            this["memory"] -= asked["memory"] * max(held, 1)
        if asked["share"] > 0:
            take_share(site, int(this["first_gpu"] + log.gpu[number]), asked["share"])
            continue
        withdraw_node(site, node)
        this["free"] -= held
        offer_node(site, node)
        whole += held
    if site.quanta > 0 and asked["share"] == 0:
        for _ in range(whole):
            gpus -= 1
            gpu = int(noted[gpus])
            remove(site.shares, int(site.node[int(site.gpu[gpu]["node"])]["kind"]), site.quanta, gpu)
            site.gpu[gpu]["free"] = 0
            site.gpu[gpu]["owner"] = row
    if site.scores.stamp.size > 0:
        note_change(site, demand, log, wish, int(claim["slot"]), int(claim["slot"] + claim["slots"]), 1)
    return gpus
