"""What must hold in every record, whatever the policy: checked on larger random workloads from the record alone.

Every order is combined with every backfill it goes with, the placements in turn; each combination has its own random
site and workload, and each placement one more in which all jobs spread.  Where nothing is compiled, every second
combination is taken, with fewer jobs: each order then meets two or three backfills.  All jobs take time, so that what
is held at an instant is what the sweep says.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterator
from dataclasses import replace

import numba
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from conftest import cluster, workload
from gpuyard.ordering import SCORED
from gpuyard.policy import BACKFILLS, ORDERS, PLACEMENTS, Policy
from gpuyard.record import Outcome, Record
from gpuyard.simulation import schedule
from gpuyard.windows import NodeWindow
from gpuyard.workload import MICROSECOND, NEVER, Workload
from reference import Job, Piece, Ranking, Room, Rule, brings, estimate, place, read
from strategies import random_cluster, random_workload

INTERPRETED = bool(numba.config.DISABLE_JIT)
JOBS = 80 if INTERPRETED else 300
SHIFTS = (1, -1_000_000, 1_700_000_000)
"""Seconds; each policy is tried with one of them."""
COMBINED = [
    Policy(
        order=order,
        backfill=backfill,
        placement=list(PLACEMENTS)[(number + other) % len(PLACEMENTS)],
        resolution=1e-6 if backfill == "slurm" else None,  # a coarser grid does not shift with the times
    )
    for number, order in enumerate(ORDERS)
    for other, backfill in enumerate(BACKFILLS)
]
POLICIES = [
    *COMBINED[:: 2 if INTERPRETED else 1],
    *(Policy(backfill="fit", placement=placement, spread=True) for placement in PLACEMENTS),
]
EVERY_POLICY = pytest.mark.parametrize(
    "number", range(len(POLICIES)), ids=[f"{each.name}-{each.placement}-{each.spread}" for each in POLICIES]
)


@functools.lru_cache(maxsize=len(POLICIES))
def recorded(number: int) -> Record:
    """Return the run of this policy; every third has no fractions, and the loads differ."""
    rng = np.random.default_rng(number)
    site = random_cluster(rng)
    jobs = random_workload(rng, JOBS, fractions=number % 3 > 0, load=(1, 1.5, 2)[number // 3 % 3])
    return schedule(jobs, site, POLICIES[number], seed=number, decisions=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Moment:
    """What runs and waits after the pass of one instant."""

    now: int
    pieces: list[Piece]
    waiting: list[Job]


def slots(record: Record, attempt: int) -> list[tuple[int, int, int]]:
    held = slice(record.slot_offset[attempt], record.slot_offset[attempt + 1])
    columns = (record.slot_node[held], record.slot_gpus[held], record.slot_gpu[held])
    return list(zip(*(column.tolist() for column in columns), strict=True))


def aligned(held: list[tuple[int, int, int]], room: Room) -> list[int]:
    """Return the lowest set of GPU numbers that is free on all these nodes, small chunks taking the lowest of it."""
    large, small = (choose(gpus for _, gpus, _ in held) for choose in (max, min))
    free = {node: set(room.whole(node)) for node, _, _ in held}
    everywhere = sorted(set.intersection(*free.values()))[:small]
    on_large = sorted(set.intersection(*(free[node] for node, gpus, _ in held if gpus == large)))
    return everywhere + [gpu for gpu in on_large if gpu > max(everywhere, default=-1)][: large - small]


def pieces_of(record: Record, attempt: int, job: Job, room: Room) -> list[Piece]:
    """Return what an attempt holds: the lowest-numbered wholly free GPUs, or the same ones on all nodes."""
    held = slots(record, attempt)
    rails = aligned(held, room) if record.policy.placement == "rail-aligned" and len(held) > 1 else None
    pieces = []
    for node, gpus, lowest in held:
        if job.milli is not None:
            numbers: tuple[int, ...] = (lowest,)
        else:
            numbers = tuple(room.whole(node) if rails is None or job.spread else rails)[:gpus]
            assert len(numbers) == gpus, f"job {job.row} holds GPUs of node {node} that are not free"
            assert lowest in (-1, min(numbers, default=-1))
        cpus, memory = brings(job, gpus)
        pieces.append(Piece(node=node, gpus=numbers, milli=job.milli or 1000, cpus=cpus, memory=memory))
    return pieces


@functools.lru_cache(maxsize=len(POLICIES))
def moments(number: int) -> tuple[Moment, ...]:
    """Return the instants of the run of this policy."""
    return tuple(swept(recorded(number)))


def swept(record: Record) -> Iterator[Moment]:
    """Go through the instants of a record: ends first, then starts in their order."""
    jobs = read(record.workload, record.policy)
    running: dict[int, list[Piece]] = {}
    instants = np.unique(np.concatenate([record.eligible, record.attempt_start, record.attempt_end]))
    attempts = range(record.attempt_job.size)
    for now in instants[instants != NEVER].tolist():
        for attempt in [each for each in running if record.attempt_end[each] == now]:
            del running[attempt]
        for attempt in [each for each in attempts if record.attempt_start[each] == now]:
            room = Room(record.cluster, itertools.chain.from_iterable(running.values()))
            running[attempt] = pieces_of(record, attempt, jobs[record.attempt_job[attempt]], room)
        waiting = [job for job in jobs if record.eligible[job.row] <= now < record.start[job.row]]
        waiting = [job for job in waiting if record.outcome[job.row] != Outcome.REJECTED]
        yield Moment(now=now, pieces=list(itertools.chain.from_iterable(running.values())), waiting=waiting)


@EVERY_POLICY
def test_nothing_is_held_twice(number):
    record = recorded(number)
    for moment in moments(number):
        room = Room(record.cluster, moment.pieces)
        assert min(itertools.chain.from_iterable(room.milli)) >= 0
        assert min(room.cpus) >= 0
        assert min(room.memory) >= 0


@EVERY_POLICY
def test_no_more_gpus_of_a_node_are_held_than_it_has(number):
    """The same from sums alone, node by node: nothing is assumed about which GPUs are held."""
    record = recorded(number)
    milli = record.workload.table["gpu_milli"].fill_null(1000).to_numpy()
    attempt_of_slot = np.repeat(np.arange(record.attempt_job.size), np.diff(record.slot_offset))
    held = record.slot_gpus * milli[record.attempt_job[attempt_of_slot]]
    for node in range(record.cluster.nodes):
        mine = record.slot_node == node
        at = np.concatenate([record.attempt_end[attempt_of_slot[mine]], record.attempt_start[attempt_of_slot[mine]]])
        change = np.concatenate([-held[mine], held[mine]])
        level = np.cumsum(change[np.lexsort((change, at))])
        assert level.max(initial=0) <= 1000 * record.cluster.node_gpus[node]
        assert level.min(initial=0) >= 0


@EVERY_POLICY
def test_every_job_runs_once_or_is_rejected(number):
    record = recorded(number)
    rejected = np.flatnonzero(record.outcome == Outcome.REJECTED)
    assert sorted([*record.attempt_job.tolist(), *rejected.tolist()]) == list(range(len(record.workload)))
    assert np.all(record.start[rejected] == NEVER)
    assert not np.any(record.outcome == Outcome.UNFINISHED)
    assert rejected.size < len(record.workload) / 4


@EVERY_POLICY
def test_an_attempt_lasts_as_long_as_its_job_runs(number):
    record = recorded(number)
    length = np.minimum(record.workload.runtime, record.workload.time_limit)[record.attempt_job]
    assert np.array_equal(record.attempt_end - record.attempt_start, length)
    assert np.array_equal(record.start[record.attempt_job], record.attempt_start)
    assert np.array_equal(record.end[record.attempt_job], record.attempt_end)
    killed = record.workload.runtime > record.workload.time_limit
    ran = record.outcome != Outcome.REJECTED
    assert np.array_equal(record.outcome == Outcome.TIMED_OUT, killed & ran)


@EVERY_POLICY
def test_no_job_starts_before_it_is_eligible(number):
    record = recorded(number)
    for job in read(record.workload, record.policy):
        if record.outcome[job.row] != Outcome.REJECTED:
            bounds = [job.submit, *(int(record.end[parent]) + job.think for parent in job.parents)]
            bounds += [] if job.not_before is None else [job.not_before]
            assert record.eligible[job.row] == max(bounds)
            assert record.start[job.row] >= max(bounds)


@EVERY_POLICY
def test_every_job_holds_what_it_asked_for(number):
    record = recorded(number)
    jobs = read(record.workload, record.policy)
    node_type = [record.cluster.gpu_types[code] for code in record.cluster.node_type]
    for attempt, row in enumerate(record.attempt_job.tolist()):
        job, held = jobs[row], slots(record, attempt)
        nodes = [node for node, _, _ in held]
        types = {node_type[node] for node in nodes}
        assert len(set(nodes)) == len(nodes) > 0
        assert sum(gpus for _, gpus, _ in held) == job.gpus
        assert job.gpus == 0 or job.types is None or types <= set(job.types)
        if not job.spread:
            assert len(nodes) == (job.nodes or len(nodes))
            assert len(types) == 1 or job.gpus == 0


def ranking_of(record: Record) -> Ranking:
    jobs = read(record.workload, record.policy)
    estimates = {job.row: estimate(job, jobs, record.policy, record.seed) for job in jobs}
    return Ranking(policy=record.policy, estimates=estimates, seed=record.seed, cluster_gpus=record.cluster.gpus)


def at_pass(ranking: Ranking, record: Record, now: int) -> Ranking:
    """Return the ranking of the pass of an instant: it may go by how many jobs wait or run, and none lasts no time."""
    return replace(ranking, present=int(np.count_nonzero((record.eligible <= now) & (record.end > now))))


@pytest.mark.parametrize("number", [number for number, each in enumerate(POLICIES) if each.backfill != "conservative"])
def test_nobody_waits_who_could_start(number):
    """After a pass under ``fit`` no waiting job could be placed; otherwise the head of the queue could not.

    Under ``conservative`` it may: who came first has a reservation, and the highest rank is no way around it.
    """
    record = recorded(number)
    policy, rule = record.policy, Rule(placement=record.policy.placement, seed=record.seed)
    ranking = ranking_of(record)
    looked_at = 0
    for moment in moments(number):
        room = Room(record.cluster, moment.pieces)
        now, here = moment.now, at_pass(ranking, record, moment.now)
        queue = sorted(moment.waiting, key=lambda job: here.key(job, now, int(record.eligible[job.row])))
        for job in queue if policy.backfill == "fit" else queue[:1]:
            assert place(room, job, rule) is None, f"job {job.row} could start at {moment.now}"
            looked_at += 1
    assert looked_at > 0


# --- what is promised, by the engine's own log -------------------------------------------------------------


def is_overtaken(record: Record, ranking: Ranking, head: int, after: int, until: int) -> bool:
    """Return whether a job that ranked above the head when it started did so after an instant, up to another."""
    jobs = read(record.workload, record.policy)
    rows = np.flatnonzero((record.start > after) & (record.start <= until) & (record.outcome != Outcome.REJECTED))
    for row in rows[rows != head].tolist():
        now = int(record.start[row])
        here = at_pass(ranking, record, now)
        mine, theirs = (here.key(jobs[each], now, int(record.eligible[each])) for each in (row, head))
        if mine < theirs:
            return True
    return False


def check_head(record: Record) -> None:
    """While it is the head and nobody overtakes it, a job starts when it was promised to, and is promised no later.

    Runs end by their expected ends.
    """
    ranking, promises = ranking_of(record), record.decisions.entry
    assert promises.size > 0
    assert record.decisions.lost == 0
    for promise, following in itertools.zip_longest(promises, promises[1:]):
        head, made, begin = (int(promise[name]) for name in ("job", "time", "begin"))
        assert made < begin
        if following is not None and following["job"] == head:
            kept, until = following["begin"] <= begin, int(following["time"])
        else:
            ceased = NEVER if following is None else int(following["time"])
            kept, until = min(int(record.start[head]), ceased) <= begin, begin
        assert kept or is_overtaken(record, ranking, head, made, until), f"job {head} was promised {begin} at {made}"


def check_everybody(record: Record) -> None:
    """No job starts later than it was planned to, nor is planned to begin later than before."""
    planned: dict[int, int] = {}
    for entry in record.decisions.entry:
        job, begin = int(entry["job"]), int(entry["begin"])
        assert begin <= planned.get(job, NEVER), f"job {job} moved at {entry['time']}"
        planned[job] = begin
    assert len(planned) > 0
    assert record.decisions.lost == 0
    for job, begin in planned.items():
        assert record.start[job] <= begin, f"job {job}"


def shapeless(seed: int, order: str, backfill: str, **more: object) -> Record:
    """Return a crowded run of jobs with limits that fit wherever the GPUs suffice."""
    rng = np.random.default_rng(seed)
    site = cluster(*[1] * 16) if seed % 2 else cluster(8, 5, 3)
    rows = []
    for number in range(JOBS):
        runtime = float(rng.integers(1, 100))
        more_of_it = {"time_limit": runtime + float(rng.choice([0, 5, 100, -0.5])), "priority": int(rng.integers(3))}
        rows.append((float(12 * number + rng.integers(12)), runtime, int(rng.choice([1, 1, 2, 5, 12])), more_of_it))
    policy = Policy(order=order, backfill=backfill, spread=True, **more)
    return schedule(workload(*rows), site, policy, seed=seed, decisions=True)


@pytest.mark.parametrize("number", [number for number, each in enumerate(POLICIES) if each.backfill == "easy"])
def test_easy_starts_the_head_when_it_promised_to_or_earlier(number):
    check_head(recorded(number))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("order", [order for order in ORDERS if order not in SCORED])
def test_easy_by_counts_keeps_its_promise_where_gpus_are_all_that_counts(order, seed):
    check_head(shapeless(seed, order, "easy", reservation="counts"))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("order", ORDERS)
def test_conservative_moves_no_promise_to_later_where_gpus_are_all_that_counts(order, seed):
    check_everybody(shapeless(seed, order, "conservative"))


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_strict_fifo_starts_jobs_in_queue_order(placement):
    rng = np.random.default_rng(100)
    record = schedule(random_workload(rng, JOBS, delays=False), random_cluster(rng), Policy(placement=placement))
    started = record.start[record.outcome != Outcome.REJECTED]
    assert np.all(np.diff(started) >= 0)
    assert np.all(np.diff(record.attempt_job) > 0)


def columns(record: Record) -> dict[str, np.ndarray]:
    """Return all facts of a record that are arrays."""
    values = {each.name: getattr(record, each.name) for each in dataclasses.fields(record)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def assert_same_facts(first: Record, second: Record) -> None:
    ours, theirs = columns(first), columns(second)
    assert {name for name in ours if ours[name].tobytes() != theirs[name].tobytes()} == set()
    assert first.reject_reasons == second.reject_reasons
    assert (first.events, first.passes, first.max_queue, first.stop) == (
        second.events,
        second.passes,
        second.max_queue,
        second.stop,
    )


@pytest.mark.parametrize("windows", [(), (NodeWindow(nodes=("0-9",), start=40, end=400),)], ids=["open", "closed"])
@pytest.mark.parametrize(
    "terms",
    [
        *({"backfill": each} for each in BACKFILLS),
        *({"backfill": each, "depth": 3} for each in ("conservative", "slurm")),
    ],
    ids=lambda terms: "-".join(map(str, terms.values())),
)
def test_a_score_that_never_changes_gives_the_schedule_of_the_fixed_order(terms, windows):
    """The score of multifactor without an age is the priority, and the loops that score are others."""
    rng = np.random.default_rng(7)
    site = random_cluster(rng)
    jobs = random_workload(rng, JOBS, load=2)
    orders = ({"order": "priority"}, {"order": "multifactor", "weights": {"age": 0}})
    fixed, scored = (columns(schedule(jobs, site, Policy(**order, **terms), windows=windows)) for order in orders)
    assert {name for name in fixed if fixed[name].tobytes() != scored[name].tobytes()} == set()


@EVERY_POLICY
def test_the_same_seed_gives_the_same_bytes(number):
    record = recorded(number)
    assert_same_facts(record, schedule(record.workload, record.cluster, record.policy, seed=record.seed))


@EVERY_POLICY
def test_the_row_order_of_the_source_does_not_matter(number):
    record = recorded(number)
    table = record.workload.table
    shuffled = table.take(pa.array(np.random.default_rng(number).permutation(len(table))))
    again = Workload.from_table(shuffled)
    assert_same_facts(record, schedule(again, record.cluster, record.policy, seed=record.seed))


@EVERY_POLICY
def test_shifting_all_times_shifts_the_schedule_and_nothing_else(number):
    record, shift = recorded(number), SHIFTS[number % len(SHIFTS)]
    table = record.workload.table
    for name in ("submit_time", "not_before"):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(at), pc.add(table[name], float(shift)))
    moved = schedule(Workload.from_table(table), record.cluster, record.policy, seed=record.seed)
    for name, before in columns(record).items():
        if name in ("eligible", "start", "end", "attempt_start", "attempt_end"):
            before = np.where(before == NEVER, NEVER, before + shift * MICROSECOND)  # noqa: PLW2901
        assert np.array_equal(before, columns(moved)[name]), name


@EVERY_POLICY
def test_stopping_early_changes_nothing_before_the_stop(number):
    record = recorded(number)
    stop = int(np.median(record.attempt_start))
    early = schedule(record.workload, record.cluster, record.policy, seed=record.seed, until=stop / MICROSECOND)
    before = record.attempt_start <= stop
    assert early.stop == stop
    assert np.array_equal(early.attempt_job, record.attempt_job[before])
    assert np.array_equal(early.attempt_start, record.attempt_start[before])
    assert np.array_equal(early.attempt_end, np.minimum(record.attempt_end[before], stop))
    assert np.array_equal(early.end, np.where(record.end <= stop, record.end, NEVER))
    assert np.array_equal(early.slot_node, record.slot_node[: early.slot_node.size])
