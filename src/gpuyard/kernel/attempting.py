"""What is written down when an attempt of a job begins, ends, or is preempted."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.heap import pop, push
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.levels import next_tick, pass_bins, remaining
from gpuyard.kernel.stays import Gain, Rule, Stays, Terms
from gpuyard.kernel.tables import Events, Heap, Jobs
from gpuyard.kernel.timetable import enter, strike
from gpuyard.kernel.worth import attempt_length

__all__ = [
    "begin_attempt",
    "begin_for_good",
    "end_as_planned",
    "end_attempt",
    "end_for_good",
    "keep_gain",
    "note_attempt",
    "plan_end",
]


@kernel
def begin_attempt(jobs: Jobs, events: Events, stays: Stays, row: int, first: int, now: int) -> None:
    """Let a job run that holds the slots from ``first`` on."""
    count = events.counter
    jobs.job[nth(row)]["start"] = min(jobs.job[nth(row)]["start"], now)
    jobs.claim[nth(row)]["slot"] = first
    jobs.claim[nth(row)]["slots"] = count[Count.SLOTS] - first
    note_attempt(jobs, stays, row, now, now)
    count[Count.RUNNING] += 1


@inlined
def begin_for_good(jobs: Jobs, events: Events, stays: Stays, row: int, first: int, now: int) -> None:
    """As :func:`begin_attempt`, where nobody is preempted: the end is written down now, and only who ends next is kept.

    So an end looks up nothing of what is known of the stay, which would have to come from memory.
    """
    count, state, claim = events.counter, stays.state, jobs.claim[nth(row)]
    jobs.job[nth(row)]["start"] = min(jobs.job[nth(row)]["start"], now)
    claim["slot"] = first
    claim["slots"] = count[Count.SLOTS] - first
    end = now + int(jobs.job[nth(row)]["duration"])  # nothing was saved, and nothing is written down on the way
    attempt = stays.attempt[nth(state[Gain.ATTEMPTS])]
    state[Gain.ATTEMPTS] += 1
    attempt["start"] = now
    attempt["end"] = end
    attempt["useful"] = 0
    attempt["slot"] = first
    attempt["job"] = row
    attempt["cause"] = NOBODY
    attempt["guest"] = 0
    push(Heap(stays.ends.time, stays.ends.row), int(stays.ends.size[0]), end, row)
    stays.ends.size[0] += 1
    count[Count.RUNNING] += 1


@inlined
def end_for_good(events: Events, stays: Stays) -> None:
    """Take the next of those off the ends that began by :func:`begin_for_good`."""
    pop(Heap(stays.ends.time, stays.ends.row), int(stays.ends.size[0]))
    stays.ends.size[0] -= 1
    events.counter[Count.RUNNING] -= 1


@inlined
def plan_end(jobs: Jobs, stays: Stays, row: int) -> None:
    """Write down of a running job's attempt what it is if nothing interrupts it, for :func:`end_as_planned`."""
    this = stays.stay[nth(row)]
    attempt = stays.attempt[nth(this["attempt"])]
    attempt["end"] = this["end"]
    attempt["useful"] = jobs.job[nth(row)]["duration"] - this["saved"]


@inlined
def end_as_planned(events: Events, stays: Stays, row: int) -> None:
    """As :func:`end_attempt`, of an attempt that ends as :func:`plan_end` wrote down: it is not looked up again."""
    this = stays.stay[nth(row)]
    strike(stays.ends, row)
    if stays.ticks.size[0] > 0 and stays.ticks.place[nth(row)] != NOBODY:
        strike(stays.ticks, row)
    this["end"] = NEVER
    this["attempt"] = NOBODY
    events.counter[Count.RUNNING] -= 1


@inlined
def note_attempt(jobs: Jobs, stays: Stays, row: int, since: int, now: int) -> None:
    """Write down an attempt of a job that has its slots, which began at ``since``, and when it changes from now on."""
    state = stays.state
    wish, first = int(jobs.claim[nth(row)]["demand"]), int(jobs.claim[nth(row)]["slot"])
    number = int(state[Gain.ATTEMPTS])
    state[Gain.ATTEMPTS] = number + 1
    attempt = stays.attempt[nth(number)]
    attempt["start"] = since
    attempt["end"] = NEVER
    attempt["useful"] = 0
    attempt["slot"] = first
    attempt["job"] = row
    attempt["cause"] = NOBODY
    attempt["guest"] = 0
    this = stays.stay[nth(row)]
    if stays.ticks.size[0] > 0 and stays.ticks.place[nth(row)] != NOBODY:
        strike(stays.ticks, row)
    this["since"] = since
    this["attempt"] = number
    if stays.terms[Terms.RULE] == Rule.REMAINING or stays.terms[Terms.RULE] == Rule.REMAINING_SERVICE:
        this["expected"] = since + remaining(stays, row)
    this["end"] = since + attempt_length(jobs, stays, row)
    enter(stays.ends, int(this["end"]), row)
    tick = next_tick(stays, row, wish, now)
    if tick != NEVER:
        enter(stays.ticks, tick, row)


@kernel
def end_attempt(events: Events, stays: Stays, row: int, now: int, useful: int, cause: int) -> None:
    """Write down that an attempt ends."""
    this = stays.stay[nth(row)]
    attempt = stays.attempt[nth(this["attempt"])]
    attempt["end"] = now
    attempt["useful"] = useful
    attempt["cause"] = cause
    strike(stays.ends, row)
    if stays.ticks.size[0] > 0 and stays.ticks.place[nth(row)] != NOBODY:
        strike(stays.ticks, row)
    this["end"] = NEVER
    this["attempt"] = NOBODY
    events.counter[Count.RUNNING] -= 1


@kernel
def keep_gain(stays: Stays, row: int, wish: int, useful: int, now: int) -> None:
    """Let a job whose attempt was preempted keep what it saved and attained."""
    this = stays.stay[nth(row)]
    this["saved"] += useful
    this["attained"] += now - this["since"]
    this["since"] = now
    this["times"] += 1
    if stays.terms[Terms.RULE] == Rule.BINS:
        pass_bins(stays, row, wish, int(this["attained"]))
