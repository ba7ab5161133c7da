"""What there is to choose from: orders, backfilling, placements, estimates, with their sources.

These tables are all that the command line, the JSON Schema and the error messages say about a name.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = [
    "ALIASES",
    "BACKFILLS",
    "DEPENDENT",
    "ESTIMATES",
    "GITTINS_INDICES",
    "LIMITS",
    "NAMED",
    "ORDERS",
    "PLACEMENTS",
    "PREEMPTIONS",
    "PREEMPTIVE",
    "REPLAYS",
    "RESERVATIONS",
    "UNLIMITED",
    "VICTIMS",
    "WEIGHTS",
    "Choice",
]


class Choice(NamedTuple):
    """What there is to say about one name."""

    meaning: str
    """what it does, with its tie rule"""
    options: tuple[str, ...] = ()
    """fields of :class:`~gpuyard.policy.Policy` that it uses"""
    paper: str = ""
    """authors, year and venue of the source; empty where there is none to name"""
    assumption: str = ""
    """what is taken for granted, or stated from memory"""
    thresholds: tuple[float, ...] = ()
    """of a preemption: the default thresholds"""


_TIES: Final = "then submit time, then row"
_TANG: Final = "Tang, Lan, Desai, Buettner 2009, IEEE Cluster"
_WENG: Final = "Weng et al. 2023, USENIX ATC"
_SLURM_TOPOLOGY: Final = "Slurm Topology Guide, and the source of the plugin"
_MUALEM: Final = "Mu'alem, Feitelson 2001, IEEE TPDS 12(6)"

ORDERS: Final[dict[str, Choice]] = {
    "fifo": Choice("submit time, then row"),
    "sjf": Choice(f"shortest estimate first, {_TIES}", ("estimate",)),
    "ljf": Choice(f"longest estimate first, {_TIES}", ("estimate",)),
    "smallest": Choice(f"fewest GPUs first, {_TIES}"),
    "largest": Choice(f"most GPUs first, {_TIES}"),
    "smallest-area": Choice(
        f"least GPUs x estimate first, {_TIES}; also called qssf",
        ("estimate",),
        "Hu et al. 2021, SC (QSSF)",
        "the estimate model stands in for the paper's trained predictor",
    ),
    "priority": Choice(f"highest priority first, {_TIES}"),
    "edf": Choice(
        f"earliest deadline first, jobs without one last, {_TIES}",
        (),
        "Liu, Layland 1973, J. ACM 20(1)",
        "nothing is preempted, so no deadline is promised",
    ),
    "random": Choice("in an order drawn from the run's seed", (), "", "a baseline, not a scheduler anybody runs"),
    "wfp": Choice(
        f"highest (wait / estimate)^3 x GPUs first, {_TIES}",
        ("estimate",),
        f"{_TANG} (WFP3)",
        "GPUs in place of the paper's nodes",
    ),
    "unicef": Choice(
        f"highest wait / (log2(GPUs) x estimate) first, {_TIES}",
        ("estimate",),
        f"{_TANG} (UNICEF)",
        "the logarithm is kept at 1 for one or two GPUs, where the published form divides by zero",
    ),
    "themis": Choice(
        f"highest (wait + estimate) / (estimate alone on its part of the cluster) first, {_TIES}",
        ("estimate",),
        "Mahajan et al. 2020, NSDI (Themis)",
        "finish-time fairness as it would be on a start now; no auctions, no leases",
    ),
    "multifactor": Choice(
        f"highest weighted sum of age, size, fair share, priority, QOS, partition and nice first, {_TIES}",
        ("weights", "qos", "partitions", "fair_share", "shares", "half_life", "share_period"),
        "Slurm priority/multifactor plugin, manual",
        "weights are gpuyard's own, Slurm's and its half-life are from memory; its default fair share is fair-tree",
    ),
}
BACKFILLS: Final[dict[str, Choice]] = {
    "none": Choice("strict: nobody passes a blocked head"),
    "fit": Choice("aggressive: any waiting job that fits may start, in order"),
    "easy": Choice(
        "only the head holds a reservation; others may pass if they do not delay it",
        ("estimate", "reservation"),
        f"Lifka 1995, JSSPP; {_MUALEM}",
        "estimates that are too short can delay the head",
    ),
    "conservative": Choice(
        "every waiting job holds a reservation, and none moves to later",
        ("estimate", "depth", "interval"),
        _MUALEM,
        "reservations count GPUs; types, shapes, CPUs and memory are obeyed when a job is to start",
    ),
    "slurm": Choice(
        "bounded planning: the first jobs of the queue, every interval, within a window",
        ("estimate", "depth", "interval", "window", "resolution"),
        "Slurm sched/backfill plugin, manual",
        "depth, interval, window and resolution are Slurm's defaults from memory; reservations count GPUs",
    ),
}
PLACEMENTS: Final[dict[str, Choice]] = {
    "first-fit": Choice("the lowest node that fits"),
    "best-fit": Choice("the node that keeps the fewest GPUs free, then the lowest"),
    "worst-fit": Choice("the node that keeps the most GPUs free, then the lowest"),
    "random": Choice("any node that fits, with equal chance, from the run's seed"),
    "spread": Choice("the rack with the most free GPUs, in it the node with the most; worst fit without racks"),
    "packed": Choice("the lowest topology level that holds the whole job, best fit inside it"),
    "rail-aligned": Choice("as packed, a job of several nodes on the same GPU numbers of each, or it waits"),
    "topology-tree": Choice(
        "the lowest switch that holds the whole job, then as few and as tight leaf switches as do",
        paper=_SLURM_TOPOLOGY,
        assumption="best fit among equal switches and inside a leaf; no --switches, no node weights",
    ),
    "topology-block": Choice(
        "segments of nodes (or the whole job) each on as few blocks as could hold it, the tightest that does",
        ("block_level",),
        _SLURM_TOPOLOGY,
        "one base block size, so no aggregated blocks; best fit inside a block",
    ),
    "fgd": Choice(
        "fragmentation gradient descent: the GPUs whose use leaves the workload the most usable free GPUs",
        paper=_WENG,
        assumption="the mix of demands is the workload's own; CPUs and memory count where the cluster states them",
    ),
    "least-left": Choice("the node with the least CPUs and GPUs left over, as shares of the largest node", paper=_WENG),
    "dot-product": Choice("the node whose free CPUs and GPUs, times what is asked for, are least", paper=_WENG),
    "gpu-packing": Choice("a GPU in part use, else a node in part use, else the smallest empty node", paper=_WENG),
    "gpu-clustering": Choice("a node that runs jobs of the same number of GPUs, then the fullest", paper=_WENG),
}
ESTIMATES: Final[dict[str, Choice]] = {
    "limit": Choice("the time limit where there is one, else the run time"),
    "runtime": Choice("how long the job really runs", (), "", "perfect knowledge: a bound, not a scheduler"),
    "history": Choice(
        "mean run time of the user's last jobs with as many GPUs; as limit where there is none",
        ("history",),
        "Tsafrir, Etsion, Feitelson 2007, IEEE TPDS 18(6)",
        "ends are those of the record, so that every scheduler gets the same estimates",
    ),
    "noise": Choice(
        "run time x exp(noise x z), z standard normal from the run's seed",
        ("noise",),
        "",
        "a stated error, not one that was measured",
    ),
}

_TIRESIAS: Final = "Gu et al. 2019, NSDI (Tiresias)"
_RELEASED: Final = (3250.0, 7200.0, 18_000.0)
"""Thresholds in the simulator published with Tiresias."""
_SLURM_PREEMPT: Final = "Slurm, guide Preemption: preempt type"
_TIERED: Final = ("tiers", "modes", "min_runs", "preempts", "victims")
MODES: Final = ("off", "suspend", "requeue", "cancel")
"""How jobs of a partition or a QOS are preempted: never, losing nothing, back to their last checkpoint, for good."""
_BINS: Final = ("thresholds", "promote", "victims")
PREEMPTIONS: Final[dict[str, Choice]] = {
    "none": Choice("a job that started keeps its GPUs until it ends"),
    "priority": Choice("a higher priority takes GPUs from lower ones", ("victims",)),
    "partition": Choice(
        "a partition of a higher tier takes GPUs from those of lower ones", _TIERED, f"{_SLURM_PREEMPT} partition_prio"
    ),
    "qos": Choice(
        "a QOS of a higher tier takes GPUs from those of lower ones",
        _TIERED,
        f"{_SLURM_PREEMPT} qos",
        "QOS have ranks; in Slurm each lists those that it may preempt",
    ),
    "srtf": Choice(
        "the shorter remaining time takes GPUs from the longer",
        ("estimate",),
        "Schrage, Miller 1966, Operations Research 14(4) (SRPT)",
        "remaining times are those of the estimate",
    ),
    "srsf": Choice(
        "the smaller remaining time x GPUs takes GPUs from the larger",
        ("estimate",),
        _TIRESIAS,
        "remaining times are those of the estimate",
    ),
    "las": Choice(
        "the job that ran for less time, in steps of thresholds, takes GPUs from those that ran longer",
        _BINS,
        "Nuyens, Wierman 2008, Performance Evaluation 65(3-4) (foreground-background)",
        "the thresholds are those of Tiresias' simulator, taken as seconds",
        _RELEASED,
    ),
    "2d-las": Choice(
        "the job with less GPUs x time so far, in steps of thresholds, takes GPUs from those with more",
        _BINS,
        _TIRESIAS,
        "thresholds of the published simulator; placement does not look at a model's skew",
        _RELEASED,
    ),
    "gittins": Choice(
        "the job whose attained GPUs x time makes an end most likely soon takes GPUs from the others",
        (*_BINS, "gittins_index", "gittins_history"),
        f"Gittins 1979, J. Royal Statistical Society B 41(2); {_TIRESIAS}",
        "the history is the workload itself unless one is given",
        _RELEASED,
    ),
    "time-slice": Choice(
        "a job that had its slice makes room for those that wait, in turn",
        ("time_slice", "victims"),
        "",
        "a slice of one hour",
    ),
    "reclaim": Choice(
        "nobody is more urgent than others; only what tenants borrowed is taken back",
        ("victims",),
        "",
        "takes nothing where no quotas of tenants are given",
    ),
    "cells": Choice(
        "an owner takes its cells back from opportunistic jobs; needs cells",
        (),
        "Zhao et al. 2020, OSDI (HiveD)",
        "one kind of node; no pinned and no bad cells",
    ),
}
"""Who may take GPUs from whom."""
VICTIMS: Final = ("latest-start", "least-lost", "fewest-gpus")
GITTINS_INDICES: Final = ("textbook", "released")

FAIR_SHARES: Final = ("classic", "fair-tree")
"""How a user's fair-share factor follows from what was used: Slurm's two."""
LIMITS: Final = ("kill", "ignore")
REPLAYS: Final = ("schedule", "recorded")
RESERVATIONS: Final = ("nodes", "counts")
ALIASES: Final[dict[str, str]] = {"qssf": "smallest-area"}
"""Other names of orders; a policy holds the order's own name."""
NAMED: Final[dict[str, tuple[str, str]]] = {
    "fifo": ("fifo", "none"),
    "fifo-fit": ("fifo", "fit"),
    "easy": ("fifo", "easy"),
    "conservative": ("fifo", "conservative"),
    "slurm": ("fifo", "slurm"),
    "sjf": ("sjf", "none"),
    "ljf": ("ljf", "none"),
    "smallest": ("smallest", "none"),
    "largest": ("largest", "none"),
    "qssf": ("smallest-area", "none"),
    "priority": ("priority", "none"),
    "edf": ("edf", "none"),
    "wfp": ("wfp", "none"),
    "unicef": ("unicef", "none"),
    "themis": ("themis", "none"),
    "multifactor": ("multifactor", "none"),
}
"""Order and backfill of each named scheduler."""
PREEMPTIVE: Final[dict[str, str]] = {
    "srtf": "srtf",
    "srsf": "srsf",
    "las": "las",
    "tiresias": "2d-las",
    "gittins": "gittins",
    "time-slice": "time-slice",
}
"""Named schedulers that are order fifo, backfill fit and a preemption."""
WEIGHTS: Final[dict[str, float]] = {
    "age": 1000.0,
    "max_age": 604_800.0,
    "size": 0.0,
    "fairshare": 0.0,
    "priority": 1.0,
    "qos": 0.0,
    "partition": 0.0,
    "nice": 1.0,
}
"""Weights of ``multifactor`` and their defaults; ``max_age`` is seconds."""
DEPENDENT: Final[dict[str, tuple[str, ...]]] = {
    "order": ("weights", "qos", "partitions", "fair_share", "shares", "half_life", "share_period"),
    "backfill": ("reservation", "depth", "interval", "window", "resolution"),
    "placement": ("block_level",),
    "estimate": ("history", "noise"),
}
"""Options that mean something only under some orders, backfills, placements or estimates."""
UNLIMITED: Final = 2**31 - 1
"""The depth that no queue reaches."""
