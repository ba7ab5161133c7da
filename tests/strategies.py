"""Random clusters, workloads and policies: small ones for Hypothesis, larger ones from a numpy Generator.

Times are small whole numbers so that ends, releases and submissions often share an instant.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.preemption import Preemption
from gpuyard.workload import Workload
from reference import ESTIMATES, ORDERS, PLACEMENTS
from reference.queueing import SCORED

TYPES = ("a", "b", "c")
FEATURES = (
    "fractions", "types", "cpus", "memory", "nodes", "spread", "priority", "not_before",
    "dependencies", "time_limit", "state", "recorded", "halves", "exclusive", "segment",
)  # fmt: skip
CROWDED_FEATURES = (
    "fractions", "types", "cpus", "nodes", "spread", "priority", "not_before", "dependencies", "deadline", "nice",
    "user", "qos", "recorded", "exclusive",
)  # fmt: skip
VARIANTS = (
    "none", "fit", "easy-nodes", "easy-counts", "conservative", "conservative-bounded", "slurm", "slurm-bounded",
)  # fmt: skip
"""Backfills with the options that make a difference of their own; bounded: with small options that bind."""


def _levels(draw: st.DrawFn, nodes: int) -> list[list[int]]:
    """Return 0 to 3 levels, each of which joins neighbouring domains of the level below."""
    cuts = set(range(1, nodes))
    levels = []
    for _ in range(draw(st.integers(0, 3))):
        cuts = {cut for cut in sorted(cuts) if draw(st.booleans())}
        levels.append([sum(cut <= node for cut in cuts) for node in range(nodes)])
    return levels


@st.composite
def clusters(draw: st.DrawFn, max_nodes: int = 8) -> Cluster:
    """Nodes of up to three GPU types with 0 to 8 GPUs, with or without CPUs, memory and levels."""
    count = draw(st.integers(1, max_nodes))
    types = TYPES[: draw(st.integers(1, 3))]
    most = draw(st.sampled_from([1, 2, 4, 8]))
    nodes = []
    for _ in range(count):
        gpus = draw(st.integers(0, most))
        nodes.append((draw(st.sampled_from(types)) if gpus or draw(st.booleans()) else "", gpus))
    amount = st.lists(st.integers(2, 16) | st.integers(0, 40), min_size=count, max_size=count)
    cpus = draw(st.none() | amount)
    memory = draw(st.none() | amount)
    levels = _levels(draw, count)
    return cluster(*nodes, cpus=cpus, memory=memory, levels=levels, level_names=_level_names(draw, len(levels)))


def _level_names(draw: st.DrawFn, levels: int) -> list[str]:
    """Return names of levels, of which one may be that of NVLink domains."""
    names = [f"level-{number}" for number in range(levels)]
    if names and draw(st.booleans()):
        names[draw(st.integers(0, levels - 1))] = "nvlink"
    return names


@st.composite
def tray_sites(draw: st.DrawFn) -> Cluster:
    """Racks of nodes that are larger in one rack than in the next, each rack of one GPU type and perhaps NVLink domain.

    So jobs fit one node of some type, and may be cut on another, or may not.
    """
    sizes = {name: draw(st.sampled_from([1, 2, 3, 4, 8])) for name in TYPES}
    nodes, rack = [], []
    for number in range(draw(st.integers(2, 4))):
        name, count = draw(st.sampled_from(TYPES)), draw(st.integers(1, 3))
        nodes += [(name, sizes[name])] * count
        rack += [number] * count
    if draw(st.integers(0, 3)) == 0:
        name, gpus = draw(st.sampled_from(nodes))
        nodes[draw(st.integers(0, len(nodes) - 1))] = (name, max(gpus // 2, 1))
    cpus = [2 * gpus + 1 for _, gpus in nodes] if draw(st.integers(0, 3)) == 0 else None
    levels = [rack, [each // 2 for each in rack]]
    return cluster(*nodes, cpus=cpus, levels=levels, level_names=_level_names(draw, 2))


@st.composite
def workloads(draw: st.DrawFn, site: Cluster, max_jobs: int = 14) -> Workload:
    """Jobs in any row order that use a random set of the features of the job table."""
    features = draw(st.sets(st.sampled_from(FEATURES), max_size=6))
    unit = 0.5 if "halves" in features else 1
    scale = draw(st.sampled_from([1, 1, 1, 0.001]))
    span = draw(st.sampled_from([0, 4, 12]))
    largest = max(1, int(site.node_gpus.max()))
    gpus = st.integers(1, largest) | st.integers(min(2, largest), largest) | st.integers(0, site.gpus + 1)
    rows = []
    for number in range(draw(st.integers(1, max_jobs))):
        more = _columns(draw, features, number, unit, scale)
        runtime = None if draw(st.integers(0, 40)) == 40 else draw(st.integers(0, 9)) * scale
        fraction = "fractions" in features and draw(st.booleans())
        if fraction:
            more["gpu_milli"] = draw(st.sampled_from([1, 200, 250, 300, 500, 700, 999]))
        rows.append((draw(st.integers(0, span)) * scale, runtime, 1 if fraction else draw(gpus), more))
    return workload(*rows)


def _columns(draw: st.DrawFn, features: set[str], number: int, unit: float, scale: float) -> dict[str, object]:
    """Return the values of the optional columns that these features bring."""
    time = st.integers(0, 14).map(lambda value: value * scale)
    sources: dict[str, dict[str, st.SearchStrategy[object]]] = {
        "types": {"gpu_type": st.none() | st.sampled_from(["a", "a|b", "a|c", "b", "b|a", "c|b", "c|d"])},
        "cpus": {"cpus": st.none() | st.integers(0, 12).map(lambda value: value * unit)},
        "memory": {"memory_gib": st.none() | st.integers(0, 12).map(lambda value: value * unit)},
        "nodes": {"nodes": st.none() | st.integers(1, 3)},
        "spread": {"spread": st.none() | st.booleans()},
        "exclusive": {"exclusive": st.none() | st.just(True)},
        "segment": {"segment": st.none() | st.integers(1, 3)},
        "priority": {"priority": st.none() | st.integers(-1, 1)},
        "not_before": {"not_before": st.none() | time},
        "time_limit": {"time_limit": st.none() | st.integers(0, 5).map(lambda value: value * scale)},
        "deadline": {"deadline": st.none() | time},
        "nice": {"nice": st.none() | st.integers(-3, 3)},
        "user": {"user": st.none() | st.sampled_from(["ann", "bob"])},
        "qos": {
            "qos": st.none() | st.sampled_from(["high", "low", "else"]),
            "partition": st.none() | st.sampled_from(["long", "else"]),
        },
        "state": {"state": st.none() | st.sampled_from(["completed", "failed", "cancelled"])},
    }
    more = {
        name: draw(values) for feature in sorted(features & sources.keys()) for name, values in sources[feature].items()
    }
    if "dependencies" in features and number:
        parents = draw(st.lists(st.integers(0, number - 1), max_size=2, unique=True))
        more["depends_on"] = [str(parent) for parent in parents]
        more["think_time"] = draw(st.none() | st.integers(0, 3).map(lambda value: value * scale))
    if "recorded" in features:
        start = draw(st.none() | time)
        more["start_time"] = start
        more["end_time"] = None if start is None or draw(st.booleans()) else start + draw(st.integers(0, 5)) * scale
    return more


@st.composite
def crowded_sites(draw: st.DrawFn) -> Cluster:
    """Sites on which jobs have to wait: one node, alike nodes of 1, 4 or 8 GPUs, racks of several sizes, or any."""
    kind = draw(st.sampled_from(["one", "single", "alike", "trays", "any"]))
    if kind == "any":
        return draw(clusters(4))
    if kind == "trays":
        return draw(tray_sites())
    if kind == "one":
        return cluster(draw(st.sampled_from([4, 8])))
    count = draw(st.integers(2, 6 if kind == "single" else 3))
    size = 1 if kind == "single" else draw(st.sampled_from([2, 4, 8]))
    cpus = draw(st.none() | st.just([2 * size + 2] * count))
    return cluster(*[("a", size)] * count, cpus=cpus, levels=_levels(draw, count))


@st.composite
def crowded_workloads(
    draw: st.DrawFn, site: Cluster, scale: float, max_jobs: int = 14, *, plain: bool = False
) -> Workload:
    """More jobs than fit, in bursts, with limits above and below the run times; times are multiples of ``scale``.

    Plain jobs ask for GPUs only, and all take time.  In half of the workloads one job asks for the whole site.
    """
    features = set() if plain else draw(st.sets(st.sampled_from(CROWDED_FEATURES), max_size=5))
    exact = draw(st.booleans())
    largest = max(1, int(site.node_gpus.max()))
    wide = draw(st.booleans())
    narrow = st.integers(1, max(1, site.gpus // 3))
    gpus = narrow if wide else st.integers(1, largest) | st.integers(1, max(1, site.gpus))
    longest = draw(st.sampled_from([9, 9, 30]))
    burst = st.sampled_from(draw(st.sampled_from([[0], [0, 0, 3], [0, 1, 2, 3, 4, 5, 6]])))
    rows = []
    for number in range(draw(st.integers(2, max_jobs))):
        more = _columns(draw, features, number, 1, scale)
        runtime = draw(st.integers(1, longest) if plain or draw(st.integers(0, 9)) else st.just(0))
        if not exact and draw(st.integers(0, 3)):
            more["time_limit"] = max(0, runtime + draw(st.integers(-3, 6))) * scale
        fraction = "fractions" in features and draw(st.booleans())
        if fraction:
            more["gpu_milli"] = draw(st.sampled_from([250, 400, 500, 700]))
        asked = 1 if fraction else site.gpus if wide and number == 1 else draw(gpus)
        rows.append((draw(burst) * scale, runtime * scale, asked, more))
    return workload(*rows)


@st.composite
def policies(draw: st.DrawFn, variant: str | None = None, scale: float = 1, **fixed: object) -> Policy:
    """Any policy, with the fields that are given; a variant is one of :data:`VARIANTS`."""
    if variant is None:
        variant = draw(st.sampled_from(VARIANTS))
    fields: dict[str, object] = {
        "order": draw(st.sampled_from(sorted(ORDERS))),
        "placement": draw(st.sampled_from(sorted(PLACEMENTS))),
        "estimate": draw(st.sampled_from(["limit", "limit", *sorted(ESTIMATES)])),
        "on_limit": draw(st.sampled_from(["kill", "kill", "ignore"])),
        "spread": draw(st.integers(0, 7)) == 7,
    }
    if "backfill" not in fixed and fixed.get("replay") != "recorded":
        fields |= _terms(draw, variant, scale)
    fields |= fixed
    if not fields["spread"]:
        fields.setdefault("exclusive", draw(st.integers(0, 7)) == 7)
    if fields["order"] == "multifactor" and draw(st.booleans()):
        weights = {"age": 5, "max_age": 6 * scale, "size": 2.5, "priority": 1, "qos": 1, "partition": -0.3, "nice": 0.7}
        fields |= {"weights": weights, "qos": {"high": 1, "low": 0.25}, "partitions": {"long": 1.5}}
    if fields["estimate"] == "history":
        fields["history"] = draw(st.integers(1, 3))
    if fields["estimate"] == "noise":
        fields["noise"] = draw(st.sampled_from([0, 0.2, 1.5]))
    return Policy(**fields)


def _terms(draw: st.DrawFn, variant: str, scale: float) -> dict[str, object]:
    """Return backfill and its options, small enough to bind."""
    backfill, *option = variant.split("-")
    fields: dict[str, object] = {"backfill": backfill}
    if backfill == "easy":
        fields["reservation"] = option[0]
    if option == ["bounded"]:
        fields["depth"] = draw(st.none() | st.integers(1, 4))
        fields["interval"] = draw(st.integers(0, 6)) * scale
    if variant == "slurm-bounded":
        fields["window"] = draw(st.integers(0, 12)) * scale
        fields["resolution"] = draw(st.integers(1, 4)) * scale
    return fields


@st.composite
def preemptions(draw: st.DrawFn, rule: str, scale: float = 1) -> Preemption:
    """A rule with any options that go with it, small enough to bind; times are multiples of half of ``scale``.

    Where an attempt may be too short to save anything and promotions bring it back again and again, there is a limit
    to how often a job is preempted: otherwise two jobs could take turns for ever.  There are no half microseconds.
    """

    def time(least: int, most: int) -> float:
        whole = st.integers(least, most)
        return (
            draw(whole if scale < 1e-5 else whole | st.integers(2 * least, 2 * most).map(lambda half: half / 2)) * scale
        )

    fields: dict[str, object] = {"rule": rule}
    if draw(st.booleans()):
        fields["restart_cost"] = time(0, 2)
    kept = draw(st.sampled_from(["all", "all", "checkpoints", "checkpoints", "nothing"]))
    if kept == "checkpoints":
        fields |= {"checkpoint_interval": time(1, 4), "checkpoint_cost": time(0, 1)}
    elif kept == "nothing" and rule != "time-slice":
        fields["checkpoint_interval"] = None
    if draw(st.integers(0, 3)) == 3:
        fields["min_run"] = time(0, 4)
    if draw(st.integers(0, 3)) == 3:
        fields["max_preemptions"] = draw(st.integers(1, 3))
    if rule not in {"srtf", "srsf"}:
        fields["victims"] = draw(st.sampled_from(["latest-start", "least-lost", "fewest-gpus"]))
    if rule in {"partition", "qos"}:
        named = draw(st.sampled_from([range(14), range(14), [1, 5], [0, 3, 4, 9]]))
        fields["tiers"] = {f"tier {each}": each - draw(st.sampled_from([0, 0, 2])) for each in named}
        modes, names = st.sampled_from(["off", "suspend", "requeue", "cancel", "cancel"]), [*fields["tiers"], "none"]
        fields["modes"] = draw(st.just({}) | st.dictionaries(st.sampled_from(names), modes))
        if draw(st.integers(0, 2)) == 2:
            some = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
            fields["min_runs"] = {name: time(0, 4) for name in some}
    if rule == "time-slice":
        lost = [float(fields.get(each) or 0) for each in ("restart_cost", "checkpoint_interval", "checkpoint_cost")]
        fields["time_slice"] = sum(lost) + time(1, 4)
    if rule in {"las", "2d-las", "gittins"}:
        most = 10 if rule == "las" else 40
        cuts = draw(st.sets(st.integers(1, most), min_size=1, max_size=4) | st.just(set()))
        fields["thresholds"] = tuple(cut * scale for cut in sorted(cuts))
        fields["promote"] = draw(st.none() | st.sampled_from([1e-9, 0.25, 0.7, 1, 2, 5]))
    if rule == "gittins":
        fields["gittins_index"] = draw(st.sampled_from(["textbook", "released"]))
        past = st.lists(st.integers(0, 60).map(lambda each: each * scale), min_size=1, max_size=8)
        fields["gittins_history"] = draw(st.none() | past.map(tuple))
    if fields.get("promote") and (kept != "all" or fields.get("restart_cost")):
        fields.setdefault("max_preemptions", draw(st.integers(1, 6)))
    return Preemption(**fields)


@st.composite
def ranked(draw: st.DrawFn, jobs: Workload, scale: float = 1) -> Workload:
    """Give the jobs priorities, partitions and QOS, and say of some that they are not to be preempted.

    In most workloads those who come later are also more urgent, so that there is reason to preempt: one comes after
    the other, each is shorter than the one before and of higher priority.
    """
    rows = jobs.table.to_pylist()
    pressing = draw(st.integers(0, 3)) > 0
    flags = draw(st.sampled_from([(None,), (None,), (None, True, False), (False, None, None, None)]))
    step = draw(st.sampled_from([0.5, 1, 2]))
    for number, row in enumerate(rows):
        row["priority"] = draw(st.none() | st.integers(-1, 4))
        row["partition"], row["qos"] = (draw(st.none() | st.integers(0, 4).map("tier {}".format)) for _ in range(2))
        row["preemptible"] = draw(st.sampled_from(flags))
        if pressing and draw(st.integers(0, 5)):
            row["priority"] = number
            row["partition"] = row["qos"] = f"tier {number}"
            row["submit_time"] = number * step * scale
            row["runtime"] = (2 * (len(rows) - number) + draw(st.integers(0, 3))) * scale
    return Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))


@st.composite
def preemptive_policies(draw: st.DrawFn, rule: str, scale: float = 1, **fixed: object) -> Policy:
    """Any policy that preempts by this rule."""
    orders = [order for order in ORDERS if order not in SCORED]
    order = "fifo" if rule in {"srtf", "srsf", "time-slice"} else draw(st.sampled_from(orders))
    fixed.setdefault("backfill", draw(st.sampled_from(["none", "fit"])))
    return draw(policies(order=order, preemption=draw(preemptions(rule, scale)), **fixed))


TENANTS = (None, "blue", "blue", "blue/sky", "blue/sky/high", "red")
SHARED_PATHS = (
    "blue", "red", "blue/sky", "blue/ann", "blue/bob", "ann", "bob", "blue/sky/high", "blue/sky/bob", "red/ann",
    "red/rose/ann", "grey",
)  # fmt: skip
"""Accounts and users with and without jobs, and names that may be those of either."""


@st.composite
def tenanted(draw: st.DrawFn, jobs: Workload) -> Workload:
    """Give the jobs users and tenants: accounts below accounts, users without a name, a user called as an account."""
    rows = jobs.table.to_pylist()
    tenants = draw(st.sampled_from([TENANTS, TENANTS, ("blue", "red"), ("blue",), (None,)]))
    for number, row in enumerate(rows):
        row["user"] = "ann" if number == 0 else draw(st.sampled_from([None, "ann", "ann", "bob", "eve", "sky"]))
        row["tenant"] = "blue" if number == 0 else draw(st.sampled_from(tenants))
    return Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))


@st.composite
def fair_policies(draw: st.DrawFn, variant: str, scale: float = 1) -> Policy:
    """Any policy with fair share; periods of a microsecond to many jobs' length.

    Periods are mostly such that several end while a job waits, and often of no whole number of microseconds.
    """
    policy = draw(policies(scale=scale, variant=variant, order="multifactor"))
    weights = {"age": draw(st.sampled_from([0, 0, 5])), "max_age": 6 * scale}
    weights["fairshare"] = draw(st.sampled_from([1000, 1000, 10, 1.5, -3]))
    paths = draw(st.just(set()) | st.sets(st.sampled_from(SHARED_PATHS), min_size=4))
    period = draw(st.sampled_from([0.6, 1, 1, 2, 2.5, 3, 1 / 0.3, 5, 12, 100])) * scale
    return replace(
        policy,
        weights={**policy.weights, **weights},
        fair_share=draw(st.sampled_from(["classic", "fair-tree"])),
        shares={path: draw(st.sampled_from([0, 0.3, 1, 2, 3, 10])) for path in sorted(paths)},
        share_period=max(period, 1e-6),
        half_life=draw(st.sampled_from(["none", 1e-6, 0.7 * scale, 4 * scale, 4 * scale, 30 * scale, 604_800])),
    )


def random_cluster(rng: np.random.Generator, nodes: int = 24) -> Cluster:
    """Return a cluster of three GPU types and a few CPU-only nodes, in racks of four and pods of twelve."""
    gpus = [int(rng.choice([0, 2, 4, 8, 8])) for _ in range(nodes)]
    typed = [(TYPES[node * 3 // nodes] if held else "", held) for node, held in enumerate(gpus)]
    return cluster(
        *typed,
        cpus=[8 + 4 * held for held in gpus],
        memory=[16 + 8 * held for held in gpus],
        levels=[[node // 4 for node in range(nodes)], [node // 12 for node in range(nodes)]],
    )


def random_workload(
    rng: np.random.Generator, jobs: int = 300, *, fractions: bool = True, delays: bool = True, load: float = 1.0
) -> Workload:
    """Return jobs of every kind that all take time; ``delays``: some depend on others or have a ``not_before``."""
    span = int(6 * jobs / load)
    submit = rng.permutation(span)[:jobs]
    rows = []
    for number in range(jobs):
        gpus = int(rng.choice([0, 1, 1, 1, 2, 4, 8, 12, 24]))
        cpus, memory = rng.integers(1, 3) * max(gpus, 1), rng.integers(0, 30)
        more: dict[str, object] = {"cpus": float(cpus), "memory_gib": float(memory)}
        if rng.random() < 0.3:
            more["gpu_type"] = str(rng.choice(["a", "b", "a|c", "b|c"]))
        if gpus == 1 and fractions and rng.random() < 0.5:
            more["gpu_milli"] = int(rng.choice([100, 250, 500, 700]))
        if gpus >= 4 and rng.random() < 0.3:
            more["nodes"] = int(rng.choice([2, 3]))
        more["spread"] = bool(rng.random() < 0.1)
        more["priority"] = int(rng.integers(0, 3))
        if rng.random() < 0.2:
            more["time_limit"] = float(rng.integers(1, 200))
        if delays and rng.random() < 0.1:
            more["not_before"] = float(rng.integers(0, span))
        if delays and number and rng.random() < 0.2:
            more["depends_on"] = [str(parent) for parent in rng.choice(number, size=min(2, number), replace=False)]
            more["think_time"] = float(rng.integers(0, 4))
        rows.append((float(submit[number]), float(rng.integers(1, 200)), gpus, more))
    return workload(*rows)
