"""What an explanation is made from: a saved result, its jobs and site, and what the scheduler promised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpuyard.beginning import begin_at
from gpuyard.bounds import with_time_limits
from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError, InputError
from gpuyard.explanation.closures import Closure, closures_of, joint
from gpuyard.explanation.partition_queues import Partition, Queues, queues_of
from gpuyard.explanation.past import FairPast
from gpuyard.explanation.promises import NOT_NEEDED, Promises, promises_of
from gpuyard.explanation.sections import bounds_of, section_of, ticks_of, virtual_clusters_of, windows_of
from gpuyard.kernel.tables import Records
from gpuyard.lowering import Asked, lower_demands
from gpuyard.metrics import cluster_digest, workload_digest
from gpuyard.ordering import is_scored, order_features, score_weights, scorer_of
from gpuyard.participants import participants
from gpuyard.policy import Policy, named_policy
from gpuyard.result import Result
from gpuyard.scenario.model import Scenario
from gpuyard.sharing import lower_accounts
from gpuyard.tenancy import Tenants
from gpuyard.virtual_clusters import Division, divide
from gpuyard.windows import there_from
from gpuyard.workload import MICROSECOND, NEVER, Workload

__all__ = ["Evidence", "find_job", "gather"]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A finished run as arrays.  Times are int64 microseconds, NEVER for none; jobs are rows of ``workload``."""

    workload: Workload
    cluster: Cluster
    policy: Policy
    seed: int
    stop: int
    begin: int | None
    tenants: Tenants
    eligible: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    rejected: NDArray[np.bool_]
    attempt_job: NDArray[np.int64]
    attempt_start: NDArray[np.int64]
    attempt_end: NDArray[np.int64]
    attempt_useful: NDArray[np.int64]
    attempt_reason: Sequence[str]
    attempt_by: NDArray[np.int64]
    """for whom each attempt made room, or -1"""
    attempt_lent: NDArray[np.bool_]
    """whether it ran in cells that were lent"""
    slot_offset: NDArray[np.int64]
    slot_node: NDArray[np.int64]
    slot_gpus: NDArray[np.int64]
    slot_gpu: NDArray[np.int64]
    result: Result
    read_promises: Callable[[], tuple[Promises | None, str]]
    """returns the log of decisions, and where it is from"""
    read_windows: Callable[[], list[Closure]]
    read_partitions: Callable[[], list[Partition]]
    """returns the partitions that have nodes"""
    there_from: NDArray[np.int64]
    """from when on each node is there, -NEVER for always"""
    read_beliefs: Callable[[], tuple[NDArray[np.int64], NDArray[np.int32]]]
    """returns the estimates of the jobs, and their places in an order that stays"""
    site: Cluster
    """the cluster of which this one is a part, or the same"""
    numbers: NDArray[np.int64]
    """of each node, its number there"""
    stated_limit: NDArray[np.int64]
    """the time limit that each job states itself; ``workload`` has those that partitions and QOS give the others"""
    everybody: Workload
    """the jobs, and those that had ended when the simulation began, which estimates know"""
    division: Division | None = None
    """the virtual clusters of the run; of one of them, ``None``"""

    @cached_property
    def _promises(self) -> tuple[Promises | None, str]:
        found, source = self.read_promises()
        return (None if found is None else replace(found, queue=self.queues.of[found.job])), source

    @property
    def promises(self) -> Promises | None:
        """The log of decisions, read or made when it is first asked for; ``None`` where there is none."""
        return self._promises[0]

    @property
    def log(self) -> str:
        """Where the promises are from: ``saved``, ``made again``, ``not needed`` so far, or why there are none."""
        return self._promises[1] if "_promises" in self.__dict__ else NOT_NEEDED

    @cached_property
    def names(self) -> list[str]:
        """The id of each job."""
        return self.workload.held["job_id"].to_pylist()

    @cached_property
    def asked(self) -> Asked:
        """What jobs ask for, as the engine sees it."""
        return lower_demands(self.workload, self.cluster, self.policy)

    @cached_property
    def estimate(self) -> NDArray[np.int64]:
        """How long each job is expected to run, at least a microsecond."""
        return np.maximum(self._beliefs[0], 1)

    @cached_property
    def rank(self) -> NDArray[np.int32]:
        """Each job's place in an order that stays."""
        return self._beliefs[1]

    @cached_property
    def _beliefs(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        return self.read_beliefs()

    @cached_property
    def scored(self) -> bool:
        """Whether the order is worked out anew in every pass."""
        return self.policy.replay == "schedule" and is_scored(self.policy)

    @cached_property
    def attempt_since(self) -> NDArray[np.int64]:
        """From when on each attempt runs: of one that ran before the simulation began, an instant before that."""
        if self.begin is None:
            return self.attempt_start
        ran = self.start[self.attempt_job] < self.begin
        first = np.zeros(ran.size, np.bool_)
        first[np.unique(self.attempt_job, return_index=True)[1]] = True
        return np.where(ran & first, self.begin - 1, self.attempt_start)

    @cached_property
    def windows(self) -> list[Closure]:
        """Maintenance and reserved nodes."""
        return self.read_windows()

    def closures(self, row: int, now: int, lasting: int | None = None) -> list[Closure]:
        """Return the windows that close nodes to a job that would start now.

        ``lasting``: how long it is expected to stay, microseconds; by default what was expected before it first ran.
        """
        stays = int(self.estimate[row]) if lasting is None else lasting
        return [each for each in self.windows if not each.invited[row] and now < each.end and now + stays > each.start]

    def closed_nodes(self, row: int, now: int, lasting: int | None = None) -> NDArray[np.bool_] | None:
        """Return which nodes are closed to a job that would start now, bool, shape (nodes,); ``None`` for none."""
        return joint(self.closures(row, now, lasting))

    @cached_property
    def queues(self) -> Queues:
        """The queues in which jobs wait."""
        return queues_of(self.read_partitions(), self.policy, len(self.workload), self.cluster.nodes)

    @cached_property
    def _features(self) -> Records:
        return order_features(self.workload, self.policy, self.estimate, self.cluster.gpus)

    @cached_property
    def _stays(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """When jobs became eligible, and when they ended, microseconds, each in ascending order."""
        return np.sort(self.eligible[self.eligible != NEVER]), np.sort(self.end[self.end != NEVER])

    @cached_property
    def _past(self) -> FairPast | None:
        """The factors of fair share; ``None`` where they do not count."""
        asked = self.asked
        accounts = lower_accounts(self.policy, self.workload, asked, self.cluster.gpus, self.begin)
        if not accounts.parent.size:
            return None
        milli = accounts.thousandths[asked.demand[self.attempt_job]]
        return FairPast(accounts, self.attempt_job, self.attempt_start, self.attempt_end, milli)

    def recalculations(self, since: int, until: int) -> NDArray[np.int64]:
        """Return when factors of fair share are worked out anew, from an instant to before another; int64 ticks."""
        past = self._past if self.scored else None
        return np.empty(0, np.int64) if past is None else past.recalculations(since, until)

    def _present(self, now: int) -> int:
        """Return how many jobs wait or run in the pass at an instant."""
        came, went = (int(np.searchsorted(times, now, side="right")) for times in self._stays)
        return came - went

    def goes_later(self, row: int, others: NDArray[np.int64], now: int) -> NDArray[np.bool_]:
        """Return which other jobs (int64 rows, shape (others,)) come after a job in the order, at an instant."""
        if not self.scored:
            return self.rank[others] > self.rank[row]
        score = self.scores(np.append(others, row), now)
        later = score[:-1] < score[-1]
        return np.asarray(later | ((score[:-1] == score[-1]) & (others > row)))

    def compared(self, row: int, first: int, now: int) -> dict[str, Any]:
        """Return the scores of a job and of the first at an instant, and the fair-share factors of their users.

        Nothing where others than scores decide: an order that stays, levels of a preemption, shares of tenants.
        """
        if not self.scored or self.policy.preemption.rule not in ("none", "reclaim") or self.tenants.between != "queue":
            return {}
        rows = np.array([row, first])
        own, its = self.scores(rows, now).tolist()
        found: dict[str, Any] = {"scores": (own, its)}
        if self._past is not None:
            used, less = self._past.factors(rows, now).tolist()
            found["fair_share"] = (used, less)
        return found

    def scores(self, rows: NDArray[np.int64], now: int) -> NDArray[np.float64]:
        """Return the scores of jobs that wait in the pass at an instant, shape (rows,); the highest goes first."""
        waiting = self._features[rows]
        waiting["wait"] = (now - self.eligible[rows]) / MICROSECOND
        if self._past is not None:
            waiting["fairshare"] = self._past.factors(rows, now)
        score = np.empty(rows.size)
        scorer: Any = scorer_of(self.policy)
        weights = score_weights(self.policy, self.cluster.gpus, self._present(now))
        getattr(scorer, "py_func", scorer)(now / MICROSECOND, waiting, score, weights)
        return score


def gather(
    result: Result, *, workload: Workload | None, cluster: Cluster | None, note: Callable[[str], None]
) -> Evidence:
    """Return what is known of a run; its jobs and site are made again from its scenario unless given.

    Raises
    ------
    ConfigError
        If they cannot be made again, or are not those that the result was made from.
    """
    jobs, site = _jobs_and_site(result, workload, cluster, note)
    given = dict(section_of(result, "policy"))
    policy = named_policy(str(given.pop("name", "fifo")), **given)
    run = section_of(result, "run")
    begin = None if run.get("begin") is None else round(float(run["begin"]) * MICROSECOND)
    tenants, parts = Tenants.of(section_of(result, "tenants")), virtual_clusters_of(result)
    division = divide(jobs, site, policy, parts, tenants) if parts else None
    everybody = with_time_limits(jobs, bounds_of(result))
    if begin is not None and len(jobs) != len(result.jobs):
        middle = begin_at(jobs, begin)
        jobs = middle.workload
        if division is not None:  # whose jobs are whose is asked of all of them
            division = replace(division, member=division.member[middle.kept])
    _check_same(result, jobs, site)
    stated, jobs = jobs.time_limit, with_time_limits(jobs, bounds_of(result))
    attempts = result.attempts
    row_of = {name: row for row, name in enumerate(jobs.table["job_id"].to_pylist())}
    attempt_end = ticks_of(attempts["end_time"])
    until, seed = run.get("until"), int(run.get("seed", 0))
    return Evidence(
        workload=jobs,
        cluster=site,
        policy=policy,
        seed=seed,
        stop=int(attempt_end.max(initial=jobs.submit.min(initial=0))) if until is None else round(until * MICROSECOND),
        begin=begin,
        tenants=tenants,
        eligible=ticks_of(result.jobs["eligible_time"]),
        start=ticks_of(result.jobs["start_time"]),
        end=ticks_of(result.jobs["end_time"]),
        rejected=np.array(result.jobs["state"].to_pylist()) == "rejected",
        attempt_job=np.array([row_of[name] for name in attempts["job_id"].to_pylist()], np.int64),
        attempt_start=ticks_of(attempts["start_time"]),
        attempt_end=attempt_end,
        attempt_useful=ticks_of(attempts["useful_time"]),
        attempt_reason=attempts["end_reason"].to_pylist(),
        attempt_by=np.array([row_of.get(name, -1) for name in attempts["preempted_by"].to_pylist()], np.int64),
        attempt_lent=_lent(attempts),
        slot_offset=_offsets(attempts["nodes"]),
        slot_node=_flat(attempts["nodes"]),
        slot_gpus=_flat(attempts["gpus_on_node"]),
        slot_gpu=_flat(attempts["first_gpu"]),
        result=result,
        read_promises=partial(promises_of, result, everybody, site, policy, note),
        read_windows=partial(_closures, result, jobs, site),
        read_partitions=partial(_partitions, result, jobs, site),
        there_from=there_from(windows_of(result, jobs), site),
        read_beliefs=partial(_beliefs, everybody, policy, seed, run.get("begin")),
        site=site,
        numbers=np.arange(site.nodes),
        stated_limit=stated,
        everybody=everybody,
        division=division,
    )


def _beliefs(
    everybody: Workload, policy: Policy, seed: int, begin: float | None
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    jobs = participants(everybody, policy, begin=begin, seed=seed)
    return jobs.estimate, jobs.rank


def _lent(attempts: pa.Table) -> NDArray[np.bool_]:
    """Return which attempts ran in cells that were lent to them."""
    if "lent" not in attempts.column_names:
        return np.zeros(len(attempts), np.bool_)
    return np.array(attempts["lent"].fill_null(False).to_pylist(), np.bool_)


def _closures(result: Result, workload: Workload, cluster: Cluster) -> list[Closure]:
    return closures_of(windows_of(result, workload), workload, cluster)


def _partitions(result: Result, workload: Workload, cluster: Cluster) -> list[Partition]:
    found = []
    for window in windows_of(result, workload):
        if window.is_partition:
            nodes = np.ones(cluster.nodes, np.bool_)
            nodes[window.node_numbers(cluster)] = False
            found.append(Partition(window.partitions[0], nodes, window.members(workload)))
    return found


def _jobs_and_site(
    result: Result, workload: Workload | None, cluster: Cluster | None, note: Callable[[str], None]
) -> tuple[Workload, Cluster]:
    """Return the jobs and the site, as given or as the scenario makes them."""
    if workload is not None and cluster is not None:
        return workload, cluster
    if section_of(result, "provenance").get("runs_again") is False:
        raise ConfigError(
            "this result was made in Python from a workload and a cluster that no file describes, and only they say "
            "what its jobs asked for; in Python, gpuyard.explain(result, job, workload=..., cluster=...) takes them"
        )
    note("reading the jobs of the run")
    scenario = Scenario.from_mapping({key: item for key, item in result.scenario.items() if key != "provenance"})
    made = scenario.read_workload()[0] if workload is None else workload
    return made, scenario.build_cluster() if cluster is None else cluster


def _check_same(result: Result, workload: Workload, cluster: Cluster) -> None:
    """Raise if jobs or site are not those that the result was made from."""
    known = section_of(result, "provenance")
    for what, found in (("workload", workload_digest(workload)), ("cluster", cluster_digest(cluster))):
        if known.get(f"{what}_sha256", found) != found:
            raise ConfigError(
                f"the {what} '{known.get(what)}' is not the one that the result was made from (SHA-256 {found[:12]}... "
                f"for {str(known[f'{what}_sha256'])[:12]}...), so it explains nothing; give the one that was simulated"
            )


def find_job(evidence: Evidence, job_id: str) -> int:
    """Return the row of a job.

    Raises
    ------
    InputError
        If there is none of that id; names the nearest.
    """
    import difflib

    if job_id in evidence.names:
        return evidence.names.index(job_id)
    nearest = difflib.get_close_matches(job_id, evidence.names[:100_000], n=1, cutoff=0.6)
    hint = f"; did you mean '{nearest[0]}'?" if nearest else ""
    raise InputError(
        f"there is no such job{hint}",
        path="jobs.parquet",
        column="job_id",
        value=job_id,
        remedy=f"give the id of one of the {len(evidence.names):,} jobs",
    )


def _offsets(column: pa.ChunkedArray) -> NDArray[np.int64]:
    lengths = [np.diff(chunk.offsets.to_numpy()) for chunk in column.chunks]
    return np.concatenate([[0], *(np.asarray(each, np.int64) for each in lengths)]).cumsum()


def _flat(column: pa.ChunkedArray) -> NDArray[np.int64]:
    parts = [chunk.flatten().to_numpy().astype(np.int64) for chunk in column.chunks]
    return np.concatenate([np.empty(0, np.int64), *parts])
