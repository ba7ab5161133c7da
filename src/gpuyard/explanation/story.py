"""The life of a job as plain data: what it asked for, what held it back, why it waited, where it ran, how it ended.

Times are seconds since the origin.  The mapping of a story has the same names and is what ``--json`` prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

__all__ = [
    "REASONS",
    "Blocker",
    "FreeCells",
    "Held",
    "Hold",
    "InCells",
    "Made",
    "Passed",
    "Placed",
    "Right",
    "Rule",
    "Shut",
    "Stay",
    "Story",
    "Stretch",
    "Took",
]

REASONS: Final[Mapping[str, str]] = {
    "before_begin": "it was ready before the simulation begins",
    "quota": "a tenant had used up its quota, and what it may borrow",
    "limit": "its group had as many jobs or GPUs as a limit lets it have",
    "gpus": "too few GPUs were free",
    "cells": "too few of the cells that it may run in were free",
    "gpu_type": "enough GPUs were free, but not of a type it accepts",
    "fragmentation": "enough GPUs were free, but no node, or set of nodes, had the shape",
    "closed": "nodes were free that are closed to it, for maintenance, for others, or by its partition",
    "exclusive": "nodes had the GPUs, but others ran on them, and it has its nodes to itself",
    "cpus": "nodes had the GPUs, but not the CPUs",
    "memory": "nodes had the GPUs, but not the memory",
    "order": "another job was first, and nobody may pass it",
    "withheld": "it would have fitted, but nodes are withheld for the first job of another queue",
    "reservation": "it would have fitted, but for the reservation of another job",
    "plan": "it would have fitted, but the GPUs are promised to others before it would end",
    "interval": "it would have fitted, but plans are made only now and then",
    "depth": "more jobs were ahead of it than are planned",
    "placement": "GPUs were free, but the placement found no nodes for it",
    "decider": "the policy's own code did not start it",
    "unknown": "what was promised to whom is not known",
}
"""Why a job waits: the words of a stretch, and what they mean."""


@dataclass(frozen=True, kw_only=True)
class Hold:
    """What kept a submitted job from being eligible: ``dependency``, ``not_before`` or ``array_limit``."""

    kind: str
    start: float
    end: float | None
    """``None``: it never ended"""
    jobs: tuple[str, ...] = ()
    """the first few jobs behind it: the last parents to end, the tasks that held the places of the array"""
    count: int = 0
    """how many jobs these are in all"""
    think_time: float = 0.0
    limit: int | None = None


@dataclass(frozen=True, kw_only=True)
class Shut:
    """A window that closed nodes to a job."""

    kind: str
    """``maintenance``, ``reservation`` or ``partition``, of which all other nodes are closed"""
    nodes: tuple[str, ...]
    """which it closed"""
    start: float | None
    """from when on, and to when; ``None``: always"""
    end: float | None
    whose: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """by column: the users, tenants and partitions that a reservation is for; the partition of the job"""


@dataclass(frozen=True, kw_only=True)
class Blocker:
    """The job that stood in the way: what it waited for, or what it was promised."""

    job_id: str
    gpus: float
    reason: str | None = None
    """why it waited itself, in the words of :data:`REASONS`"""
    free: float | None = None
    """GPUs that were free when it did"""
    promised: float | None = None
    """when it is promised to start; the last word on it in the stretch"""
    first_promised: float | None = None
    """the first word on it in the stretch, where it is another"""
    nodes: tuple[str, ...] | None = None
    """the nodes it is promised"""
    partition: str | None = None
    """the partition in whose queue it waits, where partitions have queues of their own"""
    extra_gpus: float | None = None
    """easy by counts: GPUs that others may take beside it"""
    closed: tuple[Shut, ...] = ()
    """the windows without any of which there would have been nodes for it, where that is why it waited"""
    scores: tuple[float, float] | None = None
    """the score of the job that waited, and of this one, at the beginning of the stretch, where scores decide"""
    fair_share: tuple[float, float] | None = None
    """likewise the fair-share factors of their users, where these are part of the score"""


@dataclass(frozen=True, kw_only=True)
class Held:
    """The quota or limit that a job was held back by; ``used`` is the least and the most all through the stretch."""

    by: str
    """``quota`` or ``limit``"""
    what: str
    """of a quota: the GPU type, or nothing for all types; of a limit: ``jobs`` or ``gpus``"""
    used: tuple[float, float]
    most: float | None
    """of a quota: with what may be borrowed"""
    tenant: str = ""
    """whose quota; nothing for that of all tenants"""
    nominal: float | None = None
    group: Mapping[str, str] = field(default_factory=dict)
    """of a limit: the values of the columns that make the group"""


@dataclass(frozen=True, kw_only=True)
class FreeCells:
    """Free cells of the level that a job asked for, and GPUs of which no cell is taken: the least and the most."""

    own: tuple[int, int] | None
    """of its owner; ``None`` for a job that only ever runs in lent cells"""
    own_gpus: tuple[int, int] | None
    idle: tuple[int, int] | None
    """that no job held; ``None`` for a job that only ever runs in cells of its owner"""
    idle_gpus: tuple[int, int] | None


@dataclass(frozen=True, kw_only=True)
class Rival:
    """The shares by which a job may take GPUs from another tenant, or may not: that which exceeds its own the most.

    Under ``reclaim = cohorts`` they are of the cohorts, or tenants, below the lowest one that both tenants are in.
    """

    path: str
    share: float
    own_path: str
    own_share: float
    """with the job"""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A part of the wait with one reason.  GPUs are the least and the most that were free to the job in it."""

    start: float
    end: float
    reason: str
    blocker: Blocker | None
    fits: bool
    """whether there were nodes for the job, had nothing else stood in the way"""
    free: tuple[float, float]
    allowed: tuple[float, float]
    """of the GPU types it accepts"""
    largest: tuple[float, float] | None = None
    """GPUs of the largest job of this shape that would have fitted"""
    chunk: int = 0
    """GPUs that it needs on each of several nodes; 0 for a job that is never cut"""
    chunks: int = 0
    fitting: tuple[int, int] = (0, 0)
    """nodes that fitted such a chunk"""
    one_node: bool = True
    """whether a single node would have done, had one had room"""
    ahead: int | None = None
    """jobs ahead of it in the queue when the stretch began"""
    partition: str | None = None
    """the partition in whose queue it waited, where partitions have queues of their own"""
    planned: float | None = None
    """when it was itself promised to start (easy, as the first) or planned to begin (conservative, slurm)"""
    held: Held | None = None
    """the quota or limit that held it back"""
    may_take: bool | None = None
    """whether its tenant would be within its quota with it, or, where ``reclaim`` goes by shares, have a smaller share
    than another that borrows, so that others make room; ``None`` where none do"""
    rival: Rival | None = None
    """where ``reclaim`` goes by shares and another tenant borrows, those that decide, when the stretch began"""
    lent: Mapping[str, float] = field(default_factory=dict)
    """GPUs that other tenants used above their quotas when the stretch began, where its tenant would be within its own
    with it and the policy takes nothing back"""
    share: tuple[float, float] | None = None
    """the share of its tenant, where that decides between tenants: the least and the most"""
    shares: Mapping[str, float] = field(default_factory=dict)
    """the smallest shares of other tenants that held something when the stretch began"""
    cells: FreeCells | None = None
    """where the cluster is handed out in cells"""
    closed: tuple[Shut, ...] = ()
    """the windows without any of which there would have been nodes for it"""

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.end - self.start


@dataclass(frozen=True, kw_only=True)
class Passed:
    """Jobs later in the order that started while the job waited."""

    count: int
    gpus: float
    """that they held, in all"""
    first: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Where a job ran, and among how many nodes the placement chose."""

    nodes: tuple[str, ...]
    gpus: tuple[int, ...]
    placement: str
    meaning: str
    candidates: int | None
    """nodes that fitted the largest of its chunks when it was its turn; ``None`` where that cannot be said"""
    reserved: int
    """further nodes that would have fitted, and were reserved for another job"""
    before: tuple[int, ...]
    """wholly free GPUs of its nodes before it started"""
    most: int | None
    """wholly free GPUs of the candidate with the most, and with the fewest"""
    fewest: int | None
    level: str | None
    """the lowest level on which its nodes are in one domain; ``None`` on one node, or if there is none"""
    domain: int | None = None


@dataclass(frozen=True, kw_only=True)
class Right:
    """By which right of its tenant a job took GPUs from another tenant; GPUs as they were before anybody made room."""

    rule: str
    """``any``, ``lower``, ``fair`` or ``cohorts``: the key ``reclaim`` of tenants; ``borrow``: by ``borrow_within``"""
    tenant: str
    """whose job made room"""
    above: float
    """GPUs that this tenant used above its nominal quota"""
    taker: str
    """the tenant whose job took them"""
    used: float
    """GPUs that the taker would use with that job"""
    nominal: float
    """the taker's nominal quota"""
    shares: tuple[float, float] | None = None
    """``fair``, ``cohorts``: the share of the tenant, and that of the taker with the job"""
    compared: tuple[str, str] = ("", "")
    """whose shares these are: under ``cohorts`` the cohorts, or tenants, below the one that both are in"""


@dataclass(frozen=True, kw_only=True)
class Took:
    """A job of another tenant that made room, and by which right."""

    job_id: str
    right: Right


@dataclass(frozen=True, kw_only=True)
class Made:
    """For whom a job made room, and the numbers by which the other was more urgent then."""

    job_id: str
    measure: str
    """``cells``, ``priority``, ``partition_tier``, ``qos_tier``, ``remaining_s``, ``remaining_gpu_s``, ``attained_s``,
    ``attained_gpu_s``, or ``lasted_s`` of a time slice; ``quota`` under ``reclaim``, where nothing else counts"""
    own: float
    its: float | None
    """of the job that it made room for; ``None`` where only its own counts"""
    right: Right | None = None
    """where it was taken back for another tenant"""


@dataclass(frozen=True, kw_only=True)
class InCells:
    """What a job asked for where the cluster is handed out in cells."""

    owner: str | None
    """whose cells it may use; ``None``: nobody's"""
    owns: Mapping[str, int]
    """cells of that owner, by level"""
    guaranteed: bool
    """whether it is tried in these cells; else it only ever runs in cells that are lent"""
    level: str
    count: int
    """cells of that level that it asked for"""
    takes: bool = False
    """whether it may take cells from jobs of its owner with a lower priority"""


@dataclass(frozen=True, kw_only=True)
class Stay:
    """One attempt of a job of a run that preempts."""

    number: int
    waited: float
    """from when it was eligible, or preempted, to the start"""
    start: float
    end: float
    useful: float
    """seconds of it that count: not restarts, checkpoints, and work that was lost"""
    nodes: tuple[str, ...]
    gpus: tuple[int, ...]
    reason: str
    """why it ended, as in the table of attempts"""
    made_room: Made | None
    took_from: tuple[str, ...]
    """the jobs that made room for it when it started"""
    took: tuple[Took, ...] = ()
    """those of other tenants among them"""
    lent: bool = False
    """whether it ran in cells that were lent to it"""
    held_by: tuple[str, ...] = ()
    """of a guaranteed job: the jobs that held cells of its owner while it waited before"""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The rule of its partition or QOS that ended a job."""

    key: str
    """``default_time`` or ``max_time``, the limit of jobs that state none; ``modes``, by which the preempted end"""
    column: str
    """``partition`` or ``qos``"""
    name: str


@dataclass(frozen=True, kw_only=True)
class Story:
    """The life of one job."""

    job_id: str
    asked: Mapping[str, Any]
    """what it asked for: gpus, and where given gpu_milli, exclusive, nodes, gpu_type, cpus, memory_gib, time_limit; and
    the estimate"""
    policy: str
    submit: float
    eligible: float | None
    holds: tuple[Hold, ...]
    stretches: tuple[Stretch, ...]
    """they follow one another from ``eligible`` to ``start``, or to the stop if it never started"""
    passed: Passed | None
    start: float | None
    placed: Placed | None
    end: float | None
    state: str
    reject_reason: str | None
    log: str
    """where the scheduler's promises are from: ``saved``, ``made again``, ``not needed``, or why there are none"""
    notes: tuple[str, ...] = ()
    virtual_cluster: str | None = None
    """the one that it belongs to, and in whose queue it waited"""
    attempts: tuple[Stay, ...] = ()
    """of a run that preempts; its waits have stretches, all of them in order"""
    cells: InCells | None = None
    """where the cluster is handed out in cells"""
    ended_by: Rule | None = None
    """the rule of its partition or QOS that ended it, where one did"""

    @property
    def wait(self) -> float | None:
        """Seconds from eligible to start, or ``None``."""
        return None if self.start is None or self.eligible is None else self.start - self.eligible

    def to_mapping(self) -> dict[str, Any]:
        """Return the story as plain tables, for JSON."""
        return {**asdict(self), "wait": self.wait}

    def __str__(self) -> str:
        from gpuyard.explanation.telling import tell

        return tell(self)
