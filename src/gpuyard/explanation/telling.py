"""The story of a job in words: short sentences, times as people say them and in exact seconds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Final

from gpuyard.explanation.cell_words import asked_words, free_words
from gpuyard.explanation.closure_words import closed_words
from gpuyard.explanation.shared_words import held_words, right_words, standing_words, took_words
from gpuyard.explanation.story import REASONS, Blocker, Hold, Made, Passed, Placed, Stay, Story, Stretch
from gpuyard.explanation.times import exact, lasting, when
from gpuyard.units import counted

__all__ = ["tell"]

_MOST_STRETCHES: Final = 12
"""More are told in groups of one reason."""
_MOST_GROUPS: Final = 8
_MOST_NODES: Final = 8
_OFTEN: Final = 3
"""A job that made room so often is summed up."""
_OWN: Final = ("gpus", "gpu_type", "fragmentation", "closed", "exclusive", "cpus", "memory")
"""Reasons that lie between the job and the site, and not with another job."""


def tell(story: Story) -> str:
    """Return a story as text of several lines."""
    notes = [f"Note: {note}" for note in story.notes]
    return "\n".join([*_life(story), *notes])


def _life(story: Story) -> list[str]:
    lines = [_opening(story), f"Submitted at {when(story.submit)}."]
    lines += [_hold(hold) for hold in story.holds]
    if story.state == "rejected":
        return [*lines, f"Rejected: {story.reject_reason}."]
    if story.eligible is None:
        return [*lines, "It was not eligible when the simulation stopped."]
    lines.append(f"Eligible at {when(story.eligible)}{_at_once(story)}.")
    if story.cells is not None:
        lines.append(asked_words(story.cells))
    if story.attempts:
        return [*lines, *_attempts(story)]
    lines += _wait(story)
    if story.passed is not None:
        lines.append(_passed(story.passed))
    if story.start is None:
        return [*lines, "It had not started when the simulation stopped."]
    lines.append(f"Started at {when(story.start)}.")
    if story.placed is not None:
        lines += _placed(story.placed)
    elif story.asked.get("gpus", 0) > 0:
        lines.append("There was no room for it: it ran as recorded and held nothing.")
    return [*lines, _ending(story)]


def gpus(number: float) -> str:
    """Return so many GPUs: ``1 GPU``, ``0.25 GPUs``, ``1,024 GPUs``."""
    return counted(number, "GPU")


def _number(low: float, high: float) -> str:
    shown = [f"{int(each):,}" if float(each).is_integer() else f"{each:g}" for each in (low, high)]
    return shown[0] if low == high else f"{shown[0]} to {shown[1]}"


def _opening(story: Story) -> str:
    asked = story.asked
    what = [gpus(asked["gpus"] if "gpu_milli" not in asked else asked["gpu_milli"] / 1000)]
    if "nodes" in asked:
        what.append(f"on {counted(asked['nodes'], 'node')}")
    if "exclusive" in asked:
        what.append("with its nodes to itself")
    if "gpu_type" in asked:
        what.append(f"of type {asked['gpu_type'].replace('|', ' or ')}")
    if "cpus" in asked:
        what.append(f"{asked['cpus']:g} CPUs")
    if "memory_gib" in asked:
        what.append(f"{asked['memory_gib']:g} GiB")
    expected = f"expected to run {lasting(asked['estimate'])}"
    queue = "" if story.virtual_cluster is None else f" Virtual cluster: {story.virtual_cluster}."
    return f"Job {story.job_id} asked for {', '.join(what)}; {expected}. Policy: {story.policy}.{queue}"


def _hold(hold: Hold) -> str:
    until = "to the end of the simulation" if hold.end is None else f"until {when(hold.end)}"
    if hold.kind == "not_before":
        return f"It was not to start before {when(hold.end or 0.0)}."
    jobs = _named(hold.jobs, hold.count)
    if hold.kind == "array_limit":
        limit = f"its array may have {counted(hold.limit or 0, 'task')} at once, and these had the places: {jobs}"
        return f"From {when(hold.start)} it was held back {until}: {limit}."
    think = f" and its think time of {lasting(hold.think_time)} was over" if hold.think_time else ""
    verb = "had not ended" if hold.end is None else f"ended{think}"
    last = "the last job it depends on" if hold.count == 1 else "the last jobs it depends on"
    return f"It was held back {until}, when {last} {verb}: {jobs}."


def _at_once(story: Story) -> str:
    return ", at once" if story.eligible == story.submit else ""


def _wait(story: Story) -> list[str]:
    """Return how long it waited and why."""
    if not story.stretches:
        if story.start is None:
            return []
        return ["It did not wait." if not story.wait else "Recorded replay: it starts when the record says."]
    end = story.stretches[-1].end
    lines = [f"It waited {lasting(end - story.stretches[0].start)}:"]
    if len(story.stretches) <= _MOST_STRETCHES:
        return lines + [f"  {_span(each.start, each.end)}: {_why(story, each)}" for each in story.stretches]
    groups = [list(group) for _, group in groupby(story.stretches, key=lambda each: each.reason)]
    if len(groups) > _MOST_GROUPS:
        left = groups[_MOST_GROUPS - 2 : -1]
        told = [*groups[: _MOST_GROUPS - 2], groups[-1]]
        more = f"  ({counted(len(left), 'more change')} of the reason; --json lists them all)"
        texts = [_group(story, group) for group in told]
        return [*lines, *texts[:-1], more, texts[-1], *_sums(story.stretches)]
    return [*lines, *(_group(story, group) for group in groups), *_sums(story.stretches)]


def _group(story: Story, group: Sequence[Stretch]) -> str:
    span = _span(group[0].start, group[-1].end)
    if len(group) == 1:
        return f"  {span}: {_why(story, group[0])}"
    blockers = list(dict.fromkeys(each.blocker.job_id for each in group if each.blocker is not None))
    names = f": {_named(blockers[:5], len(blockers))}" if blockers else ""
    return f"  {span}: {REASONS[group[0].reason]}{names}."


def _sums(stretches: Sequence[Stretch]) -> list[str]:
    """Return how long each reason held in all."""
    total: dict[str, float] = {}
    for each in stretches:
        total[each.reason] = total.get(each.reason, 0.0) + each.seconds
    ordered = sorted(total.items(), key=lambda item: -item[1])
    return ["In all:", *(f"  {lasting(seconds)}: {REASONS[reason]}." for reason, seconds in ordered)]


def _span(start: float, end: float) -> str:
    return f"from {when(start)} for {lasting(end - start)}"


def _why(story: Story, stretch: Stretch) -> str:
    """Return why it waited in a stretch, in a sentence or two."""
    needed = _needed(story)
    free = _were_free(stretch.free)
    if stretch.held is not None:
        return f"{held_words(stretch.held, needed)}.{standing_words(stretch)}"
    if stretch.reason == "cells" and story.cells is not None and stretch.cells is not None:
        return f"{free_words(story.cells, stretch.cells)}."
    if stretch.reason == "gpus":
        text = f"too few GPUs: {_number(*stretch.free)} free of the {needed} it needs"
    elif stretch.reason == "gpu_type":
        text = f"constraint: {free}, but {_number(*stretch.allowed)} of a type it accepts, and it needs {needed}"
    elif stretch.reason == "closed":
        text = f"constraint: {free}, but {closed_words(stretch.closed, stretch.start)}"
    elif stretch.reason == "exclusive":
        text = f"constraint: {free}, but it has its nodes to itself, and too few nodes had nobody on them"
    elif stretch.reason in ("cpus", "memory"):
        what = "CPUs" if stretch.reason == "cpus" else "memory"
        text = f"constraint: {free}, and nodes had the GPUs it needs, but not the {what}"
    elif stretch.reason == "fragmentation":
        text = f"fragmentation: {_were_free(stretch.allowed)}, {_shape(story, stretch)}"
    elif stretch.blocker is not None:
        text = _blocked(stretch, stretch.blocker)
    elif stretch.reason == "plan" and stretch.planned is not None:
        text = f"{REASONS['plan']}; it was itself planned to begin at {when(stretch.planned)}"
    else:
        text = REASONS[stretch.reason]
    if stretch.reason not in _OWN:
        return f"{text}.{standing_words(stretch)}"
    promised = "" if stretch.planned is None else f"promised to start at {when(stretch.planned)}"
    queue = "the queue" if stretch.partition is None else f"the queue of partition {stretch.partition}"
    first = f"first in {queue}" if stretch.ahead == 0 else ""
    more = " and ".join(filter(None, (first, promised)))
    return f"{text}. It was {more}." if more else f"{text}.{standing_words(stretch)}"


def _were_free(free: tuple[float, float]) -> str:
    return "1 GPU was free" if free == (1, 1) else f"{_number(*free)} GPUs were free"


def _needed(story: Story) -> str:
    asked = story.asked
    number = asked["gpu_milli"] / 1000 if "gpu_milli" in asked else asked["gpus"]
    return _number(number, number)


def _shape(story: Story, stretch: Stretch) -> str:
    if "gpu_milli" in story.asked:
        return (
            f"but no GPU had {_needed(story)} of it free; the largest piece was {_number(*(stretch.largest or (0, 0)))}"
        )
    largest = stretch.largest or (0.0, 0.0)
    if stretch.chunks:
        nodes = f"{_number(*stretch.fitting)} of the {stretch.chunks} nodes with {gpus(stretch.chunk)} free"
        only = f"only {nodes} that it needs"
        if stretch.one_node:
            only = f"no node had {_needed(story)} of them, and only {nodes} that would do as well"
        return f"but {only}; the largest job of its shape that fitted has {_largest(largest)}"
    return f"but no node had {_needed(story)} of them; the largest job that fitted on one node has {_largest(largest)}"


def _largest(largest: tuple[float, float]) -> str:
    return gpus(largest[0]) if largest[0] == largest[1] else f"{_number(*largest)} GPUs"


def _blocked(stretch: Stretch, blocker: Blocker) -> str:
    job = f"job {blocker.job_id}" + (f" of partition {blocker.partition}" if blocker.partition is not None else "")
    if stretch.reason == "order":
        waits = f"{job} was first{_compared(blocker)} and nobody may pass it; it needed {gpus(blocker.gpus)}"
        if blocker.free is not None:
            waits += f", {_number(blocker.free, blocker.free)} {'was' if blocker.free == 1 else 'were'} free"
        if blocker.closed:
            waits += f" ({closed_words(blocker.closed, stretch.start)})"
        elif blocker.reason not in (None, "gpus"):
            waits += f" ({REASONS[str(blocker.reason)]})"
        return waits + ("; this job would have fitted" if stretch.fits else "; this job would not have fitted either")
    had = f"{_were_free(stretch.free)} and it would have fitted"
    if stretch.reason == "withheld":
        whose = "all nodes" if blocker.partition is None else "the nodes of that partition"
        return f"{had}, but {job} was before it and could not start, and {whose} are withheld from those behind it"
    if stretch.reason == "plan":
        own = "" if stretch.planned is None else f"; it was itself planned to begin at {when(stretch.planned)}"
        at = "" if blocker.promised is None else f" from {when(blocker.promised)} on"
        return f"{had}, but GPUs are promised to others before it would end, first to {job}{at}{own}"
    if blocker.promised is None:
        return f"{had}, but {job} is first and has a reservation; for when is not known"
    moved = "" if blocker.first_promised is None else f" (at first {when(blocker.first_promised)})"
    return f"{had}, but {_promise(blocker, job)} at {when(blocker.promised)}{moved}, when this job would still run"


def _compared(blocker: Blocker) -> str:
    """Return by which score another job was first."""
    if blocker.scores is None:
        return ""
    own, its = (f"{each:.4g}" for each in blocker.scores)
    if blocker.fair_share is None:
        return f" (score {its}; this job {own})"
    less, more = (f"{each:.3g}" for each in blocker.fair_share)
    return f" (score {its} with a fair-share factor of {more}; this job {own} with {less})"


def _promise(blocker: Blocker, job: str) -> str:
    if blocker.extra_gpus is not None:
        return f"{job} is promised {gpus(blocker.gpus)} and {gpus(blocker.extra_gpus)} are left over beside it"
    if blocker.nodes is None:
        return f"{job} is promised nodes"
    return f"{job} is promised {_nodes(blocker.nodes)}"


def _nodes(names: Sequence[str]) -> str:
    noun = "node" if len(names) == 1 else "nodes"
    return f"{noun} {_named(names[:_MOST_NODES], len(names))}"


def _named(names: Sequence[str], count: int) -> str:
    more = count - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more > 0 else "")


def _passed(passed: Passed) -> str:
    jobs = "1 job that comes" if passed.count == 1 else f"{passed.count:,} jobs that come"
    return (
        f"Meanwhile {jobs} later in the order started, with {gpus(passed.gpus)}: {_named(passed.first, passed.count)}."
    )


def _placed(placed: Placed) -> list[str]:
    """Return where it ran and why there."""
    if len(placed.nodes) > 1 and len(set(placed.gpus)) == 1:
        each = f"{counted(len(placed.nodes), 'node')} with {gpus(placed.gpus[0])} each"
        where = f"{each}: {_named(placed.nodes[:_MOST_NODES], len(placed.nodes))}"
    else:
        parts = [f"{name} ({gpus(number)})" for name, number in zip(placed.nodes, placed.gpus, strict=True)]
        where = _named(parts[:_MOST_NODES], len(parts))
    level = f", all in {placed.level} {placed.domain}" if placed.level is not None else ""
    lines = [f"It ran on {where}{level}."]
    if placed.candidates is None:
        return lines
    lines.append(f"Placement {placed.placement}: {placed.meaning}. {_choice(placed)}.")
    if placed.reserved:
        verb = "was" if placed.reserved == 1 else "were"
        lines.append(f"{counted(placed.reserved, 'more node')} would have fitted, but {verb} reserved for another job.")
    return lines


def _choice(placed: Placed) -> str:
    most, fewest = placed.most or 0, placed.fewest or 0
    part = " its largest part" if len(placed.nodes) > 1 else ""
    if placed.candidates == 1:
        return f"1 node fitted{part}, with {gpus(most)} wholly free"
    chosen = _number(min(placed.before), max(placed.before))
    its = "those taken" if len(placed.nodes) > 1 else "the one taken"
    free = gpus(most) if fewest == most else f"{_number(fewest, most)} GPUs"
    return f"{counted(placed.candidates or 0, 'node')} fitted{part}, each with {free} wholly free; {its} had {chosen}"


_SAID: Final = {
    "priority": "its priority was {own}, that of the other {its}",
    "partition_tier": "the tier of its partition was {own}, that of the other's {its}",
    "qos_tier": "the tier of its QOS was {own}, that of the other's {its}",
    "remaining_s": "{own} were left of it, {its} of the other",
    "remaining_gpu_s": "{own} were left of it, {its} of the other",
    "attained_s": "it had run for {own}, the other for {its}",
    "attained_gpu_s": "it had got {own}, the other {its}",
    "cells": "its cells were lent, and the other's owner needed them",
    "lasted_s": "its time slice was over, after {own}",
}
"""Why one job made room for another, by the measure of the rule."""


_NOUN: Final = {"partition": "partition", "qos": "QOS"}


def _attempts(story: Story) -> list[str]:
    """Return the attempts of a job one after the other, and what they came to."""
    lines = []
    before = story.eligible
    for stay in story.attempts:
        since = stay.start if before is None or stay.waited == 0 else before
        lines += _waited(story, since, stay.start, _held(story, stay))
        before = stay.end
        lines.append(_attempt(stay))
        if stay.took_from:
            took = _named(stay.took_from[:_MOST_NODES], len(stay.took_from))
            lines.append(f"  {counted(len(stay.took_from), 'job')} made room for it: {took}.")
        lines += took_words(stay.took)
        if stay.made_room is not None:
            lines.append(f"  It made room for job {stay.made_room.job_id}: {_why_it(stay.made_room)}.")
    if story.end is not None:
        lines.append(f"Ended at {when(story.end)}: {_how(story)}.")
    elif story.attempts[-1].made_room is not None:
        why = _waited(story, story.attempts[-1].end, math.inf)[1:]
        lines += [f"It waited when the simulation stopped{':' if why else '.'}", *why]
    else:
        lines.append(_ending(story))
    held = lasting(sum(stay.end - stay.start for stay in story.attempts))
    useful = lasting(sum(stay.useful for stay in story.attempts))
    times = counted(len(story.attempts), "attempt")
    did = "held its GPUs" if all(stay.nodes for stay in story.attempts) else "ran"
    lines.append(f"In {times} it {did} for {held}, of which {useful} were useful.")
    return [*lines, *_often(story)]


def _often(story: Story) -> list[str]:
    """Return how long a job waited in all and for whom it made room, where it did so again and again."""
    made = [stay.made_room for stay in story.attempts if stay.made_room is not None]
    if len(made) < _OFTEN:
        return []
    takers = Counter(each.right.taker or "(nobody)" for each in made if each.right is not None)
    urgent = len(made) - takers.total()
    whom = [f"for the tenant {name} {number:,}" for name, number in takers.most_common(_MOST_NODES)]
    parts = ", ".join([*([f"for more urgent jobs {urgent:,}"] if urgent and takers else []), *whom])
    waited = lasting(sum(stay.waited for stay in story.attempts))
    return [f"It made room {counted(len(made), 'time')}{f': {parts}' if parts else ''}. It waited {waited} in all."]


def _waited(story: Story, since: float, until: float, held: str = "") -> list[str]:
    """Return how long the job waited before an attempt, ``held`` by whom, and why, where that is known."""
    if since == until:
        return ["It did not wait."]
    why = [each for each in story.stretches if since <= each.start < until]
    waited = f"It waited {lasting(until - since)}" if until < math.inf else "It waited"
    if not why:
        return [f"{waited}{held}."]
    if len(why) <= _MOST_STRETCHES:
        return [f"{waited}{held}:", *(f"  {_span(each.start, each.end)}: {_why(story, each)}" for each in why)]
    first = f"  {_span(why[0].start, why[0].end)}: {_why(story, why[0])}"
    more = f"  ({counted(len(why) - 1, 'more change')} of the reason; --json lists them all)"
    return [f"{waited}{held}:", first, more, *_sums(why)]


def _held(story: Story, stay: Stay) -> str:
    """Return by whom the cells of its owner were held while a guaranteed job waited."""
    if story.cells is None or not stay.held_by:
        return ""
    return f", while cells of {story.cells.owner} were held by {_named(stay.held_by[:_MOST_NODES], len(stay.held_by))}"


def _attempt(stay: Stay) -> str:
    parts = [f"{name} ({gpus(number)})" for name, number in zip(stay.nodes, stay.gpus, strict=True)]
    where = f" on {_named(parts[:_MOST_NODES], len(parts))}" if parts else ", without room, so that it held nothing"
    length = stay.end - stay.start
    lost = round(length - stay.useful, 6)
    without = f"; {lasting(lost)} of it were not useful" if lost else ""
    lent = ", in cells that were lent to it" if stay.lent else ""
    return f"Attempt {stay.number}: from {when(stay.start)} for {lasting(length)}{where}{lent}{without}."


def _why_it(made: Made) -> str:
    """Return why a job made room for another."""
    own, its = made.own, made.its or 0.0
    if made.measure == "cells":
        return _SAID["cells"]
    if made.right is not None:
        return right_words(made.right)
    if made.measure in ("priority", "partition_tier", "qos_tier"):
        return _SAID[made.measure].format(own=f"{own:g}", its=f"{its:g}")
    if made.measure.endswith("gpu_s"):
        return _SAID[made.measure].format(own=f"{exact(own)[:-2]} GPU seconds", its=exact(its)[:-2])
    return _SAID[made.measure].format(own=lasting(own), its=lasting(its))


def _how(story: Story) -> str:
    how = {"timed_out": "killed at its time limit"}.get(story.state, story.state)
    rule = story.ended_by
    if rule is None:
        return how
    whose = f"{_NOUN[rule.column]} '{rule.name}'"
    if rule.key == "modes":
        return f"{how}, as a job of the {whose} is when it makes room"
    return f"{how}, the {rule.key} of its {whose}, since it stated none"


def _ending(story: Story) -> str:
    if story.end is None or story.start is None:
        return "It was running when the simulation stopped."
    ran = lasting(story.end - story.start)
    return f"Ended at {when(story.end)} after {ran}: {_how(story)}."
