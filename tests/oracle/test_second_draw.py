"""Engine against reference on workloads drawn by number, with plain random numbers and other habits.

The strategies of the other tests were written one feature at a time; here everything is drawn beside everything, and
what is seldom there (jobs of no length, dependants of them, jobs that run at the beginning) is common.  A case is its
kind and number, so ``tell(kind, number)`` draws it again.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numba
import pytest

from conftest import cluster, workload
from gpuyard.bounds import Bounds
from gpuyard.cells import Cells
from gpuyard.cluster import Cluster
from gpuyard.dividing import schedule_apart
from gpuyard.errors import ConfigError
from gpuyard.policy import Policy
from gpuyard.tenancy import Tenants
from gpuyard.virtual_clusters import VirtualCluster
from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES, compare
from oracle.test_virtual_clusters import same
from reference import ESTIMATES, PLACEMENTS

NAMES = ("a", "a/x", "a/x/y", "b", "b/z", "c")
USERS = ("u", "v", "w")
ORDERS = ("fifo", "fifo", "sjf", "priority", "multifactor", "wfp", "themis")
OWN_ORDERS = ("srtf", "srsf", "time-slice")
SELDOM: dict[str, tuple[float, tuple[object, ...]]] = {
    "gpu_type": (0.3, ("A", "B", "A|B")),
    "time_limit": (0.3, (1, 5, 10)),
    "preemptible": (0.1, (False,)),
    "checkpoint_interval": (0.1, (0, 2)),
    "exclusive": (0.1, (True, False)),
    "not_before": (0.1, (2, 5)),
    "nice": (0.1, (-1, 2)),
    "deadline": (0.1, (4, 9)),
    "spread": (0.1, (True,)),
}
"""Columns by how often a job has one, and the values."""
TERMS: dict[str, dict[str, tuple[object, ...]]] = {
    "qos": {
        "tiers": ({"hi": 2, "lo": 1},),
        "modes": ({}, {}, {"lo": "cancel"}),
        "min_runs": ({}, {"lo": 3}, {"hi": 0}),
        "preempts": ({}, {}, {"hi": ("lo",)}),
    },
    "partition": {"tiers": ({"p": 1},), "modes": ({}, {"q": "cancel", "p": "requeue"}), "min_runs": ({}, {"q": 2})},
    "time-slice": {"time_slice": (3, 5)},
    **{rule: {"thresholds": ((1,), (2, 5), (1, 3, 9))} for rule in ("las", "2d-las", "gittins")},
}
"""What a rule needs."""
EXTRAS: tuple[tuple[float, dict[str, tuple[object, ...]]], ...] = (
    (0.4, {"checkpoint_interval": (0, 1, 1), "checkpoint_cost": (0,)}),
    (0.2, {"checkpoint_interval": (1,), "checkpoint_cost": (1,)}),
    (0.3, {"restart_cost": (1, 2)}),
    (0.3, {"max_preemptions": (1, 3)}),
    (0.2, {"min_run": (1, 4)}),
)
"""What any rule may have, by how often."""
OPTIONS: dict[str, dict[str, tuple[object, ...]]] = {
    "easy": {"estimate": ESTIMATES, "reservation": ("nodes", "nodes", "counts")},
    "slurm": {"estimate": ESTIMATES, "interval": (0, 2, 30), "resolution": (1, 60)},
    "conservative": {"estimate": ESTIMATES},
}
"""What a backfill may have."""
URGENT = ("priority", "priority", "qos", "partition", "las", "2d-las", "gittins", *OWN_ORDERS)


LOOPS = ("none", "fit", "fit", "easy", "slurm")
ANY = ("none", "none", *URGENT)
KINDS = ("begin", "tenants", "preemption", "planned", "virtual clusters", "cells")
"""What a case has for certain; windows and beginnings come with most."""
RULES = {"begin": ("reclaim", *ANY), "tenants": ("reclaim", *ANY), "planned": ("none",)}
BACKFILLS = {"planned": ("slurm", "conservative", "easy")}
BEGINS = {"begin": (1, 3, 6)}


def site_of(draw: Random) -> Cluster:
    types = draw.choice([("A",), ("A",), ("A", "B")])
    nodes = [(draw.choice(types), draw.choice([1, 2, 4])) for _ in range(draw.randint(2, 5))]
    return cluster(*nodes, cpus=[8] * len(nodes) if draw.random() < 0.3 else None)


def alike_site(draw: Random) -> Cluster:
    nodes, size = draw.randint(1, 4), draw.choice([1, 2, 4])
    return cluster(*[size] * nodes, levels=[[node // 2 for node in range(nodes)]] if nodes in (2, 4) else ())


def jobs_of(draw: Random, site: Cluster, begin: float | None) -> Workload:
    """Return up to 24 jobs, of one user those that depend on one another; many of no length."""
    rows: list[tuple[float, float, int, dict[str, object]]] = []
    now, limits, in_arrays = 0.0, {"s": draw.choice([None, 1, 1, 2]), "t": 1}, draw.random() < 0.4
    names, seldom = draw.choice([(NAMES, SELDOM), (("a", "b"), {}), (("a", "b"), SELDOM)])
    for number in range(draw.randint(2, draw.choice([6, 14, 24]))):
        now += draw.choice([0, 0, 1, 3])
        runtime, gpus = draw.choice([0, 0, 1, 3, 10, 20]), draw.choice([0, 1, 1, 2, 3, 4])
        more: dict[str, object] = {
            "tenant": draw.choice([*names, *names, None, "q"]),
            "user": draw.choice(USERS),
            "qos": draw.choice(["hi", "lo", None]),
            "partition": draw.choice(["p", "q", None]),
            "priority": draw.choice([0, 1, 2, -1, None]),
        }
        more |= {column: draw.choice(values) for column, (part, values) in seldom.items() if draw.random() < part}
        if not {*str(more.get("gpu_type", "A|B")).split("|")} & {*site.gpu_types}:
            more.pop("gpu_type", None)
        if gpus == 0:
            more["cpus"] = draw.choice([1, 4])
        elif draw.random() < 0.3:
            gpus, more = draw.choice([(1, more | {"gpu_milli": draw.choice([250, 500])}), (2, more | {"nodes": 2})])
        kin = [row for row in range(number) if rows[row][3]["user"] == more["user"]]
        if kin and draw.random() < 0.3:
            more |= {"depends_on": sorted({str(draw.choice(kin)) for _ in range(2)})}
            more["think_time"] = draw.choice([None, None, 0, 1, 4])
        if in_arrays and draw.random() < 0.6:
            more["array"] = draw.choice("st")
            more["array_limit"] = limits[more["array"]]
        if begin is not None and draw.random() < 0.7:
            more |= recorded(draw, now, runtime)
        rows.append((now, runtime, gpus, more))
    return workload(*rows)


def recorded(draw: Random, now: float, runtime: float) -> dict[str, object]:
    """Return when a job started by the record, and mostly when it ended."""
    start = now + draw.choice([-1, 0, 0, 1, 4])
    end = start + draw.choice([runtime, 0, 6, 10, 15, 25])
    return {"start_time": start, "end_time": end if draw.random() < 0.8 else None}


def policy_of(draw: Random, rules: tuple[str, ...], backfills: tuple[str, ...]) -> Policy:
    rule, backfill = draw.choice(rules), draw.choice(backfills)
    terms: dict[str, object] = {"rule": rule}
    if rule != "none":
        terms |= {name: draw.choice(values) for name, values in TERMS.get(rule, {}).items()}
        for part, extra in EXTRAS:
            if draw.random() < part:
                terms |= {name: draw.choice(values) for name, values in extra.items()}
        if "thresholds" in terms and "max_preemptions" in terms and draw.random() < 0.5:
            terms["promote"] = draw.choice([0.5, 1, 4])
        if rule not in ("srtf", "srsf"):
            terms["victims"] = draw.choice(["latest-start", "latest-start", "least-lost", "fewest-gpus"])
    order = "fifo" if rule in OWN_ORDERS else draw.choice(ORDERS)
    fields: dict[str, object] = {"order": order, "backfill": backfill, "preemption": terms}
    if order == "multifactor":
        fields["weights"] = {"fairshare": draw.choice([0, 100]), "age": 1}
    fields |= {name: draw.choice(values) for name, values in OPTIONS.get(backfill, {}).items()}
    fields["placement"] = draw.choice([*["best-fit"] * len(PLACEMENTS), *PLACEMENTS])
    return Policy(**fields, on_limit=draw.choice(["kill", "kill", "kill", "ignore"]))


def quota(draw: Random, types: tuple[str, ...]) -> object:
    if types:
        return {name: draw.choice([0, 1, 2, 3]) for name in draw.sample(types, draw.randint(1, len(types)))}
    return draw.choice([0, 1, 2, 3, 5, 0.5])


def limits_of(draw: Random) -> list[dict[str, object]]:
    each = draw.sample(["user", "tenant", "partition", "qos"], draw.randint(0, 2))
    return [{"each": each, **draw.choice([{"jobs": draw.choice([1, 2])}, {"gpus": draw.choice([1, 2, 2.5])}])}]


def tenants_of(draw: Random, types: tuple[str, ...] = ()) -> Tenants:
    types = tuple(sorted(types)) if draw.random() < 0.5 else ()
    found: dict[str, object] = {"tenant": []}
    chances = (("nominal", draw.choice([0, 0.7, 0.7, 1])), ("borrow", 0.3), ("lend", 0.3))
    for name in ("a", "b") if draw.random() < 0.4 else draw.sample(NAMES, draw.randint(0, 5)):
        entry = {key: quota(draw, types) for key, chance in chances if draw.random() < chance}
        found["tenant"].append({"name": name, "weight": draw.choice([0.5, 1, 1, 2]), **entry})
    if chances[0][1] and draw.random() < 0.4:
        found["nominal"] = quota(draw, types)
    if draw.random() < 0.3:
        found["limit"] = limits_of(draw)
    found["between"] = draw.choice(["queue", "drf", "fair", "cohorts"])
    found["reclaim"] = draw.choice(["any", "lower", "fair", "never", "cohorts"])
    if found["reclaim"] in ("any", "lower") and draw.random() < 0.4:
        found["borrow_within"] = "lower"
    return Tenants.of(found)


def windows_of(draw: Random, nodes: int) -> list[NodeWindow]:
    def some() -> tuple[int, ...]:
        return tuple(draw.sample(range(nodes), draw.randint(1, nodes)))

    found = []
    if draw.random() < 0.4:
        found = [NodeWindow.partition("p", some(), is_default=draw.random() < 0.4)]
        if draw.random() < 0.6:
            found.append(NodeWindow.partition("q", some()))
    if draw.random() < 0.3:
        found.append(NodeWindow(nodes=some(), start=draw.choice([0, 3]), end=draw.choice([6, 9])))
    return found


def bounds_of(draw: Random, windows: list[NodeWindow]) -> list[Bounds]:
    listed = {each.partitions[0]: each.is_default for each in windows if each.is_partition}
    found = []
    for column, names in (("partition", listed or "pq"), ("qos", ("hi", "lo"))):
        for name in names:
            if draw.random() < 0.2:
                default = listed[name] if name in listed else name in ("p", "lo") and draw.random() < 0.4
                found.append(Bounds(**{column: name}, is_default=default, **bound(draw)))
    return found


def bound(draw: Random) -> dict[str, object]:
    kinds: dict[str, tuple[object, ...]] = {
        "max_time": (1, 5, 10),
        "default_time": (1, 5, 10),
        "max_nodes": (1, 1, 2),
        "min_nodes": (1, 2),
        "max_gpus": (0.5, 2, 3),
        "min_gpus": (0.5, 1, 2),
        "max_cpus": (1, 3),
        "allow_tenants": (("a",), ("a/x", "b")),
        "deny_tenants": (("a",), ("a/x",)),
    }
    several = draw.sample(sorted(kinds), draw.randint(0, 2))
    if {"allow_tenants", "deny_tenants"} <= {*several}:
        several = ["max_gpus"]
    return {name: draw.choice(kinds[name]) for name in several}


def cell_policy(draw: Random, site: Cluster) -> Policy:
    base = policy_of(draw, ("none",), ("none", "fit", "easy"))
    fields = {name: getattr(base, name) for name in ("order", "backfill", "estimate", "weights", "on_limit")}
    terms = {"rule": "cells", "checkpoint_interval": draw.choice([0, 1, None]), "restart_cost": draw.choice([0, 1])}
    return Policy(**fields, cells=cells_of(draw, site), preemption=terms)


def cells_of(draw: Random, site: Cluster) -> Cells:
    owners: dict[str, dict[str, int]] = {}
    there = site.nodes
    for name in draw.sample(NAMES, draw.randint(1, 3)):
        count = draw.randint(0, there)
        there -= count
        owners[name] = {"node": count}
    if there and draw.random() < 0.5:
        owners[draw.choice(NAMES)] = {"gpu": draw.randint(1, there * int(site.node_gpus[0]))}
    return Cells(owners=owners, beyond=draw.choice(["wait", "opportunistic"]))


def parts_of(draw: Random, site: Cluster, jobs: Workload) -> list[VirtualCluster]:
    known = sorted(set(jobs.table["user"].to_pylist()))
    names = known[: draw.randint(1, min(len(known), site.nodes))]
    owner = [*names, *[draw.choice(names) for _ in range(site.nodes - len(names))]]
    found = []
    for name in names:
        mine = tuple(node for node, each in enumerate(owner) if each == name)
        own = policy_of(draw, ("none", *URGENT), ("none", "fit", "easy", "slurm")) if draw.random() < 0.4 else None
        sharing = tenants_of(draw) if draw.random() < 0.5 else Tenants()
        found.append(VirtualCluster(name=name, nodes=mine, users=(name,), policy=own, sharing=sharing))
    return found


def drawn(kind: str, number: int) -> tuple[Workload, Cluster, Policy, dict[str, object]]:
    """Return a case: workload, cluster, policy, and what else a simulation is given."""
    draw = Random(f"{kind} {number}")
    begin = draw.choice(BEGINS.get(kind, (None, 1, 3, 6)))
    site = alike_site(draw) if kind == "cells" else site_of(draw)
    jobs = jobs_of(draw, site, begin)
    more: dict[str, object] = {"begin": begin, "until": draw.choice([None, None, None, 9])}
    if kind == "cells":
        more["bounds"] = bounds_of(draw, [])
        more["tenants"] = Tenants.of({"limit": limits_of(draw)} if draw.random() < 0.3 else None)
        return jobs, site, cell_policy(draw, site), more
    more["windows"] = windows_of(draw, site.nodes)
    more["bounds"] = bounds_of(draw, more["windows"])
    if kind in ("tenants", "begin"):
        more["tenants"] = tenants_of(draw, site.gpu_types)
    if kind == "virtual clusters":
        more["virtual_clusters"] = parts_of(draw, site, jobs)
    return jobs, site, policy_of(draw, RULES.get(kind, ANY), BACKFILLS.get(kind, LOOPS)), more


def tell(
    kind: str, number: int, case: Callable[[str, int], tuple[Workload, Cluster, Policy, dict[str, object]]] = drawn
) -> bool:
    """Compare both on one case; False where what was drawn does not go together, which the engine must say."""
    try:
        jobs, site, policy, more = case(kind, number)
        schedule_apart(jobs, site, policy, **more)
    except ConfigError:
        return False
    until, parts = more.pop("until"), more.pop("virtual_clusters", None)
    if parts is None:
        compare(jobs, site, policy, 0, until, **more)
    else:
        same(jobs, site, policy, parts, 0, until, **more)
    return True


@pytest.mark.skipif(not numba.config.DISABLE_JIT, reason="the loops are compared compiled by the tests of each feature")
@pytest.mark.parametrize("kind", KINDS)
def test_the_second_draw_is_told_alike(kind):
    cases = 8 * EXAMPLES
    assert sum(tell(kind, number) for number in range(cases)) > cases * 3 // 4
