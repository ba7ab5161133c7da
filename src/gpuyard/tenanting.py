"""What the loop for tenants is given: trees, quotas, limits and who asks for what, in the engine's units."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gpuyard.checkpointing import may_be_fruitless
from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError, unknown_name
from gpuyard.kernel.codes import NEVER, NOBODY
from gpuyard.kernel.expectations import thousandths_asked
from gpuyard.kernel.launch import Pointer
from gpuyard.kernel.regaining import Regainer, regain, regain_nothing, regainer_signature
from gpuyard.kernel.stays import Stays, build_lanes
from gpuyard.kernel.tables import Records
from gpuyard.kernel.tenancy import (
    ANY_TYPE,
    ASKER,
    GROUP,
    LINK,
    PAIR,
    QUOTA,
    TENANT,
    Between,
    Ledger,
    Reclaim,
    Share,
    Tenancy,
    build_tenancy,
)
from gpuyard.kernel.views import build_views
from gpuyard.lowering import Asked, Rejections, with_types
from gpuyard.open_quotas import holds_nobody, open_levels, without_limit_of_all
from gpuyard.policy import Policy
from gpuyard.preemption import RANKED, Preemption
from gpuyard.tenancy import NO_TENANTS, Quota, Tenants
from gpuyard.wishes import distinct
from gpuyard.workload import Workload

__all__ = [
    "Shared",
    "check_tenants",
    "limited_alike",
    "lower_tenancy",
    "one_tenant",
    "preemption_policy",
    "regainer_of",
    "reject_never_admitted",
    "share_out",
    "tenant_tables",
    "with_bound",
]

_WHOLE: Final = 1000
_NOTHING: Final = "\0"
"""What stands for a column that says nothing; no text of a trace has it."""
_BETWEEN: Final = {
    "queue": Between.QUEUE,
    "drf": Between.DRF,
    "fair": Between.FAIR,
    "cohorts": Between.COHORTS,
}
_MOST_FRUITLESS: Final = 1_000
"""How often at most a job is preempted where tenants could take from each other for ever."""
_RECLAIM: Final = {
    "never": Reclaim.NEVER,
    "any": Reclaim.ANY,
    "lower": Reclaim.LOWER,
    "fair": Reclaim.FAIR,
    "cohorts": Reclaim.COHORTS,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Shared:
    """Tenants in the engine's units, and who of the jobs asks what of them."""

    tenants: Tenants
    demands: int
    """with those of one type, where quotas are by type"""
    parent: NDArray[np.int32]
    quota: Records
    """shape (tenants, resources); no tenants without quotas"""
    group: Records
    asker: Records
    groups: NDArray[np.int64]
    """shape (askers, limits): the group of each limit, NOBODY for none"""
    asker_of: NDArray[np.int32]
    variant: NDArray[np.int32]
    """shape (demands, types): a demand of one type only; no types unless quotas are by type"""


def check_tenants(policy: Policy, tenants: Tenants) -> None:
    """Raise ConfigError for what tenants do not go with."""
    if not tenants:
        if policy.preemption.rule == "reclaim":
            raise ConfigError(
                "preemption reclaim takes back what tenants lent, and there are no tenants; name some in [tenants], or "
                "choose another preemption"
            )
        return
    _check_borrowing(policy, tenants)
    reasons = {
        f"backfill {policy.backfill}, whose promises are for good: quotas of that time are not known": (
            policy.backfill == "conservative" and "backfill none, fit, easy or slurm"
        ),
        "replay recorded, which starts jobs when the record does": policy.replay == "recorded" and "replay schedule",
        "a policy of your own, which decides itself": policy.decide is not None and "a named or compiled order",
        "lists of whom a name preempts, where a quota is taken back whatever a job is called": (
            bool(policy.preemption.preempts)
            and tenants.has_quotas
            and tenants.reclaim != "never"
            and "reclaim = never, or tiers alone"
        ),
    }
    for choice, instead in reasons.items():
        if instead:
            raise ConfigError(f"tenants do not go with {choice}; choose {instead}, or leave the tenants out")
    for name, given in (("quotas", tenants.has_quotas), (f"between {tenants.between}", tenants.between != "queue")):
        if policy.cells and given:
            raise ConfigError(
                f"{name} of tenants do not go with cells, which say themselves what belongs to whom; leave out "
                f"'{'nominal' if name == 'quotas' else 'between'}' (limits go with cells), or the cells"
            )


def _check_borrowing(policy: Policy, tenants: Tenants) -> None:
    """Raise ConfigError where nobody is less urgent, or no priority stands for that, for those who take to borrow."""
    rule = policy.preemption.rule
    if tenants.borrows_within and rule == "reclaim":
        raise ConfigError(
            f"borrow_within = {tenants.borrow_within} takes from less urgent jobs, and under preemption reclaim nobody "
            "is more urgent than another; choose preemption = priority, or leave 'borrow_within' out"
        )
    if tenants.borrow_threshold is not None and rule not in ("none", *RANKED):
        raise ConfigError(
            f"'borrow_threshold' is a priority or tier, and preemption {rule} goes by neither; choose preemption = "
            "priority, partition or qos, or leave 'borrow_threshold' out"
        )


def with_bound(policy: Policy, tenants: Tenants, workload: Workload) -> Policy:
    """Return the policy with a bound on preemptions where what tenants take from each other could go round for ever.

    ``docs/semantics.md``, *No livelock*, says where that is.
    """
    given = policy.preemption
    if not (tenants.has_quotas and tenants.reclaim in ("any", "fair", "cohorts") and may_be_fruitless(workload, given)):
        return policy
    return replace(policy, preemption=replace(given, max_preemptions=_MOST_FRUITLESS))


def preemption_policy(policy: Policy) -> Policy:
    """Return the policy with the rule by which the loop for tenants knows levels: none differ where nobody preempts."""
    return policy if policy.preemption else replace(policy, preemption=Preemption(rule="reclaim"))


def regainer_of(policy: Policy) -> Regainer:
    """Return what makes room among tenants; nothing where nobody is preempted."""
    return regain if policy.preemption else regain_nothing


def share_out(
    workload: Workload, cluster: Cluster, policy: Policy, tenants: Tenants, asked: Asked
) -> tuple[Asked, Shared | None]:
    """Return what jobs ask for, and who asks what of which tenant; None without tenants.

    Raises
    ------
    ConfigError
        For a quota of a GPU type that the cluster does not have.
    """
    if not tenants:
        return asked, None
    for kind in tenants.types or ():
        if kind not in cluster.gpu_types:
            raise unknown_name("GPU type of a quota", kind, cluster.gpu_types)
    variant = np.empty((0, 0), np.int32)
    if tenants.is_by_type:
        asked, variant = with_types(asked, cluster, policy)
    milli = thousandths_asked(asked.demands, asked.quanta)
    tenant = _tenants_of(workload, tenants)
    groups, group = _groups(workload, tenants, tenant)
    asker_of, first = distinct([tenant, asked.demand.astype(np.int64), *groups.T])
    asker = np.zeros(first.size, ASKER)
    asker["tenant"], asker["wish"] = tenant[first], asked.demand[first]
    demand = asked.demands[asker["wish"]]
    asker["gpus"] = milli[asker["wish"]]
    pieces = np.where(demand["gpus"] > 0, demand["gpus"], np.maximum(demand["nodes"], 1))
    asker["cpu"], asker["memory"] = demand["cpu"] * pieces, demand["memory"] * pieces
    asker["resource"] = _resources(asker, demand, tenants, variant)
    shared = Shared(
        tenants=tenants,
        demands=asked.demands.size,
        parent=_parents(tenants),
        quota=_quotas(cluster, tenants),
        group=group,
        asker=asker,
        groups=groups[first],
        asker_of=asker_of,
        variant=variant,
    )
    return asked, shared


def one_tenant(asked: Asked) -> Shared:
    """Return what :func:`share_out` does where all jobs are the root's, and nothing is held against it."""
    asker = np.zeros(asked.demands.size, ASKER)
    asker["wish"] = np.arange(asker.size)
    asker["gpus"] = thousandths_asked(asked.demands, asked.quanta)
    asker["resource"] = NOBODY
    return Shared(
        tenants=NO_TENANTS,
        demands=asked.demands.size,
        parent=np.array([NOBODY], np.int32),
        quota=np.zeros((1, 0), QUOTA),
        group=np.zeros(0, GROUP),
        asker=asker,
        groups=np.empty((asker.size, 0), np.int64),
        asker_of=asked.demand,
        variant=np.empty((0, 0), np.int32),
    )


def limited_alike(shared: Shared | None, jobs: int) -> NDArray[np.int64]:
    """Return for each of so many jobs, shape (jobs,), the first asker of those that limits admit when they admit it."""
    if shared is None:
        return np.zeros(jobs, np.int64)
    alike, first = distinct([*shared.groups.T, shared.asker["gpus"].astype(np.int64)])
    return first[alike][shared.asker_of]


def _tenants_of(workload: Workload, tenants: Tenants) -> NDArray[np.int64]:
    """Return the number of the tenant that each job belongs to, shape (jobs,)."""
    number = {path: place for place, path in enumerate(tenants.paths)}
    codes, names = workload.labels("tenant", _NOTHING)
    found = np.zeros(max(len(names), 1), np.int64)
    for code, name in enumerate(names):
        parts = name.split("/")
        prefixes = ("/".join(parts[:depth]) for depth in range(len(parts), 0, -1))
        found[code] = next((number[prefix] for prefix in prefixes if prefix in number), 0)
    return found[codes]


def _groups(workload: Workload, tenants: Tenants, tenant: NDArray[np.int64]) -> tuple[NDArray[np.int64], Records]:
    """Return the group of each job under each limit, shape (jobs, limits), NOBODY for none; and all groups."""
    found = np.full((len(workload), len(tenants.limits)), NOBODY, np.int64)
    most: list[tuple[int, int]] = []
    paths = tenants.paths
    for place, limit in enumerate(tenants.limits):
        inside = np.ones(len(workload), np.bool_)
        for column, value in limit.where.items():
            codes, names = (tenant, paths) if column == "tenant" else workload.labels(column, _NOTHING)
            inside &= codes == (names.index(value) if value in names else NOBODY)
        keys = [tenant if column == "tenant" else workload.labels(column, _NOTHING)[0] for column in limit.each]
        rows = np.flatnonzero(inside)
        if rows.size == 0:
            continue
        member = np.zeros(rows.size, np.int64)
        if keys:
            member = distinct([key[rows] for key in keys])[0].astype(np.int64)
        found[rows, place] = member + len(most)
        jobs = NEVER if limit.jobs is None else limit.jobs
        gpus = NEVER if limit.gpus is None else round(limit.gpus * _WHOLE)
        most += [(jobs, gpus)] * (int(member.max()) + 1)
    group = np.zeros(len(most), GROUP)
    if most:
        group["most_jobs"], group["most_gpus"] = np.array(most, np.int64).T
    return found, group


def _resources(asker: Records, demand: Records, tenants: Tenants, variant: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the resource whose quota each asker needs; NOBODY for none, ANY_TYPE where it may use several types."""
    if not tenants.has_quotas:
        return np.full(asker.size, NOBODY, np.int32)
    single = np.zeros(asker.size, np.int32)
    if variant.size:
        types = np.array(
            [[kinds >> kind & 1 for kind in range(variant.shape[1])] for kinds in demand["kinds"].tolist()]
        )
        single = np.where(types.sum(axis=1) > 1, ANY_TYPE, types.argmax(axis=1)).astype(np.int32)
    return np.where(asker["gpus"] > 0, single, NOBODY).astype(np.int32)


def _parents(tenants: Tenants) -> NDArray[np.int32]:
    """Return each tenant's parent, shape (tenants,); NOBODY for the root."""
    number = {path: place for place, path in enumerate(tenants.paths)}
    above = (number[path.rpartition("/")[0]] for path in tenants.paths[1:])
    return np.array([NOBODY, *above], np.int32)


def _quotas(cluster: Cluster, tenants: Tenants) -> Records:
    """Return the quotas of all tenants, shape (tenants, resources); of no resource without quotas."""
    if not tenants.has_quotas:
        return np.zeros((len(tenants.paths), 0), QUOTA)
    stated = {each.name: each for each in tenants.tenants}
    resources = len(cluster.gpu_types) if tenants.is_by_type else 1
    quota = np.zeros((len(tenants.paths), resources), QUOTA)
    lend = np.full(quota.shape, NEVER, np.int64)
    borrow = np.full(quota.shape, NEVER, np.int64)
    for place, path in enumerate(tenants.paths):
        nominal = tenants.nominal if place == 0 else None
        if path in stated:
            nominal = stated[path].nominal
            lend[place] = _amounts(stated[path].lend, cluster, resources, NEVER)
            borrow[place] = _amounts(stated[path].borrow, cluster, resources, NEVER)
        quota["nominal"][place] = quota["own_nominal"][place] = _amounts(nominal, cluster, resources, 0)
    parent = _parents(tenants)
    for place in range(len(parent) - 1, 0, -1):
        nominal = quota["nominal"][place]
        quota["kept"][place] = np.maximum(nominal - lend[place], 0)
        quota["nominal"][parent[place]] += nominal - quota["kept"][place]
    quota["most"] = np.where(borrow == NEVER, NEVER, quota["nominal"] + np.where(borrow == NEVER, 0, borrow))
    quota["most"][0] = quota["nominal"][0]
    return quota


def _amounts(given: Quota | None, cluster: Cluster, resources: int, missing: int) -> NDArray[np.int64]:
    """Return thousandths of GPUs of each resource; of a type that is not named, 0."""
    if given is None:
        return np.full(resources, missing, np.int64)
    if isinstance(given, float | int):
        return np.full(resources, round(given * _WHOLE), np.int64)
    return np.array([round(given.get(kind, 0.0) * _WHOLE) for kind in cluster.gpu_types], np.int64)


def reject_never_admitted(
    shared: Shared, fits: NDArray[np.bool_], jobs: NDArray[np.bool_], rejections: Rejections
) -> None:
    """Reject those of some jobs, bool, shape (jobs,), that quotas or limits never admit.

    ``fits``: which demands their nodes can hold when they are empty.
    """
    asker, limited = shared.asker, np.zeros(shared.asker.size, np.bool_)
    for column in shared.groups.T:
        rows = np.flatnonzero(column != NOBODY)
        group = shared.group[column[rows]]
        limited[rows] |= (group["most_jobs"] < 1) | (group["most_gpus"] < asker["gpus"][rows])
    rejections.add(jobs & limited[shared.asker_of], "asks for more than a limit ever admits")
    never = np.zeros(asker.size, np.bool_)
    for resource in range(shared.quota.shape[1]):
        rows = np.flatnonzero(asker["resource"] == resource)
        never[rows] = ~_is_ever_admitted(shared, asker[rows], resource)
    several = np.flatnonzero(asker["resource"] == ANY_TYPE)
    never[several] = True
    for kind in range(shared.variant.shape[1] if several.size else 0):
        only = shared.variant[asker["wish"][several], kind]
        held = (only != NOBODY) & fits[only]
        never[several] &= ~(held & _is_ever_admitted(shared, asker[several], kind))
    rejections.add(jobs & never[shared.asker_of], "asks for more GPUs than its tenant may ever have")


def _is_ever_admitted(shared: Shared, asker: Records, resource: int) -> NDArray[np.bool_]:
    """Return for each asker whether the quotas admit one of its jobs while nothing else runs."""
    need, tenant = asker["gpus"].astype(np.int64), asker["tenant"].astype(np.int64)
    admitted = np.ones(asker.size, np.bool_)
    while np.any(tenant != NOBODY):
        quota = shared.quota[tenant, resource]
        asked = (tenant != NOBODY) & (need > 0)
        admitted &= ~asked | (need <= quota["most"])
        need = np.where(asked, np.maximum(need - quota["kept"], 0), need)
        tenant = np.where(tenant == NOBODY, NOBODY, shared.parent[tenant])
    return admitted


def lower_tenancy(shared: Shared, cluster: Cluster, policy: Policy) -> Tenancy:
    """Return the tables of the loop for tenants."""
    asker = shared.asker.copy()
    link, pair, pair_of_node = _links(shared, asker)
    asker["lane"] = np.arange(asker.size) if policy.backfill == "fit" else asker["tenant"]
    state = np.zeros(Share.SIZE, np.int64)
    state[Share.BETWEEN] = _BETWEEN[shared.tenants.between]
    state[Share.RECLAIM] = _RECLAIM[shared.tenants.reclaim]
    state[Share.BORROWS] = shared.tenants.borrows_within
    state[Share.FIT] = policy.backfill == "fit"
    state[Share.PREEMPTS] = bool(policy.preemption)
    state[Share.LISTED] = policy.preemption.victims != "latest-start" or policy.preemption.rule in ("srtf", "srsf")
    state[Share.ALIKE] = (
        policy.preemption.rule == "reclaim" and state[Share.LISTED] == 0 and state[Share.RECLAIM] != Reclaim.FAIR
    )
    state[Share.BORROWERS] = state[Share.LISTED_AT] = NOBODY
    state[Share.RESOURCES] = shared.quota.shape[1]
    state[Share.FREE] = cluster.gpus * _WHOLE
    state[Share.LENDABLE] = int(shared.quota["nominal"][0].sum()) if shared.quota.size else 0
    ledger = Ledger(
        tenant=_tenant_records(shared, asker, policy),
        quota=shared.quota.reshape(-1).copy(),
        group=shared.group.copy(),
        asker=asker,
        link=link,
        asker_of=shared.asker_of,
        total=_totals(cluster),
        state=state,
    )
    views = build_views(cluster.nodes, int(cluster.node_gpus.max(initial=0)), wanted=bool(policy.preemption))
    return build_tenancy(ledger, pair, pair_of_node, shared.variant.reshape(-1), shared.demands, views)


def _tenant_records(shared: Shared, asker: Records, policy: Policy) -> Records:
    """Return the tenants, which hold nothing; lanes are numbered tenant after tenant."""
    tenant = np.zeros(shared.parent.size, TENANT)
    weights = {each.name: float(each.weight) for each in shared.tenants.tenants}
    tenant["weight"] = [weights.get(path, 1.0) for path in shared.tenants.paths]
    tenant["parent"], tenant["end"] = shared.parent, _ends(shared.parent)
    tenant["prey"] = tenant["view"] = NOBODY
    least, held = np.full(tenant.size, NEVER, np.int64), asker["gpus"] > 0
    np.minimum.at(least, asker["tenant"][held], asker["gpus"][held])
    tenant["least"] = np.where(least == NEVER, 0, least)
    bounds = np.arange(tenant.size + 1)
    if policy.backfill == "fit":
        bounds = np.searchsorted(asker["tenant"], bounds)
    tenant["first_lane"], tenant["last_lane"] = bounds[:-1], bounds[1:]
    tenant["end_lane"] = bounds[tenant["end"]]
    tenant["open_levels"] = open_levels(shared.parent, holds_nobody(shared.quota))
    return tenant


def _ends(parent: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the number after the last tenant below each; tenants below one follow it without a gap."""
    end = np.arange(1, parent.size + 1, dtype=np.int32)
    for place in range(parent.size - 1, 0, -1):
        end[parent[place]] = max(end[parent[place]], end[place])
    return end


def _links(shared: Shared, asker: Records) -> tuple[Records, Records, NDArray[np.int32]]:
    """Return what may hold each asker, and the pairs of what holds and what is asked for; note each asker's links."""
    tenants, resources = shared.parent.size, shared.quota.shape[1]
    paths: list[list[int]] = []
    for place, parent in enumerate(shared.parent.tolist()):
        paths.append([place, *(paths[parent] if place else [])])
    node: list[int] = []
    first: list[int] = []
    held = asker["resource"] != NOBODY if resources else np.zeros(asker.size, np.bool_)
    for tenant, is_held, groups in zip(asker["tenant"].tolist(), held.tolist(), shared.groups.tolist(), strict=True):
        first.append(len(node))
        node += paths[tenant] if is_held else []
        node += [tenants + group for group in groups if group != NOBODY]
    asker["first_link"] = first
    asker["links"] = np.diff([*first, len(node)])
    link = np.zeros(len(node), LINK)
    link["node"], link["pair"] = node, NOBODY
    by = np.repeat(asker, asker["links"])
    place = np.arange(len(node)) - by["first_link"]
    closed = np.flatnonzero(~np.append(holds_nobody(shared.quota), np.zeros(shared.group.size, np.bool_))[link["node"]])
    asker["open_links"] = asker["links"]
    np.minimum.at(asker["open_links"], np.repeat(np.arange(asker.size), asker["links"])[closed], place[closed])
    single = np.flatnonzero((by["resource"] != ANY_TYPE) & (place >= by["open_links"]))
    nodes = link["node"][single].astype(np.int64)
    of_link, one = distinct([nodes, by["wish"][single].astype(np.int64)])
    link["pair"][single] = of_link
    pair = np.zeros(one.size, PAIR)
    pair["root"] = NOBODY
    pair["gpus"], pair["resource"] = by["gpus"][single][one], by["resource"][single][one]
    bounds = np.arange(tenants + shared.group.size + 1)
    return link, pair, np.searchsorted(nodes[one], bounds).astype(np.int32)


def _totals(cluster: Cluster) -> NDArray[np.int64]:
    """Return the cluster's GPUs and CPUs in thousandths and its memory in MiB; 0 where it does not state them."""
    total = np.zeros(3, np.int64)
    total[0] = cluster.gpus * _WHOLE
    for place, (given, unit) in enumerate(((cluster.node_cpus, _WHOLE), (cluster.node_memory_gib, 1024)), 1):
        if given is not None:
            total[place] = int(np.rint(np.asarray(given) * unit).sum())
    return total


def tenant_tables(
    own: tuple[Any, ...], shared: Shared | None, cluster: Cluster, policy: Policy, accepted: NDArray[np.bool_]
) -> tuple[Any, ...]:
    """Return what the loop for tenants takes beyond what all loops take, in its order; without tenants, ``own``.

    Parameters
    ----------
    own
        What the loop that preempts takes.
    accepted
        bool, shape (jobs,): jobs that take part.
    """
    if shared is None:
        return own
    tenancy = lower_tenancy(
        replace(shared, quota=without_limit_of_all(shared.quota, cluster.gpus * _WHOLE)), cluster, policy
    )
    pointer = Pointer(regainer_of(policy), regainer_signature)
    return _with_lanes(own[0], tenancy, accepted), tenancy, pointer


def _with_lanes(stays: Stays, tenancy: Tenancy, accepted: NDArray[np.bool_]) -> Stays:
    """Return the stays with the lanes of tenants in the place of those of demands."""
    ledger = tenancy.ledger
    lanes = tenancy.waiting.aside.size
    sizes = np.bincount(ledger.asker["lane"][ledger.asker_of[accepted]], minlength=lanes)
    changed: dict[str, Any] = {"lane": build_lanes(sizes), "turn": np.empty(1, np.int32)}
    return stays._replace(**changed)
