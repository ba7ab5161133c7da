"""Run the engine: the only caller of the kernel.  Facts come back as a :class:`~gpuyard.record.Record`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError, EngineError
from gpuyard.kernel import build
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.engine import run
from gpuyard.kernel.packed import Plan
from gpuyard.kernel.tables import Dependencies, Events, Jobs
from gpuyard.lowering import (
    Asked,
    Rejections,
    lower_demands,
    lower_dependencies,
    lower_jobs,
    lower_order,
    lower_site,
)
from gpuyard.policy import Policy
from gpuyard.record import EndReason, Outcome, Record
from gpuyard.streams import stream_key
from gpuyard.workload import MICROSECOND, Workload

__all__ = ["is_compiled", "schedule"]

Progress = Callable[[float], None]

_STATES = {
    "failed": Outcome.FAILED,
    "node_failed": Outcome.FAILED,
    "cancelled": Outcome.CANCELLED,
    "preempted": Outcome.CANCELLED,
    "timed_out": Outcome.TIMED_OUT,
}


def is_compiled() -> bool:
    """Return whether the engine is in the cache; if not, the first run compiles it, which takes seconds."""
    cache = getattr(run, "_cache", None)
    if cache is None:
        return True
    return bool(run.signatures) or bool(cache._cache_file._load_index())  # type: ignore[attr-defined]


def schedule(
    workload: Workload,
    cluster: Cluster,
    policy: Policy,
    *,
    seed: int = 0,
    until: float | None = None,
    progress: Progress | None = None,
) -> Record:
    """Schedule a workload on a cluster and return what happened.

    Parameters
    ----------
    seed
        Of the random placement; nothing else here is random.
    until
        Stop at this instant, s since the origin; later instants are not processed.
    progress
        Called now and then with the share of jobs that have been submitted.

    Raises
    ------
    ConfigError
        For a cluster or an ``until`` that cannot be simulated.
    """
    if until is not None and not abs(until) < NEVER / MICROSECOND / 4:
        raise ConfigError(f"until must be a finite number of seconds, got {until}")
    stop = NEVER - 1 if until is None else round(until * MICROSECOND)
    rejections = Rejections(len(workload))
    asked = lower_demands(workload, cluster, policy)
    _reject_unfit(workload, cluster, policy, asked, rejections)
    jobs = lower_jobs(workload, policy, asked.demand, rejections)
    dependencies = lower_dependencies(workload, policy, rejections)
    jobs.demand[~rejections.accepted] = NOBODY
    site = lower_site(cluster, policy, asked, _signed(stream_key(seed, "placement")))
    lanes = asked.demands.gpus.size if policy.backfill == "fit" and policy.replay == "schedule" else 1
    queue = build.build_queue(lower_order(workload, policy), jobs.demand, asked.demands.gpus.size, max(lanes, 1))
    accepted = asked.demand[rejections.accepted]
    slots = build.build_slots(int(asked.chunks[accepted].sum()), accepted.size, asked.quanta > 0)
    events = _events(cluster, policy, asked, dependencies, accepted.size)
    plan = _plan(asked)
    forced = policy.replay == "recorded"
    begun = time.perf_counter()
    _interruptible(
        lambda: run(jobs, asked.demands, dependencies, site, queue, slots, events, plan, forced, stop),
        events, len(workload), progress,
    )  # fmt: skip
    kernel_s = time.perf_counter() - begun
    count = events.count
    if until is None and (count[Count.RUNNING] or count[Count.WAITING] or count[Count.RELEASES]):
        raise EngineError(f"the engine stopped with {count[Count.WAITING]} jobs waiting")
    if until is None:
        stop = int(count[Count.LAST])
    if forced:
        seen = rejections.accepted & (jobs.submit <= stop)
        jobs.eligible[seen] = jobs.submit[seen]
    attempts = slots.attempt_job[: count[Count.ATTEMPTS]].copy()
    started, ended = jobs.start[attempts], jobs.start[attempts] + jobs.duration[attempts]
    killed = (policy.on_limit == "kill") & ~np.bool_(forced) & (workload.runtime > workload.time_limit)
    reason = np.where(killed[attempts], EndReason.TIME_LIMIT, EndReason.FINISHED)
    reason[ended > stop] = EndReason.STOPPED
    end = np.full(len(workload), NEVER, np.int64)
    end[attempts] = np.where(ended > stop, NEVER, ended)
    used = int(count[Count.SLOTS])
    return Record(
        workload=workload,
        cluster=cluster,
        policy=policy,
        seed=seed,
        stop=stop,
        eligible=jobs.eligible,
        start=jobs.start,
        end=end,
        outcome=_outcomes(workload, rejections, end, killed),
        reject_reason=rejections.reason,
        reject_reasons=tuple(rejections.texts),
        attempt_job=attempts,
        attempt_start=started,
        attempt_end=np.minimum(ended, stop),
        attempt_reason=reason.astype(np.int8),
        slot_offset=np.append(jobs.slot[attempts], used),
        slot_node=slots.node[:used].copy(),
        slot_gpus=slots.gpus[:used].copy(),
        slot_gpu=slots.gpu[:used].copy() if asked.quanta else np.full(used, NOBODY, np.int32),
        events=int(count[Count.EVENTS]),
        passes=int(count[Count.PASSES]),
        max_queue=int(count[Count.MAX_WAITING]),
        kernel_s=kernel_s,
    )


def _signed(key: int) -> int:
    """Return an unsigned 64-bit number as the signed one with the same bits."""
    return key - 2**64 if key >= 2**63 else key


def _plan(asked: Asked) -> Plan:
    most = int(asked.chunks.max(initial=1))
    return Plan(
        left=np.zeros(4, np.int64),
        nodes=np.zeros(most, np.int32),
        gpus=np.zeros(most, np.int32),
        large=0,
        small=0,
        cpu=0,
        memory=0,
        kind=NOBODY,
    )


def _events(cluster: Cluster, policy: Policy, asked: Asked, dependencies: Dependencies, jobs: int) -> Events:
    """Return heaps large enough for what can run, and be held back, at once."""
    holds_gpus = bool(np.all(asked.demands.gpus > 0))
    bounded = policy.replay == "schedule" and holds_gpus
    running = min(jobs, cluster.gpus * max(asked.quanta, 1)) if bounded else jobs
    return build.build_events(running + 1, jobs + 1 if dependencies.bound.size else 1)


def _reject_unfit(
    workload: Workload, cluster: Cluster, policy: Policy, asked: Asked, rejections: Rejections
) -> None:
    """Reject the jobs that not even the empty cluster can hold: each demand is tried once, alone."""
    many = asked.demands.gpus.size
    nothing = (asked.demands.gpus == 0) & (asked.demands.cpu == 0)
    rejections.add(nothing[asked.demand], "asks for no GPU, and for no CPU that the cluster knows of")
    known = asked.demands.kinds != 0
    rejections.add(~known[asked.demand], "no node has a GPU type it accepts")
    tried = np.flatnonzero(~nothing & known)
    ticks = np.arange(tried.size, dtype=np.int64)
    alone = Jobs(
        submit=2 * ticks,
        duration=np.ones(tried.size, np.int64),
        demand=tried.astype(np.int32),
        eligible=np.full(tried.size, NEVER, np.int64),
        start=np.full(tried.size, NEVER, np.int64),
        slot=np.zeros(tried.size, np.int64),
        slots=np.zeros(tried.size, np.int32),
    )
    none = np.empty(0, np.int64)
    free = Dependencies(
        unmet=np.empty(0, np.int32), bound=none, think=none.copy(), first_child=none.copy(), child=np.empty(0, np.int32)
    )
    run(
        alone,
        asked.demands,
        free,
        lower_site(cluster, policy, asked, 0),
        build.build_queue(np.arange(tried.size, dtype=np.int32), alone.demand, many, 1),
        build.build_slots(int(asked.chunks[tried].sum()), tried.size, asked.quanta > 0),
        build.build_events(2, 1),
        _plan(asked),
        True,
        NEVER - 1,
    )
    fits = np.zeros(many, np.bool_)
    fits[tried] = alone.slots > 0
    unfit = ~fits[asked.demand]
    rejections.add(unfit & (workload.gpus > cluster.gpus), "asks for more GPUs than the cluster has")
    rejections.add(unfit, "does not fit the cluster even when it is empty")


def _interruptible(work: Callable[[], None], events: Events, jobs: int, progress: Progress | None) -> None:
    """Run the engine in a thread, so that progress is shown and an interrupt stops it at the next instant."""
    failure: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as problem:  # noqa: BLE001  # handed to the caller below
            failure.append(problem)

    thread = threading.Thread(target=guarded, name="gpuyard-engine", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.1)
            if progress is not None and jobs:
                progress(float(events.count[Count.NEXT]) / jobs)
    except BaseException:
        events.count[Count.CANCEL] = 1
        thread.join()
        raise
    if failure:
        raise failure[0]


def _outcomes(
    workload: Workload, rejections: Rejections, end: NDArray[np.int64], killed: NDArray[np.bool_]
) -> NDArray[np.int8]:
    """Return how each job fared: as in the record, unless it was killed, rejected or did not end."""
    codes, names = workload.labels("state", "completed")
    table = np.array([_STATES.get(name, Outcome.COMPLETED) for name in names], np.int8)
    outcome = table[codes] if len(names) else np.empty(0, np.int8)
    outcome[killed] = Outcome.TIMED_OUT
    outcome[end == NEVER] = Outcome.UNFINISHED
    outcome[~rejections.accepted] = Outcome.REJECTED
    return outcome
