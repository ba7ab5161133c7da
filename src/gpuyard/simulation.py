"""Run the engine: the only caller of the kernel.  Facts come back as a :class:`~gpuyard.record.Record`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuyard.admission import reject_beyond
from gpuyard.beginning import Beginning, set_beginning
from gpuyard.bounds import Bounds, settled
from gpuyard.celling import ask_for_cells
from gpuyard.cluster import Cluster
from gpuyard.deciding import Session
from gpuyard.errors import ConfigError, EngineError
from gpuyard.jointing import attempt_tables
from gpuyard.kernel import build
from gpuyard.kernel.beginning import place_running
from gpuyard.kernel.cell_beginning import place_in_cells
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.decisions import Noted, build_decisions
from gpuyard.kernel.engine import run
from gpuyard.kernel.launch import start as start_engine
from gpuyard.kernel.stays import Gain, Stays
from gpuyard.kernel.tables import Decisions, Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.windows import of_jobs
from gpuyard.latecomers import Latecomers, latecomers
from gpuyard.loops import (
    check_cells,
    check_scores,
    check_windowed,
    is_loop_ready,
    loop_of,
    loop_tables,
    lower_windows,
    note_absent,
    note_running,
    open_session,
)
from gpuyard.lowering import (
    Asked,
    Rejections,
    lower_demands,
    lower_dependencies,
    lower_durations,
    lower_site,
    with_types,
)
from gpuyard.outcomes import ends_of, outcomes_of
from gpuyard.participants import Participants, participants
from gpuyard.policy import Policy
from gpuyard.preempting import (
    Attempts,
    attempts_of,
    rank_by_level,
    useful_from,
    with_more_room,
)
from gpuyard.record import Decided, EndReason, Record
from gpuyard.stoppable import Progress, interruptible
from gpuyard.streams import signed_key
from gpuyard.tenancy import NO_TENANTS, Tenants
from gpuyard.tenanting import (
    Shared,
    check_tenants,
    limited_alike,
    share_out,
    with_bound,
)
from gpuyard.unfit import reject_unfit
from gpuyard.windows import NodeWindow, check_windows, partitions_of
from gpuyard.workload import MICROSECOND, Workload, exact_sum

__all__ = ["check_times", "is_compiled", "schedule", "schedule_participants"]


def is_compiled(
    workload: Workload, cluster: Cluster, policy: Policy, windows: Sequence[NodeWindow], tenants: Tenants
) -> bool:
    """Return whether all that a run needs is in the cache; if not, the run compiles it first, which takes seconds."""
    later, closing = _apart(windows, workload, cluster, policy)
    windowed = bool(closing)
    anything = not (tenants or later or policy.exclusive or workload.has("exclusive"))
    if anything and is_loop_ready(policy, windowed=windowed):
        return True
    asked = lower_demands(workload, cluster, policy)
    if tenants.is_by_type:
        asked = with_types(asked, cluster, policy)[0]
    asked = asked if later is None else later.asked(asked)
    return is_loop_ready(policy, asked, windowed=windowed, tenants=tenants)


def schedule(
    workload: Workload,
    cluster: Cluster,
    policy: Policy,
    *,
    seed: int = 0,
    until: float | None = None,
    begin: float | None = None,
    windows: Sequence[NodeWindow] = (),
    tenants: Tenants = NO_TENANTS,
    bounds: Sequence[Bounds] = (),
    decisions: bool = False,
    progress: Progress | None = None,
) -> Record:
    """Schedule a workload on a cluster and return what happened.

    Parameters
    ----------
    seed
        Of the random placement; nothing else here is random.
    until
        Stop at this instant, s since the origin; later instants are not processed.
    begin
        Begin at this instant, s since the origin, with what ran and waited by then according to the record.
    windows
        Maintenance and reservations of nodes, and nodes that come later.
    tenants
        Who shares the cluster, by which quotas and limits.
    bounds
        What a single job of a partition or QOS may ask for.
    decisions
        Also note what is promised to whom; the schedule is the same.
    progress
        Called now and then with the share of jobs that have been submitted.

    Raises
    ------
    ConfigError
        For a cluster, an ``until``, a ``begin``, windows or tenants that cannot be simulated.
    """
    check_times(policy, begin, until, windows)
    check_tenants(policy, tenants)
    policy, bounds = with_bound(policy, tenants, workload), settled(bounds, partitions_of(windows))
    return schedule_participants(
        participants(workload, policy, begin=begin, seed=seed, bounds=bounds),
        cluster,
        policy,
        seed=seed,
        until=until,
        windows=windows,
        tenants=tenants,
        decisions=decisions,
        progress=progress,
    )


def schedule_participants(
    jobs: Participants,
    cluster: Cluster,
    policy: Policy,
    *,
    seed: int,
    until: float | None,
    windows: Sequence[NodeWindow],
    tenants: Tenants,
    decisions: bool,
    progress: Progress | None,
) -> Record:
    """Schedule the jobs that take part; all else is as in :func:`schedule`."""
    given = _lower(jobs, cluster, policy, seed=seed, windows=windows, tenants=tenants, decisions=decisions)
    stop = given.until = NEVER - 1 if until is None else round(until * MICROSECOND)
    kernel_s = interruptible(lambda: _run(given, stop), given.events, len(given.workload), progress)
    check_cells(given.own)
    check_scores(policy, given.workload, given.own)
    if given.session is not None:
        given.session.close()
    count = given.events.counter
    if until is None:
        if given.session is not None and count[Count.WAITING]:
            raise given.session.stalled(int(count[Count.WAITING]))
        if count[Count.RUNNING] or count[Count.WAITING] or count[Count.RELEASES]:
            raise EngineError(f"the engine stopped with {count[Count.WAITING]} jobs waiting")
        stop = _last_instant(given)
    record = _record(given, cluster, policy, seed=seed, stop=stop, windows=tuple(windows), kernel_s=kernel_s)
    return replace(record, tenants=tenants, bounds=jobs.bounds)


def _run(given: _Given, stop: int) -> float:
    """Run the engine; with more room where it stops because its log is full, from there; return its seconds."""
    seconds = start_engine(given.loop, *given.tables, *given.own, stop)
    while given.stays is not None and given.stays.state[Gain.PAUSED] > 0:
        stays, log = with_more_room(given.stays, given.log)
        given.own, given.tables = (stays, *given.own[1:]), (*given.tables[:5], log, given.tables[6])
        seconds += start_engine(given.loop, *given.tables, *given.own, stop)
    return seconds


@dataclass(kw_only=True, slots=True)
class _Given:
    """All that the engine is given, and what its answer is read with."""

    workload: Workload
    middle: Beginning | None
    asked: Asked
    rejections: Rejections
    duration: NDArray[np.int64]
    loop: Callable[..., None]
    tables: tuple[Jobs, Records, Dependencies, Site, Queue, Log, Events]
    own: tuple[Any, ...]
    session: Session | None
    preempts: bool
    decisions: bool
    later: Latecomers | None
    until: int = NEVER - 1
    """the last instant that the engine was to process"""

    @property
    def log(self) -> Log:
        return self.tables[5]

    @property
    def events(self) -> Events:
        return self.tables[6]

    @property
    def stays(self) -> Stays | None:
        """What a loop that preempts knows."""
        return self.own[0] if self.own and isinstance(self.own[0], Stays) else None


def _lower(
    part: Participants,
    cluster: Cluster,
    policy: Policy,
    *,
    seed: int,
    windows: Sequence[NodeWindow],
    tenants: Tenants,
    decisions: bool,
) -> _Given:
    """Turn what people name into the engine's tables, with the jobs placed that already run at the beginning."""
    workload, middle, estimate = part.workload, part.middle, part.estimate
    later, closed = _apart(windows, workload, cluster, policy, -NEVER if middle is None else middle.begin)
    asked, shared = share_out(workload, cluster, policy, tenants, lower_demands(workload, cluster, policy))
    rejections = reject_beyond(part, cluster, asked)
    fits = reject_unfit(workload, cluster, policy, asked, rejections, shared=shared, windows=windows)
    if policy.cells:
        asked = ask_for_cells(workload, cluster, policy, asked, rejections, asker=limited_alike(shared, len(workload)))
    duration = lower_durations(workload, policy, rejections)
    if middle is not None:
        duration = np.where(middle.running, middle.end - np.where(middle.running, middle.start, 0), duration)
    dependencies = lower_dependencies(workload, policy, rejections, None if middle is None else middle.running)
    accepted = rejections.accepted
    _check_horizon(workload, duration, dependencies, accepted, later)
    rank = rank_by_level(workload, policy, part.rank)
    jobs = build.build_jobs(workload.submit, duration, np.where(accepted, asked.demand, NOBODY).astype(np.int32), rank)
    if later is not None:
        jobs, estimate = later.rows(jobs, asked), later.estimates(estimate)
        asked, dependencies = later.asked(asked), later.dependencies(dependencies)
    mix = np.bincount(asked.demand[accepted], minlength=asked.demands.size)
    site = lower_site(cluster, policy, asked, signed_key(seed, "placement"), mix, part.number)
    loop = loop_of(policy, windowed=bool(closed), tenants=tenants)
    closing = lower_windows(closed, part.everybody, cluster, policy)
    if closing is not None:
        asked.demands["lane"] = 0
        closing = of_jobs(closing, part.rows)
    queue = build.build_queue(jobs, int(asked.demands["lane"].max(initial=0)) + 1, marked=loop is run)
    slots = int(asked.chunks[asked.demand[accepted]].sum()) * (2 if policy.preemption else 1)
    log = build.build_log(
        slots + (0 if later is None else later.slots),
        int(accepted.sum()),
        tracked=asked.quanta > 0 or bool(policy.cells),
        decisions=build_decisions(len(workload)) if decisions else None,
    )
    events = _events(cluster, asked, dependencies, int(accepted.sum()), later, bounded=_is_bounded(policy, middle))
    tables = (jobs, asked.demands, dependencies, site, queue, log, events)
    about: dict[str, Any] = {"workload": workload, "cluster": cluster, "asked": asked, "estimate": estimate}
    session = open_session(policy, **about, tables=(jobs, site, log, events))
    running = events.ends.row.size
    own: tuple[Any, ...]
    since = None if middle is None else middle.begin
    if session is not None:
        own = session.tables
    elif policy.preemption or shared is not None:
        more: dict[str, Any] = {"shared": shared, "windows": closing, "fits": fits, "running": running}
        own = attempt_tables(policy, accepted, duration, **about, site=site, begin=since, **more)
    else:
        own = loop_tables(policy, **about, site=site, running=running, windows=closing, begin=since)
    held = None if later is None else later.hold(jobs, asked.demands, site, log, events)
    if middle is not None:
        rows = set_beginning(jobs, middle, dependencies, accepted)
        _let_run(tables, own, rows, shared, begin=middle.begin, in_cells=bool(policy.cells))
    if held is not None:
        note_absent(own, jobs, site, log, events, held)
    return _Given(
        workload=workload,
        middle=middle,
        asked=asked,
        rejections=rejections,
        duration=duration,
        loop=loop,
        tables=tables,
        own=own,
        session=session,
        preempts=bool(policy.preemption),
        decisions=decisions,
        later=later,
    )


def _let_run(
    tables: tuple[Any, ...],
    own: tuple[Any, ...],
    rows: NDArray[np.int64],
    shared: Shared | None,
    *,
    begin: int,
    in_cells: bool,
) -> None:
    """Place the jobs of these rows that run when the simulation begins, and tell the loop."""
    if in_cells:
        start_engine(place_in_cells, *tables, *own[:2], rows)
        return
    jobs, _, _, site, _, log, events = tables
    start_engine(place_running, *tables, rows, np.empty((0, 0), np.int32) if shared is None else shared.variant)
    note_running(own, jobs, site, log, events, rows, begin=begin)


def _apart(
    windows: Sequence[NodeWindow], workload: Workload, cluster: Cluster, policy: Policy, begin: int = -NEVER
) -> tuple[Latecomers | None, list[NodeWindow]]:
    """Return the nodes that come after ``begin`` (microseconds), and the windows over those that are there.

    Raise for a policy that goes with neither.
    """
    closed = [each for each in windows if not each.is_commission]
    if windows:
        check_windowed(policy)
        check_windows(windows)
    first = int(workload.submit.min(initial=NEVER))
    return latecomers(windows, cluster, first, begin), closed


def _last_instant(given: _Given) -> int:
    """Return the last instant, when everybody has ended; that nodes come after it is nothing to wait for."""
    if given.later is None:
        return int(given.events.counter[Count.LAST])
    return int(_attempts(given).end.max(initial=0))


def _record(
    given: _Given,
    cluster: Cluster,
    policy: Policy,
    *,
    seed: int,
    stop: int,
    windows: tuple[NodeWindow, ...],
    kernel_s: float,
) -> Record:
    """Return what happened, read off the engine's tables."""
    workload, middle, log, count = given.workload, given.middle, given.log, given.events.counter
    jobs, accepted = given.tables[0], given.rejections.accepted
    forced = policy.replay == "recorded"
    total = len(workload)
    eligible, start = jobs.job["eligible"][:total].copy(), jobs.job["start"][:total].copy()
    if forced:
        seen = accepted & (workload.submit <= stop)
        eligible[seen] = workload.submit[seen]
    attempt = _attempts(given)
    killed = (workload.runtime > workload.time_limit) & (policy.on_limit == "kill" and not forced)
    if middle is not None:
        killed &= ~middle.running
    reason = np.where(killed[attempt.job], np.int8(EndReason.TIME_LIMIT), np.int8(EndReason.FINISHED))
    if attempt.cause is not None:
        reason[attempt.cause != NOBODY] = EndReason.PREEMPTED
    reason[attempt.end > stop] = EndReason.STOPPED
    end, cancelled = ends_of(workload, policy, attempt.job, attempt.end, reason)
    slots = slice(0 if given.later is None else given.later.slots, int(count[Count.SLOTS]))
    running = count[Count.RUNNING] - (0 if given.later is None else np.count_nonzero(given.later.at > given.until))
    return Record(
        workload=workload,
        cluster=cluster,
        policy=policy,
        seed=seed,
        stop=stop,
        eligible=eligible,
        start=start,
        end=end,
        outcome=outcomes_of(workload, accepted, end, killed=killed, cancelled=cancelled),
        reject_reason=given.rejections.reason,
        reject_reasons=tuple(given.rejections.texts),
        attempt_job=attempt.job,
        attempt_start=attempt.start if middle is None else np.maximum(attempt.start, middle.begin),
        attempt_end=np.minimum(attempt.end, stop),
        attempt_reason=reason,
        attempt_useful=attempt.useful if middle is None else useful_from(workload, policy, attempt, middle.begin, stop),
        attempt_cause=attempt.cause,
        attempt_guest=attempt.guest if policy.cells else None,
        slot_offset=np.append(attempt.slot, slots.stop) - slots.start,
        slot_node=log.slots["node"][slots].copy(),
        slot_gpus=log.slots["gpus"][slots].copy(),
        slot_gpu=log.gpu[slots].copy() if log.gpu.size else np.full(slots.stop - slots.start, NOBODY, np.int32),
        events=int(count[Count.NEXT] + count[Count.RELEASED] + attempt.job.size - running + attempt.ticks),
        passes=int(count[Count.PASSES]),
        max_queue=int(count[Count.MAX_WAITING]),
        kernel_s=kernel_s,
        begin=None if middle is None else middle.begin,
        windows=windows,
        decisions=_decided(log.decisions) if given.decisions else None,
    )


def _attempts(given: _Given) -> Attempts:
    """Return all attempts in the order they started; where nobody is preempted, a job has one."""
    if given.stays is not None:
        return attempts_of(given.stays, preempts=given.preempts)
    job = given.log.attempt_job[: given.events.counter[Count.ATTEMPTS]].copy()
    start = given.tables[0].job["start"][job]
    return Attempts(job=job, start=start, end=start + given.duration[job], slot=given.tables[0].claim["slot"][job])


def _decided(log: Decisions) -> Decided:
    """Return what was noted, without the room that was left."""
    state = log.state.tolist()
    return Decided(
        entry=log.entry[: state[Noted.ENTRIES]].copy(),
        node=log.node[: state[Noted.NODES]].copy(),
        lost=state[Noted.LOST],
        nameless=state[Noted.NAMELESS],
    )


def check_times(policy: Policy, begin: float | None, until: float | None, windows: Sequence[NodeWindow]) -> None:
    """Raise ConfigError for a beginning or a stop that cannot be simulated."""
    for name, value in (("begin", begin), ("until", until)):
        if value is not None and not abs(value) < NEVER / MICROSECOND / 4:
            raise ConfigError(f"{name} must be a finite number of seconds, got {value}")
    if begin is None:
        return
    if policy.replay == "recorded":
        raise ConfigError("replay recorded starts every job when the record does, so there is no begin; leave one out")
    if policy.decide is not None:
        raise ConfigError("a policy of your own is not told what runs when the simulation begins; leave begin out")
    if until is not None and until < begin:
        raise ConfigError(f"the simulation begins at {begin:g} s and stops before, at {until:g} s")


def _check_horizon(
    workload: Workload,
    duration: NDArray[np.int64],
    dependencies: Dependencies,
    accepted: NDArray[np.bool_],
    later: Latecomers | None,
) -> None:
    """Raise if the jobs, one after the other, would end after the last instant that a tick can name."""
    rows = np.flatnonzero(accepted)
    if rows.size == 0:
        return
    latest = int(workload.submit[rows].max())
    if later is not None:
        latest = max(latest, int(later.at[-1]))
    held = 0
    if dependencies.hold.size:
        latest = max(latest, int(dependencies.hold["bound"][rows].max()))
        held = exact_sum(dependencies.hold["think"][rows])
    if latest + held + exact_sum(duration[rows]) >= NEVER:
        longest = int(rows[np.argmax(duration[rows])])
        raise ConfigError(
            f"the jobs of '{workload.name}' run {exact_sum(duration[rows]) / MICROSECOND:.3g} s in all, more than "
            f"the {NEVER / MICROSECOND:.3g} s that can be simulated; the longest is "
            f"'{workload.held['job_id'][longest]}' with {duration[longest] / MICROSECOND:.3g} s"
        )


def _is_bounded(policy: Policy, middle: Beginning | None) -> bool:
    """Return whether nothing runs that has no room."""
    return policy.replay == "schedule" and middle is None


def _events(
    cluster: Cluster, asked: Asked, dependencies: Dependencies, jobs: int, later: Latecomers | None, *, bounded: bool
) -> Events:
    """Return heaps large enough for what can run (``bounded``: what has room), and be held back, at once."""
    held = bounded and bool(np.all(asked.demands["gpus"] > 0))
    running = min(jobs, cluster.gpus * max(asked.quanta, 1)) if held else jobs
    running += 0 if later is None else later.at.size
    return build.build_events(running + 1, jobs + 1 if dependencies.hold.size else 1)
