"""What the loop that preempts is given, and what it wrote down: preemption in the engine's units, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gpuyard.checkpointing import (
    check_progress,
    common_interval,
    intervals_of,
    is_cancelled_of,
    min_runs_of,
    preemptible_of,
    saved_by,
)
from gpuyard.errors import ConfigError
from gpuyard.kernel.codes import ABSENT, NOBODY
from gpuyard.kernel.expectations import thousandths_asked
from gpuyard.kernel.hunt import Hunter, hunt_by_trial, hunt_listed, hunt_nothing, hunter_signature
from gpuyard.kernel.launch import Pointer
from gpuyard.kernel.stays import LEVEL_SHIFT, MOST_LEVELS, Gain, Rule, Stays, Tenure, Terms, Victims, build_stays
from gpuyard.kernel.tables import Log, Records
from gpuyard.lowering import Asked
from gpuyard.policy import Policy
from gpuyard.preemption import RANKED, Preemption
from gpuyard.units import ticks
from gpuyard.workload import MICROSECOND, Workload, exact_sum

__all__ = [
    "Attempts",
    "attempts_of",
    "hunter_of",
    "levels_of_bins",
    "lists_of",
    "preempting_tables",
    "rank_by_level",
    "rank_of_jobs",
    "service_of",
    "spared_level",
    "useful_from",
    "with_more_room",
]

_VICTIMS: Final = {
    "latest-start": Victims.LATEST_START,
    "least-lost": Victims.LEAST_LOST,
    "fewest-gpus": Victims.FEWEST_GPUS,
}
_RULES: Final = {
    "priority": Rule.PRIORITY,
    "partition": Rule.PRIORITY,
    "qos": Rule.PRIORITY,
    "srtf": Rule.REMAINING,
    "srsf": Rule.REMAINING_SERVICE,
    "las": Rule.BINS,
    "2d-las": Rule.BINS,
    "gittins": Rule.BINS,
    "time-slice": Rule.SLICE,
    "reclaim": Rule.PRIORITY,
    "cells": Rule.PRIORITY,
}
_MOST_CUTS: Final = 16
"""For more levels, nothing is counted by level."""
_LONGEST: Final = 2**61
_WHOLE: Final = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempts:
    """Attempts in the order they started, shape (attempts,), microseconds.

    ``end`` is later than the stop, or NEVER, for one that still runs; ``slot`` is the first slot.  ``useful`` and
    ``cause`` are those of the record, None where nobody can be preempted; ``ticks`` counts the changes of level.
    """

    job: NDArray[np.int32]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    slot: NDArray[np.int64]
    useful: NDArray[np.int64] | None = None
    cause: NDArray[np.int32] | None = None
    guest: NDArray[np.bool_] | None = None
    ticks: int = 0


def rank_by_level(workload: Workload, policy: Policy, rank: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return each job's place in the queue where the level never changes: by level, then by ``rank``; else the rank."""
    if _RULES.get(policy.preemption.rule) != Rule.PRIORITY:
        return rank
    first = np.lexsort((rank, -rank_of_jobs(workload, policy.preemption)))
    place = np.empty(rank.size, np.int32)
    place[first] = np.arange(rank.size, dtype=np.int32)
    return place


def rank_of_jobs(workload: Workload, given: Preemption) -> NDArray[np.int64]:
    """Return the priority of each job, or the tier of its partition or QOS, int64, shape (jobs,): the higher first.

    Under a rule for which nobody is more urgent than others, 0.
    """
    if given.rule == "priority":
        return workload.integers("priority", 0)
    if given.rule not in ("partition", "qos"):
        return np.zeros(len(workload), np.int64)
    codes, names = workload.labels(given.rule, "")
    return np.array([given.tiers.get(name, 0) for name in names], np.int64)[codes]


def lists_of(workload: Workload, given: Preemption) -> tuple[NDArray[np.int16], NDArray[np.int8]]:
    """Return the name of each job by which lists go, and which names each may take from; empty without lists.

    Returns
    -------
    tuple of NDArray
        int16, shape (jobs,); and int8, shape (names, names): 1 = jobs of the first may take from those of the second.
    """
    if not given.preempts:
        return np.empty(0, np.int16), np.empty((0, 0), np.int8)
    codes, names = workload.labels(given.rule, "\0")
    if len(names) >= 2**15:
        raise ConfigError(f"preempts goes by at most {2**15 - 1:,} names, and the jobs are of {len(names):,}")
    listed = np.array([[other in given.preempts.get(name, ()) for other in names] for name in names], np.int8)
    return codes.astype(np.int16), listed.reshape(len(names), len(names))


def hunter_of(demands: Records, policy: Policy) -> Hunter:
    """Return what makes room for jobs with these demands; nothing where all are plain and candidates stay in order."""
    if not np.all((demands["plain"] > 0) | (demands["alone"] == ABSENT)):
        return hunt_by_trial
    return hunt_listed if _is_listed(policy) else hunt_nothing


def _is_listed(policy: Policy) -> bool:
    """Return whether the order of candidates changes with time, so that they are listed for each try."""
    return policy.preemption.victims != "latest-start" or policy.preemption.rule == "srsf"


def preempting_tables(
    workload: Workload,
    policy: Policy,
    asked: Asked,
    accepted: NDArray[np.bool_],
    times: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    node: Records,
    running: int,
) -> tuple[Stays, Pointer, int]:
    """Return what the loop that preempts takes beyond what all loops take, in its order.

    Parameters
    ----------
    accepted
        bool, shape (jobs,): jobs that take part.
    times
        How long jobs run without interruption, and what is believed of it: int64 microseconds, shape (jobs,); the
        latter also, after them, of the rows that hold nodes until these come, shape (rows,).
    running
        How many jobs can run at once.

    Raises
    ------
    ConfigError
        For more priorities than there is room for, and for times whose sums or products do not fit 64 bits.
    """
    given, (duration, estimate) = policy.preemption, times
    levels, urgency = (
        _urgency(workload, given, accepted)
        if _RULES[given.rule] == Rule.PRIORITY
        else (0, np.zeros(len(workload), np.int64))
    )
    plain = bool(np.all(asked.demands["plain"][np.unique(asked.demand[accepted])] > 0))
    min_run = min_runs_of(workload, given)
    terms = _terms(policy, min_run, plain=plain)
    interval = intervals_of(workload, given)
    threshold = np.array([ticks(each) for each in given.final_thresholds], np.int64)
    milli = thousandths_asked(asked.demands, asked.quanta)
    _check_times(policy, duration[accepted], estimate[: len(workload)][accepted], milli[asked.demand[accepted]], terms)
    check_progress(workload, given, interval, duration, accepted)
    bin_level = levels_of_bins(given, duration, np.where(accepted, milli[asked.demand], 0))
    if _RULES[given.rule] == Rule.BINS:
        levels = threshold.size + 1
    elif _RULES[given.rule] == Rule.SLICE:
        levels = 2
    nodes = np.zeros(estimate.size - len(workload), np.int64)
    stays = build_stays(
        estimate=estimate,
        tenure=np.append(_tenures(workload, given), np.full(nodes.size, Tenure.FIXED)).astype(np.int32),
        min_run=np.append(min_run, nodes),
        urgency=np.append(urgency, nodes),
        interval=np.append(interval, nodes) if interval.size else interval,
        demand=np.where(accepted, asked.demand, NOBODY),
        demands=asked.demands,
        chunks=asked.chunks,
        node=node,
        quanta=asked.quanta,
        threshold=threshold,
        bin_level=bin_level,
        promote=given.promote,
        terms=terms,
        cuts=levels if plain and levels <= _MOST_CUTS else 0,
        running=2 * running if "cancel" in given.modes.values() else running,  # and who is to end at once
        attempts=2 * int(accepted.sum()) + 16,
    )
    return stays, Pointer(hunter_of(asked.demands, policy), hunter_signature), _origin_of(workload)


def _tenures(workload: Workload, given: Preemption) -> NDArray[np.int32]:
    """Return what a preemption is to each job, a :class:`Tenure`, shape (jobs,)."""
    tenure = np.where(is_cancelled_of(workload, given), Tenure.EXPENDABLE, Tenure.PLAIN)
    return np.where(preemptible_of(workload, given), tenure, Tenure.FIXED).astype(np.int32)


def _origin_of(workload: Workload) -> int:
    """Return an instant before which nothing happens."""
    return int(workload.submit.min(initial=0))


def _urgency(workload: Workload, given: Preemption, accepted: NDArray[np.bool_]) -> tuple[int, NDArray[np.int64]]:
    """Return how many levels there are, and that of each job, from 0 for the highest priority or tier on."""
    urgency = -rank_of_jobs(workload, given)
    known = np.unique(urgency[accepted])
    if known.size > MOST_LEVELS:
        raise ConfigError(
            f"preemption {given.rule}: '{workload.name}' has {known.size:,} different ranks, and at most "
            f"{MOST_LEVELS:,} can be told apart; merge some"
        )
    return known.size, np.searchsorted(known, urgency).astype(np.int64)


def spared_level(workload: Workload, given: Preemption, accepted: NDArray[np.bool_], most: int | None) -> int:
    """Return the last level of jobs that have a priority, or tier, above ``most``: -1 where there are none such."""
    if most is None or given.rule not in RANKED:
        return -1
    urgency = -rank_of_jobs(workload, given)
    return int(np.searchsorted(np.unique(urgency[accepted]), -most)) - 1


def _terms(policy: Policy, min_run: NDArray[np.int64], *, plain: bool) -> NDArray[np.int64]:
    given = policy.preemption
    terms = np.zeros(Terms.SIZE, np.int64)
    terms[Terms.RULE] = _RULES[given.rule]
    terms[Terms.VICTIMS] = _VICTIMS[given.victims]
    terms[Terms.SLICE] = ticks(given.final_slice)
    terms[Terms.MIN_RUN] = min_run.min(initial=2**62)
    terms[Terms.MOST] = 2**31 if given.max_preemptions is None else given.max_preemptions
    terms[Terms.INTERVAL] = common_interval(given)
    terms[Terms.COST] = ticks(given.checkpoint_cost)
    terms[Terms.RESTART] = ticks(given.restart_cost)
    terms[Terms.BY_SERVICE] = given.rule != "las"
    terms[Terms.COUNTED] = plain and not _is_listed(policy)
    return terms


def _check_times(
    policy: Policy,
    duration: NDArray[np.int64],
    estimate: NDArray[np.int64],
    milli: NDArray[np.int64],
    terms: NDArray[np.int64],
) -> None:
    """Raise for what would not fit 64 bits; all of the jobs that take part."""
    times = {
        "preemption srsf": estimate + terms[Terms.RESTART],
        "preemption gittins": duration,
        "victims least-lost": duration + terms[Terms.COST],
    }
    for name in (f"preemption {policy.preemption.rule}", f"victims {policy.preemption.victims}"):
        if name not in times or milli.size == 0:
            continue
        product = times[name].astype(np.float64) / _WHOLE * milli
        most = int(product.argmax())
        if product[most] >= _LONGEST:
            raise ConfigError(
                f"{name}: {times[name][most] / MICROSECOND:.3g} s on {milli[most] / _WHOLE:g} GPUs are too many GPU "
                "microseconds for 64 bits; choose another, or leave out the job"
            )


def levels_of_bins(given: Preemption, duration: NDArray[np.int64], milli: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the level of each bin of attained time or service.

    Parameters
    ----------
    duration
        The work of each job, int64 microseconds, shape (jobs,).
    milli
        Thousandths of GPUs that it asks for, shape (jobs,); 0 for a job of no account.
    """
    threshold = np.array([ticks(each) for each in given.final_thresholds], np.int64)
    if given.rule != "gittins":
        return np.arange(threshold.size + 1)
    service = (
        service_of(duration, milli)[milli > 0]
        if given.gittins_history is None
        else np.array([ticks(each) for each in given.gittins_history], np.int64)
    )
    return _gittins_levels(service, threshold, released=given.gittins_index == "released")


def service_of(time: NDArray[np.int64], milli: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return times x GPUs in GPU microseconds, rounded down."""
    return time // _WHOLE * milli + time % _WHOLE * milli // _WHOLE


def _gittins_levels(service: NDArray[np.int64], threshold: NDArray[np.int64], *, released: bool) -> NDArray[np.int64]:
    """Return the level of each bin, by the index of the bin, from 0 for the highest.

    Sources: Gittins 1979; ``released`` is the formula of the simulator published with Tiresias (Gu et al. 2019).
    """
    begins, service = [0, *threshold.tolist()], service[service > 0]
    place = np.searchsorted(threshold, service, side="left")  # of the bin in which a job ends
    jobs = [service[place == number] for number in range(len(begins))]
    ending, needs = [each.size for each in jobs], [exact_sum(each) for each in jobs]
    last = max(begins[-1], int(service.max(initial=0)))
    bins = list(zip([*begins[1:], last], ending, needs, strict=True))
    index = []
    for number, begin in enumerate(begins):
        ends = bins[number : number + 1] if released else bins[number:]
        index.append(max(_indices(begin, ends, sum(ending[number:]), 0 if released else begin)))
    level = np.empty(len(index), np.int64)
    level[np.argsort(-np.array(index), kind="stable")] = np.arange(len(index))
    return level


def _indices(begin: int, bins: Sequence[tuple[int, int, int]], left: int, counted: int) -> Iterator[float]:
    """Yield P / E of a job that has had its service up to ``begin`` and is run to the end of each bin.

    ``bins``: the end of each, how many of a history end in it, and what these need in all.  ``left``: how many need
    more than ``begin``.  ``counted``: the service from which on the cost of those that end is counted.
    """
    done = cost = 0
    for end, ending, need in bins:
        done, left = done + ending, left - ending
        cost += need - counted * ending
        spent = cost + (end - begin) * left
        yield done / spent if spent else 0.0


def with_more_room(stays: Stays, log: Log) -> tuple[Stays, Log]:
    """Return the tables with at least twice the room for what happens; the loop goes on in them."""
    state = stays.state
    attempts = 2 * (int(state[Gain.ATTEMPTS]) + int(state[Gain.ACTIVE]))
    slots = 2 * (log.slots.size + int(state[Gain.CHUNKS]))
    larger = np.empty(attempts, stays.attempt.dtype)
    larger[: min(attempts, stays.attempt.size)] = stays.attempt[:attempts]
    more = np.empty(slots, log.slots.dtype)
    more[: log.slots.size] = log.slots
    gpu = np.empty(slots if log.gpu.size else 0, np.int32)
    gpu[: log.gpu.size] = log.gpu
    return stays._replace(attempt=larger), log._replace(slots=more, gpu=gpu)


def attempts_of(stays: Stays, *, preempts: bool) -> Attempts:
    """Return what the loop wrote down; ``preempts``: whether anybody could be preempted."""
    written = stays.attempt[: int(stays.state[Gain.ATTEMPTS])]
    if written.size and int(written["start"].max()) - int(written["start"].min()) >= 1 << LEVEL_SHIFT:
        raise ConfigError(
            f"with preemption, at most {2**LEVEL_SHIFT / MICROSECOND / 86_400 / 365:.0f} years can be run"
        )
    return Attempts(
        job=written["job"].copy(),
        start=written["start"].copy(),
        end=written["end"].copy(),
        useful=written["useful"].copy() if preempts else None,
        cause=written["cause"].copy() if preempts else None,
        guest=written["guest"] > 0,
        slot=written["slot"].copy(),
        ticks=int(stays.state[Gain.TICKS]),
    )


def useful_from(given: Workload, policy: Policy, attempts: Attempts, begin: int, stop: int) -> NDArray[np.int64] | None:
    """Return the useful time of attempts without what those that began before ``begin`` had saved by then.

    ``begin``, ``stop``: from when to when the simulation goes, microseconds.
    """
    if attempts.useful is None:
        return None
    useful = attempts.useful.copy()
    for attempt in np.flatnonzero(attempts.start < begin).tolist():
        passed = begin - int(attempts.start[attempt])
        left = int(useful[attempt]) - saved_by(given, policy.preemption, int(attempts.job[attempt]), passed)
        useful[attempt] = min(left, min(int(attempts.end[attempt]), stop) - begin)
    return useful
