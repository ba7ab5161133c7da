"""A conformance kit: does a policy keep what every policy must keep?  On small random sites, told on the smallest.

>>> from gpuyard.testing import check_policy
>>> check_policy("easy", examples=20)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from gpuyard.checkpointing import is_cancelled_of, min_runs_of, preemptible_of
from gpuyard.cluster import Cluster
from gpuyard.custom import Decider, OwnOrder, OwnPlacement
from gpuyard.entitlement import owners
from gpuyard.errors import ConfigError, GpuyardError, PolicyError
from gpuyard.hardware import NodeType
from gpuyard.policy import Policy, named_policy
from gpuyard.preempting import rank_of_jobs
from gpuyard.promises import limits_hold, nobody_within_quota_loses, quotas_hold
from gpuyard.record import EndReason, Outcome, Record
from gpuyard.simulation import schedule
from gpuyard.tenancy import NO_TENANTS, Tenants
from gpuyard.topology.levels import Levels
from gpuyard.traces.schema import COLUMNS
from gpuyard.workload import MICROSECOND, Workload

__all__ = ["Case", "check_policy", "find_fault"]

SHIFT: Final = 864_000
"""s: by how much all times are shifted.  Ten days, so that hours of the day and the grain of plans stay."""
_MICRO: Final = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Case:
    """A small site and its jobs."""

    nodes: tuple[tuple[str, int], ...]
    """GPU type and GPUs of each node"""
    jobs: tuple[dict[str, Any], ...]
    """columns of the job table by name"""

    def cluster(self) -> Cluster:
        """Return the site."""
        kinds = sorted(set(self.nodes))
        gpus = np.array([gpus for _, gpus in self.nodes], np.int32)
        return Cluster(
            name="small",
            node_names=tuple(f"n{number}" for number in range(len(self.nodes))),
            node_gpus=gpus,
            node_kind=np.array([kinds.index(node) for node in self.nodes], np.int16),
            kinds=tuple(_node_type(*kind) for kind in kinds),
            node_cpus=4 * gpus.astype(np.float64),
            node_memory_gib=32 * gpus.astype(np.float64),
            levels=Levels(names=(), domains=()),
        )

    def workload(self, shift: float = 0.0) -> Workload:
        """Return the jobs, with all times later by so many seconds."""
        rows = [
            {**job, **{name: job[name] + shift for name in ("submit_time", "not_before") if name in job}}
            for job in self.jobs
        ]
        used = [each for each in COLUMNS if any(each.name in row for row in rows)]
        return Workload.from_table(
            pa.table({each.name: pa.array([row.get(each.name) for row in rows], each.dtype) for each in used})
        )

    def __str__(self) -> str:
        """Return nodes and jobs, one a line."""
        nodes = ", ".join(f"{gpus} x {kind}" for kind, gpus in self.nodes)
        lines = [", ".join(f"{name}={value!r}" for name, value in job.items()) for job in self.jobs]
        return "\n".join([f"nodes: {nodes}", *(f"job: {line}" for line in lines)])


def _node_type(gpu_type: str, gpus: int) -> NodeType:
    """Return a node type of which only what jobs hold matters."""
    return NodeType(
        name=f"{gpus}-{gpu_type}",
        gpu_type=gpu_type,
        gpus=gpus,
        cpus=4 * gpus,
        memory_gib=32.0 * gpus,
        idle_w=0.0,
        gpu_dynamic_w=0.0,
        cpu_dynamic_w=0.0,
        source="made for a test",
    )


def check_policy(
    policy: str | Policy | Decider | OwnOrder | OwnPlacement,
    *,
    examples: int = 100,
    seed: int = 0,
    shift: bool = True,
    tenants: Tenants | Mapping[str, Any] | None = None,
) -> None:
    """Raise if a policy breaks what every policy must keep.

    It runs on random sites of a few nodes, with jobs of every kind, from small to larger.  What breaks is made smaller,
    job by job and node by node, as long as it breaks the same.

    Parameters
    ----------
    policy
        A name, a composed policy, an object of your own, or what ``@gpuyard.order`` or ``@gpuyard.placement`` made.
    examples
        How many random sites and workloads.
    seed
        Of these, and of the runs.
    shift
        Whether the same jobs ten days later must get the same schedule, that much later.  Set it to False for a policy
        that goes by the date.
    tenants
        Who shares the sites: jobs are then of these tenants, of others below them and of none, and of a few users,
        partitions, QOS and classes.

    Raises
    ------
    PolicyError
        Which promise is broken, how, and on which site and jobs.
    ConfigError
        For a policy that hands out cells, which are those of one site.
    """
    chosen, shared = named_policy(policy), Tenants.of(tenants)
    if chosen.cells:
        raise ConfigError("the random sites of this check have not the cells that are owned; leave 'cells' out")
    for number in range(examples):
        rng = np.random.default_rng([seed, number])
        case = _draw(rng, jobs=1 + number * 12 // max(examples, 1))
        if chosen.preemption:
            case = replace(case, jobs=tuple(_ranked(rng, job, [*chosen.preemption.tiers]) for job in case.jobs))
        if shared:
            case = replace(case, jobs=tuple(_owned(rng, job, shared) for job in case.jobs))
        fault = find_fault(chosen, case, seed=seed, shift=shift, tenants=shared)
        if fault is not None:
            case, fault = _shrunk(chosen, case, fault, seed=seed, shift=shift, tenants=shared)
            raise PolicyError(f"{chosen.name} breaks '{fault[0]}': {fault[1]}\n{case}")


def find_fault(
    policy: Policy, case: Case, *, seed: int = 0, shift: bool = True, tenants: Tenants = NO_TENANTS
) -> tuple[str, str] | None:
    """Return the first promise that a policy breaks on a case, and how; None where it keeps all."""
    cluster, workload = case.cluster(), case.workload()
    given: dict[str, Any] = {"seed": seed, **({"tenants": tenants} if tenants else {})}
    try:
        record = schedule(workload, cluster, policy, **given)
    except GpuyardError as problem:
        if problem.__cause__ is not None:
            return "it does not fail", str(problem)
        stalled = "still waits" in str(problem)
        return ("every job that fits runs" if stalled else "its decisions are legal"), str(problem)
    except Exception as problem:  # whatever a user's code raises is what is reported
        return "it does not fail", f"{type(problem).__name__}: {problem}"
    for promise, check in _PROMISES.items():
        for fault in check(record):
            return promise, fault
    for promise, later in (("the same run again gives the same", 0), ("all later gives the same, later", SHIFT)):
        if later and not shift:
            continue
        try:
            other = schedule(case.workload(later), cluster, policy, **given)
            fault = next(
                (f"job {job} starts elsewhere or at another time" for job in _differing(record, other, later)), ""
            )
        except Exception as problem:
            fault = f"{type(problem).__name__}: {problem}"
        if fault:
            return promise, fault
    return None


def _job(record: Record, row: int) -> str:
    return f"'{record.workload.table['job_id'][row]}'"


def _seconds(tick: int) -> float:
    return tick / MICROSECOND


def _slots(record: Record, attempt: int) -> list[tuple[int, int, int]]:
    """Return (node, GPUs, lowest GPU number or -1) of what an attempt holds."""
    held = slice(int(record.slot_offset[attempt]), int(record.slot_offset[attempt + 1]))
    columns = (record.slot_node[held], record.slot_gpus[held], record.slot_gpu[held])
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _all_run(record: Record) -> Iterator[str]:
    for row in np.flatnonzero(record.outcome == Outcome.UNFINISHED).tolist():
        yield f"job {_job(record, row)} never ends"


def _nobody_early(record: Record) -> Iterator[str]:
    job = record.attempt_job
    for attempt in np.flatnonzero(record.attempt_start < record.eligible[job]).tolist():
        row = int(job[attempt])
        yield f"job {_job(record, row)} starts before it is eligible at {_seconds(int(record.eligible[row])):g} s"


def _whole_jobs(record: Record) -> Iterator[str]:
    wanted, pieces = record.workload.gpus, record.workload.integers("nodes", 0)
    spread = record.workload.integers("spread", 0) > 0
    for attempt, row in enumerate(record.attempt_job.tolist()):
        held = _slots(record, attempt)
        gpus = sum(each for _, each, _ in held)
        if gpus != wanted[row]:
            yield f"job {_job(record, row)} holds {gpus} GPUs and asked for {wanted[row]}"
        if len({node for node, _, _ in held}) != len(held) or not held:
            yield f"job {_job(record, row)} holds two chunks on one node, or none"
        if pieces[row] and not (spread[row] or record.policy.spread) and len(held) != pieces[row]:
            yield f"job {_job(record, row)} holds {len(held)} nodes and asked for {pieces[row]}"


def _right_types(record: Record) -> Iterator[str]:
    codes, names = record.workload.labels("gpu_type", "")
    types = record.cluster.gpu_types
    for attempt, row in enumerate(record.attempt_job.tolist()):
        wanted = set(names[codes[row]].split("|")) - {""}
        got = {types[record.cluster.node_type[node]] for node, gpus, _ in _slots(record, attempt) if gpus}
        if wanted and not got <= wanted:
            yield f"job {_job(record, row)} wants {sorted(wanted)} and holds {sorted(got)}"


def _nothing_twice(record: Record) -> Iterator[str]:
    for start in np.unique(record.attempt_start).tolist():
        running = np.flatnonzero((record.attempt_start <= start) & (record.attempt_end > start)).tolist()
        for node in range(record.cluster.nodes):
            text = _too_much(record, running, node)
            if text:
                yield f"at {_seconds(start):g} s node {node} {text}"


def _too_much(record: Record, running: list[int], node: int) -> str:
    """Return what a node holds too much of; nothing where all fits."""
    workload, cluster = record.workload, record.cluster
    milli, gpus = workload.integers("gpu_milli", 1000), workload.gpus
    cpus, memory = np.nan_to_num(workload.floats("cpus")), np.nan_to_num(workload.floats("memory_gib"))
    shares: dict[int, int] = {}
    whole, cores, gib = 0, 0.0, 0.0
    for attempt in running:
        row = int(record.attempt_job[attempt])
        for where, held, gpu in _slots(record, attempt):
            if where != node:
                continue
            part = held / gpus[row] if gpus[row] else 1.0
            cores, gib = cores + cpus[row] * part, gib + memory[row] * part
            if gpus[row] == 1 and milli[row] < 1000:
                shares[gpu] = shares.get(gpu, 0) + int(milli[row])
            else:
                whole += held
    for gpu, taken in shares.items():
        if taken > 1000:
            return f"has {taken} thousandths of GPU {gpu} in use"
    if whole + len(shares) > cluster.node_gpus[node]:
        return f"has {whole + len(shares)} of {cluster.node_gpus[node]} GPUs in use"
    for used, all_of_it, what in ((cores, cluster.node_cpus, "CPUs"), (gib, cluster.node_memory_gib, "GiB")):
        if all_of_it is not None and used > all_of_it[node] + 1e-6:
            return f"has {used:g} of {all_of_it[node]:g} {what} in use"
    return ""


def _work_adds_up(record: Record) -> Iterator[str]:
    """Yield jobs whose attempts overlap, or do more or less work in all than the job has."""
    limit = record.workload.time_limit if record.policy.on_limit == "kill" else record.workload.runtime
    work = np.minimum(record.workload.runtime, limit)
    length = record.attempt_end - record.attempt_start
    for attempt in np.flatnonzero((record.useful < 0) | (record.useful > length)).tolist():
        yield f"an attempt of job {_job(record, int(record.attempt_job[attempt]))} is useful for longer than it lasts"
    order = np.lexsort((np.arange(length.size), record.attempt_job))
    rows = record.attempt_job[order]
    again = (rows[1:] == rows[:-1]) & (record.attempt_start[order][1:] < record.attempt_end[order][:-1])
    for row in rows[1:][again].tolist():
        yield f"job {_job(record, row)} has two attempts at once"
    useful = np.zeros(work.size, np.int64)
    np.add.at(useful, record.attempt_job, record.useful)
    preempted = record.attempt_job[_preempted(record)]
    gone = np.isin(np.arange(work.size), preempted) & is_cancelled_of(record.workload, record.policy.preemption)
    work[gone] = 0
    for row in np.flatnonzero((record.outcome != Outcome.REJECTED) & (useful != work)).tolist():
        did, has = _seconds(int(useful[row])), _seconds(int(work[row]))
        yield f"the attempts of job {_job(record, row)} did {did:g} s of work in all, and it has {has:g} s"


def _preempted(record: Record) -> list[int]:
    return np.flatnonzero(record.attempt_reason == EndReason.PREEMPTED).tolist()


def _nobody_protected(record: Record) -> Iterator[str]:
    """Yield jobs that were preempted though they may not be, too early, or too often."""
    terms = record.policy.preemption
    may, least = preemptible_of(record.workload, terms), min_runs_of(record.workload, terms)
    most = np.where(is_cancelled_of(record.workload, terms), 1, terms.max_preemptions or 2**62)
    times: dict[int, int] = {}
    for attempt in _preempted(record):
        row, start, end = (
            int(column[attempt]) for column in (record.attempt_job, record.attempt_start, record.attempt_end)
        )
        times[row] = times.get(row, 0) + 1
        if not may[row]:
            yield f"job {_job(record, row)} is preempted at {_seconds(end):g} s and is not preemptible"
        if end - start < least[row]:
            shown = f"{_seconds(end - start):g} s, not {_seconds(int(least[row])):g}"
            yield f"job {_job(record, row)} is preempted after {shown}"
        if times[row] > most[row]:
            yield f"job {_job(record, row)} is preempted {times[row]} times, of at most {most[row]}"


def _room_for_another(record: Record) -> Iterator[str]:
    """Yield jobs that were preempted for nobody, or for one who does not start then or is less urgent."""
    causes = record.attempt_cause
    given = record.policy.preemption
    fixed = given.rule in ("priority", "partition", "qos")
    rank = rank_of_jobs(record.workload, given) if fixed else np.zeros(len(record.workload))
    starts = set(zip(record.attempt_job.tolist(), record.attempt_start.tolist(), strict=True))
    for attempt in _preempted(record):
        row, end = int(record.attempt_job[attempt]), int(record.attempt_end[attempt])
        cause = -1 if causes is None else int(causes[attempt])
        if cause < 0 or cause == row or (cause, end) not in starts:
            yield f"job {_job(record, row)} is preempted at {_seconds(end):g} s, and nobody starts for whom it was"
        elif fixed and rank[cause] <= rank[row] and not _are_of_two(record, row, cause):
            yield f"job {_job(record, row)} makes room for job {_job(record, cause)}, which has no higher {given.rule}"


def _are_of_two(record: Record, row: int, other: int) -> bool:
    """Return whether two jobs belong to different tenants that share the cluster."""
    if not record.tenants:
        return False
    owner = owners(record.tenants.paths, record.workload)
    return bool(owner[row] != owner[other])


_PROMISES: Final[dict[str, Callable[[Record], Iterator[str]]]] = {
    "every job that fits runs": _all_run,
    "nobody starts before it is eligible": _nobody_early,
    "a job holds what it asked for": _whole_jobs,
    "GPU types are respected": _right_types,
    "nothing is held twice": _nothing_twice,
    "all its work is done, once": _work_adds_up,
    "nobody is preempted who may not be": _nobody_protected,
    "who is preempted makes room for another": _room_for_another,
    "no quota is exceeded": quotas_hold,
    "no limit is exceeded": limits_hold,
    "nobody within the quota loses to another tenant": nobody_within_quota_loses,
}


def _differing(first: Record, second: Record, later: int) -> Iterator[str]:
    """Yield the jobs whose starts or slots differ beyond a shift of all times by so many seconds."""
    for row in np.flatnonzero(first.outcome != second.outcome).tolist():
        yield _job(first, row)
    begun = first.outcome != Outcome.REJECTED
    for row in np.flatnonzero(begun & (second.start - later * _MICRO != first.start)).tolist():
        yield _job(first, row)
    lives = [_attempts(record, later) for record, later in ((first, 0), (second, later))]
    for row in sorted(lives[0]):
        if lives[0][row] != lives[1].get(row):
            yield _job(first, row)


def _attempts(record: Record, later: int) -> dict[int, list[object]]:
    """Return when each job that started ran from and to, and on what, with all times earlier by so many seconds."""
    lives: dict[int, list[object]] = {}
    for attempt, row in enumerate(record.attempt_job.tolist()):
        span = (int(each[attempt]) - later * _MICRO for each in (record.attempt_start, record.attempt_end))
        lives.setdefault(row, []).append((*span, sorted(_slots(record, attempt))))
    return lives


def _draw(rng: np.random.Generator, jobs: int) -> Case:
    """Return a random case of so many jobs: crowded, in bursts, of every kind."""
    types = ["a", "b"][: int(rng.integers(1, 3))]
    size = int(rng.choice([2, 4, 8]))
    nodes = tuple((str(rng.choice(types)), size) for _ in range(int(rng.integers(1, 5))))
    most = size * len(nodes)
    kinds = set(rng.choice(["fraction", "type", "nodes", "spread", "limit", "later", "after", "cpus"], 3).tolist())
    return Case(nodes=nodes, jobs=tuple(_draw_job(rng, number, kinds, most, types) for number in range(jobs)))


def _draw_job(rng: np.random.Generator, number: int, kinds: set[str], most: int, types: list[str]) -> dict[str, Any]:
    gpus = int(rng.integers(1, most + 1)) if rng.random() < 0.3 else int(rng.choice([1, 1, 2, 4]))
    runtime = float(rng.integers(1, 20))
    job: dict[str, Any] = {"job_id": str(number), "submit_time": float(rng.integers(0, 8)), "runtime": runtime}
    job["gpus"] = gpus

    def some(kind: str) -> bool:
        return kind in kinds and bool(rng.random() < 0.5)

    if some("fraction"):
        job |= {"gpus": 1, "gpu_milli": int(rng.choice([250, 400, 500]))}
    elif some("nodes") and gpus > 1:
        job["nodes"] = 2
    elif some("spread"):
        job["spread"] = True
    if some("type"):
        job["gpu_type"] = str(rng.choice([*types, "a|b"]))
    if some("limit"):
        job["time_limit"] = runtime + float(rng.integers(-5, 10)) if runtime > 5 else runtime + 3
    if some("later"):
        job["not_before"] = float(rng.integers(0, 12))
    if some("after") and number:
        job["depends_on"] = [str(int(rng.integers(0, number)))]
    if some("cpus"):
        job |= {"cpus": float(rng.integers(1, 5)), "memory_gib": float(rng.integers(1, 40))}
    return job


def _ranked(rng: np.random.Generator, job: dict[str, Any], tiers: list[str]) -> dict[str, Any]:
    """Return a job with a priority, in a partition and of a QOS that have these tiers; some are not preemptible."""
    ranked = {**job, "priority": int(rng.integers(0, 3))}
    if tiers:
        ranked |= {name: str(rng.choice(tiers)) for name in ("partition", "qos")}
    return ranked if rng.random() < 0.8 else {**ranked, "preemptible": False}


def _owned(rng: np.random.Generator, job: dict[str, Any], tenants: Tenants) -> dict[str, Any]:
    """Return a job of a tenant, of one below it, or of nobody, with what limits may group jobs by."""
    paths = [path for path in tenants.paths if path]
    names = [None, "nobody-knows", *paths, *(f"{path}/below" for path in paths[:2])]
    owned = {**job, "tenant": names[int(rng.integers(len(names)))]}
    for column in ("user", "partition", "qos", "job_class"):
        known = {limit.where[column] for limit in tenants.limits if column in limit.where}
        owned[column] = str(rng.choice(sorted(known | {"a", "b"})))
    return owned


def _smaller(case: Case) -> Iterator[Case]:
    """Yield cases with a job, a node or a column less, or with rounder numbers."""
    for number in range(len(case.jobs)):
        gone = case.jobs[number]["job_id"]
        if not any(gone in job.get("depends_on", ()) for job in case.jobs):
            yield replace(case, jobs=case.jobs[:number] + case.jobs[number + 1 :])
    for number in range(len(case.nodes) if len(case.nodes) > 1 else 0):
        yield replace(case, nodes=case.nodes[:number] + case.nodes[number + 1 :])
    for number, job in enumerate(case.jobs):
        plainer = [{name: value for name, value in job.items() if name != extra} for extra in list(job)[4:]]
        plainer += [
            {**job, name: least} for name, least in (("submit_time", 0.0), ("runtime", 1.0)) if job[name] > least
        ]
        if job["gpus"] > 1:
            plainer.append({**job, "gpus": job["gpus"] // 2})
        for other in plainer:
            yield replace(case, jobs=(*case.jobs[:number], other, *case.jobs[number + 1 :]))


def _shrunk(
    policy: Policy, case: Case, fault: tuple[str, str], *, seed: int, shift: bool, tenants: Tenants
) -> tuple[Case, tuple[str, str]]:
    """Return a case on which the same promise is broken and that no smaller step keeps broken."""
    going = True
    while going and case.jobs:
        going = False
        for smaller in _smaller(case):
            if not smaller.jobs:
                continue
            found = find_fault(policy, smaller, seed=seed, shift=shift, tenants=tenants)
            if found is not None and found[0] == fault[0]:
                case, fault, going = smaller, found, True
                break
    return case, fault
