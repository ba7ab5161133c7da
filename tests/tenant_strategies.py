"""Random tenants, and jobs that belong to them."""

from __future__ import annotations

from hypothesis import strategies as st

from conftest import workload
from gpuyard.cluster import Cluster
from gpuyard.tenancy import BETWEEN, LIMIT_COLUMNS, RECLAIMS, Limit, Tenant, Tenants
from gpuyard.workload import Workload

PATHS = ("blue", "blue/sky", "blue/sky/high", "blue/sea", "red", "red/rose", "green", "grey/ash")
"""Tenants, some below others; ``grey`` is only implied."""
OWNERS = (None, "blue", "blue/sky", "blue/sky/high/up", "blue/sea", "red", "red", "red/rose", "green", "else")
"""Tenants of jobs: those, some below, and some that there are not."""
KINDS = ("none", "numbers", "types")
"""Of quotas."""


@st.composite
def owned(draw: st.DrawFn, jobs: Workload) -> Workload:
    """Give the jobs tenants and what limits go by; some know few tenants, so that there is more to borrow."""
    owners = draw(st.sampled_from([OWNERS, OWNERS, ("blue", "red"), ("blue/sky", "blue/sea", None), ("red",)]))
    columns: dict[str, tuple[str | None, ...]] = {
        "tenant": owners,
        "user": ("ann", "ann", "bob", None),
        "partition": ("p", "p", None),
        "qos": ("high", None),
        "job_class": ("training", "batch", None),
    }
    names = [name for name in columns if name == "tenant" or draw(st.booleans())]
    rows = jobs.table.to_pylist()
    for row in rows:
        row |= {name: draw(st.sampled_from(columns[name])) for name in names if name in row}
    return Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))


@st.composite
def tenants(draw: st.DrawFn, site: Cluster, kind: str | None = None, **fixed: object) -> Tenants:
    """Tenants on a site, with quotas small enough to bind and mostly large enough for all to have most jobs admitted.

    In most draws nobody's borrowing is limited and all quotas together are about the site, so that much is lent.
    """
    if kind is None:
        kind = draw(st.sampled_from(["none", "numbers", "numbers", "numbers", "types"]))
    paths = draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=5, unique=True))
    gpus = {name: sum(each for each, kind in _nodes(site) if kind == name) for name in site.gpu_types}

    def amount(most: int, share: float) -> float:
        large = max(1, round(most * share))
        return draw(st.integers(0, large) | st.just(large) | st.integers(0, 4 * large).map(lambda each: each / 4))

    def quota(share: float) -> object:
        if kind == "numbers":
            return amount(site.gpus, share)
        named = [name for name in gpus if name and draw(st.integers(0, 4))]
        return {name: amount(gpus[name], share) for name in named}

    tight = draw(st.integers(0, 3)) == 3
    given = []
    for path in paths:
        fields: dict[str, object] = {"weight": draw(st.sampled_from([1, 1, 2, 0.5, 3, 0.1]))}
        if kind != "none":
            fields["nominal"] = quota(draw(st.sampled_from([0.3, 0.5, 1]))) if draw(st.integers(0, 2)) else None
            if tight:
                fields["borrow"] = quota(0.7) if draw(st.integers(0, 1)) else None
                fields["lend"] = quota(0.4) if draw(st.integers(0, 1)) else None
        given.append(Tenant(name=path, **fields))
    pool = quota(draw(st.sampled_from([0.3, 0.6, 1]))) if kind != "none" and draw(st.integers(0, 2)) else None
    limits = draw(st.lists(job_limits(site.gpus), max_size=2)) if kind == "none" or draw(st.integers(0, 3)) == 3 else []
    return Tenants(
        tenants=tuple(given),
        limits=tuple(limits),
        between=fixed.get("between") or draw(st.sampled_from(sorted(BETWEEN))),
        reclaim=fixed.get("reclaim") or draw(st.sampled_from(sorted(RECLAIMS))),
        nominal=pool,
    )


def _nodes(site: Cluster) -> list[tuple[int, str]]:
    return [(int(gpus), site.gpu_types[kind]) for gpus, kind in zip(site.node_gpus, site.node_type, strict=True)]


@st.composite
def lenders(draw: st.DrawFn, gpus: int, **fixed: str) -> Tenants:
    """Few tenants whose quotas are about what there is, all of which may be lent."""
    paths = draw(st.lists(st.sampled_from(PATHS[:2] + PATHS[3:7]), min_size=2, max_size=4, unique=True))
    part = st.sampled_from([0, 1, gpus // 4, gpus // 3, gpus // 2, gpus // 2 + 0.5])
    weights = draw(st.sampled_from([(1,), (1, 2, 0.5)]))
    few = st.integers(0, 7).map(lambda each: None if each else 1)
    given = [
        Tenant(
            name=path,
            nominal=draw(part),
            weight=draw(st.sampled_from(weights)),
            borrow=draw(few),
            lend=draw(few),
        )
        for path in paths
    ]
    return Tenants(tenants=tuple(given), nominal=draw(st.sampled_from([None, 1, gpus // 2, gpus])), **fixed)


@st.composite
def lent_to(draw: st.DrawFn, shared: Tenants, most: int = 16) -> Workload:
    """Jobs of these tenants and of nobody, of GPUs alone, long enough that those who come later miss what was lent."""
    owners = [each.name for each in shared.tenants] + [None] * draw(st.integers(0, 1))
    job = st.tuples(st.integers(0, 12), st.integers(1, 20), st.sampled_from([1, 1, 2, 3]), st.sampled_from(owners))
    rows = draw(st.lists(job, min_size=6, max_size=most))
    priority = st.integers(-1, 1)
    return workload(
        *((at, run, asked, {"tenant": owner, "priority": draw(priority)}) for at, run, asked, owner in rows)
    )


@st.composite
def job_limits(draw: st.DrawFn, most: int) -> Limit:
    values = {"user": "ann", "tenant": "blue", "partition": "p", "qos": "high", "job_class": "batch"}
    where = draw(st.sets(st.sampled_from(sorted(values)), max_size=2))
    counts = draw(st.sampled_from(["jobs", "gpus", "both"]))
    return Limit(
        each=tuple(sorted(draw(st.sets(st.sampled_from(LIMIT_COLUMNS), max_size=2)))),
        where={name: values[name] for name in sorted(where)},
        jobs=None if counts == "gpus" else draw(st.integers(1, 4) | st.integers(0, 4)),
        gpus=None if counts == "jobs" else draw(st.integers(most, 2 * most) | st.integers(0, 2 * most)) / 2,
    )
